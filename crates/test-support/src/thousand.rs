//! A thousand lines in one monitor, on sixteen simulated chips and on other given chips.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use linewake::{Chip, Event, Figures, Monitor, Trust};

use crate::process::threads_and_memory;

const LINES: u32 = 1000;
const SIMULATED: u32 = 16;
/// The number of edges on each line.
const EDGES: u32 = 20;

pub fn lines_of_many_chips_are_one_stream(real: &[Chip]) {
    let simulated = (0..SIMULATED).map(|_| Chip::options().life(false).open("sim:128").unwrap());
    let chips: Vec<_> = real.iter().cloned().chain(simulated).collect();
    let share = LINES.div_ceil(chips.len() as u32);
    let lines = |chip: usize| share.min(LINES - (share * chip as u32).min(LINES));
    assert_eq!((0..chips.len()).map(lines).sum::<u32>(), LINES);

    let before = threads_and_memory();
    let requests = chips.iter().enumerate().map(|(index, chip)| chip.request().lines(0..lines(index)).queue_size(1024));
    // The window is longer than the test, so the monitor sorts the edges of all chips.
    let window = Duration::from_secs(600);
    let mut monitor = Monitor::builder().requests(requests).window(window).start().unwrap();
    let started = threads_and_memory();
    let driven = AtomicU64::new(0);
    let stopper = monitor.stopper();
    let (mut delivered, mut last_ns) = (0_u64, 0);
    let mut full = None;
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..EDGES {
                for (index, chip) in chips.iter().enumerate() {
                    chip.world().toggle_all((0..lines(index)).map(|line| (line, 1))).unwrap();
                    driven.fetch_add(lines(index).into(), Relaxed);
                }
            }
            stopper.stop();
        });
        while let Some(event) = monitor.wait_next() {
            let Event::Edge { request, edge } = event.unwrap() else { continue };
            full = full.or_else(threads_and_memory);
            assert!(edge.timestamp_ns >= last_ns, "chip {request}: {edge:?} after {last_ns}");
            last_ns = edge.timestamp_ns;
            delivered += 1;
        }
    });
    assert_eq!(monitor.stats().late, 0);
    let mut total = Figures::default();
    for (index, account) in monitor.finish().iter().enumerate() {
        let of = account.total();
        assert_eq!(account.trust(), Trust::Exact, "chip {index}: {account:?}");
        assert_eq!(of.total(), u64::from(lines(index) * EDGES), "chip {index}: {of:?}");
        total.delivered += of.delivered;
        total.overflowed += of.overflowed;
    }
    assert_eq!((total.delivered, total.total()), (delivered, driven.into_inner()));
    println!(
        "{LINES} lines of {} chips: threads and bytes in memory {before:?} before, {started:?} watching, {full:?} with \
         {delivered} edges held; {total:?}",
        chips.len()
    );
    if let (Some((before, _)), Some((started, _))) = (before, started) {
        assert!(started <= before + 1, "no thread for a line or a chip: {started} after {before}");
    }
}
