//! Explains a profile in plain English.

mod drawing;
mod sample;
mod trust;
mod words;

use std::fmt;

use self::drawing::{input, output};
pub(super) use self::sample::Sample;
use self::words::{ends, plural};
use super::call::{Argument, Request, What, When};
use super::device::Place;
use super::output::Role;
use super::plan::{Levels, Plan};
use super::wait::{By, EventSource, Means, Reads};
use crate::EdgeKind;

pub(super) struct Explanation<'a>(pub(super) &'a Plan);

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        writeln!(f, "{}: chip \"{}\" with {}", plan.file, plan.name, plural(plan.lines.len(), "line"))?;
        self.lines(f)?;
        self.device(f)?;
        self.calls(f, "When lines are requested, it sends, in this order:", &plan.setup)?;
        self.wait(f)?;
        self.levels(f)?;
        self.calls(f, "When the lines are released, it sends, in this order:", &plan.release)?;
        if let Some(account) = plan.account {
            writeln!(f, "Then it reads the device's counters, so that the account is exact, with:")?;
            self.call(f, account)?;
        }
        trust::write(f, plan)?;
        match plan.need_consent().as_slice() {
            [] => writeln!(f, "Nothing in it needs to be allowed."),
            needed => {
                writeln!(f, "You must allow it (--allow-writes), because:")?;
                needed
                    .iter()
                    .try_for_each(|(call, why)| writeln!(f, "  \"{}\" ({}): {why}", call.name, call.what.words()))
            }
        }
    }
}

