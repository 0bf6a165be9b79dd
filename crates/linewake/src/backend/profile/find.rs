//! Finds the device that a profile means.
//!
//! ```text
//!   Windows:  interface ─► present devices ─► match ─┐
//!   Linux:    subsystem ─► sysfs and udev ─► property ┴─► index, or the only one
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{Error, ErrorKind};

/// The device that was found last. It stays chosen while it is present, even if another device fits too: that one is
/// another chip.
#[derive(Debug, Default)]
pub(super) struct DeviceChoice(Mutex<Option<PathBuf>>);

impl DeviceChoice {
    /// Chooses among the devices that fit. `what` names what was looked for.
    ///
    /// # Errors
    /// An error that [`is_disconnected`](Error::is_disconnected) when there is none; [`ErrorKind::InvalidInput`] when
    /// there are several, with their names.
    pub(super) fn choose(&self, fitting: &[PathBuf], index: Option<usize>, what: &str) -> Result<PathBuf, Error> {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &*found
            && fitting.contains(path)
        {
            return Ok(path.clone());
        }
        let path = choose(fitting, index, what)?;
        *found = Some(path.clone());
        Ok(path)
    }
}

fn choose(fitting: &[PathBuf], index: Option<usize>, what: &str) -> Result<PathBuf, Error> {
    let names = || fitting.iter().map(|path| format!("\"{}\"", path.display())).collect::<Vec<_>>().join(", ");
    match (fitting, index) {
        ([], _) => Err(Error::gone(format!("cannot find {what}; is it plugged in, and is its driver running?"))),
        ([path], None) => Ok(path.clone()),
        (_, None) => {
            let message = format!("{} match {what}: {}; say more, or set `index`", fitting.len(), names());
            Err(Error::new(ErrorKind::InvalidInput, message))
        }
        (_, Some(index)) => fitting.get(index).cloned().ok_or_else(|| {
            let there = if fitting.len() == 1 { "one matches" } else { "these match" };
            Error::gone(format!("cannot find number {index}, from 0, of {what}; {there}: {}", names()))
        }),
    }
}

/// The devices of an interface whose path has a text in it, whatever its case.
#[cfg(any(windows, test))]
pub(super) fn matching(present: Vec<PathBuf>, text: Option<&str>) -> Vec<PathBuf> {
    let text = text.unwrap_or_default().to_lowercase();
    present.into_iter().filter(|path| path.to_string_lossy().to_lowercase().contains(&text)).collect()
}

/// Describes in words which device is looked for.
pub(super) fn wanted_interface(guid: &str, text: Option<&str>) -> String {
    let matching = text.map(|text| format!(" with \"{text}\" in its path")).unwrap_or_default();
    format!("a device of the interface \"{guid}\"{matching}")
}

pub(super) fn wanted_device(subsystem: &str, properties: &[(String, String)]) -> String {
    let with: Vec<_> = properties.iter().map(|(key, value)| format!("{key} = \"{value}\"")).collect();
    let with = if with.is_empty() { String::new() } else { format!(" with {}", with.join(" and ")) };
    format!("a device of the subsystem \"{subsystem}\"{with}")
}

/// The directories that describe the devices.
#[derive(Clone, Debug)]
pub(super) struct Roots {
    pub(super) sysfs: PathBuf,
    pub(super) udev: PathBuf,
    pub(super) dev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { sysfs: "/sys".into(), udev: "/run/udev/data".into(), dev: "/dev".into() }
    }
}

impl Roots {
    /// The device files of a class or a bus that have all these properties. They are sorted by name, and numbers in a
    /// name by their size. A value may have `*` in it, for any text.
    pub(super) fn devices(&self, subsystem: &str, properties: &[(String, String)]) -> Vec<PathBuf> {
        let of_class = self.sysfs.join("class").join(subsystem);
        let of_bus = self.sysfs.join("bus").join(subsystem).join("devices");
        let listed = |directory: &Path| std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
        let mut devices: Vec<_> = listed(&of_class).chain(listed(&of_bus)).map(|entry| entry.path()).collect();
        devices.sort_by_key(|device| numbered(&name_of(device)));
        let fits = |device: PathBuf| {
            let own = text_of(&device.join("uevent"))?;
            let path = self.dev.join(value_of(&own, "DEVNAME")?);
            let holds = |(key, value): &(String, String)| self.holds(&device, &own, key, value);
            properties.iter().all(holds).then_some(path)
        };
        let mut files: Vec<_> = devices.into_iter().filter_map(fits).collect();
        files.dedup();
        files
    }

