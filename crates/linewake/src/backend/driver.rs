//! Chips that speak the reference driver's protocol: `linewake.sys`, and the simulated one.

mod client;
#[expect(unsafe_code, reason = "declaring what a control code reads and writes is a promise")]
mod codes;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream as _;
use linewake_controller::protocol::{self, EdgeRecord, MAX_LINES, ReaderConfig, SetValues};
use overlapped::{Device, InvertedCall};

use self::client::BATCH;
pub(crate) use self::client::Client;
use super::{Ask, Backend, Capabilities, Held, Numbering, RawEdge, ReferenceDriver, Settled, sim};
use crate::line::named;
use crate::{
    Bias, ChipInfo, Clock, Direction, Drive, EdgeKind, Edges, Error, EventClock, Figures, LineConfig, LineInfo, Missed,
    Offset, Trust,
};

/// A chip behind a device that speaks the protocol.
#[derive(Debug)]
pub(crate) struct Chip {
    source: Source,
    spec: String,
    client: ReferenceDriver,
    info: ChipInfo,
}

/// Where a handle comes from. Each request has its own.
#[derive(Clone)]
pub(crate) enum Source {
    Simulated(Arc<sim::Host>),
    Devices(Arc<Opener>),
}

type Opener = dyn Fn() -> Result<Device, overlapped::Error> + Send + Sync;

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simulated(_) => "Simulated",
            Self::Devices(_) => "Devices",
        })
    }
}

impl Source {
    pub(crate) fn open(&self) -> Result<Device, overlapped::Error> {
        match self {
            Self::Simulated(host) => Device::simulated(host.clone()),
            Self::Devices(open) => open(),
        }
    }
}

impl Chip {
    pub(crate) fn open(source: Source, spec: &str) -> Result<Self, Error> {
        let (client, info) = Client::new(source.open()?)?;
        let info = ChipInfo {
            name: named(&info.name).unwrap_or_else(|| spec.into()),
            label: named(&info.label).unwrap_or_default(),
            path: None,
            lines: client.lines(),
            max_queue_size: info.max_queue,
        };
        Ok(Self { spec: spec.to_owned(), client: ReferenceDriver(client, source.clone()), source, info })
    }

    fn client(&self) -> &Client {
        &self.client.0
    }

    /// A handle of its own, for a new reader.
    fn open_reader(&self) -> Result<Client, Error> {
        let (client, _) = Client::new(self.source.open()?)?;
        if client.lines() == self.info.lines {
            Ok(client)
        } else {
            Err(client.malformed("the number of its lines has changed"))
        }
    }

    /// Says which line is busy, and who holds it.
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
        error.busy(format!("line {}{name} of chip \"{chip}\" is held alone by \"{consumer}\"", line.offset))
    }
}

impl Backend for Chip {
    fn info(&self) -> &ChipInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            shared_lines: true,
            outputs: true,
            active_low: true,
            bias: true,
            max_queue_size: self.info.max_queue_size,
            atomic_values: true,
            reconfigure: true,
            ..Capabilities::inputs_only(MAX_LINES, Trust::Exact)
        }
    }

    fn clock(&self, _: EventClock) -> Clock {
        match &self.source {
            Source::Simulated(host) => Clock::read("simulated", || host.now_ns()),
            Source::Devices(_) => Clock::unrelated("monotonic"),
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

    fn request(&self, ask: &Ask<'_>) -> Result<Box<dyn Held>, Error> {
        let client = self.open_reader()?;
        let consumer = protocol::name(ask.consumer);
        client.set_reader(&ReaderConfig { capacity: ask.queue_size, seqno_base: 0, consumer })?;
        let configs: Vec<_> = ask.lines.iter().map(|&(offset, config)| record(offset, &config)).collect();
        client.configure(&configs).map_err(|error| self.explain_busy(error, ask.lines))?;
        Ok(Box::new(Reader::start(client, ask.lines.to_vec())?))
    }

    fn reopen(&self) -> Result<Arc<dyn Backend>, Error> {
        Ok(Arc::new(Self::open(self.source.clone(), &self.spec)?))
    }

    fn reference(&self) -> Option<&ReferenceDriver> {
        Some(&self.client)
    }
}

/// Lines held by one reader of the driver, with its waits.
#[derive(Debug)]
struct Reader {
    client: Client,
    lines: Vec<(Offset, LineConfig)>,
    active_at_start: Vec<Option<bool>>,
    phase: Phase,
    batch: Vec<EdgeRecord>,
}

enum Phase {
    /// The driver completes waits.
    Live(InvertedCall<[u8]>),
    /// No line is watched.
    Idle,
    /// It was stopped; so many edges were queued then, and are still taken.
    Stopped {
        left: u64,
    },
    Over,
}

impl fmt::Debug for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live(_) => "Live",
            Self::Idle => "Idle",
            Self::Stopped { .. } => "Stopped",
            Self::Over => "Over",
        })
    }
}

impl Reader {
    fn start(client: Client, lines: Vec<(Offset, LineConfig)>) -> Result<Self, Error> {
        let watched = lines.iter().any(|(_, config)| config.edges.is_some());
        let phase = if watched { Phase::Live(client.waits()) } else { Phase::Idle };
        let active_at_start = levels_at_start(&client, &lines)?;
        Ok(Self { client, lines, active_at_start, phase, batch: Vec::with_capacity(BATCH) })
    }

