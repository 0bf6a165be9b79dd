//! Lines of a capture that are not the capture's: messages of a program, where both go to one file.

use crate::error::{Error, nothing_but_zeros};
use crate::item::{Item, Notice};
use crate::told::Told;

/// What was left out.
pub(crate) struct Foreign {
    /// What these lines are not.
    what: &'static str,
    count: u64,
    first: u64,
    /// What is wrong with the first line, if nothing is behind it.
    error: Option<Error>,
}

/// Something that begins as a line of the capture does, and makes no sense.
pub(crate) struct Doubt {
    pub(crate) line: u64,
    pub(crate) error: Error,
    /// Nothing says yet that it was cut off.
    pub(crate) is_whole: bool,
}

/// So many lines before the first one of a capture say that there is none.
const MOST: u64 = 1 << 16;

impl Foreign {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, count: 0, first: 0, error: None }
    }

    pub(crate) fn add(&mut self, line: u64) {
        if self.count == 0 {
            self.first = line;
        }
        self.count += 1;
    }

    /// A line before any of the capture.
    pub(crate) fn add_first(&mut self, line: u64, error: Error) {
        self.add(line);
        self.error.get_or_insert(error);
    }

    /// Whether it is no use to look on.
    pub(crate) fn is_all_there_is(&self) -> bool {
        self.count >= MOST
    }

    /// What is said where nothing of a capture came.
    pub(crate) fn nothing_else(&mut self, name: &str, has_zeros: bool) -> Option<Error> {
        self.error.take().or_else(|| has_zeros.then(|| nothing_but_zeros(name)))
    }

    /// What is said at the end.
    pub(crate) fn say(&mut self, told: &mut Told) {
        let (count, first, what) = (std::mem::take(&mut self.count), self.first, self.what);
        match count {
            0 => {}
            1 => told.notice_at(first, &format!("this line is no {what}; it is left out")),
            _ => {
                let what = format!("{count} lines are no {what}s, line {first} is the first; they are left out");
                told.push(Item::Notice(Notice(format!("\"{}\": {what}", told.name))));
            }
        }
    }
}
