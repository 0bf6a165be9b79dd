//! Fields: numbers at places in bytes.

use crate::Error;
use crate::keys::Keys;

/// The largest input or output, in bytes. This is more than any driver needs, and keeps a profile from using all
/// memory.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
}

pub(super) const ENDIANS: &[(&str, Endian)] = &[("little", Endian::Little), ("big", Endian::Big)];

/// The keys that give the place of a field.
pub(super) const PLACE: &[&str] = &["at", "width", "endian", "bit", "bits"];

/// A number at a place in bytes: whole bytes, or some of their bits, counted from the least significant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) at: usize,
    pub(crate) width: usize,
    pub(crate) endian: Endian,
    /// First bit and number of bits. `None` means all bits.
    pub(crate) bits: Option<(u32, u32)>,
}

impl Field {
    /// The number, if the bytes are long enough.
    pub(crate) fn number(&self, bytes: &[u8]) -> Option<u64> {
        let bytes = self.bytes(bytes)?;
        let fold = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        let whole = match self.endian {
            Endian::Big => bytes.iter().fold(0, fold),
            Endian::Little => bytes.iter().rev().fold(0, fold),
        };
        let (shift, mask) = self.shift_and_mask();
        Some(whole >> shift & mask)
    }

    /// The bytes of the field, if there are enough.
    pub(crate) fn bytes<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        bytes.get(self.at..self.at.checked_add(self.width)?)
    }

    fn shift_and_mask(&self) -> (u32, u64) {
        match self.bits {
            None => (0, u64::MAX),
            Some((shift, bits)) => (shift, u64::MAX >> (64 - bits.clamp(1, 64))),
        }
    }

    /// One bit of a mask of any width; `None` if the bytes are too short or the mask has no such bit.
    pub(crate) fn bit(&self, bytes: &[u8], bit: u32) -> Option<bool> {
        let bytes = self.bytes(bytes)?;
        let from_low = bit as usize / 8;
        let index = match self.endian {
            Endian::Little => from_low,
            Endian::Big => bytes.len().checked_sub(from_low + 1)?,
        };
        Some(bytes.get(index)? >> (bit % 8) & 1 == 1)
    }

    /// Puts a number into bytes that were zero there.
    pub(super) fn put(&self, bytes: &mut [u8], number: u64) {
        let (shift, mask) = self.shift_and_mask();
        let number = (number & mask) << shift;
        let Some(place) = bytes.get_mut(self.at..self.at + self.width) else { return };
        let low_first = number.to_le_bytes().into_iter();
        match self.endian {
            Endian::Little => place.iter_mut().zip(low_first).for_each(|(byte, add)| *byte |= add),
            Endian::Big => place.iter_mut().rev().zip(low_first).for_each(|(byte, add)| *byte |= add),
        }
    }

    /// Sets a bit of a mask.
    pub(super) fn put_bit(&self, bytes: &mut [u8], bit: u32) {
        let from_low = bit as usize / 8;
        let index = match self.endian {
            Endian::Little => self.at + from_low,
            Endian::Big => self.at + self.width.saturating_sub(from_low + 1),
        };
        if from_low < self.width
            && let Some(byte) = bytes.get_mut(index)
        {
            *byte |= 1 << (bit % 8);
        }
    }

    /// True if the fields have a bit in common.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let meets = |a: &Self, b: &Self| a.at < b.at + b.width && b.at < a.at + a.width;
        if self.bits.is_none() || other.bits.is_none() {
            return meets(self, other);
        }
        // Fields with bits have at most eight bytes.
        let others: Vec<_> = other.places().collect();
        self.places().any(|place| others.contains(&place))
    }

    /// Each bit of the field: its byte, and its place in that byte.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let (first, bits) = self.bits.unwrap_or((0, 8 * self.width as u32));
        (first..first + bits).map(|bit| {
            let from_low = bit as usize / 8;
            let byte = match self.endian {
                Endian::Little => self.at + from_low,
                Endian::Big => self.at + self.width - 1 - from_low,
            };
            (byte, bit % 8)
        })
    }

    /// The greatest number that the field can hold.
    pub(crate) fn greatest(&self) -> u64 {
        match self.bits {
            Some(_) => self.shift_and_mask().1,
            None if self.width >= 8 => u64::MAX,
            None => (1 << (8 * self.width)) - 1,
        }
    }

    pub(super) fn read(keys: &Keys<'_>, endian: Endian, length: usize, widest: usize) -> Result<Self, Error> {
        let at = keys.need("at")?.size(0, MAX_BYTES)?;
        let said = keys.get("width").map(|width| width.size(1, widest)).transpose()?;
        let width = said.unwrap_or(4);
        if at + width > length {
            let unless_set = if said.is_none() { "; its `width` is 4 by default" } else { "" };
            return Err(keys.error(format!(
                "\"{}\" ends at byte {}, but there are {length} bytes; it has bytes {at} to {}{unless_set}",
                keys.path(),
                at + width,
                at + width - 1
            )));
        }
        let endian = keys.get("endian").map_or(Ok(endian), |endian| endian.word(ENDIANS))?;
        let of_width = (8 * width).min(64) as u64;
        let first = keys.get("bit").map(|bit| bit.number(0, of_width - 1)).transpose()?;
        let bits = keys.get("bits").map(|bits| bits.number(1, of_width - first.unwrap_or(0))).transpose()?;
        let bits = (first.is_some() || bits.is_some()).then(|| (first.unwrap_or(0) as u32, bits.unwrap_or(1) as u32));
        if bits.is_some() && width > 8 {
            return Err(
                keys.error(format!("\"{}\" has bits, so it can have at most 8 bytes; change `width`", keys.path()))
            );
        }
        Ok(Self { at, width, endian, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(at: usize, width: usize, endian: Endian, bits: Option<(u32, u32)>) -> Field {
        Field { at, width, endian, bits }
    }

    #[test]
    fn numbers_are_read_where_they_are() {
        let bytes = [0xff, 0x12, 0x34, 0x56, 0x78, 0xff];
        assert_eq!(field(1, 4, Endian::Big, None).number(&bytes), Some(0x1234_5678));
        assert_eq!(field(1, 4, Endian::Little, None).number(&bytes), Some(0x7856_3412));
        assert_eq!(field(1, 2, Endian::Big, Some((4, 8))).number(&bytes), Some(0x23));
        assert_eq!(field(3, 4, Endian::Big, None).number(&bytes), None);
        assert_eq!(field(usize::MAX, 4, Endian::Big, None).number(&bytes), None);
        assert_eq!(field(0, 8, Endian::Big, None).number(&[0xff; 8]), Some(u64::MAX));
    }

    #[test]
    fn bits_of_a_mask_count_from_the_least_significant() {
        let bytes = [0x80, 0, 0, 0x02];
        assert_eq!(field(0, 4, Endian::Big, None).bit(&bytes, 1), Some(true));
        assert_eq!(field(0, 4, Endian::Big, None).bit(&bytes, 31), Some(true));
        assert_eq!(field(0, 4, Endian::Little, None).bit(&bytes, 7), Some(true));
        assert_eq!(field(0, 4, Endian::Little, None).bit(&bytes, 25), Some(true));
        assert_eq!(field(0, 4, Endian::Little, None).bit(&bytes, 32), None);
        assert_eq!(field(0, 4, Endian::Big, None).bit(&bytes, 32), None);
    }

    #[test]
    fn fields_overlap_where_they_share_a_bit() {
        use Endian::{Big, Little};
        let whole = |at, width| field(at, width, Little, None);
        assert!(whole(0, 2).overlaps(&whole(1, 1)) && whole(1, 1).overlaps(&whole(0, 2)));
        assert!(!whole(0, 2).overlaps(&whole(2, 2)) && !whole(2, 2).overlaps(&whole(0, 2)));
        let low = field(0, 2, Little, Some((0, 4)));
        assert!(!low.overlaps(&field(0, 2, Little, Some((4, 12)))));
        assert!(low.overlaps(&field(0, 2, Little, Some((3, 2)))));
        // The low byte of one field is the high byte of the other.
        assert!(!low.overlaps(&field(0, 2, Big, Some((0, 4)))) && low.overlaps(&field(0, 2, Big, Some((8, 1)))));
        assert!(low.overlaps(&field(0, 1, Little, Some((3, 1)))) && !low.overlaps(&field(1, 1, Big, Some((0, 4)))));
        // A field of a whole byte has all of its bits.
        assert!(low.overlaps(&whole(0, 1)) && whole(1, 1).overlaps(&low));
    }

    #[test]
    fn a_number_that_was_put_is_read_back() {
        for endian in [Endian::Little, Endian::Big] {
            for (width, bits, number) in [(4, None, 0x0102_0304), (2, Some((3, 5)), 0x15), (8, None, u64::MAX - 1)] {
                let field = field(2, width, endian, bits);
                let mut bytes = [0; 12];
                field.put(&mut bytes, number);
                assert_eq!(field.number(&bytes), Some(number));
            }
            let mask = field(1, 4, endian, None);
            let mut bytes = [0; 6];
            for bit in [0, 9, 31, 32, 99] {
                mask.put_bit(&mut bytes, bit);
            }
            assert_eq!(mask.number(&bytes), Some(1 | 1 << 9 | 1 << 31));
            assert_eq!((bytes[0], bytes[5]), (0, 0));
        }
    }
}
