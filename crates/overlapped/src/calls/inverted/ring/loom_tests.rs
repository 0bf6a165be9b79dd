//! Every interleaving of completions, takes, submissions, the end and the drop of one stream: nothing is lost or
//! doubled, every call is released once, nobody sleeps for ever, and the handle is closed.

use std::task::Wake;

use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::system::models::spawn;

/// A driver that completes its calls when it is told to.
struct Driver {
    pended: crate::system::sync::Mutex<Vec<u64>>,
    submitted: AtomicUsize,
    released: AtomicUsize,
    /// References to the device: the consumer's and those the ring took.
    devices: Arc<AtomicUsize>,
}

struct Device(Arc<AtomicUsize>);

impl Clone for Device {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, SeqCst);
        Self(self.0.clone())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Calls for Driver {
    type Device = Device;
    type Port = ();
    type Operation = u64;

    fn submit(&self, _: &Device, number: u64, _: &Arc<Ring<Self>>) -> Submission<u64> {
        self.submitted.fetch_add(1, SeqCst);
        lock(&self.pended).push(number);
        Submission::Pending(number)
    }

    fn cancel(&self, _: &Device, operation: u64) {
        // If the driver still has it, its completion comes through the port: here, later.
        if let Some(number) = lock(&self.pended).iter_mut().find(|number| **number == operation) {
            *number += 1000;
        }
    }

    fn is_attended(&self, (): &()) -> bool {
        false
    }

    fn unattended(&self, (): &(), _: Self::Operation) {}

    fn release(&self, (): &(), _: u64) {
        self.released.fetch_add(1, SeqCst);
    }

    fn discard(&self, (): &(), _: u64, information: usize) -> Option<usize> {
        self.released.fetch_add(1, SeqCst);
        Some(information)
    }

    fn orphan(&self, (): &(), _: Option<u64>) {}

    fn submitted(&self, _: &Device) {}

    fn after(&self, (): &(), _: u64, status: Status, _: usize) -> After {
        if status.is_error() { After::End(self.end(status)) } else { After::GoOn }
    }

    fn end(&self, status: Status) -> End {
        let what = crate::Operation::Poll;
        End::Reason(Error::from_code(crate::ErrorCode::Status(status), what))
    }

    fn port<'a>(&self, _: &'a Device) -> &'a () {
        &()
    }

    fn arm_later(&self, (): &(), _: &Arc<Ring<Self>>) {}
}

struct Consumer(AtomicUsize);

