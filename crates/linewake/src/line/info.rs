//! Information about lines, and events when they are requested or released.

use std::sync::Arc;

use linewake_controller::protocol;
use serde::{Deserialize, Serialize};

use crate::names::names;
use crate::{Direction, LineConfig, Offset};

/// Information that a chip gives about a line.
///
/// ```
/// let chip = linewake::Chip::open("sim")?;
/// let door = chip.line_info("door")?;
/// assert_eq!(door.name.as_deref(), Some("door"));
/// assert!(!door.used);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// Offset of the line.
    pub offset: Offset,
    /// Name of the line, if it has one.
    pub name: Option<Arc<str>>,
    /// Input or output.
    pub direction: Direction,
    /// True if the line is active now. `None` if the chip does not report this without a request.
    pub active: Option<bool>,
    /// True if a program holds the line.
    pub used: bool,
    /// The name of the program that holds the line, if it gave one.
    pub consumer: Option<Arc<str>>,
    /// The settings with which it is held, without `direction` and `output`.
    pub config: LineConfig,
}

/// A name from a device. `None` if it is empty.
pub(crate) fn named(name: &protocol::Name) -> Option<Arc<str>> {
    let text = protocol::text(name);
    (!text.is_empty()).then(|| text.into())
}

/// A line was requested, released or reconfigured; see [`Chip::watch_info`](crate::Chip::watch_info).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoEvent {
    /// Name of the chip.
    pub chip: Arc<str>,
    /// The kind of the event.
    pub kind: InfoEventKind,
    /// The time in nanoseconds of the chip's clock. On a gpiochip this is always the monotonic clock.
    pub timestamp_ns: u64,
    /// The line after the change.
    pub line: LineInfo,
    /// How many events are missing directly before it, because the program did not take them in time. A gpiochip does
    /// not report this.
    pub missed: u32,
}

/// The kind of an [`InfoEvent`].
///
/// ```
/// assert_eq!(linewake::InfoEventKind::Requested.as_str(), "requested");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InfoEventKind {
    /// A program requested the line.
    Requested,
    /// The line was released.
    Released,
    /// The settings of the line's request changed.
    Reconfigured,
}

names! {
    /// `requested`, `released` or `reconfigured`, as in libgpiod's tools.
    InfoEventKind { Requested = "requested", Released = "released", Reconfigured = "reconfigured" }
}
