//! Outcomes, cancellations, drops, timeouts and closes, mixed at random from a seed. Nothing may be lost, nothing may
//! come twice, and everything must be released at the end.
//!
//! `OVERLAPPED_STRESS_SEED` sets the seed, which is printed. `OVERLAPPED_STRESS` sets the number of operations.
#![cfg(not(miri))]

mod support;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{Call, Device, ErrorKind, Port, Status};
use support::*;
use test_support::random::Random;

/// A driver whose requests end in each possible way, which the low bits of their input select. It counts its requests,
/// and how it ended them.
#[derive(Default)]
struct Chaos {
    pended: Queue<u64>,
    given: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
}

impl Chaos {
    /// Completes one pending request, if there is one.
    fn complete_one(&self) -> bool {
        let Some((mut pended, number)) = self.pended.pop() else { return false };
        if number % 7 == 3 {
            self.failed.fetch_add(1, SeqCst);
            pended.complete(Status::IO_DEVICE_ERROR);
        } else {
            self.succeeded.fetch_add(1, SeqCst);
            pended.write(&number.to_ne_bytes());
            match number % 5 {
                0 => pended.complete_twice(Status::SUCCESS),
                1 => pended.complete(Status::BUFFER_OVERFLOW),
                2 => pended.lie(Status::SUCCESS, usize::MAX),
                _ => pended.complete(Status::SUCCESS),
            }
        }
        true
    }
}

impl Driver for Chaos {
    fn control(&self, mut request: Request) -> Outcome {
        self.given.fetch_add(1, SeqCst);
        let number = u64::from_ne_bytes(request.input().try_into().unwrap());
        match number % 4 {
            0 => {
                self.succeeded.fetch_add(1, SeqCst);
                request.write(&number.to_ne_bytes());
                request.complete(Status::SUCCESS)
            }
            1 if number % 3 == 0 => {
                self.failed.fetch_add(1, SeqCst);
                request.complete(Status::INVALID_PARAMETER)
            }
            _ => {
                let (pended, outcome) = request.pend();
                self.pended.push(pended, number);
                outcome
            }
        }
    }

    fn cancel(&self, request: RequestId) {
        if self.pended.cancel(request) {
            self.cancelled.fetch_add(1, SeqCst);
        }
    }

    fn cleanup(&self, file: FileId) {
        while let Some((pended, _)) = self.pended.pop_if(|pended, _| pended.file() == file) {
            self.cancelled.fetch_add(1, SeqCst);
            pended.complete(Status::CANCELLED);
        }
    }
}

// SAFETY: the simulated driver reads and writes through its bounded request.
const CALL: overlapped::Ioctl<u64, u64> = unsafe { overlapped::Ioctl::new(code(0x810)) };

/// The ends of the calls, as their owners saw them.
#[derive(Default, Debug)]
struct Seen {
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    timed_out: u64,
    dropped: u64,
}

impl Seen {
    fn note(&mut self, number: u64, result: Result<overlapped::Reply<u64>, overlapped::Error>) {
        match result.map(|reply| *reply).map_err(|error| error.kind()) {
            Ok(value) => {
                assert_eq!(value, number, "a call got the result of another call");
                self.succeeded += 1;
            }
            Err(ErrorKind::Cancelled) => self.cancelled += 1,
            Err(ErrorKind::TimedOut) => self.timed_out += 1,
            Err(_) => self.failed += 1,
        }
    }
}

