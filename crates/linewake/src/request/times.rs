//! The time of a request's edges: an axis for each queue and clock, and the place of each line on its axis.

use crate::axis::{Axis, Moment, Place, Step};
use crate::{Chip, ClockName, EventClock, WatchedLine};

/// The clocks that can stamp a chip's lines.
const CLOCKS: usize = 3;

/// The times of a request's edges.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    /// The axes of each part, by clock.
    parts: Vec<[Axis; CLOCKS]>,
    /// The place on the axis of each line.
    lines: Vec<Place>,
    /// The shift of each clock, as far as it was reported.
    told_ns: [i128; CLOCKS],
    /// True if one of the clocks is the time of day.
    reads_day: bool,
}

impl Times {
    pub(super) fn new(chip: &Chip, lines: &[WatchedLine], parts: usize) -> Self {
        let is_used = |clock| lines.iter().any(|line| line.config.clock == clock);
        let is_day = |clock| is_used(clock) && chip.backend().clock(clock).name == ClockName::Realtime;
        let are_day = [EventClock::Monotonic, EventClock::Realtime, EventClock::Hte].map(is_day);
        let reads_day = are_day.contains(&true);
        let began = Moment::now(reads_day);
        let axes = are_day.map(|is_day| Axis::new(&began, is_day));
        Self { parts: vec![axes; parts], lines: vec![Place::default(); lines.len()], told_ns: [0; CLOCKS], reads_day }
    }

    /// The moment at which edges of a part came: now.
    pub(super) fn came(&mut self, part: usize) -> Moment {
        let now = Moment::now(self.reads_day);
        self.parts[part].iter_mut().for_each(|axis| axis.came(&now));
        now
    }

    /// The time of a line's next edge, and the step of its clock before it, unless another part has reported that step.
    pub(super) fn put(
        &mut self,
        part: usize,
        (place, clock): (usize, EventClock),
        stamp_ns: u64,
        now: &Moment,
    ) -> (u64, Option<Step>) {
        let clock = clock as usize;
        let axis = &mut self.parts[part][clock];
        let (axis_ns, step) = axis.put(&mut self.lines[place], stamp_ns, now);
        let told_ns = &mut self.told_ns[clock];
        let step = step.filter(|_| (*told_ns - axis.shift_ns()).abs() > 1_000_000);
        if step.is_some() {
            *told_ns = axis.shift_ns();
        }
        (axis_ns, step)
    }

    /// A line has another clock from now on.
    pub(super) fn begin_anew(&mut self, place: usize) {
        self.lines[place] = Place::default();
    }

    /// Continues the time of the same lines on a chip that was gone.
    pub(super) fn go_on(&mut self, before: Self, lines: &[WatchedLine], part_of: impl Fn(usize) -> usize) {
        if before.parts.len() != self.parts.len() || before.lines.len() != self.lines.len() {
            return;
        }
        self.parts = before.parts;
        self.told_ns = before.told_ns;
        for (place, line) in lines.iter().enumerate() {
            self.lines[place] = self.parts[part_of(place)][line.config.clock as usize].place_again();
        }
    }
}
