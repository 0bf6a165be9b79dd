//! Profiles: a second card, every meaning of a completion, and errors in a file, each with its place.

#[path = "support/card.rs"]
mod card;
#[path = "support/feeder.rs"]
mod feeder;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use card::{Card, Make};
use feeder::Feeder;
use linewake::profile::Profile;
use linewake::{Chip, EdgeEvent, EdgeKind, Edges, Error, ErrorKind, Event, Figures, Monitor, Request, Trust};
use overlapped::Device;
use test_support::random::Random;
use test_support::stream::{next, seen, wait_until};

const CARD: &str = include_str!("../../../profiles/card.toml");
const SERIAL: &str = include_str!("../../../profiles/serial.toml");
const LINEWAKE: &str = include_str!("../../../profiles/linewake.toml");

fn card_chip() -> (Arc<Card>, Chip) {
    chip_of(Make::wide(), CARD)
}

fn chip_of(make: Make, profile: &str) -> (Arc<Card>, Chip) {
    let card = Card::new(make);
    let profile = Profile::parse("card.toml", profile).unwrap().allow_writes(true);
    let device = card.clone();
    let chip = Chip::from_profile(&profile, move || Device::simulated(device.clone())).unwrap();
    (card, chip)
}

fn rest(request: &mut Request) -> Vec<EdgeEvent> {
    std::iter::from_fn(|| request.wait_next()).map(|edge| edge.unwrap()).collect()
}

/// Waits until a later change cannot be in the levels that were read before.
fn let_it_settle() {
    thread::sleep(Duration::from_millis(150));
}

#[test]
fn the_second_card_tells_edges_by_its_levels() {
    let (card, chip) = card_chip();
    card.toggle(&[31], 1);
    assert_eq!(chip.values(["door", "pressure"]).unwrap(), [false, true]);
    let mut edges = chip.request().lines(["door", "pressure"]).start().unwrap();
    assert_eq!(edges.lines()[1].active_at_start, Some(true));
    card.toggle(&[1, 5], 1); // not requested
    card.toggle(&[0], 1);
    let door = next(&mut edges);
    assert_eq!((door.name.as_deref(), door.kind, door.missed.total()), (Some("door"), EdgeKind::Rising, 0));
    card.toggle(&[0, 31], 1);
    let both = [next(&mut edges), next(&mut edges)];
    assert_eq!(both.each_ref().map(|edge| (edge.offset.get(), edge.kind)), [0, 31].map(|at| (at, EdgeKind::Falling)));
    assert_eq!(edges.values().unwrap(), [false, false]);
    let account = edges.finish();
    assert_eq!((account.total(), account.trust()), (Figures { delivered: 3, ..Figures::default() }, Trust::AtLeast));
}

/// `multiin/profile.toml` was written from the datasheet beside it and docs/profiles.md only.
#[test]
fn a_profile_written_from_a_datasheet_drives_the_card() {
    let (card, chip) = chip_of(Make::multi_in(), include_str!("multiin/profile.toml"));
    card.toggle(&[15], 1);
    let mut edges = chip.request().lines(["IN0", "IN15"]).start().unwrap();
    assert_eq!(edges.lines().iter().map(|line| line.active_at_start).collect::<Vec<_>>(), [Some(false), Some(true)]);
    card.toggle(&[7], 1); // not requested
    card.toggle(&[0], 1);
    let first = next(&mut edges);
    assert_eq!((first.name.as_deref(), first.kind, first.missed.total()), (Some("IN0"), EdgeKind::Rising, 0));
    card.toggle(&[15], 1);
    let second = next(&mut edges);
    assert_eq!((second.name.as_deref(), second.kind, second.missed.total()), (Some("IN15"), EdgeKind::Falling, 0));
    let account = edges.finish();
    assert_eq!((account.total(), account.trust()), (Figures { delivered: 2, ..Figures::default() }, Trust::AtLeast));
}

#[test]
fn a_pulse_that_falls_together_is_an_edge_and_one_missing() {
    let (card, chip) = card_chip();
    let mut edges = chip.request().line("door").start().unwrap();
    let_it_settle();
    card.toggle(&[0], 2);
    let edge = next(&mut edges);
    assert_eq!((edge.kind, edge.missed.merged), (EdgeKind::Falling, 1));
    assert_eq!(edges.finish().total(), Figures { delivered: 1, merged: 1, ..Figures::default() });
}

