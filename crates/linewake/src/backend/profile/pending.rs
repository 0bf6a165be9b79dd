//! Waits: calls and reads kept pending, a call that blocks, a file that becomes ready, an event, time.
//!
//! A driver may forget what happens while no call waits. So the dispatcher submits calls again at once, unless
//! something is known to keep what happens: the driver's queue, if the profile sends its size; on Linux the driver of a
//! file that is polled, in which no read ever waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

#[cfg(all(target_os = "linux", not(miri)))]
use overlapped::linux::Interest;
use overlapped::{Call, InvertedCall, InvertedCallBuilder, Port, Sleep};

#[cfg(all(target_os = "linux", not(miri)))]
use super::blocking::Blocking;
use super::call;
use super::link::Link;
use super::slow::Slow;
use crate::Error;
use crate::backend::unsupported;
#[cfg(windows)]
use crate::profile::EventSource;
#[cfg(all(target_os = "linux", not(miri)))]
use crate::profile::Request;
use crate::profile::{By, End, Plan, Reads, Step, Trace, What, When};

/// One wait, for the line at a place or for the card.
pub(super) struct PendingWait {
    pub(super) place: Option<usize>,
    pub(super) state: WaitState,
    /// It begins again after this pause.
    pub(super) pause: Option<Sleep>,
    pub(super) slow: Slow,
    /// When the wait began.
    pub(super) began: Instant,
    /// It brought something since then.
    pub(super) brought: bool,
    /// Its last result was an end that it survives.
    pub(super) is_passing: bool,
    /// It was stopped: whatever ends its calls now is its end.
    pub(super) is_stopping: Arc<AtomicBool>,
}

pub(super) enum WaitState {
    /// Calls or reads are kept pending.
    Stream(InvertedCall<[u8]>, Unit),
    #[cfg(all(target_os = "linux", not(miri)))]
    Blocked(Blocking),
    /// Until the file is ready for the ioctl.
    #[cfg(all(target_os = "linux", not(miri)))]
    Ready(Call<()>),
    #[cfg(windows)]
    Signals(InvertedCall<()>),
    Sleep(Sleep),
    /// The profile's call is left out: nothing comes.
    Idle,
    /// It was stopped: the driver's queue is read, which answers at once.
    Rest(Call<[u8]>),
    /// It was stopped: one more look.
    Last,
    Over,
}

/// What one result of a stream holds.
pub(super) enum Unit {
    Call,
    Message,
    /// Bytes of a stream, with what is left of a record that came in pieces.
    Bytes(Vec<u8>),
}

/// An event, where events exist.
pub(super) struct Signal {
    pub(super) handle: u64,
    #[cfg(windows)]
    pub(super) event: overlapped::Event,
}

impl Signal {
    /// The event that this program makes for the driver.
    pub(super) fn made(plan: &Plan) -> Result<Option<Self>, Error> {
        match &plan.wait.by {
            #[cfg(windows)]
            By::Event(EventSource::Made) => {
                let (event, handle) = super::event::make()?;
                Ok(Some(Self { handle, event }))
            }
            #[cfg(not(windows))]
            By::Event(_) => Err(unsupported(&plan.name, "signals events, which only Windows has")),
            _ => Ok(None),
        }
    }
}

impl PendingWait {
    pub(super) fn new(place: Option<usize>) -> Self {
        Self {
            place,
            state: WaitState::Over,
            pause: None,
            slow: Slow::default(),
            began: Instant::now(),
            brought: false,
            is_passing: false,
            is_stopping: Arc::default(),
        }
    }

