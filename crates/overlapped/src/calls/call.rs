//! A typed call: await it, wait for it, give it a callback, or drop it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::pending::Pending;
use crate::device::{self, Handle};
use crate::operation::slot::Progress;
use crate::port::{self, Whose};
use crate::words::token::InFlight;
use crate::{Error, Output, Port, Reply};

/// One call to a driver. It is submitted already.
///
/// `.await` it on any executor, [`wait`](Self::wait) on this thread, or give it a callback with [`then`](Self::then).
/// Dropping it cancels it and returns at once; its memory stays until the driver is done with it.
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
///
/// # In `select!`
/// A call that loses a race is dropped, which cancels it; but its result may have come already. The bytes of a
/// stream's read then go to the device's next read, or standing read, in order: nothing is lost. The answer of a
/// control code or an ioctl can go nowhere else: it is dropped, and counted in
/// [`PortStats::lost_results`](crate::PortStats::lost_results). To lose none of these answers, keep the call and poll
/// it again:
///
/// ```
/// # use overlapped::{sim::Script, Access, CtlCode, Device, Error, Ioctl, Method, Port, Status};
/// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
/// # // SAFETY: a scripted device writes no more than it is given room for.
/// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
/// # let script = Script::new("card").pend(CODE);
/// # let card = Device::simulated(script.clone())?;
/// # async fn tick() {}
/// # async fn example(card: &Device, script: &Script) -> Result<(), Error> {
/// let mut change = card.call(WAIT_CHANGE, &());
/// let levels = loop {
///     // `&mut`: the call is not dropped when it loses.
///     match futures::future::select(&mut change, Box::pin(tick())).await {
///         futures::future::Either::Left((levels, _)) => break *levels?,
///         futures::future::Either::Right(_) => println!("still nothing"),
///     }
/// #   script.complete(CODE, Status::SUCCESS, 5_u32.to_ne_bytes());
/// };
/// assert_eq!(levels, 5);
/// # Ok(()) }
/// # Port::global()?.block_on(example(&card, &script))??;
/// # Ok::<(), Error>(())
/// ```
#[must_use = "a call that is dropped is cancelled"]
pub struct Call<Out: Output + ?Sized> {
    /// `None` when the result was taken. It has two words, which the processor keeps in registers when a call is moved.
    /// A larger value would be written to memory in pieces and read back as one, which makes the processor wait.
    pending: Option<Pending>,
    output: PhantomData<fn() -> Box<Out>>,
}

const _: () = assert!(size_of::<Option<Pending>>() <= 2 * size_of::<u64>());

impl<Out: Output + ?Sized> Unpin for Call<Out> {}

impl<Out: Output + ?Sized> Call<Out> {
    #[cold]
    pub(crate) fn refused(error: Error, device: Arc<device::Inner>) -> Self {
        Self::submitted(Arc::new(Handle::refusing(device, error)), InFlight::NONE)
    }

    #[inline]
    pub(crate) fn submitted(device: Arc<Handle>, operation: InFlight) -> Self {
        Self { pending: Some(Pending::new(device, operation)), output: PhantomData }
    }

    /// Waits on this thread until the driver completes the call. On a manual port it also handles the port's
    /// completions, unless another thread does; callbacks that become ready wait for the next
    /// [`poll`](crate::Port::poll).
    ///
    /// # Errors
    /// The driver's error; [`ErrorKind::Truncated`](crate::ErrorKind::Truncated) when the driver wrote less than a
    /// record; [`ErrorKind::Deadlock`](crate::ErrorKind::Deadlock), with the call cancelled, on the thread that would
    /// have to dispatch the completion.
    #[inline]
    pub fn wait(self) -> Result<Reply<Out>, Error> {
        match (self.pending.as_ref().and_then(Pending::plain_success), self) {
            (Some(information), Self { pending: Some(pending), .. }) => pending.take_plain(information),
            (_, call) => call.wait_for_it(),
        }
    }

    #[inline(never)]
    fn wait_for_it(mut self) -> Result<Reply<Out>, Error> {
        match self.where_to_wait() {
            None => self.take(),
            Some(port) => port?.drive(None, Whose::NOBODY, |cx| self.poll_reply(cx)).expect("there is no deadline"),
        }
    }

    /// Waits on this thread for at most `timeout`. After that it cancels the call and waits for its end. If the result
    /// comes before the cancellation, it is still returned.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, ErrorKind, Ioctl, Method};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let script = Script::new("card").pend(CODE);
    /// # let card = Device::simulated(script)?;
    /// let error = card.call(WAIT_CHANGE, &()).wait_timeout(Duration::from_millis(5)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`wait`](Self::wait); and [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut). A driver that ignores the
    /// cancellation keeps the call's memory, but this function waits no longer than
    /// [`Port::GRACE_PERIOD`](crate::Port::GRACE_PERIOD) for it.
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<Reply<Out>, Error> {
        let Some(port) = self.where_to_wait() else { return self.take() };
        // A thread that waits watches the time itself, without a timer.
        let Some(at) = Instant::now().checked_add(timeout) else { return self.wait() };
        let port = port?;
        if let Some(reply) = port.drive(Some(at), Whose::NOBODY, |cx| self.poll_reply(cx)) {
            return reply;
        }
        let Some(pending) = self.submission() else { return self.take() };
        pending.overdue();
        let grace = Instant::now() + Port::GRACE_PERIOD;
        // The error if the driver ignores the cancellation.
        let expired = pending.expired();
        port.drive(Some(grace), Whose::NOBODY, |cx| self.poll_reply(cx)).unwrap_or(Err(expired))
    }

