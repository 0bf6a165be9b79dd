//! One call, in each way that it can go, on a simulated device.

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use overlapped::sim::{self, Driver, Outcome, Request, RequestId};
use overlapped::{Call, CtlCode, Device, Error, ErrorCode, ErrorKind, Ioctl, Port, Status};
use support::*;

fn setup() -> (Port, Arc<support::Device>, Device) {
    let port = Port::manual().unwrap();
    let driver = support::Device::new();
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    (port, driver, device)
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<T>(call: &mut (impl Future<Output = T> + Unpin), waker: &Waker) -> Poll<T> {
    pin!(call).poll(&mut Context::from_waker(waker))
}

#[test]
fn success_at_once() {
    let (port, _, device) = setup();
    let reply = device.call(ANSWER, &Status::SUCCESS.to_u32()).wait().unwrap();
    assert_eq!(&*reply, DATA);
    assert!(!reply.more_data());
    drop(reply);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn a_warning_keeps_its_bytes() {
    let (_, _, device) = setup();
    let reply = device.call(ANSWER, &Status::BUFFER_OVERFLOW.to_u32()).wait().unwrap();
    assert_eq!(&*reply, DATA);
    assert!(reply.more_data());
    assert_eq!((reply.status(), reply.information()), (Status::BUFFER_OVERFLOW, 4));
}

#[test]
fn a_failure_at_once_is_an_error_with_its_status() {
    let (port, _, device) = setup();
    let error = device.call(ANSWER, &Status::DEVICE_NOT_CONNECTED.to_u32()).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(error.code(), Some(ErrorCode::Status(Status::DEVICE_NOT_CONNECTED)));
    assert_eq!(
        error.to_string(),
        "device control 0x80002000 on \"test device\": device disconnected: STATUS_DEVICE_NOT_CONNECTED (0xC000009D)"
    );
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn pending_until_the_driver_completes() {
    let (port, driver, device) = setup();
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut call = device.call(WAIT, &());
    assert!(poll(&mut call, &waker).is_pending());
    assert!(driver.complete_one(7));
    assert!(poll(&mut call, &waker).is_pending(), "completing only queues the packet");
    assert_eq!(port.poll(Some(Duration::ZERO)), 1);
    assert_eq!(count.0.load(SeqCst), 1);
    let Poll::Ready(reply) = poll(&mut call, &waker) else { panic!("not ready") };
    assert_eq!(*reply.unwrap(), 7);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn pending_and_completed_before_the_submission_returns() {
    let (port, _, device) = setup();
    let call = device.call(PEND_AND_COMPLETE, &());
    drain(&port);
    assert_eq!(*call.wait().unwrap(), 5);
}

#[test]
fn a_pending_call_may_end_in_a_warning_or_a_failure() {
    let (port, driver, device) = setup();
    let warned = device.call(WAIT, &());
    let (mut pended, ()) = driver.waiting.pop().unwrap();
    pended.write(&9_u32.to_ne_bytes());
    pended.complete(Status::BUFFER_OVERFLOW);
    let failed = device.call(WAIT, &());
    driver.waiting.pop().unwrap().0.complete(Status::IO_TIMEOUT);
    drain(&port);
    let reply = warned.wait().unwrap();
    assert!(reply.more_data());
    assert_eq!(reply.into_inner(), 9);
    assert_eq!(failed.wait().unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    let (port, driver, device) = setup();
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let mut call = device.call(WAIT, &());
    assert!(poll(&mut call, &Waker::from(first.clone())).is_pending());
    assert!(poll(&mut call, &Waker::from(second.clone())).is_pending());
    driver.complete_one(1);
    drain(&port);
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
}

#[test]
fn dropping_a_pending_call_frees_it_once() {
    let (port, driver, device) = setup();
    let count = Arc::new(Count::default());
    let mut call = device.call(WAIT, &());
    assert!(poll(&mut call, &Waker::from(count.clone())).is_pending());
    drop(call);
    assert_eq!(driver.cancels.load(SeqCst), 1);
    assert_eq!(port.stats().in_flight, 1, "the slot stays until its packet is handled");
    drain(&port);
    let stats = port.stats();
    assert_eq!((stats.in_flight, stats.strays), (0, 0));
    assert_eq!(count.0.load(SeqCst), 0, "the waker of a dropped call is not woken");
    assert_eq!(Arc::strong_count(&count), 1, "the slot does not keep a waker");
}

#[test]
fn dropping_a_call_that_is_complete_frees_it_once() {
    let (port, driver, device) = setup();
    let call = device.call(WAIT, &());
    driver.complete_one(1);
    drain(&port);
    drop(call);
    assert_eq!(driver.cancels.load(SeqCst), 0, "there is nothing to cancel");
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn dropping_a_call_whose_packet_is_under_way_frees_it_once() {
    let (port, driver, device) = setup();
    let call = device.call(WAIT, &());
    driver.complete_one(1);
    drop(call);
    drain(&port);
    let stats = port.stats();
    assert_eq!((stats.in_flight, stats.strays), (0, 0));
}

#[test]
fn forgetting_a_call_leaks_it_and_nothing_else() {
    let (port, driver, device) = setup();
    std::mem::forget(device.call(WAIT, &()));
    driver.complete_one(1);
    drain(&port);
    assert_eq!(port.stats().in_flight, 1);
    assert_eq!(*device_echo(&device, b"next"), *b"next");
}

fn device_echo(device: &Device, bytes: &[u8]) -> Vec<u8> {
    device.call(ECHO, bytes).wait().unwrap().to_vec()
}

/// The slot is still the call's own while its cancellation is asked for: until that is done, the slot is not used
/// again, whatever happens.
#[test]
fn a_cancel_cannot_hit_the_next_call_in_the_slot() {
    #[derive(Default)]
    struct Busy {
        port: Mutex<Option<Port>>,
        waiting: sim::Queue<()>,
        in_flight_during_cancel: AtomicUsize,
    }
    impl Driver for Busy {
        fn control(&self, request: Request) -> Outcome {
            let (pended, outcome) = request.pend();
            self.waiting.push(pended, ());
            outcome
        }
        fn cancel(&self, _: RequestId) {
            self.waiting.pop().unwrap().0.complete(Status::CANCELLED);
            let port = self.port.lock().unwrap().clone().unwrap();
            drain(&port);
            self.in_flight_during_cancel.store(port.stats().in_flight, SeqCst);
        }
    }
    let port = Port::manual().unwrap();
    let driver = Arc::new(Busy { port: Mutex::new(Some(port.clone())), ..Busy::default() });
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    drop(device.call(WAIT, &()));
    assert_eq!(driver.in_flight_during_cancel.load(SeqCst), 1);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn cancelling_all_ends_each_call_in_its_own_way() {
    let (port, driver, device) = setup();
    let other = Device::simulated_on(&port, driver.clone()).unwrap();
    let calls: Vec<_> = (0..3).map(|_| device.call(WAIT, &())).collect();
    let others = other.call(WAIT, &());
    driver.complete_one(1);
    device.cancel_all();
    drain(&port);
    let ends: Vec<_> = calls.into_iter().map(|c| c.wait().map(|r| *r).map_err(|e| e.kind())).collect();
    assert_eq!(ends, [Ok(1), Err(ErrorKind::Cancelled), Err(ErrorKind::Cancelled)]);
    assert_eq!(driver.waiting.len(), 1, "another handle's call is left alone");
    drop(others);
}

#[test]
fn a_driver_that_completes_twice_is_survived() {
    let (port, driver, device) = setup();
    let call = device.call(WAIT, &());
    let (mut pended, ()) = driver.waiting.pop().unwrap();
    pended.write(&3_u32.to_ne_bytes());
    pended.complete_twice(Status::SUCCESS);
    drain(&port);
    assert_eq!(*call.wait().unwrap(), 3);
    let stats = port.stats();
    assert_eq!((stats.in_flight, stats.strays), (0, 1));
}

#[test]
fn a_second_completion_does_not_complete_the_next_call() {
    let (port, driver, device) = setup();
    drop(device.call(WAIT, &()));
    drain(&port);
    let call = device.call(WAIT, &());
    let (mut pended, ()) = driver.waiting.pop().unwrap();
    pended.write(&1_u32.to_ne_bytes());
    pended.complete_twice(Status::SUCCESS);
    assert_eq!(*block_on(&port, call).unwrap(), 1);
    let mut next = device.call(WAIT, &());
    drain(&port);
    assert!(poll(&mut next, Waker::noop()).is_pending());
    assert_eq!(port.stats().strays, 1);
}

/// Polls the call and the port in turn: one packet at a time where the port allows it.
fn block_on<Out: overlapped::Output>(port: &Port, mut call: Call<Out>) -> Result<overlapped::Reply<Out>, Error> {
    loop {
        if let Poll::Ready(result) = poll(&mut call, Waker::noop()) {
            return result;
        }
        assert!(port.poll(Some(Duration::from_secs(10))) > 0);
    }
}

#[test]
fn a_driver_that_never_completes_stays_visible() {
    let (port, driver, device) = setup();
    let call = device.call(WAIT, &());
    driver.waiting.pop().unwrap().0.never();
    drop(call);
    drop(device);
    drain(&port);
    assert_eq!(port.stats().in_flight, 1);
}

#[test]
fn a_wrong_count_of_bytes_is_clamped() {
    let (_, _, device) = setup();
    for claim in [5, 16, 17, usize::MAX / 2 + 7, usize::MAX] {
        let reply = device.call(LIE, &(claim as u64)).wait().unwrap();
        assert_eq!(reply.len(), claim.min(16), "{claim}");
        assert_eq!(reply.information(), claim);
        assert!(reply.starts_with(DATA) && reply[4..].iter().all(|b| *b == 0), "only what was written shows");
    }
}

#[test]
fn a_closed_device_leaves_no_buffers() {
    let (port, _, device) = setup();
    let other = Device::simulated_on(&port, support::Device::new()).unwrap();
    for device in [&device, &other] {
        device.call(ECHO.with_capacity(4096), &[1; 4096]).wait().unwrap();
    }
    device.call(ECHO.with_capacity(4096), &[1; 4096]).wait().unwrap();
    assert_eq!(port.stats().idle_bytes, 8192, "one buffer, used by one call after the other");
    drop(other);
    assert_eq!(port.stats().idle_bytes, 8192);
    drop(device);
    assert_eq!(port.stats().idle_bytes, 0);
}

#[test]
fn a_driver_that_completes_with_pending_fails_the_call() {
    let at_once = Device::simulated(sim::from_fn(|request| request.complete(Status::PENDING))).unwrap();
    let error = at_once.call(WAIT, &()).wait().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Status(Status::DRIVER_INTERNAL_ERROR)));

    let (port, driver, device) = setup();
    let call = device.call(WAIT, &());
    driver.waiting.pop().unwrap().0.complete(Status::PENDING);
    let error = port.block_on(call).unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Status(Status::DRIVER_INTERNAL_ERROR)));
    assert_eq!((port.stats().in_flight, port.stats().strays), (0, 0));
}

#[test]
fn a_short_record_is_an_error_that_keeps_its_bytes() {
    let (port, _, device) = setup();
    // SAFETY: the simulated driver writes 4 bytes, through its bounded request.
    let eight: Ioctl<u32, u64> = unsafe { Ioctl::new(ANSWER.code()) };
    let error = device.call(eight, &0).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
    assert_eq!(error.bytes(), DATA);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn a_ragged_tail_is_an_error_that_keeps_its_bytes() {
    let (port, _, device) = setup();
    // SAFETY: as above.
    let triples: Ioctl<u32, [[u8; 3]]> = unsafe { Ioctl::slice(ANSWER.code(), 5) };
    let error = device.call(triples, &0).wait().unwrap_err();
    assert_eq!((error.kind(), error.bytes()), (ErrorKind::Truncated, DATA));
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn inputs_and_outputs_of_every_shape() {
    let (port, driver, device) = setup();
    for len in [0, 1, 15, 16, 17, 63, 64, 65, 79, 80, 81, 4095, 4096] {
        let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
        assert_eq!(device_echo(&device, &bytes), bytes);
        // SAFETY: the driver echoes what fits.
        let small: Ioctl<[u8], [u8]> = unsafe { Ioctl::slice(ECHO.code(), 8) };
        assert_eq!(*device.call(small, &bytes[..]).wait().unwrap(), bytes[..len.min(8)]);
    }
    let nothing = device.call(WAIT_NOTHING, &());
    driver.complete_one(1);
    drain(&port);
    nothing.wait().unwrap();
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn replies_stay_as_they_are_while_they_are_held() {
    let (port, _, device) = setup();
    let held: Vec<_> = (0..50_u8).map(|i| device.call(ECHO, &[i; 40][..]).wait().unwrap()).collect();
    for (i, reply) in held.iter().enumerate() {
        assert!(reply.iter().all(|b| *b == i as u8) && reply.len() == 40);
    }
    assert_eq!(port.stats().in_flight, 50);
    drop(held);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_buffer_of_five_gibibytes_is_refused() {
    let (port, _, device) = setup();
    let error = device.call(ECHO.with_capacity(5 << 30), b"").wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("must fit in 32 bits"), "{error}");
    assert_eq!(device.call(ECHO.with_capacity(usize::MAX), b"").wait().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn an_unknown_code_is_unsupported() {
    let (_, _, device) = setup();
    // SAFETY: the driver writes nothing.
    let unknown: Ioctl<(), ()> = unsafe { Ioctl::new(code(0xfff)) };
    assert_eq!(device.call(unknown, &()).wait().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_driver_that_panics_or_drops_a_request_fails_the_call() {
    let (port, _, device) = setup();
    let dropped = device.call(FORGET, &());
    let error = block_on(&port, dropped).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Status(Status::DRIVER_INTERNAL_ERROR)));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let call = device.call(PANIC, &());
    std::panic::set_hook(hook);
    assert!(block_on(&port, call).is_err());
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn a_driver_may_refuse_to_open() {
    struct Locked;
    impl Driver for Locked {
        fn open(&self, _: sim::FileId) -> Result<(), Status> {
            Err(Status::SHARING_VIOLATION)
        }
        fn control(&self, request: Request) -> Outcome {
            request.complete(Status::SUCCESS)
        }
    }
    let error = Device::simulated(Locked).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.device(), Some("simulated device"));
}

/// Some drivers complete the requests they hold only when the last handle closes. A dropped call must not keep it open.
#[test]
fn a_driver_without_cancel_routines_still_lets_its_device_close() {
    let (port, driver, device) = setup();
    let clone = device.clone();
    let waiting = device.call(HOLD, &());
    drop(device.call(HOLD, &()));
    drop(device);
    drop(clone);
    assert_eq!(driver.cleanups.load(SeqCst), 0, "a call that is waited for keeps the handle");
    drop(waiting);
    assert_eq!(driver.cleanups.load(SeqCst), 1);
    drain(&port);
    assert_eq!(port.stats().in_flight, 0);
}

/// A waker that runs its action on the dispatcher.
struct Action<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send + 'static> Wake for Action<F> {
    fn wake(self: Arc<Self>) {
        let action = self.0.lock().unwrap().take();
        if let Some(action) = action {
            action();
        }
    }
}

fn on_the_dispatcher(action: impl FnOnce() + Send + 'static) {
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    let mut call = device.call(WAIT, &());
    let done = Arc::new(AtomicUsize::new(0));
    let action = {
        let done = done.clone();
        move || {
            action();
            done.store(1, SeqCst);
        }
    };
    assert!(poll(&mut call, &Waker::from(Arc::new(Action(Mutex::new(Some(action)))))).is_pending());
    driver.complete_one(0);
    until("the dispatcher has run the action", || done.load(SeqCst) == 1);
}

#[test]
fn waiting_on_the_dispatcher_is_an_error_and_not_a_hang() {
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    let result = Arc::new(Mutex::new(None));
    on_the_dispatcher({
        let result = result.clone();
        move || *result.lock().unwrap() = Some(device.call(WAIT, &()).wait())
    });
    let result = result.lock().unwrap().take().unwrap();
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Deadlock);
    assert!(driver.waiting.is_empty(), "the call was cancelled");
}

#[test]
fn a_callback_of_a_call_that_ended_at_once_runs_on_the_dispatcher() {
    let device = Device::simulated(sim::from_fn(|request| request.complete(Status::SUCCESS))).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    device.call(WAIT, &()).then(move |_| tell.send(overlapped::Port::is_dispatching()).unwrap());
    assert_eq!(told.recv(), Ok(true), "the callback ran on another thread");
}

#[test]
fn a_handle_is_never_closed_on_the_dispatcher() {
    struct Slow(Mutex<Vec<std::thread::ThreadId>>);
    impl Driver for Slow {
        fn control(&self, request: Request) -> Outcome {
            request.complete(Status::SUCCESS)
        }
        fn cleanup(&self, _: sim::FileId) {
            self.0.lock().unwrap().push(std::thread::current().id());
        }
    }
    let driver = Arc::new(Slow(Mutex::default()));
    let device = Device::simulated(driver.clone()).unwrap();
    let dispatcher = Arc::new(Mutex::new(None));
    on_the_dispatcher({
        let dispatcher = dispatcher.clone();
        move || {
            *dispatcher.lock().unwrap() = Some(std::thread::current().id());
            drop(device);
        }
    });
    until("the device is closed", || !driver.0.lock().unwrap().is_empty());
    assert_ne!(driver.0.lock().unwrap()[0], dispatcher.lock().unwrap().unwrap());
}

#[test]
fn a_waker_that_panics_does_not_stop_the_dispatcher() {
    let port = Port::global().unwrap();
    let before = port.stats().panics;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    let mut call = device.call(WAIT, &());
    let bomb = Action(Mutex::new(Some(|| panic!("the waker panics, as the test wants it to"))));
    assert!(poll(&mut call, &Waker::from(Arc::new(bomb))).is_pending());
    driver.complete_one(1);
    until("the panic is counted", || port.stats().panics > before);
    std::panic::set_hook(hook);
    on_the_dispatcher(|| {});
    assert_eq!(*call.wait().unwrap(), 1, "the result was there before the waker ran");
}

/// A waker that drops the call, and one that submits the next, inside `wake`.
#[test]
fn a_waker_may_drop_the_call_or_submit_another() {
    let (port, driver, device) = setup();
    let slot: Arc<Mutex<Option<Call<u32>>>> = Arc::default();
    let mut call = device.call(WAIT, &());
    let action = {
        let (slot, device) = (slot.clone(), device.clone());
        move || {
            let old = slot.lock().unwrap().replace(device.call(WAIT, &()));
            drop(old);
        }
    };
    assert!(poll(&mut call, &Waker::from(Arc::new(Action(Mutex::new(Some(action)))))).is_pending());
    *slot.lock().unwrap() = Some(call);
    driver.complete_one(1);
    drain(&port);
    assert_eq!((port.stats().in_flight, driver.waiting.len()), (1, 1));
    driver.complete_one(2);
    drain(&port);
    let next = slot.lock().unwrap().take().unwrap();
    assert_eq!(*next.wait().unwrap(), 2);
}

#[test]
fn a_result_is_given_once() {
    let (_, _, device) = setup();
    let mut call = device.call(ANSWER, &0);
    assert!(matches!(poll(&mut call, Waker::noop()), Poll::Ready(Ok(_))));
    let Poll::Ready(Err(error)) = poll(&mut call, Waker::noop()) else { panic!("twice") };
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn completions_come_from_any_thread() {
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    let calls = if cfg!(miri) { 20 } else { 1000 };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..calls {
                    device.call(WAIT, &()).wait().unwrap();
                }
            });
            scope.spawn(|| {
                let mut done = 0;
                while done < calls {
                    if driver.complete_one(done) { done += 1 } else { std::thread::yield_now() }
                }
            });
        }
    });
    assert!(driver.waiting.is_empty());
}

/// Outcomes, completions, cancellations and drops at once, from two callers and two completers.
#[test]
fn nothing_is_lost_when_calls_are_dropped_while_they_complete() {
    let port = Port::manual().unwrap();
    let driver = support::Device::new();
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let rounds = if cfg!(miri) { 15 } else { 2000 };
    let (taken, dropped, running) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(2));
    std::thread::scope(|scope| {
        for caller in 0..2 {
            let (device, taken, dropped, running) = (&device, &taken, &dropped, &running);
            scope.spawn(move || {
                for round in 0..rounds {
                    let mut call = device.call(WAIT, &());
                    if (round + caller) % 3 == 0 {
                        let _ = poll(&mut call, Waker::noop());
                        drop(call);
                        dropped.fetch_add(1, SeqCst);
                    } else {
                        call.wait().unwrap();
                        taken.fetch_add(1, SeqCst);
                    }
                }
                running.fetch_sub(1, SeqCst);
            });
            scope.spawn(|| {
                while running.load(SeqCst) > 0 || port.stats().in_flight > 0 {
                    driver.complete_one(1);
                    port.poll(Some(Duration::ZERO));
                }
            });
        }
    });
    assert_eq!(taken.into_inner() + dropped.into_inner(), 2 * rounds);
    let stats = port.stats();
    assert_eq!((stats.in_flight, stats.strays), (0, 0), "{stats:?}");
}

#[test]
fn a_device_can_be_named_only_where_it_can_be_opened() {
    let error = Device::open("no such\ndevice").unwrap_err();
    assert!(error.to_string().contains("no such\ndevice"), "{error}");
    assert_eq!(error.code().is_some(), cfg!(any(windows, all(target_os = "linux", not(miri)))));
}

/// The compiler checks this, and for every output: a generic function needs no bound but `Output`.
#[test]
fn everything_is_send_and_sync() {
    fn both<T: Send + Sync + 'static>() {}
    fn send<T: Send + 'static>() {}
    fn of_any<In: overlapped::Input + ?Sized + 'static, Out: overlapped::Output + ?Sized>() {
        both::<Call<Out>>();
        both::<Ioctl<In, Out>>();
        both::<overlapped::InvertedCall<Out>>();
        send::<overlapped::InvertedCallBuilder<Out>>();
        both::<overlapped::Reply<Out>>();
    }
    of_any::<(), u32>();
    of_any::<[u8], [u32]>();
    both::<overlapped::Buffer>();
    both::<CtlCode>();
    both::<Device>();
    both::<Error>();
    both::<overlapped::OpenOptions>();
    both::<overlapped::PendingCall>();
    both::<Port>();
    both::<overlapped::RawCall>();
    both::<overlapped::RawReply>();
    both::<overlapped::Status>();
    both::<overlapped::Stopper>();
    both::<overlapped::Subscription>();
    both::<overlapped::Tally>();
    both::<sim::Outcome>();
    both::<sim::Pended>();
    both::<sim::Queue<()>>();
    both::<Request>();
    both::<sim::Script>();
    #[cfg(target_os = "linux")]
    both::<overlapped::linux::Ioctl<u32>>();
    #[cfg(windows)]
    {
        both::<overlapped::Event>();
        both::<overlapped::InterfaceClass>();
        both::<overlapped::InterfaceWatch>();
        both::<overlapped::RemovalNotice>();
        both::<overlapped::UntilRemoval>();
    }
}

