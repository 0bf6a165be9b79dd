//! The levels that chips report, and chips that go and come back.

use std::io;

use linewake::Gap;
use vcd::Value;

use super::{Vcd, marks, value};

impl Vcd {
    pub(super) fn state(&mut self, at: usize, level: Option<bool>) -> io::Result<()> {
        let wire = &mut self.wires[at];
        let is_gone = self.requests[wire.line.request].is_gone && (self.has_dumped || !wire.pair.is_gone_at_first);
        match self.base_ns {
            _ if is_gone => wire.state = Some(level),
            None => self.untold -= usize::from(wire.first.replace(level).is_none()),
            Some(_) => return self.change(at, value(level)),
        }
        if !self.has_dumped && self.untold == 0 { self.dump() } else { Ok(()) }
    }

    /// A chip is gone, or is back.
    pub(super) fn gap(&mut self, request: usize, gap: &Gap) -> io::Result<()> {
        if !self.requests[request].is_gone {
            if let (None, Some(from_ns)) = (self.base_ns, gap.from_ns) {
                self.go_to(from_ns.saturating_add_signed(self.requests[request].shift_ns))?;
            }
            self.requests[request].is_gone = true;
            let last = self.requests[request].last;
            if let Some(&first) = self.requests[request].lines.first() {
                self.mark(last, first, marks::GONE)?;
            }
            for &at in &self.requests[request].lines {
                let wire = &mut self.wires[at];
                wire.state = None;
                if self.has_dumped {
                    self.writer.change_scalar(wire.pair.lost, Value::V1)?;
                }
            }
        }
        match gap.to_ns {
            Some(to_ns) if gap.is_over => {
                self.go_to(to_ns.saturating_add_signed(self.requests[request].shift_ns))?;
                self.back(request)
            }
            // The time is unknown until the chip's next edge.
            _ => Ok(()),
        }
    }

    /// Notes that a chip is back, if it was gone.
    pub(super) fn back(&mut self, request: usize) -> io::Result<()> {
        if !std::mem::take(&mut self.requests[request].is_gone) {
            return Ok(());
        }
        for place in 0..self.requests[request].lines.len() {
            let at = self.requests[request].lines[place];
            let wire = &mut self.wires[at];
            wire.is_back = true;
            // A level that has not come yet follows.
            if let Some(level) = wire.state.take() {
                self.change(at, value(level))?;
            }
        }
        Ok(())
    }
}
