//! The codes of variables.

use std::collections::HashMap;

/// No variable has this code.
const NOTHING: u32 = u32::MAX;

/// Finds the source for a code. Programs count codes up in digits from `!` to `~`, so short codes index a table.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    short: Vec<u32>,
    long: HashMap<Box<[u8]>, u32>,
}

/// The place of a code with up to three characters.
#[inline]
fn place(code: &[u8]) -> Option<usize> {
    if code.len() > 3 || code.is_empty() {
        return None;
    }
    // Codes of one character come first, then those of two, so that the table is no longer than needed.
    code.iter().rev().try_fold(0, |place, &byte| {
        let digit = usize::from(byte.checked_sub(b'!')?);
        (digit < 94).then_some(place * 94 + digit + 1)
    })
}

impl Codes {
    #[inline]
    pub(crate) fn get(&self, code: &[u8]) -> Option<u32> {
        match place(code) {
            Some(place) => self.short.get(place).copied().filter(|&source| source != NOTHING),
            None => self.long.get(code).copied(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.short.is_empty() && self.long.is_empty()
    }

    pub(crate) fn insert(&mut self, code: &[u8], source: u32) {
        match place(code) {
            Some(place) => {
                if self.short.len() <= place {
                    self.short.resize(place + 1, NOTHING);
                }
                self.short[place] = source;
            }
            None => drop(self.long.insert(code.into(), source)),
        }
    }

    /// Replaces the source of every code.
    pub(crate) fn map(&mut self, to: &[u32]) {
        let all = self.short.iter_mut().filter(|source| **source != NOTHING).chain(self.long.values_mut());
        all.for_each(|source| *source = to[*source as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_for_its_own_source() {
        let mut codes = Codes::default();
        let printable = || b'!'..=b'~';
        let mut all: Vec<Vec<u8>> = printable().map(|byte| vec![byte]).collect();
        all.extend(printable().flat_map(|a| printable().map(move |b| vec![a, b])));
        all.extend(printable().map(|byte| vec![b'!', byte, b'~']));
        all.extend([b"channel_0".to_vec(), b"four".to_vec(), "\u{e4}".into(), vec![0xff]]);
        for (source, code) in (0..).zip(&all) {
            assert_eq!(codes.get(code), None);
            codes.insert(code, source);
        }
        for (source, code) in (0..).zip(&all) {
            assert_eq!(codes.get(code), Some(source), "{code:?}");
        }
        assert_eq!(codes.get(b""), None);
    }
}
