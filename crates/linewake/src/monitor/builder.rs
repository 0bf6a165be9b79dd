//! What to monitor, and how.

use std::time::Duration;

use super::merge::WhenFull;
use crate::RequestBuilder;

/// What to monitor, and how.
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

    /// One more request.
    pub fn request(mut self, request: RequestBuilder) -> Self {
        self.requests.push(request);
        self
    }

    /// More requests.
    pub fn requests(mut self, requests: impl IntoIterator<Item = RequestBuilder>) -> Self {
        self.requests.extend(requests);
        self
    }

    /// How long an edge is held back for others that happened before it and have not arrived yet: 1 ms unless set. With
    /// zero, what comes at once is in order.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How many events are held at most: 65,536 unless set.
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }

    /// What happens when the program takes less than comes: [`WhenFull::Block`] unless set.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Whether the stream begins with the [state](super::Event::State) of each line: no unless set.
    pub fn states(mut self, states: bool) -> Self {
        self.states = states;
        self
    }

    /// Whether a chip that is unplugged is waited for and watched again when it is back: no unless set.
    pub fn reattach(mut self, reattach: bool) -> Self {
        self.reattach = reattach;
        self
    }

    /// How often a chip that is gone is looked for: every 200 ms unless set; not below 1 ms.
    pub fn retry(mut self, period: Duration) -> Self {
        self.retry = period.max(Duration::from_millis(1));
        self
    }
}
