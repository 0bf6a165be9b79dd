//! Rules that no other test checks. Each was found by breaking the code: see `docs/guards.md`.

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use overlapped::sim::{Driver, Outcome, Queue, Request, RequestId};
use overlapped::{Device, ErrorKind, InvertedCall, Ioctl, Port, Status, Stopper};
use support::*;

#[test]
fn waiting_for_a_stream_on_the_dispatcher_is_an_error_and_not_a_hang() {
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    let mut stream = device.inverted(WAIT, &()).start();
    let (tell, told) = mpsc::channel();
    device.call(PEND_AND_COMPLETE, &()).then(move |_| {
        let kinds = [stream.wait_next(), stream.wait_next_timeout(Duration::from_secs(60))]
            .map(|item| item.unwrap().map(drop).map_err(|error| error.kind()));
        // The error ends nothing: a result that is ready can be taken there, too.
        driver.complete_one(7);
        tell.send((kinds, stream)).unwrap();
    });
    let (kinds, mut stream) =
        told.recv_timeout(Duration::from_secs(10)).expect("the dispatcher does not wait for itself");
    assert_eq!(kinds, [Err(ErrorKind::Deadlock); 2]);
    assert_eq!(*stream.wait_next().unwrap().unwrap(), 7);
}

#[test]
#[should_panic(expected = "without a size")]
fn a_slice_of_records_without_a_size_is_refused() {
    // SAFETY: the code is never sent.
    let _: Ioctl<(), [()]> = unsafe { Ioctl::slice(code(0x801), 1) };
}

#[test]
#[should_panic(expected = "at most 16 bytes")]
fn a_record_that_must_lie_at_a_multiple_of_32_is_refused() {
    #[derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout)]
    #[repr(C, align(32))]
    struct Wide([u8; 32]);
    // SAFETY: the code is never sent.
    let _: Ioctl<(), Wide> = unsafe { Ioctl::new(code(0x801)) };
}

/// Leaves each request pending. Before it queues one, it runs `first`.
#[derive(Default)]
struct Busy<F> {
    first: OnceLock<F>,
    waiting: Queue<()>,
    cancelled: Mutex<Vec<RequestId>>,
    submitted: Mutex<Vec<RequestId>>,
}

impl<F: Fn() + Send + Sync + 'static> Driver for Busy<F> {
    fn control(&self, request: Request) -> Outcome {
        let (pended, outcome) = request.pend();
        self.submitted.lock().unwrap().push(pended.id());
        if let Some(first) = self.first.get() {
            first();
        }
        self.waiting.push(pended, ());
        outcome
    }

    fn cancel(&self, request: RequestId) {
        self.cancelled.lock().unwrap().push(request);
        self.waiting.cancel(request);
    }
}

fn busy<F: Fn() + Send + Sync + 'static>() -> (Port, Arc<Busy<F>>, Device) {
    let driver = Arc::new(Busy {
        first: OnceLock::new(),
        waiting: Queue::default(),
        cancelled: Mutex::default(),
        submitted: Mutex::default(),
    });
    let port = Port::manual().unwrap();
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    (port, driver, device)
}

fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_cancel_that_comes_before_the_driver_has_queued_the_request_is_not_lost() {
    let (port, driver, device) = busy::<Box<dyn Fn() + Send + Sync>>();
    let twin = device.clone();
    let _ = driver.first.set(Box::new(move || twin.cancel_all()));
    let mut call = device.call(WAIT, &());
    drain(&port);
    let Poll::Ready(result) = poll(&mut call) else { panic!("the call was cancelled, but is still pending") };
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(driver.waiting.is_empty());
}

#[test]
fn a_stream_that_is_stopped_while_it_submits_cancels_that_call_too() {
    let (port, driver, device) = busy::<Box<dyn Fn() + Send + Sync>>();
    let mut stream: InvertedCall<u32> = device.inverted(WAIT, &()).pending(1).start();
    let stopper: Stopper = stream.stopper();
    let _ = driver.first.set(Box::new(move || stopper.stop()));
    let (mut pended, ()) = driver.waiting.pop().unwrap();
    pended.write(&7_u32.to_ne_bytes());
    pended.complete(Status::SUCCESS);
    drain(&port);
    assert_eq!(driver.submitted.lock().unwrap().len(), 2);
    let mut ends = Vec::new();
    while let Poll::Ready(Some(item)) = poll(stream.next()) {
        ends.push(item.map(|reply| *reply).map_err(|error| error.kind()));
    }
    assert_eq!(ends, [Ok(7), Err(ErrorKind::Cancelled)]);
}

#[test]
fn stopping_cancels_the_last_call_first() {
    let (port, driver, device) = busy::<fn()>();
    let stream: InvertedCall<u32> = device.inverted(WAIT, &()).pending(5).start();
    stream.stopper().stop();
    drain(&port);
    let mut submitted = driver.submitted.lock().unwrap().clone();
    submitted.reverse();
    assert_eq!(*driver.cancelled.lock().unwrap(), submitted);
}

#[test]
fn a_driver_that_returns_another_requests_outcome_is_survived() {
    /// Answers each request with the outcome of the other one.
    #[derive(Default)]
    struct Swapping {
        other: OnceLock<Device>,
        inner: Mutex<Option<Request>>,
        is_inner: AtomicBool,
    }
    impl Driver for Swapping {
        fn control(&self, request: Request) -> Outcome {
            if self.is_inner.swap(true, SeqCst) {
                let (pended, outcome) = request.pend();
                pended.complete(Status::SUCCESS);
                // This outcome belongs to the first request, which ends here in place of the second one.
                drop(outcome);
                let mut first = self.inner.lock().unwrap().take().unwrap();
                first.write(&1_u32.to_ne_bytes());
                return first.complete(Status::SUCCESS);
            }
            *self.inner.lock().unwrap() = Some(request);
            std::mem::forget(self.other.get().unwrap().call(WAIT_NOTHING, &()));
            // Only a request makes an outcome, and this request has none left.
            panic!("the driver has no outcome to return")
        }
    }
    let port = Port::manual().unwrap();
    let driver = Arc::new(Swapping::default());
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let _ = driver.other.set(device.clone());
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut first = device.call(WAIT, &());
    std::panic::set_hook(hook);
    drain(&port);
    let Poll::Ready(result) = poll(&mut first) else { panic!("the first call's completion is lost") };
    assert_eq!(*result.unwrap(), 1);
}
