//! A file of a port: how it is opened or adopted, and how requests are submitted to it.

use std::ffi::c_void;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::flag;
use super::kind::{Kind, is_hung_up};
use super::source::{AGAIN, Attempt, CLOSED, Lane, Source, close};
use super::transfer::{Transfer, ioctl};
use crate::completers::options::{Disposition, OpenOptions};
use crate::operation::Ended;
use crate::operation::unread::StreamKind;
use crate::port::{self, Slot};
use crate::words::token::InFlight;
use crate::{Error, ErrorCode, ErrorKind, Operation, Port, Status};

/// Open for `ioctl` only: open(2), "Linux reserves the special, nonstandard access mode 3".
const NEITHER: OFlags = OFlags::from_bits_retain(3);

/// A file and the port for its completions.
pub(crate) struct File {
    source: Arc<Source>,
    port: Arc<port::Inner>,
}

/// A file without a port.
pub(crate) type OpenHandle = OwnedFd;

pub(crate) fn open(options: &OpenOptions, name: &Arc<str>, path: &Path) -> Result<OpenHandle, Error> {
    let invalid = |hint| Err(Error::new(ErrorKind::InvalidInput, Operation::Open).on(name).hint(hint));
    if path.as_os_str().as_bytes().contains(&0) {
        return invalid("the path contains a NUL; remove it");
    }
    if options.access_mode.is_some() || options.attributes != 0 {
        return invalid("access rights and attributes exist on Windows only: use `read` and `write`");
    }
    if options.share_mode.is_some() {
        return invalid("share modes exist on Windows only: use the device's own lock, such as the ioctl TIOCEXCL");
    }
    let access = match (options.read, options.write) {
        (true, true) => OFlags::RDWR,
        (true, false) => OFlags::RDONLY,
        (false, true) => OFlags::WRONLY,
        (false, false) => NEITHER,
    };
    let disposition = match options.disposition {
        Disposition::CreateNew => OFlags::CREATE | OFlags::EXCL,
        Disposition::CreateAlways => OFlags::CREATE | OFlags::TRUNC,
        Disposition::OpenExisting => OFlags::empty(),
        Disposition::OpenAlways => OFlags::CREATE,
        Disposition::TruncateExisting => OFlags::TRUNC,
    };
    // Without NOCTTY a terminal could become the one whose Ctrl-C stops this process.
    let flags = access | disposition | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    retry_on_intr(|| rustix::fs::open(path, flags, Mode::from_raw_mode(0o666)))
        .map_err(|errno| failed(Operation::Open, name, errno))
}

fn failed(what: Operation, name: &Arc<str>, errno: Errno) -> Error {
    Error::from_code(ErrorCode::Errno(errno.raw_os_error()), what).on(name)
}

impl File {
    /// Binds a file to the port, for the device with this number. An adopted file becomes non-blocking.
    pub(crate) fn bind(
        fd: OpenHandle,
        port: &Arc<port::Inner>,
        id: u64,
        name: &Arc<str>,
        what: Operation,
    ) -> Result<Self, Error> {
        let queue = port.queue();
        let adopted = what == Operation::Adopt;
        if adopted {
            // This changes the open file itself, for all processes that share it.
            flag::set(id, fd.as_fd())
                .map_err(|errno| failed(what, name, errno).hint("open it for reading or writing, not with O_PATH"))?;
        }
        let can_wait = match queue.probe(fd.as_fd()) {
            Ok(can_wait) => can_wait,
            Err(errno) => {
                if adopted {
                    flag::give_back(id, fd.as_fd());
                }
                return Err(failed(what, name, errno));
            }
        };
        let source = if can_wait {
            let number = queue.reserve();
            let source = Arc::new(Source::new(id, number, fd, adopted, None));
            queue.insert(number, source.clone());
            source
        } else {
            let port = Arc::downgrade(port);
            Arc::new_cyclic(|this| Source::new(id, 0, fd, adopted, Some((this.clone(), port))))
        };
        Ok(Self { source, port: port.clone() })
    }

