//! Which chips there are, which one a spec names, and where it is when it comes back.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use overlapped::Device;
use rustix::fs::FileType;

use super::{Chip, help};
use crate::backend::Backend;
use crate::{ChipInfo, Error, ErrorKind};

/// What a spec calls a chip that goes by its label.
const LABEL: &str = "label:";
/// Buses behind which a chip is asked for its lines by messages, so that its interrupts are found out by a thread.
const MESSAGE_BUSES: &[&str] = &["i2c", "i3c", "spi", "usb", "hid", "mdio_bus", "w1", "serial", "sdio", "greybus"];

/// Where a chip is in the machine, whatever its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(Option<PathBuf>);

impl Place {
    /// Of the chip that has this name now.
    pub(super) fn of(name: &str) -> Self {
        let path = fs::canonicalize(Path::new("/sys/bus/gpio/devices").join(name)).ok();
        Self(path.and_then(|path| Some(path.parent()?.to_owned())))
    }

    /// What a chip at this place is called, whatever its number.
    pub(super) fn id(&self, name: &str, label: &str) -> Arc<str> {
        let path = self.0.as_ref().map(|path| path.strip_prefix("/sys/devices").unwrap_or(path).to_string_lossy());
        let place = path.as_deref().map_or(name, |path| path.trim_start_matches('/'));
        format!("{place}:{label}").into()
    }

    /// Whether the kernel is likely to number this chip's interrupts as they happen, and not when a thread has found them
    /// out by asking the chip.
    pub(super) fn interrupts_directly(&self) -> bool {
        let Some(path) = &self.0 else { return true };
        let bus = |device: &Path| Some(fs::read_link(device.join("subsystem")).ok()?.file_name()?.to_owned());
        path.ancestors().filter_map(bus).all(|bus| MESSAGE_BUSES.iter().all(|slow| bus != *slow))
    }
}

/// Whether a spec names a chip of Linux.
pub(crate) fn is_spec(spec: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    spec.starts_with(LABEL) || spec.starts_with("/dev/") || is_number(spec.strip_prefix("gpiochip").unwrap_or(spec))
}

/// Opens the chip that a spec names: a number, a name, a path under /dev, `label:` and a label.
pub(crate) fn open(spec: &str) -> Result<Arc<dyn Backend>, Error> {
    if let Some(label) = spec.strip_prefix(LABEL) {
        return open_labelled(spec, label);
    }
    let path = path_of(spec);
    // A link may lead elsewhere when the chip comes back; what it leads to now is the chip.
    let real = fs::canonicalize(&path).map_or_else(|_| path.clone(), |real| real.to_string_lossy().into_owned());
    // A pipe would wait to be read, and a plain file would say that it is no terminal.
    if fs::metadata(&real).is_ok_and(|found| !found.file_type().is_char_device()) {
        return Err(help::no_device(&real));
    }
    let device = Device::open(&real).map_err(|error| help::not_opened(spec, &real, error))?;
    Ok(Arc::new(Chip::new(device, &real).map_err(|error| help::no_chip(spec, &real, error))?))
}

/// Of a number, a name or a path.
fn path_of(spec: &str) -> String {
    match spec.strip_prefix("gpiochip").unwrap_or(spec) {
        path if path.starts_with('/') => path.to_owned(),
        number => format!("/dev/gpiochip{number}"),
    }
}

fn open_labelled(spec: &str, label: &str) -> Result<Arc<dyn Backend>, Error> {
    let mut chips = chips().filter(|chip| *chip.info.label == *label);
    match (chips.next(), chips.next()) {
        (Some(chip), None) => Ok(Arc::new(chip)),
        (None, _) => Err(Error::new(ErrorKind::UnknownChip, format!("there is no chip \"{spec}\"; {}", help::chips()))),
        (Some(one), Some(two)) => {
            let (one, two) = (&one.info.name, &two.info.name);
            let message = format!(
                "\"{spec}\" is the label of several chips, \"{one}\" and \"{two}\" among them: use a name, or a link \
                 under /dev that udev makes"
            );
            Err(Error::new(ErrorKind::UnknownChip, message))
        }
    }
}

