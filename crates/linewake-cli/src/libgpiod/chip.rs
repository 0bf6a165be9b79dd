//! A chip, its lines, and a request of lines: the kernel's, or simulated ones in a test.

#[cfg(target_os = "linux")]
use linewake::gpiochip::{ChipFile, FileLine, FileRequest, LinesFile, flag};
use linewake::{Bias, Direction, Drive, Edges, EventClock};

use super::strerror;

/// An error in the system's words.
pub(super) type SystemError = String;

/// An open chip.
#[derive(Debug)]
pub(super) enum OpenChip {
    #[cfg(target_os = "linux")]
    File(ChipFile),
    Sim(Box<linewake::Chip>),
}

/// The name, label and number of lines of a chip.
#[derive(Debug)]
pub(super) struct ChipInfo {
    pub(super) name: Vec<u8>,
    pub(super) label: Vec<u8>,
    pub(super) lines: u32,
}

/// The name and the settings of a line.
#[derive(Debug)]
pub(super) struct LineInfo {
    /// Empty if the line has no name.
    pub(super) name: Vec<u8>,
    /// Empty if the line is free, or if its holder has no name.
    pub(super) consumer: Vec<u8>,
    pub(super) offset: u32,
    pub(super) used: bool,
    pub(super) output: bool,
    pub(super) active_low: bool,
    pub(super) drive: Drive,
    pub(super) bias: Option<Bias>,
    pub(super) edges: Option<Edges>,
    pub(super) clock: EventClock,
    /// In microseconds.
    pub(super) debounce: u64,
}

#[cfg(target_os = "linux")]
impl From<FileLine> for LineInfo {
    fn from(line: FileLine) -> Self {
        let has = |flag: u64| line.flags & flag != 0;
        let drive = match () {
            () if has(flag::OPEN_DRAIN) => Drive::OpenDrain,
            () if has(flag::OPEN_SOURCE) => Drive::OpenSource,
            () => Drive::PushPull,
        };
        let bias = match () {
            () if has(flag::BIAS_PULL_UP) => Some(Bias::PullUp),
            () if has(flag::BIAS_PULL_DOWN) => Some(Bias::PullDown),
            () if has(flag::BIAS_DISABLED) => Some(Bias::Disabled),
            () => None,
        };
        let edges = match (has(flag::EDGE_RISING), has(flag::EDGE_FALLING)) {
            (true, true) => Some(Edges::Both),
            (true, false) => Some(Edges::Rising),
            (false, true) => Some(Edges::Falling),
            (false, false) => None,
        };
        let clock = match () {
            () if has(flag::EVENT_CLOCK_REALTIME) => EventClock::Realtime,
            () if has(flag::EVENT_CLOCK_HTE) => EventClock::Hte,
            () => EventClock::Monotonic,
        };
        Self {
            name: line.name.as_bytes().to_vec(),
            consumer: line.consumer.as_bytes().to_vec(),
            offset: line.offset,
            used: has(flag::USED),
            output: has(flag::OUTPUT),
            active_low: has(flag::ACTIVE_LOW),
            drive,
            bias,
            edges,
            clock,
            debounce: line.debounce.into(),
        }
    }
}

impl From<linewake::LineInfo> for LineInfo {
    fn from(line: linewake::LineInfo) -> Self {
        let bytes = |text: Option<std::sync::Arc<str>>| text.map_or(Vec::new(), |text| text.as_bytes().to_vec());
        Self {
            name: bytes(line.name),
            consumer: bytes(line.consumer),
            offset: line.offset.get(),
            used: line.used,
            output: line.direction == Direction::Output,
            active_low: line.config.active_low,
            drive: line.config.drive,
            bias: line.config.bias,
            edges: line.config.edges,
            clock: line.config.clock,
            debounce: line.config.debounce.as_micros().try_into().unwrap_or(u64::MAX),
        }
    }
}

/// The settings of requested lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestConfig<'a> {
    pub(super) consumer: &'a [u8],
    /// `None` keeps the direction.
    pub(super) direction: Option<Direction>,
    pub(super) active_low: bool,
    pub(super) bias: Option<Bias>,
    pub(super) drive: Drive,
    pub(super) edges: Option<Edges>,
    pub(super) clock: EventClock,
    /// In microseconds.
    pub(super) debounce: u32,
}

impl<'a> RequestConfig<'a> {
    pub(super) fn new(consumer: &'a [u8], direction: Option<Direction>) -> Self {
        Self {
            consumer,
            direction,
            active_low: false,
            bias: None,
            drive: Drive::PushPull,
            edges: None,
            clock: EventClock::Monotonic,
            debounce: 0,
        }
    }

