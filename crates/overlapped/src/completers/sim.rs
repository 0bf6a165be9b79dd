//! Write a device in Rust: it completes requests at once, pends them, and completes them later, like a kernel driver.
//!
//! A [`Driver`] gets a [`Request`] for each call. It answers [`Request::complete`] at once, or [`Request::pend`]s it
//! and completes the [`Pended`] request later, from any thread. Completing only queues a packet and never runs the
//! caller's code, so a driver may complete while it holds its own locks. If the device needs no state of its own, use a
//! [`Script`]. The guide has a chapter on both: [test your driver client without the hardware](crate::guide::testing).
//!
//! ```
//! use overlapped::{sim, Access, CtlCode, Device, Ioctl, Method, Status};
//!
//! /// A doorbell: WAIT pends until somebody RINGs.
//! #[derive(Default)]
//! struct Bell(sim::Queue<()>);
//!
//! const RING: CtlCode = CtlCode::new(0x8000, 0x800, Method::Buffered, Access::Any);
//! const WAIT: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
//!
//! impl sim::Driver for Bell {
//!     fn control(&self, request: sim::Request) -> sim::Outcome {
//!         match request.code() {
//!             RING => {
//!                 while let Some((mut waiting, ())) = self.0.pop() {
//!                     waiting.write(b"ding");
//!                     waiting.complete(Status::SUCCESS);
//!                 }
//!                 request.complete(Status::SUCCESS)
//!             }
//!             WAIT => {
//!                 let (pended, outcome) = request.pend();
//!                 self.0.push(pended, ());
//!                 outcome
//!             }
//!             _ => request.complete(Status::INVALID_DEVICE_REQUEST),
//!         }
//!     }
//!     fn cancel(&self, request: sim::RequestId) {
//!         self.0.cancel(request);
//!     }
//! }
//!
//! // SAFETY: the driver above writes four bytes for WAIT and none for RING.
//! const WAIT_CALL: Ioctl<(), [u8; 4]> = unsafe { Ioctl::new(WAIT) };
//! // SAFETY: as above.
//! const RING_CALL: Ioctl<(), ()> = unsafe { Ioctl::new(RING) };
//!
//! let bell = Device::simulated(Bell::default())?;
//! let wait = bell.call(WAIT_CALL, &());
//! bell.call(RING_CALL, &()).wait()?;
//! assert_eq!(&*wait.wait()?, b"ding");
//! # Ok::<(), overlapped::Error>(())
//! ```

mod queue;
mod script;

pub use queue::Queue;
pub use script::{Script, SeenRequest};

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire},
};

use crate::operation::slab::{Memory, What};
use crate::port::{self, Slot};
use crate::system::foreign::{caught, dropped};
use crate::words::token::InFlight;
use crate::{CtlCode, Operation, Status};

