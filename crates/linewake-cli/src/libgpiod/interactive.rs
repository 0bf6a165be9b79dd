//! gpioset's `--interactive`: commands from standard input set the outputs.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use super::outputs::{Outputs, line_value};
use super::{Context, Exit, number, print};
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

/// The most bytes of a command; a longer line is an error.
const MOST_BYTES: u64 = 1 << 20;

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
    loop {
        let text = match &mut terminal {
            Some(terminal) => {
                context.out.flush()?;
                match terminal.line(PROMPT).map_err(said)? {
                    Input::Line(line) => Some(line.into_bytes()),
                    Input::End => None,
                    Input::Interrupt => Signal::interrupt().end_process(),
                }
            }
            None => read_line(context)?,
        };
        let Some(text) = text else { return Ok(()) };
        if !command(context, outputs, unquoted, &words(&text))? {
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

/// Runs one command, and says whether another may follow. What is wrong with it goes to standard output.
fn command(context: &mut Context, outputs: &mut Outputs<'_>, unquoted: bool, words: &[&[u8]]) -> Result<bool, Exit> {
    let Some((&command, words)) = words.split_first() else { return Ok(true) };
    if words.len() > outputs.values.len() {
        context.out.text("too many command parameters provided\n");
        return Ok(true);
    }
    match command {
        b"exit" => return Ok(false),
        b"help" => context.out.text(HELP),
        b"get" => {
            if let Some(places) = places(context, outputs, words) {
                let lines = &outputs.lines.wanted;
                let values = places.iter().map(|&place| (lines[place].id, outputs.values[place]));
                print::values(&mut context.out, values, unquoted, false);
            }
        }
        b"toggle" => {
            for place in places(context, outputs, words).unwrap_or_default() {
                outputs.values[place] = !outputs.values[place];
            }
            outputs.apply(context)?;
        }
        b"set" if words.is_empty() => context.out.text("at least one GPIO line value must be specified\n"),
        b"set" => set(context, outputs, words)?,
        b"sleep" => match words {
            [] => context.out.text("a period must be specified\n"),
            [text] => match number::period(text).map(|period| period as i32) {
                Some(period @ 0..) => {
                    context.out.flush()?;
                    number::sleep(period as u64);
                }
                _ => complain(context, "invalid period", text),
            },
            _ => context.out.text("only one period can be specified\n"),
        },
        unknown => {
            complain(context, "unknown command", unknown);
            context.out.text("Try the 'help' command\n");
        }
    }
    Ok(true)
}

fn complain(context: &mut Context, what: &str, word: &[u8]) {
    let out = &mut context.out;
    out.text(what);
    out.text(": '");
    out.printable(word);
    out.text("'\n");
}

fn set(context: &mut Context, outputs: &mut Outputs<'_>, words: &[&[u8]]) -> Result<(), Exit> {
    let values: Result<Vec<_>, _> = words.iter().map(|word| line_value(word)).collect();
    let values = match values {
        Ok(values) => values,
        Err(wrong) => {
            complain(context, "invalid line value", wrong);
            return Ok(());
        }
    };
    let (ids, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
    if let Some(places) = known(context, outputs, &ids) {
        for (place, value) in places.into_iter().zip(values) {
            outputs.values[place] = value;
        }
        outputs.apply(context)?;
    }
    Ok(())
}

/// The indices of the lines that a command names; of all, if it names none.
fn places(context: &mut Context, outputs: &Outputs<'_>, words: &[&[u8]]) -> Option<Vec<usize>> {
    if words.is_empty() {
        return Some((0..outputs.values.len()).collect());
    }
    let mut ids = Vec::new();
    for word in words {
        let id = match word.strip_prefix(b"\"") {
            Some(quoted) => quoted.strip_suffix(b"\""),
            None => Some(*word),
        };
        let Some(id) = id else {
            complain(context, "invalid line id", word);
            return None;
        };
        ids.push(id);
    }
    known(context, outputs, &ids)
}

/// The indices of lines, if all are held.
fn known(context: &mut Context, outputs: &Outputs<'_>, ids: &[&[u8]]) -> Option<Vec<usize>> {
    let mut places = Vec::new();
    for &id in ids {
        match outputs.lines.wanted.iter().position(|line| line.id == id) {
            Some(place) => places.push(place),
            None => complain(context, "unknown line", id),
        }
    }
    (places.len() == ids.len()).then_some(places)
}

/// Splits a line into words. A word that begins with a quotation mark may have spaces up to the next mark.
fn words(line: &[u8]) -> Vec<&[u8]> {
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let space = rest.iter().take_while(|&&byte| is_space(byte)).count();
        rest = &rest[space..];
        if rest.is_empty() {
            return words;
        }
        let quoted = match rest.strip_prefix(b"\"") {
            Some(inner) => inner.iter().position(|&byte| byte == b'"').map_or(rest.len(), |at| at + 2),
            None => 0,
        };
        let end = rest[quoted..].iter().position(|&byte| is_space(byte)).map_or(rest.len(), |at| quoted + at);
        words.push(&rest[..end]);
        rest = &rest[end..];
    }
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
            ("get a\"b c", &["get", "a\"b", "c"]),
        ] {
            let expected: Vec<_> = expected.iter().map(|word| word.as_bytes()).collect();
            assert_eq!(words(line.as_bytes()), expected, "{line:?}");
        }
    }
}
