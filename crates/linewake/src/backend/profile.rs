//! A vendor's driver, by a [profile](crate::profile).
//!
//! ```text
//!   Waits, reads, signals or sleeps ── completion ──► [the call to make then] ──► Judge ──► [levels] ──► RawEdge
//! ```

mod call;
#[cfg(windows)]
mod event;
mod judge;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream as _;
use overlapped::{Call, Device, InvertedCall};

use self::judge::Judge;
use super::{Ask, Backend, Capabilities, Held, Numbering, RawEdge, Settled, unsupported};
use crate::clock::program_ns as now_ns;
use crate::profile::{self, About, Asked, By, EventSource, Output, Place, Plan, Profile, Role, Target};
use crate::ready::Ready;
use crate::timer::Timer;
use crate::{ChipInfo, Clock, Direction, Error, ErrorKind, EventClock, Figures, LineConfig, LineInfo, Offset, Trust};

/// How long a driver may take to answer what it should answer at once.
const ANSWER: Duration = Duration::from_secs(10);
/// After a stop, a wait that takes longer than this has nothing more to give.
const QUIET: Duration = Duration::from_millis(50);
/// What happens all the time is not waited for longer than this.
const ENOUGH: Duration = Duration::from_secs(1);
/// Completions that are looked at before what they brought is handed over.
const TURNS: usize = 32;

type Opener = dyn Fn() -> Result<Device, overlapped::Error> + Send + Sync;

/// A chip behind a driver that a profile describes.
pub(crate) struct Chip {
    plan: Arc<Plan>,
    profile: Profile,
    open: Arc<Opener>,
    timer: Timer,
    info: ChipInfo,
}

/// Opens the chip that a file describes.
pub(crate) fn open(path: &str, allow_writes: bool) -> Result<Arc<dyn Backend>, Error> {
    let profile = Profile::read(path)?.allow_writes(allow_writes);
    let Some(target) = profile.plan().target.clone() else {
        let message = format!("the profile \"{path}\" names no device; add [device] with `path` or `interface`");
        return Err(Error::new(ErrorKind::BadFile, message));
    };
    let opener = opener(profile.plan(), target);
    Ok(Arc::new(Chip::open(&profile, Arc::new(opener))?))
}

/// What opens the device that a profile names, again and again the same.
fn opener(plan: &Plan, target: Target) -> impl Fn() -> Result<Device, overlapped::Error> + Send + Sync + 'static {
    let writes = plan.opens_for_writing();
    #[cfg(windows)]
    let before = std::sync::Mutex::<Option<std::path::PathBuf>>::default();
    move || {
        let mut options = Device::options().write(writes);
        if target.exclusive && cfg!(windows) {
            options = options.share_mode(0);
        }
        match &target.place {
            Place::Path(path) => options.open(path),
            #[cfg(windows)]
            Place::Interface { guid, .. } => {
                let Ok(class) = guid.parse::<overlapped::InterfaceClass>() else {
                    return options.open(guid);
                };
                let present = class.present()?;
                // The one that was found before, if there was one: another of its kind is another chip.
                let mut before = before.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let path = before.get_or_insert_with(|| {
                    present.first().cloned().unwrap_or_else(|| format!(r"\\?\no device of {class}").into())
                });
                let opened = options.open(&*path);
                if !present.contains(path) {
                    *before = None;
                }
                opened
            }
            #[cfg(not(windows))]
            Place::Interface { guid, .. } => options.open(format!("device interface {guid} (Windows)")),
            Place::Subsystem { name, .. } => options.open(format!("a device of {name} (Linux)")),
        }
    }
}

impl Chip {
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when it needs to be allowed and is not; and what opening the device says.
    pub(crate) fn open(profile: &Profile, open: Arc<Opener>) -> Result<Self, Error> {
        profile.check_consent()?;
        let plan = profile.plan().clone();
        let path = match plan.target.as_ref().map(|target| &target.place) {
            Some(Place::Path(path)) => Some(path.as_str().into()),
            _ => None,
        };
        let info = ChipInfo {
            name: plan.name.clone(),
            id: format!("profile:{}", plan.file).into(),
            label: plan.label.clone(),
            path,
            lines: plan.lines.len() as u32,
            max_queue_size: plan.max_queue,
        };
        let chip = Self { plan, profile: profile.clone(), open, timer: Timer::new()?, info };
        let foreign = chip.plan.target.as_ref().and_then(|target| target.place.is_foreign());
        let remedy = match foreign {
            Some(foreign) => format!("the profile opens {foreign}"),
            None => "is it plugged in, and its driver running? The profile says what to open".to_owned(),
        };
        // Whether it is there. Each request has a handle of its own.
        drop(chip.device().map_err(|error| chip.not_listed(error.with_remedy_if_not_found(&remedy)))?);
        Ok(chip)
    }

