//! One time axis for a whole capture: on a line it never goes back, and every edge has a place on it.
//!
//! Within a segment the axis follows the stamps, without the steps of their clock. At a new segment it follows the
//! clock, if that is the same clock and it went on. Otherwise the new segment begins where the last one ended.

use linewake::ClockName;

/// The time of one line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LineTime {
    axis_ns: u64,
    /// The segment of its last edge.
    segment: u64,
}

/// The axis so far.
#[derive(Debug, Default)]
pub(crate) struct Axis {
    /// The shift from the stamps of each chip to the axis.
    shifts: Vec<i128>,
    /// The shift at the beginning of the segment, plus the steps that no record announced.
    base: i128,
    /// The shift at the beginning of the segment, without the unannounced steps.
    began: i128,
    /// The shift of each chip, with only the announced steps of its clock.
    told: Vec<i128>,
    /// The last stamp of an edge of each chip.
    stamps: Vec<Option<u64>>,
    /// The chip of the last item.
    last_chip: Option<usize>,
    /// The latest time.
    latest_ns: Option<u64>,
    /// The clock: its name, and the boot of the computer.
    clock: Option<(String, Option<String>)>,
    is_same_clock: bool,
    /// No item of this segment has a time yet.
    is_fresh: bool,
    segment: u64,
    /// Whether the capture announces steps itself.
    tells_steps: bool,
}

/// If a clock goes back by less than this, the axis stands still until the clock has caught up, and no step is
/// reported: stamps of two processors, or of a handler and a thread, may be in the wrong order.
const STEP_NS: u64 = 1_000_000;
/// The time between two items when the real time is unknown: long enough to be seen in a waveform.
const BETWEEN_NS: u64 = 1_000;

impl Axis {
    pub(crate) fn add_chip(&mut self) {
        self.shifts.push(self.base);
        self.told.push(self.began);
        self.stamps.push(None);
    }

    /// Begins another segment. If `clock` is `None`, the clock counts as the same one when its time goes on.
    pub(crate) fn begin_segment(&mut self, clock: Option<&str>, boot_id: Option<&str>, tells_steps: bool) {
        let name = clock.unwrap_or(ClockName::Realtime.as_str());
        let known = ClockName::named(name);
        // All clocks but the real time start again when the computer starts.
        let boot_id = boot_id.filter(|_| known != Some(ClockName::Realtime));
        // Each run of a simulation has its own clock. So has each opening of a device whose clock starts then.
        let goes_on = match known {
            Some(ClockName::Realtime) => true,
            Some(ClockName::Monotonic) => boot_id.is_some(),
            _ => false,
        };
        let clock = (name.to_owned(), boot_id.map(str::to_owned));
        self.is_same_clock = goes_on && self.clock.as_ref() == Some(&clock);
        self.clock = Some(clock);
        // The clock goes on as its last step left it.
        self.base = self.last_chip.map_or(self.base, |chip| self.shifts[chip]);
        (self.is_fresh, self.tells_steps) = (true, tells_steps);
        self.segment += 1;
    }

    /// The latest time so far.
    pub(crate) fn latest_ns(&self) -> Option<u64> {
        self.latest_ns
    }

    /// The time of an item of a chip, from its stamp. It is never before the beginning of the axis.
    pub(crate) fn at(&mut self, chip: usize, stamp_ns: u64) -> u64 {
        if self.is_fresh {
            self.is_fresh = false;
            let goes_on = |latest_ns: u64| i128::from(stamp_ns) + self.base >= i128::from(latest_ns);
            match self.latest_ns {
                Some(latest_ns) if self.is_same_clock && goes_on(latest_ns) => {}
                Some(latest_ns) => self.base = i128::from(latest_ns) - i128::from(stamp_ns),
                None => {}
            }
            self.began = self.base;
            self.shifts.fill(self.base);
            self.told.fill(self.base);
            self.stamps.fill(None);
        }
        self.last_chip = Some(chip);
        let at_ns = shifted(stamp_ns, self.shifts[chip]);
        self.latest_ns = self.latest_ns.max(Some(at_ns));
        at_ns
    }

    /// The time of an edge. If the edge shows that the clock was set back, and no record announced it, the second value
    /// is by how much.
    #[inline]
    pub(crate) fn edge(&mut self, chip: usize, line: &mut LineTime, stamp_ns: u64) -> (u64, Option<u64>) {
        let mut at_ns = self.at(chip, stamp_ns);
        let mut step_ns = None;
        if at_ns < line.axis_ns {
            let back_ns = line.axis_ns - at_ns;
            if back_ns >= STEP_NS && !self.tells_steps && line.segment == self.segment {
                // The edge comes after everything else, and the time in between is unknown.
                let now_ns = self.latest_ns.unwrap_or(0).max(line.axis_ns).saturating_add(BETWEEN_NS);
                // All chips have the same clock.
                let by = i128::from(now_ns) - i128::from(at_ns);
                self.shifts.iter_mut().for_each(|shift| *shift += by);
                self.base += by;
                step_ns = Some(back_ns);
                at_ns = now_ns;
            } else {
                at_ns = line.axis_ns;
            }
        }
        (line.axis_ns, line.segment) = (at_ns, self.segment);
        self.latest_ns = self.latest_ns.max(Some(at_ns));
        (at_ns, step_ns)
    }

