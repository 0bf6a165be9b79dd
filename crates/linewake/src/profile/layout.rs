//! What goes to a driver and what comes back: fields at places in bytes.

use overlapped::{Access, CtlCode, Method};

use crate::keys::{Keys, Value, did_you_mean};
use crate::{Edges, Error};

/// More than any driver's record of inputs: a profile cannot make the program take all memory.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Which byte of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
}

const ENDIANS: &[(&str, Endian)] = &[("little", Endian::Little), ("big", Endian::Big)];

/// The keys that say where a field is.
const PLACE: &[&str] = &["at", "width", "endian", "bit", "bits"];

/// A number somewhere in some bytes: whole bytes, or bits of them counted from the least significant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) at: usize,
    pub(crate) width: usize,
    pub(crate) endian: Endian,
    /// First bit and number of bits; `None` is all.
    pub(crate) bits: Option<(u32, u32)>,
}

impl Field {
    /// The number, if the bytes are long enough.
    pub(crate) fn number(&self, bytes: &[u8]) -> Option<u64> {
        let bytes = self.bytes(bytes)?;
        let fold = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        let whole = match self.endian {
            Endian::Big => bytes.iter().fold(0, fold),
            Endian::Little => bytes.iter().rev().fold(0, fold),
        };
        let (shift, mask) = self.shift_and_mask();
        Some(whole >> shift & mask)
    }

    fn bytes<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        bytes.get(self.at..self.at.checked_add(self.width)?)
    }

    fn shift_and_mask(&self) -> (u32, u64) {
        match self.bits {
            None => (0, u64::MAX),
            Some((shift, bits)) => (shift, u64::MAX >> (64 - bits.clamp(1, 64))),
        }
    }

    /// One bit of a mask of any width; `None` if the bytes are too short or the mask has no such bit.
    pub(crate) fn bit(&self, bytes: &[u8], bit: u32) -> Option<bool> {
        let bytes = self.bytes(bytes)?;
        let from_low = bit as usize / 8;
        let index = match self.endian {
            Endian::Little => from_low,
            Endian::Big => bytes.len().checked_sub(from_low + 1)?,
        };
        Some(bytes.get(index)? >> (bit % 8) & 1 == 1)
    }

    /// Adds a number to what is there.
    fn put(&self, bytes: &mut [u8], number: u64) {
        let (shift, mask) = self.shift_and_mask();
        let number = (number & mask) << shift;
        let Some(place) = bytes.get_mut(self.at..self.at + self.width) else { return };
        let low_first = number.to_le_bytes().into_iter();
        match self.endian {
            Endian::Little => place.iter_mut().zip(low_first).for_each(|(byte, add)| *byte |= add),
            Endian::Big => place.iter_mut().rev().zip(low_first).for_each(|(byte, add)| *byte |= add),
        }
    }

    /// Sets a bit of a mask.
    fn put_bit(&self, bytes: &mut [u8], bit: u32) {
        let from_low = bit as usize / 8;
        let index = match self.endian {
            Endian::Little => self.at + from_low,
            Endian::Big => self.at + self.width.saturating_sub(from_low + 1),
        };
        if from_low < self.width
            && let Some(byte) = bytes.get_mut(index)
        {
            *byte |= 1 << (bit % 8);
        }
    }

    /// Whether some bit is in both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let meets = |a: &Self, b: &Self| a.at < b.at + b.width && b.at < a.at + a.width;
        if self.bits.is_none() || other.bits.is_none() {
            return meets(self, other);
        }
        // Bits of eight bytes at most.
        let places = |field: &Self| -> Vec<(usize, u32)> {
            let (first, bits) = field.bits.unwrap_or_default();
            let byte = |from_low: usize| match field.endian {
                Endian::Little => field.at + from_low,
                Endian::Big => field.at + field.width - 1 - from_low,
            };
            (first..first + bits).map(|bit| (byte(bit as usize / 8), bit % 8)).collect()
        };
        let others = places(other);
        places(self).iter().any(|place| others.contains(place))
    }

    /// The greatest number that fits.
    pub(crate) fn greatest(&self) -> u64 {
        match self.bits {
            Some(_) => self.shift_and_mask().1,
            None if self.width >= 8 => u64::MAX,
            None => (1 << (8 * self.width)) - 1,
        }
    }

    fn read(keys: &Keys<'_>, endian: Endian, length: usize, widest: usize) -> Result<Self, Error> {
        let at = keys.need("at")?.size(0, MAX_BYTES)?;
        let said = keys.get("width").map(|width| width.size(1, widest)).transpose()?;
        let width = said.unwrap_or(4);
        if at + width > length {
            let unless_set = if said.is_none() { "; its `width` is 4 unless set" } else { "" };
            return Err(keys.error(format!(
                "\"{}\" ends at byte {}, and there are {length}: bytes {at} to {}{unless_set}",
                keys.path(),
                at + width,
                at + width - 1
            )));
        }
        let endian = keys.get("endian").map_or(Ok(endian), |endian| endian.word(ENDIANS))?;
        let of_width = (8 * width).min(64) as u64;
        let first = keys.get("bit").map(|bit| bit.number(0, of_width - 1)).transpose()?;
        let bits = keys.get("bits").map(|bits| bits.number(1, of_width - first.unwrap_or(0))).transpose()?;
        let bits = (first.is_some() || bits.is_some()).then(|| (first.unwrap_or(0) as u32, bits.unwrap_or(1) as u32));
        if bits.is_some() && width > 8 {
            return Err(keys.error(format!("\"{}\": bits are taken from at most 8 bytes", keys.path())));
        }
        Ok(Self { at, width, endian, bits })
    }
}

