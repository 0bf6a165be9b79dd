//! Filters: they drop the edges of a line that are bounce, glitches or chatter, and pass the others to the program.
//!
//! ```text
//!   edge ──► glitch ──► debounce ──► chatter ──► FilterEvent
//!            too short  not quiet    too many
//! ```
//!
//! A [`Filter`] holds the settings. A [`LineFilter`] applies them to one line and uses only the edges' time stamps. A
//! [`Filtered`] request applies them to each of its lines, and also lets time pass while no edge comes. A
//! [`FilteredMonitor`] does the same for many requests on many chips.
//!
//! ```
//! use linewake::Chip;
//! use linewake::filter::{Filter, FilterEvent};
//! let chip = Chip::options().life(false).open("sim")?;
//! let mut presses = chip.request().line("button").start()?.filtered(Filter::button())?;
//! chip.world().toggle("button", 7)?; // it bounces, and stays pressed
//! let Some(Ok(FilterEvent::Edge(press))) = presses.wait_next() else { panic!("one edge") };
//! assert_eq!(press.line_seqno, 1, "the first of the seven, with its stamp");
//! assert_eq!(presses.tally("button")?.filtered, 6);
//! # Ok::<(), linewake::Error>(())
//! ```
//!
//! # The account
//! A filter drops edges that were *delivered*, so it does not change the request's [`Account`](crate::Account). The
//! filter keeps its own [`FilterTally`], in which delivered = passed + filtered + held, on every line and at every
//! moment. If edges were [missing](crate::Missed) before an edge that is dropped, the next edge that passes reports
//! them.

mod chatter;
mod event;
mod line;
mod lines;
mod monitor;
mod order;
mod recorded;
mod request;
mod settle;
mod stream;
mod text;

use std::time::Duration;

pub use self::event::{ChatterEvent, ChatterKind, FilterEvent};
pub use self::line::{FilterTally, LineFilter};
pub use self::monitor::FilteredMonitor;
pub use self::recorded::{FilteredRecording, Passed};
pub use self::request::Filtered;
use crate::clock::nanoseconds;
use crate::names::names;
use crate::{Error, ErrorKind};

/// The settings of a filter. [`Filter::default`] turns all of them off.
///
/// It can be parsed from text: a preset, settings, or a preset followed by settings that override it, separated by
/// commas.
///
/// | piece | meaning |
/// |---|---|
/// | `button`, `reed`, `relay`, `encoder` | [`Filter::button`] … |
/// | `debounce=5ms` | [`debounce`](Self::debounce): both levels |
/// | `press=5ms`, `release=20ms` | [`press`](Self::press), [`release`](Self::release) |
/// | `stamp=first`, `stamp=last` | [`stamp`](Self::stamp) |
/// | `glitch=50us` | [`glitch`](Self::glitch) |
/// | `chatter=100/s`, `chatter=20/500ms` | [`chatter`](Self::chatter): the most changes in a time |
/// | `resume=10` | [`ChatterLimit::resume`] |
/// | `none` | all off |
///
/// A period is a whole number with the unit `ns`, `us`, `ms`, `s`, `m`, `h` or `d`. A number without a unit is in
/// milliseconds, as in libgpiod's tools.
///
/// ```
/// use std::time::Duration;
/// use linewake::filter::Filter;
/// let filter: Filter = "reed,release=20ms,chatter=100/s".parse()?;
/// assert_eq!(filter.release, Duration::from_millis(20));
/// assert_eq!(filter.to_string().parse::<Filter>()?, filter);
/// let error = "debounce=5 ms".parse::<Filter>().unwrap_err();
/// assert!(error.to_string().contains(r#""debounce=5 ms""#));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Filter {
    /// Debounce: a press counts once the line has been active for this long without an edge. With zero it counts at
    /// once.
    pub press: Duration,
    /// Debounce: the same for a release, at the inactive level.
    pub release: Duration,
    /// The edge of a bounce that passes.
    pub stamp: Stamp,
    /// A level that lasts less than this is a glitch: both of its edges are dropped. Zero turns this off.
    pub glitch: Duration,
    /// A line that changes more often than this is blocked.
    pub chatter: Option<ChatterLimit>,
}

/// The edge of a bounce that passes, with its time stamp.
///
/// ```
/// assert_eq!(linewake::filter::Stamp::default().as_str(), "first");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stamp {
    /// The first edge to the new level: the moment the contact touched.
    #[default]
    First,
    /// The last edge, after which the level stayed: the moment the contact had settled.
    Last,
}

names! {
    /// `first` or `last`.
    Stamp { First = "first", Last = "last" }
}