    #[cfg(target_os = "linux")]
    fn flags(&self) -> u64 {
        let direction = match self.direction {
            Some(Direction::Input) => flag::INPUT,
            Some(Direction::Output) => flag::OUTPUT,
            None => 0,
        };
        let drive = match self.drive {
            Drive::PushPull => 0,
            Drive::OpenDrain => flag::OPEN_DRAIN,
            Drive::OpenSource => flag::OPEN_SOURCE,
        };
        let bias = match self.bias {
            None => 0,
            Some(Bias::PullUp) => flag::BIAS_PULL_UP,
            Some(Bias::PullDown) => flag::BIAS_PULL_DOWN,
            Some(Bias::Disabled) => flag::BIAS_DISABLED,
        };
        let edges = match self.edges {
            None => 0,
            Some(Edges::Rising) => flag::EDGE_RISING,
            Some(Edges::Falling) => flag::EDGE_FALLING,
            Some(Edges::Both) => flag::EDGE_RISING | flag::EDGE_FALLING,
        };
        let clock = match self.clock {
            EventClock::Monotonic => 0,
            EventClock::Realtime => flag::EVENT_CLOCK_REALTIME,
            EventClock::Hte => flag::EVENT_CLOCK_HTE,
        };
        direction | drive | bias | edges | clock | if self.active_low { flag::ACTIVE_LOW } else { 0 }
    }

    fn config(&self, active: bool) -> linewake::LineConfig {
        use linewake::LineConfig;
        let config = match (self.edges, self.direction) {
            (Some(edges), _) => LineConfig::watch(edges),
            (None, Some(Direction::Output)) => LineConfig::output(active),
            (None, Some(Direction::Input)) => LineConfig::input(),
            (None, None) => LineConfig::as_is(),
        };
        let mut config = config.active_low(self.active_low).drive(self.drive).clock(self.clock);
        config.bias = self.bias;
        config.debounce = std::time::Duration::from_micros(self.debounce.into());
        config
    }
}

/// A request: held lines of one chip.
#[derive(Debug)]
pub(super) enum LineRequest {
    #[cfg(target_os = "linux")]
    File(LinesFile),
    Sim(Box<linewake::Request>, Vec<u32>),
}

impl OpenChip {
    pub(super) fn about(&self) -> Result<ChipInfo, SystemError> {
        match self {
            #[cfg(target_os = "linux")]
            Self::File(chip) => {
                let info = chip.info().map_err(|error| strerror::of(&error))?;
                let (name, label) = (info.name.as_bytes().to_vec(), info.label.as_bytes().to_vec());
                Ok(ChipInfo { name, label, lines: info.lines })
            }
            Self::Sim(chip) => {
                let info = chip.info();
                let bytes = |text: &str| text.as_bytes().to_vec();
                Ok(ChipInfo { name: bytes(&info.name), label: bytes(&info.label), lines: info.lines })
            }
        }
    }

    pub(super) fn line(&self, offset: u32) -> Result<LineInfo, SystemError> {
        match self {
            #[cfg(target_os = "linux")]
            Self::File(chip) => chip.line(offset).map(LineInfo::from).map_err(|error| strerror::of(&error)),
            Self::Sim(chip) => chip.line_info(offset).map(LineInfo::from).map_err(|error| strerror::of_library(&error)),
        }
    }

    /// Requests lines; `bits` are the values of outputs, by their index.
    pub(super) fn request(
        &self,
        offsets: &[u32],
        config: &RequestConfig<'_>,
        bits: u64,
    ) -> Result<LineRequest, SystemError> {
        match self {
            #[cfg(target_os = "linux")]
            Self::File(chip) => {
                let request = FileRequest {
                    consumer: config.consumer,
                    flags: config.flags(),
                    values: (config.direction == Some(Direction::Output)).then_some(bits),
                    debounce: config.debounce,
                };
                chip.request(offsets, &request).map(LineRequest::File).map_err(|error| strerror::of(&error))
            }
            Self::Sim(chip) => {
                let mut request = chip.request().consumer(&*String::from_utf8_lossy(config.consumer));
                for (place, offset) in offsets.iter().enumerate() {
                    request = request.line_with(*offset, config.config(bits >> place & 1 == 1));
                }
                let held = request.start().map_err(|error| strerror::of_library(&error))?;
                Ok(LineRequest::Sim(Box::new(held), offsets.to_vec()))
            }
        }
    }
}

impl LineRequest {
    /// The values of the lines, a bit for each by its index.
    pub(super) fn values(&self) -> Result<u64, SystemError> {
        match self {
            #[cfg(target_os = "linux")]
            Self::File(lines) => lines.values().map_err(|error| strerror::of(&error)),
            Self::Sim(request, _) => {
                let values = request.values().map_err(|error| strerror::of_library(&error))?;
                Ok(values.iter().rev().fold(0, |bits, &active| bits << 1 | u64::from(active)))
            }
        }
    }

    pub(super) fn set_values(&mut self, bits: u64) -> Result<(), SystemError> {
        match self {
            #[cfg(target_os = "linux")]
            Self::File(lines) => lines.set_values(bits).map_err(|error| strerror::of(&error)),
            Self::Sim(request, offsets) => {
                let values = offsets.iter().enumerate().map(|(place, &offset)| (offset, bits >> place & 1 == 1));
                request.set_values(values).map_err(|error| strerror::of_library(&error))
            }
        }
    }
}
