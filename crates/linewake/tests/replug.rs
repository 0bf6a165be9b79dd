//! The simulated chip is pulled out and put back in the middle of a flood. Alone in its process: a thread that waits handles
//! the completions of others too, and here it is counted how often it wakes up.

use linewake::Chip;
use test_support::{conformance, replug};

#[test]
fn a_monitor_survives_a_replug_in_the_middle_of_a_flood() {
    let still = || Chip::options().life(false).open("sim:512").unwrap();
    replug::a_monitor_survives_a_replug_in_the_middle_of_a_flood(&conformance::Reference(still));
}
