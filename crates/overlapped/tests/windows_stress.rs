//! Real pipes, with outcomes, cancellations, drops, timeouts and closes mixed at random from a seed. Nothing may be
//! lost, and everything must be released at the end. `OVERLAPPED_STRESS_SEED` sets the seed, `OVERLAPPED_STRESS` the
//! number.
#![cfg(windows)]

#[path = "support/pipe.rs"]
mod pipe;

use std::os::windows::io::OwnedHandle;
use std::time::Duration;

use overlapped::{Call, Device, ErrorKind, Port};
use pipe::*;
use test_support::random::Random;
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;
use windows_sys::Win32::System::Threading::GetProcessHandleCount;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn handles() -> u32 {
    let mut count = 0;
    // SAFETY: the handle is this process's pseudo handle, and the count lives through the call.
    assert_ne!(unsafe { GetProcessHandleCount((-1_isize) as _, &mut count) }, 0);
    count
}

fn connected_on(port: &Port) -> (Device, OwnedHandle) {
    let name = pipe_name();
    let device = Device::from_handle_on(port, server(&name, FILE_FLAG_OVERLAPPED)).unwrap();
    let listen = device.call(LISTEN, &());
    let client = client(&name);
    port.block_on(listen).unwrap().unwrap();
    (device, client)
}

#[test]
fn pipes() {
    let operations = from_environment("OVERLAPPED_STRESS", 50_000);
    let seed = from_environment("OVERLAPPED_STRESS_SEED", 1);
    println!("OVERLAPPED_STRESS_SEED={seed} OVERLAPPED_STRESS={operations}");
    let mut random = Random::new(seed);
    let mut below = move |limit: u64| random.below(limit);
    let port = Port::manual().unwrap();
    let wait = |call: Call<[u8]>| port.block_on(call).unwrap();
    drop(connected_on(&port));
    let before = handles();
    let mut listener = Device::from_handle_on(&port, server(&pipe_name(), FILE_FLAG_OVERLAPPED)).unwrap();
    let (mut device, mut client) = connected_on(&port);
    let mut counts = [0_u64; 9];
    let mut unread = 0_u32;
    for n in 0..operations {
        let kind = below(100);
        let bytes = (n as u32).to_ne_bytes();
        match kind {
            0..20 => {
                drop(listener.call(LISTEN, &()));
                counts[0] += 1;
            }
            20..30 => {
                let call = listener.call(LISTEN, &());
                call.cancel();
                assert_eq!(port.block_on(call).unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
                counts[1] += 1;
            }
            30..32 => {
                let call = listener.call(LISTEN, &()).timeout(Duration::from_micros(below(2000)));
                assert_eq!(port.block_on(call).unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
                counts[2] += 1;
            }
            32..55 if unread < 100 => {
                write(&client, &bytes);
                unread += 1;
                let peek = wait(device.call(PEEK, &())).unwrap();
                assert!(peek.len() >= 20);
                assert!(wait(device.call(pipe::peek(17), &())).unwrap().more_data());
                assert!(wait(device.call(pipe::peek(2), &())).is_err());
                counts[3] += 3;
            }
            55..75 => {
                while unread > 0 {
                    assert_eq!(wait(device.read(64)).unwrap().len(), 4);
                    unread -= 1;
                }
                let answer = device.read(64);
                write(&client, &bytes);
                assert_eq!(*wait(answer).unwrap(), bytes);
                counts[4] += 1;
            }
            75..85 => {
                while unread > 0 {
                    wait(device.read(64)).unwrap();
                    unread -= 1;
                }
                // A dropped read must not take a message that comes later.
                drop(device.read(64));
                while port.stats().in_flight > 0 && port.poll(Some(Duration::from_millis(1))) > 0 {}
                counts[5] += 1;
            }
            85..95 => {
                let call = device.write(&bytes);
                assert_eq!(port.block_on(call).unwrap().unwrap().information(), 4);
                assert_eq!(read(&client), bytes);
                counts[6] += 1;
            }
            95 if n % 10 == 0 => {
                let pending = device.read(64);
                drop(std::mem::replace(&mut client, client_of_nobody()));
                let _ = port.block_on(pending).unwrap();
                (device, client) = connected_on(&port);
                unread = 0;
                counts[7] += 1;
            }
            96 if n % 10 == 0 => {
                drop(listener.call(LISTEN, &()));
                listener = Device::from_handle_on(&port, server(&pipe_name(), FILE_FLAG_OVERLAPPED)).unwrap();
                counts[8] += 1;
            }
            _ => {
                port.poll(Some(Duration::ZERO));
            }
        }
    }
    drop((device, client, listener));
    while port.stats().in_flight > 0 {
        assert!(port.poll(Some(Duration::from_secs(10))) > 0, "{:?}: {:?}", port.stats(), port.pending());
    }
    println!(
        "{counts:?} (dropped, cancelled, timed out, peeked, read, read and dropped, written, unplugged, reopened)"
    );
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert!(port.stats().slots <= 1024, "memory grew: {:?}", port.stats());
    assert_eq!(handles(), before, "handles");
}

/// Any handle, to replace another one.
fn client_of_nobody() -> OwnedHandle {
    server(&pipe_name(), 0)
}
