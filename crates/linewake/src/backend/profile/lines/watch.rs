//! The results of waits, and whether they go on.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream as _;
use overlapped::Reply;

use super::super::call;
use super::super::pending::{self, Unit, WaitState};
use super::super::slow::AFTER_FAILURE;
#[cfg(all(target_os = "linux", not(miri)))]
use super::super::{blocking::CallResult, ioctl::is_not_ready};
use super::ProfileLines;
use crate::Error;
use crate::backend::RawEdge;
#[cfg(all(target_os = "linux", not(miri)))]
use crate::profile::Step;
use crate::profile::{By, End, Trace, What};

/// After a stop, a wait that takes longer than this has no more results.
const QUIET: Duration = Duration::from_millis(50);
/// After a stop, a device that reports all the time is read no longer than this.
const ENOUGH: Duration = Duration::from_secs(1);

impl ProfileLines {
    /// Looks at a wait that was woken.
    pub(super) fn poll_wait(&mut self, index: usize, into: &mut Vec<RawEdge>) -> Result<(), Error> {
        let waker = self.ready.waker(index).clone();
        let cx = &mut Context::from_waker(&waker);
        let wait = &mut self.waits[index];
        if let Some(pause) = &mut wait.pause {
            if Pin::new(pause).poll(cx).is_pending() {
                return Ok(());
            }
            wait.pause = None;
            return self.resume(index);
        }
        let place = wait.place;
        match &mut wait.state {
            WaitState::Over | WaitState::Idle => {}
            WaitState::Stream(stream, _) => {
                let next = Pin::new(stream).poll_next(cx);
                return self.streamed(index, next, |reply| reply, into);
            }
            #[cfg(windows)]
            WaitState::Signals(signals) => {
                let next = Pin::new(signals).poll_next(cx);
                return self.streamed(index, next, |_| &[], into);
            }
            #[cfg(all(target_os = "linux", not(miri)))]
            WaitState::Blocked(blocking) => {
                match if self.stopped.is_some() { Poll::Ready(blocking.take()) } else { blocking.poll_next(cx) } {
                    Poll::Pending => {}
                    Poll::Ready(Some(brought)) => self.was_brought(index, place, brought, into)?,
                    Poll::Ready(None) if self.stopped.is_some() => wait.state = WaitState::Over,
                    Poll::Ready(None) => {
                        let message = format!("the thread that waits for \"{}\" is gone", self.link.device.name());
                        return Err(Error::gone(message));
                    }
                }
            }
            #[cfg(all(target_os = "linux", not(miri)))]
            WaitState::Ready(call) => match Pin::new(call).poll(cx) {
                Poll::Pending if self.stopped.is_some() => wait.state = WaitState::Over,
                Poll::Pending => {}
                Poll::Ready(Ok(_)) => self.look(index, place, into)?,
                Poll::Ready(Err(error)) => self.ended(index, Some(error.into()))?,
            },
            WaitState::Sleep(sleep) => {
                if Pin::new(sleep).poll(cx).is_ready() {
                    self.completed(index, place, &[], into)?;
                }
            }
            WaitState::Rest(call) => match Pin::new(call).poll(cx) {
                Poll::Pending => {}
                Poll::Ready(rest) => self.rested(index, rest, into)?,
            },
            WaitState::Last => {
                wait.state = WaitState::Over;
                self.completed(index, place, &[], into)?;
            }
        }
        Ok(())
    }

    /// After a stop: takes an answer with edges that the driver had queued.
    fn rested(
        &mut self,
        index: usize,
        rest: Result<Reply<[u8]>, overlapped::Error>,
        into: &mut Vec<RawEdge>,
    ) -> Result<(), Error> {
        use overlapped::ErrorKind::{Aborted, Cancelled, TimedOut};
        match rest {
            Ok(reply) => {
                self.came(index, &reply);
                self.rest(index);
                self.completed(index, self.waits[index].place, &reply, into)
            }
            Err(error) => {
                self.waits[index].state = WaitState::Over;
                let passes = self.link.plan.wait.again_on.contains(&End::Error(error.kind()));
                let is_end = passes || matches!(error.kind(), Aborted | Cancelled | TimedOut);
                if is_end { Ok(()) } else { Err(error.into()) }
            }
        }
    }

