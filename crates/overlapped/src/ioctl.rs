//! Typed control codes and their replies: `unsafe` once, where the code is declared; every call is safe.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::port::{self, InFlight};
use crate::slab::{ALIGN, Slot};

use crate::{CtlCode, Method, Status};

/// A control code together with what it reads and writes.
///
/// `In` is the input record (`()` for none; may be unsized, like `[u8]`), `Out` the output: one record (`()` for none)
/// or a slice of records with a stated capacity.
///
/// ```
/// use overlapped::{Access, CtlCode, Ioctl, Method};
/// use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
///
/// #[derive(IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Select {
///     first_line: u32,
/// }
///
/// #[derive(FromBytes, Immutable, KnownLayout)]
/// #[repr(C)]
/// struct Level {
///     line: u32,
///     level: u32,
/// }
///
/// // SAFETY: by the card's manual, this code reads one `Select`, and writes any number of `Level`s.
/// const READ_LEVELS: Ioctl<Select, [Level]> =
///     unsafe { Ioctl::slice(CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read), 16) };
/// ```
///
/// METHOD_IN_DIRECT is refused, since there the driver *reads* the output buffer; in a constant, when compiling:
///
/// ```compile_fail
/// use overlapped::{Access, CtlCode, Ioctl, Method};
/// const SEND: Ioctl<(), ()> =
///     unsafe { Ioctl::new(CtlCode::new(0x8000, 0x801, Method::InDirect, Access::Read)) };
/// ```
pub struct Ioctl<In: ?Sized, Out: ?Sized> {
    code: CtlCode,
    capacity: usize,
    types: PhantomData<fn(&In) -> Box<Out>>,
}

impl<In: ?Sized, Out: Output> Ioctl<In, Out> {
    /// Declares that `code` reads an `In` and writes at most one `Out`.
    ///
    /// # Safety
    /// The driver reads no more than the bytes of `In`, and writes no more than the bytes of `Out`, through the buffers
    /// it is given; unless it fails the request it completes it with a byte count that is no larger than `Out`, since
    /// with METHOD_BUFFERED the system copies so many bytes; neither buffer holds an address that the driver follows
    /// (METHOD_NEITHER is fine without such); and the driver is done with the buffers when it completes the request. The
    /// guide says what each of these means, and what breaks it: [the safety contract](crate::guide::safety).
    ///
    /// # Panics
    /// When the method is METHOD_IN_DIRECT. In a `const` that is a compile-time error; for a code that is known only at
    /// run time look at [`CtlCode::method`] first.
    #[must_use]
    pub const unsafe fn new(code: CtlCode) -> Self {
        Self::checked(code, 1)
    }
}

impl<In: ?Sized, T> Ioctl<In, [T]>
where
    [T]: Output,
{
    /// Declares that `code` reads an `In` and writes up to `capacity` records.
    ///
    /// # Safety
    /// As for [`Ioctl::new`].
    ///
    /// # Panics
    /// As [`Ioctl::new`]; and when `T` has no size.
    #[must_use]
    pub const unsafe fn slice(code: CtlCode, capacity: usize) -> Self {
        assert!(size_of::<T>() > 0, "a slice of records without a size has no length");
        Self::checked(code, capacity)
    }

    /// The same code with room for another number of records.
    ///
    /// ```
    /// # use overlapped::{Device, Error, Ioctl};
    /// # fn example(card: &Device, log: Ioctl<(), [u32]>) -> Result<(), Error> {
    /// let reply = card.call(log.with_capacity(1024), &()).wait()?;
    /// assert!(reply.len() <= 1024);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub const fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }
}

impl<In: ?Sized, Out: Output + ?Sized> Ioctl<In, Out> {
    const fn checked(code: CtlCode, capacity: usize) -> Self {
        assert!(
            !matches!(code.method(), Method::InDirect),
            "METHOD_IN_DIRECT: the driver reads the output buffer, which a typed call does not fill"
        );
        assert!(Out::ALIGN <= ALIGN, "a record is aligned to at most 16 bytes");
        Self { code, capacity, types: PhantomData }
    }

    /// The control code.
    ///
    /// ```
    /// # use overlapped::{Access, CtlCode, Ioctl, Method};
    /// const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// // SAFETY: it is never called.
    /// const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// assert_eq!(WAIT_CHANGE.code(), CODE);
    /// ```
    #[must_use]
    pub const fn code(self) -> CtlCode {
        self.code
    }

    /// The output's length in bytes, if it can be submitted at all.
    pub(crate) fn output_len(self) -> Option<u32> {
        u32::try_from(self.capacity.checked_mul(Out::SIZE)?).ok()
    }
}

