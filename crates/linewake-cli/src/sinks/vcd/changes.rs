//! The time of a waveform, and the changes of its lines.

use std::io;

use linewake::{EdgeEvent, EdgeKind};
use vcd::Value;

use super::{Vcd, marks, value};

impl Vcd {
    pub(super) fn tick_of(&self, ns: u64) -> u64 {
        self.timescale.tick_of(self.base_ns.unwrap_or_default(), ns)
    }

    /// Goes on to a time. The time of the file never goes back.
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

    /// Goes on by one tick. At the last possible tick the edge is hidden.
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
        // A return to the level before, and a span with missing edges, need a tick of their own.
        let needs_room = wire.one_way.is_some() || edge.missed.total() > 0;
        if wire.edge == Some(self.tick) || (needs_room && wire.last_tick().unwrap_or(0) == self.tick) {
            // No scale is finer, so the edge is shown one tick later.
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

    /// Shows the level before an edge, if no edge is missing before it: it is the opposite level. The file does not
    /// have it where the level was unknown, or where only one direction is watched. Then it is shown in the tick
    /// before. With one direction, the line returns to it one tick after each edge from then on.
    fn level_before(&mut self, at: usize, edge: &EdgeEvent) -> io::Result<()> {
        let level = Some(edge.kind == EdgeKind::Falling);
        if self.base_ns.is_none() {
            // The edge is a better witness than the level that was read while the edge may have been on its way.
            self.wires[at].first = Some(level);
            self.begin_before(edge.axis_ns)?;
        }
        let tick = self.tick_of(edge.axis_ns);
        if tick > self.tick && !self.returns.is_empty() {
            // The line has returned to its level by then.
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

    /// Marks that edges of a line are lost between its last change and a tick; `None` is the end.
    pub(super) fn lost(&mut self, at: usize, to: Option<u64>) -> io::Result<()> {
        let (change, from) = self.wires[at].last.unzip();
        let from = from.unwrap_or(0);
        // The known level stays visible if there is a tick for it.
        let mark = match to {
            Some(to) if to <= from => return Ok(()),
            Some(to) if to == from + 1 => marks::HERE,
            None if from == self.tick => marks::HERE,
            _ => marks::NEXT,
        };
        self.mark(change, at, mark)
    }

    /// Marks a change; `None` is the beginning of the line.
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
