//! A call: what is sent, how, and what comes back.

use overlapped::{Access, CtlCode};

use super::code::{self, Direction};
use super::field::MAX_BYTES;
use super::input::Input;
use super::output::Output;
use crate::Error;
use crate::keys::{Keys, Value};

/// A call with what it takes and gives.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) what: What,
    pub(crate) input: Input,
    pub(crate) output: Output,
    /// Whether it is sent once for each line that is asked for.
    pub(crate) for_line: bool,
    /// The profile says so of a call that may be either: it is sent once for the card.
    pub(super) is_said_for_card: bool,
}

/// How a call reaches the driver.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// A control code of Windows.
    Control(CtlCode),
    /// An ioctl of Linux.
    Ioctl(Request),
    /// The input is written to the device.
    Write,
}

/// An ioctl: its number, what its argument is, and where its answer is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) number: u32,
    /// What the number says of the argument: its direction and size, if it says something.
    pub(crate) said: Option<(Direction, usize)>,
    pub(crate) argument: Argument,
    /// The output is what the ioctl returns, and not what is in the buffer.
    pub(crate) answers_by_value: bool,
    pub(crate) when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// The address of a buffer: the input, and room for the output.
    Buffer,
    /// The input itself, as a number.
    Value,
    None,
}

/// When an ioctl is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At once: the driver answers and does not wait.
    Now,
    Readable,
    Writable,
    Priority,
    /// At once, on a thread of its own: the driver answers when something happens.
    Blocks {
        /// The call that makes the driver answer.
        ended_by: Option<usize>,
    },
}

impl When {
    /// The call that makes the driver answer, of one that blocks.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub(crate) fn ended_by(self) -> Option<usize> {
        if let Self::Blocks { ended_by } = self { ended_by } else { None }
    }
}

impl What {
    /// What it is, in a few words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Control(code) => format!("control code {code}"),
            Self::Ioctl(request) => format!("ioctl {:#010x}", request.number),
            Self::Write => "a write".to_owned(),
        }
    }
}

impl Call {
    /// Why the user has to allow it, if so: the driver's author may have meant it to change something, or the profile tells
    /// more than which lines are meant. The system checks FILE_READ_ACCESS and FILE_WRITE_ACCESS; FILE_ANY_ACCESS and the
    /// number of an ioctl say nothing.
    pub(super) fn consent(&self) -> Option<&'static str> {
        match &self.what {
            What::Control(code) if code.access() != Access::Read => Some("its code does not have read access alone"),
            What::Control(_) if self.input.says_more_than_lines() => Some("it sends more than which lines are meant"),
            What::Control(_) => None,
            What::Ioctl(_) => Some("the number of an ioctl does not say what it changes"),
            What::Write => Some("it writes to the device"),
        }
    }

    /// The request, if it is an ioctl.
    pub(crate) fn request(&self) -> Option<&Request> {
        match &self.what {
            What::Ioctl(request) => Some(request),
            What::Control(_) | What::Write => None,
        }
    }

    /// Reads it; what ends it is named by another call, and told by that.
    pub(super) fn read<'a>(name: &str, value: &Value<'a>) -> Result<(Self, Option<Value<'a>>), Error> {
        const KNOWN: &[&str] = &[
            "code",
            "device_type",
            "function",
            "method",
            "access",
            "ioctl",
            "write",
            "argument",
            "answer",
            "when",
            "blocks",
            "ended_by",
            "for",
            "input",
            "output",
        ];
        let keys = value.table()?.only(KNOWN)?;
        let input = keys.get("input").map_or(Ok(Input::default()), |input| Input::read(&input))?;
        let output = keys.get("output").map_or(Ok(Output::NOTHING), |output| Output::read(&output))?;
        let ended_by = keys.get("ended_by");
        let what = what(&keys, &input, &output)?;
        let said = keys.get("for").map(|of| of.word(&[("card", false), ("line", true)])).transpose()?;
        if said == Some(true) && input.each_line {
            return Err(keys.error(format!(
                "\"{}\" is sent for each line, and its input has a record for each line: leave out `for` or `each_line`",
                keys.path()
            )));
        }
        if said == Some(false) && input.is_about_a_line() {
            return Err(keys.error(format!(
                "\"{}\" is sent once for the card, and its input is about one line: leave out `for`, or say \
                 `each_line = true` in its input for a record of each line",
                keys.path()
            )));
        }
        keys.finish()?;
        let call = Self {
            name: name.to_owned(),
            what,
            for_line: said.unwrap_or(input.is_about_a_line()),
            is_said_for_card: said == Some(false),
            input,
            output,
        };
        Ok((call, ended_by))
    }
}

/// The keys that belong to ioctls.
const OF_IOCTLS: &[&str] = &["argument", "answer", "when", "blocks", "ended_by"];

