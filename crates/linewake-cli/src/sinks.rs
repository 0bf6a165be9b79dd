//! Where a watch is written to, and what is said of it.

pub(crate) mod csv;
pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod json;
mod line_text;
#[cfg(test)]
mod no_allocation;
pub(crate) mod said;
mod segment;
pub(crate) mod select;
pub(crate) mod sink;
pub(crate) mod stats;
pub(crate) mod summary;
pub(crate) mod text;
pub(crate) mod vcd;
