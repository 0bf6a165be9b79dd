use linewake_controller::protocol::*;
use linewake_controller::{Ready, Status};

use crate::chip::{Chip, DONE};

#[test]
fn unplugging_ends_every_wait() {
    let mut chip = Chip::new();
    let readers = [chip.watching([0, 1]), chip.watching([1])];
    chip.ready();
    assert_eq!(chip.send(readers[0], UNPLUG, &()), DONE);
    let ready = chip.ready();
    for (reader, offset) in [(readers[0], 0), (readers[0], 1), (readers[1], 1)] {
        assert!(ready.contains(&Ready::Line { reader, offset }));
        assert!(ready.contains(&Ready::Any { reader }));
        let wait = WaitLine { offset, ..Default::default() };
        assert_eq!(chip.wait(reader, wait), Err(Status::DEVICE_NOT_CONNECTED));
        assert_eq!(chip.wait_any(reader, 1), Err(Status::DEVICE_NOT_CONNECTED));
    }
}

#[test]
fn a_reader_that_was_unplugged_stays_so() {
    let mut chip = Chip::new();
    let old = chip.watching([0]);
    chip.toggle(0, 1);
    chip.controller.unplug();
    assert_eq!(chip.controller.open(), Err(Status::DEVICE_NOT_CONNECTED));
    assert_eq!(chip.raw(old, GET_INFO, &[], 96), Err(Status::DEVICE_NOT_CONNECTED));
    assert_eq!(chip.send(old, REPLUG, &()), DONE);
    for code in [GET_INFO, GET_VALUES, WAIT_ANY, GET_COUNTERS, DRIVE, UNPLUG, ECHO] {
        assert_eq!(chip.raw(old, code, &[], 4096), Err(Status::DEVICE_NOT_CONNECTED));
    }
    let new = chip.watching([0]);
    chip.toggle(0, 1);
    assert_eq!(chip.take(new, 0).unwrap().line_seqno, 1);
    assert_eq!(chip.take(new, 0), None);
}

#[test]
fn unplugging_keeps_levels_and_discards_queued_events() {
    let mut chip = Chip::new();
    let old = chip.watching([0]);
    chip.toggle(0, 3);
    chip.controller.unplug();
    chip.toggle(0, 2); // nobody there
    chip.controller.replug();
    assert!(chip.controller.level(0));
    chip.controller.close(old, 0);
    let totals = chip.totals(0);
    assert_eq!((totals.changes, totals.driven, totals.discarded), (5, 3, 3));
}

#[test]
fn unplugging_frees_lines_that_were_held_alone() {
    let mut chip = Chip::new();
    let old = chip.open();
    assert_eq!(chip.configure(old, &[LineConfig { offset: 0, flags: LINE_OUTPUT | LINE_EXCLUSIVE }]), DONE);
    chip.controller.unplug();
    chip.controller.replug();
    let new = chip.watching([0]);
    chip.toggle(0, 1);
    assert!(chip.take(new, 0).is_some());
    chip.controller.close(old, 0);
    chip.toggle(0, 1);
    assert!(chip.take(new, 0).is_some());
}

#[test]
fn unplugging_in_the_middle_of_a_drive_ends_it() {
    use linewake_controller::Outcome;
    use zerocopy::IntoBytes;

    let mut chip = Chip::new();
    let reader = chip.open();
    let drive = Drive { offset: 0, action: DRIVE_TOGGLE, count: 5, reserved: 0 };
    let outcome = chip.controller.control(reader, DRIVE, drive.as_bytes(), &mut [], 0);
    assert_eq!(outcome, Outcome::Again { round: 1 });
    chip.controller.unplug();
    let outcome = chip.controller.resume(reader, drive.as_bytes(), 1, 0);
    assert_eq!(outcome, Outcome::Done { status: Status::DEVICE_NOT_CONNECTED, information: 0 });
}
