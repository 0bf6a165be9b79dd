//! Who waits does not look all the time. How often the chip was asked is counted, so that a busy machine makes no
//! difference: what spins is seen by its first hundred looks.

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
/// Looks of a wait: before it, and some for what wakes it at the end.
const FEW: u64 = 8;

/// A chip without edges, which counts who asks.
#[derive(Clone, Debug)]
struct Counting {
    chip: Chip,
    looks: Arc<AtomicU64>,
    reopened: Arc<AtomicU64>,
    /// Whether it wants to be looked at again at once, and has nothing.
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
fn who_waits_for_an_edge_does_not_look_for_it() {
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
fn who_waits_for_a_chip_looks_for_it_as_often_as_it_was_told_to() {
    let counting = Counting::new(false);
    let retry = Duration::from_millis(50);
    let request = counting.chip().request().line(0);
    let mut monitor = Monitor::builder().request(request).reattach(true).retry(retry).start().unwrap();
    let began = Instant::now();
    counting.chip.world().unplug().unwrap();
    // Nobody woke it: it looks when it is asked for the next event.
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

/// What spins is seen: the count is no dead one.
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
