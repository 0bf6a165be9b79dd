//! Names that the readers of waveforms accept.

use std::collections::HashSet;

/// A name with only letters, digits, `_` and `-`.
pub(super) fn sane(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}

/// `prefix` and `name`, followed by a number if that name is used already.
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
