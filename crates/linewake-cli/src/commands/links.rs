//! `linewake links`: links with the names of libgpiod's tools to this program.

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::exit::{self, Failure};
use crate::libgpiod::tool::Tool;
use crate::output;
use crate::sinks::file_id::FileId;

/// Make links to this program: gpiodetect, gpioinfo, gpioget, gpioset, gpiomon and gpionotify
///
/// Called by one of these names, the program is that tool of libgpiod: it has the same options, output, messages and
/// exit codes, and works on gpiochips only (docs/gpiod.md). On Windows they are hard links, which must be on the
/// program's own volume, and work on simulated chips only, with LINEWAKE_SIM=1 in the environment.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help(
    "\
Example:
  linewake links ~/.local/bin",
    &[]
))]
pub(crate) struct Arguments {
    /// Where to make the links; the directory must exist
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let directory = &arguments.directory;
    if !directory.is_dir() {
        let shown = directory.display();
        return Err(Failure::new(format!("\"{shown}\" is not a directory; make it first: mkdir \"{shown}\"")));
    }
    let program = env::current_exe().map_err(|error| Failure::new(format!("cannot find this program: {error}")))?;
    let links = Tool::ALL.map(|tool| directory.join(format!("{}{}", tool.name(), env::consts::EXE_SUFFIX)));
    // Look at all names before making any link.
    if let Some(other) = links.iter().find(|link| link.symlink_metadata().is_ok() && !is_link(link, &program)) {
        let message = format!("\"{}\" exists and is another program; remove it or choose", other.display());
        return Err(Failure::new(format!("{message} another directory")));
    }
    for link in links {
        if link.symlink_metadata().is_err() {
            make(&program, &link).map_err(|error| {
                Failure::new(format!(
                    "cannot make \"{}\": {error}; choose a directory you may write to",
                    link.display()
                ))
            })?;
        }
        output::write(|out| writeln!(out, "{}", link.display()))?;
    }
    Ok(())
}

#[cfg(unix)]
fn make(program: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(program, link)
}

/// Symbolic links need a privilege on Windows.
#[cfg(not(unix))]
fn make(program: &Path, link: &Path) -> io::Result<()> {
    std::fs::hard_link(program, link)
}

/// True if a name already leads to this program, as a symbolic or a hard link.
fn is_link(link: &Path, program: &Path) -> bool {
    matches!((FileId::at(link), FileId::at(program)), (Ok(link), Ok(program)) if link == program)
}
