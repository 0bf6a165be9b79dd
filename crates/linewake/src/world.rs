//! The outside world of a chip for tests: it changes levels, merges edges and unplugs the chip.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use linewake_controller::protocol::{self, ALL_LINES, DRIVE_HIGH, DRIVE_LOW, DRIVE_TOGGLE, Drive, MergeWindow};
use overlapped::Device;

use crate::backend::driver::{Client, ReferenceDriver, codes};
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
/// On any other chip every call fails with [`ErrorKind::Unsupported`](crate::ErrorKind).
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
    /// The error of opening it.
    pub fn open_device(&self) -> Result<Device, overlapped::Error> {
        match self.reference() {
            Ok(reference) => reference.source.open().map(|(device, _)| device),
            Err(_) => Device::open(&*self.info().name),
        }
    }

    /// The driver's totals of each line, over all closed readers.
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

    /// The outside world of a chip for tests: a simulated one or the reference driver's.
    #[must_use]
    pub fn world(&self) -> World<'_> {
        World { chip: self, reference: self.reference() }
    }
}

impl World<'_> {
    fn client(&self) -> Result<&Client, Error> {
        Ok(&self.reference.clone()?.client)
    }

    /// Advances the virtual clock of a simulated chip. Everything that is due meanwhile happens in order, at its own
    /// time.
    ///
    /// The clock stops at an edge for which a request has no room, and at the unplugging of a chip with queued edges;
    /// it goes on when they are read. Returns the rest of `time`: zero if all of it has passed.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind) unless the chip is simulated, and its clock not the system's.
    pub fn advance(&self, time: Duration) -> Result<Duration, Error> {
        match self.reference.clone()?.source.host() {
            Some(host) => host.advance(time),
            None => Err(unsupported(&self.chip.info().name, "has its own clock, which cannot be advanced")),
        }
    }

    /// Gives a line a level.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`](crate::ErrorKind), and the error of the device: the outside world cannot set an
    /// output.
    pub fn drive(&self, line: impl Into<LineId>, level: bool) -> Result<(), Error> {
        let offset = self.chip.find(line)?.get();
        let action = if level { DRIVE_HIGH } else { DRIVE_LOW };
        self.client()?.send(codes::DRIVE, &[Drive { offset, action, count: 1, reserved: 0 }][..])
    }

    /// Changes the level of a line `times` times, as fast as possible.
    ///
    /// # Errors
    /// As [`drive`](Self::drive); the device refuses zero and more than 1,048,576 changes.
    pub fn toggle(&self, line: impl Into<LineId>, times: u32) -> Result<(), Error> {
        self.toggle_all([(line, times)])
    }

    /// Changes several lines in turn, one change of each after the other, until each has had its `times`.
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
        self.client()?.send(codes::DRIVE, &drives?[..])
    }

    /// From now on, merges an edge into the edge of its line before it if it follows within `window`. Zero merges none.
    ///
    /// # Errors
    /// The error of the device.
    pub fn merge_within(&self, window: Duration) -> Result<(), Error> {
        let window_ns = crate::clock::nanoseconds(window);
        self.client()?.send(codes::SET_MERGE, &MergeWindow { offset: ALL_LINES, reserved: 0, window_ns })
    }

    /// Makes new requests number their edges from `number + 1` instead of 1, so that a test sees the numbers wrap
    /// without four thousand million edges.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind) if the chip is neither simulated nor the reference driver's.
    pub fn number_after(&self, number: u32) -> Result<(), Error> {
        self.reference.clone()?.number_after.store(number, Relaxed);
        Ok(())
    }

    /// Unplugs the device. Every request ends; only [`replug`](Self::replug) is of use then.
    ///
    /// # Errors
    /// The error of the device.
    pub fn unplug(&self) -> Result<(), Error> {
        self.client()?.send(codes::UNPLUG, &())
    }

    /// Plugs the device in again, so that it can be opened.
    ///
    /// # Errors
    /// The error of the device.
    pub fn replug(&self) -> Result<(), Error> {
        self.client()?.send(codes::REPLUG, &())
    }
}
