//! What will be booked as lost, and what nobody will ever know.

use std::fmt;

use super::super::call::When;
use super::super::output::{Role, Since};
use super::super::plan::{Levels, Plan};
use super::super::wait::{By, Means};

pub(super) fn write(f: &mut fmt::Formatter<'_>, plan: &Plan) -> fmt::Result {
    let tells = |role| plan.tells(role);
    f.write_str(if tells(Role::Overflowed) && plan.account.is_some() {
        "The account is exact: the device says what is missing, and keeps counters.\n"
    } else if counts(plan) {
        "The account is \"at least\": what is missing is known when the next edge comes.\n"
    } else if plan.is_one_way() {
        "The account is \"at least\": one direction alone is told of, and nothing shows that an edge is missing.\n"
    } else if plan.wait.means == Means::Level && !plan.wait.repeats_are_losses {
        "The account is \"at least\": nothing shows that an edge is missing.\n"
    } else if plan.wait.means == Means::Level {
        "The account is \"at least\": only the same level twice shows that an edge is missing.\n"
    } else if tells(Role::Changed) {
        "The account is \"at least\": only a line that changed and is as before shows that an edge is missing.\n"
    } else {
        "The account is \"at least\": only the same direction twice shows that an edge is missing.\n"
    })?;
    list(f, "It books as lost:", &lost(plan))?;
    list(f, "It ignores, as no edge and no loss:", &ignored(plan))?;
    list(f, "It never knows:", &unknown(plan))
}

/// Whether the device says in numbers what is missing.
fn counts(plan: &Plan) -> bool {
    plan.numbers_all() || [Role::Overflowed, Role::LineSeqno, Role::Count].into_iter().any(|role| plan.tells(role))
}

fn list(f: &mut fmt::Formatter<'_>, intro: &str, items: &[&str]) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(f, "{intro}")?;
    items.iter().try_for_each(|item| writeln!(f, "  - {item}"))
}

fn lost(plan: &Plan) -> Vec<&'static str> {
    let tells = |role| plan.tells(role);
    let mut lost = Vec::new();
    if tells(Role::Overflowed) || tells(Role::Merged) {
        lost.push("what the device says is missing before an edge");
    }
    if tells(Role::LineSeqno) && !tells(Role::Overflowed) {
        lost.push("the numbers of a line that were left out before an edge");
    }
    if plan.numbers_all() {
        lost.push("the numbers that were left out before a record, of no line in particular, if all lines are watched");
    }
    match plan.wait.means {
        Means::Count => lost.push("of the edges that were counted since the report before, all but the last"),
        Means::Mask if tells(Role::Changed) => {
            lost.push("one edge where a line changed, and is as it was before: it changed twice at least");
        }
        Means::Edge | Means::Mask if !plan.is_one_way() && !tells(Role::Overflowed) => {
            lost.push("one edge where a line has the same direction twice");
        }
        Means::Level if plan.wait.repeats_are_losses => {
            lost.push("one edge where a line has the same level twice (`repeats = \"loss\"`)");
        }
        Means::Edge | Means::Mask | Means::Level => {}
    }
    if plan.account.is_some() {
        lost.push("what the device's counters say beyond that, when the lines are given back");
    }
    lost
}

fn ignored(plan: &Plan) -> Vec<&'static str> {
    let told = |has: fn(&super::super::output::Output) -> bool| plan.all_told().any(has);
    let mut ignored = Vec::new();
    if told(|told| !told.only.is_empty()) {
        ignored.push("a record of another kind (`only`)");
    }
    if told(|told| told.ignores_unknown_lines) {
        ignored.push("a record of another line (`unknown_line`)");
    }
    if told(|told| told.ignores_other_edges) {
        ignored.push("another edge than these two (`others`)");
    }
    if plan.wait.means == Means::Level && !plan.wait.repeats_are_losses {
        ignored.push("a level that is as before (`repeats`)");
    }
    if plan.levels == Levels::Unknown && matches!(plan.wait.means, Means::Level | Means::Mask) {
        ignored.push("the first report of a line, which gives its level (`start = \"unknown\"`)");
    }
    if plan.wait.means == Means::Count
        && plan.all_told().any(|told| told.since == Since::Start && told.has(Role::Count))
    {
        ignored.push(if plan.all_told().any(|told| told.first_is_edge) {
            "what a counter had counted before its first report, but for the last one of that (`first = \"edge\"`)"
        } else {
            "what a counter had counted when it first reports, also if that was because of an edge (`first`)"
        });
    }
    ignored
}

fn unknown(plan: &Plan) -> Vec<&'static str> {
    let tells = |role| plan.tells(role);
    let mut unknown = Vec::new();
    let counted = counts(plan);
    if matches!(plan.wait.by, By::Poll(_)) && !tells(Role::Count) {
        unknown.push("a pulse that begins and ends between two looks");
    }
    if !counted && !matches!(plan.wait.by, By::Poll(_)) {
        unknown.push(if plan.is_one_way() {
            "how many edges the driver did not tell of"
        } else {
            "an even number of edges of a line that the driver did not tell of"
        });
    }
    let waits_in_call = |call: &usize| {
        plan.call(*call).request().is_some_and(|request| matches!(request.when, When::Blocks { .. } | When::Now))
    };
    if let By::Call(call) = &plan.wait.by
        && waits_in_call(call)
        && !counted
    {
        unknown.push("what happens between two calls of the wait, unless the driver keeps it for the next one");
    }
    if plan.all_told().any(|told| !told.lost.is_empty()) {
        unknown.push("what was in records that the device says it lost (`lost`): that it did is said at the end");
    }
    if plan.account.is_none() {
        unknown.push("what the driver still has when the lines are given back");
    }
    if !tells(Role::Timestamp) {
        unknown.push("when an edge happened: its time is that of its arrival");
    }
    unknown
}
