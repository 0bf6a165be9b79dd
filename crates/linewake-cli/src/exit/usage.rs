//! A command line that is wrong, or that asks for help.

use std::error::Error as _;
use std::process::ExitCode;
use std::slice;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::code::Code;
use super::failure::{Failure, finish, unwritten};

/// Prints help, or says in one line what is wrong with the command line.
pub(crate) fn misuse(error: &Error) -> ExitCode {
    if !error.use_stderr() {
        return finish(error.print().or_else(|error| unwritten(&error)));
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return Code::Error.into();
    }
    finish(Err(Failure::new(message(error))))
}

fn message(error: &Error) -> String {
    let argument = quoted(error, ContextKind::InvalidArg);
    let value = quoted(error, ContextKind::InvalidValue);
    let wrong = match error.kind() {
        ErrorKind::UnknownArgument => format!("unexpected argument {argument}"),
        ErrorKind::InvalidSubcommand => format!("unknown command {}", quoted(error, ContextKind::InvalidSubcommand)),
        // Only "--json-strings" needs another option.
        ErrorKind::MissingRequiredArgument if argument.starts_with("\"--json") => {
            "\"--json-strings\" needs \"--json\"".to_owned()
        }
        ErrorKind::MissingRequiredArgument => format!("missing {argument}"),
        ErrorKind::ArgumentConflict => match quoted(error, ContextKind::PriorArg) {
            prior if prior == argument => format!("{argument} cannot be given twice"),
            prior => format!("{argument} cannot be used with {prior}"),
        },
        ErrorKind::InvalidValue if value == "\"\"" => format!("missing the value of {argument}"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::TooManyValues => {
            let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            format!("invalid value {value} for {argument}{reason}")
        }
        other => other.to_string(),
    };
    let possible = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) if !values.is_empty() => format!("; expected {}", values.join(", ")),
        _ => String::new(),
    };
    format!("{wrong}{possible}; {}", remedy(error))
}

/// What clap proposes instead, and where to read on.
fn remedy(error: &Error) -> String {
    let near = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    // The nearest is the last.
    let near = near.into_iter().find_map(|kind| words(error, kind).last());
    let near = near.map_or_else(|| "see --help".to_owned(), |near| format!("did you mean \"{near}\"? See --help"));
    match error.get(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(others)) => {
            others.iter().map(|other| format!("{other}; ").replace('\'', "\"")).collect::<String>() + &near
        }
        _ => near,
    }
}

fn quoted(error: &Error, kind: ContextKind) -> String {
    words(error, kind).iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

fn words(error: &Error, kind: ContextKind) -> &[String] {
    match error.get(kind) {
        Some(ContextValue::String(word)) => slice::from_ref(word),
        Some(ContextValue::Strings(words)) => words,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::Cli;

    #[test]
    fn an_error_names_the_argument_and_the_remedy() {
        for (words, expected) in [
            (
                &["get", "--frob"][..],
                "unexpected argument \"--frob\"; to pass \"--frob\" as a value, use \"-- --frob\"; ",
            ),
            (&["get", "--num"], "did you mean \"--numeric\"? See --help"),
            (&["gett"], "unknown command \"gett\"; did you mean \"get\"? See --help"),
            (&["munch"], "unknown command \"munch\"; see --help"),
            (&["record"], "missing \"<FILE>\"; see --help"),
            (&["mon", "--json-strings"], "\"--json-strings\" needs \"--json\"; see --help"),
            (&["get", "--bias"], "missing the value of \"--bias <BIAS>\"; expected "),
            (&["get", "--bias", "pull-op", "x"], "invalid value \"pull-op\" for \"--bias <BIAS>\"; expected "),
            (&["get", "--bias", "pull-op", "x"], "did you mean \"pull-up\"? See --help"),
            (
                &["notify", "-n", "x"],
                "invalid value \"x\" for \"--num-events <N>\": expected a whole number; see --help",
            ),
            (&["notify", "-n", "-1"], "-1 is out of range; expected 0 to 2147483647; see --help"),
            (&["get", "--consumer", "a", "--consumer", "b"], "\"--consumer <NAME>\" cannot be given twice; see --help"),
            (&["get", "--numeric=1"], "invalid value \"1\" for \"--numeric\"; see --help"),
            (&["mon", "-q", "--append", "--overwrite"], "\"--append\" cannot be used with \"--overwrite\"; see --help"),
        ] {
            let error = Cli::try_parse_from([&["linewake"], words].concat()).unwrap_err();
            let message = message(&error);
            assert!(message.contains(expected), "{words:?}: {message}");
        }
    }
}
