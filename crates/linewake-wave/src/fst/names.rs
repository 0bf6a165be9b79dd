//! The names of variables, in their scopes.

use super::file::{Bytes, Shape};
use crate::declare::{Declared, unescaped};
use crate::head::Head;
use crate::text::decoded;

/// A type of variables that [`Head::declare`] knows by a word, or any other type, by its number in the file.
fn word(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "event",
        2 => "parameter",
        3 | 4 | 20 | 29 => "real",
        8 => "time",
        21 => "string",
        28 => "enum",
        1 | 5..=7 | 9..=19 | 22..=27 => "wire",
        _ => return None,
    })
}

const PORT: u8 = 18;
const ATTRIBUTE: u8 = 252;
const END_OF_ATTRIBUTE: u8 = 253;
const SCOPE: u8 = 254;
const END_OF_SCOPE: u8 = 255;

/// Declares all variables. Returns which sources are ports.
pub(super) fn declare(bytes: &[u8], shapes: &[Shape], head: &mut Head) -> Result<Vec<bool>, String> {
    let damage = "the names of its variables are damaged";
    for _ in shapes {
        head.bits.add_source();
    }
    let mut ports = vec![false; shapes.len()];
    let (mut scope, mut last) = (0, 0);
    let mut input = Bytes(bytes);
    while let Some(tag) = input.u8() {
        match tag {
            SCOPE => {
                input.u8().ok_or(damage)?;
                let name = decoded(input.text().ok_or(damage)?);
                input.text().ok_or(damage)?;
                scope = head.scopes.add(scope, unescaped(&name));
            }
            END_OF_SCOPE => scope = head.scopes.around(scope),
            ATTRIBUTE => {
                input.take(2).and_then(|_| input.text()).and_then(|_| input.varint()).ok_or(damage)?;
            }
            END_OF_ATTRIBUTE => {}
            _ => {
                let kind = word(tag).ok_or(damage)?;
                input.u8().ok_or(damage)?;
                let name = decoded(input.text().ok_or(damage)?);
                let (length, alias) = (input.varint().ok_or(damage)?, input.varint().ok_or(damage)?);
                // Places count from 1; 0 is a new one.
                let place = match alias {
                    0 => {
                        last += 1;
                        last
                    }
                    alias => alias,
                };
                let source = usize::try_from(place - 1).map_err(|_| damage)?;
                let shape = *shapes.get(source).ok_or(damage)?;
                let width = match (shape, tag) {
                    (Shape::Digits(_), PORT) => {
                        ports[source] = true;
                        // The file has the state, and the strength twice, with blanks between them.
                        length.saturating_sub(2) / 3
                    }
                    (Shape::Digits(digits), _) => digits.into(),
                    (Shape::Real | Shape::Text, _) => 0,
                };
                let kind = match shape {
                    Shape::Real => "real",
                    Shape::Text if kind != "event" => "string",
                    _ => kind,
                };
                let (source, name) = (source as u32, &*name);
                head.declare(&Declared { scope, kind, width, range: None, name, source });
            }
        }
    }
    Ok(ports)
}
