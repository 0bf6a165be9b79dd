//! Events that happen later: debouncing, and delayed interrupts.

use linewake_controller::protocol::*;
use linewake_controller::{ReaderId, Status};

use crate::chip::{Chip, DONE, input, with};
use test_support::random::Random;

fn timed() -> Chip {
    let mut chip = Chip::new();
    chip.controller.keep_time();
    chip
}

impl Chip {
    fn drive_at(&mut self, now_ns: u64, offset: u32, level: bool) {
        self.pass_until(now_ns);
        self.controller.drive(offset, level, now_ns).unwrap();
    }

    fn pass_until(&mut self, now_ns: u64) {
        while self.controller.fire(now_ns) {}
        assert!(self.controller.next_due().is_none_or(|due_ns| due_ns > now_ns));
        self.now_ns = now_ns;
    }
}

fn debounced(chip: &mut Chip, offset: u32, period_us: u32) -> ReaderId {
    let reader = chip.watching([offset]);
    assert_eq!(chip.send(reader, SET_DEBOUNCE, &[Debounce { offset, period_us }][..]), DONE);
    reader
}

fn stamps(records: &[EdgeRecord]) -> Vec<(u64, u32)> {
    records.iter().map(|record| (record.timestamp_ns, record.kind)).collect()
}

#[test]
fn a_level_that_lasts_is_an_edge_at_the_end_of_its_period() {
    let mut chip = timed();
    let reader = debounced(&mut chip, 0, 10);
    // Bounces: only the last change lasts.
    for (at_ns, level) in [(1_000, true), (3_000, false), (4_000, true), (100_000, false)] {
        chip.drive_at(at_ns, 0, level);
    }
    chip.pass_until(200_000);
    assert_eq!(stamps(&chip.drain(reader)), [(14_000, EDGE_RISING), (110_000, EDGE_FALLING)]);
    assert_eq!((chip.counters(reader, 0).driven, chip.totals(0).changes), (2, 4));
}

#[test]
fn a_glitch_makes_no_edge_and_changes_no_value() {
    let mut chip = timed();
    let reader = debounced(&mut chip, 0, 10);
    let other = chip.watching([0]);
    chip.drive_at(1_000, 0, true);
    assert_eq!(chip.list::<LineSet>(reader, GET_VALUES)[0], LineSet::default());
    assert!(chip.list::<LineSet>(other, GET_VALUES)[0].contains(0), "another reader sees it");
    chip.drive_at(2_000, 0, false);
    chip.pass_until(1_000_000);
    assert_eq!((chip.drain(reader), chip.drain(other).len()), (vec![], 2));
    assert_eq!(chip.controller.next_due(), None);
}

#[test]
fn debouncing_needs_a_held_line_and_a_chip_that_keeps_time() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    let debounce = |offset, period_us| [Debounce { offset, period_us }];
    assert_eq!(chip.send(reader, SET_DEBOUNCE, &debounce(0, 5)[..]), Err(Status::NOT_SUPPORTED));
    chip.controller.keep_time();
    assert_eq!(chip.list::<ChipInfo>(reader, GET_INFO)[0].flags, CHIP_TIMERS);
    assert_eq!(chip.send(reader, SET_DEBOUNCE, &debounce(1, 5)[..]), Err(Status::INVALID_DEVICE_STATE));
    assert_eq!(chip.send(reader, SET_DEBOUNCE, &debounce(99, 5)[..]), Err(Status::INVALID_PARAMETER));
    assert_eq!(chip.send(reader, SET_DEBOUNCE, &debounce(0, 5)[..]), DONE);
    assert_eq!(chip.list::<LineInfo>(reader, GET_LINE_INFO)[0].debounce_us, 5);
    // Releasing the line ends it.
    assert_eq!(chip.configure(reader, &[LineConfig { offset: 0, flags: LINE_RELEASE }]), DONE);
    assert_eq!(chip.configure(reader, &[with(input(0), LINE_EDGES)]), DONE);
    assert_eq!(chip.list::<LineInfo>(reader, GET_LINE_INFO)[0].debounce_us, 0);
    chip.drive_at(1_000, 0, true);
    assert_eq!(stamps(&chip.drain(reader)), [(1_000, EDGE_RISING)]);
}

