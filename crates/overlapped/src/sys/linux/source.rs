//! A file, and the operations that wait for it: reads in one lane, writes in the other, each in order of submission.
//!
//! One operation of a lane at a time is *running*: taken out of the lane by the thread that makes its system call, with
//! no lock held. Others queue up behind it, so that order is kept; a canceller that finds it running leaves a note, since
//! until the system call has returned the memory is not to be touched.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::PollFlags;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use super::kind::{Kind, has_lines, how_many, is_hung_up, is_ready};
use super::queue::Queue;
use super::transfer::{Ended, Transfer};
use crate::Status;
use crate::device::StreamKind;
use crate::port::{InFlight, off_the_dispatcher};

const CANCELLED: Ended = (Status::CANCELLED, 0);
/// What the system tells of though nobody asked.
const UNASKED: EventFlags = EventFlags::HUP.union(EventFlags::ERR);
/// So many operations of a lane in a row, of a file whose edges are watched; then it is the turn of other files.
const IN_A_ROW: usize = 64;

/// Which way an operation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Read,
    Write,
}

impl Lane {
    fn flag(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::Write => EventFlags::OUT,
        }
    }

    fn poll_flag(self) -> PollFlags {
        match self {
            Self::Read => PollFlags::IN,
            Self::Write => PollFlags::OUT,
        }
    }
}

/// When to make an operation's system call for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Now,
    /// At once, unless the file is in the epoll set, which will then tell.
    UnlessWatched,
    /// Not before the file is ready.
    WhenReady,
}

pub(super) struct Source {
    /// Its device's number.
    pub(super) key: u64,
    /// `None` only while it is dropped.
    fd: Option<OwnedFd>,
    pub(super) kind: Kind,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lanes: [Waiting; 2],
    /// What the epoll set is told to watch for. It is changed under the lock, so that the last word is the right one;
    /// while a file is read without pause it is not changed at all.
    watched: EventFlags,
    /// Its edges are watched, and not its level, which says that it is ready when it is not.
    edges: bool,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Transfer>,
    running: Option<Running>,
}

struct Running {
    operation: InFlight,
    cancelled: bool,
}

impl Source {
    pub(super) fn new(key: u64, fd: OwnedFd) -> Self {
        Self { key, kind: Kind::of(fd.as_fd()), fd: Some(fd), state: Mutex::default() }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("the file is open until the source is dropped").as_fd()
    }

    /// Makes the system call, unless it is better left to the dispatcher or others wait before it. `None`: it waits.
    pub(super) fn submit(&self, queue: &Queue, lane: Lane, transfer: Transfer, attempt: Attempt) -> Option<Ended> {
        let mut state = self.lock();
        let left = match attempt {
            Attempt::Now => false,
            Attempt::UnlessWatched => state.watched.contains(lane.flag()) && !state.edges,
            Attempt::WhenReady => true,
        };
        let waiting = &mut state.lanes[lane as usize];
        if left || waiting.running.is_some() || !waiting.queue.is_empty() {
            waiting.queue.push_back(transfer);
            if state.edges && state.watched.contains(lane.flag()) {
                // The edge may be past.
                let _ = queue.watch(self.key, self.fd(), state.watched, state.watched, true);
            }
            self.watch(queue, &mut state, lane);
            return None;
        }
        waiting.running = Some(Running { operation: transfer.operation, cancelled: false });
        drop(state);
        let ended = transfer.run(self.fd(), self.kind);
        self.ran(queue, lane, transfer, ended).err()
    }

    /// The file is ready: makes the system call of the first operation of each lane. One only: what is left to read
    /// makes the next event, after other files have had their turn.
    pub(super) fn serve(&self, queue: &Queue, ready: EventFlags, mut over: impl FnMut(u64)) {
        for lane in [Lane::Read, Lane::Write] {
            if ready.intersects(lane.flag() | UNASKED) && self.serve_lane(queue, lane, ready, &mut over) {
                // There may be more, and no further edge.
                let state = self.lock();
                let _ = queue.watch(self.key, self.fd(), state.watched, state.watched, state.edges);
            }
        }
    }

