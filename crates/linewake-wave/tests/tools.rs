//! Files that other tools wrote, compared with what another reader reads.

use std::collections::BTreeMap;
use std::path::PathBuf;

use linewake_wave::{Format, Level, Reader};

/// For each bit, by its path: its levels and when they begin, in nanoseconds.
type Waves = BTreeMap<String, Vec<(u64, char)>>;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tools").join(name)
}

/// The waves that this crate reads.
fn ours(reader: &mut Reader) -> Waves {
    let paths: Vec<_> = reader.wires().map(|wire| wire.path()).collect();
    let mut waves: Waves = paths.iter().map(|path| (path.clone(), Vec::new())).collect();
    for change in reader.by_ref() {
        let change = change.unwrap();
        let digit = match change.level {
            Level::Low => '0',
            Level::High => '1',
            Level::Unknown => 'x',
            Level::Released => 'z',
        };
        waves.get_mut(&paths[change.wire as usize]).unwrap().push((change.at_ns, digit));
    }
    waves
}

/// The waves that Surfer's reader reads.
fn theirs(name: &str) -> Waves {
    let mut bytes = std::fs::read(file(name)).unwrap();
    if bytes.starts_with(b"META") {
        bytes.drain(..=bytes.iter().position(|&byte| byte == b'\n').unwrap());
    }
    let mut waveform = wellen::simple::read_from_reader(std::io::Cursor::new(bytes)).unwrap();
    let timescale = waveform.hierarchy().timescale().unwrap();
    let exponent = i32::from(timescale.unit.to_exponent().unwrap());
    let ns = |ticks: u64| {
        let fs = u128::from(ticks) * u128::from(timescale.factor) * 10_u128.pow((exponent + 15) as u32);
        (fs / 1_000_000) as u64
    };
    let signals: Vec<_> = waveform.hierarchy().signals().collect();
    waveform.load_signals(&signals);
    let hierarchy = waveform.hierarchy();
    let mut waves = Waves::new();
    for variable in hierarchy.all_vars() {
        let variable = &hierarchy[variable];
        let width = variable.length(hierarchy).unwrap_or(0);
        if !variable.is_bit_vector(hierarchy) || (width > 1 && variable.enum_type(hierarchy).is_some()) {
            continue;
        }
        let (left, right) = variable.index().map_or((i64::from(width) - 1, 0), |index| (index.msb(), index.lsb()));
        let signal = waveform.get_signal(variable.signal_ref()).unwrap();
        for place in 0..width {
            let step = i64::from(place) * (right - left).signum();
            let name = variable.full_name(hierarchy).replace('\\', "").replace(".[", "[");
            let is_single = width == 1 && variable.index().is_none();
            let path = if is_single { name } else { format!("{name}[{}]", left + step) };
            let mut wave = Vec::<(u64, char)>::new();
            for (at, value) in signal.iter_changes() {
                let digit = match value.to_bit_string().unwrap().as_bytes()[place as usize] {
                    b'1' | b'h' => '1',
                    b'0' | b'l' => '0',
                    b'z' => 'z',
                    _ => 'x',
                };
                if wave.last().is_none_or(|&(_, last)| last != digit) {
                    wave.push((ns(waveform.time_table()[at as usize]), digit));
                }
            }
            waves.insert(path, wave);
        }
    }
    waves
}

/// Leaves out levels that last no time: one of the readers does so.
fn settled(waves: Waves) -> Waves {
    let settle = |wave: Vec<(u64, char)>| {
        let mut settled = Vec::<(u64, char)>::new();
        for (place, &(at, digit)) in wave.iter().enumerate() {
            let is_passing = wave.get(place + 1).is_some_and(|next| next.0 == at);
            if !is_passing && settled.last().is_none_or(|last| last.1 != digit) {
                settled.push((at, digit));
            }
        }
        settled
    };
    waves.into_iter().map(|(path, wave)| (path, settle(wave))).collect()
}

fn level(wave: &str) -> Vec<(u64, char)> {
    wave.split_whitespace()
        .map(|change| {
            let (at, digit) = change.split_once(':').unwrap();
            (at.parse().unwrap(), digit.parse().unwrap())
        })
        .collect()
}

