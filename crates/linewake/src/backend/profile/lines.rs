//! Lines that are held on a handle of their own: what they wait for is polled, and what is to be done then is done, one thing
//! after the other.
//!
//! ```text
//!   completion ──► [Judge] ──► then: calls, in order ──► [Judge] ──► wait again
//!                     └──► lines of which only a change is known ──► [levels] ──► Judge
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream as _;

use super::call;
use super::chip::{all_known, gives_levels, levels_now};
#[cfg(all(target_os = "linux", not(miri)))]
use super::ioctl::is_not_ready;
use super::judge::Judge;
use super::link::{Answer, Link, Sent};
use super::settle::settled;
use super::source::{self, Signal, Source, Waits};
use crate::backend::{Held, Numbering, RawEdge, Settled, unsupported};
use crate::clock::program_ns as now_ns;
use crate::profile::{By, End, Means, Role, Since, Step, Trace, What};
use crate::ready::Ready;
use crate::timer::Timer;
use crate::{Error, LineConfig};

/// After a stop, a wait that takes longer than this has nothing more to give.
const QUIET: Duration = Duration::from_millis(50);
/// What happens all the time is not waited for longer than this.
const ENOUGH: Duration = Duration::from_secs(1);
/// Completions that are looked at before what they brought is handed over.
const TURNS: usize = 32;

pub(super) struct Lines {
    link: Link,
    judge: Judge,
    timer: Timer,
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
    /// What is known of the completion that is looked at: the calls made for it say what it means.
    told: u64,
    /// The completion itself says what it means: by the output of this call, or of the wait.
    teller: Option<Option<usize>>,
    stopped: Option<Instant>,
    is_released: bool,
}

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

