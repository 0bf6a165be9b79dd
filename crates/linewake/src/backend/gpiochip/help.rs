//! Remedies for a chip that does not open or does not give its lines. They name the holders of the lines, the group
//! that has access, and the chips that exist.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

use overlapped::ErrorKind as Kind;

use super::chip::{GpioChip, of_chip};
use super::find;
use crate::backend::unsupported;
use crate::{Error, ErrorKind, LineConfig, LineHolder, Offset};

const RULE: &str = r#"SUBSYSTEM=="gpio", KERNEL=="gpiochip[0-9]*", GROUP="gpio", MODE="0660""#;

/// The chips that exist, to end an error message.
pub(super) fn chips() -> String {
    let names: Vec<_> = find::list()
        .into_iter()
        .map(|(name, info)| match info {
            Some(info) => format!("\"{name}\" (\"{}\", {} lines)", info.label, info.lines),
            None => format!("\"{name}\""),
        })
        .collect();
    if names.is_empty() {
        let simulate =
            if can_simulate() { "; as root, \"modprobe gpio-sim\" has the kernel simulate some" } else { "" };
        format!("there is none on this system: load the driver of your chip, or open \"sim\"{simulate}")
    } else {
        format!("there are {}", names.join(", "))
    }
}

/// The error for a text that is no spec, but the label of a chip.
pub(crate) fn labelled(spec: &str) -> Option<String> {
    let names = find::labelled(spec);
    let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    Some(match names.as_slice() {
        [] => return None,
        [name] => format!("\"{spec}\" is the label of the chip {name}: \"label:{spec}\" opens it"),
        names => format!("\"{spec}\" is the label of several chips, {}: name one of them", names.join(" and ")),
    })
}

/// True if the kernel has its simulator of chips as a module.
fn can_simulate() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = fs::read_to_string(format!("/lib/modules/{}/modules.dep", release.trim()));
    modules.is_ok_and(|modules| modules.contains("/gpio-sim.ko"))
}

/// The error of a chip's file that does not open.
pub(super) fn not_opened(spec: &str, path: &str, error: overlapped::Error) -> Error {
    let message = match error.kind() {
        Kind::NotFound => format!("there is no chip \"{spec}\"; {}", chips()),
        Kind::AccessDenied => format!("cannot {error}; {}", permission(path)),
        _ => return error.into(),
    };
    Error::from(error).saying(message)
}

/// The group that may open a file, and how to join it.
fn permission(path: &str) -> String {
    let group = fs::metadata(path).ok().filter(|file| file.mode() & 0o060 == 0o060).map(|file| file.gid());
    match group.filter(|&group| group != 0).and_then(group_name) {
        Some(group) => format!(
            "it belongs to the group \"{group}\": \"sudo usermod -aG {group} $USER\" puts you in it, from the next \
             login on"
        ),
        None => format!(
            "only root may open it: give it to a group with \"sudo groupadd -f gpio; sudo usermod -aG gpio $USER\" and \
             the line '{RULE}' in \"/etc/udev/rules.d/60-gpio.rules\", and start again"
        ),
    }
}

fn group_name(id: u32) -> Option<String> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let line = groups.lines().find(|line| line.split(':').nth(2) == Some(&id.to_string()))?;
    Some(line.split(':').next()?.to_owned())
}

/// The error for a file that opened but is no chip.
pub(super) fn no_chip(spec: &str, path: &str, error: overlapped::Error) -> Error {
    if error.kind() != Kind::Unsupported {
        return of_chip(spec, error);
    }
    Error::new(ErrorKind::UnknownChip, format!("\"{path}\" is no gpiochip; {}", chips()))
}

/// The error of a path that is no device.
pub(super) fn no_device(path: &str) -> Error {
    let what = match fs::metadata(path) {
        Ok(found) if found.is_dir() => "a directory",
        Ok(found) if found.is_file() => "a plain file",
        _ => "no character device",
    };
    Error::new(ErrorKind::UnknownChip, format!("\"{path}\" is {what}, and no gpiochip; {}", chips()))
}

/// The error of lines that the kernel does not give.
pub(super) fn not_taken(chip: &GpioChip, error: overlapped::Error, asked: &[(Offset, LineConfig)]) -> Error {
    match error.kind() {
        Kind::Busy => busy(chip, error, asked),
        Kind::InvalidInput => {
            let said = chip.error(error);
            let message =
                format!("{said}; request the lines as inputs or outputs to set a bias, a drive or a debounce period");
            said.saying(message)
        }
        _ => chip.error(error),
    }
}

