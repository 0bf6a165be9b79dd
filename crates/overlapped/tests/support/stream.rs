//! The tests that every device that is a stream must pass, on each system: pipes and simulated devices.
//!
//! A test file names a type for the two ends, and gets the tests: `conformance!(Pipe);`
#![allow(dead_code, reason = "each test file uses its part")]

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use overlapped::{Call, Device, ErrorKind, InvertedCall, Port};

pub(crate) const SHORT: Duration = Duration::from_millis(10);
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A device that is read, and its other end. Dropping the other end ends the stream.
pub(crate) trait Ends: Send + 'static {
    /// How the stream ends when the other end is closed: with this error, or without one.
    const END: Option<ErrorKind>;
    fn pair(port: &Port) -> (Device, Self);
    fn send(&mut self, bytes: &[u8]);
}

fn manual<E: Ends>() -> (Port, Device, E) {
    let port = Port::manual().unwrap();
    let (device, peer) = E::pair(&port);
    (port, device, peer)
}

fn global<E: Ends>() -> (Device, E) {
    E::pair(&Port::global().unwrap())
}

pub(crate) fn is_pending<T>(call: &mut (impl Future<Output = T> + Unpin)) -> bool {
    pin!(call).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// Polls until no more work comes for a moment: a system may need time to complete what was cancelled.
pub(crate) fn settle(port: &Port) {
    while port.poll(Some(SHORT)) > 0 {}
}

/// The bytes that can be read without waiting, and how the stream ended, if it has.
fn ready(stream: &mut InvertedCall<[u8]>) -> (Vec<u8>, Option<Option<ErrorKind>>) {
    let (mut bytes, mut yields) = (Vec::new(), 0);
    while yields < 2 {
        match pin!(stream.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(more))) => bytes.extend_from_slice(&more),
            Poll::Ready(Some(Err(error))) => return (bytes, Some(Some(error.kind()))),
            Poll::Ready(None) => return (bytes, Some(None)),
            Poll::Pending => yields += 1,
        }
    }
    (bytes, None)
}

/// Sends bytes one at a time. Streams may join and split what was sent.
fn send(peer: &mut impl Ends, bytes: impl IntoIterator<Item = u8>) {
    bytes.into_iter().for_each(|byte| peer.send(&[byte]));
}

/// Makes a test of each function of the suite, for this type.
macro_rules! conformance {
    ($ends:ty: $($name:ident)*) => {
        $(#[test] fn $name() { $crate::stream::$name::<$ends>(); })*
    };
    ($ends:ty) => {
        $crate::stream::conformance! { $ends:
            a_read_is_pending_until_something_is_sent
            a_read_gets_bytes_that_were_sent_before_it
            a_short_read_leaves_the_rest
            reads_are_served_in_the_order_of_submission
            dropping_a_pending_read_frees_it_and_takes_nothing
            cancelling_a_read_is_a_request_and_the_read_reports_the_end
            cancelling_all_ends_each_read_and_the_handle_stays_good
            closing_ends_pending_reads
            a_read_that_takes_too_long_times_out_and_takes_nothing
            a_callback_gets_the_bytes
            a_read_survives_the_thread_that_submitted_it
            the_end_ends_pending_reads_too
            standing_reads_give_everything_in_order
            a_full_window_stops_the_reading_and_loses_nothing
            the_end_comes_after_everything_that_was_sent
            stopping_delivers_earlier_results_and_then_the_reason
            dropping_a_stream_loses_nothing
            the_next_read_gets_the_bytes_of_a_dropped_read
            given_back_bytes_go_to_the_read_that_has_waited_longest
            given_back_bytes_go_to_a_waiting_standing_read
            given_back_bytes_keep_their_order
            given_back_bytes_fill_several_shorter_reads
            given_back_bytes_come_before_a_reads_own
            given_back_bytes_come_before_the_end
            bytes_given_back_to_a_closed_device_are_counted
            reads_that_are_given_up_lose_nothing
            reads_in_flight_are_listed
            reads_race_with_drops_and_none_is_stuck
        }
    };
}
pub(crate) use conformance;

pub(crate) fn a_read_is_pending_until_something_is_sent<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let mut read = device.read(64);
    assert!(is_pending(&mut read));
    assert_eq!(port.poll(Some(SHORT)), 0);
    peer.send(b"hello");
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"hello");
    assert_eq!(port.stats().in_flight, 0);
}