mod raw {
    use super::*;
    use overlapped::{Access, Buffer, Method};

    const IN_DIRECT: CtlCode = CtlCode::new(0x8000, 0x900, Method::InDirect, Access::Any);

    /// Adds up the bytes of the "output", as a METHOD_IN_DIRECT driver reads them, and leaves the request pending.
    #[derive(Default)]
    struct Summing(sim::Queue<()>);

    impl Driver for Summing {
        fn control(&self, mut request: Request) -> Outcome {
            let sum: u8 = request.buffers().1.iter().sum();
            request.set_information(sum.into());
            let (pended, outcome) = request.pend();
            self.0.push(pended, ());
            outcome
        }
        fn cancel(&self, request: RequestId) {
            self.0.cancel(request);
        }
    }

    #[test]
    fn buffers_come_back_with_status_and_count() {
        let port = Port::manual().unwrap();
        let driver = Arc::new(Summing::default());
        let device = Device::simulated_on(&port, driver.clone()).unwrap();
        let mut data = Buffer::aligned(512, 4096).unwrap();
        data[..3].copy_from_slice(&[1, 2, 3]);
        let address = data.as_ptr();
        // SAFETY: the simulated driver stays within the buffers.
        let call = unsafe { device.call_raw(IN_DIRECT, Buffer::from(b"command".as_slice()), data) };
        driver.0.pop().unwrap().0.complete(Status::SUCCESS);
        let reply = port.block_on(call).unwrap();
        assert_eq!(reply.status().unwrap(), Status::SUCCESS);
        assert_eq!((reply.information, &*reply.input), (6, b"command".as_slice()));
        assert_eq!(reply.output.as_ptr(), address, "not the same buffer");
        assert_eq!(port.stats().in_flight, 0);
    }

