//! The inputs and outputs of calls, and how bytes become records. The crate `overlapped-codes` declares the codes
//! themselves, so that a driver can use them too.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use overlapped_codes::{MAX_ALIGN, Record};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Status;
use crate::port::{self, Slot};
use crate::words::buffer::ALIGN;
use crate::words::token::InFlight;

// `Ioctl` promises an alignment for its records; the buffers must keep that promise.
const _: () = assert!(ALIGN >= MAX_ALIGN);

/// What a control code can read: any plain record, or a slice of them.
///
/// ```
/// fn takes_input<T: overlapped::Input + ?Sized>(_: &T) {}
/// takes_input(&());
/// takes_input(&7_u32);
/// takes_input(b"text".as_slice());
/// ```
pub trait Input: IntoBytes + Immutable {}
impl<T: IntoBytes + Immutable + ?Sized> Input for T {}

/// What a control code can write: a plain record for which every bit pattern is a value, or a slice of them.
///
/// The trait is sealed; it holds for every `T` and `[T]` where `T: FromBytes + Immutable + KnownLayout`, and `Send`,
/// `Sync` and `'static`, as all plain records are. So a generic function needs no bound but `Output`: calls, streams
/// and replies may go to other threads.
///
/// ```
/// fn gives_output<T: overlapped::Output + ?Sized>() {}
/// gives_output::<()>();
/// gives_output::<u64>();
/// gives_output::<[u16]>();
///
/// use overlapped::{Device, Error, Ioctl, Output};
/// fn tell_elsewhere<T: Output + ?Sized>(device: &Device, ioctl: Ioctl<(), T>) {
///     device.call(ioctl, &()).then(|result| drop(std::thread::spawn(move || drop(result))));
/// }
/// ```
pub trait Output: sealed::Take {}
impl<T: sealed::Take + ?Sized> Output for T {}

#[expect(missing_debug_implementations, reason = "nobody outside has one to print")]
pub(crate) mod sealed {
    use super::*;

    /// Makes a reply from a finished operation's bytes. Releases the operation, or keeps it in the returned value.
    pub trait Take: Record + 'static {
        type Owned: Deref<Target = Self> + Send + Sync;
        /// `Err` holds the bytes when they are not whole records.
        fn take(done: Done<'_>) -> Result<Self::Owned, Box<[u8]>>;
        /// The bytes in place, which begin at a multiple of 16; `None` when they are not whole records.
        fn view(bytes: &[u8]) -> Option<&Self>;
    }

    /// A successful operation that belongs to the caller, with its slot.
    pub struct Done<'a> {
        pub(crate) port: &'a Arc<port::Inner>,
        pub(crate) slot: &'a Slot,
        pub(crate) operation: InFlight,
        pub(crate) information: usize,
    }

    impl<T: FromBytes + Immutable + KnownLayout + Send + Sync + 'static> Take for T {
        type Owned = One<T>;

        #[inline]
        fn take(done: Done<'_>) -> Result<One<T>, Box<[u8]>> {
            // SAFETY: the operation is finished and ours; it is released below, after the last use of the bytes.
            let bytes = unsafe { done.slot.output(done.information) };
            let record = T::read_from_prefix(bytes).map(|(record, _)| One(record)).map_err(|_| bytes.into());
            done.port.release_slot(done.slot, done.operation);
            record
        }

        fn view(bytes: &[u8]) -> Option<&T> {
            T::ref_from_prefix(bytes).ok().map(|(record, _)| record)
        }
    }

    impl<T: FromBytes + Immutable + KnownLayout + Send + Sync + 'static> Take for [T] {
        type Owned = Many<T>;

        fn take(done: Done<'_>) -> Result<Many<T>, Box<[u8]>> {
            let many = Many {
                port: done.port.clone(),
                operation: done.operation,
                information: done.information,
                record: PhantomData,
            };
            // Not whole records: dropping `many` releases the operation.
            if Self::view(many.bytes()).is_none() { Err(many.bytes().into()) } else { Ok(many) }
        }

        fn view(bytes: &[u8]) -> Option<&[T]> {
            // An empty slice may have any address, not only a multiple of 16. It holds no records.
            if bytes.is_empty() { Some(&[]) } else { <[T]>::ref_from_bytes(bytes).ok() }
        }
    }

    /// One record, copied out.
    pub struct One<T>(pub(crate) T);

    impl<T> Deref for One<T> {
        type Target = T;
        fn deref(&self) -> &T {
            &self.0
        }
    }

    /// Records that stay in the slot. This keeps the slot out of the pool.
    pub struct Many<T> {
        port: Arc<port::Inner>,
        operation: InFlight,
        information: usize,
        record: PhantomData<T>,
    }

    impl<T> Many<T> {
        fn bytes(&self) -> &[u8] {
            // SAFETY: the operation is finished and belongs to `self`, which releases it only in its drop.
            unsafe { self.port.slot(self.operation).output(self.information) }
        }

        /// The position of these bytes among the bytes of all reads.
        #[cfg(feature = "futures-io")]
        pub(crate) fn place(&self) -> crate::operation::unread::Place {
            self.port.slot(self.operation).place()
        }
    }

    impl<T> Deref for Many<T>
    where
        [T]: Take,
    {
        type Target = [T];
        fn deref(&self) -> &[T] {
            // This cannot fail: `take` checked that the records are whole, and `Ioctl` their alignment.
            <[T] as Take>::view(self.bytes()).unwrap_or_default()
        }
    }

    impl<T> Drop for Many<T> {
        fn drop(&mut self) {
            self.port.release(self.operation);
        }
    }
}

