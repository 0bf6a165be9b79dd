//! Random programs, compared with a model that keeps all driven edges in a plain list.

use std::collections::{BTreeMap, VecDeque};

use linewake_controller::ReaderId;
use linewake_controller::protocol::*;
use zerocopy::FromBytes;

use crate::chip::{Chip, DONE, QUEUE, READERS};
use test_support::random::Random;

const OFFSETS: u64 = 6;

#[derive(Clone, Default)]
struct Line {
    flags: u32,
    held: bool,
    line_seqno: u32,
    last_ns: Option<u64>,
    missing: (u32, u32),
    driven: u64,
    delivered: u64,
    overflowed: u64,
    merged: u64,
    discarded: u64,
}

struct Reader {
    id: ReaderId,
    capacity: u32,
    base: u32,
    seqno: u32,
    lines: BTreeMap<u32, Line>,
    queue: VecDeque<(EdgeRecord, bool)>,
}

impl Reader {
    fn held(&self) -> u32 {
        self.lines.values().filter(|line| line.held).count() as u32
    }

    fn capacity(&self) -> usize {
        match self.capacity {
            0 => (16 * self.held()).next_power_of_two().clamp(2, QUEUE as u32) as usize,
            asked => asked as usize,
        }
    }

    fn edge(&mut self, offset: u32, level: bool, window_ns: u64, now_ns: u64) {
        let (several, capacity) = (self.held() > 1, self.capacity());
        let Some(line) = self.lines.get_mut(&offset) else {
            return;
        };
        let rising = level != (line.flags & LINE_ACTIVE_LOW != 0);
        if line.flags & if rising { LINE_EDGE_RISING } else { LINE_EDGE_FALLING } == 0 {
            return;
        }
        line.driven += 1;
        if line.last_ns.is_some_and(|last| now_ns - last < window_ns) {
            line.merged += 1;
            line.missing.1 += 1;
            self.seqno = if several { self.seqno.wrapping_add(1) } else { self.seqno };
            return;
        }
        line.last_ns = Some(now_ns);
        line.line_seqno = line.line_seqno.wrapping_add(1);
        let line_seqno = line.line_seqno;
        self.seqno = if several { self.seqno.wrapping_add(1) } else { line_seqno };
        while self.queue.len() >= capacity {
            let (dropped, shown) = self.queue.pop_front().unwrap();
            let line = self.lines.get_mut(&dropped.offset).unwrap();
            if shown {
                line.delivered += 1;
                continue;
            }
            line.overflowed += 1;
            let next = self.queue.iter_mut().find(|next| next.0.offset == dropped.offset);
            let (overflowed, merged) = match next {
                Some(next) => (&mut next.0.overflowed, &mut next.0.merged),
                None => (&mut line.missing.0, &mut line.missing.1),
            };
            *overflowed += dropped.overflowed + 1;
            *merged += dropped.merged;
        }
        let line = self.lines.get_mut(&offset).unwrap();
        let (overflowed, merged) = std::mem::take(&mut line.missing);
        let kind = if rising { EDGE_RISING } else { EDGE_FALLING };
        let seqno = self.seqno;
        let edge = EdgeRecord { timestamp_ns: now_ns, offset, kind, seqno, line_seqno, overflowed, merged };
        self.queue.push_back((edge, false));
    }

    fn take(&mut self, offset: Option<u32>) -> Option<EdgeRecord> {
        loop {
            let index = self.queue.iter().position(|(edge, _)| offset.is_none_or(|offset| edge.offset == offset))?;
            let (edge, shown) = self.queue.remove(index).unwrap();
            self.lines.get_mut(&edge.offset).unwrap().delivered += 1;
            if !shown {
                return Some(edge);
            }
        }
    }

