//! Options of a monitor: the requests, and how to monitor them.

use std::time::Duration;

use super::merge::WhenFull;
use crate::RequestBuilder;

/// Options of a monitor: the requests, and how to monitor them.
///
/// ```
/// use std::time::Duration;
/// # let chip = linewake::Chip::open("sim")?;
/// let monitor = linewake::Monitor::builder()
///     .request(chip.request().all_lines())
///     .window(Duration::from_millis(5))
///     .states(true)
///     .reattach(true)
///     .start()?;
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is monitored before `start`"]
pub struct MonitorBuilder {
    pub(super) requests: Vec<RequestBuilder>,
    pub(super) window: Duration,
    pub(super) capacity: usize,
    pub(super) when_full: WhenFull,
    pub(super) states: bool,
    pub(super) reattach: bool,
    pub(super) retry: Duration,
}

impl MonitorBuilder {
    pub(super) fn new() -> Self {
        Self {
            requests: Vec::new(),
            window: Duration::from_millis(1),
            capacity: 1 << 16,
            when_full: WhenFull::default(),
            states: false,
            reattach: false,
            retry: Duration::from_millis(200),
        }
    }

    /// Adds a request.
    pub fn request(mut self, request: RequestBuilder) -> Self {
        self.requests.push(request);
        self
    }

    /// Adds requests.
    pub fn requests(mut self, requests: impl IntoIterator<Item = RequestBuilder>) -> Self {
        self.requests.extend(requests);
        self
    }

    /// Sets how long an edge waits for earlier edges that have not arrived yet: 1 ms by default. With zero, only edges
    /// that arrive together are put in order.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how many events the monitor holds at most: 65,536 by default.
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }

    /// Sets the action when the buffer is full because the program is too slow: [`WhenFull::Block`] by default.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Makes the stream begin with the [state](super::Event::State) of each line. Off by default.
    pub fn states(mut self, states: bool) -> Self {
        self.states = states;
        self
    }

    /// Makes the monitor wait for an unplugged chip and watch it again when it is back. Off by default.
    pub fn reattach(mut self, reattach: bool) -> Self {
        self.reattach = reattach;
        self
    }

    /// Sets the time between two looks for an unplugged chip: 200 ms by default, and at least 1 ms.
    pub fn retry(mut self, period: Duration) -> Self {
        self.retry = period.max(Duration::from_millis(1));
        self
    }
}
