//! A program that prints a text line for each change: for a vendor's library that offers only callbacks.
//!
//! ```text
//!   child ── "1700000000 door 1\n" ──► pipe ──► standing reads (few; then the child waits) ──► Output ──► RawEdge
//! ```
//!
//! The pipe keeps what is not read, and the child waits when it is full. So the thread that waits for edges reads the
//! pipe itself.

mod command;
mod output;
mod pipe;

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream as _;
use overlapped::{InvertedCall, Port, Sleep};

pub use self::command::{Exec, Restart};
use self::output::{Header, Output};
use super::{Ask, Backend, Capabilities, HeldLines, Numbering, RawEdge, unsupported};
use crate::{
    ChipInfo, Clock, ClockName, Direction, Edges, Error, ErrorKind, EventClock, LineConfig, LineInfo, Missed, Offset,
    Trust,
};

/// The size of one read, and how many reads may wait here before the child has to wait.
const READ: usize = 16 << 10;
const PIECES: usize = 4;
/// After a stop, a pipe that is quiet for this long has no more earlier edges.
const QUIET: Duration = Duration::from_millis(50);
/// After a stop, a child that goes on printing is read no longer than this.
const ENOUGH: Duration = Duration::from_secs(1);
/// The time between two checks whether a killed child has ended.
const REAP: Duration = Duration::from_millis(5);

pub(crate) fn open(command: &str, start_timeout: Option<Duration>) -> Result<Arc<dyn Backend>, Error> {
    let exec = Exec::parse(command)?;
    let start_timeout = start_timeout.unwrap_or(exec.start_timeout);
    Ok(Arc::new(ExecChip::open(exec.start_timeout(start_timeout))?))
}

/// A chip whose lines a program watches.
#[derive(Debug)]
pub(crate) struct ExecChip {
    info: ChipInfo,
    header: Arc<Header>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    exec: Exec,
    timer: Port,
    /// The child while no request holds its lines. It runs since the chip was opened, because its output names the
    /// lines.
    idle: Mutex<Idle>,
}

#[derive(Debug)]
enum Idle {
    Running(Box<Running>),
    /// A request has the child.
    InRequest,
    /// No child; the next request starts one.
    Gone,
    /// The child ended by itself at this time. `well`: its exit status was 0.
    Ended {
        at: Instant,
        well: bool,
    },
}

/// A child and its output.
#[derive(Debug)]
struct Running {
    child: Option<Child>,
    timer: Port,
    reads: InvertedCall<[u8]>,
    output: Output,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the program, and waits until it has named its lines.
    fn start(&self) -> Result<(Running, Arc<Header>), Error> {
        let exec = &self.exec;
        let (reader, writer) =
            pipe::pipe().map_err(|error| exec.error(format!("has no pipe for its output: {error}")))?;
        let mut command = Command::new(&exec.program);
        command.args(&exec.arguments).stdin(Stdio::null()).stdout(writer);
        let spawned = command.spawn();
        // The command's copy of the writing end would keep the pipe open after the child has ended.
        drop(command);
        let child = spawned
            .map_err(|error| exec.error(format!("cannot be started: {error}; does it exist, and is it executable?")))?;
        let reads = reader.standing_reads(READ).pending(1).window(PIECES).armed_by_consumer().start();
        let mut running = Running {
            child: Some(child),
            timer: self.timer.clone(),
            reads,
            output: Output::new(exec.lines.as_deref()),
        };
        let header = self.header(&mut running)?;
        Ok((running, header))
    }

    fn header(&self, running: &mut Running) -> Result<Arc<Header>, Error> {
        let exec = &self.exec;
        let until = Instant::now() + exec.start_timeout;
        loop {
            if let Some(header) = running.output.header().map_err(|reason| exec.malformed(&reason))? {
                return Ok(header);
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.timer.block_on_timeout(poll_fn(|cx| running.poll_read(cx)), left)? {
                Some(Some(read)) => read?,
                Some(None) => {
                    let how = running.status().map(|status| format!(" ({status})")).unwrap_or_default();
                    let message = "before it printed the names of its lines (`lines name name …`)";
                    return Err(Error::gone(format!("the program {} ended{how} {message}", exec.quoted())));
                }
                None => {
                    let message = format!(
                        "the program {} timed out after {:?} waiting for the names of its lines; it must first print \
                         `lines name name …`, and flush",
                        exec.quoted(),
                        exec.start_timeout
                    );
                    return Err(Error::new(ErrorKind::TimedOut, message));
                }
            }
        }
    }

    /// Notes that the child has ended, or will be killed.
    fn is_over(&self, running: &mut Running) {
        let idle = match running.status() {
            Some(status) => Idle::Ended { at: Instant::now(), well: status.success() },
            None => Idle::Gone,
        };
        *self.lock() = idle;
    }
}

impl Running {
    /// Reads some output. `None`: the child closed its output.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(), Error>>> {
        match Pin::new(&mut self.reads).poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(bytes))) => {
                self.output.push(&bytes);
                Poll::Ready(Some(Ok(())))
            }
            Poll::Ready(None) => Poll::Ready(None),
            // The end of a pipe on Windows.
            Poll::Ready(Some(Err(error))) if error.kind() == overlapped::ErrorKind::Disconnected => Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
        }
    }

    /// How the child ended; `None` while it runs.
    fn status(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Killing a child that has already ended fails, which does no harm.
            let _ = child.kill();
            reap(child, self.timer.clone());
        }
    }
}

