//! How a profile handles records without edges: records of another kind or of unknown lines, levels that are the same
//! as before, and counters without a level. It invents neither edges nor losses.

#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "support/feeder.rs"]
mod feeder;

use std::sync::Arc;
use std::time::Duration;

use linewake::profile::Profile;
use linewake::{Chip, EdgeKind, Edges, Error, ErrorKind, Figures, Request, Trust};

use self::feeder::Feeder;
use test_support::stream::{LONG, end, nothing_comes, seen};

/// A profile with a call that waits and gives these bytes.
fn fed(lines: &str, wait: &str, output: &str) -> String {
    format!(
        "name = 'fed'\n{lines}\n[call.wait]\ndevice_type = 0x8000\nfunction = 0x801\nmethod = 'buffered'\naccess = 'read'\n\
         output = {{ {output} }}\n[wait]\nby = 'call'\ncall = 'wait'\n{wait}"
    )
}

/// A profile that reads a device.
fn read(lines: &str, wait: &str, output: &str) -> String {
    format!("name = 'fed'\n{lines}\n[wait]\nby = 'read'\nreads = 'messages'\noutput = {{ {output} }}\n{wait}")
}

fn parse(text: &str) -> Profile {
    Profile::parse("fed.toml", text).unwrap_or_else(|error| panic!("{error}\n{text}")).allow_writes(true)
}

fn refused(text: &str) -> String {
    Profile::parse("fed.toml", text).map(|_| text.to_owned()).expect_err("it is refused").to_string()
}

fn request_of(feeder: &Arc<Feeder>, text: &str, edges: Edges) -> Request {
    let chip = Chip::from_profile(&parse(text), feeder.opener()).unwrap();
    chip.request().all_lines().edges(edges).start().unwrap()
}

/// Feeds these bytes, one completion each, and takes this many edges: the line, whether it rose, and what is missing
/// before it. Then it checks that nothing more comes.
fn told(text: &str, edges: Edges, fed: &[&[u8]], count: usize) -> (Vec<(u32, bool, u64)>, Figures) {
    let feeder = Feeder::new(&[]);
    let mut request = request_of(&feeder, text, edges);
    fed.iter().for_each(|bytes| feeder.feed(bytes));
    let told = seen(&mut request, count);
    nothing_comes(&mut request);
    let account = request.account();
    assert_ne!(account.trust(), Trust::None);
    (told, account.total())
}

fn error_after(text: &str, fed: &[&[u8]]) -> Error {
    let feeder = Feeder::new(&[]);
    let mut request = request_of(&feeder, text, Edges::Both);
    fed.iter().for_each(|bytes| feeder.feed(bytes));
    end(&mut request)
}

fn delivered(delivered: u64) -> Figures {
    Figures { delivered, ..Figures::default() }
}

/// A type, a code and a value. A key that is held down repeats, and a record of another type follows each report.
const KEYS: &str = "length = 60, record = 6, only = [{ at = 0, width = 2, is = 1 }], unknown_line = 'ignore', \
                    fields = { line = { at = 2, width = 2 }, edge = { at = 4, width = 2, rising = 1, falling = 0, others = 'ignore' } }";