/// Reads a file and checks it: these bits as written here, and all others against another reader.
fn check(name: &str, format: Format, expected: &[(&str, &str)], left_out: &[&str]) {
    let mut reader = Reader::open(&file(name)).unwrap();
    assert_eq!(reader.format(), format);
    let waves = ours(&mut reader);
    for (path, wave) in expected {
        assert_eq!(waves.get(*path), Some(&level(wave)), "{name}: {path}");
    }
    let said: Vec<_> = reader.left_out().iter().map(|left_out| left_out.to_string()).collect();
    assert_eq!(said, left_out, "{name}");
    // The first line of sigrok-cli does not belong to a value change dump.
    let warnings = reader.warnings();
    let is_known = |warning: &String| {
        warning.ends_with(
            "1: expected a definition of a value change dump, found \"META\"; it is left out (and 2 more times)",
        )
    };
    assert!(warnings.iter().all(is_known) && warnings.len() == usize::from(name == "sigrok.vcd"), "{warnings:?}");
    // The other reader refuses a text where a number was announced, which MyHDL writes.
    if name != "myhdl.vcd" {
        let (ours, theirs) = (settled(waves), settled(theirs(name)));
        let differ = ours.iter().find(|(path, wave)| theirs.get(*path) != Some(*wave));
        assert_eq!(differ.map(|(path, wave)| (path, Some(wave), theirs.get(path))), None, "{name}");
        assert_eq!(ours.len(), theirs.len(), "{name}");
    }
}

/// Levels of the signals of bench.v, in the scope `top`.
fn bench_v(top: &str, late_begins: &'static str) -> Vec<(String, &'static str)> {
    let clk = "0:0 5:1 10:0 15:1 20:0 25:1 30:0 35:1 40:0 45:1 50:0 55:1 60:0";
    [
        ("clk", clk),
        ("inner.clk", clk),
        ("inner.q", "0:0 10:1 20:0 30:1 40:0 50:1 60:0"),
        ("count[0]", "0:0 5:1 15:0 25:1 35:0 45:1 55:0"),
        ("up[0]", "0:0 15:1 25:0 35:1 55:0"),
        ("up[2]", "0:0 5:1 15:0 25:1 35:0 45:1 55:0"),
        ("sda", "0:z 5:0 15:z 25:0 35:z 45:0 55:z"),
        ("late", late_begins),
        ("odd.name[0][7]", "0:1"),
        ("odd.name[0][1]", "0:0"),
        ("steps[31]", "0:0 5:1"),
    ]
    .map(|(name, wave)| (format!("{top}.{name}"), wave))
    .into()
}

