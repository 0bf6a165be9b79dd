//! The chips that exist, and their specs.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use overlapped::Device;
use rustix::fs::FileType;

use super::chip::GpioChip;
use crate::ChipInfo;

/// The prefix of a spec with a label.
pub(super) const LABEL: &str = "label:";

/// True if a spec names a Linux gpiochip.
pub(crate) fn is_spec(spec: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    spec.starts_with(LABEL) || spec.starts_with("/dev/") || is_number(spec.strip_prefix("gpiochip").unwrap_or(spec))
}

/// The path of a chip, from its number, name or path.
pub(super) fn path_of(spec: &str) -> String {
    match spec.strip_prefix("gpiochip").unwrap_or(spec) {
        path if path.starts_with('/') => path.to_owned(),
        number => format!("/dev/gpiochip{number}"),
    }
}

/// The names of the chips that have a label.
pub(super) fn labelled(label: &str) -> Vec<Arc<str>> {
    chips().filter(|chip| *chip.info.label == *label).map(|chip| chip.info.name.clone()).collect()
}

/// True if a path leads to a gpiochip: to a character device on the kernel's gpio bus.
#[must_use]
pub fn is_chip(path: &Path) -> bool {
    let Ok(stat) = rustix::fs::stat(path) else { return false };
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice {
        return false;
    }
    let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    let bus = rustix::fs::readlink(format!("/sys/dev/char/{major}:{minor}/subsystem"), Vec::new());
    bus.is_ok_and(|bus| bus.as_bytes().ends_with(b"/bus/gpio"))
}

/// The gpiochips in a directory, in no order, without links. Plain files, pipes and directories with the name of a chip
/// are left out.
pub(super) fn paths_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.flatten();
    let devices = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_char_device()));
    Ok(devices.map(|entry| entry.path()).filter(|path| is_chip(path)).collect())
}

/// The specs of the chips that exist: `gpiochipN` in the order of the numbers, then the paths of chips with other
/// names.
pub(crate) fn names() -> Vec<String> {
    let paths = paths_in(Path::new("/dev")).unwrap_or_default();
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("gpiochip")?.parse::<u32>().ok();
    let mut numbered: Vec<u32> = paths.iter().filter_map(|path| number(path)).collect();
    numbered.sort_unstable();
    let others = paths.iter().filter(|path| number(path).is_none());
    let mut others: Vec<_> = others.filter_map(|path| path.to_str().map(str::to_owned)).collect();
    others.sort_unstable();
    numbered.into_iter().map(|number| format!("gpiochip{number}")).chain(others).collect()
}

/// Opens the chips one after the other. Chips that do not open are left out.
pub(super) fn chips() -> impl Iterator<Item = GpioChip> {
    names().into_iter().filter_map(|name| chip(&name))
}

fn chip(name: &str) -> Option<GpioChip> {
    let path = path_of(name);
    GpioChip::new(Device::open(&path).ok()?, &path).ok()
}

/// The specs of the chips that exist, each with its facts if it opens. It reports no failure, since it is itself used
/// to explain failures.
pub(super) fn list() -> Vec<(String, Option<ChipInfo>)> {
    let info = |name: String| (chip(&name).map(|chip| chip.info), name);
    names().into_iter().map(info).map(|(info, name)| (name, info)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::help;
    use super::{is_chip, is_spec, paths_in};

    #[test]
    fn files_named_like_a_chip_are_left_out() {
        let place = std::env::temp_dir().join(format!("linewake-chips-{}", std::process::id()));
        std::fs::create_dir_all(place.join("gpiochip9")).unwrap();
        std::fs::write(place.join("gpiochip8"), "").unwrap();
        std::os::unix::fs::symlink("/dev/null", place.join("gpiochip7")).unwrap();
        assert!(paths_in(&place).unwrap().is_empty());
        assert!(!is_chip(Path::new("/dev/null")) && !is_chip(&place.join("gpiochip8")) && !is_chip(&place));
        let error = help::no_device(place.join("gpiochip9").to_str().unwrap());
        assert!(error.to_string().contains("gpiochip9\" is a directory, and no gpiochip; there "), "{error}");
        std::fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn names_numbers_paths_and_labels_are_specs() {
        for spec in ["0", "12", "gpiochip0", "/dev/gpiochip0", "/dev/by-what/ever", "label:pinctrl-bcm2711", "label:"] {
            assert!(is_spec(spec), "{spec}");
        }
        for spec in ["", "sim", "gpiochip", "gpiochipx", "-1", "1e3", "dev/gpiochip0", r"\\.\gpiochip0"] {
            assert!(!is_spec(spec), "{spec}");
        }
    }
}
