//! Threads, memory and processor time of this process, as the system reports them. `None` if it does not.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// The number of threads of the process, and its memory in bytes.
pub fn threads_and_memory() -> Option<(u64, u64)> {
    imp::threads_and_memory()
}

/// How often this thread went to sleep voluntarily, if the system counts that, and its processor time.
pub fn woken() -> Option<(Option<u64>, Duration)> {
    imp::woken()
}

/// The processor time of a thread in a busy loop while `wait` runs. `None` if the system's times of threads are not
/// reliable.
pub fn beside_one_that_spins(wait: impl FnOnce()) -> Option<Duration> {
    let is_over = AtomicBool::new(false);
    let spin = || {
        let (_, before) = imp::woken()?;
        while !is_over.load(Relaxed) {
            std::hint::spin_loop();
        }
        Some(imp::woken()?.1 - before).filter(|spun| !spun.is_zero())
    };
    thread::scope(|scope| {
        let spinning = scope.spawn(spin);
        // Stop the other thread even if this fails; it would run without end.
        let waited = catch_unwind(AssertUnwindSafe(wait));
        is_over.store(true, Relaxed);
        waited.unwrap_or_else(|panic| resume_unwind(panic));
        spinning.join().unwrap()
    })
}

#[cfg(target_os = "linux")]
mod imp {
    use std::time::Duration;

    fn number(text: &str, name: &str) -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    }

    pub(super) fn threads_and_memory() -> Option<(u64, u64)> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        Some((number(&status, "Threads:")?, number(&status, "VmRSS:")? * 1024))
    }

    pub(super) fn woken() -> Option<(Option<u64>, Duration)> {
        let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
        let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let cpu_ns = schedstat.split(' ').next()?.parse().ok()?;
        Some((number(&status, "voluntary_ctxt_switches:"), Duration::from_nanos(cpu_ns)))
    }
}

#[cfg(windows)]
mod imp {
    use std::time::Duration;

    use windows_sys::Win32::Foundation::{CloseHandle, FILETIME, INVALID_HANDLE_VALUE};
    use windows_sys::Win32::System::Diagnostics::ToolHelp::{
        CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
    };
    use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
    use windows_sys::Win32::System::Threading::{
        GetCurrentProcess, GetCurrentProcessId, GetCurrentThread, GetThreadTimes,
    };

    pub(super) fn threads_and_memory() -> Option<(u64, u64)> {
        // SAFETY: no preconditions.
        let (snapshot, process) = unsafe { (CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0), GetCurrentProcessId()) };
        if snapshot == INVALID_HANDLE_VALUE {
            return None;
        }
        let mut entry = THREADENTRY32 { dwSize: size_of::<THREADENTRY32>() as u32, ..Default::default() };
        let mut threads = 0;
        // SAFETY: the snapshot is open and the entry contains its size.
        let mut more = unsafe { Thread32First(snapshot, &mut entry) };
        while more != 0 {
            threads += u64::from(entry.th32OwnerProcessID == process);
            // SAFETY: as above.
            more = unsafe { Thread32Next(snapshot, &mut entry) };
        }
        // SAFETY: the snapshot is open and not used after this.
        unsafe { CloseHandle(snapshot) };
        let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
        let mut memory = PROCESS_MEMORY_COUNTERS { cb: size, ..Default::default() };
        // SAFETY: the structure is this large.
        let told = unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &mut memory, size) };
        (told != 0).then_some((threads, memory.WorkingSetSize as u64))
    }

    pub(super) fn woken() -> Option<(Option<u64>, Duration)> {
        let [mut created, mut exited, mut kernel, mut user] = [FILETIME::default(); 4];
        // SAFETY: the four results are written to locals.
        let told = unsafe { GetThreadTimes(GetCurrentThread(), &mut created, &mut exited, &mut kernel, &mut user) };
        let ticks = |time: FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
        (told != 0).then(|| (None, Duration::from_nanos((ticks(kernel) + ticks(user)) * 100)))
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
mod imp {
    use std::time::Duration;

    pub(super) fn threads_and_memory() -> Option<(u64, u64)> {
        None
    }

    pub(super) fn woken() -> Option<(Option<u64>, Duration)> {
        None
    }
}
