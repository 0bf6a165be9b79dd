//! O_NONBLOCK of adopted files. It is a flag of the open file, which others may share: another descriptor of ours, or
//! the program that started this one and gave it its terminal. So it is given back as it was found, by the last device
//! that has the open file.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Mutex;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::system::PerProcess;
use crate::system::sync::lock_std as lock;

/// More copies of one file than this are not compared: then the flag stays.
const COPIES: usize = 64;

/// Adopted files, by device and inode. Anonymous inodes have one number for all.
static ADOPTED: PerProcess<Mutex<HashMap<Inode, Vec<Adopted>>>> = PerProcess::new();

type Inode = (u64, u64);

struct Adopted {
    /// Its device's number.
    key: u64,
    fd: RawFd,
    /// It was blocking, and is to be so again.
    blocking: bool,
}

/// Sets the flag, and notes how it was.
pub(super) fn set(key: u64, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let inode = inode(fd)?;
    let mut adopted = lock(ADOPTED.get());
    let flags = fcntl_getfl(fd)?;
    let blocking = !flags.contains(OFlags::NONBLOCK);
    // Also where nothing changes: of a file that was opened for its path alone it fails.
    fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    adopted.entry(inode).or_default().push(Adopted { key, fd: fd.as_raw_fd(), blocking });
    Ok(())
}

/// The device lets go of the file, which is still open.
pub(super) fn give_back(key: u64, fd: BorrowedFd<'_>) {
    let Ok(inode) = inode(fd) else { return };
    let mut adopted = lock(ADOPTED.get());
    let Some(copies) = adopted.get_mut(&inode) else { return };
    let own = copies.iter().position(|copy| copy.key == key).map(|at| copies.swap_remove(at));
    if own.is_some_and(|own| own.blocking) {
        let mut shared = false;
        // A copy of this open file that was adopted later has found it non-blocking: another one is none.
        for (n, copy) in copies.iter_mut().filter(|copy| !copy.blocking).enumerate() {
            match is_the_same(fd.as_raw_fd(), copy.fd) {
                Some(false) if n < COPIES => continue,
                Some(same) => copy.blocking = same,
                // Better too non-blocking for somebody else than too blocking for the dispatcher.
                None => {}
            }
            shared = true;
            break;
        }
        if !shared {
            let _ = fcntl_getfl(fd).and_then(|flags| fcntl_setfl(fd, flags - OFlags::NONBLOCK));
        }
    }
    if copies.is_empty() {
        adopted.remove(&inode);
    }
}

fn inode(fd: BorrowedFd<'_>) -> Result<Inode, Errno> {
    rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino))
}

/// Whether two descriptors are of one open file. `None`: this system does not tell by kcmp(2).
fn is_the_same(one: RawFd, other: RawFd) -> Option<bool> {
    /// `linux/kcmp.h`
    const KCMP_FILE: libc::c_int = 0;
    // SAFETY: two numbers of this process and two of its descriptors; it reads and writes no memory of ours.
    let order = unsafe {
        let own = libc::getpid();
        libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one, other)
    };
    (order >= 0).then_some(order == 0)
}
