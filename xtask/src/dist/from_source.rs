//! The standard library for 32-bit ARM, built from its sources if rustup cannot provide it: by a nightly toolchain,
//! with Debian's musl and the unwinder of GCC in place of Rust's own copies.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::CommandLine;
use crate::workspace;

pub(super) const TARGET: &str = "armv7-unknown-linux-musleabihf";

/// Options for cargo.
pub(super) const OPTIONS: &str = "-Zbuild-std=std,panic_unwind";

/// The licence of GCC's unwinder, which the program then contains.
pub(super) const LICENCE: &str = "\
The program contains parts of GCC's runtime library (https://gcc.gnu.org), under the GNU General Public License, version 3,
with the GCC Runtime Library Exception, version 3.1: the exception allows it in a program of any licence.
";

const MUSL: &str = "/usr/lib/arm-linux-musleabihf";
const GCC: &str = "/usr/lib/gcc-cross/arm-linux-gnueabihf";

const REMEDY: &str = "\
The library can be built from its sources instead, on Debian with

    rustup component add rust-src --toolchain nightly
    dpkg --add-architecture armhf
    apt-get update
    apt-get install --no-install-recommends musl-dev:armhf libgcc-12-dev-armhf-cross
";

/// The parts that the library is built with.
pub(super) struct Parts {
    /// GCC's folder, of the latest version.
    gcc: PathBuf,
}

impl Parts {
    /// Finds the parts. The error says how to install them.
    pub(super) fn find() -> Result<Self, &'static str> {
        let nightly = CommandLine::new("rustup component list --installed --toolchain nightly").read();
        let has_sources = nightly.is_some_and(|list| list.lines().any(|component| component == "rust-src"));
        let versions = fs::read_dir(GCC).into_iter().flatten().flatten().map(|entry| entry.path());
        match versions.max().filter(|gcc| gcc.join("libgcc_eh.a").is_file()) {
            Some(gcc) if has_sources && Path::new(MUSL).join("libc.a").is_file() => Ok(Self { gcc }),
            _ => Err(REMEDY),
        }
    }

    /// Options for rustc.
    pub(super) fn flags(&self) -> std::io::Result<String> {
        // The library looks for the unwinder under the name of LLVM's unwinder.
        let unwinder = workspace::target().join("xtask/unwinder");
        fs::create_dir_all(&unwinder)?;
        fs::copy(self.gcc.join("libgcc_eh.a"), unwinder.join("libunwind.a"))?;
        Ok(format!(" -Lnative={MUSL} -Lnative={} -Lnative={}", self.gcc.display(), unwinder.display()))
    }
}
