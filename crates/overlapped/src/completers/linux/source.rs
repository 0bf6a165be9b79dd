//! A file and the operations that wait for it. They wait in three lanes, each in the order of submission: reads,
//! writes, and ioctls that wait for an urgent event (EPOLLPRI). Operations that only wait for readiness have no order.
//!
//! In each lane one operation at a time is *running*: a thread has taken it out of the queue and makes its system call,
//! without a lock. The others wait behind it, which keeps the order. Nobody may touch the operation's memory until the
//! system call has returned, so cancelling a running operation only sets a flag. A thread that closes the file waits
//! until no operation is running.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{
    AtomicBool, AtomicI32,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Condvar, Mutex, PoisonError, Weak};

use rustix::event::PollFlags;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use super::always::{self, AlwaysReady};
use super::flag;
use super::kind::{Kind, has_lines, how_many, is_hung_up, is_ready, polled};
use super::transfer::{Ran, Transfer};
use crate::Status;
use crate::operation::Ended;
use crate::port::queue::linux::{Over, Waited};
use crate::port::{self, Queue};
use crate::system::foreign::off_the_dispatcher;
use crate::system::sync::lock_std as lock;
use crate::words::linux::Interest;
use crate::words::token::InFlight;

/// Events that epoll always reports.
const UNASKED: EventFlags = EventFlags::HUP.union(EventFlags::ERR);
/// How many operations of a lane run in a row on a file that is watched edge-triggered. Then other files have their
/// turn.
const IN_A_ROW: usize = 64;
/// The result of an operation on a closed file.
pub(super) const CLOSED: Ended = (Status::from_errno(Errno::BADF.raw_os_error()), 0);
/// The result of an operation that would have to wait on a file that cannot wait.
pub(super) const AGAIN: Status = Status::from_errno(Errno::AGAIN.raw_os_error());
/// The descriptor of a file that was closed or given away.
const NONE: i32 = -1;

/// The event that an operation waits for, and so the lane that it waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Read,
    Write,
    Priority,
}

const LANES: [Lane; 3] = [Lane::Read, Lane::Write, Lane::Priority];

impl Lane {
    pub(super) fn of(interest: Interest) -> Self {
        match interest {
            Interest::Readable => Self::Read,
            Interest::Writable => Self::Write,
            Interest::Priority => Self::Priority,
        }
    }

    fn flag(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::Write => EventFlags::OUT,
            Self::Priority => EventFlags::PRI,
        }
    }

    fn poll_flag(self) -> PollFlags {
        match self {
            Self::Read => PollFlags::IN,
            Self::Write => PollFlags::OUT,
            Self::Priority => PollFlags::PRI,
        }
    }
}

/// When to try an operation's system call for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Now,
    /// Now, unless the file is in the epoll set, which will report its readiness.
    UnlessWatched,
    /// When the file is ready, or on another thread.
    WhenReady,
}

pub(super) struct Source {
    /// The device's number.
    pub(super) key: u64,
    /// The file's number in the port's epoll set; 0 for a file that is always ready.
    number: u64,
    pub(super) kind: Kind,
    /// For a file that is always ready: this source and its port. The thread that serves such files gets both.
    always: Option<(Weak<Source>, Weak<port::Inner>)>,
    /// [`NONE`] when the file is closed. The thread that takes the descriptor out closes it. It is atomic, since the
    /// child of a fork takes it without the lock.
    fd: AtomicI32,
    /// Its O_NONBLOCK must be restored.
    adopted: bool,
    /// `awaiting` is not empty. This saves a lock.
    awaited: AtomicBool,
    state: Mutex<State>,
    /// Tells the thread that closes the file that nothing uses the file any more.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    lanes: [Waiting; 3],
    /// Operations that only wait for readiness.
    awaiting: Vec<(Lane, Transfer)>,
    /// An urgent event came while no operation waited for one. Some files report each such event only once.
    urgent: bool,
    /// The events for which the epoll set watches the file. It changes only under the lock, so that the last change
    /// wins, and never while the file is read without pause. For a file that is always ready: the lanes that its thread
    /// was asked to serve.
    watched: EventFlags,
    /// Watch edge-triggered: epoll says that the file is ready, but its system calls say that it is not.
    edges: bool,
    /// How many system calls outside the lanes use the file now.
    users: usize,
    closed: bool,
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

/// The file is in use, and stays open, until this is dropped.
pub(super) struct InUse<'a>(&'a Source);

