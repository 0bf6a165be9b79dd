//! Tests that a chip with any backend must pass; and further ones for chips with the reference protocol, whose host is
//! the simulator or the real driver.
//!
//! Each test gets a bench: a chip whose lines nobody else drives, and a way to drive them. After a test the chip is as
//! before, except for levels.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use std::task::Context;
use std::thread;
use std::time::{Duration, Instant};

use linewake::{
    Account, Bias, Chip, Direction, Drive, EdgeEvent, EdgeKind, Edges, Error, ErrorKind, Event, Figures, InfoEventKind,
    LineConfig, Monitor, Request, Trust,
};

use crate::executor::block_on;
use crate::until;

pub use crate::{every_chip_test, every_test};

/// A chip of at least ten lines, and the world outside it. Its lines are low at first.
pub trait Bench: Sync {
    /// Opens the chip; may be called again.
    fn open(&self) -> Chip;

    /// Drives a line to a level.
    fn drive(&self, chip: &Chip, line: u32, level: bool) {
        chip.world().drive(line, level).unwrap();
    }

    /// Changes each line the given number of times, in turn.
    fn toggle_all(&self, chip: &Chip, lines: &[(u32, u32)]) {
        chip.world().toggle_all(lines.iter().copied()).unwrap();
    }

    /// Changes one line.
    fn toggle(&self, chip: &Chip, line: u32, times: u32) {
        self.toggle_all(chip, &[(line, times)]);
    }

    /// The sequence number of the edge with this count. Zero if the chip does not number edges.
    fn number(&self, number: u32) -> u32 {
        number
    }

    /// How many lines can be driven.
    fn inputs(&self) -> u32 {
        8
    }

    /// True if edges of a single line, hundreds of microseconds apart, may merge before the chip reports them.
    fn edges_merge(&self) -> bool {
        false
    }

    /// Unplugs the chip, after everything that happened has been read.
    fn unplug(&self, chip: &Chip) {
        chip.world().unplug().unwrap();
    }

    /// Unplugs the chip at once, even if edges are on their way.
    fn snatch(&self, chip: &Chip) {
        self.unplug(chip);
    }

    /// Plugs the chip in again.
    fn replug(&self, chip: &Chip) {
        chip.world().replug().unwrap();
    }
}

/// A chip with the reference protocol and 512 lines or more. It has a world of its own.
pub struct Reference(pub fn() -> Chip);

impl Bench for Reference {
    fn open(&self) -> Chip {
        (self.0)()
    }
}

/// Hands the names of all tests of the reference protocol to a macro, the one that unplugs the chip last.
#[macro_export]
macro_rules! every_test {
    ($each:ident) => {
        $each! {
            two_requests_each_get_every_edge
            the_account_is_exact_at_full_speed
            the_account_is_exact_with_a_reader_that_is_too_slow
            the_account_is_exact_when_finished_in_the_middle
            the_account_is_exact_when_dropped_in_the_middle
            merged_edges_are_counted
            a_line_shows_how_its_holder_holds_it
            events_of_lines_are_reported
            debouncing_is_refused_or_done
            a_request_may_have_any_number_of_lines
            numbers_wrap_with_edges_lost_on_both_sides
        }
        $crate::every_chip_test!($each);
    };
}

/// Hands the names of the tests of every chip to a macro, the one that unplugs the chip last.
#[macro_export]
macro_rules! every_chip_test {
    ($each:ident) => {
        $each! {
            an_edge_says_where_when_and_which_way
            edges_come_in_order
            only_the_edges_asked_for_come
            the_level_at_the_start_is_that_before_the_first_edge
            awaiting_is_the_same_as_waiting
            a_timeout_ends_nothing
            stopping_delivers_what_had_happened
            stopping_wakes_a_waiting_thread
            lines_are_found_by_offset_and_by_name
            bad_requests_name_what_is_wrong
            outputs_are_set_and_read_back
            an_active_low_line_is_active_when_it_is_low
            a_request_is_reconfigured_without_a_break
            many_requests_come_and_go
            unplugging_ends_every_stream
        }
    };
}

fn next(request: &mut Request) -> EdgeEvent {
    match request.wait_next_timeout(Duration::from_secs(20)) {
        Some(Ok(edge)) => edge,
        Some(Err(error)) => panic!("{error}"),
        None => panic!("the stream is over"),
    }
}

