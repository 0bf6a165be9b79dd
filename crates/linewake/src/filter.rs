//! Filters: what of a line's edges is bounce, a glitch or chatter, and what the program is to see.
//!
//! ```text
//!   edge ──► glitch ──► debounce ──► chatter ──► FilterEvent
//!            too short  not quiet    too many
//! ```
//!
//! A [`Filter`] says what to do; a [`LineFilter`] does it for one line, by the edges' time stamps alone; a [`Filtered`]
//! request does it for its lines, and lets time pass when no edge comes; a [`FilteredMonitor`] does it for the lines of many
//! requests on many chips.
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
//! A filter drops edges that were *delivered*. The request's [`Account`](crate::Account) knows nothing of it and closes as
//! it does without one; the filter's own [`FilterTally`] closes beside it: delivered = passed + filtered + held, on every
//! line and at every moment. What was [missing](crate::Missed) before an edge that is dropped is told with the next edge
//! that passes.

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
use crate::{Error, ErrorKind};

/// What to do with a line's edges. All of it is off in [`Filter::default`].
///
/// From text, as a user writes it: a preset and settings, separated by commas, the later ones over the preset's.
///
/// | piece | means |
/// |---|---|
/// | `button`, `reed`, `relay`, `encoder` | [`Filter::button`] … |
/// | `debounce=5ms` | [`debounce`](Self::debounce): both levels |
/// | `press=5ms`, `release=20ms` | [`press`](Self::press), [`release`](Self::release) |
/// | `stamp=first`, `stamp=last` | [`stamp`](Self::stamp) |
/// | `glitch=50us` | [`glitch`](Self::glitch) |
/// | `chatter=100/s`, `chatter=20/500ms` | [`chatter`](Self::chatter): more than so many in that time |
/// | `resume=10` | [`ChatterLimit::resume`] |
/// | `none` | nothing |
///
/// A period is a whole number with `ns`, `us`, `ms`, `s` or `m`, or of milliseconds, as in libgpiod's tools.
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
    /// Debounce: how long the line has to stay active, without an edge, for a press to count. Zero counts at once.
    pub press: Duration,
    /// Debounce: the same for the inactive level.
    pub release: Duration,
    /// Which of the edges of a bounce passes.
    pub stamp: Stamp,
    /// A level that lasts less than this is a glitch: the edges at both of its ends are dropped. Zero is off.
    pub glitch: Duration,
    /// When a line changes too often to be listened to.
    pub chatter: Option<ChatterLimit>,
}

/// Which edge of a bounce passes, with its time stamp.
///
/// ```
/// assert_eq!(linewake::filter::Stamp::default().as_str(), "first");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stamp {
    /// The first that led to the new level: when the contact was touched.
    #[default]
    First,
    /// The last, after which the level stayed: when the contact had settled.
    Last,
}

impl Stamp {
    /// `first` or `last`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
        }
    }
}

/// When a line chatters, and when it has come to its senses: as remote terminal units have it.
///
/// A line with more than [`changes`](Self::changes) within [`window`](Self::window), those known to be
/// [missing](crate::Missed) counted too, is *blocked*: it is said so, and nothing of it passes. When no more than
/// [`resume`](Self::resume) are left within the window it is said to be unblocked; if its level is another by then, the
/// edge that led to it passes, late, with its own stamp. What is counted are the changes after debounce and the glitch filter.
///
/// Sources: GE Multilin D20E, instruction manual, "Chatter filter (oscillation suppression)"; ABB REX610, technical manual,
/// "Oscillation suppression" (30 events in a second, hysteresis 10). Both count after debounce, in one second.
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
    /// The most changes that are fine: 1 to 65,536. A line's filter keeps the time of so many, 8 bytes each.
    pub changes: u32,
    /// In which time.
    pub window: Duration,
    /// How few unblock it again: fewer than `changes`, and half of them unless set.
    pub resume: u32,
}

impl ChatterLimit {
    /// The most that [`changes`](Self::changes) can be.
    pub const MOST: u32 = 1 << 16;

