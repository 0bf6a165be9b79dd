//! The levels of lines, as calls report them.

use super::decoder::EdgeDecoder;
use super::link::Link;
use crate::Error;
use crate::backend::unsupported;
use crate::profile::{Plan, Role};

/// The levels of the requested lines now; `None` for those that the driver does not report.
pub(super) fn levels_now(link: &Link, decoder: &EdgeDecoder) -> Result<Vec<Option<bool>>, Error> {
    let mut levels = vec![None; link.asked.len()];
    for step in link.plan.steps(link.plan.levels.calls(), None, link.asked.len()) {
        let answer = link.ask(step)?;
        let Some(bytes) = answer.bytes().filter(|_| gives_levels(&link.plan, step.call)) else {
            continue;
        };
        let read = decoder.read_levels(step.call, step.place, bytes).map_err(|reason| link.malformed(&reason))?;
        read.into_iter().for_each(|(place, active)| levels[place] = Some(active));
    }
    Ok(levels)
}

/// True if a call for levels reports levels itself. Some calls only prepare the one that does.
pub(super) fn gives_levels(plan: &Plan, call: usize) -> bool {
    let output = &plan.call(call).output;
    output.has(Role::Levels) || output.has(Role::Level)
}

pub(super) fn all_known(plan: &Plan, levels: Vec<Option<bool>>) -> Result<Vec<bool>, Error> {
    let unknown =
        || unsupported(&plan.name, "does not report the levels of its lines: its profile has no [levels] for them");
    levels.into_iter().map(|level| level.ok_or_else(unknown)).collect()
}
