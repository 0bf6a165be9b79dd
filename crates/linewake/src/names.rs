//! The names of the values of an enum, as users, records and libgpiod's tools write them.

/// Gives an enum the method `as_str`, with a name for each value.
macro_rules! names {
    ($(#[$doc:meta])+ $type:ident { $($value:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            $(#[$doc])+
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $name),+
                }
            }
        }
    };
}

pub(crate) use names;