/// Everything up to the end of a stream that was stopped.
fn rest(request: &mut Request) -> Vec<EdgeEvent> {
    std::iter::from_fn(|| request.wait_next()).map(|edge| edge.unwrap()).collect()
}

pub fn an_edge_says_where_when_and_which_way(bench: &dyn Bench) {
    let chip = bench.open();
    bench.drive(&chip, 3, false);
    let mut edges = chip.request().line(3).start().unwrap();
    bench.drive(&chip, 3, true);
    let rising = next(&mut edges);
    assert_eq!((&*rising.chip, rising.offset.get(), rising.kind), (&*chip.info().name, 3, EdgeKind::Rising));
    assert_eq!((rising.seqno, rising.line_seqno, rising.missed.total()), (bench.number(1), bench.number(1), 0));
    assert_eq!(rising.name, chip.line_info(3).unwrap().name);
    assert!(edges.value(3).unwrap());
    bench.drive(&chip, 3, false);
    let falling = next(&mut edges);
    assert_eq!((falling.kind, falling.seqno), (EdgeKind::Falling, bench.number(2)));
    assert!(falling.timestamp_ns >= rising.timestamp_ns && falling.timestamp_ns > 0);
}

pub fn edges_come_in_order(bench: &dyn Bench) {
    let chip = bench.open();
    let mut edges = chip.request().lines([0, 5]).queue_size(1024).start().unwrap();
    for _ in 0..50 {
        bench.toggle_all(&chip, &[(0, 4), (5, 4)]);
    }
    let seen: Vec<_> = (0..400).map(|_| next(&mut edges)).collect();
    assert!(seen.iter().map(|edge| edge.seqno).eq(1..=400));
    assert!(seen.is_sorted_by_key(|edge| edge.timestamp_ns));
    for offset in [0, 5] {
        let line: Vec<_> = seen.iter().filter(|edge| edge.offset.get() == offset).collect();
        assert!(line.iter().map(|edge| edge.line_seqno).eq(1..=200));
        assert!(line.windows(2).all(|two| two[0].kind != two[1].kind));
    }
    assert_eq!(edges.finish().total(), Figures { delivered: 400, ..Figures::default() });
}

pub fn only_the_edges_asked_for_come(bench: &dyn Bench) {
    let chip = bench.open();
    bench.drive(&chip, 1, false);
    bench.drive(&chip, 2, false);
    let mut rising = chip.request().line(1).edges(Edges::Rising).start().unwrap();
    let mut falling = chip.request().line(2).edges(Edges::Falling).start().unwrap();
    bench.toggle_all(&chip, &[(1, 6), (2, 6)]);
    for (request, kind) in [(&mut rising, EdgeKind::Rising), (&mut falling, EdgeKind::Falling)] {
        request.stopper().stop();
        assert!(rest(request).iter().map(|edge| (edge.kind, edge.line_seqno)).eq((1..=3).map(|number| (kind, number))));
    }
    assert_eq!(rising.finish().total().total(), 3);
}

pub fn the_level_at_the_start_is_that_before_the_first_edge(bench: &dyn Bench) {
    let chip = bench.open();
    for level in [false, true] {
        bench.drive(&chip, 2, level);
        let mut edges = chip.request().line(2).start().unwrap();
        assert_eq!(edges.lines()[0].active_at_start, Some(level));
        bench.toggle(&chip, 2, 1);
        assert_eq!(next(&mut edges).kind == EdgeKind::Falling, level);
    }
    the_level_at_the_start_of_a_changing_line(bench, &chip);
}

