//! O_NONBLOCK of adopted files. It is a flag of the open file, which may be shared: by another descriptor of ours, or
//! with the program that started this one and gave it its terminal. So the last device with the open file restores the
//! flag.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Mutex;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::system::PerProcess;
use crate::system::sync::lock_std as lock;

/// At most this many copies of a file are compared; beyond that the flag stays set.
const COPIES: usize = 64;

/// Adopted files, by device and inode. All anonymous inodes share one number.
static ADOPTED: PerProcess<Mutex<HashMap<Inode, Vec<Adopted>>>> = PerProcess::new();

type Inode = (u64, u64);

struct Adopted {
    /// The device's number.
    key: u64,
    fd: RawFd,
    /// The file was blocking, and must become so again.
    blocking: bool,
}

/// Sets the flag, and notes its old value.
pub(super) fn set(key: u64, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let inode = inode(fd)?;
    let mut adopted = lock(ADOPTED.get());
    let flags = fcntl_getfl(fd)?;
    let blocking = !flags.contains(OFlags::NONBLOCK);
    // Also if the flag is set already: this fails for a file that was opened with O_PATH.
    fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    adopted.entry(inode).or_default().push(Adopted { key, fd: fd.as_raw_fd(), blocking });
    Ok(())
}

/// The device gives the file up, which is still open. Clears the flag if no other device needs it.
pub(super) fn give_back(key: u64, fd: BorrowedFd<'_>) {
    let Ok(inode) = inode(fd) else { return };
    let mut adopted = lock(ADOPTED.get());
    let Some(copies) = adopted.get_mut(&inode) else { return };
    let own = copies.iter().position(|copy| copy.key == key).map(|at| copies.swap_remove(at));
    if own.is_some_and(|own| own.blocking) {
        let mut shared = false;
        // A copy of this open file that was adopted later was non-blocking by then. If it was blocking, it is another
        // open file.
        for (n, copy) in copies.iter_mut().filter(|copy| !copy.blocking).enumerate() {
            match is_the_same(fd.as_raw_fd(), copy.fd) {
                Some(false) if n < COPIES => continue,
                Some(same) => copy.blocking = same,
                // If in doubt, leave the flag set: another program can handle EAGAIN, but the dispatcher must not
                // block.
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

/// Whether two descriptors share one open file. `None`: the system does not support kcmp(2).
fn is_the_same(one: RawFd, other: RawFd) -> Option<bool> {
    /// `linux/kcmp.h`
    const KCMP_FILE: libc::c_int = 0;
    // SAFETY: it takes two process numbers and two descriptors, and reads and writes no memory of ours.
    let order = unsafe {
        let own = libc::getpid();
        libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one, other)
    };
    (order >= 0).then_some(order == 0)
}
