//! A call: what it sends, how, and what it gets back.

use overlapped::{Access, CtlCode};

use super::code::{self, Direction};
use super::field::MAX_BYTES;
use super::input::Input;
use super::output::Output;
use crate::Error;
use crate::keys::{Keys, Value};

/// A call with its input and output.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) what: What,
    pub(crate) input: Input,
    pub(crate) output: Output,
    /// True if it is sent once for each requested line.
    pub(crate) for_line: bool,
    /// True if the profile says `for = "card"`: it is sent once for the card.
    pub(super) is_said_for_card: bool,
}

/// How a call reaches the driver.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// A control code of Windows.
    Control(CtlCode),
    /// An ioctl of Linux.
    Ioctl(Request),
    /// A write of the input to the device.
    Write,
}

/// An ioctl: its number, its argument, and where its answer is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) number: u32,
    /// The direction and size of the argument, if the number contains them.
    pub(crate) said: Option<(Direction, usize)>,
    pub(crate) argument: Argument,
    /// True if the output is the ioctl's return value instead of the buffer.
    pub(crate) answers_by_value: bool,
    pub(crate) when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// The address of a buffer with the input, and room for the output.
    Buffer,
    /// The input itself, as a number.
    Value,
    None,
}

/// When to make an ioctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At once: the driver answers without waiting.
    Now,
    Readable,
    Writable,
    Priority,
    /// At once, on its own thread: the driver answers when something happens.
    Blocks {
        /// The call that makes the driver answer, to end the wait.
        ended_by: Option<usize>,
    },
}

impl When {
    /// For a call that blocks, the call that makes the driver answer.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub(crate) fn ended_by(self) -> Option<usize> {
        if let Self::Blocks { ended_by } = self { ended_by } else { None }
    }
}

impl What {
    /// A short description.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Control(code) => format!("control code {code}"),
            Self::Ioctl(request) => format!("ioctl {:#010x}", request.number),
            Self::Write => "a write".to_owned(),
        }
    }
}

impl Call {
    /// The reason why the user must allow this call, if there is one: the call may change something, or its input has
    /// more than the numbers of lines. The system enforces FILE_READ_ACCESS and FILE_WRITE_ACCESS. FILE_ANY_ACCESS and
    /// the number of an ioctl do not say whether the call changes something.
    pub(super) fn consent(&self) -> Option<&'static str> {
        match &self.what {
            What::Control(code) if code.access() != Access::Read => Some("its code is not limited to read access"),
            What::Control(_) if self.input.says_more_than_lines() => Some("it sends more than the numbers of lines"),
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

    /// Reads a call. The second value is the key `ended_by`, which names another call.
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
        let output = keys.get("output").map_or(Ok(Output::default()), |output| Output::read(&output))?;
        let ended_by = keys.get("ended_by");
        let what = what(&keys, &input, &output)?;
        let said = keys.get("for").map(|of| of.word(&[("card", false), ("line", true)])).transpose()?;
        if said == Some(true) && input.each_line {
            return Err(keys.error(format!(
                "\"{}\" is sent for each line, but its input has a record for each line; remove `for` or `each_line`",
                keys.path()
            )));
        }
        if said == Some(false) && input.is_about_a_line() {
            return Err(keys.error(format!(
                "\"{}\" is sent once for the card, but its input is about one line; remove `for`, or set \
                 `each_line = true` in its input to send a record for each line",
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
        return Err(key.error("only an `ioctl` can have this key"));
    }
    let kinds = [code::is_said(keys), ioctl.is_some(), write.is_some()];
    if kinds.into_iter().filter(|&is| is).count() > 1 {
        return Err(keys.error(format!(
            "expected only one in \"{}\": a control code of Windows (`code`, or the four fields of CTL_CODE), an \
             `ioctl` of Linux, or a `write`",
            keys.path()
        )));
    }
    if let Some(write) = write {
        if !write.truth()? {
            return Err(write.error("expected `true`; remove the key if the call does not write"));
        }
        if input.length == 0 {
            return Err(write.error("there is nothing to write; add the bytes as `input`"));
        }
        if output.length > 0 {
            return Err(write.error("a write gives no bytes; remove `output`"));
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
                        "the input has {} bytes, but a number that is passed by value has at most 8",
                        input.length
                    )));
                }
                Argument::Value if input.length == 0 => {
                    return Err(said.error("no number to pass by value; add it as `input`"));
                }
                Argument::Value if input.each_line => {
                    return Err(said.error(
                        "only one number can be passed by value; remove `each_line`, which makes a record for \
                         each line",
                    ));
                }
                Argument::None if input.length > 0 => {
                    return Err(said.error("expected \"value\" or \"buffer\", because there is an `input`"));
                }
                Argument::Value | Argument::None if output.length > 0 && !answers_by_value => {
                    return Err(said.error(
                        "without a buffer the driver can only answer with its return value; set `answer = \"value\"`",
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
            "the output has {} bytes, but an ioctl returns 4, least significant first; set `length = 4`",
            output.length
        )));
    }
    let length = if argument == Argument::Buffer { input.length.max(output.length) } else { 0 };
    if length > MOST_BYTES {
        return Err(ioctl.error(format!("a buffer of {length} bytes is too large; expected at most {MOST_BYTES}")));
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
            return Err(when.error("an ioctl that `blocks` is made at once; remove `when` or `blocks`"));
        }
    };
    if let Some(ended_by) = keys.get("ended_by")
        && !matches!(when, When::Blocks { .. })
    {
        return Err(ended_by.error("only an ioctl that waits can be ended; set `blocks = true`"));
    }
    Ok(when)
}

/// The largest argument of an ioctl, in bytes.
const MOST_BYTES: usize = 16 << 10;
const _: () = assert!(MOST_BYTES <= MAX_BYTES);
