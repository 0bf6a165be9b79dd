//! Value change dumps (IEEE 1364-2005, 18), in the variants of the many programs that write them.

mod changes;
mod codes;
mod head;
pub(crate) mod ports;
mod words;

use std::io::BufRead;

pub(crate) use self::changes::Changes;

use self::head::Parsed;
use crate::axis::Axis;
use crate::error::Error;
use crate::head::Common;
use crate::notes::Notes;
use crate::text::{Text, plain};

/// Reads the head.
pub(crate) fn open(name: &str, source: Box<dyn BufRead + Send>) -> Result<(Common, Changes), Error> {
    let mut text = Text::new(plain(Box::new(source)).map_err(|error| Error::unreadable(name, error))?);
    let mut notes = Notes::default();
    let Parsed { mut head, codes, tick } = head::parse(name, &mut text, &mut notes)?;
    head.bits.link();
    let name = name.to_owned();
    Ok((Common { name, head, axis: Axis::new(tick), notes, segments: 1 }, Changes::new(text, codes)))
}
