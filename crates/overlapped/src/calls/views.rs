//! Answers whose length the driver chooses: a header with bytes behind it, and lists of records that contain their
//! length.
//!
//! A storage descriptor begins with a header; texts follow it:
//!
//! ```
//! # use overlapped::{sim::Script, Access, CtlCode, Device, Ioctl, Method, Status};
//! use zerocopy::{FromBytes, Immutable, KnownLayout};
//!
//! /// The beginning of STORAGE_DEVICE_DESCRIPTOR (`winioctl.h`).
//! #[derive(FromBytes, Immutable, KnownLayout)]
//! #[repr(C)]
//! struct Descriptor {
//!     version: u32,
//!     size: u32,
//!     kinds: [u8; 4],
//!     vendor_offset: u32,
//!     product_offset: u32,
//! }
//!
//! // SAFETY: the scripted disk of this example writes no more than it is given room for.
//! const QUERY: Ioctl<[u32; 3], [u8]> = unsafe { Ioctl::slice(CtlCode::from_u32(0x002d_1400), 1024) };
//! # let mut answer: Vec<u8> = [40_u32, 36, 0, 20, 27].iter().flat_map(|word| word.to_ne_bytes()).collect();
//! # answer.extend(b"Vendor\0Product\0");
//! # let disk = Device::simulated(Script::new("disk").answer(QUERY.code(), Status::SUCCESS, answer))?;
//! let reply = disk.call(QUERY, &[0; 3]).wait()?;
//! let (descriptor, _) = reply.header::<Descriptor>().ok_or("the descriptor is cut")?;
//! // An offset is the driver's word: it may lie beyond the end.
//! let product = reply.get(descriptor.product_offset as usize..).unwrap_or_default();
//! let product = product.split(|&byte| byte == 0).next().unwrap_or_default();
//! assert_eq!(product, b"Product");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::{Output, Reply};

impl Reply<[u8]> {
    /// The record at the beginning of the answer, and the bytes behind it. `None` when the answer is shorter than the
    /// record.
    ///
    /// ```
    /// # use overlapped::Reply;
    /// # fn example(answer: Reply<[u8]>) -> Option<()> {
    /// let (&count, records) = answer.header::<u32>()?;
    /// println!("{count} records in {} bytes", records.len());
    /// # Some(()) }
    /// ```
    #[must_use]
    pub fn header<H: FromBytes + Immutable + KnownLayout>(&self) -> Option<(&H, &[u8])> {
        // The bytes begin at a multiple of 16. This fails for a record with a stricter alignment.
        H::ref_from_prefix(self).ok()
    }
}

impl<T> AsRef<[T]> for Reply<[T]>
where
    [T]: Output,
{
    fn as_ref(&self) -> &[T] {
        self
    }
}

/// Iterates over records that each begin with a header `H` that contains the length of the whole record: those of the
/// change journal, of a directory, of a list of extents.
///
/// `length` returns a record's length in bytes, with its header and its padding. It returns `None` for the last record,
/// which takes all bytes that are left; where a header holds the distance to the next record, zero means that. The
/// bytes are not trusted: a length that does not fit is an error, and ends the iteration.
///
/// ```
/// use overlapped::views::records;
///
/// // Two bytes of length, then data.
/// let bytes = [5, 0, b'a', b'b', b'c', 3, 0, b'd'];
/// let mut list = records(&bytes, |length: &[u8; 2]| Some(u16::from_le_bytes(*length).into()));
/// assert_eq!(list.next(), Some(Ok(([5, 0], b"abc".as_slice()))));
/// assert_eq!(list.next(), Some(Ok(([3, 0], b"d".as_slice()))));
/// assert_eq!(list.next(), None);
///
/// let error = records(&[9, 0, b'a'], |length: &[u8; 2]| Some(length[0].into())).next().unwrap().unwrap_err();
/// assert_eq!(error.to_string(), "the record at byte 0 has 9 bytes by its header; there are 3, and the header has 2");
/// ```
pub fn records<H: FromBytes, L: FnMut(&H) -> Option<usize>>(bytes: &[u8], length: L) -> Records<'_, H, L> {
    Records { bytes, at: 0, length, header: PhantomData }
}