impl AsFd for InUse<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.users -= 1;
        self.0.look_whether_idle(&state);
    }
}

impl Source {
    pub(super) fn new(
        key: u64,
        number: u64,
        fd: OwnedFd,
        adopted: bool,
        always: Option<(Weak<Source>, Weak<port::Inner>)>,
    ) -> Self {
        Self {
            key,
            number,
            kind: Kind::of(fd.as_fd()),
            always,
            fd: AtomicI32::new(fd.into_raw_fd()),
            adopted,
            awaited: AtomicBool::new(false),
            state: Mutex::default(),
            idle: Condvar::new(),
        }
    }

    /// Whether operations can wait for the file. Regular files, disks and some devices are always ready.
    pub(super) fn can_wait(&self) -> bool {
        self.always.is_none()
    }

    /// The descriptor. The caller must keep the file open: by a running operation, by [`InUse`], by the lock while
    /// `closed` is not set, or as an owner of the device.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        let fd = self.fd.load(Relaxed);
        debug_assert_ne!(fd, NONE);
        // SAFETY: it is open: `take` waits for all callers named above, and no file is closed while its device has an
        // owner.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }

    /// Keeps the file open for a system call outside the lanes. `None`: the file is closed.
    pub(super) fn keep_open(&self) -> Option<InUse<'_>> {
        let mut state = lock(&self.state);
        if state.closed {
            return None;
        }
        state.users += 1;
        Some(InUse(self))
    }

    /// Makes the system call, unless the dispatcher is to make it, or other operations wait before it. `None`: it
    /// waits.
    pub(super) fn submit(&self, queue: &Queue, lane: Lane, mut transfer: Transfer, attempt: Attempt) -> Option<Ended> {
        let mut state = lock(&self.state);
        if state.closed {
            return Some(CLOSED);
        }
        let left = match attempt {
            Attempt::Now => false,
            Attempt::UnlessWatched => state.watched.contains(lane.flag()) && !state.edges,
            Attempt::WhenReady => true,
        };
        let waiting = &mut state.lanes[lane as usize];
        if left || waiting.running.is_some() || !waiting.queue.is_empty() {
            waiting.queue.push_back(transfer);
            self.watch_anew(queue, &mut state, lane);
            return None;
        }
        waiting.running = Some(Running { operation: transfer.operation, cancelled: false });
        drop(state);
        // If only a part was written, the dispatcher writes the rest when there is room.
        let ended = transfer.run(self.fd(), self.kind_of_end()).over();
        self.ran(queue, lane, transfer, ended).map(|(_, ended)| ended)
    }

    /// Waits for readiness, and reads and writes nothing. `Some`: the file is ready, or closed.
    pub(super) fn submit_await(&self, queue: &Queue, lane: Lane, transfer: Transfer) -> Option<Ended> {
        let Some(file) = self.keep_open() else { return Some(CLOSED) };
        let mut ready = !self.can_wait() || is_ready(file.as_fd(), lane.poll_flag());
        let mut state = lock(&self.state);
        if lane == Lane::Priority {
            ready |= std::mem::take(&mut state.urgent);
        }
        if ready {
            return Some((Status::SUCCESS, 0));
        }
        if state.closed {
            return Some(CLOSED);
        }
        if lane == Lane::Priority {
            // From now on epoll reports edges, so the file can stay in the set. To remove and add it would lose events
            // that some files report only once.
            self.watch_edges(queue, &mut state);
        }
        self.awaited.store(true, SeqCst);
        state.awaiting.push((lane, transfer));
        if lane == Lane::Priority {
            self.watch(queue, &mut state, lane)
        } else {
            self.watch_anew(queue, &mut state, lane)
        }
        drop(state);
        None
    }

    /// Runs operations of a lane. Returns whether it stopped although the file may have more.
    #[inline]
    fn serve_lane(&self, queue: &Queue, lane: Lane, ready: EventFlags, over: &mut Over<'_>) -> bool {
        for _ in 0..IN_A_ROW {
            let Some((mut transfer, edges)) = self.next(queue, lane) else { return false };
            // With edges, a success does not say that the file is still ready.
            let tried = !edges || transfer.is_transfer() || is_ready(self.fd(), lane.poll_flag());
            let mut ran = if tried { transfer.run(self.fd(), self.kind) } else { Ran::Blocked };
            // After a hang-up nothing more comes: the operation would wait in vain.
            if matches!(ran, Ran::Blocked) && ready.contains(EventFlags::HUP) && is_hung_up(self.fd()) {
                ran = Ran::Over((Status::gone(Errno::NODEV.raw_os_error()), 0));
            }
            let blocked = matches!(ran, Ran::Blocked);
            let error = ready.contains(EventFlags::ERR);
            if blocked && !edges && (error || is_ready(self.fd(), lane.poll_flag())) {
                // epoll says that the file is ready, but the system call says that it is not. Level-triggered, epoll
                // would say so for ever.
                self.watch_edges(queue, &mut lock(&self.state));
            }
            let ended = ran.over();
            if let Some((transfer, ended)) = self.ran(queue, lane, transfer, ended) {
                over.push(transfer.ended(ended));
            }
            if blocked || !edges {
                return false;
            }
        }
        true
    }

    /// Ends the operations that only wait for readiness, if the file is ready. A hang-up or an error is readiness too.
    fn serve_awaiting(&self, ready: EventFlags, over: &mut Over<'_>) {
        let Some(file) = self.keep_open() else { return };
        // The event may be stale, if its data were read meanwhile: so ask the file again. But some files report an
        // urgent event only once, and epoll has just used that up. So believe an urgent event. If no operation waits
        // for it, and the file does not report it again, keep it for the next one.
        let mut now = polled(file.as_fd(), PollFlags::IN | PollFlags::OUT | PollFlags::PRI | PollFlags::ERR);
        let urgent = ready.contains(EventFlags::PRI);
        let mut state = lock(&self.state);
        let awaited = state.awaiting.iter().any(|(lane, _)| *lane == Lane::Priority);
        state.urgent |= urgent && !awaited && !now.contains(PollFlags::PRI);
        now.set(PollFlags::PRI, urgent);
        let mut at = 0;
        while let Some((lane, _)) = state.awaiting.get(at) {
            if now.intersects(lane.poll_flag() | PollFlags::HUP | PollFlags::ERR) {
                let (_, transfer) = state.awaiting.remove(at);
                over.push(transfer.ended((Status::SUCCESS, 0)));
            } else {
                at += 1;
            }
        }
        self.awaited.store(!state.awaiting.is_empty(), SeqCst);
        drop(state);
    }

    /// The kind that decides where the end is. In a file that is always ready, a read without bytes is at the end.
    fn kind_of_end(&self) -> Kind {
        if self.can_wait() { self.kind } else { Kind::Places }
    }

    /// Takes the first operation of a lane, to run it; also returns whether the file is watched edge-triggered. If
    /// there is none, stops watching the file for this lane: otherwise epoll would report it for ever.
    #[inline]
    fn next(&self, queue: &Queue, lane: Lane) -> Option<(Transfer, bool)> {
        let mut state = lock(&self.state);
        let waiting = &mut state.lanes[lane as usize];
        if waiting.running.is_none()
            && let Some(transfer) = waiting.queue.pop_front()
        {
            waiting.running = Some(Running { operation: transfer.operation, cancelled: false });
            return Some((transfer, state.edges));
        }
        let awaited = state.awaiting.iter().any(|(awaited, _)| *awaited == lane);
        // But go on watching for urgent edges: each comes only once, and is kept.
        if !awaited && (lane != Lane::Priority || !state.edges) {
            let wanted = state.watched - lane.flag();
            // This fails only for a file that is not in the set, where nothing is to be done.
            let _ = self.set_watched(queue, &mut state, wanted);
        }
        None
    }

    /// The system call of a running operation has returned. `None`: the operation waits again. `Some`: it is over.
    #[inline]
    fn ran(&self, queue: &Queue, lane: Lane, transfer: Transfer, ended: Option<Ended>) -> Option<(Transfer, Ended)> {
        let mut state = lock(&self.state);
        let waiting = &mut state.lanes[lane as usize];
        let cancelled = waiting.running.take().is_some_and(|running| running.cancelled);
        let ended = ended.or_else(|| cancelled.then(|| transfer.cancelled()));
        let over = match ended {
            Some(ended) => Some((transfer, ended)),
            None => {
                waiting.queue.push_front(transfer);
                None
            }
        };
        // For this operation, and for those that came meanwhile.
        if !waiting.queue.is_empty() && !state.watched.contains(lane.flag()) {
            self.watch(queue, &mut state, lane);
        }
        self.look_whether_idle(&state);
        over
    }

    /// Watches the file for a lane with waiting operations. If that fails, for lack of memory, they end with the error.
    fn watch(&self, queue: &Queue, state: &mut State, lane: Lane) {
        let wanted = state.watched | lane.flag();
        if let Err(status) = self.set_watched(queue, state, wanted) {
            state.lanes[lane as usize].queue.drain(..).for_each(|t| t.complete(queue, (status, 0)));
            while let Some(at) = state.awaiting.iter().position(|(awaited, _)| *awaited == lane) {
                state.awaiting.remove(at).1.complete(queue, (status, 0));
            }
        }
    }

    /// [`watch`](Self::watch) for an operation that was not tried: if the file is ready already, no more edge would
    /// come, so this makes one.
    #[inline]
    fn watch_anew(&self, queue: &Queue, state: &mut State, lane: Lane) {
        if !state.watched.contains(lane.flag()) {
            self.watch(queue, state, lane);
        } else if state.edges {
            self.look_again(queue, state);
        }
    }

    fn set_watched(&self, queue: &Queue, state: &mut State, wanted: EventFlags) -> Result<(), Status> {
        if wanted == state.watched {
            return Ok(());
        }
        if let Some((this, port)) = &self.always {
            let more = !(wanted - state.watched).is_empty();
            let told = || Some(always::serve(this.upgrade()?, port.upgrade()?));
            if more && told() != Some(true) {
                return Err(AGAIN);
            }
        } else {
            queue.watch(self.number, self.fd(), state.watched, wanted, state.edges)?;
        }
        state.watched = wanted;
        Ok(())
    }

    /// Makes epoll report the file once more if it is ready.
    fn look_again(&self, queue: &Queue, state: &State) {
        if !state.watched.is_empty() && self.can_wait() {
            let _ = queue.watch(self.number, self.fd(), state.watched, state.watched, state.edges);
        }
    }

    /// From now on watches the file edge-triggered.
    fn watch_edges(&self, queue: &Queue, state: &mut State) {
        if !std::mem::replace(&mut state.edges, true) {
            self.look_again(queue, state);
        }
    }

    /// Reads more bytes at once, if the file has some and no read waits. Leaves a message, a line, an error or the end
    /// to the next read.
    pub(super) fn more(&self, queue: &Queue, room: &mut [u8]) -> usize {
        let mut state = lock(&self.state);
        let closed = state.closed;
        let waiting = &mut state.lanes[Lane::Read as usize];
        if waiting.running.is_some() || !waiting.queue.is_empty() || closed {
            return 0;
        }
        waiting.running = Some(Running { operation: InFlight::NONE, cancelled: false });
        drop(state);
        let fd = self.fd();
        let bytes = self.kind != Kind::Terminal || !has_lines(fd);
        let count = if bytes && how_many(fd) > 0 { rustix::io::read(fd, room).unwrap_or(0) } else { 0 };
        let mut state = lock(&self.state);
        let waiting = &mut state.lanes[Lane::Read as usize];
        waiting.running = None;
        // For reads that came meanwhile.
        if !waiting.queue.is_empty() {
            self.watch(queue, &mut state, Lane::Read);
        }
        self.look_whether_idle(&state);
        count
    }

    /// Cancels an operation that waits or is running. `true`: it waited in a lane, so it has read nothing.
    pub(super) fn cancel(&self, queue: &Queue, operation: InFlight) -> bool {
        let mut state = lock(&self.state);
        for waiting in &mut state.lanes {
            if let Some(running) = waiting.running.as_mut().filter(|running| running.operation == operation) {
                running.cancelled = true;
                return false;
            }
            if let Some(at) = waiting.queue.iter().position(|transfer| transfer.operation == operation) {
                let transfer = waiting.queue.remove(at);
                drop(state);
                transfer.into_iter().for_each(|transfer| transfer.cancel(queue));
                return true;
            }
        }
        if let Some(at) = state.awaiting.iter().position(|(_, transfer)| transfer.operation == operation) {
            let (_, transfer) = state.awaiting.remove(at);
            drop(state);
            transfer.cancel(queue);
        }
        false
    }

    pub(super) fn cancel_all(&self, queue: &Queue) {
        let cancelled = lock(&self.state).cancel_all();
        cancelled.into_iter().for_each(|transfer| transfer.cancel(queue));
    }

    /// Cancels all operations, removes the file from the epoll set, waits until no system call uses it, restores its
    /// O_NONBLOCK, and takes the descriptor out. `None`: another thread does so, or the last user will. (Closing the
    /// descriptor would not remove the file from the set if a copy exists, for example in a child.)
    pub(super) fn take(&self, queue: &Queue) -> Option<OwnedFd> {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.closed, true) {
            return None;
        }
        // Cancel first: then no running operation waits again, which would have the file watched again.
        let cancelled = state.cancel_all();
        if self.can_wait() {
            let _ = self.set_watched(queue, &mut state, EventFlags::empty());
        }
        state.watched = EventFlags::empty();
        while self.can_wait() && state.is_in_use() {
            state = self.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let is_in_use = state.is_in_use();
        drop(state);
        queue.remove(self.number);
        cancelled.into_iter().for_each(|transfer| transfer.cancel(queue));
        // A system call on a file that is always ready may take long. Do not wait for it: the last user closes the
        // file.
        if is_in_use { None } else { self.take_unused() }
    }

    fn take_unused(&self) -> Option<OwnedFd> {
        if self.adopted && self.fd.load(Relaxed) != NONE {
            flag::give_back(self.key, self.fd());
        }
        self.take_out()
    }

    /// Takes the descriptor out, and does nothing else, for the child of a fork: there the epoll set and the open file
    /// belong to the parent too, and the lock may be held by a thread that does not exist in the child.
    pub(super) fn take_out(&self) -> Option<OwnedFd> {
        let fd = self.fd.swap(NONE, SeqCst);
        // SAFETY: the descriptor was this source's own, and is not any more.
        (fd != NONE).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
    }

    fn look_whether_idle(&self, state: &State) {
        if state.closed && !state.is_in_use() {
            self.idle.notify_all();
        }
    }
}

