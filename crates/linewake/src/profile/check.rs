//! Whether the parts of a profile fit together. What it cannot decide is refused here, so that no edge is invented later.

use super::call::{What, When};
use super::code;
use super::input::InputValue;
use super::output::{Output, Role};
use super::plan::{Levels, Plan};
use super::wait::{By, EventSource, Means, Reads};
use crate::Error;
use crate::keys::Value;

/// The most memory that waits may take, in bytes.
const MOST_PENDING: usize = 64 << 20;

/// `wait` is the section of that name, and `places` are those of the calls.
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
    /// Where an output is in the file.
    fn place(&self, teller: Option<usize>) -> &Value<'_> {
        teller.map_or(self.wait, |call| &self.places[call])
    }

    /// Each call is for the system that has the device.
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
                        "the device is one of Windows, which has no ioctls: give a control code, by `code` or the four \
                         fields of CTL_CODE",
                    ));
                }
                What::Ioctl(_) | What::Write => {}
            }
        }
        Ok(())
    }

    /// Each call has what it needs where it is used.
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
                .error("this input is about one line, and the wait is for the card: say `for = \"line\"` there"));
        }
        for (index, call) in plan.calls.iter().enumerate() {
            let waits = call.request().is_some_and(|request| request.when != When::Now);
            if waits && waiting != Some(index) {
                return Err(self.places[index].error(
                    "only the call that [wait] names may block, or wait for the file to be ready; this one is made at once",
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
                    "the driver is waited for line by line, and this sends one call with a record of every line: leave out \
                     `each_line`, and it is sent once for each line; or say `for = \"card\"` if the driver takes all of them \
                     at once",
                ));
            }
        }
        let sends_queue = |&call: &usize| plan.call(call).input.sends(|sent| *sent == InputValue::Queue);
        if (plan.max_queue > 0) != plan.setup.iter().any(sends_queue) {
            return Err(self
                .wait
                .error("`max_queue` and a setup call that sends it (`value = \"queue\"`) go together"));
        }
        Ok(())
    }

    /// What an input says of lines fits into it.
    fn inputs(&self, call: &super::call::Call, place: &Value<'_>) -> Result<(), Error> {
        for (field, sent) in &call.input.fields {
            for (offset, line) in self.plan.lines.iter().enumerate() {
                let words = line.words(offset);
                if *sent == InputValue::Line && line.number > field.greatest() {
                    let (number, greatest) = (line.number, field.greatest());
                    return Err(place.error(format!(
                        "line {words} has the number {number}, and the field that sends it holds {greatest} at most: make it \
                         wider"
                    )));
                }
                if *sent == InputValue::Mask && line.event_bit as usize >= 8 * field.width {
                    let (bits, bit) = (8 * field.width, line.event_bit);
                    return Err(
                        place.error(format!("the mask that it sends has {bits} bits, and line {words} has bit {bit}"))
                    );
                }
            }
        }
        if self.plan.wait.edge.is_some() && call.input.sends(|sent| matches!(sent, InputValue::Edges { .. })) {
            return Err(place.error(
                "[wait] says by `edge` that each edge is the same, and this tells the driver which edges are wanted, which \
                 may be both: send the number of that edge in place of `value = \"edges\"`",
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
                .error("an event is sent by a setup call, and made by `[wait]` with `event = \"made\"`"));
        }
        if is_made && (plan.wait.each_line || !plan.setup.iter().any(sends)) {
            return Err(self.wait.error(
                "an event that is made here is for the card, and a setup call must send it: `value = \"event\"`",
            ));
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
            return Err(self
                .wait
                .error(format!("{waits} waits of {length} bytes are too much memory: {MOST_PENDING} bytes at most")));
        }
        Ok(())
    }

    /// What a completion means can be told from what comes.
    fn meaning(&self) -> Result<(), Error> {
        let plan = self.plan;
        let knows_a_level = matches!(plan.levels, Levels::Calls(_) | Levels::Start(_));
        if plan.wait.edge.is_some() && !matches!(plan.wait.means, Means::Edge | Means::Count) {
            return Err(self.wait.error("`edge` goes with `means = \"edge\"` and `means = \"count\"`"));
        }
        for &teller in &plan.tellers {
            let told = plan.told(teller);
            let has = |role| told.has(role);
            let lacks = |what: &str| {
                let from = match teller {
                    Some(call) if plan.wait.then.contains(&call) => {
                        format!("the output of \"{}\"", plan.call(call).name)
                    }
                    _ => "the output of the wait".to_owned(),
                };
                Err(self.wait.error(format!("{from} lacks {what}")))
            };
            let is_fixed = plan.wait.edge.is_some();
            if is_fixed && has(Role::Edge) {
                return Err(self.wait.error("`edge` is said here, and is a field of the output too: leave one out"));
            }
            match plan.wait.means {
                Means::Edge if !has(Role::Edge) && !is_fixed => {
                    return lacks("`edge`; if each one is the same edge, say which: `edge = \"rising\"` in [wait]");
                }
                Means::Edge if !has(Role::Line) && !plan.wait.each_line && plan.lines.len() > 1 => {
                    return lacks("`line`: whose edge it is");
                }
                Means::Level if !has(Role::Level) && !has(Role::Levels) => return lacks("`level` and `levels`"),
                Means::Count if !has(Role::Count) => return lacks("`count`"),
                Means::Count if !is_fixed && !has(Role::Level) && !has(Role::Levels) && !knows_a_level => {
                    return lacks(
                        "`level` and `levels`, and nothing says the levels at the start: which way an edge went cannot be \
                         known; say `edge = \"rising\"` in [wait] if all that is counted is such, or give [levels]",
                    );
                }
                Means::Count if told.first_is_edge && matches!(plan.wait.by, By::Poll(_)) => {
                    return Err(self.place(teller).error(
                        "`first = \"edge\"` is for what is told because of an edge; a poll looks once before, and what it \
                         counted until then is no edge",
                    ));
                }
                Means::Count if told.first_is_edge && !is_fixed && !has(Role::Level) && !has(Role::Levels) => {
                    return Err(self.place(teller).error(
                        "`first = \"edge\"` needs to know which way that edge went: say `edge` in [wait], or add `level` or \
                         `levels` to `fields`",
                    ));
                }
                Means::Mask if has(Role::Changed) && !has(Role::Levels) && plan.levels.calls().is_empty() => {
                    return lacks("`levels`, and there is no `[levels]`: which way the lines changed");
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
                "a level is an edge if it differs from the one before, and nothing says the levels at the start: add \
                 [levels] with the `call` that reads them, or with `start = \"inactive\"`, \"active\", or \"unknown\" (the \
                 first report of a line then says its level, and is no edge)",
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
            // Others may go before, such as one that says which register is read.
            Some(&last) if !calls.iter().any(tells) => {
                Err(self.places[last].error("its output has neither `levels` nor `level`, and `[levels]` needs one"))
            }
            _ => Ok(()),
        }
    }

    fn account(&self) -> Result<(), Error> {
        for &call in self.plan.account.iter() {
            let output = &self.plan.call(call).output;
            for role in [Role::Happened, Role::Delivered, Role::Overflowed] {
                if !output.has(role) {
                    let lacks = format!("its output lacks `{}`, which `[account]` needs", role.key());
                    return Err(self.places[call].error(lacks));
                }
            }
            if self.plan.call(call).for_line {
                return Err(
                    self.places[call].error("the counters of all lines are read by one call: leave out the line")
                );
            }
        }
        Ok(())
    }

    /// Each record is of a line that is known, and of a kind that is known.
    fn records(&self) -> Result<(), Error> {
        let plan = self.plan;
        let tells = |call: usize| plan.tellers.contains(&Some(call));
        if let Some(call) = (0..plan.calls.len()).find(|&call| !plan.call(call).output.lost.is_empty() && !tells(call))
        {
            return Err(self.places[call].error("`lost` is for what tells of edges, and this call does not"));
        }
        let by_record = matches!(plan.wait.means, Means::Level | Means::Count) && plan.lines.len() > 1;
        for &teller in &plan.tellers {
            let output = plan.told(teller);
            if output.has_masks() && output.has(Role::Line) && matches!(plan.wait.means, Means::Level | Means::Mask) {
                return Err(self.place(teller).error(
                    "`line` says which line a record is about, and a mask has a bit for each line: leave one out; if `line` \
                     is a group of lines, write a profile for each group, and name it by `only`",
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
            return Err(self.wait.error("a header is at the beginning of a message: say `reads = \"messages\"`"));
        }
        if plan.wait.reads == Some(Reads::Bytes) && output.at_most.is_some() {
            return Err(self.wait.error("`records` is how many a message has: say `reads = \"messages\"`"));
        }
        if plan.wait_tells()
            && let Some(unnamed) = output.unnamed()
        {
            return Err(self.wait.error(format!(
                "nothing says what is in {unnamed} of a record: if that tells one kind of record from another, name the \
                 kind that is meant by `only`; if it means nothing, say `rest = \"unused\"` in `output`"
            )));
        }
        Ok(())
    }

    /// Records that are the lines one after the other.
    fn in_order(&self, teller: Option<usize>, output: &Output) -> Result<(), Error> {
        let (room, lines) = ((output.length - output.header) / output.record.max(1), self.plan.lines.len());
        let records = output.at_most.unwrap_or(room);
        if records > lines {
            return Err(self.place(teller).error(format!(
                "no field says which line a record is about, so they are the lines in order; there is room for {records} \
                 records, and there are {lines} lines: add `line` to `fields`, or make `length` fit"
            )));
        }
        if teller.is_none() && self.plan.wait.reads != Some(Reads::Messages) {
            return Err(self.wait.error(
                "no field says which line a record is about, so they are the lines in order: that needs to be read whole; \
                 say `reads = \"messages\"`, or add `line` to `fields`",
            ));
        }
        Ok(())
    }

    /// Each line has a bit of its own in each mask that tells of it.
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
                            .error(format!("`{key}` has {bits} bits, and line {words} has bit {bit}")));
                    }
                    if let Some(before) = seen.insert(bit, offset) {
                        let before = plan.lines[before].words(before);
                        return Err(self.place(teller).error(format!(
                            "in `{key}`, lines {before} and {words} have the same bit, {bit}: give each a bit of its own, or \
                             say by `from` which call tells of which line"
                        )));
                    }
                }
            }
        }
        self.from(&plan.tellers)?;
        self.from(&plan.levels.calls().iter().copied().map(Some).collect::<Vec<_>>())
    }

    /// Where several calls have masks, each line says which of them tell of it.
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
                    "line {words} could be in the masks of {}: say in its [[line]] which, by `from`",
                    names.join(" and ")
                )));
            }
        }
        let told_by = |call: &usize| plan.tellers.contains(&Some(*call)) || plan.levels.calls().contains(call);
        for line in &plan.lines {
            if let Some(&call) = line.from.iter().find(|call| !told_by(call)) {
                return Err(
                    self.places[call].error("a [[line]] is said to be `from` this call, and it tells of no line")
                );
            }
        }
        Ok(())
    }
}
