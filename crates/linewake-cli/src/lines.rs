//! The lines that the user means: `-c`, `--by-name`, `--strict` and the operands, by the rules of libgpiod's tools;
//! beyond them several chips, operands of the form CHIP:LINE, and sets of the configuration.

mod chip_operand;
mod complaint;
mod found;
mod resolve;
mod scope;
mod search;

pub(crate) use self::chip_operand::{is_chip, is_chip_number, told_as_chip};
pub(crate) use self::found::{FoundLine, FoundLines};
pub(crate) use self::resolve::All;
pub(crate) use self::scope::{Consent, Scope};