/// Another thread changes the line meanwhile, so that sometimes an edge comes before the level is read. To see this
/// fail on a gpiochip, make `level_at_start` (gpiochip/lines.rs) ignore the first edge.
fn the_level_at_the_start_of_a_changing_line(bench: &dyn Bench, chip: &Chip) {
    let (begun, ended) = (AtomicU32::new(0), AtomicU32::new(0));
    let done = AtomicBool::new(false);
    let is_exact = chip.capabilities().account == Trust::Exact;
    let watch = || {
        let (mut contradicted, mut corrected, mut quiet) = (0, 0, 0);
        for _ in 0..300 {
            let changes = ended.load(Acquire);
            let mut edges = chip.request().line(2).queue_size(1024).start().unwrap();
            let said = edges.lines()[0].active_at_start;
            if begun.load(Acquire) == changes {
                // The line did not change while the request started, so its level must be known.
                assert_eq!(said, Some(changes % 2 == 1));
                quiet += 1;
            }
            let first = next(&mut edges);
            assert_eq!(first.line_seqno, 1);
            // An edge that was on its way through a kernel thread gives a level that was unknown, or corrects it.
            let level = edges.lines()[0].active_at_start;
            // The same happens if a separate call reads the levels, as with a profile, which has no outputs.
            let is_read_apart = is_exact && !chip.capabilities().outputs && begun.load(Acquire) > changes;
            let may_say_later = bench.edges_merge() || said.is_none() && !is_exact || is_read_apart;
            corrected += u32::from(said != level && !may_say_later);
            let agrees = level.is_none_or(|level| level == (first.kind == EdgeKind::Falling));
            // If the levels do not fit, one edge must be reported as missing before the first, and only then.
            assert_eq!(first.missed.total(), u64::from(!agrees), "{said:?} {level:?} before {first:?}");
            assert!(agrees || begun.load(Acquire) - changes >= 2, "{said:?} {level:?} before {first:?}");
            contradicted += u32::from(!agrees);
        }
        println!(
            "{quiet} of 300 starts were without a change, {contradicted} before an edge that merged; {corrected} \
             levels were corrected"
        );
        // A few are possible on one processor too: a kernel thread waits for the lock that a read of the levels holds,
        // and on a busy computer the virtual machine does little between two changes.
        let (few, some) = if is_exact { (0, 0) } else { (2, 10) };
        assert!(corrected <= few, "{corrected} levels at the start were not what was said");
        assert!(contradicted <= some || bench.edges_merge(), "{contradicted} edges contradict the level at the start");
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                begun.fetch_add(1, AcqRel);
                bench.toggle(chip, 2, 1);
                ended.fetch_add(1, AcqRel);
                thread::sleep(Duration::from_micros(300));
            }
        });
        // Stop the other thread even if this fails; it would run without end.
        let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(watch));
        done.store(true, Relaxed);
        watched.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

pub fn two_requests_each_get_every_edge(bench: &dyn Bench) {
    let chip = bench.open();
    let mut all = chip.request().all_lines().queue_size(1024).start().unwrap();
    let mut one = chip.request().line(6).consumer("second").queue_size(1024).start().unwrap();
    let info = chip.line_info(6).unwrap();
    assert!(info.used && info.consumer.is_some());
    bench.toggle_all(&chip, &[(6, 100), (7, 100)]);
    let seen: Vec<_> = (0..200).map(|_| next(&mut all)).collect();
    assert_eq!(seen.iter().filter(|edge| edge.offset.get() == 6).count(), 100);
    assert!((1..=100).all(|number| next(&mut one).seqno == number));
    drop((all, one));
    assert_eq!(chip.request().line(6).start().unwrap().finish().total().total(), 0);
}

pub fn awaiting_is_the_same_as_waiting(bench: &dyn Bench) {
    let chip = bench.open();
    let mut edges = chip.request().line(1).queue_size(chip.info().max_queue_size.min(1024)).start().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| (0..100).for_each(|_| bench.toggle(&chip, 1, 2)));
        for number in 1..=200 {
            assert_eq!(block_on(edges.next()).unwrap().unwrap().line_seqno, bench.number(number));
        }
    });
    // A dropped future takes no edges with it.
    for number in 201..=300 {
        let mut once = Context::from_waker(std::task::Waker::noop());
        assert!(pin!(edges.next()).poll(&mut once).is_pending());
        bench.toggle(&chip, 1, 1);
        assert_eq!(block_on(edges.next()).unwrap().unwrap().line_seqno, bench.number(number));
    }
    edges.stopper().stop();
    assert!(block_on(edges.next()).is_none());
}

pub fn a_timeout_ends_nothing(bench: &dyn Bench) {
    let chip = bench.open();
    let mut edges = chip.request().line(1).start().unwrap();
    for number in 1..=5 {
        let began = Instant::now();
        let error = edges.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err();
        assert!(error.is_timeout() && began.elapsed() >= Duration::from_millis(20), "{error}");
        bench.toggle(&chip, 1, 1);
        assert_eq!(next(&mut edges).line_seqno, bench.number(number));
    }
    assert_eq!(edges.account().trust(), Trust::AtLeast);
    assert_eq!(edges.finish().trust(), chip.capabilities().account);
}