    /// The next result of the calls or reads that are kept pending. A signal has no bytes.
    fn streamed<T>(
        &mut self,
        index: usize,
        next: Poll<Option<Result<T, overlapped::Error>>>,
        bytes: impl FnOnce(&T) -> &[u8],
        into: &mut Vec<RawEdge>,
    ) -> Result<(), Error> {
        match next {
            Poll::Pending => Ok(()),
            Poll::Ready(Some(Ok(reply))) => {
                let bytes = bytes(&reply);
                self.came(index, bytes);
                self.was_read(index, bytes, into)
            }
            Poll::Ready(ended) => self.ended(index, ended.and_then(Result::err).map(Error::from)),
        }
    }

    /// A wait brought a result: it is polled again.
    fn came(&mut self, index: usize, bytes: &[u8]) {
        let wait = &mut self.waits[index];
        (wait.brought, wait.is_passing) = (true, false);
        // A part of a byte stream is traced when its records are whole.
        if !matches!(wait.state, WaitState::Stream(_, Unit::Bytes(_))) {
            let (call, line) = (pending::name(&self.link.plan), self.link.number(wait.place));
            self.link.tracer.tell(Trace::Answered { call, line, bytes, value: None });
        }
        self.ready.push(index);
    }

    /// A result came: an answer, a message, or a part of a byte stream, of which whole records are decoded.
    fn was_read(&mut self, index: usize, bytes: &[u8], into: &mut Vec<RawEdge>) -> Result<(), Error> {
        let wait = &mut self.waits[index];
        let place = wait.place;
        let WaitState::Stream(_, unit @ (Unit::Message | Unit::Bytes(_))) = &mut wait.state else {
            return self.completed(index, place, bytes, into);
        };
        let told = self.link.plan.told(None);
        if bytes.len() > told.length {
            let reason = format!("a message has more than the {} bytes that `length` says", told.length);
            return Err(self.link.malformed(&reason));
        }
        let Unit::Bytes(left) = unit else { return self.completed(index, place, bytes, into) };
        let mut records = std::mem::take(left);
        records.extend_from_slice(bytes);
        let whole = records.len() - records.len() % told.record.max(1);
        self.link.tracer.tell(Trace::Streamed { bytes, records: &records[..whole] });
        self.completed(index, place, &records[..whole], into)?;
        records.drain(..whole);
        if let WaitState::Stream(_, Unit::Bytes(left)) = &mut self.waits[index].state {
            *left = records;
        }
        Ok(())
    }

    /// A call that blocks was answered.
    #[cfg(all(target_os = "linux", not(miri)))]
    fn was_brought(
        &mut self,
        index: usize,
        place: Option<usize>,
        brought: CallResult,
        into: &mut Vec<RawEdge>,
    ) -> Result<(), Error> {
        self.ready.push(index);
        let wait = &mut self.waits[index];
        wait.began = std::time::Instant::now().checked_sub(brought.lasted).unwrap_or(wait.began);
        match brought.error {
            // The call that ends the wait makes the driver answer, with any bytes. That answer is no edge.
            None if brought.at_the_end && self.teller.is_some() => {}
            None => self.completed(index, place, &brought.bytes, into)?,
            Some(_) if brought.at_the_end || self.stopped.is_some() => {}
            Some(error) => return self.ended(index, Some(error)),
        }
        if let WaitState::Blocked(blocking) = &self.waits[index].state {
            blocking.give_back(brought.bytes);
        }
        Ok(())
    }

