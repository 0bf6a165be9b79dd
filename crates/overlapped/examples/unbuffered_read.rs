//! Reads a file or a disk without the system's cache, with several reads in flight, into buffers that are used again.
//!
//! `cargo run -p overlapped --example unbuffered_read PATH`; on Windows the path may be a disk's (`\\.\PhysicalDrive0`,
//! which needs an administrator), on Linux too (`/dev/sda`). Without a path it reads a file that it makes. Offsets,
//! lengths and addresses must be multiples of the sector's size, as 4096 is on every disk.

#[cfg(any(windows, target_os = "linux"))]
pub(crate) mod unbuffered {
    use std::collections::VecDeque;
    use std::path::Path;

    use overlapped::{Buffer, Device, Error};

    pub(crate) const SECTOR: usize = 4096;
    /// The bytes of one read, and the number of reads in flight: enough to keep an SSD busy.
    const LEN: usize = 256 * SECTOR;
    const UNDER_WAY: usize = 4;

    #[cfg(windows)]
    pub(crate) fn open(path: &Path) -> Result<Device, Error> {
        const FILE_FLAG_NO_BUFFERING: u32 = 0x2000_0000;
        Device::options().write(false).attributes(FILE_FLAG_NO_BUFFERING).open(path)
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn open(path: &Path) -> Result<Device, Box<dyn std::error::Error>> {
        use std::os::unix::fs::OpenOptionsExt;
        let direct = rustix::fs::OFlags::DIRECT.bits() as i32; // or libc::O_DIRECT
        let file = std::fs::File::options().read(true).custom_flags(direct).open(path)?;
        Ok(Device::from_fd(file)?)
    }

    /// Calls `take` with each piece of the file, in order.
    pub(crate) fn read_all(file: &Device, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
        let mut places = (0..).step_by(LEN);
        let mut under_way = VecDeque::new();
        for place in places.by_ref().take(UNDER_WAY) {
            under_way.push_back(file.read_into_at(place, Buffer::aligned(LEN, SECTOR)?));
        }
        while let Some(read) = under_way.pop_front() {
            let reply = read.wait();
            reply.status()?;
            take(&reply.output[..reply.len()]);
            if reply.len() < LEN {
                break; // the end; the reads beyond it are cancelled
            }
            if let Some(place) = places.next() {
                under_way.push_back(file.read_into_at(place, reply.output));
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[cfg(any(windows, target_os = "linux"))]
    {
        let own = std::env::temp_dir().join("unbuffered_read.example");
        let path = std::env::args_os().nth(1).map_or_else(|| own.clone(), Into::into);
        if path == own {
            std::fs::write(&own, vec![1; 5_000_000])?;
        }
        let (mut bytes, mut sum) = (0, 0_u64);
        unbuffered::read_all(&unbuffered::open(&path)?, |piece| {
            bytes += piece.len();
            sum += piece.iter().copied().map(u64::from).sum::<u64>();
        })?;
        println!("{}: {bytes} bytes, which add up to {sum}", path.display());
        if path == own {
            std::fs::remove_file(&own)?;
        }
    }
    Ok(())
}

#[cfg(any(windows, target_os = "linux"))]
#[test]
fn a_file_is_read_past_the_cache() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("unbuffered_read");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 997) as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    // Not every file system supports this.
    let Ok(file) = unbuffered::open(&path) else { return println!("no unbuffered files here") };
    let mut read = Vec::new();
    unbuffered::read_all(&file, |piece| read.extend_from_slice(piece)).unwrap();
    assert!(read == bytes, "{} of {} bytes", read.len(), bytes.len());
    drop(file);
    let _ = std::fs::remove_file(&path);
}
