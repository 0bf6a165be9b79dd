//! Runs the examples on the simulated chip, and checks what they print.
#![allow(dead_code, unreachable_pub, reason = "the tests do not begin at `main`")]

#[path = "../examples/async_watch_line_value.rs"]
mod async_watch_line_value;
#[path = "../examples/find_line_by_name.rs"]
mod find_line_by_name;
#[path = "../examples/get_chip_info.rs"]
mod get_chip_info;
#[path = "../examples/get_line_info.rs"]
mod get_line_info;
#[path = "../examples/get_line_value.rs"]
mod get_line_value;
#[path = "../examples/get_multiple_line_values.rs"]
mod get_multiple_line_values;
#[path = "../examples/reconfigure_input_to_output.rs"]
mod reconfigure_input_to_output;
#[path = "../examples/toggle_line_value.rs"]
mod toggle_line_value;
#[path = "../examples/toggle_multiple_line_values.rs"]
mod toggle_multiple_line_values;
#[path = "../examples/watch_line_debounced.rs"]
mod watch_line_debounced;
#[path = "../examples/watch_line_info.rs"]
mod watch_line_info;
#[path = "../examples/watch_line_rising.rs"]
mod watch_line_rising;
#[path = "../examples/watch_line_value.rs"]
mod watch_line_value;
#[path = "../examples/watch_multiple_chips.rs"]
mod watch_multiple_chips;
#[path = "../examples/watch_multiple_line_values.rs"]
mod watch_multiple_line_values;

use std::error::Error;
use std::io::Write;

