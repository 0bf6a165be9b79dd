//! The resources that a process has used so far, as the kernel counts them.

use std::fs;
use std::ops::Sub;

/// The sum over the threads of a process. Threads that have ended are not in it; the readers' threads live to the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Nanoseconds on a processor, the kernel's work for it included.
    pub(crate) cpu_ns: u64,
    /// How often a thread went to sleep voluntarily, and so how often it was woken.
    pub(crate) sleeps: u64,
    pub(crate) threads: u64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> std::io::Result<Self> {
        let mut usage = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?.path();
            let schedstat = fs::read_to_string(task.join("schedstat"))?;
            let status = fs::read_to_string(task.join("status"))?;
            let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            usage.cpu_ns += schedstat.split(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
            usage.sleeps += sleeps.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0);
            usage.threads += 1;
        }
        Ok(usage)
    }
}

impl Sub for Usage {
    type Output = Self;

    /// The resources used since `earlier`; the number of threads is the present one.
    fn sub(self, earlier: Self) -> Self {
        Self { cpu_ns: self.cpu_ns - earlier.cpu_ns, sleeps: self.sleeps - earlier.sleeps, threads: self.threads }
    }
}
