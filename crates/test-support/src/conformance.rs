//! What every chip has to do, whatever is behind it; and what one of the reference protocol has to do beside that, whoever
//! hosts the controller: the simulator or the real driver.
//!
//! Each test gets a bench: the chip, whose lines nobody else drives, and a hand on them. It leaves the chip as it was, but
//! for levels.

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

    /// Gives a line a level.
    fn drive(&self, chip: &Chip, line: u32, level: bool) {
        chip.world().drive(line, level).unwrap();
    }

    /// Changes lines in turn, one change of each after the other, until each has had its number.
    fn toggle_all(&self, chip: &Chip, lines: &[(u32, u32)]) {
        chip.world().toggle_all(lines.iter().copied()).unwrap();
    }

    /// Changes one line.
    fn toggle(&self, chip: &Chip, line: u32, times: u32) {
        self.toggle_all(chip, &[(line, times)]);
    }

    /// The number that an edge has, if it is the one that says so of all of them; zero where the chip numbers none.
    fn number(&self, number: u32) -> u32 {
        number
    }

    /// How many lines can be driven.
    fn inputs(&self) -> u32 {
        8
    }

    /// Whether edges of one line alone, hundreds of microseconds apart, may merge before the chip tells of them.
    fn edges_merge(&self) -> bool {
        false
    }

    /// Pulls the chip out, when what has happened has been read.
    fn unplug(&self, chip: &Chip) {
        chip.world().unplug().unwrap();
    }

    /// Pulls it out at once, whatever is on its way.
    fn snatch(&self, chip: &Chip) {
        self.unplug(chip);
    }

    /// Puts it back in.
    fn replug(&self, chip: &Chip) {
        chip.world().replug().unwrap();
    }
}

/// The reference protocol has a world of its own, and here 512 lines or more.
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
            what_becomes_of_lines_is_told
            debouncing_is_refused_or_done
            as_many_lines_as_one_likes
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
            stopping_wakes_who_waits
            lines_are_found_by_offset_and_by_name
            bad_requests_name_what_is_wrong
            outputs_are_set_and_read_back
            an_active_low_line_is_active_when_it_is_low
            a_request_is_held_otherwise_without_a_break
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
    // And with somebody who changes it meanwhile, so that now and then an edge comes before the level is read. To see it
    // fall on a gpiochip, have `level_at_start` (gpiochip/lines.rs) take no notice of the first edge.
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
                // Nobody changed it in all that time.
                assert_eq!(said, Some(changes % 2 == 1));
                quiet += 1;
            }
            let first = next(&mut edges);
            assert_eq!(first.line_seqno, 1);
            // An edge that was on its way through a kernel's thread tells what could not be told, or corrects what was.
            let level = edges.lines()[0].active_at_start;
            // So it does where the levels are read by a call of their own: by a profile, which has no outputs.
            let is_read_apart = is_exact && !chip.capabilities().outputs && begun.load(Acquire) > changes;
            let may_say_later = bench.edges_merge() || said.is_none() && !is_exact || is_read_apart;
            corrected += u32::from(said != level && !may_say_later);
            let agrees = level.is_none_or(|level| level == (first.kind == EdgeKind::Falling));
            // If one is missing before the first, that is said; and then one is.
            assert_eq!(first.missed.total(), u64::from(!agrees), "{said:?} {level:?} before {first:?}");
            assert!(agrees || begun.load(Acquire) - changes >= 2, "{said:?} {level:?} before {first:?}");
            contradicted += u32::from(!agrees);
        }
        println!(
            "{quiet} of 300 starts were in peace, {contradicted} before an edge that merged; {corrected} were corrected"
        );
        // On one processor too, where a kernel's thread waits for the lock that a read of the levels has, and a busy machine
        // lets the emulated one do little between two changes.
        let (few, some) = if is_exact { (0, 0) } else { (2, 10) };
        assert!(corrected <= few, "{corrected} levels at the start were not what was said");
        assert!(contradicted <= some || bench.edges_merge(), "{contradicted} edges contradict the level at the start");
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                begun.fetch_add(1, AcqRel);
                bench.toggle(&chip, 2, 1);
                ended.fetch_add(1, AcqRel);
                thread::sleep(Duration::from_micros(300));
            }
        });
        // Also if it fails: the other one would go on for ever.
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
    // A future that is dropped takes nothing with it.
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
    // What happened after the end is nobody's, unless the chip counts it.
    let discarded = if chip.capabilities().account == Trust::Exact { 5 } else { 0 };
    assert_eq!(account.total(), Figures { delivered: 600, discarded, ..Figures::default() });
    assert_eq!(account.trust(), chip.capabilities().account);
}

pub fn stopping_wakes_who_waits(bench: &dyn Bench) {
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

/// Whether the account of a request is exactly what was driven on each line, and fits the edges that were seen.
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
    // The last edge of each line is delivered, and says what is missing before it.
    bench.toggle_all(&chip, &[(0, 1), (1, 1)]);
    edges.stopper().stop();
    seen.extend(rest(&mut edges));
    let account = edges.finish();
    assert!(account.total().overflowed > 0, "{account:?}");
    let said: u64 = seen.iter().map(|edge| edge.missed.total()).sum();
    assert_eq!(said, account.total().lost(), "the edges said what was missing before them");
    assert_exact(&account, &[(0, 3001), (1, 5001)], &seen);
}

