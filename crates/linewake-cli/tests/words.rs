//! What the command says to words that other tools take otherwise. What it says of gpiochips is in `gpiod_tools.rs`.

mod support;

#[cfg(unix)]
use support::linewake;
use support::{err, out, run};

fn assert_told(arguments: &[&str], told: &str) {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    assert!(err(&output).contains(told) && err(&output).lines().count() == 1, "{arguments:?}: {}", err(&output));
    assert_eq!(out(&output), "", "{arguments:?}");
}

#[test]
fn a_chip_in_the_place_of_a_line_is_told_where_it_goes() {
    let told = "\"sim\" is a chip, not a line; name the chip with -c: \"-c sim door\"";
    for command in ["mon", "get", "info", "notify"] {
        assert_told(&[command, "sim", "door"], told);
    }
    assert_told(&["set", "sim", "led=1"], "name the chip with -c: \"-c sim led=1\"");
    assert_told(&["info", "sim"], "name the chip with -c: \"-c sim\"");
    for (chip, shown) in [
        ("label:big", "label:big"),
        ("serial:/dev/ttyUSB0", "serial:/dev/ttyUSB0"),
        ("exec:sh card.sh", "'exec:sh card.sh'"),
        ("profile:card.toml", "profile:card.toml"),
        ("sim:bench.toml", "sim:bench.toml"),
    ] {
        assert_told(&["mon", chip, "17"], &format!("\"{chip}\" is a chip, not a line; name the chip with -c"));
        assert_told(&["mon", chip, "17"], &format!("with -c: \"-c {shown} 17\""));
    }
}

#[test]
fn a_line_that_names_its_chip_is_a_line() {
    assert!(run(&["mon", "sim:door", "--for", "0"]).status.success());
    // Only what is no line anywhere is taken for a chip.
    assert_told(&["mon", "-c", "sim", "sim"], "cannot find line \"sim\"");
    assert_told(&["mon", "17", "18"], "write \"-c CHIP 17\" or \"CHIP:17\"");
}

#[test]
#[cfg(unix)]
fn libgpiods_tools_have_no_hours() {
    use std::os::unix::process::CommandExt as _;

    let output = support::output(linewake(&["-c", "0", "--idle-timeout", "2h", "0"]).arg0("gpiomon"));
    assert_eq!((err(&output), output.status.code()), ("gpiomon: invalid period: 2h\n", Some(1)));
    let help = support::output(linewake(&["--help"]).arg0("gpiomon"));
    assert!(out(&help).contains("5s, 1m.\n"), "{}", out(&help));
}

#[test]
fn periods_have_hours_and_days() {
    assert!(run(&["mon", "-c", "sim", "-n", "1", "--for", "2h", "-q", "pps"]).status.success());
    assert!(run(&["mon", "-c", "sim", "-n", "1", "--idle-timeout", "1d", "-q", "pps"]).status.success());
    assert_told(
        &["mon", "-c", "sim", "--for", "213503983d"],
        "213503983d is out of range; expected at most 2^64 microseconds",
    );
    let filter = ["mon", "-c", "sim", "--for", "0", "--filter", "debounce=213504d", "door"];
    assert_told(&filter, "expected a whole number with ns, us, ms, s, m, h or d");
}
