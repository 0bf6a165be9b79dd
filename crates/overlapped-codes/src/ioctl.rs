//! A control code with its types. Only the declaration is `unsafe`; every call is safe.

use core::fmt;
use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::{CtlCode, Method};

/// The strictest alignment of a record in bytes: output buffers begin at a multiple of it.
pub const MAX_ALIGN: usize = 16;

/// The types that a control code can write: a plain record for which every bit pattern is valid, or a slice of such
/// records. It is implemented for every `T` and `[T]` where `T: FromBytes + Immutable + KnownLayout`, and `Send`,
/// `Sync` and `'static`, as all plain records are.
///
/// ```
/// use overlapped_codes::Record;
/// assert_eq!((<() as Record>::SIZE, u64::SIZE, <[u16]>::SIZE), (0, 8, 2));
/// assert_eq!((u64::ALIGN, <[u16]>::ALIGN), (align_of::<u64>(), 2));
/// ```
pub trait Record {
    /// The size of one record in bytes.
    const SIZE: usize;
    /// Its alignment in bytes.
    const ALIGN: usize;
}

impl<T: FromBytes + Immutable + KnownLayout + Send + Sync + 'static> Record for T {
    const SIZE: usize = size_of::<T>();
    const ALIGN: usize = align_of::<T>();
}

impl<T: FromBytes + Immutable + KnownLayout + Send + Sync + 'static> Record for [T] {
    const SIZE: usize = size_of::<T>();
    const ALIGN: usize = align_of::<T>();
}

/// A control code together with the types that it reads and writes.
///
/// `In` is the input record (`()` for none; may be unsized, like `[u8]`), `Out` the output: one record (`()` for none)
/// or a slice of records with a stated capacity.
///
/// ```
/// use overlapped_codes::{Access, CtlCode, Ioctl, Method};
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
/// METHOD_IN_DIRECT is refused, since there the driver *reads* the output buffer. A constant with it does not compile:
///
/// ```compile_fail
/// use overlapped_codes::{Access, CtlCode, Ioctl, Method};
/// const SEND: Ioctl<(), ()> =
///     unsafe { Ioctl::new(CtlCode::new(0x8000, 0x801, Method::InDirect, Access::Read)) };
/// ```
pub struct Ioctl<In: ?Sized, Out: ?Sized> {
    code: CtlCode,
    capacity: usize,
    types: PhantomData<fn(&In) -> *const Out>,
}

impl<In: ?Sized, Out: Record> Ioctl<In, Out> {
    /// Declares that `code` reads an `In` and writes at most one `Out`.
    ///
    /// # Safety
    /// The driver reads no more than the bytes of `In`, and writes no more than the bytes of `Out`, through the buffers
    /// that it gets. Unless it fails the request, it completes it with a byte count that is no larger than `Out`, since
    /// with METHOD_BUFFERED the system copies that many bytes. Neither buffer holds an address that the driver follows
    /// (METHOD_NEITHER is fine without one). And the driver is done with the buffers when it completes the request. The
    /// guide explains each of these, and what breaks it: `overlapped::guide::safety`.
    ///
    /// # Panics
    /// When the method is METHOD_IN_DIRECT. In a `const` that is a compile-time error; for a code that is known only at
    /// run time, check [`CtlCode::method`] first.
    #[must_use]
    #[expect(unsafe_code, reason = "the caller's promise is what makes every call safe")]
    pub const unsafe fn new(code: CtlCode) -> Self {
        Self::checked(code, 1)
    }
}

