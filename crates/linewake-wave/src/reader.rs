//! The reader for all formats: the contents of a file's head, and its changes one after the other.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::bits::Change;
use crate::error::Error;
use crate::ghw;
use crate::head::{Base, Common};
use crate::variable::{LeftOut, Variable, Wire};
use crate::{text, vcd};

/// The format of a waveform.
///
/// ```
/// let reader = linewake_wave::Reader::vcd("x.vcd", Box::new("$var wire 1 ! a $end".as_bytes()))?;
/// assert_eq!(reader.format(), linewake_wave::Format::Vcd);
/// # Ok::<_, linewake_wave::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A value change dump, the extended one too (IEEE 1364-2005, 18).
    Vcd,
    /// GTKWave's format: compressed blocks.
    Fst,
    /// GHDL's format for VHDL.
    Ghw,
}

/// Reads a waveform: an iterator of its changes, in the order of the file.
///
/// See [the crate](crate) for an example.
pub struct Reader {
    common: Common,
    body: Body,
    is_over: bool,
    /// A failure, which is reported after the changes before it.
    failure: Option<Error>,
}

enum Body {
    Vcd(vcd::Changes),
    #[cfg(feature = "fst")]
    Fst(crate::fst::Blocks),
    Ghw(ghw::Cycles),
}

impl Reader {
    /// Reads the head of a value change dump. The name appears in messages.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not a value change dump.
    pub fn vcd(name: &str, source: Box<dyn BufRead + Send>) -> Result<Self, Error> {
        let (common, changes) = vcd::open(name, source)?;
        Ok(Self { common, body: Body::Vcd(changes), is_over: false, failure: None })
    }

    /// Reads the head of an FST file. The name appears in messages.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not an FST file.
    #[cfg(feature = "fst")]
    pub fn fst(name: &str, source: impl std::io::Read + std::io::Seek + Send + 'static) -> Result<Self, Error> {
        let (common, blocks) = crate::fst::open(name, Box::new(source))?;
        Ok(Self { common, body: Body::Fst(blocks), is_over: false, failure: None })
    }

    /// Reads the head of a GHW file. The name appears in messages.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not a GHW file.
    pub fn ghw(name: &str, source: Box<dyn BufRead + Send>) -> Result<Self, Error> {
        let (common, cycles) = ghw::open(name, Box::new(source))?;
        Ok(Self { common, body: Body::Ghw(cycles), is_over: false, failure: None })
    }

    /// Reads the head of a waveform that comes as a stream. Its first bytes tell whether it is a value change dump or a
    /// GHW file. The name appears in messages.
    ///
    /// # Errors
    ///
    /// When the stream cannot be read, or is not a waveform, or is an FST, whose end must be read first.
    pub fn stream(name: &str, source: Box<dyn BufRead + Send>) -> Result<Self, Error> {
        let (first, source) = text::peek(Box::new(source)).map_err(|error| Error::unreadable(name, error))?;
        let source = Box::new(BufReader::with_capacity(1 << 16, source));
        match first {
            _ if first.starts_with(ghw::MAGIC) => Self::ghw(name, source),
            _ if is_fst(&first) => {
                let remedy = "give it as a file that is not compressed";
                Err(Error::unreadable(name, format_args!("an FST is read from its end; {remedy}")))
            }
            _ => Self::vcd(name, source),
        }
    }

