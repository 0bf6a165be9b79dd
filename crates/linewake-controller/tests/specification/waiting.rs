use linewake_controller::protocol::*;
use linewake_controller::{Ready, Status};

use crate::chip::{Chip, DONE, input, line_seqnos};

#[test]
fn a_wait_pends_until_its_line_has_an_edge() {
    let mut chip = Chip::new();
    let reader = chip.watching([0, 1]);
    assert_eq!(chip.take(reader, 0), None);
    chip.toggle(1, 1);
    assert_eq!(chip.take(reader, 0), None);
    chip.toggle(0, 1);
    assert_eq!(chip.take(reader, 0).unwrap().offset, 0);
}

#[test]
fn an_edge_between_two_waits_is_not_lost() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    chip.toggle(0, 1);
    assert_eq!(chip.take(reader, 0).unwrap().line_seqno, 1);
    chip.toggle(0, 2); // nobody waits
    assert_eq!(chip.take(reader, 0).unwrap().line_seqno, 2);
    assert_eq!(chip.take(reader, 0).unwrap().line_seqno, 3);
    assert_eq!(chip.take(reader, 0), None);
}

#[test]
fn with_many_waits_pended_each_edge_goes_to_one_of_them() {
    let mut chip = Chip::new();
    let reader = chip.watching([0, 1]);
    let mut given = vec![];
    let mut pended = 10;
    for _ in 0..5 {
        chip.toggle(0, 2);
        for ready in chip.ready() {
            while ready == (Ready::Line { reader, offset: 0 }) && pended > 0 {
                let Some(edge) = chip.take(reader, 0) else {
                    break;
                };
                given.push(edge);
                pended -= 1;
            }
        }
    }
    assert_eq!(line_seqnos(&given), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn an_edge_names_the_waits_to_try_again_and_no_others() {
    let mut chip = Chip::new();
    let first = chip.watching([0, 1]);
    let second = chip.watching([1, 70]);
    chip.ready();
    chip.toggle(70, 3);
    assert_eq!(chip.ready(), [Ready::Any { reader: second }, Ready::Line { reader: second, offset: 70 }]);
    chip.toggle(1, 1);
    let ready = chip.ready();
    assert_eq!(ready.len(), 4);
    for reader in [first, second] {
        assert!(ready.contains(&Ready::Any { reader }));
        assert!(ready.contains(&Ready::Line { reader, offset: 1 }));
    }
    chip.toggle(2, 1);
    assert_eq!(chip.ready(), []);
}

#[test]
fn a_closed_reader_is_never_ready() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    chip.toggle(0, 1);
    chip.controller.close(reader, 0);
    assert_eq!(chip.ready(), []);
}

#[test]
fn a_wait_after_a_number_shows_the_next_event_until_it_is_acknowledged() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    assert_eq!(chip.after(reader, 0, 0), None);
    chip.toggle(0, 3);
    assert_eq!(chip.after(reader, 0, 0).unwrap().line_seqno, 1);
    assert_eq!(chip.after(reader, 0, 0).unwrap().line_seqno, 1);
    assert_eq!(chip.counters(reader, 0).delivered, 0);
    assert_eq!(chip.after(reader, 0, 2).unwrap().line_seqno, 3);
    assert_eq!(chip.counters(reader, 0).delivered, 2);
    assert_eq!(chip.after(reader, 0, 3), None);
    assert_eq!(chip.counters(reader, 0).queued, 0);
}

#[test]
fn a_wait_after_a_number_works_across_the_wrap() {
    let mut chip = Chip::new();
    let reader = chip.open();
    assert_eq!(chip.set_reader(reader, 0, u32::MAX - 1), DONE);
    chip.watch(reader, &[0]);
    chip.toggle(0, 3);
    assert_eq!(chip.after(reader, 0, u32::MAX - 1).unwrap().line_seqno, u32::MAX);
    assert_eq!(chip.after(reader, 0, u32::MAX).unwrap().line_seqno, 0);
    assert_eq!(chip.after(reader, 0, 0).unwrap().line_seqno, 1);
}

#[test]
fn a_wait_after_a_number_never_given_is_refused() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    chip.toggle(0, 2);
    let wait = WaitLine { offset: 0, flags: WAIT_AFTER, after: 3, reserved: 0 };
    assert_eq!(chip.wait(reader, wait), Err(Status::INVALID_PARAMETER));
    assert_eq!(chip.counters(reader, 0).queued, 2);
}

#[test]
fn a_shown_event_is_not_repeated_by_a_plain_wait() {
    let mut chip = Chip::new();
    let reader = chip.watching([0, 1]);
    chip.toggle(0, 2);
    assert_eq!(chip.after(reader, 0, 0).unwrap().line_seqno, 1);
    assert_eq!(chip.take(reader, 0).unwrap().line_seqno, 2);

    chip.toggle(1, 2);
    assert_eq!(chip.after(reader, 1, 0).unwrap().line_seqno, 1);
    assert_eq!(line_seqnos(&chip.drain(reader)), [2]);
}

