//! The time axis: converts a file's time unit to whole nanoseconds, and never goes back.

/// The length of a tick, as a fraction of nanoseconds: `ns / by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    ns: u128,
    by: u128,
}

impl Default for Tick {
    /// For a file that does not give one.
    fn default() -> Self {
        Self::NANOSECOND
    }
}

impl Tick {
    pub(crate) const NANOSECOND: Self = Self { ns: 1, by: 1 };

    /// `count` units of `10^exponent` seconds, from zeptoseconds to hectoseconds. `None` for a unit outside that, or no
    /// units.
    pub(crate) fn new(count: u64, exponent: i32) -> Option<Self> {
        let power = |exponent: i32| 10_u128.pow(exponent.unsigned_abs());
        match exponent + 9 {
            _ if count == 0 => None,
            up @ 0..=11 => Some(Self { ns: u128::from(count) * power(up), by: 1 }),
            down @ -12..=-1 => {
                let mut tick = Self { ns: count.into(), by: power(down) };
                while tick.ns.is_multiple_of(10) && tick.by > 1 {
                    tick = Self { ns: tick.ns / 10, by: tick.by / 10 };
                }
                Some(tick)
            }
            _ => None,
        }
    }

    /// Parses the text of `$timescale`: `10 us`, `1ns`, `100s`, `0.5 ns`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_of_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let (number, unit) = text.split_at(text.bytes().take_while(is_of_number).count());
        let exponent = match &*unit.trim().to_ascii_lowercase() {
            "s" => 0,
            "ms" => -3,
            "us" | "µs" | "μs" => -6,
            "ns" => -9,
            "ps" => -12,
            "fs" => -15,
            "as" => -18,
            "zs" => -21,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}");
        // A unit alone means one of it.
        let count = if number.is_empty() { 1 } else { digits.parse().ok()? };
        Self::new(count, exponent - i32::try_from(fraction.len()).ok()?)
    }
}

/// A stamp as it is written: `mantissa / 10^decimals` ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    mantissa: i128,
    decimals: u32,
}

impl Stamp {
    pub(crate) fn ticks(ticks: u64) -> Self {
        Self { mantissa: ticks.into(), decimals: 0 }
    }

    /// Parses `10`, `10.25`, `-5`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (is_negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] | digits => (false, digits),
        };
        let (mut mantissa, mut decimals, mut has_point, mut has_digit) = (0_i128, 0, false, false);
        for &byte in digits {
            match byte {
                b'0'..=b'9' if decimals < 18 => {
                    has_digit = true;
                    decimals += u32::from(has_point);
                    mantissa = mantissa.checked_mul(10)?.checked_add((byte - b'0').into())?;
                }
                // Digits from here on are less than a billionth of a billionth of a tick.
                b'0'..=b'9' => {}
                b'.' if !has_point => has_point = true,
                _ => return None,
            }
        }
        has_digit.then_some(Self { mantissa: if is_negative { -mantissa } else { mantissa }, decimals })
    }

    /// In nanoseconds, rounded down.
    fn ns(self, tick: Tick) -> Option<i128> {
        let by = i128::try_from(tick.by).ok()?.checked_mul(10_i128.pow(self.decimals))?;
        Some(self.mantissa.checked_mul(tick.ns.try_into().ok()?)?.div_euclid(by))
    }
}

/// The effect of a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Onwards,
    /// Time goes back: the axis stays where it is.
    Back,
    /// The first stamp is negative, and the axis begins there.
    BeginsBeforeZero,
    /// The time does not fit in 64 bits of nanoseconds.
    TooFar,
}

/// The current time in the file.
#[derive(Debug)]
pub(crate) struct Axis {
    tick: Tick,
    /// The nanoseconds of a tick, where they are whole and stamps begin at 0, as in nearly every file.
    whole_ns: Option<u64>,
    /// The file's time at 0 on the axis. `None`: the next stamp is at `at_ns`.
    origin_ns: Option<i128>,
    is_first: bool,
    at_ns: u64,
}

impl Axis {
    pub(crate) fn new(tick: Tick) -> Self {
        let mut axis = Self { tick, whole_ns: None, origin_ns: Some(0), is_first: true, at_ns: 0 };
        axis.look_for_whole_ns();
        axis
    }

    fn look_for_whole_ns(&mut self) {
        let is_whole = self.tick.by == 1 && self.origin_ns == Some(0);
        self.whole_ns = is_whole.then_some(self.tick.ns).and_then(|ns| ns.try_into().ok());
    }

    pub(crate) fn at_ns(&self) -> u64 {
        self.at_ns
    }

    /// Another waveform begins within the file. Its time 0 is `origin_ns`; without that, its first stamp is where this
    /// one ends.
    pub(crate) fn begin_segment(&mut self, tick: Tick, origin_ns: Option<i128>) {
        self.tick = tick;
        self.origin_ns = origin_ns;
        self.look_for_whole_ns();
    }