    /// Says which interface it is whose devices the system does not list, and what to do.
    fn not_listed(&self, error: Error) -> Error {
        let target = self.plan.target.as_ref().map(|target| &target.place);
        let is_list = error.device().is_some_and(|device| device.operation() == overlapped::Operation::Interface);
        match target {
            Some(Place::Interface { guid, .. }) if is_list => {
                let remedy = "name the device by `path` in the profile's [device]";
                let message = format!("the devices of the interface \"{guid}\" cannot be listed: {error}; {remedy}");
                error.saying(message)
            }
            _ => error,
        }
    }

    fn device(&self) -> Result<Device, Error> {
        Ok((self.open)()?)
    }

    /// Makes a call that is answered at once.
    fn ask(&self, device: &Device, call: usize, about: About<'_>) -> Result<overlapped::Reply<[u8]>, Error> {
        let call = self.plan.call(call);
        Ok(call::send(device, call, &call.input.make(about)).wait_timeout(ANSWER)?)
    }

    /// The levels now of the lines that are asked for; none for those the driver does not tell.
    fn levels(&self, device: &Device, judge: &Judge, asked: &[Asked], event: u64) -> Result<Vec<Option<bool>>, Error> {
        let mut levels = vec![None; asked.len()];
        if let profile::Levels::Start(active) = self.plan.levels {
            return Ok(vec![Some(active); asked.len()]);
        }
        let Some(&call) = self.plan.levels.calls().first() else {
            return Ok(levels);
        };
        let one_by_one = self.plan.levels_each_line();
        let places = if one_by_one { (0..asked.len()).map(Some).collect() } else { vec![None] };
        for place in places {
            let line = place.map(|place: usize| asked[place]);
            let bytes = self.ask(device, call, About { lines: asked, line, queue_size: 0, event })?;
            let read =
                judge.read_levels(call, place, &bytes).map_err(|reason| malformed(&self.plan, device, &reason))?;
            read.into_iter().for_each(|(place, active)| levels[place] = Some(active));
        }
        Ok(levels)
    }

    fn as_is(offsets: &[Offset]) -> Vec<(Offset, LineConfig)> {
        offsets.iter().map(|&offset| (offset, LineConfig::as_is())).collect()
    }
}

fn malformed(plan: &Plan, device: &Device, reason: &str) -> Error {
    let message = format!(
        "device \"{}\" does not answer as the profile \"{}\" says: {reason}; is it the profile of this driver?",
        device.name(),
        plan.file
    );
    Error::new(ErrorKind::Malformed, message)
}

