//! Whole numbers as the values of options.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Reads a number of edges or events, up to 2^31 - 1 as libgpiod's tools do.
pub(crate) fn count() -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    within(0..=i32::MAX as u32)
}

/// Reads a number of a range.
pub(crate) fn within<T: FromStr + Display + PartialOrd + Clone + Send + Sync + 'static>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ if is_whole(text) => Err(format!("{text} is out of range; expected {} to {}", range.start(), range.end())),
        _ => Err("expected a whole number".to_owned()),
    }
}

fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_whole_and_of_its_range() {
        let port = within(1..=u16::MAX);
        assert_eq!(port("1"), Ok(1));
        assert_eq!(port("65535"), Ok(65535));
        for text in ["0", "65536", "-1", "99999999999999999999999"] {
            assert_eq!(port(text), Err(format!("{text} is out of range; expected 1 to 65535")));
        }
        for text in ["", "-", "x", "1.5", "1 ", "0x10"] {
            assert_eq!(port(text), Err("expected a whole number".to_owned()), "{text}");
        }
        assert_eq!(count()("2147483647"), Ok(2_147_483_647));
        assert!(count()("2147483648").is_err());
    }
}
