//! A whole profile, read and checked: what to open, what to send, and what answers mean.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use linewake_controller::protocol::MAX_LINES;

use super::layout::{Call, Output, Role, Sent};
use crate::Error;
use crate::keys::{Keys, Source, Value, did_you_mean};

/// The most memory that waits may take, in bytes.
const MOST_PENDING: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct Plan {
    /// What errors call the file.
    pub(crate) file: String,
    pub(crate) name: Arc<str>,
    pub(crate) label: Arc<str>,
    pub(crate) target: Option<Target>,
    pub(crate) lines: Vec<Line>,
    /// The most events that can be asked to be queued; zero if that cannot be chosen.
    pub(crate) max_queue: u32,
    pub(crate) calls: Vec<Call>,
    pub(crate) setup: Vec<usize>,
    pub(crate) release: Vec<usize>,
    pub(crate) wait: Wait,
    pub(crate) levels: Option<usize>,
    pub(crate) account: Option<usize>,
}

/// What to open.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    /// Nobody else may have it open.
    pub(crate) exclusive: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    Path(String),
    /// The GUID of a device interface class.
    Interface(String),
}

impl Place {
    /// What it is, if it is not for this system.
    pub(crate) fn is_foreign(&self) -> Option<String> {
        let (shown, is_windows) = match self {
            Self::Path(path) => (path, path.starts_with('\\')),
            Self::Interface(guid) => (guid, true),
        };
        let system = match std::env::consts::OS {
            "linux" => "Linux",
            "windows" => "Windows",
            other => other,
        };
        let of = if is_windows { "a Windows device" } else { "a device file, which Windows does not have" };
        (is_windows != cfg!(windows)).then(|| format!("\"{shown}\", {of}: this system is {system}"))
    }
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: Option<Arc<str>>,
    /// What the driver calls it.
    pub(crate) number: u64,
    pub(crate) event_bit: u32,
    pub(crate) level_bit: u32,
}

#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) by: By,
    /// One wait for each line, else one for the card.
    pub(crate) each_line: bool,
    pub(crate) pending: usize,
    pub(crate) completion_order: bool,
    /// The call to make after a completion: what it gives is what the completion means.
    pub(crate) then: Option<usize>,
    pub(crate) means: Means,
}

#[derive(Debug)]
pub(crate) enum By {
    Call(usize),
    Read(Output),
    Event(EventSource),
    Poll(Duration),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EventSource {
    /// The event of this name, `{number}` being the line's number.
    Named(String),
    /// One that this program makes, and whose handle a setup call gives to the driver.
    Made,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    Edge,
    Level,
    Mask,
    Count,
}

const KEYS: &[&str] =
    &["name", "label", "lines", "max_queue", "setup", "release", "device", "line", "call", "wait", "levels", "account"];

impl Plan {
    pub(super) fn read(source: Source<'_>) -> Result<Self, Error> {
        let root = source.parse()?;
        let keys = Keys::new(source, &root).only(KEYS)?;
        let name = keys.need("name")?;
        let label = keys.get("label").map_or(Ok(""), |label| label.text())?;
        let target = keys.get("device").map(|device| Target::read(&device)).transpose()?;
        let lines = lines(&keys)?;
        let calls = Calls::read(keys.get("call"))?;
        let wait_key = keys.get("wait").ok_or_else(|| {
            keys.error("the section [wait] is missing: say `by` what an edge is waited for, and what that `means`")
        })?;
        let plan = Self {
            file: source.name.to_owned(),
            name: checked_name(&name)?,
            label: label.into(),
            target,
            lines,
            max_queue: keys.get("max_queue").map_or(Ok(0), |most| most.number(2, 1 << 20))? as u32,
            setup: calls.named_all(keys.get("setup"))?,
            release: calls.named_all(keys.get("release"))?,
            wait: Wait::read(&wait_key, &calls)?,
            levels: keys.get("levels").map(|levels| section(&levels, &calls)).transpose()?,
            account: keys.get("account").map(|account| section(&account, &calls)).transpose()?,
            calls: Vec::new(),
        };
        keys.finish()?;
        let (calls, unused) = calls.finish();
        if let Some(unused) = unused {
            return Err(unused);
        }
        let places: Vec<_> = calls.iter().map(|(_, at)| at.clone()).collect();
        let plan = Self { calls: calls.into_iter().map(|(call, _)| call).collect(), ..plan };
        plan.check(&wait_key, &places)?;
        Ok(plan)
    }

