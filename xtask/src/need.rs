//! The programs that tests need: whether this machine has them, and how they are installed. The pinned toolchain is not
//! among them: rustup installs it, with what rust-toolchain.toml lists, whenever cargo runs here.

use std::env;
use std::error::Error;
use std::fmt::Write as _;

use crate::command::CommandLine;
use crate::run::Run;
use crate::wine;
use crate::workspace::WINDOWS;

/// Something that a stage cannot run without.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Need {
    /// The compiler of this version, for this system and for Windows.
    Compiler(&'static str),
    /// Any nightly toolchain with Miri and the sources Miri builds std from.
    Miri,
    /// Any nightly toolchain, and cargo-fuzz.
    Fuzz,
    /// The compiler and linker for Windows.
    Mingw,
    /// A 64-bit Wine.
    Wine,
    /// The emulator of the virtual machine.
    Qemu,
    /// A compiler for the guest's kernel.
    Gcc,
    /// The program that counts instructions.
    Valgrind,
    /// PulseView's reader of waveforms.
    Sigrok,
    /// The installer of packages from PyPI.
    Pip,
    /// Mono's compiler of C#.
    Mcs,
}

impl Need {
    /// The program to look for, and the Debian packages that provide it; none if rustup does.
    fn program_and_packages(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Need::Mingw => ("x86_64-w64-mingw32-gcc", &["gcc-mingw-w64-x86-64"]),
            Need::Wine => ("wine", &["wine", "wine64"]),
            Need::Qemu => ("qemu-system-x86_64", &["qemu-system-x86"]),
            Need::Gcc => ("gcc", &["gcc"]),
            Need::Valgrind => ("valgrind", &["valgrind"]),
            Need::Sigrok => ("sigrok-cli", &["sigrok-cli"]),
            Need::Pip => ("python3 -m pip", &["python3-pip"]),
            Need::Mcs => ("mcs", &["mono-mcs"]),
            Need::Fuzz => ("cargo +nightly fuzz", &[]),
            Need::Compiler(_) | Need::Miri => ("rustup", &[]),
        }
    }

    /// Whether this machine has it.
    fn is_met(self) -> bool {
        match self {
            Need::Compiler(version) => {
                rustup(&format!("target list --installed --toolchain {version}")).lines().any(|line| line == WINDOWS)
            }
            Need::Miri => {
                let nightly = rustup("component list --installed --toolchain nightly");
                // "miri-x86_64-unknown-linux-gnu"
                ["miri-", "rust-src"].iter().all(|name| nightly.lines().any(|line| line.starts_with(name)))
            }
            Need::Wine => wine::programs().is_some(),
            _ => CommandLine::new(self.program_and_packages().0).args("--version").read().is_some(),
        }
    }
}

/// Installs what is missing, if this user may. Returns the names of what was installed: an empty text if nothing was
/// missing.
pub(crate) fn provide(needs: &[Need]) -> Result<String, Box<dyn Error>> {
    let missing = Missing::among(needs);
    let installs = missing.installs()?;
    if installs.is_empty() {
        return Ok(String::new());
    }
    let names = missing.names();
    if !may_install() {
        let mut message = format!("missing: {names}\n\nInstall it and try again:\n\n");
        for install in &installs {
            writeln!(message, "    {install}")?;
        }
        message.push_str("\n(As root, or with CI=true, `cargo xtask setup` runs this itself.)");
        return Err(message.into());
    }
    let run = Run::start("setup")?;
    for install in &installs {
        let mut outcome = run.command(install);
        if outcome.is_err() && missing.apt_get().as_ref() == Some(install) {
            // A new machine has no package lists, or old ones.
            outcome = run.command(&apt_get("update")).and_then(|()| run.command(install));
        }
        outcome.map_err(|failure| run.explain(&failure))?;
    }
    let still = Missing::among(needs).names();
    if still.is_empty() { Ok(names) } else { Err(format!("still missing after the installation: {still}").into()) }
}

/// What is missing, as "needs …".
pub(crate) fn lacks(needs: &[Need]) -> Option<String> {
    let names = Missing::among(needs).names();
    (!names.is_empty()).then(|| format!("needs {names}: run `cargo xtask setup` as root"))
}

/// What is missing, and this user cannot install, as "needs …".
pub(crate) fn cannot_install(needs: &[Need]) -> Option<String> {
    lacks(needs).filter(|_| !may_install())
}

/// The needs this machine does not meet, each once.
struct Missing(Vec<Need>);

impl Missing {
    fn among(needs: &[Need]) -> Self {
        let mut missing = Vec::new();
        for &need in needs {
            if !missing.contains(&need) && !need.is_met() {
                missing.push(need);
            }
        }
        Self(missing)
    }

    /// The commands that install them all.
    fn installs(&self) -> Result<Vec<CommandLine>, Box<dyn Error>> {
        let mut installs = Vec::new();
        if let Some(apt_get) = self.apt_get() {
            if CommandLine::new("apt-get --version").read().is_none() {
                let names = self.names();
                return Err(format!("missing: {names}; install them by hand: xtask needs apt-get for that").into());
            }
            installs.push(apt_get);
        }
        for version in self.compilers() {
            let install = CommandLine::new("rustup toolchain install --profile minimal").args(version);
            installs.push(install.args("--target").args(WINDOWS));
        }
        if self.0.contains(&Need::Miri) {
            installs.push(CommandLine::new("rustup toolchain install nightly --profile minimal -c miri -c rust-src"));
        }
        if self.0.contains(&Need::Fuzz) {
            installs.push(CommandLine::new("rustup toolchain install nightly --profile minimal"));
            installs.push(CommandLine::new("cargo +nightly install cargo-fuzz --locked"));
        }
        Ok(installs)
    }

    fn apt_get(&self) -> Option<CommandLine> {
        let packages = self.packages();
        (!packages.is_empty()).then(|| apt_get("install --yes --no-install-recommends").args(&packages.join(" ")))
    }

    fn packages(&self) -> Vec<&'static str> {
        self.0.iter().flat_map(|need| need.program_and_packages().1.iter().copied()).collect()
    }

    fn compilers(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|need| match need {
            Need::Compiler(version) => Some(*version),
            _ => None,
        })
    }

    fn names(&self) -> String {
        let mut names = self.packages();
        let compilers: Vec<_> = self.compilers().map(|version| format!("Rust {version}")).collect();
        names.extend(compilers.iter().map(String::as_str));
        if self.0.contains(&Need::Miri) {
            names.push("nightly with Miri");
        }
        if self.0.contains(&Need::Fuzz) {
            names.push("cargo-fuzz with nightly");
        }
        names.join(", ")
    }
}

/// A list of rustup's; empty if rustup is not there.
fn rustup(arguments: &str) -> String {
    CommandLine::new("rustup").args(arguments).read().unwrap_or_default()
}

fn apt_get(arguments: &str) -> CommandLine {
    let command = if root() { "env" } else { "sudo env" };
    CommandLine::new(command).args("DEBIAN_FRONTEND=noninteractive apt-get --quiet").args(arguments)
}

/// Whether xtask installs packages by itself. A test machine expects that; the owner of a computer does not.
fn may_install() -> bool {
    root() || env::var("CI").is_ok_and(|value| value == "true")
}

fn root() -> bool {
    cfg!(unix) && CommandLine::new("id -u").read().is_some_and(|id| id.trim() == "0")
}