    /// Goes to a stamp that is a number of ticks.
    #[inline]
    pub(crate) fn go_to_ticks(&mut self, ticks: u64) -> Step {
        match self.whole_ns.and_then(|ns| ticks.checked_mul(ns)) {
            Some(at_ns) if at_ns >= self.at_ns => {
                self.is_first = false;
                self.at_ns = at_ns;
                Step::Onwards
            }
            _ => self.go_to(Stamp::ticks(ticks)),
        }
    }

    pub(crate) fn go_to(&mut self, stamp: Stamp) -> Step {
        let Some(ns) = stamp.ns(self.tick) else { return Step::TooFar };
        let is_first = std::mem::replace(&mut self.is_first, false);
        let begins_before_zero = is_first && ns < 0;
        if begins_before_zero {
            self.origin_ns = Some(ns);
            self.look_for_whole_ns();
        }
        let origin_ns = *self.origin_ns.get_or_insert_with(|| ns.saturating_sub(self.at_ns.into()));
        let Some(at_ns) = ns.checked_sub(origin_ns) else { return Step::TooFar };
        match u64::try_from(at_ns) {
            Ok(at_ns) if at_ns >= self.at_ns => {
                self.at_ns = at_ns;
                if begins_before_zero { Step::BeginsBeforeZero } else { Step::Onwards }
            }
            Err(_) if at_ns > 0 => Step::TooFar,
            _ => Step::Back,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_all_units_are_whole_nanoseconds_rounded_down() {
        for (scale, stamp, ns) in [
            ("1 us", "3", 3_000),
            ("10ns", "3", 30),
            ("100 s", "2", 200_000_000_000),
            ("1 fs", "1999999", 1),
            ("100fs", "20000", 2),
            ("1 ps", "2500", 2),
            ("10 ps", "18446744073709551615", 184_467_440_737_095_516),
            ("0.5 ns", "5", 2),
            ("ns", "7", 7),
            ("1 zs", "3000000000000", 3),
            ("1us", "10.5", 10_500),
            ("1s", "20.000000025", 20_000_000_025),
            ("1ns", "18446744073709551615", u64::MAX),
        ] {
            let mut axis = Axis::new(Tick::parse(scale).unwrap());
            assert_eq!(axis.go_to(Stamp::parse(stamp.as_bytes()).unwrap()), Step::Onwards, "{scale} {stamp}");
            assert_eq!(axis.at_ns(), ns, "{scale} {stamp}");
        }
    }

    #[test]
    fn a_text_without_a_tick_or_a_stamp_is_refused() {
        for scale in ["0ps", "0 s", "1 parsec", "", "1", "x ns", "1 . ns"] {
            assert_eq!(Tick::parse(scale), None, "{scale:?}");
        }
        for stamp in ["", "-", ".", "1.2.3", "1e3", "x", "10!"] {
            assert_eq!(Stamp::parse(stamp.as_bytes()), None, "{stamp:?}");
        }
    }

    #[test]
    fn the_axis_holds_where_time_goes_back_and_begins_at_a_negative_stamp() {
        let go = |axis: &mut Axis, text: &str| {
            let step = axis.go_to(Stamp::parse(text.as_bytes()).unwrap());
            (step, axis.at_ns())
        };
        let mut axis = Axis::new(Tick::NANOSECOND);
        assert_eq!(go(&mut axis, "100"), (Step::Onwards, 100));
        assert_eq!(go(&mut axis, "50"), (Step::Back, 100));
        assert_eq!(go(&mut axis, "-50"), (Step::Back, 100));
        assert_eq!(go(&mut axis, "101"), (Step::Onwards, 101));
        assert_eq!(axis.go_to_ticks(99), Step::Back);
        assert_eq!(axis.go_to_ticks(102), Step::Onwards);
        let mut axis = Axis::new(Tick::NANOSECOND);
        assert_eq!(go(&mut axis, "-5"), (Step::BeginsBeforeZero, 0));
        assert_eq!(axis.go_to_ticks(2), Step::Onwards);
        assert_eq!(axis.at_ns(), 7);
    }

    #[test]
    fn a_time_that_64_bits_cannot_hold_is_too_far() {
        let mut axis = Axis::new(Tick::parse("100 s").unwrap());
        assert_eq!(axis.go_to_ticks(u64::MAX), Step::TooFar);
        assert_eq!(axis.go_to(Stamp { mantissa: i128::MAX, decimals: 0 }), Step::TooFar);
        assert_eq!(axis.at_ns(), 0);
    }

    #[test]
    fn a_segment_goes_on_where_the_one_before_ended() {
        let mut axis = Axis::new(Tick::NANOSECOND);
        axis.go_to_ticks(500);
        axis.begin_segment(Tick::parse("1us").unwrap(), None);
        assert_eq!((axis.go_to_ticks(2), axis.at_ns()), (Step::Onwards, 500));
        assert_eq!((axis.go_to_ticks(3), axis.at_ns()), (Step::Onwards, 1_500));
    }
}
