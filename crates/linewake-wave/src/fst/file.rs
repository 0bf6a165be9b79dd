//! The file, its parts, and reading numbers from their bytes.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use crate::leb128;

/// A file that can be read at any place.
pub(crate) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// The kinds of blocks.
pub(super) mod kind {
    pub(in super::super) const HEAD: u8 = 0;
    pub(in super::super) const CHANGES: u8 = 1;
    pub(in super::super) const GEOMETRY: u8 = 3;
    pub(in super::super) const NAMES_GZIP: u8 = 4;
    pub(in super::super) const CHANGES_ALIAS: u8 = 5;
    pub(in super::super) const NAMES_LZ4: u8 = 6;
    pub(in super::super) const NAMES_LZ4_TWICE: u8 = 7;
    pub(in super::super) const CHANGES_ALIAS_2: u8 = 8;
    pub(in super::super) const WRAPPED: u8 = 254;
    pub(in super::super) const SKIPPED: u8 = 255;
}

/// Bytes that are read one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    /// See [`leb128`]; `None` for a number without an end.
    #[inline]
    pub(super) fn varint(&mut self) -> Option<u64> {
        leb128::unsigned(|| self.u8().ok_or(())).ok()?
    }

    /// Like [`varint`](Self::varint), with a sign.
    pub(super) fn signed_varint(&mut self) -> Option<i64> {
        leb128::signed(|| self.u8().ok_or(())).ok()?
    }

    /// The text up to the byte 0.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.0.iter().position(|&byte| byte == 0)?;
        let text = self.take(length)?;
        self.0 = &self.0[1..];
        Some(text)
    }
}

/// A part of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) kind: u8,
    /// After its kind and its length.
    pub(super) start: u64,
    pub(super) length: u64,
}

/// A file and its length.
pub(super) struct File {
    pub(super) source: Box<dyn ReadSeek>,
    pub(super) length: u64,
}

impl File {
    /// Reads bytes. A length that the file does not have is damage.
    pub(super) fn read(&mut self, start: u64, length: u64) -> Result<Vec<u8>, String> {
        if start.checked_add(length).is_none_or(|end| end > self.length) {
            return Err("a part of it lies beyond its end".into());
        }
        let length = usize::try_from(length).map_err(|_| "a part of it does not fit into memory")?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| "a part of it does not fit into memory")?;
        bytes.resize(length, 0);
        let read = self.source.seek(SeekFrom::Start(start)).and_then(|_| self.source.read_exact(&mut bytes));
        match read {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err("it became shorter while it was read".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The kind of values of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Digits(u32),
    Real,
    Text,
}
