//! Profiles of cards with ioctls: waits that block in the call or are made when the file is ready, arguments and
//! answers by value and in a buffer, calls in sequence, and how and when waits are ended.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/ioctls.rs"]
mod ioctls;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ioctls::{Card, ETIMEDOUT};
use linewake::profile::Profile;
use linewake::{Chip, EdgeKind, Edges, ErrorKind, Figures, Request};
use overlapped::linux::Argument;
use overlapped::sim::{self, Driver, FileId, Outcome};
use overlapped::{Device, Status};
use test_support::stream::{LONG, nothing_comes, seen, wait_until};

/// How long to wait for something that must not happen.
const QUIET: Duration = Duration::from_millis(60);

const WAIT: &str = "[call.wait]\nioctl = 0x10\nblocks = true\nended_by = 'wake'\n[call.wake]\nioctl = 0x11\n";
const LEVELS: &str = "output = { length = 1, fields = { levels = { at = 0, width = 1 } } }\n";
const STATE: &str = "[call.state]\nioctl = 0x12\n";

fn profile(head: &str, calls: &str, wait: &str) -> Profile {
    let text = format!("name = 'card'\n{head}\n{calls}\n[wait]\nby = 'call'\ncall = 'wait'\n{wait}");
    Profile::parse("card.toml", &text).unwrap_or_else(|error| panic!("{error}\n{text}")).allow_writes(true)
}

fn request(card: &Arc<Card>, profile: &Profile) -> Request {
    let chip = Chip::from_profile(profile, card.opener()).unwrap();
    chip.request().all_lines().start().unwrap()
}

/// How many threads wait in a call, found by their names. Each blocks the signals that a program may wait for.
fn waiting_threads(name: &str) -> usize {
    /// SIGHUP, SIGINT, SIGUSR1 and SIGTERM.
    const SIGNALS: u64 = 1 | 1 << 1 | 1 << 9 | 1 << 14;
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let states = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    let field =
        |state: &str, key| state.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim().to_owned();
    let waiting = states.filter(|state| field(state, "Name:") == name);
    let blocks = |state: &String| u64::from_str_radix(&field(state, "SigBlk:"), 16).unwrap() & SIGNALS == SIGNALS;
    waiting.inspect(|state| assert!(blocks(state), "{state}")).count()
}

#[test]
fn a_wait_that_blocks_is_one_thread_and_is_ended_by_its_call() {
    let card = Card::new();
    card.set_levels(&[0b0001]);
    let text = format!(
        "name = 'card'\nlines = 4\nrelease = 'off'\n\
         [call.wait-once]\nioctl = 0x10\nblocks = true\nended_by = 'wake'\n{LEVELS}[call.wake]\nioctl = 0x11\n\
         {STATE}{LEVELS}[call.off]\nioctl = 0x20\nargument = 'value'\ninput = {{ bytes = '07' }}\n\
         [wait]\nby = 'call'\ncall = 'wait-once'\nmeans = 'level'\n[levels]\ncall = 'state'\n"
    );
    let profile = Profile::parse("card.toml", &text).unwrap().allow_writes(true);
    let mut edges = request(&card, &profile);
    wait_until(|| card.inside() == 1);
    assert_eq!(waiting_threads("wait wait-once"), 1);
    card.feed(&[0b0010]);
    card.feed(&[0b0110]);
    assert_eq!(seen(&mut edges, 3), [(0, false, 0), (1, true, 0), (2, true, 0)]);
    wait_until(|| card.inside() == 1);
    let began = Instant::now();
    drop(edges);
    assert!(began.elapsed() < Duration::from_millis(900), "its call ends it, and not the timeout");
    assert!(card.inside() == 0 && card.is_closed(), "no file is open any more");
    wait_until(|| waiting_threads("wait wait-once") == 0);
    let log = card.log();
    assert_eq!(log.first().map(String::as_str), Some("0x12 [00]"), "{log:?}");
    assert_eq!(log[log.len() - 2..], ["0x11", "0x20 7"], "the wait is ended, and then the card is released");
}