pub(crate) fn a_read_gets_bytes_that_were_sent_before_it<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    peer.send(b"hello");
    assert_eq!(&*port.block_on(device.read(64)).unwrap().unwrap(), b"hello");
    settle(&port);
    assert_eq!(port.stats().in_flight, 0);
}

pub(crate) fn a_short_read_leaves_the_rest<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    peer.send(b"one two");
    assert_eq!(&*port.block_on(device.read(4)).unwrap().unwrap(), b"one ");
    assert_eq!(&*port.block_on(device.read(4)).unwrap().unwrap(), b"two");
}

pub(crate) fn reads_are_served_in_the_order_of_submission<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let reads: Vec<_> = (0..20).map(|_| device.read(1)).collect();
    send(&mut peer, 0..20);
    for (n, read) in (0..).zip(reads) {
        assert_eq!(*port.block_on(read).unwrap().unwrap(), [n]);
    }
}

pub(crate) fn dropping_a_pending_read_frees_it_and_takes_nothing<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let mut read = device.read(64);
    assert!(is_pending(&mut read));
    let kept = device.read(64);
    drop(read);
    settle(&port);
    assert_eq!(port.stats().in_flight, 1);
    peer.send(b"for the next");
    assert_eq!(&*port.block_on(kept).unwrap().unwrap(), b"for the next");
    let stats = port.stats();
    assert_eq!((stats.in_flight, stats.strays), (0, 0));
}

pub(crate) fn cancelling_a_read_is_a_request_and_the_read_reports_the_end<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let read = device.read(64);
    read.cancel();
    read.cancel();
    assert_eq!(port.block_on(read).unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    peer.send(b"done");
    let done = device.read(64);
    done.cancel();
    assert_eq!(&*port.block_on(done).unwrap().unwrap(), b"done");
}

pub(crate) fn cancelling_all_ends_each_read_and_the_handle_stays_good<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let reads: Vec<_> = (0..5).map(|_| device.read(64)).collect();
    device.cancel_all();
    for read in reads {
        assert_eq!(port.block_on(read).unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    }
    let read = device.read(64);
    peer.send(b"still good");
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"still good");
    assert_eq!(port.stats().in_flight, 0);
}

pub(crate) fn closing_ends_pending_reads<E: Ends>() {
    let (port, device, _peer) = manual::<E>();
    let ends: Arc<Mutex<Vec<_>>> = Arc::default();
    for _ in 0..3 {
        let ends = ends.clone();
        device.read(64).then(move |end| ends.lock().unwrap().push(end.is_err()));
    }
    drop(device.read(64));
    drop(device);
    settle(&port);
    assert_eq!(*ends.lock().unwrap(), [true; 3]);
    assert_eq!(port.stats().in_flight, 0);
}

