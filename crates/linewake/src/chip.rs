//! Chips and their lines.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::backend::driver::{self, ReferenceDriver};
use crate::backend::{Backend, Capabilities, LineHolder, unsupported};
use crate::{ChipInfo, Clock, Error, ErrorKind, EventClock, LineId, LineInfo, Offset};

/// A chip: a device with lines. Clones share it.
///
/// ```
/// use linewake::Chip;
/// let chip = Chip::open("sim")?;
/// for line in chip.lines()? {
///     println!("{}: {}", line.offset, line.name.as_deref().unwrap_or("unnamed"));
/// }
/// # Ok::<(), linewake::Error>(())
/// ```
///
/// The driver answers its calls at once, so nothing here is `async`. Only edges are waited for.
#[derive(Clone, Debug)]
pub struct Chip {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    backend: Arc<dyn Backend>,
    names: Vec<Option<Arc<str>>>,
    /// The lines of each name, in order.
    by_name: HashMap<Arc<str>, Vec<Offset>>,
    world: Option<Chip>,
}

impl Chip {
    /// The processes that hold its lines, as far as the system shows them: on Linux those whose open files this user
    /// may see.
    #[must_use]
    pub fn holders(&self) -> HashMap<Offset, LineHolder> {
        self.backend().holders()
    }

