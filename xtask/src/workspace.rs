//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

/// The workspace's root: where every command runs and every printed path begins.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Cargo's target directory, absolute. A relative `CARGO_TARGET_DIR` is taken
/// from the root, because the runner of a test starts in its package's directory.
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The path as a person would type it in the root.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
