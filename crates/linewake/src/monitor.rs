//! The monitor: many requests on many chips as one stream, in order of time, that survives an unplugged chip.

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
use self::source::{Source, Status};
use crate::ready::{Ready, wait_next};
use crate::{Account, Chip, Clock, Error, ErrorKind, Request, Stopper};

/// Many requests, on many chips, as one stream of what happens, in order of time.
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
/// - **Order.** Edges are given in order of their [time](crate::EdgeEvent::axis_ns), as far as they arrive within the
///   [window](MonitorBuilder::window) of each other; one that comes later than that is given at once and
///   [counted](MonitorStats::late). Edges of one line never change places, whatever their stamps say.
/// - **Clocks that step.** A clock that is set, wraps or begins anew is an [`Event::Clock`] before the first edge that is
///   stamped by it. Stamps stay as the driver says; the time that edges are ordered by goes on.
/// - **Chips of one name.** In events each chip has [one name](Self::chip_name) from the start to the end, also when it is
///   plugged in elsewhere, and no two have the same.
/// - **Time.** If all chips have the same clock, time stamps are its. If not, they are the system's UTC, each chip's clock
///   compared with it once at the start; see [`clock`](Self::clock).
/// - **Memory.** At most [`capacity`](MonitorBuilder::capacity) events are held here, and [`WhenFull`] says what then.
/// - **Filters.** [`filtered`](Self::filtered) makes of it one with debounce, glitch and chatter filters.
/// - **Unplugged chips.** With [`reattach`](MonitorBuilder::reattach) the stream has a [`Gap`] and goes on when the chip is
///   back. Without, it ends with the error.
#[must_use = "a monitor that is dropped gives its lines back"]
pub struct Monitor {
    sources: Vec<Source>,
    ready: Ready,
    merge: Merge,
    options: MonitorBuilder,
    clock: Clock,
    stopper: Stopper,
    is_stopping: bool,
    sleep: Sleep,
    /// When it was last looked for what there is.
    looked: Instant,
    /// The same of when the last edge was given.
    last_edge: Option<Instant>,
    /// What ended the stream, to be told when all that came before is given.
    end: Option<Error>,
    is_over: bool,
    /// States are told for filters alone: the program did not ask for them.
    hides_states: bool,
}

/// The longest that edges may gather in a chip's queue before they are taken: queues are made for that.
const GATHER: Duration = Duration::from_millis(1);

impl MonitorBuilder {
    /// Starts every request.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without a request; what
    /// [`RequestBuilder::start`](crate::RequestBuilder::start) says. Then nothing is held.
    pub fn start(self) -> Result<Monitor, Error> {
        if self.requests.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "there is nothing to monitor: give it a request"));
        }
        Monitor::new(self)
    }
}

impl Monitor {
    /// What to monitor, and how.
    pub fn builder() -> MonitorBuilder {
        MonitorBuilder::new()
    }

    fn new(mut options: MonitorBuilder) -> Result<Self, Error> {
        let requests = std::mem::take(&mut options.requests);
        // They are held back for the window anyway.
        let gather = options.window.min(GATHER);
        let start = |request: crate::RequestBuilder| Source::start(request.gather_unless_set(gather));
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

    /// The clock of the time stamps: that of the chips if it is the same for all, else the system's UTC.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The chip of a request, as it is now; `None` if there is no such request.
    #[must_use]
    pub fn chip(&self, request: usize) -> Option<&Chip> {
        self.sources.get(request).map(Source::chip)
    }

    /// What events call the chip of a request, from the start to the end: its name; of chips that have the same name, each
    /// by its [`id`](crate::ChipInfo::id). `None` if there is no such request.
    #[must_use]
    pub fn chip_name(&self, request: usize) -> Option<&Arc<str>> {
        self.sources.get(request).map(Source::chip_name)
    }

    /// Something that can end the stream from elsewhere.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> MonitorStats {
        self.merge.stats
    }

    /// When the last edge was given, by the wake-up that brought it: also of one that a filter keeps back. So a program that
    /// waits for quiet looks when the quiet would be over, and not before.
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

