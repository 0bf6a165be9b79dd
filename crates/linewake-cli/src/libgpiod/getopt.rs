//! Reads a command line as libgpiod's tools do: by the rules of the C library's `getopt_long`, in order, with options
//! before operands, and with its messages.

use super::{Context, Exit};

/// An option.
#[derive(Debug)]
pub(super) struct Opt {
    pub(super) long: &'static str,
    pub(super) short: Option<u8>,
    /// The option in the code of the tool. Two options with one key are one option with two names.
    pub(super) key: u8,
    pub(super) takes_value: bool,
}

/// An option without a value, with a letter.
pub(super) const fn flag(long: &'static str, letter: u8) -> Opt {
    Opt { long, short: Some(letter), key: letter, takes_value: false }
}

/// An option without a value or a letter.
pub(super) const fn long_flag(long: &'static str, key: u8) -> Opt {
    Opt { long, short: None, key, takes_value: false }
}

/// An option with a value and a letter.
pub(super) const fn value(long: &'static str, letter: u8) -> Opt {
    Opt { long, short: Some(letter), key: letter, takes_value: true }
}

/// An option with a value and without a letter.
pub(super) const fn long_value(long: &'static str, key: u8) -> Opt {
    Opt { long, short: None, key, takes_value: true }
}

/// Reads the options and gives the operands. `take` gets each option in turn, with its value; an error from it ends the
/// tool, and the rest is not read.
pub(super) fn read<'a>(
    context: &mut Context,
    options: &'static [Opt],
    words: &'a [Vec<u8>],
    mut take: impl FnMut(&mut Context, u8, &'a [u8]) -> Result<(), Exit>,
) -> Result<&'a [Vec<u8>], Exit> {
    let mut rest = words;
    while let Some((word, behind)) = rest.split_first() {
        if !word.starts_with(b"-") || word.len() == 1 {
            break;
        }
        rest = behind;
        if word == b"--" {
            break;
        }
        let taken = match word.strip_prefix(b"--") {
            Some(long) => read_long(options, long, &mut rest).map(|(key, value)| take(context, key, value)),
            None => read_short(options, &word[1..], &mut rest, |key, value| take(context, key, value)),
        };
        match taken {
            Ok(taken) => taken?,
            Err(wrong) => {
                context.error(&wrong)?;
                let prog = context.prog.clone();
                return Err(Exit::of("try ", &prog, " --help"));
            }
        }
    }
    Ok(rest)
}

/// Takes the next word for a value.
fn next<'a>(rest: &mut &'a [Vec<u8>]) -> Option<&'a [u8]> {
    let (value, behind) = rest.split_first()?;
    *rest = behind;
    Some(value)
}

fn read_long<'a>(options: &'static [Opt], word: &'a [u8], rest: &mut &'a [Vec<u8>]) -> Result<(u8, &'a [u8]), Vec<u8>> {
    let (name, value) = match word.iter().position(|&byte| byte == b'=') {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None => (word, None),
    };
    let option = named(options, name, word)?;
    let long = option.long;
    match (option.takes_value, value) {
        (false, Some(_)) => Err(format!("option '--{long}' doesn't allow an argument").into()),
        (false, None) => Ok((option.key, b"")),
        (true, Some(value)) => Ok((option.key, value)),
        (true, None) => match next(rest) {
            Some(value) => Ok((option.key, value)),
            None => Err(format!("option '--{long}' requires an argument").into()),
        },
    }
}

