//! Any other overlapped function: it is lent an OVERLAPPED and buffers, and is awaited like other calls. Also: the
//! handle.
#![cfg(windows)]

#[path = "support/pipe.rs"]
mod pipe;

use std::future::Future;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::null_mut;
use std::task::{Context, Waker};
use std::time::Duration;

use overlapped::{Buffer, Device, ErrorCode, ErrorKind, Port, RawCall, Returned, Status, Submission, sim::Script};
use pipe::*;
use windows_sys::Win32::Foundation::{ERROR_LOCK_VIOLATION, ERROR_PIPE_CONNECTED};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OVERLAPPED, FILE_NOTIFY_CHANGE_FILE_NAME, LOCKFILE_EXCLUSIVE_LOCK,
    LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, ReadDirectoryChangesW, ReadFile,
};
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, DisconnectNamedPipe, PIPE_READMODE_MESSAGE, PIPE_TYPE_MESSAGE, SetNamedPipeHandleState,
};

fn room(len: usize) -> Buffer {
    Buffer::aligned(len, 8).unwrap()
}

/// `ConnectNamedPipe`: pending until a client comes.
fn connect(device: &Device) -> RawCall {
    // SAFETY: ConnectNamedPipe uses the OVERLAPPED until its packet comes or it has failed, and no buffer.
    unsafe { device.call_with(Buffer::from(b"in".as_slice()), room(16), connect_by) }
}

fn connect_by(lent: &Submission<'_>) -> Returned {
    // SAFETY: as above. The OVERLAPPED belongs to the call, and lives as long.
    Returned::from_bool(unsafe { ConnectNamedPipe(lent.handle(), lent.overlapped().cast()) })
}

/// `ReadFile`: a warning when the message is longer.
fn read_by(lent: &Submission<'_>) -> Returned {
    let (buffer, overlapped) = (lent.output().cast(), lent.overlapped().cast());
    // SAFETY: ReadFile writes at most the output's length until its packet comes or it has failed.
    Returned::from_bool(unsafe { ReadFile(lent.handle(), buffer, lent.output_len(), null_mut(), overlapped) })
}

fn read_with(device: &Device, len: usize) -> RawCall {
    // SAFETY: as above.
    unsafe { device.call_with(Buffer::empty(), room(len), read_by) }
}

fn listening() -> (Device, String) {
    listening_on(&Port::global().unwrap())
}

fn listening_on(port: &Port) -> (Device, String) {
    let name = pipe_name();
    (Device::from_handle_on(port, server(&name, FILE_FLAG_OVERLAPPED)).unwrap(), name)
}

/// The server's end and its client.
fn connected_on(port: &Port) -> (Device, OwnedHandle) {
    let (device, name) = listening_on(port);
    let client = client(&name);
    (device, client)
}

