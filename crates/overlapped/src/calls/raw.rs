//! A call with the caller's own buffers, which always come back.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::finish;
use super::pending::Pending;
use crate::device;
use crate::operation::slab::{Lent, What};
use crate::operation::slot::Progress;
use crate::port::{Slot, Whose};
use crate::words::token::InFlight;
use crate::{Buffer, CtlCode, Device, Error, ErrorKind, Operation, Status};

/// A call with buffers that the caller owns; made by [`Device::call_raw`](crate::Device::call_raw),
/// [`read_into`](crate::Device::read_into), [`write_from`](crate::Device::write_from) and similar functions.
///
/// `K` is the type of the value given to [`call_raw_keeping`](crate::Device::call_raw_keeping): the value lives until
/// the driver is done.
///
/// `.await` it or [`wait`](Self::wait). Dropping it cancels it; the buffers are freed when the driver is done with
/// them. The buffers never come back before the driver lets go of them, not even after a [`timeout`](Self::timeout). To
/// give up on a driver that does not let go, drop the call.
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
    /// The slot holds the kept value.
    Pending(Pending, PhantomData<fn() -> K>),
    Pop,
}

// The value `K` does not have to be pinned: it is only passed on.
impl<K> Unpin for RawCall<K> {}

/// The outcome of a [`RawCall`], even of a failed one: status, byte count and both buffers.
///
/// ```
/// fn bytes(reply: &overlapped::RawReply) -> &[u8] {
///     &reply.output[..reply.len()]
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct RawReply<K = ()> {
    /// The input, unchanged: for a write, the bytes to write. With METHOD_IN_DIRECT it is the driver's command, and the
    /// output carries the data.
    pub input: Buffer,
    /// The output. The bytes that the driver wrote, or that were read, are at its beginning.
    pub output: Buffer,
    /// The value that was given to be kept. `None` only while the driver still has it: in the reply of a
    /// [`wait`](RawCall::wait) that failed with [`ErrorKind::Deadlock`].
    pub kept: Option<K>,
    /// The byte count *as the driver gave it*.
    pub information: usize,
    status: Result<Status, Error>,
}

impl<K> RawReply<K> {
    pub(crate) fn refused(error: Error, input: Buffer, output: Buffer, kept: Option<K>) -> Self {
        Self { input, output, kept, information: 0, status: Err(error) }
    }

    /// For a call whose buffers the driver still has.
    fn without_buffers(error: Error) -> Self {
        Self::refused(error, Buffer::empty(), Buffer::empty(), None)
    }

    /// The reply for a function that failed with its own error.
    #[cfg(windows)]
    pub(crate) fn failed(self, error: Error) -> Self {
        Self { status: Err(error), ..self }
    }

    /// The status, which is a success or a warning.
    ///
    /// # Errors
    /// The errors of a [`Call`](crate::Call).
    pub fn status(&self) -> Result<Status, Error> {
        self.status.clone()
    }

    /// How many bytes of the output are valid: the driver's count, but at most the output's length. 0 after an error,
    /// and for a write; a write's count is the [`information`](Self::information).
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

impl Device {
    /// Submits a control code with your own buffers, which the driver uses in place. Use it for large or sector-aligned
    /// transfers, and for METHOD_IN_DIRECT, where the output buffer carries data *to* the driver. Both buffers always
    /// come back, with the status and the byte count.
    ///
    /// ```
    /// # use overlapped::{sim, Access, Buffer, CtlCode, Device, Method, Status};
    /// const FLASH: CtlCode = CtlCode::new(0x8000, 0x806, Method::InDirect, Access::Write);
    /// # let card = Device::simulated(sim::from_fn(|request| request.complete(Status::SUCCESS)))?;
    /// let mut image = Buffer::aligned(64 * 1024, 4096)?;
    /// image[..4].copy_from_slice(b"boot");
    /// // SAFETY: card.h, "FLASH": reads the output buffer, no address in it, and nothing after it has completed.
    /// let flash = unsafe { card.call_raw(FLASH, Buffer::empty(), image) };
    /// let reply = flash.wait();
    /// let image = reply.output; // back again, whatever became of it
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// In the reply, with both buffers: the errors of [`call`](Self::call).
    ///
    /// # Safety
    /// Through what it gets, the driver reads and writes no more than the two buffers, and claims to have written no
    /// more (with METHOD_BUFFERED the system copies as many bytes as the driver claims). It follows no address in them,
    /// except one that is valid until it completes the request, and does not use it after that.
    pub unsafe fn call_raw(&self, code: CtlCode, input: Buffer, output: Buffer) -> RawCall {
        // SAFETY: the caller's promise.
        unsafe { self.begin_raw(Operation::Control(code), input, output, ()) }
    }

