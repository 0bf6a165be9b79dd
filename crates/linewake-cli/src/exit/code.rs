//! The exit codes: one table, from which the process, the help and the tests of the README take them.

use std::process::ExitCode;

/// An exit code of the command; its number is the variant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Done = 0,
    Error = 1,
    Loss = 2,
    Early = 3,
}

impl Code {
    fn number(self) -> u8 {
        self as u8
    }

    /// Ends the process at once.
    pub(crate) fn exit_process(self) -> ! {
        std::process::exit(self.number().into())
    }

    /// When the command ends with it.
    fn when(self) -> &'static str {
        match self {
            Self::Done => "done as asked; also when the reader of the output has left",
            Self::Error => "an error; standard error says what is wrong and what to do",
            Self::Loss => "edges were lost, and --fail-on-loss was given",
            Self::Early => "it ended too early",
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        code.number().into()
    }
}

/// The text below the options in a command's help: its own, and its exit codes. Every command ends with 0 or 1; `more`
/// has the codes that it has besides, with what it says of each behind the table's words.
pub(crate) fn help(own: &str, more: &[(Code, &str)]) -> String {
    let mut text = String::from(own);
    if !own.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str("Exit codes:");
    for (code, detail) in [(Code::Done, ""), (Code::Error, "")].iter().chain(more) {
        let row = format!("\n  {}  {}{detail}", code.number(), code.when());
        text.push_str(&row);
    }
    if more.iter().any(|(code, _)| *code == Code::Early) {
        text.push_str("\nA signal or Ctrl-C ends it with 0, unless it ends too early.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_same_table() {
        let readme = include_str!("../../README.md");
        for code in [Code::Done, Code::Error, Code::Loss, Code::Early] {
            let row = format!("\n| {} | {}", code.number(), code.when());
            assert!(readme.contains(&row), "README.md lacks {row:?}");
        }
    }

    #[test]
    fn help_shows_the_codes_that_the_command_has() {
        let text = help("Example:\n  x", &[(Code::Early, ": no edge came")]);
        let [first, codes] = text.split("\n\n").collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!(first, "Example:\n  x");
        assert!(codes.contains("\n  3  it ended too early: no edge came") && !codes.contains("\n  2"), "{codes}");
        assert!(help("", &[]).starts_with("Exit codes:\n  0  done as asked"));
    }
}