/// Finds an option by its name, or by the beginning of its name.
fn named(options: &'static [Opt], name: &[u8], word: &[u8]) -> Result<&'static Opt, Vec<u8>> {
    let mut begun: Option<&Opt> = None;
    let mut others: Vec<&str> = Vec::new();
    for option in options {
        let long = option.long.as_bytes();
        if long == name {
            return Ok(option);
        }
        if long.starts_with(name) {
            match begun {
                None => begun = Some(option),
                Some(first) if first.key == option.key => {}
                Some(_) => others.push(option.long),
            }
        }
    }
    match begun {
        None => Err([b"unrecognized option '--", word, b"'"].concat()),
        Some(only) if others.is_empty() => Ok(only),
        Some(first) => {
            others.insert(0, first.long);
            let names: String = others.iter().map(|long| format!(" '--{long}'")).collect();
            Err([b"option '--", word, b"' is ambiguous; possibilities:", names.as_bytes()].concat())
        }
    }
}

/// Reads letters such as `-lc0`, of which the last may have a value behind it.
fn read_short<'a>(
    options: &'static [Opt],
    letters: &'a [u8],
    rest: &mut &'a [Vec<u8>],
    mut take: impl FnMut(u8, &'a [u8]) -> Result<(), Exit>,
) -> Result<Result<(), Exit>, Vec<u8>> {
    let mut letters = letters;
    while let Some((letter, behind)) = letters.split_first() {
        let Some(option) = options.iter().find(|option| option.short == Some(*letter)) else {
            return Err([b"invalid option -- '", &[*letter][..], b"'"].concat());
        };
        letters = behind;
        let mut value: &[u8] = b"";
        if option.takes_value {
            value = match std::mem::take(&mut letters) {
                [] => next(rest).ok_or_else(|| [b"option requires an argument -- '", &[*letter][..], b"'"].concat())?,
                value => value,
            };
        }
        if let Err(exit) = take(option.key, value) {
            return Ok(Err(exit));
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::super::out::Out;
    use super::super::tool::Tool;
    use super::*;

    const OPTIONS: &[Opt] = &[
        flag("active-low", b'l'),
        flag("as-is", b'a'),
        value("chip", b'c'),
        flag("quiet", b'q'),
        long_flag("quit", b'q'),
        long_value("idle-timeout", b'i'),
    ];

    /// The options, `--` and the operands; or the message.
    fn read_words(words: &[&str]) -> Result<Vec<String>, String> {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let mut context = Context { tool: Tool::Get, prog: b"gpioget".to_vec(), out: Out::new() };
        let mut taken = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let rest = read(&mut context, OPTIONS, &words, |_, key, value| {
            taken.push(format!("{}{}", key as char, text(value)));
            if value == b"bad" { Err(Exit::new("bad value")) } else { Ok(()) }
        });
        match rest {
            Ok(rest) => {
                taken.push("--".to_owned());
                taken.extend(rest.iter().map(|word| text(word)));
                Ok(taken)
            }
            Err(exit) => Err(text(&exit.message)),
        }
    }

    #[test]
    fn options_come_before_operands() {
        for (words, expected) in [
            (&["-l", "-c", "0", "door"][..], &["l", "c0", "--", "door"][..]),
            (&["-lc0", "a", "-a"], &["l", "c0", "--", "a", "-a"]),
            (&["--ch", "0", "--act"], &["c0", "l", "--"]),
            (&["--chip=", "-"], &["c", "--", "-"]),
            (&["-c", "-l", "--", "-a", "--"], &["c-l", "--", "-a", "--"]),
            (&["-c0", "-l", "-c1"], &["c0", "l", "c1", "--"]),
            (&["--qui"], &["q", "--"]),
            (&["--i=5"], &["i5", "--"]),
            (&["", "-l"], &["--", "", "-l"]),
            (&[], &["--"]),
        ] {
            assert_eq!(read_words(words).unwrap(), expected, "{words:?}");
        }
    }

    #[test]
    fn the_first_thing_that_is_wrong_ends_it() {
        for (words, expected) in [
            (&["-c", "bad", "-x"][..], "bad value"),
            (&["-c", "bad", "-c", "good"], "bad value"),
            (&["-x", "-c", "bad"], "try gpioget --help"),
        ] {
            assert_eq!(read_words(words).unwrap_err(), expected, "{words:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_the_c_library_does() {
        let long = |word: &str| read_long(OPTIONS, word.as_bytes(), &mut &[][..]).map(drop);
        let short = |word: &str| read_short(OPTIONS, word.as_bytes(), &mut &[][..], |_, _| Ok(())).map(drop);
        for (wrong, expected) in [
            (short("lx"), "invalid option -- 'x'"),
            (short("lc"), "option requires an argument -- 'c'"),
            (long("chip"), "option '--chip' requires an argument"),
            (long("ch"), "option '--chip' requires an argument"),
            (long("frob=1"), "unrecognized option '--frob=1'"),
            (long("as=1"), "option '--as-is' doesn't allow an argument"),
            (long("a"), "option '--a' is ambiguous; possibilities: '--active-low' '--as-is'"),
        ] {
            assert_eq!(String::from_utf8(wrong.unwrap_err()).unwrap(), expected);
        }
        assert_eq!(short("\u{fc}").unwrap_err(), b"invalid option -- '\xc3'");
    }
}
