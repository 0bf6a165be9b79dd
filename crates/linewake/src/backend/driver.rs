//! Chips that speak the reference driver's protocol: `linewake.sys`, and the simulated one.
//!
//! The driver has a queue for each reader, and counts edges that do not fit. So no wait has to be pending all the time,
//! and the thread that waits for edges submits the next one itself.

mod client;
#[expect(unsafe_code, reason = "declaring what a control code reads and writes is a promise")]
pub(crate) mod codes;
mod reference;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream as _;
use linewake_controller::protocol::{
    self, CHIP_TIMERS, Debounce, InfoRecord, LineSet, MAX_LINES, ReaderConfig, SetValues,
};
use overlapped::{ErrorKind as Kind, InvertedCall};

use self::client::BATCH;
pub(crate) use self::client::Client;
pub(crate) use self::reference::{DeviceOpener, ReferenceDriver};
use super::flags::FlagTable;
use super::{
    Ask, Backend, Capabilities, HeldLines, InfoEvent, InfoEventKind, InfoWatch, Numbering, RawEdge, Settlement, sim,
};
use crate::line::named;
use crate::{
    Bias, ChipInfo, Clock, ClockName, Direction, Drive, Edges, Error, EventClock, Figures, LineConfig, LineInfo,
    Offset, Trust,
};

/// A chip whose device speaks the protocol.
#[derive(Debug)]
pub(crate) struct ReferenceChip {
    spec: String,
    reference: ReferenceDriver,
    info: ChipInfo,
    /// True if the chip has timers, and so can debounce.
    has_timers: bool,
}

impl ReferenceChip {
    pub(crate) fn open(source: DeviceOpener, spec: &str) -> Result<Self, Error> {
        let (client, info) = Client::new(source.open()?.0)?;
        let has_timers = info.flags & CHIP_TIMERS != 0;
        let info = ChipInfo {
            name: named(&info.name).unwrap_or_else(|| spec.into()),
            id: spec.into(),
            label: named(&info.label).unwrap_or_default(),
            path: None,
            lines: client.lines(),
            max_queue_size: info.max_queue,
        };
        let reference = ReferenceDriver { client, source, number_after: AtomicU32::new(0) };
        Ok(Self { spec: spec.to_owned(), reference, info, has_timers })
    }

    /// The means by which tests drive its lines.
    pub(crate) fn reference(&self) -> &ReferenceDriver {
        &self.reference
    }

    fn client(&self) -> &Client {
        &self.reference.client
    }

    /// Opens a handle for a new reader.
    fn open_reader(&self) -> Result<(Client, Option<Arc<sim::Handle>>), Error> {
        let (device, handle) = self.reference.source.open()?;
        let (client, _) = Client::new(device)?;
        if client.lines() == self.info.lines {
            Ok((client, handle))
        } else {
            Err(client.malformed("the number of its lines changed"))
        }
    }

    /// Adds the busy line and its holder to an error.
    fn explain_busy(&self, error: Error, asked: &[(Offset, LineConfig)]) -> Error {
        if error.device().is_none_or(|device| device.kind() != overlapped::ErrorKind::Busy) {
            return error;
        }
        let Ok(lines) = self.client().line_infos() else {
            return error;
        };
        let holder = lines.iter().find(|line| {
            let alone = line.flags & protocol::LINE_EXCLUSIVE != 0;
            alone && asked.iter().any(|(offset, _)| offset.get() == line.offset)
        });
        let Some(line) = holder.map(line_info) else {
            return error;
        };
        let name = line.name.as_deref().map(|name| format!(" (\"{name}\")")).unwrap_or_default();
        let consumer = line.consumer.as_deref().unwrap_or("a program that gave no name");
        let chip = &self.info.name;
        error.busy(format!("line {}{name} of chip \"{chip}\" is held exclusively by \"{consumer}\"", line.offset))
    }
}