/// The driver's answer. It derefs to the record, or to the slice of records, that the driver wrote.
///
/// ```
/// # use overlapped::{sim, Access, CtlCode, Device, Ioctl, Method, Status};
/// # struct Seven;
/// # impl sim::Driver for Seven {
/// #     fn control(&self, mut request: sim::Request) -> sim::Outcome {
/// #         request.write(&7_u32.to_ne_bytes());
/// #         request.complete(Status::SUCCESS)
/// #     }
/// # }
/// // SAFETY: the simulated driver of this example writes one `u32`.
/// const READ: Ioctl<(), u32> =
///     unsafe { Ioctl::new(CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any)) };
/// let device = Device::simulated(Seven)?;
/// let reply = device.call(READ, &()).wait()?;
/// assert_eq!(*reply, 7);
/// assert!(!reply.more_data());
/// assert_eq!((reply.status(), reply.information()), (Status::SUCCESS, 4));
/// let seven: u32 = reply.into_inner();
/// # Ok::<(), overlapped::Error>(())
/// ```
pub struct Reply<Out: Output + ?Sized> {
    held: Out::Owned,
    status: Status,
    information: usize,
}

impl<Out: Output + ?Sized> Reply<Out> {
    #[inline]
    pub(crate) fn new(held: Out::Owned, status: Status, information: usize) -> Self {
        Self { held, status, information }
    }

    /// For a read of a stream: gives the bytes from `from` on to the next read.
    #[cfg(feature = "futures-io")]
    pub(crate) fn give_back(self, device: &Arc<crate::device::Inner>, from: usize)
    where
        Out: Output<Owned = sealed::Many<u8>>,
    {
        // The caller has the device, so it is open.
        if let Some(device) = device.enter() {
            device.unread.give_back(self.held.place().after(from), &self.held[from..]);
            device.offer_unread();
        }
    }

    /// Whether the driver had more than fits in the output (STATUS_BUFFER_OVERFLOW). The bytes that are here are valid.
    #[must_use]
    pub fn more_data(&self) -> bool {
        self.status == Status::BUFFER_OVERFLOW
    }

    /// For a read: whether it reached the end (STATUS_END_OF_FILE). An empty read alone is not the end: a message may
    /// be empty, and a driver may complete a read without bytes. On Linux, a read without bytes gets this status too
    /// where that means the end.
    ///
    /// ```
    /// # use overlapped::{sim, Device, Status};
    /// # struct Empty;
    /// # impl sim::Driver for Empty {
    /// #     fn control(&self, request: sim::Request) -> sim::Outcome { request.complete(Status::SUCCESS) }
    /// #     fn read(&self, request: sim::Request) -> sim::Outcome { request.complete(Status::END_OF_FILE) }
    /// # }
    /// let pipe = Device::simulated(Empty)?;
    /// let reply = pipe.read(64).wait()?;
    /// assert!(reply.is_end() && reply.is_empty());
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.status == Status::END_OF_FILE
    }

    /// The driver's status: a success, an informational status, or a warning; for a read also [`Status::END_OF_FILE`].
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The byte count *as the driver gave it*. A driver may claim more than fits in the output; the records never go
    /// beyond it.
    #[must_use]
    pub fn information(&self) -> usize {
        self.information
    }
}

impl<Out: Output<Owned = sealed::One<Out>>> Reply<Out> {
    /// The record itself.
    #[must_use]
    pub fn into_inner(self) -> Out {
        self.held.0
    }
}

impl<Out: Output + ?Sized> Deref for Reply<Out> {
    type Target = Out;
    fn deref(&self) -> &Out {
        &self.held
    }
}

impl<Out: Output + fmt::Debug + ?Sized> fmt::Debug for Reply<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("data", &&**self)
            .field("status", &self.status)
            .field("information", &self.information)
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::sealed::Take;

    #[test]
    fn an_answer_without_bytes_is_no_records() {
        assert_eq!(<[u64]>::view(&[]), Some(&[][..]));
        assert_eq!(<[u64]>::view(&[0; 7]), None);
        assert_eq!(u64::view(&[]), None);
    }
}
