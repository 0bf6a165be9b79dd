//! Completes a waveform: the time goes on to the end, comments follow, and the spans with lost edges are put in.

use std::collections::HashMap;
use std::io::{self, BufReader};
use std::time::Duration;

use linewake::Figures;

use super::super::files::quoted;
use super::super::sink::Closing;
use super::super::summary::{figures, plural};
use super::names::sane;
use super::{Vcd, Wire, spans};
use crate::exit;

/// The clock may be this much ahead of the time since the last edge, because edges wait for others.
const LATENESS: Duration = Duration::from_secs(10);

impl Vcd {
    /// Marks edges that were lost after the last edge of their line.
    fn last_spans(&mut self, closing: Closing<'_>) -> io::Result<()> {
        let lost: HashMap<_, _> =
            closing.lines().map(|(request, line)| ((request, line.offset.get()), line.figures.lost())).collect();
        for at in 0..self.wires.len() {
            let Wire { line, told, .. } = &self.wires[at];
            if lost.get(&(line.request, line.offset)).is_some_and(|lost| lost > told) {
                self.lost(at, None)?;
            }
        }
        Ok(())
    }

    /// The time of the end. The clock may have stepped, or be another one than that of the stamps.
    fn end_ns(&self, now_ns: Option<u64>) -> u64 {
        let (Some(now_ns), Some(latest_at)) = (now_ns, self.latest_at) else { return self.latest_ns };
        let elapsed = latest_at.elapsed();
        match now_ns.checked_sub(self.latest_ns) {
            Some(later) if Duration::from_nanos(later) <= elapsed + LATENESS => now_ns,
            _ => self.latest_ns.saturating_add(u64::try_from(elapsed.as_nanos()).unwrap_or(0)),
        }
    }

    /// Completes the file.
    pub(super) fn finish(&mut self, closing: Closing<'_>, is_last: bool) -> io::Result<()> {
        if self.base_ns.is_some() {
            self.go_to(self.end_ns(closing.now_ns))?;
        } else if let (Some(began_ns), Some(now_ns)) = (self.began_ns, closing.now_ns) {
            self.begin_at(began_ns)?;
            self.go_to(now_ns.max(began_ns))?;
        } else if !self.has_dumped {
            self.dump()?;
        }
        if is_last {
            self.last_spans(closing)?;
        }
        for step in self.steps.comments() {
            self.writer.comment(&step)?;
        }
        for (request, (chip, account)) in closing.accounts.iter().enumerate() {
            let of_request =
                if is_last { account.total().less(self.requests[request].before) } else { self.here(request) };
            self.writer.comment(&format!("{}: {}", sane(chip), figures(of_request, account.trust())))?;
        }
        self.writer.flush()?;
        if self.hidden > 0 {
            let shown = quoted(&self.dump.path);
            let remedy = match self.timescale.ns {
                1 => "its time has no more ticks",
                _ => "a smaller --vcd-timescale shows them",
            };
            let edges = plural(self.hidden, "edge");
            exit::say(&format!("{shown} hides {edges} within a tick of another; {remedy}\n"));
        }
        let pairs: Vec<_> = self.wires.iter().map(|wire| wire.pair).collect();
        if self.marks.is_empty() && pairs.iter().all(|pair| pair.at_first == 0) {
            return Ok(());
        }
        let put_in = || {
            self.dump.remake(|part| {
                let from = BufReader::with_capacity(1 << 16, self.dump.reader()?);
                spans::put_in(from, &self.marks, &pairs, part)
            })
        };
        let but = "the file has all edges, but only its comments tell where some are lost";
        let part = put_in().map_err(|error: io::Error| io::Error::new(error.kind(), format!("{error}; {but}")));
        match part.and_then(|part| self.dump.replace(part)) {
            Err(error) if !is_last => {
                exit::say(&format!("linewake: cannot complete {}: {error}\n", quoted(&self.dump.path)));
                Ok(())
            }
            done => done,
        }
    }

    /// The figures of a chip's lines in this file.
    pub(super) fn here(&self, request: usize) -> Figures {
        let mut sum = Figures::default();
        self.requests[request].lines.iter().for_each(|&at| sum.add(self.wires[at].here));
        sum
    }
}
