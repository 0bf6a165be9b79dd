//! A chip, its lines, and a request of lines: the kernel's, or simulated ones in a test.

#[cfg(target_os = "linux")]
use linewake::gpiochip::{ChipFile, FileLine, FileRequest, LinesFile, flag};
use linewake::{Direction, LineConfig};

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
    pub(super) direction: Direction,
    pub(super) config: LineConfig,
}

#[cfg(target_os = "linux")]
impl From<FileLine> for LineInfo {
    fn from(line: FileLine) -> Self {
        let has = |flag: u64| line.flags & flag != 0;
        Self {
            name: line.name.as_bytes().to_vec(),
            consumer: line.consumer.as_bytes().to_vec(),
            offset: line.offset,
            used: has(flag::USED),
            direction: if has(flag::OUTPUT) { Direction::Output } else { Direction::Input },
            config: line.config(),
        }
    }
}

impl From<linewake::LineInfo> for LineInfo {
    fn from(line: linewake::LineInfo) -> Self {
        let linewake::LineInfo { name, consumer, offset, used, direction, config, .. } = line;
        let [name, consumer] = [name, consumer].map(|text| text.map_or(Vec::new(), |text| text.as_bytes().to_vec()));
        Self { name, consumer, offset: offset.get(), used, direction, config }
    }
}

/// The settings of requested lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestConfig<'a> {
    pub(super) consumer: &'a [u8],
    pub(super) line: LineConfig,
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
        let is_output = config.line.direction == Some(Direction::Output);
        match self {
            #[cfg(target_os = "linux")]
            Self::File(chip) => {
                let values = is_output.then_some(bits);
                let request = FileRequest { values, ..FileRequest::new(config.consumer, &config.line) };
                chip.request(offsets, &request).map(LineRequest::File).map_err(|error| strerror::of(&error))
            }
            Self::Sim(chip) => {
                let mut request = chip.request().consumer(&*String::from_utf8_lossy(config.consumer));
                for (place, offset) in offsets.iter().enumerate() {
                    let mut line = config.line;
                    line.output = is_output.then_some(bits >> place & 1 == 1);
                    request = request.line_with(*offset, line);
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