pub fn stopping_delivers_what_had_happened(bench: &dyn Bench) {
    let chip = bench.open();
    let mut edges = chip.request().lines([0, 1, 2]).queue_size(1024).start().unwrap();
    bench.toggle_all(&chip, &[(0, 300), (1, 200), (2, 100)]);
    edges.stopper().stop();
    edges.stopper().stop();
    let seen = rest(&mut edges);
    assert_eq!(seen.len(), 600);
    assert!(seen.iter().map(|edge| edge.seqno).eq(1..=600));
    assert!(edges.wait_next().is_none() && edges.next_ready().is_none());
    bench.toggle(&chip, 0, 5);
    let account = edges.finish();
    // Edges after the end are not counted, unless the chip counts them.
    let discarded = if chip.capabilities().account == Trust::Exact { 5 } else { 0 };
    assert_eq!(account.total(), Figures { delivered: 600, discarded, ..Figures::default() });
    assert_eq!(account.trust(), chip.capabilities().account);
}

pub fn stopping_wakes_a_waiting_thread(bench: &dyn Bench) {
    let chip = bench.open();
    let mut edges = chip.request().line(0).start().unwrap();
    let stopper = edges.stopper();
    let stop = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        stopper.stop();
    });
    assert!(edges.wait_next().is_none());
    stop.join().unwrap();
}

/// Checks that the account of a request is exactly what was driven on each line, and fits the edges that were seen.
fn assert_exact(account: &Account, driven: &[(u32, u64)], seen: &[EdgeEvent]) {
    assert!(account.doubt().is_none(), "{account:?}");
    for (line, &(offset, driven)) in account.lines().iter().zip(driven) {
        assert_eq!((line.offset.get(), line.trust), (offset, Trust::Exact));
        assert_eq!(line.figures.total(), driven, "{line:?}");
        let mine = seen.iter().filter(|edge| edge.offset.get() == offset);
        assert_eq!(mine.clone().count() as u64, line.figures.delivered, "{line:?}");
        let mut line_seqno = 0;
        for edge in mine {
            assert_eq!(edge.line_seqno, line_seqno + edge.missed.overflowed + 1, "a gap is an overflow: {edge:?}");
            line_seqno = edge.line_seqno;
        }
    }
    assert_eq!(account.lines().len(), driven.len());
}

pub fn the_account_is_exact_at_full_speed(bench: &dyn Bench) {
    const LINES: u32 = 8;
    const EACH: u64 = 20_000;
    let chip = bench.open();
    let mut edges = chip.request().lines(0..LINES).start().unwrap();
    let stopper = edges.stopper();
    let world = chip.clone();
    let driver = thread::spawn(move || {
        for _ in 0..10 {
            world.world().toggle_all((0..LINES).map(|line| (line, EACH as u32 / 10))).unwrap();
        }
        stopper.stop();
    });
    let seen = rest(&mut edges);
    driver.join().unwrap();
    assert!(seen.len() > 100, "{}", seen.len());
    assert_exact(&edges.finish(), &Vec::from_iter((0..LINES).map(|line| (line, EACH))), &seen);
}

pub fn the_account_is_exact_with_a_reader_that_is_too_slow(bench: &dyn Bench) {
    let chip = bench.open();
    let mut edges = chip.request().lines([0, 1]).queue_size(4).start().unwrap();
    let mut seen = Vec::new();
    for _ in 0..20 {
        bench.toggle_all(&chip, &[(0, 150), (1, 250)]);
        seen.push(next(&mut edges));
    }
    // The last edge of each line is delivered, and reports what is missing before it.
    bench.toggle_all(&chip, &[(0, 1), (1, 1)]);
    edges.stopper().stop();
    seen.extend(rest(&mut edges));
    let account = edges.finish();
    assert!(account.total().overflowed > 0, "{account:?}");
    let said: u64 = seen.iter().map(|edge| edge.missed.total()).sum();
    assert_eq!(said, account.total().lost(), "the edges report what was missing before them");
    assert_exact(&account, &[(0, 3001), (1, 5001)], &seen);
}

pub fn the_account_is_exact_when_finished_in_the_middle(bench: &dyn Bench) {
    let chip = bench.open();
    for taken in [0, 1, 7] {
        let mut edges = chip.request().lines([3, 0]).queue_size(16).start().unwrap();
        bench.toggle_all(&chip, &[(3, 500), (0, 100)]);
        let seen: Vec<_> = (0..taken).map_while(|_| edges.wait_next_timeout(Duration::ZERO)?.ok()).collect();
        let account = edges.finish();
        // The queue alone holds sixteen.
        assert!(account.total().discarded > 0);
        assert_exact(&account, &[(3, 500), (0, 100)], &seen);
    }
}

