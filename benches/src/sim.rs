//! Calls to a simulated device: the cost of a call when the system below costs nothing.
//!
//! Besides ours, the same by hand: a queue of `tokio::sync::oneshot` senders, as a program would write it.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use overlapped::sim::{Driver, FileId, Outcome, Pended, Queue, Request, RequestId};
use overlapped::{Access, CtlCode, Device, Ioctl, Method, Port, Status};
use tokio::sync::oneshot;

use crate::turns::{Program, program};

pub const WAIT_CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
// SAFETY: the simulated drivers here write four bytes, through `Pended`, which is bounded.
pub const WAIT: Ioctl<(), u32> = unsafe { Ioctl::new(WAIT_CODE) };

/// A driver that keeps every call until [`ring`](Self::ring).
#[derive(Default)]
pub struct Bell(Queue<()>);

impl Bell {
    /// Completes the oldest call with `value`.
    pub fn ring(&self, value: u32) {
        let (mut pended, ()) = self.0.pop().expect("a call is pending");
        pended.write(&value.to_ne_bytes());
        pended.complete(Status::SUCCESS);
    }
}

impl Driver for Bell {
    fn control(&self, request: Request) -> Outcome {
        let (pended, outcome) = request.pend();
        self.0.push(pended, ());
        outcome
    }

    fn cancel(&self, request: RequestId) {
        self.0.cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        self.0.complete_all_of(file, Status::CANCELLED);
    }
}

/// Polls a manual port until `count` packets have been handled.
pub fn drain(port: &Port, count: usize) {
    let mut handled = 0;
    while handled < count {
        handled += port.poll(Some(Duration::ZERO));
    }
}

/// Submit, complete, take: everything on one thread, `depth` calls at a time.
pub fn on_a_manual_port(depth: usize) -> Program {
    let port = Port::manual().unwrap();
    let bell = Arc::new(Bell::default());
    let device = Device::simulated_on(&port, bell.clone()).unwrap();
    let mut calls = Vec::with_capacity(depth);
    program(move |count| {
        for _ in 0..count / depth as u64 {
            calls.extend((0..depth).map(|_| device.call(WAIT, &())));
            (0..depth as u32).for_each(|value| bell.ring(value));
            drain(&port, depth);
            for (value, call) in (0..).zip(calls.drain(..)) {
                assert_eq!(*call.wait().unwrap(), value);
            }
        }
    })
}

/// Calls that the driver ends at once.
pub fn at_once() -> Program {
    let driver = overlapped::sim::from_fn(|mut request: Request| -> Outcome {
        request.write(&7_u32.to_ne_bytes());
        request.complete(Status::SUCCESS)
    });
    let device = Device::simulated_on(&Port::manual().unwrap(), driver).unwrap();
    program(move |count| {
        for _ in 0..count {
            assert_eq!(*device.call(WAIT, &()).wait().unwrap(), 7);
        }
    })
}

/// The same with a oneshot channel for each call.
pub fn with_oneshots(depth: usize) -> Program {
    let pending = Mutex::new(VecDeque::new());
    let mut calls = Vec::with_capacity(depth);
    program(move |count| {
        for _ in 0..count / depth as u64 {
            calls.extend((0..depth).map(|_| {
                let (sender, receiver) = oneshot::channel::<u32>();
                pending.lock().unwrap().push_back(sender);
                receiver
            }));
            for value in 0..depth as u32 {
                let sender = pending.lock().unwrap().pop_front().unwrap();
                sender.send(value).unwrap();
            }
            for (value, mut call) in (0..).zip(calls.drain(..)) {
                assert_eq!(call.try_recv(), Ok(value));
            }
        }
    })
}

/// A driver whose own thread completes each call at once.
struct Worker(mpsc::Sender<Pended>);

impl Driver for Worker {
    fn control(&self, request: Request) -> Outcome {
        let (pended, outcome) = request.pend();
        self.0.send(pended).expect("the worker lives as long as the driver");
        outcome
    }
}

fn worker() -> Worker {
    let (sender, receiver) = mpsc::channel::<Pended>();
    thread::spawn(move || {
        for mut pended in receiver {
            pended.write(&7_u32.to_ne_bytes());
            pended.complete(Status::SUCCESS);
        }
    });
    Worker(sender)
}

/// Completed by another thread, `depth` calls at a time; dispatched and taken by this one.
pub fn across_threads_on_a_manual_port(depth: usize) -> Program {
    let port = Port::manual().unwrap();
    let device = Device::simulated_on(&port, worker()).unwrap();
    let mut calls = Vec::with_capacity(depth);
    program(move |count| {
        let calls = &mut calls;
        let all = async {
            for _ in 0..count / depth as u64 {
                calls.extend((0..depth).map(|_| device.call(WAIT, &())));
                for call in calls.drain(..) {
                    assert_eq!(*call.await.unwrap(), 7);
                }
            }
        };
        port.block_on(all).unwrap();
    })
}

/// Completed by another thread, dispatched by the default port's, taken by this one.
pub fn across_threads_on_the_default_port(depth: usize) -> Program {
    let device = Device::simulated(worker()).unwrap();
    let mut calls = Vec::with_capacity(depth);
    program(move |count| {
        for _ in 0..count / depth as u64 {
            calls.extend((0..depth).map(|_| device.call(WAIT, &())));
            for call in calls.drain(..) {
                assert_eq!(*call.wait().unwrap(), 7);
            }
        }
    })
}

/// The same with a oneshot channel for each call: there is no dispatcher between.
pub fn across_threads_with_oneshots(depth: usize) -> Program {
    let (sender, receiver) = mpsc::channel::<oneshot::Sender<u32>>();
    thread::spawn(move || receiver.into_iter().for_each(|call| call.send(black_box(7)).unwrap()));
    let mut calls = Vec::with_capacity(depth);
    program(move |count| {
        for _ in 0..count / depth as u64 {
            calls.extend((0..depth).map(|_| {
                let (call, result) = oneshot::channel();
                sender.send(call).unwrap();
                result
            }));
            for call in calls.drain(..) {
                assert_eq!(call.blocking_recv(), Ok(7));
            }
        }
    })
}
