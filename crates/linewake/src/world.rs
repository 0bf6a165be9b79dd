//! The outside world of a chip that is there for tests: it changes levels, makes edges merge, pulls the plug.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use linewake_controller::protocol::{self, ALL_LINES, DRIVE_HIGH, DRIVE_LOW, DRIVE_TOGGLE, Drive, MergeWindow};
use overlapped::Device;

use crate::backend::driver::{Client, ReferenceDriver};
use crate::backend::unsupported;
use crate::{Chip, Error, Figures, LineId, LineTotals};

/// Changes the inputs of a simulated chip, or of the reference driver's, as the outside world would.
///
/// ```
/// let chip = linewake::Chip::options().life(false).open("sim")?;
/// let mut edges = chip.request().line("button").start()?;
/// chip.world().toggle("button", 2)?;
/// assert_eq!(edges.wait_next().unwrap()?.kind, linewake::EdgeKind::Rising);
/// assert_eq!(edges.wait_next().unwrap()?.kind, linewake::EdgeKind::Falling);
/// # Ok::<(), linewake::Error>(())
/// ```
///
/// On any other chip everything here is an error of kind [`ErrorKind::Unsupported`](crate::ErrorKind).
#[derive(Clone, Debug)]
pub struct World<'a> {
    chip: &'a Chip,
    reference: Result<&'a ReferenceDriver, Error>,
}

impl Chip {
    /// Opens the device of a simulated chip or of the reference driver once more: for a test that calls it by another
    /// protocol.
    ///
    /// # Errors
    /// What opening it says.
    pub fn open_device(&self) -> Result<Device, overlapped::Error> {
        match self.reference() {
            Ok(reference) => reference.source.open().map(|(device, _)| device),
            Err(_) => Device::open(&*self.info().name),
        }
    }

    /// What the driver says of each line, over all readers that were closed.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind) unless the chip is simulated or the reference driver's; what the
    /// device says.
    pub fn totals(&self) -> Result<Vec<LineTotals>, Error> {
        let totals = self.reference()?.client.totals()?;
        let line = |line: &protocol::LineTotals| LineTotals {
            offset: line.offset.into(),
            readers: line.readers,
            changes: line.changes,
            figures: Figures {
                delivered: line.delivered,
                overflowed: line.overflowed,
                merged: line.merged,
                discarded: line.discarded,
            },
        };
        Ok(totals.iter().map(line).collect())
    }

    /// The world outside a chip that is there for tests: the simulated one and the reference driver's.
    #[must_use]
    pub fn world(&self) -> World<'_> {
        World::new(self, self.reference())
    }
}

impl<'a> World<'a> {
    pub(crate) fn new(chip: &'a Chip, reference: Result<&'a ReferenceDriver, Error>) -> Self {
        Self { chip, reference }
    }

    fn client(&self) -> Result<&Client, Error> {
        Ok(&self.reference.clone()?.client)
    }

    /// Lets the clock of a simulated chip go on, which has one that stands still: what is due meanwhile happens, in
    /// order, each at its own time.
    ///
    /// A clock goes no further than an edge for which a request has no room, or than an unplugging of a chip that has
    /// edges queued; it goes on as they are read. Returns how much of `time` is left then: zero if all of it has
    /// passed.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind) unless the chip is simulated, and its clock not the system's.
    pub fn advance(&self, time: Duration) -> Result<Duration, Error> {
        match self.reference.clone()?.source.host() {
            Some(host) => host.advance(time),
            None => Err(unsupported(&self.chip.info().name, "has a clock of its own, which nobody can advance")),
        }
    }

    /// Gives a line a level.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`](crate::ErrorKind), and what the device says: an output is not the world's to change.
    pub fn drive(&self, line: impl Into<LineId>, level: bool) -> Result<(), Error> {
        let offset = self.chip.find(line)?.get();
        let action = if level { DRIVE_HIGH } else { DRIVE_LOW };
        self.client()?.drive(&[Drive { offset, action, count: 1, reserved: 0 }])
    }

    /// Changes the level of a line `times` times, as fast as the chip can.
    ///
    /// # Errors
    /// As [`drive`](Self::drive); the device refuses zero and more than 1,048,576 changes.
    pub fn toggle(&self, line: impl Into<LineId>, times: u32) -> Result<(), Error> {
        self.toggle_all([(line, times)])
    }

    /// Changes several lines in turn, one change of each after the other, until each has had its number.
    ///
    /// # Errors
    /// As [`toggle`](Self::toggle), for the sum of the changes.
    pub fn toggle_all<L: Into<LineId>>(&self, lines: impl IntoIterator<Item = (L, u32)>) -> Result<(), Error> {
        let drives: Result<Vec<_>, Error> = lines
            .into_iter()
            .map(|(line, count)| {
                Ok(Drive { offset: self.chip.find(line)?.get(), action: DRIVE_TOGGLE, count, reserved: 0 })
            })
            .collect();
        self.client()?.drive(&drives?)
    }

    /// From now on, edges that follow one of their line within `window` are merged into it. Zero merges nothing.
    ///
    /// # Errors
    /// What the device says.
    pub fn merge_within(&self, window: Duration) -> Result<(), Error> {
        let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        self.client()?.set_merge(&MergeWindow { offset: ALL_LINES, reserved: 0, window_ns })
    }

    /// Has requests that are made from now on number their edges from `number + 1`, and not from 1: a test can see the
    /// numbers wrap without four thousand million edges.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind) where there is no such world.
    pub fn number_after(&self, number: u32) -> Result<(), Error> {
        self.reference.clone()?.number_after.store(number, Relaxed);
        Ok(())
    }

    /// Pulls the device out. Every request ends, and this chip is of no use but to [`replug`](Self::replug).
    ///
    /// # Errors
    /// What the device says.
    pub fn unplug(&self) -> Result<(), Error> {
        self.client()?.unplug()
    }

    /// Puts it back in: it can be opened again.
    ///
    /// # Errors
    /// What the device says.
    pub fn replug(&self) -> Result<(), Error> {
        self.client()?.replug()
    }
}