/// A device's driver, written in Rust.
///
/// Its methods run on the thread that calls, like a kernel driver's dispatch routines, and may run on many threads at
/// once. Calls of a stream, cancellations by a timeout, and drops inside a waker come from the thread that dispatches
/// the port. The [module](self) has a whole driver.
///
/// ```
/// use overlapped::sim::{Driver, Outcome, Request};
/// use overlapped::{Device, Status};
/// struct Null;
/// impl Driver for Null {
///     fn control(&self, request: Request) -> Outcome {
///         request.complete(Status::SUCCESS)
///     }
/// }
/// let device = Device::simulated(Null)?;
/// # Ok::<(), overlapped::Error>(())
/// ```
pub trait Driver: Send + Sync + 'static {
    /// The device's name in errors.
    fn name(&self) -> String {
        "simulated device".to_owned()
    }

    /// A handle is being opened (IRP_MJ_CREATE).
    ///
    /// # Errors
    /// The status with which the opening fails.
    fn open(&self, file: FileId) -> Result<(), Status> {
        let _ = file;
        Ok(())
    }

    /// A control code (IRP_MJ_DEVICE_CONTROL). Complete the request or pend it. If it is dropped, or the driver panics,
    /// it completes with [`Status::DRIVER_INTERNAL_ERROR`].
    fn control(&self, request: Request) -> Outcome;

    /// A read (IRP_MJ_READ), answered like a control code. The default refuses it.
    fn read(&self, request: Request) -> Outcome {
        request.complete(Status::INVALID_DEVICE_REQUEST)
    }

    /// A write (IRP_MJ_WRITE): the bytes are the request's input. Say how many were taken with
    /// [`Request::set_information`]. The default refuses it.
    ///
    /// ```
    /// # use overlapped::{sim::{Driver, Outcome, Request}, Device, Operation, Status};
    /// /// Takes everything, and has nothing.
    /// struct Null;
    /// impl Driver for Null {
    ///     fn control(&self, request: Request) -> Outcome {
    ///         request.complete(Status::INVALID_DEVICE_REQUEST)
    ///     }
    ///     fn write(&self, mut request: Request) -> Outcome {
    ///         assert_eq!(request.operation(), Operation::Write { offset: None });
    ///         let count = request.input().len();
    ///         request.set_information(count);
    ///         request.complete(Status::SUCCESS)
    ///     }
    ///     fn read(&self, request: Request) -> Outcome {
    ///         request.complete(Status::END_OF_FILE)
    ///     }
    /// }
    /// let null = Device::simulated(Null)?;
    /// assert_eq!(null.write(b"hello").wait()?.information(), 5);
    /// assert!(null.read(64).wait()?.is_empty());
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[inline]
    fn write(&self, request: Request) -> Outcome {
        request.complete(Status::INVALID_DEVICE_REQUEST)
    }

    /// An `ioctl(2)` (Linux). It runs on the caller's thread, where it may block like a kernel driver's, and returns
    /// the value of the system call, at most `i32::MAX`. There may be more bytes than the driver's own record has:
    /// Linux does not tell a driver the length of an argument. The default refuses it.
    ///
    /// ```
    /// # use overlapped::{linux::{Argument, Direction, Ioctl}, sim::{Driver, FileId, Outcome, Request}};
    /// # use overlapped::{Device, Status};
    /// /// Gives the levels of its inputs by `_IOR('c', 1, unsigned int)`, little-endian.
    /// struct Card;
    /// impl Driver for Card {
    ///     fn control(&self, request: Request) -> Outcome {
    ///         request.complete(Status::INVALID_DEVICE_REQUEST)
    ///     }
    ///     fn ioctl(&self, _: FileId, request: u32, argument: Argument<'_>) -> Result<u32, Status> {
    ///         match (request, argument) {
    ///             (0x8004_6301, Argument::Bytes(levels)) => levels[..4].copy_from_slice(&5_u32.to_le_bytes()),
    ///             _ => return Err(Status::from_errno(25)), // ENOTTY
    ///         }
    ///         Ok(0)
    ///     }
    /// }
    /// # #[cfg(not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64", target_endian = "big")))]
    /// # {
    /// // SAFETY: the driver above writes four bytes.
    /// const LEVELS: Ioctl<u32> = unsafe { Ioctl::new(Direction::Read, b'c', 1) };
    /// assert_eq!(Device::simulated(Card)?.ioctl(LEVELS, 0)?, 5);
    /// # }
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// The status with which it fails; [`Status::from_errno`] makes one from an error number.
    #[cfg(target_os = "linux")]
    fn ioctl(&self, file: FileId, request: u32, argument: crate::words::linux::Argument<'_>) -> Result<u32, Status> {
        let _ = (file, request, argument);
        Err(Status::NOT_SUPPORTED)
    }

    /// A caller waits until the device is [readable](crate::Device::readable), or writable, or has priority data
    /// (Linux): complete the request when it is, or pend it. The default refuses it.
    ///
    /// ```
    /// # use overlapped::{sim::{Driver, Outcome, Request}, Device, Status};
    /// /// Always has something.
    /// struct Full;
    /// impl Driver for Full {
    ///     fn control(&self, request: Request) -> Outcome {
    ///         request.complete(Status::INVALID_DEVICE_REQUEST)
    ///     }
    ///     fn ready(&self, request: Request) -> Outcome {
    ///         request.complete(Status::SUCCESS)
    ///     }
    /// }
    /// # #[cfg(not(miri))]
    /// Device::simulated(Full)?.readable().wait()?;
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[cfg(target_os = "linux")]
    fn ready(&self, request: Request) -> Outcome {
        request.complete(Status::NOT_SUPPORTED)
    }

    /// A caller has cancelled a pended request. Complete it with [`Status::CANCELLED`], or with a result that came
    /// first, or leave it pending. The request may not be in your queue yet: check [`Pended::is_cancelled`] when you
    /// put it there ([`Queue`] does). The default does nothing, like a driver without cancel routines.
    fn cancel(&self, request: RequestId) {
        let _ = request;
    }

    /// The last handle is being closed (IRP_MJ_CLEANUP): complete every request of this file that is left.
    fn cleanup(&self, file: FileId) {
        let _ = file;
    }
}

