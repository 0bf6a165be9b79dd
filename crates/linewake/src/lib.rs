//! Watch digital lines: thousands of inputs on one thread, every edge accounted for.
//!
//! ```
//! use linewake::Chip;
//!
//! let chip = Chip::open("sim")?; // or r"\\.\LineWake0"
//! let mut edges = chip.request().lines(["pps", "button", "encoder-a"]).start()?;
//! for _ in 0..3 {
//!     let edge = edges.wait_next().expect("nobody stopped it")?;
//!     println!("{} {} {:?}", edge.timestamp_ns, edge.kind.as_str(), edge.name);
//! }
//! let account = edges.finish();
//! assert_eq!(account.total().delivered, 3);
//! assert_eq!(account.trust(), linewake::Trust::Exact);
//! # Ok::<(), linewake::Error>(())
//! ```
//!
//! - [`Chip`] is a device with lines. What is behind it is a [`backend`].
//! - [`Request`] holds lines: a stream of [`EdgeEvent`]s, to `.await` or to wait for, and values to read and to set. Each
//!   edge says what is missing before it.
//! - [`Monitor`] makes one stream of many requests on many chips, in order of time, and survives an unplugged chip.
//! - [`Account`] says what became of every edge: delivered + overflowed + merged + discarded = happened.
//! - [`filter`] has debounce, glitch and chatter filters for the edges of a request and of a monitor.
//! - `hal` has lines as pins for `embedded-hal` 1 and `embedded-hal-async` 1, with the feature `embedded-hal` (on by default).
//! - [`record`] is the stream as it leaves the process: one JSON object a line.

#![deny(unsafe_code)]

mod account;
mod axis;
pub mod backend;
mod chip;
mod clock;
mod config;
mod edge;
mod error;
pub mod filter;
#[cfg(feature = "embedded-hal")]
pub mod hal;
mod info;
mod keys;
mod line;
mod monitor;
mod open;
pub mod profile;
mod ready;
pub mod record;
mod request;
pub mod sim;
mod stopper;
#[doc(hidden)]
pub mod text;
mod world;

#[cfg(target_os = "linux")]
#[doc(hidden)]
pub use backend::gpiochip::file as gpiochip;

pub use account::{Account, Figures, LineAccount, LineTotals, Tally, Trust};
pub use backend::exec::{Exec, Restart};
pub use backend::info::ChipInfo;
pub use chip::Chip;
pub use clock::{Clock, UtcOffset};
pub use config::{Bias, Direction, Drive, EventClock, LineConfig};
pub use edge::{ClockStep, EdgeEvent, EdgeKind, Edges, Missed};
pub use error::{Error, ErrorKind};
pub use info::InfoWatcher;
pub use line::{InfoEvent, InfoEventKind, LineId, LineInfo, Offset};
pub use monitor::{Event, Gap, LineState, Monitor, MonitorBuilder, MonitorStats, WhenFull};
pub use open::{ChipOptions, DEFAULT_SEED, chips};
pub use request::{Request, RequestBuilder, WatchedLine};
pub use stopper::Stopper;
pub use world::World;

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// And those of docs/profiles.md.
#[cfg(all(doctest, target_os = "linux"))]
#[doc = include_str!("../../../docs/profiles.md")]
struct Profiles;
