//! `--daemonize`: the command is started again in the background, without the terminal.
//!
//! It is started, not forked: a fork would lack the threads of this process. The first process waits until the second
//! has the lines, so that an error is reported and the exit code is right.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio, exit};

use crate::exit::Failure;

/// The environment variable of the process in the background.
const HERE: &str = "LINEWAKE_IN_THE_BACKGROUND";
/// The last byte that it writes, when it has the lines.
const READY: u8 = 0;

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("cannot go on in the background: {error}"))
}

/// True in the process in the background.
pub(crate) fn is_here() -> bool {
    env::var_os(HERE).is_some()
}

/// Starts the process in the background, and waits until it has the lines or fails.
pub(crate) fn begin() -> Result<(), Failure> {
    let mut words = env::args_os();
    let mut command = Command::new(env::current_exe().map_err(failed)?);
    command.arg0(words.next().as_deref().unwrap_or(OsStr::new("linewake"))).args(words).env(HERE, "1");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut said = Vec::new();
    if let Some(out) = &mut child.stdout {
        out.read_to_end(&mut said).map_err(failed)?;
    }
    let is_ready = said.pop_if(|last| *last == READY).is_some();
    // A closed standard output does not matter to the process in the background.
    let _ = io::stdout().write_all(&said);
    if is_ready {
        return Ok(());
    }
    // The child has reported the error.
    let status = child.wait().map_err(failed)?;
    exit(status.code().unwrap_or(1));
}

/// Leaves the terminal and the directory, and notifies the process that waits.
pub(crate) fn ready() -> Result<(), Failure> {
    rustix::process::setsid().map_err(failed)?;
    env::set_current_dir("/").map_err(failed)?;
    let null = File::options().read(true).write(true).open("/dev/null").map_err(failed)?;
    let mut out = io::stdout();
    out.write_all(&[READY]).and_then(|()| out.flush()).map_err(failed)?;
    rustix::stdio::dup2_stdout(&null).map_err(failed)?;
    rustix::stdio::dup2_stderr(&null).map_err(failed)?;
    Ok(())
}
