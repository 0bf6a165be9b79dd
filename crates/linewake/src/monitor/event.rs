//! The events of a monitor.

use std::sync::Arc;

use crate::filter::ChatterEvent;
use crate::{ClockStep, EdgeEvent, Error, Figures, Offset};

/// An event of a [`Monitor`](crate::Monitor).
///
/// `request` is the index of the request, in the order in which they were [added](crate::MonitorBuilder::request).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The level of a line when its watch began: before the first edge, and again after a [`Gap`]. Needs
    /// [`MonitorBuilder::states`](crate::MonitorBuilder::states).
    State {
        /// The request that the line belongs to.
        request: usize,
        /// The level.
        state: LineState,
    },
    /// An edge.
    Edge {
        /// The request that the line belongs to.
        request: usize,
        /// The edge. Its time stamp is in the time of the [monitor's clock](crate::Monitor::clock).
        edge: EdgeEvent,
    },
    /// A chip was unplugged, or is back.
    Gap {
        /// The request on this chip.
        request: usize,
        /// When the gap began and ended.
        gap: Gap,
    },
    /// A chip's clock stepped: the next edge is the first with a stamp from after the step.
    /// [`axis_ns`](EdgeEvent::axis_ns) goes on without a step.
    Clock {
        /// The request on the chip with this clock.
        request: usize,
        /// The stamps before and after the step.
        step: ClockStep,
    },
    /// A line was blocked because it changed too often, or was unblocked. Only a [filtered](crate::Monitor::filtered)
    /// monitor gives this.
    Chatter {
        /// The request that the line belongs to.
        request: usize,
        /// Blocked or unblocked, and when.
        chatter: ChatterEvent,
    },
}

/// The level of a line when its watch began; see [`Event::State`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineState {
    /// Name of the chip.
    pub chip: Arc<str>,
    /// Offset of the line.
    pub offset: Offset,
    /// Name of the line, if it has one.
    pub name: Option<Arc<str>>,
    /// True if the line was active. `None` if it changed too fast to tell.
    pub active: Option<bool>,
}

/// A time in which a chip was unplugged, so that nothing is known of its lines.
#[derive(Clone, Debug)]
pub struct Gap {
    /// Name of the chip, as before the gap.
    pub chip: Arc<str>,
    /// The time stamp of the last edge before the gap, if there was one.
    pub from_ns: Option<u64>,
    /// When the chip was back, if it is back and its clock can be read.
    pub to_ns: Option<u64>,
    /// True if the chip is back. A gap is reported twice: when the chip is unplugged, and when it is back.
    pub is_over: bool,
    /// The figures of all lines of the request before the gap. The `trust` of its account says how reliable they are.
    pub figures: Figures,
    /// The error that the device gave.
    pub reason: Error,
}

impl Gap {
    /// A gap from a recording.
    ///
    /// ```
    /// let gap = linewake::Gap::recorded("gpiochip0".into(), Some(17), None, false, linewake::Figures::default());
    /// assert!(gap.reason.is_disconnected());
    /// ```
    #[must_use]
    pub fn recorded(chip: Arc<str>, from_ns: Option<u64>, to_ns: Option<u64>, is_over: bool, figures: Figures) -> Self {
        let reason = Error::gone(format!("chip \"{chip}\" was unplugged during the recording"));
        Self { chip, from_ns, to_ns, is_over, figures, reason }
    }
}
