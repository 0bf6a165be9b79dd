//! Watch digital lines: thousands of inputs on one thread, with an account of every edge.
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
//! - [`Chip`] is a device with lines; [`Chip::open`] has a table of the texts that open one. Behind it is a
//!   [`backend`].
//! - [`Request`] holds lines. It is a stream of [`EdgeEvent`]s, to `.await` or to wait for, and it reads and sets
//!   values. Each edge says how many are missing before it.
//! - [`Monitor`] makes one stream of many requests on many chips, in order of time. It goes on when a chip is
//!   unplugged and plugged in again.
//! - [`Account`] says what became of every edge: delivered + overflowed + merged + discarded = happened.
//! - [`filter`] has debounce, glitch and chatter filters for requests and monitors.
//! - `hal` has lines as pins for `embedded-hal` 1 and `embedded-hal-async` 1, with the feature `embedded-hal` (on by
//!   default).
//! - [`record`] is the format in which a stream leaves the process: one JSON object a line.
//!
//! In an async program, await the next edge on any executor:
//!
//! ```
//! # futures::executor::block_on(async {
//! let mut edges = linewake::Chip::open("sim")?.request().line("button").start()?;
//! if let Some(edge) = edges.next().await.transpose()? {
//!     println!("{} {}, {} missing before", edge.timestamp_ns, edge.kind.as_str(), edge.missed.total());
//! }
//! # Ok::<(), linewake::Error>(())
//! # })?;
//! # Ok::<(), linewake::Error>(())
//! ```

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
mod names;
mod open;
pub mod profile;
mod ready;
pub mod record;
mod request;
pub mod sim;
mod stopper;
pub mod text;
mod world;

#[cfg(target_os = "linux")]
pub use backend::gpiochip::file as gpiochip;

pub use account::{Account, Figures, LineAccount, LineTotals, Tally, Trust};
pub use backend::exec::{Exec, Restart};
pub use backend::info::{ChipInfo, LineHolder};
pub use chip::Chip;
pub use clock::{Clock, ClockName, UtcOffset};
pub use config::{Bias, Direction, Drive, EventClock, LineConfig};
pub use edge::{ClockStep, EdgeEvent, EdgeKind, Edges, Missed};
pub use error::{Error, ErrorKind};
pub use info::InfoWatcher;
pub use line::{InfoEvent, InfoEventKind, LineId, LineInfo, Offset};
pub use monitor::{Event, Gap, LineState, Monitor, MonitorBuilder, MonitorStats, WhenFull};
pub use open::{ChipOptions, ChipSpec, DEFAULT_SEED, chip_specs, chips};
pub use request::{Request, RequestBuilder, WatchedLine};
pub use stopper::Stopper;
pub use world::World;

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of docs/profiles.md are tests too.
#[cfg(all(doctest, target_os = "linux"))]
#[doc = include_str!("../../../docs/profiles.md")]
struct Profiles;
