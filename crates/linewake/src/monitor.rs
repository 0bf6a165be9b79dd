//! The monitor merges many requests on many chips into one stream, in order of time. The stream can go on after a chip
//! was unplugged.

mod builder;
mod event;
mod merge;
mod source;

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use overlapped::{Port, Sleep};

pub use self::builder::MonitorBuilder;
pub use self::event::{Event, Gap, LineState};
use self::merge::Merge;
pub use self::merge::{MonitorStats, WhenFull};
use self::source::{MonitoredRequest, Status};
use crate::ready::{Ready, wait_next};
use crate::{Account, Chip, Clock, Error, ErrorKind, Request, Stopper};

/// One stream of the events of many requests on many chips, in order of time.
///
/// ```
/// use linewake::{Chip, Event, Monitor};
/// let (left, right) = (Chip::options().life(false).open("sim")?, Chip::options().life(false).open("sim")?);
/// let mut monitor = Monitor::builder()
///     .request(left.request().line("door"))
///     .request(right.request().all_lines())
///     .start()?;
/// left.world().toggle("door", 1)?;
/// right.world().toggle("button", 1)?;
/// let mut order = Vec::new();
/// while order.len() < 2 {
///     if let Event::Edge { request, .. } = monitor.wait_next().expect("nobody stopped it")? {
///         order.push(request);
///     }
/// }
/// assert_eq!(order, [0, 1]);
/// let accounts = monitor.finish();
/// assert_eq!(accounts.iter().map(|account| account.total().delivered).sum::<u64>(), 2);
/// # Ok::<(), linewake::Error>(())
/// ```
///
/// - **Order.** Edges come in order of their [time](crate::EdgeEvent::axis_ns) if they arrive within the
///   [window](MonitorBuilder::window) of each other. An edge that arrives later than that is given out of order and
///   [counted](MonitorStats::late). Edges of one line never change places, whatever their stamps are.
/// - **Clocks that step.** When a clock is set, wraps or starts again, an [`Event::Clock`] comes before the first edge
///   that it stamps. The stamps stay those of the driver; the time by which edges are ordered goes on without a step.
/// - **Chips with the same name.** In events each chip has [a name](Self::chip_name) that no other chip has and that
///   never changes, even when the chip is plugged in at another port.
/// - **Time.** If all chips have the same clock, time stamps are in its time. Otherwise they are in the system's UTC,
///   with which each chip's clock is compared once at the start; see [`clock`](Self::clock).
/// - **Memory.** The monitor holds at most [`capacity`](MonitorBuilder::capacity) events. [`WhenFull`] sets what it
///   does then.
/// - **Filters.** [`filtered`](Self::filtered) adds debounce, glitch and chatter filters.
/// - **Unplugged chips.** With [`reattach`](MonitorBuilder::reattach) the stream reports a [`Gap`] and goes on when the
///   chip is back. Without it the stream ends with an error.
#[must_use = "a monitor that is dropped gives its lines back"]
pub struct Monitor {
    sources: Vec<MonitoredRequest>,
    ready: Ready,
    merge: Merge,
    options: MonitorBuilder,
    clock: Clock,
    stopper: Stopper,
    is_stopping: bool,
    sleep: Sleep,
    /// When it was last looked for what there is.
    looked: Instant,
    /// The value of `looked` when the last edge was given.
    last_edge: Option<Instant>,
    /// The error that ended the stream. It is reported after all events from before it.
    end: Option<Error>,
    is_over: bool,
    /// True if only the filters need states and the program did not ask for them.
    hides_states: bool,
}

/// The longest time that edges may gather in a chip's queue before they are taken; queues are large enough for that.
const GATHER: Duration = Duration::from_millis(1);

impl MonitorBuilder {
    /// Starts all requests.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a request, and the errors of
    /// [`RequestBuilder::start`](crate::RequestBuilder::start). After an error no lines are held.
    pub fn start(self) -> Result<Monitor, Error> {
        if self.requests.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "the monitor has no requests; add one with \"request\""));
        }
        Monitor::new(self)
    }
}

impl Monitor {
    /// Options of a monitor: the requests, and how to monitor them.
    pub fn builder() -> MonitorBuilder {
        MonitorBuilder::new()
    }

