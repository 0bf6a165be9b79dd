//! Nothing that a program or a driver sends makes the other side panic.

use linewake_controller::protocol::*;
use linewake_controller::{Batch, CtlCode};

use crate::chip::{Chip, LINES};
use test_support::random::Random;

const CODES: [CtlCode; 19] = [
    GET_INFO,
    GET_LINE_INFO,
    GET_VALUES,
    SET_VALUES,
    CONFIGURE,
    SET_READER,
    WAIT_LINE,
    WAIT_ANY,
    ATTACH_PIN,
    DETACH_PIN,
    WAIT_PIN,
    GET_COUNTERS,
    GET_TOTALS,
    DRIVE,
    SET_MERGE,
    SET_TICKS,
    UNPLUG,
    REPLUG,
    ECHO,
];

#[test]
fn any_input_of_any_length_is_answered() {
    let mut random = Random::new(0x5EED);
    let mut chip = Chip::new();
    let mut reader = chip.watching([0, 1]);
    for code in CODES.into_iter().chain([0, u32::MAX, 0x8A51_2000].map(CtlCode::from_u32)) {
        for length in 0..300 {
            for mask in [0, 1, 7, 0xFF] {
                let mut input: Vec<u8> = (0..length).map(|_| random.number() as u8 & mask).collect();
                // Otherwise there are hundreds of thousands of level changes, which are right but slow.
                if code == DRIVE {
                    input.iter_mut().skip(10).step_by(16).for_each(|byte| *byte = 0);
                }
                let room = random.below(200) as usize;
                // `raw` checks the length of the answer and that nothing else was written.
                let _ = chip.raw(reader, code, &input, room);
                if code == UNPLUG && chip.raw(reader, GET_INFO, &[], 96).is_err() {
                    chip.controller.replug();
                    chip.controller.close(reader, 0);
                    reader = chip.watching([0, 1]);
                }
            }
        }
        chip.toggle(5, 1);
        chip.ready();
    }
}

#[test]
fn a_whole_input_of_garbage_is_refused() {
    let mut chip = Chip::new();
    let reader = chip.open();
    for length in [MAX_INPUT, MAX_INPUT + 1, MAX_INPUT + 16] {
        for code in CODES.into_iter().filter(|&code| code != ECHO) {
            assert!(chip.raw(reader, code, &vec![0xFF; length], 4096).is_err());
        }
    }
    assert!(chip.raw(reader, ECHO, &vec![1; MAX_INPUT + 1], 4096).is_err());
}

#[test]
fn any_bytes_parse_or_are_malformed() {
    let mut random = Random::new(0xBA7C);
    for length in 0..400 {
        for mask in [0, 3, 0xFF] {
            let bytes: Vec<u8> = (0..length).map(|_| random.number() as u8 & mask).collect();
            if let Ok(batch) = Batch::parse(&bytes) {
                assert_eq!(batch.records().len(), batch.header().count as usize);
                let _ = batch.header().is_closed();
            }
        }
    }
}

#[test]
fn a_batch_whose_count_lies_is_malformed() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    chip.toggle(0, 3);
    let good = chip.raw(reader, WAIT_ANY, &[], 4096).unwrap().unwrap();
    assert_eq!(Batch::parse(&good).unwrap().records().len(), 3);
    for count in [0, 1, 2, 4, 0x0800_0000, u32::MAX] {
        let mut lie = good.clone();
        lie[..4].copy_from_slice(&count.to_le_bytes());
        assert!(Batch::parse(&lie).is_err(), "{count}");
    }
    for length in 0..good.len() {
        assert!(Batch::parse(&good[..length]).is_err(), "{length}");
    }
    let mut kind = good.clone();
    kind[size_of::<BatchHeader>() + 12] = 3;
    assert!(Batch::parse(&kind).is_err());
}

#[test]
fn sums_that_overflow_do_not_close() {
    let header = BatchHeader { driven: 0, delivered: u64::MAX, overflowed: 1, ..Default::default() };
    assert!(!header.is_closed());
}

#[test]
fn direct_calls_with_any_offset_are_harmless() {
    let mut chip = Chip::new();
    for offset in [LINES as u32, 1024, u32::MAX] {
        assert!(chip.controller.drive(offset, true, 0).is_err());
        assert!(!chip.controller.level(offset));
        chip.controller.set_line_name(offset, "nowhere");
    }
}
