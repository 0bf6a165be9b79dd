//! The contents of a file's beginning, and the state that every format shares.

use crate::axis::{Axis, Tick};
use crate::bits::Bits;
use crate::notes::{Notes, Oddity};
use crate::variable::{LeftOut, Scopes};

/// The meaning of time 0, in a file that `linewake` wrote.
///
/// ```
/// let dump = "$version linewake 0.1.0 $end $comment time 0 is 280 ns of the clock \"monotonic\" $end";
/// let reader = linewake_wave::Reader::vcd("x.vcd", Box::new(dump.as_bytes()))?;
/// let base = reader.base().unwrap();
/// assert_eq!((base.ns, &*base.clock), (280, "monotonic"));
/// # Ok::<_, linewake_wave::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Time 0 in nanoseconds of the clock.
    pub ns: u64,
    /// The name of the clock.
    pub clock: String,
}

/// The contents of a file's beginning.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) scopes: Scopes,
    pub(crate) bits: Bits,
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) version: Option<String>,
    pub(crate) base: Option<Base>,
}

impl Head {
    pub(crate) fn is_ours(&self) -> bool {
        self.version.as_ref().is_some_and(|version| version.starts_with("linewake "))
    }
}

/// The state that every format shares.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) name: String,
    pub(crate) head: Head,
    pub(crate) axis: Axis,
    pub(crate) notes: Notes,
    pub(crate) segments: u32,
}

impl Common {
    /// Another waveform begins within the file. If both give their time 0 on the same clock, the time between them
    /// passes; otherwise the second follows the first at once.
    pub(crate) fn begin_segment(&mut self, line: u64, tick: Tick, base: Option<Base>) {
        self.segments += 1;
        let bases = self.head.base.as_ref().zip(base).filter(|(first, this)| first.clock == this.clock);
        let origin_ns = bases.map(|(first, this)| i128::from(first.ns) - i128::from(this.ns));
        let origin_ns = origin_ns.filter(|origin_ns| -origin_ns >= self.axis.at_ns().into());
        self.axis.begin_segment(tick, origin_ns);
        let name = &self.name;
        self.notes.add(Oddity::Segment, || {
            format!("{name}:{line}: another waveform begins; it is taken to follow the first")
        });
    }
}
