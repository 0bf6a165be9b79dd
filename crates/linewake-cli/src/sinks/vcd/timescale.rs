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
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number = match &text[..digits] {
            "1" => Some(1),
            "10" => Some(10),
            "100" => Some(100),
            _ => None,
        };
        let unit = match &text[digits..] {
            "ns" => Some((TimescaleUnit::NS, 1)),
            "us" => Some((TimescaleUnit::US, 1_000)),
            "ms" => Some((TimescaleUnit::MS, 1_000_000)),
            _ => None,
        };
        match (number, unit) {
            (Some(number), Some((unit, ns))) => Ok(Self { number, unit, ns: u64::from(number) * ns }),
            _ => Err("expected 1, 10 or 100 with the unit ns, us or ms, as in 1us".to_owned()),
        }
    }
}
