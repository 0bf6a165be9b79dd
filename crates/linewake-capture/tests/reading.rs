//! Reading captures: whole, cut, appended, compressed, and spoiled.

use std::io::{self, Read, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use linewake_capture::{Capture, Edge, Item};

const START: &str = r#"{"record":"start","schema":3,"host":"pi","boot_id":"b","clock":"monotonic","utc_offset_ns":7,"utc_error_ns":1,"utc_synchronised":null}"#;

fn edge(chip: &str, at_ns: u64, kind: &str, number: u32) -> String {
    format!(
        r#"{{"record":"edge","chip":"{chip}","offset":17,"name":"door","kind":"{kind}","timestamp_ns":{at_ns},"seqno":{number},"line_seqno":{number},"missed":{{"overflowed":0,"merged":{number}}}}}"#
    )
}

fn stream(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [*line, "\n"]).collect()
}

/// All items, and the error if it failed.
fn items(name: &str, bytes: &[u8]) -> (Capture, Vec<Item>, Option<String>) {
    let mut capture = Capture::read(name, io::Cursor::new(bytes.to_vec())).unwrap();
    let mut items = Vec::new();
    loop {
        match capture.next() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (capture, items, None),
            Err(error) => return (capture, items, Some(error.to_string())),
        }
    }
}

fn edges(items: &[Item]) -> Vec<Edge> {
    items.iter().filter_map(|item| if let Item::Edge(edge) = item { Some(*edge) } else { None }).collect()
}

fn notices(items: &[Item]) -> Vec<String> {
    let notice = |item: &Item| if let Item::Notice(notice) = item { Some(notice.to_string()) } else { None };
    items.iter().filter_map(notice).collect()
}

fn segments(items: &[Item]) -> usize {
    let begins = items.iter().filter(|item| matches!(item, Item::Begin(_))).count();
    assert_eq!(items.iter().filter(|item| matches!(item, Item::End(_))).count(), begins, "each ends");
    begins
}

#[test]
fn a_record_is_the_same_however_it_is_laid_out() {
    let plain = edge("c", 5, "rising", 3);
    let spaced = plain.replace(':', ": ").replace(',', ", ");
    let turned = r#"{"missed":{"merged":3,"overflowed":0},"line_seqno":3,"seqno":3,"timestamp_ns":5,"kind":"rising","name":"door","offset":17,"chip":"c","record":"edge"}"#;
    let escaped = plain.replace("door", "\\u0064oor");
    let string = plain.replace(":5,", ":\"5\",");
    let text = stream(&[START, &string, &string, &plain, &plain, &spaced, turned, &escaped, &plain]);
    let (capture, items, error) = items("x", text.replace('\n', "\r\n").as_bytes());
    assert_eq!(error, None);
    let edges = edges(&items);
    assert_eq!(edges.len(), 8);
    assert!(edges.iter().all(|edge| *edge == edges[0]), "{edges:?}");
    assert_eq!((edges[0].timestamp_ns, edges[0].missed.merged, edges[0].seqno), (5, 3, 3));
    assert_eq!((capture.lines().len(), capture.lines()[0].name.as_deref()), (1, Some("door")));
}

