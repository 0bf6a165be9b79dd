use linewake_controller::protocol::*;
use linewake_controller::{Access, Method, Status};

use crate::chip::{Chip, DONE, LINES, READERS, input, output, with};

#[test]
fn info_tells_the_limits() {
    let mut chip = Chip::new();
    let reader = chip.open();
    let info = chip.list::<ChipInfo>(reader, GET_INFO)[0];
    assert_eq!((info.version, info.lines, info.readers, info.max_queue), (VERSION, 72, 5, 64));
    assert_eq!((text(&info.name), text(&info.label)), ("sim0", "specification"));
}

#[test]
fn lines_are_listed_from_any_offset_as_many_as_fit() {
    let mut chip = Chip::new();
    chip.controller.set_line_name(3, "door");
    let reader = chip.open();
    let lines: Vec<LineInfo> = chip.list(reader, GET_LINE_INFO);
    assert_eq!(lines.len(), LINES);
    assert_eq!((text(&lines[3].name), lines[3].flags), ("door", LINE_INPUT));

    let from = |offset: u32| [offset.to_le_bytes(), [0; 4]].concat();
    let room = 2 * size_of::<LineInfo>() + 1;
    assert_eq!(chip.raw(reader, GET_LINE_INFO, &from(70), room).unwrap().unwrap().len(), room - 1);
    assert_eq!(chip.raw(reader, GET_LINE_INFO, &from(71), room).unwrap().unwrap().len(), room / 2);
    assert_eq!(chip.raw(reader, GET_LINE_INFO, &from(72), room), Ok(Some(vec![])));
    assert_eq!(chip.raw(reader, GET_LINE_INFO, &from(73), room), Err(Status::INVALID_PARAMETER));
}

#[test]
fn a_configuration_is_all_or_nothing() {
    let mut chip = Chip::new();
    let reader = chip.open();
    let good = LineConfig { offset: 0, flags: LINE_OUTPUT | LINE_ACTIVE | LINE_EXCLUSIVE };
    let twice = [good, input(5), input(5)];
    let out_of_range = [good, input(72)];
    let unknown_flag = [good, LineConfig { offset: 1, flags: 1 << 30 }];
    let both_directions = [good, LineConfig { offset: 1, flags: LINE_INPUT | LINE_OUTPUT }];
    let output_with_edges = [good, with(output(1), LINE_EDGES)];
    let edges_without_input = [good, LineConfig { offset: 1, flags: LINE_EDGES }];
    let active_input = [good, with(input(1), LINE_ACTIVE)];
    let driven_input = [good, with(input(1), LINE_OPEN_DRAIN)];
    let two_drives = [good, with(output(1), LINE_OPEN_DRAIN | LINE_OPEN_SOURCE)];
    let two_biases = [good, with(input(1), LINE_BIAS_PULL_UP | LINE_BIAS_DISABLED)];
    let release_and_more = [good, with(input(1), LINE_RELEASE)];
    for bad in [
        &twice[..],
        &out_of_range,
        &unknown_flag,
        &both_directions,
        &output_with_edges,
        &edges_without_input,
        &active_input,
        &driven_input,
        &two_drives,
        &two_biases,
        &release_and_more,
    ] {
        assert_eq!(chip.configure(reader, bad), Err(Status::INVALID_PARAMETER), "{bad:?}");
    }
    let release_unheld = [good, LineConfig { offset: 1, flags: LINE_RELEASE }];
    assert_eq!(chip.configure(reader, &release_unheld), Err(Status::INVALID_DEVICE_STATE));
    let other = chip.open();
    assert_eq!(chip.configure(other, &[with(input(9), LINE_EXCLUSIVE)]), DONE);
    assert_eq!(chip.configure(reader, &[good, input(9)]), Err(Status::SHARING_VIOLATION));

    let line = chip.list::<LineInfo>(reader, GET_LINE_INFO)[0];
    assert_eq!(line.flags, LINE_INPUT);
    assert!(!chip.controller.level(0));
}

#[test]
fn an_exclusive_line_is_closed_to_others_until_its_holder_goes() {
    let mut chip = Chip::new();
    let holder = chip.open();
    let other = chip.open();
    assert_eq!(chip.configure(holder, &[with(input(0), LINE_EXCLUSIVE)]), DONE);
    assert_eq!(chip.configure(other, &[input(0)]), Err(Status::SHARING_VIOLATION));
    assert_eq!(chip.configure(holder, &[with(input(0), LINE_EXCLUSIVE | LINE_EDGES)]), DONE);
    chip.controller.close(holder, 0);
    assert_eq!(chip.configure(other, &[input(0)]), DONE);
}

