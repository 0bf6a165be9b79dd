//! Checks configurations against a chip's capabilities, and adapts them to the chip.

use crate::backend::unsupported;
use crate::{Chip, Direction, Drive, Edges, Error, ErrorKind, EventClock, LineConfig};

/// The configuration to request from the chip. If the chip cannot invert a line, the request does.
pub(super) fn as_asked(config: &LineConfig, chip_inverts: bool) -> LineConfig {
    if chip_inverts || !config.active_low {
        return *config;
    }
    let (edges, output) = (config.edges.map(Edges::inverted), config.output.map(|active| !active));
    LineConfig { active_low: false, edges, output, ..*config }
}

/// Refuses a configuration that the chip cannot hold.
pub(super) fn check(chip: &Chip, config: &LineConfig) -> Result<(), Error> {
    let can = chip.capabilities();
    let name = &chip.info().name;
    let refuse = |what: &str| Err(unsupported(name, what));
    let invalid = |what: &str| Err(Error::new(ErrorKind::InvalidInput, format!("chip \"{name}\": {what}")));
    if config.edges.is_some() && config.direction != Some(Direction::Input) {
        return invalid("edges are watched on inputs only; request the line as an input");
    }
    if config.output.is_some() && config.direction != Some(Direction::Output) {
        return invalid("only an output has a first value; request the line as an output");
    }
    if config.direction == Some(Direction::Output) && !can.outputs {
        return refuse("has no outputs");
    }
    if config.bias.is_some() && !can.bias {
        return refuse("cannot set a bias");
    }
    if config.drive != Drive::PushPull && !can.drive {
        return refuse("cannot drive a line open-drain or open-source");
    }
    if !config.debounce.is_zero() && !can.debounce {
        return refuse("does not debounce; use a filter");
    }
    if config.debounce.as_micros() > u128::from(u32::MAX) {
        return invalid("the debounce period is out of range; expected at most 4294967295 microseconds");
    }
    match config.clock {
        EventClock::Realtime if !can.realtime => {
            refuse("cannot stamp edges with the time of day; take the monotonic clock")
        }
        EventClock::Hte if !can.hte => refuse("has no hardware timestamp engine; take the monotonic clock"),
        _ => Ok(()),
    }
}
