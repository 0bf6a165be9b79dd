//! The file of a waveform. It is made anew and never added to: what is there is renamed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use super::super::file_id;
use super::super::files::{Existing, cannot_write, directory_of, is_there, leads_to, open_regular, quoted};
use super::super::sink::Out;
use super::temporary;
use crate::exit::{self, Failure};

/// A file that is written, and gone over again when it is complete.
#[derive(Debug)]
pub(super) struct Dump {
    /// Where a link leads, if it is called by one: the link stays.
    pub(super) path: PathBuf,
    file: File,
}

impl Dump {
    pub(super) fn open(path: &Path, existing: Existing) -> Result<Self, Failure> {
        Self::opened(path, existing).map_err(|error| cannot_write(path, &error))
    }

    fn opened(path: &Path, existing: Existing) -> io::Result<Self> {
        let mut file = taken(path)?;
        let path = led_to(path)?;
        if existing == Existing::Keep && file.metadata()?.len() > 0 {
            let aside = aside(&path)?;
            exit::say(&format!("{}: what was there is now {}\n", quoted(&path), quoted(&aside)));
            let before = std::mem::replace(&mut file, taken(&path)?);
            let _ = take_after(&file, &before);
        }
        file.set_len(0)?;
        Ok(Self { path, file })
    }

    /// Writes behind what is there.
    pub(super) fn writer(&self) -> io::Result<vcd::Writer<Out>> {
        Ok(vcd::Writer::new(Out::new(Box::new(self.file.try_clone()?))))
    }

    /// Reads it from the beginning.
    pub(super) fn reader(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    pub(super) fn empty(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.reader().map(drop)
    }

    /// That somebody has removed it is an error.
    pub(super) fn is_there(&self) -> io::Result<()> {
        is_there(&self.file, &self.path)
    }

    /// Where it is made anew.
    pub(super) fn part(&self) -> io::Result<NamedTempFile> {
        temporary::make(directory_of(&self.path), |directory| temporary::named(directory, ".part", &options()))
    }

    /// Takes over what was made of it. Where it has another name, or nothing can take its place, it is written over.
    pub(super) fn replace(&mut self, part: NamedTempFile) -> io::Result<()> {
        let (made, mut path) = part.into_parts();
        lock(&made)?;
        let is_free = self.has_its_name()
            && file_id::names(&self.file).is_ok_and(|names| names == 1)
            && take_after(&made, &self.file).is_ok();
        if is_free && fs::rename(&path, &self.path).is_ok() {
            self.file = made;
            return Ok(());
        }
        write_over(&self.file, &made).map_err(|error| {
            path.disable_cleanup(true);
            let remedy = "copy it to where there is room";
            let message = format!("{error}; the whole waveform is in {}: {remedy}", quoted(&path));
            io::Error::new(error.kind(), message)
        })
    }

    /// Whether its name is still that of this file, and not of a link to it.
    fn has_its_name(&self) -> bool {
        self.path.symlink_metadata().is_ok_and(|named| named.is_file()) && leads_to(&self.path, &self.file)
    }

    /// A file that is to take its place; until it does, by another name.
    pub(super) fn next(&self) -> io::Result<Next> {
        if !self.has_its_name() && self.path.symlink_metadata().is_ok() {
            if leads_to(&self.path, &self.file) {
                return Err(io::Error::other("it is a link to what is written; remove it, and send SIGHUP again"));
            }
            // A log rotation may have made an empty one, with the rights that it is to have.
            let file = taken(&self.path)?;
            if file.metadata()?.len() == 0 {
                return Ok(Next { file, path: None });
            }
        }
        let (file, path) = temporary::named(directory_of(&self.path), ".next", &options())?.into_parts();
        lock(&file)?;
        let _ = take_after(&file, &self.file);
        Ok(Next { file, path: Some(path) })
    }

    /// Gives its name to the next one. Where that cannot be, the next one keeps the name it has, and it is said.
    pub(super) fn go_on_in(&mut self, next: Next) {
        self.file = next.file;
        let Some(mut path) = next.path else {
            self.path = led_to(&self.path).unwrap_or_else(|_| self.path.clone());
            return;
        };
        path.disable_cleanup(true);
        let there = self.path.symlink_metadata();
        let is_free = there.map_or(Ok(()), |_| aside(&self.path).map(drop));
        if let Err(error) = is_free.and_then(|()| fs::rename(&path, &self.path)) {
            let (shown, is) = (quoted(&self.path), quoted(&path));
            exit::say(&format!("linewake: cannot rename {shown}: {error}; what follows is in {is}\n"));
            self.path = path.to_path_buf();
        }
    }
}

/// What takes a waveform's place. It is gone with this, unless it has done so.
#[derive(Debug)]
pub(super) struct Next {
    file: File,
    /// Unless it has its name.
    path: Option<TempPath>,
}

/// Makes a file the same as another one. What needs room comes first: a full disk leaves it as it was.
fn write_over(file: &File, other: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let copy = |from: u64, length: u64| {
        let (mut file, mut other) = (file, other);
        file.seek(SeekFrom::Start(from))?;
        other.seek(SeekFrom::Start(from))?;
        io::copy(&mut other.take(length), &mut file)
    };
    if let Err(error) = copy(length, u64::MAX) {
        file.set_len(length)?;
        return Err(error);
    }
    copy(0, length)?;
    file.set_len(other.metadata()?.len())
}

/// Gives a new file the owner and the rights of another one, as far as may be. A group that it has not from there gets none.
#[cfg(unix)]
fn take_after(file: &File, other: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let other = other.metadata()?;
    let group = fchown(file, None, Some(other.gid()));
    let owner = fchown(file, Some(other.uid()), None);
    let of_group = if group.is_ok() { 0o070 } else { 0 };
    file.set_permissions(fs::Permissions::from_mode(other.mode() & (0o7707 | of_group)))?;
    owner.and(group)
}

/// It has those of its directory.
#[cfg(not(unix))]
fn take_after(_: &File, _: &File) -> io::Result<()> {
    Ok(())
}

/// Opens one for its writer, unless it has one. Another command may end meanwhile, and put a new file there: then it looks
/// again, but not for ever, since a file system may tell other numbers by the name.
fn taken(path: &Path) -> io::Result<File> {
    let mut tries = 0..16;
    loop {
        let file = open_regular(options().create(true), path)?;
        lock(&file)?;
        if leads_to(path, &file) || tries.next().is_none() {
            return Ok(file);
        }
    }
}

/// On Windows a lock would keep readers out too: sharing keeps out other writers alone.
fn options() -> OpenOptions {
    let mut options = File::options();
    #[cfg(windows)]
    {
        use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_DELETE, FILE_SHARE_READ};
        std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, FILE_SHARE_READ | FILE_SHARE_DELETE);
    }
    options.read(true).write(true);
    options
}