#[test]
fn the_second_card_never_tells_of_more_than_happened() {
    let mut random = Random::new(7);
    for _ in 0..20 {
        let (card, chip) = card_chip();
        let mut edges = chip.request().lines(0..8).start().unwrap();
        let stopper = edges.stopper();
        let mut driven = [0_u64; 8];
        let changes: Vec<_> = (0..400).map(|_| (random.below(8), random.below(3) + 1, random.below(60))).collect();
        for (input, times, _) in &changes {
            driven[*input as usize] += u64::from(*times);
        }
        let world = thread::spawn(move || {
            for (input, times, pause_us) in changes {
                card.toggle(&[input], times);
                if pause_us > 20 {
                    thread::sleep(Duration::from_micros(pause_us));
                }
            }
            stopper.stop();
            card.levels()
        });
        let mut active = [false; 8];
        for edge in rest(&mut edges) {
            let now = edge.kind == EdgeKind::Rising;
            let before = std::mem::replace(&mut active[edge.offset.get() as usize], now);
            assert_eq!(before != now, edge.missed.total() % 2 == 0, "every edge turns the level over: {edge:?}");
        }
        let levels = world.join().unwrap();
        let account = edges.finish();
        for (line, driven) in account.lines().iter().zip(driven) {
            assert!(line.figures.total() <= driven, "{line:?} of {driven}");
        }
        // A single line may have changed back before it was read.
        assert!(account.total().delivered > 0);
        for (offset, active) in active.into_iter().enumerate() {
            assert_eq!(active, levels >> offset & 1 == 1, "the last edge of line {offset} is its level");
        }
    }
}

#[test]
fn one_direction_is_filtered_where_the_driver_cannot() {
    let (card, chip) = card_chip();
    let mut edges = chip.request().line(0).edges(Edges::Falling).start().unwrap();
    for _ in 0..3 {
        for _ in 0..2 {
            let before = card.readings.load(SeqCst);
            card.toggle(&[0], 1);
            wait_until(|| card.waits() == 2);
            let _ = edges.wait_next_timeout(Duration::from_millis(1));
            wait_until(|| card.readings.load(SeqCst) > before);
        }
    }
    edges.stopper().stop();
    let left = rest(&mut edges);
    assert!(left.iter().all(|edge| edge.kind == EdgeKind::Falling), "{left:?}");
    assert_eq!(edges.finish().total(), Figures { delivered: 3, ..Figures::default() });
}

#[test]
fn a_card_that_is_pulled_out_is_watched_again_when_it_is_back() {
    let (card, chip) = card_chip();
    let mut edges = chip.request().line(0).start().unwrap();
    let mut monitor = Monitor::builder()
        .request(chip.request().line(1))
        .reattach(true)
        .retry(Duration::from_millis(5))
        .start()
        .unwrap();
    card.plug(false);
    let end = edges.wait_next().unwrap().unwrap_err();
    assert!(end.is_disconnected() && edges.wait_next().is_none(), "{end}");
    assert!(chip.reopen().unwrap_err().is_disconnected() || chip.reopen().is_err());
    let Some(Ok(Event::Gap { gap, .. })) = monitor.wait_next() else { panic!("a gap comes first") };
    assert!(!gap.is_over && gap.reason.is_disconnected(), "{gap:?}");
    card.plug(true);
    let Some(Ok(Event::Gap { gap, .. })) = monitor.wait_next() else { panic!("its end comes next") };
    assert!(gap.is_over);
    card.toggle(&[1], 1);
    let Some(Ok(Event::Edge { edge, .. })) = monitor.wait_next() else { panic!("an edge comes") };
    assert_eq!((edge.offset.get(), edge.kind), (1, EdgeKind::Rising));
}