    #[test]
    fn buffers_come_back_from_a_failure_too() {
        let (port, _, device) = setup();
        let input = Buffer::from(Status::ACCESS_DENIED.to_u32().to_ne_bytes().as_slice());
        // SAFETY: as above.
        let reply = unsafe { device.call_raw(ANSWER.code(), input, Buffer::aligned(8, 1).unwrap()) }.wait();
        assert_eq!(reply.status().unwrap_err().kind(), ErrorKind::AccessDenied);
        assert_eq!((reply.input.len(), reply.output.len(), reply.len()), (4, 8, 0));
        assert_eq!(port.stats().in_flight, 0);
    }

    #[test]
    fn buffers_of_a_dropped_call_stay_until_the_driver_is_done() {
        let port = Port::manual().unwrap();
        let driver = Arc::new(Summing::default());
        let device = Device::simulated_on(&port, driver.clone()).unwrap();
        // SAFETY: as above.
        let mut call = unsafe { device.call_raw(IN_DIRECT, Buffer::empty(), Buffer::aligned(64, 64).unwrap()) };
        assert!(poll(&mut call, Waker::noop()).is_pending());
        drop(call);
        assert_eq!(port.stats().in_flight, 1);
        drain(&port);
        assert_eq!(port.stats().in_flight, 0);
        // The slot's next call is not disturbed by them.
        let echo = Device::simulated_on(&port, support::Device::new()).unwrap();
        assert_eq!(device_echo(&echo, b"next"), b"next");
    }