    fn after(&mut self, offset: u32, number: u32) -> Option<EdgeRecord> {
        let is_after = |seqno: u32| seqno.wrapping_sub(number) as i32 > 0;
        let queue = std::mem::take(&mut self.queue);
        for (edge, shown) in queue {
            if edge.offset == offset && !is_after(edge.line_seqno) {
                self.lines.get_mut(&offset).unwrap().delivered += 1;
            } else {
                self.queue.push_back((edge, shown));
            }
        }
        let next = self.queue.iter_mut().find(|next| next.0.offset == offset)?;
        next.1 = true;
        Some(next.0)
    }

    fn configure(&mut self, offset: u32, flags: u32) {
        if flags & LINE_EDGES == 0 {
            let queue = std::mem::take(&mut self.queue);
            for (edge, shown) in queue {
                if edge.offset != offset {
                    self.queue.push_back((edge, shown));
                } else {
                    let line = self.lines.get_mut(&offset).unwrap();
                    *(if shown { &mut line.delivered } else { &mut line.discarded }) += 1;
                }
            }
        }
        let base = self.base;
        let line = self.lines.entry(offset).or_insert_with(|| Line { line_seqno: base, ..Line::default() });
        line.held = flags != LINE_RELEASE;
        line.flags = if line.held { flags } else { 0 };
    }

    fn counters(&self, offset: u32) -> LineCounters {
        let line = self.lines.get(&offset).cloned().unwrap_or_default();
        LineCounters {
            offset,
            raised: 0,
            driven: line.driven,
            delivered: line.delivered,
            queued: self.queue.iter().filter(|(edge, _)| edge.offset == offset).count() as u64,
            overflowed: line.overflowed,
            merged: line.merged,
            discarded: line.discarded,
        }
    }
}

#[test]
fn random_programs_see_what_the_model_sees() {
    for seed in 1..=40 {
        run(seed, 2_000);
    }
}

fn run(seed: u64, steps: u32) {
    let mut random = Random::new(seed * 0x9E37_79B9);
    let mut chip = Chip::new();
    let mut readers: Vec<Reader> = vec![];
    let mut levels = [false; OFFSETS as usize];
    let mut windows = [0; OFFSETS as usize];
    let mut closed: BTreeMap<u32, LineTotals> = BTreeMap::new();
    for step in 0..steps {
        let offset = random.below(OFFSETS) as u32;
        let at = random.below(readers.len().max(1) as u64) as usize;
        match random.below(40) {
            0 if readers.len() < READERS - 2 => {
                readers.push(opened(&mut chip, &mut random));
            }
            1 if random.below(4) == 0 && !readers.is_empty() => {
                let reader = readers.swap_remove(at);
                chip.controller.close(reader.id, 0);
                close(&mut closed, &reader);
            }
            2 if random.below(20) == 0 => {
                chip.controller.unplug();
                chip.controller.replug();
                for reader in readers.drain(..) {
                    chip.controller.close(reader.id, 0);
                    close(&mut closed, &reader);
                }
            }
            3 if !readers.is_empty() => {
                windows[offset as usize] = random.below(3) * 1_000;
                let window = MergeWindow { offset, reserved: 0, window_ns: windows[offset as usize] };
                assert_eq!(chip.send(readers[at].id, SET_MERGE, &window), DONE);
            }
            4..=6 if !readers.is_empty() => {
                configures(&mut chip, &mut readers[at], offset, &mut random);
            }
            what @ 7..=19 if !readers.is_empty() => {
                reads(&mut chip, &mut readers[at], offset, what, &mut random, (seed, step));
            }
            _ => {
                for _ in 0..=random.below(3) {
                    chip.now_ns += 700 * random.below(4);
                    let level = &mut levels[offset as usize];
                    *level = !*level;
                    chip.controller.drive(offset, *level, chip.now_ns).unwrap();
                    for reader in &mut readers {
                        reader.edge(offset, *level, windows[offset as usize], chip.now_ns);
                    }
                }
            }
        }
        readers.iter().for_each(|reader| the_account_is_exact(&mut chip, reader, (seed, step)));
    }
    for (offset, expected) in closed {
        assert_eq!(LineTotals { changes: 0, ..chip.totals(offset) }, expected, "seed {seed}");
    }
}