fn key(kind: u16, code: u16, value: u16) -> Vec<u8> {
    [kind, code, value].into_iter().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn repeats_and_records_of_other_kinds_are_neither_edges_nor_losses() {
    let lines = "[[line]]\nname = 'power'\nnumber = 116\n[[line]]\nname = 'syn'\nnumber = 0";
    let syn = key(0, 0, 0);
    let press = [key(1, 116, 1), syn.clone()].concat();
    let again = [key(4, 4, 9), key(1, 116, 2), syn.clone()].concat();
    let release = [key(1, 116, 0), key(1, 30, 1), syn].concat();
    let (edges, figures) =
        told(&read(lines, "means = 'edge'", KEYS), Edges::Both, &[&press, &again, &again, &release], 2);
    assert_eq!(edges, [(0, true, 0), (0, false, 0)]);
    assert_eq!(figures, delivered(2));
}

/// Code 3 of kind 0 says that the device dropped records that its queue could not hold.
const LOSSES: &str = "lost = [{ at = 0, width = 2, is = 0 }, { at = 2, width = 2, is = 3 }], only = ";

#[test]
fn a_loss_that_the_device_reports_is_told_without_an_invented_number() {
    let lines = "[[line]]\nname = 'power'\nnumber = 116";
    let text = read(lines, "means = 'edge'", &KEYS.replace("only = ", LOSSES));
    let feeder = Feeder::new(&[]);
    let mut request = request_of(&feeder, &text, Edges::Both);
    let syn = key(0, 0, 0);
    feeder.feed(&[key(1, 116, 1), syn.clone()].concat());
    assert_eq!(request.wait_next_timeout(LONG).unwrap().unwrap().kind, EdgeKind::Rising);
    // Either a release and a press are lost, or no edge of this line.
    feeder.feed(&[key(0, 3, 0), syn.clone(), key(1, 116, 0), syn].concat());
    let edge = request.wait_next_timeout(LONG).unwrap().unwrap();
    assert_eq!((edge.kind, edge.missed.total()), (EdgeKind::Falling, 0));
    let account = request.finish();
    assert_eq!((account.total(), account.trust()), (delivered(2), Trust::AtLeast));
    let doubt = account.doubt().expect("the device has said something").to_string();
    assert!(doubt.contains("reported once that it lost records"), "{doubt}");
    // Without such a record there is no doubt.
    let feeder = Feeder::new(&[]);
    let mut request = request_of(&feeder, &text, Edges::Both);
    feeder.feed(&[key(1, 116, 1), key(0, 0, 0)].concat());
    request.wait_next_timeout(LONG).unwrap().unwrap();
    assert!(request.finish().doubt().is_none());
    let said = parse(&text).explain().to_string();
    assert!(said.contains("0 in bytes 0 to 1 and 3 in bytes 2 to 3 means that the device lost others"), "{said}");
    let sample = parse(&text).decode("read", &[key(0, 3, 0), key(1, 116, 1)].concat()).unwrap().to_string();
    assert!(sample.starts_with("record 0: the device says that it lost records\n"), "{sample}");
}

#[test]
fn after_a_loss_the_levels_are_read_anew() {
    let state = |each: &str, level: &str| {
        format!(
            "\n[levels]\ncall = 'state'\n[call.state]\ndevice_type = 0x8000\nfunction = 0x802\nmethod = 'buffered'\n\
             access = 'read'\n{each}output = {{ length = 1, fields = {{ {level} = {{ at = 0, width = 1 }} }} }}\n"
        )
    };
    let keys = KEYS.replace("only = ", LOSSES).replace(
        "edge = { at = 4, width = 2, rising = 1, falling = 0, others = 'ignore' }",
        "level = { at = 4, width = 2 }",
    );
    let at_once = state("", "levels");
    let one_by_one = state("input = { length = 1, fields = [{ at = 0, width = 1, value = 'line' }] }\n", "level");
    for state in [at_once, one_by_one] {
        let text = fed("lines = 2", &format!("means = 'level'{state}"), &keys);
        let feeder = Feeder::new(&[0]);
        let mut request = request_of(&feeder, &text, Edges::Both);
        let mut next = || request.wait_next_timeout(LONG).unwrap().unwrap();
        feeder.feed(&key(1, 0, 1));
        feeder.feed(&key(1, 1, 1));
        assert_eq!([next().kind, next().kind], [EdgeKind::Rising; 2]);
        // Both were released, but not reported.
        feeder.set_state(&[0]);
        feeder.feed(&key(0, 3, 0));
        let fell = [next(), next()].map(|edge| (edge.offset.get(), edge.kind, edge.missed.total()));
        assert_eq!(fell, [(0, EdgeKind::Falling, 0), (1, EdgeKind::Falling, 0)]);
        // Changes that were queued after the loss are already in the levels.
        feeder.feed(&key(1, 0, 0));
        feeder.feed(&key(1, 1, 1));
        let edge = next();
        assert_eq!((edge.offset.get(), edge.kind), (1, EdgeKind::Rising));
        assert_eq!(request.finish().total(), delivered(5));
    }
    let elsewhere = state_with_losses();
    assert!(refused(&elsewhere).contains("`lost` needs a call that reports edges"), "{}", refused(&elsewhere));
}

/// A call that reads levels cannot report lost edges.
fn state_with_losses() -> String {
    let levels = "length = 2, lost = [{ at = 1, width = 1, is = 1 }], fields = { levels = { at = 0, width = 1 } }";
    let wait = fed("lines = 1", "means = 'edge'\nedge = 'rising'\n[levels]\ncall = 'state'\n", "")
        .replace("output = {  }\n", "");
    format!(
        "{wait}[call.state]\ndevice_type = 0x8000\nfunction = 0x802\nmethod = 'buffered'\naccess = 'read'\n\
         output = {{ {levels} }}\n"
    )
}

#[test]
fn an_edge_of_another_number_is_a_fault_unless_said_otherwise() {
    let keys = KEYS.replace(", others = 'ignore'", "");
    let error = error_after(&read("lines = 2", "means = 'edge'", &keys), &[&key(1, 0, 2)]);
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("edge 2, which is neither 1 (rising) nor 0 (falling) (set `others"), "{error}");
    let keys = KEYS.replace("unknown_line = 'ignore', ", "");
    let error = error_after(&read("lines = 2", "means = 'edge'", &keys), &[&key(1, 9, 1)]);
    assert!(error.to_string().contains("line 9, which the profile does not have (set `unknown_line"), "{error}");
}

