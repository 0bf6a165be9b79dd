//! A stream of edges and its filters. Edges go through the filters, and time passes while no edge comes.

use std::future::Future as _;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use super::lines::{LineFilters, Say};
use overlapped::{Port, Sleep};

use super::order::Order;
use super::{ChatterKind, FilterEvent, FilterTally};
use crate::{EdgeEvent, Error};

/// How many edges one poll may take without a result, before other tasks get their turn.
const BUDGET: usize = 1024;

/// A source of edges. Each line has a place.
pub(super) trait EdgeSource {
    /// The event that the filters give.
    type Event;

    /// The next thing that comes. `firsts` holds the first place of each request.
    fn poll_came(
        &mut self,
        cx: &mut Context<'_>,
        firsts: &[usize],
    ) -> Poll<Option<Result<Arrival<Self::Event>, Error>>>;

    /// Makes an event of what the filter of the line at `place` gave.
    fn event(firsts: &[usize], place: usize, event: FilterEvent) -> Self::Event;

    /// True if the event is an edge.
    fn is_edge(event: &Self::Event) -> bool;
}

/// One thing that comes from a [`EdgeSource`].
pub(super) enum Arrival<E> {
    Edge {
        place: usize,
        edge: EdgeEvent,
    },
    /// The watch of a line begins, or begins again after a gap. `event` is what the program sees of it, if it asked for
    /// that.
    Begin {
        place: usize,
        active: Option<bool>,
        event: Option<E>,
    },
    /// The chip is unplugged: no edges come from the request's lines until they begin again.
    Gone {
        request: usize,
        event: E,
    },
    /// Another event that passes, and its time.
    Other {
        at_ns: Option<u64>,
        event: E,
    },
    Nothing,
}

/// Finds the time by which a filter's event is put in order.
#[derive(Default)]
pub(super) struct EventTime {
    /// The line that was unblocked last, and when.
    unblocked: Option<(usize, u64)>,
}

impl EventTime {
    pub(super) fn of(&mut self, place: usize, event: &FilterEvent) -> u64 {
        match event {
            // The edge that passes when chatter ends comes after the event that says so, though its stamp is earlier.
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

/// A source, its filters, and the events that passed.
pub(super) struct Core<S: EdgeSource> {
    pub(super) source: S,
    lines: LineFilters,
    /// The first place of each request.
    firsts: Vec<usize>,
    order: Order<S::Event>,
    sleep: Sleep,
    /// The latest time of what came.
    latest_ns: u64,
    /// How the source ended. It is reported when all events are taken.
    end: Option<Option<Error>>,
}

impl<S: EdgeSource> Core<S> {
    pub(super) fn new(
        source: S,
        lines: LineFilters,
        firsts: Vec<usize>,
        order: Order<S::Event>,
    ) -> Result<Self, Error> {
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
        // Many edges came and none passed. Return, so that other tasks run and a timeout of the caller is seen.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn take(&mut self, came: Arrival<S::Event>) {
        match came {
            Arrival::Edge { place, edge } => {
                let now = Instant::now();
                self.latest_ns = self.latest_ns.max(edge.axis_ns);
                self.order.see(edge.axis_ns, now);
                self.filter(|lines, into| lines.push(place, edge, now, into));
            }
            Arrival::Begin { place, active, event } => {
                self.lines.begin(place, active);
                if let Some(event) = event {
                    self.order.put(place, self.latest_ns, event);
                }
            }
            Arrival::Gone { request, event } => {
                let places = self.places(request);
                let first = places.start;
                self.filter(|lines, into| lines.gone(places, into));
                self.order.put(first, self.latest_ns, event);
            }
            Arrival::Other { at_ns, event } => {
                if let Some(at_ns) = at_ns {
                    self.latest_ns = self.latest_ns.max(at_ns);
                    self.order.see(at_ns, Instant::now());
                }
                self.order.put(0, self.latest_ns, event);
            }
            Arrival::Nothing => {}
        }
        self.release(None);
    }

    /// Releases the events that passed, in their order.
    fn release(&mut self, now: Option<Instant>) {
        let horizon_ns = self.order.horizon_ns(now);
        self.order.release(self.lines.first_undecided_ns(horizon_ns));
    }

    /// Lets the filters work, and puts their events in order.
    fn filter(&mut self, tell: impl FnOnce(&mut LineFilters, Say<'_>)) {
        let (order, firsts) = (&mut self.order, &self.firsts);
        let mut time = EventTime::default();
        tell(&mut self.lines, &mut |place, event| {
            let at_ns = time.of(place, &event);
            order.put(place, at_ns, S::event(firsts, place, event));
        });
    }

    /// Sleeps until the first deadline. Ready when the deadline may have come; pending if there is no deadline.
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

    /// The tally of each line, by its place.
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