    /// So many changes within `window`, and half as many to unblock.
    #[must_use]
    pub const fn new(changes: u32, window: Duration) -> Self {
        Self { changes, window, resume: changes / 2 }
    }

    /// With another number of changes to unblock.
    #[must_use]
    pub const fn resume(mut self, changes: u32) -> Self {
        self.resume = changes;
        self
    }
}

impl Filter {
    /// A push button: 10 ms for both levels.
    ///
    /// J. Ganssle, "A Guide to Debouncing" (2004, 2008), measured 18 switches: they bounce for 1.6 ms on average and 6.2 ms at
    /// most, but for one that took 157 ms.
    #[must_use]
    pub fn button() -> Self {
        Self::default().debounce(Duration::from_millis(10))
    }

    /// A reed contact: 2 ms for both levels.
    ///
    /// A reed bounces for 0.5 to 1 ms (Reed Sensor GmbH, glossary, "Bounce Time"). This says nothing of what moves the
    /// magnet: a door that rattles wants a longer `release`.
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
    /// Bourns PEC11R, data sheet: "Contact Bounce (15 RPM) 2.0 ms maximum", 60 rpm at most. With 24 pulses a turn that is
    /// 21 ms a level on each line.
    #[must_use]
    pub fn encoder() -> Self {
        Self::default().debounce(Duration::from_millis(2))
    }

    /// Debounce with one period for both levels.
    ///
    /// A *bounce* begins with an edge and ends when the line has been quiet for the period of the level it has then. If that
    /// is not the level from before, one edge passes, [the first or the last](Stamp) that led to it; if it is, none does: a
    /// glitch leaves nothing. So an edge passes late by the period at least, and a line that is never quiet for so long
    /// passes nothing at all: [`LineFilter::tally`] shows it.
    ///
    /// A line of which one kind of edge is watched shows no levels: there the first edge passes at once, and those that follow
    /// within the period do not.
    #[must_use]
    pub fn debounce(mut self, period: Duration) -> Self {
        (self.press, self.release) = (period, period);
        self
    }

    /// With a period of its own for the active level.
    #[must_use]
    pub fn press(mut self, period: Duration) -> Self {
        self.press = period;
        self
    }

    /// With a period of its own for the inactive level.
    #[must_use]
    pub fn release(mut self, period: Duration) -> Self {
        self.release = period;
        self
    }

    /// With another edge of a bounce to pass.
    #[must_use]
    pub fn stamp(mut self, stamp: Stamp) -> Self {
        self.stamp = stamp;
        self
    }

    /// Without levels that last less than `period`; every edge is late by that much. It comes before debounce, so that a
    /// spike does not begin a bounce. Both edges of the line have to be watched.
    #[must_use]
    pub fn glitch(mut self, period: Duration) -> Self {
        self.glitch = period;
        self
    }

    /// With a limit to how often the line may change.
    #[must_use]
    pub fn chatter(mut self, limit: ChatterLimit) -> Self {
        self.chatter = Some(limit);
        self
    }

    /// Whether it makes sense.
    fn check(&self) -> Result<(), Error> {
        let invalid = |what: String| Err(Error::new(ErrorKind::InvalidInput, format!("filter \"{self}\": {what}")));
        let Some(limit) = self.chatter else {
            return Ok(());
        };
        if limit.changes == 0 || limit.changes > ChatterLimit::MOST {
            return invalid(format!("a line chatters with more than 1 to {} changes", ChatterLimit::MOST));
        }
        if limit.window.is_zero() {
            return invalid("a line chatters within some time, as in \"chatter=100/s\"".to_owned());
        }
        if limit.resume >= limit.changes {
            let changes = limit.changes;
            return invalid(format!("\"resume={}\" has to be fewer than the {changes} of \"chatter\"", limit.resume));
        }
        Ok(())
    }
}

/// A period in nanoseconds; beyond 584 years it is for ever.
fn nanoseconds(period: Duration) -> u64 {
    u64::try_from(period.as_nanos()).unwrap_or(u64::MAX)
}
