//! Tells a machine with several processors, on which the kernel's numbers of edges are less exact.

use std::sync::OnceLock;

/// True if this machine has several processors, counting those on which this program may not run, or if that is
/// unknown.
pub(super) fn several() -> bool {
    static SEVERAL: OnceLock<bool> = OnceLock::new();
    *SEVERAL.get_or_init(|| match std::fs::read_to_string("/sys/devices/system/cpu/online") {
        Ok(online) => names_several(&online),
        Err(_) => true,
    })
}

/// Reads a list as `0`, `0-3` or `0,2`.
fn names_several(online: &str) -> bool {
    online.contains(['-', ','])
}

#[cfg(test)]
mod tests {
    use super::names_several;

    #[test]
    fn a_list_of_processors_is_a_number_or_more() {
        for (online, expected) in [("0\n", false), ("17\n", false), ("0-1\n", true), ("0,2\n", true)] {
            assert_eq!(names_several(online), expected, "{online:?}");
        }
    }
}
