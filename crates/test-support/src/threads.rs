//! The threads of this process, as the kernel lists them.

/// The names of the other threads: neither the main thread, where the test harness waits, nor a thread whose name
/// begins with `tests`.
pub fn others(tests: &str) -> Vec<String> {
    let main = std::process::id().to_string();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let name = |task: std::fs::DirEntry| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        (task.file_name().to_str() != Some(&*main) && !name.starts_with(tests)).then(|| name.trim().to_owned())
    };
    tasks.filter_map(name).collect()
}
