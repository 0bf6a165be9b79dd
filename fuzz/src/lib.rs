//! What is fuzzed: every decoder of bytes that a driver, a client of ours or somebody's file has supplied. Each target is a function of
//! bytes, so that `cargo test` can replay the seeds, and `cargo fuzz` look for more. Nothing may panic.

mod batches;
mod captures;
mod chip;
mod controller;
mod profile;
mod records;
mod replies;
mod waves;

pub use self::batches::batches;
pub use self::captures::{capture_packed, capture_records, capture_rows};
pub use self::chip::chip;
pub use self::controller::controller;
pub use self::profile::profile;
pub use self::records::records;
pub use self::replies::replies;
pub use self::waves::{fst, ghw, vcd};

/// A target by its name, which is that of its binary and of its directory of seeds.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("batches", batches),
    ("capture_packed", capture_packed),
    ("capture_records", capture_records),
    ("capture_rows", capture_rows),
    ("chip", chip),
    ("controller", controller),
    ("profile", profile),
    ("records", records),
    ("replies", replies),
    ("vcd", vcd),
    ("fst", fst),
    ("ghw", ghw),
];

/// Bytes that are taken as numbers, little endian; after the end everything is zero.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// At most `len` bytes.
    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.bytes(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }
}
