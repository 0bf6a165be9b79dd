//! A command line as libgpiod's tools read it: by the rules of the C library's `getopt_long` with options before operands,
//! and in its words. What comes out is for clap, which knows the options from the one definition there is.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use crate::caller::BEYOND;

/// What could be read, and what was wrong with the rest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Options by their long names, each with its value, then `--` and the operands.
    pub(crate) words: Vec<OsString>,
    /// What the C library says of the first option that is none.
    pub(crate) error: Option<String>,
}

/// Reads the arguments of a command. The command must be built.
pub(crate) fn read(command: &Command, arguments: impl IntoIterator<Item = OsString>) -> Read {
    let mut reader = Reader { command, options: Vec::new(), rest: arguments.into_iter() };
    let operand = reader.read();
    let Reader { options, rest, .. } = reader;
    let mut words: Vec<_> = options.into_iter().map(|(_, word)| word).collect();
    let error = match operand {
        Ok(first) => {
            words.push("--".into());
            words.extend(first.into_iter().chain(rest));
            None
        }
        Err(error) => Some(error),
    };
    Read { words, error }
}

struct Reader<'a, I> {
    command: &'a Command,
    /// The options so far; one that comes again takes the place of the one before.
    options: Vec<(&'a Arg, OsString)>,
    rest: I,
}

/// Whether libgpiod's tools have this option too.
pub(crate) fn is_libgpiods(argument: &Arg) -> bool {
    argument.get_help_heading() != Some(BEYOND)
}

impl<'a, I: Iterator<Item = OsString>> Reader<'a, I> {
    /// Reads up to the first operand, which it gives.
    fn read(&mut self) -> Result<Option<OsString>, String> {
        while let Some(word) = self.rest.next() {
            let bytes = word.as_encoded_bytes();
            if bytes == b"--" {
                break;
            } else if let Some(long) = word.to_str().and_then(|word| word.strip_prefix("--")) {
                self.long(long)?;
            } else if bytes.len() > 1 && bytes[0] == b'-' {
                self.short(&word.to_string_lossy())?;
            } else {
                return Ok(Some(word));
            }
        }
        Ok(None)
    }

    fn long(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let (argument, full) = self.named(name, word)?;
        let value = match (takes_value(argument), value) {
            (false, Some(_)) => return Err(format!("option '--{full}' doesn't allow an argument")),
            (false, None) => None,
            (true, Some(value)) => Some(value.into()),
            (true, None) => match self.rest.next() {
                Some(value) => Some(value),
                None => return Err(format!("option '--{full}' requires an argument")),
            },
        };
        self.push(argument, value);
        Ok(())
    }

    /// An option by its name, or by the beginning of it.
    fn named(&self, name: &str, word: &str) -> Result<(&'a Arg, &'a str), String> {
        let mut found: Vec<(&Arg, &str)> = Vec::new();
        for argument in self.command.get_arguments().filter(|argument| is_libgpiods(argument)) {
            for long in argument.get_long_and_visible_aliases().unwrap_or_default() {
                if long == name {
                    return Ok((argument, long));
                }
                if long.starts_with(name) {
                    found.push((argument, long));
                }
            }
        }
        match found.as_slice() {
            [] => Err(format!("unrecognized option '--{word}'")),
            [first, others @ ..] if others.iter().all(|other| other.0.get_id() == first.0.get_id()) => Ok(*first),
            several => {
                let mut names: Vec<_> = several.iter().map(|(_, long)| format!(" '--{long}'")).collect();
                names.sort_unstable();
                Err(format!("option '--{word}' is ambiguous; possibilities:{}", names.concat()))
            }
        }
    }

    /// `-lc0`: letters, of which the last may have a value behind it.
    fn short(&mut self, word: &str) -> Result<(), String> {
        let mut letters = word[1..].chars();
        while let Some(letter) = letters.next() {
            let mut arguments = self.command.get_arguments().filter(|argument| is_libgpiods(argument));
            let Some(argument) = arguments.find(|argument| argument.get_short() == Some(letter)) else {
                return Err(format!("invalid option -- '{letter}'"));
            };
            if takes_value(argument) {
                let value = match letters.as_str() {
                    "" => self.rest.next().ok_or_else(|| format!("option requires an argument -- '{letter}'"))?,
                    value => value.into(),
                };
                self.push(argument, Some(value));
                return Ok(());
            }
            self.push(argument, None);
        }
        Ok(())
    }

    fn push(&mut self, argument: &'a Arg, value: Option<OsString>) {
        let mut word = OsString::from(format!("--{}", argument.get_long().unwrap_or_default()));
        if let Some(value) = value {
            word.push("=");
            word.push(value);
        }
        self.options.retain(|(before, _)| before.get_id() != argument.get_id());
        self.options.push((argument, word));
    }
}

fn takes_value(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Set | ArgAction::Append)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_words(words: &[&str]) -> Result<Vec<String>, String> {
        let flag = |name: &'static str, short: char| Arg::new(name).long(name).short(short).action(ArgAction::SetTrue);
        let command = Command::new("gpioget")
            .arg(flag("active-low", 'l'))
            .arg(flag("as-is", 'a'))
            .arg(flag("quiet", 'q').visible_alias("quit"))
            .arg(Arg::new("chip").long("chip").short('c'))
            .arg(Arg::new("json").long("json").short('j').help_heading(BEYOND).action(ArgAction::SetTrue));
        let read = read(&command, words.iter().map(OsString::from));
        match read.error {
            Some(error) => Err(error),
            None => Ok(read.words.into_iter().map(|word| word.into_string().unwrap()).collect()),
        }
    }

    #[test]
    fn options_come_before_operands() {
        for (words, expected) in [
            (&["-l", "-c", "0", "door"][..], &["--active-low", "--chip=0", "--", "door"][..]),
            (&["-lc0", "a", "-a"], &["--active-low", "--chip=0", "--", "a", "-a"]),
            (&["--ch", "0", "--act"], &["--chip=0", "--active-low", "--"]),
            (&["--chip=", "-"], &["--chip=", "--", "-"]),
            (&["-c", "-l", "--", "-a", "--"], &["--chip=-l", "--", "-a", "--"]),
            (&["-c0", "-l", "-c1"], &["--active-low", "--chip=1", "--"]),
            (&["--qui"], &["--quiet", "--"]),
            (&[], &["--"]),
        ] {
            assert_eq!(read_words(words).unwrap(), expected, "{words:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_the_c_library_does() {
        for (words, expected) in [
            (&["-lx"][..], "invalid option -- 'x'"),
            (&["-j"], "invalid option -- 'j'"),
            (&["-lc"], "option requires an argument -- 'c'"),
            (&["--chip"], "option '--chip' requires an argument"),
            (&["--ch"], "option '--chip' requires an argument"),
            (&["--frob=1"], "unrecognized option '--frob=1'"),
            (&["--json"], "unrecognized option '--json'"),
            (&["--as=1"], "option '--as-is' doesn't allow an argument"),
            (&["--a"], "option '--a' is ambiguous; possibilities: '--active-low' '--as-is'"),
        ] {
            assert_eq!(read_words(words).unwrap_err(), expected, "{words:?}");
        }
    }
}
