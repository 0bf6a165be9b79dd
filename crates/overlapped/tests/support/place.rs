//! Paths that no one else uses, and a check that a port sleeps.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use overlapped::Port;
use rustix::time::{ClockId, clock_gettime};

use crate::stream::settle;

/// A path that no one else uses. A file there is removed when this is dropped.
pub(crate) struct Path(pub(crate) PathBuf);

impl Path {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("overlapped-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(crate) fn fifo() -> Path {
    let path = Path::new();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path.0,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    path
}

/// Polls the port for a while in which no event can come. Returns whether it slept, instead of spinning.
pub(crate) fn is_idle(port: &Port) -> bool {
    settle(port);
    let time = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let (begin, worked) = (Instant::now(), time());
    let packets = port.poll(Some(Duration::from_millis(100)));
    packets == 0 && begin.elapsed() >= Duration::from_millis(100) && time() - worked < Duration::from_millis(10)
}
