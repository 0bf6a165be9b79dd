//! The kinds of value change dumps that people have, each as small as possible: what is read, and the warnings.

use std::io::{self, Read};

use linewake_wave::{Error, Level, Reader};

/// The changes that are read: `a:0@0 a:1@10`, in the order of the file.
fn read(bytes: &[u8]) -> (Result<String, Error>, Vec<String>) {
    let mut reader = match Reader::vcd("x.vcd", Box::new(io::Cursor::new(bytes.to_vec()))) {
        Ok(reader) => reader,
        Err(error) => return (Err(error), Vec::new()),
    };
    let wires: Vec<_> = (0..reader.wire_count()).collect();
    let names = reader.names(&wires);
    let mut told = Vec::new();
    let mut failed = None;
    for change in reader.by_ref() {
        match change {
            Ok(change) => {
                let digit = match change.level {
                    Level::Low => '0',
                    Level::High => '1',
                    Level::Unknown => 'x',
                    Level::Released => 'z',
                };
                told.push(format!("{}:{digit}@{}", names[change.wire as usize], change.at_ns));
            }
            Err(error) => failed = Some(error),
        }
    }
    assert!(reader.next().is_none(), "nothing comes after the end");
    (failed.map_or(Ok(told.join(" ")), Err), reader.warnings())
}

/// Reads a dump that causes no warning.
fn plain(dump: impl AsRef<[u8]>, expected: &str) {
    odd(dump, expected, &[]);
}

/// Reads a dump that causes these warnings.
fn odd(dump: impl AsRef<[u8]>, expected: &str, says: &[&str]) {
    let dump = dump.as_ref();
    let shown = String::from_utf8_lossy(dump);
    let (told, warnings) = read(dump);
    assert_eq!(told.as_deref(), Ok(expected), "{shown}");
    assert_eq!(warnings.len(), says.len(), "{shown}\n{warnings:?}");
    for (warning, says) in warnings.iter().zip(says) {
        assert!(warning.starts_with(says), "{shown}\n{warning}");
    }
}

fn refused(dump: impl AsRef<[u8]>, says: &str) {
    let error = read(dump.as_ref()).0.unwrap_err().to_string();
    assert!(error.starts_with(says), "{error}");
}

/// A dump of one wire.
fn of_a(changes: &str) -> String {
    format!("$timescale 1 us $end\n$var wire 1 ! a $end\n$enddefinitions $end\n{changes}")
}

#[test]
fn white_space_of_every_kind() {
    plain(of_a("#0\n0!\n#10\n1!"), "a:0@0 a:1@10000");
    plain(of_a("#0\n0!\n#10\n1!\n").replace('\n', "\r\n"), "a:0@0 a:1@10000");
    plain(of_a("#0\n0!\n#10\n1!\n").replace('\n', "\t"), "a:0@0 a:1@10000");
    plain("$var wire 1 ! a $end $enddefinitions $end #0 0! #10 1!", "a:0@0 a:1@10");
    plain("\n\n$var\nwire\n1\n!\na\n$end\n$enddefinitions\n$end\n#0 0!\x0c#10\x0b1!", "a:0@0 a:1@10");
    plain(of_a("# 5 1 !"), "a:1@5000");
}

#[test]
fn every_encoding() {
    let latin = [b"$date 3. M\xe4rz $end $scope module M\xfcll $end ", of_a("#0 1!").as_bytes()].concat();
    plain(&latin, "a:1@0");
    let reader = Reader::vcd("x.vcd", Box::new(io::Cursor::new(latin))).unwrap();
    assert_eq!(reader.wire(0).path(), "M\u{fc}ll.a");
    plain([b"\xef\xbb\xbf", of_a("#0 1!").as_bytes()].concat(), "a:1@0");
    let text = of_a("#0 1!").replace(" a ", " \u{e4}\u{1f600} ");
    plain(&text, "\u{e4}\u{1f600}:1@0");
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    plain([b"\xff\xfe", &*little].concat(), "\u{e4}\u{1f600}:1@0");
    plain([b"\xfe\xff", &*big].concat(), "\u{e4}\u{1f600}:1@0");
    plain(&little, "\u{e4}\u{1f600}:1@0");
    plain(&big, "\u{e4}\u{1f600}:1@0");
}

