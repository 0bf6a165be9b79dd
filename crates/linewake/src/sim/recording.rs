//! Recordings: value change dumps, each scalar variable a line.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use linewake_controller::protocol::MAX_LINES;
use vcd::{Command, IdCode, ParseError, Parser, TimescaleUnit, Value, VarType};

use super::{Change, Line, Script, What};
use crate::{Error, ErrorKind};

/// Reads a value change dump to its end. What is wrong is said at its line; there are no columns to be had.
pub(super) fn vcd(name: &str, dump: impl BufRead) -> Result<Script, Error> {
    let mut parser = Parser::new(dump);
    let wrong =
        |line: u64, what: &dyn std::fmt::Display| Error::new(ErrorKind::BadFile, format!("{name}:{line}: {what}"));
    let mut dump = Dump::default();
    while let Some(command) = parser.next() {
        let line = parser.line();
        let command =
            command.map_err(|error| match error.get_ref().and_then(|inner| inner.downcast_ref::<ParseError>()) {
                Some(error) => wrong(error.line(), error.kind()),
                None => wrong(line, &error),
            })?;
        dump.note(command).map_err(|what| wrong(line, &what))?;
    }
    if dump.lines.is_empty() {
        let message = format!("\"{name}\" has no variable of one bit, and so no line");
        return Err(Error::new(ErrorKind::BadFile, message));
    }
    Ok(dump.script(name))
}

/// What is known of a dump so far.
#[derive(Default)]
struct Dump {
    scopes: Vec<String>,
    lines: Vec<Wire>,
    /// The lines of each code: several variables may share one.
    codes: HashMap<IdCode, Vec<u32>>,
    /// How long a tick is: a nanosecond unless the dump says.
    timescale: Option<(u32, TimescaleUnit)>,
    at_ns: u64,
    changes: Vec<Change>,
    /// Whether `linewake` wrote it: then behind each line comes a wire, its name with `_lost`, that is no line.
    is_ours: bool,
    /// Whether the last variable was a line.
    is_behind_line: bool,
}

struct Wire {
    scope: String,
    name: String,
    /// The level it has first.
    initially: Option<bool>,
}