    /// Returns whether it was left off though the file may have more.
    fn serve_lane(&self, queue: &Queue, lane: Lane, ready: EventFlags, over: &mut impl FnMut(u64)) -> bool {
        for _ in 0..IN_A_ROW {
            let Some((transfer, edges)) = self.next(queue, lane) else { return false };
            // After an operation that succeeded nobody has said that the file is ready once more.
            let tried = !edges || transfer.is_transfer() || is_ready(self.fd(), lane.poll_flag());
            let ended = if tried { transfer.run(self.fd(), self.kind) } else { None };
            // After a hang-up nothing more comes: what would wait waits in vain.
            let is_gone = || ready.contains(EventFlags::HUP) && is_hung_up(self.fd());
            let ended = ended.or_else(|| is_gone().then_some((Status::gone(Errno::NODEV.raw_os_error()), 0)));
            let waits = ended.is_none();
            let (operation, memory) = (transfer.operation, transfer.memory);
            if let Err((status, information)) = self.ran(queue, lane, transfer, ended) {
                // SAFETY: the operation is in flight, in no lane any more, and this is its kernel's side.
                unsafe { memory.set_status(status, information) };
                over(operation.token());
            }
            if waits && !edges && (ready.contains(EventFlags::ERR) || is_ready(self.fd(), lane.poll_flag())) {
                self.watch_edges(queue);
            }
            if waits || !edges {
                return false;
            }
        }
        true
    }

