//! Reads waveforms (VCD, FST, GHW) as one stream of changes of single bits.
//!
//! A reader needs memory for the header and a buffer, however long the file is. Every bit of every variable is a
//! [`Wire`]. Times are whole nanoseconds that never go back.
//!
//! ```
//! use linewake_wave::{Level, Reader};
//!
//! let dump = "$timescale 1 us $end $scope module top $end $var wire 2 ! a $end $upscope $end $enddefinitions $end
//!     #0 b00 ! #10 b10 !";
//! let mut reader = Reader::vcd("x.vcd", Box::new(dump.as_bytes()))?;
//! assert_eq!(reader.wires().map(|wire| wire.path()).collect::<Vec<_>>(), ["top.a[0]", "top.a[1]"]);
//! reader.watch(&[1]);
//! let changes = reader.collect::<Result<Vec<_>, _>>()?;
//! let changes: Vec<_> = changes.iter().map(|change| (change.at_ns, change.wire, change.level)).collect();
//! assert_eq!(changes, [(0, 1, Level::Low), (10_000, 1, Level::High)]);
//! # Ok::<_, linewake_wave::Error>(())
//! ```

mod axis;
mod bits;
mod declare;
mod error;
#[cfg(feature = "fst")]
mod fst;
mod ghw;
mod head;
mod leb128;
mod notes;
mod reader;
mod text;
mod variable;
mod vcd;

pub use self::bits::{Change, Level};
pub use self::error::Error;
pub use self::head::Base;
pub use self::reader::{Format, Reader};
pub use self::variable::{LeftOut, Variable, Wire};
