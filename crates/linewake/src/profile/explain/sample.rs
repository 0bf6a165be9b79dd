//! Explains bytes record by record and field by field.

use std::fmt;

use super::super::field::Field;
use super::super::output::{Output, Role};
use super::super::plan::Plan;
use super::super::wait::By;
use super::words::{Where, either};
use crate::keys::listed;
use crate::{EdgeKind, Error, ErrorKind};

pub(in super::super) struct Sample<'a> {
    plan: &'a Plan,
    output: &'a Output,
    /// The call that gave the bytes. `None` for a read.
    call: Option<usize>,
    records: Vec<Record>,
}

struct Record {
    bytes: Box<[u8]>,
    /// True if the record meets the conditions of the profile.
    is_ours: bool,
}

impl<'a> Sample<'a> {
    pub(in super::super) fn new(plan: &'a Plan, name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let call = plan.calls.iter().position(|call| call.name == name);
        let output = match (&plan.wait.by, call) {
            (_, Some(call)) => &plan.call(call).output,
            (By::Read(output), None) if name == "read" => output,
            _ => return Err(not_there(plan, name)),
        };
        if output.length == 0 {
            let message = format!("the call \"{name}\" of the profile \"{}\" gives no bytes", plan.file);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let malformed =
            |reason| Error::new(ErrorKind::Malformed, format!("these bytes are not an answer of \"{name}\": {reason}"));
        let ours: Vec<_> = output.records(bytes).map_err(malformed)?.map(|(index, _)| index).collect();
        let body = output.body(bytes).map_err(malformed)?;
        let record = |(index, bytes): (usize, &[u8])| Record {
            bytes: bytes.into(),
            is_ours: ours.binary_search(&index).is_ok(),
        };
        Ok(Self { plan, output, call, records: body.chunks(output.record.max(1)).enumerate().map(record).collect() })
    }

    /// The line of a record, if the profile has it.
    fn line(&self, index: usize, record: &[u8]) -> Option<usize> {
        let lines = &self.plan.lines;
        match self.output.get(Role::Line, record) {
            Some(number) => lines.iter().position(|line| line.number == number),
            None if lines.len() == 1 => Some(0),
            None if self.is_in_order() => (index < lines.len()).then_some(index),
            None => None,
        }
    }

    /// True if the records belong to the lines in order.
    fn is_in_order(&self) -> bool {
        let by_place = [Role::Level, Role::Count, Role::Happened].iter().any(|&role| self.output.has(role));
        let is_for_line = self.call.is_some_and(|call| self.plan.call(call).for_line);
        by_place
            && !self.output.has(Role::Line)
            && !self.output.has_masks()
            && !is_for_line
            && self.plan.lines.len() > 1
    }

    fn named(&self, offset: usize) -> String {
        self.plan.lines[offset].name.as_deref().map_or(offset.to_string(), str::to_owned)
    }

    fn record(&self, f: &mut fmt::Formatter<'_>, index: usize, record: &[u8]) -> fmt::Result {
        let mut parts = Vec::new();
        let line = self.line(index, record);
        if let Some(offset) = line.filter(|_| self.is_in_order()) {
            parts.push(format!("line {}", self.plan.lines[offset].words(offset)));
        }
        for (role, field) in &self.output.fields {
            parts.push(format!("{} {}", role.key(), self.field(*role, field, line, record)));
        }
        if let (Some(edge), true) = (self.plan.wait.edge, self.plan.tellers.contains(&self.call)) {
            parts.push(format!("{}, as [wait] says", edge.as_str()));
        }
        if parts.is_empty() {
            parts.push("it is ignored".to_owned());
        }
        writeln!(f, " {}", parts.join(", "))
    }

    fn field(&self, role: Role, field: &Field, line: Option<usize>, record: &[u8]) -> String {
        if role.is_mask() {
            return self.mask(role, field, record);
        }
        let number = field.number(record).unwrap_or(0);
        let is_low = line.is_some_and(|offset| self.plan.lines[offset].active_low);
        match role {
            Role::Edge => {
                let kind = match number {
                    number if number == self.output.rising => EdgeKind::Rising,
                    number if number == self.output.falling => EdgeKind::Falling,
                    _ if self.output.ignores_other_edges => return format!("{number}, which is ignored"),
                    _ => return format!("{number}, which is neither rising nor falling"),
                };
                match is_low {
                    true => format!("{} (its line is active-low)", kind.opposite().as_str()),
                    false => kind.as_str().to_owned(),
                }
            }
            Role::Line => match line {
                Some(offset) => {
                    let name = self.plan.lines[offset].name.as_deref();
                    format!("{number}{}", name.map(|name| format!(" (\"{name}\")")).unwrap_or_default())
                }
                None if self.output.ignores_unknown_lines => {
                    format!("{number}, which this chip does not have and ignores")
                }
                None => format!("{number}, which this chip does not have"),
            },
            Role::Level => {
                let level = if (number != 0) != is_low { "active" } else { "inactive" };
                format!("{number} ({level})")
            }
            Role::Timestamp => {
                let part =
                    |(field, tick): &(Field, super::super::output::Tick)| tick.ns(field.number(record).unwrap_or(0));
                let fraction = self.output.fraction.as_ref().map_or(0, part);
                format!("{} ns", self.output.tick.ns(number).saturating_add(fraction))
            }
            _ => number.to_string(),
        }
    }

    fn mask(&self, role: Role, field: &Field, record: &[u8]) -> String {
        let bits = 8 * field.width as u32;
        let is_set = |bit: u32| field.bit(record, bit) == Some(true);
        let digits: String = match bits {
            ..=32 => {
                let digit = |bit| if is_set(bit) { '1' } else { '0' };
                ['0', 'b'].into_iter().chain((0..bits).rev().map(digit)).collect()
            }
            _ => (0..bits / 4).rev().fold("0x".into(), |text: String, digit| {
                let digit = (0..4).filter(|bit| is_set(4 * digit + bit)).fold(0, |number, bit| number | 1_u8 << bit);
                format!("{text}{digit:x}")
            }),
        };
        let bit_of =
            |line: &super::super::line::ProfileLine| if role == Role::Levels { line.level_bit } else { line.event_bit };
        let ours: Vec<_> = self.plan.lines.iter().enumerate().filter(|(_, line)| line.is_in(self.call)).collect();
        let with = |wanted: &dyn Fn(bool, bool) -> bool| -> Vec<String> {
            let lines = ours.iter().filter(|(_, line)| wanted(is_set(bit_of(line)), line.active_low));
            lines.map(|(offset, _)| self.named(*offset)).collect()
        };
        let is_low = ours.iter().any(|(_, line)| line.active_low);
        let mut groups = match role {
            Role::Levels if is_low => vec![("active", with(&|set, low| set != low))],
            Role::Rising | Role::Falling if is_low => {
                let (up, down) = if role == Role::Rising { ("rising", "falling") } else { ("falling", "rising") };
                vec![(up, with(&|set, low| set && !low)), (down, with(&|set, low| set && low))]
            }
            _ => vec![("", with(&|set, _| set))],
        };
        let has_line = |bit: u32| ours.iter().any(|(_, line)| bit_of(line) == bit);
        let strangers: Vec<_> = (0..bits).filter(|&bit| is_set(bit) && !has_line(bit)).collect();
        groups.retain(|(_, lines)| !lines.is_empty());
        let lines: Vec<_> = groups
            .iter()
            .map(|(word, lines)| {
                let what = if lines.len() == 1 { "line" } else { "lines" };
                let colon = if word.is_empty() { "" } else { ": " };
                format!("{word}{colon}{what} {}", lines.join(", "))
            })
            .collect();
        let lines = if lines.is_empty() { "no line".to_owned() } else { lines.join("; ") };
        format!("{digits} ({lines}{})", of_no_line(&strangers))
    }
}

fn of_no_line(bits: &[u32]) -> String {
    let shown: Vec<_> = bits.iter().take(8).map(u32::to_string).collect();
    match bits.len() {
        0 => String::new(),
        1 => format!("; bit {} has no line", shown.concat()),
        2..=8 => format!("; bits {} have no line", shown.join(", ")),
        more => format!("; bits {} and {} more have no line", shown.join(", "), more - 8),
    }
}

fn not_there(plan: &Plan, name: &str) -> Error {
    let mut known: Vec<_> = plan.calls.iter().filter(|call| call.output.length > 0).map(|call| &*call.name).collect();
    if matches!(plan.wait.by, By::Read(_)) {
        known.push("read");
    }
    let has = match known.is_empty() {
        true => "none of its calls gives bytes".to_owned(),
        false => format!("it has {}", listed(known.into_iter())),
    };
    let message = format!("the profile \"{}\" has no call \"{name}\"; {has}", plan.file);
    Error::new(ErrorKind::InvalidInput, message)
}

impl fmt::Display for Sample<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.records.is_empty() {
            writeln!(f, "no record")?;
        }
        for (index, record) in self.records.iter().enumerate() {
            write!(f, "record {index}:")?;
            if record.is_ours {
                self.record(f, index, &record.bytes)?;
                continue;
            }
            if self.output.is_loss(&record.bytes) {
                writeln!(f, " the device says that it lost records")?;
                continue;
            }
            let other = self.output.only.iter().find_map(|only| match only.field.number(&record.bytes) {
                Some(number) if only.is.contains(&number) => None,
                number => Some((only, number)),
            });
            match other {
                Some((only, Some(number))) => {
                    let (place, is) = (Where(&only.field), either(&only.is));
                    writeln!(f, " ignored: expected {is} in {place}, found {number}")?;
                }
                Some((_, None)) | None => writeln!(f, " ignored: it is too short")?,
            }
        }
        Ok(())
    }
}

impl Plan {
    /// The names of the calls whose bytes say what happened. The name of a read is `read`.
    pub(in super::super) fn names_of_tellers(&self) -> Vec<&str> {
        let name = |teller: &Option<usize>| match (teller, &self.wait.by) {
            (Some(call), _) => Some(&*self.call(*call).name),
            (None, By::Read(_)) => Some("read"),
            (None, By::Call(_) | By::Event(_) | By::Poll(_)) => None,
        };
        self.tellers.iter().filter_map(name).collect()
    }
}
