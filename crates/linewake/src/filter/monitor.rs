//! A monitor whose edges are filtered.

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
use crate::{Error, Event, LineId, Monitor};

/// A [`Monitor`] with a [`Filter`] for each line. [`Monitor::filtered`] and [`Monitor::filtered_lines`] make it.
///
/// ```
/// use linewake::{Chip, Event, Monitor};
/// let chip = Chip::options().life(false).open("sim")?;
/// let monitor = Monitor::builder().request(chip.request().lines(["button", "tamper"])).start()?;
/// let mut events = monitor.filtered("button,chatter=100/s".parse()?)?;
/// chip.world().toggle("button", 7)?; // it bounces, and stays pressed
/// let Some(Ok(Event::Edge { edge, .. })) = events.wait_next() else { panic!("one edge") };
/// assert_eq!(edge.line_seqno, 1, "the first of the seven, with its stamp");
/// let [button, tamper] = events.tallies()[0][..] else { panic!("two lines") };
/// assert_eq!((button.delivered, button.passed, button.filtered, tamper.delivered), (7, 1, 6, 0));
/// assert_eq!(events.into_inner().finish()[0].total().delivered, 7);
/// # Ok::<(), linewake::Error>(())
/// ```
///
/// - **Events.** Other events than edges pass unchanged, in their place. An [`Event::Chatter`] tells that a line was
///   blocked or unblocked for chatter.
/// - **Order.** A filter's periods delay an edge. The other events wait for it, so that all come in the order of their
///   time stamps. They wait at most twice the longest sum of a line's glitch and debounce periods. So three kinds of
///   edges may come after events with a later stamp: the first edge of a bounce that lasts longer than that, the last
///   edge of a line that chattered, and sometimes, when the program reads late, an edge of a chip with its own clock.
/// - **Time.** The edges' stamps tell the time, as in a [`Filtered`](super::Filtered) request, so the result does not
///   depend on when the program reads it. Only while the monitor has no edge does time pass by itself. A chip with its
///   own clock has its own time.
/// - **Unplugged chips.** When a chip is unplugged, its lines count as quiet: edges that waited for quiet come before
///   the [`Gap`](crate::Gap), and blocked lines are unblocked. When the chip is back, its filters start again from the
///   levels that the lines have then. The tally goes on.
/// - **Cost.** An edge costs the same with few lines and with many, and allocates nothing. Events that passed and wait
///   for others are held here, in addition to the monitor's [`capacity`](crate::MonitorBuilder::capacity): as many as
///   pass within the waiting time.
#[must_use = "a monitor that is dropped gives its lines back"]
pub struct FilteredMonitor(Core<Monitor>);

impl Monitor {
    /// Filters the edges of all its lines. Call it before you take the first event, because a filter must know the
    /// level that its line has.
    ///
    /// # Errors
    /// As [`filtered_lines`](Self::filtered_lines).
    pub fn filtered(self, filter: Filter) -> Result<FilteredMonitor, Error> {
        let mut filters = self.no_filters()?;
        filters.iter_mut().for_each(|of_request| of_request.fill(Some(filter)));
        self.with_filters(&filters)
    }

    /// Filters the edges of some of its lines, each given by its request and line. The edges of other lines pass
    /// unchanged.
    ///
    /// ```
    /// # let chip = linewake::Chip::options().life(false).open("sim")?;
    /// # use linewake::Monitor;
    /// use linewake::filter::Filter;
    /// let monitor = Monitor::builder()
    ///     .request(chip.request().lines(["button", "pps"]))
    ///     .request(chip.request().line("door"))
    ///     .start()?;
    /// let door = "reed,release=20ms".parse()?;
    /// let events = monitor.filtered_lines([(0, "button", Filter::button()), (1, "door", door)])?;
    /// # let _ = events;
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind) for a filter whose settings contradict each other, for a glitch
    ///   filter on a line with only one kind of edge watched, and for a monitor that has ended.
    /// - [`ErrorKind::NoSuchLine`](crate::ErrorKind) if the monitor does not have the request or the line.
    /// - An error that [`is_disconnected`](Error::is_disconnected) while a chip is unplugged.
    /// - The system's error if it cannot create a timer.
    pub fn filtered_lines<L: Into<LineId>>(
        self,
        filters: impl IntoIterator<Item = (usize, L, Filter)>,
    ) -> Result<FilteredMonitor, Error> {
        let mut of_lines = self.no_filters()?;
        for (request, line, filter) in filters {
            let place = self.request(request)?.place(line)?;
            of_lines[request][place] = Some(filter);
        }
        self.with_filters(&of_lines)
    }

    /// No filter, for each line of each request.
    fn no_filters(&self) -> Result<Vec<Vec<Option<Filter>>>, Error> {
        (0..self.requests()).map(|request| Ok(vec![None; self.request(request)?.lines().len()])).collect()
    }

    fn with_filters(mut self, filters: &[Vec<Option<Filter>>]) -> Result<FilteredMonitor, Error> {
        let (mut lines, mut firsts) = (LineFilters::default(), Vec::new());
        for (request, (filters, clock)) in filters.iter().zip(self.clocks()).enumerate() {
            firsts.push(lines.len());
            for (line, filter) in self.request(request)?.lines().iter().zip(filters) {
                lines.add(clock, line, *filter)?;
            }
        }
        let order = Order::new(Some(lines.delay_ns()));
        lines.know_the_undecided();
        self.tell_filters_states(true);
        Ok(FilteredMonitor(Core::new(self, lines, firsts, order)?))
    }
}

