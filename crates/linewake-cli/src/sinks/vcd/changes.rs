//! The time of a waveform, and the changes of its lines.

use std::io;

use linewake::{EdgeEvent, EdgeKind};
use vcd::Value;

use super::{Vcd, marks, value};

impl Vcd {
    pub(super) fn tick_of(&self, ns: u64) -> u64 {
        self.timescale.tick_of(self.base_ns.unwrap_or_default(), ns)
    }

    /// Goes on to a time; the file's never goes back.
    pub(super) fn go_to(&mut self, ns: u64) -> io::Result<()> {
        self.begin_before(ns)?;
        if ns >= self.latest_ns {
            (self.latest_ns, self.latest_at) = (ns, None);
        }
        self.go_to_tick(self.tick_of(ns))
    }

    fn go_to_tick(&mut self, tick: u64) -> io::Result<()> {
        if tick > self.tick && !self.returns.is_empty() {
            self.write_tick(self.tick + 1)?;
            for at in std::mem::take(&mut self.returns) {
                let level = self.wires[at].level;
                self.change(at, if level == Value::V1 { Value::V0 } else { Value::V1 })?;
            }
        }
        if tick > self.tick { self.write_tick(tick) } else { Ok(()) }
    }

    fn write_tick(&mut self, tick: u64) -> io::Result<()> {
        self.tick = tick;
        self.writer.timestamp(tick)?;
        for wire in self.pulses.drain(..) {
            self.writer.change_scalar(wire, Value::V0)?;
        }
        Ok(())
    }

    /// Goes on by a tick. At the end of time what comes is hidden by what is there.
    fn next_tick(&mut self) -> io::Result<()> {
        match self.tick.checked_add(1) {
            Some(tick) => self.go_to_tick(tick),
            None => {
                self.hidden += 1;
                Ok(())
            }
        }
    }

    pub(super) fn edge(&mut self, at: usize, edge: &EdgeEvent) -> io::Result<()> {
        let request = self.wires[at].line.request;
        let shift_ns = i128::from(edge.axis_ns) - i128::from(edge.timestamp_ns);
        self.requests[request].shift_ns = i64::try_from(shift_ns).unwrap_or(0);
        if edge.missed.total() == 0 {
            self.level_before(at, edge)?;
        }
        self.go_to(edge.axis_ns)?;
        let wire = &mut self.wires[at];
        wire.one_way = wire.one_way.filter(|kind| *kind == edge.kind);
        // A return to the level before, or a span in which edges are missing, has a tick of its own.
        let needs_room = wire.one_way.is_some() || edge.missed.total() > 0;
        if wire.edge == Some(self.tick) || (needs_room && wire.last_tick().unwrap_or(0) == self.tick) {
            // There is no finer scale: it is shown a tick later.
            if self.timescale.ns == 1 {
                self.next_tick()?;
            } else {
                self.hidden += 1;
            }
        }
        self.back(request)?;
        let wire = &mut self.wires[at];
        wire.edge = Some(self.tick);
        wire.told += edge.missed.total();
        wire.here.note(edge);
        let (lost, is_one_way) = (wire.pair.lost, wire.one_way.is_some());
        if edge.missed.total() > 0 {
            self.lost(at, Some(self.tick))?;
            self.writer.change_scalar(lost, Value::V1)?;
            self.pulses.push(lost);
        }
        if is_one_way {
            self.returns.push(at);
        }
        self.change(at, value(Some(edge.kind == EdgeKind::Rising)))
    }

    /// The level before an edge before which none is missing: the other one. Where the level was not known, or edges of one
    /// direction alone are watched, the file does not have it yet: it is shown for the tick before. In the second case the
    /// line returns to it by itself from then on, a tick after each edge.
    fn level_before(&mut self, at: usize, edge: &EdgeEvent) -> io::Result<()> {
        let level = Some(edge.kind == EdgeKind::Falling);
        if self.base_ns.is_none() {
            // It knows better than who read the level, when the edge may have been on its way.
            self.wires[at].first = Some(level);
            self.begin_before(edge.axis_ns)?;
        }
        let tick = self.tick_of(edge.axis_ns);
        if tick > self.tick && !self.returns.is_empty() {
            // Then it is there.
            self.next_tick()?;
        }
        let wire = &mut self.wires[at];
        if wire.level == value(level) {
            return Ok(());
        }
        wire.one_way = (wire.level != Value::X).then_some(edge.kind);
        let behind_the_last = wire.last_tick().map_or(0, |tick| tick.saturating_add(1));
        self.go_to_tick(tick.saturating_sub(1).max(behind_the_last))?;
        self.back(self.wires[at].line.request)?;
        self.change(at, value(level))?;
        self.next_tick()
    }

    pub(super) fn change(&mut self, at: usize, value: Value) -> io::Result<()> {
        let wire = &mut self.wires[at];
        wire.level = value;
        if std::mem::take(&mut wire.is_back) {
            self.marks.add(self.changes, marks::BACK)?;
            self.writer.change_scalar(wire.pair.lost, Value::V0)?;
        }
        wire.last = Some((self.changes, self.tick));
        self.requests[wire.line.request].last = Some(self.changes);
        self.changes += 1;
        self.writer.change_scalar(wire.pair.level, value)
    }

    /// Edges of a line are lost between its last change and a tick, or the end.
    pub(super) fn lost(&mut self, at: usize, to: Option<u64>) -> io::Result<()> {
        let (change, from) = self.wires[at].last.unzip();
        let from = from.unwrap_or(0);
        // The level that was known is seen, if there is time for it.
        let mark = match to {
            Some(to) if to <= from => return Ok(()),
            Some(to) if to == from + 1 => marks::HERE,
            None if from == self.tick => marks::HERE,
            _ => marks::NEXT,
        };
        self.mark(change, at, mark)
    }

    /// Marks a change, or the beginning of a line.
    pub(super) fn mark(&mut self, change: Option<u64>, at: usize, mark: u8) -> io::Result<()> {
        match change {
            Some(change) => self.marks.add(change, mark),
            None => {
                self.wires[at].pair.at_first |= mark;
                Ok(())
            }
        }
    }
}