#[test]
fn calls_that_may_change_a_device_must_be_allowed_outside_of_the_file() {
    for (text, named) in [(CARD, "\"select\""), (SERIAL, "\"set-wait-mask\""), (LINEWAKE, "\"configure\"")] {
        let profile = Profile::parse("some.toml", text).unwrap();
        assert!(profile.needs_writes());
        let error =
            Chip::from_profile(&profile, || -> Result<Device, _> { panic!("it is not even opened") }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        for part in [named, "some.toml", "--allow-writes"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    // A call is not harmless just because the file says that it waits or reads levels.
    for access in ["any", "write", "read-write"] {
        let profile = fed(&format!("means = 'level'\n{}{STARTS}", output("levels = { at = 0, width = 1 }")))
            .replace("access = 'read'", &format!("access = '{access}'"));
        assert!(Profile::parse("x", &profile).unwrap().needs_writes(), "{access}");
    }
    // A call with an input needs permission: the driver may take the input for an address.
    let sends = fed(&format!("means = 'level'\n{}{STARTS}", output("levels = { at = 0, width = 1 }")));
    assert!(!Profile::parse("x", &sends).unwrap().needs_writes());
    let sends = sends.replace("output =", "input = { bytes = '01' }\noutput =");
    assert!(Profile::parse("x", &sends).unwrap().needs_writes());
    // No key of the file can give the permission.
    let error = Profile::parse("x", &format!("consent = true\n{CARD}")).unwrap_err();
    assert!(error.to_string().starts_with("x:1:1: unknown key \"consent\""), "{error}");
}

#[test]
fn a_profile_is_a_chip_by_its_path() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles/card.toml");
    for spec in [path.to_owned(), format!("profile:{path}")] {
        let error = Chip::open(&spec).unwrap_err();
        assert!(error.to_string().contains("--allow-writes"), "{error}");
        let error = Chip::options().allow_writes(true).open(&spec).unwrap_err();
        assert!(error.kind() == ErrorKind::Device && error.to_string().contains(r"\\.\Card0"), "{error}");
    }
    let error = Chip::open("no/such.toml").unwrap_err();
    assert!(error.kind() == ErrorKind::BadFile && error.to_string().contains("\"no/such.toml\""), "{error}");
}

/// A profile for the [`Feeder`]: its wait returns what the test feeds.
fn fed(wait: &str) -> String {
    format!("name = 'fed'\nlines = 4\n[wait]\nby = 'call'\ncall = 'wait'\n{wait}")
}

fn output(fields: &str) -> String {
    format!(
        "[call.wait]\ndevice_type = 0x8000\nfunction = 0x801\nmethod = 'buffered'\naccess = 'read'\n\
         output = {{ length = 16, record = 2, fields = {{ {fields} }} }}\n"
    )
}

const STARTS: &str = "[levels]\nstart = 'inactive'\n";
const STATE: &str = "[call.state]\ndevice_type = 0x8000\nfunction = 0x802\nmethod = 'buffered'\naccess = 'read'\n";
const LEVELS: &str = "output = { length = 1, fields = { levels = { at = 0, width = 1 } } }\n[levels]\ncall = 'state'\n";

fn request(feeder: &Arc<Feeder>, profile: &str) -> Request {
    let profile = Profile::parse("fed.toml", profile).unwrap_or_else(|error| panic!("{error}\n{profile}"));
    let chip = Chip::from_profile(&profile, feeder.opener()).unwrap();
    chip.request().all_lines().start().unwrap()
}

#[test]
fn an_edge_is_an_edge_and_its_numbers_tell_what_is_missing() {
    let fields = "line = { at = 0, width = 1 }, edge = { at = 1, width = 1, bit = 0, rising = 1, falling = 0 }, \
                  line_seqno = { at = 1, width = 1, bit = 1, bits = 7 }";
    let feeder = Feeder::new(&[]);
    let mut edges = request(&feeder, &fed(&format!("means = 'edge'\n{}", output(fields))));
    let record = |line: u8, rising: bool, number: u8| [line, number << 1 | u8::from(rising)];
    feeder.feed(&[record(2, true, 125), record(3, true, 9)].concat());
    feeder.feed(&[record(2, false, 126), record(2, true, 1)].concat());
    assert_eq!(seen(&mut edges, 4), [(2, true, 0), (3, true, 0), (2, false, 0), (2, true, 2)], "127 and 0 are missing");
    // The same direction twice.
    feeder.feed(&record(3, true, 10));
    assert_eq!(seen(&mut edges, 1), [(3, true, 1)]);
    feeder.feed(&record(3, false, 9));
    let error = edges.wait_next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("\"fed.toml\"") && error.to_string().contains("go back"), "{error}");
    assert_eq!(edges.finish().trust(), Trust::None);
}

#[test]
fn an_overflow_of_the_device_is_reported() {
    let fields = "line = { at = 0, width = 1 }, edge = { at = 1, width = 1, bit = 7, rising = 1, falling = 0 }, \
                  overflowed = { at = 1, width = 1, bit = 0, bits = 7 }";
    let feeder = Feeder::new(&[]);
    let mut edges = request(&feeder, &fed(&format!("means = 'edge'\n{}", output(fields))));
    feeder.feed(&[0, 0x80, 0, 5]);
    assert_eq!(seen(&mut edges, 2), [(0, true, 0), (0, false, 5)]);
    let account = edges.account();
    assert_eq!(account.total(), Figures { delivered: 2, overflowed: 5, ..Figures::default() });
    assert_eq!(account.trust(), Trust::AtLeast);
}

#[test]
fn a_level_of_a_line_is_the_edge_to_it() {
    let fields = "line = { at = 0, width = 1 }, level = { at = 1, width = 1 }";
    let feeder = Feeder::new(&[0b1000]);
    let profile = fed(&format!("means = 'level'\n{}{STATE}{LEVELS}", output(fields)));
    let mut edges = request(&feeder, &profile);
    feeder.feed(&[0, 9, 3, 1, 3, 0, 0, 9, 0, 0]);
    assert_eq!(
        seen(&mut edges, 3),
        [(0, true, 0), (3, false, 0), (0, false, 0)],
        "what is as before is no edge, and nothing is missing"
    );
    // The driver reports only changes, so line 3, which was active, must have gone down first.
    let feeder = Feeder::new(&[0b1000]);
    let mut edges = request(&feeder, &profile.replace("means = 'level'", "means = 'level'\nrepeats = 'loss'"));
    feeder.feed(&[0, 9, 3, 1, 3, 0]);
    assert_eq!(seen(&mut edges, 3), [(0, true, 0), (3, true, 1), (3, false, 0)]);
}

#[test]
fn masks_of_edges_are_edges() {
    let fields = "rising = { at = 0, width = 1 }, falling = { at = 1, width = 1 }";
    let feeder = Feeder::new(&[]);
    let mut edges = request(&feeder, &fed(&format!("means = 'mask'\n{}", output(fields))));
    feeder.feed(&[0b0101, 0b0100]);
    feeder.feed(&[0b0100, 0b0101]);
    let expected = [(0, true, 0), (2, true, 0), (2, false, 0), (0, false, 0), (2, true, 0), (2, false, 0)];
    assert_eq!(seen(&mut edges, 6), expected);
}

#[test]
fn changes_and_levels_of_one_moment_need_no_reading() {
    let fields = "changed = { at = 0, width = 1 }, levels = { at = 1, width = 1 }";
    let feeder = Feeder::new(&[0]);
    let mut edges = request(&feeder, &fed(&format!("means = 'mask'\n{}{STATE}{LEVELS}", output(fields))));
    feeder.feed(&[0b11, 0b01]);
    assert_eq!(seen(&mut edges, 2), [(0, true, 0), (1, false, 1)]);
}

#[test]
fn a_count_tells_how_many_are_missing() {
    let fields = "count = { at = 0, width = 1 }, level = { at = 1, width = 1 }";
    let feeder = Feeder::new(&[0]);
    // If the records have no line, they are the lines in order.
    let output = output(fields).replace("length = 16", "length = 8");
    let mut edges = request(&feeder, &fed(&format!("means = 'count'\n{output}")));
    feeder.feed(&[254, 0, 7, 1]); // the first reading
    feeder.feed(&[3, 1, 9, 1, 0, 0, 0, 0]);
    assert_eq!(seen(&mut edges, 2), [(0, true, 4), (1, true, 1)], "the counter wraps");
    assert_eq!(edges.account().total(), Figures { delivered: 2, merged: 5, ..Figures::default() });
}

#[test]
fn a_wait_for_each_line_says_which() {
    let feeder = Feeder::new(&[0]);
    let call = output("edge = { at = 1, width = 1, rising = 1, falling = 2 }")
        .replace("output =", "input = { length = 2, fields = [{ at = 0, width = 1, value = 'line' }] }\noutput =");
    let mut edges = request(&feeder, &fed(&format!("for = 'line'\nmeans = 'edge'\n{call}")));
    let waits = |of: u8| feeder.inputs.lock().unwrap().iter().filter(|(_, input)| **input == [of, 0]).count();
    wait_until(|| (0..4).all(|line| waits(line) == 2));
    feeder.feed_line(3, &[0, 1]);
    assert_eq!(seen(&mut edges, 1), [(3, true, 0)]);
    feeder.feed_line(1, &[0, 2]);
    feeder.feed_line(3, &[0, 2]);
    let two: HashMap<_, _> = seen(&mut edges, 2).into_iter().map(|(line, rising, _)| (line, rising)).collect();
    assert_eq!(two, HashMap::from([(1, false), (3, false)]));
}

#[test]
fn a_read_may_return_a_part_of_a_record() {
    let profile = "name = 'fed'\nlines = 4\n[wait]\nby = 'read'\nreads = 'bytes'\npending = 1\nmeans = 'edge'\n\
        output = { length = 3, record = 2, fields = { line = { at = 0, width = 1 }, \
        edge = { at = 1, width = 1, rising = 65, falling = 66 } } }";
    let feeder = Feeder::new(&[]);
    let mut edges = request(&feeder, profile);
    for piece in [&[0][..], &[65, 1, 65], &[0], &[66, 1]] {
        feeder.feed(piece);
    }
    feeder.feed(&[66]);
    assert_eq!(seen(&mut edges, 4), [(0, true, 0), (1, true, 0), (0, false, 0), (1, false, 0)]);
    edges.stopper().stop();
    assert!(edges.wait_next().is_none());
}

#[test]
fn a_poll_sees_what_stays_and_one_more_look_ends_it() {
    let profile = format!(
        "name = 'fed'\nlines = 4\n[wait]\nby = 'poll'\nperiod_us = 2000\nthen = 'state'\nmeans = 'level'\n\
         {STATE}output = {{ length = 1, fields = {{ levels = {{ at = 0, width = 1 }} }} }}"
    );
    let feeder = Feeder::new(&[0b0010]);
    let mut edges = request(&feeder, &profile);
    feeder.set_state(&[0b0100]);
    assert_eq!(seen(&mut edges, 2), [(1, false, 0), (2, true, 0)]);
    feeder.set_state(&[0b0101]);
    edges.stopper().stop();
    assert_eq!(rest(&mut edges).iter().map(|edge| edge.offset.get()).collect::<Vec<_>>(), [0]);
    // It polls once per period, and not all the time.
    let asked = || feeder.inputs.lock().unwrap().len();
    let idle = request(&feeder, &profile.replace("2000", "1000000"));
    let before = asked();
    thread::sleep(Duration::from_millis(30));
    assert_eq!(asked(), before);
    drop(idle);
}

#[test]
fn edges_come_in_the_order_that_the_profile_says_the_driver_has() {
    let fields = "line = { at = 0, width = 1 }, edge = { at = 1, width = 1, rising = 1, falling = 2 }";
    for (order, expected) in [
        ("", [(0, true, 0), (1, true, 0)]),
        ("order = 'submission'\n", [(0, true, 0), (1, true, 0)]),
        ("order = 'completion'\n", [(1, true, 0), (0, true, 0)]),
    ] {
        let feeder = Feeder::new(&[]);
        let profile = fed(&format!("pending = 2\n{order}means = 'edge'\n{}", output(fields)));
        let mut edges = request(&feeder, &profile);
        wait_until(|| feeder.waits() == 2);
        // The driver keeps its waits on a stack: the first change ends the last wait.
        feeder.feed_youngest(&[1, 1]);
        if order.contains("completion") {
            // Its result is delivered although the wait before it is pending.
            assert_eq!(seen(&mut edges, 1), expected[..1]);
            feeder.feed(&[0, 1]);
            assert_eq!(seen(&mut edges, 1), expected[1..]);
        } else {
            feeder.feed(&[0, 1]);
            assert_eq!(seen(&mut edges, 2), expected, "{order}");
        }
    }
    let reads = "name = 'fed'\nlines = 4\n[wait]\nby = 'read'\norder = 'completion'\nmeans = 'edge'\n\
        output = { length = 2, record = 2, fields = { line = { at = 0, width = 1 }, \
        edge = { at = 1, width = 1, rising = 1, falling = 2 } } }";
    let feeder = Feeder::new(&[]);
    let mut edges = request(&feeder, reads);
    wait_until(|| feeder.waits() == 2);
    feeder.feed_youngest(&[1, 1]);
    assert_eq!(seen(&mut edges, 1), [(1, true, 0)]);
    let said = fault(LINEWAKE, "pending = 2", "pending = 2\norder = 'youngest'");
    assert!(said.contains("unknown value \"youngest\"; expected \"submission\", \"completion\""), "{said}");
}

/// A program with exclusive access shares no lines. The system enforces the share mode itself, see below.
#[test]
fn a_device_opened_exclusively_shares_no_lines() {
    for (key, shared) in [("", true), ("exclusive = false\n", true), ("exclusive = true\n", false)] {
        let (_, chip) = chip_of(Make::wide(), &CARD.replacen("[device]\n", &format!("[device]\n{key}"), 1));
        assert_eq!(chip.capabilities().shared_lines, shared, "{key:?}");
    }
    let said = fault(CARD, "[device]\n", "[device]\nexclusive = 1\n");
    assert!(said.contains("\"device.exclusive\""), "{said}");
}

/// A plain file can be read like a device, and the system enforces its share mode.
#[cfg(windows)]
#[test]
fn exclusive_is_share_mode_0() {
    use overlapped::ErrorKind::Busy;
    use std::os::windows::fs::OpenOptionsExt as _;
    let directory = std::env::temp_dir();
    let path_of = |what: &str| directory.join(format!("linewake-exclusive-{}.{what}", std::process::id()));
    let (device, profile) = (path_of("bin"), path_of("toml"));
    std::fs::write(&device, [0; 2]).unwrap();
    for (key, alone) in [("", false), ("exclusive = true", true)] {
        let text = format!(
            "name = 'file'\nlines = 2\n[device]\npath = '\\\\?\\{}'\n{key}\n[wait]\nby = 'read'\npending = 1\nmeans = 'level'\n\
             output = {{ length = 2, record = 2, fields = {{ line = {{ at = 0, width = 1 }}, level = {{ at = 1, width = 1 }} }} }}\n\
             [levels]\nstart = 'unknown'\n",
            device.display()
        );
        std::fs::write(&profile, text).unwrap();
        let open = || Chip::open(&format!("profile:{}", profile.display()));
        let chip = open().unwrap();
        let held = chip.request().line(0).start().unwrap();
        for error in [open().err(), chip.request().line(1).start().err()] {
            let kind = error.as_ref().map(|error| error.device().expect("the system says it").kind());
            assert_eq!(kind, alone.then_some(Busy), "{key}: {error:?}");
        }
        assert_eq!(std::fs::File::open(&device).is_err(), alone, "{key}");
        drop((held, chip));
        // Its handle is closed when its last read has ended.
        wait_until(|| std::fs::OpenOptions::new().read(true).share_mode(0).open(&device).is_ok());
    }
    std::fs::remove_file(device).unwrap();
    std::fs::remove_file(profile).unwrap();
}

/// Wine 8 lists no interfaces, so no test finds a device by its interface. This tests the error if there is none.
#[test]
fn an_interface_of_which_there_is_no_device_is_named() {
    const GUID: &str = "{00DDBA11-0000-4000-8000-00000000DEAD}";
    let path = std::env::temp_dir().join(format!("linewake-interface-{}.toml", std::process::id()));
    let profile = CARD.replacen(r"path = '\\.\Card0'", &format!("interface = '{GUID}'"), 1);
    assert!(profile.contains(GUID));
    std::fs::write(&path, profile).unwrap();
    let error = Chip::options().allow_writes(true).open(&format!("profile:{}", path.display())).unwrap_err();
    std::fs::remove_file(path).unwrap();
    println!("{error}");
    let said = error.to_string();
    assert!(error.kind() == ErrorKind::Device && said.contains(GUID), "{said}");
    let remedies = match cfg!(windows) {
        // The list has no device, or there is no list.
        true => ["is it plugged in, and is its driver running?", "name the device by `path`"],
        false => ["a Windows device: this system is"; 2],
    };
    assert!(remedies.iter().any(|remedy| said.contains(remedy)), "{said}");
}

#[test]
fn the_setup_is_sent_first_and_the_release_last() {
    let profile = format!(
        "{}setup = ['begin', 'lines']\nrelease = 'end'\n{}",
        "name = 'fed'\nlines = 16\n",
        "[wait]\nby = 'call'\ncall = 'wait'\nmeans = 'mask'\n[call.wait]\ncode = 0x80006004\n\
         output = { length = 4, fields = { rising = { at = 0, width = 2 } } }\n\
         [call.begin]\ncode = '0x80002010'\ninput = { length = 3, bytes = '01 02' }\n\
         [call.lines]\ncode = 0x80002014\n\
         input = { length = 4, endian = 'big', each_line = true, fields = [{ at = 0, width = 2, value = 'line' }, \
         { at = 2, width = 1, value = 'edges', rising = 1, falling = 2 }, { at = 3, width = 1, value = 'lines' }] }\n\
         [call.end]\ncode = 0x80002018\ninput = { length = 2, fields = [{ at = 0, width = 2, value = 'mask' }] }\n"
    );
    let feeder = Feeder::new(&[]);
    let profile = Profile::parse("fed.toml", &profile).unwrap().allow_writes(true);
    let chip = Chip::from_profile(&profile, feeder.opener()).unwrap();
    drop(chip.request().line(3).line_with(9, linewake::LineConfig::watch(Edges::Rising)).start().unwrap());
    let sent = || feeder.inputs.lock().unwrap().clone();
    wait_until(|| sent().len() == 5);
    let waits = [(0x801, vec![]), (0x801, vec![])];
    let setup = [(0x804, vec![1, 2, 0]), (0x805, vec![0, 3, 3, 2, 0, 9, 1, 2])];
    assert_eq!(sent(), [&setup[..], &waits, &[(0x806, vec![0b1000, 0b10])]].concat());
}

/// The error for a profile that was changed at one place.
fn fault(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?}");
    let error: Error = Profile::parse("a.toml", &text.replacen(from, to, 1)).expect_err(to);
    assert_eq!(error.kind(), ErrorKind::BadFile, "{error}");
    error.to_string()
}