/// What a number in an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Number(u64),
    /// The number of the line that it is about.
    Line,
    /// A bit for each line that is asked for.
    Mask,
    /// How many lines are asked for.
    Lines,
    /// Which edges are wanted of the line.
    Edges {
        rising: u64,
        falling: u64,
        none: u64,
    },
    /// How many events are to be queued; zero is the driver's own default.
    Queue,
    /// The handle of the event that this program made.
    Event,
}

/// The bytes that a call sends.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Input {
    pub(crate) length: usize,
    /// One record of this length for each line that is asked for.
    pub(crate) each_line: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fields: Vec<(Field, Sent)>,
}

/// What an input is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) lines: &'a [Asked],
    /// The line of a call that is made for one.
    pub(crate) line: Option<Asked>,
    pub(crate) queue_size: u32,
    pub(crate) event: u64,
}

/// A line that is asked for, as the driver knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) number: u64,
    pub(crate) event_bit: u32,
    pub(crate) edges: Option<Edges>,
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
                Sent::Number(number) => number,
                Sent::Lines => about.lines.len() as u64,
                Sent::Queue => about.queue_size.into(),
                Sent::Event => about.event,
                Sent::Line => about.line.map_or(0, |line| line.number),
                Sent::Edges { rising, falling, none } => match about.line.and_then(|line| line.edges) {
                    Some(Edges::Rising) => rising,
                    Some(Edges::Falling) => falling,
                    Some(Edges::Both) => rising | falling,
                    None => none,
                },
                Sent::Mask => {
                    about.lines.iter().for_each(|line| field.put_bit(&mut bytes, line.event_bit));
                    continue;
                }
            };
            field.put(&mut bytes, number);
        }
        bytes
    }

    pub(crate) fn sends(&self, wanted: impl Fn(&Sent) -> bool) -> bool {
        self.fields.iter().any(|(_, sent)| wanted(sent))
    }

    /// Whether it says anything but which lines are meant.
    fn says_more_than_lines(&self) -> bool {
        self.bytes.iter().any(|&byte| byte != 0) || self.sends(|sent| !matches!(sent, Sent::Line | Sent::Mask))
    }

    fn read(value: &Value<'_>) -> Result<Self, Error> {
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
                    "line" => Sent::Line,
                    "mask" => Sent::Mask,
                    "lines" => Sent::Lines,
                    "queue" => Sent::Queue,
                    "event" => Sent::Event,
                    "edges" => Sent::Edges {
                        rising: field.need("rising")?.number(0, place.greatest())?,
                        falling: field.need("falling")?.number(0, place.greatest())?,
                        none: field.get("none").map_or(Ok(0), |none| none.number(0, place.greatest()))?,
                    },
                    other => {
                        let known = did_you_mean(other, WORDS.iter().copied());
                        return Err(value.error(format!("there is no \"{other}\" to send; {known}, or a number")));
                    }
                }
            } else {
                Sent::Number(value.number(0, place.greatest())?)
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
        return Err(value.error(format!("\"{other}\" is no hexadecimal digit: write bytes like \"0a ff 00\"")));
    }
    if digits.len() % 2 != 0 || digits.len() / 2 > MAX_BYTES {
        return Err(value.error("bytes have two hexadecimal digits each, like \"0a ff 00\""));
    }
    let digit = |c: char| c.to_digit(16).unwrap_or(0) as u8;
    Ok(digits.chunks_exact(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect())
}

