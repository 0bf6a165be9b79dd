use linewake_controller::protocol::*;

use crate::chip::{Chip, DONE, QUEUE, line_seqnos};

#[test]
fn a_full_queue_drops_the_oldest_and_the_next_record_says_so() {
    let mut chip = Chip::new();
    let reader = chip.open();
    assert_eq!(chip.set_reader(reader, 4, 0), DONE);
    chip.watch(reader, &[0, 1]);
    chip.toggle(0, 2);
    chip.toggle(1, 4); // drops both of line 0
    chip.toggle(0, 1); // drops the first of line 1
    let edges: Vec<_> = chip.drain(reader).iter().map(|edge| (edge.offset, edge.line_seqno, edge.overflowed)).collect();
    assert_eq!(edges, [(1, 2, 1), (1, 3, 0), (1, 4, 0), (0, 3, 2)]);
    assert_eq!(chip.counters(reader, 0).overflowed, 2);
    assert_eq!(chip.counters(reader, 1).overflowed, 1);
}

#[test]
fn edges_missing_before_a_dropped_record_pass_to_the_next() {
    let mut chip = Chip::new();
    let reader = chip.open();
    assert_eq!(chip.set_reader(reader, 2, 0), DONE);
    chip.watch(reader, &[0]);
    let window = MergeWindow { offset: 0, reserved: 0, window_ns: 1_500 };
    assert_eq!(chip.send(reader, SET_MERGE, &window), DONE);
    for _ in 0..4 {
        chip.now_ns += 1_000_000;
        chip.toggle(0, 2);
    }
    let edges = chip.drain(reader);
    assert_eq!(line_seqnos(&edges), [3, 4]);
    assert_eq!((edges[0].overflowed, edges[0].merged), (2, 2));
    assert_eq!((edges[1].overflowed, edges[1].merged), (0, 1));
    assert_eq!(chip.counters(reader, 0).merged, 4);
}

#[test]
fn the_default_queue_is_sixteen_events_a_line_rounded_up() {
    for (lines, capacity) in [(1, 16), (2, 32), (3, 64), (40, QUEUE as u64)] {
        let mut chip = Chip::new();
        let reader = chip.open();
        chip.watch(reader, &Vec::from_iter(0..lines));
        chip.toggle(0, 200);
        assert_eq!(chip.counters(reader, 0).queued, capacity, "{lines} lines");
    }
}

#[test]
fn a_capacity_is_rounded_up_and_limited() {
    for (asked, capacity) in [(2, 2), (3, 4), (33, 64), (65, QUEUE as u64), (u32::MAX, QUEUE as u64)] {
        let mut chip = Chip::new();
        let reader = chip.open();
        assert_eq!(chip.set_reader(reader, asked, 0), DONE);
        chip.watch(reader, &[0]);
        chip.toggle(0, 200);
        assert_eq!(chip.counters(reader, 0).queued, capacity, "{asked} asked");
    }
}

#[test]
fn closing_a_reader_discards_its_queue() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    chip.toggle(0, 5);
    chip.take(reader, 0);
    chip.take(reader, 0);
    chip.controller.close(reader, 0);
    let totals = chip.totals(0);
    assert_eq!((totals.driven, totals.delivered, totals.discarded, totals.readers), (5, 2, 3, 1));
    assert_eq!(totals.changes, 5);
}

#[test]
fn a_shown_event_left_behind_at_close_was_delivered() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    chip.toggle(0, 2);
    chip.after(reader, 0, 0);
    chip.controller.close(reader, 0);
    let totals = chip.totals(0);
    assert_eq!((totals.delivered, totals.discarded), (1, 1));
}

#[test]
fn releasing_a_line_discards_its_events_and_keeps_its_account() {
    let mut chip = Chip::new();
    let reader = chip.watching([0, 1]);
    chip.toggle(0, 3);
    chip.toggle(1, 1);
    chip.take(reader, 0);
    assert_eq!(chip.configure(reader, &[LineConfig { offset: 0, flags: LINE_RELEASE }]), DONE);
    chip.toggle(0, 9); // nobody watches
    let counters = chip.counters(reader, 0);
    assert_eq!((counters.driven, counters.delivered, counters.discarded, counters.queued), (3, 1, 2, 0));
    assert_eq!(chip.drain(reader).len(), 1);
    chip.watch(reader, &[0]);
    chip.toggle(0, 1);
    assert_eq!(chip.take(reader, 0).unwrap().line_seqno, 4);
    assert_eq!(chip.counters(reader, 0).driven, 4);
}

#[test]
fn a_new_reader_in_an_old_slot_inherits_nothing() {
    let mut chip = Chip::new();
    let old = chip.open();
    let config = ReaderConfig { capacity: 2, seqno_base: 99, consumer: name("old") };
    assert_eq!(chip.send(old, SET_READER, &config), DONE);
    chip.watch(old, &[0]);
    chip.toggle(0, 5);
    chip.controller.close(old, 0);

    let new = chip.watching([0]);
    chip.toggle(0, 3);
    let (header, edges) = chip.wait_any(new, 8).unwrap().unwrap();
    assert_eq!(line_seqnos(&edges), [1, 2, 3]);
    assert_eq!((header.driven, header.delivered, header.overflowed), (3, 3, 0));
    assert_eq!(chip.counters(new, 0).driven, 3);
    assert_eq!(chip.list::<LineInfo>(new, GET_LINE_INFO)[0].consumer, [0; 32]);
    chip.controller.close(new, 0);
    assert_eq!(chip.totals(0).driven, 8);
}

#[test]
fn the_sums_of_a_batch_are_those_of_the_lines() {
    let mut chip = Chip::new();
    let reader = chip.open();
    assert_eq!(chip.set_reader(reader, 8, 0), DONE);
    chip.watch(reader, &[0, 1, 2]);
    for _ in 0..10 {
        for offset in 0..3 {
            chip.toggle(offset, 2);
        }
    }
    let (header, _) = chip.wait_any(reader, 5).unwrap().unwrap();
    let lines: Vec<LineCounters> = chip.list(reader, GET_COUNTERS);
    let sum = |of: fn(&LineCounters) -> u64| lines.iter().map(of).sum::<u64>();
    assert_eq!(header.driven, sum(|line| line.driven));
    assert_eq!(header.delivered, sum(|line| line.delivered));
    assert_eq!(header.overflowed, sum(|line| line.overflowed));
    assert_eq!((header.driven, header.delivered, header.overflowed, header.queued), (60, 5, 52, 3));
}
