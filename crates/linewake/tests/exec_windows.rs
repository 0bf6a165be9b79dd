//! A program on Windows. Its output is one end of a named pipe, and we read the other end.
#![cfg(windows)]

use std::time::{Duration, Instant};

use linewake::{Chip, EdgeKind, Exec, Request};

fn shell(command: &str) -> Exec {
    Exec::new("cmd").args(["/q", "/c", command])
}

fn next(request: &mut Request) -> (u64, EdgeKind) {
    let edge = request.wait_next_timeout(Duration::from_secs(60)).expect("the stream goes on").unwrap();
    (edge.timestamp_ns, edge.kind)
}

#[test]
fn printed_lines_are_edges_and_the_end_is_reported() {
    let chip = Chip::from_command(shell("echo lines a b=1& echo 1 a 1& echo 2 b 0& exit 3")).unwrap();
    let mut edges = chip.request().all_lines().start().unwrap();
    assert_eq!([next(&mut edges), next(&mut edges)], [(1, EdgeKind::Rising), (2, EdgeKind::Falling)]);
    let end = edges.wait_next_timeout(Duration::from_secs(60)).unwrap().unwrap_err();
    assert!(end.is_disconnected() && end.to_string().contains("exit code: 3"), "{end}");
}

#[test]
fn a_program_that_goes_on_is_not_waited_for() {
    // A program that prints for a long time, and waits while nobody reads.
    let chip = Chip::from_command(shell("echo lines a& for /l %i in (1,1,1000000) do echo 1 a 1")).unwrap();
    let mut edges = chip.request().all_lines().start().unwrap();
    for _ in 0..500 {
        assert_eq!(next(&mut edges), (1, EdgeKind::Rising));
    }
    let began = Instant::now();
    drop(edges);
    assert!(began.elapsed() < Duration::from_secs(20));
    let mut again = chip.request().all_lines().start().unwrap();
    assert_eq!(next(&mut again).0, 1);
}
