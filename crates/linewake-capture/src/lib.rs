//! Reads captures of digital lines as one stream of edges: those of `linewake record` and `linewake mon`, and those
//! of other tools.
//!
//! A capture is a record stream (JSON lines, `docs/record.schema.json`), comma-separated values (`docs/csv.md`) or a
//! waveform ([`linewake_wave`]), and may be compressed with gzip or Zstandard. Its content decides which it is, not
//! its name. The reader takes it from a file or a pipe as it comes, and needs memory for its lines and a buffer.
//!
//! One file may hold several captures one after the other: `>>` makes such a file, and so does a service that starts
//! again. Each becomes a [segment](Item::Begin) with an account of its own. All segments share one time axis, which
//! never goes back on a line.
//!
//! ```
//! use linewake_capture::{Capture, Item};
//! let text = r#"
//! {"record":"start","schema":3,"host":null,"boot_id":null,"clock":"monotonic","utc_offset_ns":null,"utc_error_ns":null,"utc_synchronised":null}
//! {"record":"state","chip":"gpiochip0","offset":17,"name":"door","level":0}
//! {"record":"edge","chip":"gpiochip0","offset":17,"name":"door","kind":"rising","timestamp_ns":31536000000000003,"seqno":1,"line_seqno":1,"missed":{"overflowed":0,"merged":0}}
//! "#;
//! let mut capture = Capture::read("door.jsonl", text.trim_start().as_bytes())?;
//! while let Some(item) = capture.next()? {
//!     if let Item::Edge(edge) = item {
//!         let line = &capture.lines()[edge.line];
//!         assert_eq!((line.name.as_deref(), edge.timestamp_ns), (Some("door"), 31_536_000_000_000_003));
//!     }
//! }
//! # Ok::<(), linewake_capture::Error>(())
//! ```

mod axis;
mod capture;
mod csv;
mod error;
mod foreign;
mod item;
mod json;
mod kind;
mod line_reader;
mod members;
mod outbox;
mod table;
mod wave;

pub use self::capture::Capture;
pub use self::error::Error;
pub use self::item::{Account, Chatter, ClockStep, Edge, Gap, Item, Notice, Segment};
pub use self::table::{CapturedChip, CapturedLine};
