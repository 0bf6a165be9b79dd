//! The file of a waveform. It is made anew and never added to: what is there is renamed.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::super::files::{Existing, cannot_write, directory_of, is_regular, is_same};
use super::super::sink::Out;
use crate::exit::{self, Failure};

/// A file that is written, and gone over again when it is complete.
#[derive(Debug)]
pub(super) struct Dump {
    pub(super) path: PathBuf,
    /// Unless it is complete.
    file: Option<File>,
}

impl Dump {
    pub(super) fn open(path: &Path, existing: Existing) -> Result<Self, Failure> {
        let cannot = |error| cannot_write(path, &error);
        let is_kept =
            existing == Existing::Keep && fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() > 0);
        if is_kept {
            let aside = aside(path).map_err(cannot)?;
            exit::say(&format!("\"{}\": what was there is now \"{}\"\n", path.display(), aside.display()));
        }
        let file = File::create(path).map_err(cannot)?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(Failure::new(format!(
                "cannot write \"{}\": it is not a file; name one: a waveform is gone over again when it is complete",
                path.display()
            )));
        }
        drop(file);
        Ok(Self { path: path.to_owned(), file: Some(added_to(path).map_err(cannot)?) })
    }

    fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Writes behind what is there.
    pub(super) fn writer(&self) -> io::Result<vcd::Writer<Out>> {
        Ok(vcd::Writer::new(Out::new(Box::new(self.file()?.try_clone()?))))
    }

    /// Reads it from the beginning.
    pub(super) fn reader(&self) -> io::Result<File> {
        let mut file = self.file()?.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    pub(super) fn empty(&self) -> io::Result<()> {
        self.file()?.set_len(0)?;
        self.reader().map(drop)
    }

    /// Where it is made anew: beside it, or among temporary files if its directory has been moved away.
    pub(super) fn part(&self) -> io::Result<Part> {
        let path = with(&self.path, ".part");
        let beside = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        Ok(match beside {
            Ok(file) => Part { file, path: Some(TempPath::try_from_path(path)?) },
            Err(_) => Part { file: tempfile::tempfile()?, path: None },
        })
    }

    /// Takes over what was made of it. Where somebody has renamed it, it keeps that name.
    pub(super) fn replace(&mut self, Part { mut file, path }: Part) -> io::Result<()> {
        match path {
            Some(path) if self.has_its_name() => {
                // Windows replaces no file that is open, by one that is open.
                self.file = None;
                drop(file);
                path.persist(&self.path)?;
            }
            _ => {
                self.empty()?;
                file.seek(SeekFrom::Start(0))?;
                io::copy(&mut file, &mut self.file()?)?;
            }
        }
        Ok(())
    }

    fn has_its_name(&self) -> bool {
        File::open(&self.path).is_ok_and(|named| self.file.as_ref().is_none_or(|file| is_same(&named, file)))
    }

    /// A file that is to take its place; until it does, by another name.
    pub(super) fn next(&self) -> io::Result<Self> {
        // A log rotation may have made an empty one, with the rights that it is to have.
        let is_made =
            !self.has_its_name() && fs::metadata(&self.path).is_ok_and(|file| file.is_file() && file.len() == 0);
        let path = if is_made { self.path.clone() } else { with(&self.path, ".next") };
        if !is_made {
            File::create(&path)?;
        }
        Ok(Self { file: Some(added_to(&path)?), path })
    }

    /// Gives its name to the next one.
    pub(super) fn give_way_to(&self, next: &mut Self) -> io::Result<()> {
        if next.path == self.path {
            return Ok(());
        }
        if is_regular(&self.path) {
            aside(&self.path)?;
        }
        fs::rename(&next.path, &self.path)?;
        next.path.clone_from(&self.path);
        Ok(())
    }
}

/// What a waveform is made anew in. It is gone with this, unless it has taken the waveform's place.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: File,
    path: Option<TempPath>,
}

/// A waveform has one writer, and nobody empties it meanwhile; on Windows a file cannot be added to and emptied.
fn added_to(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).append(cfg!(unix)).open(path)
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(end);
    path.into()
}

/// Renames a file: `door.vcd` becomes `door.1.vcd`, or has the number behind the highest that is there.
fn aside(path: &Path) -> io::Result<PathBuf> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy())).unwrap_or_default();
    let mut last = 0;
    for entry in fs::read_dir(directory_of(path))? {
        let name = entry?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix(&*stem)?.strip_suffix(&*extension)?.strip_prefix('.'));
        last = last.max(number.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0));
    }
    let aside = path.with_file_name(format!("{stem}.{}{extension}", last.saturating_add(1)));
    fs::rename(path, &aside)?;
    Ok(aside)
}