    fn new(mut options: MonitorBuilder) -> Result<Self, Error> {
        let requests = std::mem::take(&mut options.requests);
        // The monitor holds edges back for the window anyway.
        let gather = options.window.min(GATHER);
        let start = |request: crate::RequestBuilder| MonitoredRequest::start(request.gather_unless_set(gather));
        let sources = requests.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
        let mut sources = sources;
        source::name_chips(&mut sources);
        let clock = source::common_clock(&sources);
        let mut ready = Ready::new();
        let stopper = Stopper::new(&ready);
        let mut merge = Merge::new(options.window, options.capacity, options.when_full);
        for (index, source) in sources.iter_mut().enumerate() {
            ready.add();
            source.set_clock(clock);
            if options.states {
                source.states(index, None, &mut merge);
            }
        }
        Ok(Self {
            sources,
            ready,
            merge,
            options,
            clock,
            stopper,
            is_stopping: false,
            sleep: Port::global()?.sleep_until(None),
            looked: Instant::now(),
            last_edge: None,
            end: None,
            is_over: false,
            hides_states: false,
        })
    }

    /// The clock of the time stamps: the chips' clock if all have the same, or else the system's UTC.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The chip of a request, as it is now. `None` if there is no such request.
    #[must_use]
    pub fn chip(&self, request: usize) -> Option<&Chip> {
        self.sources.get(request).map(MonitoredRequest::chip)
    }

    /// The name that events give the chip of a request; it never changes. It is the chip's name, or its
    /// [`id`](crate::ChipInfo::id) if several chips have the same name. `None` if there is no such request.
    #[must_use]
    pub fn chip_name(&self, request: usize) -> Option<&Arc<str>> {
        self.sources.get(request).map(MonitoredRequest::chip_name)
    }

    /// A handle that can end the stream from another thread or task.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Counts of what the monitor did so far.
    #[must_use]
    pub fn stats(&self) -> MonitorStats {
        self.merge.stats
    }

    /// The time of the wake-up that brought the last edge that was given, even if a filter holds that edge back. A
    /// program that waits until a line was quiet for some time computes from this when to look again.
    ///
    /// ```
    /// # let chip = linewake::Chip::options().life(false).open("sim")?;
    /// let mut monitor = linewake::Monitor::builder().request(chip.request().line("door")).start()?;
    /// assert_eq!(monitor.last_edge_at(), None);
    /// chip.world().toggle("door", 1)?;
    /// monitor.wait_next().expect("it goes on")?;
    /// assert!(monitor.last_edge_at() <= Some(std::time::Instant::now()));
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn last_edge_at(&self) -> Option<Instant> {
        self.last_edge
    }

    /// The next event, or `None` after the stream was [stopped](Self::stopper). Dropping the future loses nothing.
    ///
    /// # Errors
    /// The error that ended the stream, once, after all events from before it: a chip was unplugged
    /// ([`Error::is_disconnected`]) without [`reattach`](MonitorBuilder::reattach), or a chip violated its protocol.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Blocks the thread until [`next`](Self::next) is ready.
    ///
    /// # Errors
    /// As [`next`](Self::next); and [`Deadlock`](crate::ErrorKind::Deadlock) on the thread that dispatches completions,
    /// which does not end the stream.
    pub fn wait_next(&mut self) -> Option<Result<Event, Error>> {
        wait_next(None, "an event", |cx| self.poll_event(cx))
    }

    /// As [`wait_next`](Self::wait_next), but at most for `timeout`.
    ///
    /// # Errors
    /// As [`wait_next`](Self::wait_next); and an error that [`is_timeout`](Error::is_timeout), which does not end the
    /// stream.
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<Event, Error>> {
        wait_next(Some(timeout), "an event", |cx| self.poll_event(cx))
    }

    /// The next event that came together with the last one, without waiting. Programs use it to write out all events of
    /// one wake-up at once.
    pub fn next_ready(&mut self) -> Option<Event> {
        self.next_placed().map(|(event, _)| event)
    }

    /// The event, with the place of its line in the request. The place means nothing for events without a line.
    fn next_placed(&mut self) -> Option<(Event, usize)> {
        let (event, place) = self.merge.pop()?;
        Some((self.given(event, place), place))
    }

    /// Counts an event that leaves. An edge reports the edges of its line that were dropped before it.
    fn given(&mut self, mut event: Event, place: usize) -> Event {
        if let Event::Edge { request, edge } = &mut event {
            self.merge.stats.delivered += 1;
            self.last_edge = Some(self.looked);
            self.sources[*request].tell_dropped(place, edge);
        }
        event
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        self.poll_placed(cx).map_ok(|(event, _)| event)
    }

