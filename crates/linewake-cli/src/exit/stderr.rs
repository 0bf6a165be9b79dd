//! Standard error.

use std::io::{self, Write as _};

use crate::display::Printable;

/// Writes to standard error; if it is closed, the text is dropped. Names in the text may come from a device or a file, so
/// control characters are escaped, except the ends of lines.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().write_all(printable(text).as_bytes());
}

fn printable(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => format!("{}\n", Printable(line)),
            None => Printable(line).to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_cannot_command_the_terminal() {
        assert_eq!(printable("one\x1b[2J\rx\u{9b}\ntür \n\nend"), "one\\u{1b}[2J\\rx\\u{9b}\ntür \n\nend");
        assert_eq!(printable(""), "");
    }
}
