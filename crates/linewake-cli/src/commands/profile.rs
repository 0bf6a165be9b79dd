//! `linewake profile`: tools to describe a vendor's driver.

mod attempt;
mod decode;
mod header;
mod hex;
mod new;
mod terminal;

use std::path::PathBuf;

use clap::Subcommand;
use linewake::profile::Profile;

use crate::exit::{self, Failure};

/// Write, check and try a profile: the description of a vendor's driver
///
/// A profile is a TOML file that says which calls a driver has and what their bytes mean: docs/profiles.md. With it
/// "linewake mon -c FILE.toml" watches the card.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit::help(
        "\
Examples, in the order of the work:
  linewake profile new card.h -o card.toml   a skeleton from the driver's header, or from answers
  linewake profile check card.toml           whether it is right; if not, the line and column
  linewake profile explain card.toml         what it would open, send and read, byte by byte
  linewake profile try card.toml             what the device answers; changes nothing
  linewake profile decode card.toml 05 00    the meaning of bytes that you dumped elsewhere
  linewake mon -c profile:card.toml --allow-writes",
        &[]
    )
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    New(new::Arguments),
    /// Say whether a profile is right
    ///
    /// It opens and sends nothing.
    #[command(verbatim_doc_comment)]
    Check {
        /// The profile
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say what a profile opens, what it sends and when, and what the answers mean
    ///
    /// It draws each record byte by byte. It also says which edges will count as lost, and what is never known.
    /// It opens and sends nothing.
    #[command(verbatim_doc_comment)]
    Explain {
        /// The profile
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    Try(attempt::Arguments),
    Decode(decode::Arguments),
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
            let mut text = format!("\"{shown}\" is a profile of the chip \"{}\"{consent}\n", profile.name());
            notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
            terminal::show(&text)
        }
        Action::Explain { file } => {
            let profile = Profile::read(file)?;
            terminal::show(&profile.explain().to_string())
        }
        Action::Decode(arguments) => decode::run(arguments),
        Action::New(arguments) => new::run(arguments),
        Action::Try(arguments) => attempt::run(arguments),
    }
}