impl<D: Driver + ?Sized> Driver for Arc<D> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn open(&self, file: FileId) -> Result<(), Status> {
        (**self).open(file)
    }

    fn control(&self, request: Request) -> Outcome {
        (**self).control(request)
    }

    fn read(&self, request: Request) -> Outcome {
        (**self).read(request)
    }

    #[inline]
    fn write(&self, request: Request) -> Outcome {
        (**self).write(request)
    }

    #[cfg(target_os = "linux")]
    fn ioctl(&self, file: FileId, request: u32, argument: crate::words::linux::Argument<'_>) -> Result<u32, Status> {
        (**self).ioctl(file, request, argument)
    }

    #[cfg(target_os = "linux")]
    fn ready(&self, request: Request) -> Outcome {
        (**self).ready(request)
    }

    fn cancel(&self, request: RequestId) {
        (**self).cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        (**self).cleanup(file);
    }
}

/// A driver made of one function, which gets the control requests and nothing else.
///
/// ```
/// use overlapped::{sim, Device, Status};
/// let null = Device::simulated(sim::from_fn(|request| request.complete(Status::SUCCESS)))?;
/// # Ok::<(), overlapped::Error>(())
/// ```
pub fn from_fn(control: impl Fn(Request) -> Outcome + Send + Sync + 'static) -> impl Driver {
    struct Function<F>(F);
    impl<F: Fn(Request) -> Outcome + Send + Sync + 'static> Driver for Function<F> {
        fn control(&self, request: Request) -> Outcome {
            (self.0)(request)
        }
    }
    Function(control)
}

/// Identifies one open handle of a driver. No number is used twice.
///
/// ```
/// # use overlapped::{sim, Status};
/// fn control(request: sim::Request) -> sim::Outcome {
///     let _reader: sim::FileId = request.file();
///     request.complete(Status::SUCCESS)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u64);

/// Identifies one request among those of all devices on its port.
///
/// ```
/// # use overlapped::sim;
/// fn is_it(pended: &sim::Pended, cancelled: sim::RequestId) -> bool {
///     pended.id() == cancelled
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(u64, InFlight);

/// An open file of a simulated device: the driver and its number for the handle.
pub(crate) struct File {
    /// `None` only while this is dropped.
    driver: Option<Arc<dyn Driver>>,
    id: FileId,
    is_closed: AtomicBool,
}

impl File {
    pub(crate) fn open(driver: Arc<dyn Driver>, id: u64) -> Result<Self, Status> {
        let id = FileId(id);
        driver.open(id)?;
        Ok(Self { driver: Some(driver), id, is_closed: AtomicBool::new(false) })
    }

