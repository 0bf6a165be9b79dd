//! A line's numbers and its stamps may contradict each other. The order is that of the numbers, and time never goes
//! back.
#![cfg(target_os = "linux")]

use std::time::Duration;

use linewake::filter::FilteredMonitor;
use linewake::{Chip, ClockStep, EdgeEvent, Event, Exec, Monitor, MonitorBuilder};

/// A program that prints these lines, and then waits.
fn chip(lines: &[&str]) -> Chip {
    let lines: String = lines.iter().map(|line| format!("echo '{line}'; ")).collect();
    Chip::from_command(Exec::new("sh").args(["-c", &format!("{lines} exec sleep 60")])).unwrap()
}

/// Takes this many events from `next`.
fn events(count: usize, mut next: impl FnMut() -> Option<Result<Event, linewake::Error>>) -> Vec<Event> {
    (0..count).map(|_| next().expect("the stream goes on").unwrap()).collect()
}

const PATIENCE: Duration = Duration::from_secs(20);

fn watch(chips: &[Chip]) -> Monitor {
    let requests = chips.iter().map(|chip| chip.request().all_lines());
    Monitor::builder().window(Duration::from_millis(200)).requests(requests).start().unwrap()
}

fn edges(events: &[Event]) -> Vec<&EdgeEvent> {
    fn edge(event: &Event) -> Option<&EdgeEvent> {
        if let Event::Edge { edge, .. } = event { Some(edge) } else { None }
    }
    events.iter().filter_map(edge).collect()
}

fn steps(events: &[Event]) -> Vec<(usize, &ClockStep)> {
    fn step((at, event): (usize, &Event)) -> Option<(usize, &ClockStep)> {
        if let Event::Clock { step, .. } = event { Some((at, step)) } else { None }
    }
    events.iter().enumerate().filter_map(step).collect()
}

/// The number of each edge, and its stamp in tenths of a second.
fn numbers(events: &[Event], name: &str) -> Vec<(u32, u64)> {
    let of_line = edges(events).into_iter().filter(|edge| edge.name.as_deref() == Some(name));
    of_line.map(|edge| (edge.line_seqno, edge.timestamp_ns / 100_000_000)).collect()
}

/// A clock that is set back by 1.5 s between the second and the third edge of a line.
fn set_back() -> Chip {
    chip(&[
        "clock realtime",
        "lines door=0 gate=0",
        "3000000000 door 1 1",
        "3500000000 gate 1 1",
        "4000000000 door 0 2",
        "2500000000 door 1 3",
        "2600000000 gate 0 2",
        "3500000000 door 0 4",
    ])
}

#[test]
fn the_edges_of_a_line_keep_their_order_when_its_clock_is_set_back() {
    let mut monitor = watch(&[set_back()]);
    let events = events(7, || monitor.wait_next_timeout(PATIENCE));
    assert_eq!(numbers(&events, "door"), [(1, 30), (2, 40), (3, 25), (4, 35)]);
    assert_eq!(numbers(&events, "gate"), [(1, 35), (2, 26)]);
    let times: Vec<_> = edges(&events).iter().map(|edge| edge.axis_ns).collect();
    assert!(times.is_sorted(), "{times:?}");
    let [(at, step)] = steps(&events)[..] else { panic!("{events:?}") };
    assert_eq!((at, step.before_ns, step.after_ns), (3, 4_000_000_000, 2_500_000_000));
    assert_eq!((edges(&events)[3].timestamp_ns, edges(&events)[3].axis_ns), (step.after_ns, step.arrival_ns));
    assert!(step.arrival_ns >= step.before_ns);
    // From here on, the differences of stamps are lengths of time again.
    assert_eq!(times[5] - times[3], 1_000_000_000);
    assert_eq!(times[4] - times[3], 100_000_000);
}

#[test]
fn a_program_that_asks_for_a_request_has_the_order_of_the_numbers_too() {
    let mut request = set_back().request().all_lines().start().unwrap();
    let edges: Vec<_> = (0..6).map(|_| request.wait_next_timeout(PATIENCE).unwrap().unwrap()).collect();
    let numbers = edges.iter().filter(|edge| edge.offset.get() == 0).map(|edge| edge.line_seqno);
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn filters_go_by_the_time_that_passes_and_not_by_the_time_of_day() {
    // The line bounces while the clock is set back by an hour, and again later.
    let chip = chip(&[
        "clock realtime",
        "lines door=0",
        "9000000000000 door 1 1",
        "9000001000000 door 0 2",
        "5400002000000 door 1 3",
        "5401000000000 door 0 4",
        "5401001000000 door 1 5",
        "5401002000000 door 0 6",
    ]);
    let monitor = watch(&[chip]);
    let mut filtered: FilteredMonitor = monitor.filtered("debounce=20ms".parse().unwrap()).unwrap();
    let events = events(3, || filtered.wait_next_timeout(PATIENCE));
    assert_eq!(steps(&events).len(), 1, "{events:?}");
    let passed: Vec<_> = edges(&events).iter().map(|edge| (edge.line_seqno, edge.timestamp_ns)).collect();
    assert_eq!(passed, [(1, 9_000_000_000_000), (4, 5_401_000_000_000)]);
}

#[test]
fn chips_of_one_name_are_told_apart_by_what_opens_them() {
    let dir = std::env::temp_dir().join(format!("linewake-order-{}", std::process::id()));
    let chips: Vec<_> = ["a", "b"]
        .map(|name| {
            std::fs::create_dir_all(dir.join(name)).unwrap();
            let path = dir.join(name).join("cards.sh");
            std::fs::write(&path, "echo lines door=0; echo 1000 door 1; exec sleep 60\n").unwrap();
            Chip::open(&format!("exec:sh {}", path.display())).unwrap()
        })
        .into();
    assert_eq!(chips[0].info().name, chips[1].info().name);
    let builder: MonitorBuilder = Monitor::builder().states(true);
    let mut monitor = builder.requests(chips.iter().map(|chip| chip.request().line("door"))).start().unwrap();
    let events = events(4, || monitor.wait_next_timeout(PATIENCE));
    for event in &events {
        let (request, chip) = match event {
            Event::Edge { request, edge } => (*request, &edge.chip),
            Event::State { request, state } => (*request, &state.chip),
            other => panic!("{other:?}"),
        };
        assert_eq!(*chip, chips[request].info().id, "{event:?}");
        assert_eq!(monitor.chip_name(request), Some(chip));
    }
    assert!(chips[0].info().id.ends_with("/a/cards.sh") && chips[1].info().id.ends_with("/b/cards.sh"));
    std::fs::remove_dir_all(&dir).unwrap();
}
