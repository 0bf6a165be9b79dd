//! The layer of threads and processes: it starts threads, detects a fork, and has clocks and locks. It also runs
//! callbacks and other foreign code. Nothing here knows an operation.

pub(crate) mod dispatching;
pub(crate) mod foreign;
#[cfg(all(target_os = "linux", not(miri)))]
mod linux;
#[cfg(all(test, loom))]
pub(crate) mod models;
#[cfg(not(any(windows, all(target_os = "linux", not(miri)))))]
mod portable;
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) mod process;
pub(crate) mod sync;
#[cfg(all(target_os = "linux", not(miri)))]
mod thread;
#[cfg(windows)]
pub(crate) mod windows;

#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) use linux::{discard, pin_module, ticks};
#[cfg(not(any(windows, all(target_os = "linux", not(miri)))))]
pub(crate) use portable::{discard, pin_module, ticks};
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) use process::PerProcess;
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) use thread::spawn;
#[cfg(windows)]
pub(crate) use windows::{discard, pin_module, ticks};

/// Starts a thread. On Linux (see `thread.rs`) the thread blocks all signals.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// A value that each process has for itself, made at its first use. Only Linux has `fork`; elsewhere this is a lazy
/// static.
#[cfg(not(all(target_os = "linux", not(miri))))]
#[derive(Debug)]
pub(crate) struct PerProcess<T>(std::sync::OnceLock<T>);

#[cfg(not(all(target_os = "linux", not(miri))))]
impl<T: Default> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(std::sync::OnceLock::new())
    }

    pub(crate) fn get(&'static self) -> &'static T {
        self.0.get_or_init(T::default)
    }
}
