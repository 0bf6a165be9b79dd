//! The length of a tick in a waveform.

use vcd::TimescaleUnit;

/// The length of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timescale {
    pub(super) number: u32,
    pub(super) unit: TimescaleUnit,
    pub(super) ns: u64,
}

impl Timescale {
    /// The tick of a time in a file that begins at `base_ns`.
    pub(super) fn tick_of(self, base_ns: u64, ns: u64) -> u64 {
        ns.saturating_sub(base_ns) / self.ns
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let units =
            [("ns", TimescaleUnit::NS, 1), ("us", TimescaleUnit::US, 1_000), ("ms", TimescaleUnit::MS, 1_000_000)];
        let timescale = units.into_iter().find_map(|(suffix, unit, ns)| {
            let number = [1, 10, 100].into_iter().find(|number| text == format!("{number}{suffix}"))?;
            Some(Self { number, unit, ns: u64::from(number) * ns })
        });
        timescale.ok_or_else(|| "expected 1, 10 or 100 with the unit ns, us or ms, as in 1us".to_owned())
    }
}
