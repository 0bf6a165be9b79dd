//! Filters of what was recorded: time is what the edges say, and nothing waits.

use std::fmt;
use std::time::Instant;

use super::lines::LineFilters;
use super::order::Order;
use super::stream::EventTime;
use super::{Filter, FilterEvent, FilterTally, nanoseconds};
use crate::{EdgeEvent, Error};

/// Edges that were recorded go through a [`Filter`] for each line: what passes is what a
/// [`FilteredMonitor`](super::FilteredMonitor) would have let pass, in the order of a program that takes each edge when it
/// comes. (One that takes many at once may be given those of different lines in another.) Time is that of the edges'
/// [`axis_ns`](EdgeEvent::axis_ns).
///
/// Other things that happened keep their place between the edges; `T` is what they are.
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
    /// A moment that does not pass: stamps alone say what time it is.
    still: Instant,
}

/// What leaves a [`FilteredRecording`].
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
    /// Something of a line: an edge, or that it is blocked.
    Line {
        /// Which line: what [`add_line`](FilteredRecording::add_line) gave.
        place: usize,
        /// What is said of it.
        event: FilterEvent,
    },
    /// Something else.
    Other(T),
}

impl<T> FilteredRecording<T> {
    /// Filters the edges of all lines that are [added](Self::add_line).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind) for a filter that makes no sense.
    pub fn new(filter: Filter) -> Result<Self, Error> {
        // Those that are added make sense if this one does.
        LineFilters::default().add_recorded(filter)?;
        let mut lines = LineFilters::default();
        lines.know_the_undecided();
        let delay_ns = nanoseconds(filter.glitch.saturating_add(filter.press.max(filter.release)));
        Ok(Self { filter, lines, order: Order::new(Some(delay_ns)), latest_ns: 0, still: Instant::now() })
    }

    /// One more line; its place is given.
    pub fn add_line(&mut self) -> usize {
        // It made sense before.
        let _ = self.lines.add_recorded(self.filter);
        self.lines.len() - 1
    }

    /// The watch of a line begins, or begins again, and the line has this level if that is known.
    pub fn begin(&mut self, place: usize, active: Option<bool>) {
        self.lines.begin(place, active);
    }

    /// An edge came.
    pub fn push(&mut self, place: usize, edge: EdgeEvent) {
        let still = self.still;
        self.latest_ns = self.latest_ns.max(edge.axis_ns);
        self.order.see(edge.axis_ns, still);
        self.tell(|lines, into| lines.push(place, edge, still, into));
        self.release();
    }

    /// No more comes of a line for now: its chip is gone, or the recording is over. It stays as it is.
    pub fn rest(&mut self, place: usize) {
        self.tell(|lines, into| lines.finish(place..place + 1, into));
        self.release();
    }

    /// Something else happened, at a time if it has one.
    pub fn other(&mut self, axis_ns: Option<u64>, event: T) {
        if let Some(axis_ns) = axis_ns {
            self.latest_ns = self.latest_ns.max(axis_ns);
            self.order.see(axis_ns, self.still);
        }
        self.order.put(0, self.latest_ns, Passed::Other(event));
        self.release();
    }

    /// When something leaves though no more comes.
    #[must_use]
    pub fn due_ns(&self) -> Option<u64> {
        self.lines.due_ns().into_iter().chain(self.order.due_ns()).min()
    }

    /// It is `axis_ns`, and all from before has come.
    pub fn pass(&mut self, axis_ns: u64) {
        self.order.see(axis_ns, self.still);
        self.tell(|lines, into| lines.pass_time(0, axis_ns, into));
        self.release();
    }

    /// It is over: each line stays as it is.
    pub fn finish(&mut self) {
        self.tell(|lines, into| lines.finish(0..lines.len(), into));
        self.release();
    }

    /// What leaves next.
    pub fn pop(&mut self) -> Option<Passed<T>> {
        self.order.pop()
    }

    /// What became of a line's edges.
    #[must_use]
    pub fn tally(&self, place: usize) -> FilterTally {
        let mut tally = self.lines.tally(place);
        let is_its = |event: &Passed<T>| matches!(event, Passed::Line { place: other, event: FilterEvent::Edge(_) } if *other == place);
        tally.hold_back(self.order.iter().filter(|(_, event)| is_its(event)).count() as u64);
        tally
    }

    /// What became of all lines' edges.
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
