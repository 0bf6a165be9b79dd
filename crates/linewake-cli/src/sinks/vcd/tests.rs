//! Waveforms, read by other libraries than the one that wrote them.

use std::path::PathBuf;

use linewake::{Chip, Event, Monitor};
use wellen::simple::{Waveform, read};

use super::super::select::Selection;
use super::*;
use crate::commands::mon::watch::Now;
use crate::lines::{FoundLine, FoundLines};

/// A waveform, and what was seen while it was written.
struct Written {
    path: PathBuf,
    /// The ticks of the edge before each loss, and of the edge after it.
    spans: Vec<(u64, u64)>,
    missing: u64,
    account: linewake::Account,
}

/// Watches a chip that is driven by `drive` only. `drive` returns whether the edges are to be taken.
fn written(name: &str, scale: &str, queue: u32, lines: &[&str], drive: impl Fn(&Chip, usize) -> bool) -> Written {
    let path = std::env::temp_dir().join(format!("linewake-{}-{name}.vcd", std::process::id()));
    let chip = Chip::options().life(false).open("sim").unwrap();
    let lines: Vec<_> = lines.iter().map(|&line| line.to_owned()).collect();
    let selection = selection(&chip, &lines);
    let index = selection.index();
    let mut monitor =
        Monitor::builder().request(chip.request().lines(&lines).queue_size(queue)).states(true).start().unwrap();
    let clock = monitor.clock();
    let now = Now::read(&clock);
    let began = std::time::Instant::now();
    let mut vcd = Vcd::open(&path, Timescale::parse(scale).unwrap(), ExistingFile::Empty).unwrap();
    vcd.begin(View { clock: &clock, chips: &[], began_ns: now.at(began), lines: &selection.lines, origin: None })
        .unwrap();
    let (mut spans, mut missing) = (Vec::new(), 0);
    let mut last = std::collections::HashMap::new();
    for step in 0..4 {
        let takes = drive(&chip, step);
        // Takes all levels and edges that have come.
        while takes && let Some(Ok(event)) = monitor.wait_next_timeout(std::time::Duration::from_millis(500)) {
            match &event {
                Event::State { request, state } => {
                    let line = index.get(*request, state.offset).unwrap();
                    vcd.item(Item::State { line, state }).unwrap();
                }
                Event::Edge { request, edge } => {
                    let line = index.get(*request, edge.offset).unwrap();
                    vcd.item(Item::Edge { line, edge }).unwrap();
                    let tick = vcd.tick_of(edge.timestamp_ns);
                    let before = last.insert(line, tick).unwrap_or(0);
                    missing += edge.missed.total();
                    spans.extend((edge.missed.total() > 0).then_some((before, tick)));
                }
                _ => {}
            }
        }
        vcd.flush().unwrap();
    }
    let account = monitor.finish().remove(0);
    let accounts = vec![("sim".to_owned(), account.clone())];
    let closing = Closing {
        accounts: &accounts,
        tallies: None,
        threads: None,
        now_ns: now.at(std::time::Instant::now()),
        of_last: None,
    };
    vcd.end(closing).unwrap();
    Written { path, spans, missing, account }
}

fn selection(chip: &Chip, lines: &[String]) -> Selection {
    let line = |id: &String| {
        let offset = chip.find(id).unwrap();
        FoundLine { id: id.clone(), operand: 0, label: None, unit: None, chip: 0, offset, name: chip.name(offset) }
    };
    Selection::new(&FoundLines { chips: vec![chip.clone()], lines: lines.iter().map(line).collect() })
}

/// The changes of a wire: tick and value.
fn changes(waveform: &mut Waveform, name: &[&str]) -> Vec<(u64, String)> {
    let (wire, path) = name.split_last().unwrap();
    let variable = waveform.hierarchy().lookup_var(path, wire).unwrap_or_else(|| panic!("no wire {name:?}"));
    let signal = waveform.hierarchy()[variable].signal_ref();
    waveform.load_signals(&[signal]);
    let times = waveform.time_table().to_vec();
    let signal = waveform.get_signal(signal).unwrap();
    signal.iter_changes().map(|(at, value)| (times[at as usize], value.to_bit_string().unwrap())).collect()
}

fn values(changes: &[(u64, String)]) -> Vec<&str> {
    changes.iter().map(|(_, value)| &**value).collect()
}

