//! Who waits does not look all the time. How often the chip was asked is counted, so that a busy machine makes no
//! difference: what spins is seen by its first hundred looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use linewake::backend::{Ask, Backend, Capabilities, Held, Numbering, RawEdge};
use linewake::{Chip, ChipInfo, Clock, Error, Event, EventClock, LineConfig, LineInfo, Monitor, Trust};

const WAIT: Duration = Duration::from_millis(500);
/// Looks of a wait: before it, and some for what wakes it at the end.
const FEW: u64 = 8;

/// A chip without edges, which counts who asks; everything else is the simulated one's.
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
        Chip::from_backend(Arc::new(self.clone())).unwrap()
    }

    fn looks(&self) -> u64 {
        self.looks.load(SeqCst)
    }
}

impl Backend for Counting {
    fn info(&self) -> &ChipInfo {
        self.chip.info()
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::inputs_only(64, Trust::AtLeast)
    }
    fn clock(&self, _: EventClock) -> Clock {
        self.chip.clock()
    }
    fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        self.chip.lines()
    }
    fn request(&self, _: &Ask<'_>) -> Result<Box<dyn Held>, Error> {
        Ok(Box::new(Lines(self.clone())))
    }
    fn reopen(&self) -> Result<Arc<dyn Backend>, Error> {
        self.reopened.fetch_add(1, SeqCst);
        self.chip.reopen().map(|_| Arc::new(self.clone()) as Arc<dyn Backend>)
    }
}

#[derive(Debug)]
struct Lines(Counting);

impl Held for Lines {
    fn poll_edges(&mut self, cx: &mut Context<'_>, _: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        let Counting { chip, looks, is_restless, .. } = &self.0;
        looks.fetch_add(1, SeqCst);
        if *is_restless {
            cx.waker().wake_by_ref();
        }
        match chip.reopen() {
            Ok(_) => Poll::Pending,
            Err(gone) => Poll::Ready(Some(Err(gone))),
        }
    }
    fn stop(&mut self) {}
    fn active_at_start(&self) -> Vec<Option<bool>> {
        vec![None]
    }
    fn values(&self) -> Result<Vec<bool>, Error> {
        Ok(vec![false])
    }
    fn set_values(&mut self, _: &[(usize, bool)]) -> Result<(), Error> {
        Ok(())
    }
    fn reconfigure(&mut self, _: &[LineConfig]) -> Result<(), Error> {
        Ok(())
    }
    fn numbering(&self) -> Numbering {
        Numbering::Polarity
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
