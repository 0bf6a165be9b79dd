//! Moves a waveform out of the way: `door.vcd` becomes `door.1.vcd`, or takes the number after the highest that is
//! there.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::super::files::directory_of;
use super::permissions;

/// The place of the waveform now.
#[derive(Debug)]
pub(super) enum Aside {
    /// The file has this name now, and the old name is free.
    Renamed(PathBuf),
    /// The file still has its name, because a file that is a mount point cannot be renamed. Its copy has this name.
    Copied(PathBuf),
}

impl Aside {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Renamed(path) | Self::Copied(path) => path,
        }
    }
}

/// Moves the file that has this name. Replaces no other file.
pub(super) fn move_aside(path: &Path, file: &File) -> io::Result<Aside> {
    let (stem, extension) = (path.file_stem().unwrap_or_default(), path.extension());
    for number in last_number(path)?..u64::MAX {
        let mut name = OsString::from(stem);
        name.push(format!(".{}", number + 1));
        if let Some(extension) = extension {
            name.push(".");
            name.push(extension);
        }
        let aside = path.with_file_name(name);
        match rename_to_new(path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                return copy_to_new(file, &aside).map(|()| Aside::Copied(aside));
            }
            done => return done.map(|()| Aside::Renamed(aside)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The highest number among the names; 0 if there is none.
fn last_number(path: &Path) -> io::Result<u64> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let mut last = 0_u64;
    for entry in fs::read_dir(directory_of(path))? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            let rest = name.strip_prefix(&*stem)?.strip_prefix('.')?;
            if extension.is_empty() { Some(rest) } else { rest.strip_suffix(&*extension)?.strip_suffix('.') }
        });
        let number = number.and_then(|number| number.parse::<u64>().ok()).filter(|number| *number < u64::MAX);
        last = last.max(number.unwrap_or(0));
    }
    Ok(last)
}

/// Renames a file. Replaces no other file.
fn rename_to_new(path: &Path, new: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, path, CWD, new, RenameFlags::NOREPLACE) {
            // Some file systems cannot do both in one step.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            done => return Ok(done?),
        }
    }
    if new.symlink_metadata().is_ok() { Err(io::ErrorKind::AlreadyExists.into()) } else { fs::rename(path, new) }
}

/// Copies a file to a new name. Removes a copy that is not whole.
fn copy_to_new(file: &File, new: &Path) -> io::Result<()> {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let copy = options.write(true).create_new(true).open(new)?;
    let whole = || {
        let (mut from, mut to) = (file, &copy);
        io::Seek::rewind(&mut from)?;
        io::copy(&mut from, &mut to)?;
        copy.sync_all()
    };
    whole().inspect_err(|_| _ = fs::remove_file(new))?;
    let _ = permissions::copy(file, &copy);
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_renamed_file_replaces_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &[u8]| directory.path().join(OsStr::from_bytes(name));
        for (name, there, aside_is) in [
            (&b"door.vcd"[..], &b"door.18446744073709551615.vcd"[..], &b"door.1.vcd"[..]),
            (b"door.vcd", b"door.18446744073709551614.vcd", b""),
            (b"a\x81.vcd", b"a\x81.1.vcd", b"a\x81.2.vcd"),
            (b"plain", b"plain.7", b"plain.8"),
        ] {
            fs::write(path(name), "new").unwrap();
            fs::write(path(there), "precious").unwrap();
            let aside = move_aside(&path(name), &File::open(path(name)).unwrap());
            let aside = aside.ok().map(|aside| aside.path().to_owned());
            assert_eq!(aside, (!aside_is.is_empty()).then(|| path(aside_is)));
            assert_eq!(fs::read(path(there)).unwrap(), b"precious");
        }
    }
}
