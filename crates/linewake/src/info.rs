//! Reports when lines are requested, released and reconfigured.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::backend::InfoWatch;
use crate::ready::{Ready, wait_next};
use crate::{Chip, Error, InfoEvent, LineId, Stopper};

/// A stream of [`InfoEvent`]s: lines are requested, released and reconfigured. See [`Chip::watch_info`].
///
/// The chip has a queue for these events. A gpiochip's holds 32; when it is full, new events are dropped without a
/// report.
#[derive(Debug)]
#[must_use = "nothing is watched any more when it is dropped"]
pub struct InfoWatcher {
    watch: Box<dyn InfoWatch>,
    /// It has one source, the watch.
    ready: Ready,
    stopper: Stopper,
    is_over: bool,
}

impl Chip {
    /// Reports when lines are requested, released and reconfigured.
    ///
    /// # Errors
    /// As [`find_all`](Self::find_all); [`ErrorKind::Unsupported`](crate::ErrorKind) unless the chip
    /// [can](crate::backend::Capabilities::info_watch) report it; and the error of the device.
    pub fn watch_info<L: Into<LineId>>(&self, lines: impl IntoIterator<Item = L>) -> Result<InfoWatcher, Error> {
        let watch = self.backend().watch_info(&self.find_all(lines)?)?;
        let mut ready = Ready::new();
        ready.add();
        Ok(InfoWatcher { watch, stopper: Stopper::new(&ready), ready, is_over: false })
    }
}

impl InfoWatcher {
    /// The next event, or `None` after it was [stopped](Self::stopper).
    ///
    /// # Errors
    /// The reason that ended it, once: the device is gone ([`Error::is_disconnected`]), or it breaks its protocol.
    pub async fn next(&mut self) -> Option<Result<InfoEvent, Error>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Blocks the thread until [`next`](Self::next) is ready.
    ///
    /// # Errors
    /// As [`next`](Self::next); and [`Deadlock`](crate::ErrorKind::Deadlock) on the thread that dispatches completions,
    /// which does not end the stream.
    pub fn wait_next(&mut self) -> Option<Result<InfoEvent, Error>> {
        wait_next(None, "an event", |cx| self.poll_event(cx))
    }

    /// As [`wait_next`](Self::wait_next), but at most for `timeout`.
    ///
    /// # Errors
    /// As [`wait_next`](Self::wait_next); and an error that [`is_timeout`](Error::is_timeout), which does not end the
    /// stream.
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<InfoEvent, Error>> {
        wait_next(Some(timeout), "an event", |cx| self.poll_event(cx))
    }

    /// A handle that can end the stream from another thread or task.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<InfoEvent, Error>>> {
        while !self.is_over
            && !self.stopper.is_stopped()
            && let Some(source) = self.ready.pop(cx.waker())
        {
            let _relay = self.ready.relay(cx.waker(), source);
            if let Poll::Ready(event) = self.watch.poll_info(&mut Context::from_waker(self.ready.waker(source))) {
                self.is_over = event.is_err();
                self.ready.push(source);
                return Poll::Ready(Some(event));
            }
        }
        if self.is_over || self.stopper.is_stopped() { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl futures_core::Stream for InfoWatcher {
    type Item = Result<InfoEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(cx)
    }
}
