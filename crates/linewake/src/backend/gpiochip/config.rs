//! Configurations of lines, as the kernel reads and writes them.

use std::time::Duration;

use zerocopy::FromZeros;

use super::uapi::{self, Attribute, ConfigAttribute, attribute, flag};
use crate::backend::InfoEventKind;
use crate::backend::flags::FlagTable;
use crate::{Bias, Direction, Drive, Edges, Error, ErrorKind, EventClock, LineConfig, LineInfo, Offset};

/// The configuration of a request, from the configurations of its lines in order.
///
/// The kernel has one set of flags for all lines, and ten attributes for lines that differ. Each setting that only some
/// lines have takes one of the ten.
pub(super) fn encode(chip: &str, lines: impl Iterator<Item = LineConfig>) -> Result<uapi::LineConfig, Error> {
    let (mut flags_of, mut periods_of) = (Groups::default(), Groups::default());
    let (mut outputs, mut active) = (0, 0);
    for (place, config) in lines.take(uapi::LINES).enumerate() {
        let line = 1 << place;
        flags_of.add(flags(&config), line);
        if !config.debounce.is_zero() {
            periods_of.add(config.debounce_us(), line);
        }
        if config.direction == Some(Direction::Output) {
            outputs |= line;
            active |= if config.output == Some(true) { line } else { 0 };
        }
    }
    let mut encoded = uapi::LineConfig::new_zeroed();
    encoded.flags = flags_of.take_largest().unwrap_or(0);
    let flags = flags_of.0.iter().map(|&(bits, lines)| (Attribute::bits(attribute::FLAGS, bits), lines));
    let outputs = (outputs != 0).then_some((Attribute::bits(attribute::OUTPUT_VALUES, active), outputs));
    let periods = periods_of.0.iter().map(|&(micros, lines)| (Attribute::debounce(micros), lines));
    let mut settings = 0;
    for (attribute, lines) in flags.chain(outputs).chain(periods) {
        if let Some(free) = encoded.attributes.get_mut(settings) {
            *free = ConfigAttribute { attribute, lines };
        }
        settings += 1;
    }
    if settings > uapi::ATTRIBUTES {
        let message = format!(
            "chip \"{chip}\" allows {} different settings in one request, but this one has {settings}; put lines with \
             equal settings into one request, and the others into requests of their own",
            uapi::ATTRIBUTES
        );
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    encoded.attribute_count = settings as u32;
    Ok(encoded)
}

/// Lines grouped by a common setting.
#[derive(Default)]
struct Groups<T>(Vec<(T, u64)>);

impl<T: PartialEq> Groups<T> {
    fn add(&mut self, value: T, line: u64) {
        match self.0.iter_mut().find(|group| group.0 == value) {
            Some(group) => group.1 |= line,
            None => self.0.push((value, line)),
        }
    }

    fn take_largest(&mut self) -> Option<T> {
        let (at, _) = self.0.iter().enumerate().max_by_key(|(_, group)| group.1.count_ones())?;
        Some(self.0.swap_remove(at).0)
    }
}

const BIASES: FlagTable<Bias> = FlagTable(&[
    (flag::BIAS_PULL_UP, Bias::PullUp),
    (flag::BIAS_PULL_DOWN, Bias::PullDown),
    (flag::BIAS_DISABLED, Bias::Disabled),
]);
const DRIVES: FlagTable<Drive> =
    FlagTable(&[(flag::OPEN_DRAIN, Drive::OpenDrain), (flag::OPEN_SOURCE, Drive::OpenSource)]);
const EDGES: FlagTable<Edges> = FlagTable(&[
    (flag::EDGE_RISING | flag::EDGE_FALLING, Edges::Both),
    (flag::EDGE_RISING, Edges::Rising),
    (flag::EDGE_FALLING, Edges::Falling),
]);
const CLOCKS: FlagTable<EventClock> =
    FlagTable(&[(flag::EVENT_CLOCK_REALTIME, EventClock::Realtime), (flag::EVENT_CLOCK_HTE, EventClock::Hte)]);

/// The kernel's flags for a configuration.
pub(super) fn flags(config: &LineConfig) -> u64 {
    let direction = match config.direction {
        None => 0,
        Some(Direction::Input) => flag::INPUT,
        Some(Direction::Output) => flag::OUTPUT,
    };
    let active_low = if config.active_low { flag::ACTIVE_LOW } else { 0 };
    // The kernel refuses a clock without edges.
    let edges = config.edges.map_or(0, |edges| EDGES.bits(edges) | CLOCKS.bits(config.clock));
    direction | active_low | config.bias.map_or(0, |bias| BIASES.bits(bias)) | DRIVES.bits(config.drive) | edges
}

/// A line, from the kernel's description.
pub(super) fn line_info(said: &uapi::LineInfo) -> LineInfo {
    let has = |flag| said.flags & flag != 0;
    let named = |name| Some(uapi::text(name)).filter(|text| !text.is_empty()).map(Into::into);
    let attributes = &said.attributes[..(said.attribute_count as usize).min(uapi::ATTRIBUTES)];
    let period = attributes.iter().find(|attribute| attribute.id == attribute::DEBOUNCE).map_or(0, Attribute::micros);
    LineInfo {
        offset: Offset::from(said.offset),
        name: named(&said.name),
        direction: if has(flag::OUTPUT) { Direction::Output } else { Direction::Input },
        active: None,
        used: has(flag::USED),
        consumer: named(&said.consumer),
        config: decode(said.flags, period),
    }
}

/// The settings of a line, from its flags and its debounce period in microseconds.
pub(super) fn decode(flags: u64, debounce: u32) -> LineConfig {
    LineConfig {
        active_low: flags & flag::ACTIVE_LOW != 0,
        bias: BIASES.value(flags),
        drive: DRIVES.value(flags).unwrap_or_default(),
        edges: EDGES.value(flags),
        debounce: Duration::from_micros(debounce.into()),
        clock: CLOCKS.value(flags).unwrap_or_default(),
        ..LineConfig::as_is()
    }
}

/// `enum gpio_v2_line_changed_type`.
pub(super) fn info_event_kind(kind: u32) -> Option<InfoEventKind> {
    match kind {
        1 => Some(InfoEventKind::Requested),
        2 => Some(InfoEventKind::Released),
        3 => Some(InfoEventKind::Reconfigured),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zerocopy::FromZeros;

    use super::{encode, info_event_kind, line_info, uapi};
    use crate::{Bias, Direction, Drive, Edges, EventClock, LineConfig};

    /// Reads a configuration as the kernel does: the flags, debounce period and first value of a line.
    fn decoded(config: &uapi::LineConfig, line: u32) -> (u64, u32, Option<bool>) {
        let attributes = &config.attributes[..config.attribute_count as usize];
        let of = |id| attributes.iter().filter(move |one| one.attribute.id == id && one.lines >> line & 1 == 1);
        let bits = |id: u32| of(id).map(|one| one.attribute).next();
        let flags = bits(uapi::attribute::FLAGS).map_or(config.flags, |flags| flags.bits_value());
        let period = bits(uapi::attribute::DEBOUNCE).map_or(0, |period| period.micros());
        (flags, period, bits(uapi::attribute::OUTPUT_VALUES).map(|values| values.bits_value() >> line & 1 == 1))
    }

    #[test]
    fn lines_that_are_alike_need_no_attribute() {
        let config = encode("chip", (0..64).map(|_| LineConfig::watch(Edges::Both))).unwrap();
        assert_eq!((config.flags, config.attribute_count), (1 << 2 | 1 << 4 | 1 << 5, 0));
        let none = encode("chip", std::iter::empty()).unwrap();
        assert_eq!((none.flags, none.attribute_count), (0, 0));
    }

    #[test]
    fn each_line_gets_its_own_settings() {
        let lines = [
            LineConfig::watch(Edges::Rising).active_low(true).bias(Bias::PullUp),
            LineConfig::watch(Edges::Falling).debounce(Duration::from_nanos(1)),
            LineConfig::watch(Edges::Falling).debounce(Duration::from_micros(u64::from(u32::MAX))),
            LineConfig::output(true).drive(Drive::OpenDrain).bias(Bias::Disabled),
            LineConfig::output(false).drive(Drive::OpenSource).bias(Bias::PullDown),
            LineConfig::watch(Edges::Both).clock(EventClock::Realtime),
            LineConfig::watch(Edges::Both).clock(EventClock::Hte),
            LineConfig::as_is(),
            LineConfig::as_is(),
        ];
        let config = encode("chip", lines.into_iter()).unwrap();
        let expected = [
            (1 << 2 | 1 << 4 | 1 << 1 | 1 << 8, 0, None),
            (1 << 2 | 1 << 5, 1, None),
            (1 << 2 | 1 << 5, u32::MAX, None),
            (1 << 3 | 1 << 6 | 1 << 10, 0, Some(true)),
            (1 << 3 | 1 << 7 | 1 << 9, 0, Some(false)),
            (1 << 2 | 1 << 4 | 1 << 5 | 1 << 11, 0, None),
            (1 << 2 | 1 << 4 | 1 << 5 | 1 << 12, 0, None),
            (0, 0, None),
            (0, 0, None),
        ];
        for (line, expected) in (0..).zip(expected) {
            assert_eq!(decoded(&config, line), expected, "line {line}");
        }
    }

    #[test]
    fn ten_settings_fit_and_eleven_do_not() {
        let lines = |count| (1..=count).map(|ms| LineConfig::watch(Edges::Both).debounce(Duration::from_millis(ms)));
        assert_eq!(encode("chip", lines(10)).unwrap().attribute_count, 10);
        let error = encode("a chip", lines(11)).unwrap_err().to_string();
        assert!(error.contains("\"a chip\"") && error.contains("11"), "{error}");
    }

    #[test]
    fn a_name_is_cut_between_characters_and_ends_at_its_zero() {
        assert_eq!(uapi::text(&uapi::name("linewake")), "linewake");
        assert_eq!(uapi::text(&uapi::name(&"ü".repeat(20))), "ü".repeat(15));
        assert_eq!(uapi::text(&[b'x'; 32]), "x".repeat(32));
        assert_eq!(uapi::text(&[0xff; 32]).chars().next(), Some('\u{fffd}'));
    }

    #[test]
    fn any_description_of_a_line_is_read() {
        let mut said = uapi::LineInfo::new_zeroed();
        let free = line_info(&said);
        assert!(!free.used && free.name.is_none() && free.consumer.is_none() && free.direction == Direction::Input);
        (said.flags, said.attribute_count) = (u64::MAX, u32::MAX);
        let all = line_info(&said);
        assert!(all.used && all.config.active_low && all.config.edges == Some(Edges::Both));
        assert_eq!(all.config.debounce, Duration::ZERO);
        assert_eq!((0..5).filter_map(info_event_kind).count(), 3);
    }
}