    /// Makes the operation's system call, or lets the operation wait for the file. `Some`: it is final, and no packet
    /// comes.
    ///
    /// # Safety
    /// The slot is prepared, the operation has begun, and the slot outlives it.
    pub(crate) unsafe fn submit(&self, operation: InFlight, slot: &Slot, what: Operation) -> Option<Ended> {
        // SAFETY: the caller's promise: this is the kernel's side of the operation.
        let transfer = unsafe { Transfer::new(operation, slot.memory(), what) };
        let (queue, can_wait) = (self.port.queue(), self.source.can_wait());
        let lane = match what {
            Operation::Ready { interest } => return self.source.submit_await(queue, Lane::of(interest), transfer),
            Operation::Ioctl { when: Some(interest), .. } => Lane::of(interest),
            Operation::Read { .. } => Lane::Read,
            Operation::Write { .. } => Lane::Write,
            // Linux has no control codes.
            _ => return Some((Status::NOT_SUPPORTED, 0)),
        };
        let has_place = matches!(what, Operation::Read { offset: Some(_) } | Operation::Write { offset: Some(_) });
        let attempt = if can_wait && !has_place {
            if matches!(what, Operation::Ioctl { .. }) {
                Attempt::WhenReady
            } else if self.port.is_dispatched_here() {
                // The dispatcher is about to wait for the files anyway. A try that finds nothing would add a system
                // call to each item of a stream.
                Attempt::UnlessWatched
            } else {
                Attempt::Now
            }
        } else if !can_wait && Port::is_dispatching() && !self.port.is_manual() {
            // The system call may take long, and the dispatcher must not wait.
            Attempt::WhenReady
        } else if has_place {
            return Some(self.run(transfer));
        } else {
            Attempt::Now
        };
        self.source.submit(queue, lane, transfer, attempt)
    }

    /// Makes the system call of an operation at an offset, which never waits. A read without bytes is at the end.
    fn run(&self, mut transfer: Transfer) -> Ended {
        let Some(file) = self.source.keep_open() else { return CLOSED };
        transfer.run(file.as_fd(), Kind::Places).over().unwrap_or((AGAIN, 0))
    }

    /// Makes an ioctl at once, and only once: only its driver knows what an interrupted one has done already.
    ///
    /// # Safety
    /// The driver may use the argument's address as it does.
    pub(crate) unsafe fn ioctl(&self, request: u32, argument: *mut c_void) -> Result<u32, Status> {
        // The device is borrowed, so it is not closed meanwhile.
        let fd = self.source.fd();
        // SAFETY: the caller's promise.
        unsafe { ioctl(fd, request, argument) }.map_err(|errno| match errno {
            Errno::IO if is_hung_up(fd) => Status::gone(errno.raw_os_error()),
            errno => Status::from_errno(errno.raw_os_error()),
        })
    }

    /// The file. The device is borrowed, so it is not closed meanwhile.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.fd()
    }

    /// What the reads of this file return.
    pub(crate) fn stream_kind(&self) -> StreamKind {
        self.source.kind.stream()
    }

    /// Whether a read may return half of a message.
    pub(crate) fn is_byte_stream(&self) -> bool {
        self.stream_kind() == StreamKind::Bytes
    }

    /// Reads more bytes without waiting, if this is a stream of bytes and no read waits. Returns how many.
    pub(crate) fn more(&self, room: &mut [u8]) -> usize {
        if !self.is_byte_stream() || room.is_empty() || self.port.is_inherited() {
            return 0;
        }
        self.source.more(self.port.queue(), room)
    }

    /// Cancels one operation. `true`: it ends as cancelled, and has read nothing.
    pub(crate) fn cancel(&self, operation: InFlight) -> bool {
        // In the child of a fork the operations belong to the parent, and a thread of the parent may hold their lock.
        !self.port.is_inherited() && self.source.cancel(self.port.queue(), operation)
    }

    pub(crate) fn cancel_all(&self) {
        if !self.port.is_inherited() {
            self.source.cancel_all(self.port.queue());
        }
    }

    /// Takes the open file out, without closing it. `None`: it was closed, or is in use.
    pub(crate) fn take(&self) -> Option<OwnedFd> {
        if self.port.is_inherited() { self.source.take_out() } else { self.source.take(self.port.queue()) }
    }

    /// Cancels the operations that wait, and closes the file, once, as soon as no system call uses it. Returns the
    /// system's answer. Closing a serial port or a socket may take long.
    pub(crate) fn close(&self) -> Result<(), ErrorCode> {
        let closed = self.source.take(self.port.queue()).map_or(Ok(()), close);
        closed.map_err(|error| ErrorCode::Errno(error.raw_os_error().unwrap_or_default()))
    }

    /// In the child of a fork: closes the child's copy without a lock.
    pub(crate) fn close_copy(&self) {
        let _ = self.source.take_out().map(close);
    }
}
