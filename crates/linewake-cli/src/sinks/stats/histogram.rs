//! A histogram of delays, with the median, the 99th percentile and the maximum.

/// Counts of delays. A step is a sixteenth of its value.
#[derive(Default)]
pub(super) struct Histogram {
    /// Empty until something is counted.
    counts: Vec<u32>,
    count: u64,
    max: u64,
}

const STEPS: u32 = 16;

impl Histogram {
    pub(super) fn add(&mut self, value: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; 64 * STEPS as usize];
        }
        let count = &mut self.counts[step(value)];
        *count = count.saturating_add(1);
        self.count += 1;
        self.max = self.max.max(value);
    }

    /// Returns the percentiles, and empties the histogram.
    pub(super) fn take_percentiles(&mut self) -> Option<[u64; 3]> {
        let percentiles = self.percentiles();
        self.counts.fill(0);
        (self.count, self.max) = (0, 0);
        percentiles
    }

    /// The 50th and the 99th percentile, and the maximum.
    fn percentiles(&self) -> Option<[u64; 3]> {
        let at = |percent: u64| {
            let rank = (self.count * percent).div_ceil(100);
            let mut sum = 0;
            let step = self.counts.iter().position(|&count| {
                sum += u64::from(count);
                sum >= rank
            });
            step.map_or(self.max, |step| end(step).min(self.max))
        };
        (self.count > 0).then(|| [at(50), at(99), self.max])
    }
}

/// The step of a value: those below 16 are exact.
fn step(value: u64) -> usize {
    let bits = (u64::BITS - value.leading_zeros()).saturating_sub(STEPS.ilog2() + 1);
    (bits * STEPS) as usize + (value >> bits) as usize
}

/// The greatest value of a step.
fn end(step: usize) -> u64 {
    let bits = (step as u32 / STEPS).saturating_sub(1);
    let first = step as u64 - u64::from(bits * STEPS);
    ((first + 1) << bits).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_its_step() {
        for value in (0..5000).chain((0..64).map(|bit| 1 << bit)).chain((5..64).map(|bit| (1 << bit) - 1)) {
            let at = step(value);
            assert!(at < 64 * STEPS as usize, "{value}");
            let last = u128::from(end(at));
            assert!(u128::from(value) <= last && last <= u128::from(value) * 17 / 16, "{value} {at} {last}");
            assert_eq!(step(end(at)), at, "{value}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentiles(), None);
        for value in 1..=1000 {
            histogram.add(value * 1000);
        }
        let [p50, p99, max] = histogram.percentiles().unwrap();
        assert!((500_000..540_000).contains(&p50) && (990_000..=1_000_000).contains(&p99), "{p50} {p99}");
        assert_eq!(max, 1_000_000);
    }
}
