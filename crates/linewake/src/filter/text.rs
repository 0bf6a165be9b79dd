//! Filters as text: parsing and printing.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{ChatterLimit, Filter, Stamp};
use crate::{Error, ErrorKind};

const KNOWN: &str = "expected \"button\", \"reed\", \"relay\", \"encoder\" or \"none\", or a setting such as \
                     \"debounce=5ms\", \"press=5ms\", \"release=20ms\", \"stamp=first\", \"glitch=50us\", \
                     \"chatter=100/s\" or \"resume=50\"";
const PERIOD: &str = "expected a whole number with ns, us, ms, s, m, h or d, as in \"5ms\", and at most 2^64 ns";

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut filter = Self::default();
        let mut seen = Vec::new();
        let mut resume = None;
        for (index, piece) in text.split(',').enumerate() {
            let refuse = |why: &str| Error::new(ErrorKind::InvalidInput, format!("filter piece \"{piece}\": {why}"));
            let Some((key, value)) = piece.split_once('=') else {
                if index > 0 {
                    return Err(refuse(if preset(piece).is_some() {
                        "only one preset is allowed, before all settings"
                    } else {
                        KNOWN
                    }));
                }
                filter = preset(piece).ok_or_else(|| refuse(KNOWN))?;
                continue;
            };
            // `debounce` sets both of the other two.
            let keys: &[&str] = if key == "debounce" { &["press", "release"] } else { &[key] };
            if let Some(twice) = keys.iter().find(|key| seen.contains(*key)) {
                return Err(refuse(&format!("\"{twice}\" is already set")));
            }
            let read_period = || period(value).ok_or_else(|| refuse(PERIOD));
            match key {
                "debounce" => filter = filter.debounce(read_period()?),
                "press" => filter.press = read_period()?,
                "release" => filter.release = read_period()?,
                "glitch" => filter.glitch = read_period()?,
                "stamp" => {
                    let stamps = [Stamp::First, Stamp::Last];
                    let stamp = stamps.into_iter().find(|stamp| stamp.as_str() == value);
                    filter.stamp = stamp.ok_or_else(|| refuse("expected \"first\" or \"last\""))?;
                }
                "chatter" => {
                    let why = "expected a number of changes and a time, as in \"100/s\" or \"20/500ms\"";
                    filter.chatter = Some(limit(value).ok_or_else(|| refuse(why))?);
                }
                "resume" => {
                    resume = Some(number(value).ok_or_else(|| refuse("expected a number of changes, as in \"50\""))?);
                }
                _ => return Err(refuse(KNOWN)),
            }
            seen.extend(keys);
        }
        match (&mut filter.chatter, resume) {
            (Some(limit), Some(resume)) => limit.resume = resume,
            (None, Some(resume)) => {
                let message = format!("filter piece \"resume={resume}\": add \"chatter=…\", which it belongs to");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            (_, None) => {}
        }
        filter.check()?;
        Ok(filter)
    }
}

fn preset(name: &str) -> Option<Filter> {
    Some(match name {
        "none" => Filter::default(),
        "button" => Filter::button(),
        "reed" => Filter::reed(),
        "relay" => Filter::relay(),
        "encoder" => Filter::encoder(),
        _ => return None,
    })
}

/// A number of decimal digits only, without a sign.
fn number<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn unit_ns(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    })
}

fn period(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at(digits);
    let unit_ns = if unit.is_empty() { 1_000_000 } else { unit_ns(unit)? };
    Some(Duration::from_nanos(number::<u64>(digits)?.checked_mul(unit_ns)?))
}

/// `100/s` or `100/500ms`.
fn limit(text: &str) -> Option<ChatterLimit> {
    let (changes, window) = text.split_once('/')?;
    let window = unit_ns(window).map(Duration::from_nanos).or_else(|| period(window))?;
    Some(ChatterLimit::new(number(changes)?, window))
}

/// Shows a period as a whole number of the largest unit possible.
struct ShortDuration(Duration);

