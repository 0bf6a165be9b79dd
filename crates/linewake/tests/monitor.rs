//! The monitor: one ordered stream of many chips, also when they are unplugged and plugged in again, within a limit of
//! memory.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use linewake::{Chip, EdgeKind, ErrorKind, Event, Figures, Gap, Monitor, MonitorBuilder, Trust, WhenFull};

fn still(spec: &str) -> Chip {
    Chip::options().life(false).open(spec).unwrap()
}

fn next(monitor: &mut Monitor) -> Event {
    match monitor.wait_next_timeout(Duration::from_secs(20)) {
        Some(Ok(event)) => event,
        Some(Err(error)) => panic!("{error}"),
        None => panic!("the stream is over"),
    }
}

fn rest(monitor: &mut Monitor) -> Vec<Event> {
    std::iter::from_fn(|| monitor.wait_next()).map(|event| event.unwrap()).collect()
}

fn gap(event: Event) -> Gap {
    match event {
        Event::Gap { gap, .. } => gap,
        other => panic!("{other:?}"),
    }
}

#[test]
fn edges_of_many_chips_come_in_order_of_time() {
    let chips: Vec<_> = (0..16).map(|_| still("sim:64")).collect();
    let requests = chips.iter().map(|chip| chip.request().all_lines().queue_size(1024));
    let mut monitor = Monitor::builder().requests(requests).window(Duration::from_secs(600)).start().unwrap();
    let stopper = monitor.stopper();
    let worlds = chips.clone();
    let driver = thread::spawn(move || {
        for round in 0..200_u32 {
            for (chip, world) in worlds.iter().enumerate() {
                world.world().toggle((round + chip as u32) % 64, 1).unwrap();
            }
        }
        stopper.stop();
    });
    let mut last_ns = 0;
    let mut edges = 0;
    while let Some(event) = monitor.wait_next() {
        let Event::Edge { request, edge } = event.unwrap() else { continue };
        assert!(edge.timestamp_ns >= last_ns, "chip {request}: {edge:?} after {last_ns}");
        last_ns = edge.timestamp_ns;
        edges += 1;
    }
    driver.join().unwrap();
    assert_eq!((edges, monitor.stats().delivered, monitor.stats().late), (16 * 200, 16 * 200, 0));
    for account in monitor.finish() {
        assert_eq!(
            (account.total(), account.trust()),
            (Figures { delivered: 200, ..Figures::default() }, Trust::Exact)
        );
    }
}

#[test]
fn states_come_first_and_fit_the_first_edges() {
    let chips = [still("sim:8"), still("sim:8")];
    chips[0].world().drive(3, true).unwrap();
    let requests = chips.iter().map(|chip| chip.request().lines([3, 4]));
    let mut monitor = Monitor::builder().requests(requests).states(true).start().unwrap();
    for chip in &chips {
        chip.world().toggle_all([(3, 1), (4, 1)]).unwrap();
    }
    let mut levels = HashMap::new();
    for _ in 0..4 {
        let Event::State { request, state } = next(&mut monitor) else { panic!("a state comes first") };
        levels.insert((request, state.offset), state.active.unwrap());
    }
    assert!(levels[&(0, 3.into())] && !levels[&(1, 3.into())]);
    for _ in 0..4 {
        let Event::Edge { request, edge } = next(&mut monitor) else { panic!("then edges") };
        let level = levels.insert((request, edge.offset), edge.kind == EdgeKind::Rising);
        assert_ne!(level, Some(edge.kind == EdgeKind::Rising), "{edge:?}");
    }
}

#[test]
fn an_unplugged_chip_ends_the_stream_after_all_earlier_events() {
    let chips = [still("sim:8"), still("sim:8")];
    let mut monitor = Monitor::builder().requests(chips.iter().map(|chip| chip.request().line(0))).start().unwrap();
    chips[0].world().toggle(0, 1).unwrap();
    assert!(matches!(next(&mut monitor), Event::Edge { request: 0, .. }));
    chips[1].world().unplug().unwrap();
    let gone = gap(next(&mut monitor));
    assert!(gone.reason.is_disconnected() && !gone.is_over && gone.from_ns.is_none(), "{gone:?}");
    assert!(monitor.wait_next().unwrap().unwrap_err().is_disconnected());
    assert!(monitor.wait_next().is_none() && monitor.wait_next().is_none());
    let accounts = monitor.finish();
    assert_eq!((accounts[0].total().delivered, accounts[0].trust()), (1, Trust::Exact));
    assert_eq!(accounts[1].trust(), Trust::AtLeast);
    assert!(accounts[1].doubt().unwrap().is_disconnected());
}

#[test]
fn a_chip_that_comes_back_is_watched_again() {
    let chip = still("sim:8");
    let retry = Duration::from_millis(5);
    let builder = Monitor::builder().request(chip.request().lines([0, 1])).states(true).reattach(true).retry(retry);
    let mut monitor = builder.start().unwrap();
    for _ in 0..2 {
        assert!(matches!(next(&mut monitor), Event::State { .. }));
    }
    for round in 1..=5 {
        // Handles from before do not work any more.
        let chip = monitor.chip(0).unwrap().clone();
        chip.world().toggle(0, 2).unwrap();
        for _ in 0..2 {
            assert!(matches!(next(&mut monitor), Event::Edge { .. }));
        }
        chip.world().unplug().unwrap();
        let gone = gap(next(&mut monitor));
        assert!(!gone.is_over && gone.to_ns.is_none() && gone.from_ns.is_some());
        assert!(gone.figures.delivered > 0);
        thread::sleep(Duration::from_millis(15));
        chip.world().replug().unwrap();
        let back = gap(next(&mut monitor));
        assert!(back.is_over && back.from_ns == gone.from_ns && back.to_ns > back.from_ns, "{back:?}");
        let states: Vec<_> = (0..2).map(|_| next(&mut monitor)).collect();
        assert!(matches!(&states[0], Event::State { state, .. } if state.active.is_some()), "{states:?}");
        assert_eq!(monitor.stats().reattached, round);
        let chip = monitor.chip(0).unwrap().clone();
        chip.world().toggle(0, 1).unwrap();
        assert!(matches!(next(&mut monitor), Event::Edge { .. }));
    }
    monitor.stopper().stop();
    assert!(rest(&mut monitor).is_empty());
    let account = &monitor.finish()[0];
    assert!(account.total().delivered == 15 && account.trust() == Trust::AtLeast);
}

