//! The control codes. Every input is checked here, once for all hosts, before anything changes.

use overlapped_codes::{CtlCode, Status};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::controller::{Controller, Outcome, ReaderId};
use crate::protocol::*;
use crate::reader::Reader;

/// The result of a code: how many bytes of output, or `None` while there is no answer yet.
pub(crate) type Answer = Result<Option<usize>, Status>;

impl<const LINES: usize, const READERS: usize, const QUEUE: usize> Controller<LINES, READERS, QUEUE> {
    /// Carries out a control code of this reader at time `now_ns`, or tries a pended one again.
    ///
    /// Neither buffer needs an alignment. It refuses inputs longer than [`MAX_INPUT`], so a host that has one buffer
    /// for input and output can copy the input first. No input makes it panic. When the status is an error, nothing has
    /// changed.
    pub fn control(
        &mut self,
        reader: ReaderId,
        code: CtlCode,
        input: &[u8],
        output: &mut [u8],
        now_ns: u64,
    ) -> Outcome {
        if code == DRIVE {
            return match self.check_drive(reader, input) {
                Ok(()) => self.resume(reader, input, 0, now_ns),
                Err(status) => Outcome::Done { status, information: 0 },
            };
        }
        match self.answer(reader, code, input, output, now_ns) {
            Ok(Some(information)) if code == ECHO && information < input.len() => {
                Outcome::Done { status: Status::BUFFER_OVERFLOW, information }
            }
            Ok(Some(information)) => Outcome::Done { status: Status::SUCCESS, information },
            Ok(None) => Outcome::Pend,
            Err(status) => Outcome::Done { status, information: 0 },
        }
    }

    /// Continues a [`DRIVE`] that [`control`](Controller::control) began, with the same input.
    pub fn resume(&mut self, reader: ReaderId, input: &[u8], round: u32, now_ns: u64) -> Outcome {
        if let Err(status) = self.live_slot(reader) {
            return Outcome::Done { status, information: 0 };
        }
        let mut more = false;
        for drive in records::<Drive>(input) {
            // Between two rounds another reader may have made the line an output; then the world no longer drives it.
            if drive.count > round && self.line(drive.offset).is_some_and(|line| !line.output) {
                let level = match drive.action {
                    DRIVE_TOGGLE => !self.level(drive.offset),
                    action => action == DRIVE_HIGH,
                };
                self.set_level(drive.offset, level, now_ns);
                more |= drive.count - round > 1;
            }
        }
        match more {
            true => Outcome::Again { round: round + 1 },
            false => Outcome::Done { status: Status::SUCCESS, information: 0 },
        }
    }

    fn answer(&mut self, reader: ReaderId, code: CtlCode, input: &[u8], output: &mut [u8], now_ns: u64) -> Answer {
        type Code<C> = fn(&mut C, usize, &[u8], &mut [u8], u64) -> Answer;
        let answer: Code<Self> = match code {
            GET_INFO => Self::get_info,
            GET_LINE_INFO => Self::get_line_info,
            GET_VALUES => Self::get_values,
            SET_VALUES => Self::set_values,
            CONFIGURE => Self::configure,
            SET_READER => Self::set_reader,
            WAIT_LINE => Self::wait_line,
            WAIT_ANY => Self::wait_any,
            SET_DEBOUNCE => Self::set_debounce,
            WATCH_INFO => Self::watch_info,
            WAIT_INFO => Self::wait_info,
            ATTACH_PIN => Self::attach_pin,
            DETACH_PIN => Self::detach_pin,
            WAIT_PIN => Self::wait_pin,
            GET_COUNTERS => Self::get_counters,
            GET_TOTALS => Self::get_totals,
            SET_MERGE => Self::set_merge,
            SET_TICKS => Self::set_ticks,
            UNPLUG => Self::unplug_code,
            REPLUG => Self::replug_code,
            ECHO => Self::echo,
            _ => return Err(Status::INVALID_DEVICE_REQUEST),
        };
        let slot = match code {
            REPLUG => self.slot(reader).ok_or(Status::INVALID_HANDLE)?,
            _ => self.live_slot(reader)?,
        };
        if input.len() > MAX_INPUT {
            return Err(Status::INFO_LENGTH_MISMATCH);
        }
        answer(self, slot, input, output, now_ns)
    }

