//! Periods as libgpiod's tools read them: a whole number of milliseconds, or a number with a unit. Hours and days are
//! our addition.

use std::time::Duration;

/// Reads a period such as `250`, `250ms`, `10us`, `5s`, `1m`, `2h` or `1d`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("expected a period that begins with a whole number, as in 500, 500ms or 5s".to_owned());
    }
    let microseconds = match unit {
        "us" => 1,
        "" | "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(format!("unknown unit \"{unit}\"; expected us, ms, s, m, h or d")),
    };
    let number: Option<u64> = number.parse().ok();
    let period = number.and_then(|number| number.checked_mul(microseconds)).map(Duration::from_micros);
    period.ok_or_else(|| format!("{text} is out of range; expected at most 2^64 microseconds"))
}

/// The periods of `--toggle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Periods(pub(crate) Vec<Duration>);

/// Reads periods with commas between them, as in `500ms,1s,0`.
pub(crate) fn parse_several(text: &str) -> Result<Periods, String> {
    let periods = text.split(',').map(|period| parse(period).map_err(|error| format!("\"{period}\": {error}")));
    Ok(Periods(periods.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_have_commas_between_them() {
        let ms = Duration::from_millis;
        assert_eq!(parse_several("10"), Ok(Periods(vec![ms(10)])));
        assert_eq!(parse_several("10ms,1s,0"), Ok(Periods(vec![ms(10), ms(1000), ms(0)])));
        for text in ["", ",", "1,", "1,,2", "1, 2", "1;2"] {
            assert!(parse_several(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_is_milliseconds_and_units_are_known() {
        for (text, microseconds) in [
            ("0", 0),
            ("250", 250_000),
            ("250ms", 250_000),
            ("10us", 10),
            ("5s", 5_000_000),
            ("2m", 120_000_000),
            ("2h", 7_200_000_000),
            ("365d", 31_536_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_micros(microseconds)), "{text}");
        }
    }

    #[test]
    fn anything_behind_it_is_an_error() {
        for text in
            ["", "s", "ms", "-1", "+1", "1.5s", "5 s", "5sec", "5min", "5hours", "5D", "1w", "0x10", "5S", "5ms5", "٣s"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn too_long_is_an_error() {
        assert!(parse("18446744073709551615us").is_ok());
        for text in [
            "18446744073709551616us",
            "18446744073709551615ms",
            "99999999999999999999999m",
            "5124095577h",
            "213503983d",
        ] {
            assert!(parse(text).unwrap_err().contains("at most"), "{text}");
        }
    }
}
