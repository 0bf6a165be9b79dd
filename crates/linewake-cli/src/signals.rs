//! Signals that end a command: Ctrl-C, SIGINT, SIGTERM and SIGHUP; on Windows also a console that is closed. A watch
//! reopens its files on SIGHUP, and also ends when its last reader leaves.

use crate::exit::Failure;
use crate::readers::Readers;

pub(crate) use self::system::{Signal, has_terminal};

/// The request of a signal to a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The watch ends.
    End,
    /// A reader of its output has left. Windows does not say so.
    Left,
    /// The watch opens its files again. Windows has no signal for that.
    #[cfg_attr(not(unix), expect(dead_code, reason = "no signal means it"))]
    Reopen,
}

/// Calls `end` on a thread of its own at each signal. SIGHUP stays ignored if it was at the start, as under nohup.
pub(crate) fn on_end(end: impl FnMut(Signal) + Send + 'static) -> Result<(), Failure> {
    system::on_end(end).map_err(|error| cannot(&error))
}

/// Calls `mean` on a thread of its own at each signal, and when a reader leaves. SIGHUP means "reopen"; it means "end"
/// only if the controlling terminal is gone and SIGHUP was not ignored at the start, as under nohup.
pub(crate) fn on_end_or_reopen(readers: Readers, mean: impl FnMut(Meaning) + Send + 'static) -> Result<(), Failure> {
    system::on_end_or_reopen(readers, mean).map_err(|error| cannot(&error))
}

/// Does the same, but SIGHUP ends as the other signals do.
pub(crate) fn on_end_or_left(readers: Readers, mean: impl FnMut(Meaning) + Send + 'static) -> Result<(), Failure> {
    system::on_end_or_left(readers, mean).map_err(|error| cannot(&error))
}

fn cannot(error: &impl std::fmt::Display) -> Failure {
    Failure::new(format!("cannot handle signals: {error}; end other programs"))
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

    /// The signal's number.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Signal(i32);

    impl Signal {
        /// The signal of Ctrl-C.
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

    /// Starts one thread that passes on each signal, and `None` when a reader has left.
    fn listen(
        which: Vec<i32>,
        mut readers: Readers,
        mut tell: impl FnMut(Option<i32>) + Send + 'static,
    ) -> io::Result<()> {
        // With a handler, a file at its size limit is an error of the write, as a full disk is.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let (read, write) = UnixStream::pair()?;
        let mut signals = SignalDelivery::with_pipe(read, write, SignalOnly, which)?;
        let listen = move || {
            loop {
                match readers.wait_beside(signals.get_read()) {
                    Ok(Wake::Left) => tell(None),
                    Ok(Wake::Other) => signals.pending().for_each(|signal| tell(Some(signal))),
                    // The system is short of memory: it may have some later.
                    Err(_) => thread::sleep(Duration::from_millis(100)),
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listen).map(drop)
    }

    /// True if the process has a controlling terminal.
    pub(crate) fn has_terminal() -> bool {
        File::open("/dev/tty").is_ok()
    }

    /// True if the signal is known to be ignored.
    fn is_ignored(signal: i32) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
        u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 << (signal - 1) != 0)
    }
}

#[cfg(not(unix))]
mod system {
    /// Any signal.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Signal;

    impl Signal {
        /// The signal of Ctrl-C.
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

    /// On Windows nothing depends on it.
    pub(crate) fn has_terminal() -> bool {
        true
    }
}
