//! The simulated chip: it does all that a chip must do, and its lines change by themselves.

use std::time::Duration;

use linewake::sim::{ClockKind, Quadrature, Script, Signal, SimLine};
use linewake::{Chip, EdgeEvent, EdgeKind, ErrorKind, Request};
use test_support::{conformance, every_test};

fn still() -> Chip {
    Chip::options().life(false).open("sim:512").unwrap()
}

macro_rules! on_sim {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            conformance::$name(&conformance::Reference(still));
        })*
    };
}

every_test!(on_sim);

#[test]
fn a_chip_with_life_does_all_that_on_its_quiet_lines() {
    let chip = Chip::open("sim").unwrap();
    let mut edges = chip.request().lines(["tamper", "led"]).start().unwrap();
    chip.world().toggle_all([("tamper", 3), ("led", 2)]).unwrap();
    for _ in 0..5 {
        edges.wait_next().unwrap().unwrap();
    }
    assert_eq!(edges.finish().total().total(), 5);
}

#[test]
fn specs_that_are_no_chip_are_named() {
    for spec in
        ["", "simm", "sim:", "sim:0", "sim:1025", "sim:-1", "sim:1e3", "sim:64 ", "SIM", "gpiochip", r"\\server\x"]
    {
        let error = Chip::open(spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownChip, "{error}");
        assert!(error.to_string().contains(&format!("\"{spec}\"")), "{error}");
        assert!(error.to_string().contains("; expected "), "it says what would do: {error}");
    }
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let error = Chip::open(r"\\.\NoSuchLineWake").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Device);
    assert!(error.to_string().contains(r#""\\.\NoSuchLineWake""#), "{error}");
    let error = Chip::options().seed(1).open(r"\\.\LineWake0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[test]
fn the_number_of_lines_is_the_specs() {
    for (spec, lines) in [("sim", 12), ("sim:1", 1), ("sim:3", 3), ("sim:1024", 1024)] {
        let chip = Chip::open(spec).unwrap();
        assert_eq!((chip.info().lines, chip.lines().unwrap().len()), (lines, lines as usize));
    }
    let names = Chip::open("sim").unwrap().lines().unwrap();
    assert_eq!(names.iter().filter(|line| line.name.is_some()).count(), 11);
}

fn life(seed: u64, edges: usize) -> Vec<(u32, u64, &'static str)> {
    let chip = Chip::options().seed(seed).open("sim").unwrap();
    let mut request = chip.request().all_lines().start().unwrap();
    let plain = |edge: EdgeEvent| (edge.offset.get(), edge.timestamp_ns, edge.kind.as_str());
    (0..edges).map(|_| plain(request.wait_next().unwrap().unwrap())).collect()
}

#[test]
fn the_same_seed_gives_the_same_edges_at_the_same_times() {
    let first = life(5, 40);
    assert_eq!(first, life(5, 40));
    assert_ne!(first, life(6, 40));
}

#[test]
fn several_lines_change_within_three_seconds() {
    let chip = Chip::open("sim").unwrap();
    let mut request = chip.request().all_lines().start().unwrap();
    let mut lines = std::collections::HashSet::new();
    while lines.len() < 5 {
        let edge = request.wait_next().unwrap().unwrap();
        assert!(edge.timestamp_ns < 3_000_000_000, "{lines:?}");
        lines.insert(edge.offset);
    }
}

#[test]
fn the_life_goes_on_while_nobody_watches() {
    let chip = Chip::open("sim").unwrap();
    let changes = || chip.totals().unwrap().iter().map(|line| line.changes).sum::<u64>();
    let before = changes();
    std::thread::sleep(Duration::from_millis(1600));
    assert!(changes() > before);
    // A late request sees the changes from then on, with time stamps that are not in the past.
    let mut edges = chip.request().line("pps").start().unwrap();
    assert!(edges.wait_next().unwrap().unwrap().timestamp_ns >= 1_600_000_000);
}

fn count(request: &mut Request) -> usize {
    request.stopper().stop();
    std::iter::from_fn(|| request.wait_next()).count()
}

#[test]
fn a_request_moves_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    fn is_sync<T: Send + Sync>(_: &T) {}
    let chip = still();
    let mut request = chip.request().line(0).start().unwrap();
    is_sync(&chip);
    is_sync(&request.stopper());
    is_sync(&request.tally());
    is_send(&request);
    let counted = std::thread::spawn(move || count(&mut request));
    assert_eq!(counted.join().unwrap(), 0);
}

fn script(name: &str) -> String {
    format!("sim:{}/../../scripts/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_life_of_sim_is_a_script() {
    let edges = |spec: &str| {
        let chip = Chip::options().clock(ClockKind::Virtual).seed(3).open(spec).unwrap();
        let mut request = chip.request().all_lines().start().unwrap();
        let plain = |edge: EdgeEvent| (edge.name, edge.timestamp_ns, edge.kind);
        Vec::from_iter((0..1000).map(|_| plain(request.wait_next().unwrap().unwrap())))
    };
    assert_eq!(edges("sim"), edges(&script("life.toml")));
}

#[test]
fn a_value_change_dump_is_played() {
    let chip = Chip::options().clock(ClockKind::Virtual).open(&script("door.vcd")).unwrap();
    assert!(chip.value("lock").unwrap() && !chip.value("door").unwrap());
    let mut request = chip.request().all_lines().start().unwrap();
    let mut edge = || {
        let edge = request.wait_next_timeout(Duration::from_secs(20)).unwrap().unwrap();
        (edge.timestamp_ns / 1_000_000, edge.name.unwrap().to_string(), edge.kind.as_str())
    };
    assert_eq!(edge(), (400, "lock".to_owned(), "falling"));
    assert_eq!(edge(), (650, "door".to_owned(), "rising"));
    assert_eq!(edge(), (1200, "door".to_owned(), "falling"));
    assert_eq!(edge(), (1300, "lock".to_owned(), "rising"));
}

#[test]
fn a_waveform_of_each_format_is_played_whatever_the_case_of_its_name() {
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/../linewake-wave/tests/tools/");
    for (file, copy, line, edges) in [
        ("iverilog.vcd", "BENCH.VCD", "late", [(42, EdgeKind::Falling), (42, EdgeKind::Rising)]),
        ("iverilog.fst", "Bench.Fst", "late", [(42, EdgeKind::Falling), (42, EdgeKind::Rising)]),
        ("ghdl.ghw", "bench.GHW", "bus_down[3]", [(12, EdgeKind::Rising), (22, EdgeKind::Falling)]),
    ] {
        let path = std::env::temp_dir().join(format!("linewake-{}-{copy}", std::process::id()));
        std::fs::copy(format!("{files}{file}"), &path).unwrap();
        let chip = Chip::options().clock(ClockKind::Virtual).open(&format!("sim:{}", path.display())).unwrap();
        assert!(chip.notes().iter().any(|note| note.contains("volts\" is a real")), "{:?}", chip.notes());
        let mut request = chip.request().line(line).start().unwrap();
        for expected in edges {
            let edge = request.wait_next_timeout(Duration::from_secs(20)).unwrap().unwrap();
            assert_eq!((edge.timestamp_ns, edge.kind), expected, "{file}");
        }
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_file_that_is_no_script_is_named() {
    for spec in ["sim:no/such.toml", "sim:no/such.vcd"] {
        let error = Chip::open(spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadFile, "{error}");
        assert!(error.to_string().contains("no/such."), "{error}");
    }
    assert_eq!(Chip::options().life(false).open(&script("life.toml")).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_script_and_a_profile_are_told_apart() {
    let script = script("life.toml");
    let profile = concat!("profile:", env!("CARGO_MANIFEST_DIR"), "/../../profiles/card.toml");
    for (right, wrong) in
        [(&*script, script.replace("sim:", "profile:")), (profile, profile.replace("profile:", "sim:"))]
    {
        let error = Chip::open(&wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadFile, "{error}");
        assert!(error.to_string().ends_with(&format!("; open it as \"{right}\"")), "{error}");
    }
}

#[test]
fn a_script_that_makes_no_sense_is_refused() {
    let line = |name: &str| SimLine::new(name);
    let wheel = Quadrature::new(Duration::from_millis(1), Duration::from_millis(1));
    for (script, says) in [
        (Script::new(), "at least one line"),
        (Script::new().line(line("a").offset(3)).line(line("b").offset(3)), "both have the offset 3"),
        (Script::new().line(line("a").offset(1024)), "at most 1024"),
        (Script::new().line_count(1025), "at most 1024"),
        (Script::new().line(line("a")).queue_size(1), "a queue size of 1 is out of range; expected 2 to 1024"),
        (
            Script::new().line(line("a").signal(Signal::period(Duration::ZERO))),
            "line \"a\": a period of 0 ns is too short",
        ),
        (Script::new().line(line("a")).quadrature("a", "b", wheel.clone()), "unknown line \"b\""),
        (Script::new().line(line("a")).quadrature("a", "a", wheel.clone()), "found \"a\" twice"),
    ] {
        let error = script.open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn edges_that_may_gather_come_many_at_a_time() {
    // 20,000 edges in a second.
    let line = SimLine::new("clk").signal(Signal::period(Duration::from_micros(100)));
    for (queue_size, gathers) in [(1024, true), (64, false)] {
        let chip = Script::new().queue_size(queue_size).line(line.clone()).open().unwrap();
        let mut edges = chip.request().line("clk").gather(Duration::from_millis(4)).start().unwrap();
        let (mut taken, mut times) = (0, Vec::new());
        while taken < 2000 {
            times.push(edges.wait_next().unwrap().unwrap().timestamp_ns);
            taken += 1 + std::iter::from_fn(|| edges.next_ready()).count();
        }
        if gathers {
            // 80 of them gather in 4 ms. On a busy computer more come at once, not fewer.
            assert!(times.len() <= 2000 / 20, "{} times for {taken} edges", times.len());
        }
        assert!(times.is_sorted());
        let account = edges.finish();
        assert_eq!((account.total().delivered, account.trust()), (taken as u64, linewake::Trust::Exact));
    }
}
