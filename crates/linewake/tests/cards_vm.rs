//! Profiles of cards whose drivers report with ioctls. They run in the virtual machine, where a kernel module behaves
//! like those drivers. The tests compare the edges that are reported with those that were driven.
#![cfg(all(target_os = "linux", not(miri)))]

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use linewake::{Chip, EdgeEvent, EdgeKind, Edges, ErrorKind, Figures, Request};
use test_support::cards::{Card, LONG, cards};
use test_support::stream::until_quiet;

const QUIET: Duration = Duration::from_millis(100);
/// The longest time for a stop that waits for nothing.
const SOON: Duration = Duration::from_secs(5);

/// The chip of a profile of the gallery, or of a profile in this file.
fn chip(name: &str, text: &str) -> Chip {
    let file = format!("/tmp/{name}.toml");
    fs::write(&file, text).unwrap();
    Chip::options().allow_writes(true).open(&file).unwrap_or_else(|error| panic!("{name}: {error}"))
}

macro_rules! gallery {
    ($name:literal) => {
        chip($name, include_str!(concat!("../../../profiles/", $name, ".toml")))
    };
}

fn watch(chip: &Chip, edges: Edges) -> Request {
    chip.request().all_lines().edges(edges).start().unwrap()
}

fn next(request: &mut Request) -> EdgeEvent {
    request.wait_next_timeout(LONG).expect("the watch goes on").unwrap()
}

/// The line, whether it rose, and what is missing before it.
fn told(request: &mut Request) -> (u32, bool, u64) {
    let edge = next(request);
    (edge.offset.get(), edge.kind == EdgeKind::Rising, edge.missed.total())
}

/// Takes edges until no more come.
fn rest(request: &mut Request) -> Vec<(u32, bool)> {
    let edges = until_quiet(request, QUIET);
    edges.iter().map(|edge| (edge.offset.get(), edge.kind == EdgeKind::Rising)).collect()
}

fn error_of(request: &mut Request) -> linewake::Error {
    loop {
        match request.wait_next_timeout(LONG).expect("it ends with an error") {
            Ok(_) => {}
            Err(error) => {
                assert!(!error.is_timeout(), "no error comes");
                return error;
            }
        }
    }
}

fn none(request: &mut Request) -> bool {
    request.wait_next_timeout(QUIET).is_some_and(|end| end.is_err_and(|error| error.is_timeout()))
}

/// Stops the request, and checks that this is fast.
fn stop(mut request: Request) -> Figures {
    let asked = Instant::now();
    request.stopper().stop();
    while let Some(edge) = request.wait_next_timeout(SOON) {
        edge.expect("a stop is the end");
    }
    let figures = request.finish().total();
    assert!(asked.elapsed() < SOON, "a stop took {:?}", asked.elapsed());
    figures
}

