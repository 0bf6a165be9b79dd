//! The items of a line-based capture that wait to be returned before the next line is read.

use std::collections::VecDeque;

use crate::error;
use crate::item::{Edge, Item, Notice};
use crate::table::{LineLookup, Table};

/// Items that wait, and which messages about the file were given.
pub(crate) struct Outbox {
    /// The name of the file.
    pub(crate) name: String,
    items: VecDeque<Item>,
    has_zeros: bool,
}

impl Outbox {
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

    /// A message about the file.
    pub(crate) fn notice(&mut self, what: &str) {
        self.push(Item::Notice(Notice(format!("\"{}\" {what}", self.name))));
    }

    /// A message about one of its lines.
    pub(crate) fn notice_at(&mut self, line: u64, what: &str) {
        self.push(Item::Notice(Notice(format!("\"{}\":{line}: {what}", self.name))));
    }

    /// The file contains zeros; this is reported once.
    pub(crate) fn zeros(&mut self) {
        if !std::mem::replace(&mut self.has_zeros, true) {
            self.notice(error::ZEROS);
        }
    }

    pub(crate) fn has_zeros(&self) -> bool {
        self.has_zeros
    }

    /// A line that may appear for the first time.
    pub(crate) fn found(&mut self, found: LineLookup) {
        if found.is_new {
            self.push(Item::Line(found.line));
        }
    }

    /// An edge at a line of the file; its own line may appear for the first time. This finds its time on the axis, and
    /// what it shows about the clock. Returns the first of the resulting items.
    #[inline]
    pub(crate) fn edge(&mut self, table: &mut Table, at_line: u64, is_new: bool, mut edge: Edge) -> Item {
        let (axis_ns, step_ns, clock) = table.edge_at(edge.line, edge.timestamp_ns);
        edge.axis_ns = axis_ns;
        if !is_new && step_ns.is_none() && clock.is_none() {
            return Item::Edge(edge);
        }
        self.found(LineLookup { line: edge.line, is_new });
        if let Some(step_ns) = step_ns {
            self.notice_at(at_line, &error::set_back(step_ns));
        }
        self.items.extend(clock.map(Item::Clock));
        self.push(Item::Edge(edge));
        // The queue is not empty.
        self.pop().unwrap_or(Item::Edge(edge))
    }
}
