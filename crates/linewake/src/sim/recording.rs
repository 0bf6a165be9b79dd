//! Recordings: waveform files of any tool. Each bit becomes a line.
//!
//! A file is never held in memory. It is read once when it is loaded, which finds errors and the first level of each
//! line, and again each time it is played.

use std::path::Path;

use linewake_controller::protocol::MAX_LINES;
use linewake_wave::{Level, Reader};

use super::{Change, Script, SimLine, What};
use crate::{Error, ErrorKind};

/// The extensions of waveform files.
pub(super) const EXTENSIONS: [&str; 3] = ["vcd", "fst", "ghw"];

/// How many variables or lines a note names.
const NAMED: usize = 5;

/// Reads a file. An error names the line of the file if the format has lines, but no column.
pub(super) fn load(path: &Path) -> Result<Script, Error> {
    let name = path.display().to_string();
    let bad = |what: String| Error::new(ErrorKind::BadFile, what);
    let metadata = std::fs::metadata(path);
    let metadata = metadata.map_err(|error| bad(format!("cannot read \"{name}\": {error}; is its path right?")))?;
    if !metadata.is_file() {
        return Err(bad(format!(
            "cannot play \"{name}\": expected a file, because it is read twice; try \"linewake replay\""
        )));
    }
    let path = path.to_owned();
    script(&name, move || Reader::open(&path))
}

fn script(
    name: &str,
    open: impl Fn() -> Result<Reader, linewake_wave::Error> + Send + Sync + 'static,
) -> Result<Script, Error> {
    let bad = |what: String| Error::new(ErrorKind::BadFile, what);
    let mut reader = open().map_err(|error| bad(error.to_string()))?;
    let wires = reader.lines();
    let left_out = left_out(&reader).map(|what| format!("\"{name}\": {what}"));
    if wires.is_empty() {
        let why = left_out.map(|what| format!("; {what}")).unwrap_or_default();
        return Err(bad(format!("\"{name}\" has no variables with bits{why}")));
    }
    if wires.len() > MAX_LINES {
        let message = format!(
            "\"{name}\" has {} bits, but a simulated chip has at most {MAX_LINES} lines; choose some of them with \
             \"linewake replay FILE LINE…\"",
            wires.len()
        );
        return Err(bad(message));
    }
    reader.watch(&wires);
    let names = reader.names(&wires);
    let mut lines = vec![LineHistory::default(); wires.len()];
    let mut begin_ns = None;
    for change in &mut reader {
        let change = change.map_err(|error| bad(error.to_string()))?;
        begin_ns.get_or_insert(change.at_ns);
        if let Ok(offset) = wires.binary_search(&(change.wire as usize)) {
            lines[offset].note(change.level);
        }
    }
    let mut script = Script::new();
    (script.file, script.notes) = (Some(name.into()), reader.warnings());
    script.notes.extend(left_out);
    script.notes.extend(pulled(name, &names, &lines));
    for (name, seen) in names.into_iter().zip(&lines) {
        script = script.line(SimLine::new(name).initially(seen.initially()));
    }
    let begin_ns = begin_ns.unwrap_or_default();
    Ok(script.recording(move || changes(open().ok(), wires.clone(), lines.clone(), begin_ns)))
}

/// The changes of a recording's wires, from its beginning on.
fn changes(
    reader: Option<Reader>,
    wires: Vec<usize>,
    lines: Vec<LineHistory>,
    begin_ns: u64,
) -> Box<dyn Iterator<Item = Change> + Send> {
    let mut has_level = vec![false; wires.len()];
    let played = reader.into_iter().flat_map(move |mut reader| {
        reader.watch(&wires);
        let wires = wires.clone();
        reader.map_while(Result::ok).map(move |change| (wires.binary_search(&(change.wire as usize)), change))
    });
    Box::new(played.filter_map(move |(offset, change)| {
        let place = offset.ok()?;
        let offset = (place as u32).into();
        let what = match lines[place].level(change.level) {
            Some(level) if has_level[place] => What::Level { offset, level },
            None if has_level[place] => What::Unknown { offset },
            // The first known level of a line counts from the beginning, so it is not a change.
            known => {
                has_level[place] = known.is_some();
                return None;
            }
        };
        Some(Change { at_ns: change.at_ns.saturating_sub(begin_ns), what })
    }))
}

