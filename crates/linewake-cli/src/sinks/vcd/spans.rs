//! Puts the spans in which edges are lost into a waveform, in one pass over it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead};

use vcd::{Command, IdCode, SimulationCommand, Value};

use super::super::out::Out;
use super::marks::{BACK, GONE, HERE, Marks, NEXT};

/// The two wires of a line, and what is known of them at the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct WirePair {
    pub(super) level: IdCode,
    pub(super) lost: IdCode,
    pub(super) request: usize,
    /// The marks of the first level.
    pub(super) at_first: u8,
    /// The chip was gone at the beginning.
    pub(super) is_gone_at_first: bool,
}

/// Copies the waveform to an empty file, and puts the spans in.
pub(super) fn put_in(from: impl BufRead, marks: &Marks, pairs: &[WirePair], to: File) -> io::Result<()> {
    let writer = vcd::Writer::new(Out::new(Box::new(to)));
    let known = |pair: &WirePair| WireState { level: Value::X, is_lost: false, is_gone: pair.is_gone_at_first };
    let mut pass = Pass { to: writer, pairs, known: pairs.iter().map(known).collect(), tick: 0, begins: Vec::new() };
    pass.run(vcd::Parser::new(from), marks)?;
    pass.to.flush()
}

struct Pass<'a> {
    to: vcd::Writer<Out>,
    pairs: &'a [WirePair],
    known: Vec<WireState>,
    tick: u64,
    begins: Vec<SpanStart>,
}

struct WireState {
    level: Value,
    is_lost: bool,
    is_gone: bool,
}

/// A span that begins at a tick, after its changes.
#[derive(Clone, Copy)]
struct SpanStart {
    tick: u64,
    wire: usize,
    is_gone: bool,
}

impl Pass<'_> {
    fn run(&mut self, from: vcd::Parser<impl BufRead>, marks: &Marks) -> io::Result<()> {
        let places: HashMap<_, _> = self.pairs.iter().enumerate().map(|(at, pair)| (pair.level, at)).collect();
        let lost: HashSet<_> = self.pairs.iter().map(|pair| pair.lost).collect();
        let mut marks = marks.reader();
        let mut change = 0;
        let mut has_begun = false;
        for command in from {
            match command? {
                Command::Timestamp(next) => {
                    self.begin(next)?;
                    self.go_to(next)?;
                }
                // Pulses are left out, because spans replace them. The first values stay.
                Command::ChangeScalar(id, _) if has_begun && lost.contains(&id) => {}
                Command::ChangeScalar(id, value) => match places.get(&id) {
                    Some(&wire) if has_begun => {
                        self.change(wire, value, marks.of(change)?)?;
                        change += 1;
                    }
                    Some(&wire) => {
                        self.known[wire].level = value;
                        self.to.change_scalar(id, value)?;
                    }
                    None => self.to.change_scalar(id, value)?,
                },
                Command::End(SimulationCommand::Dumpvars) => {
                    has_begun = true;
                    self.to.end()?;
                    for (wire, pair) in self.pairs.iter().enumerate() {
                        self.marked(wire, pair.at_first)?;
                    }
                }
                // Some readers stop at the first comment, so the spans go before it.
                other @ Command::Comment(_) if has_begun => {
                    self.begin(u64::MAX)?;
                    self.to.command(&other)?;
                }
                other => self.to.command(&other)?,
            }
        }
        self.begin(u64::MAX)
    }

    fn go_to(&mut self, tick: u64) -> io::Result<()> {
        if tick > self.tick || tick == 0 {
            self.tick = tick;
            self.to.timestamp(tick)?;
        }
        Ok(())
    }

    /// Begins the spans that begin before a tick.
    fn begin(&mut self, before: u64) -> io::Result<()> {
        self.begins.sort_by_key(|begin| begin.tick);
        let due = self.begins.partition_point(|begin| begin.tick < before);
        for begin in self.begins.drain(..due).collect::<Vec<_>>() {
            self.go_to(begin.tick.max(self.tick).max(1))?;
            self.set(
                begin.wire,
                false,
                |known| if begin.is_gone { known.is_gone = true } else { known.is_lost = true },
            )?;
        }
        Ok(())
    }

    /// Writes a change of a line, which ends its span.
    fn change(&mut self, wire: usize, value: Value, marks: u8) -> io::Result<()> {
        let is_back = marks & BACK > 0;
        self.begins.retain(|begin| begin.wire != wire || (begin.is_gone && !is_back));
        self.known[wire].level = value;
        let was = self.known[wire].is_lost || self.known[wire].is_gone;
        self.set(wire, is_back, |known| (known.is_lost, known.is_gone) = (false, known.is_gone && !is_back))?;
        if !was {
            self.to.change_scalar(self.pairs[wire].level, value)?;
        }
        self.marked(wire, marks)
    }

    fn marked(&mut self, wire: usize, marks: u8) -> io::Result<()> {
        let tick = self.tick.saturating_add(1);
        if marks & HERE > 0 {
            self.set(wire, false, |known| known.is_lost = true)?;
        }
        if marks & NEXT > 0 {
            self.begins.push(SpanStart { tick, wire, is_gone: false });
        }
        if marks & GONE > 0 {
            let request = self.pairs[wire].request;
            let of_request = (0..).zip(self.pairs).filter(|(_, pair)| pair.request == request);
            self.begins.extend(of_request.map(|(wire, _)| SpanStart { tick, wire, is_gone: true }));
        }
        Ok(())
    }

    /// Changes the state of a line, and writes it if it looks different.
    fn set(&mut self, wire: usize, is_back: bool, to: impl FnOnce(&mut WireState)) -> io::Result<()> {
        let known = &mut self.known[wire];
        let was = known.is_lost || known.is_gone;
        to(known);
        let (level, is) = (known.level, known.is_lost || known.is_gone);
        if was == is {
            return Ok(());
        }
        let pair = self.pairs[wire];
        if is_back {
            // By the order of the two wires a reader knows that the level is not an edge.
            self.to.change_scalar(pair.lost, Value::V0)?;
            return self.to.change_scalar(pair.level, level);
        }
        self.to.change_scalar(pair.level, if is { Value::X } else { level })?;
        self.to.change_scalar(pair.lost, Value::from(is))
    }
}
