//! A profile after reading: what to open, what to send, and what the answers mean.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use super::call::{Call, What, When};
use super::device::Target;
use super::input::InputValue;
use super::line::ProfileLine;
use super::output::{Output, Role, Since};
use super::wait::{By, Means, Reads, Wait};

#[derive(Debug)]
pub(crate) struct Plan {
    /// The name of the file in errors.
    pub(crate) file: String,
    pub(crate) name: Arc<str>,
    pub(crate) label: Arc<str>,
    pub(crate) target: Option<Target>,
    pub(crate) lines: Vec<ProfileLine>,
    /// The largest queue size that a program can choose, in events. Zero if it cannot choose.
    pub(crate) max_queue: u32,
    pub(crate) calls: Vec<Call>,
    pub(crate) setup: Vec<usize>,
    pub(crate) release: Vec<usize>,
    pub(crate) wait: Wait,
    pub(crate) levels: Levels,
    pub(crate) account: Option<usize>,
    /// The calls that say what happened. `None` is a read, or a completion that needs no bytes.
    pub(crate) tellers: Vec<Option<usize>>,
}

/// Where the levels of the lines come from, when a watch begins and when a program asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Levels {
    /// The profile does not say.
    Unsaid,
    /// These calls read them.
    Calls(Vec<usize>),
    /// At the start all lines are active, or all are inactive. They cannot be read later.
    Start(bool),
    /// A level is unknown before the first report of its line.
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