pub fn the_account_is_exact_when_finished_in_the_middle(bench: &dyn Bench) {
    let chip = bench.open();
    for taken in [0, 1, 7] {
        let mut edges = chip.request().lines([3, 0]).queue_size(16).start().unwrap();
        bench.toggle_all(&chip, &[(3, 500), (0, 100)]);
        let seen: Vec<_> = (0..taken).map_while(|_| edges.wait_next_timeout(Duration::ZERO)?.ok()).collect();
        let account = edges.finish();
        // The queue alone has sixteen.
        assert!(account.total().discarded > 0);
        assert_exact(&account, &[(3, 500), (0, 100)], &seen);
    }
}

pub fn the_account_is_exact_when_dropped_in_the_middle(bench: &dyn Bench) {
    let chip = bench.open();
    // A handle closes when the system gets to it; until then its reader still watches.
    let is_over = || !chip.line_info(9).unwrap().used;
    until("it comes to an end", is_over);
    let totals = || chip.totals().unwrap()[9].figures;
    for taken in 0..50 {
        // Dropped while the line changes: some of it nobody watches any more.
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
        until("it comes to an end", || tally.is_final() && is_over());
        let after = totals();
        let came = tally.delivered() + tally.discarded();
        assert_eq!(after.delivered - before.delivered, came, "what the driver gave away is what came here");
        assert!(came + after.lost() - before.lost() <= 400);

        // Dropped with all of it watched: then the sum is known too.
        let before = totals();
        let mut edges = chip.request().line(9).queue_size(64).start().unwrap();
        let tally = edges.tally();
        bench.toggle(&chip, 9, 400);
        let delivered = (0..taken).map_while(|_| edges.wait_next_timeout(Duration::ZERO)?.ok()).count();
        drop(edges);
        until("it comes to an end", || tally.is_final() && is_over());
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
    let few = if has_queue { "queue of 1 " } else { "has no queue" };
    refused(request().line(0).queue_size(1).start(), ErrorKind::InvalidInput, &[few]);
    let too_long = chip.info().max_queue_size + 1;
    let many = if has_queue { &*format!("queue of {too_long} ") } else { few };
    refused(request().line(0).queue_size(too_long).start(), ErrorKind::InvalidInput, &[many]);
    // And after all that it works.
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
    assert_eq!(outputs.values().unwrap(), [true, false], "in the order asked for");
    assert_eq!(chip.line_info(8).unwrap().direction, Direction::Output);
    assert!(chip.world().drive(8, false).is_err(), "an output is not the world's to drive");
    outputs.set_values([(7, true), (8, false)]).unwrap();
    seen_by_others([true, false]);
    assert_eq!(outputs.values().unwrap(), [false, true]);
    assert_eq!(outputs.set_value(6, true).unwrap_err().kind(), ErrorKind::NoSuchLine);
    assert_eq!(chip.set_values([(8, true), (8, false)]).unwrap_err().kind(), ErrorKind::LineTwice);
    assert_eq!(chip.set_values::<u32>([]).unwrap_err().kind(), ErrorKind::InvalidInput);
    let mut input = chip.request().line(6).start().unwrap();
    assert_eq!(input.set_value(6, true).unwrap_err().kind(), ErrorKind::InvalidInput);
    drop(outputs);
    // Where lines are not shared, what becomes of one that nobody holds is the driver's choice.
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

pub fn a_request_is_held_otherwise_without_a_break(bench: &dyn Bench) {
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
    // Of a simulated chip another opening is another chip.
    let views = if other.line_info(4).unwrap().used { vec![&chip, &other] } else { vec![&chip] };
    for view in views {
        let (output, input) = (view.line_info(4).unwrap(), view.line_info(5).unwrap());
        assert_eq!((output.config.drive, output.config.bias), (Drive::OpenDrain, Some(Bias::PullUp)));
        assert_eq!((output.direction, output.consumer.as_deref()), (Direction::Output, Some("holder")));
        assert_eq!((input.config.edges, input.config.active_low), (Some(Edges::Falling), true));
    }
    drop(request);
}

pub fn what_becomes_of_lines_is_told(bench: &dyn Bench) {
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
    // Longer than a busy machine stands still.
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

pub fn as_many_lines_as_one_likes(bench: &dyn Bench) {
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
    // Line 0 gets to zero in round 14, line 1 in round 9, and the request in round 6.
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
    // The last edge of each line is delivered, and says what is missing before it.
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
            assert_eq!(number, base.wrapping_add(driven), "it went on behind zero");
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
    // What a wait had brought before is still delivered.
    assert_eq!(next(&mut behind).line_seqno, 1);
    assert!(behind.wait_next().unwrap().unwrap_err().is_disconnected());
    let account = behind.finish();
    assert_eq!((account.trust(), account.total().delivered), (Trust::AtLeast, 1));
    assert!(account.doubt().unwrap().is_disconnected());
    assert!(chip.request().line(0).start().is_err());
    assert!(chip.reopen().unwrap_err().is_disconnected());
    bench.replug(&chip);
    assert!(chip.reopen().unwrap().request().line(0).start().is_ok(), "a new handle has the device again");
    assert!(chip.value(0).is_err(), "the old one has not");
}
