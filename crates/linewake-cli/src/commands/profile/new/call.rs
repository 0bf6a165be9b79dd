//! A call of the skeleton: its code, and the fields of its structs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::names::{Names, guess, named_like};
use crate::commands::profile::header::{Carried, Header, Layouts, Model, Number, Place, Shape};

/// The use of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// [wait] names it.
    Wait,
    Other,
}

/// A comment of the header, as the rest of a comment's line.
pub(super) fn comment_of(header: &Header<'_>, line: u32) -> String {
    match header.comment(line).first() {
        Some(first) => format!(": {first}"),
        None => String::new(),
    }
}

/// Writes a call, and adds its structs to `shown`.
pub(super) fn written(
    text: &mut String,
    header: &Header<'_>,
    layouts: &Layouts<'_, '_>,
    names: &Names,
    code: usize,
    used: Use,
    shown: &mut BTreeSet<usize>,
) -> std::fmt::Result {
    let (of, name) = (&header.codes[code], names.of(code));
    writeln!(text, "# {}, {}", of.name, header.place(of.line))?;
    let comment = header.comment(of.line);
    comment.iter().try_for_each(|line| writeln!(text, "#   {line}"))?;
    match &of.number {
        Number::Control { device_type, function, method, access } => {
            let methods = ["buffered", "in-direct", "out-direct", "neither"];
            let accesses = ["any", "read", "write", "read-write"];
            if matches!(method, 1 | 3) {
                writeln!(
                    text,
                    "# No profile can send it: METHOD_NEITHER gives the driver addresses, and METHOD_IN_DIRECT"
                )?;
                writeln!(text, "# writes to the device what an output would hold. Use \"overlapped\" for that.")?;
                return writeln!(text, "# [call.{name}]\n");
            }
            writeln!(text, "[call.{name}]")?;
            writeln!(text, "device_type = {device_type:#06x}\nfunction = {function:#05x}")?;
            writeln!(text, "method = \"{}\"", methods[*method as usize & 3])?;
            writeln!(text, "access = \"{}\"", accesses[*access as usize & 3])?;
            structs_of_comment(text, layouts, name, &comment, used, shown)?;
        }
        Number::Ioctl { direction, group, number, carried } => {
            writeln!(text, "[call.{name}]")?;
            writeln!(text, "ioctl = {}", ioctl(*direction, *group, *number, carried))?;
            if used == Use::Wait {
                waits(text, header, names)?;
            }
            carries(text, layouts, name, *direction, carried, used, shown)?;
        }
        Number::Plain(number) => {
            writeln!(text, "[call.{name}]")?;
            writeln!(text, "# A plain number: `code` for Windows, `ioctl` for Linux.")?;
            let (key, other) = match header.model {
                Model::Windows => ("code", "ioctl"),
                Model::Linux => ("ioctl", "code"),
            };
            writeln!(text, "{key} = {number:#x} # or {other} = {number:#x}")?;
            if used == Use::Wait && key == "ioctl" {
                waits(text, header, names)?;
            }
            nothing_known(text, name, used)?;
        }
    }
    writeln!(text)
}

fn waits(text: &mut String, header: &Header<'_>, names: &Names) -> std::fmt::Result {
    writeln!(
        text,
        "# Does the driver sleep in this call until an input changes? Then `blocks = true`. Or does poll(2) say when"
    )?;
    writeln!(text, "# to make it? Then `when = \"readable\"`, in place of this:")?;
    writeln!(text, "blocks = \"TODO: true, or `when` in place of this\"")?;
    let ends = named_like(header, names, &["cancel", "abort", "unblock", "stop", "wakeup"]).next();
    let (name, guess) = ends.map_or(("NAME", ""), |ends| (names.of(ends), " (a guess, by its name)"));
    writeln!(text, "# ended_by = \"{name}\" # if it blocks: the call that makes it return{guess}")
}

fn ioctl(direction: u32, group: u32, number: u32, carried: &Carried) -> String {
    let direction = ["none", "write", "read", "read-write"][direction as usize & 3];
    let group = match u8::try_from(group) {
        Ok(letter) if letter.is_ascii_alphanumeric() => format!("\"{}\"", char::from(letter)),
        _ => format!("{group:#04x}"),
    };
    let size = match (carried.size, carried.of.as_str()) {
        (Some(size), _) => format!(", size = {size}"),
        (None, "") => String::new(),
        (None, of) => format!(", size = \"TODO: how many bytes has {}?\"", quoted(of)),
    };
    format!("{{ direction = \"{direction}\", type = {group}, number = {number:#x}{size} }}")
}

/// A text of the header, escaped for a text of the profile.
fn quoted(words: &str) -> String {
    words
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .map(|c| if matches!(c, '"' | '\\') { '\'' } else { c })
        .collect()
}

