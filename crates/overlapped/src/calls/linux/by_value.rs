//! Ioctls whose argument is a number: the driver gets it instead of an address.

use std::marker::PhantomData;

use super::Argument;
use super::request::{Direction, request, said};
use crate::{Device, Error};

/// The types that can be passed by value: the integers of C that fit in a register, by their Rust names.
///
/// `int` is [`c_int`](std::ffi::c_int) or `i32`, `unsigned long` is [`c_ulong`](std::ffi::c_ulong) or `usize`. The
/// driver gets an `unsigned long`; a negative number is sign-extended to that width, as in C.
///
/// ```
/// use overlapped::linux::Word;
/// fn is_word<T: Word>() {}
/// is_word::<std::ffi::c_int>();
/// is_word::<std::ffi::c_ulong>();
/// ```
pub trait Word: Copy + sealed::Extended {}

mod sealed {
    pub trait Extended {
        /// Extended to the width of a register, with its sign if the type has one.
        fn extended(self) -> usize;
    }
}

macro_rules! words {
    ($($integer:ty),*) => {$(
        impl Word for $integer {}
        impl sealed::Extended for $integer {
            fn extended(self) -> usize {
                self as usize
            }
        }
    )*};
}

words!(i8, u8, i16, u16, i32, u32, isize, usize);
#[cfg(target_pointer_width = "64")]
words!(i64, u64);

/// An ioctl request that takes a number by value instead of an address.
///
/// ```
/// use overlapped::Device;
/// use overlapped::linux::{Direction, IoctlByValue};
///
/// // SAFETY: linux/input.h: EVIOCGRAB, _IOW('E', 0x90, int): the driver takes the argument for a yes or a no.
/// const EVIOCGRAB: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::Write, b'E', 0x90) };
/// assert_eq!(EVIOCGRAB.request(), 0x4004_4590);
///
/// fn grab(keyboard: &Device) -> Result<(), overlapped::Error> {
///     keyboard.ioctl_by_value(EVIOCGRAB, 1).map(drop)
/// }
/// ```
///
/// Use it too for `_IO` requests that take a number nevertheless, such as KVM_CREATE_VCPU, and for requests whose
/// header names a type that the driver ignores, such as WDIOC_KEEPALIVE: pass 0.
///
/// A record cannot be passed by value:
///
/// ```compile_fail
/// use overlapped::linux::IoctlByValue;
/// // linux/gpio.h: GPIO_GET_CHIPINFO_IOCTL writes 68 bytes.
/// const CHIP_INFO: IoctlByValue<u32> = unsafe { IoctlByValue::from_request(0x8044_b401) };
/// ```
pub struct IoctlByValue<T> {
    request: u32,
    argument: PhantomData<fn(T)>,
}

impl<T: Word> IoctlByValue<T> {
    /// Declares the request `_IOC(direction, group, number, sizeof(T))`, with the direction from the header. For
    /// [`Direction::None`] it is `_IO(group, number)`.
    ///
    /// # Safety
    /// The driver takes the argument for a number, and not for an address or a file descriptor, unless every number is
    /// valid as one.
    #[must_use]
    pub const unsafe fn new(direction: Direction, group: u8, number: u8) -> Self {
        let size = if matches!(direction, Direction::None) { 0 } else { size_of::<T>() };
        Self { request: request(direction, group, number, size), argument: PhantomData }
    }

    /// Declares a request by its number: for requests from before the numbering scheme, like TCFLSH.
    ///
    /// # Safety
    /// As for [`new`](Self::new).
    ///
    /// # Panics
    /// When the number has bits for a direction or a size, and the size is not that of `T`. In a `const` that is a
    /// compile-time error.
    #[must_use]
    pub const unsafe fn from_request(request: u32) -> Self {
        if let Some((_, size)) = said(request) {
            assert!(
                size == size_of::<T>(),
                "the request's size is not the size of its type: pass a record by its address, with `Ioctl`"
            );
        }
        Self { request, argument: PhantomData }
    }
}

request_of_a_type!(IoctlByValue);

impl Device {
    /// Runs an ioctl that takes a number by value, at once, on this thread. Returns what `ioctl(2)` returns.
    ///
    /// ```
    /// use overlapped::Device;
    /// use overlapped::linux::IoctlByValue;
    ///
    /// // SAFETY: ioctl_tty(2): TCFLSH takes one of three numbers.
    /// const TCFLSH: IoctlByValue<i32> = unsafe { IoctlByValue::from_request(0x540b) };
    /// const TCIOFLUSH: i32 = 2;
    ///
    /// let terminal = Device::open("/dev/ptmx")?;
    /// terminal.ioctl_by_value(TCFLSH, TCIOFLUSH)?;
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`ioctl`](Self::ioctl).
    pub fn ioctl_by_value<T: Word>(&self, ioctl: IoctlByValue<T>, value: T) -> Result<u32, Error> {
        // SAFETY: the code that declared the ioctl promised that the driver takes it for a number.
        unsafe { self.ioctl_with(ioctl.request, Argument::Value(value.extended())) }
    }
}

#[cfg(test)]
mod tests {
    use super::sealed::Extended;

    #[test]
    fn a_negative_number_has_its_sign_in_the_whole_register() {
        assert_eq!((-1_i32).extended(), usize::MAX);
        assert_eq!(u32::MAX.extended(), 0xffff_ffff);
        assert_eq!(isize::MIN.extended(), 1 << (usize::BITS - 1));
        assert_eq!(usize::MAX.extended(), usize::MAX);
    }
}
