//! The lines of a request. Each request has its own handle of the device. It polls its waits, and does the steps after
//! a completion one after the other.
//!
//! ```text
//!   completion ──► [EdgeDecoder] ──► then: calls, in order ──► [EdgeDecoder] ──► wait again
//!                     └──► lines that changed, in an unknown direction ──► [levels] ──► EdgeDecoder
//! ```

mod turns;
mod watch;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use overlapped::Port;

#[cfg(all(target_os = "linux", not(miri)))]
use super::blocking::PATIENCE;
use super::decoder::EdgeDecoder;
use super::levels::{all_known, levels_now};
use super::link::{Link, SentCall};
use super::pending::{PendingWait, Signal, WaitState};
use super::settle::settled;
use crate::backend::{HeldLines, Numbering, RawEdge, Settlement};
use crate::clock::program_ns as now_ns;
use crate::profile::{By, Means, Role, Since, Step};
use crate::ready::Ready;
use crate::{Error, ErrorKind};

/// The most completions that are decoded before their edges are handed over.
const TURNS: usize = 32;

/// A step to do.
#[derive(Clone, Copy)]
enum Turn {
    /// A call that a completion asks for.
    Then(Step),
    /// The wait at this index begins again. `lasted` is how long the last one took, and `told` the count of answers
    /// with news before it.
    Again { index: usize, lasted: Duration, told: u64 },
    /// A call for levels.
    Levels(Step),
    /// All levels are read, of all lines or of the one at a place. Now they are turned into edges.
    Resolve(Option<usize>),
}

pub(super) struct ProfileLines {
    link: Link,
    decoder: EdgeDecoder,
    timer: Port,
    active_at_start: Vec<Option<bool>>,
    waits: Vec<PendingWait>,
    ready: Ready,
    /// The steps to do, in this order, before waits are polled.
    turns: VecDeque<Turn>,
    /// The call of a step that was sent and is not answered yet.
    sent: Option<(Turn, Step, SentCall)>,
    /// The levels so far, until all calls for levels are answered.
    levels: Vec<(usize, bool)>,
    /// The edges from the calls that were made before the first wait.
    first: Vec<RawEdge>,
    /// The count of answers with news.
    told: u64,
    /// The call is repeated after each answer, and less often while answers have no news.
    is_paced: bool,
    /// The completion itself has the report, in the output of this call or of the read.
    teller: Option<Option<usize>>,
    stopped: Option<Instant>,
    is_released: bool,
}

impl ProfileLines {
    /// Begins to wait.
    pub(super) fn start(
        link: Link,
        decoder: EdgeDecoder,
        timer: Port,
        active_at_start: Vec<Option<bool>>,
        mut signal: Option<Signal>,
    ) -> Result<Self, Error> {
        let plan = link.plan.clone();
        let teller = match plan.wait.by {
            By::Call(call) => Some(call),
            By::Read(_) | By::Event(_) | By::Poll(_) => None,
        };
        let mut lines = Self {
            link,
            decoder,
            timer,
            active_at_start,
            waits: Vec::new(),
            ready: Ready::new(),
            turns: VecDeque::new(),
            sent: None,
            levels: Vec::new(),
            first: Vec::new(),
            told: 0,
            is_paced: teller.is_some_and(|call| plan.call(call).request().is_some()),
            teller: plan.wait_tells().then_some(teller),
            stopped: None,
            is_released: false,
        };
        let watched = |place: &usize| lines.link.asked[*place].edges.is_some();
        let places: Vec<_> = (0..lines.link.asked.len()).filter(watched).map(Some).collect();
        let places = match plan.wait.each_line {
            true => places,
            false if places.is_empty() => Vec::new(),
            false => vec![None],
        };
        for place in places {
            if let By::Poll(_) = plan.wait.by {
                lines.look_first(place)?;
            }
            let mut wait = PendingWait::new(place);
            wait.begin(&lines.link, &lines.timer, &mut signal)?;
            lines.ready.add();
            lines.waits.push(wait);
        }
        Ok(lines)
    }

    /// Makes the first calls: counters need a first reading, and edges from before the request must be dropped.
    fn look_first(&mut self, place: Option<usize>) -> Result<(), Error> {
        let plan = self.link.plan.clone();
        let mut edges = Vec::new();
        for step in plan.steps(&plan.wait.then, place, self.link.asked.len()) {
            let answer = self.link.ask(step)?;
            if let Some(bytes) = answer.bytes().filter(|_| plan.tellers.contains(&Some(step.call))) {
                let first = self.decoder.take(Some(step.call), step.place, bytes, now_ns(), &mut edges);
                first.map_err(|reason| self.malformed_in(step.call, &reason))?;
            }
        }
        // These are edges of this request: a level that differs from the one that was just read has changed since then,
        // and a count that starts from zero started with this handle.
        let is_of_now = match plan.wait.means {
            Means::Level => !plan.wait.repeats_are_losses,
            Means::Count => plan.all_told().all(|told| told.since == Since::Open),
            Means::Edge | Means::Mask => false,
        };
        if is_of_now {
            self.first.append(&mut edges);
        }
        Ok(())
    }

    fn malformed_in(&self, call: usize, reason: &str) -> Error {
        self.link.malformed(&format!("\"{}\": {reason}", self.link.plan.call(call).name))
    }