fn check_v(name: &str, format: Format, expected: &[(String, &'static str)], left_out: &[&str]) {
    let expected: Vec<_> = expected.iter().map(|(path, wave)| (&**path, *wave)).collect();
    check(name, format, &expected, left_out);
}

#[test]
fn icarus_verilog() {
    let expected = bench_v("bench", "0:x 12:1 42:0 42:1");
    for (name, format) in
        [("iverilog.vcd", Format::Vcd), ("iverilog.fst", Format::Fst), ("iverilog-lz4.fst", Format::Fst)]
    {
        check_v(name, format, &expected, &["\"bench.volts\" is a real"]);
    }
}

#[test]
fn icarus_verilog_in_three_blocks() {
    let expected = [
        ("flush.a", "0:0 3000:1 6000:0 9000:1 12000:0 15000:1 18000:0 21000:1 24000:0 27000:1 30000:0 33000:1"),
        ("flush.b[0]", "0:0 10000:1"),
        ("flush.b[1]", "0:1 10000:0 30000:1"),
    ];
    check("iverilog-blocks.fst", Format::Fst, &expected, &[]);
}

#[test]
fn every_packing_of_gtkwave() {
    let dump = ours(&mut Reader::open(&file("packed.vcd")).unwrap());
    assert_eq!(dump["t.w1"].len(), 240);
    for name in ["packed-4.fst", "packed-F.fst", "packed-Z.fst", "packed-c.fst"] {
        check(name, Format::Fst, &[], &[]);
        assert_eq!(ours(&mut Reader::open(&file(name)).unwrap()), dump, "{name}");
    }
}

#[test]
fn a_block_that_begins_before_its_first_stamp_has_levels_from_then_on() {
    let bytes = std::fs::read(file("late.fst")).unwrap();
    let read = |bytes: Vec<u8>| ours(&mut Reader::fst("late.fst", std::io::Cursor::new(bytes)).unwrap());
    assert_eq!(read(bytes.clone())["a"], level("5000:1 20000:0"));
    // The head has 330 bytes. After it come the kind of the block and its length, then the time at which it begins.
    let begin = 330 + 9..330 + 17;
    assert_eq!(bytes[begin.clone()], 5_u64.to_be_bytes());
    let mut earlier = bytes;
    earlier[begin].copy_from_slice(&3_u64.to_be_bytes());
    assert_eq!(read(earlier)["a"], level("3000:x 5000:1 20000:0"));
}

#[test]
fn states_of_ports() {
    let expected = [("top.a", "0:0 10000:1 20000:z 30000:0"), ("top.b[1]", "0:0 20000:1"), ("top.b[0]", "0:1 20000:x")];
    for name in ["evcd.vcd", "evcd.fst"] {
        let mut reader = Reader::open(&file(name)).unwrap();
        let waves = ours(&mut reader);
        assert_eq!(waves, expected.map(|(path, wave)| (path.to_owned(), level(wave))).into(), "{name}");
        assert_eq!(reader.warnings(), [""; 0], "{name}");
    }
}

#[test]
fn verilator() {
    // Verilator has no x and no z.
    let mut expected = bench_v("TOP.bench", "0:0 12:1 42:0 42:1");
    expected.retain(|(path, _)| !path.ends_with("sda"));
    for (name, format) in [("verilator.vcd", Format::Vcd), ("verilator.fst", Format::Fst)] {
        check_v(name, format, &expected, &["\"TOP.bench.volts\" is a real"]);
    }
}

/// Levels of the signals of bench.vhd, in any scope.
const BENCH_VHD: [(&str, &str); 7] = [
    ("flag", "0:0 12:1 22:0"),
    ("ok", "0:0 12:1 22:0"),
    ("bus_down[3]", "0:0 12:1 22:0"),
    ("bus_down[2]", "0:1 12:x 22:0"),
    ("bus_up[2]", "0:0 22:1"),
    ("weak", "0:1 12:0 22:x"),
    ("sda", "0:z 12:0 22:z"),
];

#[test]
fn ghdl() {
    let with = |top: &str, more: &[(&'static str, &'static str)]| -> Vec<_> {
        BENCH_VHD.iter().chain(more).map(|&(name, wave)| (format!("{top}{name}"), wave)).collect()
    };
    let clk = ("clk", "0:1 5:0 10:1 15:0 20:1 25:0");
    let number = [("number[0]", "0:1 12:0"), ("number[31]", "0:0 12:1")];
    let vcd = [&[clk, ("inner.q", "0:0 5:1 15:0 25:1")], &number[..]].concat();
    check_v("ghdl.vcd", Format::Vcd, &with("bench.", &vcd), &["\"bench.volts\" is a real"]);
    // In GHDL's FST the top has no scope, and a number has one bit.
    let left_out = ["\"state\" is a string", "\"volts\" is a real"];
    check_v("ghdl.fst", Format::Fst, &with("", &[clk]), &left_out);
    let ghw = [
        ("clk", "0:0 0:1 5:0 10:1 15:0 20:1 25:0"),
        ("pair.valid", "0:0 12:1"),
        ("pair.data[1]", "0:1 12:0"),
        ("inner.level", "0:0 5:1 15:0 25:1"),
    ];
    let left_out = ["\"bench.state\" is an enumeration", "\"bench.volts\" is a real"];
    check_v("ghdl.ghw", Format::Ghw, &with("bench.", &[&ghw[..], &number].concat()), &left_out);
}

#[test]
fn pyvcd() {
    let expected = [
        ("board.cpu.irq", "0:0 130:1 230:0 330:1 430:0 530:1 700:x 800:1 900:0"),
        ("board.sda", "0:z 140:0 240:z 340:1 440:x 540:z 700:x 800:z"),
        ("board.cpu.count[7]", "0:x 100:0 300:1 700:x 800:1"),
    ];
    let left_out = ["\"board.level\" is a real", "\"board.state\" is a string"];
    check("pyvcd.vcd", Format::Vcd, &expected, &left_out);
}

#[test]
fn myhdl() {
    let expected = [
        ("bench.clk", "0:0 5:1 10:0 15:1 20:0 25:1 30:0 35:1 40:0 45:1 50:0"),
        ("bench.signed[2]", "0:1 5:0 35:1"),
        ("bench.count[3]", "0:0 25:1"),
    ];
    check("myhdl.vcd", Format::Vcd, &expected, &["\"bench.name\" is a real"]);
}

#[test]
fn sigrok_cli() {
    let expected = [
        ("libsigrok.0", "0:0 1000:1 3000:0 6000:1 7000:0"),
        ("libsigrok.1", "0:0 2000:1 7000:0"),
        ("libsigrok.2", "0:0 4000:1 7000:0"),
        ("libsigrok.3", "0:0 6000:1 7000:0 8000:1"),
    ];
    check("sigrok.vcd", Format::Vcd, &expected, &[]);
}