impl Backend for ReferenceChip {
    fn info(&self) -> &ChipInfo {
        &self.info
    }

    fn notes(&self) -> &[String] {
        self.reference.source.host().map_or(&[], |host| host.notes())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            shared_lines: true,
            outputs: true,
            active_low: true,
            bias: true,
            drive: true,
            debounce: self.has_timers,
            info_watch: true,
            max_queue_size: self.info.max_queue_size,
            atomic_values: true,
            reconfigure: true,
            ..Capabilities::inputs_only(MAX_LINES, Trust::Exact)
        }
    }

    fn clock(&self, _: EventClock) -> Clock {
        match &self.reference.source {
            DeviceOpener::Simulated(host) => host.clock(),
            DeviceOpener::Devices(_) => Clock::unrelated(ClockName::Monotonic),
        }
    }

    fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        Ok(self.client().line_infos()?.iter().map(line_info).collect())
    }

    fn line(&self, offset: Offset) -> Result<LineInfo, Error> {
        Ok(line_info(&self.client().line_info(offset)?))
    }

    fn values(&self, offsets: &[Offset]) -> Result<Vec<bool>, Error> {
        let values = self.client().values()?;
        Ok(offsets.iter().map(|offset| values.contains(offset.get())).collect())
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Box<dyn HeldLines>, Error> {
        let (client, handle) = self.open_reader()?;
        let consumer = protocol::name(ask.consumer);
        let capacity = match (ask.queue_size, self.reference.source.host()) {
            (0, Some(host)) => host.default_queue(),
            (asked, _) => asked,
        };
        let seqno_base = self.reference.number_after.load(Relaxed);
        client.send(codes::SET_READER, &ReaderConfig { capacity, seqno_base, consumer })?;
        if let Some(handle) = &handle {
            handle.gather(super::gather_in(capacity, ask.gather));
        }
        let explain = |error| self.explain_busy(error, ask.lines);
        let configs: Vec<_> = ask.lines.iter().map(|&(offset, config)| record(offset, &config)).collect();
        if ask.lines.iter().any(|(_, config)| !config.debounce.is_zero()) {
            // Debounce before the first edge is watched.
            let quiet = |config: &protocol::LineConfig| protocol::LineConfig {
                flags: config.flags & !protocol::LINE_EDGES,
                ..*config
            };
            client.send(codes::CONFIGURE, &configs.iter().map(quiet).collect::<Vec<_>>()[..]).map_err(explain)?;
            client.send(codes::SET_DEBOUNCE, &debounces(ask.lines.iter().copied())[..])?;
        }
        client.send(codes::CONFIGURE, &configs[..]).map_err(explain)?;
        Ok(Box::new(Reader::start(client, handle, ask.lines.to_vec(), seqno_base)?))
    }

    fn watch_info(&self, offsets: &[Offset]) -> Result<Box<dyn InfoWatch>, Error> {
        let (client, _) = self.open_reader()?;
        let lines = offsets.iter().map(|offset| offset.get()).collect();
        let waits = client.watch_info(&lines)?;
        Ok(Box::new(Information { chip: self.info.name.clone(), client, lines, waits, arrived: VecDeque::new() }))
    }

    fn reopen(&self) -> Result<Arc<dyn Backend>, Error> {
        if let Some(host) = self.reference.source.host() {
            host.look_for();
        }
        let again = Self::open(self.reference.source.clone(), &self.spec)?;
        again.reference.number_after.store(self.reference.number_after.load(Relaxed), Relaxed);
        Ok(Arc::new(again))
    }
}

/// Lines held by one reader of the driver, with its waits.
#[derive(Debug)]
struct Reader {
    client: Client,
    /// The handle from the inside, if the chip is simulated.
    handle: Option<Arc<sim::Handle>>,
    /// Edges that came.
    received: u64,
    lines: Vec<(Offset, LineConfig)>,
    active_at_start: Vec<Option<bool>>,
    seqno_base: u32,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The driver completes waits.
    Live(InvertedCall<[u8]>),
    /// No line is watched.
    Idle,
    /// The request was stopped, and this many edges are left in the driver's queue.
    Stopped {
        left: u64,
    },
    Over,
}

