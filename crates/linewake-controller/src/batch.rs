//! Reads the answer of `WAIT_ANY`. It trusts nothing in it, because a driver may return anything.

use core::fmt;

use zerocopy::FromBytes;

use crate::protocol::{BatchHeader, EDGE_FALLING, EDGE_RISING, EdgeRecord};

/// A checked answer of [`WAIT_ANY`](crate::protocol::WAIT_ANY). It needs no alignment, and copies one record at a time.
///
/// ```
/// use linewake_controller::{Batch, Malformed};
/// use linewake_controller::protocol::{BatchHeader, EDGE_RISING, EdgeRecord};
/// use zerocopy::IntoBytes;
///
/// let mut bytes = BatchHeader { count: 1, ..Default::default() }.as_bytes().to_vec();
/// bytes.extend(EdgeRecord { offset: 7, kind: EDGE_RISING, ..Default::default() }.as_bytes());
///
/// let batch = Batch::parse(&bytes)?;
/// assert_eq!(batch.records().map(|edge| edge.offset).collect::<Vec<_>>(), [7]);
/// assert!(Batch::parse(b"garbage").is_err());
/// # Ok::<(), Malformed>(())
/// ```
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    header: BatchHeader,
    records: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Checks the bytes that the device returned.
    ///
    /// # Errors
    ///
    /// [`Malformed`] unless they are a header and exactly the records that it announces, each of a known kind.
    pub fn parse(bytes: &'a [u8]) -> Result<Batch<'a>, Malformed> {
        let Ok((header, records)) = BatchHeader::read_from_prefix(bytes) else {
            return Err(Malformed("shorter than its header"));
        };
        if u64::from(header.count) * size_of::<EdgeRecord>() as u64 != records.len() as u64 {
            return Err(Malformed("its count does not match its length"));
        }
        let batch = Batch { header, records };
        if !batch.records().all(|edge| matches!(edge.kind, EDGE_RISING | EDGE_FALLING)) {
            return Err(Malformed("an edge is neither rising nor falling"));
        }
        Ok(batch)
    }

    /// The header, with the counts.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The edges, oldest first.
    pub fn records(&self) -> impl ExactSizeIterator<Item = EdgeRecord> + use<'a> {
        let (records, _) = self.records.as_chunks::<{ size_of::<EdgeRecord>() }>();
        records.iter().map(|bytes| zerocopy::transmute!(*bytes))
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("header", &self.header).field("records", &self.records.len()).finish()
    }
}

/// Why a device's bytes are invalid.
///
/// ```
/// let error = linewake_controller::Batch::parse(&[]).unwrap_err();
/// assert_eq!(error.to_string(), "the device's batch is malformed: shorter than its header");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the device's batch is malformed: {}", self.0)
    }
}

impl core::error::Error for Malformed {}
