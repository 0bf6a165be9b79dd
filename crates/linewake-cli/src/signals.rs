//! What ends a command from outside: Ctrl-C, SIGINT, SIGTERM and SIGHUP; on Windows also a console that is closed. A watch has
//! another use for SIGHUP, and ends when nobody reads it any more.

use crate::exit::Failure;
use crate::readers::Readers;

pub(crate) use self::system::{Signal, has_terminal};

/// What a watch is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It is to end.
    End,
    /// A reader of what it writes has left. Windows tells none.
    Left,
    /// It is to open its files again. Windows has no signal for that.
    #[cfg_attr(not(unix), expect(dead_code, reason = "no signal means it"))]
    Reopen,
}

/// Calls `end` whenever one of them comes, on a thread of its own. Who ignores hang-ups, as nohup has it, still does.
pub(crate) fn on_end(end: impl FnMut(Signal) + Send + 'static) -> Result<(), Failure> {
    system::on_end(end).map_err(|error| cannot(&error))
}

/// Calls `mean` whenever one of them comes, or when one of the readers has left, on a thread of its own. SIGHUP ends nothing,
/// unless the terminal from which this is controlled is gone; and not even then for who ignores hang-ups, as nohup has it.
pub(crate) fn on_end_or_reopen(readers: Readers, mean: impl FnMut(Meaning) + Send + 'static) -> Result<(), Failure> {
    system::on_end_or_reopen(readers, mean).map_err(|error| cannot(&error))
}

/// The same where SIGHUP ends as the others do.
pub(crate) fn on_end_or_left(readers: Readers, mean: impl FnMut(Meaning) + Send + 'static) -> Result<(), Failure> {
    system::on_end_or_left(readers, mean).map_err(|error| cannot(&error))
}

fn cannot(error: &impl std::fmt::Display) -> Failure {
    Failure::new(format!("cannot listen to signals: {error}; end other programs"))
}

#[cfg(unix)]
mod system {
    use std::fs::File;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::time::Duration;
    use std::{fs, io, thread};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::iterator::backend::SignalDelivery;
    use signal_hook::iterator::exfiltrator::SignalOnly;

    use super::{Meaning, Readers};
    use crate::readers::Wake;

    /// Which one.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Signal(i32);

    impl Signal {
        /// That of Ctrl-C.
        pub(crate) fn interrupt() -> Self {
            Self(SIGINT)
        }

        /// Ends the process as the signal would have.
        pub(crate) fn end_process(self) -> ! {
            let _ = signal_hook::low_level::emulate_default_handler(self.0);
            std::process::exit(128 + self.0)
        }
    }

    pub(super) fn on_end(mut end: impl FnMut(Signal) + Send + 'static) -> io::Result<()> {
        listen(ending(), Readers::default(), move |signal| {
            if let Some(signal) = signal {
                end(Signal(signal));
            }
        })
    }

    pub(super) fn on_end_or_left(readers: Readers, mut mean: impl FnMut(Meaning) + Send + 'static) -> io::Result<()> {
        listen(ending(), readers, move |signal| mean(signal.map_or(Meaning::Left, |_| Meaning::End)))
    }

    pub(super) fn on_end_or_reopen(readers: Readers, mut mean: impl FnMut(Meaning) + Send + 'static) -> io::Result<()> {
        let ends_with_terminal = !is_ignored(SIGHUP) && has_terminal();
        let is_gone = || {
            // A shell passes its hang-up on before it has ended itself.
            (0..5).any(|_| {
                !has_terminal() || {
                    thread::sleep(Duration::from_millis(50));
                    false
                }
            })
        };
        listen(vec![SIGINT, SIGTERM, SIGHUP], readers, move |signal| {
            mean(match signal {
                None => Meaning::Left,
                Some(SIGHUP) if !(ends_with_terminal && is_gone()) => Meaning::Reopen,
                Some(_) => Meaning::End,
            });
        })
    }

    fn ending() -> Vec<i32> {
        let hangup = (!is_ignored(SIGHUP)).then_some(SIGHUP);
        [SIGINT, SIGTERM].into_iter().chain(hangup).collect()
    }

    /// One thread for all: it tells which signal has come, and `None` when a reader has left.
    fn listen(
        which: Vec<i32>,
        mut readers: Readers,
        mut tell: impl FnMut(Option<i32>) + Send + 'static,
    ) -> io::Result<()> {
        // A file that has reached its limit is then an error of who writes it, as a full disk is.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let (read, write) = UnixStream::pair()?;
        let mut signals = SignalDelivery::with_pipe(read, write, SignalOnly, which)?;
        let listen = move || {
            loop {
                match readers.wait_beside(signals.get_read()) {
                    Ok(Wake::Left) => tell(None),
                    Ok(Wake::Other) => signals.pending().for_each(|signal| tell(Some(signal))),
                    // The system has no memory for it: it may have some later.
                    Err(_) => thread::sleep(Duration::from_millis(100)),
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listen).map(drop)
    }

    /// Whether there is a terminal from which this is controlled.
    pub(crate) fn has_terminal() -> bool {
        File::open("/dev/tty").is_ok()
    }

    /// Where the system does not say it is not.
    fn is_ignored(signal: i32) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
        u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 << (signal - 1) != 0)
    }
}

#[cfg(not(unix))]
mod system {
    /// Any of them.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Signal;

    impl Signal {
        /// That of Ctrl-C.
        pub(crate) fn interrupt() -> Self {
            Self
        }

        /// Ends the process.
        pub(crate) fn end_process(self) -> ! {
            crate::exit::Code::Error.exit_process()
        }
    }

    pub(super) fn on_end(mut end: impl FnMut(Signal) + Send + 'static) -> Result<(), ctrlc::Error> {
        ctrlc::set_handler(move || end(Signal))
    }

    pub(super) fn on_end_or_left(
        _: super::Readers,
        mut mean: impl FnMut(super::Meaning) + Send + 'static,
    ) -> Result<(), ctrlc::Error> {
        ctrlc::set_handler(move || mean(super::Meaning::End))
    }

    pub(super) use on_end_or_left as on_end_or_reopen;

    /// Service managers are not asked for it there.
    pub(crate) fn has_terminal() -> bool {
        true
    }
}
