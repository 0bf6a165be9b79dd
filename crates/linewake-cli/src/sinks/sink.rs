//! The sinks of a watch: each gets all events, in the same order.

use std::borrow::Cow;
use std::io;
use std::time::Instant;

use linewake::filter::{ChatterEvent, FilterTally};
use linewake::record::{Heartbeat, NamedChip, SCHEMA, Start};
use linewake::{Account, Clock, ClockStep, EdgeEvent, EdgeKind, Gap, LineAccount, LineState};

use super::select::OutputLine;
use crate::readers::{self, Readers};

/// The facts about a watch when it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The clock of all time stamps.
    pub(crate) clock: &'a Clock,
    /// The chips, with their names in events.
    pub(crate) chips: &'a [NamedChip<'a>],
    /// The time of the clock when the watch began, if it can be read.
    pub(crate) began_ns: Option<u64>,
    /// The watched lines, in the order of the command line.
    pub(crate) lines: &'a [OutputLine],
    /// The computer that recorded it, if this is the replay of a capture.
    pub(crate) origin: Option<Origin<'a>>,
}

/// The computer that made a recording, as the recording describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) boot_id: Option<&'a str>,
    pub(crate) utc_synchronised: Option<bool>,
}

impl<'a> View<'a> {
    /// The first record of a record stream.
    pub(crate) fn start(&self) -> Start<'a> {
        let start = match self.origin {
            Some(Origin { host, boot_id, utc_synchronised }) => Start {
                schema: SCHEMA,
                host: host.map(Cow::Borrowed),
                boot_id: boot_id.map(Cow::Borrowed),
                clock: self.clock.name.as_str().into(),
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

/// An event. `line` is a place in [`View::lines`], and `request` that of a chip.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'a> {
    State { line: usize, state: &'a LineState },
    Edge { line: usize, edge: &'a EdgeEvent },
    Gap { request: usize, gap: &'a Gap },
    Clock(&'a ClockStep),
    Chatter(&'a ChatterEvent),
    Heartbeat(Heartbeat),
}

/// The facts about a watch when it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing<'a> {
    /// The chip's name and the account of each request.
    pub(crate) accounts: &'a [(String, Account)],
    /// The figures of the filter of each line, one request after the other, if there are filters.
    pub(crate) tallies: Option<&'a [FilterTally]>,
    /// Number of threads of the process.
    pub(crate) threads: Option<u32>,
    /// The time of the clock now, if it can be read.
    pub(crate) now_ns: Option<u64>,
    /// If several watches were played one after the other: the accounts of the last one.
    pub(crate) of_last: Option<OfLast<'a>>,
}

impl<'a> Closing<'a> {
    /// The lines of all accounts, each with its request.
    pub(super) fn lines(self) -> impl Iterator<Item = (usize, &'a LineAccount)> {
        let accounts = self.accounts.iter().enumerate();
        accounts.flat_map(|(request, (_, account))| account.lines().iter().map(move |line| (request, line)))
    }
}

/// Accounts, and the figures of the filter of each line.
pub(crate) type OfLast<'a> = (&'a [(String, Account)], Option<&'a [FilterTally]>);

/// Writes a watch in one form to one place.
pub(crate) trait Sink {
    /// The watch begins. Called before all other methods, and again after `reopen` or `was_emptied` returned true.
    fn begin(&mut self, view: View<'_>) -> io::Result<()>;
    /// An event happened.
    fn item(&mut self, item: Item<'_>) -> io::Result<()>;
    /// All events of one wake-up were passed on: writes out what is buffered.
    fn flush(&mut self) -> io::Result<()>;
    /// The watch is over: writes the end, and flushes.
    fn end(&mut self, closing: Closing<'_>) -> io::Result<()>;
    /// In a replay, another watch begins behind the one that ended with these accounts.
    fn next_watch(&mut self, _ended: Closing<'_>, _view: View<'_>) -> io::Result<()> {
        Ok(())
    }
    /// In a replay, a line appears that was not known at the beginning. It is the last of all lines.
    fn add_line(&mut self, _line: &OutputLine) -> io::Result<()> {
        Ok(())
    }
    /// SIGHUP came. If another file has the name now, closes the old one with the account so far, and returns true: the
    /// sink begins anew.
    fn reopen(&mut self, _: Closing<'_>) -> io::Result<bool> {
        Ok(false)
    }
    /// True if another program has emptied the file: then the sink begins anew.
    fn was_emptied(&mut self) -> bool {
        false
    }
    /// When to call `flush` even if nothing happens.
    fn due(&self) -> Option<Instant> {
        None
    }
    /// The output, if it has a reader that can leave.
    fn place(&self) -> Option<readers::WatchedOutput<'_>> {
        None
    }
}

/// All sinks of a watch.
pub(crate) struct Sinks {
    all: Vec<NamedSink>,
    /// Number of edges since the last flush.
    unwritten: u64,
    /// Nothing was passed on since the last flush.
    is_flushed: bool,
    now: Beginning,
}

/// The facts that a file needs if it begins in the middle of a watch.
#[derive(Default)]
struct Beginning {
    clock: Option<Clock>,
    chips: Vec<NamedChip<'static>>,
    began_ns: Option<u64>,
    lines: Vec<OutputLine>,
    /// The present levels of lines that had one.
    states: Vec<Option<LineState>>,
    /// The last step of each clock.
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

/// A sink could not be written to.
#[derive(Debug)]
pub(crate) struct WriteError {
    /// The name of the output: "standard output", or a file in quotes.
    pub(crate) place: String,
    /// The cause.
    pub(crate) error: io::Error,
    /// Number of delivered edges that may not have been written.
    pub(crate) unwritten: u64,
    /// The errors of other sinks at the same time, in their order: one full disk ends several sinks.
    pub(crate) others: Vec<WriteError>,
}

impl Sinks {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), unwritten: 0, is_flushed: false, now: Beginning::default() }
    }

    pub(crate) fn add(&mut self, name: impl Into<String>, sink: Box<dyn Sink>) {
        self.all.push(NamedSink { name: name.into(), sink, has_failed: false });
    }

    /// The readers of all outputs.
    pub(crate) fn readers(&self) -> Readers {
        self.all.iter().filter_map(|place| place.sink.place()).collect()
    }

    /// The readers of all outputs but standard output.
    pub(crate) fn readers_of_files(&self) -> Readers {
        let files = self.all.iter().filter_map(|place| place.sink.place());
        files.filter(|place| matches!(place, readers::WatchedOutput::File(_))).collect()
    }

    /// Calls every sink that has not failed, and returns the first new failure, with the others in it.
    fn each(&mut self, mut tell: impl FnMut(&mut dyn Sink, &Beginning) -> io::Result<()>) -> Result<(), WriteError> {
        let mut lost: Result<(), WriteError> = Ok(());
        for place in self.all.iter_mut().filter(|place| !place.has_failed) {
            if let Err(error) = tell(&mut *place.sink, &self.now) {
                place.has_failed = true;
                let other =
                    WriteError { place: place.name.clone(), error, unwritten: self.unwritten, others: Vec::new() };
                match &mut lost {
                    Err(first) => first.others.push(other),
                    Ok(()) => lost = Err(other),
                }
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
            // A log rotation may have copied and emptied a file.
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

    /// Tells all sinks to look for other files. Those that begin anew get the levels as they are now.
    pub(crate) fn reopen(&mut self, closing: Closing<'_>) -> Result<(), WriteError> {
        self.each(|sink, known| if sink.reopen(closing)? { known.tell(sink) } else { Ok(()) })?;
        self.flush()
    }

    /// When the next flush is due even if nothing happens.
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

/// A copy of a chip's names.
fn kept(chip: &NamedChip<'_>) -> NamedChip<'static> {
    let own = |text: &str| text.to_owned().into();
    NamedChip { chip: own(&chip.chip), id: own(&chip.id), name: own(&chip.name), label: own(&chip.label) }
}
