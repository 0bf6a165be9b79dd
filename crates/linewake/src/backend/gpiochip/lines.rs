//! Lines that are held, and the edges of those that are watched.
//!
//! The kernel keeps the edges that nobody reads, in a queue for each request. So a thread that waits reads them itself, and
//! needs nobody who reads ahead of it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_core::Stream as _;
use overlapped::{Device, ErrorKind as Kind, InvertedCall, Port, Reply, Sleep};
use zerocopy::FromBytes;

use super::chip::{Chip, now_ns};
use super::held::Wanted;
use super::{config, uapi};
use crate::backend::{Held, Interrupts, Numbering, RawEdge};
use crate::{EdgeKind, Edges, Error, ErrorKind, LineConfig, Missed, Offset};

/// How many events one read brings at most: as many as the kernel queues for four lines unless told otherwise, and enough
/// for the system call to cost little by the event.
const BATCH: usize = 64;
/// How many batches are read ahead of the program. Beyond, events wait in the kernel's queue, which drops the oldest.
const AHEAD: usize = 16;
/// How long cancelled reads may take to end: they end when the dispatcher runs.
const CANCEL: Duration = Duration::from_secs(10);

/// Lines held by one request of the kernel's.
#[derive(Debug)]
pub(super) struct Lines {
    chip: Arc<str>,
    device: Device,
    lines: Vec<(Offset, LineConfig)>,
    /// A line that is held beside those asked for, so that the kernel numbers interrupts.
    witness: Option<Offset>,
    /// Whether the chip's interrupts come as they happen.
    direct: bool,
    active_at_start: Vec<Option<bool>>,
    levels_read_ns: Option<u64>,
    phase: Phase,
    /// What is read already.
    read: Vec<RawEdge>,
    gathering: Option<Gathering>,
    /// Goes last: from then on the lines are not wanted any more.
    _wanted: Wanted,
}

enum Phase {
    /// Reads are pending.
    Live(InvertedCall<[u8]>),
    /// No line is watched.
    Idle,
    /// It was stopped; what the kernel has queued is still taken.
    Stopped,
    Over,
}

/// Edges gather in the kernel's queue, so that one wake-up takes many.
///
/// The first edge after a rest is taken at once. From then on the queue is emptied once in a while, and nothing wakes anybody
/// in between, until there is nothing.
#[derive(Debug)]
struct Gathering {
    time: Duration,
    timer: Port,
    /// Nothing is taken before.
    until: Option<Sleep>,
    /// Something was taken since they gathered last.
    taken: bool,
}

impl Gathering {
    fn new(time: Duration) -> Result<Option<Self>, Error> {
        if time.is_zero() {
            return Ok(None);
        }
        Ok(Some(Self { time, timer: Port::global()?, until: None, taken: false }))
    }

    fn begin(&mut self) {
        self.until = Some(self.timer.sleep(self.time));
    }

    /// Ready when the queue is to be emptied.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.until else { return Poll::Ready(()) };
        ready!(Pin::new(sleep).poll(cx));
        self.until = None;
        Poll::Ready(())
    }
}

impl fmt::Debug for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live(_) => "Live",
            Self::Idle => "Idle",
            Self::Stopped => "Stopped",
            Self::Over => "Over",
        })
    }
}