    /// Opens a file of any name: its first bytes tell its format.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not a waveform.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let unread = |error: std::io::Error| Error::unreadable(&name, error);
        let file = std::fs::File::open(path).map_err(unread)?;
        let mut file = BufReader::with_capacity(1 << 16, file);
        let first = file.fill_buf().map_err(unread)?;
        if !is_fst(first) {
            return Self::stream(&name, Box::new(file));
        }
        #[cfg(feature = "fst")]
        return Self::fst(&name, file);
        #[cfg(not(feature = "fst"))]
        Err(Error::unreadable(&name, "this program was built without FST"))
    }

    /// The format of the file.
    #[must_use]
    pub fn format(&self) -> Format {
        match self.body {
            Body::Vcd(_) => Format::Vcd,
            #[cfg(feature = "fst")]
            Body::Fst(_) => Format::Fst,
            Body::Ghw(_) => Format::Ghw,
        }
    }

    /// The program that wrote it, if the file names one.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.common.head.version.as_deref()
    }

    /// Whether `linewake` wrote it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.common.head.is_ours()
    }

    /// The meaning of time 0, if `linewake` wrote it and knew.
    #[must_use]
    pub fn base(&self) -> Option<&Base> {
        self.common.head.base.as_ref()
    }

    /// All variables that have bits.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.common.head.bits.variables
    }

    /// All bits: the variables in the order of the file, and the bits of each by their numbers.
    pub fn wires(&self) -> impl Iterator<Item = Wire<'_>> {
        let scopes = &self.common.head.scopes;
        let of = move |variable| move |index| Wire { scopes, variable, index };
        self.variables().iter().flat_map(move |variable| variable.wires().map(of(variable)))
    }

    /// How many wires there are.
    #[must_use]
    pub fn wire_count(&self) -> usize {
        self.common.head.bits.len()
    }

    /// A wire by its place.
    ///
    /// # Panics
    ///
    /// When there are not so many wires.
    #[must_use]
    pub fn wire(&self, index: usize) -> Wire<'_> {
        assert!(index < self.wire_count(), "wire {index} is out of range; there are {}", self.wire_count());
        let variables = self.variables();
        let at = variables.partition_point(|variable| variable.wires().end <= index);
        Wire { scopes: &self.common.head.scopes, variable: &variables[at], index }
    }

    /// The wires that are lines. In a file that `linewake` wrote, this leaves out the wires that say when edges were
    /// lost.
    #[must_use]
    pub fn lines(&self) -> Vec<usize> {
        let lines = self.variables().iter().filter(|variable| !variable.is_lost_mark);
        lines.flat_map(Variable::wires).collect()
    }

    /// The wires with this name, which is that of a bit (`PORTB[0]`) or of a whole variable (`PORTB`), with or without
    /// its scopes in front.
    ///
    /// ```
    /// let dump = "$scope module top $end $var reg 8 ! PORTB [7:0] $end $enddefinitions $end";
    /// let reader = linewake_wave::Reader::vcd("x.vcd", Box::new(dump.as_bytes()))?;
    /// assert_eq!(reader.find("top.PORTB"), [0, 1, 2, 3, 4, 5, 6, 7]);
    /// assert_eq!(reader.find("PORTB[2]"), [2]);
    /// # Ok::<_, linewake_wave::Error>(())
    /// ```
    #[must_use]
    pub fn find(&self, name: &str) -> Vec<usize> {
        let scopes = &self.common.head.scopes;
        let is_of = |variable: &Variable, name: &str| {
            let before = name.strip_suffix(&*variable.name);
            let is_scope = |before: &str| before.strip_suffix('.') == Some(&*scopes.path(variable.scope));
            before.is_some_and(|before| before.is_empty() || is_scope(before))
        };
        let bit = name.ends_with(']').then(|| name.rfind('[')).flatten().map(|at| name.split_at(at));
        let mut found = Vec::new();
        for variable in self.variables() {
            if is_of(variable, name) {
                found.extend(variable.wires());
            } else if let Some((_, bit)) = bit.filter(|(name, _)| is_of(variable, name)) {
                let wire = |&index: &usize| Wire { scopes, variable, index };
                found.extend(variable.wires().find(|index| wire(index).name()[variable.name.len()..] == *bit));
            }
        }
        found
    }

    /// A name for each of these wires, all different: the wire's name; with its scopes if another wire has that name;
    /// and with a number if that is not enough.
    ///
    /// ```
    /// let dump = "$scope module l $end $var wire 1 ! a $end $upscope $end $var wire 1 ! a $end $var wire 1 ! b $end";
    /// let reader = linewake_wave::Reader::vcd("x.vcd", Box::new(dump.as_bytes()))?;
    /// assert_eq!(reader.names(&[0, 1, 2]), ["l.a", "a", "b"]);
    /// # Ok::<_, linewake_wave::Error>(())
    /// ```
    #[must_use]
    pub fn names(&self, wires: &[usize]) -> Vec<String> {
        let wires: Vec<_> = wires.iter().map(|&index| self.wire(index)).collect();
        let mut names: Vec<_> = wires.iter().map(Wire::name).collect();
        let mut uses = HashMap::<_, usize>::new();
        names.iter().for_each(|name| *uses.entry(name.clone()).or_default() += 1);
        for (name, wire) in names.iter_mut().zip(&wires) {
            if uses[name] > 1 {
                *name = wire.path();
            }
        }
        let mut taken: HashSet<_> = names.iter().cloned().collect();
        let mut numbers = HashMap::<_, usize>::new();
        for name in &mut names {
            let number = numbers.entry(name.clone()).or_default();
            *number += 1;
            // The first wire keeps the name itself.
            while *number > 1 {
                let with_number = format!("{name}_{number}");
                if taken.insert(with_number.clone()) {
                    *name = with_number;
                    break;
                }
                *number += 1;
            }
        }
        names
    }

    /// The variables that are left out, since they have no bits.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.common.head.left_out
    }

    /// From now on reports only these wires. Without a call it reports all.
    pub fn watch(&mut self, wires: &[usize]) {
        self.common.head.bits.watch(wires.iter().copied());
    }

    /// The oddities of the file so far, for example that it is cut off, or that time went back and was held. Each kind
    /// once.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.common.notes.texts().collect()
    }

    /// Whether [`next`](Iterator::next) returns without waiting for more bytes of the file.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_over
            || self.common.head.bits.has_pending()
            || match &self.body {
                Body::Vcd(changes) => changes.is_ready(),
                // Files of other formats are complete when they are read.
                _ => true,
            }
    }

    /// The next change, if it is in the bytes that were read already; `None` if more bytes must come first. Failures
    /// come from [`next`](Iterator::next).
    pub fn next_here(&mut self) -> Option<Change> {
        while !self.is_over && !self.common.head.bits.has_pending() {
            if !self.is_ready() {
                return None;
            }
            self.step(false);
        }
        self.common.head.bits.pop()
    }

    fn step(&mut self, waits: bool) {
        let step = match &mut self.body {
            Body::Vcd(changes) => changes.step(&mut self.common, waits),
            #[cfg(feature = "fst")]
            Body::Fst(blocks) => blocks.step(&mut self.common),
            Body::Ghw(cycles) => cycles.step(&mut self.common),
        };
        match step {
            Ok(goes_on) => self.is_over = !goes_on,
            Err(error) => {
                self.is_over = true;
                self.failure = Some(error);
            }
        }
    }

    /// How many waveforms were in the file so far, one after the other: one, unless somebody appended more.
    #[must_use]
    pub fn segments(&self) -> u32 {
        self.common.segments
    }
}

/// Whether a file is an FST, by its first bytes: a head of 329 bytes, or one compressed block that is the whole file.
fn is_fst(first: &[u8]) -> bool {
    matches!(first, [0, 0, 0, 0, 0, 0, 0, 1, 0x49, ..]) || first.first() == Some(&254)
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, format) = (&self.common.name, self.format());
        f.debug_struct("Reader").field("name", name).field("format", &format).finish_non_exhaustive()
    }
}

impl Iterator for Reader {
    type Item = Result<Change, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(change) = self.common.head.bits.pop() {
                return Some(Ok(change));
            }
            if self.is_over {
                return self.failure.take().map(Err);
            }
            self.step(true);
        }
    }
}