#[test]
fn a_chip_that_never_comes_back_hangs_nothing() {
    let chips = [still("sim:8"), still("sim:8")];
    let requests = chips.iter().map(|chip| chip.request().line(0));
    let mut monitor = Monitor::builder().requests(requests).reattach(true).start().unwrap();
    chips[0].world().unplug().unwrap();
    assert!(!gap(next(&mut monitor)).is_over);
    chips[1].world().toggle(0, 3).unwrap();
    for _ in 0..3 {
        assert!(matches!(next(&mut monitor), Event::Edge { request: 1, .. }));
    }
    assert!(monitor.wait_next_timeout(Duration::from_millis(50)).unwrap().unwrap_err().is_timeout());
    monitor.stopper().stop();
    assert!(monitor.wait_next().is_none());
    assert_eq!(monitor.finish()[1].trust(), Trust::Exact);
}

/// A flood on 8 lines of two chips. Nobody takes an edge before it is over.
fn flood(options: MonitorBuilder) -> (Vec<Event>, Vec<linewake::Account>, u64) {
    let chips = [still("sim:8"), still("sim:8")];
    let requests = chips.iter().map(|chip| chip.request().all_lines().queue_size(1024));
    let mut monitor = options.requests(requests).start().unwrap();
    let stopper = monitor.stopper();
    let driver = thread::spawn(move || {
        for _ in 0..40 {
            for chip in &chips {
                chip.world().toggle_all((0..8).map(|line| (line, 50_u32))).unwrap();
            }
        }
        stopper.stop();
    });
    let events = rest(&mut monitor);
    driver.join().unwrap();
    let dropped = monitor.stats().dropped;
    (events, monitor.finish(), dropped)
}

#[test]
fn a_full_monitor_blocks_its_sources_and_the_account_is_exact() {
    let (events, accounts, dropped) = flood(Monitor::builder().capacity(100));
    assert_eq!(dropped, 0);
    assert_eq!(events.len() as u64, accounts.iter().map(|account| account.total().delivered).sum::<u64>());
    for account in &accounts {
        assert_eq!((account.total().total(), account.trust()), (16_000, Trust::Exact), "{account:?}");
    }
}

#[test]
fn edges_that_a_full_monitor_drops_are_reported_and_the_account_is_exact() {
    let (events, accounts, dropped) = flood(Monitor::builder().capacity(10).when_full(WhenFull::DropOldest));
    assert!(dropped > 0);
    let mut told = HashMap::<_, Figures>::new();
    for event in &events {
        let Event::Edge { request, edge } = event else { panic!("{event:?}") };
        let figures = told.entry((*request, edge.offset)).or_default();
        figures.delivered += 1;
        figures.overflowed += u64::from(edge.missed.overflowed);
    }
    for (request, account) in accounts.iter().enumerate() {
        assert_eq!((account.total().total(), account.trust()), (16_000, Trust::Exact), "{account:?}");
        for line in account.lines() {
            let told = told.get(&(request, line.offset)).copied().unwrap_or_default();
            assert_eq!(told.delivered, line.figures.delivered);
            assert!(told.overflowed <= line.figures.overflowed, "the edges do not report more than the account");
        }
    }
}

#[test]
fn edges_that_were_taken_and_not_given_are_discarded() {
    let chip = still("sim:8");
    let request = chip.request().line(0).queue_size(1024);
    let mut monitor = Monitor::builder().request(request).window(Duration::ZERO).start().unwrap();
    chip.world().toggle(0, 500).unwrap();
    assert!(matches!(next(&mut monitor), Event::Edge { .. }));
    let account = monitor.finish().remove(0);
    assert_eq!(account.total(), Figures { delivered: 1, discarded: 499, ..Figures::default() });
    assert_eq!(account.trust(), Trust::Exact);
}

#[test]
fn chips_with_different_clocks_are_put_on_one() {
    let early = still("sim:8");
    thread::sleep(Duration::from_millis(50));
    let late = still("sim:8");
    let requests = [early.request().line(0), late.request().line(0)];
    let mut monitor = Monitor::builder().requests(requests).window(Duration::ZERO).start().unwrap();
    assert_eq!(monitor.clock().name, linewake::ClockName::Realtime);
    let mut last_ns = 0;
    for round in 0..50_usize {
        [&early, &late][round % 2].world().toggle(0, 1).unwrap();
        let Event::Edge { request, edge } = next(&mut monitor) else { panic!("an edge") };
        assert_eq!(request, round % 2);
        assert!(edge.timestamp_ns > last_ns, "the time of day goes on from chip to chip");
        last_ns = edge.timestamp_ns;
    }
    let now_ns = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    assert!(now_ns - last_ns < 60_000_000_000, "{last_ns} is now");
}

#[test]
fn a_monitor_without_requests_is_refused() {
    assert_eq!(Monitor::builder().start().unwrap_err().kind(), ErrorKind::InvalidInput);
    let chip = still("sim:8");
    let error = Monitor::builder().request(chip.request().line("nowhere")).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchLine);
}