pub fn the_account_is_exact_when_dropped_in_the_middle(bench: &dyn Bench) {
    let chip = bench.open();
    // A handle closes when the system gets to it; until then its reader still watches.
    let is_over = || !chip.line_info(9).unwrap().used;
    until("the last request is over", is_over);
    let totals = || chip.totals().unwrap()[9].figures;
    for taken in 0..50 {
        // Drop the request while the line changes: some changes are no longer watched.
        let before = totals();
        let mut edges = chip.request().line(9).queue_size(64).start().unwrap();
        let tally = edges.tally();
        let world = chip.clone();
        let driver = thread::spawn(move || world.world().toggle(9, 400));
        for _ in 0..taken {
            let _ = edges.wait_next_timeout(Duration::from_millis(1));
        }
        drop(edges);
        driver.join().unwrap().unwrap();
        until("the request is over", || tally.is_final() && is_over());
        let after = totals();
        let came = tally.delivered() + tally.discarded();
        assert_eq!(after.delivered - before.delivered, came, "the driver delivered as many edges as came here");
        assert!(came + after.lost() - before.lost() <= 400);

        // Drop the request after all changes were watched: then the sum is known too.
        let before = totals();
        let mut edges = chip.request().line(9).queue_size(64).start().unwrap();
        let tally = edges.tally();
        bench.toggle(&chip, 9, 400);
        let delivered = (0..taken).map_while(|_| edges.wait_next_timeout(Duration::ZERO)?.ok()).count();
        drop(edges);
        until("the request is over", || tally.is_final() && is_over());
        let lost = totals().lost() - before.lost();
        assert_eq!(tally.delivered(), delivered as u64);
        assert_eq!(tally.delivered() + tally.discarded() + lost, 400);
    }
}

pub fn merged_edges_are_counted(bench: &dyn Bench) {
    let chip = bench.open();
    chip.world().merge_within(Duration::from_secs(3600)).unwrap();
    let mut edges = chip.request().lines([0, 1]).start().unwrap();
    bench.toggle_all(&chip, &[(0, 10), (1, 20)]);
    let seen = [next(&mut edges), next(&mut edges)];
    chip.world().merge_within(Duration::ZERO).unwrap();
    bench.toggle(&chip, 0, 1);
    let late = next(&mut edges);
    assert_eq!((late.missed.merged, late.missed.overflowed, late.line_seqno), (9, 0, 2));
    // Two lines: the interrupts were counted before they merged.
    assert_eq!(late.seqno, 31);
    let account = edges.finish();
    assert_eq!(account.total(), Figures { delivered: 3, merged: 28, ..Figures::default() });
    assert_exact(&account, &[(0, 11), (1, 20)], &[&seen[..], &[late]].concat());
}

pub fn lines_are_found_by_offset_and_by_name(bench: &dyn Bench) {
    let chip = bench.open();
    let lines = chip.lines().unwrap();
    assert_eq!(lines.len(), chip.info().lines as usize);
    let mut first_of = HashMap::new();
    for line in &lines {
        assert_eq!(chip.find(line.offset).unwrap(), line.offset);
        assert_eq!(chip.find(line.offset.to_string()).unwrap(), line.offset);
        if let Some(name) = &line.name {
            let first = *first_of.entry(name.clone()).or_insert(line.offset);
            assert_eq!(chip.find(&**name).unwrap(), first);
        }
    }
}

fn refused(result: Result<Request, Error>, kind: ErrorKind, parts: &[&str]) {
    let error = result.expect_err("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{error:?} says nothing of {part}");
    }
}

