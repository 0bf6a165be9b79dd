//! gpioset's `--interactive`: commands from standard input set the outputs.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::time::Duration;

use super::outputs::Outputs;
use super::{Context, Exit, number, print};
use crate::commands::set::console::{Console, MOST_BYTES};
use crate::commands::set::terminal::{Input, Settings, Terminal};
use crate::signals::{self, Signal};

const PROMPT: &str = "gpioset> ";

const HELP: &str = "\
COMMANDS:

    exit
        Exit the program
    get [line]...
        Display the output values of the given requested lines

        If no lines are specified then all requested lines are displayed

    help
        Print this help

    set <line=value>...
        Update the output values of the given requested lines

    sleep <period>
        Sleep for the specified period

    toggle [line]...
        Toggle the output values of the given requested lines

        If no lines are specified then all requested lines are toggled

";

/// Runs commands until `exit`, or the end of the input.
pub(super) fn run(context: &mut Context, outputs: &mut Outputs<'_>, unquoted: bool) -> Result<(), Exit> {
    let said = |failure: crate::exit::Failure| Exit::new(failure.to_string());
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut terminal = None;
    if is_terminal {
        // A signal ends the tool as before, and the terminal is restored.
        let settings = Settings::now();
        signals::on_end(move |signal| {
            settings.restore();
            signal.end_process()
        })
        .map_err(said)?;
        let ids = outputs.lines.wanted.iter().map(|line| String::from_utf8_lossy(line.id).into_owned());
        terminal = Some(Terminal::new(ids.collect()).map_err(said)?);
    }
    let mut session = Session { context, outputs, unquoted };
    loop {
        let text = match &mut terminal {
            Some(terminal) => {
                session.context.out.flush()?;
                match terminal.line(PROMPT).map_err(said)? {
                    Input::Line(line) => Some(line.into_bytes()),
                    Input::End => None,
                    Input::Interrupt => Signal::interrupt().end_process(),
                }
            }
            None => read_line(session.context)?,
        };
        let Some(text) = text else { return Ok(()) };
        if !session.run(&text)? {
            return Ok(());
        }
    }
}

/// Prompts for a command, and reads it; `None` at the end of the input.
fn read_line(context: &mut Context) -> Result<Option<Vec<u8>>, Exit> {
    context.out.text(PROMPT);
    context.out.flush()?;
    let mut text = Vec::new();
    let read = io::stdin().lock().take(MOST_BYTES).read_until(b'\n', &mut text);
    match read {
        Ok(0) => Ok(None),
        Ok(bytes) if bytes as u64 == MOST_BYTES => {
            Err(Exit::new(format!("a command on standard input has more than {MOST_BYTES} bytes")))
        }
        Ok(_) => Ok(Some(text)),
        Err(error) => Err(Exit::new(format!("cannot read standard input: {error}"))),
    }
}

struct Session<'a, 'o> {
    context: &'a mut Context,
    outputs: &'a mut Outputs<'o>,
    unquoted: bool,
}

impl Console for Session<'_, '_> {
    type Error = Exit;

    const HELP: &'static str = HELP;

    fn values(&mut self) -> &mut [bool] {
        &mut self.outputs.values
    }

    fn named(&self, id: &[u8]) -> Vec<usize> {
        self.outputs.lines.wanted.iter().position(|line| line.id == id).into_iter().collect()
    }

    fn print(&mut self, text: &[u8]) {
        self.context.out.bytes(text);
    }

    fn show(&mut self, places: &[usize]) {
        let Outputs { lines, values, .. } = &*self.outputs;
        let values = places.iter().map(|&place| (lines.wanted[place].id, values[place]));
        print::values(&mut self.context.out, values, self.unquoted, false);
    }

    fn apply(&mut self) -> Result<(), Exit> {
        self.outputs.apply(self.context)
    }

    fn period(&self, text: &[u8]) -> Option<Duration> {
        // libgpiod's tool keeps the period in an int.
        let period = number::period(text)? as i32;
        u64::try_from(period).ok().map(Duration::from_micros)
    }

    fn sleep(&mut self, period: Duration) -> Result<(), Exit> {
        self.context.out.flush()?;
        std::thread::sleep(period);
        Ok(())
    }
}