#[test]
fn a_shorter_message_of_another_kind_is_no_part_of_the_next() {
    let levels = "length = 4, only = [{ at = 0, width = 1, is = 1 }], rest = 'unused', fields = { levels = { at = 1, width = 2 } }";
    let text = read("lines = 16", "means = 'level'\n[levels]\nstart = 'inactive'", levels);
    let reports: [&[u8]; 5] = [&[1, 0b1, 0, 0], &[2, 90, 0], &[2], &[1, 0, 0, 0], &[1, 0, 0x80, 0]];
    let (edges, figures) = told(&text, Edges::Both, &reports, 3);
    assert_eq!(edges, [(0, true, 0), (0, false, 0), (15, true, 0)]);
    assert_eq!(figures, delivered(3));
    // A record of our kind that is too short is an error.
    let error = error_after(&text, &[&[1, 0, 0]]);
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("found 3 bytes"), "{error}");
}

#[test]
fn a_longer_message_of_another_kind_is_not_cut_into_records_where_each_has_one() {
    let levels = "length = 64, record = 4, records = 1, only = [{ at = 0, width = 1, is = 1 }], rest = 'unused', fields = { levels = { at = 1, width = 1 } }";
    let text = read("lines = 8", "means = 'level'\n[levels]\nstart = 'inactive'", levels);
    // After the first four bytes, each of the others looks like a record of ours, and the last is followed by more.
    let reports: [&[u8]; 5] =
        [&[1, 1, 0, 0], &[2, 9, 0, 1, 1, 0xff, 0, 0], &[2, 9, 0, 1, 1, 0xff], &[1, 0, 0, 0], &[1, 2, 0, 0, 1, 0xff]];
    let (edges, figures) = told(&text, Edges::Both, &reports, 3);
    assert_eq!(edges, [(0, true, 0), (0, false, 0), (1, true, 0)]);
    assert_eq!(figures, delivered(3));
    let sample = parse(&text).decode("read", reports[1]).unwrap().to_string();
    assert!(sample.starts_with("record 0: ignored") && !sample.contains("record 1"), "{sample}");
    assert_eq!(error_after(&text, &[&[1, 1, 0]]).kind(), ErrorKind::Malformed, "a record of ours that is too short");
    let said = refused(&text.replace("messages", "bytes"));
    assert!(said.contains("only a message has a number of `records`"), "{said}");
    assert!(refused(&text.replace("records = 1", "records = 17")).contains("1 to 16"));
}

