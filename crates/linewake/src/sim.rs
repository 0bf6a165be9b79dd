//! Scripts of simulated chips. A [`Script`] holds [`Signal`]s and faults; it comes from Rust code, a file or a
//! recording.
//!
//! ```
//! use std::time::Duration;
//! use linewake::sim::{ClockKind, SimLine, Script, Signal};
//!
//! let ms = Duration::from_millis;
//! let script = Script::new()
//!     .line(SimLine::new("pps").signal(Signal::period(ms(1000)).duty(0.1)))
//!     .line(SimLine::new("button").signal(Signal::pulses(ms(80), ms(1000)..=ms(3000)).bounce(1..=4, ms(1), ms(1))))
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
//! A simulated chip loses edges as the Linux kernel does. Each request has a bounded queue, which drops its oldest
//! edges when it is full. Edges that come before the interrupt of an earlier one is handled are merged into it, and the
//! merged edge has the level at the time of *handling*. Edges that are queued when the chip is unplugged are lost. The
//! account counts all of these.
//!
//! The same script with the same seed makes the same changes at the same times on every machine. `docs/sim.md`
//! describes the files.

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

/// The largest script file that is read, in bytes.
const MOST_BYTES: u64 = 1 << 24;

/// True if the file has one of these extensions, in upper or lower case.
fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let its = path.extension().unwrap_or_default();
    extensions.iter().any(|extension| its.eq_ignore_ascii_case(extension))
}

impl Script {
    /// Reads a script (`.toml`) or a waveform (`.vcd`, `.fst`, `.ghw`). The extension may be in upper or lower case.
    /// `docs/sim.md` describes the files.
    ///
    /// # Errors
    /// [`ErrorKind::BadFile`], with file, line and column, and the key if there is one.
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
            let kinds = "a script (\".toml\") or a waveform (\".vcd\", \".fst\", \".ghw\")";
            Err(Error::new(ErrorKind::BadFile, format!("expected {kinds}, found \"{name}\"")))
        }
    }

    /// True if [`load`](Self::load) reads files with this name.
    pub(crate) fn is_of_file(name: &str) -> bool {
        has_extension(Path::new(name), &recording::EXTENSIONS) || has_extension(Path::new(name), &["toml"])
    }

    /// Parses the text of a script. Errors refer to it as `name`.
    ///
    /// ```
    /// use linewake::sim::Script;
    /// let error = Script::parse("here", "[[line]]\nname = 'x'\nperiod = '1 parsec'\n").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     r#"here:3:10: "line[0].period": expected a time such as "10us", "1.5ms" or "2s", found "1 parsec""#
    /// );
    /// ```
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        file::parse(name, text)
    }
}
