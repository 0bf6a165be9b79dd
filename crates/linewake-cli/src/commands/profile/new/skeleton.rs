//! A profile from a header, with a TODO for each thing that the header does not say.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::call::{Use, comment_of, places, written};
use super::names::{Names, guessed_wait, named_like};
use crate::commands::profile::header::{Header, Layouts, Model, Number};

/// The most structs that are listed to choose from.
const MOST_SHAPES: usize = 40;

/// The most lines of a profile.
pub(super) const MOST_LINES: u32 = 1024;

/// The facts that the user gave.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UserFacts<'a> {
    pub(super) device: Option<&'a str>,
    pub(super) lines: Option<u32>,
}

/// Checks that a profile can open a device.
pub(super) fn check_device(device: &str) -> Result<(), String> {
    let bare = device.trim_start_matches('{').trim_end_matches('}');
    let is_guid =
        bare.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && bare.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let is_path = ["/dev/", r"\\.\", r"\\?\"].iter().any(|start| device.starts_with(start));
    if device.contains('\'') || device.chars().any(char::is_control) || !(is_guid || is_path) {
        return Err(format!(
            "expected a device, found \"{device}\"; write a path like /dev/card0 or \\\\.\\Card0, or the \
             GUID of an interface"
        ));
    }
    Ok(())
}

/// The section [device].
pub(super) fn device(device: &str) -> String {
    let key = if device.starts_with('/') || device.starts_with('\\') { "path" } else { "interface" };
    format!("[device]\n{key} = '{device}'\n")
}

pub(super) fn write(header: &Header<'_>, known: UserFacts<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_to(&mut text, header, known);
    text
}

fn write_to(text: &mut String, header: &Header<'_>, known: UserFacts<'_>) -> std::fmt::Result {
    let names = Names::new(header);
    // The time grows with the header, so this is done once.
    let layouts = header.layouts();
    writeln!(text, "# The skeleton of a profile, made from a header by \"linewake profile new\".")?;
    writeln!(text, "# What the header does not say is TODO: \"linewake profile check\" points at what is left.")?;
    writeln!(text, "# Then \"linewake profile explain\" says what it will do, and \"linewake profile try\" what the")?;
    writeln!(text, "# device answers. Every key is in docs/profiles.md.\n")?;
    writeln!(text, "name = \"{}\"", names.chip)?;
    match known.lines {
        Some(lines) => writeln!(text, "lines = {lines}")?,
        None => writeln!(text, "lines = \"TODO: how many inputs are there?\" # or a [[line]] with a name for each")?,
    }
    write_sequences(text, header, &names)?;
    write_device(text, header, known)?;
    let wait = guessed_wait(header, &names);
    write_wait(text, header, &names, wait)?;
    let mut shown = BTreeSet::new();
    if let Some(wait) = wait {
        written(text, header, &layouts, &names, wait, Use::Wait, &mut shown)?;
    }
    if (0..header.codes.len()).any(|code| Some(code) != wait) {
        writeln!(
            text,
            "# The other calls. Remove \"# \" from those that you name above: a call that nothing uses is an error.\n"
        )?;
    }
    for code in (0..header.codes.len()).filter(|code| Some(*code) != wait) {
        let mut call = String::new();
        written(&mut call, header, &layouts, &names, code, Use::Other, &mut shown)?;
        call.trim_end().lines().try_for_each(|line| writeln!(text, "{}", format!("# {line}").trim_end()))?;
        writeln!(text)?;
    }
    write_shapes(text, header, &layouts, &shown)?;
    if !header.notes.is_empty() {
        writeln!(text, "# What was left out of the header:")?;
        header.notes.iter().try_for_each(|note| writeln!(text, "#   {note}"))?;
    }
    let length = text.trim_end().len();
    text.truncate(length);
    writeln!(text)
}

fn write_device(text: &mut String, header: &Header<'_>, known: UserFacts<'_>) -> std::fmt::Result {
    if let Some(known) = known.device {
        return writeln!(text, "{}", device(known));
    }
    let devices = header.devices();
    let interfaces = header.interfaces();
    if devices.is_empty() && interfaces.is_empty() {
        let what = match header.model {
            Model::Windows => r"its path, like \\\\.\\Card0, or in place of `path` the GUID of its interface",
            Model::Linux => "its file, like /dev/card0",
        };
        return writeln!(text, "[device]\npath = \"TODO: what is opened? {what}\"\n");
    }
    writeln!(text, "[device]")?;
    let found = interfaces.iter().map(|(name, guid, line)| ("interface", *name, guid, *line));
    let found = found.chain(devices.iter().map(|(name, path, line)| ("path", *name, path, *line)));
    for (at, (key, name, value, line)) in found.take(20).enumerate() {
        // One is active; the others are comments to choose from.
        let place = header.place(line);
        writeln!(text, "{}{key} = '{value}' # {name}, {place}", if at == 0 { "" } else { "# " })?;
    }
    writeln!(text)
}

/// The calls that probably set up and release, by their names.
fn write_sequences(text: &mut String, header: &Header<'_>, names: &Names) -> std::fmt::Result {
    let like = |words: &[&str]| {
        let found: Vec<_> = named_like(header, names, words).map(|code| format!("\"{}\"", names.of(code))).collect();
        let guess = if found.is_empty() { "" } else { " (a guess, by the names)" };
        (found.join(", "), guess)
    };
    let (setup, guess) =
        like(&["set", "enable", "config", "configure", "register", "start", "attach", "claim", "open"]);
    writeln!(text, "# setup = [{setup}] # sent in this order when lines are asked for{guess}")?;
    let (release, guess) = like(&["disable", "unregister", "stop", "detach", "release", "close"]);
    writeln!(text, "# release = [{release}] # and when they are given back{guess}\n")
}

fn write_wait(text: &mut String, header: &Header<'_>, names: &Names, wait: Option<usize>) -> std::fmt::Result {
    writeln!(text, "[wait]")?;
    match wait {
        Some(wait) => {
            writeln!(text, "by = \"call\"")?;
            writeln!(
                text,
                "call = \"{}\" # a guess, by its name: does it return when an input changes?",
                names.of(wait)
            )?;
        }
        None => {
            writeln!(text, "# How does the driver tell that an input changed?")?;
            writeln!(text, "#   \"call\": a call returns then         \"event\": an event is set then (Windows)")?;
            writeln!(
                text,
                "#   \"read\": a read returns then         \"poll\": not at all, and it is asked again and again"
            )?;
            writeln!(text, "by = \"TODO: call, read, event or poll\"")?;
            writeln!(text, "# call = \"NAME\" # by call: which one")?;
            writeln!(text, "# then = \"NAME\" # by poll and event: the call that says what happened")?;
            writeln!(text, "# period_us = 1000 # by poll: how often")?;
        }
    }
    writeln!(text, "# What does an answer say?")?;
    writeln!(text, "#   \"edge\": one edge                    \"mask\": a bit for each line that had an edge")?;
    writeln!(text, "#   \"level\": the level of one, or all     \"count\": how many edges a line had")?;
    writeln!(text, "means = \"TODO: edge, level, mask or count\"")?;
    let levels: Vec<_> = named_like(header, names, LEVELS).collect();
    writeln!(text, "\n# What are the levels at the start? Needed for \"level\", and for a mask of what \"changed\".")?;
    writeln!(text, "# [levels]\n# start = \"unknown\" # or \"inactive\", \"active\"; or, if it can be asked:")?;
    match levels.as_slice() {
        [only] => writeln!(text, "# call = \"{}\" # a guess, by its name", names.of(*only))?,
        _ => writeln!(text, "# call = \"NAME\"")?,
    }
    if wait.is_none() {
        writeln!(text, "\n# By read: what a read brings. The structs are below.")?;
        writeln!(text, "# [wait.output]\n# length = 64 # of what is read at most\n# record = 8 # of one record")?;
        writeln!(
            text,
            "# fields.line = {{ at = 0, width = 4 }}\n# rest = \"unused\" # what is not named means nothing"
        )?;
    }
    writeln!(text)
}

/// Words in the name of a call that returns levels.
const LEVELS: &[&str] = &["level", "levels", "inputs", "input", "values", "states", "switches", "pins", "status"];

/// The structs that belong to no known call.
fn write_shapes(
    text: &mut String,
    header: &Header<'_>,
    layouts: &Layouts<'_, '_>,
    shown: &BTreeSet<usize>,
) -> std::fmt::Result {
    let others: Vec<_> = layouts.all().filter(|record| !shown.contains(record)).collect();
    if others.is_empty() {
        return Ok(());
    }
    let carried = header.codes.iter().any(|code| matches!(code.number, Number::Control { .. } | Number::Plain(_)));
    let why = if carried { "; the header does not say which call carries which" } else { "" };
    writeln!(text, "# The structs of the header{why}:")?;
    for &record in others.iter().take(MOST_SHAPES) {
        let shape = layouts.shape(record);
        let size = shape.size.map_or("of a size that is not known".to_owned(), |size| format!("{size} bytes"));
        writeln!(
            text,
            "#\n# \"{}\", {size}, {}{}",
            shape.name,
            header.place(shape.line),
            comment_of(header, shape.line)
        )?;
        for line in places(&shape) {
            writeln!(text, "#   {line}")?;
        }
    }
    if let Some(more) = others.len().checked_sub(MOST_SHAPES).filter(|more| *more > 0) {
        writeln!(text, "#\n# and {more} more")?;
    }
    writeln!(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::profile::header::File;

    #[test]
    fn wherever_a_header_is_cut_or_damaged_the_skeleton_is_toml() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/headers");
        for name in ["card_uapi.h", "dio_vendor.h", "quadin_public.h"] {
            let bytes = std::fs::read(format!("{directory}/{name}")).unwrap();
            // Any odd step will do.
            for at in (0..bytes.len()).step_by(7) {
                let cut = bytes[..at].to_vec();
                let mut damaged = bytes.clone();
                damaged[at] = b"{}()*/#\"\\;,[]:\n\0\xff"[at % 17];
                for bytes in [cut, damaged] {
                    let files = [File::new("a.h".to_owned(), bytes)];
                    let text = write(&Header::read(&files), UserFacts::default());
                    let read = text.parse::<toml::Table>();
                    assert!(read.is_ok(), "{name} at {at}: {read:?}\n{text}");
                }
            }
        }
    }
}