fn is_pending(call: &mut RawCall) -> bool {
    Pin::new(call).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn code(reply: &overlapped::RawReply) -> Option<ErrorCode> {
    reply.status().unwrap_err().code()
}

mod functions {
    use super::*;

    #[test]
    fn a_change_of_a_directory_is_awaited() {
        let path = std::env::temp_dir().join(format!("overlapped-directory-{}", std::process::id()));
        // An earlier run that failed may have left it, and Wine's process numbers repeat.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        let options = Device::options().write(false).share_mode(7).attributes(FILE_FLAG_BACKUP_SEMANTICS);
        let directory = options.open(&path).unwrap();
        // SAFETY: ReadDirectoryChangesW writes at most the output's length until its packet comes or it has failed.
        let mut change = unsafe {
            directory.call_with(Buffer::empty(), room(4096), |lent| {
                Returned::from_bool(ReadDirectoryChangesW(
                    lent.handle(),
                    lent.output(),
                    lent.output_len(),
                    0,
                    FILE_NOTIFY_CHANGE_FILE_NAME,
                    null_mut(),
                    lent.overlapped().cast(),
                    None,
                ))
            })
        };
        assert!(is_pending(&mut change));
        std::fs::write(path.join("new"), "").unwrap();
        let reply = change.wait();
        assert_eq!(reply.status().unwrap(), Status::SUCCESS);
        // FILE_NOTIFY_INFORMATION: next, action, length in bytes, name.
        let name: Vec<u8> = "new".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(&reply.output[..12], [0_u32, 1, 6].map(u32::to_le_bytes).concat());
        assert_eq!(&reply.output[12..18], name);
        assert!(reply.len() >= 18);
        drop(directory);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_pipe_waits_for_its_client() {
        let (device, name) = listening();
        let mut connecting = connect(&device);
        assert!(is_pending(&mut connecting));
        let _client = client(&name);
        let reply = connecting.wait();
        assert_eq!((reply.status().unwrap(), &*reply.input, reply.output.len()), (Status::SUCCESS, &b"in"[..], 16));
    }

    #[test]
    fn a_failure_at_once_has_the_functions_own_error() {
        let (device, _client) = connected_on(&Port::global().unwrap());
        for _ in 0..1000 {
            let reply = connect(&device).wait();
            assert_eq!(code(&reply), Some(ErrorCode::Win32(ERROR_PIPE_CONNECTED)));
            assert_eq!((&*reply.input, reply.output.len(), reply.len()), (&b"in"[..], 16, 0), "the buffers are back");
        }
        assert!(connect(&device).wait().status().unwrap_err().to_string().contains("overlapped function"));
    }

    /// Some of these calls queue a packet, others do not: Wine's `LockFileEx` does not even touch the OVERLAPPED.
    #[test]
    fn a_success_at_once_waits_for_no_packet() {
        let path = std::env::temp_dir().join(format!("overlapped-lock-{}", std::process::id()));
        std::fs::write(&path, "0123456789").unwrap();
        let port = Port::manual().unwrap();
        let [device, other] = [(); 2].map(|()| Device::options().port(&port).open(&path).unwrap());
        let lock = |device: &Device, at| {
            // SAFETY: LockFileEx uses the OVERLAPPED, and no buffer.
            let call = unsafe {
                device.call_with(Buffer::empty(), Buffer::empty(), |lent| {
                    let flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
                    let overlapped = lent.overlapped_at(at).cast();
                    Returned::from_bool(LockFileEx(lent.handle(), flags, 0, 1, 0, overlapped))
                })
            };
            port.block_on(call).unwrap()
        };
        for at in 0..1000 {
            lock(&device, at).status().unwrap();
        }
        // The lock is at the offset that was given.
        assert_eq!(code(&lock(&other, 999)), Some(ErrorCode::Win32(ERROR_LOCK_VIOLATION)));
        lock(&other, 1000 + (1 << 32)).status().unwrap();
        while port.poll(Some(Duration::ZERO)) > 0 {}
        assert_eq!(port.stats().in_flight, 0);
        drop((device, other));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_warning_at_once_keeps_its_bytes() {
        let (device, client) = connected();
        for _ in 0..100 {
            write(&client, b"0123456789");
            let reply = read_with(&device, 4).wait();
            assert_eq!(reply.status().unwrap(), Status::BUFFER_OVERFLOW);
            assert_eq!((reply.len(), &reply.output[..]), (4, &b"0123"[..]));
            let rest = read_with(&device, 64).wait();
            assert_eq!(rest.status().unwrap(), Status::SUCCESS);
            assert_eq!(&rest.output[..rest.len()], b"456789");
        }
    }

    #[test]
    fn a_warning_and_a_failure_may_come_later() {
        let (device, client) = connected();
        let mut reading = read_with(&device, 4);
        assert!(is_pending(&mut reading));
        write(&client, b"0123456789");
        let reply = reading.wait();
        assert_eq!((reply.status().unwrap(), &reply.output[..reply.len()]), (Status::BUFFER_OVERFLOW, &b"0123"[..]));
        read_with(&device, 64).wait().status().unwrap();
        let gone = read_with(&device, 64);
        drop(client);
        assert_eq!(gone.wait().status().unwrap_err().kind(), ErrorKind::Disconnected);
    }

    #[test]
    fn by_the_systems_pool() {
        let port = Port::system_pool().unwrap();
        let (device, name) = listening_on(&port);
        let connecting = connect(&device);
        let client = client(&name);
        connecting.wait().status().unwrap();
        for round in 0..500_u32 {
            assert_eq!(code(&connect(&device).wait()), Some(ErrorCode::Win32(ERROR_PIPE_CONNECTED)));
            let before = (round % 2 == 0).then(|| read_with(&device, 16));
            write(&client, &[round.to_ne_bytes(); 3].concat());
            let reply = before.unwrap_or_else(|| read_with(&device, 16)).wait();
            assert_eq!(reply.status().unwrap(), Status::SUCCESS);
            assert_eq!(&reply.output[..reply.len()], [round.to_ne_bytes(); 3].concat());
        }
        let reading = read_with(&device, 16);
        reading.cancel();
        assert_eq!(reading.wait().status().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn a_simulated_device_has_no_handle_to_lend() {
        let card = Device::simulated(Script::new("card")).unwrap();
        let reply = connect(&card).wait();
        assert_eq!(reply.status().unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(&*reply.input, b"in");
    }
}

mod under_the_same_rules {
    use super::*;

    #[test]
    fn a_cancelled_or_overdue_call_gives_its_buffers_back() {
        let (device, _) = listening();
        let connecting = connect(&device);
        connecting.cancel();
        let reply = connecting.wait();
        assert_eq!(reply.status().unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!((&*reply.input, reply.output.len()), (&b"in"[..], 16));
        let short = Duration::from_millis(10);
        for reply in [connect(&device).timeout(short).wait(), connect(&device).wait_timeout(short)] {
            assert_eq!(reply.status().unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!(reply.output.len(), 16);
        }
        let connecting = connect(&device);
        device.cancel_all();
        assert_eq!(connecting.wait().status().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn two_calls_at_once_end_separately() {
        let (device, client) = connected();
        let (first, mut second) = (read_with(&device, 8), read_with(&device, 8));
        write(&client, b"one");
        assert_eq!(&first.wait().output[..3], b"one");
        assert!(is_pending(&mut second));
        second.cancel();
        let third = read_with(&device, 8);
        assert_eq!(second.wait().status().unwrap_err().kind(), ErrorKind::Cancelled);
        write(&client, b"two");
        assert_eq!(&third.wait().output[..3], b"two", "the cancellation ended the wrong read");
    }

    #[test]
    fn a_call_dropped_while_pending_is_cancelled_and_frees_its_slot() {
        let port = Port::manual().unwrap();
        let (device, _) = listening_on(&port);
        for _ in 0..100 {
            drop(connect(&device));
            while port.stats().in_flight > 0 {
                port.poll(Some(Duration::from_secs(10)));
            }
        }
        assert_eq!(port.stats().slots, 8, "calls one after another use one slot");
    }

    /// A result that has come but is not taken is counted, as for every call.
    #[test]
    fn a_call_dropped_with_its_result_is_counted() {
        let port = Port::manual().unwrap();
        let (device, client) = connected_on(&port);
        let reading = read_with(&device, 8);
        write(&client, b"lost");
        while port.poll(Some(Duration::from_millis(200))) == 0 {}
        drop(reading);
        let stats = port.stats();
        assert_eq!((stats.in_flight, stats.lost_results, stats.lost_bytes), (0, 1, 4));
    }

    #[test]
    fn closing_ends_a_pending_function_call() {
        let port = Port::manual().unwrap();
        let (device, _) = listening_on(&port);
        drop(connect(&device));
        drop(device);
        while port.stats().in_flight > 0 {
            assert!(port.poll(Some(Duration::from_secs(10))) > 0);
        }
    }

    /// A warning at once queues a packet. The packet comes when the slot and its OVERLAPPED belong to another call.
    #[test]
    fn a_late_packet_does_not_complete_the_next_call() {
        let port = Port::manual().unwrap();
        let (device, client) = connected_on(&port);
        let (other, name) = listening_on(&port);
        write(&client, b"0123456789");
        assert_eq!(read_with(&device, 4).wait().status().unwrap(), Status::BUFFER_OVERFLOW);
        let mut next = connect(&other);
        while port.poll(Some(Duration::ZERO)) > 0 {}
        assert_eq!(port.stats().strays, 1, "expected one stray packet");
        assert!(is_pending(&mut next));
        let _client = super::client(&name);
        port.block_on(next).unwrap().status().unwrap();
    }

    #[test]
    fn a_packet_may_come_before_the_closure_returns() {
        let (device, client) = connected();
        for _ in 0..20 {
            // SAFETY: as for `read_with`.
            let call = unsafe {
                device.call_with(Buffer::empty(), room(8), |lent| {
                    let returned = read_by(lent);
                    assert_eq!(returned, Returned::Pending);
                    write(&client, b"at once");
                    std::thread::sleep(Duration::from_millis(5));
                    returned
                })
            };
            let reply = call.wait();
            assert_eq!((reply.status().unwrap(), &reply.output[..reply.len()]), (Status::SUCCESS, &b"at once"[..]));
        }
    }

    #[test]
    fn waiting_for_a_function_call_on_the_dispatcher_is_an_error() {
        let (device, _) = listening();
        let (card, script) = {
            let script = Script::new("card").answer(UNKNOWN.code(), Status::SUCCESS, []);
            (Device::simulated(script.clone()).unwrap(), script)
        };
        let (tell, told) = std::sync::mpsc::channel();
        card.call(UNKNOWN, &()).then(move |_| tell.send(connect(&device).wait().status().map(drop)).unwrap());
        let error = told.recv().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deadlock);
        drop(script);
    }

    /// Another function uses the same open file with its own OVERLAPPED.
    #[test]
    fn a_foreign_packet_is_counted_and_otherwise_ignored() {
        let port = Port::manual().unwrap();
        let (device, client) = connected_on(&port);
        let handle = device.as_handle().unwrap().as_raw_handle();
        let mut own = Box::new(OVERLAPPED::default());
        let mut bytes = [0; 8];
        // SAFETY: both live until the read has ended, which its packet shows below.
        unsafe { ReadFile(handle, bytes.as_mut_ptr(), 8, null_mut(), &raw mut *own) };
        let mut ours = read_with(&device, 8);
        write(&client, b"theirs");
        while port.stats().strays == 0 {
            assert!(port.poll(Some(Duration::from_secs(10))) > 0);
        }
        assert!(is_pending(&mut ours));
        assert_eq!(&bytes[..6], b"theirs");
        write(&client, b"ours");
        assert_eq!(&port.block_on(ours).unwrap().output[..4], b"ours");
    }

    #[test]
    fn many_completions_that_overtake_the_submission() {
        let (device, client) = connected();
        let rounds = 2000;
        let peer = std::thread::spawn(move || {
            for round in 0..rounds {
                write(&client, &u32::to_ne_bytes(round));
            }
            client
        });
        for round in 0..rounds {
            let reply = read_with(&device, 16).wait();
            assert_eq!((reply.len(), &reply.output[..4]), (4, &u32::to_ne_bytes(round)[..]));
        }
        drop(peer.join().unwrap());
    }
}

mod closures_that_do_not_do_as_they_should {
    use super::*;

    fn call(device: &Device, submit: impl FnOnce(&Submission<'_>) -> Returned) -> RawCall {
        // SAFETY: each closure calls one function of this file, or none.
        unsafe { device.call_with(Buffer::empty(), room(8), submit) }
    }

    /// No one knows whether the closure had called its function. So its memory is never used again.
    #[test]
    fn a_closure_that_panics_before_its_function_loses_its_memory() {
        let port = Port::manual().unwrap();
        let (device, name) = listening_on(&port);
        assert!(catch_unwind(AssertUnwindSafe(|| call(&device, |_| panic!("before")))).is_err());
        while port.poll(Some(Duration::ZERO)) > 0 {}
        assert_eq!(port.stats().in_flight, 1);
        let connecting = connect(&device);
        let _client = client(&name);
        port.block_on(connecting).unwrap().status().unwrap();
    }

    #[test]
    fn a_closure_that_panics_after_its_function_cancels_it() {
        let port = Port::manual().unwrap();
        let (device, name) = listening_on(&port);
        let after = |lent: &Submission<'_>| -> Returned {
            assert_eq!(connect_by(lent), Returned::Pending);
            panic!("after");
        };
        assert!(catch_unwind(AssertUnwindSafe(|| call(&device, after))).is_err());
        while port.stats().in_flight > 0 {
            assert!(port.poll(Some(Duration::from_secs(10))) > 0);
        }
        let connecting = connect(&device);
        let _client = client(&name);
        port.block_on(connecting).unwrap().status().unwrap();
    }

    #[test]
    fn a_closure_without_a_function_that_returns_success_has_no_bytes() {
        let (device, _) = listening();
        let reply = call(&device, |_| Returned::Success).wait();
        assert_eq!((reply.status().unwrap(), reply.information, reply.output.len()), (Status::SUCCESS, 0, 8));
    }

    #[test]
    fn a_closure_that_returns_success_for_a_pending_function_is_pending() {
        let (device, name) = listening();
        let mut connecting = call(&device, |lent| {
            assert_eq!(connect_by(lent), Returned::Pending);
            Returned::Success
        });
        assert!(is_pending(&mut connecting));
        let _client = client(&name);
        connecting.wait().status().unwrap();
    }

    #[test]
    fn a_closure_may_call_the_device_again() {
        let (device, name) = listening();
        let mut inner = None;
        let outer = call(&device, |_| {
            inner = Some(connect(&device));
            Returned::Failed(5)
        });
        assert_eq!(outer.wait().status().unwrap_err().kind(), ErrorKind::AccessDenied);
        let _client = client(&name);
        inner.unwrap().wait().status().unwrap();
    }
}

mod handles {
    use super::*;

    fn read_mode(handle: &impl AsRawHandle, mode: u32) {
        // SAFETY: the handle is open, and the mode lives through the call.
        let ok = unsafe { SetNamedPipeHandleState(handle.as_raw_handle(), &mode, null_mut(), null_mut()) };
        assert_ne!(ok, 0, "{}", std::io::Error::last_os_error());
    }

    /// A client reads bytes until it asks for messages. It needs the handle to ask.
    #[test]
    fn the_handle_can_be_borrowed() {
        let name = pipe_name();
        let pipe = server_of(&name, FILE_FLAG_OVERLAPPED, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
        let (server, client) = (Device::from_handle(pipe).unwrap(), Device::open(&name).unwrap());
        read_mode(&client.as_handle().unwrap(), PIPE_READMODE_MESSAGE);
        for message in [b"m1", b"m2"] {
            server.write(message).wait().unwrap();
        }
        for message in [b"m1", b"m2"] {
            assert_eq!(&*client.read(64).wait().unwrap(), message);
        }
    }

    #[test]
    fn the_last_owner_can_take_the_handle() {
        let (device, client) = connected();
        let clone = device.clone();
        let error = device.into_handle().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("drop its other clones, calls and streams first"), "{error}");
        let read = clone.read(8);
        let error = clone.into_handle().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "a call still has the handle");
        write(&client, b"first");
        assert_eq!(&*read.wait().unwrap(), b"first");

        let (device, client) = connected();
        let handle = device.into_handle().unwrap();
        // SAFETY: the handle is open.
        assert_ne!(unsafe { DisconnectNamedPipe(handle.as_raw_handle()) }, 0);
        drop((handle, client));
    }

    #[test]
    fn a_simulated_device_has_none() {
        let card = Device::simulated(Script::new("card")).unwrap();
        assert_eq!(card.as_handle().unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(card.into_handle().unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
