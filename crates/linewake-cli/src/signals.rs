//! What ends a command from outside: Ctrl-C, SIGINT, SIGTERM and SIGHUP; on Windows also a console that is closed. A watch has
//! another use for SIGHUP.

use crate::exit::Failure;

pub(crate) use self::system::{Signal, has_terminal};

/// What a signal means to a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// It is to end.
    End,
    /// It is to open its files again. Windows has no signal for that.
    Reopen,
}

/// Calls `end` whenever one of them comes, on a thread of its own. Who ignores hang-ups, as nohup has it, still does.
pub(crate) fn on_end(end: impl FnMut(Signal) + Send + 'static) -> Result<(), Failure> {
    system::on_end(end).map_err(|error| Failure::new(format!("cannot listen to signals: {error}; end other programs")))
}

/// Calls `mean` whenever one of them comes, on a thread of its own. SIGHUP ends nothing, unless the terminal from which this is
/// controlled is gone; and not even then for who ignores hang-ups, as nohup has it.
pub(crate) fn on_end_or_reopen(mean: impl FnMut(Meant) + Send + 'static) -> Result<(), Failure> {
    system::on_end_or_reopen(mean)
        .map_err(|error| Failure::new(format!("cannot listen to signals: {error}; end other programs")))
}

#[cfg(unix)]
mod system {
    use std::fs::File;
    use std::time::Duration;
    use std::{fs, io, thread};

    use super::Meant;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

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
        let hangup = (!is_ignored(SIGHUP)).then_some(SIGHUP);
        let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hangup))?;
        let listen = move || signals.forever().for_each(|signal| end(Signal(signal)));
        thread::Builder::new().name("signals".to_owned()).spawn(listen).map(drop)
    }

    pub(super) fn on_end_or_reopen(mut mean: impl FnMut(Meant) + Send + 'static) -> io::Result<()> {
        let ends_with_terminal = !is_ignored(SIGHUP) && has_terminal();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let is_gone = || {
            // A shell passes its hang-up on before it has ended itself.
            (0..5).any(|_| {
                !has_terminal() || {
                    thread::sleep(Duration::from_millis(50));
                    false
                }
            })
        };
        let listen = move || {
            for signal in signals.forever() {
                mean(if signal == SIGHUP && !(ends_with_terminal && is_gone()) { Meant::Reopen } else { Meant::End });
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
            std::process::exit(1)
        }
    }

    pub(super) fn on_end(mut end: impl FnMut(Signal) + Send + 'static) -> Result<(), ctrlc::Error> {
        ctrlc::set_handler(move || end(Signal))
    }

    pub(super) fn on_end_or_reopen(mut mean: impl FnMut(super::Meant) + Send + 'static) -> Result<(), ctrlc::Error> {
        ctrlc::set_handler(move || mean(super::Meant::End))
    }

    /// Service managers are not asked for it there.
    pub(crate) fn has_terminal() -> bool {
        true
    }
}
