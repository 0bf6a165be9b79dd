//! Operands that are chips: libgpiod's first tools took a chip before the lines, and many still write it so.

use std::iter;

/// True if the word before a colon makes the whole operand a spec, so that no line is behind the colon.
pub(super) fn is_kind(word: &str) -> bool {
    let kinds = linewake::chip_specs().iter().filter_map(|spec| Some(spec.form.split_once(':')?.0));
    kinds.filter(|kind| *kind != "sim").any(|kind| kind == word)
}

/// The offset, if the operand is decimal digits.
pub(super) fn offset_in(id: &str) -> Option<u32> {
    id.bytes().all(|byte| byte.is_ascii_digit()).then(|| id.parse().ok()).flatten()
}

/// True if an operand is the name of a chip.
pub(crate) fn is_chip(id: &str) -> bool {
    let name = id.strip_prefix("/dev/").unwrap_or(id);
    id == "sim" || linewake::chips().iter().any(|chip| chip == id || chip == name)
}

/// True if an operand is the number of a chip that exists.
pub(crate) fn is_chip_number(id: &str) -> bool {
    offset_in(id).is_some_and(|number| linewake::chips().contains(&format!("gpiochip{number}")))
}

/// The message for an operand that is a chip; `others` follow it.
pub(crate) fn told_as_chip(id: &str, chip: &str, others: &[String]) -> String {
    format!("\"{id}\" is a chip, not a line; name the chip with -c: {}", with_chip(chip, others))
}

/// The way to name a chip before lines.
pub(super) fn with_chip(chip: &str, lines: &[String]) -> String {
    let words: Vec<_> = iter::once(chip).chain(lines.iter().map(String::as_str)).map(word).collect();
    format!("\"-c {}\"", words.join(" "))
}

/// A word as the shell needs it.
fn word(text: &str) -> String {
    if text.contains(char::is_whitespace) { format!("'{text}'") } else { text.to_owned() }
}
