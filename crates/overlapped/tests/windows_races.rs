//! Races between two threads, on the system's pool and with Win32 events. `OVERLAPPED_ROUNDS` sets the number of
//! rounds.
#![cfg(windows)]

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::null;
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use overlapped::sim::Script;
use overlapped::{Access, Call, CtlCode, Device, ErrorKind, Event, Ioctl, Method, Port};
use windows_sys::Win32::System::Threading::{CreateEventW, ResetEvent, SetEvent};

fn rounds() -> u32 {
    std::env::var("OVERLAPPED_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

#[test]
fn the_shorter_of_two_timeouts_set_at_once_expires() {
    // SAFETY: a scripted device writes no more than it has room for.
    const WAIT: Ioctl<(), ()> = unsafe { Ioctl::new(CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any)) };
    let device = Device::simulated_on(&Port::system_pool().unwrap(), Script::new("card").pend(WAIT.code())).unwrap();
    let both = Arc::new(Barrier::new(2));
    let rounds = rounds();
    let long = std::thread::spawn({
        let (device, both) = (device.clone(), both.clone());
        move || {
            for round in 0..rounds {
                let call = device.call(WAIT, &());
                both.wait();
                // Shorter than the other long ones, so that it is the first to expire for a moment.
                let call = call.timeout(Duration::from_secs(u64::from(u32::MAX - round)));
                both.wait();
                drop(call);
            }
        }
    });
    for _ in 0..rounds {
        let call = device.call(WAIT, &());
        both.wait();
        let (tell, told) = mpsc::channel();
        call.timeout(Duration::from_millis(1)).then(move |result| tell.send(result.unwrap_err().kind()).unwrap());
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(ErrorKind::TimedOut));
        both.wait();
    }
    long.join().unwrap();
}

/// An event. A thread with another handle of it does `what` once in each round, shortly after both threads have met.
struct Signalled {
    event: Event,
    both: Arc<Barrier>,
    thread: std::thread::JoinHandle<()>,
}

impl Signalled {
    fn new(manual_reset: bool, what: fn(&OwnedHandle)) -> Self {
        // SAFETY: no name and no security descriptor are passed; the handle is new and ours.
        let handle = unsafe { OwnedHandle::from_raw_handle(CreateEventW(null(), manual_reset.into(), 0, null())) };
        let event = Event::new(handle.try_clone().unwrap()).unwrap();
        let both = Arc::new(Barrier::new(2));
        let thread = std::thread::spawn({
            let both = both.clone();
            move || {
                for round in 0..rounds() {
                    both.wait();
                    (0..round % 64 * 32).for_each(|_| std::hint::spin_loop());
                    what(&handle);
                    both.wait();
                }
            }
        });
        Self { event, both, thread }
    }

    /// In each round the event is signalled while a wait is given up by `give_up`, which returns whether the wait got
    /// the signal. If it did not, the next wait gets it. At the end no signal is left.
    fn each_is_seen_once(give_up: impl Fn(u32, Call<()>) -> bool) {
        let this = Self::new(false, set);
        for round in 0..rounds() {
            let call = this.event.signal();
            // In some rounds another wait is pending, too.
            let other = (round % 3 == 0).then(|| this.event.signal());
            this.both.wait();
            (0..round % 61 * 32).for_each(|_| std::hint::spin_loop());
            let had_happened = give_up(round, call);
            let other = other.unwrap_or_else(|| this.event.signal());
            if had_happened {
                // The wait that was given up got the signal, so the other wait has none.
                other.cancel();
                let error = other.wait().expect_err("the signal was seen twice");
                assert_eq!(error.kind(), ErrorKind::Cancelled);
            } else {
                other.wait_timeout(Duration::from_secs(60)).expect("the signal is lost");
            }
            this.both.wait();
        }
        this.there_is_none();
        this.thread.join().unwrap();
    }

    fn there_is_none(&self) {
        let error = self.event.signal().wait_timeout(Duration::from_millis(5)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}

fn set(handle: &OwnedHandle) {
    // SAFETY: the handle is open.
    assert_ne!(unsafe { SetEvent(handle.as_raw_handle()) }, 0);
}

fn reset(handle: &OwnedHandle) {
    // SAFETY: the handle is open.
    assert_ne!(unsafe { ResetEvent(handle.as_raw_handle()) }, 0);
}

fn had_happened(call: Call<()>) -> bool {
    match call.wait() {
        Ok(_) => true,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::TimedOut), "{error}");
            false
        }
    }
}

#[test]
fn a_signal_during_a_cancellation_is_seen_once() {
    Signalled::each_is_seen_once(|_, call| {
        call.cancel();
        had_happened(call)
    });
}

#[test]
fn a_signal_during_a_timeout_is_seen_once() {
    Signalled::each_is_seen_once(|round, call| {
        had_happened(call.timeout(Duration::from_micros(u64::from(round % 100))))
    });
}

#[test]
fn a_signal_during_a_drop_is_seen_once() {
    let this = Signalled::new(false, set);
    for round in 0..rounds() {
        let (call, stream) = match round % 2 {
            0 => (Some(this.event.signal()), None),
            _ => (None, Some(this.event.signals().start())),
        };
        this.both.wait();
        (0..round % 61 * 32).for_each(|_| std::hint::spin_loop());
        drop((call, stream));
        this.event.signal().wait_timeout(Duration::from_secs(60)).expect("the signal is lost");
        this.both.wait();
    }
    this.there_is_none();
    this.thread.join().unwrap();
}

#[test]
fn a_manual_reset_event_that_was_set_for_a_moment_completes_no_later_call() {
    let this = Signalled::new(true, |handle| {
        set(handle);
        reset(handle);
    });
    for round in 0..rounds() {
        let call = this.event.signal();
        this.both.wait();
        (0..round % 61 * 32).for_each(|_| std::hint::spin_loop());
        call.cancel();
        let _ = had_happened(call);
        this.both.wait();
        let later = this.event.signal();
        later.cancel();
        assert_eq!(later.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    }
    this.thread.join().unwrap();
}
