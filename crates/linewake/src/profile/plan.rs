//! A whole profile, read: what to open, what to send, and what answers mean.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::call::{Call, What, When};
use super::device::Target;
use super::input::InputValue;
use super::line::ProfileLine;
use super::output::{Output, Role, Since};
use super::wait::{By, Means, Reads, Wait};

#[derive(Debug)]
pub(crate) struct Plan {
    /// What errors call the file.
    pub(crate) file: String,
    pub(crate) name: Arc<str>,
    pub(crate) label: Arc<str>,
    pub(crate) target: Option<Target>,
    pub(crate) lines: Vec<ProfileLine>,
    /// The most events that can be asked to be queued; zero if that cannot be chosen.
    pub(crate) max_queue: u32,
    pub(crate) calls: Vec<Call>,
    pub(crate) setup: Vec<usize>,
    pub(crate) release: Vec<usize>,
    pub(crate) wait: Wait,
    pub(crate) levels: Levels,
    pub(crate) account: Option<usize>,
    /// Those that say what happened: calls, and `None` for a read or a completion that says all by itself.
    pub(crate) tellers: Vec<Option<usize>>,
}

/// How the levels of the lines are known when a watch begins, and when someone asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Levels {
    /// Nothing is said of them.
    Unsaid,
    /// These calls give them.
    Calls(Vec<usize>),
    /// At the start all lines are active, or inactive; later nobody can ask.
    Start(bool),
    /// They are not known before a line is told of.
    Unknown,
}

impl Levels {
    /// The calls that read them.
    pub(crate) fn calls(&self) -> &[usize] {
        match self {
            Self::Calls(calls) => calls,
            Self::Unsaid | Self::Start(_) | Self::Unknown => &[],
        }
    }
}

/// A call of a sequence, and the place of the line that it is made for, among those asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) call: usize,
    pub(crate) place: Option<usize>,
}

impl Plan {
    pub(super) fn find_tellers(&self) -> Vec<Option<usize>> {
        let tells = |&call: &usize| !self.call(call).output.fields.is_empty();
        let then: Vec<_> = self.wait.then.iter().copied().filter(tells).map(Some).collect();
        match (&self.wait.by, then.is_empty()) {
            (_, false) => then,
            (By::Call(call), true) => vec![Some(*call)],
            (By::Read(_) | By::Event(_) | By::Poll(_), true) => vec![None],
        }
    }

    pub(crate) fn call(&self, index: usize) -> &Call {
        &self.calls[index]
    }

    /// What a teller gives.
    pub(crate) fn told(&self, teller: Option<usize>) -> &Output {
        match (teller, &self.wait.by) {
            (Some(call), _) => &self.calls[call].output,
            (None, By::Read(output)) => output,
            (None, By::Call(_) | By::Event(_) | By::Poll(_)) => &NOTHING,
        }
    }

    /// What is told, by each teller.
    pub(crate) fn all_told(&self) -> impl Iterator<Item = &Output> {
        self.tellers.iter().map(|&teller| self.told(teller))
    }

    /// Whether something that tells has such a field.
    pub(crate) fn tells(&self, role: Role) -> bool {
        self.all_told().any(|output| output.has(role))
    }

    /// Whether the completion of a wait itself says what happened, and not a call that is made then.
    pub(crate) fn wait_tells(&self) -> bool {
        match &self.wait.by {
            By::Call(call) => self.tellers.contains(&Some(*call)) && !self.wait.then.contains(call),
            By::Read(_) | By::Event(_) | By::Poll(_) => self.tellers.contains(&None),
        }
    }