/// A text of the profile, what it is changed to, and a part of the error for that.
const FAULTS_OF_CARD: &[[&str; 3]] = &[
    ["pending = 2", "pendign = 2", "a.toml:49:1: unknown key \"pendign\" in \"wait\"; did you mean \"pending\"?"],
    ["lines = 32", "lines = 0", "a.toml:7:9: \"lines\": 0 is out of range; expected 1 to 1024"],
    ["lines = 32", "lines = 'many'", "a.toml:7:9: \"lines\": expected a number, found the text \"many\""],
    ["name = \"card\"", "", "a.toml:1:1: the key \"name\" is missing"],
    ["means = \"mask\"", "means = \"masks\"", "\"wait.means\": unknown value \"masks\"; did you mean \"mask\"?"],
    [
        "call = \"get-levels\"",
        "call = \"getlevels\"",
        "\"levels.call\": unknown call \"getlevels\"; did you mean \"get-levels\"?",
    ],
    [
        "{ changed = { at = 0 } }",
        "{ chanegd = { at = 0 } }",
        "unknown key \"chanegd\" in \"call.wait-change.output.fields\"; did you mean \"changed\"?",
    ],
    ["changed = { at = 0 }", "changed = { at = 0, width = 2 }", "`changed` has 16 bits, but line 16 has bit 16"],
    [
        "changed = { at = 0 }",
        "changed = { at = 2 }",
        "ends at byte 6, but there are 4 bytes; it has bytes 2 to 5; its `width` is 4 by default",
    ],
    [
        "changed = { at = 0 }",
        "changed = { at = 0 }, levels = { at = 2, width = 2 }",
        "a.toml:37:82: \"call.wait-change.output.fields.levels\": `levels` and `changed` have bytes in common",
    ],
    ["lines = 32", "lines = 2", "a.toml:7:9: \"lines\": there are 3 [[line]] sections for 2 lines; expected 3 or more"],
    ["lines = 32", "lines = 32\nlines = 33", "a.toml:8:1: the key \"lines\" is set twice"],
    ["[wait]", "[wiat]", "a.toml:46:2: unknown key \"wiat\"; did you mean \"wait\"?"],
    [
        "function = 0x801\n",
        "fonction = 0x801\n",
        "unknown key \"fonction\" in \"call.select\"; did you mean \"function\"?",
    ],
    [
        "name = \"light-barrier\"",
        "name = \"door\"",
        "the name \"door\" is already used at 14:8; give each line its own name",
    ],
    [
        r"'\\.\Card0'",
        r#""\\.\Card0""#,
        r"between double quotes a backslash begins an escape: write it in single quotes, '\\.\Card0'",
    ],
    [
        "method = \"buffered\"",
        "method = \"METHOD_BUFFERED\"",
        "unknown value \"METHOD_BUFFERED\"; expected \"buffered\", \"out-direct\"",
    ],
    ["setup = \"select\"\n", "", "nothing uses this call"],
    ["[levels]\ncall = \"get-levels\"", "", "nothing uses this call"],
    ["offset = 31", "offset = 0", "there are two [[line]] sections for line 0"],
    ["offset = 31", "number = 1", "lines 1 and 2 have the same number, 1"],
    ["method = \"buffered\"", "method = \"neither\"", "METHOD_NEITHER gives the driver addresses of this program"],
    ["method = \"buffered\"", "method = \"in-direct\"", "METHOD_IN_DIRECT"],
    ["function = 0x801\n", "", "\"call.select\" lacks `function`; set `code`, or the four fields of CTL_CODE"],
    [
        "function = 0x801\n",
        "function = 0x801\ncode = 1\n",
        "has `code`; remove `device_type`, `function`, `method` and `access`",
    ],
    [
        r"'\\.\Card0'",
        r"'\\server\share\x'",
        r#"expected the path of a local device, like '\\.\Card0' or "/dev/card0", found "\\server\share\x""#,
    ],
    [r"'\\.\Card0'", r"'\\.\UNC\server\x'", "expected the path of a local device"],
    [r"'\\.\Card0'", r"'\\?\GLOBALROOT\Device\Mup\server\x'", "expected the path of a local device"],
    [r"'\\.\Card0'", "'/dev/../etc/passwd'", "expected the path of a local device"],
    [r"path = '\\.\Card0'", "interface = '{86E0}'", "is not a GUID"],
    [r"path = '\\.\Card0'", "", "\"device\" needs exactly one of `path`, `interface` and `subsystem`"],
    ["value = \"mask\"", "value = \"musk\"", "unknown value \"musk\"; did you mean \"mask\"?, or a number"],
    ["value = \"mask\"", "value = \"queue\"", "such a call needs `max_queue`"],
    ["value = \"mask\"", "value = \"event\"", "only a setup call can send an event"],
    ["value = \"mask\"", "value = 0x1_0000_0000", "0x100000000 is out of range; expected 0 to 4294967295"],
    ["by = \"call\"", "by = \"poll\"", "\"wait\" lacks the key \"period_us\""],
    ["pending = 2", "pending = 2\nfor = \"each\"", "unknown value \"each\"; expected \"card\", \"line\""],
    ["[wait]", "[wait", "a.toml:46:6:"],
    [
        "length = 4, endian = \"big\", fields = [{ at = 0,",
        "bytes = '0g', fields = [{ at = 0,",
        "expected hexadecimal bytes like \"0a ff 00\", found \"g\"",
    ],
];

