//! Programs that print changes: their lines, their end, their errors, and that no process is left.
#![cfg(target_os = "linux")]

use std::thread;
use std::time::{Duration, Instant};

use linewake::{
    Chip, EdgeEvent, EdgeKind, Edges, Error, ErrorKind, Event, EventClock, Exec, Figures, Monitor, Request, Restart,
    Trust,
};
use test_support::stream::wait_until;

fn shell(script: &str) -> Exec {
    Exec::new("sh").args(["-c", script])
}

fn chip(script: &str) -> Chip {
    Chip::from_command(shell(script)).unwrap()
}

fn next(request: &mut Request) -> EdgeEvent {
    request.wait_next_timeout(Duration::from_secs(20)).expect("the stream goes on").unwrap()
}

/// All edges, and the error at the end.
fn to_the_end(request: &mut Request) -> (Vec<EdgeEvent>, Error) {
    let mut edges = Vec::new();
    loop {
        match request.wait_next_timeout(Duration::from_secs(20)).expect("an error ends it") {
            Ok(edge) => edges.push(edge),
            Err(error) => return (edges, error),
        }
    }
}

/// The processes whose command has this in it, zombies too.
fn processes(mark: &str) -> Vec<(u32, String)> {
    let ids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let of = |id: u32| {
        let command = std::fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
        command.contains(mark).then_some((id, command))
    };
    ids.filter_map(of).collect()
}

/// This process's children, zombies too.
fn children() -> Vec<u32> {
    let me = std::process::id().to_string();
    let ids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_mine = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.split(' ').nth(1) == Some(&me))
    };
    ids.filter(is_mine).collect()
}

#[test]
fn printed_lines_are_edges() {
    let chip =
        chip("echo lines door=1 - tamper; printf '5 door 0\\n7 2 1\\n'; sleep 0.05; echo 9 door 1; exec sleep 600");
    assert_eq!(
        chip.lines().unwrap().iter().map(|line| line.name.as_deref().unwrap_or("-")).collect::<Vec<_>>(),
        ["door", "-", "tamper"]
    );
    let mut edges = chip.request().all_lines().start().unwrap();
    assert_eq!(edges.lines().iter().map(|line| line.active_at_start).collect::<Vec<_>>(), [Some(true), None, None]);
    let seen: Vec<_> =
        (0..3).map(|_| next(&mut edges)).map(|edge| (edge.timestamp_ns, edge.offset.get(), edge.kind)).collect();
    assert_eq!(seen, [(5, 0, EdgeKind::Falling), (7, 2, EdgeKind::Rising), (9, 0, EdgeKind::Rising)]);
    assert!(edges.value("door").is_err(), "the level of line 1 is not known");
    let began = Instant::now();
    let account = edges.finish();
    assert!(began.elapsed() < Duration::from_secs(5), "it does not wait for the program");
    assert_eq!((account.total(), account.trust()), (Figures { delivered: 3, ..Figures::default() }, Trust::AtLeast));
}

#[test]
fn numbers_and_directions_show_missing_edges() {
    let chip = chip("echo lines a b=0; printf '1 a 1 1\\n2 a 0 4\\n3 b 0\\n'; exec sleep 600");
    let mut edges = chip.request().all_lines().start().unwrap();
    let seen: Vec<_> = (0..3)
        .map(|_| next(&mut edges))
        .map(|edge| (edge.line_seqno, edge.missed.overflowed, edge.missed.merged))
        .collect();
    assert_eq!(seen, [(1, 0, 0), (4, 2, 0), (0, 0, 1)]);
}

#[test]
fn one_direction_or_one_line_is_filtered() {
    let chip = chip("echo lines a b; printf '1 a 1\\n2 b 1\\n3 a 0\\n4 b 0\\n5 a 1\\n'; exec sleep 600");
    let mut edges = chip.request().line("a").edges(Edges::Rising).start().unwrap();
    assert_eq!(
        [next(&mut edges), next(&mut edges)].map(|edge| (edge.timestamp_ns, edge.offset.get())),
        [(1, 0), (5, 0)]
    );
    let busy = chip.request().line("b").start().unwrap_err();
    assert!(busy.kind() == ErrorKind::Busy && busy.to_string().contains("one request at a time"), "{busy}");
    drop(edges);
    // The next request starts it again.
    let mut edges = chip.request().line("b").start().unwrap();
    assert_eq!(next(&mut edges).timestamp_ns, 2);
}

