//! The work after a completion, one step after the other: calls in their order, reads of levels, then the next wait.

use std::time::Duration;

use super::super::levels::gives_levels;
use super::super::link::Answer;
use super::super::pending::WaitState;
#[cfg(all(target_os = "linux", not(miri)))]
use super::super::slow::AFTER_NOTHING;
use super::{ProfileLines, Turn};
use crate::Error;
use crate::backend::RawEdge;
use crate::clock::program_ns as now_ns;
use crate::profile::By;

impl ProfileLines {
    /// Decodes the answer of a call or of the wait.
    pub(super) fn take(
        &mut self,
        teller: Option<usize>,
        place: Option<usize>,
        bytes: &[u8],
        into: &mut Vec<RawEdge>,
    ) -> Result<(), Error> {
        if self.is_paced {
            self.told += u64::from(self.decoder.is_news(teller, place, bytes));
        }
        let taken = self.decoder.take(teller, place, bytes, now_ns(), into);
        taken.map_err(|reason| match (teller, self.teller) {
            (Some(call), None) => self.malformed_in(call, &reason),
            _ => self.link.malformed(&reason),
        })
    }

    /// Handles a completed wait: decodes its bytes and adds the steps that follow.
    pub(super) fn completed(
        &mut self,
        index: usize,
        place: Option<usize>,
        bytes: &[u8],
        into: &mut Vec<RawEdge>,
    ) -> Result<(), Error> {
        let (told, lasted) = (self.told, self.waits[index].began.elapsed());
        if let Some(teller) = self.teller {
            self.take(teller, place, bytes, into)?;
        }
        let plan = self.link.plan.clone();
        self.turns.extend(plan.steps(&plan.wait.then, place, self.link.asked.len()).map(Turn::Then));
        if self.waits[index].is_one_by_one() {
            self.turns.push_back(Turn::Again { index, lasted, told });
        }
        Ok(())
    }

    /// Does the next step.
    pub(super) fn turn(&mut self, turn: Turn, into: &mut Vec<RawEdge>) -> Result<(), Error> {
        match turn {
            Turn::Then(step) | Turn::Levels(step) => self.sent = Some((turn, step, self.link.send(step))),
            Turn::Again { index, lasted, told } => self.again(index, lasted, self.told > told)?,
            Turn::Resolve(place) => {
                let levels = std::mem::take(&mut self.levels);
                self.decoder.resolve(place, &levels, now_ns(), into);
                self.levels = levels;
                self.levels.clear();
            }
        }
        Ok(())
    }

    /// Begins the wait again, after all steps of its completion.
    fn again(&mut self, index: usize, lasted: Duration, brought: bool) -> Result<(), Error> {
        let wait = &mut self.waits[index];
        #[cfg(not(all(target_os = "linux", not(miri))))]
        let _ = (lasted, brought);
        match &mut wait.state {
            WaitState::Sleep(sleep) => {
                if let By::Poll(period) = self.link.plan.wait.by {
                    *sleep = self.timer.sleep(period);
                    self.ready.push(index);
                }
            }
            #[cfg(all(target_os = "linux", not(miri)))]
            WaitState::Blocked(_) | WaitState::Ready(_) => {
                match wait.slow.next(lasted, brought, AFTER_NOTHING).filter(|_| self.stopped.is_none()) {
                    Some(pause) => {
                        if let WaitState::Blocked(blocking) = &wait.state {
                            blocking.hold();
                        }
                        wait.pause = Some(self.timer.sleep(pause));
                        self.ready.push(index);
                    }
                    None => self.resume(index)?,
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A call of a step was answered.
    pub(super) fn answered(&mut self, turn: Turn, answer: &Answer, into: &mut Vec<RawEdge>) -> Result<(), Error> {
        let Some(bytes) = answer.bytes() else { return Ok(()) };
        let plan = self.link.plan.clone();
        match turn {
            Turn::Then(step) if plan.tellers.contains(&Some(step.call)) => {
                self.take(Some(step.call), step.place, bytes, into)?;
            }
            Turn::Levels(step) if gives_levels(&plan, step.call) => {
                let read = self.decoder.read_levels(step.call, step.place, bytes);
                self.levels.extend(read.map_err(|reason| self.link.malformed(&reason))?);
            }
            Turn::Then(_) | Turn::Levels(_) | Turn::Again { .. } | Turn::Resolve(_) => {}
        }
        Ok(())
    }

    /// Adds the steps that read the levels of changed lines.
    pub(super) fn ask_levels(&mut self) {
        let plan = self.link.plan.clone();
        let one = if plan.levels_each_line() { self.decoder.next_changed() } else { None };
        self.turns.extend(plan.steps(plan.levels.calls(), one, self.link.asked.len()).map(Turn::Levels));
        self.turns.push_back(Turn::Resolve(one));
    }
}