impl Backend for Chip {
    fn info(&self) -> &ChipInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let is_exact = self.plan.account.is_some() && self.plan.tells(Role::Overflowed);
        Capabilities {
            shared_lines: !self.plan.target.as_ref().is_some_and(|target| target.exclusive),
            atomic_values: self.plan.levels.calls().len() == 1 && !self.plan.levels_each_line(),
            ..Capabilities::inputs_only(self.plan.lines.len(), if is_exact { Trust::Exact } else { Trust::AtLeast })
        }
    }

    fn clock(&self, _: EventClock) -> Clock {
        if self.plan.tells(Role::Timestamp) { Clock::unrelated("device") } else { Clock::read("program", now_ns) }
    }

    fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        let line = |(offset, line): (u32, &profile::Line)| LineInfo {
            offset: offset.into(),
            name: line.name.clone(),
            direction: Direction::Input,
            active: None,
            used: false,
            consumer: None,
            config: LineConfig::default(),
        };
        Ok((0..).zip(&self.plan.lines).map(line).collect())
    }

    fn values(&self, offsets: &[Offset]) -> Result<Vec<bool>, Error> {
        let lines = Self::as_is(offsets);
        let ask = Ask { consumer: "", queue_size: 0, lines: &lines, witness: false, gather: Duration::ZERO };
        let asked = judge::asked(&self.plan, &ask);
        let judge = Judge::new(self.plan.clone(), &ask, &asked);
        let levels = self.levels(&self.device()?, &judge, &asked, 0)?;
        all_known(&self.plan, levels)
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Box<dyn Held>, Error> {
        let device = self.device()?;
        let asked = judge::asked(&self.plan, ask);
        let mut judge = Judge::new(self.plan.clone(), ask, &asked);
        let event = Signal::made(&self.plan)?;
        let handle = event.as_ref().map_or(0, |event| event.handle);
        // Some drivers tell no levels before they are set up.
        let before = self.levels(&device, &judge, &asked, handle).unwrap_or_else(|_| vec![None; asked.len()]);
        for &call in &self.plan.setup {
            let queue_size = ask.queue_size;
            self.ask(&device, call, About { lines: &asked, line: None, queue_size, event: handle })?;
        }
        let after = self.levels(&device, &judge, &asked, handle)?;
        judge.begin(&after, now_ns());
        // A level that has changed meanwhile may be from before or after the first edge that will be told.
        let steady = |(before, after): (&Option<bool>, &Option<bool>)| after.filter(|_| before == after);
        let active_at_start = before.iter().zip(&after).map(steady).collect();
        let mut lines = Lines {
            chip: self.again(),
            device,
            judge,
            asked,
            event: handle,
            active_at_start,
            sources: Vec::new(),
            ready: Ready::new(),
            after: None,
            stopped: None,
            is_released: false,
        };
        lines.start(event)?;
        Ok(Box::new(lines))
    }

    fn reopen(&self) -> Result<Arc<dyn Backend>, Error> {
        Ok(Arc::new(Self::open(&self.profile, self.open.clone())?))
    }
}

impl Chip {
    fn again(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            profile: self.profile.clone(),
            open: self.open.clone(),
            timer: self.timer.clone(),
            info: self.info.clone(),
        }
    }
}

fn all_known(plan: &Plan, levels: Vec<Option<bool>>) -> Result<Vec<bool>, Error> {
    let unknown =
        || unsupported(&plan.name, "does not tell the levels of its lines: its profile has no [levels] for them");
    levels.into_iter().map(|level| level.ok_or_else(unknown)).collect()
}

impl fmt::Debug for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chip").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// An event, where there are such.
struct Signal {
    handle: u64,
    #[cfg(windows)]
    event: overlapped::Event,
}

impl Signal {
    /// The event that this program makes for the driver.
    fn made(plan: &Plan) -> Result<Option<Self>, Error> {
        match &plan.wait.by {
            #[cfg(windows)]
            By::Event(EventSource::Made) => {
                let (event, handle) = event::make()?;
                Ok(Some(Self { handle, event }))
            }
            #[cfg(not(windows))]
            By::Event(_) => Err(unsupported(&plan.name, "signals events, which only Windows has")),
            _ => Ok(None),
        }
    }
}

/// Lines that are held on a handle of their own.
struct Lines {
    chip: Chip,
    device: Device,
    judge: Judge,
    asked: Vec<Asked>,
    event: u64,
    active_at_start: Vec<Option<bool>>,
    sources: Vec<Source>,
    ready: Ready,
    /// A call that was made because of a completion.
    after: Option<(Then, Call<[u8]>)>,
    stopped: Option<Instant>,
    is_released: bool,
}

/// What is waited for, of the line at a place or of the card.
struct Source {
    place: Option<usize>,
    waits: Waits,
}

enum Waits {
    Calls(InvertedCall<[u8]>),
    /// With what is left of a record that came in pieces.
    Reads(InvertedCall<[u8]>, Vec<u8>),
    #[cfg(windows)]
    Signals(InvertedCall<()>),
    Sleep(Call<()>),
    /// It was stopped: what the driver has still queued comes at once, if anything does.
    Rest(Call<[u8]>),
    /// It was stopped: one more look.
    Last,
    Over,
}

/// What a call that was made because of a completion is for.
#[derive(Clone, Copy)]
enum Then {
    /// What the completion of this source means.
    Meaning(usize),
    /// The levels of all lines.
    Levels,
    /// The level of one.
    Level(usize),
}

impl Lines {
    fn plan(&self) -> &Plan {
        &self.chip.plan
    }

