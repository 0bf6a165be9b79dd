//! What is told of a device, as rows: when, what, and the bytes with their meaning below.

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

/// Bytes of one answer that are shown.
const MOST_BYTES: usize = 256;
const ROW: usize = 16;

/// Threads that complete what is waited for write here, and the one that takes edges.
pub(super) struct Transcript {
    profile: Profile,
    begun: Instant,
    state: Mutex<State>,
    width: Option<usize>,
    is_coloured: bool,
}

#[derive(Default)]
struct State {
    /// The last of each kind, by what it is of.
    last: HashMap<String, String>,
    /// Rows that were as the ones before, since one that was not.
    repeats: u64,
    /// What would tell of edges, and was left out.
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
            // Once to see whether it is there, and once for the lines.
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
            Trace::Streamed { bytes, records } => {
                let mut below = hex(bytes);
                match (records == bytes, records) {
                    (true, _) => {}
                    (false, []) => below.push_str("a part of a record, whose rest is still to come\n"),
                    (false, records) => {
                        below.push_str("with what came before, whole records of it are:\n");
                        below.push_str(&hex(records));
                    }
                }
                if !records.is_empty() {
                    below.push_str(&self.meaning("read", records));
                }
                self.row(&mut state, "read", "a part of a stream", &below);
            }
            // That is how a wait ends which is given up at the end.
            Trace::Failed { error, .. } if error.device().is_some_and(is_cancelled) => {}
            Trace::Failed { call, error } => {
                self.row_unless_repeated(&mut state, "failed", call, &format!("{error}\n"));
            }
            Trace::Skipped { call, line, input, reason } => {
                // A poll comes here again and again.
                let what = called(call, line);
                let below = format!("{}left out: {reason}; --allow-writes allows it\n", hex(input));
                if state.last.insert(format!("skipped {what}"), below.clone()).is_none() {
                    self.row(&mut state, "skipped", &what, &below);
                }
                let tells = self.profile.tellers().contains(&call) || self.profile.waiting_call() == Some(call);
                if tells && !state.left_out.iter().any(|before| before == call) {
                    state.left_out.push(call.to_owned());
                }
            }
            _ => self.row(&mut state, "other", &trace.to_string(), ""),
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

    /// What the profile says of an answer, line by line.
    fn meaning(&self, call: &str, bytes: &[u8]) -> String {
        match self.profile.decode(call, bytes) {
            Ok(sample) => sample.to_string(),
            // A call whose answer the profile says nothing of.
            Err(error) if error.kind() == linewake::ErrorKind::InvalidInput => String::new(),
            Err(error) => format!("! {error}\n"),
        }
    }

    /// A poll gives the same again and again: that is counted.
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

    /// Why no edge can come, if a call was left out that would tell of it.
    pub(super) fn tells_nothing(&self) -> Option<String> {
        let state = self.state();
        let is_left_out = |call: &str| state.left_out.iter().any(|left_out| left_out == call);
        let tellers = self.profile.tellers();
        let all = !tellers.is_empty() && tellers.iter().all(|teller| is_left_out(teller));
        let names: Vec<_> = state.left_out.iter().map(|name| format!("\"{name}\"")).collect();
        let nothing = all || self.profile.waiting_call().is_some_and(is_left_out);
        nothing.then(|| format!("{} was left out, so no edge can come; --allow-writes allows it", names.join(" and ")))
    }

    /// The reader has left.
    pub(super) fn leave(&self) {
        self.state().has_left = true;
    }

    pub(super) fn has_left(&self) -> bool {
        self.state().has_left
    }

    /// Says what could not be written, if something could not.
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

/// Bytes in rows.
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
