//! A device behind `AsyncRead` and `AsyncWrite`: the bytes that are read, the bytes that are written, and the end.
#![cfg(not(loom))]

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::executor::block_on;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use overlapped::sim::{Driver, FileId, Outcome, Pended, Queue, Request, RequestId};
use overlapped::{ByteStream, Device, Status};
use tokio_util::compat::FuturesAsyncReadCompatExt;

/// Reads are answered in turn, each from the list. When the list is empty, they wait. Writes stay pending until the
/// test completes them.
#[derive(Default)]
struct Line {
    answers: Mutex<VecDeque<(Status, Vec<u8>)>>,
    reads: Queue<()>,
    writes: Queue<Vec<u8>>,
}

impl Driver for Line {
    fn control(&self, request: Request) -> Outcome {
        request.complete(Status::INVALID_DEVICE_REQUEST)
    }

    fn read(&self, mut request: Request) -> Outcome {
        match self.answers.lock().unwrap().pop_front() {
            Some((status, bytes)) => {
                request.write(&bytes);
                request.complete(status)
            }
            None => {
                let (pended, outcome) = request.pend();
                self.reads.push(pended, ());
                outcome
            }
        }
    }

    fn write(&self, request: Request) -> Outcome {
        let bytes = request.input().to_vec();
        let (pended, outcome) = request.pend();
        self.writes.push(pended, bytes);
        outcome
    }

    fn cancel(&self, request: RequestId) {
        self.reads.cancel(request);
        self.writes.cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        self.reads.complete_all_of(file, Status::CANCELLED);
        self.writes.complete_all_of(file, Status::CANCELLED);
    }
}

fn line(answers: &[(Status, &[u8])]) -> (Arc<Line>, ByteStream) {
    let line = Arc::new(Line::default());
    *line.answers.lock().unwrap() = answers.iter().map(|(status, bytes)| (*status, bytes.to_vec())).collect();
    (line.clone(), ByteStream::new(Device::simulated(line).unwrap()))
}

fn try_read(stream: &mut ByteStream, room: usize) -> Poll<io::Result<usize>> {
    Pin::new(stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut vec![0; room])
}

fn try_write(stream: &mut ByteStream, bytes: &[u8]) -> Poll<io::Result<usize>> {
    Pin::new(stream).poll_write(&mut Context::from_waker(Waker::noop()), bytes)
}

/// Completes the write that waits, with `count` bytes written. Returns the bytes of the write.
fn let_go(line: &Line, status: Status, count: usize) -> Vec<u8> {
    let (mut pended, bytes): (Pended, _) = line.writes.pop().expect("a write waits");
    pended.set_information(count);
    pended.complete(status);
    bytes
}

#[test]
fn zero_is_the_end_and_nothing_else() {
    // STATUS_TIMEOUT: a serial port's read timed out.
    let timeout = Status::from_u32(0x102);
    let (_, mut stream) = line(&[
        (timeout, b""),
        (Status::SUCCESS, b""),
        (Status::SUCCESS, b"ab"),
        (timeout, b""),
        (Status::END_OF_FILE, b""),
        (Status::SUCCESS, b"c"),
        (Status::PIPE_BROKEN, b""),
    ]);
    let mut read = || {
        let mut bytes = Vec::new();
        block_on(stream.read_to_end(&mut bytes)).map(|_| bytes)
    };
    assert_eq!(read().unwrap(), b"ab");
    assert_eq!(read().unwrap(), b"c", "reading goes on after the end, as for a file that grows");
}

#[test]
fn reads_of_no_bytes_do_not_starve_other_tasks() {
    let (line, mut stream) = line(&[(Status::SUCCESS, b"".as_slice()); 100]);
    assert!(try_read(&mut stream, 8).is_pending());
    assert_eq!(line.answers.lock().unwrap().len(), 68);
}

