//! Writes the archive that a kernel unpacks into its first file system: the "newc" format of cpio (the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst). One file may have several archives.

use std::collections::BTreeSet;
use std::path::{Component, Path};

/// An archive of directories and files. Root owns them all.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<String>,
    entries: u32,
}

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

impl Archive {
    /// Adds a file that anybody may read and run, and its directories. `path` has no leading slash.
    pub(crate) fn add(&mut self, path: impl AsRef<Path>, contents: &[u8]) {
        let mut place = String::new();
        let mut names = path.as_ref().components().peekable();
        while let Some(Component::Normal(name)) = names.next() {
            place.push_str(&name.to_string_lossy());
            if names.peek().is_none() {
                self.entry(&place, PROGRAM, contents);
            } else {
                if self.directories.insert(place.clone()) {
                    self.entry(&place, DIRECTORY, &[]);
                }
                place.push('/');
            }
        }
    }

    /// The bytes of the archive, with its end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(contents.len()).expect("a file for the guest is smaller than 4 GiB");
        let named = name.len() as u32 + 1;
        // Number, mode, owner and group, links, time, size, the numbers of two devices, the name's length, no checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, named, 0];
        self.bytes.extend(b"070701");
        self.bytes.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_directories_are_written_as_the_kernel_reads_them() {
        let mut archive = Archive::default();
        archive.add("test/a", b"12345");
        archive.add("test/b", b"");
        let bytes = archive.finish();
        let mut found = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let field = |number: usize| {
                let text = std::str::from_utf8(&rest[6 + 8 * number..][..8]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            assert_eq!(&rest[..6], b"070701");
            let (mode, size, named) = (field(1), field(6), field(11));
            let name = String::from_utf8(rest[110..110 + named - 1].to_vec()).unwrap();
            assert_eq!(rest[110 + named - 1], 0);
            let begin = (110 + named).next_multiple_of(4);
            found.push((name, mode, rest[begin..begin + size].to_vec()));
            rest = &rest[(begin + size).next_multiple_of(4)..];
        }
        let expected = [
            ("test", 0o040_755, &b""[..]),
            ("test/a", 0o100_755, b"12345"),
            ("test/b", 0o100_755, b""),
            ("TRAILER!!!", 0, b""),
        ];
        assert_eq!(found, expected.map(|(name, mode, contents)| (name.to_owned(), mode, contents.to_vec())));
    }
}
