//! `linewake driver`: linewake.sys, the reference driver, is installed, started, stopped and removed.

use std::path::PathBuf;

use clap::Subcommand;

use crate::exit::{self, Failure};
#[cfg(windows)]
use crate::service;

/// Manage linewake.sys, the reference driver (Windows)
///
/// The driver is a simulated controller in the kernel, for tests and as a model. Its device is "\\.\LineWake0". It is
/// not signed: Windows loads it in test-signing mode only. Every command needs an administrator, and may be repeated.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help(
    "\
Examples:
  linewake driver install --path linewake.sys
  linewake driver start
  linewake mon -c '\\\\.\\LineWake0'
  linewake driver remove",
    &[]
))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Register the driver with Windows, or change its path
    Install {
        /// The driver's file
        #[arg(long, value_name = "FILE.sys", default_value = "linewake.sys")]
        path: PathBuf,
    },
    /// Load the driver: its device appears
    Start,
    /// Unload the driver: programs that use its device see it disconnected
    Stop,
    /// Stop the driver and remove it from Windows; the file stays
    Remove,
    /// Say whether it is installed and running
    Status,
}

#[cfg(windows)]
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let said = match &arguments.action {
        Action::Install { path } => service::install(path),
        Action::Start => service::start(),
        Action::Stop => service::stop(),
        Action::Remove => service::remove(),
        Action::Status => service::status(),
    }?;
    println!("{said}");
    Ok(())
}

#[cfg(not(windows))]
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let what = match &arguments.action {
        Action::Install { path } => format!("install \"{}\"", path.display()),
        Action::Start => "start it".to_owned(),
        Action::Stop => "stop it".to_owned(),
        Action::Remove => "remove it".to_owned(),
        Action::Status => "ask its status".to_owned(),
    };
    Err(Failure::new(format!(
        "the driver \"LineWake\" runs on Windows only, so linewake cannot {what}; the chip \"sim\" runs everywhere"
    )))
}
