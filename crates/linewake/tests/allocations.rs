//! In steady state an edge allocates nothing: not in the request, the monitor, the filters or the simulated chip. This
//! test is alone in its process.

use linewake::filter::Filter;
use linewake::{Chip, Event, Monitor};
use test_support::allocations::{Counting, of_all};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// All in one test, because the allocations of the process are counted together.
#[test]
fn an_edge_costs_no_allocation() {
    let chip = Chip::options().life(false).open("sim:64").unwrap();
    let mut edges = chip.request().lines(0..8).queue_size(1024).start().unwrap();
    costs_nothing(&[&chip], || (0..400).for_each(|_| edges.wait_next().unwrap().map(drop).unwrap()));
    drop(edges);

    let chips = [chip, Chip::options().life(false).open("sim:64").unwrap()];
    let requests = chips.iter().map(|chip| chip.request().lines(0..8).queue_size(1024));
    let mut monitor = Monitor::builder().requests(requests).start().unwrap();
    costs_nothing(&[&chips[0], &chips[1]], || (0..800).for_each(|_| monitor.wait_next().unwrap().map(drop).unwrap()));
    drop(monitor);

    // Lines whose edges all pass, a line that chatters, lines that bounce and go back to their level, and a line
    // without a filter.
    let requests = chips.iter().map(|chip| chip.request().lines(0..8).queue_size(1024));
    let filters = ["chatter=1000/1ms", "chatter=10/1ms", "debounce=100us", "glitch=10us,debounce=50us,stamp=last"];
    let filters = filters.map(|filter| filter.parse::<Filter>().unwrap());
    let of_lines = (0..2).flat_map(|chip| (0..7).map(move |line: u32| (chip, line, filters[line as usize % 4])));
    let mut events = Monitor::builder().requests(requests).start().unwrap().filtered_lines(of_lines).unwrap();
    costs_nothing(&[&chips[0], &chips[1]], || {
        let mut unfiltered = 0;
        while unfiltered < 100 {
            if let Event::Edge { edge, .. } = events.wait_next().unwrap().unwrap() {
                unfiltered += u32::from(edge.offset.get() == 7);
            }
        }
    });
    let total = events.total();
    assert!(total.passed > 10_000 && total.filtered > 10_000 && total.blocks > 100, "{total:?}");
}

/// Drives 8 lines of each chip 50 times and takes all events, several times.
fn costs_nothing(chips: &[&Chip], mut take_all: impl FnMut()) {
    let mut round = || {
        for chip in chips {
            chip.world().toggle_all((0..8).map(|line| (line, 50))).unwrap();
        }
        take_all();
    };
    // Repeat until every buffer has been used once.
    for _ in 0..50 {
        round();
    }
    let before = of_all();
    const ROUNDS: u64 = 200;
    for _ in 0..ROUNDS {
        round();
    }
    // A few allocations for each command that drives the lines, and none for the 400 edges.
    let each = (of_all() - before) / ROUNDS / chips.len() as u64;
    assert!(each < 5, "{each} allocations for 400 edges");
}