    /// Runs the driver. `Some`: the driver ended the request at once.
    #[inline]
    pub(crate) fn submit(
        &self,
        port: &Arc<port::Inner>,
        operation: InFlight,
        slot: &Slot,
        what: What,
    ) -> Option<(Status, usize)> {
        let driver = self.driver.as_ref()?;
        // A panic drops the request, which completes it.
        let outcome = caught(|| {
            // The operation has begun; from here on the request is the kernel's side of it.
            let request = Request(Raw { port: port.clone(), operation });
            match what {
                what if what.is_read() => driver.read(request),
                what if what.is_write() => driver.write(request),
                #[cfg(target_os = "linux")]
                what if what.is_ready() => driver.ready(request),
                _ => driver.control(request),
            }
        })?;
        let mut raw = outcome.0?;
        if raw.operation != operation || !Arc::ptr_eq(&raw.port, port) {
            // The driver returned the outcome of another request. Dropping this outcome completes that other request
            // with a packet.
            return None;
        }
        raw.operation = InFlight::NONE;
        // SAFETY: the driver has ended the request, and nobody else touches its status.
        Some(unsafe { slot.status() })
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn ioctl(&self, request: u32, argument: crate::words::linux::Argument<'_>) -> Result<u32, Status> {
        let driver = self.driver.as_ref();
        let answer = driver.and_then(|driver| caught(|| driver.ioctl(self.id, request, argument)));
        answer.unwrap_or(Err(Status::DRIVER_INTERNAL_ERROR))
    }

    pub(crate) fn cancel(&self, port: &port::Inner, operation: InFlight) {
        // A panic of the driver ends here.
        if let Some(driver) = &self.driver {
            caught(|| driver.cancel(RequestId(port.id, operation)));
        }
    }

    /// The last handle is closed.
    pub(crate) fn close(&self) {
        if !self.is_closed.swap(true, AcqRel)
            && let Some(driver) = &self.driver
        {
            caught(|| driver.cleanup(self.id));
        }
    }
}

impl Drop for File {
    #[inline]
    fn drop(&mut self) {
        self.close();
        // This also drops the driver, if this was its last file.
        dropped(self.driver.take());
    }
}

/// The kernel's side of one operation. The operation is in flight as long as this exists. Dropping it always queues the
/// operation's packet. It is moved often, so it is small: the slot's status block holds the status (PENDING until there
/// is one) and the number of bytes written so far.
struct Raw {
    port: Arc<port::Inner>,
    /// [`InFlight::NONE`] when no packet is to be queued.
    operation: InFlight,
}

impl Raw {
    #[inline]
    fn slot(&self) -> &Slot {
        self.port.slot(self.operation)
    }

    #[inline]
    fn memory(&self) -> Memory {
        // SAFETY: this is the kernel's side of the operation in flight.
        unsafe { self.slot().memory() }
    }

    fn what(&self) -> Operation {
        self.slot().operation()
    }

    fn input(&self) -> &[u8] {
        // SAFETY: as in `memory`; nobody writes the input before the packet.
        unsafe { self.memory().input() }
    }

    #[inline]
    fn buffers(&mut self) -> (&[u8], &mut [u8]) {
        let memory = self.memory();
        // SAFETY: as in `memory`; before the packet only this value reaches the output.
        unsafe { (memory.input(), memory.output()) }
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) -> usize {
        let slot = self.slot();
        // SAFETY: this is the kernel's side of the operation in flight; before the packet only this value reaches the
        // output.
        unsafe {
            let (output, written) = (slot.memory().output(), slot.status().1);
            let room = output.get_mut(written..).unwrap_or_default();
            let count = bytes.len().min(room.len());
            room[..count].copy_from_slice(&bytes[..count]);
            // The count that a completion will report.
            slot.set_status(Status::PENDING, written + count);
            count
        }
    }

    /// Sets the count that a completion will report.
    #[inline]
    fn note(&mut self, information: usize) {
        // SAFETY: this is the kernel's side of the operation in flight.
        unsafe { self.slot().set_status(Status::PENDING, information) };
    }

