//! Captures of digital lines, read as one stream: what `linewake record`, `linewake mon` and other people's tools
//! wrote.
//!
//! A capture is a record stream (JSON lines, `docs/record.schema.json`), comma-separated values (`docs/csv.md`) or a
//! waveform ([`linewake_wave`]); compressed with gzip or Zstandard, or not. What it is says its content, not its name.
//! It is read as it comes, from a file or a pipe, in the memory of its lines and a buffer.
//!
//! Several captures one behind the other, as `>>` and a service that starts again leave them, are one capture of
//! several [segments](Item::Begin), each with an account of its own; their time is put on one axis that never goes back
//! on a line.
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
mod members;
mod source;
mod table;
mod told;
mod wave;

pub use self::capture::Capture;
pub use self::error::Error;
pub use self::item::{Account, Chatter, ClockStep, Edge, Gap, Item, Notice, Segment};
pub use self::table::{Chip, Line};
