//! The codes for drivers that know single pins.

use linewake_controller::protocol::*;
use linewake_controller::{ReaderId, Ready, Status};
use zerocopy::{FromBytes, IntoBytes};

use crate::chip::{Chip, DONE};

const BOTH: u16 = PIN_RISING | PIN_FALLING;

fn attached(chip: &mut Chip, line: u16, mode: u16) -> ReaderId {
    let reader = chip.open();
    assert_eq!(chip.send(reader, ATTACH_PIN, &AttachPin { line, mode }), DONE);
    reader
}

fn wait(chip: &mut Chip, reader: ReaderId, line: u32) -> Result<Option<PinEvent>, Status> {
    let bytes = chip.raw(reader, WAIT_PIN, Pin { line }.as_bytes(), size_of::<PinEvent>())?;
    Ok(bytes.map(|bytes| PinEvent::read_from_bytes(&bytes).unwrap()))
}

fn seen(chip: &mut Chip, reader: ReaderId, line: u32) -> Vec<(u16, u32)> {
    std::iter::from_fn(|| wait(chip, reader, line).unwrap()).map(|event| (event.level, event.dropped)).collect()
}

#[test]
fn a_pin_that_is_attached_is_waited_for_until_it_is_detached() {
    let mut chip = Chip::new();
    let reader = attached(&mut chip, 3, BOTH);
    assert_eq!(wait(&mut chip, reader, 3), Ok(None));
    chip.ready();
    chip.toggle(3, 1);
    assert!(chip.ready().contains(&Ready::Line { reader, offset: 3 }));
    let event = wait(&mut chip, reader, 3).unwrap().unwrap();
    assert_eq!((event.line, event.level, event.dropped, event.reserved), (3, 1, 0, 0));
    chip.toggle(3, 2);
    assert_eq!(seen(&mut chip, reader, 3), [(0, 0), (1, 0)]);
    assert_eq!(chip.send(reader, DETACH_PIN, &Pin { line: 3 }), DONE);
    assert!(chip.ready().contains(&Ready::Line { reader, offset: 3 }), "waits that are pended for it are tried again");
    assert_eq!(wait(&mut chip, reader, 3), Err(Status::INVALID_DEVICE_STATE));
    assert_eq!(chip.send(reader, DETACH_PIN, &Pin { line: 3 }), Err(Status::INVALID_DEVICE_STATE));
}

#[test]
fn a_pin_tells_of_the_edges_of_its_mode() {
    for (mode, levels) in [(PIN_RISING, vec![1, 1]), (PIN_FALLING, vec![0, 0]), (BOTH, vec![1, 0, 1, 0])] {
        let mut chip = Chip::new();
        let reader = attached(&mut chip, 0, mode);
        chip.toggle(0, 4);
        assert!(seen(&mut chip, reader, 0).into_iter().map(|event| event.0).eq(levels), "{mode}");
    }
    let mut chip = Chip::new();
    let reader = attached(&mut chip, 0, PIN_RISING);
    assert_eq!(chip.send(reader, ATTACH_PIN, &AttachPin { line: 0, mode: PIN_FALLING }), DONE);
    chip.toggle(0, 4);
    assert_eq!(seen(&mut chip, reader, 0), [(0, 0), (0, 0)], "the mode is the one asked for last");
}

#[test]
fn an_event_says_how_many_were_dropped_before_it() {
    let mut chip = Chip::new();
    let reader = attached(&mut chip, 5, BOTH);
    chip.toggle(5, 16 + 7);
    let events = seen(&mut chip, reader, 5);
    assert_eq!(events.len(), 16, "a queue of one line holds sixteen");
    assert_eq!((events[0], events[15]), ((0, 7), (1, 0)), "the oldest go");
    assert!(events[1..].iter().all(|event| event.1 == 0));
    // Such a driver counts merged edges as dropped.
    chip.controller.set_merge_window(5, 2_500);
    chip.now_ns = 1_000_000;
    chip.toggle(5, 3);
    chip.now_ns += 1_000;
    chip.toggle(5, 1);
    assert_eq!(seen(&mut chip, reader, 5), [(0, 0), (1, 2)]);
}

#[test]
fn time_is_on_a_counter_of_its_own_that_wraps() {
    let mut chip = Chip::new();
    let reader = attached(&mut chip, 0, BOTH);
    let change = |chip: &mut Chip, now_ns: u64| chip.controller.drive(0, !chip.controller.level(0), now_ns).unwrap();
    let at = |chip: &mut Chip, now_ns: u64| {
        change(chip, now_ns);
        wait(chip, reader, 0).unwrap().unwrap().ticks
    };
    assert_eq!(at(&mut chip, 0), 0);
    assert_eq!(at(&mut chip, 1_000_000_000), TICK_HZ);
    assert_eq!(at(&mut chip, 1_500_000_000), TICK_HZ + TICK_HZ / 2);
    // The counter shows the value that was set, and counts on from it.
    chip.now_ns = 2_000_000_000;
    assert_eq!(chip.send(reader, SET_TICKS, &Ticks { now: TICK_HZ.wrapping_neg() }), DONE);
    assert_eq!(at(&mut chip, 2_500_000_000), (TICK_HZ / 2 + 1).wrapping_neg());
    assert_eq!(at(&mut chip, 3_000_000_000), 0);
    assert_eq!(at(&mut chip, 4_000_000_000), TICK_HZ);
    // An event has the time of its edge, whenever the wait takes it.
    change(&mut chip, 4_000_000_000);
    chip.now_ns = 9_000_000_000;
    assert_eq!(wait(&mut chip, reader, 0).unwrap().unwrap().ticks, TICK_HZ);
    at(&mut chip, u64::MAX);
}

#[test]
fn invalid_pins_are_refused() {
    let mut chip = Chip::new();
    let reader = attached(&mut chip, 0, BOTH);
    for (line, mode) in [(0, 0), (0, 4), (0, 7), (72, BOTH), (u16::MAX, BOTH)] {
        assert_eq!(chip.send(reader, ATTACH_PIN, &AttachPin { line, mode }), Err(Status::INVALID_PARAMETER));
    }
    assert_eq!(wait(&mut chip, reader, 72), Err(Status::INVALID_PARAMETER));
    assert_eq!(wait(&mut chip, reader, 1), Err(Status::INVALID_DEVICE_STATE), "it was not attached");
    assert_eq!(chip.raw(reader, WAIT_PIN, &[0; 4], 15), Err(Status::BUFFER_TOO_SMALL));
    for code in [ATTACH_PIN, DETACH_PIN, WAIT_PIN, SET_TICKS] {
        for length in [0, 3, 5, 8] {
            assert_eq!(chip.raw(reader, code, &vec![0; length], 16), Err(Status::INFO_LENGTH_MISMATCH));
        }
    }
    // Another reader holds this line alone.
    let owner = chip.open();
    let alone = LineConfig { offset: 9, flags: LINE_INPUT | LINE_EXCLUSIVE };
    assert_eq!(chip.configure(owner, &[alone]), DONE);
    let attach = AttachPin { line: 9, mode: BOTH };
    assert_eq!(chip.send(reader, ATTACH_PIN, &attach), Err(Status::SHARING_VIOLATION));
}