#[test]
fn a_shown_event_that_falls_out_of_the_queue_was_delivered() {
    let mut chip = Chip::new();
    let reader = chip.open();
    assert_eq!(chip.set_reader(reader, 2, 0), DONE);
    chip.watch(reader, &[0]);
    chip.toggle(0, 1);
    assert_eq!(chip.after(reader, 0, 0).unwrap().line_seqno, 1);
    chip.toggle(0, 4); // 1 (shown), 2 and 3 fall out
    let next = chip.after(reader, 0, 1).unwrap();
    assert_eq!((next.line_seqno, next.overflowed), (4, 2));
    let counters = chip.counters(reader, 0);
    assert_eq!((counters.delivered, counters.overflowed, counters.queued), (1, 2, 2));
}

#[test]
fn a_batch_holds_as_many_as_fit_and_says_how_many_are_left() {
    let mut chip = Chip::new();
    let reader = chip.watching([0, 1]);
    assert_eq!(chip.wait_any(reader, 3), Ok(None));
    chip.toggle(0, 3);
    chip.toggle(1, 2);
    let (header, edges) = chip.wait_any(reader, 3).unwrap().unwrap();
    assert_eq!((header.count, header.queued, header.delivered, header.driven), (3, 2, 3, 5));
    assert_eq!(edges.iter().map(|edge| edge.offset).collect::<Vec<_>>(), [0, 0, 0]);
    let (header, edges) = chip.wait_any(reader, 3).unwrap().unwrap();
    assert_eq!((header.count, header.queued, edges.len()), (2, 0, 2));
    assert_eq!(chip.wait_any(reader, 3), Ok(None));
}

#[test]
fn a_batch_without_room_for_a_record_is_refused_and_takes_nothing() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    chip.toggle(0, 1);
    assert_eq!(chip.wait_any(reader, 0), Err(Status::BUFFER_TOO_SMALL));
    assert_eq!(chip.raw(reader, WAIT_LINE, &[0; 16], 31), Err(Status::BUFFER_TOO_SMALL));
    assert_eq!(chip.drain(reader).len(), 1);
}

#[test]
fn waits_for_a_line_and_for_any_share_one_cursor() {
    let mut chip = Chip::new();
    let reader = chip.watching([0, 1]);
    for offset in [0, 1, 0, 1] {
        chip.toggle(offset, 1);
    }
    assert_eq!(chip.take(reader, 1).unwrap().seqno, 2);
    let left: Vec<_> = chip.drain(reader).iter().map(|edge| edge.seqno).collect();
    assert_eq!(left, [1, 3, 4]);
}

#[test]
fn waiting_for_an_unwatched_line_is_refused() {
    let mut chip = Chip::new();
    let reader = chip.open();
    let wait = WaitLine::default();
    assert_eq!(chip.wait(reader, wait), Err(Status::INVALID_DEVICE_STATE));
    assert_eq!(chip.wait_any(reader, 1), Err(Status::INVALID_DEVICE_STATE));
    assert_eq!(chip.configure(reader, &[input(0)]), DONE);
    assert_eq!(chip.wait(reader, wait), Err(Status::INVALID_DEVICE_STATE));
    assert_eq!(chip.wait_any(reader, 1), Err(Status::INVALID_DEVICE_STATE));
}

#[test]
fn a_pended_wait_fails_when_its_line_is_no_longer_watched() {
    for config in [input(0), LineConfig { offset: 0, flags: LINE_RELEASE }] {
        let mut chip = Chip::new();
        let reader = chip.watching([0]);
        chip.ready();
        assert_eq!(chip.take(reader, 0), None);
        assert_eq!(chip.configure(reader, &[config]), DONE);
        assert_eq!(chip.ready(), [Ready::Any { reader }, Ready::Line { reader, offset: 0 }]);
        assert_eq!(chip.wait(reader, WaitLine::default()), Err(Status::INVALID_DEVICE_STATE));
    }
}

#[test]
fn a_drive_of_many_changes_stops_after_each_round() {
    use linewake_controller::Outcome;
    use zerocopy::IntoBytes;

    let mut chip = Chip::new();
    let reader = chip.watching([0, 1]);
    let drive = |offset, count| Drive { offset, action: DRIVE_TOGGLE, count, reserved: 0 };
    let drives = [drive(0, 3), drive(1, 1)];
    let mut outcome = chip.controller.control(reader, DRIVE, drives.as_bytes(), &mut [], 0);
    let mut rounds = vec![];
    while let Outcome::Again { round } = outcome {
        rounds.push(chip.drain(reader).len());
        outcome = chip.controller.resume(reader, drives.as_bytes(), round, 0);
    }
    assert_eq!(outcome, Outcome::Done { status: Status::SUCCESS, information: 0 });
    rounds.push(chip.drain(reader).len());
    assert_eq!(rounds, [2, 1, 1]);
}
