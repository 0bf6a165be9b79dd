//! Where a watch is written to: several places at once, each told everything in the same order.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use linewake::filter::{ChatterEvent, FilterTally};
use linewake::record::{Heartbeat, NamedChip};
use linewake::{Account, Clock, ClockStep, EdgeEvent, Gap, LineState};

use super::select::Watched;
use crate::exit::Failure;

/// What a watch begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Of all time stamps.
    pub(crate) clock: &'a Clock,
    /// The chips, by what events call them.
    pub(crate) chips: &'a [NamedChip<'a>],
    /// What it showed when the watch began, where it can be read.
    pub(crate) began_ns: Option<u64>,
    /// What is watched, in the order the user said.
    pub(crate) lines: &'a [Watched],
}

/// Something that happened. `line` is a place in [`View::lines`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'a> {
    State { line: usize, state: &'a LineState },
    Edge { line: usize, edge: &'a EdgeEvent },
    Gap { request: usize, gap: &'a Gap },
    Clock(&'a ClockStep),
    Chatter(&'a ChatterEvent),
    Heartbeat(Heartbeat),
}

/// How a watch ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing<'a> {
    /// Of each request: the name of its chip, and what became of its edges.
    pub(crate) accounts: &'a [(String, Account)],
    /// What filters made of the edges of each line, one request after the other, if there are any.
    pub(crate) tallies: Option<&'a [FilterTally]>,
    /// Threads of the process.
    pub(crate) threads: Option<u32>,
    /// What the clock shows, where it can be read.
    pub(crate) now_ns: Option<u64>,
}

/// A place to write a watch to.
pub(crate) trait Sink {
    /// What comes before anything else.
    fn begin(&mut self, view: View<'_>) -> io::Result<()>;
    /// Something happened.
    fn item(&mut self, item: Item<'_>) -> io::Result<()>;
    /// All that one wake-up brought was told.
    fn flush(&mut self) -> io::Result<()>;
    /// It is over. Flushes too.
    fn end(&mut self, closing: Closing<'_>) -> io::Result<()>;
}

/// A buffered output. What is left in it when it is dropped is not written: it could not be.
pub(crate) struct Out {
    buffer: Vec<u8>,
    into: Box<dyn Write>,
}

/// When the buffer is written out without being asked to.
const FULL: usize = 1 << 16;

impl Out {
    pub(crate) fn new(into: Box<dyn Write>) -> Self {
        Self { buffer: Vec::with_capacity(FULL + 1024), into }
    }

    /// A file that is made anew, or standard output for "-".
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self::new(Box::new(io::stdout().lock())));
        }
        Ok(Self::new(Box::new(create(path)?)))
    }

    /// A number, in decimal digits.
    #[inline]
    pub(crate) fn number(&mut self, number: impl itoa::Integer) -> io::Result<()> {
        self.write_all(itoa::Buffer::new().format(number).as_bytes())
    }

    fn write_out(&mut self) -> io::Result<()> {
        let written = self.into.write_all(&self.buffer);
        self.buffer.clear();
        written
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < FULL { Ok(()) } else { self.write_out() }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out()?;
        self.into.flush()
    }
}

/// Makes a file, and says what to do when it cannot be.
pub(crate) fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "make its directory first",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "name one in a directory that you may write to"
            }
            io::ErrorKind::IsADirectory => "name a file in it",
            _ => "name another file",
        };
        Failure::new(format!("cannot write \"{}\": {error}; {remedy}", path.display()))
    })
}

/// All places a watch is written to.
pub(crate) struct Sinks {
    all: Vec<Place>,
    /// Edges since the last flush.
    unwritten: u64,
}

struct Place {
    name: String,
    sink: Box<dyn Sink>,
    has_failed: bool,
}

/// A place could not be written to.
#[derive(Debug)]
pub(crate) struct Lost {
    /// "standard output", or the file's name in quotes.
    pub(crate) place: String,
    /// Why.
    pub(crate) error: io::Error,
    /// Edges that were taken and may not have got there.
    pub(crate) unwritten: u64,
}

impl Sinks {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), unwritten: 0 }
    }

    pub(crate) fn add(&mut self, name: impl Into<String>, sink: impl Sink + 'static) {
        self.all.push(Place { name: name.into(), sink: Box::new(sink), has_failed: false });
    }

    /// Tells every place that has not failed; the first new failure, if there is one.
    fn each(&mut self, mut tell: impl FnMut(&mut dyn Sink) -> io::Result<()>) -> Result<(), Lost> {
        let mut lost = Ok(());
        for place in self.all.iter_mut().filter(|place| !place.has_failed) {
            if let Err(error) = tell(&mut *place.sink) {
                place.has_failed = true;
                lost = lost.and(Err(Lost { place: place.name.clone(), error, unwritten: self.unwritten }));
            }
        }
        lost
    }

    pub(crate) fn begin(&mut self, view: View<'_>) -> Result<(), Lost> {
        self.each(|sink| sink.begin(view))?;
        self.flush()
    }

    pub(crate) fn item(&mut self, item: Item<'_>) -> Result<(), Lost> {
        self.unwritten += u64::from(matches!(item, Item::Edge { .. }));
        self.each(|sink| sink.item(item))
    }

    pub(crate) fn flush(&mut self) -> Result<(), Lost> {
        self.each(|sink| sink.flush())?;
        self.unwritten = 0;
        Ok(())
    }

    pub(crate) fn end(&mut self, closing: Closing<'_>) -> Result<(), Lost> {
        self.each(|sink| sink.end(closing))
    }
}