fn opened(chip: &mut Chip, random: &mut Random) -> Reader {
    let id = chip.open();
    let capacity = [0, 2, 4, 16][random.below(4) as usize];
    let base = [0, u32::MAX - 20][random.below(2) as usize];
    assert_eq!(chip.set_reader(id, capacity, base), DONE);
    Reader { id, capacity, base, seqno: base, lines: BTreeMap::new(), queue: VecDeque::new() }
}

/// A reader holds a line, or changes how it holds the line, or releases it.
fn configures(chip: &mut Chip, reader: &mut Reader, offset: u32, random: &mut Random) {
    let edges = [LINE_EDGES, LINE_EDGE_RISING, LINE_EDGE_FALLING, LINE_EDGES, 0][random.below(5) as usize];
    let low = if random.below(3) == 0 { LINE_ACTIVE_LOW } else { 0 };
    let held = reader.lines.get(&offset).is_some_and(|line| line.held);
    let flags = if held && random.below(4) == 0 { LINE_RELEASE } else { LINE_INPUT | edges | low };
    assert_eq!(chip.configure(reader.id, &[LineConfig { offset, flags }]), DONE);
    reader.configure(offset, flags);
}

/// A reader takes an edge of a line, asks for those after a number, or takes a batch of all lines.
fn reads(chip: &mut Chip, reader: &mut Reader, offset: u32, what: u64, random: &mut Random, when: (u64, u32)) {
    let is_watched = |line: &&Line| line.flags & LINE_EDGES != 0;
    match what {
        7..=12 => {
            if reader.lines.get(&offset).filter(is_watched).is_some() {
                assert_eq!(chip.take(reader.id, offset), reader.take(Some(offset)), "{when:?}");
            }
        }
        13..=16 => {
            if let Some(line) = reader.lines.get(&offset).filter(is_watched) {
                let back = random.below(4).min(line.driven - line.merged) as u32;
                let number = line.line_seqno.wrapping_sub(back);
                let shown = chip.after(reader.id, offset, number);
                assert_eq!(shown, reader.after(offset, number), "{when:?}");
            }
        }
        _ => {
            if reader.lines.values().any(|line| is_watched(&line)) {
                let room = 1 + random.below(6) as usize;
                let batch = chip.wait_any(reader.id, room).unwrap().map_or(vec![], |batch| batch.1);
                let expected: Vec<_> = std::iter::from_fn(|| reader.take(None)).take(room).collect();
                assert_eq!(batch, expected, "{when:?}");
            }
        }
    }
}

/// Compares the counters of all lines with the model's; `when` is the seed and the step, for messages.
fn the_account_is_exact(chip: &mut Chip, reader: &Reader, when: (u64, u32)) {
    let room = OFFSETS as usize * size_of::<LineCounters>();
    let bytes = chip.raw(reader.id, GET_COUNTERS, &[], room).unwrap().unwrap();
    for (offset, bytes) in (0..).zip(bytes.chunks_exact(size_of::<LineCounters>())) {
        let line = LineCounters::read_from_bytes(bytes).unwrap();
        assert_eq!(line, reader.counters(offset), "{when:?}");
        assert!(line.is_closed(), "{when:?}: {line:?}");
    }
}

/// Adds a closed reader's account to the totals.
fn close(closed: &mut BTreeMap<u32, LineTotals>, reader: &Reader) {
    for (&offset, line) in &reader.lines {
        let queued =
            |is: bool| reader.queue.iter().filter(|(edge, shown)| edge.offset == offset && *shown == is).count() as u64;
        let totals = closed.entry(offset).or_insert(LineTotals { offset, ..Default::default() });
        totals.readers += 1;
        totals.driven += line.driven;
        totals.delivered += line.delivered + queued(true);
        totals.overflowed += line.overflowed;
        totals.merged += line.merged;
        totals.discarded += line.discarded + queued(false);
    }
}