    fn poll(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Result<Poll<Option<()>>, Error> {
        let before = into.len();
        into.append(&mut self.first);
        for turn in 0.. {
            if let Some((_, step, sent)) = &mut self.sent {
                match self.link.poll(*step, sent, cx) {
                    Poll::Pending if into.len() > before => break,
                    Poll::Pending => return Ok(Poll::Pending),
                    Poll::Ready(answer) => {
                        let answer = answer?;
                        if let Some((turn, ..)) = self.sent.take() {
                            self.answered(turn, &answer, into)?;
                        }
                    }
                }
                continue;
            }
            if let Some(next) = self.turns.pop_front() {
                self.turn(next, into)?;
                continue;
            }
            let next = if turn < TURNS { self.ready.pop(cx.waker()) } else { None };
            match next {
                Some(index) => {
                    let _relay = self.ready.relay(cx.waker(), index);
                    self.poll_wait(index, into)?;
                }
                // All reports are decoded. Now the levels are read, which give the directions.
                None if self.decoder.wants_levels() => self.ask_levels(),
                None if into.len() > before => break,
                None if turn >= TURNS => {
                    cx.waker().wake_by_ref();
                    return Ok(Poll::Pending);
                }
                None if self.stopped.is_some() && self.is_over() => return Ok(Poll::Ready(None)),
                None => return Ok(Poll::Pending),
            }
        }
        Ok(Poll::Ready(Some(())))
    }

    fn is_over(&self) -> bool {
        self.waits.iter().all(|wait| matches!(wait.state, WaitState::Over))
    }

    /// Makes the driver answer all blocked calls, and waits until they end: at most a second for all of them.
    fn end_blocked(&mut self) {
        #[cfg(all(target_os = "linux", not(miri)))]
        {
            let plan = &self.link.plan;
            let By::Call(call) = plan.wait.by else { return };
            let blocked = |wait: &&PendingWait| {
                matches!(wait.state, WaitState::Blocked(_)) && !wait.is_stopping.swap(true, Relaxed)
            };
            let blocked: Vec<_> = self.waits.iter().filter(blocked).collect();
            // The call that ends one wait may end the others too.
            blocked.iter().for_each(|wait| wait.leave());
            let ends = plan.call(call).request().and_then(|request| request.when.ended_by());
            let Some(ends) = ends.map(|call| [call]) else { return };
            let deadline = Instant::now() + PATIENCE;
            for wait in blocked {
                let WaitState::Blocked(blocking) = &wait.state else { continue };
                blocking.end(deadline, || {
                    let steps = plan.steps(&ends, wait.place, self.link.asked.len());
                    steps.for_each(|step| drop(self.link.ask(step)));
                });
            }
        }
    }

    /// Gives the lines back, without waiting for the answers.
    fn release(&mut self) {
        if !self.is_released {
            self.wait_no_more();
            self.link.release();
        }
    }

    /// Ends all waits. The caller gives the lines back.
    fn wait_no_more(&mut self) {
        self.is_released = true;
        self.end_blocked();
        self.waits.clear();
        self.turns.clear();
        self.sent = None;
    }

    /// The call for the device's own counters, if they count the edges that are given here.
    fn account(&self) -> Option<usize> {
        let plan = &self.link.plan;
        plan.account.filter(|_| self.decoder.sees_all() && plan.tells(Role::Overflowed))
    }
}

impl HeldLines for ProfileLines {
    fn poll_edges(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        match self.poll(cx, into) {
            Ok(polled) => polled.map(|some| some.map(Ok)),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn stop(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some(Instant::now());
        self.end_blocked();
        for (index, wait) in self.waits.iter_mut().enumerate() {
            wait.is_stopping.store(true, Relaxed);
            #[cfg(all(target_os = "linux", not(miri)))]
            if wait.pause.is_some() && matches!(wait.state, WaitState::Ready(_)) {
                wait.state = WaitState::Over;
            }
            wait.pause = None;
            match &wait.state {
                WaitState::Stream(stream, _) => stream.stopper().stop(),
                #[cfg(windows)]
                WaitState::Signals(_) => wait.state = WaitState::Last,
                WaitState::Sleep(_) => wait.state = WaitState::Last,
                WaitState::Idle => wait.state = WaitState::Over,
                // The wait gives the results that are there already, and is over after that.
                #[cfg(all(target_os = "linux", not(miri)))]
                WaitState::Blocked(_) | WaitState::Ready(_) => {}
                WaitState::Rest(_) | WaitState::Last | WaitState::Over => {}
            }
            self.ready.push(index);
        }
    }

    fn active_at_start(&self) -> Vec<Option<bool>> {
        self.active_at_start.clone()
    }

    fn values(&self) -> Result<Vec<bool>, Error> {
        all_known(&self.link.plan, levels_now(&self.link, &self.decoder)?)
    }

    fn numbering(&self) -> Numbering {
        self.decoder.numbering()
    }

    fn doubt(&self) -> Option<Error> {
        if self.decoder.losses() == 0 || self.account().is_some() {
            return None;
        }
        let (name, times) = (self.link.device.name(), self.decoder.losses());
        let times = if times == 1 { "once".to_owned() } else { format!("{times} times") };
        let message = format!(
            "device \"{name}\" reported {times} that it lost records, because it was not read in time; the number and \
             the lines of their edges are unknown"
        );
        Some(Error::new(ErrorKind::Device, message))
    }

    fn unattributed(&self) -> u64 {
        self.decoder.unattributed()
    }

    fn settle(&mut self) -> Result<Option<Vec<Settlement>>, Error> {
        let plan = self.link.plan.clone();
        let Some(account) = self.account() else {
            return Ok(None);
        };
        self.wait_no_more();
        self.link.is_over.set(true);
        for step in plan.steps(&plan.release, None, self.link.asked.len()) {
            self.link.ask(step)?;
        }
        settled(&self.link, account)
    }
}

impl Drop for ProfileLines {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for ProfileLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileLines").field("link", &self.link).finish_non_exhaustive()
    }
}