/// Checks on the port's thread, again and again, whether a killed child has ended. Until a check sees its end, it stays
/// a zombie.
fn reap(mut child: Child, timer: Port) {
    if let Ok(None) = child.try_wait() {
        timer.sleep(REAP).then(move || reap(child, timer));
    }
}

impl ExecChip {
    pub(crate) fn open(exec: Exec) -> Result<Self, Error> {
        let shared = Shared { exec, timer: Port::global()?, idle: Mutex::new(Idle::Gone) };
        let shared = Arc::new(shared);
        let (running, header) = shared.start()?;
        *shared.lock() = Idle::Running(Box::new(running));
        let exec = &shared.exec;
        let info = ChipInfo {
            name: exec.label(),
            id: format!("exec:{}", exec.text()).into(),
            label: exec.text().into(),
            path: None,
            lines: header.names.len() as u32,
            max_queue_size: 0,
        };
        Ok(Self { info, header, shared })
    }
}

impl Backend for ExecChip {
    fn info(&self) -> &ChipInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        // The program chooses its clock. If that is the time of day, a request can ask for the time of day.
        let realtime = self.header.clock().name == ClockName::Realtime;
        Capabilities { realtime, ..Capabilities::inputs_only(self.header.names.len(), Trust::AtLeast) }
    }

    fn clock(&self, _: EventClock) -> Clock {
        self.header.clock()
    }

    fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        let used = matches!(*self.shared.lock(), Idle::InRequest);
        let line = |(offset, name): (u32, &Option<Arc<str>>)| LineInfo {
            offset: offset.into(),
            name: name.clone(),
            direction: Direction::Input,
            active: None,
            used,
            consumer: None,
            config: LineConfig::default(),
        };
        Ok((0..).zip(&self.header.names).map(line).collect())
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Box<dyn HeldLines>, Error> {
        // Not under the lock, since a start takes long.
        let before = std::mem::replace(&mut *self.shared.lock(), Idle::InRequest);
        let running = match before {
            Idle::Running(running) => Ok(*running),
            Idle::InRequest => {
                let message = format!(
                    "another request holds the lines of the program {}, which serves one request at a time; \
                     put all lines into one request",
                    self.shared.exec.quoted()
                );
                return Err(Error::new(ErrorKind::Busy, message));
            }
            Idle::Gone | Idle::Ended { .. } => self.shared.start().and_then(|(running, header)| {
                if *header == *self.header {
                    return Ok(running);
                }
                Err(self.shared.exec.malformed("its lines or its clock have changed; open the chip again"))
            }),
        };
        let running = running.inspect_err(|_| *self.shared.lock() = Idle::Gone)?;
        let mut places = vec![None; self.header.names.len()];
        for (place, (offset, _)) in ask.lines.iter().enumerate() {
            places[offset.index()] = Some(place);
        }
        let active_at_start = ask.lines.iter().map(|(offset, _)| running.output.active(*offset)).collect();
        Ok(Box::new(ExecLines {
            shared: self.shared.clone(),
            running: Some(Box::new(running)),
            lines: ask.lines.to_vec(),
            active_at_start,
            places,
            stopped: None,
            closed: None,
        }))
    }

    fn values(&self, _: &[Offset]) -> Result<Vec<bool>, Error> {
        Err(unsupported(&self.info.name, "reports the levels of its lines only to the request that holds them"))
    }

    fn reopen(&self) -> Result<Arc<dyn Backend>, Error> {
        let exec = &self.shared.exec;
        let (restart, delay) = exec.restart;
        match &*self.shared.lock() {
            Idle::Running(_) | Idle::Gone => {}
            Idle::InRequest => {
                let message = format!("a request holds the lines of the program {}, which still runs", exec.quoted());
                return Err(Error::new(ErrorKind::Busy, message));
            }
            Idle::Ended { well, .. } if restart == Restart::Never || (restart == Restart::OnFailure && *well) => {
                return Err(exec.error("has ended, and its `restart` setting forbids another start"));
            }
            Idle::Ended { at, .. } if at.elapsed() < delay => {
                return Err(Error::gone(format!(
                    "the program {} has ended; it restarts {delay:?} after its end",
                    exec.quoted()
                )));
            }
            Idle::Ended { .. } => {}
        }
        let again = Self::open(exec.clone()).inspect_err(|error| {
            if error.is_disconnected() {
                *self.shared.lock() = Idle::Ended { at: Instant::now(), well: false };
            }
        });
        Ok(Arc::new(again?))
    }
}

