//! Pauses between waits that a driver ends at once, again and again.

use std::time::Duration;

/// A call that takes at least this long did wait in the driver.
const LASTED: Duration = Duration::from_millis(10);
const LEAST: Duration = Duration::from_millis(1);
/// The longest pause after a failure.
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// The longest pause after an answer without news. It is short, since news may come during the pause.
#[cfg(all(target_os = "linux", not(miri)))]
pub(super) const AFTER_NOTHING: Duration = Duration::from_millis(10);

/// True if a call that took this long waited in the driver.
pub(super) fn did_wait(lasted: Duration) -> bool {
    lasted >= LASTED
}

/// The pause before a wait that ended at once begins again.
#[derive(Debug, Default)]
pub(super) struct Slow {
    pause: Duration,
}

impl Slow {
    /// The pause after a wait that took `lasted`: at most `most`. `None` if it did wait in the driver, or brought
    /// something.
    pub(super) fn next(&mut self, lasted: Duration, brought: bool, most: Duration) -> Option<Duration> {
        if brought || did_wait(lasted) {
            self.pause = Duration::ZERO;
            return None;
        }
        self.pause = (2 * self.pause).clamp(LEAST, most);
        Some(self.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_a_wait_lasts_or_brings_something() {
        let (at_once, long) = (Duration::ZERO, Duration::from_millis(10));
        let mut slow = Slow::default();
        let mut next = |lasted, brought| slow.next(lasted, brought, AFTER_FAILURE);
        let pauses: Vec<_> = (0..12).filter_map(|_| next(at_once, false)).collect();
        assert_eq!(pauses[..3], [1, 2, 4].map(Duration::from_millis));
        assert_eq!(pauses[11], Duration::from_secs(1));
        assert_eq!(next(at_once, true), None);
        assert_eq!(next(at_once, false), Some(LEAST));
        assert_eq!(next(long, false), None);
        assert_eq!(next(long / 2, false), Some(LEAST));
    }
}
