//! The simulated chip is unplugged and plugged in again in the middle of a flood. This test is alone in its process,
//! because it counts how often its thread wakes up, and a thread that waits also handles the completions of other
//! tests.

use linewake::Chip;
use test_support::{conformance, replug};

#[test]
fn a_monitor_survives_a_replug_in_the_middle_of_a_flood() {
    let still = || Chip::options().life(false).open("sim:512").unwrap();
    replug::a_monitor_survives_a_replug_in_the_middle_of_a_flood(&conformance::Reference(still));
}
