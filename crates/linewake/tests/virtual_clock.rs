//! Virtual clocks: the same edges on any computer, faster than real time, and losses only where the script says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use linewake::sim::{Change, ClockKind, Script, Signal, SimLine, What};
use linewake::{Chip, EdgeEvent, EdgeKind, Error, ErrorKind, Event, Figures, Monitor, Request, Trust};
use test_support::stream::wait_until;

const fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

const fn us(time: u64) -> Duration {
    Duration::from_micros(time)
}

const SECOND: u64 = 1_000_000_000;

fn script(name: &str) -> Script {
    Script::load(format!("{}/../../scripts/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn next(request: &mut Request) -> Result<EdgeEvent, Error> {
    request.wait_next_timeout(Duration::from_secs(20)).expect("the stream is over")
}

/// The printed edges, up to a time of the chip's clock.
fn edges_until(chip: &Chip, until_ns: u64) -> Vec<String> {
    let mut request = chip.request().all_lines().start().unwrap();
    let edges = std::iter::from_fn(|| next(&mut request).ok()).take_while(|edge| edge.timestamp_ns <= until_ns);
    edges.map(|edge| format!("{edge:?}")).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_machine_does() {
    let run = |seed| {
        let chip = Chip::options().seed(seed).simulate(&script("faults.toml")).unwrap();
        edges_until(&chip, SECOND / 3)
    };
    let alone = run(7);
    assert!(alone.len() > 2_000, "{}", alone.len());
    let done = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let done = done.clone();
            thread::spawn(move || while !done.load(Relaxed) {})
        })
        .collect();
    for _ in 0..2 {
        assert!(run(7) == alone, "also while other threads use the processors");
    }
    done.store(true, Relaxed);
    busy.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(run(8) != alone);
}

#[test]
fn it_is_faster_than_real_time() {
    let began = Instant::now();
    let chip = Chip::options().clock(ClockKind::Virtual).open("sim").unwrap();
    let edges = edges_until(&chip, 300 * SECOND).len();
    assert!(edges > 3_000, "{edges}");
    assert!(began.elapsed() < ms(300_000) / 4, "five minutes took {:?}", began.elapsed());
    assert_eq!((chip.clock().name, chip.clock().utc), (linewake::ClockName::Simulated, None));
}

#[test]
fn a_request_sees_the_chip_as_it_is_at_the_time_of_its_edge() {
    let chip =
        Script::new().line(SimLine::new("it").signal(Signal::period(us(10)))).clock(ClockKind::Virtual).open().unwrap();
    let mut request = chip.request().line("it").start().unwrap();
    for _ in 0..2_000 {
        let edge = next(&mut request).unwrap();
        assert_eq!(chip.value("it").unwrap(), edge.kind == EdgeKind::Rising);
    }
    assert_eq!(request.finish().total(), Figures { delivered: 2_000, ..Figures::default() });
}

#[test]
fn nothing_is_lost_by_a_reader_that_takes_its_time() {
    let line = |name| SimLine::new(name).signal(Signal::period(us(10)));
    let chip = Script::new().line(line("a")).line(line("b")).clock(ClockKind::Virtual).queue_size(2).open().unwrap();
    let (mut a, mut b) = (chip.request().line("a").start().unwrap(), chip.request().line("b").start().unwrap());
    // The requests take turns on one thread.
    for _ in 0..500 {
        assert_eq!(next(&mut a).unwrap().missed.total() + next(&mut b).unwrap().missed.total(), 0);
    }
    // The requests are read on two threads, of which one is slow.
    let slow = thread::spawn(move || {
        for _ in 0..100 {
            thread::sleep(ms(1));
            assert_eq!(next(&mut a).unwrap().missed.total(), 0);
        }
    });
    for _ in 0..100 {
        assert_eq!(next(&mut b).unwrap().missed.total(), 0);
    }
    drop(b);
    slow.join().unwrap();
}

#[test]
fn time_goes_on_when_a_slow_reader_is_gone() {
    let lines = ["a", "b"].map(|name| SimLine::new(name).signal(Signal::period(ms(2))));
    let script = lines.into_iter().fold(Script::new(), Script::line).clock(ClockKind::Virtual).queue_size(2);
    let chip = script.open().unwrap();
    let (mut a, mut b) = (chip.request().line("a").start().unwrap(), chip.request().line("b").start().unwrap());
    next(&mut a).unwrap(); // from here on, time waits for its queue
    let waits = thread::spawn(move || (0..200).filter(|_| next(&mut b).is_ok()).count());
    thread::sleep(ms(50));
    drop(a);
    assert_eq!(waits.join().unwrap(), 200);
}

#[test]
fn edges_are_lost_while_the_script_makes_readers_slow() {
    let line = SimLine::new("it").signal(Signal::period(ms(2)));
    let script = Script::new().line(line).clock(ClockKind::Virtual).queue_size(8).slow(ms(100), ms(50));
    let chip = script.open().unwrap();
    let mut request = chip.request().line("it").start().unwrap();
    let seen: Vec<_> = (0..150).map(|_| next(&mut request).unwrap()).collect();
    let missed: Vec<_> = seen.iter().filter(|edge| edge.missed.total() > 0).collect();
    assert_eq!(missed.len(), 1);
    // There are 50 edges from 100 ms to 150 ms. The last eight of them were still queued when the reader was fast
    // again.
    assert_eq!((missed[0].missed.overflowed, missed[0].timestamp_ns), (42, 143_000_000));
    assert_eq!(request.finish().total(), Figures { delivered: 150, overflowed: 42, ..Figures::default() });
}

#[test]
fn stopping_does_not_wait_for_a_slow_reader() {
    let line = SimLine::new("it").signal(Signal::period(ms(2)));
    let chip = Script::new().line(line).clock(ClockKind::Manual).slow(ms(10), ms(3_600_000)).open().unwrap();
    let mut request = chip.request().line("it").start().unwrap();
    let stopper = request.stopper();
    while chip.world().advance(ms(20)).unwrap() > Duration::ZERO {
        next(&mut request).unwrap();
    }
    stopper.stop();
    let rest = std::iter::from_fn(|| request.wait_next()).map(Result::unwrap).count();
    assert!(rest >= 10, "{rest}");
    assert_eq!(request.finish().trust(), Trust::Exact);
}

#[test]
fn time_stands_still_until_it_is_advanced() {
    let chip = Chip::options().clock(ClockKind::Manual).open("sim").unwrap();
    let pps = || chip.value("pps").unwrap();
    assert!(!pps());
    assert_eq!(chip.world().advance(ms(499)).unwrap(), Duration::ZERO);
    assert!(!pps());
    assert_eq!(chip.world().advance(ms(1)).unwrap(), Duration::ZERO);
    assert!(pps());
    let mut request = chip.request().line("pps").start().unwrap();
    assert!(request.wait_next_timeout(ms(20)).unwrap().unwrap_err().is_timeout());
    assert_eq!(chip.world().advance(ms(500)).unwrap(), Duration::ZERO);
    assert_eq!(next(&mut request).unwrap().timestamp_ns, 600_000_000);
    assert!(request.wait_next_timeout(ms(20)).unwrap().unwrap_err().is_timeout());
    // Changes from the world happen now.
    chip.world().toggle("tamper", 1).unwrap();
    let mut tamper = chip.request().line("tamper").start().unwrap();
    chip.world().toggle("tamper", 1).unwrap();
    assert_eq!(next(&mut tamper).unwrap().timestamp_ns, SECOND);
    // A thousand seconds give more edges than a queue holds. The rest happens as the queue is read.
    let left = chip.world().advance(ms(1_000_000)).unwrap();
    assert!(left > Duration::ZERO);
    let rising: Vec<_> = (0..2000).map(|_| next(&mut request).unwrap()).collect();
    assert!(rising.iter().all(|edge| edge.missed.total() == 0));
    assert_eq!(rising[1999].timestamp_ns, 1000 * SECOND + 600_000_000);
    assert!(request.wait_next_timeout(ms(20)).unwrap().unwrap_err().is_timeout(), "and no further");
}

#[test]
fn only_a_clock_that_stands_still_is_advanced() {
    let error = Chip::open("sim").unwrap().world().advance(ms(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let error = Chip::options().clock(ClockKind::Virtual).open(r"\\.\LineWake0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    // A virtual clock goes on by itself, and can also be advanced.
    let chip = Chip::options().clock(ClockKind::Virtual).open("sim").unwrap();
    chip.world().advance(ms(550)).unwrap();
    assert!(chip.value("pps").unwrap());
}

#[test]
fn nobody_is_woken_while_nothing_that_is_watched_can_happen() {
    let chip = Chip::options().clock(ClockKind::Virtual).open("sim").unwrap();
    let mut quiet = chip.request().line("tamper").start().unwrap();
    assert!(quiet.wait_next_timeout(ms(50)).unwrap().unwrap_err().is_timeout());
    chip.world().toggle("tamper", 1).unwrap();
    assert_eq!(next(&mut quiet).unwrap().timestamp_ns, 0, "its clock stood still");
    // A line whose watched edges never come does not block the thread either.
    let line = SimLine::new("it").signal(Signal::noise(us(1)));
    let chip = Script::new().line(line).clock(ClockKind::Virtual).open().unwrap();
    let mut never = chip.request().line("it").debounce(us(5)).start().unwrap();
    assert!(never.wait_next_timeout(ms(50)).unwrap().unwrap_err().is_timeout());
}

#[test]
fn a_chip_that_is_unplugged_is_back_when_it_is_looked_for() {
    let line = SimLine::new("it").signal(Signal::period(ms(100)));
    let script =
        Script::new().line(line).clock(ClockKind::Virtual).unplug(ms(1020), Some(ms(60_000))).unplug(ms(70_000), None);
    let chip = script.open().unwrap();
    let mut request = chip.request().line("it").start().unwrap();
    for _ in 0..21 {
        next(&mut request).unwrap();
    }
    assert!(next(&mut request).unwrap_err().is_disconnected());
    let account = request.finish();
    assert_eq!((account.total().delivered, account.trust()), (21, Trust::AtLeast));
    let chip = chip.reopen().unwrap();
    let mut request = chip.request().line("it").start().unwrap();
    assert_eq!(next(&mut request).unwrap().timestamp_ns, 61_050_000_000);
    while next(&mut request).is_ok() {}
    assert!(chip.reopen().unwrap_err().is_disconnected(), "for ever");
}

#[test]
fn a_monitor_goes_on_when_the_chip_is_back() {
    let line = SimLine::new("it").signal(Signal::period(ms(100)));
    let chip = Script::new().line(line).clock(ClockKind::Virtual).unplug(ms(1020), Some(ms(60_000))).open().unwrap();
    let mut monitor = Monitor::builder().request(chip.request().line("it")).reattach(true).start().unwrap();
    let mut edges = Vec::new();
    let mut gaps = Vec::new();
    while edges.last().is_none_or(|&last_ns| last_ns < 62 * SECOND) {
        match monitor.wait_next_timeout(Duration::from_secs(20)).unwrap().unwrap() {
            Event::Edge { edge, .. } => edges.push(edge.timestamp_ns),
            Event::Gap { gap, .. } => gaps.push(gap.is_over),
            _ => {}
        }
    }
    assert_eq!(gaps, [false, true]);
    let before = (0..21).map(|n| n * 50_000_000);
    let after = (1221..=1240).map(|n| n * 50_000_000);
    assert!(edges.into_iter().eq(before.chain(after)));
}

/// All faults at once, and every edge is in the account.
#[test]
fn the_account_is_exact_with_every_fault_at_once() {
    for (seed, queue_size) in [(1, 64), (2, 2), (3, 1024)] {
        all_faults(seed, queue_size);
    }
}

const FAULTY: usize = 8;

/// Of each line, what somebody could be told of.
fn driven_while_it_is_there(changes: &[Change]) -> [u64; FAULTY] {
    let (mut levels, mut driven, mut is_there) = ([false; FAULTY], [0; FAULTY], true);
    levels[2] = true;
    for change in changes {
        match change.what {
            What::Level { offset, level } => {
                let before = std::mem::replace(&mut levels[offset.get() as usize], level);
                driven[offset.get() as usize] += u64::from(is_there && before != level);
            }
            What::Unplug => is_there = false,
            What::Replug => is_there = true,
            _ => {}
        }
    }
    assert!(driven.iter().all(|&driven| driven > 20), "{driven:?}");
    driven
}

fn all_faults(seed: u64, queue_size: u32) {
    let lasts = |change: &Change| change.at_ns < SECOND;
    let mut changes: Vec<_> = script("faults.toml").timeline(seed).unwrap().take_while(lasts).collect();
    let driven = driven_while_it_is_there(&changes);

    // The same lines and faults, and the same changes up to that time; and one line more that tells the end.
    let end = What::Level { offset: (FAULTY as u32).into(), level: true };
    changes.push(Change { at_ns: 2 * SECOND, what: end });
    let lines = (0..=FAULTY).fold(Script::new(), |script, line| script.line(SimLine::new("").initially(line == 2)));
    let script = lines.merge_within(us(2)).interrupt_delay(us(30)).clock(ClockKind::Virtual).changes(changes);
    let mut chip = script.open().unwrap();
    let (mut seen, mut said, mut repeats, mut tallies) = ([0_u64; FAULTY + 1], Figures::default(), 0, Vec::new());
    loop {
        let mut request = chip.request().all_lines().queue_size(queue_size).start().unwrap();
        tallies.push(request.tally());
        let mut kinds = [None; FAULTY + 1];
        let end = loop {
            match request.wait_next() {
                Some(Ok(edge)) => {
                    let line = edge.offset.get() as usize;
                    seen[line] += 1;
                    said.overflowed += u64::from(edge.missed.overflowed);
                    said.merged += u64::from(edge.missed.merged);
                    repeats += u32::from(kinds[line].replace(edge.kind) == Some(edge.kind));
                }
                Some(Err(error)) => break Some(error),
                None => panic!("nobody stopped it"),
            }
            if seen[FAULTY] > 0 {
                break None;
            }
        };
        drop(request);
        let Some(end) = end else {
            break;
        };
        assert!(end.is_disconnected(), "{end}");
        chip = chip.reopen().unwrap();
    }
    assert_eq!(tallies.len(), 3, "it was unplugged twice");
    let is_final = || tallies.iter().all(|tally| tally.is_final());
    wait_until(|| is_final() && chip.totals().unwrap()[0].readers as usize == tallies.len());
    let totals = chip.totals().unwrap();
    for ((line, driven), seen) in totals.iter().zip(driven).zip(seen) {
        assert_eq!(line.figures.total(), driven, "seed {seed}, queue {queue_size}: {line:?}");
        assert!(line.figures.delivered >= seen);
    }
    let came: u64 = tallies.iter().map(|tally| tally.delivered() + tally.discarded()).sum();
    assert_eq!(totals.iter().map(|line| line.figures.delivered).sum::<u64>(), came);
    assert_eq!(tallies.iter().map(|tally| tally.delivered()).sum::<u64>(), seen.iter().sum::<u64>());
    let lost = |of: fn(&Figures) -> u64| totals.iter().map(|line| of(&line.figures)).sum::<u64>();
    assert!(lost(|it| it.merged) >= said.merged && said.merged > 100);
    assert!(lost(|it| it.overflowed) >= said.overflowed && said.overflowed > 100);
    assert!(lost(|it| it.discarded) > 0, "what was queued when it was unplugged");
    assert!(repeats > 100, "the same direction twice, as on Linux: {repeats}");
}
