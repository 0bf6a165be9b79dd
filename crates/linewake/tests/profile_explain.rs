//! How a profile explains itself, and bytes from a dump.

use linewake::ErrorKind;
use linewake::profile::Profile;

/// Keys of a keyboard, as the system's input devices report them: struct input_event of linux/input.h.
const KEYS: &str = r#"
name = "keys"

[device]
subsystem = "input"
property = { NAME = "buttons" }
index = 1

[[line]]
name = "power"
number = 116

[[line]]
name = "f1"
number = 59
active_low = true

[levels]
start = "unknown"

[wait]
by = "read"
means = "level"
reads = "messages"
again_on = ["timed-out", "end"]

[wait.output]
length = 1536
record = 24
only = [{ at = 16, width = 2, is = 1 }, { at = 20, is = [0, 1] }]
unknown_line = "ignore"

[wait.output.fields]
line = { at = 18, width = 2 }
level = { at = 20, bit = 0 }
timestamp = { at = 0, width = 8, unit = "s", fraction = { at = 8, width = 8, unit = "us" } }
"#;

/// A card with a call that waits and that another call ends: one thread for the card.
const CARD: &str = r#"
name = "card"
setup = ["enable", "index", "data"]
release = "disable"

[device]
path = "/dev/card0"

[[line]]
name = "door"
number = 4
active_low = true

[[line]]
name = "lamp"
number = 5

[call.enable]
ioctl = { direction = "write", type = 0xE0, number = 1, size = 4 }
argument = "value"
for = "line"
input = { length = 4, fields = [{ at = 0, value = "line" }] }

[call.index]
write = true
input = { bytes = "2e 00" }

[call.data]
write = true
input = { bytes = "2f 07" }

[call.disable]
ioctl = 0xE002

[call.wait]
ioctl = 0x8008E005
blocks = true
ended_by = "disable"
output = { length = 8, fields = { rising = { at = 0, width = 2 }, falling = { at = 4, width = 2 } } }

[wait]
by = "call"
call = "wait"
means = "mask"
"#;

fn parse(text: &str) -> Profile {
    Profile::parse("a.toml", text).unwrap()
}

fn assert_says(profile: &Profile, parts: &[&str]) {
    let explained = profile.explain().to_string();
    for part in parts {
        assert!(explained.contains(part), "{part:?} is not in\n{explained}");
    }
}

#[test]
fn a_record_is_drawn_byte_by_byte_with_what_is_unused() {
    assert_says(
        &parse(KEYS),
        &[
            "      records of 24 bytes, 64 at most; in each:\n      byte 0   4   8   12  16  20\n",
            "\n           aaaaaaaabbbbbbbbccdd#fff\n      a  bytes 0 to 7, `timestamp`: when it happened, in units of 1 s\n",
            "\n      b  bytes 8 to 15, `fraction`: added to the timestamp, in units of 1 µs\n",
            "\n      e  bytes 20 to 23 bit 0, `level`: ",
            "\n      f  bytes 20 to 23, `only`: 0 or 1; other records are ignored\n",
        ],
    );
    let joystick =
        KEYS.replace("only = [{ at = 16, width = 2, is = 1 }, { at = 20, is = [0, 1] }]", "rest = \"unused\"");
    assert_says(
        &parse(&joystick),
        &[
            "\n           aaaaaaaabbbbbbbb..ccd...\n",
            "\n      .  bytes 16 to 17: unused\n",
            "\n      .  byte 20 bits 1, 2, 3, 4, 5, 6, 7: unused\n",
            "\n      .  bytes 21 to 23: unused\n",
        ],
    );
}

#[test]
fn lost_ignored_and_unknown_edges_are_explained() {
    assert_says(
        &parse(KEYS),
        &[
            "It opens a device of the class input, with NAME=\"buttons\": number 1, from 0, of those that match, to read.",
            "A wait that ends with \"timed-out\" or \"end\" is started again",
            "At the start no level is known: the first report of a line gives its level, and is not an edge.",
            "It ignores, and counts neither as an edge nor as lost:\n  - a record of another kind (`only`)\n",
            "  - the first report of a line, which gives its level (`start = \"unknown\"`)\n",
            "It cannot know:\n  - an even number of edges of a line that the driver did not report\n",
        ],
    );
    let told = KEYS.replace("means = \"level\"", "means = \"level\"\nrepeats = \"loss\"");
    assert_says(&parse(&told), &["It counts as lost:\n  - one edge if a line has the same level twice"]);
}

