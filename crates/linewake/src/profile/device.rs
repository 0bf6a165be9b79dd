//! The device that a profile opens.

use overlapped::Access;

use crate::Error;
use crate::keys::{Keys, Value};

/// The device to open.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    /// True if no other program may have it open.
    pub(crate) exclusive: bool,
    /// True to open it for writing too; `None` if the profile does not say.
    pub(crate) writes: Option<bool>,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    Path(String),
    /// A device of a device interface class (Windows).
    Interface {
        guid: String,
        /// A part of the device's path, in upper or lower case.
        matching: Option<String>,
        index: Option<usize>,
    },
    /// A device of a class of sysfs (Linux).
    Subsystem {
        name: String,
        /// Values that the device must have in its udev properties, or in its uevent or that of a parent.
        properties: Vec<(String, String)>,
        index: Option<usize>,
    },
}

impl Place {
    /// True for a Windows device, false for a Linux device.
    pub(crate) fn is_of_windows(&self) -> bool {
        match self {
            Self::Path(path) => path.starts_with('\\'),
            Self::Interface { .. } => true,
            Self::Subsystem { .. } => false,
        }
    }

    /// A description of the device, if it is not for this system.
    pub(crate) fn is_foreign(&self) -> Option<String> {
        let (shown, is_windows) = match self {
            Self::Path(path) => (path, self.is_of_windows()),
            Self::Interface { guid, .. } => (guid, true),
            Self::Subsystem { name, .. } => (name, false),
        };
        let system = match std::env::consts::OS {
            "linux" => "Linux",
            "windows" => "Windows",
            other => other,
        };
        let of = if is_windows { "a Windows device" } else { "a device file, which Windows does not have" };
        (is_windows != cfg!(windows)).then(|| format!("\"{shown}\", {of}: this system is {system}"))
    }
}

impl Target {
    pub(super) fn read(value: &Value<'_>) -> Result<Self, Error> {
        const KNOWN: &[&str] = &["path", "interface", "match", "index", "subsystem", "property", "exclusive", "access"];
        let keys = value.table()?.only(KNOWN)?;
        let place = match (keys.get("path"), keys.get("interface"), keys.get("subsystem")) {
            (Some(path), None, None) => Self::path(&path)?,
            (None, Some(interface), None) => Self::interface(&keys, &interface)?,
            (None, None, Some(subsystem)) => Self::subsystem(&keys, &subsystem)?,
            _ => return Err(keys.error("\"device\" needs exactly one of `path`, `interface` and `subsystem`")),
        };
        let exclusive = keys.get("exclusive").map_or(Ok(false), |exclusive| exclusive.truth())?;
        let access = &[("read", false), ("read-write", true)];
        let writes = keys.get("access").map(|said| said.word(access)).transpose()?;
        keys.finish()?;
        Ok(Self { place, exclusive, writes })
    }

    fn path(path: &Value<'_>) -> Result<Place, Error> {
        match no_device(path.text()?) {
            Some(reason) => Err(path.error(reason)),
            None => Ok(Place::Path(path.text()?.to_owned())),
        }
    }

    fn interface(keys: &Keys<'_>, interface: &Value<'_>) -> Result<Place, Error> {
        let text = interface.text()?;
        let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
        let lengths = bare.split('-').map(str::len);
        let digits = bare.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if !digits || !lengths.eq([8, 4, 4, 4, 12]) {
            let message = "is not a GUID; expected one like {86E0D1E0-8089-11D0-9CE4-08003E301F73}";
            return Err(interface.error(format!("\"{text}\" {message}")));
        }
        let matching = keys.get("match").map(|text| text.text().map(str::to_owned)).transpose()?;
        Ok(Place::Interface { guid: text.to_owned(), matching, index: index(keys)? })
    }

    fn subsystem(keys: &Keys<'_>, subsystem: &Value<'_>) -> Result<Place, Error> {
        let name = subsystem.text()?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(subsystem.error(format!("expected a subsystem like \"input\" or \"hidraw\", found \"{name}\"")));
        }
        let mut properties = Vec::new();
        if let Some(wanted) = keys.get("property") {
            for (key, value) in wanted.table()?.all() {
                properties.push((key.to_owned(), value.text()?.to_owned()));
            }
        }
        Ok(Place::Subsystem { name: name.to_owned(), properties, index: index(keys)? })
    }

    /// True if it must be opened for writing because of these calls.
    pub(crate) fn opens_for_writing<'c>(&self, calls: impl IntoIterator<Item = &'c super::call::What>) -> bool {
        use super::call::What;
        let needs = |what: &What| match what {
            What::Control(code) => matches!(code.access(), Access::Write | Access::ReadWrite),
            What::Write => true,
            What::Ioctl(_) => false,
        };
        self.writes.unwrap_or_else(|| calls.into_iter().any(needs))
    }
}

fn index(keys: &Keys<'_>) -> Result<Option<usize>, Error> {
    keys.get("index").map(|index| index.size(0, 1 << 16)).transpose()
}

/// The reason why a path is refused: it is not the path of a local device. Another path could make this program log on
/// to a remote server.
fn no_device(path: &str) -> Option<String> {
    let is_unix = path.starts_with("/dev/");
    let parts: Vec<_> = path.split(['\\', '/']).collect();
    let is_windows = path.starts_with(r"\\.\") || path.starts_with(r"\\?\");
    let leaves = |part: &&str| ["..", "UNC", "GLOBALROOT"].iter().any(|word| part.eq_ignore_ascii_case(word));
    let fits = (is_unix || is_windows) && !parts.iter().any(leaves) && !path.contains('\0');
    (!fits).then(|| format!(r#"expected the path of a local device, like '\\.\Card0' or "/dev/card0", found "{path}""#))
}
