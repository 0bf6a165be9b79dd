//! Real kernel calls on Windows: pipes, a file, a system device. Each of the five outcomes comes from a real driver.
#![cfg(windows)]

#[path = "support/pipe.rs"]
mod pipe;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use overlapped::{Buffer, CtlCode, Device, Disposition, ErrorCode, ErrorKind, Ioctl, Port, Status};
use pipe::*;
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;

#[test]
fn success_at_once() {
    let (device, client) = connected();
    write(&client, b"0123456789");
    let reply = device.call(PEEK, &()).wait().unwrap();
    assert_eq!(&reply[16..], b"0123456789");
    assert!(!reply.more_data());
}

#[test]
fn a_warning_at_once_keeps_its_bytes() {
    let (device, client) = connected();
    write(&client, b"0123456789");
    for _ in 0..100 {
        let reply = device.call(pipe::peek(20), &()).wait().unwrap();
        assert!(reply.more_data());
        assert_eq!((reply.len(), &reply[16..]), (20, &b"0123"[..]));
    }
    // Each of those calls also queued a packet, which named a call that was already over. The packets must do no harm.
    let strays = || Port::global().unwrap().stats().strays;
    for _ in 0..1000 {
        if strays() > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(strays() > 0, "no packet of a warning at once was counted as a stray");
    let reply = device.call(PEEK, &()).wait().unwrap();
    assert_eq!(&reply[16..], b"0123456789");
}

/// The packet of a warning is still queued when the slot has its next call.
#[test]
fn the_packet_of_a_warning_does_not_complete_the_next_call() {
    let port = Port::manual().unwrap();
    let name = pipe_name();
    let device = Device::from_handle_on(&port, server(&name, FILE_FLAG_OVERLAPPED)).unwrap();
    let other = Device::from_handle_on(&port, server(&pipe_name(), FILE_FLAG_OVERLAPPED)).unwrap();
    let listen = device.call(LISTEN, &());
    let client = client(&name);
    port.block_on(listen).unwrap().unwrap();
    write(&client, b"0123456789");
    assert!(device.call(pipe::peek(20), &()).wait().unwrap().more_data());
    let mut next = other.call(LISTEN, &());
    while port.poll(Some(Duration::ZERO)) > 0 {}
    assert_eq!(port.stats().strays, 1, "expected one stray packet");
    assert!(pin!(&mut next).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// The submitting thread takes packets out of the queue. It may hold a lock that another call's waker needs.
#[test]
fn a_thread_that_submits_runs_no_waker() {
    let port = Port::manual().unwrap();
    let pair = || {
        let name = pipe_name();
        let device = Device::from_handle_on(&port, server(&name, FILE_FLAG_OVERLAPPED)).unwrap();
        (device, client(&name))
    };
    let ((waits, client), (busy, its_client)) = (pair(), pair());
    write(&its_client, b"0123456789");
    let woken = Arc::new(Woken::default());
    let mut call = waits.read(16);
    assert!(pin!(&mut call).poll(&mut Context::from_waker(&woken.clone().into())).is_pending());
    write(&client, b"x");
    for _ in 0..1000 {
        assert!(busy.call(pipe::peek(20), &()).wait().unwrap().more_data());
    }
    assert!(port.stats().strays > 900, "the submissions have not taken the packets out");
    assert_eq!(woken.0.load(SeqCst), 0);
    port.poll(Some(Duration::from_secs(60)));
    assert_eq!(woken.0.load(SeqCst), 1);
    assert_eq!(&*call.wait().unwrap(), b"x");
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_hard_failure_at_once() {
    let (device, _client) = connected();
    let error = device.call(pipe::peek(2), &()).wait().unwrap_err();
    assert!(matches!(error.code(), Some(ErrorCode::Status(s)) if s.is_error()), "{error}");
    let error = device.call(UNKNOWN, &()).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn pending_until_a_client_connects() {
    let name = pipe_name();
    let device = Device::from_handle(server(&name, FILE_FLAG_OVERLAPPED)).unwrap();
    let mut listen = device.call(LISTEN, &());
    assert!(pin!(&mut listen).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let _client = client(&name);
    listen.wait().unwrap();
}

#[test]
fn buffers_come_back_when_a_call_times_out() {
    let device = Device::from_handle(server(&pipe_name(), FILE_FLAG_OVERLAPPED)).unwrap();
    let listen = || {
        let (input, output) = (Buffer::from(b"in".as_slice()), Buffer::aligned(512, 512).unwrap());
        // SAFETY: FSCTL_PIPE_LISTEN uses no buffer.
        unsafe { device.call_raw(LISTEN.code(), input, output) }
    };
    let short = Duration::from_millis(10);
    for reply in [listen().timeout(short).wait(), listen().wait_timeout(short)] {
        assert_eq!(reply.status().unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!((&*reply.input, reply.output.len()), (b"in".as_slice(), 512));
    }
}

#[test]
fn pending_with_data_both_ways() {
    let (device, client) = connected();
    let call = device.call(TRANSCEIVE, b"question".as_slice());
    assert_eq!(read(&client), b"question");
    write(&client, b"answer");
    assert_eq!(&*call.wait().unwrap(), b"answer");
}

#[test]
fn a_pending_call_that_ends_in_a_warning_keeps_its_bytes() {
    let (device, client) = connected();
    answer_too_long(&device, &client);
}

/// The completion races with the return of the submission: the peer answers from another thread at once.
#[test]
fn completions_that_overtake_the_submission() {
    let (device, client) = connected();
    let rounds = 2000;
    let peer = std::thread::spawn(move || {
        for _ in 0..rounds {
            let question = read(&client);
            write(&client, &question);
        }
        client
    });
    for round in 0..rounds {
        let bytes = u32::to_ne_bytes(round);
        assert_eq!(*device.call(TRANSCEIVE, bytes.as_slice()).wait().unwrap(), bytes);
    }
    drop(peer.join().unwrap());
}

#[test]
fn a_success_without_a_packet_does_not_hang() {
    let path = std::env::temp_dir().join(format!("overlapped-sparse-{}", std::process::id()));
    let options = Device::options().disposition(Disposition::CreateAlways);
    let file = options.open(&path).unwrap();
    for _ in 0..1000 {
        file.call(SET_SPARSE, &()).wait().unwrap();
    }
    drop(file);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_call_to_a_system_driver() {
    // IOCTL_MOUNTMGR_QUERY_POINTS (mountmgr.h): the input is a MOUNTMGR_MOUNT_POINT (24 zero bytes mean all), the
    // output is a list.
    // SAFETY: by its documentation it reads the 24 bytes and writes at most the output's length.
    const QUERY: Ioctl<[u32; 6], [u8]> = unsafe { Ioctl::slice(CtlCode::from_u32(0x006d_0008), 32) };
    let device = Device::options().read(false).write(false).open(r"\\.\MountPointManager").unwrap();
    // MOUNTMGR_MOUNT_POINTS starts with its size in bytes and the number of points.
    let reply = device.call(QUERY.with_capacity(4096), &[0; 6]).wait().unwrap();
    let field = |at: usize| u32::from_ne_bytes(reply[at..at + 4].try_into().unwrap());
    assert_eq!(field(0) as usize, reply.len());
    assert!(field(4) > 0 && !reply.more_data(), "{reply:?}");
    let short = device.call(QUERY, &[0; 6]).wait().unwrap();
    assert!(short.more_data(), "{short:?}");
}

#[test]
fn a_handle_that_is_not_overlapped_is_a_clear_error() {
    let error = Device::from_handle(server(&pipe_name(), 0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("FILE_FLAG_OVERLAPPED"), "{error}");
}

#[test]
fn a_handle_that_is_bound_already_is_a_clear_error() {
    let name = pipe_name();
    let handle = server(&name, FILE_FLAG_OVERLAPPED);
    let twin = handle.try_clone().unwrap();
    let _device = Device::from_handle(handle).unwrap();
    match Device::from_handle(twin) {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains("no other completion port"), "{error}");
        }
        Ok(_) => panic!("bound twice"),
    }
}

#[test]
fn a_missing_device_is_not_found() {
    let error = Device::open(r"\\.\NoSuchDevice0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), r#"open "\\.\NoSuchDevice0": not found: ERROR_FILE_NOT_FOUND (2)"#);
    assert_eq!(Device::open("a\0b").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn cancelling_all_and_closing_end_every_call() {
    let name = pipe_name();
    let device = Device::from_handle(server(&name, FILE_FLAG_OVERLAPPED)).unwrap();
    let listen = device.call(LISTEN, &());
    device.cancel_all();
    assert_eq!(listen.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    // The handle can still be used.
    let listen = device.call(LISTEN, &());
    let client = client(&name);
    listen.wait().unwrap();
    // When its handle is closed, a dropped call is still pending.
    let other = Device::from_handle(server(&pipe_name(), FILE_FLAG_OVERLAPPED)).unwrap();
    drop(other.call(LISTEN, &()));
    let callback = std::sync::mpsc::channel();
    other.call(LISTEN, &()).then(move |result| callback.0.send(result.is_err()).unwrap());
    drop(other);
    assert!(callback.1.recv_timeout(Duration::from_secs(10)).unwrap(), "closing does not end a pending call");
    // The client closes its end while a call is pending.
    let call = device.call(TRANSCEIVE, b"question".as_slice());
    drop(client);
    assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::Disconnected);
}

#[test]
fn an_operation_survives_the_thread_that_submitted_it() {
    let name = pipe_name();
    let device = Device::from_handle(server(&name, FILE_FLAG_OVERLAPPED)).unwrap();
    let call = std::thread::spawn({
        let device = device.clone();
        move || device.call(LISTEN, &())
    })
    .join()
    .unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let _client = client(&name);
    call.wait().unwrap();
}

#[test]
fn a_status_has_the_systems_name() {
    assert_eq!(Status::PIPE_DISCONNECTED.name(), Some("STATUS_PIPE_DISCONNECTED"));
}

mod reads_and_writes {
    use super::*;

    #[test]
    fn reads_and_writes_of_a_file_at_an_offset() {
        let path = std::env::temp_dir().join(format!("overlapped-file-{}", std::process::id()));
        let file = Device::options().disposition(Disposition::CreateAlways).open(&path).unwrap();
        assert_eq!(file.write_at(3, b"hello").wait().unwrap().information(), 5);
        assert_eq!(&*file.read_at(0, 64).wait().unwrap(), b"\0\0\0hello");
        assert_eq!(&*file.read_at(4, 2).wait().unwrap(), b"el");
        assert!(file.read_at(100, 2).wait().unwrap().is_empty(), "expected no bytes at the end of the file");
        assert_eq!(file.write_at(u64::MAX, b"x").wait().unwrap_err().kind(), ErrorKind::InvalidInput);
        drop(file);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn reads_and_writes_of_a_pipe() {
        let (device, client) = connected();
        device.write(b"question").wait().unwrap();
        assert_eq!(read(&client), b"question");
        let answer = device.read(64);
        write(&client, b"answer");
        assert_eq!(&*answer.wait().unwrap(), b"answer");
        let gone = device.read(64);
        drop(client);
        assert_eq!(gone.wait().unwrap_err().kind(), ErrorKind::Disconnected);
    }

    #[test]
    fn standing_reads_bring_every_message_in_order() {
        let (device, client) = connected();
        let mut messages = device.standing_reads(16).pending(4).start();
        let writer = std::thread::spawn(move || {
            for n in 0..500_u32 {
                write(&client, &n.to_ne_bytes());
            }
        });
        for n in 0..500_u32 {
            assert_eq!(*messages.wait_next().unwrap().unwrap(), n.to_ne_bytes());
        }
        writer.join().unwrap();
        assert_eq!(messages.wait_next().unwrap().unwrap_err().kind(), ErrorKind::Disconnected);
        assert!(messages.wait_next().is_none());
    }
}

mod interfaces {
    use overlapped::{ErrorCode, ErrorKind, InterfaceClass};

    /// The paths. `None` if the system has no list: Wine 8 has none.
    fn present(class: InterfaceClass) -> Option<Vec<std::path::PathBuf>> {
        match class.present() {
            Ok(paths) => Some(paths),
            Err(error) => {
                assert!(matches!(error.code(), Some(ErrorCode::ConfigManager(_))), "{error}");
                println!("skipped: this system does not list its device interfaces: {error}");
                None
            }
        }
    }

    #[test]
    fn an_unused_class_has_no_interfaces() {
        let nobodys = InterfaceClass::from_u128(0x00dd_ba11_0000_4000_8000_0000_0000_dead);
        let Some(paths) = present(nobodys) else { return };
        assert!(paths.is_empty(), "{paths:?}");
        let error = overlapped::Device::open_interface(nobodys).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("{00DDBA11-"), "{error}");
    }

    #[test]
    fn a_listed_interface_can_be_opened_or_says_why_not() {
        // GUID_DEVINTERFACE_DISK (ntddstor.h)
        let disks = InterfaceClass::from_u128(0x53f5_6307_b6bf_11d0_94f2_00a0_c91e_fb8b);
        for path in present(disks).unwrap_or_default() {
            if let Err(error) = overlapped::Device::options().read(false).write(false).open(&path) {
                assert!(error.code().is_some(), "{error}");
            }
        }
    }

    #[test]
    fn watching_works_or_says_that_the_system_cannot() {
        match InterfaceClass::from_u128(1).watch() {
            Ok(watch) => drop(watch),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
        }
    }
}
