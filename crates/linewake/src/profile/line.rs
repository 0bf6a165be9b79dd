//! The lines of a profile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use linewake_controller::protocol::MAX_LINES;

use super::calls::Calls;
use crate::Error;
use crate::keys::{Keys, Value};

#[derive(Debug)]
pub(crate) struct ProfileLine {
    pub(crate) name: Option<Arc<str>>,
    /// The driver's number of the line.
    pub(crate) number: u64,
    pub(crate) event_bit: u32,
    pub(crate) level_bit: u32,
    /// True if the driver's high level is inactive, and its rising edge is falling.
    pub(crate) active_low: bool,
    /// The calls whose masks report this line. Empty means all.
    pub(crate) from: Vec<usize>,
}

impl ProfileLine {
    /// True if the masks of a call report this line. `None` stands for a read.
    pub(crate) fn is_in(&self, call: Option<usize>) -> bool {
        self.from.is_empty() || call.is_some_and(|call| self.from.contains(&call))
    }

    /// The line in messages: its offset and its name.
    pub(super) fn words(&self, offset: usize) -> String {
        match &self.name {
            Some(name) => format!("{offset} (\"{name}\")"),
            None => offset.to_string(),
        }
    }
}

pub(super) fn checked_name(value: &Value<'_>) -> Result<Arc<str>, Error> {
    let name = value.text()?;
    if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        return Err(value.error("expected a name of 1 to 64 bytes without control characters"));
    }
    Ok(name.into())
}

/// The number of lines.
fn count(keys: &Keys<'_>, described: usize) -> Result<usize, Error> {
    match keys.get("lines") {
        Some(count) => match count.size(1, MAX_LINES)? {
            fewer if fewer < described => Err(count.error(format!(
                "there are {described} [[line]] sections for {fewer} lines; expected {described} or more, or no `lines`"
            ))),
            count => Ok(count),
        },
        None if described == 0 => {
            Err(keys.error("the lines are missing; set `lines` to their number, or add [[line]] sections"))
        }
        None if described > MAX_LINES => {
            Err(keys.error(format!("{described} lines are too many; expected at most {MAX_LINES}")))
        }
        None => Ok(described),
    }
}

pub(super) fn lines(keys: &Keys<'_>, calls: &Calls<'_>) -> Result<Vec<ProfileLine>, Error> {
    let items = keys.get("line").map_or(Ok(Vec::new()), |items| items.items())?;
    let count = count(keys, items.len())?;
    let active_low = keys.get("active_low").map_or(Ok(false), |low| low.truth())?;
    let plain = |offset: u32| ProfileLine {
        name: None,
        number: offset.into(),
        event_bit: offset,
        level_bit: offset,
        active_low,
        from: Vec::new(),
    };
    let mut lines: Vec<_> = (0..count as u32).map(plain).collect();
    let mut said = BTreeSet::new();
    let mut names = BTreeMap::new();
    for (place, item) in items.iter().enumerate() {
        const KNOWN: &[&str] = &["name", "offset", "number", "event_bit", "level_bit", "active_low", "from"];
        let line = item.table()?.only(KNOWN)?;
        let offset = line.get("offset").map_or(Ok(place), |offset| offset.size(0, count - 1))?;
        if !said.insert(offset) {
            return Err(item.error(format!("there are two [[line]] sections for line {offset}")));
        }
        let bit = |key| line.get(key).map(|bit: Value<'_>| bit.number(0, MAX_LINES as u64 - 1)).transpose();
        let event_bit = bit("event_bit")?;
        let name = line.get("name");
        if let Some(name) = &name
            && let Some(before) = names.insert(name.text()?, name.place())
        {
            let text = name.text()?;
            return Err(
                name.error(format!("the name \"{text}\" is already used at {before}; give each line its own name"))
            );
        }
        lines[offset] = ProfileLine {
            name: name.map(|name| checked_name(&name)).transpose()?,
            number: line.get("number").map_or(Ok(offset as u64), |number| number.number(0, u64::MAX))?,
            event_bit: event_bit.unwrap_or(offset as u64) as u32,
            level_bit: bit("level_bit")?.or(event_bit).unwrap_or(offset as u64) as u32,
            active_low: line.get("active_low").map_or(Ok(active_low), |low| low.truth())?,
            from: calls.named_all(line.get("from"))?,
        };
        line.finish()?;
    }
    let mut numbers = BTreeMap::new();
    for (offset, line) in lines.iter().enumerate() {
        if let Some(before) = numbers.insert(line.number, offset) {
            return Err(keys.error(format!("lines {before} and {offset} have the same number, {}", line.number)));
        }
    }
    Ok(lines)
}