const FAULTS_OF_LINEWAKE: &[[&str; 3]] = &[
    ["edge = { at = 12, rising = 1, falling = 2 }\n", "", "the output of the wait lacks `edge`"],
    ["line = { at = 8 }\n", "", "`line`, which says the line of the edge"],
    ["rising = 1, falling = 2", "rising = 2, falling = 2", "must differ"],
    ["happened = { at = 8, width = 8 }\n", "", "its output lacks `happened`"],
    [
        "pending = 2",
        "pending = 256\nfor = \"line\"",
        "\"call.configure\": [wait] is for each line, but this is one call",
    ],
];

#[test]
fn an_error_names_its_place() {
    for (profile, faults) in [(CARD, FAULTS_OF_CARD), (LINEWAKE, FAULTS_OF_LINEWAKE)] {
        for [from, to, says] in faults {
            let said = fault(profile, from, to);
            assert!(said.contains(says), "{from} → {to}: {said}");
            assert!(said.starts_with("a.toml:"), "{said}");
        }
    }
    let said = fault(&LINEWAKE.replace("length = 2096", "length = 1048368"), "pending = 2", "pending = 256");
    assert!(said.contains("too much memory"), "{said}");
}

#[test]
fn the_error_without_a_wait_says_what_to_set() {
    let without = CARD.split("[wait]").next().unwrap();
    let error = Profile::parse("a.toml", without).unwrap_err().to_string();
    assert!(error.starts_with("a.toml:1:1: the section [wait] is missing; set `by` to what"), "{error}");
}