/// What a field of an output says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Line,
    Edge,
    Level,
    Count,
    Timestamp,
    Seqno,
    LineSeqno,
    Overflowed,
    Merged,
    Changed,
    Rising,
    Falling,
    Levels,
    Happened,
    Delivered,
    Discarded,
}

impl Role {
    pub(super) const ALL: [(&'static str, Self); 16] = [
        ("line", Self::Line),
        ("edge", Self::Edge),
        ("level", Self::Level),
        ("count", Self::Count),
        ("timestamp", Self::Timestamp),
        ("seqno", Self::Seqno),
        ("line_seqno", Self::LineSeqno),
        ("overflowed", Self::Overflowed),
        ("merged", Self::Merged),
        ("changed", Self::Changed),
        ("rising", Self::Rising),
        ("falling", Self::Falling),
        ("levels", Self::Levels),
        ("happened", Self::Happened),
        ("delivered", Self::Delivered),
        ("discarded", Self::Discarded),
    ];

    /// Whether it has a bit for each line.
    pub(super) fn is_mask(self) -> bool {
        matches!(self, Self::Changed | Self::Rising | Self::Falling | Self::Levels)
    }

    pub(super) fn key(self) -> &'static str {
        Self::ALL.iter().find(|(_, role)| *role == self).map_or("", |(key, _)| key)
    }
}

/// The bytes that a call, or a read, gives: a header, and records of one length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    /// Room for so many bytes is given to the driver.
    pub(crate) length: usize,
    pub(crate) header: usize,
    pub(crate) record: usize,
    /// In the header: how many records follow.
    pub(crate) records: Option<Field>,
    /// In each record.
    pub(crate) fields: Vec<(Role, Field)>,
    /// The numbers of [`Role::Edge`].
    pub(crate) rising: u64,
    pub(crate) falling: u64,
    /// Of [`Role::Timestamp`].
    pub(crate) tick_ns: u64,
    /// Whether [`Role::Count`] counts from the last record on.
    pub(crate) since_last: bool,
}

const TICKS: &[(&str, u64)] = &[("ns", 1), ("100ns", 100), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

impl Output {
    pub(crate) fn has(&self, role: Role) -> bool {
        self.field(role).is_some()
    }

    pub(crate) fn field(&self, role: Role) -> Option<&Field> {
        self.fields.iter().find(|(of, _)| *of == role).map(|(_, field)| field)
    }

    /// What a record says, if it says that.
    pub(crate) fn get(&self, role: Role, record: &[u8]) -> Option<u64> {
        self.field(role)?.number(record)
    }

    /// The records in what came. `Err` says why they are none.
    pub(crate) fn records<'b>(&self, bytes: &'b [u8]) -> Result<std::slice::ChunksExact<'b, u8>, String> {
        let Some(body) = bytes.get(self.header..) else {
            return Err(format!("{} bytes came, and the header alone has {}", bytes.len(), self.header));
        };
        let record = self.record.max(1);
        let body = match &self.records {
            None => body,
            Some(field) => {
                let count = field.number(bytes).unwrap_or(0);
                let wanted = usize::try_from(count).ok().and_then(|count| count.checked_mul(record));
                match wanted.and_then(|wanted| body.get(..wanted)) {
                    Some(body) => body,
                    None => {
                        let came = body.len() / record;
                        return Err(format!("it says that {count} records follow, and {came} came"));
                    }
                }
            }
        };
        match body.len() % record {
            0 => Ok(body.chunks_exact(record)),
            _ => Err(format!("{} bytes came, which is no whole number of records of {record} bytes", body.len())),
        }
    }

    pub(super) fn read(value: &Value<'_>) -> Result<Self, Error> {
        let keys = value.table()?.only(&["length", "header", "record", "records", "endian", "fields"])?;
        let length = keys.need("length")?.size(1, MAX_BYTES)?;
        let header = keys.get("header").map_or(Ok(0), |header| header.size(0, length - 1))?;
        let record = keys.get("record").map_or(Ok(length - header), |record| record.size(1, length - header))?;
        let endian = keys.get("endian").map_or(Ok(Endian::Little), |endian| endian.word(ENDIANS))?;
        let mut output = Self { length, header, record, tick_ns: 1, ..Self::default() };
        if let Some(records) = keys.get("records") {
            let records = records.table()?.only(PLACE)?;
            output.records = Some(Field::read(&records, endian, header, 8)?);
            records.finish()?;
        }
        if let Some(fields) = keys.get("fields") {
            let fields = fields.table()?.only(&Role::ALL.map(|(key, _)| key))?;
            for (key, role) in Role::ALL {
                let Some(value) = fields.get(key) else { continue };
                let mut known = PLACE.to_vec();
                known.extend(match role {
                    Role::Edge => &["rising", "falling"][..],
                    Role::Timestamp => &["unit"],
                    Role::Count => &["since"],
                    _ => &[],
                });
                let field = value.table()?.only(&known)?;
                let place = Field::read(&field, endian, record, if role.is_mask() { 128 } else { 8 })?;
                if role.is_mask() && place.bits.is_some() {
                    return Err(
                        value.error("a mask has a bit for each line: say which with `event_bit` and `level_bit`")
                    );
                }
                match role {
                    Role::Edge => {
                        output.rising = field.need("rising")?.number(0, place.greatest())?;
                        output.falling = field.need("falling")?.number(0, place.greatest())?;
                        if output.rising == output.falling {
                            return Err(value.error("`rising` and `falling` must differ"));
                        }
                    }
                    Role::Timestamp => output.tick_ns = field.get("unit").map_or(Ok(1), |unit| unit.word(TICKS))?,
                    Role::Count => {
                        let since = field.get("since");
                        output.since_last =
                            since.map_or(Ok(false), |since| since.word(&[("start", false), ("last", true)]))?;
                    }
                    _ => {}
                }
                field.finish()?;
                if let Some((other, _)) = output.fields.iter().find(|(_, other)| other.overlaps(&place)) {
                    let (key, other) = (role.key(), other.key());
                    let parts = if role.is_mask() { "" } else { ", unless each says by `bit` which part it is" };
                    return Err(value
                        .error(format!("`{key}` and `{other}` have bytes in common: a byte is of one field{parts}")));
                }
                output.fields.push((role, place));
            }
            fields.finish()?;
        }
        keys.finish()?;
        Ok(output)
    }
}