pub fn bad_requests_name_what_is_wrong(bench: &dyn Bench) {
    let chip = bench.open();
    let (name, lines) = (chip.info().name.clone(), chip.info().lines);
    let quoted = format!("\"{name}\"");
    let request = || chip.request();
    refused(request().line("no such line").start(), ErrorKind::NoSuchLine, &["\"no such line\"", &quoted]);
    refused(request().line("").start(), ErrorKind::NoSuchLine, &["\"\"", &quoted]);
    refused(request().line("-1").start(), ErrorKind::NoSuchLine, &["\"-1\""]);
    for beyond in [lines, u32::MAX] {
        let text = beyond.to_string();
        refused(request().line(beyond).start(), ErrorKind::NoSuchLine, &[&text, "out of range", &quoted]);
        refused(request().line(text.as_str()).start(), ErrorKind::NoSuchLine, &[&text, "out of range"]);
    }
    let huge = "99999999999999999999";
    refused(request().line(huge).start(), ErrorKind::NoSuchLine, &[huge]);
    refused(request().lines(["2", "02"]).start(), ErrorKind::LineTwice, &["\"2\"", "\"02\"", "same line", &quoted]);
    refused(request().all_lines().line(0).start(), ErrorKind::LineTwice, &["same line"]);
    refused(request().start(), ErrorKind::InvalidInput, &["no line", &quoted]);
    let has_queue = chip.info().max_queue_size > 0;
    let few = if has_queue { "queue size 1 " } else { "fixed size" };
    refused(request().line(0).queue_size(1).start(), ErrorKind::InvalidInput, &[few]);
    let too_long = chip.info().max_queue_size + 1;
    let many = if has_queue { &*format!("queue size {too_long} ") } else { few };
    refused(request().line(0).queue_size(too_long).start(), ErrorKind::InvalidInput, &[many]);
    // After all of these errors the chip still works.
    assert!(request().line(0).start().is_ok());
}

pub fn outputs_are_set_and_read_back(bench: &dyn Bench) {
    let chip = bench.open();
    let mut outputs = chip.set_values([(8, true), (7, false)]).unwrap();
    let shared = chip.capabilities().shared_lines;
    let seen_by_others = |values: [bool; 2]| match chip.values([7, 8]) {
        Ok(seen) => assert_eq!(seen, values),
        Err(error) => assert!(!shared && error.kind() == ErrorKind::Busy, "{error}"),
    };
    seen_by_others([false, true]);
    assert_eq!(outputs.values().unwrap(), [true, false], "in the requested order");
    assert_eq!(chip.line_info(8).unwrap().direction, Direction::Output);
    assert!(chip.world().drive(8, false).is_err(), "the world cannot drive an output");
    outputs.set_values([(7, true), (8, false)]).unwrap();
    seen_by_others([true, false]);
    assert_eq!(outputs.values().unwrap(), [false, true]);
    assert_eq!(outputs.set_value(6, true).unwrap_err().kind(), ErrorKind::NoSuchLine);
    assert_eq!(chip.set_values([(8, true), (8, false)]).unwrap_err().kind(), ErrorKind::LineTwice);
    assert_eq!(chip.set_values::<u32>([]).unwrap_err().kind(), ErrorKind::InvalidInput);
    let mut input = chip.request().line(6).start().unwrap();
    assert_eq!(input.set_value(6, true).unwrap_err().kind(), ErrorKind::InvalidInput);
    drop(outputs);
    // If lines are not shared, the driver decides what happens to a line that nobody holds.
    if shared {
        assert_eq!(chip.line_info(8).unwrap().direction, Direction::Input);
    }
    assert_eq!(chip.request().line(8).start().unwrap().lines().len(), 1);
    assert_eq!(chip.line_info(8).unwrap().direction, Direction::Input);
}

pub fn an_active_low_line_is_active_when_it_is_low(bench: &dyn Bench) {
    let chip = bench.open();
    bench.drive(&chip, 1, true);
    let mut edges = chip.request().line(1).active_low(true).start().unwrap();
    assert_eq!(edges.lines()[0].active_at_start, Some(false));
    assert!(!edges.value(1).unwrap());
    bench.drive(&chip, 1, false);
    assert_eq!(next(&mut edges).kind, EdgeKind::Rising);
    assert!(edges.value(1).unwrap());
}

pub fn a_request_is_reconfigured_without_a_break(bench: &dyn Bench) {
    let chip = bench.open();
    bench.drive(&chip, 4, false);
    let mut edges = chip.request().lines([4, 5]).start().unwrap();
    bench.toggle(&chip, 4, 1);
    assert_eq!(next(&mut edges).kind, EdgeKind::Rising);
    edges.reconfigure([(4, LineConfig::watch(Edges::Rising))]).unwrap();
    bench.toggle(&chip, 4, 2);
    let edge = next(&mut edges);
    assert_eq!((edge.kind, edge.line_seqno), (EdgeKind::Rising, 2));
    edges.reconfigure([(5, LineConfig::output(true))]).unwrap();
    assert!(edges.value(5).unwrap());
    assert_eq!(edges.reconfigure([(6, LineConfig::input())]).unwrap_err().kind(), ErrorKind::NoSuchLine);
    assert_eq!(edges.finish().total().delivered, 2);
}

