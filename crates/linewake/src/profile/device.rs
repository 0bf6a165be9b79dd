//! What a profile opens.

use overlapped::Access;

use crate::Error;
use crate::keys::{Keys, Value};

/// What to open.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    /// Nobody else may have it open.
    pub(crate) exclusive: bool,
    /// Whether it is opened for writing too, if the profile says so.
    pub(crate) writes: Option<bool>,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    Path(String),
    /// A device of a device interface class (Windows).
    Interface {
        guid: String,
        /// A part of the device's path, whatever its case.
        matching: Option<String>,
        index: Option<usize>,
    },
    /// A device of a class of sysfs (Linux).
    Subsystem {
        name: String,
        /// What its udev properties, or its uevent and those of its parents, say.
        properties: Vec<(String, String)>,
        index: Option<usize>,
    },
}

impl Place {
    /// Whether it is a device of Windows, and not of Linux.
    pub(crate) fn is_of_windows(&self) -> bool {
        match self {
            Self::Path(path) => path.starts_with('\\'),
            Self::Interface { .. } => true,
            Self::Subsystem { .. } => false,
        }
    }

    /// What it is, if it is not for this system.
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
            _ => return Err(keys.error("\"device\" has one of `path`, `interface` and `subsystem`")),
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
            let message = "is not a GUID: write it like {86E0D1E0-8089-11D0-9CE4-08003E301F73}";
            return Err(interface.error(format!("\"{text}\" {message}")));
        }
        let matching = keys.get("match").map(|text| text.text().map(str::to_owned)).transpose()?;
        Ok(Place::Interface { guid: text.to_owned(), matching, index: index(keys)? })
    }

    fn subsystem(keys: &Keys<'_>, subsystem: &Value<'_>) -> Result<Place, Error> {
        let name = subsystem.text()?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(
                subsystem.error(format!("\"{name}\" is no subsystem: it is a name like \"input\" or \"hidraw\""))
            );
        }
        let mut properties = Vec::new();
        if let Some(wanted) = keys.get("property") {
            for (key, value) in wanted.table()?.all() {
                properties.push((key.to_owned(), value.text()?.to_owned()));
            }
        }
        Ok(Place::Subsystem { name: name.to_owned(), properties, index: index(keys)? })
    }

    /// Whether it has to be opened for writing, for calls of these control codes or for writes.
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

/// Why a path is none of a local device. Another could make this program log on at somebody's server.
fn no_device(path: &str) -> Option<String> {
    let is_unix = path.starts_with("/dev/");
    let parts: Vec<_> = path.split(['\\', '/']).collect();
    let is_windows = path.starts_with(r"\\.\") || path.starts_with(r"\\?\");
    let leaves = |part: &&str| ["..", "UNC", "GLOBALROOT"].iter().any(|word| part.eq_ignore_ascii_case(word));
    let fits = (is_unix || is_windows) && !parts.iter().any(leaves) && !path.contains('\0');
    (!fits).then(|| format!(r#""{path}" is no path of a local device: write it like '\\.\Card0' or "/dev/card0""#))
}
