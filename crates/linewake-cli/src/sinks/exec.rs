//! Runs a command for each edge, one at a time. The watch never waits for it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use linewake::EdgeEvent;

use super::sink::{Closing, Item, Sink, View};
use super::summary::plural;
use crate::display::Printable;
use crate::exit;

/// Runs the command on its own thread, in the order of the edges.
pub(crate) struct Exec {
    queue: Option<SyncSender<EdgeEvent>>,
    runner: Option<JoinHandle<()>>,
    counts: Arc<Counts>,
    cooldown: Duration,
    /// When the cooldown of each line ends.
    rested: HashMap<usize, Instant>,
}

#[derive(Debug, Default)]
struct Counts {
    ran: AtomicU64,
    failed: AtomicU64,
    /// Edges that found the queue full.
    dropped: AtomicU64,
    /// Edges that came in the cooldown of their line.
    cooled: AtomicU64,
    /// Edges that still waited when the user asked for the end.
    left: AtomicU64,
}

impl Exec {
    /// At most `queue` edges wait for the command. After an edge of a line, further edges of it are ignored for
    /// `cooldown`. Edges that still wait when the user asks for the end do not run the command.
    pub(crate) fn new(
        command: OsString,
        queue: usize,
        cooldown: Duration,
        is_asked: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let (sender, edges) = sync_channel::<EdgeEvent>(queue);
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        let run = move || {
            let mut has_said = false;
            for edge in edges {
                if is_asked.load(Relaxed) {
                    counted.left.fetch_add(1, Relaxed);
                    continue;
                }
                counted.ran.fetch_add(1, Relaxed);
                let status = run(&command, &edge);
                if !matches!(&status, Ok(status) if status.success()) {
                    counted.failed.fetch_add(1, Relaxed);
                    let why = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    if !std::mem::replace(&mut has_said, true) {
                        let command = command.display().to_string();
                        exit::say(&format!("linewake: the command \"{}\" failed: {why}\n", Printable(&command)));
                    }
                }
            }
        };
        let runner = thread::Builder::new().name("exec".to_owned()).spawn(run)?;
        Ok(Self { queue: Some(sender), runner: Some(runner), counts, cooldown, rested: HashMap::new() })
    }
}

/// The command's standard output goes to our standard error, because our standard output is for edges.
fn run(command: &OsString, edge: &EdgeEvent) -> io::Result<std::process::ExitStatus> {
    let mut shell = shell(command);
    shell
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .env("LINEWAKE_CHIP", &*edge.chip)
        .env("LINEWAKE_OFFSET", edge.offset.to_string())
        .env("LINEWAKE_NAME", edge.name.as_deref().unwrap_or_default().replace('\0', ""))
        .env("LINEWAKE_EVENT", edge.kind.as_str())
        .env("LINEWAKE_TIMESTAMP_NS", edge.timestamp_ns.to_string())
        .env("LINEWAKE_AXIS_NS", edge.axis_ns.to_string())
        .env("LINEWAKE_SEQNO", edge.seqno.to_string())
        .env("LINEWAKE_LINE_SEQNO", edge.line_seqno.to_string())
        .env("LINEWAKE_MISSING", edge.missed.total().to_string());
    shell.status()
}

#[cfg(not(windows))]
fn shell(command: &OsString) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command);
    shell
}

#[cfg(windows)]
fn shell(command: &OsString) -> Command {
    use std::os::windows::process::CommandExt as _;
    let mut shell = Command::new("cmd.exe");
    // Passed on unchanged, because cmd has its own rules for quotes.
    shell.args(["/D", "/S", "/C"]).raw_arg("\"").raw_arg(command).raw_arg("\"");
    shell
}

impl Sink for Exec {
    fn begin(&mut self, _: View<'_>) -> io::Result<()> {
        Ok(())
    }

    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        let Item::Edge { line, edge } = item else { return Ok(()) };
        if !self.cooldown.is_zero() {
            let now = Instant::now();
            if self.rested.get(&line).is_some_and(|rested| now < *rested) {
                self.counts.cooled.fetch_add(1, Relaxed);
                return Ok(());
            }
            if let Some(rested) = now.checked_add(self.cooldown) {
                self.rested.insert(line, rested);
            }
        }
        let sent = self.queue.as_ref().map(|queue| queue.try_send(edge.clone()));
        if let Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) = sent {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Runs the command for the edges that wait, and prints the counts.
    fn end(&mut self, _: Closing<'_>) -> io::Result<()> {
        self.queue = None;
        if let Some(runner) = self.runner.take() {
            let _ = runner.join();
        }
        let of = |count: &AtomicU64| count.load(Relaxed);
        let mut text = format!("--exec: ran {}", plural(of(&self.counts.ran), "time"));
        for (count, what) in [
            (&self.counts.failed, "failed"),
            (&self.counts.dropped, "not run because the queue was full"),
            (&self.counts.cooled, "not run in the cooldown"),
            (&self.counts.left, "not run because the watch was ended"),
        ] {
            if of(count) > 0 {
                text.push_str(&format!(", {} {what}", of(count)));
            }
        }
        exit::say(&format!("{text}\n"));
        Ok(())
    }
}