    /// The slot of a reader that is open and whose device is still connected.
    pub(crate) fn live_slot(&self, reader: ReaderId) -> Result<usize, Status> {
        let slot = self.slot(reader).ok_or(Status::INVALID_HANDLE)?;
        if self.readers[slot].gone { Err(Status::DEVICE_NOT_CONNECTED) } else { Ok(slot) }
    }

    fn get_info(&mut self, _: usize, input: &[u8], output: &mut [u8], _: u64) -> Answer {
        none(input)?;
        let info = ChipInfo {
            version: VERSION,
            lines: self.line_count(),
            readers: READERS as u32,
            max_queue: QUEUE as u32,
            flags: self.flags,
            reserved: 0,
            name: self.name,
            label: self.label,
        };
        put(output, &info)
    }

    fn get_line_info(&mut self, slot: usize, input: &[u8], output: &mut [u8], _: u64) -> Answer {
        self.list(input, output, |chip, offset| chip.line_info(slot, offset))
    }

    /// A line as this reader sees it.
    pub(crate) fn line_info(&self, slot: usize, offset: u32) -> LineInfo {
        let line = &self.lines[offset as usize];
        let holder = line.exclusive.first().or(line.holders.contains(slot).then_some(slot)).or(line.holders.first());
        let holder = holder.map(|holder| &self.readers[holder]);
        let held = holder.map_or(0, |holder| holder.flags(offset) & (LINE_ACTIVE_LOW | LINE_EDGES));
        let flags = [
            (LINE_USED, !line.holders.is_empty()),
            (LINE_EXCLUSIVE, !line.exclusive.is_empty()),
            (LINE_HELD, line.holders.contains(slot)),
            (LINE_ACTIVE, holder.map_or(line.level, |holder| holder.sees(offset, line.level))),
        ];
        LineInfo {
            offset,
            flags: flags.iter().filter(|flag| flag.1).fold(line.flags() | held, |flags, flag| flags | flag.0),
            name: line.name,
            consumer: holder.map_or([0; 32], |holder| holder.consumer),
            debounce_us: holder.map_or(0, |holder| holder.watches[offset as usize].debounce_us),
            reserved: 0,
        }
    }

    fn get_values(&mut self, slot: usize, input: &[u8], output: &mut [u8], _: u64) -> Answer {
        none(input)?;
        let reader = &self.readers[slot];
        let active = |offset: &u32| reader.sees(*offset, self.level(*offset));
        put(output, &LineSet::from_iter((0..self.line_count()).filter(active)))
    }

    fn set_values(&mut self, slot: usize, input: &[u8], _: &mut [u8], now_ns: u64) -> Answer {
        let set = one::<SetValues>(input)?;
        for offset in set.mask.iter() {
            let line = self.line(offset).ok_or(Status::INVALID_PARAMETER)?;
            if !line.output || !line.holders.contains(slot) {
                return Err(Status::INVALID_DEVICE_STATE);
            }
        }
        for offset in set.mask.iter() {
            let active_low = self.readers[slot].flags(offset) & LINE_ACTIVE_LOW != 0;
            self.set_level(offset, set.values.contains(offset) != active_low, now_ns);
        }
        Ok(Some(0))
    }

