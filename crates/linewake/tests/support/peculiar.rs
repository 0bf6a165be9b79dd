//! A chip whose polls a test controls. Everything else is that of the simulated chip.

use std::fmt::Debug;
use std::sync::Arc;
use std::task::{Context, Poll};

use linewake::backend::{Ask, Backend, Capabilities, HeldLines, Numbering, RawEdge};
use linewake::{Chip, ChipInfo, Clock, Error, EventClock, LineConfig, LineInfo, Trust};

/// The behaviour of a chip. Each request has its own copy.
pub(crate) trait Habit: Clone + Debug + Send + Sync + 'static {
    /// Polls for edges.
    fn look(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>>;

    /// Looks for the chip while it is unplugged.
    fn look_for(&self) {}
}

/// The chip `sim` with other edges.
pub(crate) fn chip(sim: &Chip, habit: impl Habit) -> Chip {
    Chip::from_backend(Arc::new(Peculiar { sim: sim.clone(), habit })).unwrap()
}

#[derive(Clone, Debug)]
struct Peculiar<H> {
    sim: Chip,
    habit: H,
}

impl<H: Habit> Backend for Peculiar<H> {
    fn info(&self) -> &ChipInfo {
        self.sim.info()
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::inputs_only(64, Trust::AtLeast)
    }
    fn clock(&self, _: EventClock) -> Clock {
        self.sim.clock()
    }
    fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        self.sim.lines()
    }
    fn request(&self, _: &Ask<'_>) -> Result<Box<dyn HeldLines>, Error> {
        Ok(Box::new(Lines { habit: self.habit.clone(), is_stopped: false }))
    }
    fn reopen(&self) -> Result<Arc<dyn Backend>, Error> {
        self.habit.look_for();
        self.sim.reopen().map(|_| Arc::new(self.clone()) as Arc<dyn Backend>)
    }
}

#[derive(Debug)]
struct Lines<H> {
    habit: H,
    is_stopped: bool,
}

impl<H: Habit> HeldLines for Lines<H> {
    fn poll_edges(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        if self.is_stopped { Poll::Ready(None) } else { self.habit.look(cx, into) }
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
