//! The jobs of a port besides packets, and the threads that may run them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::inner::{Arrival, Inner, Job, Waiter, Whose};
use crate::system::sync::lock_std as lock;
use crate::words::token::{InFlight, LOOK};

impl Inner {
    /// Runs `job` on the dispatcher.
    pub(crate) fn run(self: &Arc<Self>, job: Box<dyn FnOnce() + Send>) {
        self.later(Job::Run(job));
    }

    /// Makes the dispatcher submit more calls for their owner.
    pub(crate) fn arm_later(self: &Arc<Self>, owner: Arc<Arrival>) {
        self.later(Job::Arm(owner));
    }

    /// Gives an operation that is over to its waiter, on the dispatcher.
    pub(crate) fn deliver(self: &Arc<Self>, waiter: Waiter, operation: InFlight) {
        self.later(Job::Deliver(waiter, operation));
    }

    pub(super) fn later(self: &Arc<Self>, job: Job) {
        // In the child of a fork nobody dispatches the port, so run it here.
        if self.is_inherited() {
            return self.run_job(job);
        }
        let mut jobs = lock(&self.jobs);
        if jobs.nobody_polls && job.is_callback() {
            drop(jobs);
            return self.give_up(job);
        }
        jobs.queue.push_back(job);
        self.jobs_waiting.fetch_add(1, SeqCst);
        if self.has_dispatcher() {
            self.rouse(&mut jobs.dispatcher);
        } else {
            self.queue.post(LOOK);
        }
    }

    /// The last `Port` of a manual port is gone: its callbacks will never run. Drop them, since they may hold replies,
    /// which keep the port.
    pub(super) fn nobody_polls(&self) {
        let mut jobs = lock(&self.jobs);
        jobs.nobody_polls = true;
        let all = std::mem::take(&mut jobs.queue).into_iter();
        let (callbacks, others): (VecDeque<_>, _) = all.partition(Job::is_callback);
        jobs.queue = others;
        self.jobs_waiting.store(jobs.queue.len(), SeqCst);
        drop(jobs);
        callbacks.into_iter().for_each(|job| self.give_up(job));
        self.timers.take_callbacks().into_iter().for_each(|alarm| self.guarded(|| drop(alarm)));
    }

    /// Drops a job, which runs foreign code. If it was to deliver a result, nobody gets the result.
    pub(super) fn give_up(&self, job: Job) {
        if let Job::Deliver(_, operation) = job {
            let slot = self.slot(operation);
            if slot.machine.abandon(operation.generation()) {
                self.left_over(slot, operation);
                self.release_slot(slot, operation);
            }
        }
        self.guarded(|| drop(job));
    }

    pub(super) fn has_jobs(&self) -> bool {
        self.jobs_waiting() > 0
    }

    pub(super) fn jobs_waiting(&self) -> usize {
        self.jobs_waiting.load(SeqCst)
    }

    /// Whether there is a job for which this thread should get the turn. On a port with a dispatcher there is none: the
    /// dispatcher runs the jobs.
    pub(super) fn has_jobs_for(&self, whose: Whose) -> bool {
        self.is_manual() && self.has_jobs() && lock(&self.jobs).queue.iter().any(|job| job.may_run(whose))
    }

    /// Runs the first `count` jobs. Jobs that they add run next time, after the packets that have come by then.
    pub(super) fn run_jobs(self: &Arc<Self>, count: usize) -> usize {
        let run_one = || self.take_job(|_| true).map(|job| self.run_job(job)).is_some();
        (0..count).take_while(|_| run_one() && !self.is_inherited()).count()
    }

    /// Takes the first job for which `of_these` is true.
    pub(super) fn take_job(&self, of_these: impl Fn(&Job) -> bool) -> Option<Job> {
        let mut jobs = lock(&self.jobs);
        let at = jobs.queue.iter().position(of_these)?;
        self.jobs_waiting.fetch_sub(1, SeqCst);
        jobs.queue.remove(at)
    }

    /// Runs the jobs that were put off for the owner at this address, which runs no more callbacks.
    pub(crate) fn run_what_was_put_off(self: &Arc<Self>, address: usize) {
        if self.is_manual() && self.has_jobs() && self.run_jobs_of(Whose::Of(address)) > 0 {
            // Another event loop may have been told of these jobs. This makes the next thread with the turn reset the
            // loop's alarm.
            self.queue.post(LOOK);
        }
    }

    /// Runs the jobs that this thread may run.
    pub(super) fn run_jobs_of(self: &Arc<Self>, whose: Whose) -> usize {
        let mut count = 0;
        while let Some(job) = self.take_job(|job| job.may_run(whose)) {
            let _dispatching = self.begin_dispatching(whose);
            self.run_job(job);
            count += 1;
        }
        count
    }

    pub(super) fn run_job(self: &Arc<Self>, job: Job) {
        match job {
            Job::Run(job) => self.guarded(job),
            Job::Arm(owner) => self.guarded(|| owner.arm_again()),
            Job::Deliver(waiter, operation) => self.wake(waiter, operation),
        }
    }
}