impl Reader {
    fn start(
        client: Client,
        handle: Option<Arc<sim::Handle>>,
        lines: Vec<(Offset, LineConfig)>,
        seqno_base: u32,
    ) -> Result<Self, Error> {
        let watched = lines.iter().any(|(_, config)| config.edges.is_some());
        let phase = if watched { Phase::Live(client.waits()) } else { Phase::Idle };
        let active_at_start = levels_at_start(&client, &lines)?;
        Ok(Self { client, handle, received: 0, lines, active_at_start, seqno_base, phase })
    }

    /// How many edges are queued now that the waits are over. They happened before the stop, so they are still taken.
    fn queued(&self) -> Result<u64, Error> {
        if let Some(handle) = &self.handle {
            handle.hurry();
        }
        Ok(self.client.counters()?.iter().fold(0, |sum: u64, line| sum.saturating_add(line.queued)))
    }

    /// Takes some of the queued edges. Returns how many are left.
    fn take_queued(&mut self, left: u64, into: &mut Vec<RawEdge>) -> Result<u64, Error> {
        let before = into.len();
        self.client.take(usize::try_from(left).unwrap_or(BATCH), into)?;
        let taken = (into.len() - before) as u64;
        self.received += taken;
        Ok(left.saturating_sub(taken))
    }
}

