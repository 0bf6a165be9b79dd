//! Time, on the port: sleeping without a thread of one's own.

use std::time::Duration;

use overlapped::{Call, CtlCode, Device, Ioctl, Status, sim};

use crate::Error;

/// Sleeps. All sleeps of a process are on the one thread that dispatches completions.
#[derive(Clone, Debug)]
pub(crate) struct Timer(Device);

/// A device that does nothing until it is cancelled.
struct Sleeper(sim::Queue<()>);

#[expect(unsafe_code, reason = "declaring what a control code reads and writes is a promise")]
// SAFETY: the driver is `Sleeper`, which reads and writes nothing.
const SLEEP: Ioctl<(), ()> = unsafe { Ioctl::new(CtlCode::from_u32(0x0022_0000)) };

impl sim::Driver for Sleeper {
    fn name(&self) -> String {
        "timer".to_owned()
    }

    fn control(&self, request: sim::Request) -> sim::Outcome {
        let (pended, outcome) = request.pend();
        self.0.push(pended, ());
        outcome
    }

    fn cancel(&self, request: sim::RequestId) {
        self.0.cancel(request);
    }

    fn cleanup(&self, file: sim::FileId) {
        self.0.complete_all_of(file, Status::CANCELLED);
    }
}

impl Timer {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self(Device::simulated(Sleeper(sim::Queue::default()))?))
    }

    /// A future that is ready after `time`; what it gives says nothing. Dropping it ends the sleep.
    pub(crate) fn sleep(&self, time: Duration) -> Call<()> {
        self.0.call(SLEEP, &()).timeout(time)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Timer;

    #[test]
    fn a_sleep_takes_its_time_and_can_be_left() {
        let timer = Timer::new().unwrap();
        let began = Instant::now();
        drop(timer.sleep(Duration::from_secs(3600)));
        assert!(timer.sleep(Duration::from_millis(20)).wait().is_err());
        assert!(began.elapsed() >= Duration::from_millis(20));
    }
}
