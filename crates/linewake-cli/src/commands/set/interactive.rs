//! `--interactive`: commands from standard input set the outputs.

use std::convert::Infallible;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::thread;
use std::time::Duration;

use super::console::{Console, MOST_BYTES};
use super::goal::Goal;
use super::outputs::Outputs;
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
    let mut session = Session { outputs, operands, unquoted, goal, out: Vec::new() };
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
        let Ok(goes_on) = session.run(text.trim().as_bytes());
        if let Err(error) = io::stdout().lock().write_all(&std::mem::take(&mut session.out)) {
            return exit::unwritten(&error);
        }
        if !goes_on {
            return Ok(());
        }
    }
}

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

struct Session<'a> {
    outputs: &'a mut Outputs,
    /// The operands, which are lines or sets.
    operands: &'a [String],
    unquoted: bool,
    goal: &'a Goal,
    /// The output of the command that runs.
    out: Vec<u8>,
}

impl Console for Session<'_> {
    type Error = Infallible;

    const HELP: &'static str = HELP;

    fn values(&mut self) -> &mut [bool] {
        &mut self.outputs.values
    }

    /// A name is an operand, a label or a set.
    fn named(&self, id: &[u8]) -> Vec<usize> {
        let names = |line: &FoundLine| {
            [&*line.id, line.shown(), &*self.operands[line.operand]].map(str::as_bytes).contains(&id)
        };
        let lines = self.outputs.lines.lines.iter().enumerate();
        lines.filter(|(_, line)| names(line)).map(|(place, _)| place).collect()
    }

    fn print(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    fn show(&mut self, places: &[usize]) {
        let Outputs { lines, values, .. } = &*self.outputs;
        let values: Vec<_> = places.iter().map(|&place| (lines.lines[place].shown(), values[place])).collect();
        let values = Values { values: &values, unquoted: self.unquoted, numeric: false };
        self.out.extend(format!("{values}\n").into_bytes());
    }

    fn apply(&mut self) -> Result<(), Infallible> {
        self.outputs.apply();
        Ok(())
    }

    fn period(&self, text: &[u8]) -> Option<Duration> {
        period::parse(str::from_utf8(text).ok()?).ok()
    }

    fn sleep(&mut self, period: Duration) -> Result<(), Infallible> {
        self.goal.is(Some("the command \"sleep\" was over"));
        thread::sleep(period);
        self.goal.is(None);
        Ok(())
    }
}
