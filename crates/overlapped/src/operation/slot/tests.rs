//! The state machine on one thread: every edge of the diagram, and steps that must not be one.

use super::*;

#[test]
fn a_packet_publishes_and_hands_over_the_waiter() {
    let slot = Machine::new();
    let g = slot.begin(None);
    assert_eq!(slot.wait(|_| false, || "me"), Progress::Pending);
    assert_eq!(slot.complete(g).0, Completion::Published(Some("me")));
    assert!(slot.is_complete());
    assert_eq!(slot.release(g), Some(Recycle::Pool));
}

#[test]
fn a_second_packet_is_a_stray() {
    let slot = Machine::<()>::new();
    let g = slot.begin(None);
    assert_eq!(slot.complete(g).0, Completion::Published(None));
    assert_eq!(slot.complete(g).0, Completion::Stray);
    assert_eq!(slot.release(g), Some(Recycle::Pool));
    assert_eq!(slot.complete(g).0, Completion::Stray);
}

#[test]
fn an_old_packet_does_not_complete_the_next_operation() {
    let slot = Machine::<()>::new();
    let old = slot.begin(None);
    assert_eq!(slot.release(old), Some(Recycle::Pool));
    let new = slot.begin(None);
    assert_ne!(old, new);
    assert_eq!(slot.complete(old).0, Completion::Stray);
    assert!(!slot.is_complete());
    assert_eq!(slot.complete(new).0, Completion::Published(None));
}

#[test]
fn an_abandoned_operation_is_recycled_by_its_packet() {
    let slot = Machine::<()>::new();
    let g = slot.begin(None);
    assert!(!slot.abandon(g));
    assert_eq!(slot.complete(g).0, Completion::Recycle(Recycle::Pool));
    assert_eq!(slot.complete(g).0, Completion::Stray);
}

#[test]
fn abandoning_a_complete_operation_leaves_the_slot_to_its_owner() {
    let slot = Machine::<()>::new();
    let g = slot.begin(None);
    assert_eq!(slot.complete(g).0, Completion::Published(None));
    assert!(slot.abandon(g));
    assert_eq!(slot.release(g), Some(Recycle::Pool));
}

#[test]
fn a_pinned_slot_is_given_back_by_the_canceller() {
    let slot = Machine::<()>::new();
    let g = slot.begin(None);
    assert!(slot.pin(g));
    assert!(!slot.pin(g), "one canceller at a time");
    assert_eq!(slot.complete(g).0, Completion::Published(None));
    assert_eq!(slot.release(g), None);
    assert_eq!(slot.complete(g).0, Completion::Stray);
    assert_eq!(slot.unpin(g), Some(Recycle::Pool));
    assert!(!slot.pin(g), "the operation is over");
}

#[test]
fn a_pinned_and_abandoned_slot_is_given_back_by_the_canceller() {
    let slot = Machine::<()>::new();
    let g = slot.begin(None);
    assert!(slot.pin(g));
    assert!(!slot.abandon(g));
    assert_eq!(slot.complete(g).0, Completion::Left);
    assert_eq!(slot.unpin(g), Some(Recycle::Pool));
}

#[test]
fn a_pin_that_met_nothing_changes_nothing() {
    let slot = Machine::<()>::new();
    let g = slot.begin(None);
    assert!(slot.pin(g));
    assert_eq!(slot.unpin(g), None);
    assert_eq!(slot.complete(g).0, Completion::Published(None));
    assert_eq!(slot.release(g), Some(Recycle::Pool));
}

#[test]
fn a_late_completer_leaves_the_next_waiter_alone() {
    let slot = Machine::new();
    let old = slot.begin(Some("old"));
    slot.release(old);
    slot.begin(Some("new"));
    assert_eq!(slot.take_waiter(old), None);
}

#[test]
fn a_slot_retires_when_its_generations_are_used_up() {
    let slot = Machine::<()>::starting_at(LAST_GENERATION - 1);
    let g = slot.begin(None);
    assert_eq!(slot.release(g), Some(Recycle::Pool));
    let g = slot.begin(None);
    assert_eq!(g, LAST_GENERATION);
    assert_eq!(slot.release(g), Some(Recycle::Retire));
    for old in [g, g - 1, 1, 0] {
        assert_eq!(slot.complete(old).0, Completion::Stray);
    }
}

