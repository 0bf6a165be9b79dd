//! The real driver, linewake.sys: the command manages it, and the library opens its lines.
//!
//! `cargo xtask test --only wine` runs it, with LINEWAKE_SYS set to the Windows path of the driver.
#![cfg(windows)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use linewake::Chip;
use support::{linewake, run};
use test_support::{conformance, every_test, pins, replug, schema, thousand};

const DEVICE: &str = r"\\.\LineWake0";

/// Asserts that a command prints this and succeeds, also the second time.
fn does(arguments: &[&str], says: &str) {
    for _ in 0..2 {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(says) && said.contains("\"LineWake\""), "{arguments:?}: {said}");
    }
}

fn refuses(arguments: &[&str], says: &str) {
    let output = run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert!(said.contains(says), "{arguments:?}: {said}");
}

/// Removes the driver, also when a test fails.
struct Installed;

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = run(&["driver", "remove"]);
    }
}

fn open() -> Chip {
    Chip::open(DEVICE).unwrap()
}

macro_rules! in_turn {
    ($($name:ident)*) => {
        $(
            println!("{}", stringify!($name));
            conformance::$name(&conformance::Reference(open));
        )*
    };
}

/// One test, in parts: there is one driver.
#[test]
fn driver_lines_are_lines_as_any_other() {
    let Ok(sys) = std::env::var("LINEWAKE_SYS") else {
        println!("skipped: LINEWAKE_SYS does not name linewake.sys (`cargo xtask test --only wine` sets it)");
        return;
    };
    let installed = Installed;
    the_service_is_managed(&sys);
    every_test!(in_turn);
    replug::a_monitor_survives_a_replug_in_the_middle_of_a_flood(&conformance::Reference(open));
    a_thousand_lines_of_many_chips_are_one_stream();
    by_profile();
    by_single_pins();
    mon_prints_its_edges_and_accounts_for_them();
    mon_ends_in_the_middle_of_what_comes_at_once();
    stopping_the_driver_ends_mon();
    drop(installed);
    does(&["driver", "status"], "not installed");
}

/// Two chips of the driver, and sixteen that are simulated.
fn a_thousand_lines_of_many_chips_are_one_stream() {
    let real = [DEVICE, r"\\.\LineWake1"].map(|device| Chip::open(device).unwrap());
    assert_eq!(real.each_ref().map(|chip| &*chip.info().name), ["LineWake0", "LineWake1"]);
    thousand::lines_of_many_chips_are_one_stream(&real);
}

/// The same driver, described by a file.
fn by_profile() {
    macro_rules! in_turn {
        ($($name:ident)*) => {
            $(
                println!("by a profile: {}", stringify!($name));
                conformance::$name(&conformance::Reference(profiled));
            )*
        };
    }
    fn profiled() -> Chip {
        let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles/linewake.toml");
        Chip::options().allow_writes(true).open(profile).unwrap().driven_by(&open())
    }
    in_turn! {
        an_edge_says_where_when_and_which_way
        edges_come_in_order
        only_the_edges_asked_for_come
        a_timeout_ends_nothing
        stopping_delivers_what_had_happened
        stopping_wakes_a_waiting_thread
        the_account_is_exact_at_full_speed
        the_account_is_exact_with_a_reader_that_is_too_slow
        the_account_is_exact_when_finished_in_the_middle
        merged_edges_are_counted
        an_active_low_line_is_active_when_it_is_low
        many_requests_come_and_go
    }
}

/// The same driver as one that knows single pins.
fn by_single_pins() {
    macro_rules! in_turn {
        ($($name:ident)*) => {
            $(
                println!("by single pins: {}", stringify!($name));
                let host = open();
                let device = host.clone();
                pins::$name(&host, &|profile| {
                    let device = device.clone();
                    Chip::from_profile(profile, move || device.open_device()).unwrap()
                });
            )*
        };
    }
    pins::every_pin_test!(in_turn);
}

fn the_service_is_managed(sys: &str) {
    does(&["driver", "remove"], "not installed");
    does(&["driver", "status"], "not installed");
    refuses(&["driver", "start"], "linewake driver install");
    refuses(&["driver", "stop"], "not installed");
    refuses(&["driver", "install", "--path", r"C:\no\such.sys"], r#""C:\no\such.sys""#);
    refuses(&["mon", "-c", DEVICE], r#""\\.\LineWake0""#);

    does(&["driver", "install", "--path", sys], sys);
    does(&["driver", "status"], "not running");
    does(&["driver", "stop"], "stopped");
    does(&["driver", "start"], DEVICE);
    does(&["driver", "status"], "running");
    does(&["driver", "stop"], "stopped");
    does(&["driver", "start"], DEVICE);
}

fn mon(arguments: &[&str]) -> (std::process::Child, BufReader<std::process::ChildStdout>) {
    let mut child =
        linewake(&["mon", "-c", DEVICE]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let printed = BufReader::new(child.stdout.take().unwrap());
    (child, printed)
}

fn mon_prints_its_edges_and_accounts_for_them() {
    let chip = open();
    let (child, printed) = mon(&["--json", "--for", "3s", "0", "1"]);
    let mut lines = printed.lines().map(Result::unwrap);
    let mut printed: Vec<_> = lines.by_ref().take(3).collect();
    // The states are printed, so the watch has begun.
    chip.world().toggle_all([(0, 500), (1, 700)]).unwrap();
    printed.extend(lines);
    assert!(child.wait_with_output().unwrap().status.success());
    for line in &printed {
        assert_eq!(schema::faults_of_line(line), [""; 0], "{line}");
    }
    let summary: serde_json::Value = serde_json::from_str(printed.last().unwrap()).unwrap();
    for (line, driven) in summary["lines"].as_array().unwrap().iter().zip([500, 700]) {
        assert_eq!(line["account"], "exact");
        let figures = ["delivered", "overflowed", "merged", "discarded"];
        assert_eq!(figures.iter().map(|name| line[name].as_u64().unwrap()).sum::<u64>(), driven, "{line}");
        let edge = format!(r#"{{"record":"edge","chip":"LineWake0","offset":{},"#, line["offset"]);
        let edges = printed.iter().filter(|line| line.starts_with(&edge)).count();
        assert_eq!(line["delivered"], edges);
        assert!(edges > 0);
    }
}

fn mon_ends_in_the_middle_of_what_comes_at_once() {
    let chip = open();
    let (child, printed) = mon(&["--json", "-n", "5", "0"]);
    let mut lines = printed.lines().map(Result::unwrap);
    let _ = lines.by_ref().take(2).count();
    chip.world().toggle(0, 50).unwrap();
    let rest: Vec<_> = lines.collect();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(rest.len(), 6, "{rest:?}");
    assert!(rest[5].contains(r#""delivered":5,"#) && rest[5].contains(r#""account":"exact""#), "{rest:?}");
}

fn stopping_the_driver_ends_mon() {
    let (child, printed) = mon(&["--json", "0"]);
    let mut lines = printed.lines().map(Result::unwrap);
    let _ = lines.by_ref().take(2).count();
    // A service stops when the last handle to its device is closed: mon must close its own.
    does(&["driver", "stop"], "stopped");
    let rest: Vec<_> = lines.collect();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    println!("{rest:?} {said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(rest[0].contains(r#""record":"gap""#), "{rest:?}");
    assert!(rest[1].contains(r#""account":"at least""#), "{rest:?}");
    does(&["driver", "start"], DEVICE);
    assert!(open().value(0).is_ok());
}