#[test]
fn what_is_known_is_drawn() {
    let Written { path, .. } = written("known", "1us", 64, &["door", "button"], |chip, step| {
        chip.world().toggle(["door", "button"][step % 2], 1).unwrap();
        true
    });
    let mut waveform = read(&path).unwrap();
    let door = changes(&mut waveform, &["sim", "door"]);
    assert_eq!(values(&door), ["0", "1", "0"], "{door:?}");
    assert_eq!(door[0].0, 0, "the level at the beginning");
    assert_eq!(changes(&mut waveform, &["sim", "door_lost"]), [(0, "0".to_owned())]);
    let button = changes(&mut waveform, &["sim", "button"]);
    assert!(door[1].0 < button[1].0 && button[1].0 < door[2].0 && door[2].0 < button[2].0, "{door:?} {button:?}");
    std::fs::remove_file(path).unwrap();
}

/// Edges of the door are lost. No edge of the button is lost, and it has one after them.
fn lossy(name: &str, scale: &str) -> Written {
    let written = written(name, scale, 16, &["door", "button"], |chip, step| {
        match step {
            0 => chip.world().toggle("door", 1).unwrap(),
            1 => chip.world().toggle("door", 20_001).unwrap(),
            2 => chip.world().toggle("button", 1).unwrap(),
            _ => chip.world().toggle("door", 1).unwrap(),
        }
        true
    });
    assert_eq!(written.account.total().total(), 20_004);
    assert_eq!(written.account.total().lost(), written.missing);
    assert!(written.missing > 0, "a queue of 16 is too small for 20,001 at once");
    written
}