    pub(crate) fn configure(&mut self, slot: usize, input: &[u8], _: &mut [u8], now_ns: u64) -> Answer {
        let mut seen = LineSet::default();
        for config in several::<LineConfig>(input)? {
            let line = self.line(config.offset).ok_or(Status::INVALID_PARAMETER)?;
            if seen.contains(config.offset) || !is_consistent(config.flags) {
                return Err(Status::INVALID_PARAMETER);
            }
            seen.set(config.offset, true);
            if config.flags == LINE_RELEASE {
                if !line.holders.contains(slot) {
                    return Err(Status::INVALID_DEVICE_STATE);
                }
            } else if line.exclusive.has_other(slot)
                || config.flags & LINE_EXCLUSIVE != 0 && line.holders.has_other(slot)
            {
                return Err(Status::SHARING_VIOLATION);
            }
        }
        for LineConfig { offset, flags } in records(input) {
            if flags == LINE_RELEASE {
                self.release(slot, offset, now_ns);
                continue;
            }
            let line = &mut self.lines[offset as usize];
            line.configure(flags);
            let was_held = line.holders.contains(slot);
            line.holders.insert(slot);
            match flags & LINE_EXCLUSIVE {
                0 => line.exclusive.remove(slot),
                _ => line.exclusive.insert(slot),
            }
            let watched = self.readers[slot].hold(offset, flags);
            if watched || self.readers[slot].watches[offset as usize].debounce_us > 0 {
                line.watchers.insert(slot);
            } else {
                line.watchers.remove(slot);
            }
            if !watched {
                self.wake(slot, offset); // waits pended for it fail now
            }
            if flags & LINE_OUTPUT != 0 {
                let level = (flags & LINE_ACTIVE != 0) != (flags & LINE_ACTIVE_LOW != 0);
                self.set_level(offset, level, now_ns);
            }
            self.inform(offset, if was_held { INFO_RECONFIGURED } else { INFO_REQUESTED }, now_ns);
        }
        Ok(Some(0))
    }

    fn set_debounce(&mut self, slot: usize, input: &[u8], _: &mut [u8], now_ns: u64) -> Answer {
        for debounce in several::<Debounce>(input)? {
            let line = self.line(debounce.offset).ok_or(Status::INVALID_PARAMETER)?;
            if !line.holders.contains(slot) {
                return Err(Status::INVALID_DEVICE_STATE);
            }
            if self.flags & CHIP_TIMERS == 0 {
                return Err(Status::NOT_SUPPORTED);
            }
        }
        for Debounce { offset, period_us } in records(input) {
            let (line, reader) = (&mut self.lines[offset as usize], &mut self.readers[slot]);
            reader.debounce(offset, line.level, period_us);
            if period_us > 0 || reader.watches(offset) {
                line.watchers.insert(slot);
            } else {
                line.watchers.remove(slot);
            }
            self.inform(offset, INFO_RECONFIGURED, now_ns);
        }
        Ok(Some(0))
    }

    fn watch_info(&mut self, slot: usize, input: &[u8], _: &mut [u8], _: u64) -> Answer {
        let lines = one::<LineSet>(input)?;
        if lines.iter().any(|offset| self.line(offset).is_none()) {
            return Err(Status::INVALID_PARAMETER);
        }
        self.inform_of(slot, lines);
        Ok(Some(0))
    }

    fn wait_info(&mut self, slot: usize, input: &[u8], output: &mut [u8], _: u64) -> Answer {
        none(input)?;
        room::<InfoRecord>(output)?;
        let information = &mut self.readers[slot].information;
        match fill(output, || information.pop()) {
            0 if information.lines.is_empty() => Err(Status::INVALID_DEVICE_STATE),
            0 => Ok(None),
            written => Ok(Some(written)),
        }
    }