/// A call of a sequence, and the place of its line among the requested lines.
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

    /// The output of a teller.
    pub(crate) fn told(&self, teller: Option<usize>) -> &Output {
        match (teller, &self.wait.by) {
            (Some(call), _) => &self.calls[call].output,
            (None, By::Read(output)) => output,
            (None, By::Call(_) | By::Event(_) | By::Poll(_)) => &NOTHING,
        }
    }

    /// The outputs of all tellers.
    pub(crate) fn all_told(&self) -> impl Iterator<Item = &Output> {
        self.tellers.iter().map(|&teller| self.told(teller))
    }

    /// True if the output of a teller has such a field.
    pub(crate) fn tells(&self, role: Role) -> bool {
        self.all_told().any(|output| output.has(role))
    }

    /// True if the completion of a wait says what happened, and not a call that follows it.
    pub(crate) fn wait_tells(&self) -> bool {
        match &self.wait.by {
            By::Call(call) => self.tellers.contains(&Some(*call)) && !self.wait.then.contains(call),
            By::Read(_) | By::Event(_) | By::Poll(_) => self.tellers.contains(&None),
        }
    }

    /// The calls in the order in which they are sent. A call for a line is sent once for each requested line, unless
    /// the whole sequence is for one line.
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

    /// True if levels are read after each completion, to know the direction of changes.
    pub(crate) fn reads_levels_after(&self) -> bool {
        let lacks = |output: &Output| output.has(Role::Changed) && !output.has(Role::Levels);
        self.wait.means == Means::Mask && self.all_told().any(lacks)
    }

    /// True if the levels are read one line at a time.
    pub(crate) fn levels_each_line(&self) -> bool {
        let levels = self.levels.calls();
        !levels.is_empty() && levels.iter().all(|&call| self.call(call).for_line)
    }

    /// True if only a gap in the numbers of all edges shows missing edges.
    pub(crate) fn numbers_all(&self) -> bool {
        let says_more = [Role::Overflowed, Role::LineSeqno, Role::Count].into_iter().any(|role| self.tells(role));
        self.tells(Role::Seqno) && !says_more
    }

    /// True if a setup call tells the driver which edges are wanted.
    pub(crate) fn selects_edges(&self) -> bool {
        let selects = |&call: &usize| self.call(call).input.sends(|sent| matches!(sent, InputValue::Edges { .. }));
        self.setup.iter().any(selects)
    }

    /// True if only edges of one direction are reported.
    pub(crate) fn is_one_way(&self) -> bool {
        let one_way =
            |output: &Output| !output.has(Role::Changed) && output.has(Role::Rising) != output.has(Role::Falling);
        match self.wait.means {
            Means::Edge | Means::Count => self.wait.edge.is_some(),
            Means::Mask => self.all_told().all(one_way),
            Means::Level => false,
        }
    }

    /// True if the device must be opened for writing.
    pub(crate) fn opens_for_writing(&self) -> bool {
        let calls = || self.calls.iter().map(|call| &call.what);
        match &self.target {
            Some(target) => target.opens_for_writing(calls()),
            None => false,
        }
    }

    /// Hints about a valid profile; see [`Profile::notes`](super::Profile::notes).
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match &self.target {
            None => notes.push("it names no device, so only a program can open it".to_owned()),
            Some(target) => notes.extend(target.place.is_foreign().map(|foreign| format!("it opens {foreign}"))),
        }
        if self.target.as_ref().is_some_and(|target| target.exclusive && !target.place.is_of_windows()) {
            notes.push(
                "`exclusive` has no effect on Linux; if the driver has a call for exclusive access, like \
                 EVIOCGRAB or PPEXCL, add it to `setup`"
                    .to_owned(),
            );
        }
        if let By::Read(output) = &self.wait.by
            && !(output.length - output.header).is_multiple_of(output.record.max(1))
            && output.at_most.is_none()
        {
            let (length, record) = (output.length, output.record);
            notes.push(format!(
                "`length` of {length} bytes is not a multiple of the record of {record} bytes; the driver may cut data \
                 in the middle of a record"
            ));
        }
        if let (By::Read(output), None, None) = (&self.wait.by, self.wait.reads, self.reads()) {
            let record = output.record;
            notes.push(format!(
                "`reads` is not set in [wait]; it is \"bytes\" for a terminal, a pipe, a stream socket or a serial \
                 port, and for any other file \"messages\" of whole records of {record} bytes"
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
                "the first count gives no edges; if the driver reports nothing before there is an edge, set \
                 `first = \"edge\"` in `count`, or that edge is missing"
                    .to_owned(),
            );
        }
        if !self.wait.repeats_are_losses && self.wait.means == Means::Level && self.tells(Role::Level) {
            notes.push(
                "a level that is the same as before is not an edge; if the driver reports only changes, set \
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
                "the number of \"{}\" has a size of {size} bytes, but the profile uses {length}; some headers have a \
                 pointer there",
                call.name
            ));
        }
        if let When::Blocks { ended_by } = request.when {
            if ended_by.is_none() {
                notes.push(format!(
                    "nothing ends \"{}\" when the lines are released, so its thread and the device stay until the \
                     driver answers; set `ended_by` to a call that makes it answer",
                    call.name
                ));
            }
            if self.wait.each_line {
                notes
                    .push(format!("\"{}\" waits in the call, which needs one thread for each watched line", call.name));
            }
        }
        notes
    }

    /// The calls that the user must allow, each with the reason.
    pub(crate) fn need_consent(&self) -> Vec<(&Call, &'static str)> {
        let setting_up: BTreeSet<_> = self.setup.iter().chain(&self.release).copied().collect();
        let each = self.calls.iter().enumerate().filter_map(|(index, call)| {
            let reason = if setting_up.contains(&index) && matches!(call.what, What::Control(_)) {
                Some("it sets up the device")
            } else {
                call.consent()
            };
            reason.map(|reason| (call, reason))
        });
        each.collect()
    }

    /// Messages or bytes, if the profile decides it. `None` if the kind of file decides.
    pub(crate) fn reads(&self) -> Option<Reads> {
        match &self.wait.by {
            By::Read(output) if output.header > 0 || output.at_most.is_some() || !self.wait_tells() => {
                Some(Reads::Messages)
            }
            _ => self.wait.reads,
        }
    }
}

/// The output of a completion without bytes.
static NOTHING: LazyLock<Output> = LazyLock::new(Output::default);