#[test]
fn a_span_in_which_edges_are_lost_is_unknown_and_said_beside_it() {
    let Written { path, spans, missing, .. } = lossy("lossy", "100ns");
    let mut waveform = read(&path).unwrap();
    let lost = changes(&mut waveform, &["sim", "door_lost"]);
    // The level before the span is visible for one tick, if there is time.
    let spans: Vec<_> = spans.iter().map(|&(from, to)| (from + u64::from(from + 1 < to), to)).collect();
    let spans: Vec<_> = spans.into_iter().filter(|(from, to)| from < to).collect();
    assert!(!spans.is_empty());
    let mut expected = vec![(0, "0".to_owned())];
    for (from, to) in &spans {
        expected.extend([(*from, "1".to_owned()), (*to, "0".to_owned())]);
    }
    assert_eq!(lost, expected);
    let door = changes(&mut waveform, &["sim", "door"]);
    for (from, to) in &spans {
        let within: Vec<_> = door.iter().filter(|(at, _)| (from..to).contains(&at)).collect();
        assert_eq!(within.last().unwrap().1, "x", "{within:?}");
        assert!(door.iter().any(|(at, value)| at == to && value != "x"), "it is known again at {to}");
    }
    let unknown = door.iter().filter(|(_, value)| value == "x").count();
    assert_eq!(unknown, spans.len(), "and nowhere else: {door:?}");
    assert_eq!(changes(&mut waveform, &["sim", "button_lost"]), [(0, "0".to_owned())], "it lost nothing");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&format!("{missing} lost")), "the account is in it");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_was_lost_behind_the_last_edge_is_unknown_to_the_end() {
    let Written { path, account, missing, .. } = written("end", "1us", 16, &["door", "button"], |chip, step| {
        chip.world().toggle(if step == 0 { "button" } else { "door" }, if step == 3 { 100 } else { 1 }).unwrap();
        // The last edges are on their way when the watch ends.
        step != 3
    });
    assert_eq!((missing, account.total().lost()), (0, 100));
    let mut waveform = read(&path).unwrap();
    let end = *waveform.time_table().last().unwrap();
    let door = changes(&mut waveform, &["sim", "door"]);
    assert_eq!(values(&door), ["0", "1", "0", "x"], "{door:?}");
    let lost = changes(&mut waveform, &["sim", "door_lost"]);
    assert_eq!(lost, [(0, "0".to_owned()), (door[2].0 + 1, "1".to_owned())]);
    assert!(end > door[2].0 + 1, "it goes on to when the watch ended");
    assert_eq!(values(&changes(&mut waveform, &["sim", "button_lost"])), ["0"]);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_chip_that_was_gone_is_unknown_meanwhile() {
    let path = std::env::temp_dir().join(format!("linewake-{}-gap.vcd", std::process::id()));
    let chip = Chip::options().life(false).open("sim").unwrap();
    let selection = selection(&chip, &["door".to_owned()]);
    let mut vcd = Vcd::open(&path, Timescale::parse("1us").unwrap(), ExistingFile::Empty).unwrap();
    let clock = chip.clock();
    vcd.begin(View { clock: &clock, chips: &[], began_ns: Some(0), lines: &selection.lines, origin: None }).unwrap();
    let state = |active| linewake::LineState { chip: "sim".into(), offset: 5.into(), name: None, active: Some(active) };
    let gap = |to_ns: Option<u64>| linewake::Gap {
        chip: "sim".into(),
        from_ns: Some(10_000),
        to_ns,
        is_over: to_ns.is_some(),
        figures: linewake::Figures::default(),
        reason: Chip::open("nonsense").unwrap_err(),
    };
    vcd.item(Item::State { line: 0, state: &state(true) }).unwrap();
    vcd.item(Item::Gap { request: 0, gap: &gap(None) }).unwrap();
    vcd.item(Item::Gap { request: 0, gap: &gap(Some(50_000)) }).unwrap();
    vcd.item(Item::State { line: 0, state: &state(true) }).unwrap();
    vcd.end(Closing { accounts: &[], tallies: None, threads: None, now_ns: Some(90_000), of_last: None }).unwrap();
    let mut waveform = read(&path).unwrap();
    let at = |tick, value: &str| (tick, value.to_owned());
    assert_eq!(changes(&mut waveform, &["sim", "door"]), [at(0, "1"), at(1, "x"), at(41, "1")]);
    assert_eq!(changes(&mut waveform, &["sim", "door_lost"]), [at(0, "0"), at(1, "1"), at(41, "0")]);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn only_timescales_of_the_format_are_taken() {
    for (text, ns) in [("1ns", 1), ("10ns", 10), ("100ns", 100), ("1us", 1_000), ("100ms", 100_000_000)] {
        assert_eq!(Timescale::parse(text).unwrap().ns, ns);
    }
    for text in ["", "1", "us", "2us", "1000ns", "1 us", "1s", "01us", "1usx"] {
        assert!(Timescale::parse(text).unwrap_err().contains("1, 10 or 100"), "{text}");
    }
}

/// PulseView uses the same library. Debian has it as sigrok-cli.
#[test]
fn sigrok_reads_it_and_sees_the_loss() {
    let Written { path, .. } = lossy("sigrok", "10us");
    let sigrok = std::process::Command::new("sigrok-cli").arg("-i").arg(&path).args(["-O", "csv"]).output();
    let output = match sigrok {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: sigrok-cli cannot be run ({error}); it is in the Debian package of that name");
            return;
        }
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Channels (4/4): door, door_lost, button, button_lost"), "{text:.500}");
    assert!(text.contains("samplerate: 100000\n"), "{text:.500}");
    let samples: Vec<_> = text.lines().filter(|line| line.starts_with(['0', '1'])).collect();
    let lost = samples.iter().filter(|sample| sample.split(',').nth(1) == Some("1")).count();
    let mut waveform = read(&path).unwrap();
    let spans = changes(&mut waveform, &["sim", "door_lost"]);
    let ticks: u64 = spans[1..].chunks(2).map(|span| span[1].0 - span[0].0).sum();
    assert_eq!(lost as u64, ticks, "each tick of a span is a sample of it");
    std::fs::remove_file(path).unwrap();
}

/// GTKWave uses the same code as this program, which comes in the same Debian package.
#[test]
fn gtkwave_reads_it_whole() {
    let Written { path, .. } = lossy("gtkwave", "10us");
    let fst = path.with_extension("fst");
    let output = match std::process::Command::new("vcd2fst").arg(&path).arg(&fst).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: vcd2fst cannot be run ({error}); it is in the Debian package gtkwave");
            return;
        }
    };
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // The library sees the same in the converted file as in the original.
    let (mut ours, mut theirs) = (read(&path).unwrap(), read(&fst).unwrap());
    for variable in ["door", "door_lost", "button", "button_lost"] {
        let changes = [&mut ours, &mut theirs].map(|waveform| changes(waveform, &["sim", variable]));
        let is_door = ["door", "door_lost"].contains(&variable);
        assert!(changes[0] == changes[1] && (changes[0].len() > 1 || !is_door), "{variable}: {changes:?}");
    }
    std::fs::remove_file(path).unwrap();
    std::fs::remove_file(fst).unwrap();
}
