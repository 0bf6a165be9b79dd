//! The wait for an edge, and the meaning of its completion.

use std::time::Duration;

use super::call::{What, When};
use super::calls::Calls;
use super::output::Output;
use crate::keys::{Keys, Value};
use crate::{EdgeKind, Error};

#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) by: By,
    /// True for one wait per line, false for one wait for the card.
    pub(crate) each_line: bool,
    pub(crate) pending: usize,
    pub(crate) completion_order: bool,
    /// The calls to make after a completion, in order.
    pub(crate) then: Vec<usize>,
    pub(crate) means: Means,
    /// The kind of each edge, if no field gives it.
    pub(crate) edge: Option<EdgeKind>,
    /// True if a level that is the same as before means that the line changed twice.
    pub(crate) repeats_are_losses: bool,
    /// The ends of a wait after which it is started again.
    pub(crate) again_on: Vec<End>,
    /// The unit that a read returns, if the profile names it.
    pub(crate) reads: Option<Reads>,
}

#[derive(Debug)]
pub(crate) enum By {
    Call(usize),
    Read(Box<Output>),
    Event(EventSource),
    Poll(Duration),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EventSource {
    /// The event with this name. `{number}` stands for the line's number.
    Named(String),
    /// An event that this program creates. A setup call gives its handle to the driver.
    Made,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    Edge,
    Level,
    Mask,
    Count,
}

/// The unit that a read returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Whole records. A partial record is not continued by the next read.
    Messages,
    /// A part of a stream, which may begin and end in the middle of a record.
    Bytes,
}

/// How a wait can end without an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The end of the file.
    NoMore,
    /// An error of this kind.
    Error(overlapped::ErrorKind),
}

const ENDS: &[(&str, End)] = &[
    ("timed-out", End::Error(overlapped::ErrorKind::TimedOut)),
    ("end", End::NoMore),
    ("aborted", End::Error(overlapped::ErrorKind::Aborted)),
    ("cancelled", End::Error(overlapped::ErrorKind::Cancelled)),
    ("busy", End::Error(overlapped::ErrorKind::Busy)),
    ("other", End::Error(overlapped::ErrorKind::Other)),
];

impl End {
    pub(super) fn word(self) -> &'static str {
        ENDS.iter().find(|(_, end)| *end == self).map_or("", |(word, _)| word)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Call,
    Read,
    Event,
    Poll,
}

const KNOWN: &[&str] = &[
    "by",
    "for",
    "call",
    "output",
    "event",
    "period_us",
    "pending",
    "order",
    "then",
    "means",
    "edge",
    "repeats",
    "again_on",
    "reads",
];

impl Wait {
    pub(super) fn read(value: &Value<'_>, calls: &Calls<'_>) -> Result<Self, Error> {
        const KINDS: &[(&str, Kind)] =
            &[("call", Kind::Call), ("read", Kind::Read), ("event", Kind::Event), ("poll", Kind::Poll)];
        const MEANS: &[(&str, Means)] =
            &[("edge", Means::Edge), ("level", Means::Level), ("mask", Means::Mask), ("count", Means::Count)];
        const EDGES: &[(&str, EdgeKind)] = &[("rising", EdgeKind::Rising), ("falling", EdgeKind::Falling)];
        const READS: &[(&str, Reads)] = &[("messages", Reads::Messages), ("bytes", Reads::Bytes)];
        let keys = value.table()?.only(KNOWN)?;
        let by_key = keys.need("by")?;
        let kind = by_key.word(KINDS)?;
        let then = calls.named_all(keys.get("then"))?;
        let edge = keys.get("edge").map(|edge| edge.word(EDGES)).transpose()?;
        let by = by(&keys, kind, calls, edge.is_some() || !then.is_empty())?;
        if matches!(kind, Kind::Event | Kind::Poll) && then.is_empty() && !(kind == Kind::Event && edge.is_some()) {
            return Err(by_key.error(
                "this only says that something may have happened; set `then` to the call that reads what happened",
            ));
        }
        let is_one_at_a_time = matches!(&by, By::Call(call) if calls.call(*call).request().is_some());
        let pending = match kind {
            Kind::Call if is_one_at_a_time => keys.get("pending").map_or(Ok(1), |pending| pending.size(1, 1))?,
            Kind::Call | Kind::Read => keys.get("pending").map_or(Ok(2), |pending| pending.size(1, 256))?,
            Kind::Event | Kind::Poll => 1,
        };
        let each_line = keys.get("for").map_or(Ok(false), |each| each.word(&[("card", false), ("line", true)]))?;
        if each_line && kind == Kind::Read {
            return Err(value.error("reads are for the card; remove `for = \"line\"`"));
        }
        let order = if matches!(kind, Kind::Call | Kind::Read) { keys.get("order") } else { None };
        let completion_order =
            order.map_or(Ok(false), |order| order.word(&[("submission", false), ("completion", true)]))?;
        let reads = if kind == Kind::Read { keys.get("reads") } else { None };
        let means = keys.need("means")?.word(MEANS)?;
        let repeats = if means == Means::Level { keys.get("repeats") } else { None };
        let again_on = if kind == Kind::Poll { None } else { keys.get("again_on") };
        let again_on = again_on.map_or(Ok(Vec::new()), |ends| ends.items())?;
        let wait = Self {
            by,
            each_line,
            pending,
            completion_order,
            then,
            means,
            edge,
            repeats_are_losses: repeats.map_or(Ok(false), |word| word.word(&[("ignore", false), ("loss", true)]))?,
            again_on: again_on.iter().map(|end| end.word(ENDS)).collect::<Result<_, _>>()?,
            reads: reads.map(|reads| reads.word(READS)).transpose()?,
        };
        keys.finish()?;
        Ok(wait)
    }
}

fn by(keys: &Keys<'_>, kind: Kind, calls: &Calls<'_>, is_told_otherwise: bool) -> Result<By, Error> {
    Ok(match kind {
        Kind::Call => {
            let key = keys.need("call")?;
            let index = calls.named(&key)?;
            let call = calls.call(index);
            match &call.what {
                What::Write => return Err(key.error("a write does not wait; name a call that does")),
                What::Ioctl(request) if request.when == When::Now => {
                    let message = "this ioctl does not wait; in its [call] set `blocks = true` if the call itself \
                                   waits, or for example `when = \"readable\"` to make it when the file is readable";
                    return Err(key.error(message));
                }
                What::Control(_) | What::Ioctl(_) => {}
            }
            if call.output.length == 0 && !is_told_otherwise {
                let message = "this call has no output, so a completion does not say what happened; add `then`, or set \
                               `edge`";
                return Err(key.error(message));
            }
            By::Call(index)
        }
        Kind::Read => By::Read(Box::new(Output::read(&keys.need("output")?)?)),
        Kind::Event => {
            let event = keys.need("event")?;
            By::Event(match event.text()? {
                "made" => EventSource::Made,
                "" => return Err(event.error("expected the name of an event, found \"\"")),
                name => EventSource::Named(name.to_owned()),
            })
        }
        Kind::Poll => By::Poll(Duration::from_micros(keys.need("period_us")?.number(100, 3_600_000_000)?)),
    })
}
