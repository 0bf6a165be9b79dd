//! What a process took so far, by the kernel's own count.

use std::fs;
use std::ops::Sub;

/// Of all threads of a process. Those that have ended are not counted: the readers' live until they are told to end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Nanoseconds on a processor, the kernel's work for it included.
    pub(crate) cpu_ns: u64,
    /// Times a thread went to sleep of its own accord: as many as it is woken.
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

    /// What was taken since an earlier look; threads are those of now.
    fn sub(self, earlier: Self) -> Self {
        Self { cpu_ns: self.cpu_ns - earlier.cpu_ns, sleeps: self.sleeps - earlier.sleeps, threads: self.threads }
    }
}
