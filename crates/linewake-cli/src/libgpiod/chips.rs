//! The chips of this computer, and the one that an operand or `-c` names: by a number, a name in `/dev`, or a path.

use std::env;
#[cfg(target_os = "linux")]
use std::path::PathBuf;

use super::chip::OpenChip;
use super::{Exit, strerror};

/// With this variable set to 1, `-c sim` and `-c sim:64` are simulated chips, for tests. The other chips of `linewake`
/// do not exist here: they run programs, read files and open devices of any kind.
pub(super) const SIM: &str = "LINEWAKE_SIM";

/// How a chip is opened.
#[derive(Debug)]
pub(super) enum Spec {
    #[cfg(target_os = "linux")]
    Path(PathBuf),
    Sim(String),
}

impl Spec {
    /// The chip's name in messages.
    pub(super) fn path(&self) -> &[u8] {
        match self {
            #[cfg(target_os = "linux")]
            Self::Path(path) => path.as_os_str().as_encoded_bytes(),
            Self::Sim(spec) => spec.as_bytes(),
        }
    }

    /// Opens the chip. The error is the system's words, and whether this user lacks permission.
    pub(super) fn open(&self) -> Result<OpenChip, (String, bool)> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Path(path) => linewake::gpiochip::ChipFile::open(path)
                .map(OpenChip::File)
                .map_err(|error| (strerror::of(&error), error.kind() == std::io::ErrorKind::PermissionDenied)),
            Self::Sim(spec) => {
                let chip = linewake::Chip::open(spec).map(|chip| OpenChip::Sim(Box::new(chip)));
                chip.map_err(|error| (strerror::of_library(&error), false))
            }
        }
    }

    pub(super) fn open_or_die(&self) -> Result<OpenChip, Exit> {
        self.open().map_err(|(error, _)| Exit::of("unable to open chip '", self.path(), &format!("': {error}")))
    }
}

/// Looks up the chip that a text names.
pub(super) fn lookup(id: &[u8]) -> Option<Spec> {
    simulated(id).or_else(|| of_the_kernel(id))
}

/// Looks up the chip that a text names; if there is none, the tool ends.
pub(super) fn lookup_or_die(id: &[u8]) -> Result<Spec, Exit> {
    lookup(id).ok_or_else(|| not_found(id))
}

/// The error for a text that names no chip.
pub(super) fn not_found(id: &[u8]) -> Exit {
    Exit::of("cannot find GPIO chip character device '", id, "'")
}

fn simulated(id: &[u8]) -> Option<Spec> {
    let lines = id.strip_prefix(b"sim")?;
    let is_plain = match lines.strip_prefix(b":") {
        Some(number) => !number.is_empty() && number.iter().all(u8::is_ascii_digit),
        None => lines.is_empty(),
    };
    let spec = || Some(Spec::Sim(String::from_utf8(id.to_vec()).ok()?));
    if is_plain && env::var_os(SIM).is_some_and(|value| value == "1") { spec() } else { None }
}

#[cfg(target_os = "linux")]
fn of_the_kernel(id: &[u8]) -> Option<Spec> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let before: &[u8] = if id.iter().all(u8::is_ascii_digit) {
        b"/dev/gpiochip"
    } else if id.contains(&b'/') {
        b""
    } else {
        b"/dev/"
    };
    let path = PathBuf::from(OsStr::from_bytes(&[before, id].concat()));
    linewake::gpiochip::is_chip(&path).then_some(Spec::Path(path))
}

#[cfg(not(target_os = "linux"))]
fn of_the_kernel(_: &[u8]) -> Option<Spec> {
    None
}

/// Lists the chips in `/dev` by name, with numbers in names in numeric order.
#[cfg(target_os = "linux")]
pub(super) fn all() -> Result<Vec<Spec>, Exit> {
    let paths = linewake::gpiochip::paths();
    let mut paths = paths.map_err(|error| Exit::new(format!("unable to scan /dev: {}", strerror::of(&error))))?;
    paths.sort_by(|one, other| by_version(one.as_os_str().as_encoded_bytes(), other.as_os_str().as_encoded_bytes()));
    Ok(paths.into_iter().map(Spec::Path).collect())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn all() -> Result<Vec<Spec>, Exit> {
    Ok(Vec::new())
}

/// Compares as the C library's `strverscmp`: digits are a number, or a fraction if they begin with a zero.
#[cfg(target_os = "linux")]
fn by_version(one: &[u8], other: &[u8]) -> std::cmp::Ordering {
    use std::cmp::Ordering;

    let digit = |text: &[u8], at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let start = one[..same].iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    let run = |text: &[u8]| text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_number = |text: &[u8]| digit(text, start) && text[start] != b'0';
    let byte = |text: &[u8]| text.get(same).copied();
    if is_number(one) && is_number(other) {
        return run(one).cmp(&run(other)).then_with(|| byte(one).cmp(&byte(other)));
    }
    let is_fraction = start < same && one[start..same].iter().all(|&byte| byte == b'0');
    if is_fraction && (digit(one, same) || digit(other, same)) {
        // Digits come first, then the end of the text, then the rest.
        let key = |text: &[u8]| byte(text).unwrap_or(0).wrapping_sub(b'0');
        return key(one).cmp(&key(other));
    }
    match (byte(one), byte(other)) {
        (None, None) => Ordering::Equal,
        (one, other) => one.cmp(&other),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let mut names = ["gpiochip10", "gpiochip9", "gpiochip", "board-io", "gpiochip1", "gpiochip010", "gpiochip0"];
        names.sort_by(|one, other| by_version(one.as_bytes(), other.as_bytes()));
        let expected = ["board-io", "gpiochip", "gpiochip010", "gpiochip0", "gpiochip1", "gpiochip9", "gpiochip10"];
        assert_eq!(names, expected);
        let mut zeros = ["0", "09", "010", "01", "00", "000"];
        zeros.sort_by(|one, other| by_version(one.as_bytes(), other.as_bytes()));
        assert_eq!(zeros, ["000", "00", "01", "010", "09", "0"]);
    }

    #[test]
    fn nothing_else_is_a_chip() {
        for id in
            ["", "sim:FILE", "exec:touch /tmp/x", "serial:/dev/ttyS0", "label:x", "profile:x", "/dev/null", "null"]
        {
            assert!(lookup(id.as_bytes()).is_none(), "{id}");
        }
    }
}