    /// Sets the final status, with `information`, or with the number of bytes written so far.
    #[inline]
    fn end(&mut self, status: Status, information: Option<usize>) {
        let slot = self.slot();
        // SAFETY: this is the kernel's side of the operation in flight.
        unsafe {
            match (status, information) {
                // PENDING is no final status: the driver has a bug.
                (Status::PENDING, _) => slot.set_status(Status::DRIVER_INTERNAL_ERROR, 0),
                (_, Some(information)) => slot.set_status(status, information),
                (_, None) if status.is_error() => slot.set_status(status, 0),
                (_, None) => slot.set_status(status, slot.status().1),
            }
        }
    }
}

impl Drop for Raw {
    #[inline]
    fn drop(&mut self) {
        if self.operation == InFlight::NONE {
            return;
        }
        let slot = self.slot();
        // SAFETY: this is the kernel's side of the operation in flight.
        unsafe {
            let (mut status, _) = slot.status();
            if status == Status::PENDING {
                status = Status::DRIVER_INTERNAL_ERROR;
                slot.set_status(status, 0);
            }
            if status.is_error() {
                slot.set_nothing();
            }
        }
        self.port.queue().post(self.operation.token());
    }
}

/// How [`Driver::control`] left a request: ended or pended. Only the request itself makes one.
///
/// ```
/// use overlapped::sim::{Outcome, Request};
/// fn refuse(request: Request) -> Outcome {
///     request.complete(overlapped::Status::ACCESS_DENIED)
/// }
/// ```
#[must_use = "return it from `Driver::control`"]
pub struct Outcome(Option<Raw>);

/// A request that the driver has not answered yet.
///
/// ```
/// use overlapped::sim::{Outcome, Request};
/// fn echo(mut request: Request) -> Outcome {
///     if request.output_len() < request.input().len() {
///         return request.complete(overlapped::Status::BUFFER_TOO_SMALL);
///     }
///     let (input, output) = request.buffers();
///     output[..input.len()].copy_from_slice(input);
///     let count = input.len();
///     request.set_written(count);
///     request.complete(overlapped::Status::SUCCESS)
/// }
/// ```
#[must_use = "complete it or pend it"]
pub struct Request(Raw);

/// A request that the driver keeps.
///
/// ```
/// use overlapped::sim::{Outcome, Pended, Request};
/// fn later(request: Request, keep: &std::sync::Mutex<Vec<Pended>>) -> Outcome {
///     let (pended, outcome) = request.pend();
///     keep.lock().unwrap().push(pended);
///     outcome
/// }
/// ```
#[must_use = "keep it, and complete it later"]
pub struct Pended(Raw);

macro_rules! shared_by_requests {
    ($type:ident) => {
        impl $type {
            /// The control code; zero for a read or a write.
            #[must_use]
            pub fn code(&self) -> CtlCode {
                match self.0.what() {
                    Operation::Control(code) => code,
                    _ => CtlCode::from_u32(0),
                }
            }

            /// The operation: a control code, a read or a write, with its offset.
            #[must_use]
            pub fn operation(&self) -> Operation {
                self.0.what()
            }

            /// The open handle that it came from.
            #[must_use]
            pub fn file(&self) -> FileId {
                FileId(self.0.slot().device())
            }

            /// Identifies this request.
            #[must_use]
            pub fn id(&self) -> RequestId {
                RequestId(self.0.port.id, self.0.operation)
            }

            /// The bytes of the input.
            #[must_use]
            pub fn input(&self) -> &[u8] {
                self.0.input()
            }

            /// The output's length in bytes.
            #[must_use]
            pub fn output_len(&self) -> usize {
                self.0.memory().output_len as usize
            }

            /// Appends bytes to the output, as many as fit. Returns how many that were.
            #[inline]
            pub fn write(&mut self, bytes: &[u8]) -> usize {
                self.0.write(bytes)
            }

            /// Input and output in place. Report with [`set_written`](Self::set_written) how much you wrote.
            #[must_use]
            #[inline]
            pub fn buffers(&mut self) -> (&[u8], &mut [u8]) {
                self.0.buffers()
            }

            /// Sets how many output bytes are valid: a completion reports this.
            #[inline]
            pub fn set_written(&mut self, count: usize) {
                let most = self.0.memory().output_len as usize;
                self.0.note(count.min(most));
            }

            /// Sets the byte count that a completion reports, if it is not the number of bytes written: for a write,
            /// how many were taken. A later [`write`](Self::write) appends at this position.
            #[inline]
            pub fn set_information(&mut self, count: usize) {
                self.0.note(count);
            }

            /// Whether the caller has cancelled this request.
            ///
            /// ```
            /// # use overlapped::{sim::Pended, Status};
            /// fn put(waiting: &mut Vec<Pended>, pended: Pended) {
            ///     if pended.is_cancelled() {
            ///         pended.complete(Status::CANCELLED); // `Driver::cancel` will not come again
            ///     } else {
            ///         waiting.push(pended);
            ///     }
            /// }
            /// ```
            #[must_use]
            #[inline]
            pub fn is_cancelled(&self) -> bool {
                self.0.slot().cancelled.load(Acquire) == self.0.operation.generation()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type))
                    .field("operation", &self.0.what())
                    .field("id", &self.id())
                    .finish_non_exhaustive()
            }
        }
    };
}

shared_by_requests!(Request);
shared_by_requests!(Pended);