pub fn a_line_shows_how_its_holder_holds_it(bench: &dyn Bench) {
    let (chip, other) = (bench.open(), bench.open());
    let drain = LineConfig::output(true).drive(Drive::OpenDrain).bias(Bias::PullUp);
    let low = LineConfig::watch(Edges::Falling).active_low(true);
    let request = chip.request().line_with(4, drain).line_with(5, low).consumer("holder").start().unwrap();
    // Opening a simulated chip again makes another chip.
    let views = if other.line_info(4).unwrap().used { vec![&chip, &other] } else { vec![&chip] };
    for view in views {
        let (output, input) = (view.line_info(4).unwrap(), view.line_info(5).unwrap());
        assert_eq!((output.config.drive, output.config.bias), (Drive::OpenDrain, Some(Bias::PullUp)));
        assert_eq!((output.direction, output.consumer.as_deref()), (Direction::Output, Some("holder")));
        assert_eq!((input.config.edges, input.config.active_low), (Some(Edges::Falling), true));
    }
    drop(request);
}

pub fn events_of_lines_are_reported(bench: &dyn Bench) {
    let chip = bench.open();
    let mut watcher = chip.watch_info([2, 3]).unwrap();
    let mut told = || {
        let event = watcher.wait_next_timeout(Duration::from_secs(20)).unwrap().unwrap();
        (event.kind, event.line.offset.get(), event.line.used, event.missed)
    };
    let mut request = chip.request().lines([1, 2]).consumer("it").start().unwrap();
    assert_eq!(told(), (InfoEventKind::Requested, 2, true, 0));
    request.reconfigure([(2, LineConfig::output(true))]).unwrap();
    assert_eq!(told(), (InfoEventKind::Reconfigured, 2, true, 0));
    drop(request);
    assert_eq!(told(), (InfoEventKind::Released, 2, false, 0));
    let _held = chip.request().line(3).start().unwrap();
    assert_eq!(told(), (InfoEventKind::Requested, 3, true, 0));
    watcher.stopper().stop();
    assert!(watcher.wait_next().is_none());
}

pub fn debouncing_is_refused_or_done(bench: &dyn Bench) {
    let chip = bench.open();
    bench.drive(&chip, 4, false);
    // Longer than a busy computer pauses.
    let period = Duration::from_millis(200);
    let request = chip.request().line(4).debounce(period).start();
    if !chip.capabilities().debounce {
        return refused(request, ErrorKind::Unsupported, &["does not debounce"]);
    }
    let mut edges = request.unwrap();
    assert_eq!(chip.line_info(4).unwrap().config.debounce, period);
    // A glitch, and bounces that end high.
    bench.toggle(&chip, 4, 20);
    assert!(!edges.value(4).unwrap());
    bench.toggle(&chip, 4, 7);
    let edge = next(&mut edges);
    assert_eq!((edge.kind, edge.line_seqno, edge.missed.total()), (EdgeKind::Rising, 1, 0));
    assert!(edges.value(4).unwrap());
    assert_exact(&edges.finish(), &[(4, 1)], &[edge]);
}

pub fn a_request_may_have_any_number_of_lines(bench: &dyn Bench) {
    let chip = bench.open();
    for lines in [1, 2, 64, 65, 512] {
        (0..lines).for_each(|line| bench.drive(&chip, line, false));
        let mut edges = chip.request().lines(0..lines).queue_size(1024).start().unwrap();
        assert!(edges.lines().iter().all(|line| line.active_at_start == Some(false)));
        for level in [true, false] {
            (0..lines).for_each(|line| bench.drive(&chip, line, level));
            assert!(edges.values().unwrap().iter().all(|&active| active == level));
        }
        edges.stopper().stop();
        let seen = rest(&mut edges);
        assert!(seen.iter().map(|edge| edge.offset.get()).eq((0..lines).chain(0..lines)), "{lines} lines: {seen:?}");
        assert!(seen.iter().map(|edge| edge.seqno).eq(1..=2 * lines));
        assert_exact(&edges.finish(), &Vec::from_iter((0..lines).map(|line| (line, 2))), &seen);
    }
}