impl<In: ?Sized, T> Ioctl<In, [T]>
where
    [T]: Record,
{
    /// Declares that `code` reads an `In` and writes up to `capacity` records.
    ///
    /// # Safety
    /// As for [`Ioctl::new`].
    ///
    /// # Panics
    /// As [`Ioctl::new`]; and when `T` has no size.
    #[must_use]
    #[expect(unsafe_code, reason = "the caller's promise is what makes every call safe")]
    pub const unsafe fn slice(code: CtlCode, capacity: usize) -> Self {
        assert!(size_of::<T>() > 0, "a slice of records without a size has no length");
        Self::checked(code, capacity)
    }

    /// The same code with room for more records: for `capacity` of them, but never for fewer than before, since the
    /// promise about the driver was made for that room.
    ///
    /// ```
    /// # use overlapped_codes::{Access, CtlCode, Ioctl, Method};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// // SAFETY: by the card's manual, the driver writes 4 records whatever it is asked for, and more if they fit.
    /// const LOG: Ioctl<(), [u32]> = unsafe { Ioctl::slice(CODE, 4) };
    /// assert_eq!(LOG.with_capacity(1024).capacity(), 1024);
    /// assert_eq!(LOG.with_capacity(1).capacity(), 4);
    /// ```
    #[must_use]
    pub const fn with_capacity(mut self, capacity: usize) -> Self {
        if capacity > self.capacity {
            self.capacity = capacity;
        }
        self
    }
}

impl<In: ?Sized, Out: Record + ?Sized> Ioctl<In, Out> {
    const fn checked(code: CtlCode, capacity: usize) -> Self {
        assert!(
            !matches!(code.method(), Method::InDirect),
            "METHOD_IN_DIRECT: the driver reads the output buffer, which a typed call does not fill"
        );
        assert!(Out::ALIGN <= MAX_ALIGN, "a record is aligned to at most 16 bytes");
        Self { code, capacity, types: PhantomData }
    }

    /// The control code.
    ///
    /// ```
    /// # use overlapped_codes::{Access, CtlCode, Ioctl, Method};
    /// const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// // SAFETY: it is never called.
    /// const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// assert_eq!(WAIT_CHANGE.code(), CODE);
    /// ```
    #[must_use]
    pub const fn code(self) -> CtlCode {
        self.code
    }

    /// How many records fit in the output; 1 unless it is a slice.
    ///
    /// ```
    /// # use overlapped_codes::{Access, CtlCode, Ioctl, Method};
    /// const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// // SAFETY: it is never called.
    /// const LOG: Ioctl<(), [u64]> = unsafe { Ioctl::slice(CODE, 16) };
    /// assert_eq!((LOG.capacity(), LOG.output_len()), (16, Some(128)));
    /// ```
    #[must_use]
    pub const fn capacity(self) -> usize {
        self.capacity
    }

    /// The output's length in bytes; `None` if it does not fit in 32 bits, so that the call cannot be made.
    #[must_use]
    pub const fn output_len(self) -> Option<u32> {
        match self.capacity.checked_mul(Out::SIZE) {
            Some(bytes) if bytes as u64 <= u32::MAX as u64 => Some(bytes as u32),
            _ => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Access;

    const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Neither, Access::Any);

    #[test]
    #[expect(unsafe_code, reason = "declared and never called")]
    fn the_room_that_was_promised_never_shrinks() {
        // SAFETY: never called.
        let log: Ioctl<(), [u64]> = unsafe { Ioctl::slice(CODE, 8) };
        for (asked, room) in [(0, 8), (7, 8), (8, 8), (9, 9), (usize::MAX, usize::MAX)] {
            assert_eq!(log.with_capacity(asked).capacity(), room);
        }
        assert_eq!(log.with_capacity(100).with_capacity(9).capacity(), 100);
    }

    #[test]
    #[expect(unsafe_code, reason = "declared and never called")]
    fn an_output_beyond_32_bits_has_no_length() {
        // SAFETY: never called.
        let log: Ioctl<(), [u64]> = unsafe { Ioctl::slice(CODE, 8) };
        assert_eq!(log.output_len(), Some(64));
        assert_eq!(log.with_capacity((u32::MAX / 8) as usize).output_len(), Some(u32::MAX - 7));
        assert_eq!(log.with_capacity((u32::MAX / 8 + 1) as usize).output_len(), None);
        assert_eq!(log.with_capacity(usize::MAX).output_len(), None);
    }
}