impl Waited for Source {
    /// Makes the system call of the first operation of each lane. Only of the first: if more is left, epoll reports the
    /// file again, after other files have had their turn.
    fn serve(&self, queue: &Queue, ready: EventFlags, over: &mut Over<'_>) {
        if self.awaited.load(SeqCst) || ready.contains(EventFlags::PRI) {
            self.serve_awaiting(ready, over);
        }
        for lane in LANES {
            if ready.intersects(lane.flag() | UNASKED) && self.serve_lane(queue, lane, ready, over) {
                // There may be more without another edge.
                self.look_again(queue, &lock(&self.state));
            }
        }
    }
}

impl AlwaysReady for Source {
    fn serve(&self, queue: &Queue) {
        for lane in LANES {
            while let Some((mut transfer, _)) = self.next(queue, lane) {
                let ended = transfer.run(self.fd(), self.kind_of_end()).over();
                let ended = ended.unwrap_or((AGAIN, 0));
                if let Some((transfer, ended)) = self.ran(queue, lane, transfer, Some(ended)) {
                    transfer.complete(queue, ended);
                }
            }
        }
    }
}

impl State {
    /// Takes out the operations that wait, and marks the running ones as cancelled.
    fn cancel_all(&mut self) -> Vec<Transfer> {
        let mut cancelled: Vec<_> = self.awaiting.drain(..).map(|(_, transfer)| transfer).collect();
        for waiting in &mut self.lanes {
            cancelled.extend(waiting.queue.drain(..));
            waiting.running.iter_mut().for_each(|running| running.cancelled = true);
        }
        cancelled
    }

