//! The numbers and texts of a file, one after the other.

use std::io::{BufReader, ErrorKind, Read};

use crate::leb128;
use crate::text::decoded;

/// The most bytes of all texts together.
const LONGEST_TEXTS: usize = 1 << 28;

/// Why reading stops.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file is over.
    Over,
    /// The file is wrong in this way.
    Wrong(String),
}

/// A file that is read to its end.
pub(super) struct Input {
    source: BufReader<Box<dyn Read + Send>>,
    /// Whether numbers of a fixed size have their highest byte first.
    pub(super) is_big: bool,
}

impl Input {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Self {
        Self { source: BufReader::with_capacity(64 << 10, source), is_big: false }
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8, Stop> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut array = [0; N];
        match self.source.read_exact(&mut array) {
            Ok(()) => Ok(array),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(Stop::Over),
            Err(error) => Err(Stop::Wrong(error.to_string())),
        }
    }

    pub(super) fn u32(&mut self) -> Result<u32, Stop> {
        let bytes = self.array()?;
        Ok(if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(super) fn i64(&mut self) -> Result<i64, Stop> {
        let bytes = self.array()?;
        Ok(if self.is_big { i64::from_be_bytes(bytes) } else { i64::from_le_bytes(bytes) })
    }

    /// See [`leb128`].
    #[inline]
    pub(super) fn unsigned(&mut self) -> Result<u64, Stop> {
        leb128::unsigned(|| self.u8())?.ok_or_else(without_end)
    }

    /// Like [`unsigned`](Self::unsigned), with a sign.
    pub(super) fn signed(&mut self) -> Result<i64, Stop> {
        leb128::signed(|| self.u8())?.ok_or_else(without_end)
    }

    /// A place in a list, counted from 1; 0 means none.
    pub(super) fn place(&mut self) -> Result<Option<usize>, Stop> {
        Ok(usize::try_from(self.unsigned()?).unwrap_or(usize::MAX).checked_sub(1))
    }

    /// The list of texts. After each text, the file gives how many bytes the next one shares with it.
    pub(super) fn texts(&mut self) -> Result<Vec<Box<str>>, Stop> {
        self.array::<4>()?;
        let count = self.u32()?;
        self.array::<4>()?;
        let (mut texts, mut text, mut length) = (Vec::new(), Vec::new(), 0);
        for _ in 0..count {
            let mut end = loop {
                match self.u8()? {
                    end @ (0..=31 | 128..=159) => break end,
                    byte => text.push(byte),
                }
                if text.len() > LONGEST_TEXTS {
                    return Err(Stop::Wrong("a text in it has no end".into()));
                }
            };
            length += text.len();
            if length > LONGEST_TEXTS {
                return Err(Stop::Wrong("its texts are longer than 256 MiB".into()));
            }
            texts.push(decoded(&text).into());
            let (mut shared, mut shift) = (usize::from(end & 0x1f), 5);
            while end >= 128 {
                end = self.u8()?;
                shared |= usize::from(end & 0x1f).checked_shl(shift).unwrap_or(0);
                shift += 5;
            }
            text.truncate(shared);
        }
        match &self.array::<4>()? {
            b"EOS\0" => Ok(texts),
            _ => Err(Stop::Wrong("its list of texts has no end".into())),
        }
    }
}

fn without_end() -> Stop {
    Stop::Wrong("a number in it has no end".into())
}