/// The levels that a line has in the file.
#[derive(Clone, Copy, Debug, Default)]
struct LineHistory {
    /// The first level to which it is driven.
    first: Option<bool>,
    /// True if nothing drives it before that.
    is_released_first: bool,
    is_low: bool,
    is_high: bool,
    is_released: bool,
}

impl LineHistory {
    fn note(&mut self, level: Level) {
        self.is_released_first |= self.first.is_none() && level == Level::Released;
        self.first = self.first.or(level.known());
        match level {
            Level::Low => self.is_low = true,
            Level::High => self.is_high = true,
            Level::Released => self.is_released = true,
            Level::Unknown => {}
        }
    }

    /// The level of the line while nothing drives it. If the file drives it to one level only, as an open drain, it is
    /// the other level: a resistor pulls it there.
    fn pull(self) -> Option<bool> {
        (self.is_released && self.is_low != self.is_high).then_some(self.is_low)
    }

    fn level(self, level: Level) -> Option<bool> {
        if level == Level::Released { self.pull() } else { level.known() }
    }

    /// The level at the beginning.
    fn initially(self) -> bool {
        let released = if self.is_released_first { self.pull() } else { None };
        released.or(self.first).unwrap_or(false)
    }
}

/// A note that names the variables that were left out.
fn left_out(reader: &Reader) -> Option<String> {
    let left_out: Vec<_> = reader.left_out().iter().map(ToString::to_string).collect();
    Some(format!("left out, because they have no bits: {}", first_few(&left_out)?))
}

/// A note that names the lines that are assumed to have a pull resistor.
fn pulled(name: &str, names: &[String], lines: &[LineHistory]) -> Option<String> {
    let pulled = names.iter().zip(lines).filter_map(|(name, seen)| Some((name, seen.pull()?)));
    let pulled: Vec<_> = pulled.map(|(name, level)| format!("\"{name}\" to {}", u8::from(level))).collect();
    let what = "assumed to be pulled while nothing drives it, because it is only driven to the other level";
    Some(format!("\"{name}\": {what}: {}", first_few(&pulled)?))
}

