//! A gpiochip by its file, on the thread of the caller: for tools such as those of libgpiod.
//!
//! A tool that reads one value and ends has no use for a port, its thread and a monitor. Names are the kernel's bytes,
//! which need not be UTF-8, and errors are the system's.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::config;
use super::uapi;
use crate::LineConfig;

pub use super::find::is_chip;
pub use super::uapi::flag;

/// The most lines of one request.
pub const MOST_LINES: usize = uapi::LINES;

/// A name as the kernel keeps it: 31 bytes at most, and a zero.
///
/// ```
/// assert_eq!(linewake::gpiochip::Name::cut(b"door").as_bytes(), b"door");
/// assert_eq!(linewake::gpiochip::Name::cut(&[b'x'; 40]).as_bytes().len(), 31);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name([u8; 32]);

impl Name {
    /// Cuts a text to the 31 bytes that the kernel keeps.
    #[must_use]
    pub fn cut(text: &[u8]) -> Self {
        let mut name = [0; 32];
        let text = &text[..text.len().min(31)];
        name[..text.len()].copy_from_slice(text);
        Self(name)
    }

    /// The bytes of the name; empty if there is no name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        &self.0[..len]
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

/// The name, label and size of a chip.
///
/// ```no_run
/// # #[cfg(target_os = "linux")] {
/// let chip = linewake::gpiochip::ChipFile::open("/dev/gpiochip0".as_ref())?;
/// println!("{} lines", chip.info()?.lines);
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FileInfo {
    /// The chip's name, such as `gpiochip0`.
    pub name: Name,
    /// The label that its driver gives it.
    pub label: Name,
    /// How many lines it has.
    pub lines: u32,
}

/// The name of a line, and how it is held.
///
/// ```no_run
/// # #[cfg(target_os = "linux")] {
/// let chip = linewake::gpiochip::ChipFile::open("/dev/gpiochip0".as_ref())?;
/// println!("{:?}", chip.line(4)?.name);
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FileLine {
    /// The line's name; empty if it has none.
    pub name: Name,
    /// The name that the holder gave; empty if there is none.
    pub consumer: Name,
    /// Its number on its chip.
    pub offset: u32,
    /// See [`flag`].
    pub flags: u64,
    /// The debounce period in microseconds; 0 if there is none.
    pub debounce: u32,
}

impl FileLine {
    fn of(info: &uapi::LineInfo) -> Self {
        let said = &info.attributes[..info.attributes.len().min(info.attribute_count as usize)];
        let debounce = said.iter().find(|attribute| attribute.id == uapi::attribute::DEBOUNCE);
        Self {
            name: Name(info.name),
            consumer: Name(info.consumer),
            offset: info.offset,
            flags: info.flags,
            debounce: debounce.map_or(0, uapi::Attribute::micros),
        }
    }

    /// The settings of the line. Its direction is in the flags.
    ///
    /// ```no_run
    /// # #[cfg(target_os = "linux")] {
    /// let chip = linewake::gpiochip::ChipFile::open("/dev/gpiochip0".as_ref())?;
    /// println!("{:?}", chip.line(4)?.config().bias);
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn config(&self) -> LineConfig {
        config::decode(self.flags, self.debounce)
    }
}

/// A line that was requested, released or reconfigured.
///
/// ```no_run
/// # #[cfg(target_os = "linux")] {
/// let chip = linewake::gpiochip::ChipFile::open("/dev/gpiochip0".as_ref())?;
/// chip.watch(4)?;
/// println!("{}", chip.changed()?.timestamp_ns);
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FileChange {
    /// The line after the change.
    pub line: FileLine,
    /// The time of the change, by the monotonic clock.
    pub timestamp_ns: u64,
    /// 1: requested, 2: released, 3: reconfigured.
    pub kind: u32,
}

/// An edge.
///
/// ```no_run
/// # #[cfg(target_os = "linux")] {
/// use linewake::gpiochip::{ChipFile, FileEvents, FileRequest, Name, flag};
/// let request = FileRequest { flags: flag::INPUT | flag::EDGE_RISING, ..FileRequest::default() };
/// let lines = ChipFile::open("/dev/gpiochip0".as_ref())?.request(&[4], &request)?;
/// let mut events = FileEvents::default();
/// for event in lines.read(&mut events)? {
///     println!("{} {}", event.timestamp_ns, event.offset);
/// }
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FileEvent {
    /// The time of the edge, by the clock of the request.
    pub timestamp_ns: u64,
    /// 1: rising, 2: falling.
    pub kind: u32,
    /// The line's number on its chip.
    pub offset: u32,
}

/// A buffer for the events of one read.
///
/// ```
/// let events = linewake::gpiochip::FileEvents::default();
/// ```
#[derive(Debug)]
pub struct FileEvents([u8; EVENTS * size_of::<uapi::LineEvent>()]);

/// The most events of one read, as in libgpiod's gpiomon.
const EVENTS: usize = 32;

impl Default for FileEvents {
    fn default() -> Self {
        Self([0; EVENTS * size_of::<uapi::LineEvent>()])
    }
}

/// The settings of a request for lines.
///
/// ```
/// use linewake::gpiochip::{FileRequest, flag};
/// let output = FileRequest { flags: flag::OUTPUT, values: Some(1), ..FileRequest::default() };
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FileRequest<'a> {
    /// The name that the kernel shows as the holder of the lines.
    pub consumer: &'a [u8],
    /// See [`flag`].
    pub flags: u64,
    /// The values of outputs: a bit for each line, in the order of the request.
    pub values: Option<u64>,
    /// The debounce period in microseconds; 0 for none.
    pub debounce: u32,
}