#[test]
fn chips_with_identities_keep_their_places_over_segments() {
    let start = |first: &str, second: &str| {
        let chip = |name: &str, id: &str| format!(r#"{{"chip":"{name}","id":"{id}","name":"{name}","label":""}}"#);
        let chips = [chip("gpiochip0", first), chip("gpiochip1", second)].join(",");
        START.replace("\"schema\":3", "\"schema\":4").replace('}', &format!(",\"chips\":[{chips}]}}"))
    };
    let text = stream(&[
        &start("usb-1", "usb-2"),
        &edge("gpiochip0", 5, "rising", 1),
        &start("usb-2", "usb-1"),
        &edge("gpiochip0", 6, "rising", 1),
        &edge("gpiochip1", 7, "falling", 1),
    ]);
    let (capture, items, _) = items("x", text.as_bytes());
    let edges = edges(&items);
    let chip = |edge: &Edge| capture.chips()[capture.lines()[edge.line].chip].id.as_deref();
    assert_eq!(edges.iter().map(chip).collect::<Vec<_>>(), [Some("usb-1"), Some("usb-2"), Some("usb-1")]);
    assert_eq!(edges[0].line, edges[2].line);
}

#[test]
fn a_record_that_is_cut_costs_that_record_alone() {
    let whole = [START, &edge("c", 5, "rising", 1), &edge("c", 6, "falling", 2)];
    let cut = &whole[2][..whole[2].len() - 9];
    let again = stream(&whole);
    for (between, line) in [("", 3), ("\0\0\0\0", 3), ("\n", 3), ("\0\0\n\n", 3)] {
        let text = format!("{}\n{}\n{cut}{between}{again}", whole[0], whole[1]);
        let (_, items, error) = items("x", text.as_bytes());
        assert_eq!((error, edges(&items).len(), segments(&items)), (None, 3, 2), "{between:?}");
        let (said, has_zeros) = (notices(&items), between.ends_with('\0'));
        assert_eq!(said.len(), 1 + usize::from(has_zeros), "{said:?}");
        assert!(said.iter().any(|said| said.starts_with(&format!("\"x\":{line}: a record is cut off"))), "{said:?}");
    }
    for length in again.find('\n').unwrap() + 1..again.len() {
        let (_, items, error) = items("x", &again.as_bytes()[..length]);
        assert_eq!(error, None, "{length}");
        let is_whole = again[..length].ends_with("}}\n") || again[..length].ends_with("}}");
        let is_first = length == again.find('\n').unwrap() + 1;
        assert_eq!(notices(&items).is_empty(), is_whole || is_first, "{length}: {:?}", notices(&items));
    }
    // A name may contain anything.
    let name = r#"{\"record\":\"start\""#;
    let named = edge("c", 7, "rising", 1).replace("door", name);
    let (capture, items, error) = items("x", stream(&[START, &named, &named]).as_bytes());
    assert_eq!((error, edges(&items).len(), segments(&items)), (None, 2, 1));
    assert_eq!(capture.lines()[0].name.as_deref(), Some("{\"record\":\"start\""));
}

#[test]
fn errors_name_their_place() {
    let good = edge("c", 5, "rising", 1);
    for (line, says) in [
        (good.replace("\"offset\":17", "\"offset\":-1"), "\"x\":3:"),
        (good.replace("\"seqno\":1", "\"seqno\":4294967296"), "\"x\":3:"),
        (good.replace("rising", "up"), "unknown variant `up`"),
        (good.replace("}}", "},\"more\":1}"), "unknown field `more`"),
        ("{\"record\":\"edge\"".to_owned(), "\"x\":3:"),
        ("{\"record\":\"else\"}".to_owned(), "unknown variant `else`"),
    ] {
        let text = stream(&[START, &good, &line, &good]);
        let (_, items, error) = items("x", text.as_bytes());
        let error = error.unwrap_or_else(|| panic!("{line}"));
        assert!(error.contains(says) && error.starts_with("\"x\":3"), "{line}: {error}");
        assert_eq!(edges(&items).len(), 1, "what is before it");
    }
    let (_, _, error) = items("x", b"\xff\xff\xff\xff");
    assert!(error.unwrap().starts_with("\"x\":1:1: "));
    let (_, _, error) = items("x", stream(&[START, &good.replace("door", "\u{fc}")]).replace('\u{fc}', "?").as_bytes());
    assert_eq!(error, None);
}

#[test]
fn a_line_without_an_end_is_not_read_for_ever() {
    for (name, byte) in [("x", b' '), ("x", b'x'), ("x.csv", b'x'), ("x.vcd", b'x')] {
        match Capture::read(name, io::repeat(byte)) {
            Ok(mut capture) => assert!(capture.next().is_err()),
            Err(error) => assert!(error.to_string().contains("x"), "{error}"),
        }
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_compressed_capture_is_read_by_its_content() {
    let zstandard = |text: &[u8]| ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest);
    let text = stream(&[START, &edge("c", 5, "rising", 1), &edge("c", 6, "falling", 2)]);
    let rows =
        "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged\n5,c,1,,rising,1,1,1,0,0\n";
    let wave = "$var wire 1 ! a $end $enddefinitions $end\n#0 0! #5 1!\n";
    for text in [&*text, rows, wave] {
        let (_, plain, _) = items("x", text.as_bytes());
        assert!(!edges(&plain).is_empty());
        for packed in [gzip(text.as_bytes()), zstandard(text.as_bytes())] {
            assert_eq!(items("x", &packed).1, plain);
        }
    }
    // Two rotated logs, one after the other, each of another kind.
    let both = [gzip(text.as_bytes()), zstandard(text.as_bytes())].concat();
    let (_, items, error) = items("x", &both);
    assert_eq!((error, edges(&items).len(), segments(&items)), (None, 4, 2));
}

#[test]
fn a_compressed_capture_that_is_cut_is_read_as_far_as_it_goes() {
    let lines: Vec<_> = (0..5000).map(|number| edge("c", number, "rising", (number * 7919 % 65_521) as u32)).collect();
    let lines: Vec<&str> = [START].into_iter().chain(lines.iter().map(String::as_str)).collect();
    let packed = gzip(stream(&lines).as_bytes());
    let (_, items, error) = items("x", &packed[..packed.len() - 1000]);
    assert!(error.is_none() && edges(&items).len() > 1000, "{error:?}");
    assert!(notices(&items).iter().any(|notice| notice.contains("in the middle of")), "{:?}", notices(&items));
}

const HEAD: &str = "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged\n";

#[test]
fn rows_are_read_as_they_are_written() {
    let text = format!(
        "{HEAD}9,\"c,\"\"1\"\"\",3,\"a\nb\",state,0,0,0,0,0\n9,\"c,\"\"1\"\"\",3,\"a\nb\",rising,1,1,1,2,3\n\
         9,\"c,\"\"1\"\"\",-1,,gone,-1,0,0,0,0\n15,\"c,\"\"1\"\"\",-1,,back,-1,0,0,0,0\n\
         15,\"c,\"\"1\"\"\",3,\"a\nb\",state,1,0,0,0,0\n16,\"c,\"\"1\"\"\",3,\"a\nb\",falling,0,1,1,0,0\n\
         20,\"c,\"\"1\"\"\",-1,,clock,0,0,0,0,0\n4,\"c,\"\"1\"\"\",-1,,clock,1,0,0,0,0\n\
         4,\"c,\"\"1\"\"\",3,\"a\nb\",rising,1,2,2,0,0\n7,\"c,\"\"1\"\"\",3,\"a\nb\",blocked,-1,0,0,0,0\n\
         9,\"c,\"\"1\"\"\",3,\"a\nb\",something of later,-1,0,0,0,0,more\n"
    );
    let (capture, items, error) = items("x", text.as_bytes());
    assert_eq!(error, None);
    assert_eq!((&*capture.chips()[0].name, capture.lines()[0].name.as_deref()), ("c,\"1\"", Some("a\nb")));
    let edges = edges(&items);
    let axis: Vec<_> = edges.iter().map(|edge| (edge.timestamp_ns, edge.axis_ns)).collect();
    assert_eq!(axis, [(9, 9), (16, 16), (4, 20)]);
    assert_eq!((edges[0].missed.overflowed, edges[0].missed.merged), (2, 3));
    let count = |is: fn(&Item) -> bool| items.iter().filter(|item| is(item)).count();
    assert_eq!(count(|item| matches!(item, Item::Gap(_))), 2);
    assert_eq!(count(|item| matches!(item, Item::State { .. })), 2);
    assert_eq!(count(|item| matches!(item, Item::Clock(_))), 1);
    assert_eq!(count(|item| matches!(item, Item::Chatter(_))), 1);
    assert_eq!(segments(&items), 1, "what comes behind a gap is the same watch");
}

#[test]
fn rows_of_another_watch_begin_another_segment() {
    let watch = "5,c,1,a,state,0,0,0,0,0\n5,c,1,a,rising,1,1,1,0,0\n";
    for (between, cut) in [(HEAD, ""), ("", ""), (HEAD, "6,c,1,a,fal"), ("\n\0\0\0\n", "")] {
        let text = format!("{HEAD}{watch}{cut}{between}{watch}");
        let (_, items, error) = items("x", text.as_bytes());
        assert_eq!((error, edges(&items).len(), segments(&items)), (None, 2, 2), "{between:?} {cut:?}");
        assert_eq!(notices(&items).len(), usize::from(!cut.is_empty() || between.contains('\0')));
    }
    // An older version left cells empty.
    let old = format!("{HEAD},c,1,a,state,0,,,,\n5,c,1,a,rising,1,1,1,0,0\n");
    assert_eq!(edges(&items("x", old.as_bytes()).1).len(), 1);
}

#[test]
fn a_row_that_makes_no_sense_is_said_with_its_place() {
    let good = "5,c,1,a,rising,1,1,1,0,0";
    for (row, says) in [
        ("5,c,1,a,rising,1,1,1,0", "expected 10 fields, found 9"),
        ("5.5,c,1,a,rising,1,1,1,0,0", "expected a number for the column \"timestamp_ns\", found \"5.5\""),
        ("5,c,1,a,rising,1,1,,0,0", "the column \"line_seqno\" is empty"),
        ("5,c,-1,a,rising,1,1,1,0,0", "the column \"offset\" is empty"),
        ("5,c,1,a,rising,1,4294967296,1,0,0", "expected a number for the column \"seqno\", found \"4294967296\""),
        ("18446744073709551616,c,1,a,rising,1,1,1,0,0", "expected a number"),
        ("5,c,1,a,clock,1,0,0,0,0", "row with level 0"),
    ] {
        let (_, items, error) = items("x", format!("{HEAD}{good}\n{row}\n{good}\n").as_bytes());
        let error = error.unwrap_or_else(|| panic!("{row}"));
        assert!(error.starts_with("\"x\":3: ") && error.contains(says), "{row}: {error}");
        assert_eq!(edges(&items).len(), 1);
    }
}

/// Gives `left` edges, and no more bytes at a time than asked for.
struct Endless {
    left: u32,
    text: io::Cursor<Vec<u8>>,
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.text.read(into)?;
            if count > 0 || self.left == 0 {
                return Ok(count);
            }
            self.left -= 1;
            let text = edge("c", u64::from(u32::MAX - self.left), "rising", self.left) + "\n";
            self.text = io::Cursor::new(text.into_bytes());
        }
    }
}

#[test]
fn it_is_read_as_it_comes() {
    let text = io::Cursor::new(format!("{START}\n").into_bytes());
    let mut capture = Capture::read("x", Endless { left: 100_000, text }).unwrap();
    let mut edges = 0;
    while let Some(item) = capture.next().unwrap() {
        edges += u32::from(matches!(item, Item::Edge(_)));
    }
    assert_eq!((edges, capture.lines().len()), (100_000, 1));
}
