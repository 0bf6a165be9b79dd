//! In steady state, writing an edge allocates nothing.

use std::io;

use linewake::{EdgeEvent, EdgeKind, Missed};
use test_support::allocations::{Counting, of_this_thread};

use super::csv::Csv;
use super::json::Json;
use super::out::Out;
use super::sink::{Item, Sink, Sinks};
use super::text::{Look, Text};
use crate::stamp::Stamp;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Four lines, one without a name and one with a name that must be escaped everywhere. Some edges follow losses.
fn edges() -> Vec<(usize, EdgeEvent)> {
    let names = [Some("door"), None, Some("a,\"b\"\n"), Some("flow")].map(|name| name.map(std::sync::Arc::from));
    let edge = |number: u32| EdgeEvent {
        chip: "gpiochip0".into(),
        offset: (number % 4).into(),
        name: names[number as usize % 4].clone(),
        kind: if number.is_multiple_of(3) { EdgeKind::Rising } else { EdgeKind::Falling },
        timestamp_ns: 1_700_000_000_000_000_000 + u64::from(number) * 1_234_567,
        axis_ns: 1_700_000_000_000_000_000 + u64::from(number) * 1_234_567,
        seqno: number,
        line_seqno: number / 4,
        missed: Missed { overflowed: number % 5 / 4, merged: number % 7 / 6 },
    };
    let chip: std::sync::Arc<str> = "gpiochip0".into();
    (0..2000).map(|number| (number as usize % 4, EdgeEvent { chip: chip.clone(), ..edge(number) })).collect()
}

/// Writes the edges again and again.
fn costs_nothing(what: &str, sink: impl Sink + 'static) {
    let mut sinks = Sinks::new();
    sinks.add(what, Box::new(sink));
    let edges = edges();
    let mut round = || {
        for (line, edge) in &edges {
            sinks.item(Item::Edge { line: *line, edge }).unwrap();
        }
        sinks.flush().unwrap();
    };
    round();
    let before = of_this_thread();
    (0..10).for_each(|_| round());
    assert_eq!(of_this_thread() - before, 0, "allocations for {} edges written as {what}", 10 * edges.len());
}

fn out() -> Out {
    Out::new(Box::new(io::sink()))
}

#[test]
fn text_costs_no_allocation() {
    let look = |format: Option<&str>, time, colour| Look {
        format: format.map(str::to_owned),
        time,
        unquoted: false,
        with_chip: true,
        initial: false,
        numeric: false,
        quiet: false,
        banner: false,
        colour,
    };
    costs_nothing("text", Text::new(out(), look(None, Stamp::Seconds, false)));
    costs_nothing("text in colour", Text::new(out(), look(None, Stamp::Seconds, true)));
    costs_nothing("text with UTC", Text::new(out(), look(None, Stamp::Utc, false)));
    let all = "%o %l %c %e %E %S %U %q %Q %m %% %x";
    costs_nothing("a format", Text::new(out(), look(Some(all), Stamp::Seconds, false)));
}

#[test]
fn json_costs_no_allocation() {
    costs_nothing("json", Json::new(out(), false));
    costs_nothing("json with strings", Json::new(out(), true));
}

#[test]
fn csv_costs_no_allocation() {
    costs_nothing("csv", Csv::new(out()));
}
