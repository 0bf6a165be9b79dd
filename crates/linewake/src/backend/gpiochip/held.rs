//! The lines that this process still wants. A line whose file is about to be closed is not one of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chip::GpioChip;
use super::help;
use crate::{LineConfig, Offset};

type HeldLine = (Arc<str>, Offset);

static HELD: Mutex<Vec<HeldLine>> = Mutex::new(Vec::new());

fn held() -> MutexGuard<'static, Vec<HeldLine>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Marks lines of a chip as wanted while it lives.
#[derive(Debug)]
pub(super) struct Wanted(Vec<HeldLine>);

impl Wanted {
    pub(super) fn new(chip: &Arc<str>, lines: impl Iterator<Item = Offset>) -> Self {
        let lines: Vec<_> = lines.map(|offset| (chip.clone(), offset)).collect();
        held().extend(lines.iter().cloned());
        Self(lines)
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        let mut held = held();
        for line in &self.0 {
            if let Some(at) = held.iter().position(|held| held == line) {
                held.swap_remove(at);
            }
        }
    }
}

/// True if busy lines will be free in a moment: this process does not want them, and no other process holds them.
pub(super) fn is_being_closed(chip: &GpioChip, asked: &[(Offset, LineConfig)]) -> bool {
    let name = &chip.info.name;
    let mut used = asked.iter().map(|line| line.0).filter(|&offset| chip.line_info(offset).is_ok_and(|line| line.used));
    used.all(|offset| {
        let is_wanted = held().contains(&(name.clone(), offset));
        !is_wanted && help::holder(name, offset.get()).is_none_or(|holder| holder.process == std::process::id())
    })
}