#[test]
fn the_first_report_counts_by_the_level_at_the_start() {
    let levels = "length = 1, fields = { levels = { at = 0, width = 1 } }";
    let of = |start: &str| read("lines = 2", &format!("means = 'level'\n[levels]\nstart = '{start}'"), levels);
    assert_eq!(told(&of("inactive"), Edges::Both, &[&[0b01]], 1).0, [(0, true, 0)]);
    assert_eq!(told(&of("active"), Edges::Both, &[&[0b01]], 1).0, [(1, false, 0)]);
    assert_eq!(told(&of("unknown"), Edges::Both, &[&[0b01], &[0b11]], 1), (vec![(1, true, 0)], delivered(1)));
}

#[test]
fn a_count_of_one_direction_needs_no_level() {
    let count = "length = 4, fields = { count = { at = 0 } }";
    let of = |wait: &str, output: &str| fed("lines = 1", &format!("means = 'count'\n{wait}"), output);
    let counts: Vec<[u8; 4]> = [7_u32, 8, 9, 12].map(u32::to_le_bytes).to_vec();
    let counts: Vec<&[u8]> = counts.iter().map(|count| &count[..]).collect();
    let told_of = |wait: &str, output: &str, edges, count| told(&of(wait, output), edges, &counts, count);
    // The counter ran before, so its first reading gives no edges.
    let (edges, figures) = told_of("edge = 'rising'", count, Edges::Both, 3);
    assert_eq!(edges, [(0, true, 0), (0, true, 0), (0, true, 2)]);
    assert_eq!(figures.delivered + figures.lost(), 12 - 7);
    // One direction is requested: the count is not halved.
    assert_eq!(told_of("edge = 'rising'", count, Edges::Rising, 3).1, figures);
    assert_eq!(told_of("edge = 'falling'", count, Edges::Rising, 0).1, delivered(0));
    // It counts from zero when the device is opened: the first reading means seven edges.
    let from_zero = count.replace("at = 0", "at = 0, since = 'open'");
    let (edges, figures) = told_of("edge = 'falling'", &from_zero, Edges::Both, 4);
    assert_eq!(edges, [(0, false, 6), (0, false, 0), (0, false, 0), (0, false, 2)]);
    assert_eq!(figures.delivered + figures.lost(), 12);
    let said = refused(&of("", count));
    assert!(
        said.contains("the direction of an edge is not known; set for example `edge = \"rising\"` in [wait]"),
        "{said}"
    );
}

#[test]
fn a_count_that_is_told_because_of_an_edge_is_one_also_the_first_time() {
    let count = "length = 4, fields = { count = { at = 0, first = 'edge' } }";
    let of = |wait: &str, output: &str| fed("lines = 1", &format!("means = 'count'\n{wait}"), output);
    let counts: Vec<[u8; 4]> = [1001_u32, 1002, 1005].map(u32::to_le_bytes).to_vec();
    let counts: Vec<&[u8]> = counts.iter().map(|count| &count[..]).collect();
    let text = of("edge = 'rising'", count);
    let (edges, figures) = told(&text, Edges::Both, &counts, 3);
    assert_eq!(edges, [(0, true, 0), (0, true, 0), (0, true, 2)], "the thousand before are unknown");
    assert_eq!(figures.total(), 5);
    let notes = |text: &str| parse(text).notes().join("\n");
    assert!(!notes(&text).contains("`first"), "{}", notes(&text));
    let late = notes(&text.replace(", first = 'edge'", ""));
    assert!(late.contains("set `first = \"edge\"` in `count`, or that edge is missing"), "{late}");
    // The level gives the direction. An earlier level does not say how many edges there were.
    let level = "length = 5, fields = { count = { at = 0, first = 'edge' }, level = { at = 4, width = 1 } }";
    assert_eq!(told(&of("", level), Edges::Both, &[&[9, 0, 0, 0, 0]], 1).0, [(0, false, 0)]);
    let said = refused(&of("[levels]\nstart = 'inactive'", count));
    assert!(said.contains("needs the direction of that edge"), "{said}");
    let said = refused(&of("edge = 'rising'", &count.replace("first", "since = 'open', first")));
    assert!(said.contains("`first` needs `since = \"start\"`"), "{said}");
    let poll = text.replace("by = 'call'\ncall = 'wait'", "by = 'poll'\nperiod_us = 1000\nthen = 'wait'");
    assert!(refused(&poll).contains("a poll reads the counter once before"), "{}", refused(&poll));
}

