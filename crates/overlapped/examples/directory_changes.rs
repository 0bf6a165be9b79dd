//! A directory's changes. `ReadDirectoryChangesW` is no control code, but `call_with` calls any overlapped function.
//!
//! `cargo run -p overlapped --example directory_changes [PATH]`; it needs Windows, or Wine. Without a path it makes a
//! directory and changes it by itself.

#[cfg(windows)]
mod watch {
    use std::path::Path;

    use overlapped::{Buffer, Device, Error, RawCall, Returned};
    use windows_sys::Win32::Storage::FileSystem::{
        FILE_ACTION_ADDED, FILE_ACTION_MODIFIED, FILE_ACTION_REMOVED, FILE_ACTION_RENAMED_NEW_NAME,
        FILE_ACTION_RENAMED_OLD_NAME, FILE_FLAG_BACKUP_SEMANTICS, FILE_LIST_DIRECTORY, FILE_NOTIFY_CHANGE_FILE_NAME,
        FILE_NOTIFY_CHANGE_SIZE, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, ReadDirectoryChangesW,
    };

    pub(super) fn open(path: &Path) -> Result<Device, Error> {
        Device::options()
            .access_mode(FILE_LIST_DIRECTORY)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
            .attributes(FILE_FLAG_BACKUP_SEMANTICS) // `CreateFile` opens directories only with this flag
            .open(path)
    }

    /// The next changes; the buffer comes back in the reply. The system keeps changes that happen between two calls.
    pub(super) fn changes(directory: &Device, buffer: Buffer) -> RawCall {
        let what = FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_SIZE;
        // SAFETY: ReadDirectoryChangesW writes at most the output's length, until its packet comes or it has failed.
        unsafe {
            directory.call_with(Buffer::empty(), buffer, |lent| {
                let (handle, count) = (lent.handle(), std::ptr::null_mut());
                let (output, len, overlapped) = (lent.output(), lent.output_len(), lent.overlapped().cast());
                Returned::from_bool(ReadDirectoryChangesW(handle, output, len, 0, what, count, overlapped, None))
            })
        }
    }

    /// FILE_NOTIFY_INFORMATION: the offset of the next record, the action, the name's length in bytes, and the name.
    pub(super) fn records(bytes: &[u8]) -> impl Iterator<Item = (u32, String)> {
        let mut rest = Some(bytes);
        std::iter::from_fn(move || {
            let record = rest?;
            let field = |at: usize| Some(u32::from_le_bytes(record.get(at..at + 4)?.try_into().ok()?));
            let (next, action, len) = (field(0)? as usize, field(4)?, field(8)? as usize);
            let name = record.get(12..)?.get(..len)?;
            let units: Vec<_> = name.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
            rest = if next == 0 { None } else { record.get(next..) };
            Some((action, String::from_utf16_lossy(&units)))
        })
    }

    pub(super) fn verb(action: u32) -> &'static str {
        match action {
            FILE_ACTION_ADDED => "added",
            FILE_ACTION_REMOVED => "removed",
            FILE_ACTION_MODIFIED => "changed",
            FILE_ACTION_RENAMED_OLD_NAME => "renamed from",
            FILE_ACTION_RENAMED_NEW_NAME => "renamed to",
            _ => "?",
        }
    }

    /// Calls `tell` with each change, until it returns `false`.
    pub(super) fn run(directory: &Device, mut tell: impl FnMut(&str, &str) -> bool) -> Result<(), Error> {
        let mut buffer = Buffer::aligned(64 * 1024, 4)?;
        loop {
            let reply = changes(directory, buffer).wait();
            reply.status()?;
            if reply.is_empty() {
                println!("more changes than fit: look at the directory yourself");
            }
            for (action, name) in records(&reply.output[..reply.len()]) {
                if !tell(verb(action), &name) {
                    return Ok(());
                }
            }
            buffer = reply.output;
        }
    }

    /// Watches a new directory, while a thread changes it.
    pub(super) fn demonstrate() -> Result<(), Box<dyn std::error::Error>> {
        let path = std::env::temp_dir().join(format!("directory-changes-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        let directory = open(&path)?;
        let work = {
            let path = path.clone();
            move || {
                std::fs::write(path.join("first"), "1")?;
                std::fs::rename(path.join("first"), path.join("last"))?;
                std::fs::remove_file(path.join("last"))
            }
        };
        let worker = std::thread::spawn(work);
        let watched = run(&directory, |verb, name| {
            println!("{verb} {name}");
            (verb, name) != ("removed", "last")
        });
        worker.join().expect("the worker does not panic")?;
        drop(directory);
        std::fs::remove_dir_all(path)?;
        Ok(watched?)
    }
}

#[cfg(windows)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(path) = std::env::args_os().nth(1) else { return watch::demonstrate() };
    let print = |verb: &str, name: &str| {
        println!("{verb} {name}");
        true
    };
    Ok(watch::run(&watch::open(path.as_ref())?, print)?)
}

#[cfg(not(windows))]
fn main() {
    println!("directory_changes watches a directory of Windows: it needs Windows, or Wine");
}

#[cfg(all(test, windows))]
mod tests {
    #[test]
    fn records_that_make_no_sense_end_the_list() {
        let record =
            |next: u32, len: u32| [next.to_le_bytes(), 1_u32.to_le_bytes(), len.to_le_bytes(), *b"a\0b\0"].concat();
        let names = |bytes: &[u8]| super::watch::records(bytes).map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names(&[record(16, 4), record(0, 2)].concat()), ["ab", "a"]);
        assert_eq!(names(&record(16, 4)), ["ab"]);
        assert_eq!(names(&record(u32::MAX, 4)), ["ab"]);
        assert!(names(&record(0, 6)).is_empty() && names(&[0; 11]).is_empty() && names(&[]).is_empty());
    }

    #[test]
    fn changes_are_told_until_the_file_is_gone() {
        super::watch::demonstrate().unwrap();
    }
}