impl Lines {
    /// Begins to wait.
    pub(super) fn start(
        link: Link,
        judge: Judge,
        timer: Timer,
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
        // A level that is another than the one that was read just now has changed since; a count from zero is of now too.
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

    /// Judges what one of those that tell gave.
    fn take(
        &mut self,
        teller: Option<usize>,
        place: Option<usize>,
        bytes: &[u8],
        into: &mut Vec<RawEdge>,
    ) -> Result<(), Error> {
        self.told += u64::from(self.judge.is_news(teller, place, bytes));
        let taken = self.judge.take(teller, place, bytes, now_ns(), into);
        taken.map_err(|reason| match (teller, self.teller) {
            (Some(call), None) => self.malformed_in(call, &reason),
            _ => self.link.malformed(&reason),
        })
    }

    /// Looks at a source that was woken.
    fn poll_source(&mut self, index: usize, into: &mut Vec<RawEdge>) -> Result<(), Error> {
        let waker = self.ready.waker(index).clone();
        let cx = &mut Context::from_waker(&waker);
        let source = &mut self.sources[index];
        if let Some(pause) = &mut source.pause {
            if Pin::new(pause).poll(cx).is_pending() {
                return Ok(());
            }
            source.pause = None;
            return self.resume(index);
        }
        let place = source.place;
        match &mut source.waits {
            Waits::Over | Waits::Idle => {}
            Waits::Calls(calls) => match Pin::new(calls).poll_next(cx) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(reply))) => {
                    self.came(index, &reply);
                    self.completed(index, place, &reply, into)?;
                }
                Poll::Ready(ended) => self.ended(index, ended.and_then(Result::err).map(Error::from))?,
            },
            Waits::Reads(reads, _) => match Pin::new(reads).poll_next(cx) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(reply))) => {
                    self.came(index, &reply);
                    self.was_read(index, place, &reply, into)?;
                }
                Poll::Ready(ended) => self.ended(index, ended.and_then(Result::err).map(Error::from))?,
            },
            #[cfg(all(target_os = "linux", not(miri)))]
            Waits::Blocked(blocking) => {
                let is_stopped = self.stopped.is_some();
                match if is_stopped { Poll::Ready(blocking.take()) } else { blocking.poll_next(cx) } {
                    Poll::Pending => {}
                    Poll::Ready(Some(brought)) => self.was_brought(index, place, brought, into)?,
                    Poll::Ready(None) if is_stopped => source.waits = Waits::Over,
                    Poll::Ready(None) => {
                        return Err(Error::gone(format!("nothing waits for \"{}\" any more", self.link.device.name())));
                    }
                }
            }
            #[cfg(all(target_os = "linux", not(miri)))]
            Waits::Ready(call) => match Pin::new(call).poll(cx) {
                Poll::Pending if self.stopped.is_some() => source.waits = Waits::Over,
                Poll::Pending => {}
                Poll::Ready(Ok(_)) => self.look(index, place, into)?,
                Poll::Ready(Err(error)) => self.ended(index, Some(error.into()))?,
            },
            #[cfg(windows)]
            Waits::Signals(signals) => match Pin::new(signals).poll_next(cx) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(_))) => {
                    self.came(index, &[]);
                    self.completed(index, place, &[], into)?;
                }
                Poll::Ready(ended) => self.ended(index, ended.and_then(Result::err).map(Error::from))?,
            },
            Waits::Sleep(sleep) => {
                if Pin::new(sleep).poll(cx).is_ready() {
                    self.completed(index, place, &[], into)?;
                }
            }
            Waits::Rest(call) => match Pin::new(call).poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(reply)) => {
                    self.came(index, &reply);
                    self.rest(index);
                    self.completed(index, place, &reply, into)?;
                }
                Poll::Ready(Err(error)) => {
                    use overlapped::ErrorKind::{Aborted, Cancelled, TimedOut};
                    source.waits = Waits::Over;
                    let passes = self.link.plan.wait.again_on.contains(&End::Error(error.kind()));
                    if !passes && !matches!(error.kind(), Aborted | Cancelled | TimedOut) {
                        return Err(error.into());
                    }
                }
            },
            Waits::Last => {
                source.waits = Waits::Over;
                self.completed(index, place, &[], into)?;
            }
        }
        Ok(())
    }

    /// A wait was completed: it is looked at again, and is no end.
    fn came(&mut self, index: usize, bytes: &[u8]) {
        let source = &mut self.sources[index];
        (source.brought, source.is_passing) = (true, false);
        let (call, line) = (source::name(&self.link.plan), self.link.number(source.place));
        self.link.tracer.tell(Trace::Answered { call, line, bytes, value: None });
        self.ready.push(index);
    }

    /// Bytes were read: a message, or a part of a stream, of which whole records are looked at.
    fn was_read(
        &mut self,
        index: usize,
        place: Option<usize>,
        read: &[u8],
        into: &mut Vec<RawEdge>,
    ) -> Result<(), Error> {
        let left = match &mut self.sources[index].waits {
            Waits::Reads(_, Some(left)) => std::mem::take(left),
            _ => return self.completed(index, place, read, into),
        };
        let mut bytes = left;
        bytes.extend_from_slice(read);
        let whole = bytes.len() - bytes.len() % self.link.plan.told(None).record.max(1);
        self.completed(index, place, &bytes[..whole], into)?;
        bytes.drain(..whole);
        if let Waits::Reads(_, Some(left)) = &mut self.sources[index].waits {
            *left = bytes;
        }
        Ok(())
    }

    /// A call that blocks was answered.
    #[cfg(all(target_os = "linux", not(miri)))]
    fn was_brought(
        &mut self,
        index: usize,
        place: Option<usize>,
        brought: super::blocking::Brought,
        into: &mut Vec<RawEdge>,
    ) -> Result<(), Error> {
        self.ready.push(index);
        let source = &mut self.sources[index];
        source.began = Instant::now().checked_sub(brought.lasted).unwrap_or(source.began);
        match brought.error {
            // The call that ends it may have it say anything, and what it says then has not happened.
            None if brought.at_the_end && self.teller.is_some() => {}
            None => self.completed(index, place, &brought.bytes, into)?,
            Some(_) if brought.at_the_end || self.stopped.is_some() => {}
            Some(error) => return self.ended(index, Some(error)),
        }
        if let Waits::Blocked(blocking) = &self.sources[index].waits {
            blocking.give_back(brought.bytes);
        }
        Ok(())
    }

    /// The file is ready for the ioctl that fetches what happened.
    #[cfg(all(target_os = "linux", not(miri)))]
    fn look(&mut self, index: usize, place: Option<usize>, into: &mut Vec<RawEdge>) -> Result<(), Error> {
        let plan = self.link.plan.clone();
        let By::Call(call) = plan.wait.by else { return Ok(()) };
        let step = Step { call, place };
        let call = plan.call(call);
        let What::Ioctl(request) = &call.what else { return Ok(()) };
        let input = call.input.make(self.link.about(place));
        self.link.tracer.tell(Trace::Sent { call: &call.name, line: self.link.number(place), input: &input });
        match self.link.ioctl(step, call, request, &input, true) {
            Ok(answer) => self.completed(index, place, answer.bytes().unwrap_or_default(), into),
            // It is ready, and has nothing: no reason to ask all the time.
            Err(error) if error.device().is_some_and(is_not_ready) => self.pause(index, false),
            Err(error) => self.ended(index, Some(error)),
        }
    }

    /// A source has no more: it was stopped, or the device ended it.
    fn ended(&mut self, index: usize, error: Option<Error>) -> Result<(), Error> {
        let stopped = self.stopped.is_some();
        let source = &mut self.sources[index];
        let end = error.as_ref().map_or(Some(End::NoMore), |error| Some(End::Error(error.device()?.kind())));
        let passes = end.is_some_and(|end| self.link.plan.wait.again_on.contains(&end));
        let is_stream = matches!(source.waits, Waits::Calls(_) | Waits::Reads(..));
        if let Some(error) = &error
            && is_stream
        {
            self.link.tracer.tell(Trace::Failed { call: source::name(&self.link.plan), error });
        }
        match error {
            _ if stopped && passes => {}
            // Of a stream it may be the last thing, or may not.
            Some(_) if passes && is_stream => {
                source.is_passing = true;
                self.ready.push(index);
                return Ok(());
            }
            _ if passes || (end == Some(End::NoMore) && source.is_passing && !stopped) => {
                return self.pause(index, false);
            }
            Some(error) => {
                let is_cancelled =
                    error.device().is_some_and(|device| device.kind() == overlapped::ErrorKind::Cancelled);
                if !stopped || !is_cancelled {
                    return Err(error);
                }
            }
            None if !stopped => {
                return Err(Error::gone(format!("device \"{}\" has no more to read", self.link.device.name())));
            }
            None => {}
        }
        match &self.sources[index].waits {
            Waits::Calls(_) => self.rest(index),
            _ => self.sources[index].waits = Waits::Over,
        }
        Ok(())
    }

    /// The source waits anew, at once or after a while.
    fn pause(&mut self, index: usize, brought: bool) -> Result<(), Error> {
        let source = &mut self.sources[index];
        let Some(pause) = source.slow.next(source.began.elapsed(), brought || source.brought) else {
            return self.resume(index);
        };
        source.pause = Some(self.timer.sleep(pause));
        self.ready.push(index);
        Ok(())
    }

    fn resume(&mut self, index: usize) -> Result<(), Error> {
        self.ready.push(index);
        let source = &mut self.sources[index];
        if self.stopped.is_some() && !source.is_one_by_one() {
            return Ok(());
        }
        #[cfg(all(target_os = "linux", not(miri)))]
        if let Waits::Blocked(blocking) = &source.waits {
            blocking.go_on();
            return Ok(());
        }
        source.begin(&self.link, &self.timer, &mut None)
    }

    /// After a stop: takes what the driver has queued.
    fn rest(&mut self, index: usize) {
        let enough = self.stopped.is_some_and(|at| at.elapsed() > ENOUGH);
        self.sources[index].waits = match &self.link.plan.wait.by {
            By::Call(index_of_call) if !enough => {
                let call = self.link.plan.call(*index_of_call);
                let input = call.input.make(self.link.about(self.sources[index].place));
                match call.what {
                    What::Control(code) => {
                        let sent = call::send(&self.link.device, code, call.output.length, &input);
                        Waits::Rest(sent.timeout(QUIET))
                    }
                    What::Ioctl(_) | What::Write => Waits::Over,
                }
            }
            _ => Waits::Over,
        };
        self.ready.push(index);
    }

    /// Something happened.
    fn completed(
        &mut self,
        index: usize,
        place: Option<usize>,
        bytes: &[u8],
        into: &mut Vec<RawEdge>,
    ) -> Result<(), Error> {
        let (told, lasted) = (self.told, self.sources[index].began.elapsed());
        if let Some(teller) = self.teller {
            self.take(teller, place, bytes, into)?;
        }
        let plan = self.link.plan.clone();
        for &call in &plan.wait.then {
            if plan.call(call).for_line && place.is_none() {
                let steps = (0..self.link.asked.len()).map(|place| Step { call, place: Some(place) });
                self.turns.extend(steps.map(Turn::Then));
            } else {
                self.turns.push_back(Turn::Then(Step { call, place }));
            }
        }
        if self.sources[index].is_one_by_one() {
            self.turns.push_back(Turn::Again { index, lasted, told });
        }
        Ok(())
    }

    /// Does the next thing that is to be done.
    fn turn(&mut self, turn: Turn, into: &mut Vec<RawEdge>) -> Result<(), Error> {
        match turn {
            Turn::Then(step) | Turn::Levels(step) => self.sent = Some((turn, step, self.link.send(step))),
            Turn::Again { index, lasted, told } => self.again(index, lasted, self.told > told)?,
            Turn::Resolve(place) => {
                let levels = std::mem::take(&mut self.levels);
                match place {
                    None => self.judge.resolve(&levels, now_ns(), into),
                    Some(place) => self.judge.resolve_one(place, &levels, now_ns(), into),
                }
                self.levels = levels;
                self.levels.clear();
            }
        }
        Ok(())
    }

    /// All that a completion asked for is done.
    fn again(&mut self, index: usize, lasted: Duration, brought: bool) -> Result<(), Error> {
        let source = &mut self.sources[index];
        let pause = source.slow.next(lasted, brought).filter(|_| self.stopped.is_none());
        #[cfg(not(all(target_os = "linux", not(miri))))]
        let _ = pause;
        match &mut source.waits {
            Waits::Sleep(sleep) => {
                if let By::Poll(period) = self.link.plan.wait.by {
                    *sleep = self.timer.sleep(period);
                    self.ready.push(index);
                }
            }
            #[cfg(all(target_os = "linux", not(miri)))]
            Waits::Blocked(_) | Waits::Ready(_) => match pause {
                Some(pause) => {
                    if let Waits::Blocked(blocking) = &source.waits {
                        blocking.hold();
                    }
                    source.pause = Some(self.timer.sleep(pause));
                    self.ready.push(index);
                }
                None => self.resume(index)?,
            },
            _ => {}
        }
        Ok(())
    }

    /// A call that was made because of a completion was answered.
    fn answered(&mut self, turn: Turn, answer: &Answer, into: &mut Vec<RawEdge>) -> Result<(), Error> {
        let Some(bytes) = answer.bytes() else { return Ok(()) };
        let plan = self.link.plan.clone();
        match turn {
            Turn::Then(step) if plan.tellers.contains(&Some(step.call)) => {
                self.take(Some(step.call), step.place, bytes, into)?;
            }
            Turn::Levels(step) if gives_levels(&plan, step.call) => {
                let read = self.judge.read_levels(step.call, step.place, bytes);
                self.levels.extend(read.map_err(|reason| self.link.malformed(&reason))?);
            }
            Turn::Then(_) | Turn::Levels(_) | Turn::Again { .. } | Turn::Resolve(_) => {}
        }
        Ok(())
    }

    /// Asks for the levels of lines that changed.
    fn ask_levels(&mut self) {
        let plan = self.link.plan.clone();
        let one = if plan.levels_each_line() { self.judge.next_changed(0) } else { None };
        for &call in plan.levels.calls() {
            if plan.call(call).for_line && one.is_none() {
                let steps = (0..self.link.asked.len()).map(|place| Step { call, place: Some(place) });
                self.turns.extend(steps.map(Turn::Levels));
            } else {
                self.turns.push_back(Turn::Levels(Step { call, place: one }));
            }
        }
        self.turns.push_back(Turn::Resolve(one));
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
                Some(index) => self.poll_source(index, into)?,
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

    /// Has the driver answer the calls that block, and waits until they are over: a second at most.
    fn end_blocked(&mut self) {
        #[cfg(all(target_os = "linux", not(miri)))]
        for source in &self.sources {
            let Waits::Blocked(blocking) = &source.waits else { continue };
            if source.is_stopping.swap(true, Relaxed) {
                continue;
            }
            let plan = &self.link.plan;
            let By::Call(call) = plan.wait.by else { continue };
            let Some(ends) = plan.call(call).request().and_then(|request| request.when.ended_by()) else {
                blocking.leave();
                continue;
            };
            let steps = plan.steps(&[ends], source.place, self.link.asked.len());
            blocking.end(|| {
                steps.iter().for_each(|&step| drop(self.link.ask(step)));
            });
        }
    }

    /// Gives the lines back, without waiting for the answers.
    fn release(&mut self) {
        if std::mem::replace(&mut self.is_released, true) {
            return;
        }
        self.end_blocked();
        self.sources.clear();
        self.turns.clear();
        self.sent = None;
        let plan = self.link.plan.clone();
        plan.steps(&plan.release, None, self.link.asked.len()).into_iter().for_each(|step| self.link.send_off(step));
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

    fn settle(&mut self) -> Result<Option<Vec<Settled>>, Error> {
        let plan = self.link.plan.clone();
        let Some(account) = plan.account.filter(|_| self.judge.sees_all() && plan.tells(Role::Overflowed)) else {
            return Ok(None);
        };
        self.end_blocked();
        self.sources.clear();
        self.turns.clear();
        self.sent = None;
        self.is_released = true;
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