impl<'a> FileRequest<'a> {
    /// A request with these settings. Outputs also need [`values`](Self::values).
    ///
    /// ```
    /// use linewake::LineConfig;
    /// use linewake::gpiochip::{FileRequest, flag};
    /// assert_eq!(FileRequest::new(b"meter", &LineConfig::input()).flags, flag::INPUT);
    /// ```
    #[must_use]
    pub fn new(consumer: &'a [u8], config: &LineConfig) -> Self {
        Self { consumer, flags: config::flags(config), values: None, debounce: config.debounce_us() }
    }
}

/// An open chip.
///
/// ```no_run
/// # #[cfg(target_os = "linux")] {
/// println!("{:?}", linewake::gpiochip::ChipFile::open("/dev/gpiochip0".as_ref())?.info()?);
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ChipFile {
    file: OwnedFd,
}

impl ChipFile {
    /// Opens a path that [`is_chip`].
    ///
    /// # Errors
    /// The error of open(2).
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
        Ok(Self { file })
    }

    /// The name, label and size of the chip.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn info(&self) -> io::Result<FileInfo> {
        let said = uapi::CHIP_INFO.run_on(&self.file, uapi::ChipInfo::new_zeroed())?;
        Ok(FileInfo { name: Name(said.name), label: Name(said.label), lines: said.lines })
    }

    /// The name of a line, and how it is held now.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn line(&self, offset: u32) -> io::Result<FileLine> {
        Ok(FileLine::of(&uapi::LINE_INFO.run_on(&self.file, uapi::LineInfo::about(offset))?))
    }

    /// Watches a line: from now on [`changed`](Self::changed) gives its changes.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn watch(&self, offset: u32) -> io::Result<()> {
        uapi::LINE_INFO_WATCH.run_on(&self.file, uapi::LineInfo::about(offset)).map(drop)
    }

    /// The next change of a watched line.
    ///
    /// # Errors
    /// The error of the kernel: EAGAIN if there is no change.
    pub fn changed(&self) -> io::Result<FileChange> {
        let mut said = uapi::LineInfoChanged::new_zeroed();
        let read = rustix::io::read(&self.file, said.as_mut_bytes())?;
        if read < size_of::<uapi::LineInfoChanged>() {
            return Err(rustix::io::Errno::IO.into());
        }
        Ok(FileChange { line: FileLine::of(&said.info), timestamp_ns: said.timestamp_ns, kind: said.kind })
    }

    /// Takes lines, [`MOST_LINES`] at most.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn request(&self, offsets: &[u32], request: &FileRequest<'_>) -> io::Result<LinesFile> {
        let mask = u64::MAX >> (MOST_LINES - offsets.len().clamp(1, MOST_LINES));
        let mut asked = uapi::LineRequest::new_zeroed();
        for (slot, offset) in asked.offsets.iter_mut().zip(offsets) {
            *slot = *offset;
            asked.lines += 1;
        }
        asked.consumer = Name::cut(request.consumer).0;
        asked.config.flags = request.flags;
        let values = request.values.map(|bits| uapi::Attribute::bits(uapi::attribute::OUTPUT_VALUES, bits & mask));
        let debounce = (request.debounce > 0).then(|| uapi::Attribute::debounce(request.debounce));
        for (slot, attribute) in asked.config.attributes.iter_mut().zip(values.into_iter().chain(debounce)) {
            *slot = uapi::ConfigAttribute { attribute, lines: mask };
            asked.config.attribute_count += 1;
        }
        // -1 is no descriptor: a driver that does not write the field has made no file.
        asked.fd = -1;
        let granted = uapi::GET_LINE.run_on(&self.file, asked)?;
        Ok(LinesFile { file: uapi::made(granted.fd).ok_or(rustix::io::Errno::IO)?, mask })
    }
}

impl AsFd for ChipFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Lines that are held until this is dropped.
///
/// ```no_run
/// # #[cfg(target_os = "linux")] {
/// use linewake::gpiochip::{ChipFile, FileRequest, flag};
/// let request = FileRequest { flags: flag::INPUT, ..FileRequest::default() };
/// let lines = ChipFile::open("/dev/gpiochip0".as_ref())?.request(&[4, 5], &request)?;
/// println!("{:#b}", lines.values()?);
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct LinesFile {
    file: OwnedFd,
    /// A one for each line of the request.
    mask: u64,
}

impl LinesFile {
    /// The values of the lines: a bit for each, in the order of the request.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn values(&self) -> io::Result<u64> {
        Ok(uapi::GET_VALUES.run_on(&self.file, uapi::LineValues { bits: 0, mask: self.mask })?.bits)
    }

    /// Sets the values of all lines: a bit for each, in the order of the request.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn set_values(&self, bits: u64) -> io::Result<()> {
        uapi::SET_VALUES.run_on(&self.file, uapi::LineValues { bits, mask: self.mask }).map(drop)
    }

    /// Reads the queued edges. If there are none, waits for the next one.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn read<'a>(&self, events: &'a mut FileEvents) -> io::Result<impl Iterator<Item = FileEvent> + use<'a>> {
        let read = rustix::io::read(&self.file, &mut events.0)?;
        let records = events.0[..read].chunks_exact(size_of::<uapi::LineEvent>());
        let event = |record| {
            let said = uapi::LineEvent::read_from_bytes(record).ok()?;
            Some(FileEvent { timestamp_ns: said.timestamp_ns, kind: said.id, offset: said.offset })
        };
        Ok(records.filter_map(event))
    }
}

impl AsFd for LinesFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The paths of all chips in `/dev`, in no order. A link to a chip is not another chip.
///
/// # Errors
/// The error of reading the directory.
pub fn paths() -> io::Result<Vec<PathBuf>> {
    super::find::paths_in(Path::new("/dev"))
}