/// A million where the tests are fast, fewer elsewhere.
const DEFAULT: u64 = if cfg!(miri) {
    300
} else if cfg!(windows) {
    50_000
} else if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn poll(call: &mut Call<u64>) -> Poll<Result<overlapped::Reply<u64>, overlapped::Error>> {
    Pin::new(call).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn after_many_operations_everything_is_released() {
    let operations = from_environment("OVERLAPPED_STRESS", DEFAULT);
    let seed = from_environment("OVERLAPPED_STRESS_SEED", 0x1234_5678_9abc_def1) | 1;
    println!("OVERLAPPED_STRESS_SEED={seed} OVERLAPPED_STRESS={operations}");
    let port = Port::manual().unwrap();
    let driver = Arc::new(Chaos::default());
    let threads = 2;
    let running = AtomicU64::new(threads);
    let (seen, others) = std::thread::scope(|scope| {
        let running = &running;
        let helper = scope.spawn({
            let (port, driver) = (port.clone(), driver.clone());
            move || {
                while running.load(SeqCst) > 0 {
                    if !driver.complete_one() {
                        std::thread::yield_now();
                    }
                    port.poll(Some(Duration::ZERO));
                }
            }
        });
        let callers: Vec<_> = (0..threads)
            .map(|thread| {
                let (port, driver) = (port.clone(), driver.clone());
                scope.spawn(move || {
                    let result =
                        caller(&port, &driver, Random::new(seed.rotate_left(thread as u32 * 7)), operations / threads);
                    running.fetch_sub(1, SeqCst);
                    result
                })
            })
            .collect();
        let results: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        helper.join().unwrap();
        results.into_iter().fold((Seen::default(), 0), |(mut sum, others), (seen, more)| {
            sum.succeeded += seen.succeeded;
            sum.failed += seen.failed;
            sum.cancelled += seen.cancelled;
            sum.timed_out += seen.timed_out;
            sum.dropped += seen.dropped;
            (sum, others + more)
        })
    });
    while driver.complete_one() {}
    drain(&port);
    println!("{seen:?}, {others} by callbacks and streams");
    let given = driver.given.load(SeqCst);
    let ended = [&driver.succeeded, &driver.failed, &driver.cancelled].map(|count| count.load(SeqCst));
    assert_eq!(ended.iter().sum::<u64>(), given, "the driver did not end each request once");
    let owners = seen.succeeded + seen.failed + seen.cancelled + seen.timed_out + seen.dropped + others;
    assert_eq!(owners, given, "not every call ended once for its owner");
    let stats = port.stats();
    assert_eq!((stats.in_flight, stats.panics), (0, 0), "{stats:?}");
    assert!(port.pending().is_empty());
    assert!(stats.slots <= 4096, "memory grew: {stats:?}");
}

/// A thread that makes calls in every way, and what became of them.
struct Caller<'a> {
    port: &'a Port,
    driver: &'a Arc<Chaos>,
    random: Random,
    device: Device,
    seen: Seen,
    waiting: VecDeque<(u64, Call<u64>)>,
    called_back: Arc<AtomicU64>,
    callbacks: u64,
    /// Calls that the driver was given for streams.
    streamed: u64,
}

/// Runs operations. Returns the ends of its calls, and how many other requests the driver got from callbacks and
/// streams.
fn caller(port: &Port, driver: &Arc<Chaos>, random: Random, operations: u64) -> (Seen, u64) {
    let device = Device::simulated_on(port, driver.clone()).unwrap();
    let (seen, waiting, called_back) = Default::default();
    let mut caller = Caller { port, driver, random, device, seen, waiting, called_back, callbacks: 0, streamed: 0 };
    for done in 1..=operations {
        caller.step(done);
        while caller.waiting.len() > 200 || (done == operations && !caller.waiting.is_empty()) {
            caller.wait_for_the_oldest();
        }
    }
    let Caller { seen, called_back, callbacks, streamed, device, .. } = caller;
    drop(device);
    while called_back.load(SeqCst) < callbacks {
        driver.complete_one();
        port.poll(Some(Duration::ZERO));
    }
    (seen, callbacks + streamed)
}

impl Caller<'_> {
    fn step(&mut self, done: u64) {
        let number = self.random.number();
        let call = || self.device.call(CALL, &number);
        match self.random.below(100) {
            // Submit now, look at it later.
            0..40 => self.waiting.push_back((number, call())),
            40..50 => {
                let timeout = Duration::from_micros(self.random.below(500));
                self.waiting.push_back((number, call().timeout(timeout)));
            }
            50..60 => {
                let mut call = call();
                if self.random.below(2) == 0
                    && let Poll::Ready(result) = poll(&mut call)
                {
                    self.seen.note(number, result);
                } else {
                    self.seen.dropped += 1;
                }
            }
            60..65 => {
                let call = call();
                call.cancel();
                self.waiting.push_back((number, call));
            }
            65..70 => {
                let called_back = self.called_back.clone();
                call().then(move |_| {
                    called_back.fetch_add(1, SeqCst);
                });
                self.callbacks += 1;
            }
            70..72 => self.stream(number),
            72 if done.is_multiple_of(50) => {
                self.device.cancel_all();
            }
            73 if done.is_multiple_of(50) => {
                self.device = Device::simulated_on(self.port, self.driver.clone()).unwrap()
            }
            _ => self.go_on(),
        }
    }

    fn stream(&mut self, number: u64) {
        let mut stream = self.device.inverted(CALL, &number).pending(3).window(3).start();
        let tally = stream.tally();
        for _ in 0..self.random.below(4) {
            if stream.wait_next_timeout(Duration::from_micros(50)).is_none() {
                break;
            }
        }
        drop(stream);
        // Each call of the stream was delivered, discarded or failed, and the driver counted it. So only wait
        // for their end.
        while tally.calls_in_flight() > 0 {
            self.go_on();
        }
        self.streamed += tally.submitted_calls();
    }

    fn wait_for_the_oldest(&mut self) {
        let Some((number, mut call)) = self.waiting.pop_front() else { return };
        loop {
            if let Poll::Ready(result) = poll(&mut call) {
                return self.seen.note(number, result);
            }
            self.go_on();
        }
    }

    fn go_on(&self) {
        self.driver.complete_one();
        self.port.poll(Some(Duration::ZERO));
    }
}