fn what(keys: &Keys<'_>, input: &Input, output: &Output) -> Result<What, Error> {
    let write = keys.get("write");
    let ioctl = keys.get("ioctl");
    if ioctl.is_none()
        && let Some(key) = OF_IOCTLS.iter().find_map(|&key| keys.get(key))
    {
        return Err(key.error("only an `ioctl` has this"));
    }
    let kinds = [code::is_said(keys), ioctl.is_some(), write.is_some()];
    if kinds.into_iter().filter(|&is| is).count() > 1 {
        return Err(keys.error(format!(
            "\"{}\" is one thing: a control code of Windows (`code`, or the four fields of CTL_CODE), an `ioctl` of Linux, \
             or a `write`",
            keys.path()
        )));
    }
    if let Some(write) = write {
        if !write.truth()? {
            return Err(write.error("say `true`, or leave it out"));
        }
        if input.length == 0 {
            return Err(write.error("there is nothing to write: give the bytes in `input`"));
        }
        if output.length > 0 {
            return Err(write.error("a write gives no bytes: leave out `output`"));
        }
        return Ok(What::Write);
    }
    match ioctl {
        None => code::control(keys).map(What::Control),
        Some(ioctl) => request(keys, &ioctl, input, output).map(What::Ioctl),
    }
}

fn request(keys: &Keys<'_>, ioctl: &Value<'_>, input: &Input, output: &Output) -> Result<Request, Error> {
    const ARGUMENTS: &[(&str, Argument)] =
        &[("buffer", Argument::Buffer), ("value", Argument::Value), ("none", Argument::None)];
    let answer = keys.get("answer");
    let answers_by_value =
        answer.as_ref().map_or(Ok(false), |answer| answer.word(&[("buffer", false), ("value", true)]))?;
    let in_buffer = input.length > 0 || (output.length > 0 && !answers_by_value);
    let argument = match keys.get("argument") {
        None if in_buffer => Argument::Buffer,
        None => Argument::None,
        Some(said) => {
            let argument = said.word(ARGUMENTS)?;
            match argument {
                Argument::Value if input.length > 8 => {
                    return Err(said.error(format!(
                        "the input has {} bytes, and a number that goes by value has at most 8",
                        input.length
                    )));
                }
                Argument::Value if input.length == 0 => {
                    return Err(said.error("which number goes by value? Give it in `input`"));
                }
                Argument::Value if input.each_line => {
                    return Err(said.error("one number goes by value, and `each_line` makes a record of each line"));
                }
                Argument::None if input.length > 0 => {
                    return Err(said.error("there is an `input`: it goes by \"value\" or in a \"buffer\""));
                }
                Argument::Value | Argument::None if output.length > 0 && !answers_by_value => {
                    return Err(said.error(
                        "without a buffer the driver can answer by what it returns alone: say `answer = \"value\"`",
                    ));
                }
                argument => argument,
            }
        }
    };
    if let Some(answer) = answer.filter(|_| answers_by_value)
        && output.length != 4
    {
        return Err(answer.error(format!(
            "what an ioctl returns has 4 bytes, least significant first, and the output has {}: say `length = 4`",
            output.length
        )));
    }
    let length = if argument == Argument::Buffer { input.length.max(output.length) } else { 0 };
    if length > MOST_BYTES {
        return Err(ioctl.error(format!("a buffer of {length} bytes is too large: {MOST_BYTES} at most")));
    }
    let (number, said) = code::ioctl(ioctl, length)?;
    Ok(Request { number, said, argument, answers_by_value, when: when(keys)? })
}

/// When an ioctl is made.
fn when(keys: &Keys<'_>) -> Result<When, Error> {
    const WHEN: &[(&str, When)] =
        &[("now", When::Now), ("readable", When::Readable), ("writable", When::Writable), ("priority", When::Priority)];
    let blocks = keys.get("blocks");
    let when = match (keys.get("when"), &blocks) {
        (None, None) => When::Now,
        (Some(when), None) => when.word(WHEN)?,
        (None, Some(blocks)) if blocks.truth()? => When::Blocks { ended_by: None },
        (None, Some(_)) => When::Now,
        (Some(when), Some(_)) => {
            return Err(when.error("an ioctl that `blocks` is made at once: leave out `when`, or `blocks`"));
        }
    };
    if let Some(ended_by) = keys.get("ended_by")
        && !matches!(when, When::Blocks { .. })
    {
        return Err(ended_by.error("only an ioctl that waits has an end: say `blocks = true`"));
    }
    Ok(when)
}

/// The largest argument of an ioctl.
const MOST_BYTES: usize = 16 << 10;
const _: () = assert!(MOST_BYTES <= MAX_BYTES);