pub(crate) fn a_read_that_takes_too_long_times_out_and_takes_nothing<E: Ends>() {
    let (device, mut peer) = global::<E>();
    let begin = Instant::now();
    assert_eq!(device.read(64).timeout(SHORT).wait().unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(device.read(64).wait_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(begin.elapsed() >= 2 * SHORT);
    peer.send(b"late");
    assert_eq!(&*device.read(64).timeout(LONG).wait().unwrap(), b"late");
}

pub(crate) fn a_callback_gets_the_bytes<E: Ends>() {
    let (device, mut peer) = global::<E>();
    let (tell, told) = mpsc::channel();
    let callback = |tell: &mpsc::Sender<Vec<u8>>| {
        let tell = tell.clone();
        move |result: Result<overlapped::Reply<[u8]>, _>| tell.send(result.unwrap().to_vec()).unwrap()
    };
    device.read(64).then(callback(&tell));
    peer.send(b"pending");
    assert_eq!(told.recv().unwrap(), b"pending");
    peer.send(b"there");
    device.read(64).then(callback(&tell));
    assert_eq!(told.recv().unwrap(), b"there");
}

pub(crate) fn a_read_survives_the_thread_that_submitted_it<E: Ends>() {
    let (device, mut peer) = global::<E>();
    let read = std::thread::scope(|scope| scope.spawn(|| device.read(64)).join().unwrap());
    std::thread::sleep(SHORT);
    peer.send(b"alive");
    assert_eq!(&*read.wait().unwrap(), b"alive");
}

pub(crate) fn the_end_ends_pending_reads_too<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let reads: Vec<_> = (0..3).map(|_| device.read(1)).collect();
    send(&mut peer, [7]);
    drop(peer);
    let mut ends = reads.into_iter().map(|read| port.block_on(read).unwrap().map(|r| r.to_vec()).map_err(|e| e.kind()));
    assert_eq!(ends.next().unwrap(), Ok(vec![7]));
    for end in ends {
        assert_eq!(end, E::END.map_or(Ok(Vec::new()), Err));
    }
    assert_eq!(port.stats().in_flight, 0);
}

pub(crate) fn standing_reads_give_everything_in_order<E: Ends>() {
    let count = if cfg!(miri) { 50 } else { 5000 };
    for (pending, window) in [(1, 1), (2, 32), (7, 3)] {
        let (device, mut peer) = global::<E>();
        let mut stream = device.standing_reads(1).pending(pending).window(window).start();
        let thread = std::thread::spawn(move || send(&mut peer, (0..count).map(|n| n as u8)));
        for n in 0..count {
            assert_eq!(*stream.wait_next().unwrap().unwrap(), [n as u8]);
        }
        thread.join().unwrap();
        assert_eq!(stream.wait_next().map(|end| end.unwrap_err().kind()), E::END);
        assert!(stream.wait_next().is_none());
    }
}

pub(crate) fn a_full_window_stops_the_reading_and_loses_nothing<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let mut stream = device.standing_reads(1).pending(2).window(3).start();
    send(&mut peer, 0..50);
    settle(&port);
    assert!(port.stats().in_flight <= 4, "expected the window and one pending read at most: {:?}", port.stats());
    let mut seen = Vec::new();
    while seen.len() < 50 {
        let (bytes, end) = ready(&mut stream);
        assert_eq!(end, None);
        seen.extend(bytes);
        settle(&port);
    }
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

pub(crate) fn the_end_comes_after_everything_that_was_sent<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let mut stream = device.standing_reads(1).pending(3).window(2).start();
    send(&mut peer, 0..20);
    drop(peer);
    let (mut seen, mut end) = (Vec::new(), None);
    while end.is_none() {
        settle(&port);
        let (bytes, now) = ready(&mut stream);
        seen.extend(bytes);
        end = now;
    }
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    assert_eq!(end, Some(E::END));
    settle(&port);
    assert_eq!(port.stats().in_flight, 0);
}

pub(crate) fn stopping_delivers_earlier_results_and_then_the_reason<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let mut stream = device.standing_reads(1).start();
    send(&mut peer, [1]);
    settle(&port);
    stream.stopper().stop();
    settle(&port);
    assert_eq!(ready(&mut stream), (vec![1], Some(Some(ErrorKind::Cancelled))));
    assert_eq!(port.stats().in_flight, 0);
}

/// Streams are dropped amid many bytes. Each byte is delivered, or read by the next stream, in order.
pub(crate) fn dropping_a_stream_loses_nothing<E: Ends>() {
    for round in 0..if cfg!(miri) { 3 } else { 50 } {
        let (device, mut peer) = global::<E>();
        let count: usize = if cfg!(miri) { 40 } else { 500 };
        let thread = std::thread::spawn(move || send(&mut peer, (0..count).map(|n| n as u8)));
        let mut delivered = Vec::new();
        for _ in 0..3 {
            let mut stream = device.standing_reads(1).pending(3).window(4).start();
            let tally = stream.tally();
            for _ in 0..round % 7 {
                delivered.extend_from_slice(&stream.wait_next().unwrap().unwrap());
            }
            drop(stream);
            crate::support::until("the reads are over", || tally.calls_in_flight() == 0);
            assert_eq!((tally.delivered_calls(), tally.discarded_calls()), (round % 7, 0));
        }
        let mut rest = device.standing_reads(1).start();
        while let Some(Ok(bytes)) = rest.wait_next() {
            delivered.extend_from_slice(&bytes);
        }
        assert_eq!(delivered, (0..count).map(|n| n as u8).collect::<Vec<_>>());
        thread.join().unwrap();
    }
}