    /// Cancels the call if it is still pending after `timeout`. It then ends with
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut), or with its result if that came first. If the driver
    /// ignores the cancellation, the call ends after [`Port::GRACE_PERIOD`](crate::Port::GRACE_PERIOD) all the same.
    /// The port's dispatcher watches the time; no runtime is needed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, ErrorKind, Ioctl, Method};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let script = Script::new("card").pend(CODE);
    /// # let card = Device::simulated(script)?;
    /// # async fn example(card: &Device) -> Result<(), overlapped::Error> {
    /// match card.call(WAIT_CHANGE, &()).timeout(Duration::from_millis(5)).await {
    ///     Ok(levels) => println!("{:#x}", *levels),
    ///     Err(error) if error.kind() == ErrorKind::TimedOut => println!("nothing has changed"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(()) }
    /// # overlapped::Port::global()?.block_on(example(&card))??;
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        if let Some(pending) = self.submission()
            && !pending.is_complete()
        {
            pending.timeout(timeout);
        }
        self
    }

    /// Asks the driver to cancel the call. Await the call or wait for it to learn how it ended: it may have succeeded
    /// all the same.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, ErrorKind, Ioctl, Method};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let script = Script::new("card").pend(CODE);
    /// # let card = Device::simulated(script)?;
    /// let change = card.call(WAIT_CHANGE, &());
    /// change.cancel();
    /// match change.wait() {
    ///     Ok(levels) => println!("it had happened: {:#x}", *levels),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled),
    /// }
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn cancel(&self) {
        if let Some(pending) = self.submission()
            && !pending.is_complete()
        {
            pending.cancel();
        }
    }

    /// Calls `callback` with the result, on the thread that dispatches the port: never before this function returns on
    /// that thread, and never on a driver's thread. A callback delays other completions, so keep it short. A panic in
    /// it is caught, and counted in [`PortStats::panics`](crate::PortStats::panics). In the child of a fork nobody
    /// dispatches the parent's port; there the callback runs at once, with an error.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, Ioctl, Method};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let script = Script::new("card").pend(CODE);
    /// # let card = Device::simulated(script.clone())?;
    /// # let (tell, told) = std::sync::mpsc::channel();
    /// card.call(WAIT_CHANGE, &()).then(move |change| match change {
    ///     Ok(levels) => tell.send(*levels).unwrap_or_default(),
    ///     Err(error) => eprintln!("{error}"),
    /// });
    /// # script.complete(CODE, overlapped::Status::SUCCESS, 5_u32.to_ne_bytes());
    /// # assert_eq!(told.recv(), Ok(5));
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// The callback gets the errors of [`wait`](Self::wait) and [`timeout`](Self::timeout).
    ///
    /// # Closing
    /// The call does not keep the device open. When the last device, waiting call and stream are dropped, the device
    /// closes, and this call usually ends as cancelled.
    pub fn then(self, callback: impl FnOnce(Result<Reply<Out>, Error>) + Send + 'static) {
        if let Some(pending) = self.pending {
            pending.then(callback);
        }
    }

    /// The call, if it was submitted and its result was not taken.
    #[inline]
    fn submission(&self) -> Option<&Pending> {
        self.pending.as_ref().filter(|pending| pending.operation != InFlight::NONE)
    }

    /// The port at which this thread must wait, or the error of waiting here. `None`: the call is over.
    fn where_to_wait(&self) -> Option<Result<Arc<port::Inner>, Error>> {
        let pending = self.submission().filter(|pending| pending.has_to_wait())?;
        Some(pending.deadlock().map_or_else(|| Ok(pending.port()), Err))
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply<Out>, Error>> {
        if let Some(pending) = self.submission() {
            if let Some(error) = pending.inherited() {
                return Poll::Ready(Err(error));
            }
            match pending.progress(cx) {
                Progress::Pending => return Poll::Pending,
                Progress::Complete => {}
                Progress::Expired => {
                    let expired = Err(pending.expired());
                    self.pending = None;
                    return Poll::Ready(expired);
                }
            }
        }
        Poll::Ready(self.take())
    }

    /// The result of a call that is no longer pending.
    fn take(&mut self) -> Result<Reply<Out>, Error> {
        let pending = self.pending.take().ok_or_else(Error::taken_before)?;
        match pending.denied() {
            Some(error) => Err(error),
            None => pending.take(),
        }
    }
}

impl<Out: Output + ?Sized> Future for Call<Out> {
    type Output = Result<Reply<Out>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_reply(cx)
    }
}

impl<Out: Output + ?Sized> fmt::Debug for Call<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Call");
        match (self.submission(), self.pending.as_ref().and_then(Pending::refusal)) {
            (Some(pending), _) => {
                let state = if pending.is_complete() { "ready" } else { "pending" };
                f.field("operation", &pending.what()).field("state", &state)
            }
            (None, Some(error)) => f.field("state", &"ready").field("error", &error),
            (None, None) => f.field("state", &"taken"),
        };
        f.finish_non_exhaustive()
    }
}
