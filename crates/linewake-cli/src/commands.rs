//! The subcommands, a file for each: its options, its help and what it does.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod detect;
pub(crate) mod doctor;
pub(crate) mod driver;
pub(crate) mod get;
pub(crate) mod info;
pub(crate) mod links;
pub(crate) mod man;
pub(crate) mod mon;
pub(crate) mod notify;
pub(crate) mod profile;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod set;
