//! What sort of file it is, found once, when it is opened: whether it has an end, and what it means to read nothing.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::net::SocketType;
use rustix::termios::LocalModes;

use crate::Status;
use crate::operation::Ended;
use crate::operation::unread::StreamKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Regular files, also those of /proc and /sys, and disks.
    Places,
    /// Pipes, with a name or without.
    Pipe,
    /// Sockets of bytes.
    Stream,
    /// Sockets of messages, with connections or without.
    Messages,
    Terminal,
    /// What has a driver of its own: character devices, anonymous inodes.
    Driver,
}

impl Kind {
    pub(super) fn of(fd: BorrowedFd<'_>) -> Self {
        match rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Fifo) => Self::Pipe,
            Ok(FileType::Socket) if rustix::net::sockopt::socket_type(fd) == Ok(SocketType::STREAM) => Self::Stream,
            Ok(FileType::Socket) => Self::Messages,
            Ok(FileType::CharacterDevice) if rustix::termios::isatty(fd) => Self::Terminal,
            Ok(FileType::RegularFile | FileType::BlockDevice | FileType::Directory) => Self::Places,
            // An anonymous inode has no type at all.
            _ => Self::Driver,
        }
    }

    pub(super) fn stream(self) -> StreamKind {
        match self {
            Self::Pipe | Self::Stream | Self::Terminal => StreamKind::Bytes,
            Self::Messages | Self::Driver => StreamKind::Messages,
            Self::Places => StreamKind::Places,
        }
    }

    /// What a read means that gave nothing though it was asked for something. `None`: nothing yet, it waits.
    pub(super) fn nothing(self, fd: BorrowedFd<'_>) -> Option<Ended> {
        const END: Ended = (Status::END_OF_FILE, 0);
        const EMPTY: Ended = (Status::SUCCESS, 0);
        match self {
            Self::Places | Self::Stream => Some(END),
            // Nobody has opened its other end yet, or somebody has again.
            Self::Pipe => is_hung_up(fd).then_some(END),
            // An empty message; or the end, when no more can come and nothing lies behind it.
            Self::Messages => {
                let over = !polled(fd, PollFlags::RDHUP).is_empty() && how_many(fd) == 0;
                Some(if over { END } else { EMPTY })
            }
            Self::Terminal | Self::Driver if is_hung_up(fd) => Some((Status::gone(Errno::NODEV.raw_os_error()), 0)),
            // Somebody pressed Ctrl-D. Without lines it is VMIN = 0 that does not wait.
            Self::Terminal => has_lines(fd).then_some(EMPTY),
            Self::Driver => Some(EMPTY),
        }
    }
}

/// Which of these events are there; also a hang-up.
pub(super) fn polled(fd: BorrowedFd<'_>, events: PollFlags) -> PollFlags {
    let mut polled = [PollFd::new(&fd, events)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let count = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&now)));
    if count.is_ok() { polled[0].revents() & (events | PollFlags::HUP) } else { PollFlags::empty() }
}

/// Whether the file was hung up: its device, or the other end, is gone. An error that waits to be fetched (POLLERR) is
/// not that.
pub(super) fn is_hung_up(fd: BorrowedFd<'_>) -> bool {
    !polled(fd, PollFlags::empty()).is_empty()
}

/// Whether a file that tells of its readiness only once is ready for this, or has an error or a hang-up to tell of.
pub(super) fn is_ready(fd: BorrowedFd<'_>, events: PollFlags) -> bool {
    !polled(fd, events | PollFlags::ERR).is_empty()
}

pub(super) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    polled(fd, PollFlags::IN).contains(PollFlags::IN)
}

/// How many bytes can be read; 0 of what cannot say so.
pub(super) fn how_many(fd: BorrowedFd<'_>) -> u64 {
    rustix::io::ioctl_fionread(fd).unwrap_or(0)
}

/// Whether a terminal gives lines, and each one in a read of its own.
pub(super) fn has_lines(fd: BorrowedFd<'_>) -> bool {
    rustix::termios::tcgetattr(fd).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON))
}
