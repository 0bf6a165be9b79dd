//! Checks that the parts of a profile fit together. An ambiguous profile is refused here, so that no false edge is
//! reported later.

use super::call::{What, When};
use super::code;
use super::input::InputValue;
use super::output::{Output, Role};
use super::plan::{Levels, Plan};
use super::wait::{By, EventSource, Means, Reads};
use crate::Error;
use crate::keys::Value;

/// The most memory for pending waits, in bytes.
const MOST_PENDING: usize = 64 << 20;

/// `wait` is the section `[wait]`, and `places` are the sections of the calls.
pub(super) fn check(plan: &Plan, wait: &Value<'_>, places: &[Value<'_>]) -> Result<(), Error> {
    let check = Check { plan, wait, places };
    check.systems()?;
    check.calls()?;
    check.events()?;
    check.memory()?;
    check.meaning()?;
    check.levels()?;
    check.account()?;
    check.records()?;
    check.masks()
}

struct Check<'c, 'a> {
    plan: &'c Plan,
    wait: &'c Value<'a>,
    places: &'c [Value<'a>],
}

impl Check<'_, '_> {
    /// The place of an output in the file.
    fn place(&self, teller: Option<usize>) -> &Value<'_> {
        teller.map_or(self.wait, |call| &self.places[call])
    }

    /// The output of a teller, in words.
    fn output_of(&self, teller: Option<usize>) -> String {
        match teller {
            Some(call) if self.plan.wait.then.contains(&call) => {
                format!("the output of \"{}\"", self.plan.call(call).name)
            }
            _ => "the output of the wait".to_owned(),
        }
    }

    /// Checks that each call is for the system of the device.
    fn systems(&self) -> Result<(), Error> {
        let is_windows = self.plan.target.as_ref().map(|target| target.place.is_of_windows());
        for (call, place) in self.plan.calls.iter().zip(self.places) {
            match &call.what {
                What::Control(code) if is_windows == Some(false) => return Err(place.error(code::on_linux(*code))),
                What::Control(code) => {
                    if let Some(reason) = code::refused(*code) {
                        return Err(place.error(reason));
                    }
                }
                What::Ioctl(_) if is_windows == Some(true) => {
                    return Err(place.error(
                        "the device is a Windows device, which has no ioctls; use a control code, with `code` or the \
                         four fields of CTL_CODE",
                    ));
                }
                What::Ioctl(_) | What::Write => {}
            }
        }
        Ok(())
    }

    /// Checks that each call has what it needs where it is used.
    fn calls(&self) -> Result<(), Error> {
        let plan = self.plan;
        let waiting = match &plan.wait.by {
            By::Call(call) => Some(*call),
            By::Read(_) | By::Event(_) | By::Poll(_) => None,
        };
        if let Some(call) = waiting
            && plan.call(call).for_line
            && !plan.wait.each_line
        {
            return Err(self.places[call]
                .error("this input is about one line, but [wait] is for the card; set `for = \"line\"` in [wait]"));
        }
        for (index, call) in plan.calls.iter().enumerate() {
            let waits = call.request().is_some_and(|request| request.when != When::Now);
            if waits && waiting != Some(index) {
                return Err(self.places[index].error(
                    "this call is made at once; only the call that [wait] names may block or wait until the file is \
                     ready",
                ));
            }
        }
        for (call, place) in plan.calls.iter().zip(self.places) {
            self.inputs(call, place)?;
        }
        let at_both_ends = plan.setup.iter().chain(&plan.release);
        for &index in at_both_ends {
            let call = plan.call(index);
            if plan.wait.each_line && call.input.each_line && !call.is_said_for_card {
                return Err(self.places[index].error(
                    "[wait] is for each line, but this is one call with a record for every line; remove `each_line` to \
                     send it once for each line, or set `for = \"card\"` if the driver takes all of them at once",
                ));
            }
        }
        let sends_queue = |&call: &usize| plan.call(call).input.sends(|sent| *sent == InputValue::Queue);
        if (plan.max_queue > 0) != plan.setup.iter().any(sends_queue) {
            return Err(self
                .wait
                .error("`max_queue` needs a setup call with `value = \"queue\"`, and such a call needs `max_queue`"));
        }
        Ok(())
    }

    /// Checks that the numbers and bits of the lines fit into an input.
    fn inputs(&self, call: &super::call::Call, place: &Value<'_>) -> Result<(), Error> {
        for (field, sent) in &call.input.fields {
            for (offset, line) in self.plan.lines.iter().enumerate() {
                let words = line.words(offset);
                if *sent == InputValue::Line && line.number > field.greatest() {
                    let (number, greatest) = (line.number, field.greatest());
                    return Err(place.error(format!(
                        "line {words} has the number {number}, but the field that sends it holds at most {greatest}; \
                         make it wider"
                    )));
                }
                if *sent == InputValue::Mask && line.event_bit as usize >= 8 * field.width {
                    let (bits, bit) = (8 * field.width, line.event_bit);
                    return Err(
                        place.error(format!("the mask that it sends has {bits} bits, but line {words} has bit {bit}"))
                    );
                }
            }
        }
        if self.plan.wait.edge.is_some() && call.input.sends(|sent| matches!(sent, InputValue::Edges { .. })) {
            return Err(place.error(
                "[wait] says with `edge` that all edges are the same, but this asks the driver for edges that \
                 may be both; send the number of that edge instead of `value = \"edges\"`",
            ));
        }
        Ok(())
    }

    fn events(&self) -> Result<(), Error> {
        let plan = self.plan;
        let sends = |&call: &usize| plan.call(call).input.sends(|sent| *sent == InputValue::Event);
        let is_made = matches!(plan.wait.by, By::Event(EventSource::Made));
        if let Some(call) = (0..plan.calls.len()).find(|call| sends(call) && !(is_made && plan.setup.contains(call))) {
            return Err(self.places[call]
                .error("only a setup call can send an event, and [wait] must make it with `event = \"made\"`"));
        }
        if is_made && (plan.wait.each_line || !plan.setup.iter().any(sends)) {
            return Err(self
                .wait
                .error("`event = \"made\"` needs a wait for the card, and a setup call with `value = \"event\"`"));
        }
        Ok(())
    }

    fn memory(&self) -> Result<(), Error> {
        let plan = self.plan;
        let length = match &plan.wait.by {
            By::Call(call) => plan.call(*call).output.length,
            By::Read(output) => output.length,
            By::Event(_) | By::Poll(_) => 0,
        };
        let waits = plan.wait.pending * if plan.wait.each_line { plan.lines.len() } else { 1 };
        if length.saturating_mul(waits) > MOST_PENDING {
            return Err(self.wait.error(format!(
                "{waits} waits of {length} bytes need too much memory; expected at most {MOST_PENDING} bytes"
            )));
        }
        Ok(())
    }

    /// Checks that the bytes of a completion are enough to know what it means.
    fn meaning(&self) -> Result<(), Error> {
        let plan = self.plan;
        let knows_a_level = matches!(plan.levels, Levels::Calls(_) | Levels::Start(_));
        if plan.wait.edge.is_some() && !matches!(plan.wait.means, Means::Edge | Means::Count) {
            return Err(self.wait.error("`edge` needs `means = \"edge\"` or `means = \"count\"`"));
        }
        for &teller in &plan.tellers {
            let told = plan.told(teller);
            let has = |role| told.has(role);
            let lacks = |what: &str| Err(self.wait.error(format!("{} lacks {what}", self.output_of(teller))));
            let is_fixed = plan.wait.edge.is_some();
            if is_fixed && has(Role::Edge) {
                return Err(self.wait.error("`edge` is a key here and also a field of the output; remove one"));
            }
            match plan.wait.means {
                Means::Edge if !has(Role::Edge) && !is_fixed => {
                    return lacks("`edge`; if all edges are the same, set for example `edge = \"rising\"` in [wait]");
                }
                Means::Edge if !has(Role::Line) && !plan.wait.each_line && plan.lines.len() > 1 => {
                    return lacks("`line`, which says the line of the edge");
                }
                Means::Level if !has(Role::Level) && !has(Role::Levels) => return lacks("`level` and `levels`"),
                Means::Count if !has(Role::Count) => return lacks("`count`"),
                Means::Count if !is_fixed && !has(Role::Level) && !has(Role::Levels) && !knows_a_level => {
                    return lacks(
                        "`level` and `levels`, and nothing gives the levels at the start, so the direction of an edge \
                         is not known; set for example `edge = \"rising\"` in [wait] if it counts only such edges, or \
                         add [levels]",
                    );
                }
                Means::Count if told.first_is_edge && matches!(plan.wait.by, By::Poll(_)) => {
                    return Err(self.place(teller).error(
                        "`first = \"edge\"` needs reports that come because of an edge, but a poll reads the counter \
                         once before, and what it counted until then are no edges",
                    ));
                }
                Means::Count if told.first_is_edge && !is_fixed && !has(Role::Level) && !has(Role::Levels) => {
                    return Err(self.place(teller).error(
                        "`first = \"edge\"` needs the direction of that edge; set `edge` in [wait], or add `level` or \
                         `levels` to `fields`",
                    ));
                }
                Means::Mask if has(Role::Changed) && !has(Role::Levels) && plan.levels.calls().is_empty() => {
                    return lacks("`levels`, and there is no [levels], so the direction of a change is not known");
                }
                Means::Mask if ![Role::Changed, Role::Rising, Role::Falling].into_iter().any(has) => {
                    return lacks("`changed`, `rising` and `falling`");
                }
                _ => {}
            }
        }
        self.first_level()
    }

    /// A level is compared with one before it.
    fn first_level(&self) -> Result<(), Error> {
        let plan = self.plan;
        let looks_first = matches!(plan.wait.by, By::Poll(_));
        if plan.wait.means == Means::Level && plan.levels == Levels::Unsaid && !looks_first {
            return Err(self.wait.error(
                "a level is an edge if it differs from the one before, but nothing gives the levels at the start; add \
                 [levels] with the `call` that reads them, or with `start = \"inactive\"`, \"active\", or \"unknown\" \
                 (the first report of a line then gives its level, and is not an edge)",
            ));
        }
        Ok(())
    }

    fn levels(&self) -> Result<(), Error> {
        let calls = self.plan.levels.calls();
        let tells = |&call: &usize| {
            let output = &self.plan.call(call).output;
            output.has(Role::Levels) || output.has(Role::Level)
        };
        match calls.last() {
            // Other calls may come before that one, for example a call that selects the register to read.
            Some(&last) if !calls.iter().any(tells) => {
                Err(self.places[last].error("[levels] needs `levels` or `level` in the output of one of its calls"))
            }
            _ => Ok(()),
        }
    }

    fn account(&self) -> Result<(), Error> {
        for &call in self.plan.account.iter() {
            let output = &self.plan.call(call).output;
            for role in [Role::Happened, Role::Delivered, Role::Overflowed] {
                if !output.has(role) {
                    let lacks = format!("its output lacks `{}`, which [account] needs", role.key());
                    return Err(self.places[call].error(lacks));
                }
            }
            if self.plan.call(call).for_line {
                return Err(self.places[call]
                    .error("[account] reads the counters of all lines with one call; remove the line from its input"));
            }
        }
        Ok(())
    }

    /// Checks that the line and the kind of each record are known.
    fn records(&self) -> Result<(), Error> {
        let plan = self.plan;
        let tells = |call: usize| plan.tellers.contains(&Some(call));
        if let Some(call) = (0..plan.calls.len()).find(|&call| !plan.call(call).output.lost.is_empty() && !tells(call))
        {
            return Err(self.places[call].error("`lost` needs a call that reports edges, and this call does not"));
        }
        let by_record = matches!(plan.wait.means, Means::Level | Means::Count) && plan.lines.len() > 1;
        for &teller in &plan.tellers {
            let output = plan.told(teller);
            if output.has_masks() && output.has(Role::Line) && matches!(plan.wait.means, Means::Level | Means::Mask) {
                return Err(self.place(teller).error(
                    "a record cannot have both `line` and a mask with a bit for each line; remove one; if `line` \
                     is a group of lines, write a profile for each group, and select the group with `only`",
                ));
            }
            let is_for_line = plan.wait.each_line || teller.is_some_and(|call| plan.call(call).for_line);
            let in_order = by_record && !output.has(Role::Line) && !output.has_masks() && !is_for_line;
            if in_order {
                self.in_order(teller, output)?;
            }
        }
        let By::Read(output) = &plan.wait.by else { return Ok(()) };
        if plan.wait.reads == Some(Reads::Bytes) && output.header > 0 {
            return Err(self.wait.error("only a message has a header; set `reads = \"messages\"`"));
        }
        if plan.wait.reads == Some(Reads::Bytes) && output.at_most.is_some() {
            return Err(self.wait.error("only a message has a number of `records`; set `reads = \"messages\"`"));
        }
        if plan.wait_tells()
            && let Some(unnamed) = output.unnamed()
        {
            return Err(self.wait.error(format!(
                "nothing says what {unnamed} of a record contains; if this tells one kind of record from another, give \
                 the wanted kind with `only`; if it means nothing, set `rest = \"unused\"` in `output`"
            )));
        }
        Ok(())
    }

    /// Checks records that belong to the lines in order.
    fn in_order(&self, teller: Option<usize>, output: &Output) -> Result<(), Error> {
        let (room, lines) = ((output.length - output.header) / output.record.max(1), self.plan.lines.len());
        let records = output.at_most.unwrap_or(room);
        if records > lines {
            return Err(self.place(teller).error(format!(
                "no field says which line a record is about, so the records are the lines in order; but there is room \
                 for {records} records, and there are {lines} lines; add `line` to `fields`, or change `length`"
            )));
        }
        if teller.is_none() && self.plan.wait.reads != Some(Reads::Messages) {
            return Err(self.wait.error(
                "no field says which line a record is about, so the records are the lines in order and must be read \
                 together; set `reads = \"messages\"`, or add `line` to `fields`",
            ));
        }
        Ok(())
    }

    /// Checks that each line has its own bit in each mask that covers it.
    fn masks(&self) -> Result<(), Error> {
        let plan = self.plan;
        let mut calls: Vec<_> = (0..plan.calls.len()).map(Some).collect();
        if matches!(plan.wait.by, By::Read(_)) {
            calls.push(None);
        }
        for &teller in &calls {
            let output = plan.told(teller);
            for (role, field) in output.fields.iter().filter(|(role, _)| role.is_mask()) {
                let bits = 8 * field.width;
                let mut seen = std::collections::BTreeMap::new();
                for (offset, line) in plan.lines.iter().enumerate().filter(|(_, line)| line.is_in(teller)) {
                    let bit = if *role == Role::Levels { line.level_bit } else { line.event_bit };
                    let (key, words) = (role.key(), line.words(offset));
                    if bit as usize >= bits {
                        return Err(self
                            .place(teller)
                            .error(format!("`{key}` has {bits} bits, but line {words} has bit {bit}")));
                    }
                    if let Some(before) = seen.insert(bit, offset) {
                        let before = plan.lines[before].words(before);
                        return Err(self.place(teller).error(format!(
                            "in `{key}`, lines {before} and {words} have the same bit, {bit}; give each its own bit, \
                             or set `from` to the call that reports each line"
                        )));
                    }
                }
            }
        }
        self.from(&plan.tellers)?;
        self.from(&plan.levels.calls().iter().copied().map(Some).collect::<Vec<_>>())
    }

    /// Checks that, if several calls have masks, each line says which of them report it.
    fn from(&self, tellers: &[Option<usize>]) -> Result<(), Error> {
        let plan = self.plan;
        let with_masks: Vec<_> = tellers.iter().filter(|&&teller| plan.told(teller).has_masks()).collect();
        if with_masks.len() > 1 {
            let shared = plan
                .lines
                .iter()
                .enumerate()
                .find(|(_, line)| with_masks.iter().filter(|&&&teller| line.is_in(teller)).count() > 1);
            if let Some((offset, line)) = shared {
                let words = line.words(offset);
                let names: Vec<_> = with_masks
                    .iter()
                    .map(|&&teller| format!("\"{}\"", teller.map_or("read", |call| &*plan.call(call).name)))
                    .collect();
                return Err(self.wait.error(format!(
                    "line {words} could be in the masks of {}; set `from` in its [[line]]",
                    names.join(" and ")
                )));
            }
        }
        let told_by = |call: &usize| plan.tellers.contains(&Some(*call)) || plan.levels.calls().contains(call);
        for line in &plan.lines {
            if let Some(&call) = line.from.iter().find(|call| !told_by(call)) {
                return Err(
                    self.places[call].error("a [[line]] has `from` with this call, but the call does not report lines")
                );
            }
        }
        Ok(())
    }
}
