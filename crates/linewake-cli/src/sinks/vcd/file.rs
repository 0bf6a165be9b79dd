//! The file of a waveform. A waveform is never appended to: an existing one is renamed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use super::super::file_id;
use super::super::files::{
    ExistingFile, cannot_write, directory_of, is_there, leads_to, open_regular, quoted, say_if_removed,
};
use super::super::out::Out;
use super::super::unfinished::CompletionStep;
use super::aside::{Aside, move_aside};
use super::{permissions, temporary};
use crate::exit::{self, Failure};

/// A file that is written, and made anew when it is complete.
#[derive(Debug)]
pub(super) struct Dump {
    /// Its path. If the user named a link, this is where the link leads, so that the link stays.
    pub(super) path: PathBuf,
    file: File,
}

impl Dump {
    pub(super) fn open(path: &Path, existing: ExistingFile) -> Result<Self, Failure> {
        Self::opened(path, existing).map_err(|error| cannot_write(path, &error))
    }

    fn opened(path: &Path, existing: ExistingFile) -> io::Result<Self> {
        let mut file = taken(path)?;
        let path = led_to(path)?;
        if existing == ExistingFile::Keep && file.metadata()?.len() > 0 {
            let aside = move_aside(&path, &file)?;
            let how = if let Aside::Renamed(_) = aside { "renamed" } else { "copied" };
            exit::say(&format!("{} was {how} to {}\n", quoted(&path), quoted(aside.path())));
            if let Aside::Renamed(_) = aside {
                let before = std::mem::replace(&mut file, taken(&path)?);
                let _ = permissions::copy(&before, &file);
            }
        }
        let dump = Self { path, file };
        dump.empty()?;
        dump.check_room();
        Ok(dump)
    }

    /// Reports at once if no temporary file can be made. The waveform needs one as soon as an edge is lost.
    fn check_room(&self) {
        if let Err(error) = temporary::make(directory_of(&self.path), |directory| tempfile::tempfile_in(directory)) {
            let waveform = quoted(&self.path);
            exit::say(&format!(
                "linewake: {waveform} cannot show where edges are lost, and the first loss ends the watch: {error}\n"
            ));
        }
    }

    /// A writer at the present end.
    pub(super) fn writer(&self) -> io::Result<vcd::Writer<Out>> {
        Ok(vcd::Writer::new(Out::new(Box::new(self.file.try_clone()?))))
    }