/// The error of lines that the kernel does not watch for edges.
pub(super) fn not_watched(chip: &GpioChip, error: overlapped::Error, asked: &[(Offset, LineConfig)]) -> Error {
    /// ENXIO: a line has no interrupt. Some chips return EIO, EINVAL or ENOSYS, which may mean anything.
    const NO_INTERRUPT: i32 = 6;
    if error.code() == Some(overlapped::ErrorCode::Errno(NO_INTERRUPT)) {
        return unsupported(
            &chip.info.name,
            "has lines without an interrupt, which cannot be watched, and one of them was requested",
        );
    }
    let hte = asked.iter().any(|line| line.1.clock == crate::EventClock::Hte);
    if error.kind() == Kind::Unsupported && hte {
        return unsupported(&chip.info.name, "has no hardware timestamp engine that the kernel supports");
    }
    chip.error(error)
}

/// The error for busy lines. It names the line and its holder.
fn busy(chip: &GpioChip, error: overlapped::Error, asked: &[(Offset, LineConfig)]) -> Error {
    let name = &chip.info.name;
    let held = asked.iter().filter_map(|line| chip.line_info(line.0).ok()).find(|line| line.used);
    let Some(line) = held else {
        let message = format!("a line of chip \"{name}\" was just held by another program; try again");
        return Error::from(error).busy(message);
    };
    let called = line.name.as_deref().map(|name| format!(" (\"{name}\")")).unwrap_or_default();
    let consumer = line.consumer.as_deref().unwrap_or("?");
    let holder = match holder(name, line.offset.get()) {
        None if sees_all_processes() => {
            let by = line.consumer.as_deref().map(|consumer| format!(" as \"{consumer}\"")).unwrap_or_default();
            format!("the kernel{by}: by a driver or a hog of the device tree; no process can take it")
        }
        Some(LineHolder { process, program }) if process == std::process::id() => {
            format!("\"{consumer}\", which is this process ({process}, \"{program}\"): use the request that holds it")
        }
        Some(LineHolder { process, program }) => format!(
            "\"{consumer}\" (process {process}, \"{program}\"): a gpiochip's line has one holder at a time; end that \
             process"
        ),
        None => format!("\"{consumer}\": the kernel, by a driver or a hog, or another user's process; root sees which"),
    };
    Error::from(error).busy(format!("line {}{called} of chip \"{name}\" is held by {holder}", line.offset))
}

/// The process that holds a line, by the open files in /proc.
pub(super) fn holder(chip: &str, offset: u32) -> Option<LineHolder> {
    let (process, _) = held_lines().find(|(_, info)| lines_of(info, chip).any(|line| line == offset))?;
    Some(LineHolder { process, program: program(process) })
}

/// The holders of all lines of a chip.
pub(super) fn holders(chip: &str) -> HashMap<Offset, LineHolder> {
    let of_file = |(process, info): (u32, String)| {
        let holder = LineHolder { process, program: program(process) };
        lines_of(&info, chip).map(|line| (Offset::from(line), holder.clone())).collect::<Vec<_>>()
    };
    held_lines().flat_map(of_file).collect()
}

/// The open files that hold lines: the process of each, and its fdinfo.
fn held_lines() -> impl Iterator<Item = (u32, String)> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    processes.flat_map(|process| {
        let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        let holds = |file: &fs::DirEntry| {
            fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == "anon_inode:gpio-line")
        };
        files.filter(holds).filter_map(move |file| {
            let fd = file.file_name();
            let info = fs::read_to_string(format!("/proc/{process}/fdinfo/{}", fd.to_str()?)).ok()?;
            Some((process, info))
        })
    })
}

/// True if this process may see the open files of all processes. Then a busy line that no process holds is held by the
/// kernel.
fn sees_all_processes() -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut processes = processes.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    let is_hidden = |process: fs::DirEntry| {
        // A process that has ended meanwhile has no files.
        let files = fs::read_dir(process.path().join("fd"));
        files.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    Path::new("/proc/self").exists() && !processes.any(is_hidden)
}

fn program(process: u32) -> String {
    let program = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    program.trim_end().to_owned()
}

/// The lines of a chip that a file holds, by its fdinfo.
fn lines_of<'a>(info: &'a str, chip: &str) -> impl Iterator<Item = u32> + use<'a> {
    let values = |key| info.lines().filter_map(move |line| Some(line.strip_prefix(key)?.trim()));
    let is_its = values("gpio-chip:").any(|name| name == chip);
    values("gpio-line:").filter(move |_| is_its).filter_map(|line| line.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::lines_of;

    #[test]
    fn the_fdinfo_of_a_file_names_its_chip_and_lines() {
        let lines = |info: &'static str, chip| lines_of(info, chip).collect::<Vec<_>>();
        let info = "pos:\t0\nflags:\t02000000\nmnt_id:\t15\nino:\t1055\ngpio-chip:\tgpiochip1\ngpio-line:\t3\ngpio-line:\t14\n";
        assert_eq!(lines(info, "gpiochip1"), [3, 14]);
        assert_eq!(lines(info, "gpiochip11"), [0; 0]);
        assert_eq!(lines("", "gpiochip1"), [0; 0]);
        assert_eq!(lines("gpio-chip:\tgpiochip1\ngpio-line:\tx\n", "gpiochip1"), [0; 0]);
    }
}
