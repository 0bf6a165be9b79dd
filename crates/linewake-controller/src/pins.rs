//! The codes for drivers that know single pins, built on what the controller does for the others.

use overlapped_codes::Status;
use zerocopy::IntoBytes;

use crate::control::{Answer, one, put, room};
use crate::controller::Controller;
use crate::protocol::*;

impl<const LINES: usize, const READERS: usize, const QUEUE: usize> Controller<LINES, READERS, QUEUE> {
    pub(crate) fn attach_pin(&mut self, slot: usize, input: &[u8], output: &mut [u8], now_ns: u64) -> Answer {
        let attach = one::<AttachPin>(input)?;
        if attach.mode == 0 || attach.mode & !(PIN_RISING | PIN_FALLING) != 0 {
            return Err(Status::INVALID_PARAMETER);
        }
        self.configure(slot, LineConfig::from(attach).as_bytes(), output, now_ns)
    }

    pub(crate) fn detach_pin(&mut self, slot: usize, input: &[u8], output: &mut [u8], now_ns: u64) -> Answer {
        self.configure(slot, LineConfig::from(one::<Pin>(input)?).as_bytes(), output, now_ns)
    }

    pub(crate) fn wait_pin(&mut self, slot: usize, input: &[u8], output: &mut [u8], _: u64) -> Answer {
        let Pin { line } = one(input)?;
        room::<PinEvent>(output)?;
        let Some(edge) = self.watching(slot, line)?.take(line) else { return Ok(None) };
        let event = PinEvent {
            // A chip has at most 1,024 lines.
            line: edge.offset as u16,
            level: edge.is_rising().into(),
            dropped: edge.overflowed.saturating_add(edge.merged),
            ticks: ticks(edge.timestamp_ns).wrapping_add(self.ticks_at_zero),
            reserved: 0,
        };
        put(output, &event)
    }

    pub(crate) fn set_ticks(&mut self, _: usize, input: &[u8], _: &mut [u8], now_ns: u64) -> Answer {
        let Ticks { now } = one(input)?;
        self.ticks_at_zero = now.wrapping_sub(ticks(now_ns));
        Ok(Some(0))
    }
}

/// The value of a counter that began at time zero. It wraps.
fn ticks(now_ns: u64) -> u32 {
    const SECOND: u64 = 1_000_000_000;
    let hz = u64::from(TICK_HZ);
    // In two parts, so that only the counter overflows.
    (now_ns / SECOND).wrapping_mul(hz).wrapping_add(now_ns % SECOND * hz / SECOND) as u32
}