#[test]
fn results_before_the_stop_are_delivered_and_the_end_of_the_wait_is_not_an_edge() {
    for ends_with in [None, Some(ioctls::ECANCELED), Some(4), Some(5)] {
        let card = Card::new();
        card.ends_with(ends_with);
        let mut edges = request(&card, &profile("lines = 1", WAIT, "means = 'edge'\nedge = 'rising'\n"));
        for _ in 0..3 {
            card.feed(&[]);
        }
        // The thread is in the driver again, and all three results are taken from it.
        wait_until(|| card.waits() == 4 && card.inside() == 1);
        edges.stopper().stop();
        let left: Vec<_> = std::iter::from_fn(|| edges.wait_next()).map(|edge| edge.unwrap().kind).collect();
        assert_eq!(left, [EdgeKind::Rising; 3], "{ends_with:?}");
        assert_eq!(card.inside(), 0);
        assert_eq!(edges.finish().total(), Figures { delivered: 3, ..Figures::default() });
    }
}

#[test]
fn a_wait_that_nothing_ends_is_left_behind_until_the_driver_answers() {
    let card = Card::new();
    let calls = "[call.wait]\nioctl = 0x10\nblocks = true\n";
    let mut edges = request(&card, &profile("lines = 1", calls, "means = 'edge'\nedge = 'falling'\n"));
    card.feed(&[]);
    assert_eq!(seen(&mut edges, 1), [(0, false, 0)]);
    wait_until(|| card.inside() == 1);
    edges.stopper().stop();
    assert!(edges.wait_next().is_none());
    drop(edges);
    thread::sleep(QUIET);
    assert!(card.inside() == 1 && !card.is_closed(), "the call is in the driver, so the file stays open");
    card.feed(&[]);
    wait_until(|| card.is_closed());
    assert_eq!(card.inside(), 0);
}

#[test]
fn a_wait_that_times_out_goes_on_and_another_failure_is_the_end() {
    let card = Card::new();
    let mut edges =
        request(&card, &profile("lines = 1", WAIT, "means = 'edge'\nedge = 'rising'\nagain_on = ['timed-out']\n"));
    for _ in 0..3 {
        card.fail(ETIMEDOUT);
        card.feed(&[]);
    }
    assert_eq!(seen(&mut edges, 3), [(0, true, 0); 3]);
    card.fail(19);
    let error = edges.wait_next_timeout(LONG).unwrap().unwrap_err();
    assert!(error.is_disconnected(), "{error}");
    assert!(edges.wait_next().is_none());
    drop(edges);
    assert_eq!(card.inside(), 0);
}

#[test]
fn a_wait_that_times_out_while_nobody_looks_is_made_again() {
    let card = Card::new();
    let edges =
        request(&card, &profile("lines = 1", WAIT, "means = 'edge'\nedge = 'rising'\nagain_on = ['timed-out']\n"));
    for wait in 1..=3 {
        wait_until(|| card.waits() == wait && card.inside() == 1);
        // It waited, and changes between two waits would be missed.
        thread::sleep(QUIET);
        card.fail(ETIMEDOUT);
    }
    wait_until(|| card.waits() == 4 && card.inside() == 1);
    drop(edges);
    assert_eq!(card.inside(), 0);
}

#[test]
fn levels_that_are_told_only_after_the_setup_are_those_at_the_start() {
    let card = Card::new();
    card.has_to_be_claimed();
    card.set_levels(&[0b10]);
    let text = format!(
        "name = 'card'\nlines = 2\nsetup = 'claim'\n[call.claim]\nioctl = 0x14\n{STATE}{LEVELS}\
         [wait]\nby = 'poll'\nperiod_us = 1000\nthen = 'state'\nmeans = 'level'\n[levels]\ncall = 'state'\n"
    );
    let profile = Profile::parse("card.toml", &text).unwrap().allow_writes(true);
    let mut edges = request(&card, &profile);
    assert_eq!(edges.lines().iter().map(|line| line.active_at_start).collect::<Vec<_>>(), [Some(false), Some(true)]);
    card.set_levels(&[0b01]);
    assert_eq!(seen(&mut edges, 2), [(0, true, 0), (1, false, 0)]);
}

