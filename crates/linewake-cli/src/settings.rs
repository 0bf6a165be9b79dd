//! Settings of lines as the values of options, in the words of libgpiod's tools.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use linewake::{Bias, Drive, Edges, EventClock};

/// The heading of the options that libgpiod's tools lack. The program has them under its own name only.
pub(crate) const BEYOND: &str = "Beyond libgpiod";

/// Parses one of a few words into its value.
fn one_of<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.iter().map(|&value| word(value)))
        .map(move |text| *all.iter().find(|&&value| word(value) == text).expect("it is one of the possible values"))
}

/// The values of `--bias`.
pub(crate) fn bias() -> impl TypedValueParser<Value = Bias> {
    one_of(&[Bias::PullDown, Bias::PullUp, Bias::Disabled], Bias::as_str)
}

/// The values of `--drive`.
pub(crate) fn drive() -> impl TypedValueParser<Value = Drive> {
    one_of(&[Drive::PushPull, Drive::OpenDrain, Drive::OpenSource], Drive::as_str)
}

/// The values of `--edges`.
pub(crate) fn edges() -> impl TypedValueParser<Value = Edges> {
    one_of(&[Edges::Falling, Edges::Rising, Edges::Both], Edges::as_str)
}

/// The values of `--event-clock`.
pub(crate) fn event_clock() -> impl TypedValueParser<Value = EventClock> {
    one_of(&[EventClock::Monotonic, EventClock::Realtime, EventClock::Hte], EventClock::as_str)
}
