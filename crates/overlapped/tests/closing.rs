//! When a handle is closed, which thread closes it, and what the caller is told.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{Access, CtlCode, Device, ErrorKind, Ioctl, Method, Operation, Port, Status};
use support::rounds;

const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
// SAFETY: the simulated driver below writes four bytes.
const WAIT: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };

/// A device that can be open once at a time. Its waits end at once, or stay pending.
#[derive(Default)]
struct Exclusive {
    is_open: AtomicBool,
    refused: AtomicUsize,
    waits: Queue<()>,
    pends: AtomicBool,
}

impl Driver for Exclusive {
    fn open(&self, _: FileId) -> Result<(), Status> {
        if self.is_open.swap(true, SeqCst) {
            self.refused.fetch_add(1, SeqCst);
            return Err(Status::SHARING_VIOLATION);
        }
        Ok(())
    }

    fn control(&self, mut request: Request) -> Outcome {
        if self.pends.load(SeqCst) {
            let (pended, outcome) = request.pend();
            self.waits.push(pended, ());
            return outcome;
        }
        let (mut pended, outcome) = {
            request.write(&[0; 4]);
            request.pend()
        };
        pended.set_written(4);
        pended.complete(Status::SUCCESS);
        outcome
    }

    fn cancel(&self, request: RequestId) {
        self.waits.cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        self.waits.complete_all_of(file, Status::CANCELLED);
        self.is_open.store(false, SeqCst);
    }
}

/// A stream that the dispatcher re-arms all the time, a call, and a subscription: the device can be opened again as
/// soon as the drop, or `stop`, has returned.
#[test]
fn an_exclusive_device_can_be_opened_again_at_once() {
    let driver = Arc::new(Exclusive::default());
    let rounds = rounds(if cfg!(miri) { 20 } else { 3000 });
    for round in 0..rounds {
        let device = Device::simulated(driver.clone()).expect("the last handle is closed");
        match round % 4 {
            0 => {
                let mut stream = device.inverted(WAIT, &()).pending(2).window(4).start();
                drop(device);
                stream.wait_next().unwrap().unwrap();
                drop(stream);
            }
            1 => {
                let call = device.call(WAIT, &()).timeout(Duration::from_millis(1));
                drop(device);
                (0..round % 128).for_each(|_| std::hint::spin_loop());
                drop(call);
            }
            2 => {
                let subscription = device.inverted(WAIT, &()).for_each_counted();
                drop(device);
                subscription.stop();
            }
            _ => {
                driver.pends.store(true, SeqCst);
                let stream = device.inverted(WAIT, &()).start();
                let stopper = stream.stopper();
                let thread = std::thread::spawn(move || stopper.stop());
                drop(device);
                drop(stream);
                thread.join().unwrap();
                driver.pends.store(false, SeqCst);
            }
        }
    }
    let refused = driver.refused.load(SeqCst);
    println!("{rounds} times closed and opened again: {refused} refused");
    assert_eq!(refused, 0);
}

trait Counted {
    fn for_each_counted(self) -> overlapped::Subscription;
}

impl Counted for overlapped::InvertedCallBuilder<u32> {
    fn for_each_counted(self) -> overlapped::Subscription {
        self.pending(2).start().for_each(|result| assert!(result.is_ok()))
    }
}

#[test]
fn close_reports_that_it_is_done_and_a_shared_device_stays_open() {
    let driver = Arc::new(Exclusive::default());
    let device = Device::simulated(driver.clone()).unwrap();
    let clone = device.clone();
    let error = device.close().wait().unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Busy, Operation::Close));
    assert!(driver.is_open.load(SeqCst));
    Port::global().unwrap().block_on(clone.close()).unwrap().unwrap();
    assert!(!driver.is_open.load(SeqCst));
}

#[test]
fn a_call_keeps_a_device_open_and_closing_says_so() {
    let driver = Arc::new(Exclusive::default());
    driver.pends.store(true, SeqCst);
    let device = Device::simulated(driver.clone()).unwrap();
    let call = device.call(WAIT, &());
    assert_eq!(device.close().wait().unwrap_err().kind(), ErrorKind::Busy);
    assert!(driver.is_open.load(SeqCst));
    drop(call);
    assert!(!driver.is_open.load(SeqCst));
}

