//! The rows that show a device at work: when, what, and below it the bytes with their meaning.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anstream::{AutoStream, ColorChoice};
use linewake::EdgeEvent;
use linewake::profile::{Profile, Trace};

use crate::commands::profile::terminal;
use crate::exit::{self, Failure};
use crate::stamp::Stamp;

/// The most bytes of an answer that are shown.
const MOST_BYTES: usize = 256;
/// Bytes in a row.
const ROW: usize = 16;

/// The transcript on standard output. The threads that complete calls write it, and the one that takes edges.
pub(super) struct Transcript {
    profile: Profile,
    begun: Instant,
    state: Mutex<State>,
    width: Option<usize>,
    is_coloured: bool,
}

#[derive(Default)]
struct State {
    /// The last text of each kind of row, by kind and call.
    last: HashMap<String, String>,
    /// Rows left out since the last one that was shown, because they were as before.
    repeats: u64,
    /// The calls that would report edges, and were left out.
    left_out: Vec<String>,
    error: Option<io::Error>,
    has_left: bool,
}

impl Transcript {
    pub(super) fn new(profile: &Profile, begun: Instant) -> Self {
        let is_coloured = !matches!(AutoStream::choice(&io::stdout()), ColorChoice::Never);
        Self { profile: profile.clone(), begun, state: Mutex::default(), width: terminal::width(), is_coloured }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn trace(&self, trace: &Trace<'_>) {
        let mut state = self.state();
        match *trace {
            // The device is opened twice: to see that it is there, and for the lines.
            Trace::Opened { name } => {
                if state.last.insert("opened".to_owned(), name.to_owned()).as_deref() != Some(name) {
                    self.row(&mut state, "opened", &format!("\"{name}\""), "");
                }
            }
            Trace::Sent { call, line, input } => {
                let what = called(call, line);
                self.row_unless_repeated(&mut state, "sent", &what, &hex(input));
            }
            Trace::Answered { call, line, bytes, value } => {
                let what = called(call, line);
                let mut below = match value {
                    Some(value) => format!("returned {value}\n"),
                    None => String::new(),
                };
                below.push_str(&hex(bytes));
                if !bytes.is_empty() {
                    below.push_str(&self.meaning(call, bytes));
                }
                self.row_unless_repeated(&mut state, "answer", &what, &below);
            }
            Trace::Streamed { bytes, records } => self.stream(&mut state, bytes, records),
            // A wait that is cancelled at the end fails with this error.
            Trace::Failed { error, .. } if error.device().is_some_and(is_cancelled) => {}
            Trace::Failed { call, error } => {
                self.row_unless_repeated(&mut state, "failed", call, &format!("{error}\n"));
            }
            Trace::Skipped { call, line, input, reason } => self.skip(&mut state, call, line, input, reason),
            _ => self.row(&mut state, "other", &trace.to_string(), ""),
        }
    }

    fn stream(&self, state: &mut State, bytes: &[u8], records: &[u8]) {
        let mut below = hex(bytes);
        if records.is_empty() && !bytes.is_empty() {
            below.push_str("a part of a record; the rest is still to come\n");
        } else if records != bytes {
            below.push_str("with the bytes before, these records are whole:\n");
            below.push_str(&hex(records));
        }
        if !records.is_empty() {
            below.push_str(&self.meaning("read", records));
        }
        self.row(state, "read", "a part of a stream", &below);
    }

    fn skip(&self, state: &mut State, call: &str, line: Option<u64>, input: &[u8], reason: &str) {
        let what = called(call, line);
        let below = format!("{}left out: {reason}; --allow-writes allows it\n", hex(input));
        // A poll skips the same call again and again.
        if state.last.insert(format!("skipped {what}"), below.clone()).is_none() {
            self.row(state, "skipped", &what, &below);
        }
        let reports_edges = self.profile.tellers().contains(&call) || self.profile.waiting_call() == Some(call);
        if reports_edges && !state.left_out.iter().any(|before| before == call) {
            state.left_out.push(call.to_owned());
        }
    }

    pub(super) fn edge(&self, edge: &EdgeEvent) {
        let line = match &edge.name {
            Some(name) => format!("line {} \"{name}\"", edge.offset),
            None => format!("line {}", edge.offset),
        };
        let missing = match edge.missed.total() {
            0 => String::new(),
            missing => format!(" ({missing} missing before this one)"),
        };
        let stamp = Stamp::Seconds.of(edge.timestamp_ns);
        let what = format!("{} {line}, stamped {stamp}{missing}", edge.kind.as_str());
        let mut state = self.state();
        self.row(&mut state, "EDGE", &what, "");
    }

    /// The meaning of an answer in the profile, line by line.
    fn meaning(&self, call: &str, bytes: &[u8]) -> String {
        match self.profile.decode(call, bytes) {
            Ok(sample) => sample.to_string(),
            // The profile does not describe this answer.
            Err(error) if error.kind() == linewake::ErrorKind::InvalidInput => String::new(),
            Err(error) => format!("! {error}\n"),
        }
    }

    /// Adds a row, or counts it if a poll gave the same answer as before.
    fn row_unless_repeated(&self, state: &mut State, kind: &str, what: &str, below: &str) {
        let before = state.last.insert(format!("{kind} {what}"), below.to_owned());
        if self.profile.polls() && before.as_deref() == Some(below) {
            state.repeats += 1;
            return;
        }
        self.row(state, kind, what, below);
    }

    fn row(&self, state: &mut State, kind: &str, what: &str, below: &str) {
        let mut text = String::new();
        let repeats = std::mem::take(&mut state.repeats);
        if repeats > 0 {
            let _ = writeln!(text, "{:>20}… {repeats} more calls and answers as before", "");
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        let (bold, plain) = match (self.is_coloured, kind) {
            (true, "EDGE" | "skipped" | "failed") => ("\x1b[1m", "\x1b[0m"),
            _ => ("", ""),
        };
        let _ = writeln!(text, "{seconds:>11.6}  {bold}{kind:<7}{plain}  {what}");
        below.lines().for_each(|line| {
            let _ = writeln!(text, "{:>22}{line}", "");
        });
        let text = terminal::fit(&text, self.width);
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if let Err(error) = written {
            state.has_left |= error.kind() == io::ErrorKind::BrokenPipe;
            state.error.get_or_insert(error);
        }
    }

    /// Says why no edge can come, if a call that would report edges was left out.
    pub(super) fn no_edges(&self) -> Option<String> {
        let state = self.state();
        let is_left_out = |call: &str| state.left_out.iter().any(|left_out| left_out == call);
        let tellers = self.profile.tellers();
        let all = !tellers.is_empty() && tellers.iter().all(|teller| is_left_out(teller));
        let names: Vec<_> = state.left_out.iter().map(|name| format!("\"{name}\"")).collect();
        let nothing = all || self.profile.waiting_call().is_some_and(is_left_out);
        nothing.then(|| format!("{} was left out, so no edge can come; --allow-writes allows it", names.join(" and ")))
    }

    /// Notes that the reader has left.
    pub(super) fn leave(&self) {
        self.state().has_left = true;
    }

    pub(super) fn has_left(&self) -> bool {
        self.state().has_left
    }

    /// Ends the transcript; fails if a row could not be written.
    pub(super) fn end(&self) -> Result<(), Failure> {
        let mut state = self.state();
        if state.repeats > 0 {
            self.row(&mut state, "end", "", "");
        }
        state.error.take().map_or(Ok(()), |error| exit::unwritten(&error))
    }
}

fn is_cancelled(error: &overlapped::Error) -> bool {
    error.kind() == overlapped::ErrorKind::Cancelled
}

fn called(call: &str, line: Option<u64>) -> String {
    match line {
        Some(line) => format!("{call}, line {line}"),
        None => call.to_owned(),
    }
}

/// Formats bytes in rows.
fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "no bytes\n".to_owned();
    }
    let mut text = String::new();
    for row in bytes[..bytes.len().min(MOST_BYTES)].chunks(ROW) {
        let digits: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(text, "{}", digits.join(" "));
    }
    if let Some(more) = bytes.len().checked_sub(MOST_BYTES).filter(|more| *more > 0) {
        let _ = writeln!(text, "… {more} more bytes");
    }
    text
}