#[test]
fn a_line_that_others_hold_cannot_be_taken_alone() {
    let mut chip = Chip::new();
    let first = chip.watching([0]);
    let second = chip.watching([0]);
    let alone = with(input(0), LINE_EXCLUSIVE);
    assert_eq!(chip.configure(first, &[alone]), Err(Status::SHARING_VIOLATION));
    assert_eq!(chip.configure(second, &[LineConfig { offset: 0, flags: LINE_RELEASE }]), DONE);
    assert_eq!(chip.configure(first, &[alone]), DONE);
}

#[test]
fn line_info_shows_who_holds_a_line_and_how() {
    let mut chip = Chip::new();
    let holder = chip.open();
    let config = ReaderConfig { consumer: name("monitor"), ..Default::default() };
    assert_eq!(chip.send(holder, SET_READER, &config), DONE);
    let watch = with(input(2), LINE_EDGE_RISING | LINE_ACTIVE_LOW | LINE_BIAS_PULL_UP | LINE_EXCLUSIVE);
    assert_eq!(chip.configure(holder, &[watch]), DONE);
    let other = chip.open();

    let mine = chip.list::<LineInfo>(holder, GET_LINE_INFO)[2];
    assert_eq!(mine.flags, watch.flags | LINE_USED | LINE_HELD | LINE_ACTIVE);
    let theirs = chip.list::<LineInfo>(other, GET_LINE_INFO)[2];
    assert_eq!(theirs.flags, watch.flags | LINE_USED | LINE_ACTIVE, "as its holder holds it");
    assert_eq!(text(&theirs.consumer), "monitor");
}

#[test]
fn an_output_has_its_first_value_at_once() {
    let mut chip = Chip::new();
    let watcher = chip.watching([0]);
    let reader = chip.open();
    assert_eq!(chip.configure(reader, &[with(output(0), LINE_ACTIVE), with(output(1), LINE_ACTIVE_LOW)]), DONE);
    assert!(chip.controller.level(0) && chip.controller.level(1));
    assert_eq!(chip.take(watcher, 0).unwrap().kind, EDGE_RISING);
}

#[test]
fn values_are_set_on_outputs_this_reader_holds_and_on_nothing_else() {
    let mut chip = Chip::new();
    let reader = chip.open();
    let other = chip.open();
    assert_eq!(chip.configure(reader, &[output(0), with(output(70), LINE_ACTIVE_LOW), input(2)]), DONE);
    assert_eq!(chip.configure(other, &[output(3)]), DONE);
    let set = |mask: &[u32]| SetValues {
        mask: LineSet::from_iter(mask.iter().copied()),
        values: LineSet::from_iter([0, 2, 3]),
    };
    assert_eq!(chip.send(reader, SET_VALUES, &set(&[0, 2])), Err(Status::INVALID_DEVICE_STATE));
    assert_eq!(chip.send(reader, SET_VALUES, &set(&[0, 3])), Err(Status::INVALID_DEVICE_STATE));
    assert_eq!(chip.send(reader, SET_VALUES, &set(&[0, 72])), Err(Status::INVALID_PARAMETER));
    assert!(!chip.controller.level(0));
    assert_eq!(chip.send(reader, SET_VALUES, &set(&[0, 70])), DONE);
    assert!(chip.controller.level(0) && chip.controller.level(70));
    let values = chip.list::<LineSet>(reader, GET_VALUES)[0];
    assert_eq!(values.iter().collect::<Vec<_>>(), [0]);
}

#[test]
fn an_output_is_not_driven_from_outside_until_its_holders_are_gone() {
    let mut chip = Chip::new();
    let reader = chip.open();
    let driver = chip.open();
    assert_eq!(chip.configure(reader, &[output(0)]), DONE);
    let high = |offset| Drive { offset, action: DRIVE_HIGH, count: 1, reserved: 0 };
    assert_eq!(chip.send(driver, DRIVE, &[high(1), high(0)]), Err(Status::INVALID_DEVICE_STATE));
    assert_eq!(chip.controller.drive(0, true, 0), Err(Status::INVALID_DEVICE_STATE));
    assert!(!chip.controller.level(1));
    chip.controller.close(reader, 0);
    assert_eq!(chip.send(driver, DRIVE, &[high(1), high(0)]), DONE);
    assert!(chip.controller.level(0) && chip.controller.level(1));
}

#[test]
fn a_drive_is_checked_before_anything_moves() {
    let mut chip = Chip::new();
    let reader = chip.open();
    let good = Drive { offset: 0, action: DRIVE_HIGH, count: 1, reserved: 0 };
    for bad in [
        Drive { offset: 72, ..good },
        Drive { action: 3, ..good },
        Drive { count: 0, ..good },
        Drive { count: 2, ..good },
        Drive { reserved: 1, ..good },
        Drive { action: DRIVE_TOGGLE, count: 0, ..good },
        Drive { action: DRIVE_TOGGLE, count: MAX_DRIVES, ..good },
        Drive { action: DRIVE_TOGGLE, count: u32::MAX, ..good },
    ] {
        assert_eq!(chip.send(reader, DRIVE, &[good, bad]), Err(Status::INVALID_PARAMETER), "{bad:?}");
        assert!(!chip.controller.level(0));
    }
}