    /// The file is called ready for what finds nothing, or has an error that nobody fetches: by the level it would be
    /// ready for ever.
    fn watch_edges(&self, queue: &Queue) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.edges, true) {
            let _ = queue.watch(self.key, self.fd(), state.watched, state.watched, true);
        }
    }

    /// Takes the first operation of a lane to run it. If there is none, the file is not watched for it any more: else it
    /// would be ready again and again. Says whether its edges are watched.
    fn next(&self, queue: &Queue, lane: Lane) -> Option<(Transfer, bool)> {
        let mut state = self.lock();
        let waiting = &mut state.lanes[lane as usize];
        if waiting.running.is_none()
            && let Some(transfer) = waiting.queue.pop_front()
        {
            waiting.running = Some(Running { operation: transfer.operation, cancelled: false });
            return Some((transfer, state.edges));
        }
        let wanted = state.watched - lane.flag();
        if wanted != state.watched {
            // It fails for a file that is not in the set, and then that is what was wanted.
            let _ = queue.watch(self.key, self.fd(), state.watched, wanted, state.edges);
            state.watched = wanted;
        }
        None
    }

    /// The system call has returned. `Ok`: the operation waits (again), or somebody has completed it. `Err`: it is over.
    fn ran(&self, queue: &Queue, lane: Lane, transfer: Transfer, ended: Option<Ended>) -> Result<(), Ended> {
        let mut state = self.lock();
        let waiting = &mut state.lanes[lane as usize];
        let cancelled = waiting.running.take().is_some_and(|running| running.cancelled);
        let ended = ended.or(cancelled.then_some(CANCELLED));
        if ended.is_none() {
            waiting.queue.push_front(transfer);
        }
        // Also for those that came meanwhile.
        if !waiting.queue.is_empty() {
            self.watch(queue, &mut state, lane);
        }
        ended.map_or(Ok(()), Err)
    }

    /// Watches the file for a lane in which operations wait. If the system has no memory for it, they end with that.
    fn watch(&self, queue: &Queue, state: &mut State, lane: Lane) {
        if state.watched.contains(lane.flag()) {
            return;
        }
        let wanted = state.watched | lane.flag();
        match queue.watch(self.key, self.fd(), state.watched, wanted, state.edges) {
            Ok(()) => state.watched = wanted,
            Err(status) => state.lanes[lane as usize].queue.drain(..).for_each(|t| t.complete(queue, (status, 0))),
        }
    }

    pub(super) fn stream_kind(&self) -> StreamKind {
        self.kind.stream()
    }

    /// Reads what is there, at once, if it is bytes and nobody waits for them. A message, a line, an error and the end
    /// are left for who asks for them.
    pub(super) fn more(&self, queue: &Queue, room: &mut [u8]) -> usize {
        if self.stream_kind() != StreamKind::Bytes || room.is_empty() {
            return 0;
        }
        let mut state = self.lock();
        let waiting = &mut state.lanes[Lane::Read as usize];
        if waiting.running.is_some() || !waiting.queue.is_empty() {
            return 0;
        }
        waiting.running = Some(Running { operation: InFlight::NONE, cancelled: false });
        drop(state);
        let fd = self.fd();
        let bytes = self.kind != Kind::Terminal || !has_lines(fd);
        let count = if bytes && how_many(fd) > 0 { rustix::io::read(fd, room).unwrap_or(0) } else { 0 };
        let mut state = self.lock();
        let waiting = &mut state.lanes[Lane::Read as usize];
        waiting.running = None;
        // Those that came meanwhile.
        if !waiting.queue.is_empty() {
            self.watch(queue, &mut state, Lane::Read);
        }
        count
    }

    /// Cancels one operation, if it waits or is about to.
    pub(super) fn cancel(&self, queue: &Queue, operation: InFlight) {
        let mut state = self.lock();
        for waiting in &mut state.lanes {
            if let Some(running) = waiting.running.as_mut().filter(|running| running.operation == operation) {
                running.cancelled = true;
                return;
            }
            if let Some(at) = waiting.queue.iter().position(|transfer| transfer.operation == operation) {
                let transfer = waiting.queue.remove(at);
                drop(state);
                transfer.into_iter().for_each(|transfer| transfer.complete(queue, CANCELLED));
                return;
            }
        }
    }

    pub(super) fn cancel_all(&self, queue: &Queue) {
        let cancelled = self.lock().cancel_all();
        cancelled.into_iter().for_each(|transfer| transfer.complete(queue, CANCELLED));
    }

    /// Cancels everything and leaves the set. The file itself is closed when nobody uses it any more: a system call may
    /// be under way. It must leave the set by hand: where a copy of the descriptor lives on, in a child say, closing
    /// ours does not do it.
    pub(super) fn close(&self, queue: &Queue) {
        let mut state = self.lock();
        // First of all: what runs may not wait again after this, and so have the file watched.
        let cancelled = state.cancel_all();
        let _ = queue.watch(self.key, self.fd(), state.watched, EventFlags::empty(), false);
        state.watched = EventFlags::empty();
        drop(state);
        queue.remove(self.key);
        cancelled.into_iter().for_each(|transfer| transfer.complete(queue, CANCELLED));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes what waits, and leaves a note for what runs.
    fn cancel_all(&mut self) -> Vec<Transfer> {
        let mut cancelled = Vec::new();
        for waiting in &mut self.lanes {
            cancelled.extend(waiting.queue.drain(..));
            waiting.running.iter_mut().for_each(|running| running.cancelled = true);
        }
        cancelled
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let fd = self.fd.take();
        // Closing a serial port waits for its output to leave.
        off_the_dispatcher(move || drop(fd));
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("key", &self.key).field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// What comes while a system call is under way, which no program can bring about for certain.
#[cfg(test)]
mod tests {
    use std::io::PipeWriter;
    use std::ptr;

    use super::*;
    use crate::slab::Memory;

    const OPERATION: InFlight = InFlight::new(0, 1);

    /// A pipe with nothing in it and one read, which has been taken to be run.
    fn running() -> (Queue, Source, Transfer, PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        let (queue, source) = (Queue::new().unwrap(), Source::new(1, reader.into()));
        let nothing: *mut u8 = ptr::NonNull::dangling().as_ptr();
        let memory =
            Memory { io_status: ptr::null_mut(), input: nothing, input_len: 0, output: nothing, output_len: 0 };
        // SAFETY: it is never completed here, and its buffers are empty.
        let read = unsafe { Transfer::new(OPERATION, memory, crate::Operation::Read { offset: None }) };
        assert!(source.submit(&queue, Lane::Read, read, Attempt::WhenReady).is_none());
        let (read, _) = source.next(&queue, Lane::Read).unwrap();
        (queue, source, read, writer)
    }

    #[test]
    fn what_finds_nothing_waits_again() {
        let (queue, source, read, _writer) = running();
        assert_eq!(source.ran(&queue, Lane::Read, read, None), Ok(()));
        assert_eq!(source.lock().lanes[Lane::Read as usize].queue.len(), 1);
    }

    #[test]
    fn a_cancellation_of_what_runs_and_finds_nothing_ends_it() {
        let (queue, source, read, _writer) = running();
        source.cancel(&queue, OPERATION);
        assert_eq!(source.ran(&queue, Lane::Read, read, None), Err(CANCELLED));
    }

    #[test]
    fn a_cancellation_of_what_runs_and_succeeds_is_too_late() {
        let (queue, source, read, _writer) = running();
        source.cancel(&queue, OPERATION);
        assert_eq!(source.ran(&queue, Lane::Read, read, Some((Status::SUCCESS, 1))), Err((Status::SUCCESS, 1)));
    }

    #[test]
    fn closing_ends_what_runs_and_finds_nothing() {
        let (queue, source, read, _writer) = running();
        source.close(&queue);
        assert_eq!(source.ran(&queue, Lane::Read, read, None), Err(CANCELLED));
        assert!(source.lock().watched.is_empty());
    }
}