impl FilteredMonitor {
    /// The next event, or `None` after the monitor was [stopped](Monitor::stopper). Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Monitor::next`], after the events that the filters still held.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|cx| self.0.poll_next(cx)).await
    }

    /// Blocks the thread until [`next`](Self::next) is ready.
    ///
    /// # Errors
    /// As [`Monitor::wait_next`].
    pub fn wait_next(&mut self) -> Option<Result<Event, Error>> {
        wait_next(None, "an event", |cx| self.0.poll_next(cx))
    }

    /// As [`wait_next`](Self::wait_next), but at most for `timeout`.
    ///
    /// # Errors
    /// As [`Monitor::wait_next_timeout`].
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<Event, Error>> {
        wait_next(Some(timeout), "an event", |cx| self.0.poll_next(cx))
    }

    /// The next event that came together with the last one, without waiting.
    pub fn next_ready(&mut self) -> Option<Event> {
        self.0.next_ready()
    }

    /// The monitor, with its clock, stopper and accounts. The filters do not change these.
    pub fn monitor(&self) -> &Monitor {
        &self.0.source
    }

    /// Returns the monitor without the filters. Edges that the filters held are lost; they would count as filtered.
    pub fn into_inner(self) -> Monitor {
        let mut monitor = self.0.source;
        monitor.tell_filters_states(false);
        monitor
    }

    /// The tally of each line, per request, in the order of [`Monitor::accounts`]. A line without a filter passes all
    /// edges and counts none.
    #[must_use]
    pub fn tallies(&self) -> Vec<Vec<FilterTally>> {
        let mut tallies = self.0.tallies();
        let of_request = |lines: usize| tallies.by_ref().take(lines).collect();
        self.0.requests().map(|places| places.len()).map(of_request).collect()
    }

    /// The sum of the tallies of all lines.
    #[must_use]
    pub fn total(&self) -> FilterTally {
        self.0.tallies().fold(FilterTally::default(), FilterTally::and)
    }
}

impl EdgeSource for Monitor {
    type Event = Event;

    fn poll_came(&mut self, cx: &mut Context<'_>, firsts: &[usize]) -> Poll<Option<Result<Arrival<Event>, Error>>> {
        self.poll_placed(cx).map_ok(|(event, place)| match event {
            Event::Edge { request, edge } => Arrival::Edge { place: firsts[request] + place, edge },
            Event::State { request, ref state } => Arrival::Begin {
                place: firsts[request] + place,
                active: state.active,
                event: self.shows_states().then_some(event),
            },
            Event::Gap { request, ref gap } if !gap.is_over => Arrival::Gone { request, event },
            Event::Gap { ref gap, .. } => Arrival::Other { at_ns: gap.to_ns, event },
            Event::Clock { ref step, .. } => Arrival::Other { at_ns: Some(step.arrival_ns), event },
            Event::Chatter { .. } => Arrival::Other { at_ns: None, event },
        })
    }

    fn event(firsts: &[usize], place: usize, event: FilterEvent) -> Event {
        let request = firsts.partition_point(|&first| first <= place) - 1;
        match event {
            FilterEvent::Edge(edge) => Event::Edge { request, edge },
            FilterEvent::Chatter(chatter) => Event::Chatter { request, chatter },
        }
    }

    fn is_edge(event: &Event) -> bool {
        matches!(event, Event::Edge { .. })
    }
}

impl futures_core::Stream for FilteredMonitor {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(cx)
    }
}

impl fmt::Debug for FilteredMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilteredMonitor").field("monitor", &self.0.source).finish_non_exhaustive()
    }
}