/// A control code with what it takes and gives.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) code: CtlCode,
    pub(crate) input: Input,
    pub(crate) output: Output,
}

impl Call {
    /// Whether the driver's author may have meant it to change something, or the profile tells it more than which lines
    /// are meant. The system checks FILE_READ_ACCESS and FILE_WRITE_ACCESS, and FILE_ANY_ACCESS says nothing.
    pub(crate) fn needs_consent(&self) -> bool {
        self.code.access() != Access::Read || self.input.says_more_than_lines()
    }

    pub(super) fn read(name: &str, value: &Value<'_>) -> Result<Self, Error> {
        let known = ["code", "device_type", "function", "method", "access", "input", "output"];
        let keys = value.table()?.only(&known)?;
        let code = code(&keys)?;
        let input = keys.get("input").map_or(Ok(Input::default()), |input| Input::read(&input))?;
        let output = keys.get("output").map_or(Ok(Output::default()), |output| Output::read(&output))?;
        keys.finish()?;
        Ok(Self { name: name.to_owned(), code, input, output })
    }
}

const METHODS: &[(&str, Method)] = &[("buffered", Method::Buffered), ("out-direct", Method::OutDirect)];
/// Refused with their reason, and not offered.
const REFUSED_METHODS: &[(&str, Method)] = &[("in-direct", Method::InDirect), ("neither", Method::Neither)];
const ACCESSES: &[(&str, Access)] =
    &[("any", Access::Any), ("read", Access::Read), ("write", Access::Write), ("read-write", Access::ReadWrite)];

