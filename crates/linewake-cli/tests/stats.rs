//! `--stats`: a meter's figures, and how late edges are written.
#![cfg(unix)]

mod support;

use std::fs;

use support::{Scratch, err, linewake, output, run};

/// A meter's output: a short pulse every 180 ms. Each of its edges is half a unit.
const PULSES: &str = "[[line]]\nname = \"s0\"\nfirst = \"200ms\"\nhigh = \"5ms\"\nlow = \"175ms\"\n";

/// The word before some words, in each line that has them.
fn figures(said: &str, words: &str) -> Vec<f64> {
    let before = said.lines().filter_map(|line| line.split(words).next().filter(|before| *before != line));
    before.map(|before| before.rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_meter_shows_one_figure_and_its_total() {
    let script = Scratch::with("meter.toml", PULSES);
    let directory = std::env::temp_dir().join(format!("linewake-{}-meter", std::process::id()));
    fs::create_dir_all(directory.join("linewake")).unwrap();
    let line = format!("line = \"sim:{}:s0\", label = \"Power\", unit = \"Wh\", per_edge = 0.5", script.path());
    let set = format!("[set.meter]\nlines = [ {{ {line} }} ]\n");
    fs::write(directory.join("linewake/linewake.toml"), set).unwrap();
    // Most of these windows have two edges in them, and some have none.
    let mut watch = linewake(&["mon", "@meter", "-q", "--for", "3s", "--stats", "130ms"]);
    let output = output(watch.env("XDG_CONFIG_HOME", &directory));
    fs::remove_dir_all(&directory).unwrap();
    let said = err(&output);
    let rates = figures(said, " Wh/s");
    // Half a unit twice in 180 ms. It fades only where this machine was too busy to see an edge in time.
    assert!(rates.len() > 10 && rates.iter().all(|rate| (1.0..=5.56).contains(rate)), "{said}");
    assert!(rates.iter().filter(|rate| **rate == 5.56).count() * 10 > rates.len() * 8, "{said}");
    let totals = figures(said, " Wh in all");
    assert!(totals.windows(2).all(|two| two[0] <= two[1]), "{said}");
    let delivered: f64 = figures(said, " edges delivered")[0];
    assert_eq!(totals.last(), Some(&(delivered / 2.0)), "{said}");
}

#[test]
fn totals_with_losses_are_lower_bounds() {
    let script = Scratch::with(
        "loss.toml",
        "[[line]]\nname = \"door\"\nfirst = \"300ms\"\nhigh = \"1us\"\nlow = \"1us\"\ntimes = 2000\n",
    );
    let chip = format!("sim:{}", script.path());
    let output = run(&["mon", "-c", &chip, "-q", "--for", "1s", "--queue-size", "2", "--stats", "10s"]);
    let delivered: u64 = err(&output).split("1 line: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(err(&output).contains(&format!("; at least {delivered} in all\n")), "{output:?}");
    assert!(err(&output).contains("  \"door\": ") && err(&output).contains(", at least "), "{output:?}");
}

#[test]
fn old_stamps_give_no_delay_of_writing() {
    let now = "now=$(date +%s)";
    for (clock, stamp, is_told) in [
        ("realtime", "1700000000000000000", false),
        ("realtime", "$((now + 3600))000000000", false),
        ("realtime", "$(date +%s%N)", true),
        ("monotonic", "1000000000", false),
    ] {
        let program = format!(
            "{now}; echo clock {clock}; echo lines door=0; sleep 0.3; echo \"{stamp} door 1\"; exec sleep 1000\n"
        );
        let script = Scratch::with("stamps.sh", &program);
        let output = run(&["mon", "-q", "-c", &format!("exec:sh {}", script.path()), "-n", "1", "--stats", "10s"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(err(&output).contains(", written after p50 "), is_told, "{clock} {stamp}: {output:?}");
    }
}
