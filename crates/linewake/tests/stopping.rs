//! A stop is seen whenever it comes, also while the stream looks at what has come; and a deadline, whatever wakes it.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use linewake::backend::{Ask, Backend, Capabilities, Held, Numbering, RawEdge};
use linewake::filter::Filter;
use linewake::{
    Chip, ChipInfo, Clock, EdgeKind, Error, EventClock, LineConfig, LineInfo, Missed, Monitor, Offset, Trust,
};

/// What stops the stream when it is polled.
type Stop = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A chip that has edges or has none, as is its habit; everything else is the simulated one's.
#[derive(Debug)]
struct Peculiar {
    chip: Chip,
    stop: StopWhenPolled,
    habit: Habit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Quiet,
    /// It wants to be looked at again at once, and has nothing.
    Restless,
    /// Whenever it is looked at it has edges, 100 ns apart; but not for ever, so that who never looks up comes to an end.
    Flooding,
}

/// When a flood ends.
const FLOOD_NS: u64 = 2_000_000_000;

#[derive(Clone)]
struct StopWhenPolled(Stop);

impl std::fmt::Debug for StopWhenPolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StopWhenPolled")
    }
}

impl Backend for Peculiar {
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
        Ok(Box::new(Lines { stop: self.stop.clone(), is_stopped: false, habit: self.habit, now_ns: 0 }))
    }
    fn values(&self, _: &[Offset]) -> Result<Vec<bool>, Error> {
        Ok(vec![])
    }
    fn reopen(&self) -> Result<Arc<dyn Backend>, Error> {
        unreachable!("it is never gone")
    }
}

#[derive(Debug)]
struct Lines {
    stop: StopWhenPolled,
    is_stopped: bool,
    habit: Habit,
    now_ns: u64,
}

impl Held for Lines {
    fn poll_edges(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        if let Some(stop) = self.stop.0.lock().unwrap().take() {
            stop();
        }
        if self.is_stopped {
            return Poll::Ready(None);
        }
        match self.habit {
            Habit::Quiet => Poll::Pending,
            Habit::Restless => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Habit::Flooding if self.now_ns >= FLOOD_NS => Poll::Ready(None),
            Habit::Flooding => {
                for kind in [EdgeKind::Rising, EdgeKind::Falling].repeat(16) {
                    self.now_ns += 100;
                    let (offset, missed) = (Offset::from(0), Missed::default());
                    into.push(RawEdge { offset, kind, timestamp_ns: self.now_ns, seqno: 0, line_seqno: 0, missed });
                }
                Poll::Ready(Some(Ok(())))
            }
        }
    }
    fn stop(&mut self) {
        self.is_stopped = true;
    }
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

fn chip(habit: Habit) -> (Chip, Stop) {
    let stop = Stop::default();
    let chip = Chip::options().life(false).open("sim").unwrap();
    let chip = Chip::from_backend(Arc::new(Peculiar { chip, stop: StopWhenPolled(stop.clone()), habit })).unwrap();
    (chip, stop)
}

#[test]
fn a_request_that_is_stopped_while_it_is_polled_ends() {
    let (chip, stop) = chip(Habit::Quiet);
    let mut edges = chip.request().line(0).start().unwrap();
    let stopper = edges.stopper();
    *stop.lock().unwrap() = Some(Box::new(move || stopper.stop()));
    assert!(edges.wait_next_timeout(Duration::from_secs(20)).is_none());
}

#[test]
fn a_monitor_that_is_stopped_while_it_is_polled_ends() {
    let (chip, stop) = chip(Habit::Quiet);
    let mut monitor = Monitor::builder().request(chip.request().line(0)).start().unwrap();
    let stopper = monitor.stopper();
    *stop.lock().unwrap() = Some(Box::new(move || stopper.stop()));
    assert!(monitor.wait_next_timeout(Duration::from_secs(20)).is_none());
}

#[test]
fn a_part_that_is_restless_and_has_nothing_does_not_hide_the_deadline() {
    let (chip, _) = chip(Habit::Restless);
    let mut edges = chip.request().line(0).start().unwrap();
    let mut monitor = Monitor::builder().request(chip.request().line(1)).start().unwrap();
    for _ in 0..3 {
        assert!(edges.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
        assert!(monitor.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
    }
    edges.stopper().stop();
    monitor.stopper().stop();
    assert!(edges.wait_next_timeout(Duration::from_secs(20)).is_none());
    assert!(monitor.wait_next_timeout(Duration::from_secs(20)).is_none());
}

#[test]
fn a_flood_of_which_nothing_passes_does_not_hide_the_deadline() {
    let (chip, _) = chip(Habit::Flooding);
    let filter: Filter = "debounce=60m".parse().unwrap();
    let mut edges = chip.request().line(0).start().unwrap().filtered(filter).unwrap();
    let monitor = Monitor::builder().request(chip.request().line(0)).window(Duration::ZERO).start().unwrap();
    let mut monitor = monitor.filtered(filter).unwrap();
    assert!(edges.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
    assert!(monitor.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
}