fn delivered(delivered: u64) -> Figures {
    Figures { delivered, ..Figures::default() }
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Drives edges one by one, each after the next wait has begun, and expects each of them to be reported.
fn every_edge_of(card: Card, request: &mut Request, waits: u64, lines: u32, rounds: u64) -> u64 {
    let before = card.state().driven;
    for round in 0..rounds {
        let line = (7 * round) as u32 % lines;
        card.until_waiting(waits);
        let level = (round / u64::from(lines)).is_multiple_of(2);
        card.set(line, level);
        assert_eq!(told(request), (line, level, 0), "round {round}");
    }
    card.state().driven - before
}

#[test]
fn a_wait_that_blocks_reports_every_edge_and_its_call_ends_it() {
    let Some(_one) = cards() else { return };
    let card = Card("apci");
    card.rest(24);
    card.set(3, true);
    let chip = gallery!("apci");
    assert_eq!(chip.values([2, 3, 23]).unwrap(), [false, true, false]);
    card.set(3, false);
    let mut request = watch(&chip, Edges::Both);
    let driven = every_edge_of(card, &mut request, 1, 24, 96);
    card.until_waiting(1);
    assert_eq!((stop(request), driven), (delivered(96), 96));
    card.until_left();
}

#[test]
fn edges_that_a_card_forgets_are_not_invented() {
    let Some(_one) = cards() else { return };
    let card = Card("apci");
    card.rest(24);
    let mut request = watch(&gallery!("apci"), Edges::Both);
    for burst in 1..=20 {
        card.until_waiting(1);
        card.toggle(5, burst);
        let edges = rest(&mut request);
        // The level is read after the wait, and two readings that differ mean an edge.
        assert!(edges.len() as u64 <= burst && edges.len() as u64 % 2 == burst % 2, "{burst} driven: {edges:?}");
        assert!(edges.windows(2).all(|two| two[0].1 != two[1].1), "{edges:?}");
    }
    let figures = stop(request);
    assert!(figures.total() <= 210, "210 driven: {figures:?}");
}

#[test]
fn unwatched_lines_delay_nothing() {
    let Some(_one) = cards() else { return };
    let card = Card("apci");
    card.rest(24);
    let chip = gallery!("apci");
    let mut request = chip.request().line(3).start().unwrap();
    let others = std::thread::spawn(move || {
        let began = Instant::now();
        for round in 0..200 {
            card.until_waiting(1);
            card.set(7, round % 2 == 0);
        }
        card.until_waiting(1);
        card.set(3, true);
        began.elapsed()
    });
    assert_eq!(told(&mut request), (3, true, 0));
    let took = others.join().unwrap();
    assert!(took < Duration::from_secs(40), "200 edges of another line took {took:?}");
    assert_eq!(stop(request), delivered(1));
    card.until_left();
}

#[test]
fn a_queue_of_a_card_is_emptied_and_what_had_no_room_is_known() {
    let Some(_one) = cards() else { return };
    let card = Card("adio");
    card.rest(16);
    let chip = gallery!("adio");
    let mut request = watch(&chip, Edges::Both);
    for round in 0..64 {
        let (line, level) = (round % 8, round / 8 % 2 == 0);
        card.set(line, level);
        assert_eq!(told(&mut request), (line, level, 0), "round {round}");
    }
    // An input of the other port raises no interrupt, and is not one of these lines.
    card.set(12, true);
    assert!(none(&mut request));
    let mut sum = 64;
    let mut driven = 64;
    for burst in [10, 100, 1000] {
        card.toggle(1, burst);
        sum += rest(&mut request).len() as u64;
        // The next edge reports what is missing before it.
        card.toggle(2, 1);
        sum += rest(&mut request).len() as u64;
        driven += burst + 1;
    }
    assert!(request.chip().value(0).is_err(), "one program has it open at a time");
    let account = request.account();
    let figures = stop(request);
    assert_eq!((figures.delivered, figures.delivered + figures.lost()), (sum, driven), "{account:?}");
    assert!(figures.lost() > 0, "its queue holds 16");
    card.until_left();
}

#[test]
fn an_answer_that_is_what_the_ioctl_returns_is_the_line_that_rose() {
    let Some(_one) = cards() else { return };
    let card = Card("uio48");
    card.rest(48);
    card.set(8, true);
    card.set(23, true);
    let chip = gallery!("uio48");
    assert_eq!(chip.values([0, 8, 15, 23]).unwrap(), [false, true, false, true]);
    card.rest(48);
    let mut request = watch(&chip, Edges::Rising);
    for line in (0..24).rev() {
        card.until_waiting(1);
        card.set(line, true);
        assert_eq!(told(&mut request), (line, true, 0));
        card.set(line, false);
    }
    // Everything that the driver queued is reported.
    card.toggle(4, 1000);
    assert_eq!(rest(&mut request), [(4, true); 500]);
    // A line without interrupts.
    card.set(30, true);
    assert!(none(&mut request));
    // Only an interrupt ends this wait. The program does not wait for it; the driver keeps the thread and the file.
    card.until_waiting(1);
    assert_eq!(stop(request), delivered(524));
    let left = card.state();
    assert_eq!((left.waiting, left.open), (1, 1), "nothing ends it");
    card.toggle(0, 2);
    card.until_left();
    // The driver keeps edges that come while nobody watches, and reports them first, as its profile says.
    card.toggle(1, 4);
    let mut request = watch(&chip, Edges::Rising);
    assert_eq!(rest(&mut request), [(1, true); 2]);
    drop(request);
    card.toggle(0, 2);
    card.until_left();
}

#[test]
fn a_polled_driver_has_no_wait_to_end() {
    let Some(_one) = cards() else { return };
    let card = Card("uio48");
    card.rest(48);
    let chip = gallery!("uio48-poll");
    let mut request = watch(&chip, Edges::Rising);
    for line in 0..24 {
        card.toggle(line, 2);
        assert_eq!(told(&mut request), (line, true, 0));
    }
    card.toggle(4, 200);
    assert_eq!(rest(&mut request), [(4, true); 100]);
    assert_eq!(stop(request), delivered(124));
    card.until_left();
    // Its interrupts are off.
    card.toggle(4, 2);
    let mut request = watch(&chip, Edges::Rising);
    assert!(none(&mut request));
    drop(request);
    card.until_left();
}

#[test]
fn a_wait_with_a_limit_of_its_own_goes_on_after_it() {
    let Some(_one) = cards() else { return };
    let card = Card("mpv");
    card.rest(20);
    let mut request = watch(&gallery!("mpv"), Edges::Rising);
    card.until_waiting(1);
    let calls = card.state().calls;
    // Two of the driver's limits of one second.
    sleep(Duration::from_millis(2500));
    assert!(none(&mut request));
    let more = card.state().calls - calls;
    assert!((1..=4).contains(&more), "{more} calls in two and a half seconds");
    for line in 0..20 {
        card.until_waiting(1);
        card.toggle(line, 2);
        assert_eq!(told(&mut request), (line, true, 0));
    }
    assert_eq!(stop(request), delivered(20));
    card.until_left();
}

#[test]
fn levels_are_read_after_a_wait_whose_answer_is_of_no_use() {
    let Some(_one) = cards() else { return };
    let card = Card("digitalio");
    card.rest(8);
    card.set(6, true);
    let chip = gallery!("digitalio");
    let mut request = watch(&chip, Edges::Both);
    assert_eq!(request.lines()[6].active_at_start, Some(true));
    card.until_waiting(1);
    card.set(6, false);
    assert_eq!(told(&mut request), (6, false, 0));
    let driven = every_edge_of(card, &mut request, 1, 8, 64);
    // A change that is over before it is read is not seen, and nothing is reported that did not happen.
    card.until_waiting(1);
    card.toggle(2, 6);
    let pulse = rest(&mut request);
    assert!(pulse.len() <= 6 && pulse.len().is_multiple_of(2), "{pulse:?}");
    let figures = stop(request);
    assert_eq!(figures, delivered(65 + pulse.len() as u64));
    assert_eq!(driven, 64);
    card.until_left();
}

#[test]
fn waits_of_lines_tell_every_edge_by_their_counters() {
    let Some(_one) = cards() else { return };
    let card = Card("per-line");
    card.rest(16);
    let chip = gallery!("per-line");
    let mut request = watch(&chip, Edges::Both);
    let driven = every_edge_of(card, &mut request, 16, 16, 64);
    assert_eq!(driven, 64);
    let before = card.state().driven;
    for round in 0..10 {
        for line in 0..16 {
            card.toggle(line, u64::from(line) * 10 + round);
        }
    }
    rest(&mut request);
    let driven = card.state().driven - before + 64;
    card.until_waiting(16);
    let figures = stop(request);
    assert_eq!(figures.delivered + figures.lost(), driven, "{figures:?}");
    card.until_left();
    // If only some lines are watched, there are waits only for these.
    let request = chip.request().lines([3, 5]).start().unwrap();
    card.until_waiting(2);
    drop(request);
    card.until_left();
}

#[test]
fn registers_behind_an_index_are_read_in_sequence() {
    let Some(_one) = cards() else { return };
    let card = Card("registers");
    card.rest(8);
    let mut request = watch(&gallery!("superio-ioctl"), Edges::Both);
    for round in 0..32 {
        let (line, level) = (round % 8, round / 8 % 2 == 0);
        card.set(line, level);
        assert_eq!(told(&mut request), (line, level, 0), "round {round}");
    }
    assert_eq!(stop(request), delivered(32));
    card.until_left();
}

#[test]
fn one_thread_waits_for_a_card_and_one_for_each_line_where_the_driver_wants_that() {
    let Some(_one) = cards() else { return };
    let (one, each) = (Card("apci"), Card("per-line"));
    // The threads that exist without a wait that blocks.
    let quiet = watch(&gallery!("adio"), Edges::Both);
    let without = threads();
    let card = gallery!("apci");
    let request = card.request().lines(0..16).start().unwrap();
    one.until_waiting(1);
    assert_eq!(threads(), without + 1);
    let lines = gallery!("per-line");
    let request_of_lines = lines.request().lines(0..16).start().unwrap();
    each.until_waiting(16);
    assert_eq!(threads(), without + 1 + 16);
    stop(request);
    stop(request_of_lines);
    one.until_left();
    each.until_left();
    let deadline = Instant::now() + LONG;
    while threads() > without {
        assert!(Instant::now() < deadline, "{} threads stay", threads() - without);
        sleep(Duration::from_millis(1));
    }
    drop(quiet);
}

/// The card whose driver misbehaves, with additional `keys` in its [wait].
fn rogue(output: &str, keys: &str) -> Chip {
    let text = format!(
        "name = 'rogue'\nlines = 16\n[device]\npath = '/dev/rogue0'\n\
         [call.wait]\nioctl = {{ direction = 'read', type = 'R', number = 1 }}\nblocks = true\nended_by = 'cancel'\n\
         output = {{ length = 8, {output} fields = {{ line = {{ at = 0 }}, level = {{ at = 4 }} }} }}\n\
         [call.cancel]\nioctl = {{ direction = 'none', type = 'R', number = 2 }}\n\
         [call.levels]\nioctl = {{ direction = 'read', type = 'R', number = 3 }}\n\
         output = {{ length = 4, fields = {{ levels = {{ at = 0 }} }} }}\n\
         [wait]\nby = 'call'\ncall = 'wait'\nmeans = 'level'\n{keys}\n[levels]\ncall = 'levels'\n"
    );
    chip("rogue", &text)
}

/// The card, reset from what another test made it do.
fn at_rest() -> Card {
    let card = Card("rogue");
    card.tell("behaves");
    card.rest(16);
    card.tell("behaves");
    card.until_left();
    card
}

#[test]
fn a_driver_that_writes_more_than_its_profile_says_is_an_error_and_nothing_else() {
    let Some(_one) = cards() else { return };
    let card = at_rest();
    let chip = rogue("", "");
    for more in [1, 8, 100, 4096, 12_000] {
        let mut request = watch(&chip, Edges::Both);
        card.until_waiting(1);
        card.tell(&format!("overrun {more}"));
        card.set(0, true);
        let error = error_of(&mut request);
        assert_eq!(error.kind(), ErrorKind::Malformed, "{more} more: {error}");
        assert!(error.to_string().contains("\"wait\""), "{error}");
        drop(request);
        at_rest();
    }
    // Nothing was damaged: the next watch works as usual.
    let mut request = watch(&chip, Edges::Both);
    assert_eq!(every_edge_of(card, &mut request, 1, 16, 64), 64);
    assert_eq!(stop(request), delivered(64));
    card.until_left();
}

#[test]
fn a_line_that_does_not_exist_ends_the_watch_or_is_ignored_as_the_profile_says() {
    let Some(_one) = cards() else { return };
    let card = at_rest();
    for line in ["16", "255", "0x7fffffff", "0xffffffff"] {
        let mut request = watch(&rogue("", ""), Edges::Both);
        card.tell(&format!("stray {line}"));
        assert_eq!(error_of(&mut request).kind(), ErrorKind::Malformed, "line {line}");
        drop(request);
        let mut request = watch(&rogue("unknown_line = 'ignore',", ""), Edges::Both);
        card.tell(&format!("stray {line}"));
        assert!(none(&mut request), "line {line}");
        card.set(15, true);
        assert_eq!(told(&mut request), (15, true, 0));
        card.set(15, false);
        assert_eq!(told(&mut request), (15, false, 0));
        assert_eq!(stop(request), delivered(2));
    }
    card.until_left();
}

#[test]
fn errors_at_once_end_the_watch_or_slow_it_down() {
    let Some(_one) = cards() else { return };
    let card = at_rest();
    // EIO.
    let mut request = watch(&rogue("", ""), Edges::Both);
    card.until_waiting(1);
    card.tell("fails 0 5");
    let error = error_of(&mut request);
    assert!(error.to_string().contains("\"wait\"") || error.device().is_some(), "{error}");
    drop(request);
    at_rest();
    // ETIMEDOUT and EINTR each time, without end: the wait is repeated, without a busy loop.
    for errno in [110, 4] {
        let mut request = watch(&rogue("", "again_on = ['timed-out', 'other']"), Edges::Both);
        card.until_waiting(1);
        card.tell(&format!("fails 0 {errno}"));
        let calls = card.state().calls;
        let looked = request.wait_next_timeout(Duration::from_secs(3)).expect("the watch goes on");
        assert!(looked.is_err_and(|error| error.is_timeout()), "errno {errno}");
        let calls = card.state().calls - calls;
        assert!((3..1000).contains(&calls), "errno {errno}: {calls} calls in three seconds");
        // When that ends, the watch works as usual after a pause of at most a second.
        card.tell("behaves");
        let looked = request.wait_next_timeout(Duration::from_secs(2)).expect("the watch goes on");
        assert!(looked.is_err_and(|error| error.is_timeout()), "errno {errno}");
        card.until_waiting(1);
        card.set(1, true);
        assert_eq!(told(&mut request), (1, true, 0));
        card.set(1, false);
        assert_eq!(told(&mut request), (1, false, 0));
        assert_eq!(stop(request), delivered(2));
        at_rest();
    }
}

#[test]
fn waits_that_end_at_once_with_what_is_known_are_no_edges() {
    let Some(_one) = cards() else { return };
    let card = at_rest();
    let mut request = watch(&rogue("", ""), Edges::Both);
    card.until_waiting(1);
    card.tell("early 1000");
    card.set(7, true);
    assert_eq!(told(&mut request), (7, true, 0));
    card.until_waiting(1);
    assert!(none(&mut request));
    assert_eq!(stop(request), delivered(1));
    card.until_left();
}

#[test]
fn a_wait_that_hears_no_signal_is_ended_by_its_call() {
    let Some(_one) = cards() else { return };
    let card = at_rest();
    card.tell("deaf 1");
    let mut request = watch(&rogue("", ""), Edges::Both);
    assert_eq!(every_edge_of(card, &mut request, 1, 16, 16), 16);
    card.until_waiting(1);
    assert_eq!(stop(request), delivered(16));
    card.until_left();
}

#[test]
fn a_driver_that_never_answers_delays_nothing() {
    let Some(_one) = cards() else { return };
    let card = at_rest();
    card.tell("deaf 1");
    card.tell("stubborn 1");
    let chip = rogue("", "");
    for _ in 0..3 {
        let mut request = watch(&chip, Edges::Both);
        card.until("waits", |state| state.waiting > 0);
        card.set(2, true);
        assert!(request.wait_next_timeout(QUIET).is_some());
        stop(request);
        card.set(2, false);
    }
    // Each edge ends one of the waits that were left behind.
    card.until("left", |state| {
        card.toggle(2, 2);
        state.waiting == 0 && state.open == 0
    });
    at_rest();
}