    /// [`call_raw`](Self::call_raw) for a record with an address in it. `kept` owns the memory at that address, and
    /// lives until the driver has completed the request, even if the caller drops the call, times out, or loses its
    /// executor. It comes back in the reply, as [`RawReply::kept`](crate::RawReply::kept).
    ///
    /// `kept` itself is moved; memory that it owns (the bytes of a [`Buffer`], a `Box` or a `Vec`) stays at its
    /// address. If nobody takes it, its destructor runs with its panics caught, and never on the port's dispatcher.
    ///
    /// ```
    /// # use overlapped::{sim, Access, Buffer, CtlCode, Device, Method, Status};
    /// # let card = Device::simulated(sim::from_fn(|request| request.complete(Status::SUCCESS)))?;
    /// /// In the vendor's header: `struct { UINT64 data; ULONG length; ULONG reserved; }`.
    /// const SEND_SCATTERED: CtlCode = CtlCode::new(0x8000, 0x803, Method::Buffered, Access::Write);
    /// let data = Buffer::aligned(4096, 4096)?;
    /// let mut record = Buffer::aligned(16, 16)?;
    /// record[..8].copy_from_slice(&(data.as_ptr() as u64).to_ne_bytes());
    /// record[8..12].copy_from_slice(&4096_u32.to_ne_bytes());
    /// // SAFETY: card.h: reads the record and the data at its address, which is kept, and then is done with both.
    /// let sent = unsafe { card.call_raw_keeping(SEND_SCATTERED, record, Buffer::empty(), data) };
    /// let reply = sent.wait();
    /// reply.status()?;
    /// assert_eq!(reply.kept.map_or(0, |data| data.len()), 4096);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`call_raw`](Self::call_raw).
    ///
    /// # Safety
    /// As for [`call_raw`](Self::call_raw). An address in the buffers that the driver follows is valid until the driver
    /// completes the request, provided that `kept` lives as long; and meanwhile nobody else uses the memory that the
    /// driver reads or writes there.
    pub unsafe fn call_raw_keeping<K: Send + 'static>(
        &self,
        code: CtlCode,
        input: Buffer,
        output: Buffer,
        kept: K,
    ) -> RawCall<K> {
        // SAFETY: the caller's promise.
        unsafe { self.begin_raw(Operation::Control(code), input, output, kept) }
    }

    /// [`read`](Self::read) into your own buffer, at most its length: no copy, and any alignment. The buffer comes back
    /// as the reply's [`output`](crate::RawReply::output), even if the read fails.
    ///
    /// ```
    /// # use overlapped::{sim, Buffer, Device, Status};
    /// # struct Ticks;
    /// # impl sim::Driver for Ticks {
    /// #     fn control(&self, request: sim::Request) -> sim::Outcome {
    /// #         request.complete(Status::INVALID_DEVICE_REQUEST)
    /// #     }
    /// #     fn read(&self, mut request: sim::Request) -> sim::Outcome {
    /// #         request.write(b"tick");
    /// #         request.complete(Status::SUCCESS)
    /// #     }
    /// # }
    /// # let device = Device::simulated(Ticks)?;
    /// let mut buffer = Buffer::aligned(64 * 1024, 4096)?;
    /// for _ in 0..3 {
    ///     let reply = device.read_into(buffer).wait();
    ///     reply.status()?;
    ///     assert_eq!(&reply.output[..reply.len()], b"tick");
    ///     buffer = reply.output; // the same one, again
    /// }
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// In the reply, with the buffer: the errors of [`read`](Self::read).
    pub fn read_into(&self, buffer: Buffer) -> RawCall {
        // SAFETY: a read writes no more than its buffer's length.
        unsafe { self.begin_raw(Operation::Read { offset: None }, Buffer::empty(), buffer, ()) }
    }

