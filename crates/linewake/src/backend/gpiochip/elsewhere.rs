//! Gpiochips on systems other than Linux: there are none.

use std::sync::Arc;

use super::Backend;
use crate::{Error, ErrorKind};

/// True if a spec names a Linux gpiochip.
pub(crate) fn is_spec(spec: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    spec.starts_with("label:")
        || spec.starts_with("/dev/gpiochip")
        || is_number(spec.strip_prefix("gpiochip").unwrap_or(spec))
}

pub(crate) fn open(spec: &str) -> Result<Arc<dyn Backend>, Error> {
    let message =
        format!("there is no chip \"{spec}\": only Linux has gpiochips; open \"sim\", or a device of this system");
    Err(Error::new(ErrorKind::UnknownChip, message))
}

pub(crate) fn names() -> Vec<String> {
    Vec::new()
}

pub(crate) fn labelled(_: &str) -> Option<String> {
    None
}
