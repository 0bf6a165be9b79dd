//! Standard error.

use std::io::{self, Write as _};

/// Writes to standard error, which may be closed: then there is nobody to tell.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
