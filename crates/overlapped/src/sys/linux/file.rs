//! A file of a port: how it is opened or adopted, and how requests are submitted to it.

use std::ffi::c_void;
use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::source::{Attempt, Lane, Source};
use super::transfer::{Ended, Transfer, ioctl, is_hung_up};
use crate::device::Backend;
use crate::linux::Interest;
use crate::port::{self, InFlight};
use crate::slab::Slot;
use crate::{Device, Disposition, Error, ErrorCode, ErrorKind, OpenOptions, Operation, Port, Status};

/// Open for `ioctl` alone: open(2), "Linux reserves the special, nonstandard access mode 3".
const NEITHER: OFlags = OFlags::from_bits_retain(3);

/// A file and the port its completions go to.
pub(crate) struct File {
    source: Arc<Source>,
    /// Whether it is ever not ready: regular files, disks and some devices have nothing to wait for.
    can_wait: bool,
    port: Arc<port::Inner>,
}

pub(crate) fn open(options: &OpenOptions, path: &Path) -> Result<Device, Error> {
    let name: Arc<str> = path.to_string_lossy().into();
    let invalid = |hint| Err(Error::new(ErrorKind::InvalidInput, Operation::Open).on(&name).hint(hint));
    if path.as_os_str().as_bytes().contains(&0) {
        return invalid("the path has a NUL in it");
    }
    if options.access_mode.is_some() || options.attributes != 0 {
        return invalid("access rights and attributes are those of Windows: here there are `read` and `write`");
    }
    if options.share_mode != OpenOptions::new().share_mode {
        return invalid("this system has no share modes: use the device's own lock, such as the ioctl TIOCEXCL");
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
    // A terminal that is opened must not become the one whose Ctrl-C stops this process.
    let flags = access | disposition | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let port = options.port.clone().map_or_else(Port::global, Ok)?;
    let fd = retry_on_intr(|| rustix::fs::open(path, flags, Mode::from_raw_mode(0o666)))
        .map_err(|errno| failed(Operation::Open, &name, errno))?;
    assemble(&port, name, fd, Operation::Open)
}

/// Takes over a file that somebody else opened.
pub(crate) fn adopt(port: &Port, fd: OwnedFd) -> Result<Device, Error> {
    let name: Arc<str> = format!("fd {}", fd.as_raw_fd()).into();
    // This changes the open file itself, for everybody who has it.
    rustix::fs::fcntl_getfl(&fd).and_then(|flags| rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)).map_err(
        |errno| failed(Operation::Adopt, &name, errno).hint("it must be open for reading or writing, not with O_PATH"),
    )?;
    assemble(port, name, fd, Operation::Adopt)
}

fn assemble(port: &Port, name: Arc<str>, fd: OwnedFd, what: Operation) -> Result<Device, Error> {
    if port.inner.is_inherited() {
        return Err(port::inherited(what).on(&name));
    }
    Device::assemble(port, name.clone(), |id| {
        let queue = port.inner.queue();
        let source = Arc::new(Source::new(id, fd));
        let can_wait = queue.probe(source.fd()).map_err(|errno| failed(what, &name, errno))?;
        if can_wait {
            queue.insert(source.clone());
        }
        Ok(Backend::File(File { source, can_wait, port: port.inner.clone() }))
    })
}

fn failed(what: Operation, name: &Arc<str>, errno: Errno) -> Error {
    Error::from_code(ErrorCode::Errno(errno.raw_os_error()), what).on(name)
}

impl File {
    /// Makes the operation's system call, or lets it wait for the file. `Some`: it is final, and no packet comes.
    ///
    /// # Safety
    /// The slot is prepared, the operation has begun, and the slot outlives it.
    pub(crate) unsafe fn submit(&self, operation: InFlight, slot: &Slot, what: Operation) -> Option<Ended> {
        // SAFETY: the caller's promise: this is the kernel's side of the operation.
        let transfer = unsafe { Transfer::new(operation, slot.memory(), what) };
        let lane = match what {
            Operation::Read { offset: None } | Operation::Ioctl { when: Some(Interest::Readable), .. } => Lane::Read,
            Operation::Write { offset: None } | Operation::Ioctl { when: Some(Interest::Writable), .. } => Lane::Write,
            Operation::Read { .. } | Operation::Write { .. } => return Some(self.run(&transfer)),
            // Control codes are not this system's.
            _ => return Some((Status::NOT_SUPPORTED, 0)),
        };
        if !self.can_wait {
            return Some(self.run(&transfer));
        }
        let attempt = if matches!(what, Operation::Ioctl { .. }) {
            Attempt::WhenReady
        } else if self.port.is_dispatched_here() {
            // The dispatcher is about to look at the files anyway: a try that finds nothing would only cost a system
            // call more, for each item of a stream.
            Attempt::UnlessWatched
        } else {
            Attempt::Now
        };
        self.source.submit(self.port.queue(), lane, transfer, attempt)
    }

    /// For what cannot wait.
    fn run(&self, transfer: &Transfer) -> Ended {
        transfer.run(self.source.fd()).unwrap_or((Status::from_errno(Errno::AGAIN.raw_os_error()), 0))
    }

    /// An ioctl, at once, and once: what an interrupted one has done already is its driver's secret.
    ///
    /// # Safety
    /// What the driver does with the argument's address is fine.
    pub(crate) unsafe fn ioctl(&self, request: u32, argument: *mut c_void) -> Result<u32, Status> {
        let fd = self.source.fd();
        // SAFETY: the caller's promise.
        unsafe { ioctl(fd, request, argument) }.map_err(|errno| match errno {
            Errno::IO if is_hung_up(fd) => Status::gone(errno.raw_os_error()),
            errno => Status::from_errno(errno.raw_os_error()),
        })
    }

    /// Cancels one operation; it is named by its number, and a later one in the same slot has another.
    pub(crate) fn cancel(&self, operation: InFlight) {
        // In the child of a fork the waiting operations are the parent's, and so may be who holds their lock.
        if !self.port.is_inherited() {
            self.source.cancel(self.port.queue(), operation);
        }
    }

    pub(crate) fn cancel_all(&self) {
        if !self.port.is_inherited() {
            self.source.cancel_all(self.port.queue());
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // A child of a fork closes its copy and nothing else: the epoll set is its parent's too.
        if self.can_wait && !self.port.is_inherited() {
            self.source.close(self.port.queue());
        }
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("File").field(&self.source).finish()
    }
}