    /// Hands over the batch that came.
    fn hand_over(&mut self, into: &mut Vec<RawEdge>) {
        into.extend(self.batch.iter().map(|edge| RawEdge {
            offset: edge.offset.into(),
            kind: if edge.is_rising() { EdgeKind::Rising } else { EdgeKind::Falling },
            timestamp_ns: edge.timestamp_ns,
            seqno: edge.seqno,
            line_seqno: edge.line_seqno,
            missed: Missed { overflowed: edge.overflowed, merged: edge.merged },
        }));
    }

    /// The waits are over. What is queued now had happened, and is still to be taken.
    fn queued(&self) -> Result<u64, Error> {
        Ok(self.client.counters()?.iter().fold(0, |sum: u64, line| sum.saturating_add(line.queued)))
    }

    fn take_queued(&mut self, left: u64) -> Result<u64, Error> {
        let most = usize::try_from(left).unwrap_or(BATCH);
        self.client.take(most, &mut self.batch)?;
        Ok(left.saturating_sub(self.batch.len() as u64))
    }
}

impl Held for Reader {
    fn poll_edges(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        loop {
            let arrived = match &mut self.phase {
                Phase::Live(waits) => ready!(Pin::new(waits).poll_next(cx)),
                Phase::Idle => return Poll::Pending,
                &mut Phase::Stopped { left } if left > 0 => {
                    let taken = self.take_queued(left).map(|left| {
                        self.phase = Phase::Stopped { left };
                        self.hand_over(into);
                    });
                    return Poll::Ready(Some(taken));
                }
                _ => return Poll::Ready(None),
            };
            match arrived {
                Some(Ok(bytes)) => {
                    let taken = self.client.batch(&bytes, &mut self.batch).map(|()| self.hand_over(into));
                    return Poll::Ready(Some(taken));
                }
                // The driver ended its last wait, or the waits were stopped.
                Some(Err(error)) if error.kind() != overlapped::ErrorKind::Cancelled => {
                    return Poll::Ready(Some(Err(error.into())));
                }
                Some(Err(_)) | None => match self.queued() {
                    Ok(left) => self.phase = Phase::Stopped { left },
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
            }
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
        self.client.set_values(&set)
    }

    fn reconfigure(&mut self, lines: &[LineConfig]) -> Result<(), Error> {
        let configs: Vec<_> =
            self.lines.iter().zip(lines).map(|((offset, _), config)| record(*offset, config)).collect();
        self.client.configure(&configs)?;
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

    fn settle(&mut self) -> Result<Option<Vec<Settled>>, Error> {
        let give_back =
            |(offset, _): &(Offset, _)| protocol::LineConfig { offset: offset.get(), flags: protocol::LINE_RELEASE };
        let give_back: Vec<_> = self.lines.iter().map(give_back).collect();
        self.client.configure(&give_back)?;
        let counters = self.client.counters()?;
        let settled = |(offset, _): &(Offset, _)| {
            let line = &counters[offset.index()];
            Settled {
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

/// Finds out which level each line had before the first edge that is counted for it.
fn levels_at_start(client: &Client, lines: &[(Offset, LineConfig)]) -> Result<Vec<Option<bool>>, Error> {
    let mut levels = vec![None; lines.len()];
    let mut before = client.counters()?;
    for _ in 0..8 {
        let values = client.values()?;
        let after = client.counters()?;
        for (level, (offset, config)) in levels.iter_mut().zip(lines).filter(|(level, _)| level.is_none()) {
            let driven = after[offset.index()].driven;
            // Else the value may be from before or after the edges in between.
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

/// How a line is to be held, as the driver reads it.
fn record(offset: Offset, config: &LineConfig) -> protocol::LineConfig {
    let mut flags = match config.direction {
        None => 0,
        Some(Direction::Input) => protocol::LINE_INPUT,
        Some(Direction::Output) if config.output == Some(true) => protocol::LINE_OUTPUT | protocol::LINE_ACTIVE,
        Some(Direction::Output) => protocol::LINE_OUTPUT,
    };
    if config.active_low {
        flags |= protocol::LINE_ACTIVE_LOW;
    }
    flags |= match config.bias {
        None => 0,
        Some(Bias::PullUp) => protocol::LINE_BIAS_PULL_UP,
        Some(Bias::PullDown) => protocol::LINE_BIAS_PULL_DOWN,
        Some(Bias::Disabled) => protocol::LINE_BIAS_DISABLED,
    };
    flags |= config.edges.map_or(0, Edges::flags);
    protocol::LineConfig { offset: offset.get(), flags }
}

/// What the driver says of a line.
fn line_info(record: &protocol::LineInfo) -> LineInfo {
    let has = |flag| record.flags & flag != 0;
    let edges = match (has(protocol::LINE_EDGE_RISING), has(protocol::LINE_EDGE_FALLING)) {
        (true, true) => Some(Edges::Both),
        (true, false) => Some(Edges::Rising),
        (false, true) => Some(Edges::Falling),
        (false, false) => None,
    };
    let bias = [
        (protocol::LINE_BIAS_PULL_UP, Bias::PullUp),
        (protocol::LINE_BIAS_PULL_DOWN, Bias::PullDown),
        (protocol::LINE_BIAS_DISABLED, Bias::Disabled),
    ];
    LineInfo {
        offset: record.offset.into(),
        name: named(&record.name),
        direction: if has(protocol::LINE_OUTPUT) { Direction::Output } else { Direction::Input },
        active: Some(has(protocol::LINE_ACTIVE)),
        used: has(protocol::LINE_USED),
        consumer: named(&record.consumer),
        config: LineConfig {
            active_low: has(protocol::LINE_ACTIVE_LOW),
            bias: bias.into_iter().find(|(flag, _)| has(*flag)).map(|(_, bias)| bias),
            drive: Drive::PushPull,
            edges,
            ..LineConfig::default()
        },
    }
}
