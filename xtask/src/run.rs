//! One run of a stage: its commands, one after another, and their log.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use crate::command::CommandLine;
use crate::{test_output, workspace};

/// Why a stage ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The command that failed, if one did, to be pasted.
    pub(crate) command: Option<String>,
    pub(crate) reason: String,
}

impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { command: None, reason: error.into().to_string() }
    }
}

/// The log of a stage. It is locked while the stage runs, so a second run of the same stage in the same tree waits.
pub(crate) struct Run {
    log: File,
    path: PathBuf,
}

impl Run {
    pub(crate) fn start(stage: &str) -> Result<Self, Box<dyn Error>> {
        let (directory, name) = (workspace::target().join("xtask"), format!("{stage}.log"));
        let log = workspace::lock_file(&directory, &name)?;
        log.lock()?;
        log.set_len(0)?;
        Ok(Self { log, path: directory.join(name) })
    }

    /// Runs a command that must succeed.
    pub(crate) fn command(&self, command: &CommandLine) -> Result<(), Failure> {
        writeln!(&self.log, "$ {command}")?;
        let failed =
            |reason: &dyn fmt::Display| Failure { command: Some(command.to_string()), reason: reason.to_string() };
        let status = command.run_into(&self.log).map_err(|error| failed(&error))?;
        if status.success() { Ok(()) } else { Err(failed(&status)) }
    }

    /// Runs a `cargo test` that must succeed and must find something to run. Returns how many tests passed.
    pub(crate) fn tests(&self, command: &CommandLine) -> Result<usize, Failure> {
        self.tests_in(command, |_| true)
    }

    /// The same, counting only tests of the sources that `count` accepts.
    pub(crate) fn tests_in(&self, command: &CommandLine, count: impl Fn(&str) -> bool) -> Result<usize, Failure> {
        let before = self.text()?.len();
        self.command(command)?;
        match test_output::passed(&self.text()?[before..], count) {
            0 => Err(Failure { command: Some(command.to_string()), reason: "no test was found".to_owned() }),
            passed => Ok(passed),
        }
    }

    /// The output of the stage's commands so far.
    pub(crate) fn text(&self) -> Result<String, Failure> {
        Ok(String::from_utf8_lossy(&fs::read(&self.path)?).into_owned())
    }

    /// Adds to the log.
    pub(crate) fn add(&self, text: &str) -> Result<(), Failure> {
        Ok((&self.log).write_all(text.as_bytes())?)
    }

    pub(crate) fn log(&self) -> &File {
        &self.log
    }

    /// The message about a failed stage: the end of the log, the reason and the command.
    pub(crate) fn explain(&self, failure: &Failure) -> String {
        let mut shown = format!("\n{}", tail(&self.text().unwrap_or_default()));
        let _ = writeln!(shown, "\n  reason   {}", failure.reason);
        if let Some(command) = &failure.command {
            let _ = writeln!(shown, "  command  {command}");
        }
        let _ = writeln!(shown, "  log      {}", workspace::shown(&self.path));
        shown
    }
}

/// The last 40 lines of a text, indented. If there are more, the first line says how many were left out.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    let hidden = lines.len().saturating_sub(40);
    let first = (hidden > 0).then(|| format!("    … {hidden} lines before these\n"));
    let shown = lines[hidden..].iter().map(|line| format!("    {line}\n"));
    first.into_iter().chain(shown).collect()
}