impl fmt::Display for ShortDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos();
        let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
        let (size, unit) = units.into_iter().find(|(size, _)| ns.is_multiple_of(*size)).unwrap_or((1, "ns"));
        write!(f, "{}{unit}", ns / size)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        let mut piece = |f: &mut fmt::Formatter<'_>, piece: fmt::Arguments<'_>| {
            write!(f, "{comma}{piece}")?;
            comma = ",";
            Ok(())
        };
        if *self == Self::default() {
            return f.write_str("none");
        }
        if !self.glitch.is_zero() {
            piece(f, format_args!("glitch={}", ShortDuration(self.glitch)))?;
        }
        if self.press == self.release && !self.press.is_zero() {
            piece(f, format_args!("debounce={}", ShortDuration(self.press)))?;
        } else {
            for (key, period) in [("press", self.press), ("release", self.release)] {
                if !period.is_zero() {
                    piece(f, format_args!("{key}={}", ShortDuration(period)))?;
                }
            }
        }
        if self.stamp != Stamp::default() {
            piece(f, format_args!("stamp={}", self.stamp.as_str()))?;
        }
        if let Some(limit) = self.chatter {
            piece(f, format_args!("chatter={}/{}", limit.changes, ShortDuration(limit.window)))?;
            if limit.resume != limit.changes / 2 {
                piece(f, format_args!("resume={}", limit.resume))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Filter {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn text_is_parsed() {
        const MS: Duration = Duration::from_millis(1);
        assert_eq!(parse("none"), Filter::default());
        assert_eq!(parse("button"), Filter::button());
        assert_eq!(parse("debounce=5ms"), Filter::default().debounce(5 * MS));
        assert_eq!(parse("debounce=5"), parse("debounce=5ms"), "a number is milliseconds");
        assert_eq!(parse("press=5ms,release=20ms"), Filter::default().press(5 * MS).release(20 * MS));
        assert_eq!(parse("relay,release=1s"), Filter::relay().release(1000 * MS));
        assert_eq!(parse("release=2h").release, Duration::from_secs(7_200));
        assert_eq!(parse("press=1d").press, Duration::from_secs(86_400));
        assert_eq!(parse("glitch=50us").glitch, Duration::from_micros(50));
        assert_eq!(parse("debounce=1ms,stamp=last").stamp, Stamp::Last);
        let limit = |changes, window| Some(ChatterLimit::new(changes, window));
        assert_eq!(parse("chatter=100/s").chatter, limit(100, 1000 * MS));
        assert_eq!(parse("chatter=7/500ms").chatter, limit(7, 500 * MS));
        assert_eq!(parse("resume=3,chatter=7/m").chatter, limit(7, 60_000 * MS).map(|limit| limit.resume(3)));
        assert_eq!(parse("chatter=100/h").chatter, limit(100, 3_600_000 * MS));
    }

    #[test]
    fn an_error_names_the_wrong_piece() {
        for (text, piece) in [
            ("", "\"\""),
            ("botton", "\"botton\""),
            ("debounce=5ms,", "\"\""),
            ("debounce=5 ms", "\"debounce=5 ms\""),
            ("debounce=5ms,glitch=50µs", "\"glitch=50µs\""),
            ("debounce=-5ms", "\"debounce=-5ms\""),
            ("debounce=", "\"debounce=\""),
            ("debounce=1.5ms", "\"debounce=1.5ms\""),
            ("debounce=99999999999999999999ms", "\"debounce=99999999999999999999ms\""),
            ("glitch=1ms,button", "\"button\""),
            ("button,reed", "\"reed\""),
            ("button,none", "\"none\""),
            ("debounce=5ms,press=1ms", "\"press\" is already set"),
            ("press=5ms,press=1ms", "\"press=1ms\""),
            ("release=5ms,debounce=1ms", "\"release\" is already set"),
            ("chatter=100", "\"chatter=100\""),
            ("chatter=+1/s", "\"chatter=+1/s\""),
            ("chatter=0/s", "chatter=0/1s"),
            ("chatter=65537/s", "chatter=65537/1s"),
            ("chatter=5/0s", "chatter=5/0s"),
            ("chatter=100/w", "\"chatter=100/w\""),
            ("debounce=213504d", "\"debounce=213504d\": expected a whole number"),
            ("chatter=10/s,resume=10", "\"resume=10\""),
            ("resume=10", "\"resume=10\""),
            ("stamp=middle", "\"stamp=middle\""),
            ("Debounce=5ms", "\"Debounce=5ms\""),
        ] {
            let error = text.parse::<Filter>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(piece), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_printed_filter_is_parsed_again() {
        let periods = [0, 1, 999, 1_000, 50_000, 5_000_000, 1_000_000_000, 90_000_000_000].map(Duration::from_nanos);
        let limits = [None, Some(ChatterLimit::new(1, periods[4])), Some(ChatterLimit::new(100, periods[6]).resume(7))];
        for (&press, &release) in periods.iter().flat_map(|press| periods.iter().map(move |release| (press, release))) {
            for (glitch, chatter) in periods.iter().flat_map(|&glitch| limits.map(|limit| (glitch, limit))) {
                for stamp in [Stamp::First, Stamp::Last] {
                    let filter = Filter { press, release, stamp, glitch, chatter };
                    assert_eq!(parse(&filter.to_string()), filter, "{filter}");
                }
            }
        }
    }
}