impl Explanation<'_> {
    fn lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        let all_low = plan.lines.iter().all(|line| line.active_low);
        for (offset, line) in plan.lines.iter().enumerate() {
            let low = line.active_low && !all_low;
            if line.name.is_none() && !low && line.from.is_empty() {
                continue;
            }
            write!(f, "  line {offset}")?;
            if let Some(name) = &line.name {
                write!(f, " is \"{name}\"")?;
            }
            if !line.from.is_empty() {
                let calls: Vec<_> = line.from.iter().map(|&call| format!("\"{}\"", plan.call(call).name)).collect();
                write!(f, ", reported by {}", calls.join(" and "))?;
            }
            writeln!(f, "{}", if low { ", active-low: the device's high level is inactive" } else { "" })?;
        }
        if all_low {
            writeln!(
                f,
                "All lines are active-low: the device's high level is inactive, and its rising edge is falling."
            )?;
        }
        Ok(())
    }

    fn device(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        let Some(target) = &plan.target else {
            return writeln!(f, "It names no device, so the program that uses it must open one.");
        };
        let one_of_several = |index: &Option<usize>| match index {
            Some(index) => format!("number {index}, from 0, of those that match"),
            None => "the only one that matches".to_owned(),
        };
        match &target.place {
            Place::Path(path) => write!(f, "It opens {path}")?,
            Place::Interface { guid, matching: None, index: None } => {
                write!(f, "It opens the only device of the interface {guid}")?;
            }
            Place::Interface { guid, matching, index } => {
                write!(f, "It opens a device of the interface {guid}")?;
                if let Some(matching) = matching {
                    write!(f, " with \"{matching}\" in its path")?;
                }
                write!(f, ", {}", one_of_several(index))?;
            }
            Place::Subsystem { name, properties, index } => {
                write!(f, "It opens a device of the class {name}")?;
                for (at, (key, value)) in properties.iter().enumerate() {
                    write!(f, "{} {key}=\"{value}\"", if at == 0 { ", with" } else { " and" })?;
                }
                write!(f, ": {}", one_of_several(index))?;
            }
        }
        let how = if plan.opens_for_writing() { ", to read and to write" } else { ", to read" };
        writeln!(f, "{how}{}.", if target.exclusive { ", exclusively" } else { "" })
    }

    fn calls(&self, f: &mut fmt::Formatter<'_>, intro: &str, calls: &[usize]) -> fmt::Result {
        if calls.is_empty() {
            return Ok(());
        }
        writeln!(f, "{intro}")?;
        let mut drawn = Vec::new();
        for &call in calls {
            if drawn.contains(&call) {
                writeln!(f, "  \"{}\" again", self.0.call(call).name)?;
            } else {
                self.call(f, call)?;
            }
            drawn.push(call);
        }
        Ok(())
    }

    fn call(&self, f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
        let call = self.0.call(index);
        let name = &call.name;
        write!(f, "  \"{name}\"")?;
        if call.for_line {
            write!(f, ", once for each line")?;
        }
        match &call.what {
            What::Control(code) => writeln!(
                f,
                ": control code {code} (device type {:#06x}, function {:#05x}, {:?}, access {:?})",
                code.device_type(),
                code.function(),
                code.method(),
                code.access()
            )?,
            What::Ioctl(request) => writeln!(f, ": {}", ioctl(request))?,
            What::Write => writeln!(f, ": written to the device")?,
        }
        input(f, &call.input)?;
        match &call.what {
            What::Ioctl(request) if request.answers_by_value => {
                writeln!(f, "    the return value of the ioctl is the answer:")?;
                output(f, &call.output)
            }
            What::Ioctl(request) if request.argument != Argument::Buffer => Ok(()),
            What::Write => Ok(()),
            What::Control(_) | What::Ioctl(_) => output(f, &call.output),
        }
    }

    fn wait(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        let wait = &plan.wait;
        let of = if wait.each_line { "for each line" } else { "for the card" };
        match &wait.by {
            By::Call(call) => self.wait_by_call(f, *call, of)?,
            By::Read(bytes) => {
                writeln!(
                    f,
                    "It keeps {} pending; the bytes that are read say what happened:",
                    plural(wait.pending, "read")
                )?;
                output(f, bytes)?;
                match plan.reads() {
                    Some(Reads::Messages) => {
                        writeln!(f, "Each read must return whole records; anything else is an error.")?
                    }
                    Some(Reads::Bytes) => {
                        writeln!(f, "It is a stream of bytes: a record may be split over several reads.")?;
                    }
                    None => writeln!(
                        f,
                        "The kind of file decides whether a read must return whole records, or part of a stream of \
                         bytes (terminals, pipes, stream sockets, serial ports)."
                    )?,
                }
            }
            By::Event(EventSource::Named(name)) => writeln!(f, "It waits for the event \"{name}\" {of} (on Windows).")?,
            By::Event(EventSource::Made) => {
                writeln!(f, "It makes an event, gives the driver its handle, and waits for it (on Windows).")?;
            }
            By::Poll(period) => {
                let period = period.as_micros();
                writeln!(f, "It polls every {period} µs {of}; faster changes are not seen.")?;
            }
        }
        if !wait.again_on.is_empty() {
            let words = ends(&wait.again_on);
            writeln!(f, "A wait that ends with {words} is started again, more slowly if that repeats.")?;
        }
        self.calls(f, "After each of these it sends, in this order:", &wait.then)?;
        writeln!(f, "{}", self.meaning())?;
        let stamped =
            if plan.tells(Role::Timestamp) { "the device's own clock" } else { "this computer when they arrive" };
        writeln!(f, "Edges are stamped by {stamped}.")
    }

    fn wait_by_call(&self, f: &mut fmt::Formatter<'_>, call: usize, of: &str) -> fmt::Result {
        let plan = self.0;
        let when = plan.call(call).request().map(|request| request.when);
        match when {
            None | Some(When::Now) => {
                let pending = plan.wait.pending;
                writeln!(f, "It keeps {pending} of these pending {of}; a completion says that something happened:")?;
            }
            Some(When::Readable) => writeln!(f, "It makes this call {of} each time the file is readable:")?,
            Some(When::Writable) => writeln!(f, "It makes this call {of} each time the file is writable:")?,
            Some(When::Priority) => writeln!(f, "It makes this call {of} each time the file has priority data:")?,
            Some(When::Blocks { .. }) => {
                writeln!(f, "It makes this call {of}, and the call waits until something happens:")?;
            }
        }
        self.call(f, call)?;
        let Some(When::Blocks { ended_by }) = when else { return Ok(()) };
        if plan.wait.each_line {
            let most = plural(plan.lines.len(), "thread");
            writeln!(f, "One thread waits for each watched line: up to {most}.")?;
        } else {
            writeln!(f, "One thread waits in the call, however many lines are watched.")?;
        }
        match ended_by {
            Some(call) => {
                writeln!(f, "To end the call when the lines are released, it sends:")?;
                self.call(f, call)
            }
            None => writeln!(
                f,
                "Nothing ends the call: when lines are released, the thread and the device stay until the driver \
                 answers."
            ),
        }
    }

    fn meaning(&self) -> String {
        let wait = &self.0.wait;
        let edge = match wait.edge {
            Some(EdgeKind::Rising) => "a rising edge",
            Some(EdgeKind::Falling) => "a falling edge",
            None => "one edge",
        };
        let of_what =
            if self.0.wait_tells() && self.0.all_told().all(|told| told.length == 0) { "completion" } else { "record" };
        let fixed = match wait.means {
            Means::Edge => return format!("Each {of_what} is {edge}{}.", self.of_which_line()),
            Means::Level if wait.repeats_are_losses => {
                "It gives levels: a line whose level differs from before had an edge; one whose level is the same had \
                 two, of which one is delivered and one is missing."
            }
            Means::Level => {
                "It gives levels: a line whose level differs from before had an edge; the same level again is not an \
                 edge."
            }
            Means::Count if wait.edge.is_some() => {
                return format!(
                    "It counts the edges of a line, each {edge}: the last of the new edges is delivered, the others \
                     are missing."
                );
            }
            Means::Count => {
                "It counts the edges of a line: the last of the new edges is delivered, the others are missing."
            }
            Means::Mask if !self.0.tells(Role::Changed) => "A set bit is one edge of its line.",
            Means::Mask if self.0.reads_levels_after() => {
                "A set bit is a line that changed at least once; the levels are then read to know the direction."
            }
            Means::Mask => "A set bit is a line that changed at least once; the levels say the direction.",
        };
        fixed.to_owned()
    }

    /// The line of an edge, if no field says it.
    fn of_which_line(&self) -> String {
        let plan = self.0;
        match plan.lines.as_slice() {
            _ if plan.tells(Role::Line) => String::new(),
            [only] => format!(" of line {}", only.words(0)),
            _ => " of the line of the wait".to_owned(),
        }
    }

    fn levels(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        match &plan.levels {
            Levels::Unsaid => Ok(()),
            Levels::Calls(calls) => self.calls(f, "It reads the levels of the lines with:", calls),
            Levels::Start(active) => {
                let level = if *active { "active" } else { "inactive" };
                writeln!(f, "At the start it assumes that every line is {level}; it cannot read levels later.")
            }
            Levels::Unknown => writeln!(
                f,
                "At the start no level is known: the first report of a line gives its level, and is not an edge."
            ),
        }
    }
}

fn ioctl(request: &Request) -> String {
    let how = match request.argument {
        Argument::Buffer => "with the address of a buffer",
        Argument::Value => "with a number as its argument",
        Argument::None => "without an argument",
    };
    format!("ioctl {:#010x}, {how}", request.number)
}
