//! Links the crate as a kernel-mode driver, in the profile `driver` only: the kernel cannot unwind, so the code needs
//! that profile's `panic = "abort"`. In every other build the crate is empty, so that the workspace builds anywhere.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(kernel)");

    let is = |key: &str, value: &str| env::var(key).as_deref() == Ok(value);
    let target = is("CARGO_CFG_TARGET_OS", "windows")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && is("CARGO_CFG_TARGET_ARCH", "x86_64");
    // Only the output directory has the profile's name: PROFILE is the name of the profile that it inherits from.
    let out = env::var("OUT_DIR").unwrap_or_default();
    let profile = Path::new(&out).components().any(|part| part.as_os_str() == "driver");
    if !target || !profile {
        return;
    }

    println!("cargo::rustc-cfg=kernel");
    for argument in [
        "-nostartfiles",
        "-nodefaultlibs",
        "-Wl,--entry=DriverEntry",
        "-Wl,--subsystem=native",
        "-Wl,--dynamicbase,--nxcompat",
        "-Wl,--major-os-version=10,--minor-os-version=0,--major-subsystem-version=10,--minor-subsystem-version=0",
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
