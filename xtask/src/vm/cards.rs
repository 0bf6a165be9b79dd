//! Builds the kernel module of `vm/cards` for the guest. Its devices are cards with the ioctls of real drivers, whose
//! inputs a test drives.
//!
//! This machine's gcc builds it with the headers of the guest's kernel, in a second or two. The kernel's own build
//! system is not used, because its programs need the libraries of another Debian. The guest's kernel checks neither
//! versions of symbols nor signatures, so a compiler and a linker are enough. When a source has changed, the module is
//! built again.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use super::prepare::{self, Guest};
use crate::command::CommandLine;
use crate::run::{Failure, Run};
use crate::workspace;

/// The compiler flags with which the kernel builds its own modules (arch/x86/Makefile).
const FLAGS: &str = "-O2 -std=gnu11 -fms-extensions -fshort-wchar -funsigned-char -fno-common -fno-PIE -ffreestanding \
     -fno-strict-aliasing -fno-strict-overflow -fno-delete-null-pointer-checks -fno-stack-protector -fno-jump-tables \
     -fno-asynchronous-unwind-tables -fcf-protection=branch -ftrivial-auto-var-init=zero -m64 -mcmodel=kernel \
     -mno-red-zone -mno-sse -mno-sse2 -mno-mmx -mno-3dnow -mno-avx -mno-80387 -mno-fp-ret-in-387 \
     -mpreferred-stack-boundary=3 -mskip-rax-setup -Wall -Werror -Wno-address-of-packed-member \
     -Wno-maybe-uninitialized";

/// The directories of headers: in the package for all architectures (`common`), or in that of this one (`own`).
const HEADERS: [(&str, &str); 8] = [
    ("common", "arch/x86/include"),
    ("own", "arch/x86/include/generated"),
    ("common", "include"),
    ("own", "include"),
    ("common", "arch/x86/include/uapi"),
    ("own", "arch/x86/include/generated/uapi"),
    ("common", "include/uapi"),
    ("own", "include/generated/uapi"),
];

/// Returns the module, and builds it unless an earlier run has.
pub(crate) fn module(guest: &Guest) -> Result<PathBuf, Box<dyn Error>> {
    let directory = prepare::directory().join("cards");
    let lock = workspace::lock_file(&directory, "build.lock")?;
    lock.lock()?;
    let sources = workspace::files(&place())?;
    let mut stamp = format!("{} {FLAGS} {HEADERS:?}\n", guest.version);
    for source in &sources {
        stamp.push_str(&fs::read_to_string(source)?);
    }
    let (module, built) = (directory.join("cards.ko"), directory.join("built"));
    if module.exists() && fs::read_to_string(&built).is_ok_and(|text| text == stamp) {
        return Ok(module);
    }
    let _ = fs::remove_file(&built);
    let run = Run::start("vm-cards")?;
    build(&run, guest, &sources, &directory, &module)
        .map_err(|failure| format!("the cards cannot be built\n{}", run.explain(&failure)))?;
    // This is written last: if it is there, the module is complete.
    fs::write(built, stamp)?;
    Ok(module)
}

fn place() -> PathBuf {
    workspace::root().join("xtask/vm/cards")
}

fn build(run: &Run, guest: &Guest, sources: &[PathBuf], directory: &Path, module: &Path) -> Result<(), Failure> {
    let headers = |whose: &str, path: &str| guest.headers.join(whose).join(path).display().to_string();
    let mut compile = CommandLine::new("gcc -c -nostdinc");
    for (whose, path) in HEADERS {
        compile = compile.arg("-I").arg(headers(whose, path));
    }
    for first in ["compiler-version.h", "kconfig.h"] {
        compile = compile.arg("-include").arg(headers("common", &format!("include/linux/{first}")));
    }
    compile = compile.arg("-include").arg(place().join("without_objtool.h").display().to_string());
    compile = compile.arg("-include").arg(headers("common", "include/linux/compiler_types.h"));
    compile = compile.args("-D__KERNEL__ -DMODULE -D__KBUILD_MODNAME=cards").arg("-DKBUILD_MODNAME=\"cards\"");
    compile = compile.arg("-DKBUILD_MODFILE=\"cards\"").args(FLAGS);
    let mut link = CommandLine::new("ld -r -o").arg(module.display().to_string());
    for source in sources.iter().filter(|source| source.extension().is_some_and(|extension| extension == "c")) {
        let name = source.file_stem().unwrap_or_default().to_string_lossy();
        let object = directory.join(format!("{name}.o")).display().to_string();
        let one = compile.clone().arg(format!("-DKBUILD_BASENAME=\"{name}\"")).arg("-o").arg(&object);
        run.command(&one.arg(source.display().to_string()))?;
        link = link.arg(object);
    }
    run.command(&link)
}
