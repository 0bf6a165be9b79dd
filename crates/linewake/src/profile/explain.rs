//! A profile in plain English.

use std::fmt;

use super::call::What;
use super::device::Place;
use super::field::{Endian, Field};
use super::input::{Input, Sent};
use super::output::{Output, Role, Since};
use super::plan::Plan;
use super::wait::{By, EventSource, Means};
use crate::{Error, ErrorKind};

pub(super) struct Explanation<'a>(pub(super) &'a Plan);

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        writeln!(f, "{}: chip \"{}\" with {} lines", plan.file, plan.name, plan.lines.len())?;
        for (offset, line) in plan.lines.iter().enumerate() {
            if let Some(name) = &line.name {
                writeln!(f, "  line {offset} is \"{name}\"")?;
            }
        }
        match plan.target.as_ref().map(|target| (&target.place, target.exclusive)) {
            None => writeln!(f, "It names no device; the program that uses it opens one.")?,
            Some((place, exclusive)) => {
                let alone = if exclusive { ", for itself alone" } else { "" };
                match place {
                    Place::Path(path) => writeln!(f, "It opens {path}{alone}.")?,
                    Place::Interface { guid, .. } => {
                        writeln!(f, "It opens the first device of the interface {guid}{alone}.")?
                    }
                    Place::Subsystem { name, .. } => writeln!(f, "It opens a device of the class {name}{alone}.")?,
                }
            }
        }
        self.calls(f, "When lines are asked for, it sends, in this order:", &plan.setup)?;
        self.wait(f)?;
        for &levels in plan.levels.calls() {
            let each = if plan.levels_each_line() { ", once for each line" } else { "" };
            writeln!(f, "It reads the levels of the lines{each} with:")?;
            self.call(f, levels)?;
        }
        self.calls(f, "When the lines are given back, it sends:", &plan.release)?;
        if let Some(account) = plan.account {
            writeln!(f, "Then it asks what became of every edge, so that the account is exact, with:")?;
            self.call(f, account)?;
        }
        self.trust(f)?;
        match plan.need_consent().as_slice() {
            [] => writeln!(f, "Nothing in it needs to be allowed."),
            needed => {
                writeln!(f, "You have to allow it (--allow-writes), because:")?;
                needed
                    .iter()
                    .try_for_each(|(call, why)| writeln!(f, "  \"{}\" ({}): {why}", call.name, call.what.words()))
            }
        }
    }
}

impl Explanation<'_> {
    fn calls(&self, f: &mut fmt::Formatter<'_>, intro: &str, calls: &[usize]) -> fmt::Result {
        if calls.is_empty() {
            return Ok(());
        }
        writeln!(f, "{intro}")?;
        calls.iter().try_for_each(|&call| self.call(f, call))
    }

    fn call(&self, f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
        let call = self.0.call(index);
        let name = &call.name;
        match &call.what {
            What::Control(code) => writeln!(
                f,
                "  \"{name}\": control code {code} (device type {:#06x}, function {:#05x}, {:?}, access {:?})",
                code.device_type(),
                code.function(),
                code.method(),
                code.access()
            )?,
            what => writeln!(f, "  \"{name}\": {}", what.words())?,
        }
        input(f, &call.input)?;
        output(f, &call.output)
    }

    fn wait(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wait = &self.0.wait;
        let of = if wait.each_line { "for each line" } else { "for the card" };
        match &wait.by {
            By::Call(call) => {
                writeln!(
                    f,
                    "It keeps {} of these pending {of}; a completion says that something happened:",
                    wait.pending
                )?;
                self.call(f, *call)?;
            }
            By::Read(bytes) => {
                writeln!(f, "It keeps {} reads pending; what is read says what happened:", wait.pending)?;
                output(f, bytes)?;
            }
            By::Event(EventSource::Named(name)) => writeln!(f, "It waits for the event \"{name}\" {of} (on Windows).")?,
            By::Event(EventSource::Made) => {
                writeln!(f, "It makes an event, gives the driver its handle, and waits for it (on Windows).")?;
            }
            By::Poll(period) => {
                writeln!(f, "It asks every {} µs {of}; what happens faster is not seen.", period.as_micros())?
            }
        }
        self.calls(f, "After each it sends, in this order:", &wait.then)?;
        let meaning = match wait.means {
            Means::Edge => "Each record is one edge.",
            Means::Level => "It gives levels: a line whose level is another than before had an edge.",
            Means::Count => {
                "It counts the edges of a line: the last of those that are new is delivered, the others are missing."
            }
            Means::Mask if !self.0.tells(Role::Changed) => "A set bit is one edge of its line.",
            Means::Mask if self.0.reads_levels_after() => {
                "A set bit is a line that changed, once at least; the levels are read after to know which way."
            }
            Means::Mask => "A set bit is a line that changed, once at least; the levels say which way.",
        };
        writeln!(f, "{meaning}")?;
        let stamped =
            if self.0.tells(Role::Timestamp) { "the device's own clock" } else { "this computer when they arrive" };
        writeln!(f, "Edges are stamped by {stamped}.")
    }

    fn trust(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tells = |role| self.0.tells(role);
        f.write_str(if tells(Role::Overflowed) && self.0.account.is_some() {
            "The account is exact: the device says what is missing, and keeps counters.\n"
        } else if tells(Role::Overflowed) || tells(Role::LineSeqno) || tells(Role::Count) {
            "The account is \"at least\": what is missing is known when the next edge comes.\n"
        } else {
            "The account is \"at least\": only the same direction twice shows that an edge is missing.\n"
        })
    }
}

