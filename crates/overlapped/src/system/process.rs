//! Which process this is, cheaply, and what each process has for itself.
//!
//! The child of a fork has a copy of every port and none of the threads, and shares the epoll sets with its parent: a
//! removal there would remove the parent's file. A lock that a thread of the parent held is held there for ever. So a
//! port remembers the process that made it, and what is the process's is made anew in the child. Asking the kernel each
//! time would cost a system call; in place of that there is a page that the kernel empties in the child
//! (MADV_WIPEONFORK, since Linux 4.14).

use std::ptr;
use std::sync::atomic::{
    AtomicPtr, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// The number of this process: the same until it forks, and another one in the child.
#[inline]
pub(crate) fn number() -> u32 {
    /// Unlike the page this is copied to a child, which so takes the next number.
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

/// The page that is emptied in a child. No lock is held while it is made: a child would wait for ever for a thread of its
/// parent that made it at the moment of the fork.
#[inline]
fn page() -> &'static AtomicU32 {
    static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
    /// Without such a page a child is taken for its parent.
    static NOT_WIPED: AtomicU32 = AtomicU32::new(0);
    // SAFETY: null, or one of the two below, which are there for ever.
    if let Some(page) = unsafe { PAGE.load(Acquire).as_ref() } {
        return page;
    }
    // Threads that come first together make a page each, and one of them stays.
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
        // A page is aligned for everything, and all zeros are a value.
        Some(&*page.cast())
    }
}

/// A value that each process has for itself, made when it is first asked for. The child of a fork makes its own, and
/// leaves its parent's alone.
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
            // SAFETY: null, or what was leaked here: it is never freed.
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
