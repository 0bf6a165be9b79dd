//! The ways to wait for a call, with and without a limit.

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use overlapped::sim::{Driver, Outcome, Pended, Request, RequestId};
use overlapped::{Device, ErrorKind, Operation, Port, Status};
use support::*;

const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(60);

fn on_the_global_port() -> (Arc<support::Device>, Device) {
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    (driver, device)
}

fn on_a_manual_port() -> (Port, Arc<support::Device>, Device) {
    let port = Port::manual().unwrap();
    let driver = support::Device::new();
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    (port, driver, device)
}

#[test]
fn a_call_that_takes_too_long_times_out() {
    let (driver, device) = on_the_global_port();
    let begin = Instant::now();
    let error = device.call(WAIT, &()).wait_timeout(SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(begin.elapsed() >= SHORT);
    assert!(driver.waiting.is_empty(), "the call was not cancelled");
    let error = device.call(WAIT, &()).timeout(SHORT).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn a_timeout_wakes_a_thread_that_sleeps_in_the_port() {
    let (port, _driver, device) = on_a_manual_port();
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                port.poll(None);
            }
        });
        // By now the thread most likely sleeps in the port, without a timer.
        thread::sleep(5 * SHORT);
        let (tell, told) = mpsc::channel();
        device.call(WAIT, &()).timeout(SHORT).then(move |result| tell.send(result.unwrap_err().kind()).unwrap());
        assert_eq!(told.recv(), Ok(ErrorKind::TimedOut));
        over.store(true, SeqCst);
        port.wake();
    });
}

#[test]
fn a_call_that_is_in_time_is_not_cancelled() {
    let (driver, device) = on_the_global_port();
    for timeout in [LONG, Duration::MAX] {
        let call = device.call(WAIT, &()).timeout(timeout);
        driver.complete_one(3);
        assert_eq!(*call.wait().unwrap(), 3);
        assert_eq!(&*device.call(ANSWER, &0).timeout(timeout).wait_timeout(timeout).unwrap(), DATA);
    }
    assert_eq!(driver.cancels.load(SeqCst), 0);
}

#[test]
fn a_result_from_before_the_timeout_is_delivered() {
    struct Late(Mutex<Option<Pended>>);
    impl Driver for Late {
        fn control(&self, request: Request) -> Outcome {
            let (pended, outcome) = request.pend();
            *self.0.lock().unwrap() = Some(pended);
            outcome
        }
        fn cancel(&self, _: RequestId) {
            // The result is there already: the cancellation only makes the driver deliver it.
            let mut pended = self.0.lock().unwrap().take().unwrap();
            pended.write(&8_u32.to_ne_bytes());
            pended.complete(Status::SUCCESS);
        }
    }
    let device = Device::simulated(Late(Mutex::default())).unwrap();
    assert_eq!(*device.call(WAIT, &()).timeout(SHORT).wait().unwrap(), 8);
    let call = device.call(WAIT, &());
    call.cancel();
    assert_eq!(*call.wait().unwrap(), 8);
}

/// A driver that keeps every request, even when its device is closed.
#[derive(Default)]
struct Keeps {
    kept: Mutex<Vec<Pended>>,
    cancels: AtomicUsize,
}

impl Driver for Keeps {
    fn control(&self, request: Request) -> Outcome {
        let (pended, outcome) = request.pend();
        self.kept.lock().unwrap().push(pended);
        outcome
    }
    fn read(&self, request: Request) -> Outcome {
        self.control(request)
    }
    fn cancel(&self, _: RequestId) {
        self.cancels.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_result_after_the_timeout_is_still_delivered() {
    let (port, driver) = (Port::manual().unwrap(), Arc::new(Keeps::default()));
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let (tell, told) = mpsc::channel();
    device.call(WAIT, &()).timeout(SHORT).then(move |result| {
        tell.send(result.map(|reply| *reply).map_err(|error| error.kind())).unwrap();
    });
    while driver.cancels.load(SeqCst) == 0 {
        port.poll(Some(SHORT));
    }
    // The port handles the end of the time before the driver completes the call.
    drain(&port);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut pended = driver.kept.lock().unwrap().pop().unwrap();
            pended.write(&9_u32.to_ne_bytes());
            pended.complete(Status::SUCCESS);
        });
    });
    drain(&port);
    assert_eq!(told.try_recv(), Ok(Ok(9)));
}

