//! Lines in a file that do not belong to the capture: messages of a program that writes both to one file.

use crate::error::{Error, nothing_but_zeros};
use crate::item::{Item, Notice};
use crate::outbox::Outbox;

/// The lines that were left out.
pub(crate) struct Foreign {
    /// The unit of this format: "row" or "record".
    what: &'static str,
    count: u64,
    first: u64,
    /// The error for the first line, in case nothing else follows.
    error: Option<Error>,
}

/// An invalid line that begins as a line of the capture.
pub(crate) struct Doubt {
    pub(crate) line: u64,
    pub(crate) error: Error,
    /// Nothing has shown yet that it was cut off.
    pub(crate) is_whole: bool,
}

/// After this many lines without any of a capture, the file is not a capture.
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

    /// Counts a line before the first one of the capture.
    pub(crate) fn add_first(&mut self, line: u64, error: Error) {
        self.add(line);
        self.error.get_or_insert(error);
    }

    /// Whether it is useless to read on.
    pub(crate) fn is_all_there_is(&self) -> bool {
        self.count >= MOST
    }

    /// The error for a file without anything of a capture.
    pub(crate) fn nothing_else(&mut self, name: &str, has_zeros: bool) -> Option<Error> {
        self.error.take().or_else(|| has_zeros.then(|| nothing_but_zeros(name)))
    }

    /// The end of a file that has a capture: reports an invalid line, a cut, and the lines that were left out.
    pub(crate) fn finish(&mut self, doubt: Option<Doubt>, is_cut: bool, outbox: &mut Outbox) -> Result<(), Error> {
        let what = self.what;
        match doubt {
            Some(doubt) if doubt.is_whole => return Err(doubt.error),
            Some(_) => outbox.notice(&format!("ends in the middle of a {what}; the {what}s before it are played")),
            None => {}
        }
        if is_cut {
            outbox.notice("ends in the middle of its compressed data; the part before that is played");
        }
        self.say(outbox);
        Ok(())
    }

    /// Reports the lines that were left out.
    fn say(&mut self, outbox: &mut Outbox) {
        let (count, first, what) = (std::mem::take(&mut self.count), self.first, self.what);
        match count {
            0 => {}
            1 => outbox.notice_at(first, &format!("this line is not a {what}; it is left out")),
            _ => {
                let what = format!("{count} lines are not {what}s, the first is line {first}; they are left out");
                outbox.push(Item::Notice(Notice(format!("\"{}\": {what}", outbox.name))));
            }
        }
    }
}
