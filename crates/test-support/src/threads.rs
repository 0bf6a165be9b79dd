//! Threads of this process, by the kernel's own list.

/// The names of those that are no thread of the test's: not the main one, where its harness waits, and not one whose name
/// begins with this.
pub fn others(tests: &str) -> Vec<String> {
    let main = std::process::id().to_string();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let name = |task: std::fs::DirEntry| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        (task.file_name().to_str() != Some(&*main) && !name.starts_with(tests)).then(|| name.trim().to_owned())
    };
    tasks.filter_map(name).collect()
}