/// A code as one number, or by the fields of the macro CTL_CODE.
fn code(keys: &Keys<'_>) -> Result<CtlCode, Error> {
    let parts = [keys.get("device_type"), keys.get("function"), keys.get("method"), keys.get("access")];
    let (code, place) = match (keys.get("code"), parts) {
        (Some(value), [None, None, None, None]) => {
            let code = if value.is_text() {
                value.text()?.parse().map_err(|error| value.error(error))?
            } else {
                CtlCode::from_u32(value.number(0, u32::MAX.into())? as u32)
            };
            (code, value)
        }
        (Some(_), _) => {
            let message = "has `code`, and so neither `device_type`, `function`, `method` nor `access`";
            return Err(keys.error(format!("\"{}\" {message}", keys.path())));
        }
        (None, [device_type, function, method, access]) => {
            let missing = |key: &str| {
                keys.error(format!("\"{}\" lacks `{key}`: give `code`, or the four fields of CTL_CODE", keys.path()))
            };
            let device_type = device_type.ok_or_else(|| missing("device_type"))?.number(0, 0xffff)? as u16;
            let function = function.ok_or_else(|| missing("function"))?.number(0, 0xfff)? as u16;
            let access = access.ok_or_else(|| missing("access"))?.word(ACCESSES)?;
            let value = method.ok_or_else(|| missing("method"))?;
            let text = value.text()?;
            let method = match REFUSED_METHODS.iter().find(|(word, _)| *word == text) {
                Some((_, method)) => *method,
                None => value.word(METHODS)?,
            };
            (CtlCode::new(device_type, function, method, access), value)
        }
    };
    let reason = match code.method() {
        Method::Buffered | Method::OutDirect => return Ok(code),
        Method::Neither => "METHOD_NEITHER gives the driver addresses of this program, which no file may choose",
        Method::InDirect => "METHOD_IN_DIRECT writes to the device what an output would hold",
    };
    Err(place.error(format!(
        "{code} cannot be called by a profile: {reason}; only METHOD_BUFFERED and METHOD_OUT_DIRECT can"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(at: usize, width: usize, endian: Endian, bits: Option<(u32, u32)>) -> Field {
        Field { at, width, endian, bits }
    }

    #[test]
    fn numbers_are_read_where_they_are() {
        let bytes = [0xff, 0x12, 0x34, 0x56, 0x78, 0xff];
        assert_eq!(field(1, 4, Endian::Big, None).number(&bytes), Some(0x1234_5678));
        assert_eq!(field(1, 4, Endian::Little, None).number(&bytes), Some(0x7856_3412));
        assert_eq!(field(1, 2, Endian::Big, Some((4, 8))).number(&bytes), Some(0x23));
        assert_eq!(field(3, 4, Endian::Big, None).number(&bytes), None);
        assert_eq!(field(usize::MAX, 4, Endian::Big, None).number(&bytes), None);
        assert_eq!(field(0, 8, Endian::Big, None).number(&[0xff; 8]), Some(u64::MAX));
    }

    #[test]
    fn bits_of_a_mask_count_from_the_least_significant() {
        let bytes = [0x80, 0, 0, 0x02];
        assert_eq!(field(0, 4, Endian::Big, None).bit(&bytes, 1), Some(true));
        assert_eq!(field(0, 4, Endian::Big, None).bit(&bytes, 31), Some(true));
        assert_eq!(field(0, 4, Endian::Little, None).bit(&bytes, 7), Some(true));
        assert_eq!(field(0, 4, Endian::Little, None).bit(&bytes, 25), Some(true));
        assert_eq!(field(0, 4, Endian::Little, None).bit(&bytes, 32), None);
        assert_eq!(field(0, 4, Endian::Big, None).bit(&bytes, 32), None);
    }

    #[test]
    fn fields_overlap_where_they_share_a_bit() {
        use Endian::{Big, Little};
        let whole = |at, width| field(at, width, Little, None);
        assert!(whole(0, 2).overlaps(&whole(1, 1)) && whole(1, 1).overlaps(&whole(0, 2)));
        assert!(!whole(0, 2).overlaps(&whole(2, 2)) && !whole(2, 2).overlaps(&whole(0, 2)));
        let low = field(0, 2, Little, Some((0, 4)));
        assert!(!low.overlaps(&field(0, 2, Little, Some((4, 12)))));
        assert!(low.overlaps(&field(0, 2, Little, Some((3, 2)))));
        // The low byte of one is the high byte of the other.
        assert!(!low.overlaps(&field(0, 2, Big, Some((0, 4)))) && low.overlaps(&field(0, 2, Big, Some((8, 1)))));
        assert!(low.overlaps(&field(0, 1, Little, Some((3, 1)))) && !low.overlaps(&field(1, 1, Big, Some((0, 4)))));
        // All of a byte is every bit of it.
        assert!(low.overlaps(&whole(0, 1)) && whole(1, 1).overlaps(&low));
    }

    #[test]
    fn what_is_put_is_read_back() {
        for endian in [Endian::Little, Endian::Big] {
            for (width, bits, number) in [(4, None, 0x0102_0304), (2, Some((3, 5)), 0x15), (8, None, u64::MAX - 1)] {
                let field = field(2, width, endian, bits);
                let mut bytes = [0; 12];
                field.put(&mut bytes, number);
                assert_eq!(field.number(&bytes), Some(number));
            }
            let mask = field(1, 4, endian, None);
            let mut bytes = [0; 6];
            for bit in [0, 9, 31, 32, 99] {
                mask.put_bit(&mut bytes, bit);
            }
            assert_eq!(mask.number(&bytes), Some(1 | 1 << 9 | 1 << 31));
            assert_eq!((bytes[0], bytes[5]), (0, 0));
        }
    }
}