#[test]
fn a_callback_times_out_even_when_the_device_is_closed() {
    let (port, driver) = (Port::manual().unwrap(), Arc::new(Keeps::default()));
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let (tell, told) = mpsc::channel();
    device.call(WAIT, &()).timeout(SHORT).then(move |result| tell.send(result.unwrap_err().kind()).unwrap());
    drop(device);
    let end = loop {
        if let Ok(end) = told.try_recv() {
            break end;
        }
        port.poll(Some(LONG));
    };
    assert_eq!(end, ErrorKind::TimedOut);
    assert_eq!(port.stats().in_flight, 1, "the driver still has the call");
    driver.kept.lock().unwrap().clear();
    drain(&port);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn a_driver_that_ignores_the_cancellation_keeps_the_memory_and_not_the_caller() {
    let (driver, device) = on_the_global_port();
    assert_eq!(device.call(HOLD, &()).wait_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    let (tell, told) = mpsc::channel();
    device.call(HOLD, &()).timeout(SHORT).then(move |result| tell.send(result.unwrap_err().kind()).unwrap());
    assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(ErrorKind::TimedOut));
    let held = driver.held.lock().unwrap().drain(..).collect::<Vec<_>>();
    let ours = |port: &Port| port.pending().iter().filter(|c| c.device.as_deref() == Some("test device")).count();
    assert!(ours(&Port::global().unwrap()) >= 1, "the call is still listed");
    drop(held);
}

mod raw_calls {
    use super::*;
    use overlapped::{Buffer, Ioctl, RawCall};

    fn raw(device: &Device, code: Ioctl<(), u32>) -> RawCall {
        // SAFETY: the simulated driver stays within the buffers.
        unsafe { device.call_raw(code.code(), Buffer::from(b"in".as_slice()), Buffer::aligned(64, 16).unwrap()) }
    }

    fn with_its_buffers(reply: &overlapped::RawReply) {
        assert_eq!((&*reply.input, reply.output.len()), (b"in".as_slice(), 64));
    }

    #[test]
    fn a_raw_call_that_takes_too_long_times_out_with_its_buffers() {
        let (driver, device) = on_the_global_port();
        let begin = Instant::now();
        for reply in [raw(&device, WAIT).wait_timeout(SHORT), raw(&device, WAIT).timeout(SHORT).wait()] {
            assert_eq!(reply.status().unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!(reply.len(), 0);
            with_its_buffers(&reply);
        }
        assert!(begin.elapsed() >= 2 * SHORT);
        assert!(driver.waiting.is_empty(), "the calls were not cancelled");
        let cancelled = raw(&device, WAIT);
        cancelled.cancel();
        assert_eq!(cancelled.wait().status().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn a_raw_call_that_is_in_time_is_not_cancelled() {
        let (driver, device) = on_the_global_port();
        for timeout in [LONG, Duration::MAX] {
            let call = raw(&device, WAIT).timeout(timeout);
            driver.complete_one(3);
            let reply = call.wait_timeout(timeout);
            assert_eq!((reply.status().unwrap(), reply.len()), (Status::SUCCESS, 4));
            with_its_buffers(&reply);
        }
        assert_eq!(driver.cancels.load(SeqCst), 0);
    }

    #[test]
    fn a_driver_that_ignores_the_cancellation_keeps_the_buffers() {
        let (driver, device) = on_the_global_port();
        let call = raw(&device, HOLD).timeout(SHORT);
        let waiting = thread::spawn(move || call.wait());
        while driver.cancels.load(SeqCst) == 0 {
            thread::yield_now();
        }
        // The port reports that the time is over. A raw call waits on.
        thread::sleep(SHORT);
        assert!(!waiting.is_finished());
        let mut held = driver.held.lock().unwrap().pop().unwrap();
        held.write(b"late");
        held.complete(Status::SUCCESS);
        let reply = waiting.join().unwrap();
        assert_eq!(&reply.output[..reply.len()], b"late");
        with_its_buffers(&reply);
    }

    #[test]
    fn a_raw_call_times_out_on_a_port_that_another_thread_polls() {
        let (port, driver, device) = on_a_manual_port();
        thread::scope(|scope| {
            let call = raw(&device, WAIT);
            let waiting = scope.spawn(|| call.wait_timeout(SHORT));
            // The port is not polled until the call is cancelled: the waiting thread watches the time itself.
            while driver.cancels.load(SeqCst) == 0 {
                thread::yield_now();
            }
            while port.stats().in_flight > 0 {
                port.poll(Some(SHORT));
            }
            let reply = waiting.join().unwrap();
            assert_eq!(reply.status().unwrap_err().kind(), ErrorKind::TimedOut);
            with_its_buffers(&reply);
        });
    }
}

#[test]
fn many_timeouts_expire_in_their_order() {
    let (port, _driver, device) = on_a_manual_port();
    let ends: Arc<Mutex<Vec<u64>>> = Arc::default();
    // The timeouts are far enough apart: Miri is slow, and a busy machine may stop for a while between two of these
    // calls.
    let unit = if cfg!(miri) { 100 } else { 25 };
    for ms in [30, 10, 20, 40, 15] {
        let ends = ends.clone();
        device.call(WAIT, &()).timeout(Duration::from_millis(ms * unit)).then(move |result| {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
            ends.lock().unwrap().push(ms);
        });
    }
    while ends.lock().unwrap().len() < 5 {
        port.poll(Some(LONG));
    }
    assert_eq!(*ends.lock().unwrap(), [10, 15, 20, 30, 40]);
    drain(&port);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn timers_of_calls_that_are_over_do_not_pile_up() {
    let (port, driver, device) = on_a_manual_port();
    for _ in 0..if cfg!(miri) { 200 } else { 10_000 } {
        let call = device.call(WAIT, &()).timeout(LONG);
        driver.complete_one(1);
        drain(&port);
        call.wait().unwrap();
    }
    assert_eq!(port.stats().in_flight, 0);
    assert!(port.stats().timers <= 200, "{:?}", port.stats());
}

#[test]
fn a_timeout_on_a_port_that_nobody_polls() {
    let (port, _, device) = on_a_manual_port();
    assert_eq!(device.call(WAIT, &()).wait_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    drain(&port);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn cancelling_is_a_request_and_the_call_reports_the_end() {
    let (_, device) = on_the_global_port();
    let call = device.call(WAIT, &());
    call.cancel();
    call.cancel();
    assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    let done = device.call(ANSWER, &0);
    done.cancel();
    assert_eq!(&*done.wait().unwrap(), DATA);
}

#[test]
fn a_callback_runs_on_the_dispatcher_whenever_the_result_came() {
    let (driver, device) = on_the_global_port();
    let (tell, told) = mpsc::channel();
    let callback = |tell: &mpsc::Sender<_>| {
        let tell = tell.clone();
        move |result: Result<overlapped::Reply<u32>, overlapped::Error>| {
            tell.send((*result.unwrap(), thread::current().name().map(str::to_owned))).unwrap();
        }
    };
    let dispatcher = Some("overlapped".to_owned());
    // One call is pending, one is completed before the callback is set, one is done at once.
    device.call(WAIT, &()).then(callback(&tell));
    driver.complete_one(1);
    assert_eq!(told.recv().unwrap(), (1, dispatcher.clone()));
    let call = device.call(WAIT, &());
    driver.complete_one(2);
    thread::sleep(SHORT);
    call.then(callback(&tell));
    assert_eq!(told.recv().unwrap(), (2, dispatcher.clone()));
    // SAFETY: the driver writes four bytes.
    let at_once: overlapped::Ioctl<u32, u32> = unsafe { overlapped::Ioctl::new(ANSWER.code()) };
    device.call(at_once, &0).then(callback(&tell));
    assert_eq!(told.recv().unwrap(), (u32::from_ne_bytes(*b"data"), dispatcher));
}

#[test]
fn a_callback_never_runs_inside_then() {
    let (port, _, device) = on_a_manual_port();
    let ran = Arc::new(AtomicUsize::new(0));
    device.call(ANSWER, &0).then({
        let ran = ran.clone();
        move |_| {
            ran.fetch_add(1, SeqCst);
        }
    });
    assert_eq!(ran.load(SeqCst), 0);
    drain(&port);
    assert_eq!(ran.load(SeqCst), 1);
}

#[test]
fn a_callback_that_panics_is_caught_and_counted() {
    let (port, driver, device) = on_a_manual_port();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    device.call(WAIT, &()).then(|_| panic!("the callback panics, as the test wants it to"));
    driver.complete_one(1);
    drain(&port);
    std::panic::set_hook(hook);
    let stats = port.stats();
    assert_eq!((stats.panics, stats.in_flight), (1, 0));
}

#[test]
fn a_callback_does_not_keep_the_device_open() {
    let (port, driver, device) = on_a_manual_port();
    let end = Arc::new(Mutex::new(None));
    device.call(WAIT, &()).then({
        let end = end.clone();
        move |result| *end.lock().unwrap() = Some(result.unwrap_err().kind())
    });
    drop(device);
    assert_eq!(driver.cleanups.load(SeqCst), 1);
    drain(&port);
    assert_eq!(*end.lock().unwrap(), Some(ErrorKind::Cancelled));
}

#[test]
fn callbacks_race_with_completions_and_each_runs_once() {
    let (driver, device) = on_the_global_port();
    let calls = if cfg!(miri) { 30 } else { 5000 };
    let ran = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..calls {
                let ran = ran.clone();
                device.call(WAIT, &()).then(move |result| {
                    result.unwrap();
                    ran.fetch_add(1, SeqCst);
                });
            }
        });
        scope.spawn(|| {
            let mut done = 0;
            while done < calls {
                if driver.complete_one(1) { done += 1 } else { thread::yield_now() }
            }
        });
    });
    until("every callback has run", || ran.load(SeqCst) == calls as usize);
}

#[test]
fn timeouts_race_with_completions_and_each_call_ends_once() {
    let (driver, device) = on_the_global_port();
    let calls = if cfg!(miri) { 10 } else { 2000 };
    let (in_time, late) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..calls {
                let call = device.call(WAIT, &()).timeout(Duration::from_micros(n % 100));
                match call.wait() {
                    Ok(reply) => drop((assert_eq!(*reply, 1), in_time.fetch_add(1, SeqCst))),
                    Err(error) => drop((assert_eq!(error.kind(), ErrorKind::TimedOut), late.fetch_add(1, SeqCst))),
                }
            }
            over.store(true, SeqCst);
        });
        scope.spawn(|| {
            while !over.load(SeqCst) {
                driver.complete_one(1);
                thread::sleep(Duration::from_micros(30));
            }
        });
    });
    assert_eq!(in_time.into_inner() + late.into_inner(), calls as usize);
    assert!(driver.waiting.is_empty());
}

