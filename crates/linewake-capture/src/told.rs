//! What is told of a capture that is read line by line, before its next line is looked at.

use std::collections::VecDeque;

use crate::error;
use crate::item::{Edge, Item, Notice};
use crate::table::{Found, Table};

/// Items that wait, and what was said of the file.
pub(crate) struct Told {
    /// Of the file.
    pub(crate) name: String,
    items: VecDeque<Item>,
    has_zeros: bool,
}

impl Told {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), items: VecDeque::new(), has_zeros: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn pop(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.items.push_back(item);
    }

    /// Something that is said of the file.
    pub(crate) fn notice(&mut self, what: &str) {
        self.push(Item::Notice(Notice(format!("\"{}\" {what}", self.name))));
    }

    /// Something that is said of one of its lines.
    pub(crate) fn notice_at(&mut self, line: u64, what: &str) {
        self.push(Item::Notice(Notice(format!("\"{}\":{line}: {what}", self.name))));
    }

    /// There are zeros in it, which is said once.
    pub(crate) fn zeros(&mut self) {
        if !std::mem::replace(&mut self.has_zeros, true) {
            self.notice(error::ZEROS);
        }
    }

    pub(crate) fn has_zeros(&self) -> bool {
        self.has_zeros
    }

    /// A line that may be there for the first time.
    pub(crate) fn found(&mut self, found: Found) {
        if found.is_new {
            self.push(Item::Line(found.line));
        }
    }

    /// An edge that was read at a line of the file, of a line that may be there for the first time; its time on the axis
    /// is found here, and what it shows of the clock. The first of these items.
    #[inline]
    pub(crate) fn edge(&mut self, table: &mut Table, at_line: u64, is_new: bool, mut edge: Edge) -> Item {
        let (axis_ns, step_ns, clock) = table.edge_at(edge.line, edge.timestamp_ns);
        edge.axis_ns = axis_ns;
        if !is_new && step_ns.is_none() && clock.is_none() {
            return Item::Edge(edge);
        }
        self.found(Found { line: edge.line, is_new });
        if let Some(step_ns) = step_ns {
            self.notice_at(at_line, &error::set_back(step_ns));
        }
        self.items.extend(clock.map(Item::Clock));
        self.push(Item::Edge(edge));
        // There is one.
        self.pop().unwrap_or(Item::Edge(edge))
    }
}