impl Lines {
    /// Begins to watch lines that are held as the kernel gave them: as asked for, but without edges.
    ///
    /// The levels are read before the first edge can be queued, and again after that. Where both are the same and no edge
    /// is queued, the line had that level at the start. Where an edge is queued, it says the level before it. Else the line
    /// changed in between, and nobody can tell if an edge is on its way through the kernel's thread: there is none from
    /// before the interrupt was enabled, nor until `linereq_set_config`, when that was done, has noted which edges to tell.
    /// A line that changed twice in between deceives us until its edge comes, with a time stamp from before the levels
    /// were read.
    pub(super) fn start(
        chip: &Chip,
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

    /// The time, by the clock of the edges, if they have one and it can be read.
    fn now_ns(&self) -> Option<u64> {
        let mut clocks = self.lines.iter().filter(|(_, config)| config.edges.is_some()).map(|(_, config)| config.clock);
        let clock = clocks.next()?;
        if !clocks.all(|other| other == clock) {
            return None;
        }
        now_ns(clock)
    }

    fn reads(&self) -> InvertedCall<[u8]> {
        // With one batch that nobody took, no further one is read.
        let window = if self.gathering.is_some() { 1 } else { AHEAD };
        self.device
            .standing_reads(BATCH * size_of::<uapi::LineEvent>())
            .pending(1)
            .window(window)
            .armed_by_consumer()
            .start()
    }

    fn error(&self, error: overlapped::Error) -> Error {
        let message = format!("chip \"{}\": {error}", self.chip);
        Error::from(error).saying(message)
    }

    /// Takes what the standing reads have brought, without waiting.
    fn take_ready(&mut self) -> Result<(), Error> {
        let Phase::Live(reads) = &mut self.phase else { return Ok(()) };
        loop {
            match reads.wait_next_timeout(Duration::ZERO) {
                Some(Ok(bytes)) => decode(&self.chip, &bytes, &mut self.read)?,
                // There is nothing; on the dispatcher it is said in the other way.
                Some(Err(error)) if matches!(error.kind(), Kind::TimedOut | Kind::Deadlock) => return Ok(()),
                Some(Err(error)) => return Err(self.error(error)),
                None => return Ok(()),
            }
        }
    }

    /// Takes what the kernel has queued, now that no read is pending.
    fn take_queued(&mut self) -> Result<(), Error> {
        loop {
            match self.device.read(BATCH * size_of::<uapi::LineEvent>()).wait_timeout(Duration::ZERO) {
                Ok(bytes) if bytes.is_empty() => return Ok(()),
                Ok(bytes) => decode(&self.chip, &bytes, &mut self.read)?,
                // The queue is empty; on the dispatcher it is said in the other way.
                Err(error) if matches!(error.kind(), Kind::TimedOut | Kind::Deadlock) => return Ok(()),
                Err(error) => return Err(self.error(error)),
            }
        }
    }

    /// Waits for the end of the standing reads, and takes all that had happened by then.
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

/// Takes the next batch, when it is time.
fn take(
    reads: &mut InvertedCall<[u8]>,
    gathering: Option<&mut Gathering>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Reply<[u8]>, overlapped::Error>>> {
    let Some(gathering) = gathering else { return Pin::new(reads).poll_next(cx) };
    loop {
        ready!(gathering.poll(cx));
        // What comes next wakes nobody, as long as it is known that something was there a moment ago.
        let taken = {
            let _relay = Port::relay(cx.waker(), Waker::noop());
            Pin::new(&mut *reads).poll_next(&mut Context::from_waker(Waker::noop()))
        };
        if taken.is_ready() {
            gathering.taken = true;
            return taken;
        }
        match std::mem::take(&mut gathering.taken) {
            true => gathering.begin(),
            // Nothing came in all that time: the next edge is the first after a rest.
            false => return Pin::new(reads).poll_next(cx),
        }
    }
}

/// Whether a line was active before the first edge that is given for it; `levels` are those before and after its edges
/// began to be watched, `first` is the first edge that was queued by then.
fn level_at_start((before, after): (bool, bool), edges: Option<Edges>, first: Option<EdgeKind>) -> Option<bool> {
    match (first, edges) {
        (Some(kind), _) => Some(kind == EdgeKind::Falling),
        (None, Some(edges)) if before != after && goes(edges, after) => None,
        (None, _) => Some(after),
    }
}

/// Whether edges that end at this level are watched.
fn goes(edges: Edges, active: bool) -> bool {
    edges == Edges::Both || (edges == Edges::Rising) == active
}

/// Reads the events of a batch: every one has to be whole, and of a kind there is.
fn decode(chip: &str, bytes: &[u8], into: &mut Vec<RawEdge>) -> Result<(), Error> {
    let malformed = |what: String| {
        Err(Error::new(ErrorKind::Malformed, format!("chip \"{chip}\" does not keep to its protocol: {what}")))
    };
    for record in bytes.chunks(size_of::<uapi::LineEvent>()) {
        let Ok(event) = uapi::LineEvent::read_from_bytes(record) else {
            return malformed(format!("an event has {} bytes", record.len()));
        };
        let kind = match event.id {
            1 => EdgeKind::Rising,
            2 => EdgeKind::Falling,
            other => return malformed(format!("an event is of kind {other}")),
        };
        into.push(RawEdge {
            offset: Offset::from(event.offset),
            kind,
            timestamp_ns: event.timestamp_ns,
            seqno: event.seqno,
            line_seqno: event.line_seqno,
            missed: Missed::default(),
        });
    }
    Ok(())
}

impl Held for Lines {
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
            // The last word on a line is the one that counts.
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
        // The kernel numbers interrupts as they come only in a request of several lines; those of a line that it debounces
        // itself it does not.
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

    fn settle(&mut self) -> Result<Option<Vec<crate::backend::Settled>>, Error> {
        let taken = self.take_all();
        self.phase = Phase::Over;
        taken.map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::{Duration, Instant};

    use overlapped::Device;
    use zerocopy::{FromZeros, IntoBytes};

    use super::{Gathering, decode, level_at_start, take};
    use crate::backend::gpiochip::uapi::LineEvent;
    use crate::{EdgeKind, Edges, ErrorKind};

    fn event(id: u32) -> LineEvent {
        let mut event = LineEvent::new_zeroed();
        (event.id, event.offset, event.seqno, event.line_seqno, event.timestamp_ns) = (id, 3, 7, 5, 9);
        event
    }

    #[test]
    fn a_batch_is_read_event_by_event() {
        let mut edges = Vec::new();
        decode("chip", [event(1), event(2)].as_bytes(), &mut edges).unwrap();
        let seen: Vec<_> =
            edges.iter().map(|edge| (edge.kind, edge.offset.get(), edge.seqno, edge.line_seqno)).collect();
        assert_eq!(seen, [(EdgeKind::Rising, 3, 7, 5), (EdgeKind::Falling, 3, 7, 5)]);
        assert!(edges.iter().all(|edge| edge.timestamp_ns == 9 && edge.missed.total() == 0));
        decode("chip", &[], &mut edges).unwrap();
        assert_eq!(edges.len(), 2);
    }

    #[test]
    fn garbage_is_malformed_and_the_chip_is_named() {
        let batch = [event(1), event(2)];
        let whole = batch.as_bytes();
        for bytes in [&whole[..95], &whole[..49], &whole[..1]] {
            let error = decode("a chip", bytes, &mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed);
            assert!(error.to_string().contains("\"a chip\""), "{error}");
        }
        for id in [0, 3, u32::MAX] {
            let error = decode("a chip", event(id).as_bytes(), &mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains(&format!("kind {id}")), "{error}");
        }
    }

    #[test]
    fn the_level_at_the_start_is_not_what_an_edge_made_of_it() {
        use EdgeKind::{Falling, Rising};
        use Edges::Both;
        // One that is queued tells what was before it, whatever was read: it may have come since, or not be the only one.
        for levels in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(level_at_start(levels, Some(Both), Some(Rising)), Some(false));
            assert_eq!(level_at_start(levels, Some(Both), Some(Falling)), Some(true));
        }
        // Without one, a level that has changed may have an edge on its way, and may not.
        for (before, after) in [(false, true), (true, false)] {
            assert_eq!(level_at_start((after, after), Some(Both), None), Some(after));
            assert_eq!(level_at_start((before, after), Some(Both), None), None);
            let (seen, unseen) = if after { (Edges::Rising, Edges::Falling) } else { (Edges::Falling, Edges::Rising) };
            assert_eq!(level_at_start((before, after), Some(seen), None), None);
            assert_eq!(level_at_start((before, after), Some(unseen), None), Some(after), "no edge will tell of it");
            assert_eq!(level_at_start((before, after), None, None), Some(after), "nor of this");
        }
    }

    /// Counts how often somebody was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn edges_gather_after_the_first_and_until_there_are_none() {
        const TIME: Duration = Duration::from_millis(300);
        // A pipe does for a request: it is read in the same way, and whoever reads finds all that was written.
        let (reader, mut writer) = std::io::pipe().unwrap();
        let device = Device::from_fd(reader).unwrap();
        let mut reads = device.standing_reads(64).pending(1).window(1).start();
        let mut gathering = Gathering::new(TIME).unwrap().unwrap();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut taken = Vec::new();
        let mut poll =
            |gathering: &mut Gathering| match take(&mut reads, Some(gathering), &mut Context::from_waker(&waker)) {
                Poll::Ready(batch) => {
                    taken.extend_from_slice(&batch.unwrap().unwrap());
                    taken.len()
                }
                Poll::Pending => 0,
            };
        let wait = |times: usize| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while woken.0.load(SeqCst) < times {
                assert!(Instant::now() < deadline, "nobody is woken");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        // The first after a rest wakes at once.
        assert_eq!(poll(&mut gathering), 0);
        assert!(gathering.until.is_none());
        writer.write_all(b"1").unwrap();
        wait(1);
        assert_eq!(poll(&mut gathering), 1);
        // Those behind it gather, and wake nobody until it is time.
        let began = Instant::now();
        assert_eq!(poll(&mut gathering), 0);
        for edge in [b"2", b"3", b"4"] {
            writer.write_all(edge).unwrap();
        }
        wait(2);
        assert!(began.elapsed() >= TIME, "{:?}", began.elapsed());
        while poll(&mut gathering) < 4 {}
        // They are all taken, some of them after another while; and when none came in one, the next wakes at once again.
        while gathering.until.is_some() || gathering.taken {
            poll(&mut gathering);
            std::thread::sleep(Duration::from_millis(1));
            assert!(began.elapsed() < Duration::from_secs(20), "it never rests");
        }
        let before = woken.0.load(SeqCst);
        writer.write_all(b"5").unwrap();
        wait(before + 1);
        assert_eq!((poll(&mut gathering), &*taken), (5, &b"12345"[..]));
    }
}