    /// The calls in the order that they are sent in: a call for a line once for each line asked for, unless the sequence is
    /// for one line already.
    pub(crate) fn steps<'s>(
        &'s self,
        calls: &'s [usize],
        place: Option<usize>,
        lines: usize,
    ) -> impl Iterator<Item = Step> + 's {
        calls.iter().flat_map(move |&call| {
            let is_for_each = self.call(call).for_line && place.is_none();
            let times = if is_for_each { lines } else { 1 };
            (0..times).map(move |line| Step { call, place: if is_for_each { Some(line) } else { place } })
        })
    }

    /// Whether levels are read after completions to know which way lines changed.
    pub(crate) fn reads_levels_after(&self) -> bool {
        let lacks = |output: &Output| output.has(Role::Changed) && !output.has(Role::Levels);
        self.wait.means == Means::Mask && self.all_told().any(lacks)
    }

    /// Whether the levels of one line are asked for at a time.
    pub(crate) fn levels_each_line(&self) -> bool {
        let levels = self.levels.calls();
        !levels.is_empty() && levels.iter().all(|&call| self.call(call).for_line)
    }

    /// Whether a gap in the numbers of all edges is the one thing that shows what is missing.
    pub(crate) fn numbers_all(&self) -> bool {
        let says_more = [Role::Overflowed, Role::LineSeqno, Role::Count].into_iter().any(|role| self.tells(role));
        self.tells(Role::Seqno) && !says_more
    }

    /// Whether the driver is told which edges are wanted.
    pub(crate) fn selects_edges(&self) -> bool {
        let selects = |&call: &usize| self.call(call).input.sends(|sent| matches!(sent, InputValue::Edges { .. }));
        self.setup.iter().any(selects)
    }

    /// Whether all that is told are edges of one direction.
    pub(crate) fn is_one_way(&self) -> bool {
        let one_way =
            |output: &Output| !output.has(Role::Changed) && output.has(Role::Rising) != output.has(Role::Falling);
        match self.wait.means {
            Means::Edge | Means::Count => self.wait.edge.is_some(),
            Means::Mask => self.all_told().all(one_way),
            Means::Level => false,
        }
    }

    /// Whether the device has to be opened for writing.
    pub(crate) fn opens_for_writing(&self) -> bool {
        let calls = || self.calls.iter().map(|call| &call.what);
        match &self.target {
            Some(target) => target.opens_for_writing(calls()),
            None => false,
        }
    }

    /// What nobody needs to mend, and should know.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match &self.target {
            None => notes.push("it names no device: only a program can open it".to_owned()),
            Some(target) => notes.extend(target.place.is_foreign().map(|foreign| format!("it opens {foreign}"))),
        }
        if self.target.as_ref().is_some_and(|target| target.exclusive && !target.place.is_of_windows()) {
            notes.push(
                "`exclusive` is of Windows, and nothing on Linux: a driver that can be had alone has a call for it, like \
                 EVIOCGRAB or PPEXCL, for `setup`"
                    .to_owned(),
            );
        }
        if let By::Read(output) = &self.wait.by
            && !(output.length - output.header).is_multiple_of(output.record.max(1))
            && output.at_most.is_none()
        {
            let (length, record) = (output.length, output.record);
            notes.push(format!(
                "`length` of {length} bytes is no whole number of records of {record}: what a driver has more of may be cut in \
                 the middle of one"
            ));
        }
        if let (By::Read(output), None, None) = (&self.wait.by, self.wait.reads, self.reads()) {
            let record = output.record;
            notes.push(format!(
                "`reads` is not said in [wait]: a terminal, a pipe, a stream socket or a serial port gives \"bytes\", and any \
                 other file \"messages\", each of whole records of {record} bytes"
            ));
        }
        for (index, call) in self.calls.iter().enumerate() {
            let same = |other: &&Call| (&other.what, &other.input) == (&call.what, &call.input);
            if let Some(before) = self.calls[..index].iter().find(same) {
                let (one, other, what) = (&before.name, &call.name, call.what.words());
                notes.push(format!("\"{one}\" and \"{other}\" are the same call: {what}, with the same input"));
            }
            notes.extend(self.notes_of_ioctl(call));
        }
        let is_late = |told: &Output| told.has(Role::Count) && told.since == Since::Start && !told.first_is_edge;
        if self.wait.means == Means::Count && !matches!(self.wait.by, By::Poll(_)) && self.all_told().any(is_late) {
            notes.push(
                "the first count is taken for what was before; if the driver tells nothing before there is an edge, say \
                 `first = \"edge\"` in `count`, or that one is missing"
                    .to_owned(),
            );
        }
        if !self.wait.repeats_are_losses && self.wait.means == Means::Level && self.tells(Role::Level) {
            notes.push(
                "a level that is as before is taken for no edge; if the driver tells of changes alone, say \
                 `repeats = \"loss\"` in [wait]"
                    .to_owned(),
            );
        }
        notes
    }

    fn notes_of_ioctl(&self, call: &Call) -> Vec<String> {
        let Some(request) = call.request() else { return Vec::new() };
        let mut notes = Vec::new();
        let length = call.input.length.max(if request.answers_by_value { 0 } else { call.output.length });
        if let Some((_, size)) = request.said
            && request.argument == super::call::Argument::Buffer
            && size != length
        {
            notes.push(format!(
                "the number of \"{}\" says {size} bytes, and the profile gives it {length}: some headers name a pointer \
                 there",
                call.name
            ));
        }
        if let When::Blocks { ended_by } = request.when {
            if ended_by.is_none() {
                notes.push(format!(
                    "nothing ends \"{}\" when the lines are given back: its thread and the device stay until the driver \
                     answers; name a call that makes it answer in `ended_by`",
                    call.name
                ));
            }
            if self.wait.each_line {
                notes.push(format!(
                    "\"{}\" waits in the call: it takes a thread for each line that is watched",
                    call.name
                ));
            }
        }
        notes
    }

    /// The calls that the user has to allow, each with the reason.
    pub(crate) fn need_consent(&self) -> Vec<(&Call, &'static str)> {
        let setting_up: BTreeSet<_> = self.setup.iter().chain(&self.release).copied().collect();
        let each = self.calls.iter().enumerate().filter_map(|(index, call)| {
            let reason = if setting_up.contains(&index) && matches!(call.what, What::Control(_)) {
                Some("it sets the device up")
            } else {
                call.consent()
            };
            reason.map(|reason| (call, reason))
        });
        each.collect()
    }

    /// What is sure to be messages, or bytes; `None` is for the kind of file to say.
    pub(crate) fn reads(&self) -> Option<Reads> {
        match &self.wait.by {
            By::Read(output) if output.header > 0 || output.at_most.is_some() || !self.wait_tells() => {
                Some(Reads::Messages)
            }
            _ => self.wait.reads,
        }
    }
}

static NOTHING: Output = Output::NOTHING;
