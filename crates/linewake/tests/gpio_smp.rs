//! Gpiochips on a computer with several processors, where edges merge before the kernel queues them. The tests check
//! how much of that the numbers show. `cargo xtask test --only vm` runs them with two processors.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/gpio.rs"]
mod gpio;

use std::thread;
use std::time::Duration;

use gpio::GpioSim;
use linewake::{Account, Trust};
use test_support::conformance;
use test_support::conformance::Bench as _;

/// Makes edges on the first lines as fast as possible, and returns what is known of them. The lines begin and end low.
fn flood(bench: &GpioSim, lines: u32, edges: u32, witness: bool) -> Account {
    let chip = bench.open();
    let mut request = chip.request().lines(0..lines).queue_size(1024).witness(witness).start().unwrap();
    assert!(request.lines().iter().all(|line| line.active_at_start == Some(false)));
    let stopper = request.stopper();
    let hands = bench.hands(lines);
    let driver = thread::spawn(move || {
        hands.flood(edges);
        // Wait for the last edges, which are on their way.
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
/// How many edges may be unknown: no edge came after the last interrupts to report them.
const FEW: u64 = EDGES as u64 / 50;

/// If interrupts are numbered, almost none are unknown. The number of merged edges may be too high, by one for each
/// reported edge (see `Numbering::Kernel`); then the trust says so.
fn assert_accounted(account: &Account) {
    let total = account.total();
    assert!(total.total() + FEW >= EDGES.into(), "{account:?}");
    assert!(total.total() <= u64::from(EDGES) + total.delivered + total.overflowed, "{account:?}");
    let trust = if total.merged > 0 { Trust::About } else { Trust::AtLeast };
    assert_eq!(account.trust(), trust, "{account:?}");
}

#[test]
fn interrupts_of_several_lines_are_all_accounted_for() {
    let Some(bench) = GpioSim::new(10) else { return };
    let mut merged = 0;
    for round in 0.. {
        for lines in [2, 8] {
            let account = flood(&bench, lines, EDGES, false);
            assert_accounted(&account);
            merged += account.total().merged;
        }
        if round > 0 && merged > 0 {
            break;
        }
        assert!(round < 20, "two processors make edges merge");
    }
}

#[test]
fn a_witness_accounts_for_the_merged_edges_of_one_line() {
    let Some(bench) = GpioSim::new(10) else { return };
    for _ in 0..3 {
        // For the log: without a witness it is not known how much is missing.
        flood(&bench, 1, EDGES, false);
        assert_accounted(&flood(&bench, 1, EDGES, true));
    }
}

#[test]
fn the_level_at_the_start_is_that_before_the_first_edge_unless_edges_merge() {
    let Some(bench) = GpioSim::new(10) else { return };
    assert!(bench.edges_merge(), "this test needs several processors");
    conformance::the_level_at_the_start_is_that_before_the_first_edge(&bench);
}