/// A read that has ended, but whose owner has not looked.
fn over<E: Ends>(port: &Port, device: &Device, peer: &mut E, bytes: &[u8]) -> Call<[u8]> {
    let read = device.read(bytes.len());
    peer.send(bytes);
    settle(port);
    read
}

pub(crate) fn the_next_read_gets_the_bytes_of_a_dropped_read<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    drop(over(&port, &device, &mut peer, b"hello"));
    assert_eq!(&*port.block_on(device.read(5)).unwrap().unwrap(), b"hello");
    drop(over(&port, &device, &mut peer, b"once"));
    drop(device.read(4)); // this read got the bytes, too
    settle(&port);
    assert_eq!(&*port.block_on(device.read(4)).unwrap().unwrap(), b"once");
    let stats = port.stats();
    assert_eq!((stats.in_flight, stats.lost_results, stats.lost_bytes), (0, 0, 0));
}

pub(crate) fn given_back_bytes_go_to_the_read_that_has_waited_longest<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let (first, second, mut third) = (device.read(1), device.read(1), device.read(1));
    send(&mut peer, [1]);
    settle(&port);
    drop(first);
    assert_eq!(*port.block_on(second).unwrap().unwrap(), [1]);
    assert!(is_pending(&mut third));
    send(&mut peer, [2]);
    assert_eq!(*port.block_on(third).unwrap().unwrap(), [2]);
}

pub(crate) fn given_back_bytes_go_to_a_waiting_standing_read<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let read = device.read(1);
    let mut stream = device.standing_reads(1).pending(2).start();
    send(&mut peer, [1]);
    settle(&port);
    drop(read);
    send(&mut peer, [2]);
    assert_eq!(*port.block_on(stream.next()).unwrap().unwrap().unwrap(), [1]);
    assert_eq!(*port.block_on(stream.next()).unwrap().unwrap().unwrap(), [2]);
}

pub(crate) fn given_back_bytes_keep_their_order<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let reads: Vec<_> = (0..6).map(|_| device.read(1)).collect();
    send(&mut peer, 0..6);
    settle(&port);
    let mut reads: Vec<_> = reads.into_iter().map(Some).collect();
    for dropped in [4, 1, 5, 0, 3, 2] {
        reads[dropped] = None;
    }
    let mut seen = Vec::new();
    while seen.len() < 6 {
        seen.extend_from_slice(&port.block_on(device.read(1)).unwrap().unwrap());
    }
    assert_eq!(seen, (0..6).collect::<Vec<_>>());
}

pub(crate) fn given_back_bytes_fill_several_shorter_reads<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    drop(over(&port, &device, &mut peer, b"hello world"));
    assert_eq!(&*port.block_on(device.read(6)).unwrap().unwrap(), b"hello ");
    // A part of a part comes back, too.
    drop(device.read(2));
    settle(&port);
    let mut rest = Vec::new();
    while rest.len() < 5 {
        rest.extend_from_slice(&port.block_on(device.read(2)).unwrap().unwrap());
    }
    assert_eq!(rest, b"world");
}

pub(crate) fn given_back_bytes_come_before_a_reads_own<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let (first, second) = (device.read(1), device.read(1));
    send(&mut peer, [1, 2]);
    settle(&port);
    drop(first);
    assert_eq!(*port.block_on(second).unwrap().unwrap(), [1]);
    assert_eq!(*port.block_on(device.read(1)).unwrap().unwrap(), [2]);
}

pub(crate) fn given_back_bytes_come_before_the_end<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    let (first, second) = (device.read(1), device.read(1));
    send(&mut peer, [1]);
    drop(peer);
    settle(&port);
    drop(first);
    assert_eq!(*port.block_on(second).unwrap().unwrap(), [1]);
    let end = port.block_on(device.read(1)).unwrap().map(|r| r.to_vec()).map_err(|e| e.kind());
    assert_eq!(end, E::END.map_or(Ok(Vec::new()), Err));
}