#[test]
fn a_read_that_was_given_up_leaves_its_bytes_to_the_next_read() {
    let (line, mut stream) = line(&[]);
    assert!(try_read(&mut stream, 8).is_pending());
    assert!(try_read(&mut stream, 2).is_pending());
    assert_eq!(line.reads.len(), 1, "one read at a time");
    let (mut pended, ()) = line.reads.pop().unwrap();
    pended.write(b"abcdefgh");
    pended.complete(Status::SUCCESS);
    let mut bytes = [0; 8];
    block_on(async {
        for piece in bytes.chunks_mut(3) {
            stream.read_exact(piece).await.unwrap();
        }
    });
    assert_eq!(&bytes, b"abcdefgh");
    assert_eq!(line.reads.len(), 0, "no read was submitted in advance");
}

#[test]
fn bytes_left_in_a_stream_go_to_the_devices_next_read() {
    let (line, mut stream) = line(&[]);
    assert!(try_read(&mut stream, 8).is_pending());
    let (mut pended, ()) = line.reads.pop().unwrap();
    pended.write(b"abcdefgh");
    pended.complete(Status::SUCCESS);
    assert_eq!(block_on(stream.read(&mut [0; 3])).unwrap(), 3);
    let device = stream.device().clone();
    drop(stream);
    assert_eq!(&*device.read(8).wait().unwrap(), b"defgh");
}

#[test]
fn a_failed_read_is_reported_and_the_next_read_is_new() {
    let (_, mut stream) = line(&[(Status::DEVICE_NOT_CONNECTED, b""), (Status::SUCCESS, b"a")]);
    let mut byte = [0];
    assert_eq!(block_on(stream.read(&mut byte)).unwrap_err().kind(), io::ErrorKind::NotConnected);
    assert_eq!(block_on(stream.read(&mut byte)).unwrap(), 1);
}

#[test]
fn a_write_that_was_given_up_took_nothing() {
    let (line, mut stream) = line(&[]);
    assert!(matches!(try_write(&mut stream, b"first"), Poll::Ready(Ok(5))));
    assert!(try_write(&mut stream, b"given up").is_pending());
    assert_eq!(line.writes.len(), 1, "one write at a time");
    assert_eq!(let_go(&line, Status::SUCCESS, 5), b"first");
    assert_eq!(block_on(stream.write(b"other")).unwrap(), 5);
    assert_eq!(let_go(&line, Status::SUCCESS, 5), b"other");
    block_on(stream.flush()).unwrap();
    assert_eq!(line.writes.len(), 0);
}

#[test]
fn a_partial_write_is_followed_by_the_rest() {
    let (line, mut stream) = line(&[]);
    assert!(matches!(try_write(&mut stream, b"abcdef"), Poll::Ready(Ok(6))));
    assert_eq!(let_go(&line, Status::SUCCESS, 4), b"abcdef");
    let flush = |stream: &mut ByteStream| Pin::new(stream).poll_flush(&mut Context::from_waker(Waker::noop()));
    while line.writes.is_empty() {
        assert!(flush(&mut stream).is_pending());
        std::thread::yield_now();
    }
    assert_eq!(let_go(&line, Status::SUCCESS, 2), b"ef");
    block_on(stream.close()).unwrap();
}

#[test]
fn a_failed_write_is_reported_once_by_the_next_call() {
    let (line, mut stream) = line(&[]);
    assert!(matches!(try_write(&mut stream, b"lost"), Poll::Ready(Ok(4))));
    let_go(&line, Status::DEVICE_NOT_CONNECTED, 0);
    assert_eq!(block_on(stream.flush()).unwrap_err().kind(), io::ErrorKind::NotConnected);
    block_on(stream.flush()).unwrap();
    assert!(matches!(try_write(&mut stream, b"x"), Poll::Ready(Ok(1))));
    let_go(&line, Status::SUCCESS, 0);
    assert_eq!(block_on(stream.write(b"y")).unwrap_err().kind(), io::ErrorKind::WriteZero);
    assert_eq!(line.writes.len(), 0, "a write of no bytes is not repeated");
}

#[test]
fn tokio_reads_it_through_compat() {
    use tokio::io::AsyncBufReadExt;
    let (_, stream) = line(&[(Status::SUCCESS, b"one\ntw"), (Status::SUCCESS, b"o\n"), (Status::END_OF_FILE, b"")]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lines = runtime.block_on(async {
        let mut lines = tokio::io::BufReader::new(stream.compat()).lines();
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            all.push(line);
        }
        all
    });
    assert_eq!(lines, ["one", "two"]);
}
