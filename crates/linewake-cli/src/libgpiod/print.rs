//! Prints lines, times and formats.

use super::chip::LineInfo;
use super::out::Out;
use crate::display::settings;
use crate::stamp::Stamp;

/// Prints a name in quotes, or without them if `unquoted`.
pub(super) fn quoted(out: &mut Out, name: &[u8], unquoted: bool) {
    let quote = if unquoted { "" } else { "\"" };
    out.text(quote);
    out.printable(name);
    out.text(quote);
}

/// Prints a line: its name, with its chip and offset if the user named the chip or the line has no name.
pub(super) fn line_id(out: &mut Out, chip: &[u8], offset: u32, name: &[u8], with_chip: bool, unquoted: bool) {
    if with_chip || name.is_empty() {
        out.printable(chip);
        out.text(" ");
        out.number(offset);
        if name.is_empty() {
            return;
        }
        out.text(" ");
    }
    quoted(out, name, unquoted);
}

/// Prints the settings of a line; defaults are left out.
pub(super) fn attributes(out: &mut Out, line: &LineInfo, unquoted: bool) {
    out.text(&settings(line.direction, &line.config).to_string());
    if line.used {
        out.text(" consumer=");
        quoted(out, consumer(line), unquoted);
    }
}

/// The consumer of a line. A consumer without a name is in the kernel.
pub(super) fn consumer(line: &LineInfo) -> &[u8] {
    match (line.used, &*line.consumer) {
        (false, _) => b"unused",
        (true, b"") => b"kernel",
        (true, consumer) => consumer,
    }
}

/// Prints values with the names from the command line: `"door"=active "bell"=inactive`, or `1 0`.
pub(super) fn values<'a>(out: &mut Out, values: impl Iterator<Item = (&'a [u8], bool)>, unquoted: bool, numeric: bool) {
    for (at, (id, active)) in values.enumerate() {
        if at > 0 {
            out.text(" ");
        }
        if numeric {
            out.number(u8::from(active));
            continue;
        }
        let quote = if unquoted { "" } else { "\"" };
        out.text(quote);
        out.bytes(id);
        out.text(quote);
        out.text(if active { "=active" } else { "=inactive" });
    }
    out.text("\n");
}

/// Prints `Monitoring lines 'a', 'b', and 'c'...`, with the operands.
pub(super) fn banner(out: &mut Out, doing: &str, ids: &[&[u8]]) {
    out.text(doing);
    out.text(if ids.len() > 1 { " lines " } else { " line " });
    for (at, id) in ids.iter().enumerate() {
        out.text(match at {
            0 => "'",
            _ if at + 1 == ids.len() => ", and '",
            _ => ", '",
        });
        out.bytes(id);
        out.text("'");
    }
    out.text("...\n");
}

/// Prints a time in nanoseconds.
pub(super) fn time(out: &mut Out, ns: u64, stamp: Stamp) {
    let mut bytes = Vec::with_capacity(40);
    // Writing to memory cannot fail.
    let _ = stamp.write(ns, &mut bytes);
    out.bytes(&bytes);
}

/// Prints a format and a newline. `expand` writes the value of a letter, or returns false for an unknown letter: that
/// is printed unchanged, and so is a `%` at the end.
pub(super) fn format(out: &mut Out, format: &[u8], mut expand: impl FnMut(&mut Out, u8) -> bool) {
    let mut rest = format;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        out.bytes(&rest[..at]);
        let Some(&letter) = rest.get(at + 1) else {
            rest = b"%";
            break;
        };
        if letter == b'%' {
            out.text("%");
        } else if !expand(out, letter) {
            out.bytes(&[b'%', letter]);
        }
        rest = &rest[at + 2..];
    }
    out.bytes(rest);
    out.text("\n");
}