#[test]
fn a_count_that_goes_back_is_no_loss() {
    let count = "length = 4, fields = { count = { at = 0 } }";
    let text = fed("lines = 1", "means = 'count'\nedge = 'rising'", count);
    let error = error_after(&text, &[&9_u32.to_le_bytes(), &4_u32.to_le_bytes()]);
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("the count of line 0 goes back, from 9 to 4"), "{error}");
}

#[test]
fn a_completion_can_be_the_edge_without_a_byte() {
    let text = fed("lines = 1", "means = 'edge'\nedge = 'falling'", "").replace("output = {  }\n", "");
    let (edges, figures) = told(&text, Edges::Both, &[&[], &[], &[]], 3);
    assert_eq!(edges, [(0, false, 0); 3], "the same direction again means nothing missing, because there is only one");
    assert_eq!(figures, delivered(3));
}

#[test]
fn each_record_of_a_chip_of_one_line_is_about_it() {
    let pulses = "length = 16, record = 4, fields = { level = { at = 0, bit = 24 } }, rest = 'unused'";
    let text = fed("lines = 1", "means = 'level'\n[levels]\nstart = 'inactive'", pulses);
    let record = |level: u32| (level << 24 | 560).to_le_bytes();
    let burst = [record(1), record(0), record(1), record(0)].concat();
    let (edges, figures) = told(&text, Edges::Both, &[&burst], 4);
    assert_eq!(edges, [(0, true, 0), (0, false, 0), (0, true, 0), (0, false, 0)]);
    assert_eq!(figures, delivered(4));
    let said = refused(&text.replace("lines = 1", "lines = 2"));
    assert!(said.contains("there is room for 4 records, and there are 2 lines"), "{said}");
}

#[test]
fn a_line_of_low_activity_is_turned_over_in_what_is_read() {
    let masks = "length = 2, fields = { rising = { at = 0, width = 1 }, falling = { at = 1, width = 1 } }";
    let lines = "active_low = true\n[[line]]\n[[line]]\nactive_low = false";
    let (edges, _) = told(&fed(lines, "means = 'mask'", masks), Edges::Both, &[&[0b11, 0], &[0, 0b11]], 4);
    assert_eq!(edges, [(0, false, 0), (1, true, 0), (0, true, 0), (1, false, 0)]);
    let levels = "length = 1, fields = { levels = { at = 0, width = 1 } }";
    let text = fed(lines, "means = 'level'\n[levels]\nstart = 'inactive'", levels);
    assert_eq!(told(&text, Edges::Both, &[&[0b01], &[0b10]], 2).0, [(0, true, 0), (1, true, 0)]);
    let edge =
        "length = 2, fields = { line = { at = 0, width = 1 }, edge = { at = 1, width = 1, rising = 1, falling = 0 } }";
    let (edges, _) = told(&fed(lines, "means = 'edge'", edge), Edges::Both, &[&[0, 1], &[1, 1]], 2);
    assert_eq!(edges, [(0, false, 0), (1, true, 0)]);
}

