//! What to do when a chip does not open, or does not give its lines: who holds them, which group may, what there is.

use std::fs;
use std::os::unix::fs::MetadataExt;

use overlapped::ErrorKind as Kind;

use super::{Chip, find};
use crate::backend::{Backend as _, unsupported};
use crate::{Error, ErrorKind, LineConfig, Offset};

const RULE: &str = r#"SUBSYSTEM=="gpio", KERNEL=="gpiochip[0-9]*", GROUP="gpio", MODE="0660""#;

/// The chips there are, as the second half of a sentence.
pub(super) fn chips() -> String {
    let names: Vec<_> = find::list()
        .into_iter()
        .map(|(name, info)| match info {
            Ok(info) => format!("\"{name}\" (\"{}\", {} lines)", info.label, info.lines),
            Err(_) => format!("\"{name}\""),
        })
        .collect();
    if names.is_empty() {
        let simulate =
            if can_simulate() { "; as root, \"modprobe gpio-sim\" has the kernel simulate some" } else { "" };
        format!("there is none on this system: load the driver of yours, or take \"sim\"{simulate}")
    } else {
        format!("there are {}", names.join(", "))
    }
}

/// Whether the kernel has its simulator of chips as a module.
fn can_simulate() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = fs::read_to_string(format!("/lib/modules/{}/modules.dep", release.trim()));
    modules.is_ok_and(|modules| modules.contains("/gpio-sim.ko"))
}

/// A chip's file does not open.
pub(super) fn not_opened(spec: &str, path: &str, error: overlapped::Error) -> Error {
    let message = match error.kind() {
        Kind::NotFound => format!("there is no chip \"{spec}\"; {}", chips()),
        Kind::AccessDenied => format!("{error}; {}", permission(path)),
        _ => error.to_string(),
    };
    Error::from(error).saying(message)
}

/// Which group may open a file, and how to be in it.
fn permission(path: &str) -> String {
    let group = fs::metadata(path).ok().filter(|file| file.mode() & 0o060 == 0o060).map(|file| file.gid());
    match group.filter(|&group| group != 0).and_then(group_name) {
        Some(group) => format!(
            "it belongs to the group \"{group}\": \"sudo usermod -aG {group} $USER\" puts you in it, from the next login on"
        ),
        None => format!(
            "only root may open it: give it to a group with \"sudo groupadd -f gpio; sudo usermod -aG gpio $USER\" and the \
             line '{RULE}' in \"/etc/udev/rules.d/60-gpio.rules\", and start again"
        ),
    }
}

fn group_name(id: u32) -> Option<String> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let line = groups.lines().find(|line| line.split(':').nth(2) == Some(&id.to_string()))?;
    Some(line.split(':').next()?.to_owned())
}

/// A file opened, and is no chip.
pub(super) fn no_chip(spec: &str, path: &str, error: overlapped::Error) -> Error {
    if error.kind() != Kind::Unsupported {
        let message = format!("chip \"{spec}\": {error}");
        return Error::from(error).saying(message);
    }
    Error::new(ErrorKind::UnknownChip, format!("\"{path}\" is no gpiochip; {}", chips()))
}

/// The kernel does not give lines.
pub(super) fn not_taken(chip: &Chip, error: overlapped::Error, asked: &[(Offset, LineConfig)]) -> Error {
    match error.kind() {
        Kind::Busy => busy(chip, error, asked),
        Kind::InvalidInput => {
            let said = chip.error(error);
            let message = format!(
                "{said}; a bias, a drive and a debounce period are for lines that are asked for as inputs or outputs"
            );
            said.saying(message)
        }
        _ => chip.error(error),
    }
}

/// The kernel does not watch lines for edges.
pub(super) fn not_watched(chip: &Chip, error: overlapped::Error, asked: &[(Offset, LineConfig)]) -> Error {
    /// ENXIO: a line has no interrupt. Some chips say EIO, EINVAL or ENOSYS, of which nothing can be known.
    const NO_INTERRUPT: i32 = 6;
    if error.code() == Some(overlapped::ErrorCode::Errno(NO_INTERRUPT)) {
        return unsupported(
            &chip.info.name,
            "has lines that cannot be watched, and one that was asked for is such: it has no interrupt",
        );
    }
    let hte = asked.iter().any(|line| line.1.clock == crate::EventClock::Hte);
    if error.kind() == Kind::Unsupported && hte {
        return unsupported(&chip.info.name, "has no hardware time stamp engine, or the kernel none for it");
    }
    chip.error(error)
}

/// Which line is busy, and who holds it.
fn busy(chip: &Chip, error: overlapped::Error, asked: &[(Offset, LineConfig)]) -> Error {
    let name = &chip.info.name;
    let held = asked.iter().filter_map(|line| chip.line(line.0).ok()).find(|line| line.used);
    let Some(line) = held else {
        let message = format!("a line of chip \"{name}\" was held by somebody else a moment ago; try again");
        return Error::from(error).busy(message);
    };
    let called = line.name.as_deref().map(|name| format!(" (\"{name}\")")).unwrap_or_default();
    let consumer = line.consumer.as_deref().unwrap_or("?");
    let holder = match holder(name, line.offset.get()) {
        Some((process, program)) if process == std::process::id() => {
            format!("\"{consumer}\", which is this process ({process}, \"{program}\"): use the request that holds it")
        }
        Some((process, program)) => format!(
            "\"{consumer}\" (process {process}, \"{program}\"): a gpiochip's line has one holder at a time; end that one"
        ),
        None => format!(
            "\"{consumer}\", a driver of the kernel or another user's process: as root this says which process it is"
        ),
    };
    Error::from(error).busy(format!("line {}{called} of chip \"{name}\" is held by {holder}", line.offset))
}

/// The process that holds a line, and the name of its program: what /proc tells of open files.
pub(super) fn holder(chip: &str, offset: u32) -> Option<(u32, String)> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.find_map(|process| {
        let files = fs::read_dir(format!("/proc/{process}/fd")).ok()?.flatten();
        let holds = files.into_iter().any(|file| {
            fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == "anon_inode:gpio-line")
                && file
                    .file_name()
                    .to_str()
                    .and_then(|fd| fs::read_to_string(format!("/proc/{process}/fdinfo/{fd}")).ok())
                    .is_some_and(|info| has_line(&info, chip, offset))
        });
        holds.then(|| {
            let program = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
            (process, program.trim_end().to_owned())
        })
    })
}

/// Whether what the kernel says of a file is that it holds a line of a chip.
fn has_line(info: &str, chip: &str, offset: u32) -> bool {
    let values = |key| info.lines().filter_map(move |line| Some(line.strip_prefix(key)?.trim()));
    values("gpio-chip:").any(|name| name == chip) && values("gpio-line:").any(|line| line.parse() == Ok(offset))
}

#[cfg(test)]
mod tests {
    use super::has_line;

    #[test]
    fn what_the_kernel_says_of_a_file_names_chip_and_lines() {
        let info = "pos:\t0\nflags:\t02000000\nmnt_id:\t15\nino:\t1055\ngpio-chip:\tgpiochip1\ngpio-line:\t3\ngpio-line:\t14\n";
        assert!(has_line(info, "gpiochip1", 3) && has_line(info, "gpiochip1", 14));
        assert!(!has_line(info, "gpiochip1", 4) && !has_line(info, "gpiochip1", 1));
        assert!(!has_line(info, "gpiochip11", 3) && !has_line("", "gpiochip1", 3));
        assert!(!has_line("gpio-chip:\tgpiochip1\ngpio-line:\tx\n", "gpiochip1", 0));
    }
}