    pub(crate) fn poll_placed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(Event, usize), Error>>> {
        loop {
            if let Some(event) = self.next_placed() {
                return Poll::Ready(Some(Ok(event)));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            if !self.is_stopping && self.stopper.is_stopped() {
                self.is_stopping = true;
                self.sources.iter_mut().for_each(MonitoredRequest::stop);
                (0..self.sources.len()).for_each(|source| self.ready.push(source));
            }
            let now = Instant::now();
            self.looked = now;
            self.poll_sources(cx, now);
            let is_drained = self.end.is_some() || self.sources.iter().all(MonitoredRequest::is_over);
            self.merge.release(now, is_drained);
            if self.merge.has_released() {
                continue;
            }
            if is_drained {
                self.is_over = true;
                return Poll::Ready(self.end.take().map(Err));
            }
            if self.merge.has_undrained() {
                continue;
            }
            if !self.is_stopping && self.stopper.is_stopped() {
                // The stopper woke this task after the check above, and the wake was taken for a source's.
                continue;
            }
            if self.sleep_until(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Takes events from the sources that woke, as long as there is room.
    fn poll_sources(&mut self, cx: &mut Context<'_>, now: Instant) {
        for source in 0..self.sources.len() {
            if self.sources[source].is_due(now) {
                self.ready.push(source);
            }
        }
        self.merge.begin();
        let mut idle = 0;
        while self.end.is_none()
            && self.merge.has_room()
            && let Some(index) = self.ready.pop(cx.waker())
        {
            if idle > 2 * self.sources.len() {
                // Sources may wake again and again without an event. Return, so that the caller's timeout is seen.
                self.ready.push(index);
                cx.waker().wake_by_ref();
                break;
            }
            let source = &mut self.sources[index];
            let waker = self.ready.waker(index);
            let _relay = self.ready.relay(cx.waker(), index);
            match source.poll(index, &mut Context::from_waker(waker), now, &self.options, &mut self.merge) {
                Status::Drained => {
                    idle += 1;
                    self.merge.drained(index);
                }
                Status::More => {
                    self.merge.has_more(index, self.sources[index].last_ns());
                    self.ready.push(index);
                    // After each source had its turn, merge their events by time.
                    if self.merge.is_everyone_asked(self.sources.len()) {
                        break;
                    }
                }
                Status::Ended(error) => self.end = Some(error),
            }
            for (request, place) in self.merge.take_dropped() {
                self.sources[request].drop_edge(place);
            }
        }
        self.merge.arrived(now);
    }

    /// Ready when there may be an event to release, or a chip to look for.
    fn sleep_until(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let retries = self.sources.iter().filter_map(MonitoredRequest::retry_at);
        self.sleep.reset(retries.chain(self.merge.release_at()).min());
        Pin::new(&mut self.sleep).poll(cx)
    }

    pub(crate) fn requests(&self) -> usize {
        self.sources.len()
    }

    /// A request; an error if its chip is unplugged or the monitor is over.
    pub(crate) fn request(&self, request: usize) -> Result<&Request, Error> {
        let none = || {
            let message = format!("request {request} is out of range; the monitor has {}, from 0", self.sources.len());
            Error::new(ErrorKind::NoSuchLine, message)
        };
        self.sources.get(request).ok_or_else(none)?.request()
    }

    /// For each request, the place of the first request with the same clock.
    pub(crate) fn clocks(&self) -> Vec<usize> {
        let clocks: Vec<_> = self.sources.iter().map(MonitoredRequest::own_clock).collect();
        let first = |(request, clock): (usize, &Clock)| {
            let same = clocks.iter().position(|other| other.name == clock.name);
            same.filter(|_| !clock.is_of_its_own()).unwrap_or(request)
        };
        clocks.iter().enumerate().map(first).collect()
    }

    /// Turns on states for the filters, which need the level of each line when its chip is back.
    pub(crate) fn tell_filters_states(&mut self, tell: bool) {
        if tell && !self.options.states {
            (self.options.states, self.hides_states) = (true, true);
        } else if !tell && self.hides_states {
            (self.options.states, self.hides_states) = (false, false);
        }
    }

    /// True if the program asked for states.
    pub(crate) fn shows_states(&self) -> bool {
        !self.hides_states
    }

    /// The account of each request so far; see [`Request::account`](crate::Request::account).
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        self.sources.iter().map(MonitoredRequest::account).collect()
    }

    /// Gives the lines back, asks the chips for their last figures, and returns the account of each request, in the
    /// order of the requests; see [`Request::finish`](crate::Request::finish). Edges that the monitor took from the
    /// chips but the program did not take count as discarded.
    #[must_use]
    pub fn finish(mut self) -> Vec<Account> {
        for (request, place) in self.merge.drain() {
            self.sources[request].discard_edge(place);
        }
        self.sources.drain(..).map(MonitoredRequest::finish).collect()
    }
}

impl futures_core::Stream for Monitor {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(cx)
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("requests", &self.sources.len()).finish_non_exhaustive()
    }
}
