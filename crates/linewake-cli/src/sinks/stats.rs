//! Statistics during a watch: the edges of each line, their rate and total, and the delay until they are written.

mod histogram;
mod rate;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use linewake::{EdgeEvent, EdgeKind, LineState};

use self::histogram::Histogram;
use self::rate::{Figure, Rate};
use super::select::OutputLine;
use super::summary::plural;
use crate::config::Unit;
use crate::display::LineId;

/// The statistics since the last report and since the beginning, for each line.
pub(crate) struct Stats {
    lines: Vec<(OutputLine, LineStats)>,
    reported: Instant,
    /// The time of the edges' clock when the watch began.
    began_ns: Option<u64>,
    /// The edges of this wake-up: line and time on the axis.
    unwritten: Vec<(usize, u64)>,
}

#[derive(Default)]
struct LineStats {
    edges: u64,
    missing: u64,
    /// Number of edges in the whole watch.
    total: u64,
    /// Edges are missing in that number.
    is_least: bool,
    rate: Rate,
    level: Option<bool>,
    latency: Histogram,
}

impl Stats {
    pub(crate) fn new(lines: &[OutputLine], began_ns: Option<u64>) -> Self {
        let lines = lines.iter().map(|line| (line.clone(), LineStats::default())).collect();
        Self { lines, reported: Instant::now(), began_ns, unwritten: Vec::new() }
    }

    /// Adds a line that was not known before.
    pub(crate) fn line(&mut self, line: &OutputLine) {
        self.lines.push((line.clone(), LineStats::default()));
    }

    pub(crate) fn state(&mut self, line: usize, state: &LineState) {
        self.lines[line].1.level = state.active;
    }

    pub(crate) fn edge(&mut self, at: usize, edge: &EdgeEvent, now: Instant) {
        let line = &mut self.lines[at].1;
        line.edges += 1;
        line.total += 1;
        line.missing += edge.missed.total();
        line.is_least |= edge.missed.total() > 0;
        line.rate.edge(edge, now);
        line.level = Some(edge.kind == EdgeKind::Rising);
        self.unwritten.push((at, edge.axis_ns));
    }

    /// A chip was gone: nothing is known about its lines meanwhile.
    pub(crate) fn gap(&mut self, request: usize) {
        for (_, line) in self.lines.iter_mut().filter(|(watched, _)| watched.request == request) {
            line.is_least = true;
            line.level = None;
            line.rate.forget();
        }
    }

    /// All edges so far are written, at this time of their clock. An edge stamped before the watch or in the future is
    /// from another clock, and tells nothing about the delay.
    pub(crate) fn written(&mut self, now_ns: Option<u64>) {
        let times = self.began_ns.zip(now_ns);
        for (at, stamp_ns) in self.unwritten.drain(..) {
            if let Some((began_ns, now_ns)) = times
                && stamp_ns >= began_ns
                && let Some(latency_ns) = now_ns.checked_sub(stamp_ns)
            {
                self.lines[at].1.latency.add(latency_ns);
            }
        }
    }

    /// The report since the last one. Begins the next.
    pub(crate) fn report(&mut self, now: Instant) -> String {
        let period = now.duration_since(std::mem::replace(&mut self.reported, now));
        let sum = |of: fn(&LineStats) -> u64| self.lines.iter().map(|(_, line)| of(line)).sum::<u64>();
        let (edges, missing, total) = (sum(|line| line.edges), sum(|line| line.missing), sum(|line| line.total));
        let least = if self.lines.iter().any(|(_, line)| line.is_least) { "at least " } else { "" };
        let mut text = format!("stats of {:.1} s: {}, ", period.as_secs_f64(), plural(edges, "edge"));
        // Writing to a string does not fail.
        let _ = match missing {
            0 => write!(text, "none missing"),
            missing => write!(text, "{missing} missing"),
        };
        let _ = writeln!(text, "; {least}{total} in all");
        let mut quiet = 0;
        for (watched, line) in &mut self.lines {
            let rate = line.rate.at(now, period);
            let is_steady = rate.is_some_and(|rate| !rate.fades);
            if line.edges == 0 && line.missing == 0 && !is_steady && watched.unit.is_none() {
                quiet += 1;
                continue;
            }
            line.report(&mut text, watched, rate);
        }
        if quiet > 0 {
            let _ = writeln!(text, "  {} quiet", plural(quiet, "line"));
        }
        text
    }
}

impl LineStats {
    fn report(&mut self, text: &mut String, watched: &OutputLine, rate: Option<Figure>) {
        let name = LineId {
            chip: &watched.chip,
            offset: watched.offset,
            name: watched.shown(),
            with_chip: watched.shares_name,
            unquoted: false,
        };
        let (edges, missing) = (std::mem::take(&mut self.edges), std::mem::take(&mut self.missing));
        let _ = write!(text, "  {name}: {edges}, ");
        match rate {
            Some(Figure { per_second, is_least, .. }) => {
                let least = if is_least { "at least " } else { "" };
                let _ = write!(text, "{least}{}/s", figure(per_second));
                if let Some(Unit { name, per_edge }) = &watched.unit {
                    let _ = write!(text, " = {} {name}/s", figure(per_second * per_edge));
                }
            }
            None => text.push_str("no rate yet"),
        }
        if let Some(Unit { name, per_edge }) = &watched.unit {
            let least = if self.is_least { "at least " } else { "" };
            let total = self.total as f64 * per_edge;
            let _ = write!(text, ", {least}{total:.*} {name} in all", decimals(*per_edge));
        }
        let level = self.level.map_or("?", |level| if level { "1" } else { "0" });
        let _ = write!(text, ", {missing} missing, level {level}");
        if let Some([p50, p99, max]) = self.latency.take_percentiles() {
            let _ = write!(text, ", written after p50 {} p99 {} max {}", short(p50), short(p99), short(max));
        }
        text.push('\n');
    }
}

/// Three significant digits, or all digits of a whole number.
fn figure(value: f64) -> String {
    let digits_before = if value.abs() > 0.0 { value.abs().log10().floor() } else { 0.0 };
    format!("{value:.*}", (2.0 - digits_before).clamp(0.0, 9.0) as usize)
}

/// Number of digits after the point.
fn decimals(value: f64) -> usize {
    value.to_string().split_once('.').map_or(0, |(_, digits)| digits.len().min(9))
}

fn short(ns: u64) -> String {
    match Duration::from_nanos(ns) {
        time if time.as_micros() < 1000 => format!("{} us", time.as_micros()),
        time if time.as_millis() < 1000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        time => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_totals_those_of_their_unit() {
        for (value, expected) in
            [(0.0, "0.00"), (0.5555555, "0.556"), (1.1111, "1.11"), (12.34, "12.3"), (123.4, "123"), (98765.4, "98765")]
        {
            assert_eq!(figure(value), expected);
        }
        assert_eq!(figure(0.000_055_55), "0.0000556");
        for (per_edge, expected) in [(0.5, 1), (1.0, 0), (0.001, 3), (1.0 / 3.0, 9), (250.0, 0), (-0.25, 2)] {
            assert_eq!(decimals(per_edge), expected, "{per_edge}");
        }
    }
}