#[test]
fn a_driver_that_fails_each_wait_at_once_is_not_asked_all_the_time() {
    let card = Card::new();
    card.always_fails(Some(ETIMEDOUT));
    let mut edges =
        request(&card, &profile("lines = 1", WAIT, "means = 'edge'\nedge = 'rising'\nagain_on = ['timed-out']\n"));
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(300) {
        nothing_comes(&mut edges);
    }
    let waits = card.waits();
    assert!((4..40).contains(&waits), "{waits} waits in 300 ms");
    // As soon as it waits again, it works as usual.
    card.always_fails(None);
    card.feed(&[]);
    assert_eq!(seen(&mut edges, 1), [(0, true, 0)]);
}

#[test]
fn edges_of_unwatched_lines_slow_no_wait_down() {
    let says = |fields: &str| {
        let output = format!("output = {{ length = 2, fields = {{ {fields} }} }}\n");
        WAIT.replace("[call.wake]", &format!("{output}[call.wake]"))
    };
    let masks = says("rising = { at = 0, width = 1 }, falling = { at = 1, width = 1 }");
    let edge = says("line = { at = 0, width = 1 }, edge = { at = 1, width = 1, rising = 1, falling = 2 }");
    let count = says("line = { at = 0, width = 1 }, count = { at = 1, width = 1, since = 'last' }");
    // After each of 20 such reports, a driver that says nothing would be paused, in the end for a second each time.
    let cases = [
        (masks, "means = 'mask'\n", [1, 0], [4, 0]),
        (edge, "means = 'edge'\n", [0, 1], [2, 1]),
        (count, "means = 'count'\nedge = 'rising'\n", [0, 1], [2, 1]),
    ];
    for (calls, wait, other, ours) in cases {
        let card = Card::new();
        let chip = Chip::from_profile(&profile("lines = 4", &calls, wait), card.opener()).unwrap();
        let mut edges = chip.request().line(2_u32).edges(Edges::Rising).start().unwrap();
        let began = Instant::now();
        (0..20).for_each(|_| card.feed(&other));
        card.feed(&ours);
        assert_eq!(seen(&mut edges, 1), [(2, true, 0)], "{wait}");
        assert!(began.elapsed() < Duration::from_secs(5), "{wait}{:?}", began.elapsed());
    }
}

#[test]
fn a_driver_that_says_the_same_at_once_is_not_asked_all_the_time() {
    let masks = "output = { length = 1, fields = { changed = { at = 0, width = 1 } } }\n";
    for (output, wait) in [(masks, "means = 'mask'\n"), (LEVELS, "means = 'level'\n")] {
        let card = Card::new();
        card.ends_with(None);
        let calls = format!("[call.wait]\nioctl = 0x12\nblocks = true\n{output}[call.state]\nioctl = 0x12\n{LEVELS}");
        let mut edges = request(&card, &profile("lines = 4", &calls, &format!("{wait}[levels]\ncall = 'state'\n")));
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(300) {
            nothing_comes(&mut edges);
        }
        // As many results as can wait to be taken come before the first pause.
        let asked = card.log().len();
        assert!((4..100).contains(&asked), "{asked} calls in 300 ms: {wait}");
    }
}

#[test]
fn a_wait_that_tells_nothing_new_is_made_again_soon() {
    let other_kind =
        "only = [{ at = 0, width = 1, is = 1 }], fields = { edge = { at = 1, width = 1, rising = 1, falling = 0 } }";
    let other_edge =
        "fields = { edge = { at = 1, width = 1, rising = 1, falling = 0, others = 'ignore' } }, rest = 'unused'";
    let too_short = "fields = { levels = { at = 0, width = 2 } }";
    let level = "means = 'level'\n[levels]\nstart = 'inactive'\n";
    let cases = [
        (other_kind, "means = 'edge'\n", [2, 1], [1, 1]),
        (other_edge, "means = 'edge'\n", [0, 2], [0, 1]),
        // The pulse is over when the levels are read.
        (too_short, level, [0, 0], [1, 0]),
    ];
    for (output, wait, nothing, ours) in cases {
        let card = Card::new();
        let calls = WAIT.replace("[call.wake]", &format!("output = {{ length = 2, {output} }}\n[call.wake]"));
        let mut edges = request(&card, &profile("lines = 1", &calls, wait));
        let began = Instant::now();
        (0..30).for_each(|_| card.feed(&nothing));
        card.feed(&ours);
        assert_eq!(seen(&mut edges, 1), [(0, true, 0)], "{output}");
        assert!(began.elapsed() < Duration::from_secs(5), "{output}: {:?}", began.elapsed());
    }
}