pub(crate) fn bytes_given_back_to_a_closed_device_are_counted<E: Ends>() {
    let (port, device, mut peer) = manual::<E>();
    drop(over(&port, &device, &mut peer, b"hello"));
    let call = over(&port, &device, &mut peer, b"you");
    drop(device);
    assert_eq!(port.stats().lost_results, 0, "a call still has the device");
    drop(call);
    settle(&port);
    let stats = port.stats();
    assert_eq!(stats.lost_bytes, 5, "the other bytes are still in the stream");
    assert!(stats.lost_results > 0);
}

/// Reads that are given up at any moment, in each way. Each byte that was sent is read, in order.
pub(crate) fn reads_that_are_given_up_lose_nothing<E: Ends>() {
    let (device, mut peer) = global::<E>();
    let count = crate::support::rounds(if cfg!(miri) { 60 } else { 2000 });
    let thread = std::thread::spawn(move || {
        for n in 0..count {
            peer.send(&[n as u8]);
            (0..n % 64 * 8).for_each(|_| std::hint::spin_loop());
        }
    });
    let (mut seen, mut given_up) = (0_usize, 0_usize);
    let mut take = |bytes: &[u8]| {
        for byte in bytes {
            assert_eq!(*byte, seen as u8, "byte {seen}");
            seen += 1;
        }
        seen
    };
    let mut total = 0;
    while total < count {
        let mut read = device.read(1 + given_up % 3);
        given_up += 1;
        match given_up % 5 {
            0 => drop(read),
            1 => match pin!(&mut read).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(bytes) => total = take(&bytes.unwrap()),
                Poll::Pending => drop(read),
            },
            2 => {
                (0..given_up % 97 * 16).for_each(|_| std::hint::spin_loop());
                drop(read);
            }
            3 => match read.wait_timeout(Duration::from_micros(given_up as u64 % 50)) {
                Ok(bytes) => total = take(&bytes),
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            },
            _ => {
                read.cancel();
                match read.wait() {
                    Ok(bytes) => total = take(&bytes),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled),
                }
            }
        }
        if given_up.is_multiple_of(50) {
            let mut stream = device.standing_reads(1).pending(3).start();
            if let Some(Ok(bytes)) = stream.wait_next_timeout(SHORT) {
                total = take(&bytes);
            }
        }
    }
    thread.join().unwrap();
    let stats = Port::global().unwrap().stats();
    println!("{count} bytes, {given_up} reads given up or done: no byte lost; {stats:?}");
}

pub(crate) fn reads_in_flight_are_listed<E: Ends>() {
    let (port, device, _peer) = manual::<E>();
    let read = device.read(64);
    let pending = port.pending();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].operation, overlapped::Operation::Read { offset: None });
    assert_eq!(pending[0].device.as_deref(), Some(device.name()));
    drop(read);
    settle(&port);
    assert!(port.pending().is_empty());
}

/// Reads that are dropped at any moment, amid other reads that must still be served.
pub(crate) fn reads_race_with_drops_and_none_is_stuck<E: Ends>() {
    let (device, mut peer) = global::<E>();
    let rounds = if cfg!(miri) { 10 } else { 3000 };
    let feeding = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let feeder = std::thread::spawn({
        let feeding = feeding.clone();
        move || {
            while feeding.load(std::sync::atomic::Ordering::SeqCst) {
                peer.send(&[1]);
                std::thread::yield_now();
            }
        }
    });
    std::thread::scope(|scope| {
        for caller in 0..2 {
            let device = &device;
            scope.spawn(move || {
                for round in 0..rounds {
                    let mut read = device.read(1);
                    match (round + caller) % 4 {
                        0 => drop(read),
                        1 => drop((is_pending(&mut read), read)),
                        2 => read.cancel(),
                        _ => assert_eq!(*read.wait().unwrap(), [1]),
                    }
                }
            });
        }
    });
    feeding.store(false, std::sync::atomic::Ordering::SeqCst);
    // The feeder may wait for room in a full stream.
    let mut rest = device.standing_reads(4096).start();
    while let Some(Ok(_)) = rest.wait_next() {}
    feeder.join().unwrap();
}