/// A profile with one wait and these output fields.
fn with_fields(fields: &str) -> Result<Profile, Error> {
    let text = format!(
        "name = 'bits'\nlines = 8\n[wait]\nby = 'call'\ncall = 'wait'\nmeans = 'edge'\n[call.wait]\ncode = 0x80006004\n\
         output = {{ length = 4, fields = {{ edge = {{ at = 0, width = 2, bit = 15, rising = 1, falling = 0 }}, {fields} }} }}"
    );
    Profile::parse("bits.toml", &text)
}

#[test]
fn only_fields_with_bits_can_share_a_word() {
    let shared = with_fields("line = { at = 0, width = 2, bits = 4 }, seqno = { at = 2, width = 2 }").unwrap();
    let dump = shared.decode("wait", &[5, 0x80, 7, 0]).unwrap().to_string();
    assert_eq!(dump, "record 0: line 5, edge rising, seqno 7\n");
    let fields = [
        ("line = { at = 0, width = 2, bit = 12, bits = 4 }", "`edge` and `line` have bytes in common"),
        ("line = { at = 1, width = 1 }", "`edge` and `line` have bytes in common"),
        ("line = { at = 2, width = 1 }, seqno = { at = 2, width = 2 }", "`seqno` and `line` have bytes in common"),
    ];
    for (fields, says) in fields {
        let error = with_fields(fields).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn notes_name_what_is_valid_but_odd() {
    let notes = |text: &str| Profile::parse("a.toml", text).unwrap().notes();
    let foreign = notes(CARD);
    if cfg!(windows) {
        assert_eq!(foreign, [""; 0]);
    } else {
        assert!(foreign[0].starts_with(r#"it opens "\\.\Card0", a Windows device: this system is "#), "{foreign:?}");
        let profile = Profile::parse("a.toml", CARD).unwrap().allow_writes(true);
        let error = Chip::from_profile(&profile, || Device::open(r"\\.\Card0")).unwrap_err().to_string();
        assert!(error.contains("a Windows device: this system is") && !error.contains("plugged in"), "{error}");
    }
    let local = "name = 'box'\nlines = 8\n[device]\npath = '/dev/box0'\n[levels]\nstart = 'inactive'\n[wait]\nby = 'read'\n\
                 reads = 'messages'\nmeans = 'level'\noutput = { length = 1, fields = { levels = { at = 0, width = 1 } } }";
    let foreign = notes(local);
    match cfg!(windows) {
        true => assert!(foreign[0].ends_with("a device file, which Windows does not have: this system is Windows")),
        false => assert_eq!(foreign, [""; 0]),
    }
    let assumed = notes(&local.replace("reads = 'messages'\n", ""));
    let assumed = assumed.last().unwrap();
    assert!(assumed.starts_with("`reads` is not set in [wait]") && assumed.contains("records of 1 bytes"), "{assumed}");
    let without = CARD.replace("[device]\n", "").replace("path = '\\\\.\\Card0'\n", "");
    assert_eq!(notes(&without), ["it names no device, so only a program can open it"]);
    let twice = without.replace("function = 0x803", "function = 0x802");
    assert!(
        notes(&twice)[1].starts_with("\"wait-change\" and \"get-levels\" are the same call: control code 0x"),
        "{:?}",
        notes(&twice)
    );
}

#[test]
fn a_profile_explains_itself_and_a_dump() {
    let serial = Profile::parse("serial.toml", SERIAL).unwrap();
    let explained = serial.explain().to_string();
    for part in [
        "line 2 is \"RI\"",
        r"It opens \\.\COM1, to read, exclusively.",
        "\"set-wait-mask\": control code 0x001b0044 (device type 0x001b, function 0x011, Buffered, access Any)",
        "a  bytes 0 to 3: the bits of the requested lines",
        "      byte 0\n           aaaa\n",
        "the least significant byte of a number comes first",
        "It keeps 1 of these pending for the card",
        "the levels are then read to know the direction",
        "The account is \"at least\"",
        "You must allow it (--allow-writes)",
    ] {
        assert!(explained.contains(part), "{part:?} is not in\n{explained}");
    }
    let dump = serial.decode("get-modemstatus", &[0x90, 0, 0, 0]).unwrap().to_string();
    assert!(dump.starts_with("record 0: levels 0b") && dump.contains("(lines CTS, DCD)"), "{dump}");
    assert_eq!(serial.decode("get", &[]).err().unwrap().kind(), ErrorKind::InvalidInput);
    assert_eq!(serial.decode("set-wait-mask", &[]).err().unwrap().kind(), ErrorKind::InvalidInput);
    assert_eq!(serial.decode("wait-on-mask", &[1, 2]).err().unwrap().kind(), ErrorKind::Malformed);

    let driver = Profile::parse("linewake.toml", LINEWAKE).unwrap();
    let explained = driver.explain().to_string();
    for part in [
        "The account is exact",
        "\n      byte 0   4   8   12  16  20  24  28\n           aaaaaaaabbbbccccddddeeeeffffgggg\n",
        "\n      .  bytes 4 to 39: zero\n",
        "\n      c  bytes 12 to 15, `edge`: the edge: 1 is rising, 2 is falling, any other number is an error\n",
    ] {
        assert!(explained.contains(part), "{part:?} is not in\n{explained}");
    }
    let mut bytes = vec![0; 48];
    bytes[0] = 1;
    bytes.extend([7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    let dump = driver.decode("wait-any", &bytes).unwrap().to_string();
    let expected = "record 0: line 3, edge falling, timestamp 7 ns, seqno 9, line_seqno 4, overflowed 1, merged 0\n";
    assert_eq!(dump, expected);
}

#[test]
fn a_file_that_is_no_text_or_too_large_is_refused() {
    let directory = std::env::temp_dir();
    let path = directory.join(format!("linewake-profile-{}.toml", std::process::id()));
    for bytes in [vec![0xff, 0xfe], vec![b'#'; (1 << 20) + 1]] {
        std::fs::write(&path, bytes).unwrap();
        let error = Profile::read(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadFile);
        assert!(error.to_string().contains("linewake-profile-"), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
}