    fn is_in_use(&self) -> bool {
        self.users > 0 || self.lanes.iter().any(|waiting| waiting.running.is_some())
    }
}

/// Closes the file, and returns the system's answer.
pub(super) fn close(fd: OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor was owned, and is not used after this. An error closes it too.
    match unsafe { libc::close(fd.into_raw_fd()) } {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            // Linux has closed the file nevertheless (close(2)).
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        },
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // The descriptor is still here only if `take` found the file in use.
        if let Some(fd) = self.take_unused() {
            off_the_dispatcher(move || drop(close(fd)));
        }
    }
}

/// What happens during a system call. A program cannot make that happen for certain, so these tests call the parts.
#[cfg(test)]
mod tests {
    use std::io::PipeWriter;
    use std::ptr;

    use super::*;
    use crate::operation::slab::Memory;

    const CANCELLED: Ended = (Status::CANCELLED, 0);
    const OPERATION: InFlight = InFlight::new(0, 1);

    /// An empty pipe, and a read that was taken out to run.
    fn running() -> (Queue, Source, Transfer, PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        let (queue, source) = (Queue::new().unwrap(), Source::new(1, 1, reader.into(), false, None));
        let nothing: *mut u8 = ptr::NonNull::dangling().as_ptr();
        let memory =
            Memory { io_status: ptr::null_mut(), input: nothing, input_len: 0, output: nothing, output_len: 0 };
        // SAFETY: it is never completed here, and its buffers are empty.
        let read = unsafe { Transfer::new(OPERATION, memory, crate::Operation::Read { offset: None }) };
        assert!(source.submit(&queue, Lane::Read, read, Attempt::WhenReady).is_none());
        let (read, _) = source.next(&queue, Lane::Read).unwrap();
        (queue, source, read, writer)
    }

