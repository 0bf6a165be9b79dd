//! A monitor whose edges are filtered.

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
use crate::{Error, Event, LineId, Monitor};

/// A [`Monitor`] whose edges go through a [`Filter`] for each line: [`Monitor::filtered`], [`Monitor::filtered_lines`].
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
/// - **Events.** What is no edge passes as it is, in its place. That a line was blocked or unblocked for chatter is an
///   [`Event::Chatter`].
/// - **Order.** An edge that passes comes later than its stamp by the periods of its filter. The others wait for it, so that
///   all are in order of their time stamps again; but no longer than twice what the longest debounce and glitch filter take.
///   So these come behind others that were later: the first edge of a bounce that lasts longer than that period, the last of
///   a line that chattered, and now and then, when the program reads late, one of a chip with a clock of its own.
/// - **Time.** It passes by the edges' stamps, as in a [`Filtered`](super::Filtered) request, so that what comes out does not
///   depend on when it is read; only when the monitor has no edge to give does it pass by itself. Chips that each have a clock
///   of their own each have a time of their own.
/// - **Unplugged chips.** When a chip is gone its lines stay as they are: what waited for quiet has it, and comes before the
///   [`Gap`](crate::Gap); a line that was blocked for chatter is unblocked. When the chip is back its filters begin anew,
///   with the levels that the lines have then. The tally goes on.
/// - **Cost.** The same for an edge of few lines and of many, and no allocation. What passed and waits for others is held
///   here, beyond the monitor's [`capacity`](crate::MonitorBuilder::capacity): as much as passes within that time.
#[must_use = "a monitor that is dropped gives its lines back"]
pub struct FilteredMonitor(Core<Monitor>);

impl Monitor {
    /// Filters the edges of all its lines. To be asked for before the first event is taken: a filter has to know the level
    /// its line has.
    ///
    /// # Errors
    /// As [`filtered_lines`](Self::filtered_lines).
    pub fn filtered(self, filter: Filter) -> Result<FilteredMonitor, Error> {
        let mut filters = self.no_filters()?;
        filters.iter_mut().for_each(|of_request| of_request.fill(Some(filter)));
        self.with_filters(&filters)
    }

    /// Filters the edges of some of its lines, each said by its request and the line of it. The others pass as they are.
    ///
    /// ```
    /// # let chip = linewake::Chip::options().life(false).open("sim")?;
    /// # use linewake::Monitor;
    /// use linewake::filter::Filter;
    /// let monitor = Monitor::builder()
    ///     .request(chip.request().lines(["button", "pps"]))
    ///     .request(chip.request().line("door"))
    ///     .start()?;
    /// let events = monitor.filtered_lines([(0, "button", Filter::button()), (1, "door", "reed,release=20ms".parse()?)])?;
    /// # let _ = events;
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind) for a filter that makes no sense, for a glitch filter of a line of
    ///   which one kind of edge is watched, and for a monitor that is over.
    /// - [`ErrorKind::NoSuchLine`](crate::ErrorKind) when a request or a line is not of this monitor.
    /// - One that [`is_disconnected`](Error::is_disconnected) while a chip is gone.
    /// - What the system says when it has no timer.
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

    /// For each request, and for each of its lines.
    fn no_filters(&self) -> Result<Vec<Vec<Option<Filter>>>, Error> {
        (0..self.requests()).map(|request| Ok(vec![None; self.request(request)?.lines().len()])).collect()
    }

    fn with_filters(mut self, filters: &[Vec<Option<Filter>>]) -> Result<FilteredMonitor, Error> {
        let (mut lines, mut firsts) = (Lines::default(), Vec::new());
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
    /// What happens next, or `None` after the monitor was [stopped](Monitor::stopper). Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Monitor::next`], after what the filters still held.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|cx| self.0.poll_next(cx)).await
    }

    /// [`next`](Self::next) for a thread.
    ///
    /// # Errors
    /// As [`Monitor::wait_next`].
    pub fn wait_next(&mut self) -> Option<Result<Event, Error>> {
        wait_next(None, "an event", |cx| self.0.poll_next(cx))
    }

    /// [`wait_next`](Self::wait_next), at most for `timeout`.
    ///
    /// # Errors
    /// As [`Monitor::wait_next_timeout`].
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<Event, Error>> {
        wait_next(Some(timeout), "an event", |cx| self.0.poll_next(cx))
    }

    /// The next of what came with the last one, without waiting.
    pub fn next_ready(&mut self) -> Option<Event> {
        self.0.next_ready()
    }

    /// The monitor: its clock, its stopper, its accounts. They know nothing of filters.
    pub fn monitor(&self) -> &Monitor {
        &self.0.source
    }

    /// Gives the monitor back, without filters. What they held is filtered.
    pub fn into_inner(self) -> Monitor {
        let mut monitor = self.0.source;
        monitor.tell_filters_states(false);
        monitor
    }

    /// What the filters made of each line's edges: line by line of each request, as [`Monitor::accounts`]. Of a line without a
    /// filter all have passed, and none is counted.
    #[must_use]
    pub fn tallies(&self) -> Vec<Vec<FilterTally>> {
        let mut tallies = self.0.tallies();
        let of_request = |lines: usize| tallies.by_ref().take(lines).collect();
        self.0.requests().map(|places| places.len()).map(of_request).collect()
    }

    /// What the filters of all lines made of their edges.
    #[must_use]
    pub fn total(&self) -> FilterTally {
        self.0.tallies().fold(FilterTally::default(), FilterTally::and)
    }
}

impl Source for Monitor {
    type Event = Event;

    fn poll_came(&mut self, cx: &mut Context<'_>, firsts: &[usize]) -> Poll<Option<Result<Came<Event>, Error>>> {
        self.poll_placed(cx).map_ok(|(event, place)| match event {
            Event::Edge { request, edge } => Came::Edge { place: firsts[request] + place, edge },
            Event::State { request, ref state } => Came::Begin {
                place: firsts[request] + place,
                active: state.active,
                event: self.shows_states().then_some(event),
            },
            Event::Gap { request, ref gap } if !gap.is_over => Came::Gone { request, event },
            Event::Gap { ref gap, .. } => Came::Other { at_ns: gap.to_ns, event },
            Event::Clock { ref step, .. } => Came::Other { at_ns: Some(step.arrival_ns), event },
            Event::Chatter { .. } => Came::Other { at_ns: None, event },
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