    fn set_reader(&mut self, slot: usize, input: &[u8], _: &mut [u8], _: u64) -> Answer {
        let config = one::<ReaderConfig>(input)?;
        let reader = &mut self.readers[slot];
        if config.capacity == 1 {
            return Err(Status::INVALID_PARAMETER);
        }
        if !reader.known.is_empty() {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        reader.set_up(config.capacity, config.seqno_base, config.consumer);
        Ok(Some(0))
    }

    fn wait_line(&mut self, slot: usize, input: &[u8], output: &mut [u8], _: u64) -> Answer {
        let wait = one::<WaitLine>(input)?;
        room::<EdgeRecord>(output)?;
        let reader = self.watching(slot, wait.offset)?;
        let event = match (wait.flags, wait.after, wait.reserved) {
            (0, 0, 0) => reader.take(wait.offset),
            (WAIT_AFTER, after, 0) if reader.was_given(wait.offset, after) => reader.show_after(wait.offset, after),
            _ => return Err(Status::INVALID_PARAMETER),
        };
        event.map_or(Ok(None), |event| put(output, &event))
    }

    /// The reader, which must watch this line to wait for it.
    pub(crate) fn watching(&mut self, slot: usize, offset: u32) -> Result<&mut Reader<LINES, QUEUE>, Status> {
        self.line(offset).ok_or(Status::INVALID_PARAMETER)?;
        let reader = &mut self.readers[slot];
        if reader.watches(offset) { Ok(reader) } else { Err(Status::INVALID_DEVICE_STATE) }
    }

    fn wait_any(&mut self, slot: usize, input: &[u8], output: &mut [u8], _: u64) -> Answer {
        none(input)?;
        const HEADER: usize = size_of::<BatchHeader>();
        if output.len() < HEADER + size_of::<EdgeRecord>() {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        let reader = &mut self.readers[slot];
        if reader.watched_count == 0 {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        let (header, body) = output.split_at_mut(HEADER);
        let written = fill(body, || reader.take_any());
        if written == 0 {
            return Ok(None);
        }
        let sums = &reader.sums;
        let batch = BatchHeader {
            count: (written / size_of::<EdgeRecord>()) as u32,
            queued: reader.queue.len() + reader.raised_count,
            driven: sums.driven,
            delivered: sums.delivered,
            overflowed: sums.overflowed,
            merged: sums.merged,
            discarded: sums.discarded,
        };
        header.copy_from_slice(batch.as_bytes());
        Ok(Some(HEADER + written))
    }

    fn get_counters(&mut self, slot: usize, input: &[u8], output: &mut [u8], _: u64) -> Answer {
        self.list(input, output, |chip, offset| {
            let reader = &chip.readers[slot];
            if !reader.known.contains(offset) {
                return LineCounters { offset, ..Default::default() };
            }
            let watch = &reader.watches[offset as usize];
            LineCounters {
                offset,
                raised: watch.raised.into(),
                driven: watch.counts.driven,
                delivered: watch.counts.delivered,
                queued: watch.chain.len().into(),
                overflowed: watch.counts.overflowed,
                merged: watch.counts.merged,
                discarded: watch.counts.discarded,
            }
        })
    }

    fn get_totals(&mut self, _: usize, input: &[u8], output: &mut [u8], _: u64) -> Answer {
        self.list(input, output, |chip, offset| {
            let line = &chip.lines[offset as usize];
            LineTotals {
                offset,
                readers: line.closed_readers,
                changes: line.changes,
                driven: line.closed.driven,
                delivered: line.closed.delivered,
                overflowed: line.closed.overflowed,
                merged: line.closed.merged,
                discarded: line.closed.discarded,
            }
        })
    }

    fn set_merge(&mut self, _: usize, input: &[u8], _: &mut [u8], _: u64) -> Answer {
        let merge = one::<MergeWindow>(input)?;
        if merge.reserved != 0 || merge.offset != ALL_LINES && merge.offset >= self.line_count() {
            return Err(Status::INVALID_PARAMETER);
        }
        for (offset, line) in (0..).zip(&mut self.lines) {
            if merge.offset == ALL_LINES || merge.offset == offset {
                line.window_ns = merge.window_ns;
            }
        }
        Ok(Some(0))
    }

    fn unplug_code(&mut self, _: usize, input: &[u8], _: &mut [u8], _: u64) -> Answer {
        none(input)?;
        self.unplug();
        Ok(Some(0))
    }

    fn replug_code(&mut self, _: usize, input: &[u8], _: &mut [u8], _: u64) -> Answer {
        none(input)?;
        self.replug();
        Ok(Some(0))
    }

    fn echo(&mut self, _: usize, input: &[u8], output: &mut [u8], _: u64) -> Answer {
        let len = input.len().min(output.len());
        output[..len].copy_from_slice(&input[..len]);
        Ok(Some(len))
    }

    fn check_drive(&self, reader: ReaderId, input: &[u8]) -> Result<(), Status> {
        self.live_slot(reader)?;
        let mut total = 0;
        for drive in several::<Drive>(input)? {
            let line = self.line(drive.offset).ok_or(Status::INVALID_PARAMETER)?;
            let counted = match drive.action {
                DRIVE_LOW | DRIVE_HIGH => drive.count == 1,
                DRIVE_TOGGLE => drive.count > 0,
                _ => false,
            };
            total += u64::from(drive.count);
            if !counted || drive.reserved != 0 || total > MAX_DRIVES.into() {
                return Err(Status::INVALID_PARAMETER);
            }
            if line.output {
                return Err(Status::INVALID_DEVICE_STATE);
            }
        }
        Ok(())
    }

    /// One record for each line from the first requested one, as many as fit.
    fn list<T: IntoBytes + Immutable>(
        &self,
        input: &[u8],
        output: &mut [u8],
        record: impl Fn(&Self, u32) -> T,
    ) -> Answer {
        let first = if input.is_empty() { First::default() } else { one(input)? };
        if first.offset > self.line_count() || first.reserved != 0 {
            return Err(Status::INVALID_PARAMETER);
        }
        room::<T>(output)?;
        let mut records = (first.offset..self.line_count()).map(|offset| record(self, offset));
        Ok(Some(fill(output, || records.next())))
    }
}

/// Whether the flags of a [`LineConfig`] are valid together.
fn is_consistent(flags: u32) -> bool {
    const KNOWN: u32 =
        LINE_ACTIVE_LOW | LINE_INPUT | LINE_OUTPUT | LINE_EDGES | LINE_DRIVE | LINE_BIAS | LINE_EXCLUSIVE | LINE_ACTIVE;
    let has = |flag| flags & flag != 0;
    flags == LINE_RELEASE
        || flags & !KNOWN == 0
            && !(has(LINE_INPUT) && has(LINE_OUTPUT))
            && (!has(LINE_EDGES) || has(LINE_INPUT))
            && (!has(LINE_ACTIVE | LINE_DRIVE) || has(LINE_OUTPUT))
            && (flags & LINE_DRIVE).count_ones() <= 1
            && (flags & LINE_BIAS).count_ones() <= 1
}

/// Checks that the input is empty.
fn none(input: &[u8]) -> Result<(), Status> {
    if input.is_empty() { Ok(()) } else { Err(Status::INFO_LENGTH_MISMATCH) }
}

/// Reads the input, which must be one record.
pub(crate) fn one<T: FromBytes>(input: &[u8]) -> Result<T, Status> {
    T::read_from_bytes(input).map_err(|_| Status::INFO_LENGTH_MISMATCH)
}

/// Reads the input, which must be one record or more.
fn several<T: FromBytes>(input: &[u8]) -> Result<impl Iterator<Item = T> + '_, Status> {
    if input.is_empty() || !input.len().is_multiple_of(size_of::<T>()) || input.len() > MAX_INPUT {
        return Err(Status::INFO_LENGTH_MISMATCH);
    }
    Ok(records(input))
}

fn records<T: FromBytes>(input: &[u8]) -> impl Iterator<Item = T> + '_ {
    input.chunks_exact(size_of::<T>()).filter_map(|bytes| T::read_from_bytes(bytes).ok())
}

/// Writes records while there are some, and room for them. Returns how many bytes it wrote.
fn fill<T: IntoBytes + Immutable>(output: &mut [u8], mut next: impl FnMut() -> Option<T>) -> usize {
    let mut written = 0;
    for room in output.chunks_exact_mut(size_of::<T>()) {
        let Some(record) = next() else { break };
        room.copy_from_slice(record.as_bytes());
        written += room.len();
    }
    written
}

pub(crate) fn room<T>(output: &[u8]) -> Result<(), Status> {
    if output.len() < size_of::<T>() { Err(Status::BUFFER_TOO_SMALL) } else { Ok(()) }
}

pub(crate) fn put<T: IntoBytes + Immutable>(output: &mut [u8], record: &T) -> Answer {
    record.write_to_prefix(output).map_err(|_| Status::BUFFER_TOO_SMALL)?;
    Ok(Some(size_of::<T>()))
}
