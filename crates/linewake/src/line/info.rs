//! What a chip says of its lines, and of what becomes of them.

use std::sync::Arc;

use linewake_controller::protocol;

use crate::{Direction, LineConfig, Offset};

/// What a chip says of one of its lines.
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
    /// Its place.
    pub offset: Offset,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Input or output.
    pub direction: Direction,
    /// Whether it is active now, where the chip tells without the line being held.
    pub active: Option<bool>,
    /// Whether somebody holds it.
    pub used: bool,
    /// Who holds it, if that one has a name.
    pub consumer: Option<Arc<str>>,
    /// How it is held. `direction` and `output` are not told here.
    pub config: LineConfig,
}

/// A name from a device; an empty one is none.
pub(crate) fn named(name: &protocol::Name) -> Option<Arc<str>> {
    let text = protocol::text(name);
    (!text.is_empty()).then(|| text.into())
}

/// Something became of a line itself; see [`Chip::watch_info`](crate::Chip::watch_info).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoEvent {
    /// Name of the chip.
    pub chip: Arc<str>,
    /// What.
    pub kind: InfoEventKind,
    /// When, in nanoseconds of the chip's clock: on a gpiochip always the monotonic one.
    pub timestamp_ns: u64,
    /// The line as it was then.
    pub line: LineInfo,
    /// Events known to be missing directly before it, since nobody took them in time. A gpiochip does not tell.
    pub missed: u32,
}

/// What became of a line itself.
///
/// ```
/// assert_eq!(linewake::InfoEventKind::Requested.as_str(), "requested");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InfoEventKind {
    /// Somebody took it.
    Requested,
    /// It was given back.
    Released,
    /// It is held otherwise than before.
    Reconfigured,
}

impl InfoEventKind {
    /// `requested`, `released` or `reconfigured`, as in libgpiod's tools.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Released => "released",
            Self::Reconfigured => "reconfigured",
        }
    }
}