    pub(crate) fn call(&self, index: usize) -> &Call {
        &self.calls[index]
    }

    /// What says what a completion means.
    pub(crate) fn told(&self) -> &Output {
        match (&self.wait.then, &self.wait.by) {
            (Some(then), _) => &self.calls[*then].output,
            (None, By::Call(call)) => &self.calls[*call].output,
            (None, By::Read(output)) => output,
            // Refused when it was read.
            (None, By::Event(_) | By::Poll(_)) => &NOTHING,
        }
    }

    /// Whether levels are read after completions to know which way lines changed.
    pub(crate) fn reads_levels_after(&self) -> bool {
        let told = self.told();
        self.wait.means == Means::Mask && told.has(Role::Changed) && !told.has(Role::Levels)
    }

    /// Whether the levels of one line are asked for at a time.
    pub(crate) fn levels_each_line(&self) -> bool {
        self.levels.is_some_and(|levels| self.call(levels).input.sends(|sent| *sent == Sent::Line))
    }

    /// Whether the driver is told which edges are wanted.
    pub(crate) fn selects_edges(&self) -> bool {
        let selects = |&call: &usize| self.call(call).input.sends(|sent| matches!(sent, Sent::Edges { .. }));
        self.setup.iter().any(selects)
    }

    /// What nobody needs to mend, and should know.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match &self.target {
            None => notes.push("it names no device: only a program can open it".to_owned()),
            Some(target) => notes.extend(target.place.is_foreign().map(|foreign| format!("it opens {foreign}"))),
        }
        for (index, call) in self.calls.iter().enumerate() {
            let same = |other: &&Call| (other.code, &other.input) == (call.code, &call.input);
            if let Some(before) = self.calls[..index].iter().find(same) {
                let (one, other, code) = (&before.name, &call.name, call.code);
                notes.push(format!("\"{one}\" and \"{other}\" are the same call: {code}, with the same input"));
            }
        }
        notes
    }

    /// The calls that the user has to allow, each with the reason.
    pub(crate) fn need_consent(&self) -> Vec<(&Call, &'static str)> {
        let setting_up: BTreeSet<_> = self.setup.iter().chain(&self.release).copied().collect();
        let each = self.calls.iter().enumerate().filter_map(|(index, call)| {
            if setting_up.contains(&index) {
                Some((call, "it sets the device up"))
            } else if call.code.access() != overlapped::Access::Read {
                Some((call, "its code does not have read access alone"))
            } else if call.needs_consent() {
                Some((call, "it sends more than which lines are meant"))
            } else {
                None
            }
        });
        each.collect()
    }

    fn check(&self, wait: &Value<'_>, places: &[Value<'_>]) -> Result<(), Error> {
        // Whether a call that is about one line has one.
        let about_a_line = |sent: &Sent| matches!(sent, Sent::Line | Sent::Edges { .. });
        let needs_line = |call: usize| {
            let input = &self.calls[call].input;
            !input.each_line && input.sends(about_a_line)
        };
        for &call in self.setup.iter().chain(&self.release).chain(&self.account) {
            if needs_line(call) {
                return Err(
                    places[call].error("this input is about one line: say `each_line = true`, for a record of each")
                );
            }
        }
        let waiting = match &self.wait.by {
            By::Call(call) => Some(*call),
            _ => None,
        };
        for call in waiting.into_iter().chain(self.wait.then) {
            if needs_line(call) && !self.wait.each_line {
                return Err(places[call]
                    .error("this input is about one line, and the wait is for the card: say `for = \"line\"` there"));
            }
        }
        for (index, call) in self.calls.iter().enumerate() {
            if call.input.sends(|sent| *sent == Sent::Event)
                && !matches!(self.wait.by, By::Event(EventSource::Made) if self.setup.contains(&index))
            {
                return Err(places[index]
                    .error("an event is sent by a setup call, and made by `[wait]` with `event = \"made\"`"));
            }
        }
        if matches!(self.wait.by, By::Event(EventSource::Made)) {
            let sends = |&call: &usize| self.call(call).input.sends(|sent| *sent == Sent::Event);
            if self.wait.each_line || !self.setup.iter().any(sends) {
                return Err(wait.error(
                    "an event that is made here is for the card, and a setup call must send it: `value = \"event\"`",
                ));
            }
        }
        let sends_queue = |&call: &usize| self.call(call).input.sends(|sent| *sent == Sent::Queue);
        if (self.max_queue > 0) != self.setup.iter().any(sends_queue) {
            return Err(wait.error("`max_queue` and a setup call that sends it (`value = \"queue\"`) go together"));
        }
        let length = match &self.wait.by {
            By::Call(call) => self.call(*call).output.length,
            By::Read(output) => output.length,
            By::Event(_) | By::Poll(_) => 0,
        };
        let waits = self.wait.pending * if self.wait.each_line { self.lines.len() } else { 1 };
        if length.saturating_mul(waits) > MOST_PENDING {
            return Err(wait
                .error(format!("{waits} waits of {length} bytes are too much memory: {MOST_PENDING} bytes at most")));
        }
        self.check_meaning(wait)?;
        for &call in self.levels.iter() {
            let output = &self.call(call).output;
            if !output.has(Role::Levels) && !output.has(Role::Level) {
                return Err(places[call].error("its output has neither `levels` nor `level`, and `[levels]` needs one"));
            }
        }
        for &call in self.account.iter() {
            let output = &self.call(call).output;
            for role in [Role::Happened, Role::Delivered, Role::Overflowed] {
                if !output.has(role) {
                    return Err(
                        places[call].error(format!("its output lacks `{}`, which `[account]` needs", role.key()))
                    );
                }
            }
        }
        let mut masks: Vec<_> = self.calls.iter().zip(places).map(|(call, place)| (&call.output, place)).collect();
        if let By::Read(output) = &self.wait.by {
            masks.push((output, wait));
        }
        for (output, place) in masks {
            for (role, field) in output.fields.iter().filter(|(role, _)| role.is_mask()) {
                let bit = |line: &Line| if *role == Role::Levels { line.level_bit } else { line.event_bit };
                let outside = |(_, line): &(usize, &Line)| bit(line) as usize >= 8 * field.width;
                if let Some((offset, line)) = self.lines.iter().enumerate().find(outside) {
                    let (key, bits, bit) = (role.key(), 8 * field.width, bit(line));
                    let name = line.name.as_deref().map(|name| format!(" (\"{name}\")")).unwrap_or_default();
                    return Err(place.error(format!("`{key}` has {bits} bits, and line {offset}{name} has bit {bit}")));
                }
            }
        }
        Ok(())
    }

    fn check_meaning(&self, wait: &Value<'_>) -> Result<(), Error> {
        let told = self.told();
        let lacks = |what: &str| {
            let from = match self.wait.then {
                Some(then) => format!("the output of \"{}\"", self.call(then).name),
                None => "the output of the wait".to_owned(),
            };
            Err(wait.error(format!("{from} lacks {what}")))
        };
        match self.wait.means {
            Means::Edge if !told.has(Role::Edge) => return lacks("`edge`"),
            Means::Edge if !told.has(Role::Line) && !self.wait.each_line => return lacks("`line`: whose edge it is"),
            Means::Level if !told.has(Role::Level) && !told.has(Role::Levels) => return lacks("`level` and `levels`"),
            Means::Count if !told.has(Role::Count) => return lacks("`count`"),
            Means::Mask if told.has(Role::Changed) && !told.has(Role::Levels) && self.levels.is_none() => {
                return lacks("`levels`, and there is no `[levels]`: which way the lines changed");
            }
            Means::Mask if told.has(Role::Changed) => {}
            Means::Mask if !told.has(Role::Rising) && !told.has(Role::Falling) => {
                return lacks("`changed`, `rising` and `falling`");
            }
            _ => {}
        }
        Ok(())
    }
}