/// The lines that an example prints.
fn printed(run: impl FnOnce(&mut dyn Write) -> Result<(), Box<dyn Error>>) -> Vec<String> {
    let mut out = Vec::new();
    run(&mut out).unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

fn lines(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Splits a line into the time stamp at its beginning and the rest.
fn stamped(line: &str) -> (u64, &str) {
    let (stamp, rest) = line.split_once(' ').unwrap();
    (stamp.parse().unwrap(), rest)
}

fn rests(lines: &[String]) -> Vec<&str> {
    assert!(lines.is_sorted_by_key(|line| stamped(line).0), "{lines:?}");
    lines.iter().map(|line| stamped(line).1).collect()
}

#[test]
fn values_are_read() {
    // Everything is at rest when the chip has just been opened.
    assert_eq!(printed(|out| get_line_value::run("sim", "door", out)), ["\"door\"=inactive"]);
    let all = printed(|out| get_multiple_line_values::run("sim", &lines(&["led", "3"]), out));
    assert_eq!(all, ["\"led\"=inactive", "\"3\"=inactive"]);
}

#[test]
fn values_are_set() {
    let (on, off) = ("\"led\"=active", "\"led\"=inactive");
    assert_eq!(printed(|out| toggle_line_value::run("sim", "led", out)), [on, off, on, off, on, off]);
    let both = printed(|out| toggle_multiple_line_values::run("sim", &lines(&["led", "relay-1"]), out));
    let (one, other) = ("\"led\"=1 \"relay-1\"=0", "\"led\"=0 \"relay-1\"=1");
    assert_eq!(both, [one, other, one, other, one, other]);
    let turned = printed(|out| reconfigure_input_to_output::run("sim", "led", out));
    assert_eq!(turned, ["\"led\"=inactive (input)", "\"led\"=active (output)"]);
}

#[test]
fn a_line_is_watched() {
    let printed = printed(|out| watch_line_value::run("sim", "button", out));
    let (account, edges) = printed.split_last().unwrap();
    for (edge, (number, kind)) in rests(edges).into_iter().zip((1..).zip(["rising", "falling"].into_iter().cycle())) {
        assert_eq!(edge, format!("{kind} \"button\" #{number}, 0 missing before it"));
    }
    assert_eq!(edges.len(), 6);
    assert!(account.starts_with("6 delivered, ") && account.ends_with(" lost (exact)"), "{account}");
}

#[test]
fn a_line_is_watched_without_a_thread() {
    let edges = printed(|out| async_watch_line_value::run("sim", "button", out));
    let (rising, falling) = ("rising \"button\"", "falling \"button\"");
    assert_eq!(rests(&edges), [rising, falling, rising, falling, rising, falling]);
}

#[test]
fn rising_edges_are_watched() {
    let edges = printed(|out| watch_line_rising::run("sim", "encoder-a", out));
    assert_eq!(rests(&edges), ["rising \"encoder-a\""; 3]);
}

#[test]
fn several_lines_are_watched() {
    let printed =
        printed(|out| watch_multiple_line_values::run("sim", &lines(&["encoder-a", "encoder-b", "pps"]), out));
    let (states, edges) = printed.split_at(3);
    assert!(states[0].ends_with("\"encoder-a\" is inactive") && states[2].ends_with("\"pps\" is inactive"));
    let of = |name: &str| rests(edges).into_iter().filter(|edge| edge.ends_with(name)).count();
    assert!(of("\"encoder-a\"") > 0 && of("\"encoder-b\"") > 0, "{edges:?}");
    assert_eq!(edges.len(), 10);
}

#[test]
fn several_chips_are_watched() {
    let printed = printed(|out| watch_multiple_chips::run(&lines(&["sim", "sim"]), out));
    let (edges, accounts) = printed.split_at(10);
    assert_eq!(rests(edges).len(), 10);
    assert!(edges.iter().all(|edge| edge.contains(" 0:sim ") || edge.contains(" 1:sim#2 ")), "{edges:?}");
    assert_eq!(accounts.len(), 2);
    assert!(accounts[0].starts_with("0: ") && accounts[1].ends_with("(exact)"), "{accounts:?}");
}

#[test]
fn a_button_is_pressed_and_released_once() {
    let printed = printed(|out| watch_line_debounced::run("sim", "button", out));
    assert_eq!(rests(&printed[..2]), ["rising \"button\"", "falling \"button\""]);
    let (pressed, released) = (stamped(&printed[0]).0, stamped(&printed[1]).0);
    assert!(released - pressed >= 80_000_000, "it is held for 80 ms and more, by the simulator's source");
    // The button bounces both times.
    let figures: Vec<u64> = printed[2].split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(figures[0] >= 6 && figures[1] == 2 && figures[0] == figures[1] + figures[2], "{figures:?}");
}

#[test]
fn a_line_is_found_and_described() {
    assert_eq!(printed(|out| find_line_by_name::run("sim", "door", out)), ["sim 5"]);
    let none = printed(|out| find_line_by_name::run("sim:2", "door", out));
    assert_eq!(none, ["line \"door\" not found on sim"]);
    assert_eq!(printed(|out| get_line_info::run("sim", "door", out)), ["5 \"door\" input unused"]);
    let chip = printed(|out| get_chip_info::run("sim:64", out));
    assert_eq!(chip[0], "sim [linewake simulator] (64 lines)");
    assert!(
        chip.contains(&"outputs: yes".to_owned()) && chip.contains(&"account: exact at best".to_owned()),
        "{chip:?}"
    );
}

#[test]
fn the_holder_of_a_line_is_reported() {
    let printed = printed(|out| watch_line_info::run("sim", "door", out));
    match printed.len() {
        1 => assert!(printed[0].ends_with("\"door\" is held by \"watch-line-info\""), "{printed:?}"),
        _ => assert_eq!(rests(&printed), ["requested 5 \"door\"", "reconfigured 5 \"door\"", "released 5 \"door\""]),
    }
}

#[test]
fn a_chip_that_is_not_there_is_named() {
    let error = get_line_value::run("no such chip", "0", &mut std::io::sink()).unwrap_err();
    assert!(error.to_string().contains("\"no such chip\""), "{error}");
}
