//! The bytes that a call sends.

use super::field::{ENDIANS, Endian, Field, MAX_BYTES, PLACE};
use crate::keys::{Value, did_you_mean};
use crate::{Edges, Error};

/// The value that a field of an input sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputValue {
    Number(u64),
    /// The number of the line of this call.
    Line,
    /// A mask with a bit for each requested line.
    Mask,
    /// How many lines are requested.
    Lines,
    /// The edges that are wanted from the line.
    Edges {
        rising: u64,
        falling: u64,
        none: u64,
    },
    /// How many events to queue; zero is the driver's default.
    Queue,
    /// The handle of the event that this program made.
    Event,
}

/// The bytes that a call sends.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Input {
    pub(crate) length: usize,
    /// True if `bytes` and `fields` are sent once for each requested line.
    pub(crate) each_line: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fields: Vec<(Field, InputValue)>,
}

/// The values from which an input is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) lines: &'a [RequestedLine],
    /// The line, if the call is made for one.
    pub(crate) line: Option<RequestedLine>,
    pub(crate) queue_size: u32,
    /// True if the lines are being released: no more edges are wanted.
    pub(crate) is_over: bool,
    pub(crate) event: u64,
}

/// A requested line, as the driver knows it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RequestedLine {
    pub(crate) number: u64,
    pub(crate) event_bit: u32,
    pub(crate) edges: Option<Edges>,
    /// True if a rising edge of the driver is a falling edge of the line.
    pub(crate) active_low: bool,
}

impl Input {
    pub(crate) fn make(&self, about: About<'_>) -> Vec<u8> {
        if !self.each_line {
            return self.record(about);
        }
        about.lines.iter().flat_map(|&line| self.record(About { line: Some(line), ..about })).collect()
    }

    fn record(&self, about: About<'_>) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.resize(self.length, 0);
        for (field, sent) in &self.fields {
            let number = match *sent {
                InputValue::Number(number) => number,
                InputValue::Lines => about.lines.len() as u64,
                InputValue::Queue => about.queue_size.into(),
                InputValue::Event => about.event,
                InputValue::Line => about.line.map_or(0, |line| line.number),
                InputValue::Edges { rising, falling, none } => {
                    let line = about.line.filter(|_| !about.is_over);
                    // The driver names the edges of an active-low line the other way round.
                    let edges = |line: RequestedLine| {
                        if line.active_low { line.edges.map(Edges::inverted) } else { line.edges }
                    };
                    match line.and_then(edges) {
                        Some(Edges::Rising) => rising,
                        Some(Edges::Falling) => falling,
                        Some(Edges::Both) => rising | falling,
                        None => none,
                    }
                }
                InputValue::Mask => {
                    about.lines.iter().for_each(|line| field.put_bit(&mut bytes, line.event_bit));
                    continue;
                }
            };
            field.put(&mut bytes, number);
        }
        bytes
    }

    pub(crate) fn sends(&self, wanted: impl Fn(&InputValue) -> bool) -> bool {
        self.fields.iter().any(|(_, sent)| wanted(sent))
    }

    /// True if it is about one line, which the caller must give.
    pub(crate) fn is_about_a_line(&self) -> bool {
        !self.each_line && self.sends(|sent| matches!(sent, InputValue::Line | InputValue::Edges { .. }))
    }

    /// True if it contains anything but the numbers and bits of lines.
    pub(super) fn says_more_than_lines(&self) -> bool {
        self.bytes.iter().any(|&byte| byte != 0)
            || self.sends(|sent| !matches!(sent, InputValue::Line | InputValue::Mask))
    }

    pub(super) fn read(value: &Value<'_>) -> Result<Self, Error> {
        let keys = value.table()?.only(&["bytes", "length", "each_line", "endian", "fields"])?;
        let bytes = keys.get("bytes").map_or(Ok(Vec::new()), |bytes| hex(&bytes))?;
        let length = keys.get("length");
        let length = length.map_or(Ok(bytes.len()), |length| length.size(bytes.len(), MAX_BYTES))?;
        let each_line = keys.get("each_line").map_or(Ok(false), |each| each.truth())?;
        let endian = keys.get("endian").map_or(Ok(Endian::Little), |endian| endian.word(ENDIANS))?;
        let mut fields = Vec::new();
        for item in keys.get("fields").map_or(Ok(Vec::new()), |fields| fields.items())? {
            let mut known = PLACE.to_vec();
            known.extend(["value", "rising", "falling", "none"]);
            let field = item.table()?.only(&known)?;
            let value = field.need("value")?;
            let is_mask = value.is_text() && value.text()? == "mask";
            let place = Field::read(&field, endian, length, if is_mask { 128 } else { 8 })?;
            let sent = if value.is_text() {
                const WORDS: &[&str] = &["line", "mask", "lines", "edges", "queue", "event"];
                match value.text()? {
                    "line" => InputValue::Line,
                    "mask" => InputValue::Mask,
                    "lines" => InputValue::Lines,
                    "queue" => InputValue::Queue,
                    "event" => InputValue::Event,
                    "edges" => InputValue::Edges {
                        rising: field.need("rising")?.number(0, place.greatest())?,
                        falling: field.need("falling")?.number(0, place.greatest())?,
                        none: field.get("none").map_or(Ok(0), |none| none.number(0, place.greatest()))?,
                    },
                    other => {
                        let known = did_you_mean(other, WORDS.iter().copied());
                        return Err(value.error(format!("unknown value \"{other}\"; {known}, or a number")));
                    }
                }
            } else {
                InputValue::Number(value.number(0, place.greatest())?)
            };
            field.finish()?;
            fields.push((place, sent));
        }
        keys.finish()?;
        Ok(Self { length, each_line, bytes, fields })
    }
}

fn hex(value: &Value<'_>) -> Result<Vec<u8>, Error> {
    let text = value.text()?;
    let digits: Vec<_> = text.chars().filter(|c| !c.is_whitespace()).collect();
    if let Some(other) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
        return Err(value.error(format!("expected hexadecimal bytes like \"0a ff 00\", found \"{other}\"")));
    }
    if digits.len() % 2 != 0 || digits.len() / 2 > MAX_BYTES {
        return Err(value.error("expected two hexadecimal digits for each byte, like \"0a ff 00\""));
    }
    let digit = |c: char| c.to_digit(16).unwrap_or(0) as u8;
    Ok(digits.chunks_exact(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect())
}
