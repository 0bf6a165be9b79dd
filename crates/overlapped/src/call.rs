//! One operation in flight: await it, wait for it, or drop it.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::device;
use crate::port::{InFlight, Waiter};
use crate::{CtlCode, Error, ErrorKind, Output, Reply};

/// One call to a driver, submitted already.
///
/// `.await` it on any executor, or [`wait`](Self::wait) on this thread. Dropping it cancels it and returns at once; its
/// memory stays until the driver is done with it.
///
/// ```
/// # use overlapped::{sim, Access, CtlCode, Device, Ioctl, Method, Status};
/// # fn echo(mut request: sim::Request) -> sim::Outcome {
/// #     let input: Vec<u8> = request.input().to_vec();
/// #     request.write(&input);
/// #     request.complete(Status::SUCCESS)
/// # }
/// # let device = Device::simulated(sim::from_fn(echo))?;
/// // SAFETY: the simulated driver of this example echoes its input, and never writes more than it is given.
/// const ECHO: Ioctl<u32, u32> =
///     unsafe { Ioctl::new(CtlCode::new(0x8000, 0x800, Method::Buffered, Access::Any)) };
/// let call = device.call(ECHO, &7);
/// assert_eq!(*call.wait()?, 7);
/// # Ok::<(), overlapped::Error>(())
/// ```
#[must_use = "a call that is dropped is cancelled"]
pub struct Call<Out: Output + ?Sized> {
    state: State<Out>,
}

enum State<Out: Output + ?Sized> {
    Ready(Result<Reply<Out>, Error>),
    Pending(Pending),
    Taken,
}

/// A call the driver has. It keeps the handle open, as a device does.
struct Pending {
    device: Arc<device::Inner>,
    code: CtlCode,
    operation: InFlight,
    /// Whether a waker was left in the slot.
    registered: bool,
    /// Whether the reply took the slot over.
    taken: bool,
}

impl<Out: Output + ?Sized> Unpin for Call<Out> {}

impl<Out: Output + ?Sized> Call<Out> {
    pub(crate) fn ready(result: Result<Reply<Out>, Error>) -> Self {
        Self { state: State::Ready(result) }
    }

    pub(crate) fn pending(device: Arc<device::Inner>, code: CtlCode, operation: InFlight) -> Self {
        Self { state: State::Pending(Pending { device, code, operation, registered: false, taken: false }) }
    }

    /// Waits on this thread until the driver completes the call.
    ///
    /// # Errors
    /// What the driver says; [`ErrorKind::Truncated`] when it wrote no whole record; [`ErrorKind::Deadlock`], with the
    /// call cancelled, when this is the thread that would have to dispatch the completion.
    pub fn wait(mut self) -> Result<Reply<Out>, Error> {
        if let State::Pending(pending) = &self.state
            && pending.device.port.is_dispatched_here()
            && !pending.device.port.slot(pending.operation).machine.is_complete()
        {
            return Err(pending
                .device
                .error(ErrorKind::Deadlock, pending.code)
                .hint("this thread dispatches completions; await the call instead"));
        }
        block_on(|cx| self.poll_reply(cx))
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply<Out>, Error>> {
        if let State::Pending(pending) = &mut self.state
            && !pending.is_complete(cx)
        {
            return Poll::Pending;
        }
        Poll::Ready(match std::mem::replace(&mut self.state, State::Taken) {
            State::Ready(result) => result,
            State::Pending(pending) => pending.take(),
            State::Taken => Err(Error::new(ErrorKind::InvalidInput, crate::Operation::Poll)
                .hint("the call's result was taken before; do not poll a future again after it was ready")),
        })
    }
}

impl<Out: Output + ?Sized> Future for Call<Out> {
    type Output = Result<Reply<Out>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_reply(cx)
    }
}

impl Pending {
    fn is_complete(&mut self, cx: &Context<'_>) -> bool {
        let machine = &self.device.port.slot(self.operation).machine;
        machine.wait(|waiter| {
            self.registered = true;
            match waiter {
                Some(Waiter::Wake(waker)) => waker.clone_from(cx.waker()),
                _ => *waiter = Some(Waiter::Wake(cx.waker().clone())),
            }
        })
    }

    fn take<Out: Output + ?Sized>(mut self) -> Result<Reply<Out>, Error> {
        let slot = self.device.port.slot(self.operation);
        if self.registered {
            drop(slot.machine.take_waiter(self.operation.generation));
        }
        // SAFETY: the result is published and this call owns the operation.
        let (status, information) = unsafe { slot.status() };
        self.taken = true;
        self.device.finish(self.code, self.operation, status, information)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let slot = self.device.port.slot(self.operation);
        // First ask, while the slot is still this call's own: a later cancel would hit the slot's next call.
        if !slot.machine.is_complete() {
            self.device.cancel(self.operation);
        }
        if self.registered {
            drop(slot.machine.take_waiter(self.operation.generation));
        }
        if slot.machine.abandon(self.operation.generation) {
            self.device.port.release(self.operation);
        }
    }
}

impl<Out: Output + ?Sized> fmt::Debug for Call<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Call");
        match &self.state {
            State::Ready(_) => f.field("state", &"ready"),
            State::Pending(pending) => f.field("code", &pending.code).field("state", &"pending"),
            State::Taken => f.field("state", &"taken"),
        };
        f.finish_non_exhaustive()
    }
}

/// A waker that unparks its thread; each thread makes one, once.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static UNPARK: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// Polls until it is ready, parking this thread in between.
pub(crate) fn block_on<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    block_on_until(None, poll).expect("without a deadline it is ready when it returns")
}

/// [`block_on`], at most until the deadline. What is ready then is still taken.
pub(crate) fn block_on_until<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let waker = UNPARK
        .with_borrow_mut(|waker| waker.get_or_insert_with(|| Waker::from(Arc::new(Unpark(thread::current())))).clone());
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            return Some(value);
        }
        match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => thread::park_timeout(left),
        }
    }
}
