//! The simulated chip is unplugged and plugged in again in the middle of a flood. This test is alone in its process,
//! because it counts how often its thread wakes up, and a thread that waits also handles the completions of other
//! tests.

#[path = "support/conformance.rs"]
#[allow(dead_code, unused_macros, reason = "only the bench is of use here")]
mod conformance;
#[path = "support/process.rs"]
#[allow(dead_code, reason = "only one of the two is asked here")]
mod process;
#[path = "support/replug.rs"]
mod replug;

use linewake::Chip;

#[test]
fn a_monitor_survives_a_replug_in_the_middle_of_a_flood() {
    let still = || Chip::options().life(false).open("sim:512").unwrap();
    replug::a_monitor_survives_a_replug_in_the_middle_of_a_flood(&conformance::Reference(still));
}
