//! A call with the caller's own buffers, which always come back.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::call::Pending;
use crate::device;
use crate::port::{self, Slot, Whose};
use crate::slot::Progress;
use crate::words::token::InFlight;
use crate::{Buffer, Error, ErrorKind, Operation, Status};

/// A call with owned buffers; made by [`Device::call_raw`](crate::Device::call_raw),
/// [`read_into`](crate::Device::read_into), [`write_from`](crate::Device::write_from) and their like.
///
/// `K` is what was given to [`call_raw_keeping`](crate::Device::call_raw_keeping): it lives until the driver is done.
///
/// `.await` it or [`wait`](Self::wait). Dropping it cancels it; the buffers are freed when the driver is done with them.
/// The buffers come back when the driver lets go of them, and not before: also after a [`timeout`](Self::timeout). To give
/// up on a driver that does not, drop it.
///
/// ```
/// # use overlapped::{sim, Access, Buffer, CtlCode, Device, Method, Status};
/// # let device = Device::simulated(sim::from_fn(|mut request| {
/// #     request.write(b"12345678");
/// #     request.complete(Status::BUFFER_OVERFLOW)
/// # }))?;
/// const DUMP: CtlCode = CtlCode::new(0x8000, 0x805, Method::OutDirect, Access::Read);
/// // SAFETY: the card's manual: DUMP reads no input and writes at most the output's length.
/// let call = unsafe { device.call_raw(DUMP, Buffer::empty(), Buffer::aligned(4, 4096)?) };
/// let reply = call.wait();
/// assert_eq!(reply.status()?, Status::BUFFER_OVERFLOW);
/// assert_eq!(&reply.output[..reply.len()], b"1234");
/// # Ok::<(), overlapped::Error>(())
/// ```
#[must_use = "a call that is dropped is cancelled"]
pub struct RawCall<K = ()>(State<K>);

enum State<K> {
    Ready(RawReply<K>),
    /// The slot has the value.
    Pending(Pending, PhantomData<fn() -> K>),
    Taken,
}

// Nobody pins the value: it is only handed on.
impl<K> Unpin for RawCall<K> {}

/// What became of a [`RawCall`]: status, byte count and both buffers, also of one that failed.
///
/// ```
/// fn bytes(reply: &overlapped::RawReply) -> &[u8] {
///     &reply.output[..reply.len()]
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct RawReply<K = ()> {
    /// The input, as it was: of a write, what was written. With METHOD_IN_DIRECT it is the driver's command, and the output
    /// carries the data.
    pub input: Buffer,
    /// The output: what the driver wrote, or what was read, is at its beginning.
    pub output: Buffer,
    /// What was given to be kept. `None` only where the driver has it still: in the reply of a [`wait`](RawCall::wait) that
    /// is a [`ErrorKind::Deadlock`].
    pub kept: Option<K>,
    /// The byte count *as the driver gave it*.
    pub information: usize,
    status: Result<Status, Error>,
}

impl<K> RawReply<K> {
    pub(crate) fn refused(error: Error, input: Buffer, output: Buffer, kept: Option<K>) -> Self {
        Self { input, output, kept, information: 0, status: Err(error) }
    }

    /// Of a call whose buffers the driver has still.
    fn without_buffers(error: Error) -> Self {
        Self::refused(error, Buffer::empty(), Buffer::empty(), None)
    }

    /// The reply to a function that failed with an error of its own.
    #[cfg(windows)]
    pub(crate) fn failed(self, error: Error) -> Self {
        Self { status: Err(error), ..self }
    }

    /// The status: a success or a warning.
    ///
    /// # Errors
    /// Those of a [`Call`](crate::Call).
    pub fn status(&self) -> Result<Status, Error> {
        self.status.clone()
    }

    /// How many of the output's bytes are valid: the driver's count, but never more than there are. 0 after an error, and of
    /// a write, whose count is the [`information`](Self::information).
    #[must_use]
    pub fn len(&self) -> usize {
        if self.status.is_ok() { self.information.min(self.output.len()) } else { 0 }
    }

    /// Whether no byte of the output is valid.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Send + 'static> RawCall<K> {
    pub(crate) fn ready(reply: RawReply<K>) -> Self {
        Self(State::Ready(reply))
    }

    pub(crate) fn pending(pending: Pending) -> Self {
        Self(State::Pending(pending, PhantomData))
    }

    /// Asks the driver to cancel the call, which then ends in its own way.
    ///
    /// ```
    /// # use overlapped::{Access, Buffer, CtlCode, Device, ErrorKind, Method, sim::Script};
    /// const WAIT: CtlCode = CtlCode::new(0x8000, 0x806, Method::OutDirect, Access::Read);
    /// # let card = Device::simulated(Script::new("card").pend(WAIT))?;
    /// // SAFETY: card.h: reads nothing, and writes at most the output's length.
    /// let call = unsafe { card.call_raw(WAIT, Buffer::empty(), Buffer::aligned(512, 512)?) };
    /// call.cancel();
    /// let reply = call.wait();
    /// assert_eq!(reply.status().unwrap_err().kind(), ErrorKind::Cancelled);
    /// assert!(reply.is_empty());
    /// assert_eq!(reply.output.len(), 512); // all the same, the buffer is back
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn cancel(&self) {
        if let State::Pending(pending, _) = &self.0 {
            pending.cancel();
        }
    }

