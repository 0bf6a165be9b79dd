//! The speed at which a capture is played. It is a fraction of whole numbers, so that a year of nanoseconds stays
//! exact.

use std::time::Duration;

/// A factor: `numerator` divided by `denominator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Speed {
    numerator: u64,
    denominator: u64,
}

/// Digits after the point.
const MOST_DIGITS: usize = 6;
const MOST: u64 = 1_000_000;

impl Speed {
    /// Reads `10` or `0.5`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let speed = || {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !whole.is_empty();
            let fraction = fraction.trim_end_matches('0');
            if !is_number || fraction.len() > MOST_DIGITS || text.ends_with('.') {
                return None;
            }
            let denominator = 10_u64.pow(fraction.len() as u32);
            let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
            let whole = whole.parse::<u64>().ok().filter(|whole| *whole <= MOST)?;
            let numerator = whole * denominator + fraction;
            ((1..=MOST * denominator).contains(&numerator)).then_some(Self { numerator, denominator })
        };
        speed().ok_or_else(|| "expected a number from 0.000001 to 1000000, as in 10 or 0.5".to_owned())
    }

    /// How long it takes to play this many nanoseconds of the capture.
    pub(super) fn wait(self, capture_ns: u64) -> Duration {
        let ns = u128::from(capture_ns) * u128::from(self.denominator) / u128::from(self.numerator);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_exact() {
        let wait = |text: &str, ns| Speed::parse(text).unwrap().wait(ns).as_nanos();
        let year = 31_536_000_000_000_001;
        assert_eq!(wait("1", year), year.into());
        assert_eq!(wait("1.000000", year), year.into());
        assert_eq!(wait("10", year), 3_153_600_000_000_000);
        assert_eq!(wait("0.1", year), 315_360_000_000_000_010);
        assert_eq!(wait("0.000001", 3), 3_000_000);
        assert_eq!(wait("1000000", 3_000_000), 3);
        assert_eq!(wait("0.000001", year), u64::MAX.into(), "longer than anybody waits");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "0",
            "0.0",
            "-2",
            "+2",
            ".5",
            "5.",
            "1e3",
            "inf",
            "nan",
            "0.0000001",
            "1000000.1",
            "1000001",
            "1.2.3",
            "٣",
        ] {
            assert!(Speed::parse(text).unwrap_err().contains("0.000001"), "{text}");
        }
    }
}
