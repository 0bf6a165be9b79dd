#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| linewake_fuzz::capture_rows(bytes));

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("run it with `cargo xtask fuzz capture_rows`");
}
