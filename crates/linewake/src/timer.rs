//! Time: sleeping without a thread of one's own.
//!
//! A thread that waits keeps the time itself: it sleeps no longer than until the first of the [`Sleep`]s that it polled is
//! over ([`wait`](crate::wait)). Whatever else polls one, a task for instance, is woken by the port's dispatcher.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use overlapped::{Call, CtlCode, Device, Ioctl, Port, Status, sim};

use crate::{Error, wait};

/// Makes sleeps. Those of tasks are all on the one thread that dispatches completions.
#[derive(Clone, Debug)]
pub(crate) struct Timer(Device);

/// A device that does nothing until it is cancelled.
struct Idler(sim::Queue<()>);

#[expect(unsafe_code, reason = "declaring what a control code reads and writes is a promise")]
// SAFETY: the driver is `Idler`, which reads and writes nothing.
const SLEEP: Ioctl<(), ()> = unsafe { Ioctl::new(CtlCode::from_u32(0x0022_0000)) };

impl sim::Driver for Idler {
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
        Ok(Self(Device::simulated(Idler(sim::Queue::default()))?))
    }

    /// A future that is ready after `time`. Dropping it ends the sleep.
    pub(crate) fn sleep(&self, time: Duration) -> Sleep {
        Sleep { until: Instant::now().checked_add(time), timer: self.clone(), call: None }
    }

    /// Runs `then` after `time`, on the thread that dispatches completions.
    pub(crate) fn after(&self, time: Duration, then: impl FnOnce() + Send + 'static) {
        self.call(time).then(move |_| then());
    }

    /// What it gives says nothing.
    fn call(&self, time: Duration) -> Call<()> {
        self.0.call(SLEEP, &()).timeout(time)
    }
}

/// A sleep, which begins when it is made.
#[derive(Debug)]
#[must_use = "nobody sleeps unless it is polled"]
pub(crate) struct Sleep {
    /// `None`: for ever.
    until: Option<Instant>,
    timer: Timer,
    /// Once it was polled by somebody who does not keep the time.
    call: Option<Call<()>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else { return Poll::Pending };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        if self.call.is_none() {
            if Port::waits_for(cx.waker()) && wait::wakes_at(until, cx.waker()) {
                return Poll::Pending;
            }
            self.call = Some(self.timer.call(left));
        }
        if let Some(call) = &mut self.call {
            let _ = ready!(Pin::new(call).poll(cx));
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::Pin;
    use std::task::Context;
    use std::time::{Duration, Instant};

    use overlapped::Port;

    use super::Timer;
    use crate::wait::{Waited, wait};

    const TIME: Duration = Duration::from_millis(20);

    #[test]
    fn a_sleep_takes_its_time_and_can_be_left() {
        let timer = Timer::new().unwrap();
        drop(timer.sleep(Duration::from_secs(3600)));
        // Kept by a thread that waits; by the dispatcher, for a future that the thread did not come from.
        for is_kept in [true, false] {
            let began = Instant::now();
            let mut sleep = timer.sleep(TIME);
            if is_kept {
                assert!(matches!(wait(None, |cx| Pin::new(&mut sleep).poll(cx)), Waited::Ready(())));
            } else {
                Port::global().unwrap().block_on(sleep).unwrap();
            }
            assert!(began.elapsed() >= TIME);
        }
    }

    #[test]
    fn a_sleep_that_a_thread_began_is_a_tasks_when_the_thread_has_left() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
        use std::task::{Poll, Wake, Waker};

        struct Woken(AtomicUsize);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        let timer = Timer::new().unwrap();
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(woken.clone());
        let mut sleep = timer.sleep(TIME);
        // It leaves the wait before the sleep is over: whoever polls the sleep next has to do so, or nobody would.
        let left = wait(None, |cx| {
            let _relay = Port::relay(cx.waker(), &waker);
            assert!(Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker)).is_pending());
            Poll::Ready(())
        });
        assert!(matches!(left, Waited::Ready(())));
        assert_eq!(woken.0.load(SeqCst), 1);
        let mut is_over = || Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker)).is_ready();
        let began = Instant::now();
        while !is_over() {
            let before = woken.0.load(SeqCst);
            while woken.0.load(SeqCst) == before && began.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(began.elapsed() < Duration::from_secs(20), "nobody is woken");
        }
    }
}