/// Where a field is, in words.
struct Where<'a>(&'a Field);

impl fmt::Display for Where<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Field { at, width, endian, bits } = *self.0;
        match width {
            1 => write!(f, "byte {at}")?,
            _ => {
                let first = if endian == Endian::Big { "most" } else { "least" };
                write!(f, "bytes {at} to {} ({first} significant first)", at + width - 1)?;
            }
        }
        match bits {
            None => Ok(()),
            Some((bit, 1)) => write!(f, " bit {bit}"),
            Some((first, bits)) => write!(f, " bits {first} to {}", first + bits - 1),
        }
    }
}

fn input(f: &mut fmt::Formatter<'_>, input: &Input) -> fmt::Result {
    if input.length == 0 {
        return writeln!(f, "    sends nothing");
    }
    let each = if input.each_line { " for each line that is asked for" } else { "" };
    writeln!(f, "    sends {} bytes{each}:", input.length)?;
    if input.bytes.iter().any(|&byte| byte != 0) {
        let bytes: Vec<_> = input.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(f, "      the bytes {}", bytes.join(" "))?;
    }
    for (field, sent) in &input.fields {
        write!(f, "      {}: ", Where(field))?;
        match sent {
            Sent::Number(number) => writeln!(f, "{number} ({number:#x})")?,
            Sent::Line => writeln!(f, "the number of the line")?,
            Sent::Mask => writeln!(f, "the bits of the lines that are asked for")?,
            Sent::Lines => writeln!(f, "how many lines are asked for")?,
            Sent::Queue => writeln!(f, "how many events are to be queued, 0 if nobody chose")?,
            Sent::Event => writeln!(f, "the handle of an event")?,
            Sent::Edges { rising, falling, none } => writeln!(
                f,
                "which edges are wanted: {rising:#x} rising, {falling:#x} falling, {:#x} both, {none:#x} none",
                rising | falling
            )?,
        }
    }
    Ok(())
}

fn output(f: &mut fmt::Formatter<'_>, output: &Output) -> fmt::Result {
    if output.length == 0 {
        return writeln!(f, "    gets nothing");
    }
    writeln!(f, "    gets up to {} bytes:", output.length)?;
    if output.header > 0 {
        writeln!(f, "      a header of {} bytes", output.header)?;
    }
    if let Some(records) = &output.records {
        writeln!(f, "      {}: how many records follow", Where(records))?;
    }
    if output.length - output.header > output.record {
        writeln!(f, "      records of {} bytes; in each:", output.record)?;
    }
    for (role, field) in &output.fields {
        writeln!(f, "      {}: {}", Where(field), meaning(*role, output))?;
    }
    Ok(())
}