/// The limits at which a line is blocked for chatter and unblocked again, as in remote terminal units.
///
/// A line with more than [`changes`](Self::changes) within [`window`](Self::window) is *blocked*: an event says so, and
/// no edge of it passes. Edges known to be [missing](crate::Missed) count too. When at most [`resume`](Self::resume)
/// changes are left within the window, an event says that the line is unblocked. If its level has changed by then, the
/// edge to that level passes late, with its own stamp. The limit counts the changes that are left after the glitch
/// filter and debounce.
///
/// Sources: GE Multilin D20E, instruction manual, "Chatter filter (oscillation suppression)"; ABB REX610, technical
/// manual, "Oscillation suppression" (30 events in a second, hysteresis 10). Both count after debounce, in one second.
///
/// ```
/// use std::time::Duration;
/// use linewake::filter::{ChatterLimit, Filter};
/// let limit = ChatterLimit::new(100, Duration::from_secs(1));
/// assert_eq!(limit.resume, 50);
/// assert_eq!("chatter=100/s".parse::<Filter>()?.chatter, Some(limit));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ChatterLimit {
    /// The most changes that do not block the line: 1 to 65,536. The filter keeps the time of each of them, in 8 bytes.
    pub changes: u32,
    /// The time in which they are counted.
    pub window: Duration,
    /// The line is unblocked when at most this many changes are left. Fewer than `changes`; half of it by default.
    pub resume: u32,
}

impl ChatterLimit {
    /// The largest value of [`changes`](Self::changes).
    pub const MOST: u32 = 1 << 16;

    /// At most `changes` within `window`, and half as many to unblock.
    #[must_use]
    pub const fn new(changes: u32, window: Duration) -> Self {
        Self { changes, window, resume: changes / 2 }
    }

    /// Sets [`resume`](Self::resume).
    #[must_use]
    pub const fn resume(mut self, changes: u32) -> Self {
        self.resume = changes;
        self
    }
}

impl Filter {
    /// A push button: 10 ms for both levels.
    ///
    /// J. Ganssle, "A Guide to Debouncing" (2004, 2008), measured 18 switches. They bounce for 1.6 ms on average and at
    /// most 6.2 ms, except one that took 157 ms.
    #[must_use]
    pub fn button() -> Self {
        Self::default().debounce(Duration::from_millis(10))
    }

    /// A reed contact: 2 ms for both levels.
    ///
    /// A reed bounces for 0.5 to 1 ms (Reed Sensor GmbH, glossary, "Bounce Time"). The thing that moves the magnet may
    /// bounce longer: a door that rattles needs a longer `release`.
    #[must_use]
    pub fn reed() -> Self {
        Self::default().debounce(Duration::from_millis(2))
    }

    /// A relay's contact: 6 ms for both levels.
    ///
    /// TE Connectivity, Schrack power relay RT1, data sheet: "Bounce time max., form A/form B 3/6ms".
    #[must_use]
    pub fn relay() -> Self {
        Self::default().debounce(Duration::from_millis(6))
    }

    /// A mechanical rotary encoder turned by hand: 2 ms for both levels.
    ///
    /// Bourns PEC11R, data sheet: "Contact Bounce (15 RPM) 2.0 ms maximum", 60 rpm at most. At 24 pulses a turn, each
    /// line keeps each level for 21 ms.
    #[must_use]
    pub fn encoder() -> Self {
        Self::default().debounce(Duration::from_millis(2))
    }

    /// Sets debounce with one period for both levels.
    ///
    /// A *bounce* begins with an edge. It ends when the line has been quiet for the period of its present level. If
    /// that is another level than before the bounce, one edge passes: [the first or the last](Stamp) edge to that
    /// level. If it is the same level, no edge passes. So an edge passes at least one period late, and a line that is
    /// never quiet for a period passes nothing; [`LineFilter::tally`] shows this.
    ///
    /// If only one kind of edge is watched, the filter cannot know the level. Then the first edge passes at once, and
    /// each edge that follows another within the period is dropped.
    #[must_use]
    pub fn debounce(mut self, period: Duration) -> Self {
        (self.press, self.release) = (period, period);
        self
    }

    /// Sets the debounce period of the active level.
    #[must_use]
    pub fn press(mut self, period: Duration) -> Self {
        self.press = period;
        self
    }

    /// Sets the debounce period of the inactive level.
    #[must_use]
    pub fn release(mut self, period: Duration) -> Self {
        self.release = period;
        self
    }

    /// Sets which edge of a bounce passes.
    #[must_use]
    pub fn stamp(mut self, stamp: Stamp) -> Self {
        self.stamp = stamp;
        self
    }

    /// Drops levels that last less than `period`. This delays every edge by `period`. It comes before debounce, so that
    /// a spike does not begin a bounce. Both edges of the line must be watched.
    #[must_use]
    pub fn glitch(mut self, period: Duration) -> Self {
        self.glitch = period;
        self
    }

    /// Limits how often the line may change.
    #[must_use]
    pub fn chatter(mut self, limit: ChatterLimit) -> Self {
        self.chatter = Some(limit);
        self
    }

    /// Refuses limits that are out of range or contradict each other.
    fn check(&self) -> Result<(), Error> {
        let invalid = |what: String| Err(Error::new(ErrorKind::InvalidInput, format!("filter \"{self}\": {what}")));
        let Some(limit) = self.chatter else {
            return Ok(());
        };
        if limit.changes == 0 || limit.changes > ChatterLimit::MOST {
            return invalid(format!("{} changes is out of range; expected 1 to {}", limit.changes, ChatterLimit::MOST));
        }
        if limit.window.is_zero() {
            return invalid("the time of \"chatter\" is 0; expected a longer one, as in \"chatter=100/s\"".to_owned());
        }
        if limit.resume >= limit.changes {
            let changes = limit.changes;
            return invalid(format!(
                "\"resume={}\" is too large; expected fewer than the {changes} changes of \"chatter\"",
                limit.resume
            ));
        }
        Ok(())
    }
}