/// Through a request, and through a monitor beside it.
pub fn numbers_wrap_with_edges_lost_on_both_sides(bench: &dyn Bench) {
    const ROUNDS: u32 = 20;
    const DRIVEN: [(u32, u32); 2] = [(0, 150), (1, 250)];
    // The numbers of line 0 reach zero in round 14, those of line 1 in round 9, and those of the request in round 6.
    let base = 0_u32.wrapping_sub(2_000);
    let chip = bench.open();
    chip.world().number_after(base).unwrap();
    let queue = || chip.request().lines([0, 1]).queue_size(4);
    let mut edges = queue().start().unwrap();
    let mut monitor = Monitor::builder().request(queue()).start().unwrap();
    let next_of_monitor = |monitor: &mut Monitor| {
        monitor.wait_next_timeout(Duration::from_secs(20)).map(|event| match event.unwrap() {
            Event::Edge { edge, .. } => edge,
            event => panic!("{event:?}"),
        })
    };
    let mut seen = [vec![], vec![]];
    for _ in 0..ROUNDS {
        bench.toggle_all(&chip, &DRIVEN);
        seen[0].push(next(&mut edges));
        seen[1].push(next_of_monitor(&mut monitor).unwrap());
    }
    // The last edge of each line is delivered, and reports what is missing before it.
    bench.toggle_all(&chip, &DRIVEN.map(|(line, _)| (line, 1)));
    edges.stopper().stop();
    seen[0].extend(rest(&mut edges));
    monitor.stopper().stop();
    seen[1].extend(std::iter::from_fn(|| next_of_monitor(&mut monitor)));
    chip.world().number_after(0).unwrap();
    for (account, seen) in [edges.finish(), monitor.finish().remove(0)].iter().zip(&seen) {
        assert!(account.doubt().is_none(), "{account:?}");
        for ((line, driven), told) in DRIVEN.iter().map(|&(line, each)| (line, each * ROUNDS + 1)).zip(account.lines())
        {
            assert_eq!((told.trust, told.figures.total()), (Trust::Exact, driven.into()), "{told:?}");
            let mine: Vec<_> = seen.iter().filter(|edge| edge.offset.get() == line).collect();
            assert_eq!(mine.len() as u64, told.figures.delivered);
            let (mut number, mut lost) = (base, [0, 0]);
            for edge in mine {
                number = number.wrapping_add(edge.missed.overflowed).wrapping_add(1);
                assert_eq!(edge.line_seqno, number, "a gap is an overflow: {edge:?}");
                lost[usize::from(number < base)] += edge.missed.overflowed;
            }
            assert_eq!(number, base.wrapping_add(driven), "it went on after zero");
            assert!(lost[0] > 0 && lost[1] > 0, "lost before and after the wrap: {lost:?}");
        }
        let last = seen.iter().map(|edge| edge.seqno.wrapping_sub(base)).max();
        assert_eq!(last, Some(400 * ROUNDS + 2), "the numbers of the request wrapped too");
    }
}

pub fn many_requests_come_and_go(bench: &dyn Bench) {
    let chip = bench.open();
    for round in 1..=300 {
        let mut edges = chip.request().line(round % bench.inputs()).start().unwrap();
        bench.toggle(&chip, round % bench.inputs(), 1);
        assert_eq!(next(&mut edges).line_seqno, bench.number(1));
    }
}

pub fn unplugging_ends_every_stream(bench: &dyn Bench) {
    let chip = bench.open();
    let mut waiting = chip.request().line(0).start().unwrap();
    let mut behind = chip.request().line(1).queue_size(64).start().unwrap();
    bench.toggle(&chip, 1, 1);
    let waiter = thread::spawn(move || (waiting.wait_next(), waiting));
    bench.unplug(&chip);
    let (end, mut waiting) = waiter.join().unwrap();
    assert!(end.unwrap().unwrap_err().is_disconnected());
    assert!(waiting.wait_next().is_none());
    // An edge that a wait brought before is still delivered.
    assert_eq!(next(&mut behind).line_seqno, 1);
    assert!(behind.wait_next().unwrap().unwrap_err().is_disconnected());
    let account = behind.finish();
    assert_eq!((account.trust(), account.total().delivered), (Trust::AtLeast, 1));
    assert!(account.doubt().unwrap().is_disconnected());
    assert!(chip.request().line(0).start().is_err());
    assert!(chip.reopen().unwrap_err().is_disconnected());
    bench.replug(&chip);
    assert!(chip.reopen().unwrap().request().line(0).start().is_ok(), "a new handle reaches the device");
    assert!(chip.value(0).is_err(), "the old handle does not");
}