fn meaning(role: Role, output: &Output) -> String {
    let fixed = match role {
        Role::Line => "the number of the line",
        Role::Edge => return format!("the edge: {} is rising, {} is falling", output.rising, output.falling),
        Role::Level => "the level of the line, active unless zero",
        Role::Count if output.since == Since::Last => "how many edges the line had since it was read last",
        Role::Count => "how many edges the line ever had",
        Role::Timestamp => return format!("when it happened, in units of {} ns", output.tick.ns(1)),
        Role::Seqno => "a number that counts all edges",
        Role::LineSeqno => "a number that counts the edges of the line",
        Role::Overflowed => "how many edges of the line were dropped from a full queue",
        Role::Merged => "how many edges of the line merged with others",
        Role::Changed => "a bit for each line that changed",
        Role::Rising => "a bit for each line that became active",
        Role::Falling => "a bit for each line that became inactive",
        Role::Levels => "a bit for each line that is active",
        Role::Happened => "how many edges of the line happened",
        Role::Delivered => "how many of them the device gave away",
        Role::Discarded => "how many of them were queued when the lines were given back",
    };
    fixed.to_owned()
}

/// Bytes that came, field by field.
pub(super) struct Sample<'a> {
    plan: &'a Plan,
    output: &'a Output,
    records: Vec<Box<[u8]>>,
}

impl<'a> Sample<'a> {
    pub(super) fn new(plan: &'a Plan, name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let call = plan.calls.iter().find(|call| call.name == name).map(|call| &call.output);
        let output = match (&plan.wait.by, call) {
            (_, Some(output)) => output,
            (By::Read(output), None) if name == "read" => output,
            _ => {
                let known: Vec<_> = plan.calls.iter().map(|call| format!("\"{}\"", call.name)).collect();
                let message =
                    format!("the profile \"{}\" has no call \"{name}\"; it has {}", plan.file, known.join(", "));
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        };
        if output.length == 0 {
            let message = format!("the call \"{name}\" of the profile \"{}\" gives no bytes", plan.file);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let malformed = |reason| Error::new(ErrorKind::Malformed, format!("this is no answer of \"{name}\": {reason}"));
        let records = output.records(bytes).map_err(malformed)?.map(|(_, record)| Box::from(record)).collect();
        Ok(Self { plan, output, records })
    }

    fn mask(&self, f: &mut fmt::Formatter<'_>, role: Role, field: &Field, record: &[u8]) -> fmt::Result {
        let bits = (0..8 * field.width as u32).rev().map(|bit| field.bit(record, bit).unwrap_or(false));
        let digits: String = bits.map(|bit| if bit { '1' } else { '0' }).collect();
        let lines = self.plan.lines.iter().enumerate().filter(|(_, line)| {
            let bit = if role == Role::Levels { line.level_bit } else { line.event_bit };
            field.bit(record, bit) == Some(true)
        });
        let lines: Vec<_> =
            lines.map(|(offset, line)| line.name.as_deref().map_or(offset.to_string(), str::to_owned)).collect();
        match lines.as_slice() {
            [] => write!(f, "0b{digits} (no line)"),
            [line] => write!(f, "0b{digits} (line {line})"),
            lines => write!(f, "0b{digits} (lines {})", lines.join(", ")),
        }
    }
}

impl fmt::Display for Sample<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, record) in self.records.iter().enumerate() {
            write!(f, "record {index}:")?;
            for (at, (role, field)) in self.output.fields.iter().enumerate() {
                write!(f, "{} {} ", if at == 0 { "" } else { "," }, role.key())?;
                let number = field.number(record).unwrap_or(0);
                match role {
                    role if role.is_mask() => self.mask(f, *role, field, record)?,
                    Role::Edge if number == self.output.rising => f.write_str("rising")?,
                    Role::Edge if number == self.output.falling => f.write_str("falling")?,
                    Role::Edge => write!(f, "{number}, which is neither rising nor falling")?,
                    Role::Line => match self.plan.lines.iter().find(|line| line.number == number) {
                        None => write!(f, "{number}, which this chip does not have")?,
                        Some(line) => match &line.name {
                            Some(name) => write!(f, "{number} (\"{name}\")")?,
                            None => write!(f, "{number}")?,
                        },
                    },
                    Role::Timestamp => write!(f, "{} ns", self.output.tick.ns(number))?,
                    _ => write!(f, "{number}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
