//! The inverted call on a simulated device.

mod support;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_core::Stream;
use overlapped::sim::{self, Driver, Outcome, Pended, Request, RequestId};
use overlapped::{Device, ErrorKind, InvertedCall, Port, Status};
use support::*;

/// A driver with events: each event completes the oldest pending call, or waits for the next call.
#[derive(Default)]
struct Source {
    state: Mutex<Events>,
    /// How many events came while no call was pending.
    gaps: AtomicUsize,
    deaf_to_cancels: AtomicBool,
}

#[derive(Default)]
struct Events {
    waiting: VecDeque<Pended>,
    queued: VecDeque<u32>,
    gone: bool,
}

impl Source {
    fn event(&self, value: u32) {
        let mut state = self.state.lock().unwrap();
        match state.waiting.pop_front() {
            Some(mut pended) => {
                pended.write(&value.to_ne_bytes());
                pended.complete(Status::SUCCESS);
            }
            None => {
                self.gaps.fetch_add(1, SeqCst);
                state.queued.push_back(value);
            }
        }
    }

    fn unplug(&self) {
        let mut state = self.state.lock().unwrap();
        state.gone = true;
        for pended in state.waiting.drain(..) {
            pended.complete(Status::DEVICE_NOT_CONNECTED);
        }
    }

    fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting.len()
    }
}

impl Driver for Source {
    fn control(&self, mut request: Request) -> Outcome {
        let mut state = self.state.lock().unwrap();
        if let Some(value) = state.queued.pop_front() {
            request.write(&value.to_ne_bytes());
            return request.complete(Status::SUCCESS);
        }
        if state.gone {
            return request.complete(Status::DEVICE_NOT_CONNECTED);
        }
        let (pended, outcome) = request.pend();
        state.waiting.push_back(pended);
        outcome
    }

    fn cancel(&self, request: RequestId) {
        if self.deaf_to_cancels.load(SeqCst) {
            return;
        }
        let mut state = self.state.lock().unwrap();
        if let Some(at) = state.waiting.iter().position(|p| p.id() == request) {
            state.waiting.remove(at).unwrap().complete(Status::CANCELLED);
        }
    }

    fn cleanup(&self, file: sim::FileId) {
        let mut state = self.state.lock().unwrap();
        let (mine, others) = state.waiting.drain(..).partition(|p| p.file() == file);
        state.waiting = others;
        drop::<VecDeque<_>>(mine);
    }
}

fn setup() -> (Port, Arc<Source>, Device) {
    let port = Port::manual().unwrap();
    let source = Arc::new(Source::default());
    let device = Device::simulated_on(&port, source.clone()).unwrap();
    (port, source, device)
}

fn poll_next(stream: &mut InvertedCall<u32>, waker: &Waker) -> Poll<Option<Result<u32, ErrorKind>>> {
    Pin::new(stream)
        .poll_next(&mut Context::from_waker(waker))
        .map(|item| item.map(|result| result.map(|reply| *reply).map_err(|error| error.kind())))
}

/// The results that are ready now. Polls again when the stream yields.
fn ready(stream: &mut InvertedCall<u32>) -> Vec<Result<u32, ErrorKind>> {
    let mut items = Vec::new();
    let mut pending = 0;
    while pending < 2 {
        match poll_next(stream, Waker::noop()) {
            Poll::Ready(Some(item)) => {
                items.push(item);
                pending = 0;
            }
            Poll::Ready(None) => break,
            Poll::Pending => pending += 1,
        }
    }
    items
}

#[test]
fn two_calls_are_pending_from_the_start() {
    let (_port, source, device) = setup();
    let _stream = device.inverted(WAIT, &()).start();
    assert_eq!(source.waiting(), 2);
    let _other = device.inverted(WAIT, &()).pending(5).start();
    assert_eq!(source.waiting(), 7);
}

/// A consumer that counts the pending calls at the moment when it is woken.
struct Witness {
    source: Arc<Source>,
    seen: Mutex<Vec<usize>>,
}

impl Wake for Witness {
    fn wake(self: Arc<Self>) {
        let waiting = self.source.waiting();
        self.seen.lock().unwrap().push(waiting);
    }
}

