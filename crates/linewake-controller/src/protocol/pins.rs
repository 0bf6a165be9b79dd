//! The codes for drivers that know single pins: attach one, wait for one, detach one.
//!
//! They drive the same controller as the other codes, but report as such drivers do: a wait gives the new level, how
//! many edges were dropped before it, and the time on the device's own counter, which wraps.

use overlapped_codes::{Access, CtlCode};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{LINE_EDGE_FALLING, LINE_EDGE_RISING, LINE_INPUT, LINE_RELEASE, LineConfig, code};

/// Watches one line. A second call for the same line changes how it is watched. As with many drivers, the code does not
/// say which access it needs.
pub const ATTACH_PIN: CtlCode = code(0x810, Access::Any);
/// Stops watching one line (`STATUS_INVALID_DEVICE_STATE` if this reader does not hold it). Waits pended for it end with
/// `STATUS_INVALID_DEVICE_STATE`.
pub const DETACH_PIN: CtlCode = code(0x811, Access::Any);
/// Waits for an edge of one line (`STATUS_INVALID_DEVICE_STATE` if this reader does not watch it), and takes it.
pub const WAIT_PIN: CtlCode = code(0x812, Access::Any);
/// Test: sets the counter, so that a test can choose when it wraps.
pub const SET_TICKS: CtlCode = code(0x8C5, Access::Write);

/// The number of ticks in a second: that of a PC's power management timer.
pub const TICK_HZ: u32 = 3_579_545;

/// [`AttachPin::mode`]: rising edges; with [`PIN_FALLING`] both.
pub const PIN_RISING: u16 = 1;
/// [`AttachPin::mode`]: falling edges.
pub const PIN_FALLING: u16 = 2;

record! {
    /// Input of [`ATTACH_PIN`]. Another mode, or none, is `STATUS_INVALID_PARAMETER`.
    ///
    /// ```
    /// use linewake_controller::protocol::{AttachPin, PIN_FALLING, PIN_RISING};
    /// let both = AttachPin { line: 4, mode: PIN_RISING | PIN_FALLING };
    /// # let _ = both;
    /// ```
    AttachPin {
        /// The line.
        line: u16,
        /// [`PIN_RISING`], [`PIN_FALLING`] or both.
        mode: u16,
    }
}

impl From<AttachPin> for LineConfig {
    /// The same request as an input of [`CONFIGURE`](super::CONFIGURE).
    fn from(AttachPin { line, mode }: AttachPin) -> Self {
        let edge = |bit, edge| if mode & bit != 0 { edge } else { 0 };
        let edges = edge(PIN_RISING, LINE_EDGE_RISING) | edge(PIN_FALLING, LINE_EDGE_FALLING);
        Self { offset: line.into(), flags: LINE_INPUT | edges }
    }
}

record! {
    /// Input of [`DETACH_PIN`] and [`WAIT_PIN`].
    ///
    /// ```
    /// use linewake_controller::protocol::Pin;
    /// let fourth = Pin { line: 4 };
    /// # let _ = fourth;
    /// ```
    Pin {
        /// The line.
        line: u32,
    }
}

impl From<Pin> for LineConfig {
    /// The configuration that releases the line.
    fn from(Pin { line }: Pin) -> Self {
        Self { offset: line, flags: LINE_RELEASE }
    }
}

record! {
    /// Output of [`WAIT_PIN`].
    ///
    /// ```
    /// use linewake_controller::protocol::{PinEvent, TICK_HZ};
    /// let (before, after) = (PinEvent { ticks: u32::MAX, ..Default::default() }, PinEvent { ticks: 9, ..Default::default() });
    /// let passed = after.ticks.wrapping_sub(before.ticks); // the counter wrapped
    /// assert_eq!(u64::from(passed) * 1_000_000 / u64::from(TICK_HZ), 2); // microseconds
    /// ```
    PinEvent {
        /// The line.
        line: u16,
        /// The level after the edge: 1 high, 0 low.
        level: u16,
        /// How many edges of the line were dropped directly before this one.
        dropped: u32,
        /// The time on a counter that wraps, with [`TICK_HZ`] ticks a second.
        ticks: u32,
        /// Zero.
        reserved: u32,
    }
}

record! {
    /// Input of [`SET_TICKS`].
    ///
    /// ```
    /// use linewake_controller::protocol::{TICK_HZ, Ticks};
    /// let wraps_in_a_second = Ticks { now: TICK_HZ.wrapping_neg() };
    /// # let _ = wraps_in_a_second;
    /// ```
    Ticks {
        /// The new value of the counter.
        now: u32,
    }
}
