//! The lines of a request, and the edges of the watched ones.
//!
//! The kernel keeps edges that are not read, in a queue for each request. So the thread that waits reads them itself,
//! and nothing reads ahead of it.

mod events;
mod gathering;
mod start;

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use overlapped::{Device, ErrorKind as Kind, InvertedCall};

use self::events::decode;
use self::gathering::{Gathering, take};
use self::start::level_at_start;
use super::chip::{GpioChip, now_ns, of_chip};
use super::held::Wanted;
use super::{config, uapi};
use crate::backend::{HeldLines, Interrupts, Numbering, RawEdge};
use crate::{Error, LineConfig, Offset};

/// The most events of one read: the kernel's default queue of four lines, and enough that the system call costs little
/// for each event.
const BATCH: usize = 64;
/// The most batches that are read ahead of the program. Further events wait in the kernel's queue, which drops the
/// oldest.
const AHEAD: usize = 16;
/// How long cancelled reads may take to end: they end when the dispatcher runs.
const CANCEL: Duration = Duration::from_secs(10);

/// Lines held by one request to the kernel.
#[derive(Debug)]
pub(super) struct GpioLines {
    chip: Arc<str>,
    device: Device,
    lines: Vec<(Offset, LineConfig)>,
    /// A line held beside the requested ones, so that the kernel numbers interrupts.
    witness: Option<Offset>,
    /// True if the kernel numbers the chip's interrupts as they happen.
    direct: bool,
    active_at_start: Vec<Option<bool>>,
    levels_read_ns: Option<u64>,
    phase: Phase,
    /// Edges that were read and not given yet.
    read: Vec<RawEdge>,
    gathering: Option<Gathering>,
    /// Must be dropped after the file: from then on this process does not want the lines.
    _wanted: Wanted,
}

#[derive(Debug)]
enum Phase {
    /// Reads are pending.
    Live(InvertedCall<[u8]>),
    /// No line is watched.
    Idle,
    /// The watch was stopped. The edges in the kernel's queue are still to be taken.
    Stopped,
    Over,
}

impl GpioLines {
    /// Begins to watch lines that the kernel gave without edges.
    ///
    /// The levels are read before the first edge can be queued, and again after. If both are the same and no edge is
    /// queued, the line had that level at the start. A queued edge shows the level before it. Otherwise the line
    /// changed in between, and an edge may be on its way through the kernel's thread or not: there is none from before
    /// the interrupt was enabled, nor before `linereq_set_config` has noted, after that, which edges to report. A line
    /// that changed twice in between looks unchanged until its edge comes, with a time stamp from before the second
    /// reading.
    pub(super) fn start(
        chip: &GpioChip,
        device: Device,
        lines: Vec<(Offset, LineConfig)>,
        witness: Option<Offset>,
        watched: uapi::LineConfig,
        gather: Duration,
    ) -> Result<Self, Error> {
        let count = lines.len();
        let mut this = Self {
            chip: chip.info.name.clone(),
            direct: chip.place.interrupts_directly(),
            device,
            witness,
            active_at_start: Vec::new(),
            levels_read_ns: None,
            phase: Phase::Idle,
            read: Vec::new(),
            gathering: Gathering::new(gather)?,
            _wanted: Wanted::new(&chip.info.name, lines.iter().map(|line| line.0).chain(witness)),
            lines,
        };
        let before = uapi::values(&this.device, count).map_err(|error| this.error(error))?;
        let mut after = before;
        if this.is_watched() {
            uapi::set_config(&this.device, watched)
                .map_err(|error| super::help::not_watched(chip, error, &this.lines))?;
            after = uapi::values(&this.device, count).map_err(|error| this.error(error))?;
            this.levels_read_ns = this.now_ns();
            this.phase = Phase::Live(this.reads());
            this.take_ready()?;
        }
        let level = |(place, (offset, config)): (usize, &(Offset, LineConfig))| {
            let had = |values: u64| values >> place & 1 == 1;
            let first = this.read.iter().find(|edge| edge.offset == *offset);
            level_at_start((had(before), had(after)), config.edges, first.map(|edge| edge.kind))
        };
        this.active_at_start = this.lines.iter().enumerate().map(level).collect();
        Ok(this)
    }

    fn is_watched(&self) -> bool {
        self.lines.iter().any(|(_, config)| config.edges.is_some())
    }

    /// The time of the clock of the edges, if all have the same clock and it can be read.
    fn now_ns(&self) -> Option<u64> {
        let mut clocks = self.lines.iter().filter(|(_, config)| config.edges.is_some()).map(|(_, config)| config.clock);
        let clock = clocks.next()?;
        if !clocks.all(|other| other == clock) {
            return None;
        }
        now_ns(clock)
    }

    fn reads(&self) -> InvertedCall<[u8]> {
        // While one batch waits to be taken, no further one is read.
        let window = if self.gathering.is_some() { 1 } else { AHEAD };
        self.device
            .standing_reads(BATCH * size_of::<uapi::LineEvent>())
            .pending(1)
            .window(window)
            .armed_by_consumer()
            .start()
    }

    fn error(&self, error: overlapped::Error) -> Error {
        of_chip(&self.chip, error)
    }

