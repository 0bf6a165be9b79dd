//! A wait does not poll all the time. The tests count how often the chip was polled, so a busy computer does not
//! matter: a busy loop shows within its first hundred polls.

#[path = "support/peculiar.rs"]
mod peculiar;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use linewake::backend::RawEdge;
use linewake::{Chip, Error, Event, Monitor};
use peculiar::Habit;

const WAIT: Duration = Duration::from_millis(500);
/// The most polls of a wait: one before it, and a few for the wakes at the end.
const FEW: u64 = 8;

/// A chip without edges, which counts the polls.
#[derive(Clone, Debug)]
struct Counting {
    chip: Chip,
    looks: Arc<AtomicU64>,
    reopened: Arc<AtomicU64>,
    /// True if it asks to be polled again at once although it has nothing.
    is_restless: bool,
}

impl Counting {
    fn new(is_restless: bool) -> Self {
        let chip = Chip::options().life(false).open("sim").unwrap();
        Self { chip, looks: Arc::default(), reopened: Arc::default(), is_restless }
    }

    fn chip(&self) -> Chip {
        peculiar::chip(&self.chip, self.clone())
    }

    fn looks(&self) -> u64 {
        self.looks.load(SeqCst)
    }
}

impl Habit for Counting {
    fn look(&mut self, cx: &mut Context<'_>, _: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        self.looks.fetch_add(1, SeqCst);
        if self.is_restless {
            cx.waker().wake_by_ref();
        }
        match self.chip.reopen() {
            Ok(_) => Poll::Pending,
            Err(gone) => Poll::Ready(Some(Err(gone))),
        }
    }

    fn look_for(&self) {
        self.reopened.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_wait_for_an_edge_does_not_poll() {
    let counting = Counting::new(false);
    let chip = counting.chip();
    let mut edges = chip.request().line(0).start().unwrap();
    assert!(edges.wait_next_timeout(WAIT).unwrap().unwrap_err().is_timeout());
    let of_a_request = counting.looks();
    assert!((1..=FEW).contains(&of_a_request), "{of_a_request} looks of a request");

    let requests = (1..9).map(|line| chip.request().line(line));
    let mut monitor = Monitor::builder().requests(requests).window(Duration::from_millis(1)).start().unwrap();
    let before = counting.looks();
    assert!(monitor.wait_next_timeout(WAIT).unwrap().unwrap_err().is_timeout());
    let of_a_monitor = counting.looks() - before;
    assert!((1..=8 * FEW).contains(&of_a_monitor), "{of_a_monitor} looks of a monitor of eight requests");
}

#[test]
fn a_missing_chip_is_looked_for_once_per_period() {
    let counting = Counting::new(false);
    let retry = Duration::from_millis(50);
    let request = counting.chip().request().line(0);
    let mut monitor = Monitor::builder().request(request).reattach(true).retry(retry).start().unwrap();
    let began = Instant::now();
    counting.chip.world().unplug().unwrap();
    // Nothing woke the monitor: it looks when it is asked for the next event.
    let Some(Ok(Event::Gap { gap, .. })) = monitor.wait_next_timeout(Duration::from_secs(20)) else {
        panic!("it is gone")
    };
    assert!(gap.reason.is_disconnected() && !gap.is_over, "{gap:?}");
    let before = counting.looks();
    assert!(monitor.wait_next_timeout(WAIT).unwrap().unwrap_err().is_timeout());
    let looked_for = counting.reopened.load(SeqCst);
    let most = (began.elapsed().as_millis() / retry.as_millis()) as u64 + 2;
    assert!((1..=most).contains(&looked_for), "looked for {looked_for} times, and {most} are enough");
    assert_eq!(counting.looks(), before, "there is nothing to look at");
}

/// Proves that the count shows a busy loop.
#[test]
fn a_chip_that_is_restless_is_looked_at_again_and_again() {
    let counting = Counting::new(true);
    let mut edges = counting.chip().request().line(0).start().unwrap();
    let began = Instant::now();
    while counting.looks() < 100 * FEW {
        assert!(edges.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
        assert!(began.elapsed() < Duration::from_secs(60), "{} looks", counting.looks());
    }
}