#[test]
fn every_way_to_write_a_value() {
    plain(of_a("#0 u! #1 l! #2 h! #3 w! #4 -! #5 L! #6 H! #7 X! #8 Z! #9 U!"), {
        "a:x@0 a:0@1000 a:1@2000 a:x@3000 a:0@5000 a:1@6000 a:x@7000 a:z@8000 a:x@9000"
    });
    plain(of_a("#0 b0 ! #1 B1 ! #2 b0! #3 bx !"), "a:0@0 a:1@1000 a:0@2000 a:x@3000");
    plain(of_a("#0 z! #1 0! #2 z!"), "a:z@0 a:0@1000 a:z@2000");
    plain(of_a("#0 0! #1 0! #2 1! 1!"), "a:0@0 a:1@2000");
    plain(of_a("#0 0! 1! 0!"), "a:0@0 a:1@0 a:0@0");
    plain(of_a("$dumpvars 0! $end #5 $dumpoff x! $end #6 $dumpon 1! $end #7 $dumpall 0! $end"), {
        "a:0@0 a:x@5000 a:1@6000 a:0@7000"
    });
    plain(of_a("#0 pD 6 0 ! #1 pU 0 6 ! #2 pA 6 6 ! #3 pZ 0 0 ! $vcdclose #3 $end"), {
        "a:0@0 a:1@1000 a:x@2000 a:z@3000"
    });
}

#[test]
fn a_vector_is_one_wire_for_each_bit() {
    let dump = |variable: &str, changes: &str| format!("$var {variable} $end $enddefinitions $end {changes}");
    plain(dump("wire 3 ! a", "#0 b101 ! #1 b1 ! #2 b0 !"), "a[0]:1@0 a[1]:0@0 a[2]:1@0 a[2]:0@1 a[0]:0@2");
    plain(dump("wire 3 ! a", "#0 bx0 ! #1 bz !"), "a[0]:0@0 a[1]:x@0 a[2]:x@0 a[0]:z@1 a[1]:z@1 a[2]:z@1");
    plain(dump("wire 3 ! a", "#0 x! #1 1!"), "a[0]:x@0 a[1]:x@0 a[2]:x@0 a[0]:1@1 a[1]:0@1 a[2]:0@1");
    plain(dump("wire 2 ! a", "#0 b110101 !"), "a[0]:1@0 a[1]:0@0");
    plain(dump("reg 2 ! a [0:1]", "#0 b10 !"), "a[0]:1@0 a[1]:0@0");
    plain(dump("reg 2 ! a[7:6]", "#0 b10 !"), "a[6]:0@0 a[7]:1@0");
    plain(dump("reg 2 ! a [-1:-2]", "#0 b10 !"), "a[-2]:0@0 a[-1]:1@0");
    plain(dump("reg 2 ! mem[3] [1:0]", "#0 b10 !"), "mem[3][0]:0@0 mem[3][1]:1@0");
    plain(dump("port [1:0] <0 a", "#0 pDU 66 66 <0"), "a[0]:1@0 a[1]:0@0");
    plain(dump("integer 2 ! a", "#0 b10 !"), "a[0]:0@0 a[1]:1@0");
}