    /// Counts that it was dropped.
    struct Told(Arc<AtomicUsize>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_kept_value_comes_back() {
        let (port, _, device) = setup();
        let input = Buffer::from(Status::SUCCESS.to_u32().to_ne_bytes().as_slice());
        // SAFETY: as above.
        let call = unsafe { device.call_raw_keeping(ANSWER.code(), input, Buffer::aligned(8, 1).unwrap(), "kept") };
        let reply = call.wait();
        assert_eq!((reply.status().unwrap(), reply.kept), (Status::SUCCESS, Some("kept")));
        let gone = Arc::new(AtomicUsize::new(0));
        // SAFETY: as above.
        let call =
            unsafe { device.call_raw_keeping(WAIT.code(), Buffer::empty(), Buffer::empty(), Told(gone.clone())) };
        call.cancel();
        let reply = port.block_on(call).unwrap();
        assert_eq!(reply.status().unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(gone.load(SeqCst), 0);
        drop(reply);
        assert_eq!(gone.load(SeqCst), 1);
    }

    /// To see this test fail, drop the value together with the call.
    #[test]
    fn a_kept_value_lives_until_the_driver_is_done() {
        let (port, driver, device) = setup();
        let gone = Arc::new(AtomicUsize::new(0));
        let kept = Told(gone.clone());
        // SAFETY: as above.
        let call =
            unsafe { device.call_raw_keeping(HOLD.code(), Buffer::empty(), Buffer::aligned(4, 4).unwrap(), kept) };
        drop(call);
        drain(&port);
        assert_eq!((gone.load(SeqCst), port.stats().in_flight), (0, 1), "the driver still has the call");
        driver.held.lock().unwrap().pop().unwrap().complete(Status::SUCCESS);
        drain(&port);
        assert_eq!(port.stats().in_flight, 0);
        until("the value is dropped", || gone.load(SeqCst) == 1);
    }

    #[test]
    fn a_kept_values_destructor_does_not_run_on_the_dispatcher() {
        struct Slow(Arc<AtomicUsize>, std::sync::mpsc::Receiver<()>);
        impl Drop for Slow {
            fn drop(&mut self) {
                assert!(!Port::is_dispatching());
                self.1.recv().unwrap();
                self.0.fetch_add(1, SeqCst);
                panic!("a destructor's panic");
            }
        }
        let (port, driver, device) = setup();
        let gone = Arc::new(AtomicUsize::new(0));
        let (go, wait) = std::sync::mpsc::channel();
        let kept = Slow(gone.clone(), wait);
        // SAFETY: as above.
        drop(unsafe { device.call_raw_keeping(HOLD.code(), Buffer::empty(), Buffer::empty(), kept) });
        driver.held.lock().unwrap().pop().unwrap().complete(Status::SUCCESS);
        drain(&port);
        assert_eq!((port.stats().in_flight, gone.load(SeqCst)), (0, 0), "the dispatcher goes on");
        go.send(()).unwrap();
        until("the destructor has run", || gone.load(SeqCst) == 1);
    }

    #[test]
    fn an_invalid_alignment_is_refused() {
        for align in [0, 3, usize::MAX] {
            assert_eq!(Buffer::aligned(8, align).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert!(Buffer::aligned(usize::MAX, 1).is_err());
        #[cfg(target_pointer_width = "64")]
        assert_eq!(Buffer::aligned(1 << 32, 1).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(Buffer::aligned(0, 4096).unwrap().is_empty());
    }
}

mod reads_and_writes {
    use super::*;
    use overlapped::{Buffer, Operation};

    /// A tape: writes append, reads take from the front. When nothing is left, a read finds the end of the file.
    #[derive(Default)]
    struct Tape(Mutex<Vec<u8>>);

    impl Driver for Tape {
        fn control(&self, request: Request) -> Outcome {
            request.complete(Status::INVALID_DEVICE_REQUEST)
        }
        fn read(&self, mut request: Request) -> Outcome {
            let Operation::Read { offset } = request.operation() else { unreachable!() };
            let tape = self.0.lock().unwrap();
            match tape.get(offset.unwrap_or(0) as usize..).filter(|rest| !rest.is_empty()) {
                Some(rest) => {
                    request.write(rest);
                    request.complete(Status::SUCCESS)
                }
                None => request.complete(Status::END_OF_FILE),
            }
        }
        fn write(&self, mut request: Request) -> Outcome {
            self.0.lock().unwrap().extend_from_slice(request.input());
            let count = request.input().len();
            request.set_information(count);
            request.complete(Status::SUCCESS)
        }
    }

    #[test]
    fn written_bytes_are_read_back_and_the_end_is_no_bytes() {
        let device = Device::simulated(Tape::default()).unwrap();
        assert_eq!(device.write(b"hello ").wait().unwrap().information(), 6);
        device.write_at(6, b"world").wait().unwrap();
        assert_eq!(&*device.read(64).wait().unwrap(), b"hello world");
        assert_eq!(&*device.read_at(6, 3).wait().unwrap(), b"wor");
        assert!(device.read_at(100, 3).wait().unwrap().is_empty());
    }

    #[test]
    fn reads_and_writes_in_the_callers_buffers() {
        let device = Device::simulated(Tape::default()).unwrap();
        let written = device.write_from(Buffer::from(b"hello ".as_slice())).wait();
        assert_eq!((written.status().unwrap(), written.information, written.len()), (Status::SUCCESS, 6, 0));
        assert_eq!(&*written.input, b"hello ");
        assert_eq!(device.write_from_at(6, Buffer::from(b"world".as_slice())).wait().information, 5);
        let buffer = Buffer::aligned(64, 4096).unwrap();
        let address = buffer.as_ptr();
        let read = device.read_into(buffer).wait();
        assert_eq!(&read.output[..read.len()], b"hello world");
        let read = device.read_into_at(6, read.output).wait();
        assert_eq!(&read.output[..read.len()], b"world");
        let end = device.read_into_at(100, read.output).wait();
        assert!(end.status().is_ok() && end.is_empty());
        assert_eq!((end.output.len(), end.output.as_ptr()), (64, address), "not the same buffer each time");
        let beyond = device.read_into_at(u64::MAX, end.output).wait();
        assert_eq!(beyond.status().unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(beyond.output.len(), 64);
    }

    #[test]
    fn standing_reads_end_quietly_at_the_end_of_the_file() {
        let device = Device::simulated(Tape::default()).unwrap();
        assert!(device.standing_reads(4).start().wait_next().is_none());
    }

    #[test]
    fn a_device_without_reads_is_an_error() {
        let (_, _, device) = setup();
        let error = device.read_at(16, 3).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().starts_with("read at 16 on \"test device\": not supported"), "{error}");
        assert_eq!(device.write(b"x").wait().unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
