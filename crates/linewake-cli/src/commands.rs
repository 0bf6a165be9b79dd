//! The commands, each with the options that it has.

pub(crate) mod mon;
pub(crate) mod record;
pub(crate) mod replay;