#[test]
fn names_and_codes_of_every_kind() {
    let dump = |variables: &str, changes: &str| format!("{variables} $enddefinitions $end #0 {changes}");
    plain(dump("$var wire 1 ! b [0] $end $var wire 1 \" b [1] $end", "1! 0\""), "b[0]:1@0 b[1]:0@0");
    plain(dump("$var wire 1 ! Channel 0 $end", "1!"), "Channel 0:1@0");
    plain(dump("$var wire 1 ! \\$x.q[1] $end", "1!"), "$x.q[1]:1@0");
    plain(dump("$var wire 1 channel_0_data d0 $end", "1channel_0_data"), "d0:1@0");
    plain(dump("$var wire 1 0 a $end $var wire 1 # b $end $var wire 1 10 c $end", "10 0# 110"), "a:1@0 b:0@0 c:1@0");
    plain(dump("$var wire 1 ! a $end $var wire 1 \" a $end", "1! 0\""), "a:1@0 a_2:0@0");
    let scopes = "$scope begin l $end $var bit 1 ! a $end $upscope $end
        $scope vhdl_architecture r $end $scope interface i $end $var logic 1 ! a $end $upscope $end $upscope $end";
    plain(dump(scopes, "1!"), "l.a:1@0 r.i.a:1@0");
    plain(dump("$var wire 1 ! $end", "1!"), "!:1@0");
    plain(dump("$attrbegin misc 02 x 1 $end $var wire 1 ! a $end $attrend $end", "1!"), "a:1@0");
}

#[test]
fn times_of_every_kind() {
    let scaled = |scale: &str, changes: &str| of_a(changes).replace("1 us", scale);
    plain(scaled("100 s", "#0 0! #1 1!"), "a:0@0 a:1@100000000000");
    plain(scaled("1 fs", "#0 0! #1000000 1! #1999999 0! #2000000 1!"), "a:0@0 a:1@1 a:0@1 a:1@2");
    plain(scaled("1ps", "#1700 1!"), "a:1@1");
    plain(scaled("1us", "#1700000000000000 1!"), "a:1@1700000000000000000");
    plain("$var wire 1 ! a $end $enddefinitions $end #7 1!", "a:1@7");
    plain(of_a("#10.5 1! #20.25 0!"), "a:1@10500 a:0@20250");
    odd(of_a("#-5 0! #0 1!"), "a:0@0 a:1@5000", &["x.vcd:4: time begins at \"#-5\", before 0"]);
    odd(
        of_a("#100 0! #110 1! #50 0! #60 1! #111 0!"),
        "a:0@100000 a:1@110000 a:0@110000 a:1@110000 a:0@111000",
        &["x.vcd:4: time goes back to \"#50\"; it is held at 110000 ns until it is past that (and once more)"],
    );
    for scale in ["0ps", "1 parsec", "1", "-1 ns", ""] {
        refused(scaled(scale, "#0 0!"), &format!("x.vcd:1: \"{scale}\" is not a timescale; expected"));
    }
    refused(scaled("1 s", "#99999999999 1!"), "x.vcd:4: this time does not fit in 64 bits of nanoseconds");
}

#[test]
fn an_end_that_is_missing_or_too_much() {
    odd(
        "$timescale 1us\n$var wire 1 ! a $end\n$enddefinitions $end\n#1 1!",
        "a:1@1000",
        &["x.vcd:1: $timescale has no $end; it is taken to end before \"$var\""],
    );
    odd(
        "$comment that\n$var wire 1 ! a $end\n$enddefinitions $end\n#1 1!",
        "a:1@1",
        &["x.vcd:1: $comment has no $end; it is taken to end before \"$var\""],
    );
    odd("$var wire 1 ! a\n$enddefinitions\n#1 1!", "a:1@1", &["x.vcd:1: $var has no $end"]);
    plain("$var wire 1 ! a $end\n#1 1!", "a:1@1");
    plain("$var wire 1 ! a $end\n$dumpvars 1! $end", "a:1@0");
    plain(of_a("#0 0! $end $end #1 1!"), "a:0@0 a:1@1000");
    odd(
        of_a("$comment never ends\n#0\n0!\n#10\n1!\n"),
        "a:0@0 a:1@10000",
        &["x.vcd:4: the $comment has no $end; it is taken to end before \"#0\""],
    );
    odd(
        of_a("0! $comment never ends #5 1!"),
        "a:0@0",
        &["x.vcd:4: the $comment has no $end; the rest of the file is taken for it"],
    );
    plain(of_a("0! $comment a line\n#5\nof words\n$end #6 1!"), "a:0@0 a:1@6000");
    let endless = of_a("0! $comment ") + &"for ever ".repeat(200_000);
    refused(endless, "x.vcd:4: the $comment of line 4 has no $end up to here; add one");
    refused(
        format!("$comment {}", "for ever ".repeat(200_000)),
        "x.vcd:1: the $comment of line 1 has no $end up to here",
    );
}

