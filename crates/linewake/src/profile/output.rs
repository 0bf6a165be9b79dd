//! The bytes that a call or a read gives: records, and the meaning of their fields.

use super::field::{ENDIANS, Endian, Field, MAX_BYTES, PLACE};
use crate::Error;
use crate::keys::{Keys, Value};

/// The meaning of a field of an output.
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

    /// True if the field has a bit for each line.
    pub(super) fn is_mask(self) -> bool {
        matches!(self, Self::Changed | Self::Rising | Self::Falling | Self::Levels)
    }

    pub(super) fn key(self) -> &'static str {
        Self::ALL.iter().find(|(_, role)| *role == self).map_or("", |(key, _)| key)
    }
}

/// How long a tick of a clock takes: `numerator / denominator` nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) numerator: u64,
    pub(crate) denominator: u64,
}

/// A nanosecond.
impl Default for Tick {
    fn default() -> Self {
        Self { numerator: 1, denominator: 1 }
    }
}

impl Tick {
    /// Converts ticks to nanoseconds, rounded down.
    pub(crate) fn ns(self, ticks: u64) -> u64 {
        let ns = u128::from(ticks) * u128::from(self.numerator) / u128::from(self.denominator);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// Converts nanoseconds to ticks, rounded down.
    pub(crate) fn ticks(self, ns: u64) -> u64 {
        let ticks = u128::from(ns) * u128::from(self.denominator) / u128::from(self.numerator);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

const UNITS: &[(&str, u64)] = &[("ns", 1), ("100ns", 100), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

/// When a counter was zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Since {
    /// At an unknown time before the program started, so its first reading gives no edges.
    #[default]
    Start,
    /// When the device was opened.
    Open,
    /// At the record before.
    Last,
}

/// A field that must have one of some numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Only {
    pub(crate) field: Field,
    pub(crate) is: Vec<u64>,
}

impl Only {
    fn fits(&self, record: &[u8]) -> bool {
        self.field.number(record).is_some_and(|number| self.is.contains(&number))
    }
}

/// The bytes that a call or a read gives: a header, and records that all have the same length. None by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    /// The size of the buffer for the driver, in bytes.
    pub(crate) length: usize,
    pub(crate) header: usize,
    pub(crate) record: usize,
    /// The field of the header that says how many records follow.
    pub(crate) records: Option<Field>,
    /// The most records in a message; bytes after them are ignored.
    pub(crate) at_most: Option<usize>,
    /// The fields of each record.
    pub(crate) fields: Vec<(Role, Field)>,
    /// The value of [`Role::Edge`] for a rising edge; `falling` is the one for a falling edge.
    pub(crate) rising: u64,
    pub(crate) falling: u64,
    /// True if a record with another value of [`Role::Edge`] is ignored.
    pub(crate) ignores_other_edges: bool,
    /// The unit of [`Role::Timestamp`].
    pub(crate) tick: Tick,
    /// A field to add to [`Role::Timestamp`], for example a part of a second.
    pub(crate) fraction: Option<(Field, Tick)>,
    /// When the counter of [`Role::Count`] was zero.
    pub(crate) since: Since,
    /// True if the first report of a counter, too, comes because of an edge.
    pub(crate) first_is_edge: bool,
    /// Conditions that a record must all meet. Other records are ignored.
    pub(crate) only: Vec<Only>,
    /// Conditions that all hold for a record with which the device reports that it lost others. Empty if it has no such
    /// record.
    pub(crate) lost: Vec<Only>,
    /// True if a record of a line that the profile does not have is ignored.
    pub(crate) ignores_unknown_lines: bool,
    /// True if bytes that no field covers mean nothing.
    pub(crate) rest_is_unused: bool,
}

impl Output {
    pub(crate) fn has(&self, role: Role) -> bool {
        self.field(role).is_some()
    }

    pub(crate) fn field(&self, role: Role) -> Option<&Field> {
        self.fields.iter().find(|(of, _)| *of == role).map(|(_, field)| field)
    }

    /// The number that a record has for a role, if it has the role.
    pub(crate) fn get(&self, role: Role, record: &[u8]) -> Option<u64> {
        self.field(role)?.number(record)
    }

    /// True if it has a mask: a field with a bit for each line.
    pub(crate) fn has_masks(&self) -> bool {
        self.fields.iter().any(|(role, _)| role.is_mask())
    }

    /// True if a record, or the beginning of one, meets the conditions.
    fn is_ours(&self, record: &[u8]) -> bool {
        self.only.iter().all(|only| only.fits(record)) && !self.is_loss(record)
    }

    /// True if a record says that others were lost.
    pub(crate) fn is_loss(&self, record: &[u8]) -> bool {
        !self.lost.is_empty() && self.lost.iter().all(|only| only.fits(record))
    }

    /// Refuses an answer without bytes if one record was expected.
    pub(crate) fn is_answer(&self, bytes: &[u8]) -> Result<(), String> {
        let one = self.header == 0 && self.records.is_none() && self.record == self.length && self.only.is_empty();
        match one && bytes.is_empty() && self.length > 0 {
            true => Err(format!("expected a record of {} bytes, found none", self.record)),
            false => Ok(()),
        }
    }