    /// [`read_at`](Self::read_at) into your own buffer, at most its length.
    ///
    /// ```
    /// # use overlapped::{Buffer, Device, Error};
    /// # fn example(disk: &Device) -> Result<(), Error> {
    /// let reply = disk.read_into_at(7 * 4096, Buffer::aligned(4096, 4096)?).wait();
    /// reply.status()?;
    /// println!("{:02x?}", &reply.output[..reply.len()]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// In the reply, with the buffer: the errors of [`read_at`](Self::read_at).
    pub fn read_into_at(&self, offset: u64, buffer: Buffer) -> RawCall {
        // SAFETY: a read writes no more than its buffer's length.
        unsafe { self.begin_raw(Operation::Read { offset: Some(offset) }, Buffer::empty(), buffer, ()) }
    }

    /// [`write`](Self::write) of your whole buffer, without a copy. It comes back as the reply's
    /// [`input`](crate::RawReply::input); the reply's [`information`](crate::RawReply::information) says how many bytes
    /// were written.
    ///
    /// ```
    /// # use overlapped::{sim, Buffer, Device, Status};
    /// # struct Sink;
    /// # impl sim::Driver for Sink {
    /// #     fn control(&self, request: sim::Request) -> sim::Outcome {
    /// #         request.complete(Status::INVALID_DEVICE_REQUEST)
    /// #     }
    /// #     fn write(&self, mut request: sim::Request) -> sim::Outcome {
    /// #         let count = request.input().len();
    /// #         request.set_information(count);
    /// #         request.complete(Status::SUCCESS)
    /// #     }
    /// # }
    /// # let device = Device::simulated(Sink)?;
    /// let reply = device.write_from(Buffer::from(b"hello".as_slice())).wait();
    /// reply.status()?;
    /// assert_eq!((reply.information, &*reply.input), (5, b"hello".as_slice()));
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// In the reply, with the buffer: the errors of [`write`](Self::write).
    pub fn write_from(&self, buffer: Buffer) -> RawCall {
        // SAFETY: a write reads no more than its buffer's length.
        unsafe { self.begin_raw(Operation::Write { offset: None }, buffer, Buffer::empty(), ()) }
    }

    /// [`write_at`](Self::write_at) of your whole buffer, without a copy.
    ///
    /// ```
    /// # use overlapped::{Buffer, Device, Error};
    /// # fn example(disk: &Device) -> Result<(), Error> {
    /// let mut sector = Buffer::aligned(4096, 4096)?;
    /// sector[..4].copy_from_slice(b"boot");
    /// let reply = disk.write_from_at(7 * 4096, sector).wait();
    /// reply.status()?;
    /// assert_eq!(reply.information, 4096);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// In the reply, with the buffer: the errors of [`write_at`](Self::write_at).
    pub fn write_from_at(&self, offset: u64, buffer: Buffer) -> RawCall {
        // SAFETY: a write reads no more than its buffer's length.
        unsafe { self.begin_raw(Operation::Write { offset: Some(offset) }, buffer, Buffer::empty(), ()) }
    }

    /// Submits an operation with the caller's buffers.
    ///
    /// # Safety
    /// As for [`call_raw_keeping`](Self::call_raw_keeping).
    unsafe fn begin_raw<K: Send + 'static>(
        &self,
        what: Operation,
        input: Buffer,
        output: Buffer,
        kept: K,
    ) -> RawCall<K> {
        let (inner, what) = (&self.inner, What::of(what));
        match inner.lend(what, input, output, kept) {
            Err(refused) => RawCall::ready(refused),
            Ok((index, slot)) => {
                let operation = inner.begin(index, slot, what, None).published(&inner.port);
                RawCall::pending(Pending::new(inner.clone(), operation))
            }
        }
    }
}

impl device::Inner {
    /// Takes a slot and gives it the caller's buffers. On failure it returns them with the reason.
    pub(super) fn lend<K: Send + 'static>(
        &self,
        what: What,
        input: Buffer,
        output: Buffer,
        kept: K,
    ) -> Result<(u32, &Slot), RawReply<K>> {
        let is_too_long = |buffer: &Buffer| u32::try_from(buffer.len()).is_err();
        let error = if let Err(error) = self.check(what) {
            error
        } else if is_too_long(&input) || is_too_long(&output) {
            self.error(ErrorKind::InvalidInput, what.operation())
                .hint("a buffer's length must fit in 32 bits; split the transfer")
        } else if let Some((index, slot)) = self.port.slab.take() {
            // SAFETY: this thread took the slot from the pool, and the operation has not begun.
            unsafe { slot.prepare_with(self.id, what, Lent { input, output, kept: Box::new(kept) }) };
            return Ok((index, slot));
        } else {
            self.error(ErrorKind::Other, what.operation()).hint("out of memory for another call: wait until others end")
        };
        Err(RawReply::refused(error, input, output, Some(kept)))
    }
}

