//! `linewake profile new`, on headers in the styles of Windows, of Linux, and of a careless vendor.

mod support;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use support::{Scratch, err, out, run};

fn header(name: &str) -> String {
    format!("{}/tests/headers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The skeleton of a header. It is valid TOML, also after the calls that are commented out are uncommented.
fn skeleton(arguments: &[&str]) -> String {
    let output = run(&[&["profile", "new"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    let text = out(&output).to_owned();
    parses(&text);
    let is_behind = |line: &&str| line.starts_with("# The structs") || line.starts_with("# What was left out");
    let (before, others) = text.split_once("# The other calls.").unwrap_or((&text, ""));
    let others = others.lines().skip(1).take_while(|line| !is_behind(line));
    let taken_in: Vec<_> = others.map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    parses(&format!("{before}\n{}", taken_in.join("\n")));
    text
}

fn parses(text: &str) -> toml::Table {
    text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// The output of `profile check`, with the path shortened.
fn checked(name: &str, text: &str) -> String {
    let file = Scratch::with(name, text);
    let output = run(&["profile", "check", file.path()]);
    assert!(out(&output).is_empty() != output.status.success(), "{output:?}");
    format!("{}{}", out(&output), err(&output)).replace(file.path(), name)
}

#[test]
fn a_header_of_windows_becomes_calls_structs_and_an_interface() {
    let text = skeleton(&[&header("quadin_public.h")]);
    assert_has(
        &text,
        &[
            "name = \"quadin\"\n",
            "interface = '{2D4A1E30-77A1-4C57-9B0A-0F5D1C3A9E11}' # GUID_DEVINTERFACE_QUADIN, line 10 of \"quadin_public.h\"\n",
            "call = \"wait-event\" # a guess",
            "#   Completes when an input has changed. Output: QUADIN_EVENT\n[call.wait-event]\ndevice_type = 0xffdd\n\
             function = 0x801\nmethod = \"buffered\"\naccess = \"read\"\n",
            "[call.wait-event.output]\nlength = 16\n",
            "# fields.line = { at = 0, width = 1 } ",
            "# UCHAR Channel\n",
            "# fields.overflowed = { at = 4, width = 4 } ",
            "# fields.timestamp = { at = 8, width = 8, unit = \"TODO",
            "# setup = [\"configure\"] ",
            "# [call.configure]\n# device_type = 0xffdd\n# function = 0x803\n# method = \"buffered\"\n# access = \"read-write\"\n",
            "#     # { at = 4, width = 4, value = 0 }, # ULONG Edges\n#     # { at = 8, width = 8, value = 0 }, # HANDLE Event\n",
            "# # No profile can send it: METHOD_NEITHER gives the driver addresses",
            "\"IOCTL_QUADIN_ODD\" is left out: an argument of CTL_CODE is not known: \"FILE_DEVICE_MISSING\" is not defined\n",
        ],
    );
}

#[test]
fn a_header_of_linux_becomes_ioctls_with_their_records() {
    let text = skeleton(&[&header("card_uapi.h")]);
    assert_has(
        &text,
        &[
            "path = \"TODO: what is opened? its file, like /dev/card0\"\n",
            "ioctl = { direction = \"read\", type = 0xe7, number = 0x1, size = 264 }\n",
            "blocks = \"TODO: true, or `when` in place of this\"\n# ended_by = \"cancel\" ",
            "length = 264\n# \"events\" is a list of records:\nheader = 8\nrecord = 16\n\
             # records = { at = 0, width = 4 } # __u32 count: a guess",
            "# fields.timestamp = { at = 0, width = 8, unit = \"ns\" } ",
            "# fields.edge = { at = 12, width = 2, rising = \"TODO: which number?\"",
            "# ioctl = { direction = \"write\", type = 0xe7, number = 0x2, size = 24 }\n",
            "#     # { at = 4, width = 4, endian = \"big\", value = 0 }, # __be32 mask\n",
            "# char name; the first of 8\n",
            "# ioctl = { direction = \"none\", type = 0xe7, number = 0x4 }\n",
            "\"a\" is a bit-field, and the compiler chooses its place; the fields from there on are left out\n",
            "\"CARD_IOC_NAME\" is left out: its number depends on its arguments\n",
        ],
    );
}

#[test]
fn a_messy_header_gives_what_it_has_and_names_the_rest() {
    let plain = std::fs::read_to_string(header("dio_vendor.h")).unwrap();
    // Vendors' headers may be Latin-1, with line ends of Windows.
    let latin1: Vec<u8> = plain.replace('\n', "\r\n").replace('@', "\u{c4}").chars().map(|c| c as u32 as u8).collect();
    let scratch = Scratch::new("mess.h");
    std::fs::write(&scratch.0, latin1).unwrap();
    let utf16 = Scratch::new("wide.h");
    let units: Vec<u8> = std::iter::once(0xfeff).chain(plain.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    std::fs::write(&utf16.0, units).unwrap();
    for text in [skeleton(&[scratch.path()]), skeleton(&[utf16.path()]), skeleton(&[&header("dio_vendor.h")])] {
        assert_has(
            &text,
            &[
                "path = '\\\\.\\Dio48' # DIO_DEVICE, line 8 of \"",
                "[call.irq]\ndevice_type = 0x8048\nfunction = 0x910\nmethod = \"out-direct\"\naccess = \"read\"\n",
                "# [call.read]\n# device_type = 0x8048\n# function = 0x901\n",
                "# [call.reset]\n# device_type = 0x8048\n# function = 0x9ff\n",
                "# code = 0x80482444 # or ioctl = 0x80482444\n",
                "# \"dio_state\", 32 bytes, line 20 of \"",
                "#   { at = 0, width = 1 }  # port_t ports; the first of 6\n#   { at = 6, width = 2 }  # WORD status.w\n\
                 #   { at = 6, width = 1 }  # BYTE status.b; the first of 2\n#   { at = 8, width = 8 }  # double volts\n",
                "# void* cb; an address, which no profile can follow\n#   { at = 24, width = 4 } # long tail\n",
                "\"DIO_BAD\" is left out: \")\" is missing\n",
                ": a comment begins here and has no end, so the rest is part of it\n",
            ],
        );
        assert!(!text.contains("IOCTL_DIO_OLD"), "{text}");
    }
}

#[test]
fn check_names_each_gap_until_the_profile_is_complete() {
    let mut text = skeleton(&["--device", "/dev/card0", "--lines", "4", &header("card_uapi.h")]);
    let first = checked("card.toml", &text);
    assert!(first.contains("\"call.wait.output.fields\": to be filled in: remove '# '"), "{first}");
    for (from, to) in [
        ("blocks = \"TODO: true, or `when` in place of this\"", "blocks = true"),
        ("fields = \"TODO: remove '# ' from each line below that is true, and delete this line\"\n", ""),
        ("# records = {", "records = {"),
        ("# fields.", "fields."),
        ("rising = \"TODO: which number?\", falling = \"TODO: which number?\"", "rising = 1, falling = 2"),
    ] {
        assert!(text.contains(from), "{from:?} is not in\n{text}");
        text = text.replacen(from, to, if from.starts_with("# f") { 4 } else { 1 });
    }
    let left = checked("card.toml", &text);
    let line = text.lines().position(|line| line.starts_with("means = ")).unwrap() + 1;
    assert!(left.starts_with(&format!("linewake: card.toml:{line}:9: \"wait.means\": to be filled in")), "{left}");
    assert!(!left.contains("too)"), "it was the last: {left}");
    let text = text.replace("means = \"TODO: edge, level, mask or count\"", "means = \"edge\"");
    assert!(
        checked("card.toml", &text).contains("is a profile of the chip \"card\""),
        "{}",
        checked("card.toml", &text)
    );
}

#[test]
fn several_headers_are_read_as_one() {
    let types = Scratch::with(
        "types.h",
        "typedef struct { unsigned char line; unsigned char edge; } pair;\n#define MAGIC 'q'\n",
    );
    let codes = Scratch::with("codes.h", "#include \"types.h\"\n#define IOC_WAIT _IOR(MAGIC, 7, pair)\n");
    let alone = run(&["profile", "new", codes.path()]);
    assert_has(err(&alone), &["\"IOC_WAIT\" is left out: an argument of _IOR is not known: \"MAGIC\" is not defined"]);
    let both = skeleton(&[codes.path(), types.path()]);
    assert_has(&both, &["type = \"q\", number = 0x7, size = 2 }", "# fields.edge = { at = 1, width = 1"]);
}

#[test]
fn conditions_packing_and_names_for_types_are_followed() {
    let text = "#pragma pack(1)\nstruct one { char a; long b; };\n#pragma pack()\nstruct two { char a; long b; } __attribute__((packed));\n\
                struct three { char a; long long b __attribute__((aligned(16))); };\n\
                #ifdef __KERNEL__\n#define IOC_A _IO(1, 9)\n#else\n#define IOC_A _IOR(1, 1, struct one)\n#endif\n\
                #if defined(__x86_64__) && !defined(NOT_HERE)\ntypedef long word_t;\n#else\ntypedef int word_t;\n#endif\n\
                typedef word_t words_t[3];\nstruct four { words_t w; enum { X } e; struct { short s; } in[2]; };\n\
                #define IOC_B _IOR(1, 2, struct two)\n#define IOC_C _IOR(1, 3, struct three)\n#define IOC_D _IOR(1, 4, struct four)\n\
                #define IOC_E _IOR(1, 5, sizeof(struct four))\n#define IOC_F _IOW(1, 6, char[1 << 4])\n";
    let file = Scratch::with("shapes.h", text);
    let text = skeleton(&[file.path()]);
    for (number, size) in [(1, 9), (2, 9), (3, 32), (4, 32), (5, 8), (6, 16)] {
        assert_has(&text, &[&format!("type = 0x01, number = {number:#x}, size = {size} }}\n")]);
    }
}

/// Headers made so that a parser of quadratic time would take minutes.
#[test]
fn hostile_headers_are_read_in_linear_time() {
    let repeated = |text: &str, times: usize| text.repeat(times);
    let numbered =
        |times: usize, line: fn(usize) -> String| (0..times).map(line).fold(String::new(), |text, line| text + &line);
    let doubling = numbered(60, |at| format!("struct s{} {{ struct s{at} a, b; }};\n", at + 1));
    let structs = numbered(6000, |at| format!("struct s{at} {{ int a[{at} % 7 + 1]; char b; }};\n"));
    let codes = numbered(6000, |at| format!("#define IOCTL_{at} CTL_CODE(1, {at} % 4096, 0, 0) /* Output: s{at} */\n"));
    let mut bomb = numbered(60, |at| format!("#define M{at} (M{} + M{0})\n", at + 1));
    let _ = writeln!(bomb, "{}", numbered(2000, |at| format!("#define IOCTL_{at} CTL_CODE(M0, 1, 0, 0)\n")));
    for (name, text) in [
        ("comments", repeated("/*", 200_000)),
        ("structs", repeated("struct{", 100_000)),
        ("conditions", repeated("#if X\n", 100_000)),
        ("parentheses", repeated("(", 500_000)),
        ("brackets", "struct a {".to_owned() + &repeated("[", 500_000)),
        ("chains", numbered(10_000, |at| format!("struct s{} {{ struct s{at} a; }};\n", at + 1))),
        ("doubling", format!("struct s0 {{ int a; }};\n{doubling}#define IOC_W _IOR(1, 2, struct s59)\n")),
        ("codes", structs + &codes),
        ("macros", bomb),
        (
            "itself",
            "typedef char T[sizeof(T)]; struct q { T t; struct q r; };\n#define IOC_Z _IOR(1, 2, struct q)\n"
                .to_owned(),
        ),
        ("enums", format!("enum {{ A = {}1, {} }};", repeated("1 + ", 100), numbered(50_000, |at| format!("E{at},")))),
        ("types", "struct x {".to_owned() + &repeated("A y; ", 50_000) + "};\n#define A B B B B\n#define B A A A A\n"),
    ] {
        let file = Scratch::with(&format!("{name}.h"), &text);
        let begun = Instant::now();
        let output = run(&["profile", "new", file.path()]);
        assert!(output.status.success(), "{name}: {output:?}");
        parses(out(&output));
        assert!(begun.elapsed() < Duration::from_secs(30), "{name} takes {:?}", begun.elapsed());
    }
}