#[test]
fn an_expired_operation_tells_its_owner_and_stays_in_flight() {
    let slot = Machine::new();
    let g = slot.begin(None);
    assert_eq!(slot.wait(|_| false, || "me"), Progress::Pending);
    assert!(slot.set_overdue(g));
    assert_eq!(slot.expire(g).unwrap().hand_out(), (Some("me"), None));
    assert_eq!(slot.wait(|_| false, || "me"), Progress::Expired);
    assert!(!slot.abandon(g));
    assert_eq!(slot.complete(g).0, Completion::Recycle(Recycle::Pool));
    assert!(!slot.is_overdue(), "the next operation begins afresh");
}

#[test]
fn an_expired_operation_wakes_its_owner_when_it_ends_after_all() {
    let slot = Machine::new();
    let g = slot.begin(Some("me"));
    assert!(slot.set_overdue(g));
    assert_eq!(slot.expire(g).unwrap().hand_out(), (Some("me"), None));
    assert_eq!(slot.wait(|_| false, || "me still"), Progress::Expired);
    assert_eq!(slot.complete(g).0, Completion::Published(Some("me still")));
}

#[test]
fn a_result_that_came_before_the_expiry_is_delivered() {
    let slot = Machine::new();
    let g = slot.begin(Some("me"));
    assert!(slot.set_overdue(g));
    assert_eq!(slot.complete(g).0, Completion::Published(Some("me")));
    assert!(slot.expire(g).is_none());
    assert_eq!(slot.wait(|_| unreachable!(), || unreachable!()), Progress::Complete);
    assert!(slot.is_overdue());
    assert_eq!(slot.release(g), Some(Recycle::Pool));
    assert!(!slot.set_overdue(g), "over");
}

#[test]
fn a_result_that_comes_after_the_expiry_is_there_for_a_late_look() {
    let slot = Machine::new();
    let g = slot.begin(Some("me"));
    assert!(slot.set_overdue(g));
    assert_eq!(slot.expire(g).unwrap().hand_out(), (Some("me"), None));
    assert_eq!(slot.complete(g).0, Completion::Published(None));
    assert_eq!(slot.wait(|_| unreachable!(), || unreachable!()), Progress::Complete);
    assert_eq!(slot.release(g), Some(Recycle::Pool));
}

#[test]
fn a_late_canceller_or_timer_does_not_touch_the_next_operation() {
    let slot = Machine::new();
    let old = slot.begin(Some("old"));
    slot.release(old);
    let new = slot.begin(Some("new"));
    assert!(!slot.pin(old), "a late canceller");
    assert!(!slot.set_overdue(old) && slot.expire(old).is_none(), "a late timer");
    assert!(!slot.is_overdue());
    assert_eq!(slot.wait(|there| *there == "new", || unreachable!()), Progress::Pending);
    assert_eq!(slot.complete(new).0, Completion::Published(Some("new")));
}

#[test]
fn a_waiter_that_comes_too_late_is_given_back() {
    let slot = Machine::new();
    let g = slot.begin(None);
    assert_eq!(slot.register("first"), Ok(Progress::Pending));
    assert_eq!(slot.complete(g).0, Completion::Published(Some("first")));
    assert_eq!(slot.register("late"), Err("late"));
    assert_eq!(slot.take_waiter(g), None);
    assert_eq!(slot.release(g), Some(Recycle::Pool));
}

#[test]
fn a_waiter_whose_destructor_panics_keeps_nobody_out() {
    #[derive(Debug, PartialEq)]
    struct Panics(bool);
    impl Drop for Panics {
        fn drop(&mut self) {
            assert!(!self.0, "the destructor panics, as the test wants it to");
        }
    }
    let slot = Machine::new();
    let g = slot.begin(None);
    assert_eq!(slot.register(Panics(true)), Ok(Progress::Pending));
    let replacing = std::panic::AssertUnwindSafe(|| slot.register(Panics(false)));
    assert!(std::panic::catch_unwind(replacing).is_err());
    assert_eq!(slot.complete(g).0, Completion::Published(Some(Panics(false))));
    assert_eq!(slot.release(g), Some(Recycle::Pool));
}

#[test]
fn a_result_that_is_taken_while_its_waiter_is_handed_out_gives_the_slot_back_once() {
    let slot = Machine::new();
    let g = slot.begin(Some("me"));
    let (Packet::Awaited(held), false) = slot.publish(g) else { panic!("there is a waiter") };
    assert_eq!(slot.release(g), None);
    assert_eq!(held.hand_out(), (Some("me"), Some(Recycle::Pool)));
    assert_eq!(slot.complete(g).0, Completion::Stray);
}
