//! Memory that is lent to a driver and comes back.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::{Error, ErrorKind, Operation};

/// Every buffer starts at a multiple of this many bytes, so a record type with at most this alignment can be read in
/// place.
pub(crate) const ALIGN: usize = 16;

/// Bytes at a fixed address, with the alignment you ask for: what [`Device::call_raw`](crate::Device::call_raw) takes
/// and gives back.
///
/// ```
/// use overlapped::Buffer;
/// let mut sector = Buffer::aligned(512, 512)?;
/// sector[0] = 7;
/// assert_eq!(sector.as_ptr() as usize % 512, 0);
/// assert_eq!(Buffer::from(b"text".as_slice())[..2], *b"te");
/// assert!(Buffer::empty().is_empty());
/// # Ok::<(), overlapped::Error>(())
/// ```
pub struct Buffer {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory belongs to the buffer alone, wherever it goes.
unsafe impl Send for Buffer {}
// SAFETY: through a shared reference it is only read.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` bytes, all zero, at a multiple of `align`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when `align` is not a power of two, or `len` does not fit in 32 bits;
    /// [`ErrorKind::Other`] when there is no memory for it.
    pub fn aligned(len: usize, align: usize) -> Result<Self, Error> {
        let layout =
            Layout::from_size_align(len, align).ok().filter(|_| u32::try_from(len).is_ok()).ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, Operation::Buffer)
                    .hint("the alignment must be a power of two, and the length must fit in 32 bits")
            })?;
        Self::with_layout(layout).ok_or_else(|| {
            Error::new(ErrorKind::Other, Operation::Buffer).hint("out of memory for the buffer: make it smaller")
        })
    }

    /// An empty buffer.
    #[must_use]
    pub fn empty() -> Self {
        Self { start: NonNull::dangling(), layout: Layout::new::<()>() }
    }

    fn with_layout(layout: Layout) -> Option<Self> {
        let start = if layout.size() == 0 {
            std::ptr::without_provenance_mut(layout.align())
        } else {
            // SAFETY: the layout's size is not zero.
            unsafe { alloc_zeroed(with_slack(layout)?) }
        };
        let start = NonNull::new(start)?;
        Some(Self { start, layout })
    }

    /// The address to give to the kernel (null for an empty buffer), and the length.
    pub(crate) fn raw(&self) -> (*mut u8, u32) {
        let len = self.layout.size() as u32;
        (if len == 0 { std::ptr::null_mut() } else { self.start.as_ptr() }, len)
    }
}

/// How many unused bytes lie behind a buffer of `capacity` bytes. With METHOD_BUFFERED, if a driver claims more bytes
/// than fit in the buffer, the system copies that many bytes anyway; an overrun of a record or two ends here. The slack
/// is as large as the buffer, but at least 1 KiB and at most 4 KiB.
pub(crate) const fn slack(capacity: usize) -> usize {
    if capacity < 1024 {
        1024
    } else if capacity < 4096 {
        capacity
    } else {
        4096
    }
}

/// Adds the [`slack`].
fn with_slack(layout: Layout) -> Option<Layout> {
    Layout::from_size_align(layout.size().checked_add(slack(layout.size()))?, layout.align()).ok()
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        let layout = Layout::for_value(bytes);
        let Some(mut buffer) = Self::with_layout(layout) else { std::alloc::handle_alloc_error(layout) };
        buffer.copy_from_slice(bytes);
        buffer
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the memory has this size, is initialised, and belongs to the buffer; a driver has it only while the
        // buffer is inside a call.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(layout) = with_slack(self.layout).filter(|_| self.layout.size() > 0) {
            // SAFETY: allocated with this layout, and freed only here.
            unsafe { dealloc(self.start.as_ptr(), layout) };
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).field("align", &self.layout.align()).finish()
    }
}
