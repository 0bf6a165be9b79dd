//! The client of the reference driver's protocol, over any device that speaks it: `linewake.sys` and the simulated
//! chip.
//!
//! Everything but the waits completes at once in the driver, so these calls wait for their answers. Answers are
//! checked, since any driver may use this name.

use std::time::Duration;

use linewake_controller::Batch;
use linewake_controller::protocol::{
    ChipInfo, First, InfoRecord, LineCounters, LineInfo, LineSet, LineTotals, MAX_LINES, VERSION,
};
use overlapped::{Device, Input, InvertedCall, Ioctl};

use super::codes;
use crate::backend::RawEdge;
use crate::{EdgeKind, Error, ErrorKind, Missed, Offset};

/// How long a driver may take for a call that does not wait. After that the call times out.
const ANSWER: Duration = Duration::from_secs(10);

/// The most edges of one completion.
pub(crate) const BATCH: usize = 128;

/// The most completions that are kept for the program. Further edges stay in the driver's queue.
const WINDOW: usize = 8;

/// One open handle: to the driver, one reader.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    device: Device,
    lines: u32,
}

impl Client {
    /// Asks the device for its facts.
    pub(crate) fn new(device: Device) -> Result<(Self, ChipInfo), Error> {
        let info = *device.call(codes::GET_INFO, &()).wait_timeout(ANSWER)?;
        let mut client = Self { device, lines: info.lines };
        if info.version != VERSION {
            let version = info.version;
            return Err(client.malformed(format_args!("it has version {version}; expected version {VERSION}")));
        }
        if info.lines as usize > MAX_LINES {
            client.lines = 0;
            return Err(client.malformed(format_args!("it reports {} lines; expected at most {MAX_LINES}", info.lines)));
        }
        Ok((client, info))
    }

    pub(crate) fn lines(&self) -> u32 {
        self.lines
    }

    pub(crate) fn malformed(&self, what: impl std::fmt::Display) -> Error {
        let name = self.device.name();
        Error::new(ErrorKind::Malformed, format!("the driver of \"{name}\" does not keep to its protocol: {what}"))
    }

    pub(crate) fn line_infos(&self) -> Result<Vec<LineInfo>, Error> {
        let infos =
            self.device.call(codes::GET_LINE_INFO.with_capacity(MAX_LINES), &First::default()).wait_timeout(ANSWER)?;
        self.whole(&infos, |info| info.offset)
    }

    pub(crate) fn line_info(&self, offset: Offset) -> Result<LineInfo, Error> {
        let first = First { offset: offset.get(), reserved: 0 };
        let infos = self.device.call(codes::GET_LINE_INFO, &first).wait_timeout(ANSWER)?;
        match *infos {
            [info] if info.offset == offset.get() => Ok(info),
            _ => Err(self.malformed(format_args!("it answers for another line than {offset}"))),
        }
    }

    /// Makes a call whose answer has no bytes.
    pub(crate) fn send<In: Input + ?Sized>(&self, code: Ioctl<In, ()>, input: &In) -> Result<(), Error> {
        Ok(self.device.call(code, input).wait_timeout(ANSWER).map(drop)?)
    }

    pub(crate) fn values(&self) -> Result<LineSet, Error> {
        Ok(*self.device.call(codes::GET_VALUES, &()).wait_timeout(ANSWER)?)
    }

    /// Reports when lines are requested, released and reconfigured.
    pub(crate) fn watch_info(&self, lines: &LineSet) -> Result<InvertedCall<[InfoRecord]>, Error> {
        self.send(codes::WATCH_INFO, lines)?;
        Ok(self.device.inverted(codes::WAIT_INFO, &()).pending(1).armed_by_consumer().start())
    }

    /// The counters of every line of this reader.
    pub(crate) fn counters(&self) -> Result<Vec<LineCounters>, Error> {
        let counters = self.device.call(codes::GET_COUNTERS, &First::default()).wait_timeout(ANSWER)?;
        self.whole(&counters, |line| line.offset)
    }

    pub(crate) fn totals(&self) -> Result<Vec<LineTotals>, Error> {
        let totals = self.device.call(codes::GET_TOTALS, &First::default()).wait_timeout(ANSWER)?;
        self.whole(&totals, |line| line.offset)
    }

    /// Waits for edges of any line this reader watches, again and again.
    pub(crate) fn waits(&self) -> InvertedCall<[u8]> {
        let wait = codes::WAIT_ANY.with_capacity(codes::batch_len(BATCH));
        self.device.inverted(wait, &()).window(WINDOW).armed_by_consumer().start()
    }

    /// Takes at most `most` edges that the driver has queued, so that it need not wait.
    pub(crate) fn take(&self, most: usize, into: &mut Vec<RawEdge>) -> Result<(), Error> {
        let wait = codes::WAIT_ANY.with_capacity(codes::batch_len(most.min(BATCH)));
        let batch = self.device.call(wait, &()).wait_timeout(ANSWER)?;
        self.batch(&batch, into)
    }

    /// Appends a batch of one edge or more.
    pub(crate) fn batch(&self, bytes: &[u8], into: &mut Vec<RawEdge>) -> Result<(), Error> {
        let batch = Batch::parse(bytes).map_err(|malformed| self.malformed(malformed))?;
        if batch.header().count == 0 {
            return Err(self.malformed("it completed a wait without edges"));
        }
        into.extend(batch.records().map(|edge| RawEdge {
            offset: edge.offset.into(),
            kind: EdgeKind::to(edge.is_rising()),
            timestamp_ns: edge.timestamp_ns,
            seqno: edge.seqno,
            line_seqno: edge.line_seqno,
            missed: Missed { overflowed: edge.overflowed, merged: edge.merged },
        }));
        Ok(())
    }

    /// Checks that the answer has one record for each line, in order.
    fn whole<T: Clone>(&self, records: &[T], offset: impl Fn(&T) -> u32) -> Result<Vec<T>, Error> {
        let in_order = (0..self.lines).eq(records.iter().map(offset));
        if in_order { Ok(records.to_vec()) } else { Err(self.malformed("its list of lines is incomplete")) }
    }
}
