//! The rate of a line, as a meter shows it: measured between its last edges, and not counted in a window.
//!
//! A pulse is two edges, and its level may be long on one side and short on the other. So the time is measured between
//! two edges of the same direction, which is constant for a steady signal. When no edge comes, the rate fades: it is at
//! most what it would be if the next edge came now.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use linewake::{EdgeEvent, EdgeKind};

/// At most this many edges are remembered.
const KEPT: usize = 64;

/// The last edges of a line.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// The oldest first.
    last: VecDeque<TimedEdge>,
    /// When the last edge arrived.
    came: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct TimedEdge {
    /// The time on the axis, which goes on where a clock steps.
    at_ns: u64,
    kind: EdgeKind,
    /// Edges are missing before it.
    is_late: bool,
}

/// The rate of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure {
    /// Edges a second.
    pub(super) per_second: f64,
    /// The true rate may be higher, because edges are missing.
    pub(super) is_least: bool,
    /// The rate fades, because the last edge is long ago.
    pub(super) fades: bool,
}

impl Rate {
    pub(super) fn edge(&mut self, edge: &EdgeEvent, now: Instant) {
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        let is_late = edge.missed.total() > 0;
        self.last.push_back(TimedEdge { at_ns: edge.axis_ns, kind: edge.kind, is_late });
        self.came = Some(now);
    }

    /// Forgets the edges so far, so that no rate is measured across a gap.
    pub(super) fn forget(&mut self) {
        self.last.clear();
    }

    /// The rate over a window before the last edge, or over one period of the signal if that is longer. `None` if there
    /// was no period yet.
    pub(super) fn at(&self, now: Instant, window: Duration) -> Option<Figure> {
        let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let newest = self.last.len().checked_sub(1)?;
        let last = self.last[newest];
        let mut from = None;
        for (place, seen) in self.last.iter().enumerate().take(newest).rev() {
            let span_ns = last.at_ns.saturating_sub(seen.at_ns);
            if seen.kind != last.kind || span_ns == 0 {
                continue;
            }
            if from.is_some() && span_ns > window_ns {
                break;
            }
            from = Some((place, span_ns));
        }
        let (place, span_ns) = from?;
        let measured = per_second(newest - place, Duration::from_nanos(span_ns));
        let since = now.saturating_duration_since(self.came?);
        let before = self.last[newest - 1];
        // The rate if the next edge came now. Its direction is the other one, unless the last two edges had the same.
        let next = if before.kind == last.kind {
            per_second(1, since)
        } else {
            per_second(2, since.saturating_add(Duration::from_nanos(last.at_ns.saturating_sub(before.at_ns))))
        };
        let is_least = self.last.range(place + 1..).any(|seen| seen.is_late);
        Some(Figure { per_second: measured.min(next), is_least, fades: next < measured })
    }
}

/// Infinite in no time.
fn per_second(edges: usize, time: Duration) -> f64 {
    edges as f64 / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use linewake::Missed;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(1);

    /// Edges at these times, in milliseconds, that come when they happen; and a clock by which to look.
    struct Bench {
        rate: Rate,
        began: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { rate: Rate::default(), began: Instant::now() }
        }

        fn edge(&mut self, ms: u64, kind: EdgeKind) {
            self.late(ms, kind, 0);
        }

        fn late(&mut self, ms: u64, kind: EdgeKind, missing: u32) {
            let edge = EdgeEvent {
                chip: "meter".into(),
                offset: 0.into(),
                name: None,
                kind,
                timestamp_ns: 0,
                axis_ns: ms * 1_000_000,
                seqno: 0,
                line_seqno: 0,
                missed: Missed { overflowed: missing, merged: 0 },
            };
            self.rate.edge(&edge, self.began + Duration::from_millis(ms));
        }

        fn at(&self, ms: u64) -> Option<f64> {
            self.rate.at(self.began + Duration::from_millis(ms), WINDOW).map(|figure| figure.per_second)
        }
    }

    fn is_near(figure: Option<f64>, expected: f64) -> bool {
        figure.is_some_and(|figure| (figure - expected).abs() < expected * 1e-6)
    }

    #[test]
    fn a_steady_meter_shows_one_figure_whenever_it_is_looked_at() {
        let mut bench = Bench::new();
        for pulse in 1..200 {
            bench.edge(pulse * 1800, EdgeKind::Rising);
            bench.edge(pulse * 1800 + 50, EdgeKind::Falling);
            for look in (50..1800).step_by(175) {
                let figure = bench.at(pulse * 1800 + look);
                match pulse {
                    1 => assert_eq!(figure, None, "no length of time is known by one pulse"),
                    _ => assert!(is_near(figure, 2.0 / 1.8), "{figure:?} after {look} ms"),
                }
            }
        }
    }

    #[test]
    fn it_fades_when_no_edge_comes_and_never_jumps() {
        let mut bench = Bench::new();
        for ms in [0, 50, 1800, 1850] {
            bench.edge(ms, if ms % 100 == 0 { EdgeKind::Rising } else { EdgeKind::Falling });
        }
        assert!(is_near(bench.at(3600), 2.0 / 1.8));
        let figures: Vec<_> = (36..720).map(|tenths| bench.at(tenths * 100).unwrap()).collect();
        assert!(figures.windows(2).all(|two| two[1] < two[0] && two[1] > two[0] * 0.9), "{figures:?}");
        assert!(is_near(bench.at(61_800), 2.0 / 60.0));
        // The next pulse comes, and the rate is measured by its distance from the last one.
        bench.edge(61_800, EdgeKind::Rising);
        assert!(is_near(bench.at(61_800), 2.0 / 60.0));
        bench.edge(61_850, EdgeKind::Falling);
        assert!(is_near(bench.at(61_900), 2.0 / 60.0));
    }

    #[test]
    fn edges_of_one_direction_are_counted_from_one_to_the_next() {
        let mut bench = Bench::new();
        for ms in [0, 250, 500, 750, 1000, 1250] {
            bench.edge(ms, EdgeKind::Rising);
        }
        assert!(is_near(bench.at(1300), 4.0));
        assert!(is_near(bench.at(3250), 0.5));
        // The rate is the same if an edge between them is missing, and the figure says that one is.
        bench.late(1500, EdgeKind::Rising, 1);
        let figure = bench.rate.at(bench.began + Duration::from_millis(1500), WINDOW).unwrap();
        assert!(is_near(Some(figure.per_second), 4.0) && figure.is_least, "{figure:?}");
    }

    #[test]
    fn what_was_before_the_window_is_not_counted_unless_there_is_no_other() {
        let mut bench = Bench::new();
        for ms in [0, 3_600_000, 3_600_100, 3_600_200, 3_600_300] {
            bench.edge(ms, EdgeKind::Rising);
        }
        assert!(is_near(bench.at(3_600_300), 10.0), "{:?}", bench.at(3_600_300));
        bench.rate.forget();
        assert_eq!(bench.at(3_600_300), None);
        bench.edge(4_000_000, EdgeKind::Rising);
        assert_eq!(bench.at(4_000_000), None);
    }

    #[test]
    fn edges_of_one_moment_have_no_rate() {
        let mut bench = Bench::new();
        for _ in 0..3 * KEPT {
            bench.edge(5, EdgeKind::Rising);
        }
        assert_eq!((bench.at(6), bench.rate.last.len()), (None, KEPT));
    }
}
