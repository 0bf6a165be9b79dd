//! A driver's queue of pended requests.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::{FileId, Pended, RequestId};
use crate::Status;
use crate::system::sync::lock_std as lock;

/// A queue of pended requests, in order, which handles cancellation safely, like the kernel's `IoCsq`. The driver can
/// store a value with each request.
///
/// ```
/// use overlapped::{sim::{Driver, FileId, Outcome, Queue, Request, RequestId}, Status};
///
/// /// Its waits are each for a line, which is their input's first byte.
/// #[derive(Default)]
/// struct Lines(Queue<u8>);
///
/// impl Lines {
///     fn change(&self, line: u8) {
///         while let Some((wait, _)) = self.0.pop_if(|_, wanted| *wanted == line) {
///             wait.complete(Status::SUCCESS);
///         }
///     }
/// }
///
/// impl Driver for Lines {
///     fn control(&self, request: Request) -> Outcome {
///         let Some(&line) = request.input().first() else {
///             return request.complete(Status::INVALID_PARAMETER);
///         };
///         let (wait, outcome) = request.pend();
///         self.0.push(wait, line);
///         outcome
///     }
///     fn cancel(&self, request: RequestId) {
///         self.0.cancel(request);
///     }
///     fn cleanup(&self, file: FileId) {
///         self.0.complete_all_of(file, Status::CANCELLED);
///     }
/// }
/// # use overlapped::{Access, CtlCode, Device, Ioctl, Method};
/// # // SAFETY: the driver reads one byte and writes none.
/// # const WAIT: Ioctl<u8, ()> = unsafe { Ioctl::new(CtlCode::new(0x8000, 1, Method::Buffered, Access::Any)) };
///
/// let lines = std::sync::Arc::new(Lines::default());
/// let device = Device::simulated(lines.clone())?;
/// let (third, fourth) = (device.call(WAIT, &3), device.call(WAIT, &4));
/// lines.change(3);
/// third.wait()?;
/// assert_eq!(lines.0.len(), 1);
/// drop(fourth); // cancelled
/// assert!(lines.0.is_empty());
/// # Ok::<(), overlapped::Error>(())
/// ```
#[derive(Debug)]
pub struct Queue<T>(Mutex<VecDeque<(Pended, T)>>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }
}

impl<T> Queue<T> {
    /// Puts a request at the end. If it was cancelled meanwhile, this completes it instead.
    pub fn push(&self, request: Pended, value: T) {
        let mut queue = lock(&self.0);
        // Under the lock: an earlier cancel has set the flag that is read here, and a later cancel finds the request.
        if request.is_cancelled() {
            drop(queue);
            request.complete(Status::CANCELLED);
        } else {
            queue.push_back((request, value));
        }
    }

    /// Takes the oldest request.
    ///
    /// ```
    /// # use overlapped::{sim::Queue, Status};
    /// fn answer(waiting: &Queue<()>) {
    ///     while let Some((request, ())) = waiting.pop() {
    ///         request.complete(Status::SUCCESS);
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn pop(&self) -> Option<(Pended, T)> {
        lock(&self.0).pop_front()
    }

    /// Takes the oldest request for which `wanted` is true.
    #[must_use]
    pub fn pop_if(&self, mut wanted: impl FnMut(&Pended, &T) -> bool) -> Option<(Pended, T)> {
        let mut queue = lock(&self.0);
        let at = queue.iter().position(|(request, value)| wanted(request, value))?;
        queue.remove(at)
    }

    /// Completes a request with [`Status::CANCELLED`] if it is in the queue: for
    /// [`Driver::cancel`](super::Driver::cancel). Returns whether it was.
    pub fn cancel(&self, request: RequestId) -> bool {
        let found = self.pop_if(|pended, _| pended.id() == request);
        found.map(|(pended, _)| pended.complete(Status::CANCELLED)).is_some()
    }

    /// Completes every request of a file with `status`: for [`Driver::cleanup`](super::Driver::cleanup).
    pub fn complete_all_of(&self, file: FileId, status: Status) {
        while let Some((pended, _)) = self.pop_if(|pended, _| pended.file() == file) {
            pended.complete(status);
        }
    }

    /// How many requests are in the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Whether the queue is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