    /// The records that meet the conditions, each with its index among all. `Err` says why the bytes are not records.
    pub(crate) fn records<'b>(&self, bytes: &'b [u8]) -> Result<impl Iterator<Item = (usize, &'b [u8])>, String> {
        Ok(self.all_records(bytes)?.filter(|(_, record)| self.is_ours(record)))
    }

    /// How many records say that others were lost.
    pub(crate) fn losses(&self, bytes: &[u8]) -> usize {
        if self.lost.is_empty() {
            return 0;
        }
        self.all_records(bytes).map_or(0, |records| records.filter(|(_, record)| self.is_loss(record)).count())
    }

    fn all_records<'b>(&self, bytes: &'b [u8]) -> Result<impl Iterator<Item = (usize, &'b [u8])>, String> {
        let record = self.record.max(1);
        let mut body = self.body(bytes)?;
        if !body.len().is_multiple_of(record) {
            // A message of another kind may have another length.
            if body.chunks(record).all(|part| !self.is_ours(part)) {
                body = &[];
            } else {
                let came = body.len();
                return Err(format!("expected whole records of {record} bytes, found {came} bytes"));
            }
        }
        Ok(body.chunks_exact(record).enumerate())
    }

    /// The part of the bytes that holds the records. `Err` says why there is none.
    pub(super) fn body<'b>(&self, bytes: &'b [u8]) -> Result<&'b [u8], String> {
        let record = self.record.max(1);
        let mut body = match bytes.get(self.header..) {
            Some(body) => body,
            // A completion without bytes only says that something happened.
            None if bytes.is_empty() && self.length == 0 => &[],
            None => return Err(format!("expected a header of {} bytes, found {} bytes", self.header, bytes.len())),
        };
        if let Some(field) = &self.records {
            let count = field.number(bytes).unwrap_or(0);
            let wanted = usize::try_from(count).ok().and_then(|count| count.checked_mul(record));
            body = wanted.and_then(|wanted| body.get(..wanted)).ok_or_else(|| {
                let came = body.len() / record;
                format!("its header says that {count} records follow, but {came} came")
            })?;
        }
        if let Some(most) = self.at_most {
            body = body.get(..most * record).unwrap_or(body);
        }
        Ok(body)
    }

    /// Describes the first bits of a record that no field covers.
    pub(super) fn unnamed(&self) -> Option<String> {
        if self.rest_is_unused {
            return None;
        }
        let mut named = vec![0_u8; self.record];
        let only = self.only.iter().chain(&self.lost).map(|only| &only.field);
        let fraction = self.fraction.iter().map(|(field, _)| field);
        for field in self.fields.iter().map(|(_, field)| field).chain(only).chain(fraction) {
            field.places().for_each(|(byte, bit)| named[byte] |= 1 << bit);
        }
        let first = named.iter().position(|&bits| bits != 0xff)?;
        if named[first] != 0 {
            let bits: Vec<_> = (0..8).filter(|bit| named[first] >> bit & 1 == 0).map(|bit| bit.to_string()).collect();
            let s = if bits.len() == 1 { "" } else { "s" };
            return Some(format!("bit{s} {} of byte {first}", bits.join(", ")));
        }
        let after = named[first..].iter().position(|&bits| bits != 0).unwrap_or(self.record - first) + first;
        Some(if after == first + 1 { format!("byte {first}") } else { format!("bytes {first} to {}", after - 1) })
    }

    pub(super) fn read(value: &Value<'_>) -> Result<Self, Error> {
        let known =
            ["length", "header", "record", "records", "endian", "fields", "only", "lost", "unknown_line", "rest"];
        let keys = value.table()?.only(&known)?;
        let length = keys.need("length")?.size(1, MAX_BYTES)?;
        let header = keys.get("header").map_or(Ok(0), |header| header.size(0, length - 1))?;
        let record = keys.get("record").map_or(Ok(length - header), |record| record.size(1, length - header))?;
        let endian = keys.get("endian").map_or(Ok(Endian::Little), |endian| endian.word(ENDIANS))?;
        let mut output = Self { length, header, record, ..Self::default() };
        if let Some(records) = keys.get("records").filter(|records| !records.is_table()) {
            output.at_most = Some(records.size(1, (length - header) / record)?);
        } else if let Some(records) = keys.get("records") {
            let records = records.table()?.only(PLACE)?;
            output.records = Some(Field::read(&records, endian, header, 8)?);
            records.finish()?;
        }
        if let Some(fields) = keys.get("fields") {
            output.read_fields(&fields.table()?.only(&Role::ALL.map(|(key, _)| key))?, endian)?;
        }
        for item in keys.get("only").map_or(Ok(Vec::new()), |only| only.items())? {
            output.only.push(output.read_only(&item, endian)?);
        }
        for item in keys.get("lost").map_or(Ok(Vec::new()), |lost| lost.items())? {
            output.lost.push(output.read_only(&item, endian)?);
        }
        let unknown = keys.get("unknown_line");
        output.ignores_unknown_lines = unknown.as_ref().map_or(Ok(false), |word| word.word(OR_IGNORE))?;
        if let Some(unknown) = unknown
            && !output.has(Role::Line)
        {
            return Err(unknown.error("no field says which line a record is about; add `line` to `fields`"));
        }
        output.rest_is_unused = keys.get("rest").map_or(Ok(false), |rest| rest.word(&[("unused", true)]))?;
        keys.finish()?;
        Ok(output)
    }

    fn read_fields(&mut self, fields: &Keys<'_>, endian: Endian) -> Result<(), Error> {
        for (key, role) in Role::ALL {
            let Some(value) = fields.get(key) else { continue };
            let mut known = PLACE.to_vec();
            known.extend(match role {
                Role::Edge => &["rising", "falling", "others"][..],
                Role::Timestamp => &["unit", "hz", "fraction"],
                Role::Count => &["since", "first"],
                _ => &[],
            });
            let field = value.table()?.only(&known)?;
            let place = Field::read(&field, endian, self.record, if role.is_mask() { 128 } else { 8 })?;
            if role.is_mask() && place.bits.is_some() {
                return Err(value.error(
                    "a mask cannot have `bit` or `bits`; set the bit of each line with `event_bit` and `level_bit`",
                ));
            }
            match role {
                Role::Edge => {
                    self.rising = field.need("rising")?.number(0, place.greatest())?;
                    self.falling = field.need("falling")?.number(0, place.greatest())?;
                    if self.rising == self.falling {
                        return Err(value.error("`rising` and `falling` must differ"));
                    }
                    self.ignores_other_edges =
                        field.get("others").map_or(Ok(false), |others| others.word(OR_IGNORE))?;
                }
                Role::Timestamp => {
                    self.tick = tick(&field)?;
                    if let Some(value) = field.get("fraction") {
                        let part = value.table()?.only(&[PLACE, &["unit", "hz"]].concat())?;
                        let place = Field::read(&part, endian, self.record, 8)?;
                        let tick = tick(&part)?;
                        part.finish()?;
                        self.is_free(&value, "timestamp.fraction", &place, false)?;
                        self.fraction = Some((place, tick));
                    }
                }
                Role::Count => {
                    const SINCE: &[(&str, Since)] =
                        &[("start", Since::Start), ("last", Since::Last), ("open", Since::Open)];
                    self.since = field.get("since").map_or(Ok(Since::Start), |since| since.word(SINCE))?;
                    if let Some(first) = field.get("first") {
                        self.first_is_edge = first.word(&[("nothing", false), ("edge", true)])?;
                        if self.since != Since::Start {
                            return Err(first.error("`first` needs `since = \"start\"`"));
                        }
                    }
                }
                _ => {}
            }
            field.finish()?;
            self.is_free(&value, key, &place, role.is_mask())?;
            self.fields.push((role, place));
        }
        Ok(())
    }

    /// Refuses a field that shares bits with another.
    fn is_free(&self, value: &Value<'_>, key: &str, place: &Field, is_mask: bool) -> Result<(), Error> {
        let fields = self.fields.iter().map(|(role, field)| (role.key(), field));
        let mut all = fields.chain(self.fraction.iter().map(|(field, _)| ("timestamp.fraction", field)));
        let Some((other, _)) = all.find(|(_, other)| other.overlaps(place)) else { return Ok(()) };
        let parts = if is_mask { "" } else { "; to share a byte, give each its part with `bit`" };
        Err(value.error(format!("`{key}` and `{other}` have bytes in common{parts}")))
    }

    fn read_only(&self, item: &Value<'_>, endian: Endian) -> Result<Only, Error> {
        let keys = item.table()?.only(&[PLACE, &["is"]].concat())?;
        let field = Field::read(&keys, endian, self.record, 8)?;
        let is = keys.need("is")?;
        let numbers = if is.is_array() { is.items()? } else { vec![is.clone()] };
        if numbers.is_empty() {
            return Err(is.error("expected at least one number in the list"));
        }
        let is = numbers.iter().map(|number| number.number(0, field.greatest())).collect::<Result<_, _>>()?;
        keys.finish()?;
        Ok(Only { field, is })
    }
}

const OR_IGNORE: &[(&str, bool)] = &[("malformed", false), ("ignore", true)];

/// Reads `unit` or `hz`: nanoseconds by default.
fn tick(keys: &Keys<'_>) -> Result<Tick, Error> {
    match (keys.get("unit"), keys.get("hz")) {
        (None, None) => Ok(Tick::default()),
        (Some(unit), None) => Ok(Tick { numerator: unit.word(UNITS)?, denominator: 1 }),
        (None, Some(hz)) => Ok(Tick { numerator: 1_000_000_000, denominator: hz.number(1, u64::MAX)? }),
        (Some(_), Some(hz)) => Err(hz.error("`unit` and `hz` both set the length of a tick; remove one")),
    }
}
