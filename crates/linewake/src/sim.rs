//! What happens on a simulated chip: [`Script`]s of [`Signal`]s and faults, from Rust, from a file, or from a recording.
//!
//! ```
//! use std::time::Duration;
//! use linewake::sim::{ClockKind, SimLine, Script, Signal};
//!
//! let ms = Duration::from_millis;
//! let script = Script::new()
//!     .line(SimLine::new("pps").signal(Signal::period(ms(1000)).duty(0.1)))
//!     .line(SimLine::new("button").signal(Signal::pulses(ms(80)..=ms(300), ms(1000)..=ms(3000)).bounce(1..=4, ms(1), ms(1))))
//!     .clock(ClockKind::Virtual);
//! let chip = script.open()?;
//! let mut edges = chip.request().all_lines().start()?;
//! let day = Duration::from_secs(24 * 3600);
//! let mut seconds = 0;
//! while let Some(edge) = edges.wait_next() {
//!     let edge = edge?;
//!     seconds += u32::from(edge.offset.get() == 0 && edge.kind == linewake::EdgeKind::Rising);
//!     # let day = Duration::from_secs(60);
//!     if edge.timestamp_ns >= day.as_nanos() as u64 {
//!         break;
//!     }
//! }
//! # assert_eq!(seconds, 61);
//! # Ok::<(), linewake::Error>(())
//! ```
//!
//! What a chip of a script loses, it loses as the Linux kernel does: from a bounded queue of each request the oldest go;
//! edges that come before their interrupt is dealt with are merged into it, and it has the level of *then*; what is queued
//! when the chip is unplugged is gone. And every edge of it is in the account.
//!
//! The same script with the same seed makes the same changes at the same times, on every machine.
//! `docs/sim.md` has the files.

mod change;
mod file;
mod play;
mod recording;
mod script;
mod signal;

use std::fmt;
use std::path::Path;

pub use self::change::{Change, ClockKind, What};
pub(crate) use self::play::Play;
pub use self::script::{Script, SimLine};
pub use self::signal::{Count, Quadrature, Signal, Span, Turn};
use crate::{Error, ErrorKind};

/// A larger file is no script.
const MOST_BYTES: u64 = 1 << 24;

/// Whether the name of a file ends in one of these, in whatever case.
fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let its = path.extension().unwrap_or_default();
    extensions.iter().any(|extension| its.eq_ignore_ascii_case(extension))
}

impl Script {
    /// Reads a script (`.toml`) or a waveform (`.vcd`, `.fst`, `.ghw`), in whatever case its extension is; `docs/sim.md` has
    /// what they are made of.
    ///
    /// # Errors
    /// [`ErrorKind::BadFile`], with file, line and column, and the key where there is one.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let cannot =
            |error: &dyn fmt::Display| Error::new(ErrorKind::BadFile, format!("cannot read \"{name}\": {error}"));
        if has_extension(path, &recording::EXTENSIONS) {
            recording::load(path)
        } else if has_extension(path, &["toml"]) {
            Self::parse(&name, &crate::text::read(path, MOST_BYTES).map_err(|error| cannot(&error))?)
        } else {
            let kinds = "a script (\".toml\") nor a waveform (\".vcd\", \".fst\", \".ghw\")";
            Err(Error::new(ErrorKind::BadFile, format!("\"{name}\" is neither {kinds}")))
        }
    }

    /// Whether a name is that of a file which [`load`](Self::load) reads.
    pub(crate) fn is_of_file(name: &str) -> bool {
        has_extension(Path::new(name), &recording::EXTENSIONS) || has_extension(Path::new(name), &["toml"])
    }

    /// Reads the text of a script; errors call it `name`.
    ///
    /// ```
    /// use linewake::sim::Script;
    /// let error = Script::parse("here", "[[line]]\nname = 'x'\nperiod = '1 parsec'\n").unwrap_err();
    /// assert_eq!(error.to_string(), r#"here:3:10: "line[0].period": "1 parsec" is no time; try "10us", "1.5ms" or "2s""#);
    /// ```
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        file::parse(name, text)
    }
}
