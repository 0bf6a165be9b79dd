//! What is waited for: calls and reads kept pending, a call that blocks, a file that becomes ready, an event, time.
//!
//! A driver may forget what happens while no call waits. So calls are submitted again at once, by the dispatcher, unless
//! it is known that something keeps what nobody asks for: the driver's queue, if the profile sends its size; on Linux a
//! file that is polled, since no read waits in its driver at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

#[cfg(all(target_os = "linux", not(miri)))]
use overlapped::linux::Interest;
use overlapped::{Call, InvertedCall, InvertedCallBuilder, Output, Port, Sleep};

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

/// What is waited for, of the line at a place or of the card.
pub(super) struct Source {
    pub(super) place: Option<usize>,
    pub(super) waits: Waits,
    /// It is made anew when this is over.
    pub(super) pause: Option<Sleep>,
    pub(super) slow: Slow,
    /// When the wait began that is under way.
    pub(super) began: Instant,
    /// Something came of the wait since then.
    pub(super) brought: bool,
    /// The last thing that came was an end that is none.
    pub(super) is_passing: bool,
    /// It was stopped, and what its calls end with then is the end.
    pub(super) is_stopping: Arc<AtomicBool>,
}

pub(super) enum Waits {
    Calls(InvertedCall<[u8]>),
    /// Messages; or bytes, with what is left of a record that came in pieces.
    Reads(InvertedCall<[u8]>, Option<Vec<u8>>),
    #[cfg(all(target_os = "linux", not(miri)))]
    Blocked(Blocking),
    /// Until the file is ready for the ioctl.
    #[cfg(all(target_os = "linux", not(miri)))]
    Ready(Call<()>),
    #[cfg(windows)]
    Signals(InvertedCall<()>),
    Sleep(Sleep),
    /// The wait is left out: nothing comes.
    Idle,
    /// It was stopped: what the driver has still queued comes at once, if anything does.
    Rest(Call<[u8]>),
    /// It was stopped: one more look.
    Last,
    Over,
}

/// An event, where there are such.
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

impl Source {
    pub(super) fn new(place: Option<usize>) -> Self {
        Self {
            place,
            waits: Waits::Over,
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
        self.waits = match &wait.by {
            By::Call(call) if link.leaves_out(Step { call: *call, place: self.place }) => Waits::Idle,
            By::Call(index) => {
                let call = plan.call(*index);
                let input = call.input.make(link.about(self.place));
                let sent = Trace::Sent { call: &call.name, line: link.number(self.place), input: &input };
                match &call.what {
                    What::Control(code) => {
                        link.tracer.tell(sent);
                        let output_len = call.output.length;
                        let calls = link.device.inverted(call::control(*code, output_len), &*input);
                        let calls = calls.pending(wait.pending).window(window(wait.pending, output_len));
                        let calls = if wait.completion_order { calls.completion_order() } else { calls };
                        let calls = armed(calls, plan.max_queue > 0);
                        Waits::Calls(calls.go_on_after(self.passing(plan)).start())
                    }
                    What::Ioctl(request) => match request.when {
                        #[cfg(all(target_os = "linux", not(miri)))]
                        When::Blocks { .. } => {
                            link.tracer.tell(sent);
                            Waits::Blocked(blocking(link, *index, request, input, self.place)?)
                        }
                        when => self.readiness(link, when)?,
                    },
                    What::Write => return Err(link.malformed("a write does not wait")),
                }
            }
            By::Read(output) => {
                let is_bytes = || if link.device.is_byte_stream() { Reads::Bytes } else { Reads::Messages };
                let left = (plan.reads().unwrap_or_else(is_bytes) == Reads::Bytes).then(Vec::new);
                // Room for more than a message has shows one that would be cut.
                let room = output.length + usize::from(cuts_messages(&link.device));
                let reads = link.device.standing_reads(room).pending(wait.pending);
                let reads = reads.window(window(wait.pending, output.length));
                let reads = if wait.completion_order { reads.completion_order() } else { reads };
                let reads = armed(reads, plan.max_queue > 0 || is_polled(&link.device));
                Waits::Reads(reads.go_on_after(self.passing(plan)).start(), left)
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
                Waits::Signals(event.signals().start())
            }
            #[cfg(not(windows))]
            By::Event(_) => return Err(unsupported(&plan.name, "signals events, which only Windows has")),
            By::Poll(period) => Waits::Sleep(timer.sleep(*period)),
        };
        Ok(())
    }

    /// No further call is made that blocks.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub(super) fn leave(&self) {
        if let Waits::Blocked(blocking) = &self.waits {
            blocking.leave();
        }
    }

    /// Which failures of calls that are kept pending are no end, until it is stopped.
    fn passing(&self, plan: &Plan) -> impl Fn(&overlapped::Error) -> bool + Send + Sync + 'static {
        let (ends, is_stopping) = (plan.wait.again_on.clone(), self.is_stopping.clone());
        move |error| !is_stopping.load(Relaxed) && ends.contains(&End::Error(error.kind()))
    }

    /// Waits until the file is ready for an ioctl.
    #[cfg(all(target_os = "linux", not(miri)))]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it fails")]
    fn readiness(&self, link: &Link, when: When) -> Result<Waits, Error> {
        let interest = match when {
            When::Writable => Interest::Writable,
            When::Priority => Interest::Priority,
            When::Readable | When::Now | When::Blocks { .. } => Interest::Readable,
        };
        Ok(Waits::Ready(match interest {
            Interest::Readable => link.device.readable(),
            Interest::Writable => link.device.writable(),
            Interest::Priority => link.device.priority(),
        }))
    }

    #[cfg(not(all(target_os = "linux", not(miri))))]
    #[expect(clippy::unused_self, reason = "on Linux it is used")]
    fn readiness(&self, link: &Link, _: When) -> Result<Waits, Error> {
        Err(unsupported(&link.plan.name, "is told by ioctls, which only Linux has"))
    }

    /// Whether it waits anew only when all was done that its completion asked for.
    pub(super) fn is_one_by_one(&self) -> bool {
        match self.waits {
            #[cfg(all(target_os = "linux", not(miri)))]
            Waits::Blocked(_) | Waits::Ready(_) => true,
            Waits::Sleep(_) => true,
            _ => false,
        }
    }
}

/// The thread that makes an ioctl which waits.
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
            // What ended as it may, after it did wait, is no news: until somebody took it, nobody would be in the
            // driver.
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

/// Who submits further calls: whoever takes the results, if something `keeps` what happens meanwhile.
fn armed<In: ?Sized, Out: Output + ?Sized>(
    calls: InvertedCallBuilder<Out, In>,
    keeps: bool,
) -> InvertedCallBuilder<Out, In> {
    if keeps { calls.armed_by_consumer() } else { calls }
}

/// Whether reads of the file wait until it is ready, and not in its driver: what has no poll operation is refused by epoll.
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

/// Whether what there is no room for of a message is lost without a word: by sockets that are no streams.
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

/// How many results may wait to be taken, so that they do not take too much memory.
fn window(pending: usize, length: usize) -> usize {
    const MOST: usize = 4 << 20;
    (MOST / length.max(1)).clamp(1, 32).max(pending)
}

/// What the wait is called where its calls are told of.
pub(super) fn name(plan: &Plan) -> &str {
    match &plan.wait.by {
        By::Call(call) => &plan.call(*call).name,
        By::Read(_) => "read",
        By::Event(_) => "event",
        By::Poll(_) => "poll",
    }
}