#[test]
fn unnamed_bytes_of_a_read_record_are_refused() {
    let unnamed = [
        (
            "length = 8, fields = { line = { at = 7, width = 1 }, edge = { at = 4, width = 2, rising = 1, falling = 0 } }",
            "bytes 0 to 3",
        ),
        ("length = 2, fields = { edge = { at = 0, width = 1, rising = 1, falling = 0 } }", "byte 1"),
        (
            "length = 1, fields = { edge = { at = 0, width = 1, bit = 5, bits = 2, rising = 1, falling = 0 } }",
            "bits 0, 1, 2, 3, 4, 7 of byte 0",
        ),
    ];
    for (output, says) in unnamed {
        let said = refused(&read("lines = 1", "means = 'edge'", output));
        assert!(said.contains(&format!("nothing says what {says} of a record contains")), "{said}");
        parse(&read("lines = 1", "means = 'edge'", &format!("{output}, rest = 'unused'")));
    }
    let named = "length = 2, only = [{ at = 1, width = 1, is = [1, 3] }], fields = { edge = { at = 0, width = 1, rising = 1, falling = 0 } }";
    let text = read("lines = 1", "means = 'edge'", named);
    assert_eq!(told(&text, Edges::Both, &[&[1, 3], &[0, 2], &[0, 1]], 2).0, [(0, true, 0), (0, false, 0)]);
}

#[test]
fn notes_name_what_has_no_effect() {
    let edge = "rest = 'unused', fields = { edge = { at = 0, width = 1, rising = 1, falling = 0 } }";
    let notes = |device: &str, length: &str| {
        let text = read(&format!("lines = 1\n[device]\n{device}"), "means = 'edge'", &format!("{length}, {edge}"));
        parse(&text).notes().join("\n")
    };
    let (alone, cut) = ("`exclusive` has no effect on Linux", "100 bytes is not a multiple of the record of 24 bytes");
    let both = notes("path = '/dev/input/event0'\nexclusive = true", "length = 100, record = 24");
    assert!(both.contains(alone) && both.contains(cut), "{both}");
    let none = notes("path = '/dev/input/event0'", "length = 96, record = 24");
    assert!(!none.contains("`exclusive`") && !none.contains("not a multiple"), "{none}");
    let windows = notes(r"path = '\\.\Card0'", "length = 100, record = 24, records = 1");
    assert!(!windows.contains("`exclusive`") && !windows.contains("not a multiple"), "{windows}");
}

#[test]
fn lines_do_not_share_a_bit() {
    let masks = "length = 4, fields = { levels = { at = 0 } }";
    let text = fed(
        "[[line]]\nname = 'a'\n[[line]]\nname = 'b'\nevent_bit = 0",
        "means = 'level'\n[levels]\nstart = 'inactive'",
        masks,
    );
    let said = refused(&text);
    assert!(said.contains("in `levels`, lines 0 (\"a\") and 1 (\"b\") have the same bit, 0"), "{said}");
}

#[test]
fn a_level_needs_one_to_begin_with() {
    let levels = "length = 1, fields = { levels = { at = 0, width = 1 } }";
    let said = refused(&fed("lines = 1", "means = 'level'", levels));
    assert!(said.contains("nothing gives the levels at the start; add [levels]"), "{said}");
}

#[test]
fn the_codes_of_another_system_are_named() {
    let text = fed(
        "lines = 1\n[device]\npath = '/dev/parport0'",
        "means = 'level'\n[levels]\nstart = 'inactive'",
        "length = 1, fields = { levels = { at = 0, width = 1 } }",
    );
    let code = "device_type = 0x8000\nfunction = 0x801\nmethod = 'buffered'\naccess = 'read'";
    let said = refused(&text.replace(code, "code = 0x80017081"));
    assert!(said.contains("as an ioctl 0x80017081 is _IOR, 1 bytes, type 0x70 'p', number 129"), "{said}");
    assert!(said.contains("write `ioctl = 0x80017081` instead of `code`"), "{said}");
    let said = refused(&text.replace(code, "ioctl = 0x80017081"));
    assert!(said.contains("this ioctl does not wait; in its [call] set `blocks = true`"), "{said}");
    let ioctl = text.replace(code, "ioctl = { direction = 'read', type = 'p', number = 0x81 }\nblocks = true");
    assert!(parse(&ioctl).needs_writes(), "an ioctl may change anything");
    let said = refused(&ioctl.replace("'/dev/parport0'", r"'\\.\PHDIo0'"));
    assert!(said.contains("the device is a Windows device, which has no ioctls"), "{said}");
}

