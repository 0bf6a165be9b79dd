use linewake_controller::protocol::*;

use crate::chip::{Chip, DONE, input, line_seqnos, seqnos};

#[test]
fn numbers_begin_at_one() {
    let mut chip = Chip::new();
    let reader = chip.watching([0, 1]);
    chip.toggle(1, 1);
    let edge = chip.take(reader, 1).unwrap();
    assert_eq!((edge.seqno, edge.line_seqno), (1, 1));
}

#[test]
fn line_seqno_counts_the_line_and_seqno_the_reader() {
    let mut chip = Chip::new();
    let reader = chip.watching([0, 1]);
    for offset in [0, 1, 1, 0] {
        chip.toggle(offset, 1);
    }
    let edges = chip.drain(reader);
    assert_eq!(line_seqnos(&edges), [1, 1, 2, 2]);
    assert_eq!(seqnos(&edges), [1, 2, 3, 4]);
}

#[test]
fn every_reader_numbers_for_itself() {
    let mut chip = Chip::new();
    let early = chip.watching([0]);
    chip.toggle(0, 3);
    let late = chip.watching([0]);
    chip.toggle(0, 1);
    assert_eq!(line_seqnos(&chip.drain(early)), [1, 2, 3, 4]);
    assert_eq!(line_seqnos(&chip.drain(late)), [1]);
}

#[test]
fn numbers_wrap_through_zero() {
    let mut chip = Chip::new();
    let reader = chip.open();
    assert_eq!(chip.set_reader(reader, 0, u32::MAX - 2), DONE);
    chip.watch(reader, &[4, 5]);
    chip.toggle(4, 4);
    let edges = chip.drain(reader);
    assert_eq!(line_seqnos(&edges), [u32::MAX - 1, u32::MAX, 0, 1]);
    assert_eq!(seqnos(&edges), [u32::MAX - 1, u32::MAX, 0, 1]);
}

#[test]
fn a_reader_of_one_line_does_not_show_merged_edges_in_seqno() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    merge_every_other_edge(&mut chip, 0);
    let edges = chip.drain(reader);
    assert_eq!(line_seqnos(&edges), [1, 2, 3]);
    assert_eq!(seqnos(&edges), [1, 2, 3]);
}

#[test]
fn a_reader_of_two_lines_shows_merged_edges_as_a_gap_in_seqno() {
    let mut chip = Chip::new();
    let reader = chip.watching([0, 1]);
    merge_every_other_edge(&mut chip, 0);
    let edges = chip.drain(reader);
    assert_eq!(line_seqnos(&edges), [1, 2, 3]);
    assert_eq!(seqnos(&edges), [1, 3, 5]);
    assert_eq!(edges.iter().map(|edge| edge.merged).collect::<Vec<_>>(), [0, 1, 1]);
}

#[test]
fn a_held_line_without_edges_turns_seqno_into_a_witness() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    assert_eq!(chip.configure(reader, &[LineConfig { offset: 9, flags: 0 }]), DONE);
    merge_every_other_edge(&mut chip, 0);
    assert_eq!(seqnos(&chip.drain(reader)), [1, 3, 5]);
}

#[test]
fn an_overflow_is_a_gap_in_line_seqno() {
    let mut chip = Chip::new();
    let reader = chip.open();
    assert_eq!(chip.set_reader(reader, 4, 0), DONE);
    chip.watch(reader, &[0]);
    chip.toggle(0, 2);
    assert_eq!(line_seqnos(&chip.drain(reader)), [1, 2]);
    chip.toggle(0, 7);
    let edges = chip.drain(reader);
    assert_eq!(line_seqnos(&edges), [6, 7, 8, 9]);
    assert_eq!(edges[0].overflowed, 3);
}

#[test]
fn an_edge_carries_time_offset_and_kind() {
    let mut chip = Chip::new();
    let reader = chip.watching([7]);
    chip.now_ns = 41_000;
    chip.toggle(7, 2);
    let edges = chip.drain(reader);
    assert_eq!((edges[0].timestamp_ns, edges[0].offset, edges[0].kind), (42_000, 7, EDGE_RISING));
    assert_eq!((edges[1].timestamp_ns, edges[1].offset, edges[1].kind), (43_000, 7, EDGE_FALLING));
}

#[test]
fn only_the_edges_asked_for_come() {
    let mut chip = Chip::new();
    let reader = chip.open();
    let rising = LineConfig { offset: 0, flags: LINE_INPUT | LINE_EDGE_RISING };
    let falling = LineConfig { offset: 1, flags: LINE_INPUT | LINE_EDGE_FALLING };
    assert_eq!(chip.configure(reader, &[rising, falling, input(2)]), DONE);
    for offset in 0..3 {
        chip.toggle(offset, 3);
    }
    let edges: Vec<_> = chip.drain(reader).iter().map(|edge| (edge.offset, edge.kind)).collect();
    assert_eq!(edges, [(0, EDGE_RISING), (0, EDGE_RISING), (1, EDGE_FALLING)]);
    assert_eq!(chip.counters(reader, 0).driven, 2);
    assert_eq!(chip.counters(reader, 1).driven, 1);
    assert_eq!(chip.counters(reader, 2).driven, 0);
}

#[test]
fn a_level_that_does_not_change_is_not_an_edge() {
    let mut chip = Chip::new();
    let reader = chip.watching([0]);
    for level in [false, true, true, false] {
        chip.controller.drive(0, level, 0).unwrap();
    }
    assert_eq!(chip.drain(reader).len(), 2);
}

#[test]
fn active_low_turns_kinds_and_values_for_that_reader_only() {
    let mut chip = Chip::new();
    let plain = chip.watching([0]);
    let inverted = chip.open();
    let config = LineConfig { offset: 0, flags: LINE_INPUT | LINE_EDGES | LINE_ACTIVE_LOW };
    assert_eq!(chip.configure(inverted, &[config]), DONE);
    chip.toggle(0, 1);
    assert_eq!(chip.take(plain, 0).unwrap().kind, EDGE_RISING);
    assert_eq!(chip.take(inverted, 0).unwrap().kind, EDGE_FALLING);
    assert!(chip.list::<LineSet>(plain, GET_VALUES)[0].contains(0));
    assert!(!chip.list::<LineSet>(inverted, GET_VALUES)[0].contains(0));
}

/// Drives six edges in pairs; the second of each pair comes too fast.
fn merge_every_other_edge(chip: &mut Chip, offset: u32) {
    let reader = chip.open();
    let window = MergeWindow { offset: ALL_LINES, reserved: 0, window_ns: 1_500 };
    assert_eq!(chip.send(reader, SET_MERGE, &window), DONE);
    chip.controller.close(reader, 0);
    for _ in 0..3 {
        chip.now_ns += 1_000_000;
        chip.toggle(offset, 2);
    }
}
