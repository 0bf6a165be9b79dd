//! Waits: calls and reads kept pending, a call that blocks, a file that becomes ready, an event, time.
//!
//! A driver may lose edges while no call waits in it. So the dispatcher submits each call again at once, unless the
//! driver is known to keep the edges. It keeps them if the profile sends it the size of a queue. On Linux it also keeps
//! them if the file can be polled, because then reads never wait in the driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

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
    /// The wait begins again after this pause.
    pub(super) pause: Option<Sleep>,
    pub(super) slow: Slow,
    /// When the wait began.
    pub(super) began: Instant,
    /// The wait brought a result since it began.
    pub(super) brought: bool,
    /// Its last result was a failure after which the profile lets it go on.
    pub(super) is_passing: bool,
    /// The wait was stopped: any failure of its calls now ends it.
    pub(super) is_stopping: Arc<AtomicBool>,
}

pub(super) enum WaitState {
    /// Calls or reads are kept pending.
    Stream(InvertedCall<[u8]>, Unit),
    #[cfg(all(target_os = "linux", not(miri)))]
    Blocked(Blocking),
    /// Waits until the file is ready for the ioctl.
    #[cfg(all(target_os = "linux", not(miri)))]
    Ready(Call<()>),
    #[cfg(windows)]
    Signals(InvertedCall<()>),
    Sleep(Sleep),
    /// The call is left out for this wait, so no result comes.
    Idle,
    /// The wait was stopped: a last call reads the driver's queue, and the driver answers at once.
    Rest(Call<[u8]>),
    /// The wait was stopped: the lines are looked at once more.
    Last,
    Over,
}

/// The content of one result of a stream.
pub(super) enum Unit {
    Call,
    Message,
    /// Bytes of a stream, with what is left of a record that came in pieces.
    Bytes(Vec<u8>),
}

/// The event that the driver signals. Only Windows has events.
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
                // With one byte of room more, a message that is too long shows by its length.
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
                    (EventSource::Made, None) => return Err(link.malformed("its event was already used")),
                };
                WaitState::Signals(event.signals().start())
            }
            #[cfg(not(windows))]
            By::Event(_) => return Err(unsupported(&plan.name, "signals events, which only Windows has")),
            By::Poll(period) => WaitState::Sleep(timer.sleep(*period)),
        };
        Ok(())
    }

    /// Keeps calls or reads pending. `keeps`: the driver keeps the edges that come while no call is pending.
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
        // If the driver keeps edges, further calls are submitted when results are taken, not by the dispatcher.
        let calls = if keeps { calls.armed_by_consumer() } else { calls };
        calls.go_on_after(self.passing(plan)).start()
    }

    /// Lets the thread make no further call that blocks.
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
        Ok(WaitState::Ready(match when {
            When::Writable => link.device.writable(),
            When::Priority => link.device.priority(),
            When::Readable | When::Now | When::Blocks { .. } => link.device.readable(),
        }))
    }

    #[cfg(not(all(target_os = "linux", not(miri))))]
    #[expect(clippy::unused_self, reason = "on Linux it is used")]
    fn readiness(&self, link: &Link, _: When) -> Result<WaitState, Error> {
        Err(unsupported(&link.plan.name, "is controlled by ioctls, which only Linux has"))
    }

    /// True if the next wait begins only after all steps of its completion.
    pub(super) fn is_one_by_one(&self) -> bool {
        match self.state {
            #[cfg(all(target_os = "linux", not(miri)))]
            WaitState::Blocked(_) | WaitState::Ready(_) => true,
            WaitState::Sleep(_) => true,
            _ => false,
        }
    }
}

/// Starts the thread that makes an ioctl that blocks.
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
            // A wait that only timed out is repeated here. If it were handed over, no call would be in the driver until
            // somebody takes the result.
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

/// True if a read waits until the file is ready, instead of in the driver. epoll refuses files without a poll
/// operation.
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

/// True if the file cuts a message that is too long without an error, as datagram sockets do.
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

/// How many results may wait to be taken: at most 32, in at most 4 MiB, and never fewer than the pending calls.
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
