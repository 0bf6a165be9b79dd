//! What is behind a chip: the driver's protocol, and the simulated chip that speaks it.

#[expect(unsafe_code, reason = "declaring what a control code reads and writes is a promise")]
mod codes;
pub(crate) mod driver;
pub(crate) mod sim;