static NOTHING: Output = Output {
    length: 0,
    header: 0,
    record: 0,
    records: None,
    fields: Vec::new(),
    rising: 0,
    falling: 0,
    tick_ns: 1,
    since_last: false,
};

fn checked_name(value: &Value<'_>) -> Result<Arc<str>, Error> {
    let name = value.text()?;
    if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        return Err(value.error("a name has 1 to 64 bytes, and no control characters"));
    }
    Ok(name.into())
}

impl Target {
    fn read(value: &Value<'_>) -> Result<Self, Error> {
        let keys = value.table()?.only(&["path", "interface", "exclusive"])?;
        let place = match (keys.get("path"), keys.get("interface")) {
            (Some(path), None) => {
                if let Some(reason) = no_device(path.text()?) {
                    return Err(path.error(reason));
                }
                Place::Path(path.text()?.to_owned())
            }
            (None, Some(interface)) => {
                let text = interface.text()?;
                let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
                let lengths = bare.split('-').map(str::len);
                let digits = bare.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
                if !digits || !lengths.eq([8, 4, 4, 4, 12]) {
                    let message = "is not a GUID: write it like {86E0D1E0-8089-11D0-9CE4-08003E301F73}";
                    return Err(interface.error(format!("\"{text}\" {message}")));
                }
                Place::Interface(text.to_owned())
            }
            _ => return Err(keys.error("\"device\" has either `path` or `interface`")),
        };
        let exclusive = keys.get("exclusive").map_or(Ok(false), |exclusive| exclusive.truth())?;
        keys.finish()?;
        Ok(Self { place, exclusive })
    }
}

