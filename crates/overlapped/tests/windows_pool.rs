//! The system's thread pool as a port, and Win32 events, with real pipes and handles.
#![cfg(windows)]

#[path = "support/pipe.rs"]
mod pipe;

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use overlapped::sim::{self, Request, Script};
use overlapped::{Device, Disposition, ErrorKind, Event, Ioctl, Port, Status, Subscription};
use pipe::*;
use windows_sys::Win32::Foundation::{DuplicateHandle, HANDLE, INVALID_HANDLE_VALUE, WAIT_OBJECT_0};
use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_OVERLAPPED, ReadFile, SYNCHRONIZE};
use windows_sys::Win32::System::IO::{GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Memory::{CreateFileMappingW, PAGE_READWRITE};
use windows_sys::Win32::System::Threading::{
    CreateEventW, CreateMutexW, EVENT_MODIFY_STATE, GetCurrentProcess, SetEvent, WaitForSingleObject,
};

fn on_the_pool(name: &str) -> Device {
    Device::from_handle_on(&Port::system_pool().unwrap(), server(name, FILE_FLAG_OVERLAPPED)).unwrap()
}

mod pool {
    use super::*;

    /// A read that does not belong to this crate, with its own OVERLAPPED.
    struct ForeignRead<'a> {
        handle: &'a OwnedHandle,
        event: OwnedHandle,
        overlapped: Box<OVERLAPPED>,
        bytes: Box<[u8; 16]>,
    }

    impl<'a> ForeignRead<'a> {
        fn begin(handle: &'a OwnedHandle) -> Self {
            // SAFETY: no name and no security descriptor are passed; the handle is new and ours.
            let event = unsafe { OwnedHandle::from_raw_handle(CreateEventW(null(), 1, 0, null())) };
            let overlapped = Box::new(OVERLAPPED { hEvent: event.as_raw_handle(), ..OVERLAPPED::default() });
            let mut read = Self { handle, event, overlapped, bytes: Box::default() };
            let (bytes, overlapped) = (read.bytes.as_mut_ptr(), &raw mut *read.overlapped);
            // SAFETY: the buffer and the OVERLAPPED live until `wait` has returned.
            unsafe { ReadFile(handle.as_raw_handle(), bytes, 16, null_mut(), overlapped) };
            read
        }

        fn wait(mut self) -> Vec<u8> {
            let mut count = 0;
            let overlapped = &raw mut *self.overlapped;
            // SAFETY: the OVERLAPPED is the one of this read.
            let ok = unsafe { GetOverlappedResult(self.handle.as_raw_handle(), overlapped, &mut count, 1) };
            assert_ne!(ok, 0);
            drop(self.event);
            self.bytes[..count as usize].to_vec()
        }
    }

    #[test]
    fn every_outcome() {
        let name = pipe_name();
        let device = on_the_pool(&name);
        let listen = device.call(LISTEN, &());
        let client = client(&name);
        listen.wait().unwrap();
        write(&client, b"0123456789");
        for _ in 0..50 {
            assert_eq!(&device.call(PEEK, &()).wait().unwrap()[16..], b"0123456789");
            let short = device.call(pipe::peek(20), &()).wait().unwrap();
            assert!(short.more_data());
            assert!(device.call(pipe::peek(2), &()).wait().is_err());
            assert_eq!(device.call(UNKNOWN, &()).wait().unwrap_err().kind(), ErrorKind::Unsupported);
        }
        assert_eq!(&*device.read(64).wait().unwrap(), b"0123456789");
        answer_too_long(&device, &client);
    }

    #[test]
    fn cancelling_dropping_and_closing() {
        let port = Port::system_pool().unwrap();
        for _ in 0..100 {
            let device = on_the_pool(&pipe_name());
            drop(device.call(LISTEN, &()));
            let cancelled = device.call(LISTEN, &());
            device.cancel_all();
            assert_eq!(cancelled.wait().unwrap_err().kind(), ErrorKind::Cancelled);
            // The device is closed while a call is pending that no one waits for.
            drop(device.call(LISTEN, &()));
        }
        for _ in 0..1000 {
            if port.pending().iter().all(|call| call.device.as_deref() == Some("simulated device")) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{:?}", port.pending());
    }

    #[test]
    fn a_success_without_a_packet_does_not_hang() {
        let path = std::env::temp_dir().join(format!("overlapped-pool-{}", std::process::id()));
        let options = Device::options().disposition(Disposition::CreateAlways).port(&Port::system_pool().unwrap());
        let file = options.open(&path).unwrap();
        for _ in 0..100 {
            file.call(SET_SPARSE, &()).wait().unwrap();
        }
        drop(file);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn timeouts_and_callbacks() {
        let device = on_the_pool(&pipe_name());
        for ms in [1, 30, 5] {
            let error = device.call(LISTEN, &()).wait_timeout(Duration::from_millis(ms)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
        let (tell, told) = mpsc::channel();
        device.call(LISTEN, &()).timeout(Duration::from_millis(5)).then(move |result| {
            tell.send((result.unwrap_err().kind(), std::thread::current().id())).unwrap();
        });
        let (kind, thread) = told.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(kind, ErrorKind::TimedOut);
        assert_ne!(thread, std::thread::current().id());
    }

    #[test]
    fn a_callback_outlives_the_handle_of_the_port() {
        for _ in 0..100 {
            let port = Port::system_pool().unwrap();
            let device = Device::simulated_on(&port, sim::from_fn(|r: Request| r.complete(Status::SUCCESS))).unwrap();
            let (tell, told) = mpsc::channel();
            device.call(SET_SPARSE, &()).then(move |result| tell.send(result.is_ok()).unwrap());
            drop(port);
            assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(true), "the callback did not run");
        }
    }

    #[test]
    fn simulated_devices_work_on_the_pool() {
        let port = Port::system_pool().unwrap();
        let device = Device::simulated_on(
            &port,
            sim::from_fn(|request: Request| {
                let (mut pended, outcome) = request.pend();
                pended.write(&7_u32.to_ne_bytes());
                pended.complete(Status::SUCCESS);
                outcome
            }),
        )
        .unwrap();
        // SAFETY: the simulated driver writes four bytes.
        let wait: Ioctl<(), u32> = unsafe { Ioctl::new(UNKNOWN.code()) };
        for _ in 0..1000 {
            assert_eq!(*device.call(wait, &()).wait().unwrap(), 7);
        }
        let mut stream = device.inverted(wait, &()).pending(4).start();
        assert!((0..1000).all(|_| *stream.wait_next().unwrap().unwrap() == 7));
    }

    #[test]
    fn a_success_that_skips_the_port_queues_no_packet() {
        for port in [Port::manual().unwrap(), Port::system_pool().unwrap()] {
            let name = pipe_name();
            let server = server(&name, 0);
            let device = Device::options().port(&port).skip_completion_port_on_success(true).open(&name).unwrap();
            write(&server, b"0123456789");
            for _ in 0..100 {
                assert_eq!(&device.call(PEEK, &()).wait().unwrap()[16..], b"0123456789");
            }
            assert_eq!(port.poll(Some(Duration::ZERO)), 0);
        }
    }

    #[test]
    fn foreign_packets_on_a_duplicate_of_the_handle_are_strays() {
        let name = pipe_name();
        let duplicate = server(&name, FILE_FLAG_OVERLAPPED);
        let port = Port::system_pool().unwrap();
        let device = Device::from_handle_on(&port, duplicate.try_clone().unwrap()).unwrap();
        let client = client(&name);
        let before = port.stats().strays;
        for _ in 0..8 {
            let theirs = ForeignRead::begin(&duplicate);
            write(&client, b"hello");
            assert_eq!(theirs.wait(), b"hello");
        }
        let ours = device.read(16);
        write(&client, b"world");
        assert_eq!(&*ours.wait().unwrap(), b"world");
        // The foreign read comes first. Then ours must end, too.
        let theirs = ForeignRead::begin(&duplicate);
        let ours = device.read(16);
        write(&client, b"first");
        write(&client, b"other");
        assert_eq!(theirs.wait(), b"first");
        assert_eq!(&*ours.wait().unwrap(), b"other");
        while port.stats().strays < before + 9 {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Foreign reads go on after the device is closed.
        drop(device);
        let theirs = ForeignRead::begin(&duplicate);
        write(&client, b"after");
        assert_eq!(theirs.wait(), b"after");
        while port.stats().strays < before + 10 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_callback_that_waits_delays_neither_completions_nor_timeouts() {
        let (first, second) = (pipe_name(), pipe_name());
        let (device, other) = (on_the_pool(&first), on_the_pool(&second));
        let (tell, told) = mpsc::channel();
        device.call(LISTEN, &()).then(move |_| {
            let late = other.call(LISTEN, &()).wait_timeout(Duration::from_millis(5));
            let connected = other.call(LISTEN, &());
            tell.send(late.unwrap_err().kind() == ErrorKind::TimedOut).unwrap();
            tell.send(connected.wait().is_ok() && !Port::is_dispatching()).unwrap();
        });
        let _first = client(&first);
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(true));
        let _second = client(&second);
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(true));
    }

    #[test]
    fn a_subscription_may_be_stopped_in_its_own_callback() {
        let script = Script::new("card").pend(UNKNOWN.code());
        let device = Device::simulated_on(&Port::system_pool().unwrap(), script.clone()).unwrap();
        let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
        let (tell, told) = mpsc::channel();
        let subscription = device.inverted(UNKNOWN, &()).start().for_each({
            let own = own.clone();
            move |_| {
                own.lock().unwrap().take().unwrap().stop();
                tell.send(()).unwrap();
            }
        });
        *own.lock().unwrap() = Some(subscription);
        assert!(script.complete(UNKNOWN.code(), Status::SUCCESS, []));
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(()), "stop() has not returned");
        // The callback is dropped, and the sender with it: no other callback starts.
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Err(mpsc::RecvTimeoutError::Disconnected));
        assert_eq!(script.pended(), 0);
    }

    #[test]
    fn a_callback_may_wait_for_the_next_completion() {
        let script = Script::new("card").pend(UNKNOWN.code());
        let device = Device::simulated_on(&Port::system_pool().unwrap(), script.clone()).unwrap();
        let (tell, told) = mpsc::channel();
        for _ in 0..20 {
            for _ in 0..10 {
                let (first, second, tell) = (device.call(UNKNOWN, &()), device.call(UNKNOWN, &()), tell.clone());
                first.then(move |_| tell.send(second.wait().is_ok()).unwrap());
            }
            // The packets of both calls are in the port together.
            (0..20).for_each(|_| assert!(script.complete(UNKNOWN.code(), Status::SUCCESS, [])));
            for _ in 0..10 {
                assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(true));
            }
        }
    }
}

