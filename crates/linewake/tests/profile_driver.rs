//! The reference driver through a profile that describes it: it must do what every chip does.
//!
//! Not run: tests of features that a profile lacks (outputs, reconfiguration of held lines, the holder of a line, and
//! batches on their way when a request is dropped), and of unplugging, for which this chip opens the device again (see
//! `tests/profile.rs`).

use linewake::Chip;
use linewake::profile::Profile;
use test_support::conformance;

fn chip() -> Chip {
    let host = Chip::options().life(false).open("sim:1024").unwrap();
    let profile = Profile::read("../../profiles/linewake.toml").unwrap().allow_writes(true);
    let device = host.clone();
    Chip::from_profile(&profile, move || device.open_device()).unwrap().driven_by(&host)
}

macro_rules! by_profile {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            conformance::$name(&conformance::Reference(chip));
        })*
    };
}

by_profile! {
    an_edge_says_where_when_and_which_way
    edges_come_in_order
    only_the_edges_asked_for_come
    the_level_at_the_start_is_that_before_the_first_edge
    awaiting_is_the_same_as_waiting
    a_timeout_ends_nothing
    stopping_delivers_what_had_happened
    stopping_wakes_a_waiting_thread
    the_account_is_exact_at_full_speed
    the_account_is_exact_with_a_reader_that_is_too_slow
    the_account_is_exact_when_finished_in_the_middle
    merged_edges_are_counted
    lines_are_found_by_offset_and_by_name
    bad_requests_name_what_is_wrong
    an_active_low_line_is_active_when_it_is_low
    many_requests_come_and_go
}
