//! Real gpiochips on a machine of several processors, where edges merge before the kernel queues them: what of that the
//! numbers show. `cargo xtask test --only vm` runs it with two processors.
#![cfg(all(target_os = "linux", not(miri)))]

#[macro_use]
#[path = "support/conformance.rs"]
#[allow(dead_code, unused_macros, reason = "only the bench is of use here")]
mod conformance;
#[path = "support/gpio.rs"]
mod gpio;

use std::thread;
use std::time::Duration;

use conformance::Bench as _;
use gpio::GpioSim;
use linewake::Account;

/// What is known of so many edges on the first lines, made as fast as this machine can. They begin and end low.
fn flood(bench: &GpioSim, lines: u32, edges: u32, witness: bool) -> Account {
    let chip = bench.open();
    let mut request = chip.request().lines(0..lines).queue_size(1024).witness(witness).start().unwrap();
    assert!(request.lines().iter().all(|line| line.active_at_start == Some(false)));
    let stopper = request.stopper();
    let hands = bench.hands(lines);
    let driver = thread::spawn(move || {
        hands.flood(edges);
        // The last ones are on their way.
        thread::sleep(Duration::from_millis(50));
        stopper.stop();
    });
    while let Some(edge) = request.wait_next() {
        edge.unwrap();
    }
    driver.join().unwrap();
    let account = request.finish();
    let unknown = i64::from(edges) - account.total().total() as i64;
    println!("{lines} lines, witness {witness}: {edges} driven, {:?}, unknown {unknown}", account.total());
    account
}

const EDGES: u32 = 16_000;
/// What the kernel may count twice: an edge that comes while the interrupt's thread runs, see `RequestBuilder::witness`.
const TWICE: u64 = EDGES as u64 / 50;

#[test]
fn interrupts_of_several_lines_are_all_accounted_for() {
    let Some(bench) = GpioSim::new(10) else { return };
    let mut merged = 0;
    for lines in [2, 8, 2, 8] {
        let account = flood(&bench, lines, EDGES, false);
        // The last interrupt may have brought no edge that could tell of it.
        assert!(account.total().total().abs_diff(EDGES.into()) <= TWICE, "{account:?}");
        merged += account.total().merged;
    }
    assert!(merged > 0, "two processors make edges merge");
}

#[test]
fn a_witness_accounts_for_the_merged_edges_of_one_line() {
    let Some(bench) = GpioSim::new(10) else { return };
    let mut unknown = 0;
    for _ in 0..3 {
        unknown += u64::from(EDGES) - flood(&bench, 1, EDGES, false).total().total().min(EDGES.into());
        let witnessed = flood(&bench, 1, EDGES, true);
        let accounted = witnessed.total().total();
        assert!(accounted + TWICE >= EDGES.into(), "next to nothing is unknown: {witnessed:?}");
        // How often the kernel counts one twice is a matter of its threads' timing: up to three in a hundred were seen.
        assert!(accounted <= u64::from(EDGES) * 11 / 10, "{witnessed:?}");
    }
    assert!(unknown > 0, "without a witness nobody knows of them");
}

#[test]
fn the_level_at_the_start_is_that_before_the_first_edge_unless_edges_merge() {
    let Some(bench) = GpioSim::new(10) else { return };
    assert!(bench.edges_merge(), "this is for a machine of several processors");
    conformance::the_level_at_the_start_is_that_before_the_first_edge(&bench);
}
