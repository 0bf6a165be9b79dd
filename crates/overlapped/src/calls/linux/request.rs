//! The number of a request: it says which ioctl it is, which way the argument goes, and how many bytes it has.

use rustix::ioctl::opcode;

/// The methods of a request with a type. A derive would need `Clone`, `Copy` and `Debug` of the type, too.
macro_rules! request_of_a_type {
    ($name:ident) => {
        impl<T> $name<T> {
            /// The request, as `ioctl(2)` takes it.
            #[must_use]
            pub const fn request(self) -> u32 {
                self.request
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> Copy for $name<T> {}

        impl<T> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&format_args!("{:#010x}", self.request)).finish()
            }
        }
    };
}

/// The first length that does not fit: _IOC_SIZEBITS is 14, and 13 on some architectures, by their own `asm/ioctl.h`.
pub(super) const SIZES: usize = {
    let bits = compose(Direction::Read, 0, 0, 0x3fff) ^ compose(Direction::Read, 0, 0, 0);
    (bits >> 16) as usize + 1
};

/// Which way the argument of an ioctl goes, seen from the program: the direction bits of `asm-generic/ioctl.h`.
///
/// ```
/// use overlapped::linux::{Direction, Ioctl};
/// // SAFETY: ioctl_tty(2): TIOCGPTN, _IOR('T', 0x30, unsigned int), writes the number of the terminal.
/// const TIOCGPTN: Ioctl<u32> = unsafe { Ioctl::new(Direction::Read, b'T', 0x30) };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// No argument: `_IO`.
    None,
    /// The program reads it, the driver writes it: `_IOR`.
    Read,
    /// The program writes it, the driver reads it: `_IOW`.
    Write,
    /// Both: `_IOWR`.
    ReadWrite,
}

/// The request `_IOC(direction, group, number, size)`, laid out as on this architecture (`asm-generic/ioctl.h`, and own
/// files for MIPS, PowerPC and SPARC). `size` is in bytes.
///
/// Use it when the header's size is not the size of the argument; otherwise the constructors compute the request.
///
/// ```
/// use overlapped::linux::{Direction, request};
/// // linux/if_tun.h: #define TUNSETIFF _IOW('T', 202, int)
/// assert_eq!(request(Direction::Write, b'T', 202, 4), 0x4004_54ca);
/// ```
///
/// # Panics
/// When `size` is 16 KiB or larger (8 KiB on architectures with fewer size bits). In a `const` that is a compile-time
/// error.
#[must_use]
pub const fn request(direction: Direction, group: u8, number: u8, size: usize) -> u32 {
    assert!(size < SIZES, "the argument does not fit in the request's size bits");
    compose(direction, group, number, size)
}

const fn compose(direction: Direction, group: u8, number: u8, size: usize) -> u32 {
    let direction = match direction {
        Direction::None => rustix::ioctl::Direction::None,
        Direction::Read => rustix::ioctl::Direction::Read,
        Direction::Write => rustix::ioctl::Direction::Write,
        Direction::ReadWrite => rustix::ioctl::Direction::ReadWrite,
    };
    // The library's opcode is a C `int` or a `long`, depending on its call; a request has 32 bits.
    opcode::from_components(direction, group, number, size) as u32
}

/// The direction and the size (in bytes) that the bits of a request contain. `None` for a request that contains
/// neither: `_IO`, and requests from before the numbering scheme.
pub(super) const fn said(request: u32) -> Option<(Direction, usize)> {
    let (group, number, size) = ((request >> 8) as u8, request as u8, (request >> 16) as usize & (SIZES - 1));
    let directions = [Direction::Read, Direction::Write, Direction::ReadWrite];
    let mut at = 0;
    while at < directions.len() {
        if compose(directions[at], group, number, size) == request {
            return Some((directions[at], size));
        }
        at += 1;
    }
    if size == 0 { None } else { Some((Direction::None, size)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_contains_what_it_was_made_of() {
        for direction in [Direction::Read, Direction::Write, Direction::ReadWrite] {
            for size in [1, 4, 40, SIZES - 1] {
                assert_eq!(said(request(direction, b'T', 202, size)), Some((direction, size)));
            }
        }
        assert_eq!(said(request(Direction::None, 0xae, 0xff, 0)), None);
        // FIONREAD, on architectures where it is from before the numbering scheme.
        assert_eq!(said(0x541b), None);
    }
}
