//! Lines: their offsets and names.

mod info;

use std::fmt;

pub(crate) use self::info::named;
pub use self::info::{InfoEvent, InfoEventKind, LineInfo};

/// The offset of a line on its chip. The first line has 0.
///
/// ```
/// use linewake::Offset;
/// assert_eq!(Offset::from(4).get(), 4);
/// assert_eq!(Offset::from(4).to_string(), "4");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(u32);

impl Offset {
    /// The offset as a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl From<u32> for Offset {
    fn from(offset: u32) -> Self {
        Self(offset)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identifies a line by its offset, or by a text as a user writes it.
///
/// A text of digits is an offset, as in libgpiod's tools. If the chip does not have that offset, it is taken as a name.
///
/// ```
/// use linewake::{Chip, LineId};
/// let chip = Chip::open("sim")?;
/// assert_eq!(chip.find("pps")?, chip.find(0)?);
/// assert_eq!(chip.find("0")?, chip.find(LineId::Offset(0.into()))?);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LineId {
    /// An offset.
    Offset(Offset),
    /// An offset in decimal digits, or a name.
    Text(String),
}

impl From<Offset> for LineId {
    fn from(offset: Offset) -> Self {
        Self::Offset(offset)
    }
}

impl From<u32> for LineId {
    fn from(offset: u32) -> Self {
        Self::Offset(offset.into())
    }
}

impl From<&str> for LineId {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for LineId {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for LineId {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(offset) => offset.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}
