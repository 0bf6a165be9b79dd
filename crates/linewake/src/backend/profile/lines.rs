//! Lines that are held on a handle of their own: what they wait for is polled, and what is to be done then is done, one
//! thing after the other.
//!
//! ```text
//!   completion ──► [Judge] ──► then: calls, in order ──► [Judge] ──► wait again
//!                     └──► lines of which only a change is known ──► [levels] ──► Judge
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
use super::judge::Judge;
use super::levels::{all_known, levels_now};
use super::link::{Link, Sent};
use super::settle::settled;
use super::source::{Signal, Source, Waits};
use crate::backend::{Held, Numbering, RawEdge, Settled, unsupported};
use crate::clock::program_ns as now_ns;
use crate::profile::{By, Means, Role, Since, Step};
use crate::ready::Ready;
use crate::{Error, ErrorKind, LineConfig};

/// Completions that are looked at before what they brought is handed over.
const TURNS: usize = 32;

/// Something to be done.
#[derive(Clone, Copy)]
enum Turn {
    /// A call that a completion asks for.
    Then(Step),
    /// The source waits anew, after a wait that lasted so long; so much was known before it.
    Again { index: usize, lasted: Duration, told: u64 },
    /// A call for levels.
    Levels(Step),
    /// All levels are read: of all lines, or of the one at a place.
    Resolve(Option<usize>),
}

pub(super) struct Lines {
    link: Link,
    judge: Judge,
    timer: Port,
    active_at_start: Vec<Option<bool>>,
    sources: Vec<Source>,
    ready: Ready,
    /// What is to be done, in this order, before anything else is looked at.
    turns: VecDeque<Turn>,
    /// A call of these that was sent, and is not answered yet.
    sent: Option<(Turn, Step, Sent)>,
    /// What calls for levels have said, until all have.
    levels: Vec<(usize, bool)>,
    /// What the first look gave, before anybody asked.
    first: Vec<RawEdge>,
    /// How often something was made of what came: of a completion that leaves it as it was came nothing.
    told: u64,
    /// The driver is asked again because it has answered: less often if it has nothing to say.
    is_paced: bool,
    /// The completion itself says what it means: by the output of this call, or of the wait.
    teller: Option<Option<usize>>,
    stopped: Option<Instant>,
    is_released: bool,
}

impl Lines {
    /// Begins to wait.
    pub(super) fn start(
        link: Link,
        judge: Judge,
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
            judge,
            timer,
            active_at_start,
            sources: Vec::new(),
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
            let mut source = Source::new(place);
            source.begin(&lines.link, &lines.timer, &mut signal)?;
            lines.ready.add();
            lines.sources.push(source);
        }
        Ok(lines)
    }

    /// What counts needs a first reading. What has been queued or latched before nobody asked for.
    fn look_first(&mut self, place: Option<usize>) -> Result<(), Error> {
        let plan = self.link.plan.clone();
        let mut edges = Vec::new();
        for step in plan.steps(&plan.wait.then, place, self.link.asked.len()) {
            let answer = self.link.ask(step)?;
            if let Some(bytes) = answer.bytes().filter(|_| plan.tellers.contains(&Some(step.call))) {
                let first = self.judge.take(Some(step.call), step.place, bytes, now_ns(), &mut edges);
                first.map_err(|reason| self.malformed_in(step.call, &reason))?;
            }
        }
        // A level that is another than the one that was read just now has changed since; a count from zero is of now
        // too.
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
                    self.poll_source(index, into)?;
                }
                // All that was told is in: now the levels say which way.
                None if self.judge.wants_levels() => self.ask_levels(),
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
        self.sources.iter().all(|source| matches!(source.waits, Waits::Over))
    }

    /// Has the driver answer the calls that block, and waits until they are over: a second at most, however many they
    /// are.
    fn end_blocked(&mut self) {
        #[cfg(all(target_os = "linux", not(miri)))]
        {
            let plan = &self.link.plan;
            let By::Call(call) = plan.wait.by else { return };
            let blocked =
                |source: &&Source| matches!(source.waits, Waits::Blocked(_)) && !source.is_stopping.swap(true, Relaxed);
            let blocked: Vec<_> = self.sources.iter().filter(blocked).collect();
            // What has one answer may have the others answer too.
            blocked.iter().for_each(|source| source.leave());
            let ends = plan.call(call).request().and_then(|request| request.when.ended_by());
            let Some(ends) = ends.map(|call| [call]) else { return };
            let deadline = Instant::now() + PATIENCE;
            for source in blocked {
                let Waits::Blocked(blocking) = &source.waits else { continue };
                blocking.end(deadline, || {
                    let steps = plan.steps(&ends, source.place, self.link.asked.len());
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

    /// Nothing is waited for any more: the lines are given back by who calls this.
    fn wait_no_more(&mut self) {
        self.is_released = true;
        self.end_blocked();
        self.sources.clear();
        self.turns.clear();
        self.sent = None;
    }

    /// The call for the device's own counters, if they are about the edges that are given here.
    fn account(&self) -> Option<usize> {
        let plan = &self.link.plan;
        plan.account.filter(|_| self.judge.sees_all() && plan.tells(Role::Overflowed))
    }
}

impl Held for Lines {
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
        for (index, source) in self.sources.iter_mut().enumerate() {
            source.is_stopping.store(true, Relaxed);
            #[cfg(all(target_os = "linux", not(miri)))]
            if source.pause.is_some() && matches!(source.waits, Waits::Ready(_)) {
                source.waits = Waits::Over;
            }
            source.pause = None;
            match &source.waits {
                Waits::Calls(calls) => calls.stopper().stop(),
                Waits::Reads(reads, _) => reads.stopper().stop(),
                #[cfg(windows)]
                Waits::Signals(_) => source.waits = Waits::Last,
                Waits::Sleep(_) => source.waits = Waits::Last,
                Waits::Idle => source.waits = Waits::Over,
                // What is there is taken, and then it is over.
                #[cfg(all(target_os = "linux", not(miri)))]
                Waits::Blocked(_) | Waits::Ready(_) => {}
                Waits::Rest(_) | Waits::Last | Waits::Over => {}
            }
            self.ready.push(index);
        }
    }

    fn active_at_start(&self) -> Vec<Option<bool>> {
        self.active_at_start.clone()
    }

    fn values(&self) -> Result<Vec<bool>, Error> {
        all_known(&self.link.plan, levels_now(&self.link, &self.judge)?)
    }

    fn set_values(&mut self, _: &[(usize, bool)]) -> Result<(), Error> {
        Err(unsupported(&self.link.plan.name, "has no outputs"))
    }

    fn reconfigure(&mut self, _: &[LineConfig]) -> Result<(), Error> {
        Err(unsupported(&self.link.plan.name, "cannot hold lines otherwise once they are held"))
    }

    fn numbering(&self) -> Numbering {
        self.judge.numbering()
    }

    fn doubt(&self) -> Option<Error> {
        if self.judge.losses() == 0 || self.account().is_some() {
            return None;
        }
        let (name, times) = (self.link.device.name(), self.judge.losses());
        let times = if times == 1 { "once".to_owned() } else { format!("{times} times") };
        let message = format!(
            "device \"{name}\" said {times} that it lost records, since it was not read in time; how many edges were in them, \
             and of which lines, nobody knows"
        );
        Some(Error::new(ErrorKind::Device, message))
    }

    fn unattributed(&self) -> u64 {
        self.judge.unattributed()
    }

    fn settle(&mut self) -> Result<Option<Vec<Settled>>, Error> {
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

impl Drop for Lines {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("link", &self.link).finish_non_exhaustive()
    }
}
