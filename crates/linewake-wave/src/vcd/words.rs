//! The words of a dump, as the files here take them and show them.

use crate::error::Error;
use crate::text::Text;

/// Something is wrong with the last word.
pub(super) fn wrong(name: &str, text: &Text, what: impl std::fmt::Display) -> Error {
    Error::new(format!("{name}:{}: {what}", text.line()))
}

/// Goes on to the next word. Returns whether there is one.
#[inline]
pub(super) fn next(name: &str, text: &mut Text) -> Result<bool, Error> {
    text.next().map_err(|error| wrong(name, text, error))
}

/// A word as it is shown in messages.
pub(super) fn shown(word: &[u8]) -> String {
    let text = crate::text::decoded(word);
    let mut shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    shown
}