#[test]
fn an_answer_may_be_what_the_ioctl_returns() {
    let card = Card::new();
    let calls = "[call.wait]\nioctl = 0x10\nblocks = true\nended_by = 'wake'\nargument = 'value'\nanswer = 'value'\n\
                 input = { bytes = '00 01' }\n\
                 output = { length = 4, fields = { line = { at = 0, width = 1 }, edge = { at = 1, width = 1, \
                 rising = 1, falling = 0 } } }\n[call.wake]\nioctl = 0x11\n";
    let mut edges = request(&card, &profile("lines = 4", calls, "means = 'edge'\n"));
    card.feed(&[3, 1]);
    card.feed(&[2, 0]);
    assert_eq!(seen(&mut edges, 2), [(3, true, 0), (2, false, 0)]);
}

#[test]
fn an_ioctl_is_made_when_the_file_is_ready() {
    for when in ["readable", "writable", "priority"] {
        let card = Card::new();
        let calls = format!("[call.wait]\nioctl = 0x13\nwhen = '{when}'\n{LEVELS}");
        let mut edges =
            request(&card, &profile("lines = 4", &calls, "means = 'level'\n[levels]\nstart = 'inactive'\n"));
        nothing_comes(&mut edges);
        card.feed(&[0b0100]);
        card.feed(&[0b0101]);
        assert_eq!(seen(&mut edges, 2), [(2, true, 0), (0, true, 0)]);
        // Results that are already there are still delivered after a stop.
        card.feed(&[0b0001]);
        edges.stopper().stop();
        let left: Vec<_> = std::iter::from_fn(|| edges.wait_next()).map(|edge| edge.unwrap().offset.get()).collect();
        assert!(left.len() <= 1 && left.iter().all(|&line| line == 2), "{left:?}");
    }
}

#[test]
fn a_file_that_is_ready_with_nothing_is_not_asked_all_the_time() {
    let card = Card::new();
    let calls = format!("[call.wait]\nioctl = 0x13\nwhen = 'readable'\n{LEVELS}");
    let mut edges = request(&card, &profile("lines = 4", &calls, "means = 'level'\n[levels]\nstart = 'inactive'\n"));
    let began = Instant::now();
    let (helper, over) = (card.clone(), Arc::new(Mutex::new(false)));
    let stop = over.clone();
    let crier = thread::spawn(move || {
        while !*stop.lock().unwrap() {
            helper.call_ready();
        }
    });
    while began.elapsed() < Duration::from_millis(300) {
        nothing_comes(&mut edges);
    }
    *over.lock().unwrap() = true;
    let looks = card.log().len();
    assert!((3..40).contains(&looks), "{looks} looks in 300 ms");
    card.feed(&[1]);
    assert_eq!(seen(&mut edges, 1), [(0, true, 0)]);
    // The other thread may still wait until somebody waits for the file.
    wait_until(|| crier.is_finished());
    crier.join().unwrap();
}

