//! The number of threads of this process.

/// Counts all threads of the process; `None` where the system does not say.
#[cfg(target_os = "linux")]
pub(crate) fn count() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

/// Counts all threads of the process; `None` if the system does not say.
#[cfg(windows)]
pub(crate) fn count() -> Option<u32> {
    use windows_sys::Win32::Foundation::{CloseHandle, INVALID_HANDLE_VALUE};
    use windows_sys::Win32::System::Diagnostics::ToolHelp::{
        CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
    };
    use windows_sys::Win32::System::Threading::GetCurrentProcessId;

    // SAFETY: no preconditions.
    let (snapshot, process) = unsafe { (CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0), GetCurrentProcessId()) };
    if snapshot == INVALID_HANDLE_VALUE {
        return None;
    }
    let mut entry = THREADENTRY32 { dwSize: size_of::<THREADENTRY32>() as u32, ..Default::default() };
    let mut count = 0;
    // SAFETY: the snapshot is open, and the entry has its own size.
    let mut more = unsafe { Thread32First(snapshot, &mut entry) };
    while more != 0 {
        count += u32::from(entry.th32OwnerProcessID == process);
        // SAFETY: as above.
        more = unsafe { Thread32Next(snapshot, &mut entry) };
    }
    // SAFETY: the snapshot is open and not used after this.
    unsafe { CloseHandle(snapshot) };
    Some(count)
}

#[cfg(not(any(target_os = "linux", windows)))]
pub(crate) fn count() -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(any(target_os = "linux", windows))]
    fn every_thread_is_counted() {
        let all = std::sync::Barrier::new(33);
        std::thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| all.wait());
            }
            let count = super::count();
            all.wait();
            assert!(count.is_some_and(|count| (33..100).contains(&count)), "{count:?}");
        });
    }
}
