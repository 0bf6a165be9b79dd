//! The open device of a profile: calls and their answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use overlapped::{Call, Device, Reply};

use super::call;
#[cfg(all(target_os = "linux", not(miri)))]
use super::ioctl::Room;
use crate::profile::{self, About, Plan, RequestedLine, Step, Trace, Tracer, What};
use crate::{Error, ErrorKind};

/// How long a driver may take for a call that should be answered at once.
const ANSWER: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Link {
    pub(super) plan: Arc<Plan>,
    pub(super) device: Device,
    /// The lines that were asked for.
    pub(super) asked: Vec<RequestedLine>,
    pub(super) queue_size: u32,
    /// The lines were given back.
    pub(super) is_over: std::cell::Cell<bool>,
    /// The handle of the event that was made for the driver.
    pub(super) event: u64,
    pub(super) tracer: Tracer,
    /// The reason for each call that is left out.
    pub(super) left_out: Arc<[Option<&'static str>]>,
    #[cfg(all(target_os = "linux", not(miri)))]
    pub(super) room: std::cell::RefCell<Room>,
}

/// The answer of a call.
pub(super) enum Answer {
    Reply(Reply<[u8]>),
    Bytes(Vec<u8>),
    /// The call was not sent.
    LeftOut,
}

impl Answer {
    /// The bytes of the answer. `None` if the call was not sent.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Reply(reply) => Some(reply),
            Self::Bytes(bytes) => Some(bytes),
            Self::LeftOut => None,
        }
    }
}

/// A call that was sent.
pub(super) enum SentCall {
    Control(Call<[u8]>),
    Write(Call<()>),
    /// The call was answered at once.
    Over(Option<Result<Answer, Error>>),
}