/// The lines of a child, held by a request.
#[derive(Debug)]
struct ExecLines {
    shared: Arc<Shared>,
    running: Option<Box<Running>>,
    lines: Vec<(Offset, LineConfig)>,
    active_at_start: Vec<Option<bool>>,
    /// The place of each offset in `lines`.
    places: Vec<Option<usize>>,
    /// When the request was stopped, and the sleep after which a quiet pipe counts as empty.
    stopped: Option<(Instant, Sleep)>,
    /// When the child closed its output, and when to check again whether it has ended.
    closed: Option<(Instant, Sleep)>,
}

impl ExecLines {
    /// Hands over the edges of the lines of output that have been read completely. Returns whether there were any.
    fn hand_over(&mut self, into: &mut Vec<RawEdge>) -> Result<bool, Error> {
        let Some(running) = &mut self.running else {
            return Ok(false);
        };
        let before = into.len();
        while let Some(edge) = running.output.next().map_err(|reason| self.shared.exec.malformed(&reason))? {
            let wanted = self.places[edge.offset.index()].and_then(|place| self.lines[place].1.edges);
            // The missing edges are of both directions; how many are of one is unknown.
            let missed = if wanted == Some(Edges::Both) { edge.missed } else { Missed::default() };
            if wanted.is_some_and(|edges| edges.includes(edge.kind)) {
                into.push(RawEdge { missed, ..edge });
            }
        }
        Ok(into.len() > before)
    }

    fn poll(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        loop {
            match self.hand_over(into) {
                Ok(true) => return Poll::Ready(Some(Ok(()))),
                Ok(false) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let Some(running) = &mut self.running else {
                return Poll::Ready(None);
            };
            if let Some((at, look)) = &mut self.closed {
                if running.status().is_some() || at.elapsed() > ENOUGH {
                    return Poll::Ready(Some(Err(self.ended())));
                }
                if Pin::new(&mut *look).poll(cx).is_pending() {
                    return Poll::Pending;
                }
                *look = self.shared.timer.sleep(REAP);
                continue;
            }
            match running.poll_read(cx) {
                Poll::Ready(Some(Ok(()))) if self.stopped.as_ref().is_some_and(|(at, _)| at.elapsed() > ENOUGH) => {
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Ok(()))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) if self.stopped.is_some() => return Poll::Ready(None),
                // A child's output closes a moment before the child ends, and the error says how it ended.
                Poll::Ready(None) => self.closed = Some((Instant::now(), self.shared.timer.sleep(REAP))),
                Poll::Pending => match &mut self.stopped {
                    None => return Poll::Pending,
                    Some((_, quiet)) => {
                        let is_quiet = Pin::new(quiet).poll(cx).is_ready();
                        return if is_quiet { Poll::Ready(None) } else { Poll::Pending };
                    }
                },
            }
        }
    }

    /// The error for a child that closed its output. That ends the stream, even if the child runs on.
    fn ended(&mut self) -> Error {
        let exec = &self.shared.exec;
        let Some(running) = &mut self.running else {
            return Error::gone(format!("the program {} is gone", exec.quoted()));
        };
        let how = running.status().map(|status| format!(" ({status})"));
        let how = how.unwrap_or_else(|| " its output, and runs on".to_owned());
        let left = running.output.rest();
        let broken = if left.is_empty() { String::new() } else { format!(", in the middle of the line \"{left}\"") };
        Error::gone(format!("the program {} ended{how}{broken}", exec.quoted()))
    }
}

impl HeldLines for ExecLines {
    fn poll_edges(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        self.poll(cx, into)
    }

    fn stop(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some((Instant::now(), self.shared.timer.sleep(QUIET)));
        if let Some(child) = self.running.as_mut().and_then(|running| running.child.as_mut()) {
            // Its output so far is in the pipe.
            let _ = child.kill();
        }
    }

    fn active_at_start(&self) -> Vec<Option<bool>> {
        self.active_at_start.clone()
    }

    fn values(&self) -> Result<Vec<bool>, Error> {
        let level = |(offset, _): &(Offset, LineConfig)| {
            let active = self.running.as_ref().and_then(|running| running.output.active(*offset));
            active.ok_or_else(|| {
                let what = format!(
                    "has not reported the level of line {offset} yet; it must print `lines NAME=LEVEL …` first"
                );
                unsupported(&self.shared.exec.label(), &what)
            })
        };
        self.lines.iter().map(level).collect()
    }

    fn numbering(&self) -> Numbering {
        Numbering::Polarity
    }
}

impl Drop for ExecLines {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            self.shared.is_over(&mut running);
        }
    }
}
