//! The program to run, and what to do when it ends.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::{Error, ErrorKind};

/// A program that prints a line for each change: see [`Chip::from_command`](crate::Chip::from_command), and
/// `docs/exec.md` for its output.
///
/// ```
/// use std::time::Duration;
/// use linewake::{Exec, Restart};
/// let program = Exec::new("python3")
///     .args(["-u", "inputs.py"])
///     .restart(Restart::OnFailure, Duration::from_secs(1));
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing runs before a chip is made of it"]
pub struct Exec {
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
    name: Option<Arc<str>>,
    pub(super) lines: Option<Vec<Arc<str>>>,
    pub(super) restart: (Restart, Duration),
    pub(super) start_timeout: Duration,
}

/// When a program that has ended is started again. A [`Monitor`](crate::Monitor) that
/// [reattaches](crate::MonitorBuilder::reattach) starts it, or [`Chip::reopen`](crate::Chip::reopen). The request
/// always ends with the program, so that the gap is reported.
///
/// ```
/// assert_eq!(linewake::Restart::default(), linewake::Restart::Always);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    Never,
    /// If its exit status was not 0.
    OnFailure,
    /// Always.
    #[default]
    Always,
}

impl Exec {
    /// A program, found as the system finds programs. It gets no input; its error output goes to that of this process.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            name: None,
            lines: None,
            restart: (Restart::default(), Duration::from_secs(1)),
            start_timeout: Duration::from_secs(10),
        }
    }

    /// The program and its arguments in one text, as in the spec `exec:COMMAND`, separated by spaces. Words in `"…"` or
    /// `'…'` may have spaces and the other quote. A backslash is an ordinary character. No shell reads the text; for
    /// one, write `sh -c '…'`.
    ///
    /// ```
    /// linewake::Exec::parse(r#"C:\tools\inputs.exe --card "Card 1""#)?;
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when a quote is not closed, or there is no program.
    pub fn parse(command: &str) -> Result<Self, Error> {
        let invalid = |what: &str| Error::new(ErrorKind::InvalidInput, format!("the command \"{command}\" {what}"));
        let words = words(command).ok_or_else(|| invalid("has a quote that is not closed"))?;
        match words.split_first() {
            Some((program, arguments)) if !program.is_empty() => Ok(Self::new(program).args(arguments)),
            _ => Err(invalid("names no program; write it as in \"exec:python3 -u inputs.py\"")),
        }
    }

    /// Adds an argument.
    pub fn arg(self, argument: impl AsRef<OsStr>) -> Self {
        self.args([argument])
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets the chip's name. By default it is the name of the program, or of the script that an interpreter such as
    /// `sh` or `python3` runs: `door` for `python3 -u scripts/door.py`. For `sh -c '…'` it is the beginning of the
    /// command.
    ///
    /// ```
    /// use linewake::{Chip, Exec};
    /// # if cfg!(unix) {
    /// let chip = Chip::from_command(Exec::new("sh").args(["-c", "echo lines door; exec sleep 60"]).name("gate"))?;
    /// assert_eq!(&*chip.info().name, "gate");
    /// # }
    /// # Ok::<(), linewake::Error>(())
    /// ```
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the names of the lines, for a program that does not print them first; `-` is a line without a name.
    pub fn lines<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.lines = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets when the program is started again, and how long after its end: always and after 1 s by default.
    pub fn restart(mut self, restart: Restart, delay: Duration) -> Self {
        self.restart = (restart, delay);
        self
    }

    /// Sets how long the program may take to name its lines: 10 s by default.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }

    /// The chip's name.
    pub(super) fn label(&self) -> Arc<str> {
        let stem = |path: &OsStr| Path::new(path).file_stem().unwrap_or(path).to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(|| self.script().unwrap_or_else(|| stem(&self.program)).into())
    }

    /// The script that an interpreter runs.
    fn script(&self) -> Option<String> {
        let stem = |path: &str| Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let program = stem(&self.program.to_string_lossy())?.to_ascii_lowercase();
        if !INTERPRETERS.contains(&program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')) {
            return None;
        }
        let arguments: Vec<_> = self.arguments.iter().map(|argument| argument.to_string_lossy()).collect();
        let at = arguments.iter().position(|argument| !argument.starts_with('-'))?;
        // After `-c` or `-ec` comes the script itself, after `-m` a module.
        let option = at.checked_sub(1).map_or("", |before| &*arguments[before]);
        if option.len() <= 3 && option.ends_with(['c', 'e']) {
            return Some(beginning(&arguments[at]));
        }
        if option == "-m" { Some(arguments[at].clone().into_owned()) } else { stem(&arguments[at]) }
    }

    /// The command, as a user reads it.
    pub(super) fn text(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments).map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn quoted(&self) -> String {
        format!("\"{}\"", self.text())
    }

    pub(super) fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::Device, format!("the program {} {what}", self.quoted()))
    }

    pub(super) fn malformed(&self, reason: &str) -> Error {
        Error::new(
            ErrorKind::Malformed,
            format!("the program {} does not keep to the format of docs/exec.md: {reason}", self.quoted()),
        )
    }
}

/// Interpreters, whose own name says nothing; with or without a version.
const INTERPRETERS: &[&str] = &[
    "ash",
    "bash",
    "dash",
    "ksh",
    "lua",
    "node",
    "perl",
    "php",
    "powershell",
    "pwsh",
    "python",
    "pythonw",
    "ruby",
    "sh",
    "zsh",
];

/// The first words of a script, on one line.
fn beginning(script: &str) -> String {
    const MOST: usize = 32;
    let words = script.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MOST) {
        None => words,
        Some((end, _)) => format!("{}…", words[..end].trim_end()),
    }
}

/// Words between spaces; `None` when a quote is not closed.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_is_called_after_what_runs_and_not_after_its_interpreter() {
        let cases = [
            ("/opt/card/inputs --card 1", "inputs"),
            ("python3 -u /opt/card/door.py --card 1", "door"),
            ("/usr/bin/python3.13 -m vendor.inputs", "vendor.inputs"),
            ("sh bell.sh", "bell"),
            ("sh -c 'tail -f changes.txt'", "tail -f changes.txt"),
            ("bash -ec 'echo lines door;\n  exec cat /run/a/very/long/path'", "echo lines door; exec cat /run/a…"),
            ("perl -ne 'print' file", "print"),
            ("sh", "sh"),
            ("python3 -i", "python3"),
            ("tail -f changes.txt", "tail"),
        ];
        for (command, name) in cases {
            assert_eq!(&*Exec::parse(command).unwrap().label(), name, "{command}");
        }
        assert_eq!(&*Exec::new("sh").name("gate").arg("bell.sh").label(), "gate");
    }

    #[test]
    fn a_command_is_split_at_spaces_that_are_not_in_quotes() {
        let cases: [(&str, &[&str]); 7] = [
            ("a b  c", &["a", "b", "c"]),
            (r"C:\x\y.exe \n", &[r"C:\x\y.exe", r"\n"]),
            (r#""C:\Program Files\x.exe" -v"#, &[r"C:\Program Files\x.exe", "-v"]),
            (r#"sh -c 'echo "a b"; exit'"#, &["sh", "-c", r#"echo "a b"; exit"#]),
            ("a'b c'd", &["ab cd"]),
            ("a '' b", &["a", "", "b"]),
            (" \t", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
        assert_eq!(words("a 'b"), None);
        for text in ["", "'", "'' x"] {
            let error = Exec::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
    }
}
