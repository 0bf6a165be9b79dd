//! Real pipes, with outcomes, cancellations, drops, timeouts and closes mixed at random from a seed. Nothing may be
//! lost, and everything must be released at the end. `OVERLAPPED_STRESS_SEED` sets the seed, `OVERLAPPED_STRESS` the
//! number of operations.
#![cfg(windows)]

#[path = "support/pipe.rs"]
mod pipe;

use std::os::windows::io::OwnedHandle;
use std::time::Duration;

use overlapped::{Call, Device, Error, ErrorKind, Output, Port, Reply};
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

fn listener(port: &Port) -> Device {
    Device::from_handle_on(port, server(&pipe_name(), FILE_FLAG_OVERLAPPED)).unwrap()
}

fn connected_on(port: &Port) -> (Device, OwnedHandle) {
    let name = pipe_name();
    let device = Device::from_handle_on(port, server(&name, FILE_FLAG_OVERLAPPED)).unwrap();
    let listen = device.call(LISTEN, &());
    let client = client(&name);
    port.block_on(listen).unwrap().unwrap();
    (device, client)
}

/// The pipes of the test.
struct Pipes<'a> {
    port: &'a Port,
    listener: Device,
    device: Device,
    client: OwnedHandle,
    /// How many messages of the client were not read yet.
    unread: u32,
}

impl<'a> Pipes<'a> {
    fn new(port: &'a Port) -> Self {
        let (device, client) = connected_on(port);
        Self { port, listener: listener(port), device, client, unread: 0 }
    }

    fn wait<Out: Output + ?Sized>(&self, call: Call<Out>) -> Result<Reply<Out>, Error> {
        self.port.block_on(call).unwrap()
    }

    fn peek(&mut self, bytes: &[u8]) {
        write(&self.client, bytes);
        self.unread += 1;
        let peek = self.wait(self.device.call(PEEK, &())).unwrap();
        assert!(peek.len() >= 20);
        assert!(self.wait(self.device.call(pipe::peek(17), &())).unwrap().more_data());
        assert!(self.wait(self.device.call(pipe::peek(2), &())).is_err());
    }

    fn read_all(&mut self) {
        for _ in 0..std::mem::take(&mut self.unread) {
            assert_eq!(self.wait(self.device.read(64)).unwrap().len(), 4);
        }
    }

    fn unplug(&mut self) {
        let pending = self.device.read(64);
        drop(std::mem::replace(&mut self.client, client_of_nobody()));
        let _ = self.wait(pending);
        (self.device, self.client) = connected_on(self.port);
        self.unread = 0;
    }

    /// The `n`th operation, chosen at random. Returns its index in [`KINDS`].
    fn operate(&mut self, n: u64, random: &mut Random) -> Option<usize> {
        let bytes = (n as u32).to_ne_bytes();
        let listen = || self.listener.call(LISTEN, &());
        match random.below(100) {
            0..20 => {
                drop(listen());
                Some(0)
            }
            20..30 => {
                let call = listen();
                call.cancel();
                assert_eq!(self.wait(call).unwrap_err().kind(), ErrorKind::Cancelled);
                Some(1)
            }
            30..32 => {
                let call = listen().timeout(Duration::from_micros(random.below(2000)));
                assert_eq!(self.wait(call).unwrap_err().kind(), ErrorKind::TimedOut);
                Some(2)
            }
            32..55 if self.unread < 100 => {
                self.peek(&bytes);
                Some(3)
            }
            55..75 => {
                self.read_all();
                let answer = self.device.read(64);
                write(&self.client, &bytes);
                assert_eq!(*self.wait(answer).unwrap(), bytes);
                Some(4)
            }
            75..85 => {
                self.read_all();
                // A dropped read must not take a message that comes later.
                drop(self.device.read(64));
                while self.port.stats().in_flight > 0 && self.port.poll(Some(Duration::from_millis(1))) > 0 {}
                Some(5)
            }
            85..95 => {
                assert_eq!(self.wait(self.device.write(&bytes)).unwrap().information(), 4);
                assert_eq!(read(&self.client), bytes);
                Some(6)
            }
            95 if n.is_multiple_of(10) => {
                self.unplug();
                Some(7)
            }
            96 if n.is_multiple_of(10) => {
                drop(listen());
                self.listener = listener(self.port);
                Some(8)
            }
            _ => {
                self.port.poll(Some(Duration::ZERO));
                None
            }
        }
    }
}

const KINDS: [&str; 9] =
    ["dropped", "cancelled", "timed out", "peeked", "read", "read and dropped", "written", "unplugged", "reopened"];

#[test]
fn pipes() {
    let operations = from_environment("OVERLAPPED_STRESS", 50_000);
    let seed = from_environment("OVERLAPPED_STRESS_SEED", 1);
    println!("OVERLAPPED_STRESS_SEED={seed} OVERLAPPED_STRESS={operations}");
    let mut random = Random::new(seed);
    let port = Port::manual().unwrap();
    drop(connected_on(&port));
    let before = handles();
    let mut pipes = Pipes::new(&port);
    let mut counts = KINDS.map(|kind| (kind, 0_u64));
    for n in 0..operations {
        if let Some(kind) = pipes.operate(n, &mut random) {
            counts[kind].1 += 1;
        }
    }
    drop(pipes);
    while port.stats().in_flight > 0 {
        assert!(port.poll(Some(Duration::from_secs(10))) > 0, "{:?}: {:?}", port.stats(), port.pending());
    }
    println!("{counts:?}");
    assert!(counts.iter().all(|(_, count)| *count > 0), "{counts:?}");
    assert!(port.stats().slots <= 1024, "memory grew: {:?}", port.stats());
    assert_eq!(handles(), before, "handles");
}

/// Any handle, to replace another one.
fn client_of_nobody() -> OwnedHandle {
    server(&pipe_name(), 0)
}
