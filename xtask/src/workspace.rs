//! The workspace: its directories and files, and what xtask's commands do with them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{env, io};

/// The target of Windows programs.
pub(crate) const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// The workspace's root: where every command runs and every printed path begins.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Cargo's target directory, absolute. A relative `CARGO_TARGET_DIR` counts from the root, because the runner of a test
/// starts in the directory of its package.
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The path as a person in the root would type it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Makes a directory that is empty, whatever was there before.
pub(crate) fn emptied(directory: &Path) -> io::Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)
}

/// All files in a directory and in those below it, sorted.
pub(crate) fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        // A link to a directory is left out: it may lead anywhere.
        match fs::symlink_metadata(&path)?.is_dir() {
            true => files.extend(self::files(&path)?),
            false => files.push(path),
        }
    }
    files.sort();
    Ok(files)
}

/// Opens a file to lock, in a directory that is made if it is missing.
pub(crate) fn lock_file(directory: &Path, name: &str) -> io::Result<File> {
    fs::create_dir_all(directory)?;
    File::options().create(true).append(true).open(directory.join(name))
}

/// The cargo setting that makes a command of this xtask the runner of a target's programs.
pub(crate) fn runner_setting(target: &str, words: &[&str]) -> io::Result<String> {
    let xtask = env::current_exe()?.to_string_lossy().into_owned();
    let words = [&[&*xtask], words, &["--"]].concat();
    Ok(format!("target.{target}.runner={words:?}"))
}