#[test]
fn the_end_of_the_program_is_reported_with_its_status() {
    for (script, says) in [
        ("echo lines a; echo 1 a 1; exit 3", "exit status: 3"),
        ("echo lines a; echo 1 a 1", "exit status: 0"),
        ("echo lines a; echo 1 a 1; kill -9 $$", "signal: 9"),
        ("echo lines a; echo 1 a 1; printf '2 a'", "in the middle of the line \"2 a\""),
    ] {
        let mut edges = chip(script).request().all_lines().start().unwrap();
        let (seen, end) = to_the_end(&mut edges);
        assert_eq!(seen.len(), 1);
        assert!(end.is_disconnected() && end.to_string().contains(says), "{end}");
        assert!(end.to_string().contains("\"sh -c echo lines a"), "{end}");
        assert!(edges.wait_next().is_none());
        assert_eq!(edges.finish().doubt().unwrap().to_string(), end.to_string());
    }
}

#[test]
fn an_invalid_line_ends_the_stream_and_is_quoted() {
    let mut edges =
        chip("echo lines a; echo 1 a 1; echo oops; echo 2 a 0; exec sleep 600").request().all_lines().start().unwrap();
    let (seen, end) = to_the_end(&mut edges);
    assert_eq!((seen.len(), end.kind()), (1, ErrorKind::Malformed));
    assert!(end.to_string().contains("the line \"oops\" is not a change"), "{end}");
    assert_eq!(edges.finish().trust(), Trust::None);
}

#[test]
fn a_program_that_cannot_be_a_chip_is_refused_at_once() {
    let error = Chip::open("exec:/no/such/program -v").unwrap_err();
    assert!(
        error.kind() == ErrorKind::Device && error.to_string().contains("\"/no/such/program -v\" cannot be started"),
        "{error}"
    );
    let error = Chip::open("exec:").unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("exec:python3"), "{error}");
    let error = Chip::from_command(shell("exit 4")).unwrap_err();
    assert!(error.to_string().contains("before it printed the names of its lines"), "{error}");
    let error = Chip::from_command(shell("echo 1 a 1")).unwrap_err();
    assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains("\"1 a 1\" comes before"), "{error}");
    let error = Chip::from_command(shell("exec sleep 600").start_timeout(Duration::from_millis(50))).unwrap_err();
    assert!(error.kind() == ErrorKind::TimedOut && error.to_string().contains("flush"), "{error}");
    // A chip with declared lines opens without waiting for the program.
    let chip = Chip::from_command(shell("exec sleep 600").lines(["a", "b"]).name("card")).unwrap();
    assert_eq!((&*chip.info().name, chip.info().lines), ("card", 2));
}

#[test]
fn a_program_that_prints_faster_than_anybody_reads_has_to_wait() {
    let script =
        "echo lines a; i=0; while [ $i -lt 40000 ]; do echo $i a 1; echo $i a 0; i=$((i+1)); done; exec sleep 600";
    let chip = chip(script);
    let mut edges = chip.request().all_lines().start().unwrap();
    for number in 0..2000 {
        assert_eq!(next(&mut edges).timestamp_ns, number / 2);
        if number == 1000 {
            thread::sleep(Duration::from_millis(100));
        }
    }
    // It may have printed more: what our buffers and the pipe hold, but not all 80,000 lines.
    edges.stopper().stop();
    let rest = std::iter::from_fn(|| edges.wait_next()).map(Result::unwrap).count();
    assert!(rest < 40_000, "{rest}");
    assert!(edges.finish().total().lost() == 0, "the lines that were read have no gaps");
}

#[test]
fn an_unused_program_leaves_nothing_behind() {
    let mark = format!("linewake-exec-test-{}", std::process::id());
    let script = format!("echo lines a; : {mark}; while :; do echo 1 a 1; echo 1 a 0; done");
    for _ in 0..20 {
        let chip = chip(&script);
        let mut edges = chip.request().all_lines().start().unwrap();
        next(&mut edges);
        assert!(!processes(&mark).is_empty());
        let began = Instant::now();
        drop(edges);
        drop(chip);
        assert!(began.elapsed() < Duration::from_secs(2), "nothing waits for it");
    }
    // The chip was opened, and nothing was requested.
    drop(chip(&script));
    // A program that prints nothing does not notice that nobody reads.
    drop(chip(&format!("echo lines a; : {mark}; sleep 30; :")));
    wait_until(|| processes(&mark).is_empty());
    let mine = children();
    wait_until(|| mine.iter().all(|id| !children().contains(id) || !is_zombie(*id)));
}

