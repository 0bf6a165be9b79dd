//! What is written of every edge of a line and kind in the same way: made once for each, and not for each edge.

use std::sync::Arc;

use linewake::{EdgeEvent, EdgeKind};

/// For each line, what its edges of a kind have in common.
pub(super) struct LineTexts(Vec<Option<LineText>>);

struct LineText {
    chip: Arc<str>,
    name: Option<Arc<str>>,
    rising: Vec<u8>,
    falling: Vec<u8>,
}

impl LineTexts {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// That of an edge: made with the first edge of its line, and again when that is on another chip than before, since that
    /// one came back.
    pub(super) fn get(&mut self, line: usize, edge: &EdgeEvent, make: impl Fn(EdgeKind) -> Vec<u8>) -> &[u8] {
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
        let texts = place.get_or_insert_with(|| LineText {
            chip: edge.chip.clone(),
            name: edge.name.clone(),
            rising: make(EdgeKind::Rising),
            falling: make(EdgeKind::Falling),
        });
        match edge.kind {
            EdgeKind::Rising => &texts.rising,
            EdgeKind::Falling => &texts.falling,
        }
    }
}