    /// Begins to wait.
    pub(super) fn begin(&mut self, link: &Link, timer: &Port, signal: &mut Option<Signal>) -> Result<(), Error> {
        #[cfg(not(windows))]
        let _ = signal;
        (self.began, self.brought, self.is_passing) = (Instant::now(), false, false);
        let plan = &link.plan;
        let wait = &plan.wait;
        self.state = match &wait.by {
            By::Call(call) if link.leaves_out(Step { call: *call, place: self.place }) => WaitState::Idle,
            By::Call(index) => {
                let call = plan.call(*index);
                let input = call.input.make(link.about(self.place));
                let sent = Trace::Sent { call: &call.name, line: link.number(self.place), input: &input };
                match &call.what {
                    What::Control(code) => {
                        link.tracer.tell(sent);
                        let output_len = call.output.length;
                        let calls = link.device.inverted(call::control(*code, output_len), &*input);
                        WaitState::Stream(self.stream(calls, plan, output_len, plan.max_queue > 0), Unit::Call)
                    }
                    What::Ioctl(request) => match request.when {
                        #[cfg(all(target_os = "linux", not(miri)))]
                        When::Blocks { .. } => {
                            link.tracer.tell(sent);
                            WaitState::Blocked(blocking(link, *index, request, input, self.place)?)
                        }
                        when => self.readiness(link, when)?,
                    },
                    What::Write => return Err(link.malformed("a write does not wait")),
                }
            }
            By::Read(output) => {
                let is_bytes = || if link.device.is_byte_stream() { Reads::Bytes } else { Reads::Messages };
                let unit = match plan.reads().unwrap_or_else(is_bytes) {
                    Reads::Bytes => Unit::Bytes(Vec::new()),
                    Reads::Messages => Unit::Message,
                };
                // One byte more shows a message that would be cut.
                let room = output.length + usize::from(cuts_messages(&link.device));
                let keeps = plan.max_queue > 0 || is_polled(&link.device);
                WaitState::Stream(self.stream(link.device.standing_reads(room), plan, output.length, keeps), unit)
            }
            #[cfg(windows)]
            By::Event(source) => {
                let event = match (source, signal.take()) {
                    (EventSource::Named(name), _) => {
                        let number = link.number(self.place).map_or(String::new(), |number| number.to_string());
                        super::event::open(&name.replace("{number}", &number))?
                    }
                    (EventSource::Made, Some(signal)) => signal.event,
                    (EventSource::Made, None) => return Err(link.malformed("its event is gone")),
                };
                WaitState::Signals(event.signals().start())
            }
            #[cfg(not(windows))]
            By::Event(_) => return Err(unsupported(&plan.name, "signals events, which only Windows has")),
            By::Poll(period) => WaitState::Sleep(timer.sleep(*period)),
        };
        Ok(())
    }

    /// Keeps calls or reads pending. Something `keeps` what happens while none is.
    fn stream<In: ?Sized>(
        &self,
        calls: InvertedCallBuilder<[u8], In>,
        plan: &Plan,
        length: usize,
        keeps: bool,
    ) -> InvertedCall<[u8]> {
        let wait = &plan.wait;
        let calls = calls.pending(wait.pending).window(window(wait.pending, length));
        let calls = if wait.completion_order { calls.completion_order() } else { calls };
        // Further calls are submitted by the taker of the results, if nothing is lost meanwhile.
        let calls = if keeps { calls.armed_by_consumer() } else { calls };
        calls.go_on_after(self.passing(plan)).start()
    }

    /// No further call is made that blocks.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub(super) fn leave(&self) {
        if let WaitState::Blocked(blocking) = &self.state {
            blocking.leave();
        }
    }

    /// The failures that pending calls survive, until the stop.
    fn passing(&self, plan: &Plan) -> impl Fn(&overlapped::Error) -> bool + Send + Sync + 'static {
        let (ends, is_stopping) = (plan.wait.again_on.clone(), self.is_stopping.clone());
        move |error| !is_stopping.load(Relaxed) && ends.contains(&End::Error(error.kind()))
    }

    /// Waits until the file is ready for an ioctl.
    #[cfg(all(target_os = "linux", not(miri)))]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it fails")]
    fn readiness(&self, link: &Link, when: When) -> Result<WaitState, Error> {
        let interest = match when {
            When::Writable => Interest::Writable,
            When::Priority => Interest::Priority,
            When::Readable | When::Now | When::Blocks { .. } => Interest::Readable,
        };
        Ok(WaitState::Ready(match interest {
            Interest::Readable => link.device.readable(),
            Interest::Writable => link.device.writable(),
            Interest::Priority => link.device.priority(),
        }))
    }

    #[cfg(not(all(target_os = "linux", not(miri))))]
    #[expect(clippy::unused_self, reason = "on Linux it is used")]
    fn readiness(&self, link: &Link, _: When) -> Result<WaitState, Error> {
        Err(unsupported(&link.plan.name, "is told by ioctls, which only Linux has"))
    }

    /// Whether the next wait begins only after all steps of its completion.
    pub(super) fn is_one_by_one(&self) -> bool {
        match self.state {
            #[cfg(all(target_os = "linux", not(miri)))]
            WaitState::Blocked(_) | WaitState::Ready(_) => true,
            WaitState::Sleep(_) => true,
            _ => false,
        }
    }
}