#[test]
fn reserved_fields_must_be_zero() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    chip.toggle(0, 1);
    for bad in [
        WaitLine { reserved: 1, ..Default::default() },
        WaitLine { after: 1, ..Default::default() },
        WaitLine { flags: 2, ..Default::default() },
        WaitLine { flags: WAIT_AFTER, reserved: 1, ..Default::default() },
    ] {
        assert_eq!(chip.wait(reader, bad), Err(Status::INVALID_PARAMETER), "{bad:?}");
    }
    let window = MergeWindow { offset: 0, reserved: 1, window_ns: 1 };
    assert_eq!(chip.send(reader, SET_MERGE, &window), Err(Status::INVALID_PARAMETER));
    assert_eq!(chip.send(reader, SET_MERGE, &MergeWindow { offset: 72, ..window }), Err(Status::INVALID_PARAMETER));
    let first = [0_u32, 1];
    assert_eq!(chip.send(reader, GET_COUNTERS, &first), Err(Status::INVALID_PARAMETER));
    assert!(chip.take(reader, 0).is_some());
}

#[test]
fn a_reader_is_set_up_only_before_it_holds_a_line() {
    let mut chip = Chip::new();
    let reader = chip.open();
    assert_eq!(chip.set_reader(reader, 1, 0), Err(Status::INVALID_PARAMETER));
    assert_eq!(chip.set_reader(reader, 8, 0), DONE);
    assert_eq!(chip.configure(reader, &[input(0)]), DONE);
    assert_eq!(chip.set_reader(reader, 8, 0), Err(Status::INVALID_DEVICE_STATE));
    assert_eq!(chip.configure(reader, &[LineConfig { offset: 0, flags: LINE_RELEASE }]), DONE);
    assert_eq!(chip.set_reader(reader, 8, 0), Err(Status::INVALID_DEVICE_STATE));
}

#[test]
fn there_are_as_many_readers_as_compiled_and_no_more() {
    let mut chip = Chip::new();
    let readers: Vec<_> = (0..READERS).map(|_| chip.open()).collect();
    assert_eq!(chip.controller.open(), Err(Status::INSUFFICIENT_RESOURCES));
    chip.controller.close(readers[2], 0);
    let next = chip.open();
    assert_eq!(chip.raw(readers[2], GET_INFO, &[], 96), Err(Status::INVALID_HANDLE));
    assert_eq!(chip.controller.check(readers[2]), Err(Status::INVALID_HANDLE));
    assert_eq!(chip.controller.check(next), Ok(()));
    assert!(chip.raw(next, GET_INFO, &[], 96).is_ok());
    chip.controller.close(readers[2], 0); // closing a reader twice does no harm
    assert!(chip.raw(next, GET_INFO, &[], 96).is_ok());
}

#[test]
fn an_echo_that_does_not_fit_is_a_warning_that_keeps_its_bytes() {
    use linewake_controller::Outcome;

    let mut chip = Chip::new();
    let reader = chip.open();
    let mut output = [0; 4];
    let outcome = chip.controller.control(reader, ECHO, b"linewake", &mut output, 0);
    assert_eq!(outcome, Outcome::Done { status: Status::BUFFER_OVERFLOW, information: 4 });
    assert_eq!(&output, b"line");
    assert_eq!(chip.raw(reader, ECHO, b"wake", 9), Ok(Some(b"wake".to_vec())));
}

#[test]
fn codes_say_vendor_device_buffered_and_access() {
    assert_eq!(WAIT_LINE.to_u32(), 0x8A51_6018);
    assert_eq!(WAIT_ANY.to_u32(), 0x8A51_601C);
    for code in [GET_INFO, GET_VALUES, SET_VALUES, CONFIGURE, WAIT_LINE, DRIVE, UNPLUG, ECHO] {
        assert!(code.device_type() >= 0x8000 && code.method() == Method::Buffered && code.function() >= 0x800);
    }
    assert_eq!(DRIVE.access(), Access::Write);
}

#[test]
fn zeroed_memory_is_an_empty_controller() {
    use linewake_controller::Controller;
    use zerocopy::FromZeros;

    let mut controller = Controller::<4, 2, 8>::new_zeroed();
    controller.init("sim0", "", 4);
    let reader = controller.open().unwrap();
    controller.drive(0, true, 0).unwrap();
    controller.close(reader, 0);
    assert_eq!(controller.take_ready(), None);
}
