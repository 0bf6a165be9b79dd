//! Filters for recordings. The edges' stamps alone tell the time, and nothing sleeps.

use std::fmt;
use std::time::Instant;

use super::lines::LineFilters;
use super::order::Order;
use super::stream::EventTime;
use super::{Filter, FilterEvent, FilterTally, nanoseconds};
use crate::{EdgeEvent, Error};

/// Filters recorded edges, with a [`Filter`] for each line. The same edges pass as in a
/// [`FilteredMonitor`](super::FilteredMonitor) whose program takes each edge when it comes, and in the same order. (A
/// program that takes many edges at once may get those of different lines in another order.) The edges'
/// [`axis_ns`](EdgeEvent::axis_ns) tells the time.
///
/// Other events keep their place between the edges; `T` is their type.
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// # let mut edges = chip.request().line("button").start()?;
/// # chip.world().toggle("button", 7)?;
/// # let mut next = || edges.wait_next().unwrap();
/// use linewake::filter::{FilterEvent, FilteredRecording, Passed};
/// let mut recording = FilteredRecording::<()>::new("button".parse()?)?;
/// let button = recording.add_line();
/// for _ in 0..7 {
///     recording.push(button, next()?);
/// }
/// assert!(recording.pop().is_none(), "it may bounce yet");
/// recording.finish();
/// let Some(Passed::Line { event: FilterEvent::Edge(press), .. }) = recording.pop() else { panic!("one edge") };
/// assert_eq!((press.line_seqno, recording.tally(button).filtered), (1, 6));
/// # Ok::<(), linewake::Error>(())
/// ```
pub struct FilteredRecording<T> {
    filter: Filter,
    lines: LineFilters,
    order: Order<Passed<T>>,
    latest_ns: u64,
    /// A moment that stays the same, because only stamps tell the time.
    still: Instant,
}

/// An event that leaves a [`FilteredRecording`].
///
/// ```
/// # use linewake::filter::Passed;
/// # fn example(passed: Passed<&str>) {
/// match passed {
///     Passed::Line { place, event } => println!("line {place}: {event:?}"),
///     Passed::Other(other) => println!("{other}"),
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed<T> {
    /// An event of a line: an edge, or the start or end of chatter.
    Line {
        /// The line, as [`add_line`](FilteredRecording::add_line) returned it.
        place: usize,
        /// The event.
        event: FilterEvent,
    },
    /// Another event.
    Other(T),
}

impl<T> FilteredRecording<T> {
    /// Filters the edges of all lines that are [added](Self::add_line).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind) for a filter whose settings contradict each other.
    pub fn new(filter: Filter) -> Result<Self, Error> {
        // Every line gets the same filter: if it is accepted once, it is accepted each time.
        LineFilters::default().add_recorded(filter)?;
        let mut lines = LineFilters::default();
        lines.know_the_undecided();
        let delay_ns = nanoseconds(filter.glitch.saturating_add(filter.press.max(filter.release)));
        Ok(Self { filter, lines, order: Order::new(Some(delay_ns)), latest_ns: 0, still: Instant::now() })
    }

    /// Adds a line, and returns its place.
    pub fn add_line(&mut self) -> usize {
        // This cannot fail: the same filter was accepted before.
        let _ = self.lines.add_recorded(self.filter);
        self.lines.len() - 1
    }

    /// The watch of a line begins, or begins again. `active` is its level, if known.
    pub fn begin(&mut self, place: usize, active: Option<bool>) {
        self.lines.begin(place, active);
    }

    /// Takes an edge.
    pub fn push(&mut self, place: usize, edge: EdgeEvent) {
        let still = self.still;
        self.latest_ns = self.latest_ns.max(edge.axis_ns);
        self.order.see(edge.axis_ns, still);
        self.tell(|lines, into| lines.push(place, edge, still, into));
        self.release();
    }

    /// No more edges come from a line for now: its chip is unplugged, or the recording is over. The line counts as
    /// quiet.
    pub fn rest(&mut self, place: usize) {
        self.tell(|lines, into| lines.finish(place..place + 1, into));
        self.release();
    }

    /// Takes another event, with its time if it has one.
    pub fn other(&mut self, axis_ns: Option<u64>, event: T) {
        if let Some(axis_ns) = axis_ns {
            self.latest_ns = self.latest_ns.max(axis_ns);
            self.order.see(axis_ns, self.still);
        }
        self.order.put(0, self.latest_ns, Passed::Other(event));
        self.release();
    }

    /// When the next event may leave although nothing else comes.
    #[must_use]
    pub fn due_ns(&self) -> Option<u64> {
        self.lines.due_ns().into_iter().chain(self.order.due_ns()).min()
    }

    /// Lets time pass up to `axis_ns`. Everything from before must have come.
    pub fn pass(&mut self, axis_ns: u64) {
        self.order.see(axis_ns, self.still);
        self.tell(|lines, into| lines.pass_time(0, axis_ns, into));
        self.release();
    }

    /// Ends the recording: each line counts as quiet.
    pub fn finish(&mut self) {
        self.tell(|lines, into| lines.finish(0..lines.len(), into));
        self.release();
    }

    /// The next event that leaves.
    pub fn pop(&mut self) -> Option<Passed<T>> {
        self.order.pop()
    }

    /// The tally of a line.
    #[must_use]
    pub fn tally(&self, place: usize) -> FilterTally {
        let mut tally = self.lines.tally(place);
        let is_its = |event: &Passed<T>| match event {
            Passed::Line { place: other, event: FilterEvent::Edge(_) } => *other == place,
            _ => false,
        };
        tally.hold_back(self.order.iter().filter(|(_, event)| is_its(event)).count() as u64);
        tally
    }

    /// The sum of the tallies of all lines.
    #[must_use]
    pub fn total(&self) -> FilterTally {
        (0..self.lines.len()).fold(FilterTally::default(), |total, place| total.and(self.tally(place)))
    }

    fn tell(&mut self, tell: impl FnOnce(&mut LineFilters, super::lines::Say<'_>)) {
        let order = &mut self.order;
        let mut time = EventTime::default();
        tell(&mut self.lines, &mut |place, event| {
            let at_ns = time.of(place, &event);
            order.put(place, at_ns, Passed::Line { place, event });
        });
    }

    fn release(&mut self) {
        let horizon_ns = self.order.horizon_ns(None);
        self.order.release(self.lines.first_undecided_ns(horizon_ns));
    }
}

impl<T> fmt::Debug for FilteredRecording<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilteredRecording").field("filter", &self.filter).finish_non_exhaustive()
    }
}