    /// What happens next, or `None` after the stream was [stopped](Self::stopper). Dropping the future loses nothing.
    ///
    /// # Errors
    /// What ended the stream, once: a chip is gone ([`Error::is_disconnected`]) and was not to be waited for, or does not
    /// keep to its protocol. What had happened before is given before.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// [`next`](Self::next) for a thread.
    ///
    /// # Errors
    /// As [`next`](Self::next); and on a thread that dispatches completions one of kind
    /// [`Deadlock`](crate::ErrorKind::Deadlock), which ends nothing.
    pub fn wait_next(&mut self) -> Option<Result<Event, Error>> {
        wait_next(None, "an event", |cx| self.poll_event(cx))
    }

    /// [`wait_next`](Self::wait_next), at most for `timeout`.
    ///
    /// # Errors
    /// As [`wait_next`](Self::wait_next); and one that [`is_timeout`](Error::is_timeout), which ends nothing.
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<Event, Error>> {
        wait_next(Some(timeout), "an event", |cx| self.poll_event(cx))
    }

    /// The next of what came with the last one, without waiting: for programs that write out what one wake-up brought.
    pub fn next_ready(&mut self) -> Option<Event> {
        self.next_placed().map(|(event, _)| event)
    }

    /// With the place of the line in its request, if it is of a line.
    fn next_placed(&mut self) -> Option<(Event, usize)> {
        let (event, place) = self.merge.pop()?;
        Some((self.given(event, place), place))
    }

    /// An event leaves: what was dropped of its line before it is told with it.
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
                self.sources.iter_mut().for_each(Source::stop);
                (0..self.sources.len()).for_each(|source| self.ready.push(source));
            }
            let now = Instant::now();
            self.looked = now;
            self.poll_sources(cx, now);
            let is_drained = self.end.is_some() || self.sources.iter().all(Source::is_over);
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
                // Its alarm came after the look above, and was taken for a source's.
                continue;
            }
            if self.sleep_until(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Takes what the woken sources have, as long as there is room.
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
                // Sources may be woken again and again and bring nothing: who waits has a deadline.
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
                    // Each source has its turn: what they have is merged by the time it happened.
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

    /// Ready when there may be something to release, or a chip to look for.
    fn sleep_until(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let retries = self.sources.iter().filter_map(Source::retry_at);
        self.sleep.reset(retries.chain(self.merge.release_at()).min());
        Pin::new(&mut self.sleep).poll(cx)
    }

    pub(crate) fn requests(&self) -> usize {
        self.sources.len()
    }

    /// A request whose lines are held now.
    pub(crate) fn request(&self, request: usize) -> Result<&Request, Error> {
        let none = || {
            let message = format!("the monitor has {} requests, and none with the place {request}", self.sources.len());
            Error::new(ErrorKind::NoSuchLine, message)
        };
        self.sources.get(request).ok_or_else(none)?.request()
    }

    /// For each request the place of the first one with the same clock.
    pub(crate) fn clocks(&self) -> Vec<usize> {
        let clocks: Vec<_> = self.sources.iter().map(Source::own_clock).collect();
        let first = |(request, clock): (usize, &Clock)| {
            let same = clocks.iter().position(|other| other.name == clock.name);
            same.filter(|_| !clock.is_of_its_own()).unwrap_or(request)
        };
        clocks.iter().enumerate().map(first).collect()
    }

    /// A filter has to know the level of a line when its chip is back.
    pub(crate) fn tell_filters_states(&mut self, tell: bool) {
        if tell && !self.options.states {
            (self.options.states, self.hides_states) = (true, true);
        } else if !tell && self.hides_states {
            (self.options.states, self.hides_states) = (false, false);
        }
    }

    /// Whether states are for the program.
    pub(crate) fn shows_states(&self) -> bool {
        !self.hides_states
    }

    /// The account of each request so far; see [`Request::account`](crate::Request::account).
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        self.sources.iter().map(Source::account).collect()
    }

    /// Gives the lines back and asks the chips for the last figures: the account of each request, in the order they were
    /// given; see [`Request::finish`](crate::Request::finish). What was taken from the chips and not by the program is
    /// discarded.
    #[must_use]
    pub fn finish(mut self) -> Vec<Account> {
        for (request, place) in self.merge.drain() {
            self.sources[request].discard_edge(place);
        }
        self.sources.drain(..).map(Source::finish).collect()
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
