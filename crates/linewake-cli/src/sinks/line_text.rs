//! The text that all edges of a line and direction have in common. It is made once and not for each edge.

use std::sync::Arc;

use linewake::{EdgeEvent, EdgeKind};

/// The common texts of each line.
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

    /// The common text of an edge. It is made again when the line has another chip or name, as after a chip has come
    /// back.
    pub(super) fn get(&mut self, line: usize, edge: &EdgeEvent, make: impl Fn(EdgeKind) -> Vec<u8>) -> &[u8] {
        if self.0.len() <= line {
            self.0.resize_with(line + 1, || None);
        }
        let place = &mut self.0[line];
        let is_same = place.as_ref().is_some_and(|known| {
            // The pointers are comparable because the known texts are kept alive here.
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
