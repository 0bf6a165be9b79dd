//! A look: the state of a port at one time.

/// The first lines are inputs.
pub(super) const INPUTS: usize = 4;

/// A level for each line: a bit at its offset.
pub(super) type Levels = u8;

/// The state of the inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) levels: Levels,
    /// How many changes of each input are known since the last look.
    pub(super) changes: [u32; INPUTS],
}
