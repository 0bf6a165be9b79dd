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
    /// What the driver calls it.
    pub(crate) number: u64,
    pub(crate) event_bit: u32,
    pub(crate) level_bit: u32,
    /// What the driver calls high and rising is inactive and falling.
    pub(crate) active_low: bool,
    /// The calls whose masks tell of it; all if there is none.
    pub(crate) from: Vec<usize>,
}

impl ProfileLine {
    /// Whether the masks of a call tell of it; `None` are those of a read.
    pub(crate) fn is_in(&self, call: Option<usize>) -> bool {
        self.from.is_empty() || call.is_some_and(|call| self.from.contains(&call))
    }

    /// How messages call it: its offset and its name.
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
        return Err(value.error("a name has 1 to 64 bytes, and no control characters"));
    }
    Ok(name.into())
}

/// How many lines there are.
fn count(keys: &Keys<'_>, described: usize) -> Result<usize, Error> {
    match keys.get("lines") {
        Some(count) => match count.size(1, MAX_LINES)? {
            fewer if fewer < described => Err(count.error(format!(
                "there are {described} [[line]]s, and {fewer} lines: make it {described} or more, or leave it out"
            ))),
            count => Ok(count),
        },
        None if described == 0 => Err(keys.error("the keys `lines` and `line` are missing: which lines are there?")),
        None if described > MAX_LINES => Err(keys.error(format!("there are more than {MAX_LINES} lines"))),
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
            return Err(item.error(format!("line {offset} is described twice")));
        }
        let bit = |key| line.get(key).map(|bit: Value<'_>| bit.number(0, MAX_LINES as u64 - 1)).transpose();
        let event_bit = bit("event_bit")?;
        let name = line.get("name");
        if let Some(name) = &name
            && let Some(before) = names.insert(name.text()?, name.place())
        {
            let text = name.text()?;
            return Err(
                name.error(format!("a line is called \"{text}\" already, at {before}: each has a name of its own"))
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
