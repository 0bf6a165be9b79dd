//! The readers of the output. Pipes, sockets and terminals show that their reader has left before the next write: so a
//! quiet watch ends at once, and not only with its next edge.
//!
//! On Windows a pipe cannot be waited for: only the next write shows that its reader has left.

use std::fs::File;

pub(crate) use self::system::Readers;
#[cfg(unix)]
pub(crate) use self::system::Wake;

/// A place that is written to, and that may have a reader.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WatchedOutput<'a> {
    Stdout,
    File(#[cfg_attr(not(unix), expect(dead_code, reason = "departures are not seen"))] &'a File),
}

impl<'a> FromIterator<WatchedOutput<'a>> for Readers {
    fn from_iter<I: IntoIterator<Item = WatchedOutput<'a>>>(places: I) -> Self {
        let mut readers = Self::default();
        places.into_iter().for_each(|place| readers.add(place));
        readers
    }
}

#[cfg(unix)]
mod system {
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::{io, thread};

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::fs::{FileType, fstat};
    use rustix::io::Errno;

    use super::WatchedOutput;
    use crate::exit::Failure;

    /// The files whose readers are watched.
    #[derive(Debug, Default)]
    pub(crate) struct Readers(Vec<OwnedFd>);

    /// The reason for the end of a wait.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Wake {
        /// Something can be read from the other file.
        Other,
        Left,
    }

    impl Readers {
        /// Adds a place, if its reader can be seen leaving.
        pub(super) fn add(&mut self, place: WatchedOutput<'_>) {
            let stdout = io::stdout();
            let place = match place {
                WatchedOutput::Stdout => stdout.as_fd(),
                WatchedOutput::File(file) => file.as_fd(),
            };
            if is_watchable(place)
                && let Ok(place) = place.try_clone_to_owned()
            {
                self.0.push(place);
            }
        }

        /// Calls `left` when a reader leaves. The call comes on a thread, which is started only if there is a reader to
        /// watch.
        pub(crate) fn watch(self, left: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
            if self.0.is_empty() {
                return Ok(());
            }
            let watch = move || {
                let mut all: Vec<_> = self.0.iter().map(|reader| PollFd::new(reader, PollFlags::empty())).collect();
                while !matches!(poll(&mut all, None), Ok(1..)) {}
                left();
            };
            let cannot = |error| {
                Failure::new(format!("cannot start a thread that watches readers: {error}; end other programs"))
            };
            thread::Builder::new().name("readers".to_owned()).spawn(watch).map(drop).map_err(cannot)
        }

        /// Sleeps until a reader leaves, or until another file can be read. A departure is reported once.
        pub(crate) fn wait_beside(&mut self, other: impl AsFd) -> io::Result<Wake> {
            loop {
                // poll reports a departure (HUP, ERR) without being asked. A peer that only stopped writing has not
                // left.
                let readers = self.0.iter().map(|reader| PollFd::new(reader, PollFlags::empty()));
                let mut all: Vec<_> = std::iter::once(PollFd::new(&other, PollFlags::IN)).chain(readers).collect();
                match poll(&mut all, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
                let [other, readers @ ..] = &all[..] else { return Ok(Wake::Other) };
                let has_left = readers.iter().any(|reader| !reader.revents().is_empty());
                if !other.revents().is_empty() {
                    return Ok(Wake::Other);
                }
                if has_left {
                    self.0.clear();
                    return Ok(Wake::Left);
                }
            }
        }
    }

    fn is_watchable(place: BorrowedFd<'_>) -> bool {
        fstat(place).is_ok_and(|stat| match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo | FileType::Socket => true,
            FileType::CharacterDevice => rustix::termios::isatty(place),
            _ => false,
        })
    }

    #[cfg(test)]
    mod tests {
        use std::fs::File;
        use std::io::Write as _;
        use std::net::Shutdown;
        use std::os::unix::net::UnixStream;

        use super::*;

        fn readers(of: impl Into<OwnedFd>) -> Readers {
            Readers::from_iter([WatchedOutput::File(&File::from(of.into()))])
        }

        /// A stream that can be read at once.
        fn ready() -> UnixStream {
            let (mut one, other) = UnixStream::pair().unwrap();
            one.write_all(b"x").unwrap();
            other
        }

        #[test]
        fn a_reader_of_a_pipe_has_left_when_it_is_closed() {
            let (reader, writer) = io::pipe().unwrap();
            let (_keep, quiet) = UnixStream::pair().unwrap();
            let mut readers = readers(writer);
            assert_eq!(readers.wait_beside(ready()).unwrap(), Wake::Other);
            drop(reader);
            assert_eq!(readers.wait_beside(&quiet).unwrap(), Wake::Left);
            assert_eq!(readers.wait_beside(ready()).unwrap(), Wake::Other, "it is told once");
        }

        #[test]
        fn a_peer_that_writes_no_more_still_reads() {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let (_keep, quiet) = UnixStream::pair().unwrap();
            let mut readers = readers(ours);
            theirs.shutdown(Shutdown::Write).unwrap();
            assert_eq!(readers.wait_beside(ready()).unwrap(), Wake::Other);
            drop(theirs);
            assert_eq!(readers.wait_beside(&quiet).unwrap(), Wake::Left);
        }

        #[test]
        fn a_plain_file_and_the_null_device_have_no_reader() {
            let null = File::options().write(true).open("/dev/null").unwrap();
            let plain = File::open(std::env::current_exe().unwrap()).unwrap();
            assert!(Readers::from_iter([WatchedOutput::File(&null), WatchedOutput::File(&plain)]).0.is_empty());
        }
    }
}

#[cfg(not(unix))]
mod system {
    /// Departures are not seen here.
    #[derive(Debug, Default)]
    pub(crate) struct Readers(());

    impl Readers {
        pub(super) fn add(&mut self, _: super::WatchedOutput<'_>) {}

        #[expect(clippy::unnecessary_wraps, reason = "it can fail on Unix")]
        pub(crate) fn watch(self, _: impl FnOnce() + Send + 'static) -> Result<(), crate::exit::Failure> {
            Ok(())
        }
    }
}
