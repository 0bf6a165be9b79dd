//! Text for a terminal: lines that are too long are wrapped, with an indent. A pipe gets whole lines.

use std::io::{IsTerminal as _, Write as _};

use crate::exit::Failure;
use crate::output;

/// The columns of a terminal that does not say its width.
const USUAL: usize = 80;
/// The fewest columns; a narrower terminal gets longer lines.
const NARROWEST: usize = 40;

/// The columns of standard output, if it is a terminal.
pub(crate) fn width() -> Option<usize> {
    std::io::stdout().is_terminal().then(|| columns().unwrap_or(USUAL).max(NARROWEST))
}

#[cfg(unix)]
fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

#[cfg(not(unix))]
fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}

/// Writes a text to standard output, wrapped to its width.
pub(crate) fn show(text: &str) -> Result<(), Failure> {
    let text = fit(text, width());
    output::write(|out| out.write_all(text.as_bytes()))
}

/// Wraps a text to so many columns; `None` is no limit.
pub(crate) fn fit(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    text.lines().map(|line| wrapped(line, width)).collect()
}

fn wrapped(line: &str, width: usize) -> String {
    let indent = line.chars().take_while(|&c| c == ' ').count();
    let hanging = (indent + behind(line.trim_start())).min(width / 2);
    let mut text = String::new();
    let mut column = 0;
    for (place, word) in line.trim_start().split(' ').enumerate() {
        let length = word.chars().count();
        if place == 0 {
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if column + 1 + length > width && !word.is_empty() {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(&" ".repeat(hanging));
            column = hanging;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
    text
}

/// The indent of a wrapped line, which is behind the mark of an item.
fn behind(line: &str) -> usize {
    let mut chars = line.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('-'), Some(' '), _) => 2,
        (Some(_), Some(' '), Some(' ')) => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_goes_on_behind_what_it_begins_with() {
        let text = "  - one two three four five six seven\n      a  bytes 0 to 3: one two three four\nshort\n";
        let fitted = fit(text, Some(24));
        let expected = "  - one two three four\n    five six seven\n      a  bytes 0 to 3:\n         one two three\n         \
                        four\nshort\n";
        assert_eq!(fitted, expected);
        assert_eq!(fit(text, None), text);
    }

    #[test]
    fn a_word_that_fits_nowhere_is_left_whole() {
        assert_eq!(fit("a 0123456789012345678901234567890123456789012345678901\n", Some(40)).lines().count(), 2);
        assert_eq!(fit("           aaaabbbb\n\n", Some(40)), "           aaaabbbb\n\n");
    }
}