#[test]
fn left_out_variables_are_reported() {
    let dump = "$var real 64 r t $end $var string 1 s st $end $var event 1 e ev $end $var parameter 8 p pr $end
        $var wire 0 n none $end $var wire 65537 w wide $end $var wire 1 ! a $end $enddefinitions $end
        #0 r1.5 r sIDLE s 1e b1 p b0 n b1 w 0! #1 r1e-3 r sTWO WORDS s 1!\n#2 snothing\n0!\n";
    plain(dump, "a:0@0 a:1@1 a:0@2");
    let reader = Reader::vcd("x.vcd", Box::new(dump.as_bytes())).unwrap();
    let said: Vec<_> = reader.left_out().iter().map(ToString::to_string).collect();
    let expected = [
        "\"t\" is a real",
        "\"st\" is a string",
        "\"ev\" is an event",
        "\"pr\" is a parameter",
        "\"none\" is a variable without bits",
        "\"wide\" is a variable with too many bits",
    ];
    assert_eq!(said, expected);
    odd(
        of_a("#0 0! 1? #1 1! b1 ? r1 ?\n"),
        "a:0@0 a:1@1000",
        &["x.vcd:4: no variable has the code in \"1?\"; the value is left out (and 2 more times)"],
    );
    odd(
        format!("META samplerate: 5\n{}", of_a("#0 1!")),
        "a:1@0",
        &["x.vcd:1: expected a definition of a value change dump, found \"META\"; it is left out (and 2 more times)"],
    );
}

#[test]
fn a_file_that_is_cut_off_is_read_up_to_there() {
    let whole = of_a("#10\n1!\n#20\n0!\n");
    odd(format!("{whole}#3"), "a:1@10000 a:0@20000", &["x.vcd:8: it is cut off after \"#3\""]);
    odd(format!("{whole}#"), "a:1@10000 a:0@20000", &["x.vcd:8: it is cut off after \"#\""]);
    odd(format!("{whole}1"), "a:1@10000 a:0@20000", &["x.vcd:8: it is cut off within a value"]);
    odd(format!("{whole}b1"), "a:1@10000 a:0@20000", &["x.vcd:8: it is cut off within a value"]);
    odd(format!("{whole}$dum"), "a:1@10000 a:0@20000", &["x.vcd:8: the $dum has no $end"]);
    let ours = format!("$version linewake 0.1.0 $end {whole}#30");
    odd(ours, "a:1@10000 a:0@20000", &["x.vcd:8: it is cut off in this line"]);
    for length in 1..whole.find("#10").unwrap() {
        let (told, warnings) = read(&whole.as_bytes()[..length]);
        let is_said =
            told.is_err() || warnings.iter().any(|warning| warning.contains("it is cut off within its definitions"));
        assert!(is_said || length + 5 > whole.find("#10").unwrap(), "{length}: {told:?}");
    }
}

#[test]
fn another_kind_of_file_is_refused_and_quoted() {
    refused(
        "{\"record\":\"start\"}\n",
        "x.vcd:1: expected a definition of a value change dump, found \"{\\\"record\\\":\\\"start\\\"}\"",
    );
    refused(
        "timestamp_ns,chip,offset\n".repeat(100),
        "x.vcd:1: expected a definition of a value change dump, found \"timestamp_ns,",
    );
    refused("", "\"x.vcd\" is empty");
    refused(of_a("#0 q!\n"), "x.vcd:4: expected a time, a value or a command, found \"q!\"");
    refused(of_a("#1e3 0!\n"), "x.vcd:4: expected a time, a value or a command, found \"#1e3\"");
    refused("$var wire 1 ! $end $var wire x ! a $end", "x.vcd:1: expected a width, found \"x\"");
    refused("$var wire $end #0 1!", "x.vcd:1: expected the type, the width, the code and the name of a variable");
}

