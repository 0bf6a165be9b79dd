//! Files that a waveform needs for a while. Their names are new: what others have put there is not opened.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::{env, io};

use super::super::files::quoted;
use tempfile::{Builder, NamedTempFile};

/// Makes one in a directory; or among temporary files where that has been moved away, may not be written to, or is full.
pub(super) fn make<T>(directory: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    make(directory).or_else(|beside| {
        let others = env::temp_dir();
        make(&others).map_err(|error| {
            let (directory, others) = (quoted(directory), quoted(&others));
            let variable = if cfg!(windows) { "TMP" } else { "TMPDIR" };
            let remedy = format!("set {variable} to a directory with room that you may write to");
            let message = format!("no file can be made in {directory}: {beside}; nor in {others}: {error}; {remedy}");
            io::Error::new(error.kind(), message)
        })
    })
}

/// Makes one that may be given another name. Until it is given other rights, it is for its owner alone.
pub(super) fn named(directory: &Path, end: &str, options: &OpenOptions) -> io::Result<NamedTempFile<File>> {
    let open = |path: &Path| {
        let mut options = options.clone();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.create_new(true).open(path)
    };
    Builder::new().prefix("linewake-").suffix(end).make_in(directory, open)
}