    fn ran(queue: &Queue, source: &Source, read: Transfer, ended: Option<Ended>) -> Option<Ended> {
        source.ran(queue, Lane::Read, read, ended).map(|(_, ended)| ended)
    }

    #[test]
    fn an_operation_that_finds_nothing_waits_again() {
        let (queue, source, read, _writer) = running();
        assert_eq!(ran(&queue, &source, read, None), None);
        assert_eq!(lock(&source.state).lanes[Lane::Read as usize].queue.len(), 1);
    }

    #[test]
    fn cancelling_a_running_operation_that_finds_nothing_ends_it() {
        let (queue, source, read, _writer) = running();
        source.cancel(&queue, OPERATION);
        assert_eq!(ran(&queue, &source, read, None), Some(CANCELLED));
    }

    #[test]
    fn cancelling_a_running_operation_that_succeeds_is_too_late() {
        let (queue, source, read, _writer) = running();
        source.cancel(&queue, OPERATION);
        assert_eq!(ran(&queue, &source, read, Some((Status::SUCCESS, 1))), Some((Status::SUCCESS, 1)));
    }

    #[test]
    fn closing_ends_a_running_operation_that_finds_nothing() {
        let (queue, source, read, _writer) = running();
        let closed = std::thread::scope(|scope| {
            let closing = scope.spawn(|| source.take(&queue).map(|fd| close(fd).unwrap()));
            while !lock(&source.state).closed {
                std::thread::yield_now();
            }
            (ran(&queue, &source, read, None), closing.join().unwrap())
        });
        assert_eq!(closed, (Some(CANCELLED), Some(())), "the file is closed after that");
        assert!(lock(&source.state).watched.is_empty());
    }
}
