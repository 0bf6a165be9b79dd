//! Files that live long: appended to, and opened again when somebody has moved them away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::file_id::{self, FileId};
use crate::display::Printable;
use crate::exit::{self, Failure};
use crate::settings::BEYOND;
use crate::signals::has_terminal;

// The options about a file that exists. Not a documentation comment: clap would print it as the help of the command.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct FileOptions {
    /// Add to existing files instead of emptying them; an existing waveform is renamed, see "Files"
    #[arg(long, conflicts_with = "overwrite", help_heading = BEYOND)]
    append: bool,

    /// Empty existing files, even under a service manager
    #[arg(long, help_heading = BEYOND)]
    overwrite: bool,
}

/// The fate of the contents of a file that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExistingFile {
    Empty,
    Keep,
}

impl FileOptions {
    pub(crate) fn existing(self) -> ExistingFile {
        match self {
            Self { append: true, .. } => ExistingFile::Keep,
            Self { overwrite: true, .. } => ExistingFile::Empty,
            _ if is_a_service() => ExistingFile::Keep,
            _ => ExistingFile::Empty,
        }
    }
}

/// True if a service manager started the program, and may start it again. If systemd started a terminal, the programs
/// in the terminal have systemd's variable too.
fn is_a_service() -> bool {
    let managed = ["INVOCATION_ID", "RC_SVCNAME", "SUPERVISOR_ENABLED"];
    managed.iter().any(|name| std::env::var_os(name).is_some()) && !has_terminal()
}

/// The kind of a file. It recognises an existing file of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Records,
    /// Rows below this header.
    Rows(&'static str),
}

/// A file's name for a message: in quotes, with control characters escaped.
pub(crate) fn quoted(path: &Path) -> String {
    format!("\"{}\"", Printable(&path.display().to_string()))
}

/// An output's name for a message; "-" is standard output.
pub(crate) fn place(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard output".to_owned() } else { quoted(path) }
}

/// A file that is appended to.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    format: Format,
    file: File,
    /// It is a regular file, and not a pipe or a device.
    is_regular: bool,
    /// Its length after the last write.
    length: u64,
}

impl Log {
    pub(crate) fn open(path: &Path, format: Format, existing: ExistingFile) -> Result<Self, Failure> {
        let cannot = |error| cannot_write(path, &error);
        if existing == ExistingFile::Empty || !is_regular(path) {
            let made = File::create(path).map_err(cannot)?;
            if !made.metadata().is_ok_and(|metadata| metadata.is_file()) {
                return Ok(Self { path: path.to_owned(), format, file: made, is_regular: false, length: 0 });
            }
        } else {
            format.check(path)?;
        }
        Self::add_to(path, format).map_err(cannot)
    }

    /// Opens the file to append to it, and mends a last line that a crash cut off.
    fn add_to(path: &Path, format: Format) -> io::Result<Self> {
        let file = open_regular(File::options().append(true).create(true), path)?;
        let mut log = Self { path: path.to_owned(), format, file, is_regular: true, length: 0 };
        log.mend()?;
        log.length = log.file.metadata()?.len();
        Ok(log)
    }

