//! The fuzz targets: every decoder of bytes that come from a driver, a client or a file. Each target is a function of
//! bytes, so that `cargo test` can replay the seeds and `cargo fuzz` can look for more. Nothing may panic.

mod batches;
mod captures;
mod chip;
mod controller;
mod input;
mod profile;
mod records;
mod replies;
mod waves;

pub use self::batches::batches;
pub use self::captures::{capture_packed, capture_records, capture_rows};
pub use self::chip::chip;
pub use self::controller::controller;
pub use self::profile::profile;
pub use self::records::records;
pub use self::replies::replies;
pub use self::waves::{fst, ghw, vcd};

/// A target: its name, which is also that of its binary and of its seed directory, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("batches", batches),
    ("capture_packed", capture_packed),
    ("capture_records", capture_records),
    ("capture_rows", capture_rows),
    ("chip", chip),
    ("controller", controller),
    ("profile", profile),
    ("records", records),
    ("replies", replies),
    ("vcd", vcd),
    ("fst", fst),
    ("ghw", ghw),
];

/// The program of a target, for libFuzzer.
#[macro_export]
macro_rules! program {
    ($target:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::$target(bytes));

        #[cfg(not(fuzzing))]
        fn main() {
            eprintln!("run it with `cargo xtask fuzz {}`", stringify!($target));
        }
    };
}