#[test]
fn times_have_a_rate_of_their_own_and_wrap() {
    // 16 bits at 1 MHz: a period of 65.536 ms.
    let times = "length = 4, rest = 'unused', fields = { timestamp = { at = 0, width = 2, hz = 1000000 }, edge = { at = 2, width = 1, rising = 1, falling = 0 } }";
    let feeder = Feeder::new(&[]);
    let mut request = request_of(&feeder, &read("lines = 1", "means = 'edge'", times), Edges::Both);
    let mut at = |ticks: u16, level: u8| {
        feeder.feed(&[ticks.to_le_bytes()[0], ticks.to_le_bytes()[1], level, 0]);
        request.wait_next_timeout(LONG).expect("the watch goes on").unwrap().timestamp_ns
    };
    assert_eq!(at(65_000, 1), 65_000_000);
    assert_eq!(at(100, 0), 65_636_000, "it wrapped");
    assert_eq!(at(90, 1), 65_626_000, "a little before");
    let pair = "length = 13, fields = { timestamp = { at = 0, width = 8, unit = 's', fraction = { at = 8, unit = 'us' } }, edge = { at = 12, width = 1, rising = 1, falling = 0 } }";
    let feeder = Feeder::new(&[]);
    let mut request = request_of(&feeder, &read("lines = 1", "means = 'edge'", pair), Edges::Both);
    feeder.feed(&[&1_700_000_000_u64.to_le_bytes()[..], &999_999_u32.to_le_bytes(), &[1]].concat());
    let edge = request.wait_next_timeout(LONG).unwrap().unwrap();
    assert_eq!(edge.timestamp_ns, 1_700_000_000_999_999_000);
}

#[test]
fn a_gap_in_the_numbers_of_all_edges_is_a_loss_of_no_line_in_particular() {
    let record = "length = 4, record = 4, fields = { seqno = { at = 0, width = 2 }, levels = { at = 2, width = 1 } }, \
                  rest = 'unused'";
    let text = read("lines = 2", "means = 'level'\n[levels]\nstart = 'inactive'", record);
    let of = |number: u16, levels: u8| [&number.to_le_bytes()[..], &[levels, 0]].concat();
    // Numbers wrap. A number with a level that is not new counts as well.
    let fed = [of(0xfffe, 0b01), of(0xffff, 0b01), of(2, 0b11), of(3, 0b10), of(10, 0b11)];
    let fed: Vec<&[u8]> = fed.iter().map(Vec::as_slice).collect();
    let (edges, figures) = told(&text, Edges::Both, &fed, 4);
    assert_eq!(edges, [(0, true, 0), (1, true, 0), (0, false, 0), (0, true, 0)]);
    assert_eq!((figures.delivered, figures.lost()), (4, 2 + 6));
    // If only one direction or some lines are watched, the missing edges may be others.
    assert_eq!(told(&text, Edges::Rising, &fed, 3).1, delivered(3));
    let feeder = Feeder::new(&[]);
    let chip = Chip::from_profile(&parse(&text), feeder.opener()).unwrap();
    let mut request = chip.request().line(1).start().unwrap();
    fed.iter().for_each(|bytes| feeder.feed(bytes));
    assert_eq!(request.wait_next_timeout(LONG).unwrap().unwrap().offset.get(), 1);
    assert!(request.wait_next_timeout(Duration::from_millis(50)).unwrap().is_err());
    assert_eq!(request.finish().total(), delivered(1));
    // Numbers that go back cannot be numbers of these edges.
    let error = error_after(&text, &[&of(7, 0b01), &of(6, 0b00)]);
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("its numbers go back, from 7 to 6"), "{error}");
}

