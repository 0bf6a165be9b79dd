//! `linewake profile`: checks and explains the description of a vendor's driver.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Subcommand;
use linewake::profile::Profile;

use crate::exit::Failure;
use crate::output;

/// Check or explain a profile: the description of a vendor's driver
///
/// A profile is a TOML file that says which calls a driver takes and what their bytes mean: docs/profiles.md. With it
/// "linewake mon -c FILE.toml" watches the card. Nothing is opened or sent here.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit_codes!(
        "\
Examples:
  linewake profile check card.toml     whether it makes sense; if not, at which line and column
  linewake profile explain card.toml   what would be opened, sent and read, in plain English"
    )
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether a profile makes sense
    Check {
        /// The profile
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say what would be opened, what would be sent and when, and what the answers mean
    Explain {
        /// The profile
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::Check { file } => {
            let profile = Profile::read(file)?;
            let shown = file.display();
            let consent = match profile.needs_writes() {
                true => "; it may change the device, so it needs --allow-writes",
                false => "",
            };
            let notes = profile.notes();
            output::write(|out| {
                writeln!(out, "\"{shown}\" is a profile of the chip \"{}\"{consent}", profile.name())?;
                notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))
            })
        }
        Action::Explain { file } => {
            let profile = Profile::read(file)?;
            output::write(|out| write!(out, "{}", profile.explain()))
        }
    }
}