#[test]
fn a_manual_port_runs_a_future_to_its_end() {
    let (port, driver, device) = on_a_manual_port();
    let sum = port
        .block_on(async {
            let (a, b) = (device.call(WAIT, &()), device.call(WAIT, &()));
            driver.complete_one(2);
            driver.complete_one(40);
            *a.await.unwrap() + *b.await.unwrap()
        })
        .unwrap();
    assert_eq!(sum, 42);
    // Another thread makes this future ready, most likely when this thread sleeps in the port.
    let (wake, woken) = mpsc::channel::<Waker>();
    let is_ready = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ready = is_ready.clone();
    let other = thread::spawn(move || {
        let waker = woken.recv().unwrap();
        thread::sleep(5 * SHORT);
        ready.store(true, SeqCst);
        waker.wake();
    });
    let mut wake = Some(wake);
    port.block_on(std::future::poll_fn(|cx| {
        if let Some(wake) = wake.take() {
            wake.send(cx.waker().clone()).unwrap();
        }
        if is_ready.load(SeqCst) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }))
    .unwrap();
    other.join().unwrap();
    assert_eq!(Port::global().unwrap().block_on(async { 7 }).unwrap(), 7);
}

#[test]
fn waking_a_port_ends_its_poll() {
    let port = Port::manual().unwrap();
    let other = port.clone();
    let thread = thread::spawn(move || other.poll(None));
    port.wake();
    assert_eq!(thread.join().unwrap(), 1);
}

