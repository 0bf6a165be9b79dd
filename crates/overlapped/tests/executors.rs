//! The same futures on every executor: tokio, smol, futures' `LocalPool`, and a thread that parks.
#![cfg(not(any(loom, miri)))]

mod support;

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::future::{self, Either};
use futures::stream::{FuturesUnordered, StreamExt};
use overlapped::{Buffer, Device, ErrorKind, Status};
use support::*;
use test_support::executor;

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(60);
const MANY: u32 = if cfg!(miri) { 20 } else { 1000 };

fn device() -> (Arc<support::Device>, Device) {
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    (driver, device)
}

/// Another thread plays the hardware: for each of the values it completes a WAIT as soon as one is pending.
fn complete_each(driver: &Arc<support::Device>, values: impl Iterator<Item = u32> + Send + 'static) {
    let driver = driver.clone();
    thread::spawn(move || {
        for value in values {
            until("a call is pending", || driver.complete_one(value));
        }
    });
}

/// What holds on every executor.
mod everywhere {
    use super::*;

    pub(super) async fn a_call_is_awaited() {
        let (driver, device) = device();
        assert_eq!(&*device.call(ANSWER, &0).await.unwrap(), DATA, "done at once");
        assert_eq!(*device.call(PEND_AND_COMPLETE, &()).await.unwrap(), 5, "pending, and done before it returns");
        let call = device.call(WAIT, &());
        driver.complete_one(1);
        assert_eq!(*call.await.unwrap(), 1, "done before it is polled");
        complete_each(&driver, 2..3);
        assert_eq!(*device.call(WAIT, &()).await.unwrap(), 2, "done by another thread");
        let error = device.call(WAIT, &()).timeout(SHORT).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "no timer of the executor is needed");
    }

    pub(super) async fn a_warning_keeps_its_bytes_and_an_error_its_code() {
        let (_, device) = device();
        let reply = device.call(ANSWER, &Status::BUFFER_OVERFLOW.to_u32()).await.unwrap();
        assert!(reply.more_data() && &*reply == DATA);
        let error = device.call(ANSWER, &Status::DEVICE_NOT_CONNECTED.to_u32()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected);
    }

    pub(super) async fn a_raw_call_brings_its_buffers_back() {
        let (_, device) = device();
        let (input, output) = (Buffer::from(b"there and back".as_slice()), Buffer::aligned(512, 512).unwrap());
        let address = output.as_ptr().addr();
        // SAFETY: the simulated driver reads and writes through `Request`, which is bounded.
        let reply = unsafe { device.call_raw(ECHO.code(), input, output) }.await;
        assert_eq!(reply.status().unwrap(), Status::SUCCESS);
        assert_eq!(&reply.output[..reply.len()], b"there and back");
        assert_eq!((&*reply.input, reply.output.as_ptr().addr()), (b"there and back".as_slice(), address));
    }

    pub(super) async fn an_inverted_call_is_a_stream() {
        let (driver, device) = device();
        complete_each(&driver, 0..100);
        let mut events = device.inverted(WAIT, &()).pending(4).window(8).start();
        let hundred: Vec<u32> = events.by_ref().take(100).map(|event| *event.unwrap()).collect().await;
        assert_eq!(hundred, (0..100).collect::<Vec<_>>());
        events.stopper().stop();
        assert_eq!(events.next().await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(events.next().await.is_none());
        assert!(driver.waiting.is_empty());
    }

    pub(super) async fn a_call_that_lost_a_race_is_cancelled() {
        let (driver, device) = device();
        let race = future::select(device.call(WAIT, &()), device.call(ANSWER, &0)).await;
        assert!(matches!(race, Either::Right(_)));
        drop(race);
        assert_eq!((driver.waiting.len(), driver.cancels.load(SeqCst)), (0, 1));
    }

    pub(super) async fn a_call_that_lost_a_race_can_go_on() {
        let (driver, device) = device();
        let mut call = device.call(WAIT, &());
        for _ in 0..3 {
            assert!(matches!(future::select(&mut call, future::ready(())).await, Either::Right(_)));
        }
        driver.complete_one(6);
        assert_eq!(*call.await.unwrap(), 6);
        assert_eq!(driver.cancels.load(SeqCst), 0);
    }

    /// A stream whose `next` is dropped on every round still gives every result.
    pub(super) async fn next_loses_nothing_when_it_is_dropped() {
        let (driver, device) = device();
        complete_each(&driver, 0..50);
        let mut events = device.inverted(WAIT, &()).start();
        let mut got = Vec::new();
        while got.len() < 50 {
            match future::select(pin!(events.next()), pin!(yield_once())).await {
                Either::Left((event, _)) => got.push(*event.unwrap().unwrap()),
                Either::Right(_) => thread::yield_now(),
            }
        }
        assert_eq!(got, (0..50).collect::<Vec<_>>());
    }

    /// Ready the second time it is polled.
    async fn yield_once() {
        let mut yielded = false;
        std::future::poll_fn(|cx| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// One task polls it, then another task awaits it: the last waker is the one that is woken.
    pub(super) async fn a_call_moves_from_one_task_to_another() {
        let (driver, device) = device();
        let mut call = device.call(WAIT, &());
        assert!(pin!(&mut call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        complete_each(&driver, 8..9);
        assert_eq!(*call.await.unwrap(), 8);
    }
}

macro_rules! on {
    ($executor:ident, $run:expr) => {
        mod $executor {
            use super::*;
            on!(@ $run;
                a_call_is_awaited
                a_warning_keeps_its_bytes_and_an_error_its_code
                a_raw_call_brings_its_buffers_back
                an_inverted_call_is_a_stream
                a_call_that_lost_a_race_is_cancelled
                a_call_that_lost_a_race_can_go_on
                next_loses_nothing_when_it_is_dropped
                a_call_moves_from_one_task_to_another
            );
        }
    };
    (@ $run:expr; $($test:ident)*) => {
        $(
            #[test]
            fn $test() {
                $run(everywhere::$test())
            }
        )*
    };
}

on!(tokio_current_thread, |test| tokio_current().block_on(test));
// On a worker thread, not on the thread of `block_on`.
on!(tokio_multi_thread, |test| tokio_workers().block_on(async { tokio::spawn(test).await.unwrap() }));
// Its reactor makes system calls that Miri does not know.
#[cfg(not(miri))]
on!(on_smol, |test| smol::block_on(smol::spawn(test)));
on!(futures_local_pool, |test| futures::executor::LocalPool::new().run_until(test));
on!(a_thread_that_parks, executor::block_on);

fn tokio_current() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn tokio_workers() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

mod with_tokio {
    use super::*;
    use tokio::task::JoinSet;
    use tokio::time;

    #[test]
    fn select_takes_the_branch_that_is_ready() {
        tokio_current().block_on(async {
            let (driver, device) = device();
            complete_each(&driver, 1..2);
            tokio::select! {
                reply = device.call(WAIT, &()) => assert_eq!(*reply.unwrap(), 1),
                () = time::sleep(LONG) => panic!("the call was not ready first"),
            }
            tokio::select! {
                _ = device.call(WAIT, &()) => panic!("the call is ready, but nothing completed it"),
                () = time::sleep(SHORT) => {}
            }
            assert!(driver.waiting.is_empty(), "the call that lost was not cancelled");
            let mut call = device.call(WAIT, &());
            tokio::select! {
                _ = &mut call => panic!("the call is ready, but nothing completed it"),
                () = time::sleep(SHORT) => {}
            }
            driver.complete_one(2);
            assert_eq!(*call.await.unwrap(), 2, "polled by reference, the call goes on");
        });
    }

    #[test]
    fn select_on_a_stream_loses_no_event() {
        tokio_workers().block_on(async {
            let (driver, device) = device();
            complete_each(&driver, 0..100);
            let mut events = device.inverted(WAIT, &()).start();
            let mut ticks = time::interval(Duration::from_micros(100));
            let mut expected = 0;
            while expected < 100 {
                tokio::select! {
                    event = events.next() => {
                        assert_eq!(*event.unwrap().unwrap(), expected);
                        expected += 1;
                    }
                    _ = ticks.tick() => {}
                }
            }
        });
    }

    #[test]
    fn a_timeout_of_the_runtime_cancels_the_call() {
        tokio_current().block_on(async {
            let (driver, device) = device();
            time::timeout(SHORT, device.call(WAIT, &())).await.unwrap_err();
            assert_eq!((driver.waiting.len(), driver.cancels.load(SeqCst)), (0, 1));
            assert_eq!(&*time::timeout(LONG, device.call(ANSWER, &0)).await.unwrap().unwrap(), DATA);
        });
    }

    #[test]
    fn a_thousand_calls_in_a_join_set() {
        for runtime in [tokio_current(), tokio_workers()] {
            runtime.block_on(async {
                let (driver, device) = device();
                let mut calls = JoinSet::new();
                for _ in 0..MANY {
                    let call = device.call(WAIT, &());
                    calls.spawn(async move { *call.await.unwrap() });
                }
                assert_eq!(driver.waiting.len(), MANY as usize, "submitted before the first poll");
                complete_each(&driver, 0..MANY);
                let mut values = calls.join_all().await;
                values.sort_unstable();
                assert_eq!(values, (0..MANY).collect::<Vec<_>>());
            });
        }
    }

    #[test]
    fn a_task_that_is_aborted_cancels_its_call() {
        tokio_workers().block_on(async {
            let (driver, device) = device();
            let call = device.call(WAIT, &());
            let task = tokio::spawn(call);
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert!(driver.waiting.is_empty());
        });
    }
}

/// A pool on one thread takes futures that cannot move to another thread.
#[test]
fn a_thousand_local_futures_in_a_local_pool() {
    let mut pool = futures::executor::LocalPool::new();
    let (driver, device) = device();
    let calls: FuturesUnordered<_> = (0..MANY)
        .map(|_| {
            let (call, local) = (device.call(WAIT, &()), Rc::new(1));
            async move { *call.await.unwrap() + *local }
        })
        .collect();
    complete_each(&driver, 0..MANY);
    let mut values: Vec<u32> = pool.run_until(calls.collect());
    values.sort_unstable();
    assert_eq!(values, (1..=MANY).collect::<Vec<_>>());
}

#[test]
#[cfg(not(miri))]
fn a_timer_of_smol_wins_or_loses_the_race() {
    smol::block_on(async {
        let (driver, device) = device();
        let late = async {
            smol::Timer::after(SHORT).await;
            None
        };
        let race = smol::future::or(async { Some(device.call(WAIT, &()).await) }, late);
        assert!(race.await.is_none());
        assert!(driver.waiting.is_empty());
        complete_each(&driver, 4..5);
        let late = async {
            smol::Timer::after(LONG).await;
            None
        };
        let race = smol::future::or(async { Some(device.call(WAIT, &()).await) }, late);
        assert_eq!(*race.await.unwrap().unwrap(), 4);
    });
}
