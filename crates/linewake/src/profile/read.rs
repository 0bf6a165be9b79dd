//! Makes a plan of a profile: reads its sections and checks that they fit together.

use super::calls::Calls;
use super::check;
use super::device::Target;
use super::line;
use super::plan::{Levels, Plan};
use super::wait::Wait;
use crate::Error;
use crate::keys::{Keys, SourceText, Value};

const KEYS: &[&str] = &[
    "name",
    "label",
    "lines",
    "active_low",
    "max_queue",
    "setup",
    "release",
    "device",
    "line",
    "call",
    "wait",
    "levels",
    "account",
];

impl Plan {
    pub(super) fn read(source: SourceText<'_>) -> Result<Self, Error> {
        let root = source.parse()?;
        let keys = Keys::new(source, &root).only(KEYS)?;
        let name = keys.need("name")?;
        let label = keys.get("label").map_or(Ok(""), |label| label.text())?;
        let target = keys.get("device").map(|device| Target::read(&device)).transpose()?;
        let calls = Calls::read(keys.get("call"))?;
        let wait_key = keys.get("wait").ok_or_else(|| {
            keys.error(
                "the section [wait] is missing; set `by` to what waits for an edge, and `means` to what that means",
            )
        })?;
        let levels_key = keys.get("levels");
        let plan = Self {
            file: source.name.to_owned(),
            name: line::checked_name(&name)?,
            label: label.into(),
            target,
            lines: line::lines(&keys, &calls)?,
            max_queue: keys.get("max_queue").map_or(Ok(0), |most| most.number(2, 1 << 20))? as u32,
            setup: calls.named_all(keys.get("setup"))?,
            release: calls.named_all(keys.get("release"))?,
            wait: Wait::read(&wait_key, &calls)?,
            levels: levels_key.map_or(Ok(Levels::Unsaid), |levels| Levels::read(&levels, &calls))?,
            account: keys.get("account").map(|account| section(&account, &calls)).transpose()?,
            calls: Vec::new(),
            tellers: Vec::new(),
        };
        keys.finish()?;
        let calls = calls.finish()?;
        let places: Vec<_> = calls.iter().map(|(_, at)| at.clone()).collect();
        let mut plan = Self { calls: calls.into_iter().map(|(call, _)| call).collect(), ..plan };
        plan.tellers = plan.find_tellers();
        check::check(&plan, &wait_key, &places)?;
        Ok(plan)
    }
}

impl Levels {
    fn read(value: &Value<'_>, calls: &Calls<'_>) -> Result<Self, Error> {
        const STARTS: &[(&str, Option<bool>)] = &[("inactive", Some(false)), ("active", Some(true)), ("unknown", None)];
        let keys = value.table()?.only(&["call", "start"])?;
        let levels = match (keys.get("call"), keys.get("start")) {
            (Some(call), None) => Self::Calls(calls.named_all(Some(call))?),
            (None, Some(start)) => start.word(STARTS)?.map_or(Self::Unknown, Self::Start),
            _ => {
                return Err(value.error(
                    "expected either `call`, the call that gives the levels, or `start`: \"inactive\", \"active\" or \
                     \"unknown\"",
                ));
            }
        };
        keys.finish()?;
        Ok(levels)
    }
}

/// Reads a section that names a call.
fn section(value: &Value<'_>, calls: &Calls<'_>) -> Result<usize, Error> {
    let keys = value.table()?.only(&["call"])?;
    let call = calls.named(&keys.need("call")?)?;
    keys.finish()?;
    Ok(call)
}