    /// The file is ready: makes the ioctl that fetches the edges.
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
            // The file was reported ready, but has nothing. The call is repeated less often.
            Err(error) if error.device().is_some_and(is_not_ready) => self.pause(index),
            Err(error) => self.ended(index, Some(error)),
        }
    }

    /// A wait has no more results: it was stopped, or the device ended it.
    fn ended(&mut self, index: usize, error: Option<Error>) -> Result<(), Error> {
        let stopped = self.stopped.is_some();
        let wait = &mut self.waits[index];
        let end = error.as_ref().map_or(Some(End::NoMore), |error| Some(End::Error(error.device()?.kind())));
        let passes = end.is_some_and(|end| self.link.plan.wait.again_on.contains(&end));
        let is_stream = matches!(wait.state, WaitState::Stream(..));
        if let Some(error) = &error
            && is_stream
        {
            self.link.tracer.tell(Trace::Failed { call: pending::name(&self.link.plan), error });
        }
        match error {
            _ if stopped && passes => {}
            // The stream may go on after this failure, or end with it.
            Some(_) if passes && is_stream => {
                wait.is_passing = true;
                self.ready.push(index);
                return Ok(());
            }
            _ if passes || (end == Some(End::NoMore) && wait.is_passing && !stopped) => {
                return self.pause(index);
            }
            Some(error) => {
                let is_cancelled =
                    error.device().is_some_and(|device| device.kind() == overlapped::ErrorKind::Cancelled);
                if !stopped || !is_cancelled {
                    return Err(self.of_length(error));
                }
            }
            None if !stopped => {
                return Err(Error::gone(format!("device \"{}\" has no more to read", self.link.device.name())));
            }
            None => {}
        }
        match &self.waits[index].state {
            WaitState::Stream(_, Unit::Call) => self.rest(index),
            _ => self.waits[index].state = WaitState::Over,
        }
        Ok(())
    }

    /// Adds a remedy to the error for a driver that refuses the length of a read.
    fn of_length(&self, error: Error) -> Error {
        let is_refused = error.device().is_some_and(|device| device.kind() == overlapped::ErrorKind::InvalidInput);
        match &self.link.plan.wait.by {
            By::Read(output) if is_refused => {
                let length = output.length;
                let message = format!(
                    "{error}; the read was of {length} bytes, and many drivers accept only one length; set `length` in \
                     the `output` of [wait] to it (4 for UIO; for a HID on Windows, that of the longest report)"
                );
                error.saying(message)
            }
            _ => error,
        }
    }

    /// The wait begins again, at once or after a pause.
    fn pause(&mut self, index: usize) -> Result<(), Error> {
        let wait = &mut self.waits[index];
        let Some(pause) = wait.slow.next(wait.began.elapsed(), wait.brought, AFTER_FAILURE) else {
            return self.resume(index);
        };
        wait.pause = Some(self.timer.sleep(pause));
        self.ready.push(index);
        Ok(())
    }

    pub(super) fn resume(&mut self, index: usize) -> Result<(), Error> {
        self.ready.push(index);
        let wait = &mut self.waits[index];
        if self.stopped.is_some() && !wait.is_one_by_one() {
            return Ok(());
        }
        if self.stopped.is_some_and(|at| at.elapsed() > ENOUGH) {
            wait.state = WaitState::Over;
            return Ok(());
        }
        #[cfg(all(target_os = "linux", not(miri)))]
        if let WaitState::Blocked(blocking) = &wait.state {
            blocking.go_on();
            return Ok(());
        }
        wait.begin(&self.link, &self.timer, &mut None)
    }

    /// After a stop: takes the edges that the driver has queued.
    fn rest(&mut self, index: usize) {
        let enough = self.stopped.is_some_and(|at| at.elapsed() > ENOUGH);
        self.waits[index].state = match &self.link.plan.wait.by {
            By::Call(index_of_call) if !enough => {
                let call = self.link.plan.call(*index_of_call);
                let input = call.input.make(self.link.about(self.waits[index].place));
                match call.what {
                    What::Control(code) => {
                        let sent = call::send(&self.link.device, code, call.output.length, &input);
                        WaitState::Rest(sent.timeout(QUIET))
                    }
                    What::Ioctl(_) | What::Write => WaitState::Over,
                }
            }
            _ => WaitState::Over,
        };
        self.ready.push(index);
    }
}