#[test]
fn an_interrupt_has_the_last_stamp_and_the_level_at_its_handling() {
    let mut chip = timed();
    chip.controller.set_interrupt_delay(0, 10_000);
    let reader = chip.watching([0, 1]);
    for (at_ns, level) in [(1_000, true), (2_000, false), (50_000, true), (51_000, false), (52_000, true)] {
        chip.drive_at(at_ns, 0, level);
    }
    chip.drive_at(53_000, 1, true); // without a delay: it overtakes, with a later number
    assert_eq!(chip.counters(reader, 0).raised, 1);
    chip.pass_until(100_000);
    let seen = chip.drain(reader);
    let plain: Vec<_> =
        seen.iter().map(|it| (it.offset, it.timestamp_ns, it.kind, it.seqno, it.line_seqno, it.merged)).collect();
    assert_eq!(
        plain,
        [
            (0, 2_000, EDGE_FALLING, 2, 1, 1), // low again by then: a falling edge of a line that was low
            (1, 53_000, EDGE_RISING, 6, 1, 0),
            (0, 52_000, EDGE_RISING, 5, 2, 2),
        ]
    );
    let line = chip.counters(reader, 0);
    assert_eq!((line.driven, line.delivered, line.merged, line.raised), (5, 2, 3, 0));
}

#[test]
fn an_interrupt_of_a_line_watched_one_way_is_that_way() {
    let mut chip = timed();
    chip.controller.set_interrupt_delay(0, 10_000);
    let reader = chip.open();
    assert_eq!(chip.configure(reader, &[with(input(0), LINE_EDGE_RISING)]), DONE);
    chip.drive_at(1_000, 0, true);
    chip.drive_at(2_000, 0, false);
    chip.pass_until(100_000);
    assert_eq!(stamps(&chip.drain(reader)), [(1_000, EDGE_RISING)]);
}

#[test]
fn an_unhandled_interrupt_is_discarded() {
    let mut chip = timed();
    chip.controller.set_interrupt_delay(0, 10_000);
    for end in 0..3 {
        let reader = chip.watching([0]);
        let now_ns = chip.now_ns;
        let level = chip.controller.level(0);
        chip.drive_at(now_ns + 1_000, 0, !level);
        chip.drive_at(now_ns + 2_000, 0, level);
        match end {
            0 => assert_eq!(chip.configure(reader, &[input(0)]), DONE),
            1 => assert_eq!(chip.send(reader, SET_DEBOUNCE, &[Debounce { offset: 0, period_us: 9 }][..]), DONE),
            _ => chip.controller.unplug(),
        }
        if end < 2 {
            let line = chip.counters(reader, 0);
            assert_eq!((line.driven, line.merged, line.discarded, line.raised), (2, 1, 1, 0));
        }
        assert_eq!(chip.controller.next_due(), None);
        chip.controller.replug();
        chip.controller.close(reader, 0);
    }
    let line = chip.totals(0);
    assert_eq!((line.driven, line.merged, line.discarded), (6, 3, 3));
}

#[test]
fn the_account_closes_whatever_is_due() {
    let mut random = Random::new(7);
    let mut chip = timed();
    for offset in 0..4 {
        chip.controller.set_interrupt_delay(offset, random.below(3) * 700);
        chip.controller.set_merge_window(offset, random.below(3) * 400);
    }
    let readers = [chip.watching([0, 1, 2, 3]), chip.watching([0]), debounced(&mut chip, 1, 1)];
    for step in 0..20_000 {
        let (at_ns, offset) = (chip.now_ns + random.below(600), random.below(4) as u32);
        let level = !chip.controller.level(offset);
        chip.drive_at(at_ns, offset, level);
        let reader = readers[random.below(3) as usize];
        match random.below(50) {
            0 => drop(chip.drain(reader)),
            1 if chip.counters(reader, 1).driven > 0 => {
                let period_us = random.below(3) as u32;
                let _ = chip.send(reader, SET_DEBOUNCE, &[Debounce { offset: 1, period_us }][..]);
            }
            _ => {}
        }
        for offset in 0..4 {
            // `counters` checks that the account closes.
            let line = chip.counters(reader, offset);
            assert!(line.raised <= 1, "step {step}");
        }
    }
}
