//! Tests of the reference driver, used by a profile for drivers with single pins. They are the same for every host of
//! the controller. Each test gets the host, which drives the lines, and a function that opens a chip with a profile.

use std::thread;
use std::time::{Duration, Instant};

use linewake::profile::Profile;
use linewake::{Chip, EdgeEvent, EdgeKind, Edges, Figures, Request, Trust};

use crate::stream::{next, until_quiet};
use crate::until;

const PINS: &str = include_str!("../../../profiles/linewake-pins.toml");

/// `controller::protocol::TICK_HZ`
const TICK_HZ: u32 = 3_579_545;

/// Opens a chip of the host with a profile.
type Open<'a> = &'a dyn Fn(&Profile) -> Chip;

fn profile(text: &str) -> Profile {
    Profile::parse("linewake-pins.toml", text).unwrap().allow_writes(true)
}

/// Takes edges until no more come.
fn rest(request: &mut Request) -> Vec<EdgeEvent> {
    until_quiet(request, Duration::from_millis(100))
}

/// How many readers watch a line, as the host reports it.
fn used(host: &Chip) -> Vec<u32> {
    host.lines().unwrap().into_iter().filter(|line| line.used).map(|line| line.offset.get()).collect()
}

/// Hands the names of all tests to a macro, the one that unplugs the chip last.
#[macro_export]
macro_rules! every_pin_test {
    ($each:ident) => {
        $each! {
            a_pin_is_attached_waited_for_and_detached
            a_pin_tells_of_the_edges_that_are_wanted
            dropped_edges_are_lost_by_the_drivers_count
            time_goes_on_when_the_counter_wraps
            waits_for_single_pins_end_with_the_device
        }
    };
}
pub use crate::every_pin_test;

pub fn a_pin_is_attached_waited_for_and_detached(host: &Chip, open: Open<'_>) {
    host.world().drive(9, true).unwrap();
    let chip = open(&profile(PINS));
    let mut request = chip.request().lines([3, 9]).start().unwrap();
    assert_eq!(used(host), [3, 9]);
    assert_eq!(request.lines()[1].active_at_start, Some(true));
    host.world().toggle(4, 1).unwrap(); // not attached
    host.world().toggle(3, 1).unwrap();
    let edge = next(&mut request);
    assert_eq!((edge.offset.get(), edge.kind, edge.missed.total()), (3, EdgeKind::Rising, 0));
    host.world().toggle(9, 1).unwrap();
    let edge = next(&mut request);
    assert_eq!((edge.offset.get(), edge.kind, edge.missed.total()), (9, EdgeKind::Falling, 0));
    host.world().toggle_all([(3, 3), (9, 4)]).unwrap();
    let mut seen = [3, 9].map(|_| Vec::new());
    for _ in 0..7 {
        let edge = next(&mut request);
        assert_eq!(edge.missed.total(), 0);
        seen[usize::from(edge.offset.get() == 9)].push(edge.kind == EdgeKind::Rising);
    }
    assert_eq!(seen, [vec![false, true, false], vec![true, false, true, false]]);
    let account = request.finish();
    assert_eq!((account.total(), account.trust()), (Figures { delivered: 9, ..Figures::default() }, Trust::AtLeast));
    until("its pins are detached", || used(host).is_empty());
}

pub fn a_pin_tells_of_the_edges_that_are_wanted(host: &Chip, open: Open<'_>) {
    host.world().drive(5, false).unwrap();
    for (edges, kind) in [(Edges::Rising, EdgeKind::Rising), (Edges::Falling, EdgeKind::Falling)] {
        let mut request = open(&profile(PINS)).request().line(5).edges(edges).start().unwrap();
        host.world().toggle(5, 6).unwrap();
        for _ in 0..3 {
            let edge = next(&mut request);
            assert_eq!((edge.kind, edge.missed.total()), (kind, 0));
        }
        assert!(rest(&mut request).is_empty());
        assert_eq!(request.finish().total(), Figures { delivered: 3, ..Figures::default() });
    }
}

/// The driver queues sixteen edges for a pin, some waits are pending, and results of others wait to be taken.
pub fn dropped_edges_are_lost_by_the_drivers_count(host: &Chip, open: Open<'_>) {
    let mut request = open(&profile(PINS)).request().lines([0, 1]).start().unwrap();
    host.world().toggle_all([(0, 1_000), (1, 100)]).unwrap();
    let mut seen = rest(&mut request);
    // The next edge reports what was lost after the last one.
    host.world().toggle_all([(0, 1), (1, 1)]).unwrap();
    seen.append(&mut rest(&mut request));
    let account = request.finish();
    for (line, driven) in account.lines().iter().zip([1_001, 101]) {
        let of_line = seen.iter().filter(|edge| edge.offset == line.offset);
        let (count, lost) = of_line.fold((0, 0), |(count, lost), edge| (count + 1, lost + edge.missed.total()));
        assert_eq!((count, lost), (line.figures.delivered, line.figures.overflowed));
        assert_eq!(count + lost, driven, "{line:?}");
        assert!(lost > 0 || driven < 900, "{line:?}");
    }
    assert_eq!(account.trust(), Trust::AtLeast);
}

/// An edge comes a fifth of a second before the counter wraps, and another after.
pub fn time_goes_on_when_the_counter_wraps(host: &Chip, open: Open<'_>) {
    let bytes = (TICK_HZ / 5).wrapping_neg().to_le_bytes().map(|byte| format!("{byte:02x}")).join(" ");
    let text = PINS.replace("setup = \"attach\"", "setup = [\"set-ticks\", \"attach\"]");
    let text = format!(
        "{text}\n[call.set-ticks]\ndevice_type = 0x8A51\nfunction = 0x8C5\nmethod = \"buffered\"\naccess = \"write\"\n\
         input = {{ bytes = \"{bytes}\" }}\n"
    );
    let mut request = open(&profile(&text)).request().lines([6, 7]).start().unwrap();
    host.world().toggle(6, 1).unwrap();
    let first = next(&mut request);
    assert!(first.timestamp_ns > 1_000_000_000_000, "{first:?}: the counter is close to its end");
    let before = Instant::now();
    for (count, line) in (1..).zip([7, 6, 7, 6]) {
        thread::sleep(Duration::from_millis(100));
        host.world().toggle(line, 1).unwrap();
        let edge = next(&mut request);
        let (passed, most) = (edge.timestamp_ns.saturating_sub(first.timestamp_ns), before.elapsed().as_nanos() as u64);
        // The first edge was driven some time before it arrived.
        let bounds = count * 90_000_000..=most + 2_000_000_000;
        assert!(bounds.contains(&passed), "{passed} ns, not in {bounds:?}: {edge:?}");
    }
    assert_eq!(request.finish().total().total(), 5);
}

pub fn waits_for_single_pins_end_with_the_device(host: &Chip, open: Open<'_>) {
    let chip = open(&profile(PINS));
    let mut request = chip.request().lines([1, 2]).start().unwrap();
    host.world().toggle(1, 1).unwrap();
    assert_eq!(next(&mut request).offset.get(), 1);
    host.world().unplug().unwrap();
    let end = loop {
        match request.wait_next().expect("an end has a reason") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(end.is_disconnected() && request.wait_next().is_none(), "{end}");
    host.world().replug().unwrap();
}
