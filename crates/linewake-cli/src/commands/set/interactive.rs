//! `--interactive`: commands from standard input set the outputs.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};
use std::thread;

use super::goal::Goal;
use super::outputs::{Outputs, line_value};
use super::terminal::{Input, Terminal};
use crate::display::Values;
use crate::exit::{self, Code, Failure};
use crate::lines::FoundLine;
use crate::period;

const HELP: &str = "\
COMMANDS:

    exit
        Give the lines back, and end
    get [line]...
        Show the values of lines; of all lines if none is given
    help
        Show this help
    set <line=value>...
        Set lines to values
    sleep <period>
        Wait for a period
    toggle [line]...
        Toggle lines; all lines if none is given

";

/// Runs commands until `exit`, or the end of the input.
pub(super) fn run(outputs: &mut Outputs, operands: &[String], unquoted: bool, goal: &Goal) -> Result<(), Failure> {
    let prompt = "linewake> ";
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut terminal = is_terminal.then(|| Terminal::new(names(outputs, operands))).transpose()?;
    let mut session = Session { outputs, operands, unquoted, goal };
    let mut text = String::new();
    loop {
        text.clear();
        match &mut terminal {
            Some(terminal) => match terminal.line(prompt)? {
                Input::Line(line) => text = line,
                Input::End => return Ok(()),
                // The signal of Ctrl-C ends the command with 0 too.
                Input::Interrupt => Code::Done.exit_process(),
            },
            None => match read_line(prompt, &mut text) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(failure) => return failure,
            },
        }
        match session.command(&mut io::stdout().lock(), &words(&text)) {
            Ok(Next::More) => {}
            Ok(Next::End) => return Ok(()),
            Err(error) => return exit::unwritten(&error),
        }
    }
}

/// The most bytes of a command; a longer line is an error.
const MOST_BYTES: u64 = 1 << 20;

/// Prompts for a command, and reads it. The error is the outcome of the program: success, if its reader has left.
fn read_line(prompt: &str, text: &mut String) -> Result<usize, Result<(), Failure>> {
    let mut out = io::stdout().lock();
    out.write_all(prompt.as_bytes()).and_then(|()| out.flush()).map_err(|error| exit::unwritten(&error))?;
    let read = io::stdin().lock().take(MOST_BYTES).read_line(text);
    match read {
        Ok(bytes) if bytes as u64 == MOST_BYTES => Err(Err(Failure::new(format!(
            "a command on standard input has more than {MOST_BYTES} bytes; end it with a newline"
        )))),
        Ok(0) => {
            // The next prompt of the shell begins on a line of its own.
            if io::stdout().is_terminal() {
                let _ = out.write_all(b"\n");
            }
            Ok(0)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            text.clear();
            let _ = out.write_all(b"expected a command in UTF-8\n");
            Ok(1)
        }
        read => read.map_err(|error| Err(Failure::new(format!("cannot read standard input: {error}")))),
    }
}

/// The names that a command may use for lines: operands, labels and sets, each once.
fn names(outputs: &Outputs, operands: &[String]) -> Vec<String> {
    let lines = outputs.lines.lines.iter();
    let mut names: Vec<_> = lines.flat_map(|line| [line.shown(), &operands[line.operand]]).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[derive(Debug, PartialEq)]
enum Next {
    More,
    End,
}

struct Session<'a> {
    outputs: &'a mut Outputs,
    /// The operands, which are lines or sets.
    operands: &'a [String],
    unquoted: bool,
    goal: &'a Goal,
}