impl<In: ?Sized, Out: ?Sized> Clone for Ioctl<In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<In: ?Sized, Out: ?Sized> Copy for Ioctl<In, Out> {}

impl<In: ?Sized, Out: ?Sized> fmt::Debug for Ioctl<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ioctl").field("code", &self.code).field("capacity", &self.capacity).finish()
    }
}

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
/// `Sync` and `'static`, as all plain records are. So a generic function needs no bound but `Output`: calls, streams and
/// replies may go to other threads.
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

pub(crate) mod sealed {
    use super::*;

    /// How a finished operation's bytes become a reply. Releases the operation, or keeps it in what it returns.
    pub trait Take: 'static {
        type Held: Deref<Target = Self> + Send + Sync;
        const SIZE: usize;
        const ALIGN: usize;
        /// `Err`: the bytes, which are no whole records.
        fn take(done: Done<'_>) -> Result<Self::Held, Box<[u8]>>;
        /// The bytes, which begin at a 16-byte boundary, as they lie there; `None` when they are no whole records.
        fn view(bytes: &[u8]) -> Option<&Self>;
    }

    /// A successful operation that belongs to the caller, and its slot.
    #[derive(Debug)]
    pub struct Done<'a> {
        pub(crate) port: &'a Arc<port::Inner>,
        pub(crate) slot: &'a Slot,
        pub(crate) operation: InFlight,
        pub(crate) information: usize,
    }

    impl<T: FromBytes + Immutable + KnownLayout + Send + Sync + 'static> Take for T {
        type Held = One<T>;
        const SIZE: usize = size_of::<T>();
        const ALIGN: usize = align_of::<T>();

        fn take(done: Done<'_>) -> Result<One<T>, Box<[u8]>> {
            // SAFETY: the operation is finished and ours, and is released below, after the last use of the bytes.
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
        type Held = Many<T>;
        const SIZE: usize = size_of::<T>();
        const ALIGN: usize = align_of::<T>();

        fn take(done: Done<'_>) -> Result<Many<T>, Box<[u8]>> {
            let many = Many {
                port: done.port.clone(),
                operation: done.operation,
                information: done.information,
                record: PhantomData,
            };
            // Ragged: dropping `many` releases the operation.
            if Self::view(many.bytes()).is_none() { Err(many.bytes().into()) } else { Ok(many) }
        }

        fn view(bytes: &[u8]) -> Option<&[T]> {
            // No bytes lie nowhere, also not at a 16-byte boundary, and are no records.
            if bytes.is_empty() { Some(&[]) } else { <[T]>::ref_from_bytes(bytes).ok() }
        }
    }

    /// One record, copied out.
    #[derive(Debug)]
    pub struct One<T>(pub(crate) T);

    impl<T> Deref for One<T> {
        type Target = T;
        fn deref(&self) -> &T {
            &self.0
        }
    }

    /// Records that stay in the slot, which this keeps from the pool.
    #[derive(Debug)]
    pub struct Many<T> {
        port: Arc<port::Inner>,
        operation: InFlight,
        information: usize,
        record: PhantomData<T>,
    }

    impl<T> Many<T> {
        fn bytes(&self) -> &[u8] {
            // SAFETY: the operation is finished and belongs to `self`, which releases it only when dropped.
            unsafe { self.port.slot(self.operation).output(self.information) }
        }
    }

    impl<T> Deref for Many<T>
    where
        [T]: Take,
    {
        type Target = [T];
        fn deref(&self) -> &[T] {
            // Whole records (checked by `take`) at a 16-byte boundary (checked by `Ioctl`): this cannot fail.
            <[T] as Take>::view(self.bytes()).unwrap_or_default()
        }
    }

    impl<T> Drop for Many<T> {
        fn drop(&mut self) {
            self.port.release(self.operation);
        }
    }
}

/// What the driver answered: it derefs to the record, or to the slice of records the driver wrote.
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
    held: Out::Held,
    status: Status,
    information: usize,
}

impl<Out: Output + ?Sized> Reply<Out> {
    pub(crate) fn new(held: Out::Held, status: Status, information: usize) -> Self {
        Self { held, status, information }
    }

    /// Whether the driver had more than the output could hold (STATUS_BUFFER_OVERFLOW). What is here is valid.
    #[must_use]
    pub fn more_data(&self) -> bool {
        self.status == Status::BUFFER_OVERFLOW
    }

    /// The status the driver gave: a success, an informational one, or a warning.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The byte count *as the driver gave it*. A driver may claim more than the output holds; the records do not.
    #[must_use]
    pub fn information(&self) -> usize {
        self.information
    }
}

impl<Out: Output<Held = sealed::One<Out>>> Reply<Out> {
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