    /// True if a property has this value in the device's own uevent, in its udev record, or in the uevents above it.
    fn holds(&self, device: &Path, own: &str, key: &str, value: &str) -> bool {
        let is = |text: &str| value_of(text, key).is_some_and(|found| is_like(found, value));
        let by_udev = || self.udev_record(device, own).is_some_and(|record| is(&record));
        let above = || {
            let Ok(device) = std::fs::canonicalize(device) else { return false };
            let Ok(top) = std::fs::canonicalize(&self.sysfs) else { return false };
            let above = device.ancestors().skip(1).take_while(|above| above.starts_with(&top));
            above.filter_map(|above| text_of(&above.join("uevent"))).any(|text| is(&text))
        };
        is(own) || by_udev() || above()
    }

    /// The properties that udev has recorded for a device, one in each line.
    fn udev_record(&self, device: &Path, own: &str) -> Option<String> {
        let (major, minor) = (value_of(own, "MAJOR")?, value_of(own, "MINOR")?);
        let subsystem = std::fs::read_link(device.join("subsystem")).ok();
        let is_block = subsystem.is_some_and(|subsystem| name_of(&subsystem) == "block");
        let record = self.udev.join(format!("{}{major}:{minor}", if is_block { 'b' } else { 'c' }));
        let record = text_of(&record)?;
        Some(record.lines().filter_map(|line| line.strip_prefix("E:")).collect::<Vec<_>>().join("\n"))
    }
}

