//! The summary for people: what became of all edges.

use std::collections::HashMap;
use std::fmt::Write as _;

use linewake::{Account, Figures, Trust};

use crate::display::LineId;

/// The summary of all requests, and of each line that lost edges.
pub(crate) fn summary(accounts: &[(String, Account)], threads: Option<u32>) -> String {
    let lines: usize = accounts.iter().map(|(_, account)| account.lines().len()).sum();
    let trust = accounts.iter().map(|(_, account)| account.trust()).min().unwrap_or(Trust::Exact);
    let mut total = Figures::default();
    for (_, account) in accounts {
        total.add(account.total());
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{}: {}", plural(lines as u64, "line"), figures(total, trust));
    let _ = match threads {
        Some(threads) => writeln!(text, "; {}", plural(threads.into(), "thread")),
        None => writeln!(text),
    };
    let mut names = HashMap::new();
    for name in accounts.iter().flat_map(|(_, account)| account.lines()).filter_map(|line| line.name.as_deref()) {
        *names.entry(name).or_insert(0) += 1;
    }
    for (chip, account) in accounts {
        for line in account.lines().iter().filter(|line| line.figures.lost() > 0 || line.trust == Trust::None) {
            let name = LineId {
                chip,
                offset: line.offset.get(),
                name: line.name.as_deref(),
                with_chip: line.name.as_deref().is_some_and(|name| names[name] > 1),
                unquoted: false,
            };
            let _ = writeln!(text, "  {name}: {}", figures(line.figures, line.trust));
        }
    }
    text
}

/// `34 edges delivered, none lost`
pub(crate) fn figures(of: Figures, trust: Trust) -> String {
    let mut text = format!("{} delivered, ", plural(of.delivered, "edge"));
    let _ = match (trust, of.lost()) {
        (Trust::Exact, 0) => write!(text, "none lost"),
        (Trust::Exact, lost) => write!(text, "{lost} lost"),
        (Trust::About, lost) => write!(text, "about {lost} lost"),
        (Trust::AtLeast, lost) => write!(text, "at least {lost} lost"),
        (Trust::None, _) => write!(text, "how many are lost cannot be trusted"),
    };
    if of.lost() > 0 {
        let parts = [(of.overflowed, "overflowed"), (of.merged, "merged"), (of.discarded, "discarded")];
        let parts: Vec<_> =
            parts.iter().filter(|part| part.0 > 0).map(|(number, how)| format!("{number} {how}")).collect();
        let _ = write!(text, " ({})", parts.join(", "));
    }
    text
}

/// `1 edge`, `2 edges`
pub(crate) fn plural(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
