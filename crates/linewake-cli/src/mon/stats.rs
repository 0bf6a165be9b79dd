//! Figures while it runs: how much comes on which line, and how late it is written.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use linewake::{EdgeEvent, EdgeKind, LineState};

use super::select::Watched;
use super::summary::plural;
use crate::shown::LineId;

/// What happened since the last report, line by line.
pub(crate) struct Stats {
    lines: Vec<(Watched, Line)>,
    began: Instant,
    /// Of the edges of this wake-up: line and time stamp.
    unwritten: Vec<(usize, u64)>,
}

#[derive(Default)]
struct Line {
    edges: u64,
    missing: u64,
    level: Option<bool>,
    latency: Histogram,
}

impl Stats {
    pub(crate) fn new(lines: &[Watched]) -> Self {
        let lines = lines.iter().map(|line| (line.clone(), Line::default())).collect();
        Self { lines, began: Instant::now(), unwritten: Vec::new() }
    }

    pub(crate) fn state(&mut self, line: usize, state: &LineState) {
        self.lines[line].1.level = state.active;
    }

    pub(crate) fn edge(&mut self, at: usize, edge: &EdgeEvent) {
        let line = &mut self.lines[at].1;
        line.edges += 1;
        line.missing += edge.missed.total();
        line.level = Some(edge.kind == EdgeKind::Rising);
        self.unwritten.push((at, edge.timestamp_ns));
    }

    /// All edges so far are written, at this time of their clock.
    pub(crate) fn written(&mut self, now_ns: Option<u64>) {
        for (at, stamp_ns) in self.unwritten.drain(..) {
            if let Some(now_ns) = now_ns {
                self.lines[at].1.latency.add(now_ns.saturating_sub(stamp_ns));
            }
        }
    }

    /// What happened since the last report; begins anew.
    pub(crate) fn report(&mut self, now: Instant) -> String {
        let period = now.duration_since(std::mem::replace(&mut self.began, now));
        let seconds = period.as_secs_f64().max(1e-9);
        let sum = |of: fn(&Line) -> u64| self.lines.iter().map(|(_, line)| of(line)).sum::<u64>();
        let (edges, missing) = (sum(|line| line.edges), sum(|line| line.missing));
        let mut text = format!("stats of {seconds:.1} s: {}, {:.1}/s, ", plural(edges, "edge"), edges as f64 / seconds);
        // Writing to a string does not fail.
        let _ = match missing {
            0 => writeln!(text, "none missing"),
            missing => writeln!(text, "{missing} missing"),
        };
        let mut quiet = 0;
        for (watched, line) in &mut self.lines {
            let (edges, missing) = (std::mem::take(&mut line.edges), std::mem::take(&mut line.missing));
            if edges == 0 && missing == 0 {
                quiet += 1;
                continue;
            }
            let name = LineId {
                chip: &watched.chip,
                offset: watched.offset,
                name: watched.shown(),
                with_chip: false,
                unquoted: false,
            };
            let rate = edges as f64 / seconds;
            let level = line.level.map_or("?", |level| if level { "1" } else { "0" });
            let _ = write!(text, "  {name}: {edges}, {rate:.1}/s");
            if let Some(unit) = &watched.unit {
                let _ = write!(text, " = {:.3} {}/s", rate * unit.per_edge, unit.name);
            }
            let _ = write!(text, ", {missing} missing, level {level}");
            if let Some([p50, p99, max]) = line.latency.take_percentiles() {
                let _ = write!(text, ", written after p50 {} p99 {} max {}", short(p50), short(p99), short(max));
            }
            text.push('\n');
        }
        if quiet > 0 {
            let _ = writeln!(text, "  {} quiet", plural(quiet, "line"));
        }
        text
    }
}

fn short(ns: u64) -> String {
    match Duration::from_nanos(ns) {
        time if time.as_micros() < 1000 => format!("{} us", time.as_micros()),
        time if time.as_millis() < 1000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        time => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// Counts of times, in steps of a sixteenth.
#[derive(Default)]
struct Histogram {
    /// Empty until something is counted.
    counts: Vec<u32>,
    count: u64,
    max: u64,
}

const STEPS: u32 = 16;

impl Histogram {
    fn add(&mut self, value: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; 64 * STEPS as usize];
        }
        let count = &mut self.counts[step(value)];
        *count = count.saturating_add(1);
        self.count += 1;
        self.max = self.max.max(value);
    }

    /// [`percentiles`](Self::percentiles); begins anew.
    fn take_percentiles(&mut self) -> Option<[u64; 3]> {
        let percentiles = self.percentiles();
        self.counts.fill(0);
        (self.count, self.max) = (0, 0);
        percentiles
    }

    /// Half of what was counted is not above the first, 99 % not above the second, nothing above the third.
    fn percentiles(&self) -> Option<[u64; 3]> {
        let at = |percent: u64| {
            let rank = (self.count * percent).div_ceil(100);
            let mut sum = 0;
            let step = self.counts.iter().position(|&count| {
                sum += u64::from(count);
                sum >= rank
            });
            step.map_or(self.max, |step| end(step).min(self.max))
        };
        (self.count > 0).then(|| [at(50), at(99), self.max])
    }
}

/// The step of a value: those below 16 are exact.
fn step(value: u64) -> usize {
    let bits = (u64::BITS - value.leading_zeros()).saturating_sub(STEPS.ilog2() + 1);
    (bits * STEPS) as usize + (value >> bits) as usize
}

/// The greatest value of a step.
fn end(step: usize) -> u64 {
    let bits = (step as u32 / STEPS).saturating_sub(1);
    let first = step as u64 - u64::from(bits * STEPS);
    ((first + 1) << bits).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_its_step() {
        for value in (0..5000).chain((0..64).map(|bit| 1 << bit)).chain((5..64).map(|bit| (1 << bit) - 1)) {
            let at = step(value);
            assert!(at < 64 * STEPS as usize, "{value}");
            let last = u128::from(end(at));
            assert!(u128::from(value) <= last && last <= u128::from(value) * 17 / 16, "{value} {at} {last}");
            assert_eq!(step(end(at)), at, "{value}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentiles(), None);
        for value in 1..=1000 {
            histogram.add(value * 1000);
        }
        let [p50, p99, max] = histogram.percentiles().unwrap();
        assert!((500_000..540_000).contains(&p50) && (990_000..=1_000_000).contains(&p99), "{p50} {p99}");
        assert_eq!(max, 1_000_000);
    }
}
