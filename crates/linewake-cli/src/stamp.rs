//! Time stamps as libgpiod's tools print them.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A second in nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// The format of a time stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// `12.000000345`
    #[default]
    Seconds,
    /// `2026-01-31T12:34:56.000000345Z`
    Utc,
    /// The same without the letter, in the time zone of this computer.
    Local,
}

impl Stamp {
    /// Writes the same text as [`of`](Self::of), faster.
    pub(crate) fn write(self, ns: u64, out: &mut impl Write) -> io::Result<()> {
        if self != Self::Seconds {
            return write!(out, "{}", self.of(ns));
        }
        let (seconds, rest) = (ns / SECOND, ns % SECOND);
        out.write_all(itoa::Buffer::new().format(seconds).as_bytes())?;
        // The number has a one before its nine digits, so that it keeps their leading zeros. The one is cut off.
        out.write_all(b".")?;
        out.write_all(&itoa::Buffer::new().format(SECOND + rest).as_bytes()[1..])
    }

    /// Formats a time in nanoseconds, which counts from 1970 in UTC unless the format is `Seconds`.
    pub(crate) fn of(self, ns: u64) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let (seconds, rest) = (ns / SECOND, ns % SECOND);
            let (zone, letter) = match self {
                Self::Seconds => return write!(f, "{seconds}.{rest:09}"),
                Self::Utc => (TimeZone::UTC, "Z"),
                Self::Local => (local().clone(), ""),
            };
            // 2^64 ns end in the year 2554, so the cast keeps the value.
            let time = zone.to_datetime(Timestamp::from_second(seconds as i64).unwrap_or(Timestamp::MAX));
            write!(f, "{time}.{rest:09}{letter}")
        })
    }
}

/// The time zone of this computer.
fn local() -> &'static TimeZone {
    static LOCAL: OnceLock<TimeZone> = OnceLock::new();
    LOCAL.get_or_init(|| match std::env::var_os("TZ") {
        Some(zone) if cfg!(unix) => {
            let database = std::env::var_os("TZDIR").unwrap_or_else(|| "/usr/share/zoneinfo".into());
            named(&zone.to_string_lossy(), Path::new(&database))
        }
        _ => TimeZone::system(),
    })
}

/// The zone that `TZ` names, as the C library reads it: a file of the time zone database, or else a POSIX rule, which
/// needs no database. Anything else is UTC.
fn named(zone: &str, database: &Path) -> TimeZone {
    let name = zone.strip_prefix(':').unwrap_or(zone);
    let file = || TimeZone::tzif(name, &std::fs::read(database.join(name)).ok()?).ok();
    let rule = |rule: &str| TimeZone::posix(rule).ok();
    // A rule that names summer time without dates means the dates of the United States.
    let dated = || rule(&format!("{name},M3.2.0,M11.1.0"));
    if name.is_empty() {
        return TimeZone::UTC;
    }
    file().or_else(|| rule(name)).or_else(dated).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_needs_no_database() {
        const WINTER: i64 = 1_700_000_000;
        const SUMMER: i64 = 1_690_000_000;
        for (said, winter, summer) in [
            ("EST5EDT,M3.2.0,M11.1.0", -5, -4),
            ("EST5EDT", -5, -4),
            (":EST5EDT", -5, -4),
            ("<+03>-3", 3, 3),
            ("XYZ-5:30", 5, 5),
            ("", 0, 0),
            ("No/Such Zone", 0, 0),
        ] {
            let hours = |second| {
                let time = Timestamp::from_second(second).unwrap();
                named(said, Path::new("/no/such/database")).to_offset(time).seconds() / 3600
            };
            assert_eq!((hours(WINTER), hours(SUMMER)), (winter, summer), "{said}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_shown() {
        for ns in [0, 9, SECOND - 1, SECOND, 12_000_000_345, 1_700_000_000_000_000_012, u64::MAX] {
            for stamp in [Stamp::Seconds, Stamp::Utc] {
                let mut written = Vec::new();
                stamp.write(ns, &mut written).unwrap();
                assert_eq!(String::from_utf8(written).unwrap(), stamp.of(ns).to_string());
            }
        }
    }

    #[test]
    fn all_digits_of_the_nanoseconds_are_there() {
        assert_eq!(Stamp::Seconds.of(12_000_000_345).to_string(), "12.000000345");
        assert_eq!(Stamp::Seconds.of(0).to_string(), "0.000000000");
        assert_eq!(Stamp::Utc.of(1_700_000_000_000_000_012).to_string(), "2023-11-14T22:13:20.000000012Z");
        assert_eq!(Stamp::Utc.of(u64::MAX).to_string(), "2554-07-21T23:34:33.709551615Z");
        assert_eq!(Stamp::Local.of(u64::MAX).to_string().len(), "2554-07-21T23:34:33.709551615".len());
    }
}
