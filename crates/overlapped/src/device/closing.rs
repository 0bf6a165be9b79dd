//! Closes a device for a caller that wants to know the outcome.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::{Device, Inner};
use crate::port::block_on;
use crate::system::foreign::{caught, on_a_thread};
use crate::system::sync::lock_std as lock;
use crate::{Error, ErrorKind, Operation};

/// A device that is being closed; made by [`Device::close`](crate::Device::close). `.await` it, or call
/// [`wait`](Self::wait). The device is closed even if you do neither.
///
/// ```
/// # use overlapped::{sim::Script, Device, ErrorKind};
/// let card = Device::simulated(Script::new("card"))?;
/// let clone = card.clone();
/// assert_eq!(card.close().wait().unwrap_err().kind(), ErrorKind::Busy); // it stays open for the clone
/// clone.close().wait()?;
/// # Ok::<(), overlapped::Error>(())
/// ```
#[must_use = "it reports whether closing succeeded"]
pub struct Closing(Arc<Mutex<State>>);

enum State {
    Closing(Option<Waker>),
    Closed(Result<(), Error>),
    Told,
}

impl Device {
    /// Closes the device and reports what the system says: await the [`Closing`], or wait for it. Dropping the last
    /// owner closes the device too, but cannot report anything.
    ///
    /// Closing may take time: the output of a serial port leaves, a socket lingers. So it runs on a thread of its own.
    /// A simulated driver's cleanup runs at once, on the calling thread.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Device};
    /// let card = Device::simulated(Script::new("card"))?;
    /// card.close().wait()?; // or `.await`
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// From the [`Closing`]: [`ErrorKind::Busy`] when the device has other owners: clones, calls or streams. It stays
    /// open for them. Otherwise the system's error, such as EIO or ENOSPC for data that could not be written any more.
    /// The handle is closed even then.
    pub fn close(self) -> Closing {
        match Arc::try_unwrap(self.inner) {
            Err(shared) => Closing::ready(Err(shared.busy(Operation::Close))),
            Ok(mut handle) => {
                handle.is_closing = true;
                Closing::start(handle.inner.clone())
            }
        }
    }
}

impl Closing {
    pub(crate) fn ready(end: Result<(), Error>) -> Self {
        Self(Arc::new(Mutex::new(State::Closed(end))))
    }

    /// Closes the device. Its last owner is gone.
    pub(crate) fn start(device: Arc<Inner>) -> Self {
        let closing = Self(Arc::new(Mutex::new(State::Closing(None))));
        let told = Self(closing.0.clone());
        let close = move || {
            let end = device.shut_and_close().unwrap_or_else(|| {
                Err(device
                    .error(ErrorKind::TimedOut, Operation::Close)
                    .hint("its driver has not returned from a request; the device is closed when it does"))
            });
            drop(device);
            told.end(end);
        };
        on_a_thread("overlapped-close", close);
        closing
    }

    fn end(&self, end: Result<(), Error>) {
        let before = std::mem::replace(&mut *lock(&self.0), State::Closed(end));
        if let State::Closing(Some(waker)) = before {
            caught(|| waker.wake());
        }
    }

    /// Waits on this thread until the device is closed.
    ///
    /// # Errors
    /// The errors of [`Device::close`](crate::Device::close). [`ErrorKind::TimedOut`] when the driver does not return
    /// from a request within a second; the device is closed when the driver returns.
    pub fn wait(self) -> Result<(), Error> {
        block_on(|cx| self.poll_end(cx))
    }

    fn poll_end(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        let waker = cx.waker().clone();
        let mut state = lock(&self.0);
        let (before, end) = match std::mem::replace(&mut *state, State::Told) {
            State::Closed(end) => (None, Poll::Ready(end)),
            State::Closing(before) => {
                *state = State::Closing(Some(waker));
                (before, Poll::Pending)
            }
            State::Told => (None, Poll::Ready(Err(Error::taken_before()))),
        };
        drop(state);
        // Dropping the waker runs the caller's code, so it happens without the lock.
        drop(before);
        end
    }
}

impl Future for Closing {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_end(cx)
    }
}

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*lock(&self.0) {
            State::Closing(_) => "closing",
            State::Closed(_) => "closed",
            State::Told => "told",
        };
        f.debug_struct("Closing").field("state", &state).finish_non_exhaustive()
    }
}