/// Where a file system has no locks, nobody is kept out.
fn lock(file: &File) -> io::Result<()> {
    match cfg!(unix).then(|| file.try_lock()) {
        Some(Err(TryLockError::WouldBlock)) => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "another command writes it"))
        }
        _ => Ok(()),
    }
}

/// Where a link leads; any other path as it is.
fn led_to(path: &Path) -> io::Result<PathBuf> {
    if path.is_symlink() { path.canonicalize() } else { Ok(path.to_owned()) }
}

/// Renames a file: `door.vcd` becomes `door.1.vcd`, or has the number behind the highest that is there.
fn aside(path: &Path) -> io::Result<PathBuf> {
    let stem = path.file_stem().unwrap_or_default();
    let extension = path.extension().unwrap_or_default();
    let (before, after) = (stem.to_string_lossy(), extension.to_string_lossy());
    let mut last = 0_u64;
    for entry in fs::read_dir(directory_of(path))? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            let rest = name.strip_prefix(&*before)?.strip_prefix('.')?;
            if after.is_empty() { Some(rest) } else { rest.strip_suffix(&*after)?.strip_suffix('.') }
        });
        let number = number.and_then(|number| number.parse::<u64>().ok()).filter(|number| *number < u64::MAX);
        last = last.max(number.unwrap_or(0));
    }
    for number in last..u64::MAX {
        let mut name = stem.to_owned();
        name.push(format!(".{}", number + 1));
        if !extension.is_empty() {
            name.push(".");
            name.push(extension);
        }
        let aside = path.with_file_name(name);
        match rename_to_new(path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done.map(|()| aside),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Renames a file, and replaces none.
fn rename_to_new(path: &Path, new: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, path, CWD, new, RenameFlags::NOREPLACE) {
            // Not every file system can: then it is looked up first.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            done => return Ok(done?),
        }
    }
    if new.symlink_metadata().is_ok() { Err(io::ErrorKind::AlreadyExists.into()) } else { fs::rename(path, new) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write as _;

    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    use super::*;

    /// One that cannot grow stands for a full disk.
    #[test]
    fn what_has_no_room_to_be_written_over_is_left_as_it_was() {
        let full = memfd_create("full", MemfdFlags::ALLOW_SEALING).unwrap();
        let mut full = File::from(full);
        full.write_all(b"edges").unwrap();
        fcntl_add_seals(&full, SealFlags::GROW).unwrap();
        let text = || {
            (&full).seek(SeekFrom::Start(0)).unwrap();
            io::read_to_string(&full).unwrap()
        };
        let mut part = tempfile::tempfile().unwrap();
        part.write_all(b"span and edges").unwrap();
        assert!(write_over(&full, &part).is_err());
        assert_eq!(text(), "edges");
        for length in [5, 4] {
            part.set_len(length).unwrap();
            write_over(&full, &part).unwrap();
            assert_eq!(text(), &"span "[..length as usize]);
        }
    }

    #[test]
    fn what_is_renamed_replaces_nothing() {
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
            let aside = aside(&path(name));
            assert_eq!(aside.ok(), (!aside_is.is_empty()).then(|| path(aside_is)));
            assert_eq!(fs::read(path(there)).unwrap(), b"precious");
        }
    }
}
