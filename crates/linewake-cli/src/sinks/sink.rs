//! Where a watch is written to: several places at once, each told everything in the same order.

use std::borrow::Cow;
use std::io;
use std::time::Instant;

use linewake::filter::{ChatterEvent, FilterTally};
use linewake::record::{Heartbeat, NamedChip, SCHEMA, Start};
use linewake::{Account, Clock, ClockStep, EdgeEvent, EdgeKind, Gap, LineAccount, LineState};

use super::select::OutputLine;
use crate::readers::{self, Readers};

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
    pub(crate) lines: &'a [OutputLine],
    /// Where it was recorded, if this is no watch but what is left of one.
    pub(crate) origin: Option<Origin<'a>>,
}

/// What a recording says of the computer on which it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) boot_id: Option<&'a str>,
    pub(crate) utc_synchronised: Option<bool>,
}

impl<'a> View<'a> {
    /// What a record stream begins with.
    pub(crate) fn start(&self) -> Start<'a> {
        let start = match self.origin {
            Some(Origin { host, boot_id, utc_synchronised }) => Start {
                schema: SCHEMA,
                host: host.map(Cow::Borrowed),
                boot_id: boot_id.map(Cow::Borrowed),
                clock: self.clock.name.into(),
                utc_offset_ns: self.clock.utc.map(|utc| utc.offset_ns),
                utc_error_ns: self.clock.utc.map(|utc| utc.error_ns),
                utc_synchronised,
                chips: Vec::new(),
            },
            None => Start::new(self.clock),
        };
        start.with_chips(self.chips.iter().cloned())
    }
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
    /// Where several watches were played one after the other: the same of the last of them alone.
    pub(crate) of_last: Option<OfLast<'a>>,
}

impl<'a> Closing<'a> {
    /// The lines of all accounts, each with its request.
    pub(super) fn lines(self) -> impl Iterator<Item = (usize, &'a LineAccount)> {
        let accounts = self.accounts.iter().enumerate();
        accounts.flat_map(|(request, (_, account))| account.lines().iter().map(move |line| (request, line)))
    }
}

/// Accounts, and what filters made of the edges of each line.
pub(crate) type OfLast<'a> = (&'a [(String, Account)], Option<&'a [FilterTally]>);

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
    /// Another watch begins behind the one that is played, whose own account is here.
    fn next_watch(&mut self, _ended: Closing<'_>, _view: View<'_>) -> io::Result<()> {
        Ok(())
    }
    /// A line comes that was not known when it began: the last of all.
    fn add_line(&mut self, _line: &OutputLine) -> io::Result<()> {
        Ok(())
    }
    /// Whether it begins anew, in the file that has its name now. The old one is closed by what is known so far.
    fn reopen(&mut self, _: Closing<'_>) -> io::Result<bool> {
        Ok(false)
    }
    /// Whether somebody has emptied its file, so that it begins anew.
    fn was_emptied(&mut self) -> bool {
        false
    }
    /// When it is to be flushed though nothing happens.
    fn due(&self) -> Option<Instant> {
        None
    }
    /// Where it is written, if that is somewhere that a reader can leave.
    fn place(&self) -> Option<readers::Place<'_>> {
        None
    }
}

/// All places a watch is written to.
pub(crate) struct Sinks {
    all: Vec<NamedSink>,
    /// Edges since the last flush.
    unwritten: u64,
    /// Whether nothing is told since the last flush.
    is_flushed: bool,
    now: Beginning,
}

/// What a file that begins in the middle is told.
#[derive(Default)]
struct Beginning {
    clock: Option<Clock>,
    chips: Vec<NamedChip<'static>>,
    began_ns: Option<u64>,
    lines: Vec<OutputLine>,
    /// The levels, of lines that had one.
    states: Vec<Option<LineState>>,
    /// The last step of each clock that made one.
    steps: Vec<ClockStep>,
}

impl Beginning {
    fn note(&mut self, item: Item<'_>) {
        match item {
            Item::State { line, state } => {
                if let Some(known) = self.states.get_mut(line) {
                    *known = Some(state.clone());
                }
            }
            Item::Edge { line, edge } => {
                if let Some(Some(known)) = self.states.get_mut(line) {
                    known.active = Some(edge.kind == EdgeKind::Rising);
                }
            }
            Item::Gap { request, gap } if !gap.is_over => {
                let states = self.lines.iter().zip(&mut self.states);
                let of_request = states.filter(|(line, _)| line.request == request);
                of_request.filter_map(|(_, state)| state.as_mut()).for_each(|state| state.active = None);
            }
            Item::Clock(step) => {
                self.steps.retain(|known| known.chip != step.chip);
                self.steps.push(step.clone());
            }
            Item::Gap { .. } | Item::Chatter(_) | Item::Heartbeat(_) => {}
        }
    }

