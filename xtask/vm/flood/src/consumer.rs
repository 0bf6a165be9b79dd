//! Reads the output of the program that reads the lines: as fast as it comes, or so many lines of text a second.

use std::io::Read;
use std::process::ChildStdout;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A slow consumer takes a portion of its lines of text in each period.
const PERIOD: Duration = Duration::from_millis(10);

/// The output that was read.
#[derive(Default)]
pub(crate) struct Printed {
    /// The number of lines of text that report an edge.
    pub(crate) edges: u64,
    /// The last line of text.
    pub(crate) last: String,
}

pub(crate) struct Consumer {
    bytes: Arc<AtomicU64>,
    thread: JoinHandle<std::io::Result<Printed>>,
}

impl Consumer {
    /// Reads until the other side is closed. If `lines_a_second` is not zero, it reads no faster than that.
    pub(crate) fn start(output: ChildStdout, lines_a_second: u64) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let count = bytes.clone();
        Self { bytes, thread: thread::spawn(move || consume(output, lines_a_second, &count)) }
    }

    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub(crate) fn join(self) -> std::io::Result<Printed> {
        self.thread.join().expect("it does not panic")
    }
}

fn consume(mut output: ChildStdout, lines_a_second: u64, bytes: &AtomicU64) -> std::io::Result<Printed> {
    // A slow consumer reads little at a time, so that the pipe fills up.
    let mut buffer = vec![0; if lines_a_second == 0 { 1 << 16 } else { 512 }];
    let portion = (lines_a_second / (1000 / PERIOD.as_millis() as u64)).max(1);
    let (mut printed, mut line, mut left) = (Printed::default(), Vec::new(), portion);
    loop {
        let length = output.read(&mut buffer)?;
        if length == 0 {
            return Ok(printed);
        }
        bytes.fetch_add(length as u64, Relaxed);
        for part in buffer[..length].split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let text = String::from_utf8_lossy(&line);
                printed.edges += u64::from(is_edge(&text));
                printed.last = text.into_owned();
                line.clear();
                left = left.saturating_sub(1);
            }
        }
        if lines_a_second > 0 && left == 0 {
            left = portion;
            thread::sleep(PERIOD);
        }
    }
}

/// Whether a line of text reports an edge: every program names the direction.
fn is_edge(line: &str) -> bool {
    ["rising", "falling", "Rising", "Falling"].iter().any(|kind| line.contains(kind))
}
