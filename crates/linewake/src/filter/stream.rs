//! A stream of edges and its filters: edges go through them, and time passes when no edge comes.

use std::future::Future as _;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use overlapped::{Port, Sleep};

use super::lines::{Lines, Say};
use super::order::Order;
use super::{ChatterKind, FilterEvent, FilterTally};
use crate::{EdgeEvent, Error};

/// So much may come and lead to nothing before it is somebody else's turn.
const BUDGET: usize = 1024;

/// What has edges of lines, known by their places.
pub(super) trait Source {
    /// What it is after the filters.
    type Event;

    /// The next of what comes. `firsts` are the first places of the requests.
    fn poll_came(&mut self, cx: &mut Context<'_>, firsts: &[usize]) -> Poll<Option<Result<Came<Self::Event>, Error>>>;

    /// What a filter says of the line at a place.
    fn event(firsts: &[usize], place: usize, event: FilterEvent) -> Self::Event;

    /// Whether it is an edge.
    fn is_edge(event: &Self::Event) -> bool;
}

/// What comes from a [`Source`].
pub(super) enum Came<E> {
    Edge {
        place: usize,
        edge: EdgeEvent,
    },
    /// A line begins to be watched, again if there was a gap. The event is for the program, if it wants it.
    Begin {
        place: usize,
        active: Option<bool>,
        event: Option<E>,
    },
    /// Of a request's lines no edges come until they begin again: the chip is gone.
    Gone {
        request: usize,
        event: E,
    },
    /// Something else that passes, and its time.
    Other {
        at_ns: Option<u64>,
        event: E,
    },
    Nothing,
}

/// Where in the order of time what filters say has its place.
#[derive(Default)]
pub(super) struct EventTime {
    /// The line that was unblocked last, and when.
    unblocked: Option<(usize, u64)>,
}

impl EventTime {
    pub(super) fn of(&mut self, place: usize, event: &FilterEvent) -> u64 {
        match event {
            // The edge that comes with the end of chatter is told behind it, though its stamp is from before.
            FilterEvent::Edge(edge) => match self.unblocked.take() {
                Some((whose, at_ns)) if whose == place => edge.axis_ns.max(at_ns),
                _ => edge.axis_ns,
            },
            FilterEvent::Chatter(chatter) => {
                self.unblocked = (chatter.kind == ChatterKind::Unblocked).then_some((place, chatter.axis_ns));
                chatter.axis_ns
            }
        }
    }
}

/// A source, its filters, and what passed.
pub(super) struct Core<S: Source> {
    pub(super) source: S,
    lines: Lines,
    /// The first place of each request.
    firsts: Vec<usize>,
    order: Order<S::Event>,
    sleep: Sleep,
    /// The latest time of what came.
    latest_ns: u64,
    /// How it ended, to be told when all events are taken.
    end: Option<Option<Error>>,
}

impl<S: Source> Core<S> {
    pub(super) fn new(source: S, lines: Lines, firsts: Vec<usize>, order: Order<S::Event>) -> Result<Self, Error> {
        let sleep = Port::global()?.sleep_until(None);
        Ok(Self { source, lines, firsts, order, sleep, latest_ns: 0, end: None })
    }

    pub(super) fn next_ready(&mut self) -> Option<S::Event> {
        self.order.pop()
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<S::Event, Error>>> {
        for _ in 0..BUDGET {
            if let Some(event) = self.order.pop() {
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(end) = &mut self.end {
                return Poll::Ready(end.take().map(Err));
            }
            match self.source.poll_came(cx, &self.firsts) {
                Poll::Ready(Some(Ok(came))) => self.take(came),
                Poll::Ready(Some(Err(error))) => self.finish(Some(error)),
                Poll::Ready(None) => self.finish(None),
                Poll::Pending => {
                    let now = Instant::now();
                    self.filter(|lines, into| lines.pass(now, into));
                    self.release(Some(now));
                    if !self.order.has_ready() && self.poll_sleep(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
        // Edges come and come, and none passes: others have their turn, and who waits its deadline.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn take(&mut self, came: Came<S::Event>) {
        match came {
            Came::Edge { place, edge } => {
                let now = Instant::now();
                self.latest_ns = self.latest_ns.max(edge.axis_ns);
                self.order.see(edge.axis_ns, now);
                self.filter(|lines, into| lines.push(place, edge, now, into));
            }
            Came::Begin { place, active, event } => {
                self.lines.begin(place, active);
                if let Some(event) = event {
                    self.order.put(place, self.latest_ns, event);
                }
            }
            Came::Gone { request, event } => {
                let places = self.places(request);
                let first = places.start;
                self.filter(|lines, into| lines.gone(places, into));
                self.order.put(first, self.latest_ns, event);
            }
            Came::Other { at_ns, event } => {
                if let Some(at_ns) = at_ns {
                    self.latest_ns = self.latest_ns.max(at_ns);
                    self.order.see(at_ns, Instant::now());
                }
                self.order.put(0, self.latest_ns, event);
            }
            Came::Nothing => {}
        }
        self.release(None);
    }

    /// Lets go what passed, in its order.
    fn release(&mut self, now: Option<Instant>) {
        let horizon_ns = self.order.horizon_ns(now);
        self.order.release(self.lines.first_undecided_ns(horizon_ns));
    }

    /// Has filters say something.
    fn filter(&mut self, tell: impl FnOnce(&mut Lines, Say<'_>)) {
        let (order, firsts) = (&mut self.order, &self.firsts);
        let mut time = EventTime::default();
        tell(&mut self.lines, &mut |place, event| {
            let at_ns = time.of(place, &event);
            order.put(place, at_ns, S::event(firsts, place, event));
        });
    }

    /// Sleeps until the first deadline, if there is one.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.reset(self.lines.due().into_iter().chain(self.order.due()).min());
        Pin::new(&mut self.sleep).poll(cx)
    }

    fn finish(&mut self, end: Option<Error>) {
        self.filter(|lines, into| lines.finish(0..lines.len(), into));
        self.release(None);
        self.end = Some(end);
    }

    /// The places of a request's lines.
    fn places(&self, request: usize) -> Range<usize> {
        self.firsts[request]..self.firsts.get(request + 1).copied().unwrap_or(self.lines.len())
    }

    /// The places of each request's lines.
    pub(super) fn requests(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.firsts.len()).map(|request| self.places(request))
    }

    pub(super) fn tally(&self, place: usize) -> FilterTally {
        let mut tally = self.lines.tally(place);
        let is_its = |(at, event): &(usize, &S::Event)| *at == place && S::is_edge(event);
        tally.hold_back(self.order.iter().filter(is_its).count() as u64);
        tally
    }

    /// Of each line, by its place.
    pub(super) fn tallies(&self) -> impl Iterator<Item = FilterTally> {
        let mut on_the_way = vec![0; self.lines.len()];
        for (place, event) in self.order.iter() {
            on_the_way[place] += u64::from(S::is_edge(event));
        }
        on_the_way.into_iter().enumerate().map(|(place, edges)| {
            let mut tally = self.lines.tally(place);
            tally.hold_back(edges);
            tally
        })
    }
}