    fn tell(&self, sink: &mut dyn Sink) -> io::Result<()> {
        let Some(clock) = &self.clock else { return Ok(()) };
        let (chips, lines) = (&self.chips, &self.lines);
        sink.begin(View { clock, chips, began_ns: self.began_ns, lines, origin: None })?;
        let known = self.states.iter().enumerate().filter_map(|(line, state)| Some((line, state.as_ref()?)));
        for (line, state) in known {
            sink.item(Item::State { line, state })?;
        }
        self.steps.iter().try_for_each(|step| sink.item(Item::Clock(step)))
    }
}

struct NamedSink {
    name: String,
    sink: Box<dyn Sink>,
    has_failed: bool,
}

/// A place could not be written to.
#[derive(Debug)]
pub(crate) struct WriteError {
    /// "standard output", or the file's name in quotes.
    pub(crate) place: String,
    /// Why.
    pub(crate) error: io::Error,
    /// Edges that were taken and may not have got there.
    pub(crate) unwritten: u64,
}

impl Sinks {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), unwritten: 0, is_flushed: false, now: Beginning::default() }
    }

    pub(crate) fn add(&mut self, name: impl Into<String>, sink: Box<dyn Sink>) {
        self.all.push(NamedSink { name: name.into(), sink, has_failed: false });
    }

    /// Those who read it.
    pub(crate) fn readers(&self) -> Readers {
        self.all.iter().filter_map(|place| place.sink.place()).collect()
    }

    /// The same without standard output.
    pub(crate) fn readers_of_files(&self) -> Readers {
        let files = self.all.iter().filter_map(|place| place.sink.place());
        files.filter(|place| matches!(place, readers::Place::File(_))).collect()
    }

    /// Tells every place that has not failed; the first new failure, if there is one.
    fn each(&mut self, mut tell: impl FnMut(&mut dyn Sink, &Beginning) -> io::Result<()>) -> Result<(), WriteError> {
        let mut lost = Ok(());
        for place in self.all.iter_mut().filter(|place| !place.has_failed) {
            if let Err(error) = tell(&mut *place.sink, &self.now) {
                place.has_failed = true;
                lost = lost.and(Err(WriteError { place: place.name.clone(), error, unwritten: self.unwritten }));
            }
        }
        lost
    }

    pub(crate) fn begin(&mut self, view: View<'_>) -> Result<(), WriteError> {
        self.now = Beginning {
            clock: Some(*view.clock),
            chips: view.chips.iter().map(kept).collect(),
            began_ns: view.began_ns,
            lines: view.lines.to_vec(),
            states: vec![None; view.lines.len()],
            steps: Vec::new(),
        };
        self.each(|sink, _| sink.begin(view))?;
        self.flush()
    }

    pub(crate) fn item(&mut self, item: Item<'_>) -> Result<(), WriteError> {
        if std::mem::take(&mut self.is_flushed) {
            // A rotation that copies and empties what it copied.
            self.each(|sink, known| if sink.was_emptied() { known.tell(sink) } else { Ok(()) })?;
        }
        self.unwritten += u64::from(matches!(item, Item::Edge { .. }));
        self.now.note(item);
        self.each(|sink, _| sink.item(item))
    }

    pub(crate) fn next_watch(&mut self, ended: Closing<'_>, view: View<'_>) -> Result<(), WriteError> {
        self.now.clock = Some(*view.clock);
        self.each(|sink, _| sink.next_watch(ended, view))
    }

    pub(crate) fn add_line(&mut self, line: &OutputLine) -> Result<(), WriteError> {
        self.now.lines.push(line.clone());
        self.now.states.push(None);
        self.each(|sink, _| sink.add_line(line))
    }

    /// A sink that begins anew is told what a file begins with, and the levels as they are known now.
    pub(crate) fn reopen(&mut self, closing: Closing<'_>) -> Result<(), WriteError> {
        self.each(|sink, known| if sink.reopen(closing)? { known.tell(sink) } else { Ok(()) })?;
        self.flush()
    }

    /// When something is to be flushed though nothing happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.all.iter().filter(|place| !place.has_failed).filter_map(|place| place.sink.due()).min()
    }

    pub(crate) fn flush(&mut self) -> Result<(), WriteError> {
        self.each(|sink, _| sink.flush())?;
        self.unwritten = 0;
        self.is_flushed = true;
        Ok(())
    }

    pub(crate) fn end(&mut self, closing: Closing<'_>) -> Result<(), WriteError> {
        self.each(|sink, _| sink.end(closing))
    }
}

/// A chip's names, for as long as they are wanted.
fn kept(chip: &NamedChip<'_>) -> NamedChip<'static> {
    let own = |text: &str| text.to_owned().into();
    NamedChip { chip: own(&chip.chip), id: own(&chip.id), name: own(&chip.name), label: own(&chip.label) }
}