#[test]
fn a_driver_that_writes_more_than_the_profile_says_ends_the_watch_with_that() {
    let card = Card::new();
    let calls = WAIT.replace("ended_by = 'wake'\n", &format!("ended_by = 'wake'\n{LEVELS}"));
    let mut edges = request(&card, &profile("lines = 4", &calls, "means = 'level'\n[levels]\nstart = 'inactive'\n"));
    card.feed(&[1; 24]);
    let error = edges.wait_next_timeout(LONG).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    let said = error.to_string();
    for part in ["\"ioctl card\"", "\"card.toml\"", "\"wait\": the driver wrote 24 bytes, but the profile says 1"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn calls_for_lines_and_sequences_are_made_in_their_order() {
    let card = Card::new();
    card.set_levels(&[0]);
    let head = "lines = 3\nsetup = ['reset', 'enable']\nrelease = ['disable', 'reset']";
    let calls = "[call.reset]\nioctl = 0x20\n\
                 [call.enable]\nioctl = 0x21\nargument = 'value'\ninput = { length = 2, fields = [ \
                 { at = 0, width = 1, value = 'line' }, { at = 1, width = 1, value = 1 } ] }\n\
                 [call.disable]\nwrite = true\ninput = { length = 2, fields = [{ at = 0, width = 1, value = 'line' }] }\n\
                 [call.index]\nwrite = true\ninput = { bytes = '0b' }\n\
                 [call.ack]\nioctl = 0x22\ninput = { bytes = '01 02' }\n";
    let calls = format!("{calls}{STATE}{LEVELS}{WAIT}");
    let wait = "then = ['index', 'state', 'ack']\nmeans = 'level'\n[levels]\ncall = ['index', 'state']\n";
    let chip = Chip::from_profile(&profile(head, &calls, wait), card.opener()).unwrap();
    let mut edges = chip.request().lines([0, 2]).start().unwrap();
    wait_until(|| card.inside() == 1);
    let levels = ["write [0b]", "0x12 [00]"];
    let setup = ["0x20", "0x21 256", "0x21 258"];
    assert_eq!(card.log(), [&levels[..], &setup, &levels].concat());
    card.set_levels(&[0b100]);
    card.feed(&[]);
    assert_eq!(seen(&mut edges, 1), [(2, true, 0)]);
    wait_until(|| card.waits() == 2 && card.inside() == 1);
    assert_eq!(card.log()[7..], ["write [0b]", "0x12 [00]", "0x22 [01]"]);
    assert_eq!(edges.values().unwrap(), [false, true]);
    drop(edges);
    wait_until(|| card.is_closed());
    assert_eq!(card.log()[12..], ["0x11", "write [00, 00]", "write [02, 00]", "0x20"]);
}

/// A wait for each line, and an ioctl that ends them.
fn waits_for_each_line(lines: usize, end: u32) -> Profile {
    let text = format!(
        "name = 'card'\nlines = {lines}\n[call.each]\nioctl = 0x10\nblocks = true\nended_by = 'end'\n\
         input = {{ length = 1, fields = [{{ at = 0, width = 1, value = 'line' }}] }}\n[call.end]\nioctl = {end:#x}\n\
         [wait]\nby = 'call'\nfor = 'line'\ncall = 'each'\nmeans = 'edge'\nedge = 'rising'\n"
    );
    Profile::parse("card.toml", &text).unwrap().allow_writes(true)
}

#[test]
fn a_wait_for_each_line_is_a_thread_for_each_that_is_watched() {
    let card = Card::new();
    let profile = waits_for_each_line(5, 0x11);
    let chip = Chip::from_profile(&profile, card.opener()).unwrap();
    let mut edges = chip.request().lines([1, 2, 4]).edges(Edges::Rising).start().unwrap();
    wait_until(|| card.inside() == 3);
    assert_eq!(waiting_threads("wait each"), 3);
    card.feed_line(4, &[]);
    assert_eq!(seen(&mut edges, 1), [(4, true, 0)]);
    card.feed_line(1, &[]);
    assert_eq!(seen(&mut edges, 1), [(1, true, 0)]);
    wait_until(|| card.inside() == 3);
    drop(edges);
    assert_eq!(card.inside(), 0);
    wait_until(|| waiting_threads("wait each") == 0);
}

#[test]
fn waits_that_one_call_ends_all_make_up_no_edge() {
    let card = Card::new();
    card.ends_with(None);
    let profile = waits_for_each_line(8, 0x11);
    for _ in 0..20 {
        let mut edges = request(&card, &profile);
        wait_until(|| card.inside() == 8);
        edges.stopper().stop();
        assert!(edges.wait_next().is_none(), "nothing has happened");
    }
}

#[test]
fn many_waits_that_nothing_ends_are_left_as_soon_as_one() {
    let card = Card::new();
    let profile = waits_for_each_line(8, 0x20);
    let edges = request(&card, &profile);
    wait_until(|| card.inside() == 8);
    let began = Instant::now();
    drop(edges);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(card.inside(), 8);
    (0..8).for_each(|line| card.feed_line(line, &[]));
    wait_until(|| card.is_closed());
}

#[test]
fn a_file_that_is_always_ready_does_not_keep_a_watch_from_its_end() {
    struct Always;
    impl Driver for Always {
        fn control(&self, request: sim::Request) -> Outcome {
            request.complete(Status::INVALID_DEVICE_REQUEST)
        }

        fn ioctl(&self, _: FileId, _: u32, _: Argument<'_>) -> Result<u32, Status> {
            Ok(0)
        }

        fn ready(&self, request: sim::Request) -> Outcome {
            request.complete(Status::SUCCESS)
        }
    }

    let calls = "[call.wait]\nioctl = 0x13\nwhen = 'readable'\n";
    let profile = profile("lines = 1", calls, "means = 'edge'\nedge = 'rising'\n");
    let chip = Chip::from_profile(&profile, || Device::simulated(Always)).unwrap();
    let mut edges = chip.request().all_lines().start().unwrap();
    seen(&mut edges, 100);
    edges.stopper().stop();
    let stopped = Instant::now();
    while let Some(edge) = edges.wait_next() {
        edge.unwrap();
        assert!(stopped.elapsed() < LONG, "it has no end");
    }
}

#[test]
fn a_set_up_that_fails_half_way_is_undone() {
    let calls = format!("{WAIT}[call.on]\nioctl = 0x20\n[call.fails]\nioctl = 0x13\n[call.off]\nioctl = 0x21\n");
    for (setup, made) in [("['on', 'fails']", &["0x20", "0x13", "0x21"][..]), ("['fails', 'on']", &["0x13"])] {
        let card = Card::new();
        let head = format!("lines = 1\nsetup = {setup}\nrelease = 'off'");
        let chip = Chip::from_profile(&profile(&head, &calls, "means = 'edge'\nedge = 'rising'\n"), card.opener());
        let error = chip.unwrap().request().all_lines().start().unwrap_err();
        assert!(error.to_string().contains("0x00000013"), "{error}");
        // `release` is not sent if nothing was set up, because the device may belong to another program.
        assert_eq!(card.log(), made);
        assert!(card.is_closed());
    }
}

#[test]
fn a_dry_look_makes_no_call_that_nobody_allowed() {
    let card = Card::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    let dry = profile("lines = 1", WAIT, "means = 'edge'\nedge = 'rising'\n").allow_writes(false).dry(true);
    let dry = dry.traced(move |trace| sink.lock().unwrap().push(trace.to_string()));
    let mut edges = request(&card, &dry);
    nothing_comes(&mut edges);
    edges.stopper().stop();
    assert!(edges.wait_next().is_none());
    assert_eq!((card.waits(), card.log().len()), (0, 0));
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0], "opened \"ioctl card\"");
    assert!(
        seen.contains(&"wait: left out, with nothing: the number of an ioctl does not say what it changes".to_owned()),
        "{seen:?}"
    );
}

#[test]
fn calls_and_answers_are_traced_as_they_happen() {
    let card = Card::new();
    let seen_by = Arc::new(Mutex::new(Vec::new()));
    let sink = seen_by.clone();
    let calls = format!("{WAIT}[call.ack]\nwrite = true\ninput = {{ bytes = '01 00' }}\n");
    let traced = profile("lines = 1", &calls, "then = 'ack'\nmeans = 'edge'\nedge = 'rising'\n");
    let traced = traced.traced(move |trace| sink.lock().unwrap().push(trace.to_string()));
    let mut edges = request(&card, &traced);
    card.feed(&[9]);
    seen(&mut edges, 1);
    wait_until(|| card.waits() == 2);
    drop(edges);
    let seen = seen_by.lock().unwrap();
    let expected =
        ["wait: sent nothing", "wait: answered nothing, and returned 9", "ack: sent 01 00", "ack: answered nothing"];
    let from = seen.iter().position(|line| line == expected[0]).unwrap();
    assert_eq!(seen[from..from + 4], expected);
    assert!(seen.iter().any(|line| line.starts_with("wait: failed: ioctl 0x00000010")), "{seen:?}");
}
