//! Messages from many pipes, read by one thread as they come: standing reads, tokio's AsyncFd, and a bare epoll loop.
//!
//! Each round writes a message to every pipe, and then measures how long it takes to read them all.

use std::cell::Cell;
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use overlapped::{Device, Port};
use rustix::event::epoll;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::turns::Program;

const MESSAGE: &[u8] = b"message!";

/// Pipes, each opened once for reading and writing. Two files for each would be more than many systems allow.
fn pipes(count: usize) -> (Vec<OwnedFd>, Vec<Writer>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the maximum it may be raised");
    let readers: Vec<OwnedFd> = (0..count)
        .map(|_| {
            let (reader, _writer) = std::io::pipe().expect("one more file may be open");
            let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
            File::options().read(true).write(true).open(path).expect("one more file may be open").into()
        })
        .collect();
    let writers = readers.iter().map(|reader| Writer(reader.as_raw_fd())).collect();
    (readers, writers)
}

/// The writing side of a pipe. The reader owns the file, and lives at least as long.
struct Writer(RawFd);

impl Writer {
    fn write(&self) {
        // SAFETY: the file is open as long as the program that reads it exists.
        let file = unsafe { BorrowedFd::borrow_raw(self.0) };
        assert_eq!(rustix::io::write(file, MESSAGE), Ok(MESSAGE.len()));
    }
}

/// Writes to every pipe, then lets `read` read that many messages; again and again.
fn program(writers: Vec<Writer>, mut read: impl FnMut(u64) + 'static) -> Program {
    Box::new(move |count| {
        let mut taken = Duration::ZERO;
        for _ in 0..count / writers.len() as u64 {
            writers.iter().for_each(Writer::write);
            let started = Instant::now();
            read(writers.len() as u64);
            taken += started.elapsed();
        }
        taken
    })
}

/// epoll_wait for 64 files at a time, and one read of each.
pub fn bare_epoll(pipes_: usize) -> Program {
    let (readers, writers) = pipes(pipes_);
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    for (number, reader) in (0..).zip(&readers) {
        rustix::io::ioctl_fionbio(reader, true).unwrap();
        epoll::add(&set, reader, epoll::EventData::new_u64(number), epoll::EventFlags::IN).unwrap();
    }
    program(writers, move |count| {
        let mut left = count;
        let mut buffer = [0; 64];
        let mut events = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; 64];
        while left > 0 {
            let (ready, _) = epoll::wait(&set, &mut events, None).unwrap();
            for event in ready {
                let length = rustix::io::read(&readers[event.data.u64() as usize], &mut buffer).unwrap();
                assert_eq!(&buffer[..length], MESSAGE);
                left -= 1;
            }
        }
    })
}

/// Standing reads with a callback each, on a manual port.
pub fn standing_reads(pipes_: usize) -> Program {
    let (readers, writers) = pipes(pipes_);
    let port = Port::manual().unwrap();
    let read = Arc::new(AtomicU64::new(0));
    let subscriptions: Vec<_> = readers
        .into_iter()
        .map(|reader| {
            let read = read.clone();
            let device = Device::from_fd_on(&port, reader).unwrap();
            device.standing_reads(64).start().for_each(move |message| {
                assert_eq!(&*message.unwrap(), MESSAGE);
                // There is only one thread.
                read.store(read.load(Relaxed) + 1, Relaxed);
            })
        })
        .collect();
    // The dispatcher sets up the callbacks.
    while port.poll(Some(Duration::ZERO)) > 0 {}
    let mut expected = 0;
    program(writers, move |count| {
        let _ = &subscriptions;
        expected += count;
        while read.load(Relaxed) < expected {
            port.poll(None);
        }
        assert_eq!(read.load(Relaxed), expected);
    })
}

/// The same streams, each awaited by a task of tokio on this thread; the default port's dispatcher reads.
pub fn standing_reads_awaited(pipes_: usize) -> Program {
    let (readers, writers) = pipes(pipes_);
    tasks(writers, |counted| {
        for reader in readers {
            read_each(Device::from_fd(reader).unwrap(), counted.clone());
        }
    })
}

/// The same on a manual port, which a task polls whenever tokio's own loop finds it readable.
pub fn standing_reads_in_its_loop(pipes_: usize) -> Program {
    let (readers, writers) = pipes(pipes_);
    tasks(writers, |counted| {
        let port = Port::manual().unwrap();
        for reader in readers {
            let device = Device::from_fd_on(&port, reader).unwrap();
            read_each(device, counted.clone());
        }
        // SAFETY: a port has one descriptor, and keeps it open.
        let port = unsafe { AsyncFd::register_with_interest(port, Interest::READABLE) }.unwrap();
        tokio::task::spawn_local(async move {
            loop {
                let mut readable = port.readable().await.unwrap();
                while port.get_ref().poll(Some(Duration::ZERO)) > 0 {}
                readable.clear_ready();
            }
        });
    })
}

/// A task that counts the messages of a device.
fn read_each(device: Device, counted: Rc<Counted>) {
    let mut messages = device.standing_reads(64).start();
    tokio::task::spawn_local(async move {
        while let Some(message) = messages.next().await {
            assert_eq!(&*message.unwrap(), MESSAGE);
            counted.one();
        }
    });
}

/// tokio's AsyncFd, a task for each pipe.
pub fn async_fd(pipes_: usize) -> Program {
    let (readers, writers) = pipes(pipes_);
    tasks(writers, |counted| {
        for reader in readers {
            let counted = counted.clone();
            rustix::io::ioctl_fionbio(&reader, true).unwrap();
            // SAFETY: the value owns the file, and nobody closes it or takes it out of tokio's epoll set.
            let reader = unsafe { AsyncFd::register_with_interest(reader, Interest::READABLE) }.unwrap();
            tokio::task::spawn_local(async move {
                let mut buffer = [0; 64];
                loop {
                    let mut ready = reader.readable().await.unwrap();
                    let read = ready.try_io(|reader| Ok(rustix::io::read(reader, &mut buffer)?));
                    if let Ok(length) = read {
                        assert_eq!(&buffer[..length.unwrap()], MESSAGE);
                        counted.one();
                    }
                }
            });
        }
    })
}

/// Counts messages, and reports when there are enough.
#[derive(Default)]
struct Counted {
    left: Cell<u64>,
    enough: Notify,
}

impl Counted {
    fn one(&self) {
        // A message may come before it is asked for.
        self.left.set(self.left.get().wrapping_sub(1));
        if self.left.get() == 0 {
            self.enough.notify_one();
        }
    }
}

fn tasks(writers: Vec<Writer>, spawn: impl FnOnce(&Rc<Counted>)) -> Program {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let counted = Rc::new(Counted::default());
    local.block_on(&runtime, async { spawn(&counted) });
    program(writers, move |count| {
        local.block_on(&runtime, async {
            counted.left.set(counted.left.get().wrapping_add(count));
            if counted.left.get() != 0 {
                counted.enough.notified().await;
            }
        });
    })
}