impl HeldLines for Reader {
    fn poll_edges(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        loop {
            let arrived = match &mut self.phase {
                Phase::Live(waits) => ready!(Pin::new(waits).poll_next(cx)),
                Phase::Idle => return Poll::Pending,
                &mut Phase::Stopped { left } if left > 0 => {
                    let taken = self.take_queued(left, into).map(|left| self.phase = Phase::Stopped { left });
                    return Poll::Ready(Some(taken));
                }
                _ => return Poll::Ready(None),
            };
            match arrived {
                Some(Ok(bytes)) => {
                    let before = into.len();
                    let taken = self.client.batch(&bytes, into);
                    self.received += (into.len() - before) as u64;
                    return Poll::Ready(Some(taken));
                }
                // The driver ended its last wait, or the waits were stopped.
                Some(Err(error)) if !matches!(error.kind(), Kind::Cancelled | Kind::Aborted) => {
                    return Poll::Ready(Some(Err(error.into())));
                }
                Some(Err(_)) | None => match self.queued() {
                    Ok(left) => self.phase = Phase::Stopped { left },
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
            }
        }
    }

    fn waits(&mut self, cx: &mut Context<'_>) {
        if let (Phase::Live(_), Some(handle)) = (&self.phase, &self.handle) {
            handle.waits(self.received, cx);
        }
    }

    fn stop(&mut self) {
        match &self.phase {
            Phase::Live(waits) => waits.stopper().stop(),
            Phase::Idle => self.phase = Phase::Over,
            Phase::Stopped { .. } | Phase::Over => {}
        }
    }

    fn active_at_start(&self) -> Vec<Option<bool>> {
        self.active_at_start.clone()
    }

    fn values(&self) -> Result<Vec<bool>, Error> {
        let values = self.client.values()?;
        Ok(self.lines.iter().map(|(offset, _)| values.contains(offset.get())).collect())
    }

    fn set_values(&mut self, values: &[(usize, bool)]) -> Result<(), Error> {
        let mut set = SetValues::default();
        for &(line, active) in values {
            let offset = self.lines[line].0.get();
            set.mask.set(offset, true);
            set.values.set(offset, active);
        }
        self.client.send(codes::SET_VALUES, &set)
    }

    fn reconfigure(&mut self, lines: &[LineConfig]) -> Result<(), Error> {
        let configs: Vec<_> =
            self.lines.iter().zip(lines).map(|((offset, _), config)| record(*offset, config)).collect();
        self.client.send(codes::CONFIGURE, &configs[..])?;
        let changed = self.lines.iter().zip(lines).filter(|((_, before), config)| before.debounce != config.debounce);
        let changed = debounces(changed.map(|((offset, _), config)| (*offset, *config)));
        if !changed.is_empty() {
            self.client.send(codes::SET_DEBOUNCE, &changed[..])?;
        }
        for (line, config) in self.lines.iter_mut().zip(lines) {
            line.1 = *config;
        }
        if matches!(self.phase, Phase::Idle) && lines.iter().any(|config| config.edges.is_some()) {
            self.phase = Phase::Live(self.client.waits());
        }
        Ok(())
    }

    fn numbering(&self) -> Numbering {
        Numbering::Told
    }

    fn numbers_begin_after(&self) -> u32 {
        self.seqno_base
    }

    fn settle(&mut self) -> Result<Option<Vec<Settlement>>, Error> {
        let give_back =
            |(offset, _): &(Offset, _)| protocol::LineConfig { offset: offset.get(), flags: protocol::LINE_RELEASE };
        let give_back: Vec<_> = self.lines.iter().map(give_back).collect();
        self.client.send(codes::CONFIGURE, &give_back[..])?;
        let counters = self.client.counters()?;
        let settled = |(offset, _): &(Offset, _)| {
            let line = &counters[offset.index()];
            Settlement {
                figures: Figures {
                    delivered: line.delivered,
                    overflowed: line.overflowed,
                    merged: line.merged,
                    discarded: line.discarded,
                },
                is_closed: line.is_closed() && line.queued == 0,
            }
        };
        Ok(Some(self.lines.iter().map(settled).collect()))
    }

    fn tally(&self) -> Option<overlapped::Tally> {
        match &self.phase {
            Phase::Live(waits) => Some(waits.tally()),
            _ => None,
        }
    }
}

/// Finds the level of each line before its first counted edge.
fn levels_at_start(client: &Client, lines: &[(Offset, LineConfig)]) -> Result<Vec<Option<bool>>, Error> {
    let mut levels = vec![None; lines.len()];
    let mut before = client.counters()?;
    for _ in 0..8 {
        let values = client.values()?;
        let after = client.counters()?;
        for (level, (offset, config)) in levels.iter_mut().zip(lines).filter(|(level, _)| level.is_none()) {
            let driven = after[offset.index()].driven;
            // Otherwise the value may be from before or after the edges in between.
            if driven == before[offset.index()].driven {
                let active = values.contains(offset.get());
                *level = Some(match config.edges {
                    None => active,
                    Some(Edges::Both) => active != (driven % 2 == 1),
                    Some(Edges::Rising) => driven == 0 && active,
                    Some(Edges::Falling) => driven > 0 || active,
                });
            }
        }
        if levels.iter().all(Option::is_some) {
            break;
        }
        before = after;
    }
    Ok(levels)
}

/// Reports of lines that are requested, released or reconfigured.
#[derive(Debug)]
struct Information {
    chip: Arc<str>,
    client: Client,
    lines: LineSet,
    waits: InvertedCall<[InfoRecord]>,
    arrived: VecDeque<InfoRecord>,
}

impl InfoWatch for Information {
    fn poll_info(&mut self, cx: &mut Context<'_>) -> Poll<Result<InfoEvent, Error>> {
        loop {
            if let Some(record) = self.arrived.pop_front() {
                return Poll::Ready(self.event(&record));
            }
            match ready!(Pin::new(&mut self.waits).poll_next(cx)) {
                Some(Ok(records)) => self.arrived.extend(records.iter()),
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                None => return Poll::Ready(Err(self.client.malformed("it ended a wait for line events"))),
            }
        }
    }
}

impl Information {
    fn event(&self, record: &InfoRecord) -> Result<InfoEvent, Error> {
        let kind = match record.kind {
            protocol::INFO_REQUESTED => InfoEventKind::Requested,
            protocol::INFO_RELEASED => InfoEventKind::Released,
            protocol::INFO_RECONFIGURED => InfoEventKind::Reconfigured,
            kind => return Err(self.client.malformed(format_args!("it reports the unknown line event {kind}"))),
        };
        let offset = record.line.offset;
        if !self.lines.contains(offset) {
            return Err(self.client.malformed(format_args!("it reports line {offset}, which is not watched")));
        }
        Ok(InfoEvent {
            chip: self.chip.clone(),
            kind,
            timestamp_ns: record.timestamp_ns,
            line: line_info(&record.line),
            missed: record.lost,
        })
    }
}

/// The debounce periods of lines, as the driver reads them.
fn debounces(lines: impl Iterator<Item = (Offset, LineConfig)>) -> Vec<Debounce> {
    lines.map(|(offset, config)| Debounce { offset: offset.get(), period_us: config.debounce_us() }).collect()
}

const BIASES: FlagTable<Bias> = FlagTable(&[
    (protocol::LINE_BIAS_PULL_UP as u64, Bias::PullUp),
    (protocol::LINE_BIAS_PULL_DOWN as u64, Bias::PullDown),
    (protocol::LINE_BIAS_DISABLED as u64, Bias::Disabled),
]);
const DRIVES: FlagTable<Drive> = FlagTable(&[
    (protocol::LINE_OPEN_DRAIN as u64, Drive::OpenDrain),
    (protocol::LINE_OPEN_SOURCE as u64, Drive::OpenSource),
]);
const EDGES: FlagTable<Edges> = FlagTable(&[
    (protocol::LINE_EDGES as u64, Edges::Both),
    (protocol::LINE_EDGE_RISING as u64, Edges::Rising),
    (protocol::LINE_EDGE_FALLING as u64, Edges::Falling),
]);

/// The configuration of a line, as the driver reads it.
fn record(offset: Offset, config: &LineConfig) -> protocol::LineConfig {
    let direction = match config.direction {
        None => 0,
        Some(Direction::Input) => protocol::LINE_INPUT,
        Some(Direction::Output) if config.output == Some(true) => protocol::LINE_OUTPUT | protocol::LINE_ACTIVE,
        Some(Direction::Output) => protocol::LINE_OUTPUT,
    };
    let active_low = if config.active_low { protocol::LINE_ACTIVE_LOW } else { 0 };
    let drive = if config.direction == Some(Direction::Output) { DRIVES.bits(config.drive) } else { 0 };
    let bias = config.bias.map_or(0, |bias| BIASES.bits(bias));
    let edges = config.edges.map_or(0, |edges| EDGES.bits(edges));
    protocol::LineConfig { offset: offset.get(), flags: direction | active_low | (drive | bias | edges) as u32 }
}

/// A line, from the driver's description.
fn line_info(record: &protocol::LineInfo) -> LineInfo {
    let has = |flag| record.flags & flag != 0;
    LineInfo {
        offset: record.offset.into(),
        name: named(&record.name),
        direction: if has(protocol::LINE_OUTPUT) { Direction::Output } else { Direction::Input },
        active: Some(has(protocol::LINE_ACTIVE)),
        used: has(protocol::LINE_USED),
        consumer: named(&record.consumer),
        config: LineConfig {
            active_low: has(protocol::LINE_ACTIVE_LOW),
            bias: BIASES.value(record.flags.into()),
            drive: DRIVES.value(record.flags.into()).unwrap_or_default(),
            edges: EDGES.value(record.flags.into()),
            debounce: Duration::from_micros(record.debounce_us.into()),
            ..LineConfig::default()
        },
    }
}