    /// A step of a chip's clock that this edge shows and no record announced: the stamp before it, and the stamp that
    /// the clock would have shown now.
    #[inline]
    pub(crate) fn untold(&mut self, chip: usize, stamp_ns: u64) -> Option<(u64, u64)> {
        let before_ns = self.stamps[chip].replace(stamp_ns);
        if self.told[chip] == self.shifts[chip] {
            return None;
        }
        self.told[chip] = self.shifts[chip];
        let arrival_ns = shifted(stamp_ns, self.shifts[chip] - self.began);
        Some((before_ns.unwrap_or(stamp_ns), arrival_ns))
    }

    /// The clock of a chip stepped: an item stamped `after_ns` would have been stamped `arrival_ns` without any step.
    pub(crate) fn step(&mut self, chip: usize, after_ns: u64, arrival_ns: u64) {
        // A segment may begin with a step.
        self.at(chip, arrival_ns);
        self.shifts[chip] = self.base + i128::from(arrival_ns) - i128::from(after_ns);
        self.told[chip] = self.shifts[chip];
    }
}

fn shifted(stamp_ns: u64, shift: i128) -> u64 {
    u64::try_from((i128::from(stamp_ns) + shift).max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn axis(clock: &str, tells_steps: bool) -> Axis {
        let mut axis = Axis::default();
        axis.add_chip();
        axis.add_chip();
        axis.begin_segment(Some(clock), Some("boot"), tells_steps);
        axis
    }

    #[test]
    fn a_clock_that_is_set_back_holds_the_axis_and_goes_on() {
        let (mut axis, mut line, mut other) = (axis("realtime", false), LineTime::default(), LineTime::default());
        assert_eq!(axis.edge(0, &mut line, 3 * SECOND), (3 * SECOND, None));
        assert_eq!(axis.edge(0, &mut line, 4 * SECOND), (4 * SECOND, None));
        assert_eq!(axis.edge(0, &mut line, 2 * SECOND), (4 * SECOND + 1000, Some(2 * SECOND)));
        assert_eq!(axis.edge(1, &mut other, 3 * SECOND), (5 * SECOND + 1000, None), "the clock is that of all chips");
        assert_eq!(axis.edge(0, &mut line, 3 * SECOND + 5), (5 * SECOND + 1005, None));
        assert_eq!(axis.edge(0, &mut line, 3 * SECOND), (5 * SECOND + 1005, None), "two processors");
        assert_eq!(axis.edge(0, &mut line, 4 * SECOND), (6 * SECOND + 1000, None));
    }

    #[test]
    fn steps_that_are_told_are_carried_out_of_the_axis_to_the_nanosecond() {
        let (mut axis, mut line) = (axis("realtime", true), LineTime::default());
        let year = 31_536_000 * SECOND;
        assert_eq!(axis.edge(0, &mut line, SECOND).0, SECOND);
        axis.step(0, 50 * year + 7, 2 * SECOND + 1);
        assert_eq!(axis.edge(0, &mut line, 50 * year + 7).0, 2 * SECOND + 1);
        assert_eq!(axis.edge(0, &mut line, 50 * year + 9).0, 2 * SECOND + 3);
        axis.step(0, 3, 2 * SECOND + 11);
        assert_eq!(axis.edge(0, &mut line, 3), (2 * SECOND + 11, None));
        axis.begin_segment(Some("realtime"), Some("boot"), true);
        assert_eq!(axis.edge(0, &mut line, 5), (2 * SECOND + 13, None), "the same clock, as its last step left it");
        axis.step(0, 50, 60);
        assert_eq!(axis.edge(0, &mut line, 51).0, 2 * SECOND + 69);
    }

    #[test]
    fn a_segment_goes_on_with_its_clock_or_where_the_last_one_ended() {
        let (mut axis, mut line) = (axis("monotonic", true), LineTime::default());
        assert_eq!(axis.edge(0, &mut line, 5 * SECOND).0, 5 * SECOND);
        axis.begin_segment(Some("monotonic"), Some("boot"), true);
        assert_eq!(axis.edge(0, &mut line, 9 * SECOND).0, 9 * SECOND);
        axis.begin_segment(Some("monotonic"), Some("another boot"), true);
        assert_eq!(axis.edge(0, &mut line, 70 * SECOND).0, 9 * SECOND, "another boot");
        assert_eq!(axis.edge(0, &mut line, 71 * SECOND).0, 10 * SECOND);
        axis.begin_segment(Some("realtime"), Some("x"), true);
        assert_eq!(axis.edge(0, &mut line, 3 * SECOND).0, 10 * SECOND);
        axis.begin_segment(Some("realtime"), Some("y"), true);
        assert_eq!(axis.edge(0, &mut line, 4 * SECOND).0, 11 * SECOND, "the time of day is that of every boot");
        axis.begin_segment(Some("realtime"), Some("y"), true);
        assert_eq!(axis.edge(0, &mut line, SECOND), (11 * SECOND, None), "it was set back in between");
        axis.begin_segment(Some("simulated"), Some("y"), true);
        axis.begin_segment(Some("simulated"), Some("y"), true);
        assert_eq!(axis.edge(0, &mut line, 90 * SECOND).0, 11 * SECOND);
    }

    #[test]
    fn a_time_beyond_64_bits_is_cut() {
        let (mut axis, mut line) = (axis("realtime", true), LineTime::default());
        axis.step(0, 0, u64::MAX);
        assert_eq!(axis.edge(0, &mut line, u64::MAX).0, u64::MAX);
        axis.step(0, u64::MAX, 0);
        axis.step(0, u64::MAX, 0);
        assert_eq!(axis.edge(0, &mut line, 5).0, u64::MAX, "never back");
    }
}