    /// Mends a last line that has no end. A record gets one. A row is removed: it may lack cells, or digits of a
    /// number.
    fn mend(&mut self) -> io::Result<()> {
        // A user may be allowed to write the file and not to read it.
        let Ok(mut file) = open_regular(File::options().read(true), &self.path) else { return Ok(()) };
        let Some((from, last)) = cut_line(&mut file)? else { return Ok(()) };
        let what = match self.format {
            Format::Records => {
                self.file.write_all(b"\n")?;
                "its last record was cut off; the next one begins on a new line"
            }
            Format::Rows(_) => {
                open_regular(File::options().write(true), &self.path)?.set_len(from)?;
                "its last row was cut off, and was removed"
            }
        };
        let shown = String::from_utf8_lossy(&last[..last.len().min(120)]).into_owned();
        exit::say(&format!("{}: {what}: \"{}\"\n", place(&self.path), shown.escape_debug()));
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// True if another program has emptied the file since the last write.
    pub(crate) fn was_emptied(&mut self) -> bool {
        if !self.is_regular || self.length == 0 {
            return false;
        }
        let is = self.file.metadata().is_ok_and(|metadata| metadata.len() < self.length);
        if is {
            self.length = 0;
        }
        is
    }

    /// The file that has the name now, if it is another one or was emptied.
    pub(crate) fn successor(&self) -> io::Result<Option<Self>> {
        // Opening a pipe would wait for its reader.
        if !self.is_regular {
            return Ok(None);
        }
        if self.path.exists() && !is_regular(&self.path) {
            return Err(io::Error::other("it is no longer a file"));
        }
        if self.path.exists() {
            self.format.check(&self.path).map_err(|failure| io::Error::other(failure.to_string()))?;
        }
        let next = Self::add_to(&self.path, self.format)?;
        say_if_removed(&self.file, &self.path);
        Ok((next.is_empty() || FileId::of(&self.file)? != FileId::of(&next.file)?).then_some(next))
    }

    /// Fails if somebody has removed the file.
    pub(crate) fn is_there(&self) -> io::Result<()> {
        if self.is_regular { is_there(&self.file, &self.path) } else { Ok(()) }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Format {
    /// Fails if the file is of another kind.
    fn check(self, path: &Path) -> Result<(), Failure> {
        let mut head = Vec::new();
        let Ok(file) = open_regular(File::options().read(true), path) else { return Ok(()) };
        if file.take(4096).read_to_end(&mut head).is_err() || head.is_empty() {
            return Ok(());
        }
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
        let first = head.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
        let (is, what) = match self {
            Self::Records => (head.trim_ascii_start().starts_with(b"{"), "a record stream"),
            Self::Rows(header) => (header.as_bytes().starts_with(first), "CSV with these columns"),
        };
        if is {
            return Ok(());
        }
        Err(Failure::new(format!(
            "cannot add to {}: it is not {what}; name another file, or say --overwrite to empty it",
            quoted(path)
        )))
    }
}

/// The place and the text of the last line, if it has no end. At most the last MiB is searched.
fn cut_line(file: &mut File) -> io::Result<Option<(u64, Vec<u8>)>> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(1 << 20);
    file.seek(SeekFrom::Start(length.saturating_sub(1)))?;
    let mut tail = Vec::new();
    file.take(1).read_to_end(&mut tail)?;
    if tail.is_empty() || tail == b"\n" {
        return Ok(None);
    }
    tail.clear();
    file.seek(SeekFrom::Start(from))?;
    file.take(1 << 20).read_to_end(&mut tail)?;
    let begins = tail.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    Ok(Some((from + begins as u64, tail.split_off(begins))))
}

/// The directory that a file is in.
pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Opens a regular file. Anything else is an error: a FIFO would block, and a device would be written to.
pub(super) fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a file")) }
}

/// True if the path leads to a regular file.
fn is_regular(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Fails if somebody has removed the file, so that nobody can read it.
pub(super) fn is_there(file: &File, path: &Path) -> io::Result<()> {
    // A path like /proc/self/fd/3 leads to a file that has no name.
    if file_id::names(file)? > 0 || leads_to(path, file) {
        return Ok(());
    }
    let remedy = "to begin another file, rename it and send SIGHUP";
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("it was removed while it was written, and its contents are lost; {remedy}"),
    ))
}

/// Reports that somebody has removed the file. The watch goes on in another one.
pub(super) fn say_if_removed(file: &File, path: &Path) {
    if let Err(error) = is_there(file, path) {
        exit::say(&format!("linewake: cannot write to {}: {error}\n", quoted(path)));
    }
}

/// True if the path leads to this file, directly or by links.
pub(super) fn leads_to(path: &Path, file: &File) -> bool {
    matches!((FileId::at(path), FileId::of(file)), (Ok(named), Ok(file)) if named == file)
}

/// The failure to write a file, with the remedy.
pub(super) fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "make its directory first",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "name a file in a directory that you may write to"
        }
        io::ErrorKind::IsADirectory => "name a file in it",
        _ => "name another file",
    };
    Failure::new(format!("cannot write {}: {error}; {remedy}", quoted(path)))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        for options in
            [File::options().read(true), File::options().append(true), File::options().read(true).write(true)]
        {
            assert!(open_regular(options, &path).is_err());
        }
    }
}