impl<K: Send + 'static> RawCall<K> {
    pub(crate) fn ready(reply: RawReply<K>) -> Self {
        Self(State::Ready(reply))
    }

    pub(crate) fn pending(pending: Pending) -> Self {
        Self(State::Pending(pending, PhantomData))
    }

    /// Asks the driver to cancel the call. The reply says how it ended: it may have succeeded all the same.
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

    /// Cancels the call if it is still pending after `timeout`. It then ends, with its buffers, as
    /// [`ErrorKind::TimedOut`], or with its result if that came first. A driver that ignores the cancellation keeps the
    /// buffers, and the call stays pending until the driver ends it.
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

    /// Waits on this thread until the driver completes the call. On the thread that dispatches the port it returns
    /// [`ErrorKind::Deadlock`] with empty buffers: the driver still has the real ones.
    #[must_use]
    pub fn wait(mut self) -> RawReply<K> {
        let State::Pending(pending, _) = &self.0 else { return self.take() };
        if let Some(deadlock) = pending.deadlock() {
            return RawReply::without_buffers(deadlock);
        }
        let port = pending.port();
        port.drive(None, Whose::NOBODY, |cx| self.poll_reply(cx)).expect("there is no deadline")
    }

    fn poll_reply(&mut self, cx: &Context<'_>) -> Poll<RawReply<K>> {
        if let State::Pending(pending, _) = &self.0 {
            // In the child of a fork the buffers belong to the parent, and a thread of the parent may hold a lock.
            if let Some(error) = pending.inherited() {
                return Poll::Ready(RawReply::without_buffers(error));
            }
            if pending.progress(cx) != Progress::Complete {
                return Poll::Pending;
            }
        }
        Poll::Ready(self.take())
    }

    /// The reply of a call that is no longer pending.
    fn take(&mut self) -> RawReply<K> {
        match std::mem::replace(&mut self.0, State::Pop) {
            State::Ready(reply) => reply,
            State::Pending(pending, _) => pending.take_raw(),
            State::Pop => RawReply::without_buffers(Error::taken_before()),
        }
    }
}

impl<K: Send + 'static> Future for RawCall<K> {
    type Output = RawReply<K>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<RawReply<K>> {
        self.get_mut().poll_reply(cx)
    }
}

impl Pending {
    /// The reply and the buffers, once the result is published.
    fn take_raw<K: Send + 'static>(self) -> RawReply<K> {
        // A read may get bytes that came back earlier instead of its own.
        self.device.settle(self.slot(), self.operation);
        // SAFETY: the result is published, and this call owns the operation.
        let ended = unsafe { self.device.port.result(self.slot(), self.operation) };
        self.take_ended(ended)
    }

    /// The reply and the buffers, once the result is published or the submission has returned it.
    pub(crate) fn take_ended<K: Send + 'static>(mut self, (status, information): (Status, usize)) -> RawReply<K> {
        let operation = std::mem::replace(&mut self.operation, InFlight::NONE);
        let (port, name) = (&self.device.port, &self.device.name);
        let slot = port.slot(operation);
        // SAFETY: the operation is over, and this call owned it.
        let lent = unsafe { slot.take_lent() };
        let (what, is_overdue) = (slot.operation(), status == Status::CANCELLED && slot.machine.is_overdue());
        let failed = status.is_error().then(|| finish::failure(slot, operation, what, status, name));
        port.release_slot(slot, operation);
        let (input, output, kept) = lent.map_or_else(
            || (Buffer::empty(), Buffer::empty(), None),
            |lent| (lent.input, lent.output, Some(lent.kept)),
        );
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
}

impl<K> fmt::Debug for RawCall<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.0 {
            State::Ready(_) => "ready",
            State::Pending(..) => "pending",
            State::Pop => "taken",
        };
        f.debug_struct("RawCall").field("state", &state).finish_non_exhaustive()
    }
}