/// The first names of a list, and how many more there are; `None` if the list is empty.
fn first_few(names: &[String]) -> Option<String> {
    match names.len() {
        0 => None,
        1..=NAMED => Some(names.join(", ")),
        all => Some(format!("{}, and {} more", names[..NAMED].join(", "), all - NAMED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "
$timescale 10 us $end
$scope module board $end
$var wire 1 ! door $end
$var reg 2 # counter $end
$scope module left $end $var wire 1 % led [3] $end $var wire 1 & clk $end $upscope $end
$scope module right $end $var wire 1 & clk $end $upscope $end
$upscope $end
$enddefinitions $end
#0
$dumpvars
1!
b1 #
0%
x&
$end
#5 0! 1&
#7 x! 0&
#9 1! b11 #
";

    #[test]
    fn wires_that_linewake_wrote_beside_a_line_are_not_lines() {
        let wires = "$var wire 1 ! door $end $var wire 1 # door_lost $end
            $var wire 1 $ door_lost_2 $end $var wire 1 % door_lost_2_lost $end
            $enddefinitions $end #0 0! 0# 0$ 0% #5 1# #6 1! #7 1$ #8 1%\n";
        let of = |version: &str| {
            let script = vcd("x.vcd", &format!("$version {version} $end {wires}")).unwrap();
            let names: Vec<_> = script.lines.iter().map(|line| line.name.to_string()).collect();
            let mut play = script.play(1);
            (names, std::iter::from_fn(|| play.take()).collect::<Vec<_>>())
        };
        let (names, changes) = of("linewake 0.1.0");
        assert_eq!(names, ["door", "door_lost_2"]);
        assert_eq!(changes, [level(6, 0, true), level(7, 1, true)]);
        assert_eq!(of("another").0, ["door", "door_lost", "door_lost_2", "door_lost_2_lost"]);
    }

    fn vcd(name: &str, text: &str) -> Result<Script, Error> {
        let (file, text) = (name.to_owned(), text.to_owned());
        script(name, move || Reader::vcd(&file, Box::new(std::io::Cursor::new(text.clone()))))
    }

    fn level(at_ns: u64, offset: u32, level: bool) -> Change {
        Change::level(at_ns, offset, level)
    }

    fn played(script: &Script) -> Vec<Change> {
        let mut play = script.play(1);
        std::iter::from_fn(|| play.take()).collect()
    }

    #[test]
    fn each_bit_is_a_line_and_the_first_value_of_each_is_no_change() {
        let script = vcd("x.vcd", DUMP).unwrap();
        script.check().unwrap();
        let lines: Vec<_> = script.lines.iter().map(|line| (&*line.name, line.initially)).collect();
        let counter = ["counter[0]", "counter[1]"].map(|name| (name, name == "counter[0]"));
        let expected = [("door", true), counter[0], counter[1], ("led[3]", false), ("board.left.clk", true)];
        assert_eq!(lines[..5], expected);
        assert_eq!(lines[5..], [("board.right.clk", true)]);
        let unknown = |at_ns| Change { at_ns, what: What::Unknown { offset: 0.into() } };
        let expected = [
            level(50_000, 0, false),
            unknown(70_000),
            level(70_000, 4, false),
            level(70_000, 5, false),
            level(90_000, 0, true),
            level(90_000, 2, true),
        ];
        assert_eq!(played(&script), expected);
        assert_eq!(played(&script), expected, "it starts again from the beginning");
    }

    #[test]
    fn time_begins_at_the_first_stamp() {
        let text =
            "$timescale 1 us $end $var wire 1 ! a $end $enddefinitions $end #1700000000000000 0! #1700000000000010 1!";
        assert_eq!(played(&vcd("x.vcd", text).unwrap()), [level(10_000, 0, true)]);
    }

    #[test]
    fn a_line_that_is_driven_to_one_level_only_is_pulled_to_the_other_and_a_note_says_so() {
        let script = |values: &str| {
            let text = format!("$var wire 1 ! sda $end $enddefinitions $end {values}");
            let script = vcd("x.vcd", &text).unwrap();
            (script.lines[0].initially, played(&script), script.notes().join(", "))
        };
        let says = |level| {
            let what = "assumed to be pulled while nothing drives it, because it is only driven to the other level";
            format!("\"x.vcd\": {what}: \"sda\" to {level}")
        };
        let (initially, changes, notes) = script("#0 z! #10 0! #20 z! #30 x! #40 0!");
        let unknown = Change { at_ns: 30, what: What::Unknown { offset: 0.into() } };
        let expected = [level(10, 0, false), level(20, 0, true), unknown, level(40, 0, false)];
        assert_eq!((initially, &*changes, notes), (true, &expected[..], says(1)));
        let (initially, changes, notes) = script("#0 0! #10 z!");
        assert_eq!((initially, &*changes, notes), (false, &[level(10, 0, true)][..], says(1)));
        let (initially, changes, notes) = script("#0 z! #10 1!");
        assert_eq!((initially, &*changes, notes), (false, &[level(10, 0, true)][..], says(0)));
        // A bus that is driven to both levels is not pulled.
        let (initially, changes, notes) = script("#0 z! #10 0! #20 1! #30 z!");
        let unknown = Change { at_ns: 30, what: What::Unknown { offset: 0.into() } };
        assert_eq!((initially, &*changes, &*notes), (false, &[level(20, 0, true), unknown][..], ""));
    }

    #[test]
    fn notes_name_what_is_left_out_or_odd() {
        let text = "$var real 64 r t $end $var string 1 s st $end $var wire 1 ! a $end $enddefinitions $end
            #9 0! #5 1!\n";
        let expected = [
            "x.vcd:2: time goes back to \"#5\"; it is held at 9 ns until it is past that",
            "\"x.vcd\": left out, because they have no bits: \"t\" is a real, \"st\" is a string",
        ];
        let script = vcd("x.vcd", text).unwrap();
        assert_eq!(script.notes(), expected);
        assert_eq!(played(&script), [level(0, 0, true)]);
    }

    #[test]
    fn an_error_names_its_line() {
        let many = format!("{} $enddefinitions $end", "$var wire 32 ! a $end\n".repeat(33));
        for (text, says) in [
            ("$timescale 1 parsec $end", "x.vcd:1: "),
            (
                "$timescale 1 s $end\n$var wire 1 ! a $end\n#99999999999\n",
                "x.vcd:3: this time does not fit in 64 bits of nanoseconds",
            ),
            ("$var real 64 ! a $end", "\"x.vcd\" has no variables with bits; \"x.vcd\": left out"),
            ("$var wire 1 ! a $end\n#1 q!\n", "x.vcd:2: "),
            (&many, "\"x.vcd\" has 1056 bits, but a simulated chip has at most 1024 lines; choose some of them"),
        ] {
            let error = vcd("x.vcd", text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadFile);
            assert!(error.to_string().starts_with(says), "{text:?}: {error}");
        }
    }
}