/// The argument of an ioctl, by its definition.
fn carries(
    text: &mut String,
    layouts: &Layouts<'_, '_>,
    name: &str,
    direction: u32,
    carried: &Carried,
    used: Use,
    shown: &mut BTreeSet<usize>,
) -> std::fmt::Result {
    if direction == 0 && carried.of.is_empty() {
        writeln!(
            text,
            "# No argument, by its number. Some drivers take a number all the same, and answer by what is returned:"
        )?;
        writeln!(text, "# argument = \"value\" # with an input; answer = \"value\" # with an output of 4 bytes")?;
        return match used {
            Use::Wait => writeln!(
                text,
                "# It gives nothing: say `then` in [wait], the call that says what happened; or which `edge` it is."
            ),
            Use::Other => Ok(()),
        };
    }
    if carried.is_pointer {
        writeln!(
            text,
            "# The number has the size of a pointer. The driver takes the struct itself: give its length below."
        )?;
    } else if carried.record.is_none() {
        writeln!(
            text,
            "# {}: the driver takes the address of it (copy_from_user, get_user), or a number by itself:",
            carried.of
        )?;
        writeln!(text, "# argument = \"value\" # if it is a number by itself")?;
    }
    if !carried.unknown.is_empty() {
        writeln!(text, "# Its size is not known, since {}.", carried.unknown)?;
    }
    let shape = carried.record.map(|record| {
        shown.insert(record);
        layouts.shape(record)
    });
    let shape = shape.unwrap_or_else(|| plain(carried));
    if direction & 2 != 0 {
        output(text, name, &shape, used)?;
    }
    if direction & 1 != 0 {
        input(text, name, &shape, direction & 2 != 0)?;
    }
    Ok(())
}

/// A struct with one number.
fn plain(carried: &Carried) -> Shape {
    let place = carried.size.filter(|size| matches!(size, 1 | 2 | 4 | 8) && !carried.is_pointer).map(|size| Place {
        name: String::new(),
        of: carried.of.clone(),
        at: 0,
        width: size,
        count: Some(1),
        stride: size,
        is_big_endian: false,
        is_pointer: false,
    });
    let size = carried.size.filter(|_| !carried.is_pointer);
    Shape { name: carried.of.clone(), size, places: place.into_iter().collect(), ..Shape::default() }
}

/// The structs that the comment of a control code names.
fn structs_of_comment(
    text: &mut String,
    layouts: &Layouts<'_, '_>,
    name: &str,
    comment: &[String],
    used: Use,
    shown: &mut BTreeSet<usize>,
) -> std::fmt::Result {
    let (mut sent, mut given, mut is_input) = (None, None, false);
    for word in comment.iter().flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')) {
        match word.to_ascii_lowercase().as_str() {
            "in" | "input" | "inbuffer" | "sends" | "takes" => is_input = true,
            "out" | "output" | "outbuffer" | "returns" | "gives" | "fills" => is_input = false,
            _ => {}
        }
        if let Some(record) = layouts.named(word) {
            let place = if is_input { &mut sent } else { &mut given };
            *place = place.or(Some(record));
        }
    }
    if sent.is_none() && given.is_none() {
        return nothing_known(text, name, used);
    }
    writeln!(text, "# The structs are those that its comment names.")?;
    shown.extend(sent.iter().chain(&given));
    if let Some(given) = given {
        output(text, name, &layouts.shape(given), used)?;
    }
    if let Some(sent) = sent {
        input(text, name, &layouts.shape(sent), false)?;
    }
    Ok(())
}

fn nothing_known(text: &mut String, name: &str, used: Use) -> std::fmt::Result {
    match used {
        Use::Wait => {
            writeln!(text, "\n[call.{name}.output]")?;
            writeln!(text, "length = \"TODO: how many bytes does it give at most?\" # the structs are below")?;
            writeln!(text, "# record = 0 # of one record, if it gives several")?;
            writeln!(text, "{TODO_FIELDS}")?;
            writeln!(text, "# fields.levels = {{ at = 0, width = 4 }}")
        }
        Use::Other => {
            writeln!(text, "# input = {{ length = 0, fields = [] }} # what it sends, if it sends something")?;
            writeln!(text, "# output = {{ length = 0, fields = {{}} }} # what it gives, if it gives something")
        }
    }
}

const TODO_FIELDS: &str = "fields = \"TODO: remove '# ' from each line below that is true, and delete this line\"";

fn output(text: &mut String, name: &str, shape: &Shape, used: Use) -> std::fmt::Result {
    writeln!(text, "\n[call.{name}.output]")?;
    length(text, shape)?;
    let list = list(shape);
    if let Some((first, record)) = list {
        let (header, name) = (&shape.places[..first], shape.places[first].name.split('[').next().unwrap_or_default());
        writeln!(text, "# \"{name}\" is a list of records:")?;
        writeln!(text, "header = {}\nrecord = {record}", shape.places[first].at)?;
        for place in header {
            match guess(&place.name) {
                "count" => writeln!(text, "# records = {} # {}: a guess, by its name", at(place), what(place))?,
                _ => writeln!(text, "# The header also has {} at {}.", what(place), place.at)?,
            }
        }
    }
    if used == Use::Wait {
        writeln!(text, "{TODO_FIELDS}")?;
    }
    if !shape.places.is_empty() {
        let heading = if shape.line > 0 { ", as a compiler for 64 bits lays it out" } else { "" };
        writeln!(text, "# \"{}\"{heading}. The keys are guesses, by the names:", shape.name)?;
    }
    let mut shown = shape.clone();
    if let Some((first, _)) = list {
        let header = shape.places[first].at;
        shown.places.drain(..first);
        // Offsets count from the start of a record.
        shown.places.iter_mut().for_each(|place| (place.at, place.count) = (place.at - header, Some(1)));
    }
    let has_line = shown.places.iter().any(|place| guess(&place.name) == "line");
    let lines = lines_of(&shown, |place| field(place, has_line));
    lines.iter().try_for_each(|line| writeln!(text, "# {line}"))
}

