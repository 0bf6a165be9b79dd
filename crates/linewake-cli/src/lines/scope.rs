//! The options that say where lines are looked for, and how a chip is opened.

use std::iter;

use linewake::{Chip, ChipOptions};

use crate::exit::{self, Failure};
use crate::settings::BEYOND;

// Not a documentation comment: clap would print it as the help of the command.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Scope {
    #[arg(short, long, value_name = "CHIP", help = CHIP_HELP, long_help = chip_forms())]
    pub(crate) chip: Vec<String>,

    /// Take a number for a name, not for an offset
    #[arg(long)]
    pub(crate) by_name: bool,

    /// Fail if a name is not unique, instead of taking the first line that has it
    #[arg(short, long)]
    pub(crate) strict: bool,

    #[command(flatten)]
    pub(crate) consent: Consent,
}

// The permissions that the user gives a chip.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Consent {
    /// Allow a profile to send what may change its device; see "linewake profile explain"
    #[arg(long, help_heading = BEYOND)]
    allow_writes: bool,
}

const CHIP_HELP: &str = "Look on this chip only. May be given several times";

/// The help of `--chip` with the forms of the table.
fn chip_forms() -> String {
    let forms = linewake::chip_specs().iter().map(|spec| format!("{:<13} {}", spec.form, spec.description));
    iter::once(format!("{CHIP_HELP}:\n")).chain(forms).collect::<Vec<_>>().join("\n")
}

impl Consent {
    pub(crate) fn options(&self) -> ChipOptions {
        Chip::options().allow_writes(self.allow_writes)
    }
}

impl Scope {
    /// True if the user named chips: then numbers are offsets, and lines are shown with their chip.
    pub(crate) fn has_chip(&self) -> bool {
        !self.chip.is_empty()
    }

    /// The specs of the chips to look on.
    pub(crate) fn specs(&self) -> Vec<String> {
        if self.has_chip() { self.chip.clone() } else { linewake::chips() }
    }

    /// Opens a chip that the user named.
    pub(crate) fn open(spec: &str, options: &ChipOptions) -> Result<Chip, Failure> {
        let chip = options.open(&real(spec)).map_err(Failure::from)?;
        say_notes(&chip);
        Ok(chip)
    }
}

/// The spec that the library knows: on Linux a chip may be named by a link in /dev, or by a path that leads there.
pub(super) fn real(spec: &str) -> String {
    if cfg!(unix) && spec.contains('/') && !spec.starts_with("/dev/") {
        match std::fs::canonicalize(spec) {
            Ok(real) if real.starts_with("/dev") => real.display().to_string(),
            _ => spec.to_owned(),
        }
    } else if cfg!(unix) && std::path::Path::new("/dev").join(spec).is_symlink() {
        format!("/dev/{spec}")
    } else {
        spec.to_owned()
    }
}

/// Prints what the user should know of a chip, for example what was left out of the waveform that it plays.
pub(super) fn say_notes(chip: &Chip) {
    chip.notes().iter().for_each(|note| exit::say(&format!("{note}\n")));
}