#[test]
fn the_next_call_is_submitted_before_the_consumer_is_woken() {
    let (port, source, device) = setup();
    let mut stream = device.inverted(WAIT, &()).start();
    let witness = Arc::new(Witness { source: source.clone(), seen: Mutex::default() });
    for event in 0..10 {
        assert!(poll_next(&mut stream, &Waker::from(witness.clone())).is_pending());
        source.event(event);
        drain(&port);
        assert_eq!(ready(&mut stream), [Ok(event)]);
    }
    assert_eq!(*witness.seen.lock().unwrap(), [2; 10]);
    assert_eq!(source.gaps.load(SeqCst), 0);
}

#[test]
fn there_is_no_gap_while_the_window_has_room() {
    let (port, source, device) = setup();
    let mut stream = device.inverted(WAIT, &()).pending(2).window(64).start();
    for event in 0..64 {
        source.event(event);
        port.poll(Some(Duration::ZERO));
    }
    assert_eq!(source.gaps.load(SeqCst), 0);
    assert_eq!(ready(&mut stream), (0..64).map(Ok).collect::<Vec<_>>());
}

#[test]
fn a_full_window_stops_the_re_arming_and_taking_resumes_it() {
    let (port, source, device) = setup();
    let mut stream = device.inverted(WAIT, &()).pending(2).window(3).start();
    for event in 0..20 {
        source.event(event);
        drain(&port);
    }
    // Three fill the window; the two that were pending by then are completed too.
    assert_eq!(source.waiting(), 0);
    assert_eq!(port.stats().in_flight, 4, "expected the window and one call that was pending when it filled");
    assert_eq!(source.gaps.load(SeqCst), 16);
    let mut seen = Vec::new();
    while seen.len() < 20 {
        seen.extend(ready(&mut stream));
        drain(&port);
    }
    assert_eq!(seen, (0..20).map(Ok).collect::<Vec<_>>(), "some are lost or out of order");
    assert_eq!(source.waiting(), 2);
}

#[test]
fn results_come_in_the_order_of_submission() {
    let (port, source, device) = setup();
    let mut stream = device.inverted(WAIT, &()).pending(4).start();
    let mut pended: Vec<_> = source.state.lock().unwrap().waiting.drain(..).collect();
    for (value, at) in [(3, 3), (1, 1), (2, 1)] {
        let mut request = pended.remove(at);
        request.write(&u32::to_ne_bytes(value));
        request.complete(Status::SUCCESS);
        drain(&port);
        assert_eq!(ready(&mut stream), [], "the first call is not complete");
    }
    let mut first = pended.remove(0);
    first.write(&0_u32.to_ne_bytes());
    first.complete(Status::SUCCESS);
    drain(&port);
    assert_eq!(ready(&mut stream), [Ok(0), Ok(1), Ok(2), Ok(3)]);
}