mod events {
    use super::*;

    fn event(manual_reset: bool) -> (OwnedHandle, Event) {
        // SAFETY: no name and no security descriptor are passed; the handle is new and ours.
        let handle = unsafe { OwnedHandle::from_raw_handle(CreateEventW(null(), manual_reset.into(), 0, null())) };
        let twin = handle.try_clone().unwrap();
        (handle, Event::new(twin).unwrap())
    }

    fn set(handle: &OwnedHandle) {
        // SAFETY: the handle is open.
        assert_ne!(unsafe { SetEvent(handle.as_raw_handle()) }, 0);
    }

    #[test]
    fn far_more_than_sixty_four() {
        let events: Vec<_> = (0..300).map(|_| event(false)).collect();
        let signals: Vec<_> = events.iter().map(|(_, event)| event.signal()).collect();
        for (handle, _) in events.iter().rev() {
            set(handle);
        }
        for signal in signals {
            signal.wait().unwrap();
        }
    }

    #[test]
    fn each_signal_of_an_auto_reset_event_completes_one_call() {
        let (handle, event) = event(false);
        let (first, second) = (event.signal(), event.signal());
        set(&handle);
        let enough = Duration::from_secs(1);
        let (first, second) = (first.wait_timeout(enough), second.wait_timeout(enough));
        assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1, "{first:?} {second:?}");
    }

    #[test]
    fn a_stream_of_signals_is_armed_again() {
        let (handle, event) = event(false);
        let mut signals = event.signals().start();
        for _ in 0..500 {
            set(&handle);
            signals.wait_next().unwrap().unwrap();
        }
        assert_eq!(
            signals.wait_next_timeout(Duration::from_millis(10)).unwrap().unwrap_err().kind(),
            ErrorKind::TimedOut
        );
    }

    #[test]
    fn a_wait_can_be_cancelled_and_the_signal_is_not_lost() {
        let (handle, event) = event(false);
        for _ in 0..200 {
            drop(event.signal());
            let cancelled = event.signal();
            cancelled.cancel();
            assert_eq!(cancelled.wait().unwrap_err().kind(), ErrorKind::Cancelled);
            let signal = event.signal();
            set(&handle);
            signal.wait().unwrap();
        }
    }

    #[test]
    fn a_cancelled_wait_leaves_the_signal_to_another() {
        let (handle, event) = event(false);
        for _ in 0..50 {
            let (cancelled, signal) = (event.signal(), event.signal());
            cancelled.cancel();
            assert_eq!(cancelled.wait().unwrap_err().kind(), ErrorKind::Cancelled);
            set(&handle);
            signal.wait_timeout(Duration::from_secs(10)).unwrap();
        }
    }

    #[test]
    fn a_cancelled_wait_leaves_the_signal_to_others() {
        let (handle, event) = event(false);
        for _ in 0..20 {
            let cancelled = event.signal();
            cancelled.cancel();
            assert_eq!(cancelled.wait().unwrap_err().kind(), ErrorKind::Cancelled);
            // Disarming a wait does not report when it is done.
            std::thread::sleep(Duration::from_millis(20));
            set(&handle);
            // SAFETY: the handle is open.
            assert_eq!(unsafe { WaitForSingleObject(handle.as_raw_handle(), 1000) }, WAIT_OBJECT_0);
        }
    }

    #[test]
    fn handles_that_the_pool_cannot_wait_for_are_refused() {
        let refused = |handle: HANDLE| {
            // SAFETY: the handle is new and ours.
            let error = Event::new(unsafe { OwnedHandle::from_raw_handle(handle) }).unwrap_err();
            println!("{error}");
            error.kind()
        };
        // SAFETY: no names and no security descriptors are passed.
        let (mutex, section) = unsafe {
            (
                CreateMutexW(null(), 0, null()),
                CreateFileMappingW(INVALID_HANDLE_VALUE, null(), PAGE_READWRITE, 0, 1, null()),
            )
        };
        assert_eq!(refused(mutex), ErrorKind::InvalidInput);
        assert_eq!(refused(section), ErrorKind::AccessDenied);
        let (handle, _) = event(false);
        let with_access = |access: u32| {
            let mut twin = null_mut();
            // SAFETY: both processes are this one, the handle is open, and the new handle's variable lives through the
            // call.
            let ok = unsafe {
                let process = GetCurrentProcess();
                DuplicateHandle(process, handle.as_raw_handle(), process, &mut twin, access, 0, 0)
            };
            assert_ne!(ok, 0);
            twin
        };
        assert_eq!(refused(with_access(EVENT_MODIFY_STATE)), ErrorKind::AccessDenied);
        // This handle has no right to tell its type.
        // SAFETY: the handle is new and ours.
        let only_waits = Event::new(unsafe { OwnedHandle::from_raw_handle(with_access(SYNCHRONIZE)) }).unwrap();
        set(&handle);
        only_waits.signal().wait().unwrap();
        // The other waits go on.
        let (handle, another) = event(false);
        set(&handle);
        another.signal().wait().unwrap();
    }

    #[test]
    fn dropping_the_event_ends_the_waits_of_callbacks() {
        let (_handle, event) = event(false);
        let (tell, told) = mpsc::channel();
        event.signal().then(move |result| tell.send(result.unwrap_err().kind()).unwrap());
        drop(event);
        assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), ErrorKind::Cancelled);
    }

    #[test]
    fn a_manual_reset_event_fills_the_window_and_no_more() {
        let (handle, event) = event(true);
        set(&handle);
        let mut signals = event.signals().window(4).start();
        for _ in 0..20 {
            signals.wait_next().unwrap().unwrap();
        }
    }
}