impl Session<'_> {
    /// Runs one command. What is wrong with it goes to standard output; the error is a failed write.
    fn command(&mut self, out: &mut impl Write, words: &[&str]) -> io::Result<Next> {
        let Some((&command, words)) = words.split_first() else { return Ok(Next::More) };
        if words.len() > self.outputs.lines.lines.len() {
            writeln!(out, "too many command parameters provided")?;
            return Ok(Next::More);
        }
        match command {
            "exit" => return Ok(Next::End),
            "help" => out.write_all(HELP.as_bytes())?,
            "get" => {
                if let Some(places) = self.places(out, words)? {
                    let lines = &self.outputs.lines.lines;
                    let values: Vec<_> =
                        places.iter().map(|&place| (lines[place].shown(), self.outputs.values[place])).collect();
                    writeln!(out, "{}", Values { values: &values, unquoted: self.unquoted, numeric: false })?;
                }
            }
            "toggle" => {
                for place in self.places(out, words)?.unwrap_or_default() {
                    self.outputs.values[place] ^= true;
                }
                self.outputs.apply();
            }
            "set" if words.is_empty() => writeln!(out, "at least one GPIO line value must be specified")?,
            "set" => self.set(out, words)?,
            "sleep" => match words {
                [] => writeln!(out, "a period must be specified")?,
                [text] => match period::parse(text) {
                    Ok(period) => {
                        out.flush()?;
                        self.goal.is(Some("the command \"sleep\" was over"));
                        thread::sleep(period);
                        self.goal.is(None);
                    }
                    Err(_) => writeln!(out, "invalid period: '{text}'")?,
                },
                _ => writeln!(out, "only one period can be specified")?,
            },
            unknown => {
                writeln!(out, "unknown command: '{unknown}'")?;
                writeln!(out, "Try the 'help' command")?;
            }
        }
        Ok(Next::More)
    }

    fn set(&mut self, out: &mut impl Write, words: &[&str]) -> io::Result<()> {
        let mut ids = Vec::new();
        let mut values = Vec::new();
        for word in words {
            match line_value(word) {
                Ok((id, value)) => {
                    ids.push(id);
                    values.push(value);
                }
                Err(wrong) => return writeln!(out, "invalid line value: '{wrong}'"),
            }
        }
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        if let Some(places) = self.known(out, &ids)? {
            for (places, value) in places.into_iter().zip(values) {
                places.into_iter().for_each(|place| self.outputs.values[place] = value);
            }
            self.outputs.apply();
        }
        Ok(())
    }

    /// The indices of the lines that a command names; of all, if it names none.
    fn places(&self, out: &mut impl Write, words: &[&str]) -> io::Result<Option<Vec<usize>>> {
        if words.is_empty() {
            return Ok(Some((0..self.outputs.lines.lines.len()).collect()));
        }
        let mut ids = Vec::new();
        for word in words {
            let id = match word.strip_prefix('"') {
                Some(quoted) => quoted.strip_suffix('"'),
                None => Some(*word),
            };
            let Some(id) = id else {
                writeln!(out, "invalid line id: '{word}'")?;
                return Ok(None);
            };
            ids.push(id);
        }
        Ok(self.known(out, &ids)?.map(|places| places.concat()))
    }

    /// The indices of the lines behind each name, label or set; `None` if one is unknown, which is printed.
    fn known(&self, out: &mut impl Write, ids: &[&str]) -> io::Result<Option<Vec<Vec<usize>>>> {
        let mut places = Vec::new();
        for id in ids {
            let is_it = |line: &FoundLine| [&*line.id, line.shown(), &*self.operands[line.operand]].contains(id);
            let lines = self.outputs.lines.lines.iter().enumerate();
            let known: Vec<_> = lines.filter(|(_, line)| is_it(line)).map(|(place, _)| place).collect();
            if known.is_empty() {
                writeln!(out, "unknown line: '{id}'")?;
            } else {
                places.push(known);
            }
        }
        Ok((places.len() == ids.len()).then_some(places))
    }
}

/// Splits a line into words. A word that begins with a quotation mark may have spaces up to the next mark.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let quoted = match rest.strip_prefix('"') {
            Some(inner) => inner.find('"').map_or(rest.len(), |at| at + 2),
            None => 0,
        };
        let end = rest[quoted..].find(char::is_whitespace).map_or(rest.len(), |at| quoted + at);
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn quoted_words_have_spaces() {
        for (line, expected) in [
            ("", &[][..]),
            ("  \n", &[]),
            ("get\n", &["get"]),
            ("set a=1  \"b c\"=0\n", &["set", "a=1", "\"b c\"=0"]),
            ("get \"b c\" d", &["get", "\"b c\"", "d"]),
            ("get \"b c\n", &["get", "\"b c"]),
            ("get a\"b c", &["get", "a\"b", "c"]),
        ] {
            assert_eq!(words(line), expected, "{line:?}");
        }
    }
}