    /// Cancels the call when it is still pending after `timeout`. It then ends, with its buffers, as
    /// [`ErrorKind::TimedOut`], or with its result if that had happened. A driver that ignores the cancellation has the
    /// buffers still, and the call stays pending until it has not.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use overlapped::{Access, Buffer, CtlCode, Device, ErrorKind, Method, sim::Script};
    /// const WAIT: CtlCode = CtlCode::new(0x8000, 0x806, Method::OutDirect, Access::Read);
    /// # let card = Device::simulated(Script::new("card").pend(WAIT))?;
    /// // SAFETY: card.h: reads nothing, and writes at most the output's length.
    /// let call = unsafe { card.call_raw(WAIT, Buffer::empty(), Buffer::aligned(512, 512)?) };
    /// let reply = call.timeout(Duration::from_millis(5)).wait();
    /// assert_eq!(reply.status().unwrap_err().kind(), ErrorKind::TimedOut);
    /// assert_eq!(reply.output.len(), 512);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        if let State::Pending(pending, _) = &self.0 {
            pending.timeout(timeout);
        }
        self
    }

    /// [`timeout`](Self::timeout), then [`wait`](Self::wait).
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use overlapped::{Access, Buffer, CtlCode, Device, ErrorKind, Method, sim::Script};
    /// const WAIT: CtlCode = CtlCode::new(0x8000, 0x806, Method::OutDirect, Access::Read);
    /// # let card = Device::simulated(Script::new("card").pend(WAIT))?;
    /// // SAFETY: card.h: reads nothing, and writes at most the output's length.
    /// let call = unsafe { card.call_raw(WAIT, Buffer::empty(), Buffer::aligned(512, 512)?) };
    /// let reply = call.wait_timeout(Duration::from_millis(5));
    /// assert_eq!(reply.status().unwrap_err().kind(), ErrorKind::TimedOut);
    /// assert_eq!(reply.output.len(), 512);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn wait_timeout(mut self, timeout: Duration) -> RawReply<K> {
        if let State::Pending(pending, _) = &self.0
            && pending.deadlock().is_none()
            && let Some(deadline) = Instant::now().checked_add(timeout)
        {
            let port = pending.port();
            if let Some(reply) = port.drive(Some(deadline), Whose::NOBODY, |cx| self.poll_reply(cx)) {
                return reply;
            }
            if let State::Pending(pending, _) = &self.0 {
                pending.overdue();
            }
        }
        self.wait()
    }

    /// Waits on this thread until the driver completes the call. On the thread that dispatches the port the reply is
    /// [`ErrorKind::Deadlock`], with empty buffers: the driver still has the real ones.
    #[must_use]
    pub fn wait(mut self) -> RawReply<K> {
        if let State::Pending(pending, _) = &self.0
            && let Some(deadlock) = pending.deadlock()
        {
            return RawReply::without_buffers(deadlock);
        }
        let State::Pending(pending, _) = &self.0 else { return self.take() };
        let port = pending.port();
        port.drive(None, Whose::NOBODY, |cx| self.poll_reply(cx)).expect("there is no deadline")
    }

    fn poll_reply(&mut self, cx: &Context<'_>) -> Poll<RawReply<K>> {
        // In the child of a fork the buffers are its parent's, and so may be who holds a lock.
        if let State::Pending(pending, _) = &self.0
            && let Some(error) = pending.inherited()
        {
            return Poll::Ready(RawReply::without_buffers(error));
        }
        if let State::Pending(pending, _) = &mut self.0 {
            if pending.progress(cx) != Progress::Complete {
                return Poll::Pending;
            }
            if pending.is_preceded() {
                // For no longer than the dispatcher needs to handle what is there: look again.
                std::thread::yield_now();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(self.take())
    }

    /// The reply of a call that is not pending any more.
    fn take(&mut self) -> RawReply<K> {
        match std::mem::replace(&mut self.0, State::Taken) {
            State::Ready(reply) => reply,
            State::Pending(pending, _) => pending.take_raw(),
            State::Taken => {
                let error = Error::new(ErrorKind::InvalidInput, Operation::Poll).hint("the reply was taken before");
                RawReply::without_buffers(error)
            }
        }
    }
}

impl<K: Send + 'static> Future for RawCall<K> {
    type Output = RawReply<K>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<RawReply<K>> {
        self.get_mut().poll_reply(cx)
    }
}

/// Takes the reply of a finished operation and releases it.
///
/// # Safety
/// The operation is finished, was prepared with buffers, belongs to the caller, and has this slot.
pub(crate) unsafe fn reply<K: Send + 'static>(
    port: &Arc<port::Inner>,
    slot: &Slot,
    name: &Arc<str>,
    operation: InFlight,
    (status, information): (Status, usize),
) -> RawReply<K> {
    // SAFETY: the caller's promise.
    let lent = unsafe { slot.take_lent() };
    let (what, is_overdue) = (slot.operation(), status == Status::CANCELLED && slot.machine.is_overdue());
    let failed = status.is_error().then(|| device::failure(slot, operation, what, status, name));
    port.release_slot(slot, operation);
    let (input, output, kept) = lent
        .map_or_else(|| (Buffer::empty(), Buffer::empty(), None), |lent| (lent.input, lent.output, Some(lent.kept)));
    let kept = kept.and_then(|kept: Box<dyn Any + Send>| kept.downcast().ok()).map(|kept| *kept);
    let end_of_file = status == Status::END_OF_FILE && matches!(what, Operation::Read { .. });
    let information = if end_of_file { 0 } else { information };
    let status = match status {
        status if end_of_file => Ok(status),
        _ if is_overdue => Err(Error::new(ErrorKind::TimedOut, what).on(name)),
        status => failed.map_or(Ok(status), Err),
    };
    RawReply { input, output, kept, information, status }
}

impl<K> fmt::Debug for RawCall<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.0 {
            State::Ready(_) => "ready",
            State::Pending(..) => "pending",
            State::Taken => "taken",
        };
        f.debug_struct("RawCall").field("state", &state).finish_non_exhaustive()
    }
}
