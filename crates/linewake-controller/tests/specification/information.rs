use linewake_controller::protocol::*;
use linewake_controller::{ReaderId, Ready, Status};
use zerocopy::FromBytes;

use crate::chip::{Chip, DONE, LINES, input, output, with};

/// The records that a wait for line information returns; `None` if it pends.
fn told(chip: &mut Chip, reader: ReaderId, room: usize) -> Result<Option<Vec<InfoRecord>>, Status> {
    let bytes = chip.raw(reader, WAIT_INFO, &[], room * size_of::<InfoRecord>())?;
    let record = |bytes: &[u8]| InfoRecord::read_from_bytes(bytes).unwrap();
    Ok(bytes.map(|bytes| bytes.chunks_exact(size_of::<InfoRecord>()).map(record).collect()))
}

fn told_of<const N: usize>(chip: &mut Chip, lines: [u32; N]) -> ReaderId {
    let reader = chip.open();
    assert_eq!(chip.send(reader, WATCH_INFO, &LineSet::from_iter(lines)), DONE);
    assert_eq!(told(chip, reader, 1), Ok(None));
    chip.ready();
    reader
}

const RELEASE: u32 = LINE_RELEASE;

#[test]
fn taking_changing_and_releasing_a_line_is_reported() {
    let mut chip = Chip::new();
    let watcher = told_of(&mut chip, [3]);
    let holder = chip.open();
    assert_eq!(chip.send(holder, SET_READER, &ReaderConfig { consumer: name("it"), ..Default::default() }), DONE);
    chip.now_ns = 5;
    assert_eq!(chip.configure(holder, &[input(2), with(input(3), LINE_EDGES | LINE_ACTIVE_LOW)]), DONE);
    assert!(chip.ready().contains(&Ready::Info { reader: watcher }));
    chip.now_ns = 6;
    assert_eq!(chip.configure(holder, &[with(output(3), LINE_OPEN_DRAIN)]), DONE);
    chip.now_ns = 7;
    assert_eq!(chip.configure(holder, &[LineConfig { offset: 3, flags: RELEASE }]), DONE);

    let records = told(&mut chip, watcher, 8).unwrap().unwrap();
    let plain: Vec<_> = records.iter().map(|it| (it.timestamp_ns, it.kind, it.lost, it.line.offset)).collect();
    assert_eq!(plain, [(5, INFO_REQUESTED, 0, 3), (6, INFO_RECONFIGURED, 0, 3), (7, INFO_RELEASED, 0, 3)]);
    let flags = records.iter().map(|it| it.line.flags);
    let watched = LINE_USED | LINE_INPUT | LINE_EDGES | LINE_ACTIVE_LOW | LINE_ACTIVE;
    assert!(flags.eq([watched, LINE_USED | LINE_OUTPUT | LINE_OPEN_DRAIN, LINE_INPUT]));
    assert_eq!((text(&records[0].line.consumer), text(&records[2].line.consumer)), ("it", ""));
    assert_eq!(told(&mut chip, watcher, 1), Ok(None));
}

#[test]
fn closing_a_reader_gives_its_lines_back() {
    let mut chip = Chip::new();
    let watcher = told_of(&mut chip, [0, 1]);
    let holder = chip.watching([0, 1]);
    assert_eq!(told(&mut chip, watcher, 8).unwrap().unwrap().len(), 2);
    chip.controller.close(holder, 9);
    let records = told(&mut chip, watcher, 1).unwrap().unwrap();
    assert_eq!((records.len(), records[0].kind, records[0].timestamp_ns), (1, INFO_RELEASED, 9));
    assert_eq!(told(&mut chip, watcher, 8).unwrap().unwrap().len(), 1, "as many as fit, and then the rest");
}

#[test]
fn a_full_information_queue_drops_the_oldest_and_the_next_record_says_so() {
    let mut chip = Chip::new();
    let watcher = told_of(&mut chip, [0]);
    let holder = chip.open();
    for now_ns in 1..=INFO_QUEUE as u64 + 3 {
        chip.now_ns = now_ns;
        assert_eq!(chip.configure(holder, &[input(0)]), DONE);
    }
    let records = told(&mut chip, watcher, INFO_QUEUE + 3).unwrap().unwrap();
    assert_eq!((records.len(), records[0].lost, records[0].timestamp_ns), (INFO_QUEUE, 3, 4));
    assert!(records[1..].iter().all(|record| record.lost == 0));
}

#[test]
fn a_wait_that_cannot_end_is_refused() {
    let mut chip = Chip::new();
    let reader = chip.open();
    assert_eq!(told(&mut chip, reader, 1), Err(Status::INVALID_DEVICE_STATE));
    let beyond = LineSet::from_iter([LINES as u32]);
    assert_eq!(chip.send(reader, WATCH_INFO, &beyond), Err(Status::INVALID_PARAMETER));
    assert_eq!(chip.send(reader, WATCH_INFO, &LineSet::from_iter([1])), DONE);
    assert_eq!(told(&mut chip, reader, 0), Err(Status::BUFFER_TOO_SMALL));
    assert_eq!(told(&mut chip, reader, 1), Ok(None));
    chip.ready();
    assert_eq!(chip.send(reader, WATCH_INFO, &LineSet::default()), DONE);
    assert_eq!(chip.ready(), [Ready::Info { reader }]);
    assert_eq!(told(&mut chip, reader, 1), Err(Status::INVALID_DEVICE_STATE));
}

#[test]
fn unplugging_ends_the_wait() {
    let mut chip = Chip::new();
    let watcher = told_of(&mut chip, [0]);
    chip.watching([0]);
    chip.ready();
    chip.controller.unplug();
    assert!(chip.ready().contains(&Ready::Info { reader: watcher }));
    assert_eq!(told(&mut chip, watcher, 1), Err(Status::DEVICE_NOT_CONNECTED));
}