impl Link {
    pub(super) fn about(&self, place: Option<usize>) -> About<'_> {
        let line = place.map(|place| self.asked[place]);
        About { lines: &self.asked, line, queue_size: self.queue_size, is_over: self.is_over.get(), event: self.event }
    }

    pub(super) fn number(&self, place: Option<usize>) -> Option<u64> {
        place.map(|place| self.asked[place].number)
    }

    /// The error of a device that does not do what the profile says.
    pub(super) fn malformed(&self, reason: &str) -> Error {
        malformed(&self.plan, self.device.name(), reason)
    }

    /// True if a call is left out. Then the reason is traced.
    pub(super) fn leaves_out(&self, step: Step) -> bool {
        let Some(reason) = self.left_out[step.call] else { return false };
        let call = self.plan.call(step.call);
        let input = &*call.input.make(self.about(step.place));
        self.tracer.tell(Trace::Skipped { call: &call.name, line: self.number(step.place), input, reason });
        true
    }

    /// Sends a call with a time limit. An ioctl is over when this returns.
    pub(super) fn send(&self, step: Step) -> SentCall {
        match self.send_for_a_thread(step) {
            SentCall::Control(call) => SentCall::Control(call.timeout(ANSWER)),
            SentCall::Write(call) => SentCall::Write(call.timeout(ANSWER)),
            over @ SentCall::Over(_) => over,
        }
    }

    /// [`send`](Self::send) without a time limit, for a thread that waits with one.
    fn send_for_a_thread(&self, step: Step) -> SentCall {
        if self.leaves_out(step) {
            return SentCall::Over(Some(Ok(Answer::LeftOut)));
        }
        let call = self.plan.call(step.call);
        let input = call.input.make(self.about(step.place));
        self.tracer.tell(Trace::Sent { call: &call.name, line: self.number(step.place), input: &input });
        match &call.what {
            What::Control(code) => SentCall::Control(call::send(&self.device, *code, call.output.length, &input)),
            What::Write => SentCall::Write(self.device.write_all(&input)),
            What::Ioctl(request) => SentCall::Over(Some(self.ioctl(step, call, request, &input, false))),
        }
    }

    /// The answer of a call that was sent, when it is there.
    pub(super) fn poll(&self, step: Step, sent: &mut SentCall, cx: &mut Context<'_>) -> Poll<Result<Answer, Error>> {
        let answer = match sent {
            SentCall::Control(call) => std::task::ready!(Pin::new(call).poll(cx)).map(Answer::Reply),
            SentCall::Write(call) => std::task::ready!(Pin::new(call).poll(cx)).map(|_| Answer::Bytes(Vec::new())),
            SentCall::Over(answer) => return Poll::Ready(answer.take().unwrap_or(Ok(Answer::LeftOut))),
        };
        Poll::Ready(self.answered(step, answer.map_err(Error::from)))
    }

    /// Makes a call that is answered at once.
    pub(super) fn ask(&self, step: Step) -> Result<Answer, Error> {
        let answer = match self.send_for_a_thread(step) {
            SentCall::Control(call) => call.wait_timeout(ANSWER).map(Answer::Reply),
            SentCall::Write(call) => call.wait_timeout(ANSWER).map(|_| Answer::Bytes(Vec::new())),
            SentCall::Over(answer) => return answer.unwrap_or(Ok(Answer::LeftOut)),
        };
        self.answered(step, answer.map_err(Error::from))
    }

    /// Makes the calls that set up the device. If one fails, the release calls undo the earlier ones.
    pub(super) fn set_up(&self) -> Result<(), Error> {
        for (done, step) in self.plan.steps(&self.plan.setup, None, self.asked.len()).enumerate() {
            if let Err(error) = self.ask(step) {
                // If the first call failed, nothing is released: another program may have set up the device.
                if done > 0 {
                    self.release();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes the calls that release the device, without waiting for the answers.
    pub(super) fn release(&self) {
        self.is_over.set(true);
        self.plan.steps(&self.plan.release, None, self.asked.len()).for_each(|step| self.send_off(step));
    }

    /// Sends a call without waiting for its answer. The handle stays open until the answer comes.
    pub(super) fn send_off(&self, step: Step) {
        let (device, tracer, name) = (self.device.clone(), self.tracer.clone(), self.plan.call(step.call).name.clone());
        let line = self.number(step.place);
        let answered = move |bytes: Result<&[u8], Error>| {
            match bytes {
                Ok(bytes) => tracer.tell(Trace::Answered { call: &name, line, bytes, value: None }),
                Err(error) => drop(tracer.failed(&name, error)),
            }
            drop(device);
        };
        match self.send(step) {
            SentCall::Control(call) => {
                call.then(move |answer| match answer {
                    Ok(reply) => answered(Ok(&reply)),
                    Err(error) => answered(Err(error.into())),
                });
            }
            SentCall::Write(call) => {
                call.then(move |answer| answered(answer.map(|_| &[][..]).map_err(Error::from)));
            }
            SentCall::Over(_) => {}
        }
    }

    /// Traces an answer, and passes it on.
    fn answered(&self, step: Step, answer: Result<Answer, Error>) -> Result<Answer, Error> {
        let (call, line) = (&*self.plan.call(step.call).name, self.number(step.place));
        match &answer {
            Ok(answer) => {
                let bytes = answer.bytes().unwrap_or_default();
                self.tracer.tell(Trace::Answered { call, line, bytes, value: None });
            }
            Err(error) => self.tracer.tell(Trace::Failed { call, error }),
        }
        answer
    }

    /// Makes an ioctl. If a signal interrupts one that waits, it is made again.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub(super) fn ioctl(
        &self,
        step: Step,
        call: &profile::Call,
        request: &profile::Request,
        input: &[u8],
        waits: bool,
    ) -> Result<Answer, Error> {
        let mut bytes = Vec::new();
        let line = self.number(step.place);
        self.maker(call, request, line).make(&mut self.room.borrow_mut(), input, || waits, &mut bytes)?;
        Ok(Answer::Bytes(bytes))
    }

    #[cfg(not(all(target_os = "linux", not(miri))))]
    fn ioctl(&self, _: Step, _: &profile::Call, _: &profile::Request, _: &[u8], _: bool) -> Result<Answer, Error> {
        Err(crate::backend::unsupported(&self.plan.name, "is controlled by ioctls, which only Linux has"))
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    pub(super) fn maker<'m>(
        &'m self,
        call: &'m profile::Call,
        request: &'m profile::Request,
        line: Option<u64>,
    ) -> Maker<'m> {
        Maker { plan: &self.plan, device: &self.device, tracer: &self.tracer, call, request, line }
    }
}

/// The maker of one ioctl, on any thread.
#[cfg(all(target_os = "linux", not(miri)))]
pub(super) struct Maker<'m> {
    pub(super) plan: &'m Plan,
    pub(super) device: &'m Device,
    pub(super) tracer: &'m Tracer,
    pub(super) call: &'m profile::Call,
    pub(super) request: &'m profile::Request,
    pub(super) line: Option<u64>,
}

#[cfg(all(target_os = "linux", not(miri)))]
impl Maker<'_> {
    /// Makes the ioctl, appends its answer, and traces it.
    pub(super) fn make(
        &self,
        room: &mut Room,
        input: &[u8],
        again: impl Fn() -> bool,
        into: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let name = &*self.call.name;
        let made = room.make(self.device, self.request, input, self.call.output.length, again);
        let made = made.map_err(Error::from).and_then(|made| {
            made.map_err(|reason| malformed(self.plan, self.device.name(), &format!("\"{name}\": {reason}")))
        });
        let value = made.map_err(|error| self.tracer.failed(name, error))?;
        if self.request.answers_by_value {
            into.extend_from_slice(&value.to_le_bytes());
        } else {
            into.extend_from_slice(room.answer().get(..self.call.output.length).unwrap_or_default());
        }
        self.tracer.tell(Trace::Answered { call: name, line: self.line, bytes: into, value: Some(value) });
        Ok(())
    }
}

fn malformed(plan: &Plan, device: &str, reason: &str) -> Error {
    let message = format!(
        "device \"{device}\" does not answer as the profile \"{}\" says: {reason}; is it the profile of this driver?",
        plan.file
    );
    Error::new(ErrorKind::Malformed, message)
}
