//! Names as the readers of waveforms take them.

use std::collections::HashSet;

/// A name as the readers of these files take it.
pub(super) fn sane(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}

/// `prefix` and `name`, with a number if there is such a name.
pub(super) fn unique(names: &mut HashSet<String>, prefix: String, name: &str) -> String {
    let base = format!("{prefix}{name}");
    let mut unique = base.clone();
    for number in 2_u64.. {
        if names.insert(unique.clone()) {
            break;
        }
        unique = format!("{base}_{number}");
    }
    unique
}
