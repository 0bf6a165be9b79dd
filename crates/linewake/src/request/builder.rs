//! What to watch, and how: checked, configured, started.

use linewake_controller::protocol::{self, LineConfig, ReaderConfig};

use super::line::{WatchedLine, read_levels};
use crate::{Chip, Edges, Error, ErrorKind, LineId, Request};

/// What to watch, and how.
///
/// ```
/// # let chip = linewake::Chip::open("sim")?;
/// let edges = chip.request().lines(["pps", "door"]).consumer("watchman").queue_size(256).start()?;
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is watched before `start`"]
pub struct RequestBuilder {
    chip: Chip,
    lines: Vec<LineId>,
    edges: Edges,
    consumer: String,
    queue_size: u32,
}

impl RequestBuilder {
    pub(crate) fn new(chip: Chip) -> Self {
        Self { chip, lines: Vec::new(), edges: Edges::Both, consumer: "linewake".to_owned(), queue_size: 0 }
    }

    /// One more line, by offset or name.
    pub fn line(self, line: impl Into<LineId>) -> Self {
        self.lines([line])
    }

    /// More lines.
    pub fn lines<L: Into<LineId>>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        self.lines.extend(lines.into_iter().map(Into::into));
        self
    }

    /// Every line of the chip.
    pub fn all_lines(self) -> Self {
        let all = 0..self.chip.info().lines;
        self.lines(all)
    }

    /// Which edges to watch: both unless set.
    pub fn edges(mut self, edges: Edges) -> Self {
        self.edges = edges;
        self
    }

    /// Who watches, for others to see: `linewake` unless set. Cut at 32 bytes.
    pub fn consumer(mut self, consumer: impl Into<String>) -> Self {
        self.consumer = consumer.into();
        self
    }

    /// How many events the driver queues, rounded up to a power of two: 16 for each line unless set, as on Linux. When it
    /// is full the oldest is dropped, and counted.
    pub fn queue_size(mut self, events: u32) -> Self {
        self.queue_size = events;
        self
    }

    /// Begins to watch.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`], [`ErrorKind::LineTwice`]; [`ErrorKind::InvalidInput`] without a line, and for a queue
    /// the chip cannot have; [`ErrorKind::Busy`] when somebody else holds a line alone; and what the device says.
    pub fn start(self) -> Result<Request, Error> {
        let info = self.chip.info();
        let offsets = self.chip.find_all(self.lines)?;
        if offsets.is_empty() {
            let message = format!("no line of chip \"{}\" is asked for; name one, or ask for all", info.name);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if self.queue_size == 1 || self.queue_size > info.max_queue_size {
            let (size, most) = (self.queue_size, info.max_queue_size);
            let message = format!("a queue of {size} is not possible on chip \"{}\": it has 2 to {most}", info.name);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let client = self.chip.open_reader()?;
        let consumer = protocol::name(&self.consumer);
        client.set_reader(&ReaderConfig { capacity: self.queue_size, seqno_base: 0, consumer })?;
        let flags = protocol::LINE_INPUT | self.edges.flags();
        let configs: Vec<_> = offsets.iter().map(|offset| LineConfig { offset: offset.get(), flags }).collect();
        client.configure(&configs).map_err(|error| self.chip.explain_busy(error, &offsets))?;

        let mut lines: Vec<_> =
            offsets.iter().map(|&offset| WatchedLine::new(offset, self.chip.name(offset))).collect();
        read_levels(&client, self.edges, &mut lines)?;

        Ok(Request::new(info, client, lines))
    }
}
