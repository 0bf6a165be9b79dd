//! The kind of a file, found when it is opened: how its reads continue, and what a read without bytes means.

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
    /// Regular files (those of /proc and /sys too) and disks.
    Places,
    /// Pipes and FIFOs.
    Pipe,
    /// Stream sockets.
    Stream,
    /// Sockets of messages, with or without connections.
    Messages,
    Terminal,
    /// Files with their own driver: character devices, anonymous inodes.
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
            // An anonymous inode has no file type.
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

    /// The result of a read that had room for bytes and got none. `None`: there are no data yet, so the read waits.
    pub(super) fn nothing(self, fd: BorrowedFd<'_>) -> Option<Ended> {
        const END: Ended = (Status::END_OF_FILE, 0);
        const EMPTY: Ended = (Status::SUCCESS, 0);
        match self {
            Self::Places | Self::Stream => Some(END),
            // Without a hang-up, a writer may still come: the other end was not opened yet, or was opened again.
            Self::Pipe => is_hung_up(fd).then_some(END),
            // An empty message; or the end, if no more can come and no message is queued behind it.
            Self::Messages => {
                let over = !polled(fd, PollFlags::RDHUP).is_empty() && how_many(fd) == 0;
                Some(if over { END } else { EMPTY })
            }
            Self::Terminal | Self::Driver if is_hung_up(fd) => Some((Status::gone(Errno::NODEV.raw_os_error()), 0)),
            // With lines, somebody pressed Ctrl-D. Without lines, VMIN = 0 makes the read return at once.
            Self::Terminal => has_lines(fd).then_some(EMPTY),
            Self::Driver => Some(EMPTY),
        }
    }
}

/// The events of these that the file has now. Includes a hang-up, even if it is not asked for.
pub(super) fn polled(fd: BorrowedFd<'_>, events: PollFlags) -> PollFlags {
    let mut polled = [PollFd::new(&fd, events)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let count = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&now)));
    if count.is_ok() { polled[0].revents() & (events | PollFlags::HUP) } else { PollFlags::empty() }
}

/// Whether the file was hung up: its device, or the other end, is gone. A pending error (POLLERR) is no hang-up.
pub(super) fn is_hung_up(fd: BorrowedFd<'_>) -> bool {
    !polled(fd, PollFlags::empty()).is_empty()
}

/// Whether the file is ready for this, or has an error or a hang-up to report.
pub(super) fn is_ready(fd: BorrowedFd<'_>, events: PollFlags) -> bool {
    !polled(fd, events | PollFlags::ERR).is_empty()
}

pub(super) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    polled(fd, PollFlags::IN).contains(PollFlags::IN)
}

/// How many bytes can be read; 0 if the file cannot tell.
pub(super) fn how_many(fd: BorrowedFd<'_>) -> u64 {
    rustix::io::ioctl_fionread(fd).unwrap_or(0)
}

/// Whether a terminal is in line mode, where each read returns one line.
pub(super) fn has_lines(fd: BorrowedFd<'_>) -> bool {
    rustix::termios::tcgetattr(fd).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON))
}