/// The thread of an ioctl that blocks.
#[cfg(all(target_os = "linux", not(miri)))]
fn blocking(
    link: &Link,
    index: usize,
    request: &Request,
    input: Vec<u8>,
    place: Option<usize>,
) -> Result<Blocking, Error> {
    use super::blocking::Ending;
    use super::ioctl::Room;
    use super::link::Maker;
    let (plan, device, tracer) = (link.plan.clone(), link.device.clone(), link.tracer.clone());
    let (request, line) = (request.clone(), link.number(place));
    let name = &plan.call(index).name;
    let (window, one_by_one) = (window(1, plan.call(index).output.length), !plan.wait.then.is_empty());
    let mut room = Room::default();
    let make = {
        let plan = plan.clone();
        move |bytes: &mut Vec<u8>, ending: &Ending<'_>| {
            let call = plan.call(index);
            let maker = Maker { plan: &plan, device: &device, tracer: &tracer, call, request: &request, line };
            // A wait that timed out is no news. If it were handed over, no call would be in the driver until it is
            // taken.
            let is_no_news = |error: &Error, began: Instant| {
                let passes = error.device().is_some_and(|error| plan.wait.again_on.contains(&End::Error(error.kind())));
                passes && super::slow::did_wait(began.elapsed()) && !ending.is_near()
            };
            loop {
                let began = Instant::now();
                match maker.make(&mut room, &input, || !ending.is_near(), bytes) {
                    Err(error) if is_no_news(&error, began) => bytes.clear(),
                    made => return made,
                }
            }
        }
    };
    Blocking::start(name, window, one_by_one, make)
}

/// Whether reads wait for the file to be ready, and not in its driver. epoll refuses files without a poll operation.
#[cfg(all(target_os = "linux", not(miri)))]
fn is_polled(device: &overlapped::Device) -> bool {
    use rustix::event::epoll::{CreateFlags, EventData, EventFlags, add, create};
    let probe = |fd| add(create(CreateFlags::CLOEXEC)?, fd, EventData::new_u64(0), EventFlags::IN);
    device.as_fd().is_ok_and(|fd| probe(fd).is_ok())
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn is_polled(_: &overlapped::Device) -> bool {
    false
}

/// Whether the rest of a message that is too long is lost without an error, as by datagram sockets.
#[cfg(all(target_os = "linux", not(miri)))]
fn cuts_messages(device: &overlapped::Device) -> bool {
    use rustix::fs::{FileType, fstat};
    let is_socket = |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
    !device.is_byte_stream() && device.as_fd().is_ok_and(|fd| fstat(fd).is_ok_and(is_socket))
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn cuts_messages(_: &overlapped::Device) -> bool {
    false
}

/// The most results that wait to be taken, within 4 MiB.
fn window(pending: usize, length: usize) -> usize {
    const MOST: usize = 4 << 20;
    (MOST / length.max(1)).clamp(1, 32).max(pending)
}

/// The name of the wait in traces.
pub(super) fn name(plan: &Plan) -> &str {
    match &plan.wait.by {
        By::Call(call) => &plan.call(*call).name,
        By::Read(_) => "read",
        By::Event(_) => "event",
        By::Poll(_) => "poll",
    }
}