impl Dump {
    fn note(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::Timescale(count, unit) => self.timescale = Some((count, unit)),
            Command::Version(text) => self.is_ours = text.starts_with("linewake "),
            Command::ScopeDef(_, name) => self.scopes.push(name),
            Command::Upscope => drop(self.scopes.pop()),
            Command::VarDef(kind, 1, code, name, index)
                if !matches!(kind, VarType::Event | VarType::Parameter | VarType::Real | VarType::String) =>
            {
                if self.lines.len() == MAX_LINES {
                    return Err(format!("a chip has at most {MAX_LINES} lines, and here is one bit more"));
                }
                let name = index.map(|index| format!("{name}{index}")).unwrap_or(name);
                let last = self.lines.last().filter(|_| self.is_ours && self.is_behind_line);
                let rest = last.and_then(|wire| name.strip_prefix(&wire.name));
                self.is_behind_line = !rest.is_some_and(|rest| rest.starts_with("_lost"));
                if !self.is_behind_line {
                    return Ok(());
                }
                self.codes.entry(code).or_default().push(self.lines.len() as u32);
                self.lines.push(Wire { scope: self.scopes.join("."), name, initially: None });
            }
            Command::Timestamp(ticks) => {
                let at_ns = self.nanoseconds(ticks).ok_or("this time is centuries away")?;
                if at_ns < self.at_ns {
                    return Err("time goes back here".to_owned());
                }
                self.at_ns = at_ns;
            }
            Command::ChangeScalar(code, value) => self.change(code, value),
            // Some write a single bit as a vector.
            Command::ChangeVector(code, vector) if vector.len() == 1 => {
                vector.get(0).into_iter().for_each(|value| self.change(code, value));
            }
            _ => {}
        }
        Ok(())
    }

    fn nanoseconds(&self, ticks: u64) -> Option<u64> {
        let (count, unit) = self.timescale.unwrap_or((1, TimescaleUnit::NS));
        let fs = u128::from(ticks) * u128::from(count) * (1_000_000_000_000_000 / u128::from(unit.divisor()));
        u64::try_from(fs / 1_000_000).ok()
    }

    fn change(&mut self, code: IdCode, value: Value) {
        for &line in self.codes.get(&code).map_or(&[][..], Vec::as_slice) {
            let wire = &mut self.lines[line as usize];
            let offset = line.into();
            let what = match (value, wire.initially) {
                (Value::X | Value::Z, None) => continue,
                (Value::X | Value::Z, Some(_)) => What::Unknown { offset },
                (level, Some(_)) => What::Level { offset, level: level == Value::V1 },
                (level, None) => {
                    wire.initially = Some(level == Value::V1);
                    continue;
                }
            };
            self.changes.push(Change { at_ns: self.at_ns, what });
        }
    }

    fn script(self, file: &str) -> Script {
        let mut uses = HashMap::<_, u32>::new();
        for wire in &self.lines {
            *uses.entry(wire.name.clone()).or_default() += 1;
        }
        let mut script = Script { file: Some(file.into()), ..Script::new() };
        for Wire { scope, name, initially } in self.lines {
            let is_unique = scope.is_empty() || uses[&name] == 1;
            let name = if is_unique { name } else { format!("{scope}.{name}") };
            script = script.line(Line::new(name).initially(initially.unwrap_or(false)));
        }
        let changes: Arc<[Change]> = self.changes.into();
        script.changes((0..changes.len()).map(move |index| changes[index]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "
$timescale 10 us $end
$scope module board $end
$var wire 1 ! door $end
$var reg 8 # counter $end
$scope module left $end $var wire 1 % led [3] $end $var wire 1 & clk $end $upscope $end
$scope module right $end $var wire 1 & clk $end $upscope $end
$upscope $end
$enddefinitions $end
#0
$dumpvars
1!
b00000000 #
0%
x&
$end
#5 0! 1&
#7 x! 0&
#9 z! 1!
";

    #[test]
    fn the_wires_beside_our_own_lines_are_no_lines() {
        let wires = "$var wire 1 ! door $end $var wire 1 # door_lost $end
            $var wire 1 $ door_lost_2 $end $var wire 1 % door_lost_2_lost $end
            $enddefinitions $end #0 0! 0# 0$ 0% #5 1# #6 1! #7 1$ #8 1%\n";
        let of = |version: &str| {
            let script = vcd("x.vcd", format!("$version {version} $end {wires}").as_bytes()).unwrap();
            let names: Vec<_> = script.lines.iter().map(|line| line.name.to_string()).collect();
            let mut play = script.play(1);
            (names, std::iter::from_fn(|| play.take()).collect::<Vec<_>>())
        };
        let (names, changes) = of("linewake 0.1.0");
        assert_eq!(names, ["door", "door_lost_2"]);
        assert_eq!(changes, [level(6, 0, true), level(7, 1, true)]);
        assert_eq!(of("another").0, ["door", "door_lost", "door_lost_2", "door_lost_2_lost"]);
    }

    fn level(at_ns: u64, offset: u32, level: bool) -> Change {
        Change::level(at_ns, offset, level)
    }

    #[test]
    fn each_scalar_is_a_line_and_the_first_value_of_each_is_no_change() {
        let script = vcd("x.vcd", DUMP.as_bytes()).unwrap();
        script.check().unwrap();
        let lines: Vec<_> = script.lines.iter().map(|line| (&*line.name, line.initially)).collect();
        let expected = [("door", true), ("led[3]", false), ("board.left.clk", true), ("board.right.clk", true)];
        assert_eq!(lines, expected);
        let mut play = script.play(1);
        let changes: Vec<_> = std::iter::from_fn(|| play.take()).collect();
        let unknown = |at_ns| Change { at_ns, what: What::Unknown { offset: 0.into() } };
        assert_eq!(
            changes,
            [
                level(50_000, 0, false),
                unknown(70_000),
                level(70_000, 2, false),
                level(70_000, 3, false),
                unknown(90_000),
                level(90_000, 0, true),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, says) in [
            ("$timescale 1 parsec $end", "x.vcd:1: "),
            ("\n\n$var wire 1 ! a $end\n#5\n#4\n", "x.vcd:5: time goes back here"),
            ("$timescale 1 s $end\n$var wire 1 ! a $end\n#99999999999\n", "x.vcd:3: this time is centuries away"),
            ("$var wire 8 ! a $end $enddefinitions $end\n", "\"x.vcd\" has no variable of one bit"),
            ("$var wire 1 ! a $end\n#1 q!\n", "x.vcd:2: "),
        ] {
            let error = vcd("x.vcd", text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadFile);
            assert!(error.to_string().starts_with(says), "{text:?}: {error}");
        }
    }
}
