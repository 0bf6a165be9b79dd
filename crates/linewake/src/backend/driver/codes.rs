//! The reference driver's control codes, with what each one reads and writes: the tables of
//! [`linewake_controller::protocol`].

use linewake_controller::protocol::{
    self, BatchHeader, ChipInfo, Debounce, Drive, EdgeRecord, First, INFO_QUEUE, InfoRecord, LineConfig, LineCounters,
    LineInfo, LineSet, LineTotals, MergeWindow, ReaderConfig, SetValues,
};
use overlapped::Ioctl;

/// The length of a batch with `edges` records.
pub(crate) const fn batch_len(edges: usize) -> usize {
    size_of::<BatchHeader>() + edges * size_of::<EdgeRecord>()
}

// SAFETY: GET_INFO reads nothing and writes one `ChipInfo`.
pub(crate) const GET_INFO: Ioctl<(), ChipInfo> = unsafe { Ioctl::new(protocol::GET_INFO) };
// SAFETY: GET_LINE_INFO reads one `First` and writes the `LineInfo`s that fit, one at least.
pub(crate) const GET_LINE_INFO: Ioctl<First, [LineInfo]> = unsafe { Ioctl::slice(protocol::GET_LINE_INFO, 1) };
// SAFETY: GET_VALUES reads nothing and writes one `LineSet`.
pub(crate) const GET_VALUES: Ioctl<(), LineSet> = unsafe { Ioctl::new(protocol::GET_VALUES) };
// SAFETY: SET_VALUES reads one `SetValues` and writes nothing.
pub(crate) const SET_VALUES: Ioctl<SetValues, ()> = unsafe { Ioctl::new(protocol::SET_VALUES) };
// SAFETY: CONFIGURE reads the `LineConfig`s it is given and writes nothing.
pub(crate) const CONFIGURE: Ioctl<[LineConfig], ()> = unsafe { Ioctl::new(protocol::CONFIGURE) };
// SAFETY: SET_DEBOUNCE reads the `Debounce`s it is given and writes nothing.
pub(crate) const SET_DEBOUNCE: Ioctl<[Debounce], ()> = unsafe { Ioctl::new(protocol::SET_DEBOUNCE) };
// SAFETY: WATCH_INFO reads one `LineSet` and writes nothing.
pub(crate) const WATCH_INFO: Ioctl<LineSet, ()> = unsafe { Ioctl::new(protocol::WATCH_INFO) };
// SAFETY: WAIT_INFO reads nothing and writes the `InfoRecord`s that fit.
pub(crate) const WAIT_INFO: Ioctl<(), [InfoRecord]> = unsafe { Ioctl::slice(protocol::WAIT_INFO, INFO_QUEUE) };
// SAFETY: SET_READER reads one `ReaderConfig` and writes nothing.
pub(crate) const SET_READER: Ioctl<ReaderConfig, ()> = unsafe { Ioctl::new(protocol::SET_READER) };
// SAFETY: WAIT_ANY reads nothing and writes a header and the records that fit: no more than the bytes it is given.
pub(crate) const WAIT_ANY: Ioctl<(), [u8]> = unsafe { Ioctl::slice(protocol::WAIT_ANY, batch_len(1)) };
// SAFETY: GET_COUNTERS reads one `First` and writes the `LineCounters` that fit.
pub(crate) const GET_COUNTERS: Ioctl<First, [LineCounters]> =
    unsafe { Ioctl::slice(protocol::GET_COUNTERS, protocol::MAX_LINES) };
// SAFETY: GET_TOTALS reads one `First` and writes the `LineTotals` that fit.
pub(crate) const GET_TOTALS: Ioctl<First, [LineTotals]> =
    unsafe { Ioctl::slice(protocol::GET_TOTALS, protocol::MAX_LINES) };
// SAFETY: DRIVE reads the `Drive`s it is given and writes nothing.
pub(crate) const DRIVE: Ioctl<[Drive], ()> = unsafe { Ioctl::new(protocol::DRIVE) };
// SAFETY: SET_MERGE reads one `MergeWindow` and writes nothing.
pub(crate) const SET_MERGE: Ioctl<MergeWindow, ()> = unsafe { Ioctl::new(protocol::SET_MERGE) };
// SAFETY: UNPLUG reads and writes nothing.
pub(crate) const UNPLUG: Ioctl<(), ()> = unsafe { Ioctl::new(protocol::UNPLUG) };
// SAFETY: REPLUG reads and writes nothing.
pub(crate) const REPLUG: Ioctl<(), ()> = unsafe { Ioctl::new(protocol::REPLUG) };
