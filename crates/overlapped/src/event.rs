//! Win32 events: what many vendors' libraries signal in place of a control code that pends.

use std::fmt;
use std::os::windows::io::OwnedHandle;
use std::sync::Arc;

use crate::device::Backend;
use crate::{Call, Device, Error, InvertedCallBuilder, Operation, Port};

/// A Win32 event that can be awaited, however many there are: `WaitForMultipleObjects` stops at 64, and needs a thread.
///
/// An auto-reset event is consumed by the call it completes. A manual-reset one completes every call until somebody
/// resets it.
///
/// ```
/// # use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
/// # use windows_sys::Win32::System::Threading::{CreateEventW, SetEvent};
/// use overlapped::Event;
/// # // SAFETY: no name, no security; the handle is new and ours.
/// # let handle = unsafe { OwnedHandle::from_raw_handle(CreateEventW(std::ptr::null(), 0, 0, std::ptr::null())) };
/// # let raw = handle.as_raw_handle();
/// let event = Event::new(handle)?; // the vendor's library gave it
/// let signal = event.signal();
/// # // SAFETY: the event's handle is open.
/// # unsafe { SetEvent(raw) };
/// signal.wait()?; // or `.await`
/// # Ok::<(), overlapped::Error>(())
/// ```
///
/// # Platform-specific notes
/// Windows only. The waiting is done by the system's thread pool (`CreateThreadpoolWait`), which on Windows 8 and later
/// needs no thread for it.
#[derive(Clone)]
pub struct Event(Device);

impl Event {
    /// An event on the global port. The handle needs the right SYNCHRONIZE.
    ///
    /// # Errors
    /// [`ErrorKind::Other`](crate::ErrorKind::Other) when the port cannot be had.
    pub fn new(handle: impl Into<OwnedHandle>) -> Result<Self, Error> {
        Self::on(&Port::global()?, handle)
    }

    /// An event on `port`.
    ///
    /// ```
    /// # use std::os::windows::io::{FromRawHandle, OwnedHandle};
    /// # use windows_sys::Win32::System::Threading::CreateEventW;
    /// use overlapped::{Event, Port};
    /// # // SAFETY: no name, no security; the handle is new and ours.
    /// # let handle = unsafe { OwnedHandle::from_raw_handle(CreateEventW(std::ptr::null(), 0, 1, std::ptr::null())) };
    /// let port = Port::manual()?;
    /// let event = Event::on(&port, handle)?;
    /// port.block_on(event.signal())??;
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn on(port: &Port, handle: impl Into<OwnedHandle>) -> Result<Self, Error> {
        let event = crate::sys::windows::Event::new(handle.into(), port.inner.clone());
        let name: Arc<str> = "event".into();
        Device::assemble(port, name, |_| Ok(Backend::Event(event))).map(Self)
    }

    /// Waits for one signal. Like every [`Call`] it waits from now on, not from the first poll.
    ///
    /// # Errors
    /// From the call: [`ErrorKind::Other`](crate::ErrorKind::Other) when the system has no memory for the wait.
    pub fn signal(&self) -> Call<()> {
        self.0.submit(Operation::Signal, &[], Some(0))
    }

    /// Every signal, as a stream that is armed again before each one is delivered. The event itself keeps one signal
    /// while none is armed.
    ///
    /// ```
    /// # fn example(event: &overlapped::Event) -> Result<(), overlapped::Error> {
    /// let mut signals = event.signals().start();
    /// while let Some(signal) = signals.wait_next() {
    ///     signal?;
    ///     // … ask the vendor's library what it was
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// From the stream, as its last item: those of [`signal`](Self::signal).
    pub fn signals(&self) -> InvertedCallBuilder<()> {
        InvertedCallBuilder::submitting(self.0.inner.clone(), Operation::Signal, &[], Some(0)).pending(1)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").finish_non_exhaustive()
    }
}
