//! Settings of lines as the values of options, in the words of libgpiod's tools.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use linewake::{Bias, Drive, Edges, EventClock};

/// The heading of the options that libgpiod's tools lack. The program has them under its own name only.
pub(crate) const BEYOND: &str = "Beyond libgpiod";

pub(crate) const BIASES: &[Bias] = &[Bias::PullDown, Bias::PullUp, Bias::Disabled];
pub(crate) const DRIVES: &[Drive] = &[Drive::PushPull, Drive::OpenDrain, Drive::OpenSource];
pub(crate) const EDGES: &[Edges] = &[Edges::Falling, Edges::Rising, Edges::Both];
pub(crate) const CLOCKS: &[EventClock] = &[EventClock::Monotonic, EventClock::Realtime, EventClock::Hte];

/// Parses one of a few words into its value.
pub(crate) fn one_of<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.iter().map(|&value| word(value)))
        .map(move |text| *all.iter().find(|&&value| word(value) == text).expect("it is one of the possible values"))
}
