//! The bytes that reads of a stream had brought when nobody was there any more to take them.
//!
//! A read that loses a `select!` may have its bytes already, or may get them before its cancellation arrives. They are
//! the stream's: the next read gets them, in the order in which they came. Reads are numbered as they are submitted;
//! bytes that come back are kept by those numbers:
//!
//! - A read that is submitted while there are some gets them at once.
//! - A read that waits in the driver gets a *promise*: the bytes are kept for it, and it is cancelled, so that it ends
//!   now. Its owner, who finds it over, takes what was promised.
//! - A read that ends with bytes of its own, though older ones were promised to it or came back meanwhile, gets the
//!   older ones. Its own go back in their place.
//!
//! Who takes, promises and leaves does so under one lock, after the state of the operation has changed: so a promise is
//! kept, or found by who leaves. It is not locked while there is nothing, which is nearly always.

use std::collections::VecDeque;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::port::InFlight;
use crate::sync::{AtomicU64, Mutex, MutexGuard, lock};

/// How the bytes of a device go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// One after the other: pipes, terminals, stream sockets. A read may join what came in pieces.
    Bytes,
    /// In messages, reports or records, which a read brings whole.
    Messages,
    /// As the bytes of a regular file, which has a position of its own.
    Places,
}

/// What came back of one device's reads.
#[derive(Debug)]
pub(crate) struct Unread {
    numbers: AtomicU64,
    chunks: Mutex<VecDeque<Chunk>>,
    /// Whether there are any: nobody locks to see that there are none.
    any: AtomicBool,
}

#[derive(Debug)]
struct Chunk {
    /// That of the read that brought it.
    number: u64,
    bytes: Box<[u8]>,
    /// So many of them were given out.
    start: usize,
    promised: Option<InFlight>,
}

impl Chunk {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// What a read was given in place of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) len: usize,
    /// The message was longer; the rest is for the next read.
    pub(crate) more: bool,
    /// The number of the read that had brought it: under that it comes back once more, if it does.
    pub(crate) number: u64,
}

/// What a read ended with.
#[derive(Debug)]
pub(crate) enum Own {
    Bytes(Box<[u8]>),
    /// The end of the stream, or a failure.
    None,
    Cancelled,
}

impl Unread {
    pub(crate) fn new() -> Self {
        Self { numbers: AtomicU64::new(1), chunks: Mutex::new(VecDeque::new()), any: AtomicBool::new(false) }
    }

    /// The number of a read that is being submitted.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    /// Whether there may be something. To whoever made it so, or was told by them, it is never falsely `false`.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Acquire)
    }

    /// Gives a new read what there is, unless it is promised to others.
    pub(crate) fn take(&self, kind: StreamKind, output: &mut [u8]) -> Option<Given> {
        let mut chunks = self.lock();
        let first = chunks.iter().position(|chunk| chunk.promised.is_none())?;
        let mut given = self.give(&mut chunks, first, kind, output);
        while kind != StreamKind::Messages
            && given.len < output.len()
            && let Some(next) = chunks.iter().position(|chunk| chunk.promised.is_none())
        {
            given.len += self.give(&mut chunks, next, kind, &mut output[given.len..]).len;
        }
        self.note(&chunks);
        Some(given)
    }

    /// The read `operation`, with this number, is over. `Some`: older bytes are in `output` in place of what it brought,
    /// which was kept. The end of the stream, or a failure, comes to a later read once more.
    pub(crate) fn settle(
        &self,
        kind: StreamKind,
        operation: InFlight,
        number: u64,
        own: Own,
        output: &mut [u8],
    ) -> Option<Given> {
        let mut chunks = self.lock();
        let promised = chunks.iter().position(|chunk| chunk.promised == Some(operation));
        let older = || chunks.iter().position(|chunk| chunk.promised.is_none() && chunk.number < number);
        let at = promised.or_else(|| if matches!(own, Own::Cancelled) { None } else { older() })?;
        let given = self.give(&mut chunks, at, kind, output);
        if let Own::Bytes(own) = own
            && (!own.is_empty() || kind == StreamKind::Messages)
        {
            keep(&mut chunks, number, own);
        }
        self.note(&chunks);
        Some(given)
    }

    /// Keeps the bytes that the read with this number had brought, for the next one.
    pub(crate) fn give_back(&self, number: u64, bytes: &[u8]) {
        let bytes = bytes.into();
        let mut chunks = self.lock();
        keep(&mut chunks, number, bytes);
        self.note(&chunks);
    }

    /// Who owned the read `operation` has left: what was promised to it is for another.
    pub(crate) fn withdraw(&self, operation: InFlight) {
        self.lock()
            .iter_mut()
            .filter(|chunk| chunk.promised == Some(operation))
            .for_each(|chunk| chunk.promised = None);
    }

    /// Promises what is there to one who waits for it. `waiting` gives the number of the read that has waited longest,
    /// of those for which the closure it is given says that nothing was promised to them yet.
    pub(crate) fn promise(
        &self,
        waiting: impl FnOnce(&dyn Fn(InFlight) -> bool) -> Option<InFlight>,
    ) -> Option<InFlight> {
        let mut chunks = self.lock();
        let first = chunks.iter().position(|chunk| chunk.promised.is_none())?;
        let reader = waiting(&|operation| chunks.iter().all(|chunk| chunk.promised != Some(operation)))?;
        chunks[first].promised = Some(reader);
        Some(reader)
    }

    /// Takes everything: the device is closed. How many reads had brought it, and how many bytes there are.
    pub(crate) fn clear(&self) -> (u64, u64) {
        let chunks = std::mem::take(&mut *self.lock());
        (chunks.len() as u64, chunks.iter().map(|chunk| chunk.rest().len() as u64).sum())
    }

    fn give(&self, chunks: &mut VecDeque<Chunk>, at: usize, kind: StreamKind, output: &mut [u8]) -> Given {
        let chunk = &mut chunks[at];
        let number = chunk.number;
        let len = chunk.rest().len().min(output.len());
        output[..len].copy_from_slice(&chunk.rest()[..len]);
        chunk.start += len;
        chunk.promised = None;
        let rest = !chunk.rest().is_empty();
        if !rest {
            chunks.remove(at);
        }
        Given { len, more: rest && kind == StreamKind::Messages, number }
    }

    fn note(&self, chunks: &VecDeque<Chunk>) {
        self.any.store(!chunks.is_empty(), Release);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Chunk>> {
        lock(&self.chunks)
    }
}

fn keep(chunks: &mut VecDeque<Chunk>, number: u64, bytes: Box<[u8]>) {
    let at = chunks.partition_point(|chunk| chunk.number < number);
    chunks.insert(at, Chunk { number, bytes, start: 0, promised: None });
}
