//! The life of the simulated chip: what its named lines do, from a seed. The same seed lives the same life.

use super::signal::{self, Change, Signal};

/// The chip's lines by name, in the order of their offsets. The last one has no name.
pub(super) const LINES: [&str; 12] =
    ["pps", "button", "encoder-a", "encoder-b", "flow", "door", "tamper", "estop", "relay-1", "relay-2", "led", ""];

const PPS: u32 = 0;
const BUTTON: u32 = 1;
const ENCODER_A: u32 = 2;
const ENCODER_B: u32 = 3;
const FLOW: u32 = 4;
const DOOR: u32 = 5;

/// Whether the line changes by itself; the others wait for somebody.
pub(super) const fn is_lively(offset: u32) -> bool {
    offset <= DOOR
}

/// All signals, merged in order of time.
#[derive(Debug)]
pub(super) struct Life {
    signals: [Signal; 5],
}

impl Life {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            signals: [
                Signal::new(seed, signal::pulse_per_second(PPS)),
                Signal::new(seed, signal::button(BUTTON)),
                Signal::new(seed, signal::encoder(ENCODER_A, ENCODER_B)),
                Signal::new(seed, signal::flow(FLOW)),
                Signal::new(seed, signal::door(DOOR)),
            ],
        }
    }

    /// The next change, if it is due.
    pub(super) fn next_until(&mut self, now_ns: u64) -> Option<Change> {
        let first = self.signals.iter_mut().min_by_key(|signal| signal.due_ns())?;
        if first.due_ns() <= now_ns { first.take() } else { None }
    }

    /// When the next change of a line that is `watched` is due, or one of its partner's.
    pub(super) fn next_due(&self, watched: impl Fn(u32) -> bool) -> Option<u64> {
        let lines = [&[PPS][..], &[BUTTON], &[ENCODER_A, ENCODER_B], &[FLOW], &[DOOR]];
        let seen = self.signals.iter().zip(lines).filter(|(_, lines)| lines.iter().any(|&line| watched(line)));
        seen.map(|(signal, _)| signal.due_ns()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn play(seed: u64, seconds: u64) -> Vec<Change> {
        let mut life = Life::new(seed);
        std::iter::from_fn(|| life.next_until(seconds * SECOND)).collect()
    }

    #[test]
    fn the_same_seed_lives_the_same_life() {
        assert_eq!(play(7, 30), play(7, 30));
        assert_ne!(play(7, 30), play(8, 30));
    }

    #[test]
    fn changes_come_in_order_and_alternate_on_each_line() {
        for seed in 0..50 {
            let mut levels = [false; LINES.len()];
            let mut last_ns = 0;
            for change in play(seed, 60) {
                assert!(change.due_ns >= last_ns);
                last_ns = change.due_ns;
                let level = &mut levels[change.offset as usize];
                assert_ne!(*level, change.level, "line {} at {last_ns} with seed {seed}", change.offset);
                *level = change.level;
            }
        }
    }

    #[test]
    fn several_lines_change_within_two_and_a_half_seconds() {
        for seed in 0..200 {
            let early = play(seed, 3);
            let lively = (PPS..=DOOR)
                .filter(|&line| early.iter().any(|change| change.offset == line && change.due_ns < 5 * SECOND / 2));
            assert!(lively.count() >= 5, "seed {seed}");
        }
    }

    #[test]
    fn quiet_lines_are_not_waited_for() {
        let life = Life::new(1);
        assert_eq!(life.next_due(|offset| offset > DOOR), None);
        assert!(life.next_due(|offset| offset == ENCODER_B).is_some());
        assert!((0..LINES.len() as u32).all(|offset| is_lively(offset) == life.next_due(|it| it == offset).is_some()));
    }

    #[test]
    fn a_pulse_per_second_is_one() {
        let rising: Vec<_> = play(1, 10).into_iter().filter(|change| change.offset == PPS && change.level).collect();
        assert_eq!(rising.len(), 10);
        assert!(rising.windows(2).all(|two| two[1].due_ns - two[0].due_ns == SECOND));
    }
}