#[test]
fn gaps_in_a_lines_numbers_are_reported_with_levels_too() {
    let record = "length = 4, fields = { line = { at = 0, width = 1 }, level = { at = 1, width = 1 }, \
                  line_seqno = { at = 2, width = 2 } }";
    let text = read("lines = 2", "means = 'level'\n[levels]\nstart = 'inactive'", record);
    // The third record has no new level, and three are missing before it. The next edge reports them.
    let fed: [&[u8]; 5] = [&[0, 1, 1, 0], &[1, 1, 1, 0], &[0, 1, 5, 0], &[0, 0, 7, 0], &[1, 0, 2, 0]];
    let (edges, figures) = told(&text, Edges::Both, &fed, 4);
    assert_eq!(edges, [(0, true, 0), (1, true, 0), (0, false, 4), (1, false, 0)]);
    assert_eq!((figures.delivered, figures.overflowed, figures.merged), (4, 4, 0));
    // The same holds for a number that the device sends in a report without an edge.
    let record = "length = 4, fields = { line = { at = 0, width = 1 }, level = { at = 1, width = 1 }, \
                  overflowed = { at = 2, width = 2 } }";
    let text = read("lines = 2", "means = 'level'\n[levels]\nstart = 'inactive'", record);
    let (edges, _) = told(&text, Edges::Both, &[&[0, 1, 0, 0], &[0, 1, 2, 0], &[0, 0, 2, 0]], 2);
    assert_eq!(edges, [(0, true, 0), (0, false, 4)]);
}

#[test]
fn numbers_of_lines_fit_into_an_input() {
    let wait = "length = 1, fields = { levels = { at = 0, width = 1 } }";
    let text = |lines: &str, field: &str| {
        let text = fed(lines, "means = 'level'\n[levels]\nstart = 'inactive'", wait);
        let select = "[call.select]\ncode = 0x8000e00c\ninput = { length = 4, fields = [{ at = 0, FIELD }] }\n[wait]";
        text.replacen("[wait]", &select.replace("FIELD", field), 1).replacen("name", "setup = 'select'\nname", 1)
    };
    let numbers = "[[line]]\nnumber = 255\n[[line]]\nname = 'b'\nnumber = 0x100";
    let said = refused(&text(numbers, "width = 1, value = 'line'"));
    assert!(
        said.contains("line 1 (\"b\") has the number 256, but the field that sends it holds at most 255"),
        "{said}"
    );
    parse(&text(numbers, "width = 2, value = 'line'"));
    let said = refused(&text("[[line]]\nevent_bit = 9\nlevel_bit = 0", "width = 1, value = 'mask'"));
    assert!(said.contains("the mask that it sends has 8 bits, but line 0 has bit 9"), "{said}");
}

#[test]
fn a_driver_is_not_asked_for_edges_that_would_pass_for_others() {
    let text = fed("lines = 1", "for = 'line'\nmeans = 'edge'\nedge = 'rising'", "").replace("output = {  }\n", "");
    let wanted = "input = { length = 1, fields = [{ at = 0, width = 1, value = 'edges', rising = 1, falling = 2 }] }";
    let said = refused(&text.replacen("[wait]", &format!("{wanted}\n[wait]"), 1));
    assert!(said.contains("send the number of that edge instead of `value = \"edges\"`"), "{said}");
}

#[test]
fn a_mask_and_a_line_in_one_record_are_refused() {
    let both = "length = 2, fields = { line = { at = 0, width = 1 }, levels = { at = 1, width = 1 } }";
    let said = refused(&read("lines = 4", "means = 'level'\n[levels]\nstart = 'inactive'", both));
    assert!(said.contains("a record cannot have both `line` and a mask with a bit for each line"), "{said}");
}
