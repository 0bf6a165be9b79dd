//! `linewake config`: where the configuration is looked for, and what is in it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use crate::config::{Member, Sets, Unit, paths, read};
use crate::display::{Printable, Quoted};
use crate::exit::{self, Failure};
use crate::output;

/// Show the configuration: its files, and the named sets of lines in them
///
/// A set is a name for several lines. Wherever a command takes lines, @pumps stands for those of the set "pumps", as in
/// "linewake mon @pumps" and "linewake set @pumps=0". A label is shown instead of a line's own name. With a unit,
/// --stats says how much of it the edges are.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit::help(
        "\
A configuration:
  [set.pumps]
  lines = [
      \"gpiochip0:pump-1\",
      { line = \"gpiochip0:17\", label = \"Pump 2\" },
      { line = \"sim:flow\", label = \"Water\", unit = \"L\", per_edge = 0.5 },
  ]

Files; a set in the first hides a set of the same name in the second:
  Linux    $XDG_CONFIG_HOME/linewake/linewake.toml (~/.config/linewake/linewake.toml), /etc/linewake.toml
  Windows  %APPDATA%\\linewake\\linewake.toml, %PROGRAMDATA%\\linewake\\linewake.toml",
        &[]
    )
)]
pub(crate) struct Arguments {
    /// Check and show this file, and no other
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let paths = match &arguments.file {
        Some(file) => vec![file.clone()],
        None => paths(),
    };
    let mut text = String::new();
    let mut failure = None;
    let mut sets = Sets::new();
    for path in &paths {
        let found = match read(path) {
            Ok(None) if arguments.file.is_some() => {
                let message =
                    format!("cannot find the file \"{}\"; \"linewake config --help\" has an example", path.display());
                return Err(Failure::new(message));
            }
            Ok(None) => "not there",
            Ok(Some(read)) => {
                for (name, lines) in read {
                    sets.entry(name).or_insert(lines);
                }
                "found"
            }
            Err(error) => {
                failure.get_or_insert(error);
                "wrong"
            }
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\"{}\": {found}", path.display());
    }
    for (name, lines) in &sets {
        let _ = writeln!(text, "@{}", Printable(name));
        for Member { id, label, unit } in lines {
            let _ = write!(text, "  {}", Quoted { text: id, unquoted: false });
            if let Some(label) = label {
                let _ = write!(text, " label={}", Quoted { text: label, unquoted: false });
            }
            if let Some(Unit { name, per_edge }) = unit {
                let _ = write!(text, " unit={} per-edge={per_edge}", Quoted { text: name, unquoted: false });
            }
            text.push('\n');
        }
    }
    output::write(|out| out.write_all(text.as_bytes()))?;
    failure.map_or(Ok(()), Err)
}
