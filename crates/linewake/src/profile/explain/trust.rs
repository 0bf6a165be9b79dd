//! Explains which edges are counted as lost, and which losses cannot be seen.

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
        "The account is \"at least\": the next edge shows how many are missing.\n"
    } else if plan.is_one_way() {
        "The account is \"at least\": only one direction is reported, and nothing shows that an edge is missing.\n"
    } else if plan.wait.means == Means::Level && !plan.wait.repeats_are_losses {
        "The account is \"at least\": nothing shows that an edge is missing.\n"
    } else if plan.wait.means == Means::Level {
        "The account is \"at least\": only the same level twice shows that an edge is missing.\n"
    } else if tells(Role::Changed) {
        "The account is \"at least\": only a line that changed and has the same level shows that an edge is missing.\n"
    } else {
        "The account is \"at least\": only the same direction twice shows that an edge is missing.\n"
    })?;
    list(f, "It counts as lost:", &lost(plan))?;
    list(f, "It ignores, and counts neither as an edge nor as lost:", &ignored(plan))?;
    list(f, "It cannot know:", &unknown(plan))
}

/// True if the device reports how many edges are missing.
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
        lost.push("the edges that the device reports as missing before an edge");
    }
    if tells(Role::LineSeqno) && !tells(Role::Overflowed) {
        lost.push("the numbers of a line that were skipped before an edge");
    }
    if plan.numbers_all() {
        lost.push("the numbers that were skipped before a record, if all lines are watched; their line is unknown");
    }
    match plan.wait.means {
        Means::Count => lost.push("all edges that were counted since the last report, except the last one"),
        Means::Mask if tells(Role::Changed) => {
            lost.push("one edge if a line changed and has the same level as before: it changed at least twice");
        }
        Means::Edge | Means::Mask if !plan.is_one_way() && !tells(Role::Overflowed) => {
            lost.push("one edge if a line has the same direction twice");
        }
        Means::Level if plan.wait.repeats_are_losses => {
            lost.push("one edge if a line has the same level twice (`repeats = \"loss\"`)");
        }
        Means::Edge | Means::Mask | Means::Level => {}
    }
    if plan.account.is_some() {
        lost.push("the edges that only the device's counters show, when the lines are released");
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
        ignored.push("a record with another edge than rising or falling (`others`)");
    }
    if plan.wait.means == Means::Level && !plan.wait.repeats_are_losses {
        ignored.push("a level that is the same as before (`repeats`)");
    }
    if plan.levels == Levels::Unknown && matches!(plan.wait.means, Means::Level | Means::Mask) {
        ignored.push("the first report of a line, which gives its level (`start = \"unknown\"`)");
    }
    if plan.wait.means == Means::Count
        && plan.all_told().any(|told| told.since == Since::Start && told.has(Role::Count))
    {
        ignored.push(if plan.all_told().any(|told| told.first_is_edge) {
            "all edges before a counter's first report, except the last one (`first = \"edge\"`)"
        } else {
            "all edges before a counter's first report, even if an edge caused the report (`first`)"
        });
    }
    ignored
}

fn unknown(plan: &Plan) -> Vec<&'static str> {
    let tells = |role| plan.tells(role);
    let mut unknown = Vec::new();
    let counted = counts(plan);
    if matches!(plan.wait.by, By::Poll(_)) && !tells(Role::Count) {
        unknown.push("a pulse that begins and ends between two polls");
    }
    if !counted && !matches!(plan.wait.by, By::Poll(_)) {
        unknown.push(if plan.is_one_way() {
            "how many edges the driver did not report"
        } else {
            "an even number of edges of a line that the driver did not report"
        });
    }
    let waits_in_call = |call: &usize| {
        plan.call(*call).request().is_some_and(|request| matches!(request.when, When::Blocks { .. } | When::Now))
    };
    if let By::Call(call) = &plan.wait.by
        && waits_in_call(call)
        && !counted
    {
        unknown.push("edges between two calls of the wait, unless the driver keeps them for the next call");
    }
    if plan.all_told().any(|told| !told.lost.is_empty()) {
        unknown.push(
            "the edges in records that the device lost (`lost`); the end of the account says that it lost records",
        );
    }
    if plan.account.is_none() {
        unknown.push("the edges that the driver still has when the lines are released");
    }
    if !tells(Role::Timestamp) {
        unknown.push("when an edge happened; its time is its arrival");
    }
    unknown
}