impl Request {
    /// Ends it at once. A success or a warning reports the bytes written so far.
    #[inline]
    pub fn complete(mut self, status: Status) -> Outcome {
        self.0.end(status, None);
        Outcome(Some(self.0))
    }

    /// Keeps it for later, like a driver that marks its IRP pending.
    #[inline]
    pub fn pend(self) -> (Pended, Outcome) {
        (Pended(self.0), Outcome(None))
    }

    /// A fault: ends it at once with any byte count.
    ///
    /// ```
    /// # use overlapped::{sim, Access, CtlCode, Device, Ioctl, Method, Status};
    /// let liar = Device::simulated(sim::from_fn(|request| request.lie(Status::SUCCESS, usize::MAX)))?;
    /// // SAFETY: the driver writes nothing, whatever it claims.
    /// const READ: Ioctl<(), [u8]> =
    ///     unsafe { Ioctl::slice(CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any), 16) };
    /// assert_eq!(liar.call(READ, &()).wait()?.len(), 16);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[inline]
    pub fn lie(mut self, status: Status, information: usize) -> Outcome {
        self.0.end(status, Some(information));
        Outcome(Some(self.0))
    }
}

impl Pended {
    /// Completes it. A success or a warning reports the bytes written so far.
    #[inline]
    pub fn complete(mut self, status: Status) {
        self.0.end(status, None);
    }

    /// A fault: completes it with any byte count.
    ///
    /// ```
    /// # use overlapped::{sim, Access, CtlCode, Device, Ioctl, Method, Port, Status};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
    /// # // SAFETY: the driver writes nothing.
    /// # const GO: Ioctl<(), ()> = unsafe { Ioctl::new(CODE) };
    /// let driver = sim::from_fn(|request| {
    ///     let (pended, outcome) = request.pend();
    ///     pended.lie(Status::SUCCESS, usize::MAX);
    ///     outcome
    /// });
    /// let port = Port::manual()?;
    /// let device = Device::simulated_on(&port, driver)?;
    /// let reply = port.block_on(device.call(GO, &()))??;
    /// assert_eq!(reply.information(), usize::MAX);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[inline]
    pub fn lie(mut self, status: Status, information: usize) {
        self.0.end(status, Some(information));
    }

    /// A fault: completes it twice.
    ///
    /// ```
    /// # use overlapped::{sim, Access, CtlCode, Device, Ioctl, Method, Port, Status};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
    /// # // SAFETY: the driver writes nothing.
    /// # const GO: Ioctl<(), ()> = unsafe { Ioctl::new(CODE) };
    /// let driver = sim::from_fn(|request| {
    ///     let (pended, outcome) = request.pend();
    ///     pended.complete_twice(Status::SUCCESS);
    ///     outcome
    /// });
    /// let port = Port::manual()?;
    /// let device = Device::simulated_on(&port, driver)?;
    /// port.block_on(device.call(GO, &()))??;
    /// while port.poll(Some(std::time::Duration::ZERO)) > 0 {}
    /// assert_eq!(port.stats().strays, 1); // the second one was counted, and did nothing
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn complete_twice(self, status: Status) {
        let second = (self.0.port.clone(), self.0.operation.token());
        self.complete(status);
        second.0.queue().post(second.1);
    }

    /// A fault: never completes it. Its memory is not used again until the port is gone.
    ///
    /// ```
    /// # use overlapped::{sim, Access, CtlCode, Device, Ioctl, Method, Port, Status};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
    /// # // SAFETY: the driver writes nothing.
    /// # const GO: Ioctl<(), ()> = unsafe { Ioctl::new(CODE) };
    /// let driver = sim::from_fn(|request| {
    ///     let (pended, outcome) = request.pend();
    ///     pended.never();
    ///     outcome
    /// });
    /// let port = Port::manual()?;
    /// let device = Device::simulated_on(&port, driver)?;
    /// let call = device.call(GO, &());
    /// assert!(call.wait_timeout(std::time::Duration::from_millis(5)).is_err());
    /// assert_eq!(port.pending().len(), 1); // and stays visible
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn never(mut self) {
        self.0.operation = InFlight::NONE;
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Outcome(ended)" } else { "Outcome(pended)" })
    }
}
