//! The states of ports in an extended value change dump (IEEE 1364-2005, 18.4.3).

use crate::bits::Level;

/// The level of a port in this state. If two drivers disagree, it is unknown.
pub(crate) fn level(state: u8) -> Option<Level> {
    Some(match state {
        b'D' | b'd' | b'L' | b'l' | b'0' => Level::Low,
        b'U' | b'u' | b'H' | b'h' | b'1' => Level::High,
        b'Z' | b'T' | b'F' | b'f' => Level::Released,
        b'N' | b'X' | b'?' | b'A' | b'a' | b'B' | b'b' | b'C' | b'c' => Level::Unknown,
        _ => return None,
    })
}