#[test]
fn a_dump_after_another_goes_on_where_that_ended() {
    let first = of_a("#0 0! #10 1!\n");
    let second = of_a("#5 0? #6 1? 1!\n").replace('!', "?").replace("$enddef", "$var wire 1 ! b $end\n$enddef");
    odd(
        format!("{first}{second}"),
        "a:0@0 a:1@10000 a:0@10000 a:1@11000",
        &[
            "x.vcd:5: the waveform that begins here has \"b\", which the first does not have; it is left out",
            "x.vcd:5: another waveform begins; it is taken to follow the first",
        ],
    );
    let ours = |ns: u64, changes: &str| {
        let base = format!("$comment time 0 is {ns} ns of the clock \"monotonic\" $end");
        format!("$version linewake 0.1.0 $end {base} {}", of_a(changes))
    };
    // The time between them is known.
    odd(
        ours(5_000, "#0 0! #10 1!\n") + &ours(25_000, "#0 0! #1 1!\n"),
        "a:0@0 a:1@10000 a:0@20000 a:1@21000",
        &["x.vcd:5: another waveform begins"],
    );
    // The time between them cannot be right: the second begins before the first has ended.
    odd(
        ours(5_000, "#0 0! #10 1!\n") + &ours(6_000, "#0 0! #1 1!\n"),
        "a:0@0 a:1@10000 a:0@10000 a:1@11000",
        &["x.vcd:5: another waveform begins"],
    );
}

#[test]
fn only_watched_wires_are_reported() {
    let dump = "$var wire 4 ! a $end $var wire 1 \" b $end $var wire 1 \" c $end $enddefinitions $end
        #0 b0000 ! 0\" #1 b1111 ! 1\"";
    let mut reader = Reader::vcd("x.vcd", Box::new(dump.as_bytes())).unwrap();
    reader.watch(&[2, 5]);
    let told: Vec<_> = reader.map(|change| change.map(|change| (change.at_ns, change.wire)).unwrap()).collect();
    assert_eq!(told, [(0, 2), (0, 5), (1, 2), (1, 5)]);
}

/// Bytes that come one at a time, then an error.
struct Slow(Vec<u8>, bool);

impl Read for Slow {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        match (self.0.is_empty(), self.1) {
            (true, _) => Err(io::Error::other("the disk is gone")),
            (_, true) => Err(io::ErrorKind::Interrupted.into()),
            _ => {
                into[0] = self.0.remove(0);
                Ok(1)
            }
        }
    }
}

#[test]
fn a_source_that_is_slow_or_fails_loses_nothing_before_that() {
    let source = io::BufReader::with_capacity(1, Slow(of_a("#0 0! #1 1! ").into(), false));
    let reader = Reader::vcd("x.vcd", Box::new(source)).unwrap();
    let told: Vec<_> =
        reader.map(|change| change.map(|change| change.at_ns).map_err(|error| error.to_string())).collect();
    assert_eq!(told, [Ok(0), Ok(1000), Err("x.vcd:4: the disk is gone".to_owned())]);
}

#[test]
fn words_over_the_edge_of_a_buffer_are_whole() {
    let mut dump = of_a("");
    let mut count = 0;
    while dump.len() < 600 << 10 {
        count += 1;
        dump.push_str(&format!("#{count}\n{}!\n", count % 2));
    }
    let reader = Reader::vcd("x.vcd", Box::new(io::Cursor::new(dump.into_bytes()))).unwrap();
    let mut expected = 0;
    for change in reader {
        expected += 1;
        assert_eq!(change.unwrap().at_ns, expected * 1000);
    }
    assert_eq!(expected, count);
}
