//! `linewake profile new`: a skeleton of a profile, from a header or from a few answers.

mod ask;
mod call;
mod names;
mod skeleton;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::header::{self, Header};
use crate::exit::{self, Failure, say};
use crate::number;
use crate::output;

/// Write a skeleton of a profile, from the header of a driver or from a few answers
///
/// Every control code (CTL_CODE) and every ioctl (_IO, _IOR, _IOW, _IOWR) of the header becomes a call, with the
/// fields of its structs at the places where a 64-bit compiler puts them. What a header does not say is a line with
/// TODO, which says what to find out; "linewake profile check" points at the first one. Give headers that include each
/// other in quotes together. Without a header, it asks questions.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit::help(
        "\
Examples:
  linewake profile new public.h -o card.toml           from a header
  linewake profile new card.h card_types.h -o card.toml
  linewake profile new card.h --device /dev/card0 --lines 24 -o card.toml
  linewake profile new -o card.toml                    asks for the device, and how it reports
Then:
  linewake profile check card.toml                     what is still missing
  linewake profile explain card.toml                   what it will do
  linewake profile try card.toml                       what the device says",
        &[]
    )
)]
pub(crate) struct Arguments {
    /// C headers that a program includes to call the driver
    #[arg(value_name = "HEADER")]
    headers: Vec<PathBuf>,

    /// The file to write, which must not exist; standard output unless given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The device to open, if you know it: a path, or the GUID of an interface
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,

    /// The number of lines, if you know it
    #[arg(long, value_name = "N", value_parser = number::within(1..=skeleton::MOST_LINES))]
    lines: Option<u32>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(path) = arguments.output.as_deref().filter(|path| path.exists()) {
        return Err(Failure::new(format!("\"{}\" exists; name another file, or remove it", path.display())));
    }
    let known = skeleton::UserFacts { device: arguments.device.as_deref(), lines: arguments.lines };
    if let Some(device) = known.device {
        skeleton::check_device(device).map_err(Failure::new)?;
    }
    if arguments.headers.is_empty() {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let remedy = "give the driver's header, as in \"linewake profile new card.h -o card.toml\"";
            return Err(Failure::new(format!("missing a header, and no terminal to ask questions on; {remedy}")));
        }
        let text = ask::profile(known)?;
        return write(arguments.output.as_deref(), &text);
    }
    let files = arguments.headers.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let header = Header::read(&files);
    let text = skeleton::write(&header, known);
    write(arguments.output.as_deref(), &text)?;
    let mut told = String::new();
    for note in header.notes.iter().take(20) {
        told.push_str(&format!("note: {note}\n"));
    }
    if let Some(more) = header.notes.len().checked_sub(20).filter(|more| *more > 0) {
        told.push_str(&format!("note: {more} more notes are at the end of the profile\n"));
    }
    if header.codes.is_empty() {
        told.push_str("note: the header has no CTL_CODE, _IO, _IOR, _IOW or _IOWR; are the codes in another one?\n");
    }
    say(&told);
    Ok(())
}

fn read(path: &Path) -> Result<header::File, Failure> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let most = header::MOST_BYTES as u64;
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|error| Failure::new(format!("cannot read the header \"{shown}\": {error}; is its path right?")))?;
    if bytes.len() as u64 > most {
        return Err(Failure::new(format!(
            "the header \"{shown}\" has more than {most} bytes; give the part with the codes"
        )));
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    Ok(header::File::new(name.chars().filter(|c| !c.is_control()).collect(), bytes))
}

fn write(path: Option<&Path>, text: &str) -> Result<(), Failure> {
    let Some(path) = path else {
        return output::write(|out| out.write_all(text.as_bytes()));
    };
    let shown = path.display();
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::new(format!("cannot write \"{shown}\": {error}; name another file")))?;
    say(&format!("wrote \"{shown}\"; next: linewake profile check {shown}\n"));
    Ok(())
}