#[test]
fn threads_sequences_and_calls_for_a_line_are_explained() {
    assert_says(
        &parse(CARD),
        &[
            "  \"enable\", once for each line: ioctl 0x4004e001, with a number as its argument\n",
            "  \"index\": written to the device\n    sends 2 bytes:\n      the bytes 2e 00\n  \"data\": written",
            "It makes this call for the card, and the call waits until something happens:\n  \"wait\": ioctl 0x8008e005",
            "One thread waits in the call, however many lines are watched.\nTo end the call when the lines are released, it \
             sends:\n  \"disable\": ioctl 0x0000e002, without an argument\n",
            "  line 0 is \"door\", active-low: the device's high level is inactive\n",
            "  - edges between two calls of the wait, unless the driver keeps them for the next call\n",
            "  \"index\" (a write): it writes to the device\n",
        ],
    );
    let without = parse(&CARD.replace("ended_by = \"disable\"\n", ""));
    assert_says(&without, &["Nothing ends the call: when lines are released, the thread and the device stay"]);
    let each = CARD.replace("means = \"mask\"", "means = \"mask\"\nfor = \"line\"");
    assert_says(&parse(&each), &["One thread waits for each watched line: up to 2 threads.\n"]);
}

#[test]
fn a_dump_names_lines_and_ignored_records() {
    let keys = parse(KEYS);
    assert_eq!(keys.tellers(), ["read"]);
    let record = |kind: u8, code: u8, value: u8| {
        let mut record = [0; 24];
        (record[0], record[8], record[16], record[18], record[20]) = (1, 2, kind, code, value);
        record
    };
    let bytes = [record(1, 116, 1), record(0, 0, 0), record(1, 59, 1), record(1, 59, 2), record(1, 7, 0)].concat();
    let said = keys.decode("read", &bytes).unwrap().to_string();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "record 0: line 116 (\"power\"), level 1 (active), timestamp 1000002000 ns");
    assert_eq!(lines[1], "record 1: ignored: expected 1 in bytes 16 to 17, found 0");
    assert_eq!(lines[2], "record 2: line 59 (\"f1\"), level 1 (inactive), timestamp 1000002000 ns");
    assert_eq!(lines[3], "record 3: ignored: expected 0 or 1 in bytes 20 to 23, found 2");
    assert_eq!(
        lines[4],
        "record 4: line 7, which this chip does not have and ignores, level 0 (inactive), timestamp 1000002000 ns"
    );
    assert_eq!(lines.len(), 5);

    let card = parse(CARD);
    assert_eq!(card.tellers(), ["wait"]);
    // Bit 0 belongs to an active-low line, and bit 9 to no line.
    let said = card.decode("wait", &[3, 2, 0, 0, 0, 0, 0, 0]).unwrap().to_string();
    let rising = "rising 0b0000001000000011 (rising: line lamp; falling: line door; bit 9 has no line)";
    assert_eq!(said, format!("record 0: {rising}, falling 0b0000000000000000 (no line)\n"));
    let error = card.decode("index", &[1]).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = card.decode("weight", &[1]).err().unwrap().to_string();
    assert_eq!(error, "the profile \"a.toml\" has no call \"weight\"; it has \"wait\"");
}

#[test]
fn records_without_a_line_are_the_lines_in_order() {
    let counters = "name = 'c'\nlines = 2\n[[line]]\nname = 'left'\n[wait]\nby = 'read'\nreads = 'messages'\nmeans = 'count'\n\
                    edge = 'rising'\noutput = { length = 8, record = 4, fields = { count = { at = 0 } } }";
    let said = parse(counters).decode("read", &[5, 0, 0, 0, 6, 0, 0, 0]).unwrap().to_string();
    let first = "record 0: line 0 (\"left\"), count 5, rising, as [wait] says";
    assert_eq!(said, format!("{first}\nrecord 1: line 1, count 6, rising, as [wait] says\n"));
}