impl Wake for Consumer {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn stream(pending: usize, window: usize) -> (Arc<Ring<Driver>>, Device) {
    let device = Device(Arc::new(AtomicUsize::new(1)));
    let driver = Driver {
        pended: crate::system::sync::Mutex::new(Vec::new()),
        submitted: AtomicUsize::new(0),
        released: AtomicUsize::new(0),
        devices: device.0.clone(),
    };
    (Ring::start(driver, device.clone(), pending, window, Order::Submission), device)
}

/// The dispatcher handles the completion of the oldest call, if the driver has one.
fn complete_one(ring: &Arc<Ring<Driver>>) -> bool {
    let number = {
        let mut pended = lock(&ring.calls.pended);
        if pended.is_empty() { return false } else { pended.remove(0) }
    };
    let (number, status) = if number >= 1000 { (number - 1000, Status::CANCELLED) } else { (number, Status::SUCCESS) };
    ring.arrived(number, number, (status, 4), &());
    true
}

fn take(ring: &Arc<Ring<Driver>>, waker: &Waker) -> Poll<Pop<u64>> {
    let taken = ring.take(&Context::from_waker(waker), false);
    if let Poll::Ready(Pop::Reply(operation, .., next)) = taken {
        ring.calls.release(&(), operation);
        if next.arm {
            ring.arm();
        }
    }
    taken
}

#[test]
fn loom_re_arm_against_take() {
    loom::model(|| {
        let (ring, device) = stream(1, 1);
        let dispatcher = spawn(&ring, move |ring| usize::from(complete_one(&ring)) + usize::from(complete_one(&ring)));
        let consumer = Arc::new(Consumer(AtomicUsize::new(0)));
        let waker = Waker::from(consumer.clone());
        let mut next = 0;
        let look = |next: &mut u64| {
            while let Poll::Ready(Pop::Reply(operation, ..)) = take(&ring, &waker) {
                assert_eq!(operation, *next, "in order, each once");
                *next += 1;
            }
        };
        look(&mut next);
        let completed = dispatcher.join().unwrap() as u64;
        if next < completed {
            assert!(consumer.0.load(SeqCst) > 0, "the consumer sleeps on {next} of {completed}");
            look(&mut next);
        }
        assert_eq!(next, completed);
        assert_eq!(lock(&ring.calls.pended).len(), 1, "there is room, and no call is pending");
        drop(device);
    });
}

#[test]
fn loom_two_completions_at_once_submit_in_the_order_of_their_numbers() {
    loom::model(|| {
        let (ring, device) = stream(2, 4);
        let other = spawn(&ring, move |ring| complete_one(&ring));
        complete_one(&ring);
        other.join().unwrap();
        // A driver completes the call that it got first with the first event.
        let pended = lock(&ring.calls.pended).clone();
        assert_eq!(pended, [2, 3]);
        drop(device);
    });
}

#[test]
fn loom_re_arm_against_drop() {
    loom::model(|| {
        let (ring, device) = stream(1, 2);
        let dispatcher = spawn(&ring, move |ring| complete_one(&ring));
        ring.close(&device);
        drop(device);
        dispatcher.join().unwrap();
        while complete_one(&ring) {}
        let Driver { submitted, released, devices, .. } = &ring.calls;
        let submitted = submitted.load(SeqCst);
        assert_eq!(released.load(SeqCst), submitted, "each call is released once");
        let figures = ring.figures();
        assert_eq!((figures.submitted, figures.in_flight), (submitted as u64, 0));
        assert!(figures.discarded <= 1);
        assert_eq!(figures.discarded_bytes, 4 * figures.discarded);
        assert_eq!(devices.load(SeqCst), 0, "the ring keeps the handle open");
    });
}

#[test]
fn loom_figures_of_a_closed_stream_are_final_when_nothing_is_in_flight() {
    loom::model(|| {
        let (ring, device) = stream(1, 2);
        let dispatcher = spawn(&ring, move |ring| while complete_one(&ring) {});
        ring.close(&device);
        let early = ring.figures();
        assert!(early.submitted >= early.in_flight as u64 + early.discarded);
        dispatcher.join().unwrap();
        while complete_one(&ring) {}
        let last = ring.figures();
        assert_eq!(last.in_flight, 0);
        if early.in_flight == 0 {
            assert_eq!((early.submitted, early.discarded), (last.submitted, last.discarded));
        }
        drop(device);
    });
}

/// A subscription is woken each time, leaves its waker once, and does not look again after it was told that nothing
/// more is ready.
#[test]
fn loom_attached_consumer_misses_nothing() {
    loom::model(|| {
        let (ring, device) = stream(2, 2);
        let consumer = Arc::new(Consumer(AtomicUsize::new(0)));
        assert!(!ring.attach(Waker::from(consumer.clone())));
        let dispatcher = spawn(&ring, move |ring| u64::from(complete_one(&ring)) + u64::from(complete_one(&ring)));
        let (mut taken, mut wakes) = (0, 0);
        let mut pump = || {
            while wakes != consumer.0.load(SeqCst) {
                wakes = consumer.0.load(SeqCst);
                while let Some(Pop::Reply(operation, .., next)) = ring.take_ready() {
                    assert_eq!(operation, taken);
                    taken += 1;
                    ring.calls.release(&(), operation);
                    if next.arm {
                        ring.arm();
                    }
                    if !next.take {
                        break;
                    }
                }
            }
            taken
        };
        pump();
        let completed = dispatcher.join().unwrap();
        assert_eq!(pump(), completed);
        assert_eq!(lock(&ring.calls.pended).len(), 2, "there is room, and too few calls are pending");
        ring.close(&device);
        drop(device);
    });
}

#[test]
fn loom_stop_against_completion() {
    loom::model(|| {
        let (ring, device) = stream(1, 2);
        let dispatcher = spawn(&ring, move |ring| complete_one(&ring));
        ring.stop(Status::CANCELLED);
        dispatcher.join().unwrap();
        while complete_one(&ring) {}
        let mut results = 0;
        let waker = Waker::noop();
        let reason = loop {
            match take(&ring, waker) {
                Poll::Ready(Pop::Reply(..)) => results += 1,
                Poll::Ready(Pop::End(reason)) => break reason,
                other => panic!("the stream does not end: {other:?}"),
            }
        };
        assert_eq!(reason.kind(), crate::ErrorKind::Cancelled);
        assert!(results <= 1);
        assert!(matches!(take(&ring, waker), Poll::Ready(Pop::Nothing)));
        assert_eq!(ring.calls.released.load(SeqCst), ring.calls.submitted.load(SeqCst));
        drop(device);
    });
}
