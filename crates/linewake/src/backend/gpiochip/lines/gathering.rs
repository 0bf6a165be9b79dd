//! Lets edges gather in the kernel's queue, so that one wake-up takes many of them.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_core::Stream as _;
use overlapped::{InvertedCall, Port, Reply, Sleep};

use crate::Error;

/// When to take edges. The first edge after a rest is taken at once. From then on the queue is emptied once in each
/// period, without a wake-up in between, until it is found empty.
#[derive(Debug)]
pub(super) struct Gathering {
    time: Duration,
    timer: Port,
    /// The end of the period. No edge is taken before it.
    until: Option<Sleep>,
    /// Edges were taken since the last period began.
    taken: bool,
}

impl Gathering {
    pub(super) fn new(time: Duration) -> Result<Option<Self>, Error> {
        if time.is_zero() {
            return Ok(None);
        }
        Ok(Some(Self { time, timer: Port::global()?, until: None, taken: false }))
    }

    fn begin(&mut self) {
        self.until = Some(self.timer.sleep(self.time));
    }

    /// Ready when the queue is to be emptied.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.until else { return Poll::Ready(()) };
        ready!(Pin::new(sleep).poll(cx));
        self.until = None;
        Poll::Ready(())
    }
}

/// Takes the next batch, when it is time.
pub(super) fn take(
    reads: &mut InvertedCall<[u8]>,
    gathering: Option<&mut Gathering>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Reply<[u8]>, overlapped::Error>>> {
    let Some(gathering) = gathering else { return Pin::new(reads).poll_next(cx) };
    loop {
        ready!(gathering.poll(cx));
        // If this poll finds no edge, the next edge must not wake the program yet: the timer does.
        let taken = {
            let _relay = Port::relay(cx.waker(), Waker::noop());
            Pin::new(&mut *reads).poll_next(&mut Context::from_waker(Waker::noop()))
        };
        if taken.is_ready() {
            gathering.taken = true;
            return taken;
        }
        match std::mem::take(&mut gathering.taken) {
            true => gathering.begin(),
            // No edge came in the whole period. The next edge is the first after a rest.
            false => return Pin::new(reads).poll_next(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::{Duration, Instant};

    use overlapped::Device;

    use super::{Gathering, take};

    /// Counts the wake-ups.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn edges_gather_after_the_first_and_until_there_are_none() {
        const TIME: Duration = Duration::from_millis(300);
        // A pipe stands for a request: it is read in the same way, and a read gives everything that was written.
        let (reader, mut writer) = std::io::pipe().unwrap();
        let device = Device::from_fd(reader).unwrap();
        let mut reads = device.standing_reads(64).pending(1).window(1).start();
        let mut gathering = Gathering::new(TIME).unwrap().unwrap();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut taken = Vec::new();
        let mut poll =
            |gathering: &mut Gathering| match take(&mut reads, Some(gathering), &mut Context::from_waker(&waker)) {
                Poll::Ready(batch) => {
                    taken.extend_from_slice(&batch.unwrap().unwrap());
                    taken.len()
                }
                Poll::Pending => 0,
            };
        let wait = |times: usize| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while woken.0.load(SeqCst) < times {
                assert!(Instant::now() < deadline, "nobody is woken");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        // The first edge after a rest wakes the program at once.
        assert_eq!(poll(&mut gathering), 0);
        assert!(gathering.until.is_none());
        writer.write_all(b"1").unwrap();
        wait(1);
        assert_eq!(poll(&mut gathering), 1);
        // Later edges gather, and do not wake the program before the period ends.
        let began = Instant::now();
        assert_eq!(poll(&mut gathering), 0);
        for edge in [b"2", b"3", b"4"] {
            writer.write_all(edge).unwrap();
        }
        wait(2);
        assert!(began.elapsed() >= TIME, "{:?}", began.elapsed());
        while poll(&mut gathering) < 4 {}
        // All of them are taken, some in a later period. After a period without edges the next edge wakes at once
        // again.
        while gathering.until.is_some() || gathering.taken {
            poll(&mut gathering);
            std::thread::sleep(Duration::from_millis(1));
            assert!(began.elapsed() < Duration::from_secs(20), "it never rests");
        }
        let before = woken.0.load(SeqCst);
        writer.write_all(b"5").unwrap();
        wait(before + 1);
        assert_eq!((poll(&mut gathering), &*taken), (5, &b"12345"[..]));
    }
}
