//! Marks where spans with lost edges begin. They are on the disk, because a waveform of a year has millions of them,
//! and each is known only when it is over.

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use super::super::files::directory_of;
use super::temporary;

/// The wire's span begins at the next tick.
pub(super) const NEXT: u8 = 1;
/// The wire's span begins at this tick, because it ends at the next one.
pub(super) const HERE: u8 = 2;
/// The wire's chip is gone from the next tick on: a span of all its wires.
pub(super) const GONE: u8 = 4;
/// The wire's chip is back with this change.
pub(super) const BACK: u8 = 8;

/// One byte for each change of a line, in the order of the file. The marks' file is made with the first mark, beside
/// the waveform or as a temporary file, and ends with the process. Parts without marks take no room.
#[derive(Debug)]
pub(super) struct Marks {
    directory: PathBuf,
    file: Option<File>,
    /// The file was moved, because there was no room.
    is_moved: bool,
}

impl Marks {
    /// No marks, for a waveform with this path.
    pub(super) fn beside(path: &Path) -> Self {
        Self { directory: directory_of(path).to_owned(), file: None, is_moved: false }
    }

    /// True if there are no marks.
    pub(super) fn is_empty(&self) -> bool {
        self.file.is_none()
    }

    /// Adds a mark to a change.
    pub(super) fn add(&mut self, change: u64, mark: u8) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(temporary::make(&self.directory, |directory| tempfile::tempfile_in(directory))?);
        }
        let mark = mark | self.get(change)?;
        match self.set(change, mark) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull && !self.is_moved => {
                self.move_to_temporary().map_err(|_| error)?;
                self.set(change, mark)
            }
            done => done,
        }
    }

    fn set(&self, change: u64, mark: u8) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| write_at(file, &[mark], change))
    }

    /// Moves the marks to a temporary file, because there is no room beside the waveform.
    fn move_to_temporary(&mut self) -> io::Result<()> {
        let mut moved = tempfile::tempfile()?;
        if let Some(file) = &mut self.file {
            file.rewind()?;
            io::copy(file, &mut moved)?;
        }
        (self.file, self.is_moved) = (Some(moved), true);
        Ok(())
    }

    fn get(&self, change: u64) -> io::Result<u8> {
        let mut mark = [0];
        match &self.file {
            Some(file) => read_at(file, &mut mark, change).map(|_| mark[0]),
            None => Ok(0),
        }
    }

    /// Reads all marks in order.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { marks: self, block: Vec::new(), from: 0 }
    }
}

/// Reads marks in order.
pub(super) struct Reader<'a> {
    marks: &'a Marks,
    block: Vec<u8>,
    from: u64,
}

impl Reader<'_> {
    /// The marks of a change. Changes must be asked for in rising order.
    pub(super) fn of(&mut self, change: u64) -> io::Result<u8> {
        let Some(file) = &self.marks.file else { return Ok(0) };
        if change >= self.from + self.block.len() as u64 {
            self.block.resize(1 << 16, 0);
            let length = read_at(file, &mut self.block, change)?;
            // There are no marks after the end.
            self.block[length..].fill(0);
            self.from = change;
        }
        let at = usize::try_from(change - self.from).unwrap_or(usize::MAX);
        Ok(self.block.get(at).copied().unwrap_or(0))
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, at)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, at)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    let written = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
    if written == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_added_in_any_order_and_read_in_theirs() {
        let directory = tempfile::tempdir().unwrap();
        // The directory of the second path does not exist.
        for path in ["a.vcd", "gone/a.vcd"] {
            in_any_order(&directory.path().join(path));
            assert!(directory.path().read_dir().unwrap().next().is_none(), "they are gone");
        }
    }

    fn in_any_order(path: &Path) {
        let mut marks = Marks::beside(path);
        assert_eq!(marks.reader().of(7).unwrap(), 0);
        for (change, mark) in [(200_000, NEXT), (5, GONE), (5, NEXT), (70_000, HERE)] {
            marks.add(change, mark).unwrap();
        }
        let mut reader = marks.reader();
        let found: Vec<_> =
            (0..300_000).filter_map(|at| Some((at, reader.of(at).unwrap())).filter(|at| at.1 != 0)).collect();
        assert_eq!(found, [(5, GONE | NEXT), (70_000, HERE), (200_000, NEXT)]);
    }
}
