//! Arguments that other tools understand in another way. Refused ones are in `refused/`, and gpiochips in
//! `gpiod_tools.rs`.

mod support;

use support::run;

#[test]
fn a_line_that_names_its_chip_is_a_line() {
    assert!(run(&["mon", "sim:door", "--for", "0"]).status.success());
}

#[test]
#[cfg(unix)]
fn libgpiods_tools_have_no_hours() {
    use std::os::unix::process::CommandExt as _;

    let help = support::output(support::linewake(&["--help"]).arg0("gpiomon"));
    assert!(support::out(&help).contains("5s, 1m.\n"), "{help:?}");
}

#[test]
fn periods_have_hours_and_days() {
    assert!(run(&["mon", "-c", "sim", "-n", "1", "--for", "2h", "-q", "pps"]).status.success());
    assert!(run(&["mon", "-c", "sim", "-n", "1", "--idle-timeout", "1d", "-q", "pps"]).status.success());
}