fn is_zombie(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
}

#[test]
fn a_monitor_starts_it_again_and_reports_the_gap() {
    let program =
        shell("echo lines a; echo 1 a 1; sleep 0.05; exit 1").restart(Restart::OnFailure, Duration::from_millis(80));
    let chip = Chip::from_command(program).unwrap();
    let mut monitor = Monitor::builder()
        .request(chip.request().all_lines())
        .reattach(true)
        .retry(Duration::from_millis(5))
        .start()
        .unwrap();
    let mut what = Vec::new();
    let mut gone = None;
    while what.len() < 7 {
        match monitor.wait_next_timeout(Duration::from_secs(20)).unwrap().unwrap() {
            Event::Edge { .. } => what.push("edge"),
            Event::Gap { gap, .. } if gap.is_over => {
                let away: Instant = gone.take().unwrap();
                assert!(away.elapsed() >= Duration::from_millis(75), "the delay is kept: {:?}", away.elapsed());
                what.push("back");
            }
            Event::Gap { .. } => {
                gone = Some(Instant::now());
                what.push("gone");
            }
            _ => {}
        }
    }
    assert_eq!(what, ["edge", "gone", "back", "edge", "gone", "back", "edge"]);
}

#[test]
fn a_program_that_is_not_to_be_started_again_ends_the_monitor() {
    for (script, restart) in [("exit 1", Restart::Never), ("exit 0", Restart::OnFailure)] {
        let program = shell(&format!("echo lines a; echo 1 a 1; {script}")).restart(restart, Duration::ZERO);
        let chip = Chip::from_command(program).unwrap();
        let mut monitor = Monitor::builder().request(chip.request().all_lines()).reattach(true).start().unwrap();
        let end =
            std::iter::from_fn(|| monitor.wait_next_timeout(Duration::from_secs(20))).find_map(Result::err).unwrap();
        assert!(end.to_string().contains("`restart` setting forbids"), "{end}");
    }
}

#[test]
fn stopping_delivers_what_was_printed() {
    let chip = chip(
        "echo lines a; i=0; while [ $i -lt 500 ]; do echo $i a 1; echo $i a 0; i=$((i+1)); done; echo 9999 a 1; exec sleep 600",
    );
    let mut edges = chip.request().all_lines().start().unwrap();
    thread::sleep(Duration::from_millis(300));
    edges.stopper().stop();
    let seen: Vec<_> = std::iter::from_fn(|| edges.wait_next()).map(Result::unwrap).collect();
    assert_eq!(seen.last().map(|edge| (edge.timestamp_ns, seen.len())), Some((9999, 1001)));
}

#[test]
fn a_program_with_the_realtime_clock_can_be_asked_for_it() {
    for (says, can) in [("clock realtime; ", true), ("clock monotonic; ", false), ("", false)] {
        let says = says.replace("clock", "echo clock");
        let chip = chip(&format!("{says}echo lines a; echo 1700000000123456789 a 1; exec sleep 600"));
        assert_eq!(chip.capabilities().realtime, can, "{says}");
        match chip.request().line("a").clock(EventClock::Realtime).start() {
            Ok(mut edges) => {
                assert!(can && chip.clock().name == linewake::ClockName::Realtime, "{says}");
                assert_eq!(next(&mut edges).timestamp_ns, 1_700_000_000_123_456_789);
            }
            Err(error) => assert!(!can && error.kind() == ErrorKind::Unsupported, "{says}: {error}"),
        }
        // Without the option the stamps stay as the program prints them.
        assert_eq!(next(&mut chip.request().line("a").start().unwrap()).timestamp_ns, 1_700_000_000_123_456_789);
    }
}

/// A program must have the same clock when it is started again.
#[test]
fn a_program_that_changes_its_clock_is_refused() {
    let mark = std::env::temp_dir().join(format!("linewake-clock-{}", std::process::id()));
    let script = format!(
        "if [ -e {0} ]; then echo clock monotonic; else echo clock realtime; : > {0}; fi; echo lines a; exec sleep 600",
        mark.display()
    );
    let chip = chip(&script);
    drop(chip.request().line("a").start().unwrap());
    let error = chip.request().line("a").start().unwrap_err();
    std::fs::remove_file(mark).unwrap();
    assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains("its clock have changed"), "{error}");
}
