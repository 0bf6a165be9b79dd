//! One line for each stage, and a closing line. The lines have colours on a terminal, and none in a pipe.

use std::env;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::run::{Failure, Run};
use crate::workspace;

/// How a stage ended.
#[derive(Clone, Copy)]
pub(crate) enum Ended {
    Passed,
    Failed,
    Skipped,
}

/// The stages so far.
pub(crate) struct Report {
    colour: bool,
    tally: Tally,
}

/// How many stages ended in which way. `Display` is the closing line.
#[derive(Clone, Copy, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    pub(crate) fn new() -> Self {
        let colour = io::stdout().is_terminal()
            && env::var_os("NO_COLOR").is_none()
            && env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { colour, tally: Tally::default() }
    }

    /// Says which stage is running; [`Report::end`] finishes the line.
    pub(crate) fn begin(&self, stage: &str) {
        print!("{stage:<8}  ");
        // If this cannot be written, neither can the end of the line, and that is reported.
        let _ = io::stdout().flush();
    }

    pub(crate) fn end(&mut self, ended: Ended, took: Duration, detail: &str) {
        let (word, colour, count) = match ended {
            Ended::Passed => ("passed", "32", &mut self.tally.passed),
            Ended::Failed => ("failed", "1;31", &mut self.tally.failed),
            Ended::Skipped => ("skipped", "33", &mut self.tally.skipped),
        };
        *count += 1;
        let word = if self.colour { format!("\x1b[{colour}m{word:<7}\x1b[0m") } else { format!("{word:<7}") };
        let line = format!("{word}  {:>6.1} s  {detail}", took.as_secs_f64());
        println!("{}", line.trim_end());
    }

    /// Runs a stage on its line. Returns whether it passed; if not, says why.
    pub(crate) fn run(&mut self, run: &Run, work: impl FnOnce() -> Result<String, Failure>) -> bool {
        let started = Instant::now();
        match work() {
            Ok(detail) => self.end(Ended::Passed, started.elapsed(), &detail),
            Err(failure) => {
                self.end(Ended::Failed, started.elapsed(), "");
                println!("{}", run.explain(&failure));
                return false;
            }
        }
        true
    }

    /// Prints the closing line. It is a success if something passed, and nothing failed.
    pub(crate) fn close(self) -> ExitCode {
        println!("{}", self.tally);
        if self.tally.failed == 0 && self.tally.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Writes figures into a page of the workspace, between the two lines that mark the place for this command.
pub(crate) fn write_figures(page: &str, command: &str, figures: &str) -> Result<(), Box<dyn Error>> {
    let begin = format!("<!-- What follows is written by `{command}`. -->");
    let end = "<!-- Up to here. -->";
    let path = workspace::root().join(page);
    let text = fs::read_to_string(&path)?;
    let around = text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) = around.ok_or_else(|| format!("{page} has no lines \"{begin}\" and \"{end}\""))?;
    fs::write(path, format!("{before}{begin}\n\n{figures}\n{end}{after}"))?;
    println!("\nwritten to {page}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_names_skipped_stages_only_if_there_are_any() {
        let mut tally = Tally { passed: 9, ..Tally::default() };
        assert_eq!(tally.to_string(), "9 passed, 0 failed");
        tally.skipped = 2;
        assert_eq!(tally.to_string(), "9 passed, 0 failed, 2 skipped");
    }
}