    fn about(&self, place: Option<usize>) -> About<'_> {
        let line = place.map(|place| self.asked[place]);
        About { lines: &self.asked, line, queue_size: 0, event: self.event }
    }

    fn send(&self, call: usize, place: Option<usize>) -> Call<[u8]> {
        let call = self.plan().call(call);
        call::send(&self.device, call, &call.input.make(self.about(place)))
    }

    fn malformed(&self, reason: &str) -> Error {
        malformed(self.plan(), &self.device, reason)
    }

    /// Begins to wait.
    fn start(&mut self, event: Option<Signal>) -> Result<(), Error> {
        #[cfg(not(windows))]
        let _ = event;
        #[cfg(windows)]
        let mut event = event;
        let watched = |place: &usize| self.asked[*place].edges.is_some();
        let places: Vec<_> = (0..self.asked.len()).filter(watched).map(Some).collect();
        let places = match self.plan().wait.each_line {
            true => places,
            false if places.is_empty() => Vec::new(),
            false => vec![None],
        };
        for place in places {
            let plan = self.chip.plan.clone();
            let wait = &plan.wait;
            let waits = match &wait.by {
                By::Call(call) => {
                    let call = plan.call(*call);
                    let input = call.input.make(self.about(place));
                    let calls = self.device.inverted(call::ioctl(call), &*input).pending(wait.pending);
                    let calls = calls.window(window(wait.pending, call.output.length));
                    let calls = if wait.completion_order { calls.completion_order() } else { calls };
                    Waits::Calls(calls.start())
                }
                By::Read(output) => {
                    let reads = self.device.standing_reads(output.length).pending(wait.pending);
                    let reads = reads.window(window(wait.pending, output.length));
                    let reads = if wait.completion_order { reads.completion_order() } else { reads };
                    Waits::Reads(reads.start(), Vec::new())
                }
                #[cfg(windows)]
                By::Event(source) => {
                    let event = match (source, event.take()) {
                        (EventSource::Named(name), _) => {
                            let number = place.map_or(String::new(), |place| self.asked[place].number.to_string());
                            event::open(&name.replace("{number}", &number))?
                        }
                        (EventSource::Made, Some(signal)) => signal.event,
                        (EventSource::Made, None) => return Err(self.malformed("its event is gone")),
                    };
                    Waits::Signals(event.signals().start())
                }
                #[cfg(not(windows))]
                By::Event(EventSource::Named(_) | EventSource::Made) => {
                    return Err(unsupported(&plan.name, "signals events, which only Windows has"));
                }
                By::Poll(period) => {
                    // What counts from the start needs a first reading; levels were read just now.
                    if let Some(&then) = wait.then.first() {
                        let call = plan.call(then);
                        let bytes = self.chip.ask(&self.device, then, self.about(place))?;
                        let first = self.judge.take(Some(then), place, &bytes, now_ns(), &mut Vec::new());
                        first.map_err(|reason| self.malformed(&format!("\"{}\": {reason}", call.name)))?;
                    }
                    Waits::Sleep(self.chip.timer.sleep(*period))
                }
            };
            self.ready.add();
            self.sources.push(Source { place, waits });
        }
        Ok(())
    }

    /// Looks at a source that was woken.
    fn poll_source(&mut self, index: usize, into: &mut Vec<RawEdge>) -> Result<(), Error> {
        let waker = self.ready.waker(index).clone();
        let cx = &mut Context::from_waker(&waker);
        let Source { place, waits } = &mut self.sources[index];
        let place = *place;
        match waits {
            Waits::Over => {}
            Waits::Calls(calls) => match Pin::new(calls).poll_next(cx) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(reply))) => {
                    self.ready.push(index);
                    self.completed(index, place, &reply, into)?;
                }
                Poll::Ready(ended) => self.ended(index, ended.and_then(Result::err))?,
            },
            Waits::Reads(reads, left) => match Pin::new(reads).poll_next(cx) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(reply))) => {
                    self.ready.push(index);
                    if self.chip.plan.reads() == Some(profile::Reads::Messages) {
                        self.completed(index, place, &reply, into)?;
                    } else {
                        let mut bytes = std::mem::take(left);
                        bytes.extend_from_slice(&reply);
                        let whole = bytes.len() - bytes.len() % self.chip.plan.told(None).record.max(1);
                        self.completed(index, place, &bytes[..whole], into)?;
                        bytes.drain(..whole);
                        if let Waits::Reads(_, left) = &mut self.sources[index].waits {
                            *left = bytes;
                        }
                    }
                }
                Poll::Ready(ended) => self.ended(index, ended.and_then(Result::err))?,
            },
            #[cfg(windows)]
            Waits::Signals(signals) => match Pin::new(signals).poll_next(cx) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(_))) => {
                    self.ready.push(index);
                    self.completed(index, place, &[], into)?;
                }
                Poll::Ready(ended) => self.ended(index, ended.and_then(Result::err))?,
            },
            Waits::Sleep(sleep) => {
                if Pin::new(sleep).poll(cx).is_ready() {
                    self.completed(index, place, &[], into)?;
                }
            }
            Waits::Rest(call) => match Pin::new(call).poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(reply)) => {
                    self.rest(index);
                    self.completed(index, place, &reply, into)?;
                }
                Poll::Ready(Err(error)) => {
                    use overlapped::ErrorKind::{Aborted, Cancelled, TimedOut};
                    self.sources[index].waits = Waits::Over;
                    if !matches!(error.kind(), Aborted | Cancelled | TimedOut) {
                        return Err(error.into());
                    }
                }
            },
            Waits::Last => {
                *waits = Waits::Over;
                self.completed(index, place, &[], into)?;
            }
        }
        Ok(())
    }

    /// A source has no more: it was stopped, or the device ended it.
    fn ended(&mut self, index: usize, error: Option<overlapped::Error>) -> Result<(), Error> {
        let stopped = self.stopped.is_some();
        match error {
            Some(error) if !stopped || error.kind() != overlapped::ErrorKind::Cancelled => return Err(error.into()),
            None if !stopped => {
                return Err(Error::gone(format!("device \"{}\" has no more to read", self.device.name())));
            }
            _ => {}
        }
        match &self.sources[index].waits {
            Waits::Calls(_) => self.rest(index),
            _ => self.sources[index].waits = Waits::Over,
        }
        Ok(())
    }

    /// After a stop: takes what the driver has queued.
    fn rest(&mut self, index: usize) {
        let enough = self.stopped.is_some_and(|at| at.elapsed() > ENOUGH);
        self.sources[index].waits = match &self.chip.plan.wait.by {
            By::Call(call) if !enough => Waits::Rest(self.send(*call, self.sources[index].place).timeout(QUIET)),
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
        let teller = match self.chip.plan.wait.by {
            By::Call(call) => Some(call),
            By::Read(_) | By::Event(_) | By::Poll(_) => None,
        };
        match self.chip.plan.wait.then.first() {
            Some(&then) => self.after = Some((Then::Meaning(index), self.send(then, place))),
            None => self.judge.take(teller, place, bytes, now_ns(), into).map_err(|reason| self.malformed(&reason))?,
        }
        Ok(())
    }

    /// A call that was made because of a completion was answered.
    fn answered(&mut self, then: Then, bytes: &[u8], into: &mut Vec<RawEdge>) -> Result<(), Error> {
        let now_ns = now_ns();
        let plan = self.chip.plan.clone();
        match then {
            Then::Meaning(index) => {
                let place = self.sources[index].place;
                let teller = plan.wait.then.first().copied();
                self.judge.take(teller, place, bytes, now_ns, into).map_err(|reason| self.malformed(&reason))?;
                if let (Waits::Sleep(sleep), By::Poll(period)) = (&mut self.sources[index].waits, &plan.wait.by) {
                    *sleep = self.chip.timer.sleep(*period);
                    self.ready.push(index);
                }
            }
            Then::Levels => {
                let levels = self.read_levels(None, bytes)?;
                self.judge.resolve(&levels, now_ns, into);
            }
            Then::Level(place) => {
                let levels = self.read_levels(Some(place), bytes)?;
                self.judge.resolve_one(place, &levels, now_ns, into);
            }
        }
        Ok(())
    }

    fn read_levels(&self, place: Option<usize>, bytes: &[u8]) -> Result<Vec<(usize, bool)>, Error> {
        let Some(&call) = self.plan().levels.calls().first() else {
            return Ok(Vec::new());
        };
        self.judge.read_levels(call, place, bytes).map_err(|reason| self.malformed(&reason))
    }

    /// Asks for the levels of lines that changed.
    fn ask_levels(&mut self) {
        let Some(&call) = self.plan().levels.calls().first() else {
            return;
        };
        let one = if self.plan().levels_each_line() { self.judge.next_changed(0) } else { None };
        let then = one.map_or(Then::Levels, Then::Level);
        self.after = Some((then, self.send(call, one)));
    }

    fn poll(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Result<Poll<Option<()>>, Error> {
        let before = into.len();
        for turn in 0.. {
            if let Some((then, call)) = &mut self.after {
                let then = *then;
                match Pin::new(call).poll(cx) {
                    Poll::Pending if into.len() > before => break,
                    Poll::Pending => return Ok(Poll::Pending),
                    Poll::Ready(answer) => {
                        self.after = None;
                        self.answered(then, &answer?, into)?;
                    }
                }
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

    /// Gives the lines back, without waiting for the answers.
    fn release(&mut self) {
        if std::mem::replace(&mut self.is_released, true) {
            return;
        }
        self.sources.clear();
        self.after = None;
        for &call in &self.chip.plan.release {
            let device = self.device.clone();
            // The handle stays open until it is answered.
            self.send(call, None).then(move |_| drop(device));
        }
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
        for (index, source) in self.sources.iter_mut().enumerate() {
            match &source.waits {
                Waits::Calls(calls) => calls.stopper().stop(),
                Waits::Reads(reads, _) => reads.stopper().stop(),
                #[cfg(windows)]
                Waits::Signals(_) => source.waits = Waits::Last,
                Waits::Sleep(_) => source.waits = Waits::Last,
                Waits::Rest(_) | Waits::Last | Waits::Over => {}
            }
            self.ready.push(index);
        }
    }

    fn active_at_start(&self) -> Vec<Option<bool>> {
        self.active_at_start.clone()
    }

    fn values(&self) -> Result<Vec<bool>, Error> {
        all_known(self.plan(), self.chip.levels(&self.device, &self.judge, &self.asked, self.event)?)
    }

    fn set_values(&mut self, _: &[(usize, bool)]) -> Result<(), Error> {
        Err(unsupported(&self.plan().name, "has no outputs"))
    }

    fn reconfigure(&mut self, _: &[LineConfig]) -> Result<(), Error> {
        Err(unsupported(&self.plan().name, "cannot hold lines otherwise once they are held"))
    }

    fn numbering(&self) -> Numbering {
        self.judge.numbering()
    }

    fn settle(&mut self) -> Result<Option<Vec<Settled>>, Error> {
        let plan = self.chip.plan.clone();
        let Some(account) = plan.account.filter(|_| self.judge.sees_all() && plan.tells(Role::Overflowed)) else {
            return Ok(None);
        };
        self.sources.clear();
        self.after = None;
        self.is_released = true;
        for &call in &plan.release {
            self.chip.ask(&self.device, call, self.about(None))?;
        }
        let bytes = self.chip.ask(&self.device, account, self.about(None))?;
        settled(&plan, &plan.call(account).output, &self.asked, &bytes)
            .map(Some)
            .map_err(|reason| self.malformed(&format!("\"{}\": {reason}", plan.call(account).name)))
    }
}

/// How many results may wait to be taken, so that they do not take too much memory.
fn window(pending: usize, length: usize) -> usize {
    const MOST: usize = 4 << 20;
    (MOST / length.max(1)).clamp(1, 32).max(pending)
}

/// Reads the driver's counters of the lines that were asked for.
fn settled(plan: &Plan, output: &Output, asked: &[Asked], bytes: &[u8]) -> Result<Vec<Settled>, String> {
    let records: Vec<_> = output.records(bytes)?.map(|(_, record)| record).collect();
    let number = |index: usize, record: &[u8]| {
        let by_place = || plan.lines.get(index).map(|line| line.number);
        if output.has(Role::Line) { output.get(Role::Line, record) } else { by_place() }
    };
    let settled = |line: &Asked| {
        let found = records.iter().enumerate().find(|(index, record)| number(*index, record) == Some(line.number));
        let (_, record) = found.ok_or_else(|| format!("it has no counters of line {}", line.number))?;
        let get = |role| output.get(role, record).unwrap_or(0);
        let figures = Figures {
            delivered: get(Role::Delivered),
            overflowed: get(Role::Overflowed),
            merged: get(Role::Merged),
            discarded: get(Role::Discarded),
        };
        Ok(Settled { figures, is_closed: figures.total() == get(Role::Happened) })
    };
    asked.iter().map(settled).collect()
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("device", &self.device).field("lines", &self.asked.len()).finish_non_exhaustive()
    }
}
