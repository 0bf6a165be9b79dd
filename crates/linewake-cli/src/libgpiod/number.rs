//! Numbers and periods as libgpiod's tools read them: by the C library's `strtoul`, which allows space and a sign
//! before the digits, and reads 0 where there are none.

use std::time::Duration;

use linewake::Bias;

use super::Exit;
use crate::settings;

/// Reads a text as `strtoull` does; gives the number and the rest of the text.
fn unsigned(text: &[u8]) -> (u64, &[u8]) {
    let space = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let behind = &text[space..];
    let (is_negative, digits) = match behind.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, behind),
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return (0, text);
    }
    let step = |number: Option<u64>, byte: &u8| number?.checked_mul(10)?.checked_add((byte - b'0').into());
    let number = digits[..count].iter().fold(Some(0), step);
    let number = match number {
        Some(number) if is_negative => number.wrapping_neg(),
        Some(number) => number,
        None => u64::MAX,
    };
    (number, &digits[count..])
}

/// Reads an offset or a count: 0 to 2^31 - 1.
pub(super) fn uint(text: &[u8]) -> Option<u32> {
    match unsigned(text) {
        (number, []) => i32::try_from(number).ok().map(|number| number as u32),
        _ => None,
    }
}

pub(super) fn uint_or_die(text: &[u8]) -> Result<u32, Exit> {
    uint(text).ok_or_else(|| Exit::of("invalid number: '", text, "'"))
}

/// Reads a period, in microseconds: a number of milliseconds, or a number with a unit. As in libgpiod's tools, the
/// product wraps at 2^64, `u` means minutes as `m` does, and a period above 2^63 - 1 is refused.
pub(super) fn period(text: &[u8]) -> Option<u64> {
    let (number, unit) = unsigned(text);
    let microseconds = match unit {
        b"" | b"ms" => 1_000,
        b"us" => 1,
        b"s" => 1_000_000,
        b"m" | b"u" => 60_000_000,
        _ => return None,
    };
    let period = number.wrapping_mul(microseconds);
    i64::try_from(period).is_ok().then_some(period)
}

pub(super) fn period_or_die(text: &[u8]) -> Result<u64, Exit> {
    period(text).ok_or_else(|| Exit::of("invalid period: ", text, ""))
}

/// Reads one of the words of a setting.
pub(super) fn word_or_die<T: Copy>(text: &[u8], what: &str, all: &[T], word: fn(T) -> &'static str) -> Result<T, Exit> {
    let found = all.iter().find(|value| word(**value).as_bytes() == text);
    found.copied().ok_or_else(|| Exit::of(&format!("invalid {what}: "), text, ""))
}

pub(super) fn bias_or_die(text: &[u8]) -> Result<Bias, Exit> {
    word_or_die(text, "bias", settings::BIASES, Bias::as_str)
}

/// Reads periods with commas between them.
pub(super) fn periods_or_die(text: &[u8]) -> Result<Vec<u64>, Exit> {
    text.split(|&byte| byte == b',').map(period_or_die).collect()
}

/// Sleeps for a period.
pub(super) fn sleep(microseconds: u64) {
    std::thread::sleep(Duration::from_micros(microseconds));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_strtouls() {
        for (text, expected) in [
            ("0", Some(0)),
            ("", Some(0)),
            ("007", Some(7)),
            (" \t\n+5", Some(5)),
            ("-0", Some(0)),
            ("2147483647", Some(2_147_483_647)),
            ("-18446744073709551615", Some(1)),
            ("2147483648", None),
            ("4000000000", None),
            ("99999999999999999999", None),
            ("-1", None),
            ("5 ", None),
            ("0x10", None),
            ("+", None),
            ("+-5", None),
            ("- 5", None),
            ("x", None),
        ] {
            assert_eq!(uint(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn periods_are_theirs() {
        for (text, expected) in [
            ("250", Some(250_000)),
            ("250ms", Some(250_000)),
            ("10us", Some(10)),
            (" 5s", Some(5_000_000)),
            ("+2m", Some(120_000_000)),
            ("2u", Some(120_000_000)),
            ("", Some(0)),
            ("ms", Some(0)),
            ("s", Some(0)),
            ("-0", Some(0)),
            ("9223372036854775807us", Some(9_223_372_036_854_775_807)),
            // 18446744073709552 * 1000 is 2^64 + 384.
            ("18446744073709552", Some(384)),
            ("9223372036854775808us", None),
            ("18446744073709551616us", None),
            ("-1", None),
            ("1.5s", None),
            ("5 s", None),
            ("5sec", None),
            ("5min", None),
            ("5h", None),
            ("5S", None),
        ] {
            assert_eq!(period(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(periods_or_die(b"1,"), Ok(vec![1000, 0]));
        assert_eq!(periods_or_die(b"10ms,x,y"), Err(Exit::new("invalid period: x")));
    }
}
