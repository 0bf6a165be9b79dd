//! `linewake profile decode`: the meaning of bytes that were dumped elsewhere.

use std::io::Read as _;
use std::path::PathBuf;

use linewake::profile::Profile;

use super::{hex, terminal};
use crate::exit::{self, Failure};

/// The most bytes of a dump; a larger text is not one answer.
const MOST_TEXT: u64 = 16 << 20;

/// Say what bytes from the driver mean
///
/// The bytes are hexadecimal, in any usual way: "01 02", "01:02", "0102", "0x01, 0x02", or a whole dump of xxd,
/// hexdump -C or od -t x1 on standard input. It shows each record with its fields, and the lines by name.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit::help(
        "\
Examples:
  linewake profile decode card.toml 05 00 00 00        the answer of the wait, or of the read
  linewake profile decode card.toml 0x05,0x00,0x00,0x00
  linewake profile decode card.toml --call get-levels 0000001f
  xxd -l 24 /dev/input/event3 | linewake profile decode keys.toml -",
        &[]
    )
)]
pub(crate) struct Arguments {
    /// The profile
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The bytes; "-" reads them, or a dump, from standard input
    #[arg(value_name = "HEX", required = true)]
    hex: Vec<String>,

    /// The call that returned them, or "read" [default: the call that reports edges]
    #[arg(long, value_name = "NAME")]
    call: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let profile = Profile::read(&arguments.file)?;
    let bytes = bytes(&arguments.hex)?;
    if bytes.is_empty() {
        return Err(Failure::new("expected bytes such as \"01 00 ff\", found none"));
    }
    let call = match &arguments.call {
        Some(call) => call.clone(),
        None => teller(&profile)?,
    };
    let sample = profile.decode(&call, &bytes)?;
    terminal::show(&sample.to_string())
}

/// The call that reports edges, if there is only one.
fn teller(profile: &Profile) -> Result<String, Failure> {
    match profile.tellers().as_slice() {
        [teller] => Ok((*teller).to_owned()),
        several => {
            let names: Vec<_> = several.iter().map(|name| format!("\"{name}\"")).collect();
            Err(Failure::new(format!("several calls report edges; choose one with --call: {}", names.join(", "))))
        }
    }
}

fn bytes(words: &[String]) -> Result<Vec<u8>, Failure> {
    if words != ["-"] {
        return hex::bytes(&words.join(" ")).map_err(Failure::new);
    }
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(MOST_TEXT + 1).read_to_end(&mut text);
    read.map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
    if text.len() as u64 > MOST_TEXT {
        return Err(Failure::new(format!("standard input has more than {MOST_TEXT} bytes; give it one answer")));
    }
    let text = String::from_utf8(text)
        .map_err(|_| Failure::new("standard input is not text; pipe it through xxd or hexdump -C"))?;
    hex::dump(&text).map_err(Failure::new)
}