/// Why a path is none of a local device. Another could make this program log on at somebody's server.
fn no_device(path: &str) -> Option<String> {
    let is_unix = path.starts_with("/dev/");
    let parts: Vec<_> = path.split(['\\', '/']).collect();
    let is_windows = path.starts_with(r"\\.\") || path.starts_with(r"\\?\");
    let leaves = |part: &&str| ["..", "UNC", "GLOBALROOT"].iter().any(|word| part.eq_ignore_ascii_case(word));
    let fits = (is_unix || is_windows) && !parts.iter().any(leaves) && !path.contains('\0');
    (!fits).then(|| format!(r#""{path}" is no path of a local device: write it like '\\.\Card0' or "/dev/card0""#))
}

fn lines(keys: &Keys<'_>) -> Result<Vec<Line>, Error> {
    let items = keys.get("line").map_or(Ok(Vec::new()), |items| items.items())?;
    let count = match keys.get("lines") {
        Some(count) => match count.size(1, MAX_LINES)? {
            fewer if fewer < items.len() => {
                let described = items.len();
                return Err(count.error(format!(
                    "there are {described} [[line]]s, and {fewer} lines: make it {described} or more, or leave it out"
                )));
            }
            count => count,
        },
        None if items.is_empty() => {
            return Err(keys.error("the keys `lines` and `line` are missing: which lines are there?"));
        }
        None if items.len() > MAX_LINES => return Err(keys.error(format!("there are more than {MAX_LINES} lines"))),
        None => items.len(),
    };
    let plain = |offset: u32| Line { name: None, number: offset.into(), event_bit: offset, level_bit: offset };
    let mut lines: Vec<_> = (0..count as u32).map(plain).collect();
    let mut said = BTreeSet::new();
    let mut names = BTreeMap::new();
    for (place, item) in items.iter().enumerate() {
        let line = item.table()?.only(&["name", "offset", "number", "event_bit", "level_bit"])?;
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
        lines[offset] = Line {
            name: name.map(|name| checked_name(&name)).transpose()?,
            number: line.get("number").map_or(Ok(offset as u64), |number| number.number(0, u64::MAX))?,
            event_bit: event_bit.unwrap_or(offset as u64) as u32,
            level_bit: bit("level_bit")?.or(event_bit).unwrap_or(offset as u64) as u32,
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

/// The calls of a profile by name, and which of them are used.
struct Calls<'a> {
    calls: Vec<(Call, Value<'a>)>,
    used: std::cell::RefCell<BTreeSet<usize>>,
}

impl<'a> Calls<'a> {
    fn read(value: Option<Value<'a>>) -> Result<Self, Error> {
        let mut calls = Vec::new();
        if let Some(value) = value {
            for (name, value) in value.table()?.all() {
                calls.push((Call::read(name, &value)?, value));
            }
        }
        Ok(Self { calls, used: std::cell::RefCell::default() })
    }

    fn named(&self, value: &Value<'_>) -> Result<usize, Error> {
        let name = value.text()?;
        match self.calls.iter().position(|(call, _)| call.name == name) {
            Some(index) => {
                self.used.borrow_mut().insert(index);
                Ok(index)
            }
            None if self.calls.is_empty() => {
                Err(value.error(format!("there is no call \"{name}\": add [call.{name}]")))
            }
            None => {
                let known = did_you_mean(name, self.calls.iter().map(|(call, _)| &*call.name));
                Err(value.error(format!("there is no call \"{name}\"; {known}")))
            }
        }
    }

    fn named_all(&self, value: Option<Value<'_>>) -> Result<Vec<usize>, Error> {
        let Some(value) = value else {
            return Ok(Vec::new());
        };
        if !value.is_array() {
            return Ok(vec![self.named(&value)?]);
        }
        value.items()?.iter().map(|item| self.named(item)).collect()
    }

    fn finish(self) -> (Vec<(Call, Value<'a>)>, Option<Error>) {
        let used = self.used.into_inner();
        let unused = (0..self.calls.len()).find(|index| !used.contains(index)).map(|index| {
            self.calls[index]
                .1
                .error("nothing uses this call; name it in `setup`, `release`, `wait`, `levels` or `account`")
        });
        (self.calls, unused)
    }
}

/// A section that names a call.
fn section(value: &Value<'_>, calls: &Calls<'_>) -> Result<usize, Error> {
    let keys = value.table()?.only(&["call"])?;
    let call = calls.named(&keys.need("call")?)?;
    keys.finish()?;
    Ok(call)
}

#[derive(Clone, Copy)]
enum Kind {
    Call,
    Read,
    Event,
    Poll,
}

impl Wait {
    fn read(value: &Value<'_>, calls: &Calls<'_>) -> Result<Self, Error> {
        const KINDS: &[(&str, Kind)] =
            &[("call", Kind::Call), ("read", Kind::Read), ("event", Kind::Event), ("poll", Kind::Poll)];
        const MEANS: &[(&str, Means)] =
            &[("edge", Means::Edge), ("level", Means::Level), ("mask", Means::Mask), ("count", Means::Count)];
        let known = ["by", "for", "call", "output", "event", "period_us", "pending", "order", "then", "means"];
        let keys = value.table()?.only(&known)?;
        let by_key = keys.need("by")?;
        let kind = by_key.word(KINDS)?;
        let by = match kind {
            Kind::Call => {
                let key = keys.need("call")?;
                let call = calls.named(&key)?;
                if calls.calls[call].0.output.length == 0 && keys.get("then").is_none() {
                    return Err(
                        key.error("this call has no output, so nobody can tell what a completion means: add `then`")
                    );
                }
                By::Call(call)
            }
            Kind::Read => By::Read(Output::read(&keys.need("output")?)?),
            Kind::Event => {
                let event = keys.need("event")?;
                By::Event(match event.text()? {
                    "made" => EventSource::Made,
                    "" => return Err(event.error("the name of an event is empty")),
                    name => EventSource::Named(name.to_owned()),
                })
            }
            Kind::Poll => {
                let period = keys.need("period_us")?.number(100, 3_600_000_000)?;
                By::Poll(Duration::from_micros(period))
            }
        };
        let then = keys.get("then").map(|then| calls.named(&then)).transpose()?;
        if matches!(kind, Kind::Event | Kind::Poll) && then.is_none() {
            return Err(by_key.error("it says only that something may have happened: name the call to make `then`"));
        }
        let pending = match kind {
            Kind::Call | Kind::Read => keys.get("pending").map_or(Ok(2), |pending| pending.size(1, 256))?,
            Kind::Event | Kind::Poll => 1,
        };
        let each_line = keys.get("for").map_or(Ok(false), |each| each.word(&[("card", false), ("line", true)]))?;
        if each_line && matches!(kind, Kind::Read) {
            return Err(value.error("reads are for the card: `for = \"line\"` is not possible"));
        }
        let order = match kind {
            Kind::Call | Kind::Read => keys.get("order"),
            Kind::Event | Kind::Poll => None,
        };
        let wait = Self {
            by,
            each_line,
            pending,
            completion_order: order
                .map_or(Ok(false), |order| order.word(&[("submission", false), ("completion", true)]))?,
            then,
            means: keys.need("means")?.word(MEANS)?,
        };
        keys.finish()?;
        Ok(wait)
    }
}
