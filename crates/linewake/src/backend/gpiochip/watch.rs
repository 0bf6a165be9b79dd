//! Reports when a chip's lines are requested, released and reconfigured. The kernel keeps events that are not read, so
//! the thread that waits for them reads the file itself.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream as _;
use overlapped::{Device, InvertedCall};
use zerocopy::FromBytes;

use super::chip::{malformed, of_chip};
use super::{config, uapi};
use crate::backend::InfoWatch;
use crate::{ChipInfo, Error, ErrorKind, InfoEvent, Offset};

/// The length of the kernel's queue, which drops further events without a report.
const QUEUED: usize = 32;

/// A watch, with a file of its own on the chip.
#[derive(Debug)]
pub(super) struct GpioInfoWatch {
    chip: Arc<str>,
    reads: InvertedCall<[u8]>,
    events: VecDeque<InfoEvent>,
}

impl GpioInfoWatch {
    pub(super) fn start(chip: &ChipInfo, device: Device, offsets: &[Offset]) -> Result<Self, overlapped::Error> {
        for offset in offsets {
            uapi::watch_line_info(&device, offset.get())?;
        }
        let reads =
            device.standing_reads(QUEUED * size_of::<uapi::LineInfoChanged>()).pending(1).armed_by_consumer().start();
        Ok(Self { chip: chip.name.clone(), reads, events: VecDeque::new() })
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let malformed = |what| malformed(&self.chip, what);
        for record in bytes.chunks(size_of::<uapi::LineInfoChanged>()) {
            let said = uapi::LineInfoChanged::read_from_bytes(record)
                .map_err(|_| malformed(format!("a change of a line has {} bytes", record.len())))?;
            let kind = config::info_event_kind(said.kind)
                .ok_or_else(|| malformed(format!("a change of a line is of kind {}", said.kind)))?;
            let line = config::line_info(&said.info);
            self.events.push_back(InfoEvent {
                chip: self.chip.clone(),
                kind,
                timestamp_ns: said.timestamp_ns,
                line,
                missed: 0,
            });
        }
        Ok(())
    }
}

impl InfoWatch for GpioInfoWatch {
    fn poll_info(&mut self, cx: &mut Context<'_>) -> Poll<Result<InfoEvent, Error>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Ok(event));
            }
            let failed = match ready!(Pin::new(&mut self.reads).poll_next(cx)) {
                Some(Ok(bytes)) => self.decode(&bytes).err(),
                Some(Err(error)) => Some(of_chip(&self.chip, error)),
                None => Some(Error::new(ErrorKind::Device, format!("chip \"{}\" sends no more events", self.chip))),
            };
            if let Some(error) = failed {
                return Poll::Ready(Err(error));
            }
        }
    }
}
