//! Makes the ioctls of a profile. Arguments are as long as the profile says, with guard bytes behind them.

use std::thread;
use std::time::Instant;

use overlapped::{Device, ErrorCode, linux};

use super::slow::{AFTER_NOTHING, Slow};
use crate::profile::{Argument, Request};
use crate::{Error, ErrorKind};

/// The length in bytes of the guard behind an argument: the largest size that the number of an ioctl can have. A driver
/// may write so far without harm.
const SPARE: usize = 16 << 10;

/// Memory for the arguments of ioctls, one after the other.
#[derive(Debug, Default)]
pub(super) struct Room {
    bytes: Vec<u8>,
    /// The length of the last answer in bytes.
    length: usize,
    /// How many bytes the last argument in a buffer had.
    used: usize,
}

/// The result of an ioctl; the inner error tells how the driver broke the profile.
pub(super) type IoctlResult = Result<Result<u32, String>, overlapped::Error>;

/// The guard byte at an offset. It differs from the bytes next to it.
fn pattern(at: usize) -> u8 {
    (at as u8).wrapping_mul(167) ^ 0x5a
}

impl Room {
    /// Makes an ioctl, and returns the number that ioctl(2) returned. The bytes that the driver left in the buffer are
    /// the [answer](Self::answer), which has `output_len` bytes. If a signal interrupted the ioctl, it is made again
    /// when `again` returns true.
    #[expect(unsafe_code, reason = "what an ioctl reads and writes is a promise; here the profile's author makes it")]
    pub(super) fn make(
        &mut self,
        device: &Device,
        request: &Request,
        input: &[u8],
        output_len: usize,
        again: impl Fn() -> bool,
    ) -> IoctlResult {
        let mut slow = Slow::default();
        loop {
            let began = Instant::now();
            let argument = self.argument(request, input, output_len);
            // SAFETY: the author of the profile promises that the driver takes the argument as described there, and not
            // as an address, and the user has accepted that with `allow_writes`: without it no ioctl is made. A driver
            // that writes more than the profile says has 16 KiB of room, the largest size in the number of an ioctl.
            let returned = unsafe { device.ioctl_with(request.number, argument) };
            match returned {
                Err(error) if is_interrupted(&error) && again() => {
                    // Some drivers return EINTR without a signal, at once and without end: a pause avoids a busy loop.
                    if let Some(pause) = slow.next(began.elapsed(), false, AFTER_NOTHING) {
                        thread::sleep(pause);
                    }
                }
                Err(error) => return Err(error),
                Ok(value) if request.argument == Argument::Buffer => return Ok(self.check().map(|()| value)),
                Ok(value) => return Ok(Ok(value)),
            }
        }
    }

    /// The bytes that the driver left in the buffer.
    pub(super) fn answer(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn argument(&mut self, request: &Request, input: &[u8], output_len: usize) -> linux::Argument<'_> {
        self.length = 0;
        match request.argument {
            Argument::None => linux::Argument::None,
            Argument::Value => {
                let mut number = [0; 8];
                number.iter_mut().zip(input).for_each(|(byte, given)| *byte = *given);
                linux::Argument::Value(u64::from_le_bytes(number) as usize)
            }
            Argument::Buffer => {
                let length = if request.answers_by_value { 0 } else { output_len }.max(input.len());
                if self.bytes.len() < length + SPARE {
                    self.bytes = (0..length + SPARE).map(pattern).collect();
                    self.used = 0;
                }
                // The last argument was longer. Its bytes that this one does not use become guard bytes again.
                for at in length..self.used {
                    self.bytes[at] = pattern(at);
                }
                self.bytes[..input.len()].copy_from_slice(input);
                self.bytes[input.len()..length].fill(0);
                (self.length, self.used) = (length, length);
                linux::Argument::Bytes(&mut self.bytes)
            }
        }
    }

    /// Checks that the driver wrote no guard byte.
    fn check(&mut self) -> Result<(), String> {
        let length = self.length;
        let is_foreign = |(at, byte): &(usize, &u8)| **byte != pattern(*at);
        let behind = self.bytes.iter().enumerate().skip(length);
        let Some((last, _)) = behind.rev().find(is_foreign) else { return Ok(()) };
        // The next ioctl starts with fresh guard bytes.
        *self = Self::default();
        Err(format!("the driver wrote {} bytes, but the profile says {length}", last + 1))
    }
}

fn is_interrupted(error: &overlapped::Error) -> bool {
    const EINTR: i32 = 4;
    error.code() == Some(ErrorCode::Errno(EINTR))
}

/// True if the file was reported ready, but the driver had nothing to give.
pub(super) fn is_not_ready(error: &overlapped::Error) -> bool {
    const EAGAIN: i32 = 11;
    error.code() == Some(ErrorCode::Errno(EAGAIN))
}

