//! Watches a file of the kernel that reports its changes as priority data (EPOLLPRI): an attribute of /sys,
//! `cgroup.events`, a mount table.
//!
//! `cargo run -p overlapped --example sysfs_watch [/sys/class/gpio/gpio7/value]`; it needs Linux. Without a path it
//! prints the mounts of this process, once.

#[cfg(target_os = "linux")]
pub(crate) mod sysfs {
    use std::ops::ControlFlow;
    use std::path::Path;

    use overlapped::{Device, Error};

    /// The greatest length of an attribute.
    const PAGE: usize = 4096;

    /// Calls `show` with the file's text, and again whenever it may have changed, until `show` returns `Break`.
    pub(crate) fn watch(path: impl AsRef<Path>, mut show: impl FnMut(&str) -> ControlFlow<()>) -> Result<(), Error> {
        let file = Device::options().write(false).open(path)?;
        loop {
            // Read from the start each time. Read before waiting: only changes after a read are reported.
            let text = file.read_at(0, PAGE).wait()?;
            if show(&String::from_utf8_lossy(&text)).is_break() {
                return Ok(());
            }
            file.priority().wait()?;
        }
    }

    pub(crate) fn main() -> Result<(), Error> {
        let path = std::env::args().nth(1);
        watch(path.as_deref().unwrap_or("/proc/self/mounts"), |text| {
            print!("{text}");
            if path.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }

    /// Makes a group of processes. If that fails, prints why and returns `None`.
    #[cfg(test)]
    fn group() -> Option<std::path::PathBuf> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mut groups = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let place = groups.find(|words| words.get(2) == Some(&"cgroup2")).map(|words| words[1].to_owned());
        let path = Path::new(&place.unwrap_or_default()).join(format!("sysfs_watch-{}", std::process::id()));
        let made = std::fs::create_dir(&path);
        if let Err(error) = &made {
            println!("skipped: \"{}\": {error}", path.display());
        }
        made.ok().map(|()| path)
    }

    #[cfg(test)]
    #[test]
    fn every_change_of_an_attribute_is_told() {
        let Some(group) = group() else { return };
        let mut child = None;
        let mut seen = Vec::new();
        watch(group.join("cgroup.events"), |text| {
            let populated = text.contains("populated 1");
            seen.push(populated);
            match (&mut child, populated) {
                (None, _) => {
                    let cat = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
                    std::fs::write(group.join("cgroup.procs"), cat.id().to_string()).unwrap();
                    child = Some(cat);
                }
                (Some(cat), true) => drop(cat.stdin.take()),
                (Some(cat), false) if cat.stdin.is_none() => return ControlFlow::Break(()),
                // The first report may come without a change.
                (Some(_), false) => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        seen.dedup();
        assert_eq!(seen, [false, true, false]);
        child.unwrap().wait().unwrap();
        std::fs::remove_dir(group).unwrap();
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), overlapped::Error> {
    sysfs::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("attributes of /sys: it needs Linux");
}
