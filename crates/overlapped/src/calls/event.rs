//! Win32 events: many vendors' libraries signal one instead of completing a pending control code.

use std::fmt;
use std::os::windows::io::OwnedHandle;
use std::sync::Arc;

use crate::device::Backend;
use crate::{Call, Device, Error, InvertedCallBuilder, Operation, Port};

/// A Win32 event to await, in any number. (`WaitForMultipleObjects` stops at 64, and needs a thread.)
///
/// Each signal of an auto-reset event completes one call. If that call was cancelled or timed out meanwhile, the signal
/// goes to another call that waits, or else to the next call. A manual-reset event completes every call until somebody
/// resets it. Semaphores and timers behave like auto-reset events, processes and threads like manual-reset ones.
///
/// ```
/// # use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
/// # use windows_sys::Win32::System::Threading::{CreateEventW, SetEvent};
/// use overlapped::Event;
/// # // SAFETY: no name, no security; the handle is new and ours.
/// # let handle = unsafe { OwnedHandle::from_raw_handle(CreateEventW(std::ptr::null(), 0, 0, std::ptr::null())) };
/// # let raw = handle.as_raw_handle();
/// let event = Event::new(handle)?; // a handle from the vendor's library
/// let signal = event.signal();
/// # // SAFETY: the event's handle is open.
/// # unsafe { SetEvent(raw) };
/// signal.wait()?; // or `.await`
/// # Ok::<(), overlapped::Error>(())
/// ```
///
/// # Platform-specific notes
/// Windows only. The system's thread pool does the waiting (`CreateThreadpoolWait`); since Windows 8 it needs no thread
/// for that.
#[derive(Clone)]
pub struct Event(Device);

impl Event {
    /// An event on the global port. The handle needs the right SYNCHRONIZE, and should have EVENT_QUERY_STATE too:
    /// without it the event is taken for an auto-reset one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a mutex, which a thread of the system would then
    /// own, and for a handle that cannot be waited for; [`ErrorKind::AccessDenied`](crate::ErrorKind::AccessDenied)
    /// without SYNCHRONIZE; [`ErrorKind::Other`](crate::ErrorKind::Other) when the port cannot be started.
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
        let event = crate::completers::windows::Event::new(handle.into(), port.inner.clone())?;
        let name: Arc<str> = "event".into();
        Device::assemble(port, name, |_| Ok(Backend::Event(event))).map(Self)
    }

    /// Waits for one signal. Like every [`Call`] it waits from now on, not only from the first poll.
    ///
    /// # Errors
    /// From the call: [`ErrorKind::Other`](crate::ErrorKind::Other) when the system has no memory for the wait.
    pub fn signal(&self) -> Call<()> {
        self.0.submit(Operation::Signal, &[], Some(0))
    }

    /// All signals, as a stream. The stream waits for the next signal before it delivers one; the event itself keeps
    /// one signal that comes in between.
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
    /// From the stream, as its last item: the errors of [`signal`](Self::signal).
    pub fn signals(&self) -> InvertedCallBuilder<()> {
        InvertedCallBuilder::submitting(self.0.inner.clone(), Operation::Signal, &[], Some(0)).pending(1)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::windows::io::{AsRawHandle, FromRawHandle};
    use std::ptr::null;
    use std::time::Duration;

    use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
    use windows_sys::Win32::System::Threading::{CreateEventW, SetEvent, WaitForSingleObject};

    use super::*;
    use crate::ErrorKind;
    use crate::completers::windows::Signals;

    fn event(manual_reset: bool) -> (OwnedHandle, Event, Arc<Signals>) {
        // SAFETY: no name and no security; the handle is new and ours.
        let handle = unsafe { OwnedHandle::from_raw_handle(CreateEventW(null(), manual_reset.into(), 0, null())) };
        let event = Event::new(handle.try_clone().unwrap()).unwrap();
        let Backend::Event(inner) = &event.0.inner.backend else { panic!("an event") };
        let signals = Arc::clone(inner);
        (handle, event, signals)
    }

    fn there_is_none(event: &Event) {
        let error = event.signal().wait_timeout(Duration::from_millis(5)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_signal_that_is_given_back_completes_one_call() {
        let (handle, event, signals) = event(false);
        // One call waits already.
        let (first, second) = (event.signal(), event.signal());
        signals.give_back();
        first.wait().unwrap();
        second.cancel();
        assert_eq!(second.wait().unwrap_err().kind(), ErrorKind::Cancelled);
        // Its wait is not armed any more, so this signal is for the next call.
        // SAFETY: the handle is open.
        assert_ne!(unsafe { SetEvent(handle.as_raw_handle()) }, 0);
        event.signal().wait().unwrap();
        there_is_none(&event);
        // Without a call that waits, the signals complete the next two calls at once.
        signals.give_back();
        signals.give_back();
        event.signal().wait().unwrap();
        event.signal().wait().unwrap();
        there_is_none(&event);
    }

    #[test]
    fn a_signal_that_stays_is_not_given_back() {
        let (_handle, event, signals) = event(true);
        let waiting = event.signal();
        signals.give_back();
        there_is_none(&event);
        waiting.cancel();
        assert_eq!(waiting.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    /// The wait's callback may already run when the call is cancelled; the next call must not take that signal for its
    /// own.
    #[test]
    fn a_wait_for_a_signal_that_stays_serves_one_call() {
        for (manual_reset, kept) in [(false, 1), (true, 0)] {
            let (_handle, event, signals) = event(manual_reset);
            let waiting = event.signal();
            assert_eq!(signals.wait_objects(), 1);
            waiting.cancel();
            assert_eq!(signals.wait_objects(), kept, "manual reset: {manual_reset}");
            assert_eq!(waiting.wait().unwrap_err().kind(), ErrorKind::Cancelled);
        }
    }

    #[test]
    fn a_signal_that_nobody_had_is_left_in_the_event() {
        let (handle, event, signals) = event(false);
        signals.give_back();
        drop(event);
        // SAFETY: the handle is open.
        assert_eq!(unsafe { WaitForSingleObject(handle.as_raw_handle(), 0) }, WAIT_OBJECT_0);
        // A signal after the end keeps nothing open.
        signals.give_back();
    }
}