/// Makes the file blocking, so that calls wait in the driver. `overlapped` opens files as non-blocking, and on those
/// many drivers answer at once. This file is never read.
pub(super) fn let_calls_wait(device: &Device) -> Result<(), Error> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    // A simulated device has no file.
    let Ok(file) = device.as_fd() else { return Ok(()) };
    let failed = |errno: rustix::io::Errno| {
        let message = format!("cannot make the file of device \"{}\" blocking: {errno}", device.name());
        Error::new(ErrorKind::Device, message)
    };
    let flags = fcntl_getfl(file).map_err(failed)?;
    fcntl_setfl(file, flags - OFlags::NONBLOCK).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::Duration;

    use overlapped::linux::Argument as Passed;
    use overlapped::sim::{Driver, FileId, Outcome, Request as Control};
    use overlapped::{ErrorKind as Kind, Status};

    use super::*;
    use crate::profile::When;

    /// A driver that writes as many bytes as the number of the request says, and returns their number.
    struct Writer;

    impl Driver for Writer {
        fn control(&self, request: Control) -> Outcome {
            request.complete(Status::INVALID_DEVICE_REQUEST)
        }

        fn ioctl(&self, _: FileId, request: u32, argument: Passed<'_>) -> Result<u32, Status> {
            match argument {
                Passed::None => Ok(1000),
                Passed::Value(value) => Ok(value as u32),
                Passed::Bytes(bytes) => {
                    let count = request as usize;
                    bytes[..count].iter_mut().for_each(|byte| *byte ^= 0xff);
                    Ok(request)
                }
            }
        }
    }

    fn request(number: u32, argument: Argument, answers_by_value: bool) -> Request {
        Request { number, said: None, argument, answers_by_value, when: When::Now }
    }

    #[test]
    fn arguments_and_answers_are_passed_as_the_profile_says() {
        let device = Device::simulated(Writer).unwrap();
        let mut room = Room::default();
        let mut make = |request: Request, input: &[u8], output_len| {
            let value = room.make(&device, &request, input, output_len, || false).unwrap().unwrap();
            (value, room.answer().to_vec())
        };
        assert_eq!(make(request(4, Argument::Buffer, false), &[1, 2], 6), (4, vec![0xfe, 0xfd, 0xff, 0xff, 0, 0]));
        assert_eq!(make(request(1, Argument::Buffer, false), &[1, 2, 3], 1), (1, vec![0xfe, 2, 3]));
        assert_eq!(make(request(0, Argument::Buffer, true), &[1], 4), (0, vec![1]));
        assert_eq!(make(request(9, Argument::Value, true), &[0x34, 0x12], 4), (0x1234, vec![]));
        assert_eq!(make(request(9, Argument::None, true), &[], 4), (1000, vec![]));
    }

    #[test]
    fn a_driver_that_writes_more_than_the_profile_says_is_an_error() {
        let device = Device::simulated(Writer).unwrap();
        let mut room = Room::default();
        for (wrote, length) in [(24, 12), (13, 12), (SPARE, 0), (12, 1), (SPARE, 100)] {
            let longer = request(wrote as u32, Argument::Buffer, false);
            let error = room.make(&device, &longer, &vec![7; length], 0, || false).unwrap().unwrap_err();
            assert_eq!(error, format!("the driver wrote {wrote} bytes, but the profile says {length}"));
            // The next ioctl works, be it longer or shorter.
            for length in [wrote, wrote + 1, 1] {
                let right = request(length.min(wrote) as u32, Argument::Buffer, false);
                assert!(room.make(&device, &right, &vec![7; length], 0, || false).unwrap().is_ok(), "{wrote} {length}");
            }
        }
    }

    /// A driver whose ioctl a signal interrupts now and then.
    struct Interrupted(std::sync::atomic::AtomicU32);

    impl Driver for Interrupted {
        fn control(&self, request: Control) -> Outcome {
            request.complete(Status::INVALID_DEVICE_REQUEST)
        }

        fn ioctl(&self, _: FileId, _: u32, _: Passed<'_>) -> Result<u32, Status> {
            let count = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if count % 3 == 2 { Ok(count) } else { Err(Status::from_errno(4)) }
        }
    }

    #[test]
    fn a_call_that_waits_is_made_again_after_a_signal_and_another_is_not() {
        let device = Device::simulated(Interrupted(0.into())).unwrap();
        let mut room = Room::default();
        let nothing = request(1, Argument::None, true);
        assert_eq!(room.make(&device, &nothing, &[], 4, || true).unwrap(), Ok(2));
        let error = room.make(&device, &nothing, &[], 4, || false).unwrap_err();
        assert_eq!((error.kind(), is_interrupted(&error)), (Kind::Other, true));
    }

    #[test]
    fn a_driver_that_always_returns_eintr_causes_no_busy_loop() {
        struct Never(Arc<AtomicU32>);
        impl Driver for Never {
            fn control(&self, request: Control) -> Outcome {
                request.complete(Status::INVALID_DEVICE_REQUEST)
            }

            fn ioctl(&self, _: FileId, _: u32, _: Passed<'_>) -> Result<u32, Status> {
                self.0.fetch_add(1, SeqCst);
                Err(Status::from_errno(4))
            }
        }
        let calls = Arc::new(AtomicU32::new(0));
        let device = Device::simulated(Never(calls.clone())).unwrap();
        let began = Instant::now();
        let again = || began.elapsed() < Duration::from_millis(300);
        let nothing = request(1, Argument::None, true);
        assert!(is_interrupted(&Room::default().make(&device, &nothing, &[], 4, again).unwrap_err()));
        let calls = calls.load(SeqCst);
        assert!((2..100).contains(&calls), "{calls} calls in 300 ms");
    }

    #[test]
    fn calls_on_a_file_may_wait_in_the_driver() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let device = Device::from_fd(reader).unwrap();
        let_calls_wait(&device).unwrap();
        let flags = rustix::fs::fcntl_getfl(device.as_fd().unwrap()).unwrap();
        assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
    }
}