#[test]
fn a_stream_delivers_all_results_and_then_the_reason_of_its_end() {
    let (port, source, device) = setup();
    let mut stream = device.inverted(WAIT, &()).pending(3).start();
    source.event(1);
    source.event(2);
    source.unplug();
    drain(&port);
    assert_eq!(ready(&mut stream), [Ok(1), Ok(2), Err(ErrorKind::Disconnected)]);
    assert_eq!(poll_next(&mut stream, Waker::noop()), Poll::Ready(None));
    assert_eq!(poll_next(&mut stream, Waker::noop()), Poll::Ready(None));
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn one_failure_cancels_the_others_and_loses_none_of_their_results() {
    let (port, source, device) = setup();
    let mut stream = device.inverted(WAIT, &()).pending(3).start();
    let (mut first, second) = {
        let mut state = source.state.lock().unwrap();
        (state.waiting.pop_front().unwrap(), state.waiting.pop_front().unwrap())
    };
    second.complete(Status::IO_DEVICE_ERROR);
    drain(&port);
    assert_eq!(source.waiting(), 0, "the third call is cancelled");
    assert_eq!(ready(&mut stream), [], "the first call may still bring a result");
    first.write(&9_u32.to_ne_bytes());
    first.complete(Status::SUCCESS);
    drain(&port);
    assert_eq!(ready(&mut stream), [Ok(9), Err(ErrorKind::Other)]);
}

#[test]
fn a_driver_that_refuses_at_once_ends_the_stream_at_once() {
    let (port, source, device) = setup();
    source.unplug();
    let mut stream = device.inverted(WAIT, &()).start();
    assert_eq!(ready(&mut stream), [Err(ErrorKind::Disconnected)]);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn an_output_of_five_gibibytes_ends_the_stream() {
    let (_, _, device) = setup();
    let mut stream = device.inverted(ECHO.with_capacity(5 << 30), b"".as_slice()).start();
    assert_eq!(stream.wait_next().unwrap().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(stream.wait_next().is_none());
}

#[test]
fn stopping_delivers_earlier_results_and_then_the_reason() {
    let (port, source, device) = setup();
    let mut stream = device.inverted(WAIT, &()).start();
    source.event(1);
    stream.stopper().stop();
    drain(&port);
    assert_eq!(ready(&mut stream), [Ok(1), Err(ErrorKind::Cancelled)]);
    assert_eq!(source.waiting(), 0);
}

#[test]
fn stopping_from_another_thread_wakes_the_one_that_waits() {
    let source = Arc::new(Source::default());
    let device = Device::simulated(source.clone()).unwrap();
    let mut stream = device.inverted(WAIT, &()).start();
    let stopper = stream.stopper();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        stopper.stop();
    });
    assert_eq!(stream.wait_next().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(stream.wait_next().is_none());
    thread.join().unwrap();
}

#[test]
fn waiting_with_a_limit_ends_nothing() {
    let source = Arc::new(Source::default());
    let device = Device::simulated(source.clone()).unwrap();
    let mut stream = device.inverted(WAIT, &()).start();
    let error = stream.wait_next_timeout(Duration::from_millis(5)).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    source.event(4);
    assert_eq!(*stream.wait_next_timeout(Duration::MAX).unwrap().unwrap(), 4);
}

#[test]
fn dropping_a_stream_cancels_its_calls_and_counts_its_untaken_results() {
    let (port, source, device) = setup();
    let mut stream = device.inverted(WAIT, &()).pending(2).window(8).start();
    for event in 0..3 {
        source.event(event);
        drain(&port);
    }
    assert!(matches!(poll_next(&mut stream, Waker::noop()), Poll::Ready(Some(Ok(0)))));
    // One call is complete, and its packet has not been handled yet.
    source.event(3);
    let tally = stream.tally();
    drop(stream);
    drain(&port);
    assert_eq!(tally.calls_in_flight(), 0);
    assert_eq!((tally.delivered_calls(), tally.discarded_calls(), tally.discarded_bytes()), (1, 3, 12));
    assert_eq!((source.waiting(), port.stats().in_flight), (0, 0));
}

#[test]
fn dropping_a_stream_closes_the_handle_though_the_driver_holds_its_calls() {
    let (port, source, device) = setup();
    source.deaf_to_cancels.store(true, SeqCst);
    let stream = device.inverted(WAIT, &()).start();
    drop(device);
    assert_eq!(source.waiting(), 2);
    drop(stream);
    assert_eq!(source.waiting(), 0, "completed in the driver's cleanup");
    drain(&port);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn dropping_next_loses_nothing() {
    let (port, source, device) = setup();
    let mut stream = device.inverted(WAIT, &()).start();
    for event in 0..5 {
        {
            let mut next = pin!(stream.next());
            assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            source.event(event);
            drain(&port);
        }
        assert_eq!(ready(&mut stream), [Ok(event)]);
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_stream_that_is_always_ready_yields() {
    let (_port, source, device) = setup();
    for event in 0..200 {
        source.event(event);
    }
    let mut stream = device.inverted(WAIT, &()).pending(1).window(1).start();
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let ready = (0..200).take_while(|_| poll_next(&mut stream, &waker).is_ready()).count();
    assert_eq!(ready, 32);
    assert_eq!(count.0.load(SeqCst), 1, "it asked to be polled again");
    assert_eq!(poll_next(&mut stream, &waker), Poll::Ready(Some(Ok(32))));
}

#[test]
fn calls_that_complete_at_once_fill_no_more_than_the_window() {
    let (port, source, device) = setup();
    for event in 0..100 {
        source.event(event);
    }
    let mut stream = device.inverted(WAIT, &()).pending(2).window(4).start();
    drain(&port);
    assert_eq!(port.stats().in_flight, 4);
    assert_eq!(ready(&mut stream).len(), 100);
}

#[test]
fn a_ragged_result_does_not_end_the_stream() {
    let port = Port::manual().unwrap();
    let driver = support::Device::new();
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let mut stream = device.inverted(WAIT, &()).start();
    let (mut short, ()) = driver.waiting.pop().unwrap();
    short.write(b"abc");
    short.complete(Status::SUCCESS);
    driver.complete_one(8);
    drain(&port);
    assert_eq!(ready(&mut stream), [Err(ErrorKind::Truncated), Ok(8)]);
}

/// A driver that answers each request with this status and these bytes.
fn always(port: &Port, status: Status, bytes: &'static [u8]) -> Device {
    let answer = move |mut request: Request| {
        request.write(bytes);
        request.complete(status)
    };
    Device::simulated_on(port, sim::from_fn(answer)).unwrap()
}

/// At most a hundred errors of the stream, and whether it ended within them.
fn hundred(port: &Port, mut stream: InvertedCall<u32>) -> (Vec<ErrorKind>, bool) {
    let mut items = Vec::new();
    while items.len() < 100 {
        match port.block_on(stream.next()).unwrap() {
            Some(item) => items.push(item.unwrap_err().kind()),
            None => return (items, true),
        }
    }
    (items, false)
}

#[test]
fn a_warning_that_is_not_more_data_ends_the_stream() {
    let port = Port::manual().unwrap();
    let device = always(&port, Status::NO_MORE_ENTRIES, b"data");
    assert_eq!(hundred(&port, device.inverted(WAIT, &()).start()), (vec![ErrorKind::Other], true));
}

#[test]
fn a_stream_goes_on_after_errors_that_its_owner_accepts() {
    let port = Port::manual().unwrap();
    let driver = support::Device::new();
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let go_on = |error: &overlapped::Error| error.kind() == ErrorKind::Other;
    let mut stream = device.inverted(WAIT, &()).go_on_after(go_on).start();
    let fail = |status| driver.waiting.pop().unwrap().0.complete(status);
    fail(Status::IO_DEVICE_ERROR);
    driver.complete_one(8);
    drain(&port);
    assert_eq!(ready(&mut stream), [Err(ErrorKind::Other), Ok(8)]);
    fail(Status::DEVICE_NOT_CONNECTED);
    drain(&port);
    assert_eq!(ready(&mut stream), [Err(ErrorKind::Disconnected)]);
    assert!(driver.waiting.is_empty(), "the stream has ended");
}

#[test]
fn sixty_four_failures_in_a_row_end_the_stream() {
    let port = Port::manual().unwrap();
    let device = always(&port, Status::IO_DEVICE_ERROR, &[]);
    let stream = device.inverted(WAIT, &()).go_on_after(|_| true).start();
    assert_eq!(hundred(&port, stream), (vec![ErrorKind::Other; 64], true));
}

#[test]
fn sixty_four_short_records_in_a_row_end_the_stream() {
    let port = Port::manual().unwrap();
    let device = always(&port, Status::SUCCESS, b"abc");
    assert_eq!(hundred(&port, device.inverted(WAIT, &()).start()), (vec![ErrorKind::Truncated; 64], true));
}

#[test]
fn failures_that_are_not_in_a_row_do_not_end_the_stream() {
    let port = Port::manual().unwrap();
    let driver = support::Device::new();
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let mut stream = device.inverted(WAIT, &()).pending(1).go_on_after(|_| true).start();
    for n in 0..200 {
        if n % 50 == 0 {
            driver.complete_one(n);
        } else {
            driver.waiting.pop().unwrap().0.complete(Status::IO_DEVICE_ERROR);
        }
        drain(&port);
        assert_eq!(ready(&mut stream), [if n % 50 == 0 { Ok(n) } else { Err(ErrorKind::Other) }]);
    }
}

#[test]
fn a_cancellation_that_was_not_asked_for_is_aborted() {
    let port = Port::manual().unwrap();
    let driver = support::Device::new();
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let abort = || driver.waiting.pop().unwrap().0.complete(Status::CANCELLED);
    let mut stream = device.inverted(WAIT, &()).pending(1).start();
    abort();
    drain(&port);
    assert_eq!(ready(&mut stream), [Err(ErrorKind::Aborted)]);
    let call = device.call(WAIT, &());
    abort();
    assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::Aborted);
    // A cancellation that was asked for, in each way.
    let mut stream = device.inverted(WAIT, &()).pending(1).start();
    stream.stopper().stop();
    drain(&port);
    assert_eq!(ready(&mut stream), [Err(ErrorKind::Cancelled)]);
    let call = device.call(WAIT, &());
    call.cancel();
    assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    let call = device.call(WAIT, &());
    device.cancel_all();
    assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::Cancelled);
}

/// Two threads make events, a third takes them, and the dispatcher runs in between. Each event comes once, in order.
#[test]
fn every_event_once_and_in_order() {
    let events = if cfg!(miri) { 60 } else { 20_000 };
    for (pending, window) in [(1, 1), (2, 32), (7, 3)] {
        let source = Arc::new(Source::default());
        let device = Device::simulated(source.clone()).unwrap();
        let mut stream = device.inverted(WAIT, &()).pending(pending).window(window).start();
        let thread = std::thread::spawn({
            let source = source.clone();
            move || (0..events).for_each(|event| source.event(event))
        });
        for event in 0..events {
            assert_eq!(*stream.wait_next().unwrap().unwrap(), event);
        }
        thread.join().unwrap();
        let tally = stream.tally();
        drop(stream);
        until("the calls are over", || tally.calls_in_flight() == 0);
        assert_eq!((tally.delivered_calls(), tally.discarded_calls()), (events.into(), 0));
    }
}

/// Streams that are dropped amid many events. Each event that was driven is delivered, discarded, or still with the
/// driver.
#[test]
fn nothing_is_unaccounted_for_when_it_is_dropped_in_mid_flood() {
    let rounds = if cfg!(miri) { 4 } else { 200 };
    for round in 0..rounds {
        let source = Arc::new(Source::default());
        let device = Device::simulated(source.clone()).unwrap();
        let mut stream = device.inverted(WAIT, &()).pending(3).window(4).start();
        let tally = stream.tally();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (source, stop) = (source.clone(), stop.clone());
            move || {
                let mut driven = 0;
                while !stop.load(SeqCst) && driven < 5000 {
                    source.event(driven);
                    driven += 1;
                }
                driven
            }
        });
        for _ in 0..round % 7 {
            stream.wait_next().unwrap().unwrap();
        }
        drop(stream);
        stop.store(true, SeqCst);
        let driven = thread.join().unwrap();
        until("the calls are over", || tally.calls_in_flight() == 0);
        let queued = source.state.lock().unwrap().queued.len() as u64;
        assert_eq!(tally.delivered_calls() + tally.discarded_calls() + queued, u64::from(driven));
        assert_eq!(tally.discarded_bytes(), 4 * tally.discarded_calls());
    }
}

#[test]
fn in_completion_order_one_call_does_not_hold_back_others() {
    let (port, source, device) = setup();
    let mut stream = device.inverted(WAIT, &()).pending(3).window(4).completion_order().start();
    // The driver completes the youngest call first, again and again. The oldest stays pending.
    let complete_youngest = |value: u32| {
        let mut request = source.state.lock().unwrap().waiting.pop_back().unwrap();
        request.write(&value.to_ne_bytes());
        request.complete(Status::SUCCESS);
        drain(&port);
    };
    for value in 0..if cfg!(miri) { 30 } else { 1000 } {
        complete_youngest(value);
        assert_eq!(ready(&mut stream), [Ok(value)]);
        assert_eq!(source.waiting(), 3);
    }
    for value in 0..4 {
        complete_youngest(value);
    }
    assert_eq!(source.waiting(), 2, "the window is full");
    source.unplug();
    drain(&port);
    assert_eq!(ready(&mut stream), [Ok(0), Ok(1), Ok(2), Ok(3), Err(ErrorKind::Disconnected)]);
    drop(stream);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn each_input_is_made_from_the_last_result() {
    /// Answers with the number after its input. Every second request stays pending.
    #[derive(Default)]
    struct Counter(sim::Queue<u32>);
    impl Driver for Counter {
        fn control(&self, mut request: Request) -> Outcome {
            let next = u32::from_ne_bytes(request.input().try_into().unwrap()) + 1;
            if next.is_multiple_of(2) {
                request.write(&next.to_ne_bytes());
                return request.complete(Status::SUCCESS);
            }
            let (pended, outcome) = request.pend();
            self.0.push(pended, next);
            outcome
        }
        fn cancel(&self, request: RequestId) {
            self.0.cancel(request);
        }
    }
    // SAFETY: the simulated driver reads and writes one `u32`.
    const AFTER: overlapped::Ioctl<u32, u32> = unsafe { overlapped::Ioctl::new(code(0x801)) };
    let port = Port::manual().unwrap();
    let driver = Arc::new(Counter::default());
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let mut stream = device.inverted(AFTER, &0).pending(5).input_from(|last: &u32| *last).start();
    let mut seen = Vec::new();
    while seen.len() < 20 {
        assert!(driver.0.len() <= 1, "one at a time");
        if let Some((mut pended, next)) = driver.0.pop() {
            pended.write(&next.to_ne_bytes());
            pended.complete(Status::SUCCESS);
        }
        drain(&port);
        seen.extend(ready(&mut stream));
    }
    assert_eq!(seen[..20], (1..=20).map(Ok).collect::<Vec<_>>());
}

#[test]
fn the_next_input_may_be_owned() {
    // SAFETY: the simulated driver reads any bytes and writes one `u32`.
    const COUNT: overlapped::Ioctl<[u8], u32> = unsafe { overlapped::Ioctl::new(code(0x801)) };
    let driver = overlapped::sim::from_fn(|mut request| {
        let len = request.input().len() as u32;
        request.write(&len.to_ne_bytes());
        request.complete(Status::SUCCESS)
    });
    let device = Device::simulated(driver).unwrap();
    let owned = |last: &u32| vec![7; *last as usize + 1];
    let mut stream = device.inverted(COUNT, b"".as_slice()).input_from(owned).window(4).start();
    for len in 0..10 {
        assert_eq!(*stream.wait_next().unwrap().unwrap(), len);
    }
}

#[test]
fn a_callback_gets_every_result_and_the_reason() {
    let (port, source, device) = setup();
    let seen: Arc<Mutex<Vec<_>>> = Arc::default();
    let subscription = device.inverted(WAIT, &()).start().for_each({
        let seen = seen.clone();
        move |result| seen.lock().unwrap().push(result.map(|reply| *reply).map_err(|error| error.kind()))
    });
    assert!(seen.lock().unwrap().is_empty());
    for event in 0..100 {
        source.event(event);
        drain(&port);
    }
    source.unplug();
    drain(&port);
    let expected: Vec<_> = (0..100).map(Ok).chain([Err(ErrorKind::Disconnected)]).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!(port.stats().in_flight, 0);
    drop(subscription);
}

#[test]
fn stopping_a_subscription_waits_for_the_callback_that_runs() {
    let source = Arc::new(Source::default());
    let device = Device::simulated(source.clone()).unwrap();
    let (begun, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let subscription = device.inverted(WAIT, &()).start().for_each({
        let (begun, ended) = (begun.clone(), ended.clone());
        move |_| {
            begun.store(true, SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            ended.store(true, SeqCst);
        }
    });
    source.event(1);
    until("the callback runs", || begun.load(SeqCst));
    subscription.stop();
    assert!(ended.load(SeqCst));
    let calls = source.waiting();
    assert_eq!(calls, 0, "the subscription's calls are cancelled");
}

/// `stop` waits while the dispatcher drops the stream, though there is nothing left for it to take.
#[test]
fn stopping_a_subscription_waits_for_the_stream_that_ends_by_itself() {
    struct Slow(mpsc::Sender<()>, Arc<AtomicBool>);
    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            self.1.store(true, SeqCst);
        }
    }
    let source = Arc::new(Source::default());
    let device = Device::simulated(source.clone()).unwrap();
    let ((tell, dropping), is_dropped) = (mpsc::channel(), Arc::new(AtomicBool::new(false)));
    let slow = Slow(tell, is_dropped.clone());
    let subscription = device.inverted(WAIT, &()).start().for_each(move |_| assert!(!slow.1.load(SeqCst)));
    source.unplug();
    dropping.recv().unwrap();
    subscription.stop();
    assert!(is_dropped.load(SeqCst));
}

#[test]
fn a_subscription_may_be_dropped_in_its_own_callback() {
    let source = Arc::new(Source::default());
    let device = Device::simulated(source.clone()).unwrap();
    let own: Arc<Mutex<Option<overlapped::Subscription>>> = Arc::default();
    let count = Arc::new(AtomicUsize::new(0));
    let subscription = device.inverted(WAIT, &()).start().for_each({
        let (own, count) = (own.clone(), count.clone());
        move |_| {
            count.fetch_add(1, SeqCst);
            let subscription = own.lock().unwrap().take();
            if let Some(subscription) = subscription {
                subscription.stop();
            }
        }
    });
    *own.lock().unwrap() = Some(subscription);
    source.event(1);
    until("it has ended", || count.load(SeqCst) == 1 && source.waiting() == 0);
    source.event(2);
    source.event(3);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(count.load(SeqCst), 1, "no further callback starts");
}

#[test]
fn a_callback_whose_destructor_panics_still_ends() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the destructor panics, as the test wants it to");
        }
    }
    for it_ends_by_itself in [false, true] {
        let (port, source, device) = setup();
        let bomb = Bomb;
        let subscription = device.inverted(WAIT, &()).start().for_each(move |_| {
            let _ = &bomb;
        });
        if it_ends_by_itself {
            source.unplug();
            drain(&port);
            until("the destructor has run", || port.stats().panics == 1);
        }
        // On another thread: if `stop` hangs, only that thread hangs.
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            subscription.stop();
            tell.send(()).unwrap();
        });
        told.recv_timeout(Duration::from_secs(10)).expect("stop() returns");
        assert_eq!((port.stats().panics, source.waiting()), (1, 0));
    }
}

