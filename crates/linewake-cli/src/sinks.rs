//! The places that a watch is written to, and what is printed about it.

#[cfg(test)]
mod allocation_tests;
mod csv;
pub(crate) mod csv_columns;
pub(crate) mod destination;
pub(crate) mod distinct;
mod exec;
pub(crate) mod file_id;
pub(crate) mod files;
mod json;
mod line_text;
pub(crate) mod notices;
pub(crate) mod options;
mod out;
mod segment;
pub(crate) mod select;
pub(crate) mod sink;
pub(crate) mod stats;
pub(crate) mod summary;
pub(crate) mod text;
pub(crate) mod unfinished;
mod vcd;