/// The text of a file. A device's name in it may have bytes that are not UTF-8.
fn text_of(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The value of a key, in lines of `KEY=value`, without quotes around it.
fn value_of<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// True if a text equals `wanted`, in which `*` stands for any text.
fn is_like(text: &str, wanted: &str) -> bool {
    let Some((start, rest)) = wanted.split_once('*') else { return text == wanted };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<_> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

/// Splits a name into texts and numbers, so that numbers are compared by their size.
fn numbered(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let (text, from_digit) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let digits = from_digit.find(|c: char| !c.is_ascii_digit()).unwrap_or(from_digit.len());
        let (number, behind) = from_digit.split_at(digits);
        parts.push((text.to_owned(), number.parse().unwrap_or(if number.is_empty() { 0 } else { u64::MAX })));
        rest = behind;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn the_only_device_or_that_of_the_index_is_chosen() {
        let present =
            paths(&[r"\\?\usb#vid_0547&pid_1002#5", r"\\?\usb#vid_0547&pid_1002#6", r"\\?\usb#VID_05F3&pid_1"]);
        let other = matching(present.clone(), Some("vid_05f3"));
        assert_eq!(choose(&other, None, "it").unwrap(), present[2]);
        let two = matching(present.clone(), Some("VID_0547"));
        assert_eq!(choose(&two, Some(1), "it").unwrap(), present[1]);
        let error = choose(&two, None, &wanted_interface("{guid}", Some("VID_0547"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let said = error.to_string();
        for part in ["\"{guid}\"", "with \"VID_0547\" in its path", "2 match", "#5\"", "#6\"", "`index`"] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(matching(present.clone(), None), present);
        for (fitting, index) in [(&[][..], None), (&[], Some(0)), (&two, Some(2))] {
            let error = choose(fitting, index, "a device").unwrap_err();
            assert!(error.is_disconnected() && error.to_string().contains("a device"), "{error}");
        }
    }

    #[test]
    fn a_device_stays_chosen_while_it_is_present() {
        let found = DeviceChoice::default();
        let [one, two] = [&paths(&["a"])[..], &paths(&["0", "a"])];
        assert_eq!(found.choose(one, Some(0), "it").unwrap(), Path::new("a"));
        assert_eq!(found.choose(two, Some(0), "it").unwrap(), Path::new("a"));
        assert!(found.choose(&[], Some(0), "it").unwrap_err().is_disconnected());
        assert_eq!(found.choose(&paths(&["0"]), Some(0), "it").unwrap(), Path::new("0"));
    }

    #[test]
    fn names_are_sorted_by_number_and_values_can_have_wildcards() {
        let mut names = ["event10", "event9", "js0", "event", "3-1", "12"];
        names.sort_by_key(|name| numbered(name));
        assert_eq!(names, ["3-1", "12", "event", "event9", "event10", "js0"]);
        for (text, wanted, fits) in [
            ("input/event3", "input/event*", true),
            ("input/js0", "input/event*", false),
            ("abc", "*", true),
            ("abcabd", "a*b*d", true),
            ("abcabd", "a*x*d", false),
            ("ab", "ab*b", false),
            ("abc", "ab", false),
        ] {
            assert_eq!(is_like(text, wanted), fits, "{text} {wanted}");
        }
    }

    #[cfg(unix)]
    mod on_unix {
        use std::fs;
        use std::os::unix::fs::symlink;

        use super::super::*;

        struct Tree(PathBuf);

        impl Tree {
            fn new(name: &str) -> Self {
                let root = std::env::temp_dir().join(format!("linewake-find-{name}-{}", std::process::id()));
                let _ = fs::remove_dir_all(&root);
                fs::create_dir_all(root.join("sys/class/input")).unwrap();
                fs::create_dir_all(root.join("udev")).unwrap();
                Self(root)
            }

            fn roots(&self) -> Roots {
                Roots { sysfs: self.0.join("sys"), udev: self.0.join("udev"), dev: "/dev".into() }
            }

            /// Adds a device at a path of directories. Only a device with a device number has a udev record.
            fn add(&self, path: &str, uevent: &str, udev: &[&str]) {
                let directory = self.0.join("sys/devices").join(path);
                fs::create_dir_all(&directory).unwrap();
                fs::write(directory.join("uevent"), uevent).unwrap();
                symlink("../../class/input", directory.join("subsystem")).unwrap();
                let name = directory.file_name().unwrap();
                symlink(&directory, self.0.join("sys/class/input").join(name)).unwrap();
                if let (Some(major), Some(minor)) = (value_of(uevent, "MAJOR"), value_of(uevent, "MINOR")) {
                    fs::write(self.0.join(format!("udev/c{major}:{minor}")), udev.join("\n")).unwrap();
                }
            }
        }

        impl Drop for Tree {
            fn drop(&mut self) {
                let _ = fs::remove_dir_all(&self.0);
            }
        }

        #[test]
        fn a_device_is_found_by_its_properties_and_those_of_its_parents() {
            let tree = Tree::new("devices");
            let event = |number: u32| format!("MAJOR=13\nMINOR={}\nDEVNAME=input/event{number}", 64 + number);
            tree.add("usb1/input/input9", "PRODUCT=3/46d/c52b/111\nNAME=\"Button Box\"", &[]);
            tree.add(
                "usb1/input/input9/event10",
                &event(10),
                &["S:input/by-id/box", "E:ID_INPUT_KEY=1", "E:ID_SERIAL=77"],
            );
            tree.add("usb1/input/input9/js0", "MAJOR=13\nMINOR=0\nDEVNAME=input/js0", &["E:ID_INPUT_KEY=1"]);
            tree.add("platform/input/input1", "NAME=\"gpio-keys\"", &[]);
            tree.add("platform/input/input1/event2", &event(2), &["E:ID_INPUT_KEY=1"]);
            let found = |wanted: &[(&str, &str)]| {
                let wanted: Vec<_> =
                    wanted.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
                let found = tree.roots().devices("input", &wanted);
                found.iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>()
            };
            assert_eq!(found(&[]), ["/dev/input/event2", "/dev/input/event10", "/dev/input/js0"]);
            assert_eq!(found(&[("ID_SERIAL", "77")]), ["/dev/input/event10"]);
            assert_eq!(found(&[("NAME", "gpio-keys")]), ["/dev/input/event2"]);
            assert_eq!(found(&[("NAME", "Button Box"), ("DEVNAME", "input/event*")]), ["/dev/input/event10"]);
            assert_eq!(found(&[("NAME", "Button Box"), ("ID_SERIAL", "78")]), [""; 0]);
            assert_eq!(found(&[("ID_INPUT_KEY", "1")]).len(), 3);
            assert!(tree.roots().devices("hidraw", &[]).is_empty());
        }

        #[test]
        fn odd_names_and_broken_links_hide_no_device() {
            let tree = Tree::new("bytes");
            tree.add("usb1/input/input9", "NAME=\"T\u{e4}ster\"", &[]);
            tree.add("usb1/input/input9/event3", "MAJOR=13\nMINOR=67\nDEVNAME=input/event3", &["E:ID_SERIAL=77"]);
            // In Latin-1, as the device gave it.
            fs::write(tree.0.join("sys/devices/usb1/input/input9/uevent"), b"NAME=\"T\xe4ster\"\nPHYS=\"usb-1\"")
                .unwrap();
            fs::write(tree.0.join("udev/c13:67"), b"E:ID_VENDOR=Gr\xfcn\nE:ID_SERIAL=77").unwrap();
            let class = tree.0.join("sys/class/input");
            symlink("nowhere", class.join("event1")).unwrap();
            symlink("event2", class.join("event2")).unwrap();
            for (key, value) in [("PHYS", "usb-1"), ("NAME", "T*ster"), ("ID_SERIAL", "77"), ("ID_VENDOR", "Gr*")] {
                let found = tree.roots().devices("input", &[(key.to_owned(), value.to_owned())]);
                assert_eq!(found, [Path::new("/dev/input/event3")], "{key}");
            }
        }
    }
}
