//! Detects the child of a fork, cheaply, and keeps values that each process has for itself.
//!
//! The child of a fork has a copy of every port and none of the threads. It shares the epoll sets with its parent: if
//! the child removed a file, the parent would lose it. A lock that a thread of the parent held stays locked in the
//! child for ever. So a port remembers the process that made it, and the child makes its own values. A system call for
//! each check would take too long. Instead there is a page that the kernel clears in the child (MADV_WIPEONFORK, since
//! Linux 4.14).

use std::ptr;
use std::sync::atomic::{
    AtomicPtr, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// The number of this process: it stays the same until a fork, and the child gets another one.
#[inline]
pub(crate) fn number() -> u32 {
    /// Unlike the page, the child inherits this, and so takes the next number.
    static LAST: AtomicU32 = AtomicU32::new(0);
    let page = page();
    match page.load(Relaxed) {
        0 => {
            let next = LAST.fetch_add(1, Relaxed) + 1;
            page.compare_exchange(0, next, Relaxed, Relaxed).map_or_else(|theirs| theirs, |_| next)
        }
        number => number,
    }
}

/// The page that the kernel clears in a child. It is made without a lock: if another thread of the parent held one
/// during the fork, the child would wait for ever.
#[inline]
fn page() -> &'static AtomicU32 {
    static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
    /// Used if the kernel has no such page: then a child is taken for its parent.
    static NOT_WIPED: AtomicU32 = AtomicU32::new(0);
    // SAFETY: it is null, or a page or the static, which are never freed.
    if let Some(page) = unsafe { PAGE.load(Acquire).as_ref() } {
        return page;
    }
    // Threads that race here make a page each, and one page stays.
    let made = wiped_on_fork().unwrap_or(&NOT_WIPED);
    match PAGE.compare_exchange(ptr::null_mut(), ptr::from_ref(made).cast_mut(), AcqRel, Acquire) {
        Ok(_) => made,
        // SAFETY: as above.
        Err(theirs) => unsafe { &*theirs },
    }
}

fn wiped_on_fork() -> Option<&'static AtomicU32> {
    // The system rounds up to a page.
    let len = size_of::<AtomicU32>();
    // SAFETY: a new mapping at an address of the system's choice overlaps nothing; it is never unmapped.
    unsafe {
        let page = mmap_anonymous(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE).ok()?;
        madvise(page, len, Advice::LinuxWipeOnFork).ok()?;
        // A page is aligned for every type, and all zeros are a valid value.
        Some(&*page.cast())
    }
}

/// A value that each process has for itself, made at its first use. The child of a fork makes its own, and does not
/// touch its parent's.
#[derive(Debug)]
pub(crate) struct PerProcess<T>(AtomicPtr<(u32, T)>);

impl<T: Default + Sync> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn get(&'static self) -> &'static T {
        let own = number();
        let mut found = self.0.load(Acquire);
        loop {
            // SAFETY: null, or a value that was leaked here and is never freed.
            if let Some((number, value)) = unsafe { found.as_ref() }
                && *number == own
            {
                return value;
            }
            let made = Box::into_raw(Box::new((own, T::default())));
            match self.0.compare_exchange(found, made, AcqRel, Acquire) {
                Ok(_) => found = made,
                Err(theirs) => {
                    // SAFETY: it was leaked above, and nobody else has seen it.
                    drop(unsafe { Box::from_raw(made) });
                    found = theirs;
                }
            }
        }
    }
}
