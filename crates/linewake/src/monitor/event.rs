//! What happens on the lines of a monitor.

use std::sync::Arc;

use crate::filter::ChatterEvent;
use crate::{ClockStep, EdgeEvent, Error, Figures, Offset};

/// What happens on the lines of a [`Monitor`](crate::Monitor).
///
/// `request` is the place of the request among those the monitor was [built](crate::MonitorBuilder::request) with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The level of a line when its watch began: before the first edge of the stream, and again after a [`Gap`]. Only with
    /// [`MonitorBuilder::states`](crate::MonitorBuilder::states).
    State {
        /// Whose line.
        request: usize,
        /// The level.
        state: LineState,
    },
    /// An edge.
    Edge {
        /// Whose line.
        request: usize,
        /// The edge; its time stamp is by the [monitor's clock](crate::Monitor::clock).
        edge: EdgeEvent,
    },
    /// A chip is gone, or back.
    Gap {
        /// Whose chip.
        request: usize,
        /// From when to when.
        gap: Gap,
    },
    /// A chip's clock stepped: the edge that comes next is the first with a stamp from behind the step. Its
    /// [`axis_ns`](EdgeEvent::axis_ns) and all later ones go on as before.
    Clock {
        /// Whose clock.
        request: usize,
        /// From which stamp to which.
        step: ClockStep,
    },
    /// A line was blocked for changing too often, or unblocked. Only of a [filtered](crate::Monitor::filtered) monitor.
    Chatter {
        /// Whose line.
        request: usize,
        /// Which of the two, and when.
        chatter: ChatterEvent,
    },
}

/// The level of a line at the beginning; see [`Event::State`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineState {
    /// Name of the chip.
    pub chip: Arc<str>,
    /// Which line.
    pub offset: Offset,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Whether it was active; `None` if the line changed too fast to tell.
    pub active: Option<bool>,
}

/// A span in which nothing is known of a chip's lines, since it was unplugged.
#[derive(Clone, Debug)]
pub struct Gap {
    /// Name of the chip, as it was before.
    pub chip: Arc<str>,
    /// The time of the last edge that came, if one did.
    pub from_ns: Option<u64>,
    /// When the chip was back, if it is and its clock can be read.
    pub to_ns: Option<u64>,
    /// Whether the chip is back. A gap is told twice: when the chip is gone, and when it is back.
    pub is_over: bool,
    /// What is known of the edges before it, over all lines of the request: how far, says `trust` of its account.
    pub figures: Figures,
    /// What the device said.
    pub reason: Error,
}

impl Gap {
    /// One that was recorded.
    ///
    /// ```
    /// let gap = linewake::Gap::recorded("gpiochip0".into(), Some(17), None, false, linewake::Figures::default());
    /// assert!(gap.reason.is_disconnected());
    /// ```
    #[must_use]
    pub fn recorded(chip: Arc<str>, from_ns: Option<u64>, to_ns: Option<u64>, is_over: bool, figures: Figures) -> Self {
        let reason = Error::gone(format!("the chip \"{chip}\" was gone when this was recorded"));
        Self { chip, from_ns, to_ns, is_over, figures, reason }
    }
}
