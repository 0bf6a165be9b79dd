//! A chip of a monitor is unplugged and plugged in again in the middle of a flood. The test is the same for every chip.

use std::thread;
use std::time::Duration;

use linewake::{Chip, Event, Figures, Gap, Monitor, Trust};

use crate::conformance::Bench;
use crate::process::{beside_one_that_spins, woken};

/// The number of edges on each line, before the chip is unplugged and after it is back.
const EDGES: u32 = 400;
const LINES: [u32; 2] = [0, 3];
const DRIVEN: u64 = EDGES as u64 * LINES.len() as u64;
const PATIENCE: Duration = Duration::from_secs(20);

pub fn a_monitor_survives_a_replug_in_the_middle_of_a_flood(bench: &dyn Bench) {
    let first = bench.open();
    let retry = Duration::from_millis(100);
    let mut monitor = Monitor::builder()
        .request(first.request().lines(LINES).queue_size(1024))
        .states(true)
        .reattach(true)
        .retry(retry)
        .start()
        .unwrap();
    let gone = the_chip_goes(bench, &first, &mut monitor);
    the_chip_is_looked_for_from_time_to_time(&mut monitor, retry);
    bench.replug(&first);
    it_is_back(bench, monitor, &gone);
}

fn next(monitor: &mut Monitor) -> Event {
    monitor.wait_next_timeout(PATIENCE).expect("nobody stopped it").unwrap()
}

/// Unplugs the chip in the middle of a flood. Returns the gap that the monitor reports.
fn the_chip_goes(bench: &dyn Bench, first: &Chip, monitor: &mut Monitor) -> Gap {
    let mut before = 0_u64;
    let gone = thread::scope(|scope| {
        let driver = scope.spawn(|| {
            bench.toggle_all(first, &LINES.map(|line| (line, EDGES)));
            bench.snatch(first);
        });
        let gone = loop {
            match next(monitor) {
                Event::Edge { .. } => before += 1,
                Event::Gap { gap, .. } => break gap,
                _ => {}
            }
        };
        driver.join().unwrap();
        gone
    });
    assert!(before > 0 && !gone.is_over && gone.reason.is_disconnected(), "{gone:?}");
    assert_eq!(gone.figures.delivered, before, "the account has the edges that were delivered");
    assert!(gone.figures.total() <= DRIVEN, "{:?} of {DRIVEN}", gone.figures);
    gone
}

/// While the chip is away, the monitor looks for it from time to time, and does nothing else.
fn the_chip_is_looked_for_from_time_to_time(monitor: &mut Monitor, retry: Duration) {
    let (began, looks) = (woken(), 10);
    let spun = beside_one_that_spins(|| {
        let waited = monitor.wait_next_timeout(retry * looks).unwrap().unwrap_err();
        assert!(waited.is_timeout(), "{waited}");
    });
    if let (Some((sleeps, cpu)), Some((sleeps_now, cpu_now)), Some(spun)) = (began, woken(), spun) {
        let (sleeps, cpu) = (sleeps_now.zip(sleeps).map(|(now, before)| now - before), cpu_now - cpu);
        println!(
            "away for {:?}: woken {sleeps:?} times, {cpu:?} of processor time, beside {spun:?} of a thread that spins",
            retry * looks
        );
        // A busy loop never sleeps, and a thread that wakes up for nothing sleeps too often.
        assert!(
            sleeps.is_none_or(|sleeps| (1..=u64::from(looks) * 20).contains(&sleeps)),
            "woken {sleeps:?} times for {looks} looks"
        );
        // On a busy computer, compare with a busy loop on another thread: this thread could have had as much time. Each
        // look may cost a little even if that is almost nothing.
        let allowed = spun / 5 + Duration::from_millis(1) * looks;
        assert!(cpu < allowed, "{cpu:?} of processor time, beside {spun:?} of a thread that spins");
    } else {
        println!("the system does not report how often this thread sleeps");
    }
}

fn it_is_back(bench: &dyn Bench, mut monitor: Monitor, gone: &Gap) {
    let Event::Gap { gap: back, .. } = next(&mut monitor) else { panic!("nothing happens in a gap") };
    assert!(back.is_over && back.figures == gone.figures, "{back:?}");
    for _ in LINES {
        assert!(matches!(next(&mut monitor), Event::State { .. }), "the states of its lines are reported again");
    }
    let again = monitor.chip(0).unwrap().clone();
    let mut after = 0;
    thread::scope(|scope| {
        scope.spawn(|| bench.toggle_all(&again, &LINES.map(|line| (line, EDGES))));
        while after < DRIVEN {
            match next(&mut monitor) {
                Event::Edge { edge, .. } => after += 1 + edge.missed.total(),
                event => panic!("{event:?}"),
            }
        }
    });
    assert_eq!(monitor.stats().reattached, 1);
    monitor.stopper().stop();
    assert!(monitor.wait_next().is_none());
    let account = monitor.finish().remove(0);
    let total = account.total();
    let sum = |of: Figures| of.total();
    assert_eq!(sum(total) - sum(gone.figures), DRIVEN, "all edges after the gap are known: {total:?} {gone:?}");
    assert_eq!(account.trust(), Trust::AtLeast, "the edges in the gap are unknown");
    assert!(account.doubt().is_some_and(linewake::Error::is_disconnected));
}