/// Closing waits for the callback, so a callback that closed the device would wait for itself. Another thread closes
/// it.
#[test]
fn a_device_may_be_dropped_in_its_own_callback() {
    let driver = Arc::new(Exclusive::default());
    let device = Device::simulated(driver.clone()).unwrap();
    let (tell, told) = mpsc::channel();
    let own = Arc::new(Mutex::new(None));
    let last = own.clone();
    device.call(WAIT, &()).then(move |_| {
        while last.lock().unwrap().is_none() {
            std::thread::yield_now();
        }
        drop(last.lock().unwrap().take());
        tell.send(()).unwrap();
    });
    *own.lock().unwrap() = Some(device);
    told.recv().unwrap();
    support::until("the device is closed", || !driver.is_open.load(SeqCst));
}

/// A driver whose cancel routine drops the device's owner: the thread that drops it is inside the driver.
#[test]
fn a_device_may_be_dropped_inside_of_its_driver() {
    struct Dropping {
        own: Mutex<Option<Device>>,
        closed: mpsc::Sender<()>,
        waits: Queue<()>,
    }
    impl Driver for Dropping {
        fn control(&self, request: Request) -> Outcome {
            let (pended, outcome) = request.pend();
            self.waits.push(pended, ());
            outcome
        }
        fn cancel(&self, request: RequestId) {
            drop(self.own.lock().unwrap().take());
            self.waits.cancel(request);
        }
        fn cleanup(&self, _: FileId) {
            self.closed.send(()).unwrap();
        }
    }
    let (closed, told) = mpsc::channel();
    let driver = Arc::new(Dropping { own: Mutex::default(), closed, waits: Queue::default() });
    let device = Device::simulated(driver.clone()).unwrap();
    let stream = device.inverted(WAIT, &()).pending(1).start();
    let (stopper, tally) = (stream.stopper(), stream.tally());
    *driver.own.lock().unwrap() = Some(device);
    let subscription = stream.for_each(drop);
    // Inside `stop` the driver drops one owner. The subscription is the other one.
    stopper.stop();
    support::until("the call is over", || tally.calls_in_flight() == 0);
    subscription.stop();
    assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(()));
}

/// A driver that does not return from a request holds up the owner for at most a second. When it has returned, it is
/// closed.
#[test]
#[cfg(not(miri))]
fn a_driver_that_does_not_return_holds_up_close_for_a_second_at_most() {
    struct Slow {
        go_on: Mutex<mpsc::Receiver<()>>,
        inside: mpsc::Sender<()>,
        calls: AtomicUsize,
        closed: AtomicBool,
    }
    impl Driver for Slow {
        fn control(&self, mut request: Request) -> Outcome {
            request.write(&[0; 4]);
            if self.calls.fetch_add(1, SeqCst) > 0 {
                self.inside.send(()).unwrap();
                self.go_on.lock().unwrap().recv().unwrap();
                return request.complete(Status::SUCCESS);
            }
            let (pended, outcome) = request.pend();
            pended.complete(Status::SUCCESS);
            outcome
        }
        fn cleanup(&self, _: FileId) {
            self.closed.store(true, SeqCst);
        }
    }
    let ((go_on, going), (inside, told)) = (mpsc::channel(), mpsc::channel());
    let driver = Arc::new(Slow { go_on: Mutex::new(going), inside, calls: AtomicUsize::new(0), closed: false.into() });
    // A port of its own: the driver holds up the dispatcher.
    let port = Port::manual().unwrap();
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let stream = device.inverted(WAIT, &()).pending(1).window(8).start();
    let poller = std::thread::spawn(move || port.poll(None));
    told.recv().unwrap();
    drop(stream);
    let error = device.close().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(!driver.closed.load(SeqCst));
    go_on.send(()).unwrap();
    drop(go_on);
    let _ = poller.join();
    support::until("the device is closed", || driver.closed.load(SeqCst));
}
