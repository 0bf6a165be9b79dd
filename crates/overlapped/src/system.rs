//! The floor of what a thread and a process are: starting one, telling one from another, clocks and locks, and running
//! somebody else's code. Nothing here knows an operation.

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

/// Starts a thread. On Linux it blocks all signals.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// A value that each process has for itself, made when it is first asked for. Only Linux has processes that are made of
/// others.
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
