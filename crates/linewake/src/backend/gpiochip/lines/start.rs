//! The level of a line before its first edge.

use crate::{EdgeKind, Edges};

/// True if a line was active before its first edge, `None` if unknown. It follows from the levels before and after the
/// start of the watch, and from the `first` edge that was queued by then.
pub(super) fn level_at_start(
    (before, after): (bool, bool),
    edges: Option<Edges>,
    first: Option<EdgeKind>,
) -> Option<bool> {
    match (first, edges) {
        (Some(kind), _) => Some(kind == EdgeKind::Falling),
        (None, Some(edges)) if before != after && edges.includes(EdgeKind::to(after)) => None,
        (None, _) => Some(after),
    }
}

#[cfg(test)]
mod tests {
    use super::level_at_start;
    use crate::{EdgeKind, Edges};

    #[test]
    fn the_level_at_the_start_is_not_what_an_edge_made_of_it() {
        use EdgeKind::{Falling, Rising};
        use Edges::Both;
        // A queued edge tells the level before it, whatever levels were read: it may have come after the readings, and
        // others may follow it.
        for levels in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(level_at_start(levels, Some(Both), Some(Rising)), Some(false));
            assert_eq!(level_at_start(levels, Some(Both), Some(Falling)), Some(true));
        }
        // Without a queued edge, the edge of a changed level may or may not be on its way.
        for (before, after) in [(false, true), (true, false)] {
            assert_eq!(level_at_start((after, after), Some(Both), None), Some(after));
            assert_eq!(level_at_start((before, after), Some(Both), None), None);
            let (seen, unseen) = if after { (Edges::Rising, Edges::Falling) } else { (Edges::Falling, Edges::Rising) };
            assert_eq!(level_at_start((before, after), Some(seen), None), None);
            assert_eq!(level_at_start((before, after), Some(unseen), None), Some(after), "no edge will tell of it");
            assert_eq!(level_at_start((before, after), None, None), Some(after), "nor of this");
        }
    }
}