    /// This chip, with the [world](Self::world) of another: for a test that opens one device with two protocols.
    ///
    /// ```
    /// use linewake::Chip;
    /// let open = || Chip::options().life(false).open("sim:2");
    /// let (inside, other) = (open()?, open()?);
    /// let chip = other.driven_by(&inside);
    /// chip.world().drive("0", true)?;
    /// assert!(inside.value(0)? && !chip.value(0)?);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn driven_by(self, world: &Self) -> Self {
        let inner = Inner { world: Some(world.clone()), ..(*self.inner).clone() };
        Self { inner: Arc::new(inner) }
    }

    /// A chip with a backend of the caller.
    ///
    /// # Errors
    /// The error of the backend when it lists its lines.
    pub fn from_backend(backend: Arc<dyn Backend>) -> Result<Self, Error> {
        let names: Vec<_> = backend.lines()?.into_iter().map(|line| line.name).collect();
        let mut by_name = HashMap::<_, Vec<_>>::new();
        for (offset, name) in (0..).zip(&names) {
            if let Some(name) = name {
                by_name.entry(name.clone()).or_default().push(Offset::from(offset));
            }
        }
        Ok(Self { inner: Arc::new(Inner { backend, names, by_name, world: None }) })
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.inner.backend
    }

    /// Its facts.
    #[must_use]
    pub fn info(&self) -> &ChipInfo {
        self.backend().info()
    }

    /// Notes for the user: for example what a simulated chip leaves out of the waveform that it plays.
    ///
    /// ```
    /// assert!(linewake::Chip::open("sim")?.notes().is_empty());
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn notes(&self) -> &[String] {
        self.backend().notes()
    }

    /// Its capabilities.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.backend().capabilities()
    }

    /// The clock of its time stamps, unless a line has another one.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.backend().clock(EventClock::Monotonic)
    }

    /// Opens the same chip again after it was unplugged: a driver's device by its path, a gpiochip by its label and its
    /// place on the bus. Clones of this chip stay as they are.
    ///
    /// # Errors
    /// An error that [`is_disconnected`](Error::is_disconnected) while it is not back.
    pub fn reopen(&self) -> Result<Self, Error> {
        Self::from_backend(self.backend().reopen()?)
    }

    /// Finds a line by offset or name: the first one if several have the name.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`].
    pub fn find(&self, line: impl Into<LineId>) -> Result<Offset, Error> {
        let ChipInfo { name: chip, lines, .. } = self.info();
        let line = line.into();
        let number = match &line {
            LineId::Offset(offset) => Some(offset.get()),
            LineId::Text(text) => offset_in(text),
        };
        if let Some(offset) = number.filter(|offset| offset < lines) {
            return Ok(offset.into());
        }
        if let LineId::Text(text) = &line
            && let Some(&first) = self.named(text).first()
        {
            return Ok(first);
        }
        let message = match number {
            Some(_) => format!("offset {line} is out of range on chip \"{chip}\", which has {lines} lines from 0"),
            None => format!("cannot find line \"{line}\" on chip \"{chip}\", which has {}", self.some_names()),
        };
        Err(Error::new(ErrorKind::NoSuchLine, message))
    }

    /// The lines of a name, in order: none, one, or several.
    #[must_use]
    pub fn named(&self, name: &str) -> &[Offset] {
        self.inner.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names that exist, for an error.
    fn some_names(&self) -> String {
        const MOST: usize = 16;
        let names: Vec<_> = self.inner.names.iter().flatten().map(|name| format!("\"{name}\"")).collect();
        match names.len() {
            0 => format!("{} lines without names: use an offset from 0", self.info().lines),
            1..=MOST => names.join(", "),
            more => format!("{} and {} more", names[..MOST].join(", "), more - MOST),
        }
    }

    /// Finds several lines.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`]; [`ErrorKind::LineTwice`] when two of them are the same line.
    pub fn find_all<L: Into<LineId>>(&self, lines: impl IntoIterator<Item = L>) -> Result<Vec<Offset>, Error> {
        let mut asked = HashMap::new();
        let mut offsets = Vec::new();
        for line in lines {
            let line = line.into();
            let offset = self.find(line.clone())?;
            offsets.push(offset);
            if let Some(before) = asked.insert(offset, line.clone()) {
                let chip = &self.info().name;
                let message = format!("lines \"{before}\" and \"{line}\" are the same line of chip \"{chip}\"");
                return Err(Error::new(ErrorKind::LineTwice, message));
            }
        }
        Ok(offsets)
    }

    /// The name of a line, if it has one.
    ///
    /// ```
    /// let chip = linewake::Chip::open("sim")?;
    /// assert_eq!(chip.name(5.into()).as_deref(), Some("door"));
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn name(&self, offset: Offset) -> Option<Arc<str>> {
        self.inner.names.get(offset.index()).cloned().flatten()
    }

    /// A line as it is now.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`], and the error of the device.
    pub fn line_info(&self, line: impl Into<LineId>) -> Result<LineInfo, Error> {
        self.backend().line(self.find(line)?)
    }

    /// All lines as they are now.
    ///
    /// # Errors
    /// The error of the device.
    pub fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        self.backend().lines()
    }

    /// The value of a line now: true for active.
    ///
    /// ```
    /// # let chip = linewake::Chip::open("sim")?;
    /// println!("the door is {}", if chip.value("door")? { "open" } else { "closed" });
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`values`](Self::values).
    pub fn value(&self, line: impl Into<LineId>) -> Result<bool, Error> {
        Ok(self.values([line])?[0])
    }

    /// The values of lines now: true for active. All are read at the same moment if the chip
    /// [can](Capabilities::atomic_values). The lines keep their configuration. If the chip can read only held lines,
    /// they are held for a moment.
    ///
    /// # Errors
    /// As [`find_all`](Self::find_all); [`ErrorKind::Busy`] when a line is held elsewhere and the chip does not share
    /// lines; and the error of the device.
    pub fn values<L: Into<LineId>>(&self, lines: impl IntoIterator<Item = L>) -> Result<Vec<bool>, Error> {
        self.backend().values(&self.find_all(lines)?)
    }

    /// The client of the reference driver's protocol, if the chip speaks it.
    pub(crate) fn reference(&self) -> Result<&ReferenceDriver, Error> {
        let other = || unsupported(&self.info().name, "is neither simulated nor the reference driver's");
        let world = self.inner.world.as_ref().unwrap_or(self);
        let backend: &dyn Any = world.backend();
        backend.downcast_ref::<driver::ReferenceChip>().map(driver::ReferenceChip::reference).ok_or_else(other)
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.info().name)
    }
}

/// An offset in decimal digits. `+5` and ` 5` are names.
fn offset_in(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