#[test]
fn a_callback_that_panics_still_gets_the_next_result() {
    let (port, source, device) = setup();
    let count = Arc::new(AtomicUsize::new(0));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let _subscription = device.inverted(WAIT, &()).start().for_each({
        let count = count.clone();
        move |_| assert_ne!(count.fetch_add(1, SeqCst), 0, "the callback panics, as the test wants it to")
    });
    source.event(1);
    source.event(2);
    drain(&port);
    std::panic::set_hook(hook);
    assert_eq!((count.load(SeqCst), port.stats().panics), (2, 1));
}

/// Events, callbacks and the drop, all at once. Each event that was driven was called back, discarded, or is still with
/// the driver.
#[test]
fn nothing_is_unaccounted_for_when_a_subscription_is_dropped_in_mid_flood() {
    for _ in 0..if cfg!(miri) { 3 } else { 200 } {
        let source = Arc::new(Source::default());
        let device = Device::simulated(source.clone()).unwrap();
        let stream = device.inverted(WAIT, &()).pending(3).window(4).start();
        let tally = stream.tally();
        let called = Arc::new(AtomicUsize::new(0));
        let subscription = stream.for_each({
            let called = called.clone();
            move |result| {
                result.unwrap();
                called.fetch_add(1, SeqCst);
            }
        });
        let thread = std::thread::spawn({
            let source = source.clone();
            move || (0..500).for_each(|event| source.event(event))
        });
        until("some came", || called.load(SeqCst) > 10);
        drop(subscription);
        thread.join().unwrap();
        until("the callback is gone", || Arc::strong_count(&called) == 1);
        // `strong_count` is a relaxed load. Without this fence, figures from before the end might be seen after it.
        std::sync::atomic::fence(SeqCst);
        until("the calls are over", || tally.calls_in_flight() == 0);
        let queued = source.state.lock().unwrap().queued.len();
        assert_eq!(called.load(SeqCst) as u64, tally.delivered_calls());
        assert_eq!(called.load(SeqCst) + tally.discarded_calls() as usize + queued, 500);
    }
}