/// The iterator that [`records`] makes. An item is a record's header and the bytes behind it, up to the record's end.
///
/// ```
/// # use overlapped::views::{MalformedRecord, records};
/// # fn example(bytes: &[u8]) -> Result<(), MalformedRecord> {
/// for record in records(bytes, |header: &[u32; 2]| Some(header[0] as usize)) {
///     let ([_, kind], data) = record?;
///     println!("{kind}: {data:?}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "an iterator does nothing unless it is used"]
pub struct Records<'a, H, L> {
    /// The bytes that are left.
    bytes: &'a [u8],
    /// How many bytes were before them.
    at: usize,
    length: L,
    header: PhantomData<fn() -> H>,
}

/// A record that is cut, or whose header contains an impossible length. The records before it are valid.
///
/// ```
/// # use overlapped::views::records;
/// let error = records(&[0; 8], |length: &u32| Some(*length as usize)).next().unwrap().unwrap_err();
/// assert_eq!(error.at(), 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedRecord {
    at: usize,
    length: Option<usize>,
    left: usize,
    header: usize,
}

impl MalformedRecord {
    /// The offset of the record in bytes, from the first record.
    #[must_use]
    pub fn at(self) -> usize {
        self.at
    }
}

impl fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, length, left, header } = self;
        match length {
            Some(length) => {
                write!(f, "the record at byte {at} has {length} bytes by its header; there are {left}, ")?;
                write!(f, "and the header has {header}")
            }
            None => write!(f, "the record at byte {at} is cut: there are {left} bytes, and its header has {header}"),
        }
    }
}

impl std::error::Error for MalformedRecord {}

impl<'a, H: FromBytes, L: FnMut(&H) -> Option<usize>> Iterator for Records<'a, H, L> {
    type Item = Result<(H, &'a [u8]), MalformedRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        // Take them all here: they are put back only behind a valid record.
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.is_empty() {
            return None;
        }
        let malformed = |length| MalformedRecord { at: self.at, length, left: bytes.len(), header: size_of::<H>() };
        let Ok((header, behind)) = H::read_from_prefix(bytes) else { return Some(Err(malformed(None))) };
        let Some(length) = (self.length)(&header) else { return Some(Ok((header, behind))) };
        if length == 0 || length < size_of::<H>() || length > bytes.len() {
            return Some(Err(malformed(Some(length))));
        }
        let (record, rest) = bytes.split_at(length);
        self.bytes = rest;
        self.at += length;
        Some(Ok((header, &record[size_of::<H>()..])))
    }
}

impl<H: FromBytes, L: FnMut(&H) -> Option<usize>> std::iter::FusedIterator for Records<'_, H, L> {}

impl<H, L> fmt::Debug for Records<'_, H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("at", &self.at).field("left", &self.bytes.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn lengths(bytes: &[u8]) -> Vec<Result<usize, usize>> {
        let records = records(bytes, |header: &[u8; 4]| Some(header[0].into()));
        records.map(|record| record.map(|(_, data)| data.len()).map_err(MalformedRecord::at)).collect()
    }

    #[test]
    fn an_impossible_length_ends_the_list_after_the_records_before_it() {
        assert_eq!(lengths(&[]), []);
        assert_eq!(lengths(&[6, 0, 0, 0, 1, 1, 4, 0, 0, 0]), [Ok(2), Ok(0)]);
        // Zero, less than its header, beyond the end, and a header that is cut.
        for last in [[0, 0, 0, 0, 0].as_slice(), &[3, 0, 0, 0, 0], &[6, 0, 0, 0, 0], &[255; 9], &[4, 0, 0]] {
            assert_eq!(lengths(&[&[5, 0, 0, 0, 1], last].concat()), [Ok(1), Err(5)], "{last:?}");
        }
        // A header without a size reads no bytes; the iterator must go on all the same.
        let mut nothing = records(&[1, 2], |(): &()| Some(0));
        assert!(nothing.next().unwrap().is_err() && nothing.next().is_none());
    }

    #[test]
    fn the_last_of_a_chain_takes_what_is_left() {
        let next = |header: &u8| (*header != 0).then_some((*header).into());
        let list: Vec<_> = records(&[3, 1, 1, 0, 2, 2, 2], next).map(|record| record.unwrap().1.to_vec()).collect();
        assert_eq!(list, [vec![1, 1], vec![2, 2, 2]]);
    }
}