/// A field of an output, with its keys.
fn field(place: &Place, has_line: bool) -> String {
    let key = match guess(&place.name) {
        // A record of one line has no mask.
        "rising" | "falling" | "changed" if has_line => "edge",
        "levels" if has_line => "level",
        key => key,
    };
    let unit = ["ns", "us", "ms"].into_iter().find(|unit| place.name.ends_with(&format!("_{unit}")));
    let more = match (key, unit) {
        ("edge", _) => ", rising = \"TODO: which number?\", falling = \"TODO: which number?\"",
        ("timestamp", Some("ns")) => ", unit = \"ns\"",
        ("timestamp", Some("us")) => ", unit = \"us\"",
        ("timestamp", Some(_)) => ", unit = \"ms\"",
        ("timestamp", None) => ", unit = \"TODO: ns, 100ns, us, ms or s\"",
        ("count", _) => ", since = \"TODO: start, open or last\"",
        _ => "",
    };
    format!("fields.{key} = {}{more} }}", open(place))
}

/// The first field of a list of structs at the end of a struct, and the length of one of them.
fn list(shape: &Shape) -> Option<(usize, u64)> {
    let first = shape.places.iter().position(|place| place.name.contains("[0]."))?;
    let (list, _) = shape.places[first].name.split_once("[0].")?;
    let is_of_list = |place: &Place| place.name.strip_prefix(list).is_some_and(|rest| rest.starts_with("[0]."));
    let is_last = shape.places[first..].iter().all(is_of_list) && shape.doubts.is_empty();
    (is_last && shape.places[first].stride > 0).then_some((first, shape.places[first].stride))
}

fn input(text: &mut String, name: &str, shape: &Shape, is_both: bool) -> std::fmt::Result {
    writeln!(text, "\n[call.{name}.input]")?;
    length(text, shape)?;
    writeln!(
        text,
        "# What is sent in \"{}\": a number, \"line\", \"mask\", \"edges\"; what is not said is zero.",
        shape.name
    )?;
    if is_both {
        writeln!(text, "# It goes both ways, in one buffer.")?;
    }
    writeln!(text, "fields = [")?;
    let lines = lines_of(shape, |place| format!("{}, value = 0 }},", open(place)));
    lines.iter().try_for_each(|line| writeln!(text, "    # {line}"))?;
    writeln!(text, "]")
}

fn length(text: &mut String, shape: &Shape) -> std::fmt::Result {
    match shape.size {
        Some(size) if size > 0 => writeln!(text, "length = {size}")?,
        _ => writeln!(text, "length = \"TODO: how many bytes has {}?\"", quoted(&shape.name))?,
    }
    shape.doubts.iter().try_for_each(|doubt| writeln!(text, "# {doubt}"))
}

/// The fields of a struct, as text.
pub(super) fn places(shape: &Shape) -> Vec<String> {
    let mut lines = lines_of(shape, at);
    lines.extend(shape.doubts.iter().cloned());
    lines
}

fn at(place: &Place) -> String {
    format!("{} }}", open(place))
}

/// The fields of a struct, with room for more keys.
fn open(place: &Place) -> String {
    let width = place.width.min(place.stride.max(1));
    let endian = if place.is_big_endian { ", endian = \"big\"" } else { "" };
    format!("{{ at = {}, width = {width}{endian}", place.at)
}

fn lines_of(shape: &Shape, with: impl Fn(&Place) -> String) -> Vec<String> {
    let rows: Vec<_> = shape.places.iter().map(|place| (with(place), place)).collect();
    let widest = rows.iter().map(|(row, _)| row.len()).max().unwrap_or(0).min(60);
    rows.iter().map(|(row, place)| format!("{row:widest$} # {}", what(place)).trim_end().to_owned()).collect()
}

/// The type of a field, in the header's words.
fn what(place: &Place) -> String {
    let apart = match place.stride == place.width {
        true => String::new(),
        false => format!(", each {} bytes after the one before", place.stride),
    };
    let several = match place.count {
        Some(1) => String::new(),
        Some(count) => format!("; the first of {count}{apart}"),
        None => format!("; the first of as many as follow{apart}"),
    };
    let pointer = if place.is_pointer { "; an address, which no profile can follow" } else { "" };
    let wide = if place.width > 8 { "; too wide for a number" } else { "" };
    format!("{} {}{several}{pointer}{wide}", place.of, place.name).trim().to_owned()
}
