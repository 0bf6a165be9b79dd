//! Names, and guesses from names. The skeleton says that they are guesses.

use std::collections::HashSet;

use crate::commands::profile::header::{Header, Number};

/// The names that a profile gives to the chip and to the calls of a header.
pub(super) struct Names {
    pub(super) chip: String,
    calls: Vec<String>,
}

impl Names {
    pub(super) fn new(header: &Header<'_>) -> Self {
        let words: Vec<Vec<&str>> = header
            .codes
            .iter()
            .map(|code| code.name.split('_').filter(|word| !word.is_empty() && !is_noise(word)).collect())
            .collect();
        // A prefix of all names is the card's name.
        let first = words.first().map_or(&[][..], Vec::as_slice);
        let mut common = first.len();
        for words in &words {
            let same = first.iter().zip(words).take_while(|(one, other)| one == other).count();
            common = common.min(same).min(words.len().saturating_sub(1));
        }
        let chip = first[..common].join("-").to_lowercase();
        let mut seen = HashSet::new();
        let call = |(place, words): (usize, &Vec<&str>)| {
            let name = words[common..].join("-").to_lowercase();
            let name = if name.is_empty() { header.codes[place].name.to_lowercase().replace('_', "-") } else { name };
            // Two names may differ only in their case.
            if seen.insert(name.clone()) { name } else { format!("{name}-{place}") }
        };
        let calls = words.iter().enumerate().map(call).collect();
        Self { chip: if chip.is_empty() { "card".to_owned() } else { chip.chars().take(60).collect() }, calls }
    }

    pub(super) fn of(&self, code: usize) -> &str {
        &self.calls[code]
    }
}

/// True if a word only says that something is a code.
fn is_noise(word: &str) -> bool {
    matches!(
        word.to_ascii_uppercase().as_str(),
        "IOCTL" | "IOC" | "IOCTRL" | "CODE" | "IOR" | "IOW" | "IOWR" | "IOCG" | "IOCS"
    )
}

/// The call that probably waits for a change, if there is only one.
pub(super) fn guessed_wait(header: &Header<'_>, names: &Names) -> Option<usize> {
    // "internal" codes are for other drivers; a number or a count of events is not an event.
    const NO: &str = "internal count counter cnt num number status magic set enable disable clear cancel abort config \
        configure ack mask register unregister stop start reset timeout";
    let can_be = |code: &usize| match &header.codes[*code].number {
        Number::Control { method, .. } => matches!(method, 0 | 2),
        Number::Ioctl { .. } | Number::Plain(_) => true,
    };
    let words_of = |code: usize| names.of(code).split(['-', '_']).map(str::to_owned).collect::<Vec<_>>();
    for wanted in [
        &["wait", "waitfor", "waiton", "waitint", "waitirq"][..],
        &["event", "events", "interrupt", "irq", "notify", "notification"],
    ] {
        let fits = |code: &usize| {
            let words = words_of(*code);
            let is_wanted = words.iter().any(|word| wanted.contains(&word.as_str()));
            is_wanted && !words.iter().any(|word| NO.split(' ').any(|no| no == word)) && can_be(code)
        };
        let found: Vec<_> = (0..header.codes.len()).filter(fits).collect();
        match found.as_slice() {
            [] => {}
            [only] => return Some(*only),
            _ => return None,
        }
    }
    None
}

/// The calls with one of these words in their names.
pub(super) fn named_like<'n>(
    header: &'n Header<'_>,
    names: &'n Names,
    words: &'n [&'n str],
) -> impl Iterator<Item = usize> + 'n {
    let is = move |code: &usize| names.of(*code).split(['-', '_']).any(|word| words.contains(&word));
    (0..header.codes.len()).filter(is).take(8)
}

/// The key that a field probably is, by its name.
pub(super) fn guess(name: &str) -> &'static str {
    const KEYS: [(&str, &[&str]); 11] = [
        ("line_seqno", &["line_seqno", "lineseq"]),
        ("timestamp", &["timestamp", "time", "stamp", "ts", "tstamp", "timestamp_ns", "ticks"]),
        ("overflowed", &["lost", "dropped", "overflow", "overflowed", "overruns", "overrun", "missed"]),
        ("seqno", &["seq", "seqno", "sequence"]),
        ("count", &["count", "counter", "n", "num", "nevents", "events"]),
        ("changed", &["changed", "changes", "change", "toggled", "irqs", "pending"]),
        ("rising", &["rising", "rise", "set"]),
        ("falling", &["falling", "fall"]),
        ("line", &["line", "channel", "chan", "pin", "input", "gpio", "port_bit", "offset", "button", "key"]),
        ("edge", &["edge", "polarity", "direction", "dir", "kind", "transition"]),
        ("levels", &["levels", "inputs", "values", "states", "switches", "buttons", "data", "bits", "port"]),
    ];
    let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    let matches = |words: &[&str]| words.iter().any(|word| last == *word || last.split('_').any(|part| part == *word));
    match KEYS.iter().find(|(_, words)| matches(words)) {
        Some((key, _)) => key,
        None if matches(&["level", "state", "value"]) => "level",
        None => "NAME",
    }
}
