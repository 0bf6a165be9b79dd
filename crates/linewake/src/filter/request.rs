//! A request whose edges are filtered.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::lines::Lines;
use super::order::Order;
use super::stream::{Came, Core, Source};
use super::{Filter, FilterEvent, FilterTally};
use crate::ready::wait_next;
use crate::{Error, LineId, Request};

/// A [`Request`] whose edges go through a [`Filter`] for each line: [`Request::filtered`], [`Request::filtered_lines`].
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
/// Time passes by the edges' stamps, so what comes out does not depend on when it is read; only when the request has no edge
/// to give does it pass by itself. Then an edge that was stamped before it is through the driver's queue late, and may find
/// its bounce decided: it begins another. An edge that passes comes later than its stamp by the filter's periods, so those of
/// several lines are not in order of time.
///
/// All filters of a process sleep on the one thread that dispatches completions.
#[must_use = "a request that is dropped gives its lines back"]
pub struct Filtered(Core<Request>);

impl Request {
    /// Filters the edges of all its lines.
    ///
    /// # Errors
    /// As [`LineFilter::new`](super::LineFilter::new), naming the line; and what the system says when it has no timer.
    pub fn filtered(self, filter: Filter) -> Result<Filtered, Error> {
        let lines: Vec<_> = self.lines().iter().map(|line| (line.offset, filter)).collect();
        self.filtered_lines(lines)
    }

    /// Filters the edges of some of its lines. The others pass as they are.
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
    /// As [`filtered`](Self::filtered); [`ErrorKind::NoSuchLine`](crate::ErrorKind) when one is not of this request.
    pub fn filtered_lines<L: Into<LineId>>(
        self,
        filters: impl IntoIterator<Item = (L, Filter)>,
    ) -> Result<Filtered, Error> {
        let mut of_lines = vec![None; self.lines().len()];
        for (line, filter) in filters {
            of_lines[self.place(line)?] = Some(filter);
        }
        let mut lines = Lines::default();
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
    /// As [`Request::next`], after what the filters still held.
    pub async fn next(&mut self) -> Option<Result<FilterEvent, Error>> {
        poll_fn(|cx| self.poll_next_event(cx)).await
    }

    /// [`next`](Self::next) for a thread.
    ///
    /// # Errors
    /// As [`Request::wait_next`].
    pub fn wait_next(&mut self) -> Option<Result<FilterEvent, Error>> {
        wait_next(None, "an edge", |cx| self.poll_next_event(cx))
    }

    /// [`wait_next`](Self::wait_next), at most for `timeout`.
    ///
    /// # Errors
    /// As [`Request::wait_next_timeout`].
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<FilterEvent, Error>> {
        wait_next(Some(timeout), "an edge", |cx| self.poll_next_event(cx))
    }

    /// The next event of those that are there, without waiting.
    pub fn next_ready(&mut self) -> Option<FilterEvent> {
        self.0.next_ready()
    }

    /// The request: its lines, its values, its stopper.
    pub fn request(&self) -> &Request {
        &self.0.source
    }

    /// Gives the request back, without filters. What they held is filtered.
    pub fn into_inner(self) -> Request {
        self.0.source
    }

    /// What the filter of a line made of its edges. Of a line without a filter all have passed, and none is counted.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`](crate::ErrorKind) when it is not of this request.
    pub fn tally(&self, line: impl Into<LineId>) -> Result<FilterTally, Error> {
        let place = self.0.source.place(line)?;
        Ok(self.0.tally(place))
    }

    /// What the filters of all lines made of their edges.
    #[must_use]
    pub fn total(&self) -> FilterTally {
        self.0.tallies().fold(FilterTally::default(), FilterTally::and)
    }

    fn poll_next_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<FilterEvent, Error>>> {
        self.0.poll_next(cx)
    }
}

impl Source for Request {
    type Event = FilterEvent;

    fn poll_came(&mut self, cx: &mut Context<'_>, _: &[usize]) -> Poll<Option<Result<Came<FilterEvent>, Error>>> {
        self.poll_batch(cx).map_ok(|()| match self.next_placed() {
            Some((place, edge, _)) => Came::Edge { place, edge },
            None => Came::Nothing,
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