/// The names of the chips that have a label.
pub(super) fn labelled(label: &str) -> Vec<Arc<str>> {
    chips().filter(|chip| *chip.info.label == *label).map(|chip| chip.info.name.clone()).collect()
}

/// Whether a path leads to a gpiochip: to a character device that the kernel's bus of them has.
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

/// The gpiochips in a directory, in no order. A link to a chip is not another chip, and what has a chip's name and is a plain
/// file, a pipe or a directory is none.
pub(super) fn paths_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.flatten();
    let devices = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_char_device()));
    Ok(devices.map(|entry| entry.path()).filter(|path| is_chip(path)).collect())
}

/// The specs of the chips there are: `gpiochipN` in the order of the numbers, then the paths of those that are called
/// otherwise.
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

/// Opens one after the other; those that cannot be opened are left out.
fn chips() -> impl Iterator<Item = Chip> {
    names().into_iter().filter_map(|name| {
        let path = path_of(&name);
        Chip::new(Device::open(&path).ok()?, &path).ok()
    })
}

/// The chips there are, by the name to open each by; with nothing, if that is not possible. It says no more of those, since
/// that is where it is asked from.
pub(super) fn list() -> Vec<(String, Option<ChipInfo>)> {
    let info = |name: String| {
        let path = path_of(&name);
        let chip = Device::open(&path).ok().and_then(|device| Chip::new(device, &path).ok());
        (name, chip.map(|chip| chip.info))
    };
    names().into_iter().map(info).collect()
}

/// The same chip after it was unplugged and plugged in: the same label at the same place; or, where the place is
/// another, the only chip with that label.
pub(super) fn again(before: &Chip) -> Result<Arc<dyn Backend>, Error> {
    let mut alike: Vec<_> = chips().filter(|chip| chip.info.label == before.info.label).collect();
    let at_its_place = alike.iter().position(|chip| chip.place == before.place);
    match at_its_place.or((alike.len() == 1).then_some(0)) {
        Some(at) => Ok(Arc::new(alike.swap_remove(at))),
        // Its own file says best that it is gone.
        None => Err(match super::uapi::chip_info(&before.device) {
            Err(error) => before.error(error),
            Ok(_) => {
                let (name, label) = (&before.info.name, &before.info.label);
                let message = format!("chip \"{name}\" (\"{label}\") is still there, and not under /dev any more");
                Error::new(ErrorKind::UnknownChip, message)
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_chip, is_spec, open, paths_in};
    use crate::ErrorKind;

    #[test]
    fn what_is_called_as_a_chip_and_is_none_is_left_out() {
        let place = std::env::temp_dir().join(format!("linewake-chips-{}", std::process::id()));
        std::fs::create_dir_all(place.join("gpiochip9")).unwrap();
        std::fs::write(place.join("gpiochip8"), "").unwrap();
        std::os::unix::fs::symlink("/dev/null", place.join("gpiochip7")).unwrap();
        assert!(paths_in(&place).unwrap().is_empty());
        assert!(!is_chip(Path::new("/dev/null")) && !is_chip(&place.join("gpiochip8")) && !is_chip(&place));
        let error = super::help::no_device(place.join("gpiochip9").to_str().unwrap());
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

    #[test]
    fn a_chip_that_is_not_there_is_named_with_what_there_is() {
        for spec in ["label:no such chip", "gpiochip4294967295", "4294967295", "/dev/no such chip"] {
            let error = open(spec).unwrap_err();
            let said = error.to_string();
            assert!(said.contains(&format!("\"{spec}\"")), "{said}");
            assert!(said.contains("there is none") || said.contains("there are"), "{said}");
        }
        let error = open("/dev/null").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownChip);
        assert!(error.to_string().contains("\"/dev/null\" is no gpiochip"), "{error}");
    }
}
