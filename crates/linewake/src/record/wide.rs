//! 64-bit integers, read from numbers or strings, because programs without integers round numbers above 2^53.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// Reads an integer, for `deserialize_with`.
pub(super) fn read<'de, D: Deserializer<'de>, N: Wide>(deserializer: D) -> Result<N, D::Error> {
    deserializer.deserialize_any(Number(PhantomData))
}

/// Reads an integer that may be `null`. With `default` the key may also be absent.
pub(super) fn read_some<'de, D: Deserializer<'de>, N: Wide>(deserializer: D) -> Result<Option<N>, D::Error> {
    Ok(Option::<Integer<N>>::deserialize(deserializer)?.map(|Integer(number)| number))
}

pub(super) trait Wide: FromStr + TryFrom<u64> + TryFrom<i64> {}

impl Wide for u64 {}
impl Wide for i64 {}

struct Number<N>(PhantomData<N>);
struct Integer<N>(N);

impl<'de, N: Wide> Deserialize<'de> for Integer<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer).map(Self)
    }
}

impl<N: Wide> Visitor<'_> for Number<N> {
    type Value = N;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a 64-bit integer, as a number or a string")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<N, E> {
        N::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<N, E> {
        N::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<N, E> {
        // JSON allows no "+", so do not accept it here.
        let digits = text.strip_prefix('-').unwrap_or(text);
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        number.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}
