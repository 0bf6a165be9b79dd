//! The identity of a file, whatever path leads to it: device and inode on Unix, volume and file index on Windows.

use std::fs::File;
use std::io;
use std::path::Path;

/// The identity of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    volume: u64,
    number: u64,
}

#[cfg(unix)]
mod system {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt as _;

    use super::{File, FileId, Path, io};

    impl FileId {
        pub(crate) fn of(file: &File) -> io::Result<Self> {
            Ok(Self::of_metadata(&file.metadata()?))
        }

        /// Follows links.
        pub(crate) fn at(path: &Path) -> io::Result<Self> {
            Ok(Self::of_metadata(&path.metadata()?))
        }

        fn of_metadata(metadata: &Metadata) -> Self {
            Self { volume: metadata.dev(), number: metadata.ino() }
        }
    }

    /// The number of names that a file has; 0 if it was removed.
    pub(crate) fn names(file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.nlink())
    }
}

#[cfg(windows)]
mod system {
    use winapi_util::Handle;
    use winapi_util::file::{Information, information};

    use super::{File, FileId, Path, io};

    impl FileId {
        pub(crate) fn of(file: &File) -> io::Result<Self> {
            Ok(Self::of_information(&information(file)?))
        }

        /// Follows links.
        pub(crate) fn at(path: &Path) -> io::Result<Self> {
            Ok(Self::of_information(&information(Handle::from_path_any(path)?)?))
        }

        fn of_information(information: &Information) -> Self {
            Self { volume: information.volume_serial_number(), number: information.file_index() }
        }
    }

    /// How many names a file has: 0 if it was removed.
    pub(crate) fn names(file: &File) -> io::Result<u64> {
        Ok(information(file)?.number_of_links())
    }
}

pub(crate) use self::system::names;

/// The regular file that a path leads to. Devices, pipes and terminals have none, because they may be shared.
pub(crate) fn on_disk(path: &Path) -> Option<FileId> {
    if path.metadata().ok()?.is_file() { FileId::at(path).ok() } else { None }
}

/// The regular file that standard input is read from.
pub(crate) fn standard_input() -> Option<FileId> {
    stream(io::stdin())
}

/// The regular file that standard output is written to.
pub(crate) fn standard_output() -> Option<FileId> {
    stream(io::stdout())
}

#[cfg(unix)]
fn stream(stream: impl std::os::fd::AsFd) -> Option<FileId> {
    of_file(&stream.as_fd().try_clone_to_owned().ok()?.into())
}

#[cfg(windows)]
fn stream(stream: impl std::os::windows::io::AsHandle) -> Option<FileId> {
    of_file(&stream.as_handle().try_clone_to_owned().ok()?.into())
}

fn of_file(file: &File) -> Option<FileId> {
    if file.metadata().ok()?.is_file() { FileId::of(file).ok() } else { None }
}