    /// A reader from the beginning.
    pub(super) fn reader(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    pub(super) fn empty(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.reader().map(drop)
    }

    /// Fails if somebody has removed the file.
    pub(super) fn is_there(&self) -> io::Result<()> {
        is_there(&self.file, &self.path)
    }

    /// Lets `fill` write the waveform anew, into a file beside it, or into a temporary file if there is no room.
    pub(super) fn remake(&self, fill: impl Fn(File) -> io::Result<()>) -> io::Result<Part> {
        temporary::make(directory_of(&self.path), |directory| {
            let file = temporary::named(directory, ".part", &options())?;
            let says = format!("{} does not show where edges are lost: it was not completed", quoted(&self.path));
            let step = CompletionStep::new(says, file.path().to_owned());
            fill(file.as_file().try_clone()?)?;
            Ok(Part { file, step })
        })
    }

    /// Puts the new file in the place of the waveform. Overwrites the waveform instead if it has other names, or cannot
    /// be replaced.
    pub(super) fn replace(&mut self, Part { file, step }: Part) -> io::Result<()> {
        let (made, mut path) = file.into_parts();
        lock(&made)?;
        // Without this the name could reach the disk before the contents.
        made.sync_all()?;
        let is_alone = self.has_its_name() && file_id::names(&self.file).is_ok_and(|names| names == 1);
        if is_alone && permissions::copy(&self.file, &made).is_ok() && fs::rename(&path, &self.path).is_ok() {
            path.disable_cleanup(true);
            self.file = made;
            return Ok(());
        }
        step.goes_on(format!(
            "{} was being written over: the whole waveform is in {}",
            quoted(&self.path),
            quoted(&path)
        ));
        write_over(&self.file, &made).map_err(|error| {
            path.disable_cleanup(true);
            let remedy = "copy it to where there is room";
            let message = format!("{error}; the whole waveform is in {}: {remedy}", quoted(&path));
            io::Error::new(error.kind(), message)
        })
    }

    /// True if its path still leads to this file, and is not a link.
    fn has_its_name(&self) -> bool {
        self.path.symlink_metadata().is_ok_and(|named| named.is_file()) && leads_to(&self.path, &self.file)
    }

    /// A new file for what follows. It has a temporary name until it takes the place of this one.
    pub(super) fn next(&self) -> io::Result<NextFile> {
        if !self.has_its_name() && self.path.symlink_metadata().is_ok() {
            if leads_to(&self.path, &self.file) {
                return Err(io::Error::other("it is a link to what is written; remove it, and send SIGHUP again"));
            }
            // A log rotation may have made an empty file, with the wanted permissions.
            let file = taken(&self.path)?;
            if file.metadata()?.len() == 0 {
                return Ok(NextFile { file, path: None });
            }
        }
        let (file, path) = temporary::named(directory_of(&self.path), ".next", &options())?.into_parts();
        lock(&file)?;
        let _ = permissions::copy(&self.file, &file);
        Ok(NextFile { file, path: Some(path) })
    }

    /// Gives the name to the next file. If that fails, the next file keeps its temporary name, and a message says so.
    pub(super) fn go_on_in(&mut self, next: NextFile) -> io::Result<()> {
        say_if_removed(&self.file, &self.path);
        let Some(mut path) = next.path else {
            self.file = next.file;
            self.path = led_to(&self.path).unwrap_or_else(|_| self.path.clone());
            return Ok(());
        };
        let aside = self.path.symlink_metadata().ok().map(|_| move_aside(&self.path, &self.file)).transpose();
        if let Ok(Some(Aside::Copied(_))) = aside {
            return self.empty();
        }
        self.file = next.file;
        path.disable_cleanup(true);
        if let Err(error) = aside.and_then(|_| fs::rename(&path, &self.path)) {
            let (shown, is) = (quoted(&self.path), quoted(&path));
            exit::say(&format!("linewake: cannot rename {shown}: {error}; further edges go to {is}\n"));
            self.path = path.to_path_buf();
        }
        Ok(())
    }

    /// True if another program has emptied the file since the last write.
    pub(super) fn was_emptied(&self) -> bool {
        let place = (&self.file).stream_position();
        matches!((place, self.file.metadata()), (Ok(place), Ok(metadata)) if metadata.len() < place)
    }
}

/// A waveform that was made anew. It is removed when this is dropped, unless it has replaced the other one.
#[derive(Debug)]
pub(super) struct Part {
    file: NamedTempFile,
    step: CompletionStep,
}

/// The file for what follows. It is removed when this is dropped, unless it has its final name.
#[derive(Debug)]
pub(super) struct NextFile {
    file: File,
    /// The temporary name, unless it has its final name.
    path: Option<TempPath>,
}

/// Makes a file a copy of another one. The part that needs room is written first: a full disk leaves the file as it
/// was.
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
    file.set_len(other.metadata()?.len())?;
    file.sync_all()
}

/// Opens a waveform, and locks it against other writers. If another command has put a new file there meanwhile, tries
/// again, but not for ever, because some file systems report other numbers by name.
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

/// On Windows a lock would exclude readers too. The sharing mode excludes writers alone.
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

/// On a file system without locks, nobody is excluded.
fn lock(file: &File) -> io::Result<()> {
    match cfg!(unix).then(|| file.try_lock()) {
        Some(Err(TryLockError::WouldBlock)) => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "another command writes it"))
        }
        _ => Ok(()),
    }
}

/// The target of a link; any other path unchanged.
fn led_to(path: &Path) -> io::Result<PathBuf> {
    if path.is_symlink() { path.canonicalize() } else { Ok(path.to_owned()) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write as _;

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    use super::*;

    /// A file that cannot grow stands for a full disk.
    #[test]
    fn a_file_without_room_to_be_overwritten_is_left_as_it_was() {
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
}