    /// Takes the edges that the standing reads have brought, without waiting.
    fn take_ready(&mut self) -> Result<(), Error> {
        let Phase::Live(reads) = &mut self.phase else { return Ok(()) };
        loop {
            match reads.wait_next_timeout(Duration::ZERO) {
                Some(Ok(bytes)) => decode(&self.chip, &bytes, &mut self.read)?,
                // Nothing is there. On the dispatcher's thread the error is a deadlock.
                Some(Err(error)) if matches!(error.kind(), Kind::TimedOut | Kind::Deadlock) => return Ok(()),
                Some(Err(error)) => return Err(self.error(error)),
                None => return Ok(()),
            }
        }
    }

    /// Takes the edges that the kernel has queued, now that no read is pending.
    fn take_queued(&mut self) -> Result<(), Error> {
        loop {
            match self.device.read(BATCH * size_of::<uapi::LineEvent>()).wait_timeout(Duration::ZERO) {
                Ok(bytes) if bytes.is_empty() => return Ok(()),
                Ok(bytes) => decode(&self.chip, &bytes, &mut self.read)?,
                // The queue is empty. On the dispatcher's thread the error is a deadlock.
                Err(error) if matches!(error.kind(), Kind::TimedOut | Kind::Deadlock) => return Ok(()),
                Err(error) => return Err(self.error(error)),
            }
        }
    }

    /// Waits for the end of the standing reads, and takes all earlier edges.
    fn take_all(&mut self) -> Result<(), Error> {
        if let Phase::Live(reads) = &mut self.phase {
            reads.stopper().stop();
            loop {
                match reads.wait_next_timeout(CANCEL) {
                    Some(Ok(bytes)) => decode(&self.chip, &bytes, &mut self.read)?,
                    Some(Err(error)) if error.kind() != Kind::Cancelled => return Err(self.error(error)),
                    Some(Err(_)) | None => break,
                }
            }
            self.phase = Phase::Stopped;
        }
        if matches!(self.phase, Phase::Stopped) {
            self.take_queued()?;
        }
        Ok(())
    }
}

impl HeldLines for GpioLines {
    fn poll_edges(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        loop {
            if !self.read.is_empty() {
                into.append(&mut self.read);
                return Poll::Ready(Some(Ok(())));
            }
            match &mut self.phase {
                Phase::Live(reads) => match ready!(take(reads, self.gathering.as_mut(), cx)) {
                    Some(Ok(bytes)) => {
                        return Poll::Ready(Some(decode(&self.chip, &bytes, into)));
                    }
                    Some(Err(error)) if error.kind() != Kind::Cancelled => {
                        self.phase = Phase::Over;
                        return Poll::Ready(Some(Err(self.error(error))));
                    }
                    Some(Err(_)) | None => self.phase = Phase::Stopped,
                },
                Phase::Idle => return Poll::Pending,
                Phase::Stopped => {
                    self.phase = Phase::Over;
                    let taken = self.take_queued();
                    if taken.is_err() {
                        return Poll::Ready(Some(taken));
                    }
                }
                Phase::Over => return Poll::Ready(None),
            }
        }
    }

    fn stop(&mut self) {
        self.gathering = None;
        match &self.phase {
            Phase::Live(reads) => reads.stopper().stop(),
            Phase::Idle => self.phase = Phase::Over,
            Phase::Stopped | Phase::Over => {}
        }
    }

    fn active_at_start(&self) -> Vec<Option<bool>> {
        self.active_at_start.clone()
    }

    fn levels_read_ns(&self) -> Option<u64> {
        self.levels_read_ns
    }

    fn values(&self) -> Result<Vec<bool>, Error> {
        let values = uapi::values(&self.device, self.lines.len()).map_err(|error| self.error(error))?;
        Ok((0..self.lines.len()).map(|place| values >> place & 1 == 1).collect())
    }

    fn set_values(&mut self, values: &[(usize, bool)]) -> Result<(), Error> {
        let mut set = uapi::LineValues { bits: 0, mask: 0 };
        for &(place, active) in values {
            set.mask |= 1 << place;
            // The last value of a line counts.
            set.bits = set.bits & !(1 << place) | u64::from(active) << place;
        }
        uapi::set_values(&self.device, set).map_err(|error| self.error(error))
    }

    fn reconfigure(&mut self, lines: &[LineConfig]) -> Result<(), Error> {
        let whole = lines.iter().copied().chain(self.witness.map(|_| LineConfig::as_is()));
        let encoded = config::encode(&self.chip, whole)?;
        uapi::set_config(&self.device, encoded).map_err(|error| self.error(error))?;
        for (line, config) in self.lines.iter_mut().zip(lines) {
            line.1 = *config;
        }
        if matches!(self.phase, Phase::Idle) && self.is_watched() {
            self.phase = Phase::Live(self.reads());
        }
        Ok(())
    }

    fn numbering(&self) -> Numbering {
        // The kernel numbers interrupts as they come only in a request of several lines, and not those of a line that
        // it debounces.
        let several = self.lines.len() + usize::from(self.witness.is_some()) > 1;
        let mut watched = self.lines.iter().filter(|(_, config)| config.edges.is_some());
        let counted = watched.clone().any(|(_, config)| config.debounce.is_zero());
        Numbering::Kernel(match (several && self.direct && counted, watched.nth(1)) {
            (false, _) => Interrupts::Uncounted,
            (true, None) => Interrupts::OfLine,
            (true, Some(_)) => Interrupts::OfRequest,
        })
    }

    fn witness(&self) -> Option<Offset> {
        self.witness
    }

    fn settle(&mut self) -> Result<Option<Vec<crate::backend::Settlement>>, Error> {
        let taken = self.take_all();
        self.phase = Phase::Over;
        taken.map(|()| None)
    }
}
