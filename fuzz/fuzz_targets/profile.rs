#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| linewake_fuzz::profile(bytes));

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("run it with `cargo xtask fuzz profile`");
}