#[test]
fn a_port_that_is_woken_often_wakes_once() {
    let port = Port::manual().unwrap();
    for _ in 0..2 {
        (0..1000).for_each(|_| port.wake());
        assert_eq!((port.poll(None), port.poll(Some(Duration::ZERO))), (1, 0));
    }
}

#[test]
fn calls_in_flight_are_listed_with_device_and_age() {
    let (port, _driver, device) = on_a_manual_port();
    let call = device.call(HOLD, &());
    thread::sleep(Duration::from_millis(60));
    let younger = device.call(HOLD, &());
    let pending = port.pending();
    assert_eq!(pending.len(), 2);
    assert_eq!(pending[0].operation, Operation::Control(HOLD.code()));
    assert_eq!(pending[0].device.as_deref(), Some("test device"));
    assert!(pending[0].age >= Duration::from_millis(30) && pending[0].age < LONG, "{:?}", pending[0].age);
    assert!(pending[1].age < pending[0].age);
    drop((call, younger));
    assert_eq!(port.pending().len(), 2, "the driver still holds the calls");
    drop(device);
    assert!(port.pending().iter().all(|call| call.device.is_none()));
    drain(&port);
    assert!(port.pending().is_empty());
}

#[test]
fn a_call_can_lose_a_race_and_go_on() {
    let (port, driver, device) = on_a_manual_port();
    let mut call = device.call(WAIT, &());
    {
        let race = pin!(&mut call);
        assert!(race.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    driver.complete_one(5);
    assert_eq!(*port.block_on(&mut call).unwrap().unwrap(), 5);
}

#[test]
fn the_only_thread_may_wait_for_a_call_on_its_manual_port() {
    let (_port, driver, device) = on_a_manual_port();
    let call = device.call(WAIT, &());
    driver.complete_one(6);
    assert_eq!(*call.wait().unwrap(), 6);
}

#[test]
fn a_waiting_thread_leaves_others_callbacks_to_the_next_poll() {
    let (port, driver, device) = on_a_manual_port();
    let ran = Arc::new(AtomicUsize::new(0));
    let others = ran.clone();
    device.call(WAIT, &()).then(move |result| others.store(*result.unwrap() as usize, SeqCst));
    let call = device.call(WAIT, &());
    driver.complete_one(1);
    driver.complete_one(2);
    assert_eq!(*call.wait().unwrap(), 2);
    assert_eq!(ran.load(SeqCst), 0, "the waiting thread may hold a lock that the callback wants");
    assert!(port.poll(Some(LONG)) > 0);
    assert_eq!(ran.load(SeqCst), 1);
}

#[test]
fn a_future_that_wakes_itself_does_not_keep_the_port_from_its_turn() {
    let (port, driver, device) = on_a_manual_port();
    let mut call = device.call(WAIT, &());
    driver.complete_one(3);
    let reply = port.block_on(std::future::poll_fn(|cx| {
        (0..10).for_each(|_| cx.waker().wake_by_ref());
        pin!(&mut call).poll(&mut Context::from_waker(Waker::noop()))
    }));
    assert_eq!(*reply.unwrap().unwrap(), 3);
    assert!(port.poll(Some(Duration::ZERO)) <= 1, "the wakeups have piled up in the port");
}

/// Values that a thread drops at its end. By then this crate's own thread-local values may be gone.
#[test]
fn a_destructor_of_a_thread_local_value_may_poll_a_port_and_wait() {
    struct Last(Port, Arc<support::Device>, Device, mpsc::Sender<u32>);
    impl Drop for Last {
        fn drop(&mut self) {
            let Self(port, driver, device, tell) = self;
            assert_eq!(port.poll(Some(Duration::ZERO)), 0);
            let call = device.call(WAIT, &());
            driver.complete_one(4);
            tell.send(*call.wait().unwrap()).unwrap();
        }
    }
    thread_local! {
        static FIRST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    let (tell, told) = mpsc::channel();
    let run = move || {
        let (port, driver, device) = on_a_manual_port();
        let last = || Last(port.clone(), driver.clone(), device.clone(), tell.clone());
        // One is set before this crate's own thread-local value exists, and one after.
        FIRST.set(Some(last()));
        let call = device.call(WAIT, &());
        driver.complete_one(1);
        call.wait().unwrap();
        LAST.set(Some(last()));
    };
    thread::spawn(run).join().unwrap();
    assert_eq!(told.iter().collect::<Vec<_>>(), [4, 4]);
}

#[test]
fn a_result_that_nobody_takes_is_counted() {
    let (port, driver, device) = on_a_manual_port();
    // The result is there when the call is dropped, or its packet is on the way.
    let call = device.call(WAIT, &());
    driver.complete_one(1);
    drain(&port);
    drop(call);
    let call = device.call(WAIT, &());
    driver.complete_one(2);
    drop(call);
    drain(&port);
    let stats = port.stats();
    assert_eq!((stats.lost_results, stats.lost_bytes, stats.in_flight), (2, 8, 0));
    // Neither a cancelled call nor a call whose result was taken loses a result.
    drop(device.call(WAIT, &()));
    drain(&port);
    device.call(ANSWER, &0).wait().unwrap();
    assert_eq!(port.stats().lost_results, 2);
}

/// Drops a read that its driver still has, and submits the next read.
fn a_read_after_one_that_was_given_up() -> (Port, Arc<Keeps>, overlapped::Call<[u8]>) {
    let (port, driver) = (Port::manual().unwrap(), Arc::new(Keeps::default()));
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    drop(device.read(4));
    let next = device.read(4);
    (port, driver, next)
}

#[test]
fn a_read_waits_for_an_earlier_read_that_was_given_up() {
    let (port, driver, next) = a_read_after_one_that_was_given_up();
    drain(&port);
    let mut kept = std::mem::take(&mut *driver.kept.lock().unwrap());
    assert_eq!(kept.len(), 1, "the next read would get later bytes");
    let mut first = kept.pop().unwrap();
    first.write(b"1st");
    first.complete(Status::SUCCESS);
    assert_eq!(&*next.wait().unwrap(), b"1st");
    assert_eq!(port.stats().lost_results, 0);
}

#[test]
fn a_read_waits_at_most_the_grace_period_for_a_read_that_was_given_up() {
    let (port, driver, next) = a_read_after_one_that_was_given_up();
    while driver.kept.lock().unwrap().len() < 2 {
        port.poll(Some(LONG));
    }
    let mut second = driver.kept.lock().unwrap().pop().unwrap();
    second.write(b"2nd");
    second.complete(Status::SUCCESS);
    assert_eq!(&*next.wait().unwrap(), b"2nd");
    driver.kept.lock().unwrap().clear();
}

/// Two reads have ended. The first is given up while its packet is on the way: only the packet brings its bytes. The
/// second read has newer bytes, so its result must come later.
#[test]
fn a_completed_read_waits_for_the_bytes_of_an_earlier_read() {
    struct Two(Mutex<u32>);
    impl Driver for Two {
        fn control(&self, request: Request) -> Outcome {
            request.complete(Status::INVALID_DEVICE_REQUEST)
        }
        fn read(&self, mut request: Request) -> Outcome {
            let mut count = self.0.lock().unwrap();
            *count += 1;
            request.write(&count.to_ne_bytes());
            if *count > 1 {
                return request.complete(Status::SUCCESS);
            }
            let (mut pended, outcome) = request.pend();
            pended.set_written(4);
            pended.complete(Status::SUCCESS);
            outcome
        }
    }
    let port = Port::manual().unwrap();
    let device = overlapped::Device::simulated_on(&port, Two(Mutex::new(0))).unwrap();
    let (first, second) = (device.read(4), device.read(4));
    drop(first);
    assert_eq!(*second.wait().unwrap(), 1_u32.to_ne_bytes());
    assert_eq!(*device.read(4).wait().unwrap(), 2_u32.to_ne_bytes());
}

/// A thread that has the turn of a manual port, until its call ends.
fn waits_at_the_port(device: &Device, driver: &support::Device) -> std::thread::JoinHandle<u32> {
    let call = device.call(WAIT, &());
    let waits = std::thread::spawn(move || *call.wait().unwrap());
    until("it waits", || !driver.waiting.is_empty());
    // By now the thread most likely has the turn.
    std::thread::sleep(Duration::from_millis(20));
    waits
}

#[test]
#[cfg_attr(miri, ignore = "the test measures time, and Miri is slow")]
fn a_waits_timeout_runs_while_it_waits_for_the_turn() {
    let (port, driver, device) = on_a_manual_port();
    let waits = waits_at_the_port(&device, &driver);
    let time = Duration::from_secs(1);
    let second = std::thread::spawn({
        let port = port.clone();
        move || {
            let begin = Instant::now();
            assert!(port.block_on_timeout(std::future::pending::<()>(), time).unwrap().is_none());
            begin.elapsed()
        }
    });
    std::thread::sleep(time * 9 / 10);
    assert!(driver.complete_one(3));
    assert_eq!(waits.join().unwrap(), 3);
    let took = second.join().unwrap();
    assert!(took >= time && took < time * 3 / 2, "{took:?}");
}

#[test]
fn a_poll_that_waits_for_the_turn_is_woken() {
    let (port, driver, device) = on_a_manual_port();
    let waits = waits_at_the_port(&device, &driver);
    let (tell, told) = std::sync::mpsc::channel();
    let polls = std::thread::spawn({
        let port = port.clone();
        move || (0..3).for_each(|_| tell.send(port.poll(None)).unwrap())
    });
    for _ in 0..3 {
        assert!(told.recv_timeout(Duration::from_millis(20)).is_err(), "the poll returned without an event");
        port.wake();
        assert!(told.recv_timeout(Duration::from_secs(20)).is_ok(), "the poll was not woken");
    }
    polls.join().unwrap();
    assert!(driver.complete_one(3));
    assert_eq!(waits.join().unwrap(), 3);
}
