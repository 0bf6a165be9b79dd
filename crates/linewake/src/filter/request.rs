//! A request whose edges are filtered.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::lines::LineFilters;
use super::order::Order;
use super::stream::{Arrival, Core, EdgeSource};
use super::{Filter, FilterEvent, FilterTally};
use crate::ready::wait_next;
use crate::{Error, LineId, Request};

/// A [`Request`] with a [`Filter`] for each line. [`Request::filtered`] and [`Request::filtered_lines`] make it.
///
/// ```
/// use linewake::Chip;
/// use linewake::filter::FilterEvent;
/// let chip = Chip::open("sim")?; // with a button that bounces, pressed every second or so
/// let mut events = chip.request().line("button").start()?.filtered("button".parse()?)?;
/// for _ in 0..2 {
///     if let FilterEvent::Edge(edge) = events.wait_next().expect("nobody stopped it")? {
///         println!("{} {}", edge.timestamp_ns, edge.kind.as_str());
///     }
/// }
/// let tally = events.tally("button")?;
/// assert_eq!(tally.delivered, tally.passed + tally.filtered + tally.held);
/// # Ok::<(), linewake::Error>(())
/// ```
///
/// The edges' stamps tell the time, so the result does not depend on when the program reads it. Only while the request
/// has no edge does time pass by itself. An edge that the driver's queue delivers late may then find its bounce already
/// decided, and it begins another bounce. The filter's periods delay an edge, so edges of several lines are not in
/// order of time.
///
/// The timers of all filters of a process run on its one dispatcher thread.
#[must_use = "a request that is dropped gives its lines back"]
pub struct Filtered(Core<Request>);

impl Request {
    /// Filters the edges of all its lines.
    ///
    /// # Errors
    /// As [`LineFilter::new`](super::LineFilter::new), with the name of the line; and the system's error if it cannot
    /// create a timer.
    pub fn filtered(self, filter: Filter) -> Result<Filtered, Error> {
        let lines: Vec<_> = self.lines().iter().map(|line| (line.offset, filter)).collect();
        self.filtered_lines(lines)
    }

    /// Filters the edges of some of its lines. The edges of other lines pass unchanged.
    ///
    /// ```
    /// # let chip = linewake::Chip::options().life(false).open("sim")?;
    /// use linewake::filter::Filter;
    /// let request = chip.request().lines(["button", "door", "pps"]).start()?;
    /// let events = request.filtered_lines([("button", Filter::button()), ("door", "reed,release=20ms".parse()?)])?;
    /// assert_eq!(events.tally("pps")?.filtered, 0);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`filtered`](Self::filtered); [`ErrorKind::NoSuchLine`](crate::ErrorKind) if the request does not have the
    /// line.
    pub fn filtered_lines<L: Into<LineId>>(
        self,
        filters: impl IntoIterator<Item = (L, Filter)>,
    ) -> Result<Filtered, Error> {
        let mut of_lines = vec![None; self.lines().len()];
        for (line, filter) in filters {
            of_lines[self.place(line)?] = Some(filter);
        }
        let mut lines = LineFilters::default();
        for (line, filter) in self.lines().iter().zip(of_lines) {
            lines.add(0, line, filter)?;
        }
        Ok(Filtered(Core::new(self, lines, vec![0], Order::new(None))?))
    }
}

impl Filtered {
    /// The next event, or `None` after the request was [stopped](Request::stopper). Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Request::next`], after the events that the filters still held.
    pub async fn next(&mut self) -> Option<Result<FilterEvent, Error>> {
        poll_fn(|cx| self.poll_next_event(cx)).await
    }

    /// Blocks the thread until [`next`](Self::next) is ready.
    ///
    /// # Errors
    /// As [`Request::wait_next`].
    pub fn wait_next(&mut self) -> Option<Result<FilterEvent, Error>> {
        wait_next(None, "an edge", |cx| self.poll_next_event(cx))
    }

    /// As [`wait_next`](Self::wait_next), but at most for `timeout`.
    ///
    /// # Errors
    /// As [`Request::wait_next_timeout`].
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<FilterEvent, Error>> {
        wait_next(Some(timeout), "an edge", |cx| self.poll_next_event(cx))
    }

    /// The next event that is already there, without waiting.
    pub fn next_ready(&mut self) -> Option<FilterEvent> {
        self.0.next_ready()
    }

    /// The request, with its lines, values and stopper.
    pub fn request(&self) -> &Request {
        &self.0.source
    }

    /// Returns the request without the filters. Edges that the filters held are lost; they would count as filtered.
    pub fn into_inner(self) -> Request {
        self.0.source
    }

    /// The tally of a line. A line without a filter passes all edges and counts none.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`](crate::ErrorKind) if the request does not have the line.
    pub fn tally(&self, line: impl Into<LineId>) -> Result<FilterTally, Error> {
        let place = self.0.source.place(line)?;
        Ok(self.0.tally(place))
    }

    /// The sum of the tallies of all lines.
    #[must_use]
    pub fn total(&self) -> FilterTally {
        self.0.tallies().fold(FilterTally::default(), FilterTally::and)
    }

    fn poll_next_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<FilterEvent, Error>>> {
        self.0.poll_next(cx)
    }
}

impl EdgeSource for Request {
    type Event = FilterEvent;

    fn poll_came(&mut self, cx: &mut Context<'_>, _: &[usize]) -> Poll<Option<Result<Arrival<FilterEvent>, Error>>> {
        self.poll_batch(cx).map_ok(|()| match self.next_placed() {
            Some((place, edge, _)) => Arrival::Edge { place, edge },
            None => Arrival::Nothing,
        })
    }

    fn event(_: &[usize], _: usize, event: FilterEvent) -> FilterEvent {
        event
    }

    fn is_edge(event: &FilterEvent) -> bool {
        matches!(event, FilterEvent::Edge(_))
    }
}

impl futures_core::Stream for Filtered {
    type Item = Result<FilterEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_event(cx)
    }
}

impl fmt::Debug for Filtered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filtered").field("request", &self.0.source).finish_non_exhaustive()
    }
}
