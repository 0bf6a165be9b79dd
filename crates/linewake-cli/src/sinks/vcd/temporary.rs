//! Temporary files of a waveform. Their names are new, so that no file of somebody else is opened.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::{env, io};

use super::super::files::quoted;
use tempfile::{Builder, NamedTempFile};

/// Makes a file in a directory; or in that for temporary files if the directory has been moved away, is read-only or is
/// full.
pub(super) fn make<T>(directory: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    make(directory).or_else(|beside| {
        let others = env::temp_dir();
        make(&others).map_err(|error| {
            let (directory, others) = (quoted(directory), quoted(&others));
            let variable = if cfg!(windows) { "TMP" } else { "TMPDIR" };
            let remedy = format!("set {variable} to a directory with room that you may write to");
            let message =
                format!("cannot make a temporary file in {directory}: {beside}; nor in {others}: {error}; {remedy}");
            io::Error::new(error.kind(), message)
        })
    })
}

/// Makes a file that may be renamed. Only its owner may use it until it gets other permissions.
pub(super) fn named(directory: &Path, end: &str, options: &OpenOptions) -> io::Result<NamedTempFile<File>> {
    let open = |path: &Path| {
        let mut options = options.clone();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.create_new(true).open(path)
    };
    Builder::new().prefix("linewake-").suffix(end).make_in(directory, open)
}
