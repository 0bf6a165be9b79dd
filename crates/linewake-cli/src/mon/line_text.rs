//! What is written of every edge of a line in the same way: made once for each line, and not for each edge.

use std::sync::Arc;

use linewake::EdgeEvent;

/// For each line, what its edges have in common.
pub(super) struct LineTexts<T>(Vec<Option<LineText<T>>>);

struct LineText<T> {
    chip: Arc<str>,
    name: Option<Arc<str>>,
    text: T,
}

impl<T> LineTexts<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// That of a line: made with its first edge, and again when it is on another chip than before, since that one came back.
    pub(super) fn get(&mut self, line: usize, edge: &EdgeEvent, make: impl FnOnce() -> T) -> &T {
        if self.0.len() <= line {
            self.0.resize_with(line + 1, || None);
        }
        let place = &mut self.0[line];
        let is_same = place.as_ref().is_some_and(|known| {
            // As long as they are here, nothing else has their addresses.
            Arc::ptr_eq(&known.chip, &edge.chip)
                && match (&known.name, &edge.name) {
                    (Some(known), Some(name)) => Arc::ptr_eq(known, name),
                    (None, None) => true,
                    _ => false,
                }
        });
        if !is_same {
            *place = None;
        }
        &place.get_or_insert_with(|| LineText { chip: edge.chip.clone(), name: edge.name.clone(), text: make() }).text
    }
}
