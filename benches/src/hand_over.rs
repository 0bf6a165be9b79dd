//! Several threads wait at one queue, each for its own packet, and one packet comes at a time. There are two ways to
//! get it to the right thread: one thread at a time is in the queue while the others sleep on their own (*turns*); or
//! all of them sleep in the queue and pass on packets of other threads (*several in the queue*).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};

use crate::turns::{Program, program};

/// The state that the threads share.
struct Shared {
    queue: system::Queue,
    /// A thread's packet is there.
    over: Vec<AtomicBool>,
    /// A thread has been given the turn.
    given: Vec<AtomicBool>,
    /// Each thread's handle. They are known once all threads have been started.
    threads: Mutex<Vec<Thread>>,
    turn: Mutex<Turn>,
    /// For each thread, the threads that passed it a packet: they stay out of the queue until it has the packet.
    out: Vec<Mutex<Vec<Thread>>>,
    served: AtomicU64,
    main: Thread,
}

#[derive(Default)]
struct Turn {
    is_taken: bool,
    line: Vec<usize>,
}

impl Shared {
    fn unpark(&self, thread: usize) {
        let thread = self.threads.lock().unwrap()[thread].clone();
        thread.unpark();
    }

    fn take_over(&self, own: usize) -> bool {
        self.over[own].swap(false, SeqCst)
    }

    fn wait_by_turns(&self, own: usize) {
        let stands_in_line = {
            let mut turn = self.turn.lock().unwrap();
            let is_taken = std::mem::replace(&mut turn.is_taken, true);
            if is_taken {
                turn.line.push(own);
            }
            is_taken
        };
        if stands_in_line {
            while !self.over[own].load(SeqCst) && !self.given[own].load(SeqCst) {
                thread::park();
            }
            let mut turn = self.turn.lock().unwrap();
            if let Some(place) = turn.line.iter().position(|thread| *thread == own) {
                turn.line.remove(place);
                self.over[own].store(false, SeqCst);
                return;
            }
            self.given[own].store(false, SeqCst);
        }
        while !self.take_over(own) {
            let packet = self.queue.wait();
            self.over[packet].store(true, SeqCst);
            if packet != own {
                self.unpark(packet);
            }
        }
        let next = {
            let mut turn = self.turn.lock().unwrap();
            turn.is_taken = !turn.line.is_empty();
            turn.is_taken.then(|| turn.line.remove(0))
        };
        if let Some(next) = next {
            self.given[next].store(true, SeqCst);
            self.unpark(next);
        }
    }

    fn wait_in_the_queue(&self, own: usize) {
        let count = self.over.len();
        while !self.take_over(own) {
            let packet = self.queue.wait();
            let owner = packet % count;
            if packet < count {
                self.over[owner].store(true, SeqCst);
            }
            if owner == own {
                continue;
            }
            // The owner may sleep in the queue. Another thread there may take the packet that is meant for it.
            self.out[owner].lock().unwrap().push(thread::current());
            if self.over[owner].load(SeqCst) {
                self.queue.post(owner + count);
            }
            while self.over[owner].load(SeqCst) && !self.over[own].load(SeqCst) {
                thread::park();
            }
        }
        self.out[own].lock().unwrap().drain(..).for_each(|thread| thread.unpark());
    }
}

/// `threads` threads wait. The thread whose packet comes reports it.
fn waiting(threads: usize, wait: fn(&Shared, usize)) -> Program {
    let flags = || (0..threads).map(|_| AtomicBool::new(false)).collect();
    let shared = Arc::new(Shared {
        queue: system::Queue::new(2 * threads),
        over: flags(),
        given: flags(),
        threads: Mutex::default(),
        turn: Mutex::default(),
        out: (0..threads).map(|_| Mutex::default()).collect(),
        served: AtomicU64::new(0),
        main: thread::current(),
    });
    let mut handles = shared.threads.lock().unwrap();
    for own in 0..threads {
        let waiter = {
            let shared = shared.clone();
            move || {
                drop(shared.threads.lock());
                loop {
                    wait(&shared, own);
                    shared.served.fetch_add(1, SeqCst);
                    shared.main.unpark();
                }
            }
        };
        handles.push(thread::spawn(waiter).thread().clone());
    }
    drop(handles);
    let mut next = 0;
    program(move |count| {
        for _ in 0..count {
            let served = shared.served.load(SeqCst);
            // Not the last thread again, and not always its neighbour.
            next = (next * 5 + 3) % threads;
            shared.queue.post(next);
            while shared.served.load(SeqCst) == served {
                thread::park();
            }
        }
    })
}

/// A program of the comparison.
pub fn find(threads: usize, name: &str) -> Option<Program> {
    Some(match name {
        "turns" => waiting(threads, Shared::wait_by_turns),
        "several" => waiting(threads, Shared::wait_in_the_queue),
        _ => return None,
    })
}

#[cfg(target_os = "linux")]
mod system {
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;

    use rustix::event::{EventfdFlags, epoll, eventfd};

    /// An epoll set with an eventfd for each packet: watched for edges, so that one packet wakes one thread.
    pub(super) struct Queue {
        set: OwnedFd,
        packets: Vec<OwnedFd>,
    }

    impl Queue {
        pub(super) fn new(packets: usize) -> Self {
            let set = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
            let packets: Vec<_> = (0..packets).map(|_| eventfd(0, EventfdFlags::CLOEXEC).unwrap()).collect();
            for (number, packet) in (0..).zip(&packets) {
                let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
                epoll::add(&set, packet, epoll::EventData::new_u64(number), flags).unwrap();
            }
            Self { set, packets }
        }

        pub(super) fn post(&self, packet: usize) {
            rustix::io::write(&self.packets[packet], &1_u64.to_ne_bytes()).unwrap();
        }

        pub(super) fn wait(&self) -> usize {
            let mut events = [MaybeUninit::uninit(); 1];
            loop {
                match epoll::wait(&self.set, &mut events, None) {
                    Ok(([event], _)) => return event.data.u64() as usize,
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

#[cfg(windows)]
mod system {
    use std::ptr::null_mut;

    use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
    use windows_sys::Win32::System::IO::{
        CreateIoCompletionPort, GetQueuedCompletionStatus, PostQueuedCompletionStatus,
    };
    use windows_sys::Win32::System::Threading::INFINITE;

    /// A completion port that lets any number of threads run.
    pub(super) struct Queue(HANDLE);

    // SAFETY: a completion port may be used from any thread.
    unsafe impl Send for Queue {}
    // SAFETY: as above.
    unsafe impl Sync for Queue {}

    impl Queue {
        pub(super) fn new(_: usize) -> Self {
            // SAFETY: no handle to bind: this makes a port.
            let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, null_mut(), 0, i32::MAX as u32) };
            assert!(!port.is_null());
            Self(port)
        }

        pub(super) fn post(&self, packet: usize) {
            // SAFETY: the port is open; the packet is a number and not an address.
            assert_ne!(unsafe { PostQueuedCompletionStatus(self.0, 0, packet, null_mut()) }, 0);
        }

        pub(super) fn wait(&self) -> usize {
            let (mut bytes, mut key, mut overlapped) = (0, 0, null_mut());
            // SAFETY: the out-parameters live until it returns. (It returns `false` for a packet without an OVERLAPPED
            // too.)
            unsafe { GetQueuedCompletionStatus(self.0, &mut bytes, &mut key, &mut overlapped, INFINITE) };
            key
        }
    }
}
