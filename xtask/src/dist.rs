//! `cargo xtask dist`: makes the folder of a release for each system, and Debian packages for Linux.
//!
//! The programs for Linux are linked statically, so that they run on any distribution. Rust's own linker links them, so
//! that no cross compiler is needed. If rustup has no standard library for a system, the system is left out, and the
//! command fails at its end. For 32-bit ARM the library can also be built from its sources.

mod from_source;
mod licences;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::CommandLine;
use crate::need::{self, Need};
use crate::run::Run;
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Make only this release, by its target triple; may be given more than once. Without it, all are made
    #[arg(long = "target", value_name = "TARGET", value_parser = system)]
    targets: Vec<&'static System>,
}

/// A system for which releases are made.
struct System {
    target: &'static str,
    /// Debian's name for its architecture, if a package is made.
    debian: Option<&'static str>,
    /// The linker to use in place of the default one.
    linker: Option<&'static str>,
}

/// The source of the standard library.
enum Library {
    Installed,
    /// Built from its sources, with these parts.
    Built(from_source::Parts),
}

const LLD: Option<&str> = Some("rust-lld");

const SYSTEMS: &[System] = &[
    System { target: "x86_64-unknown-linux-musl", debian: Some("amd64"), linker: None },
    System { target: "aarch64-unknown-linux-musl", debian: Some("arm64"), linker: LLD },
    System { target: "armv7-unknown-linux-musleabihf", debian: Some("armhf"), linker: LLD },
    System { target: "x86_64-pc-windows-gnu", debian: None, linker: None },
];

/// The folders that the help and the README refer to: documents, profiles and scripts.
const TO_READ: [&str; 3] = ["docs", "profiles", "scripts"];

fn system(target: &str) -> Result<&'static System, String> {
    SYSTEMS.iter().find(|system| system.target == target).ok_or_else(|| {
        let targets: Vec<_> = SYSTEMS.iter().map(|system| system.target).collect();
        format!("expected one of {}", targets.join(", "))
    })
}

/// `cargo xtask dist`
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let systems: Vec<&System> =
        if arguments.targets.is_empty() { SYSTEMS.iter().collect() } else { arguments.targets.clone() };
    // target/dist is cargo's directory for the profile `dist`.
    let dist = workspace::target().join("releases");
    workspace::emptied(&dist)?;
    let run = Run::start("dist")?;
    let papers = papers(&run, &dist.join("papers")).map_err(|failure| run.explain(&failure))?;
    let mut left_out = Vec::new();
    for system in systems {
        // If this system cannot be built for, the others still are.
        let library = match system.provide() {
            Ok(library) => library,
            Err(error) => {
                left_out.push((system.target, error));
                continue;
            }
        };
        let folder = system.folder(&run, &dist, &papers, &library).map_err(|failure| run.explain(&failure))?;
        println!("{}", workspace::shown(&folder));
        if let Some(architecture) = system.debian {
            let package = debian(&run, &dist, &folder, architecture).map_err(|failure| run.explain(&failure))?;
            println!("{}", workspace::shown(&package));
        }
    }
    fs::remove_dir_all(&papers)?;
    let sums = sums(&dist)?;
    println!("{}", workspace::shown(&sums));
    for (target, why) in &left_out {
        eprintln!("error: there is no release for {target}: {why}");
    }
    Ok(if left_out.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

type Failure = crate::run::Failure;

/// The completions and the manual pages, which are the same for all systems. The command itself writes them.
fn papers(run: &Run, papers: &Path) -> Result<PathBuf, Failure> {
    let build = CommandLine::new("cargo build --locked -p linewake-cli");
    run.command(&build)?;
    let linewake = workspace::target().join(format!("debug/linewake{}", std::env::consts::EXE_SUFFIX));
    let linewake = CommandLine::new(&linewake.display().to_string());
    let completions = papers.join("completions");
    fs::create_dir_all(&completions)?;
    for (shell, name) in
        [("bash", "linewake.bash"), ("zsh", "_linewake"), ("fish", "linewake.fish"), ("powershell", "_linewake.ps1")]
    {
        let print = linewake.clone().arg("completions").arg(shell);
        fs::write(completions.join(name), print.text()?)?;
    }
    run.command(&linewake.arg("man").arg(papers.join("man/man1").display().to_string()))?;
    Ok(papers.to_owned())
}

impl System {
    /// Installs what a build for this system needs. Returns the standard library to use.
    fn provide(&self) -> Result<Library, Box<dyn Error>> {
        if self.target.contains("windows") {
            need::provide(&[Need::Mingw])?;
        }
        let add = CommandLine::new("rustup target add").arg(self.target);
        let Err(error) = add.text() else { return Ok(Library::Installed) };
        if self.target != from_source::TARGET {
            return Err(error.into());
        }
        from_source::Parts::find().map(Library::Built).map_err(|missing| format!("{error}\n{missing}").into())
    }

    /// Builds the program, and makes the folder of the release.
    fn folder(&self, run: &Run, dist: &Path, papers: &Path, library: &Library) -> Result<PathBuf, Failure> {
        let toolchain = match library {
            Library::Installed => "",
            Library::Built(_) => "+nightly",
        };
        let mut build = CommandLine::new("cargo").args(toolchain);
        build = build.args("build --locked -p linewake-cli --profile dist --target").arg(self.target);
        if let Some(linker) = self.linker {
            let variable = format!("CARGO_TARGET_{}_LINKER", self.target.to_uppercase().replace('-', "_"));
            build = build.env(&variable, linker);
        }
        // A panic shows paths of sources. They must not show where this machine keeps its files.
        let cargo =
            std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))?;
        let root = workspace::root().display();
        let rustc = CommandLine::new("rustc").args(toolchain).args("--print sysroot");
        let rust = rustc.text()?;
        let mut flags = format!(
            "--remap-path-prefix={cargo}/registry/src=crates --remap-path-prefix={root}=linewake \
             --remap-path-prefix={}/lib/rustlib/src/rust=rust",
            rust.trim()
        );
        if let Library::Built(parts) = library {
            build = build.args(from_source::OPTIONS);
            flags.push_str(&parts.flags()?);
        }
        run.command(&build.env("RUSTFLAGS", flags))?;
        let folder = dist.join(format!("linewake-{}-{}", env!("CARGO_PKG_VERSION"), self.target));
        let is_windows = self.target.contains("windows");
        let program = if is_windows { "linewake.exe" } else { "linewake" };
        let built = workspace::target().join(self.target).join("dist").join(program);
        fs::create_dir_all(&folder)?;
        fs::copy(built, folder.join(program))?;
        copy_all(&papers.join("completions"), &folder.join("completions"))?;
        if !is_windows {
            copy_all(&papers.join("man"), &folder.join("man"))?;
            for file in ["60-linewake.rules", "linewake-record@.service", "linewake.logrotate"] {
                copy(&format!("packaging/{file}"), &folder)?;
            }
        }
        for file in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
            copy(file, &folder)?;
        }
        for directory in TO_READ {
            copy_all(&workspace::root().join(directory), &folder.join(directory))?;
        }
        let mut licences = licences::text(self.target)?;
        if matches!(library, Library::Built(_)) {
            licences.insert_str(0, from_source::LICENCE);
        }
        fs::write(folder.join("LICENSES-OF-OTHERS.txt"), licences)?;
        Ok(folder)
    }
}

/// A package for Debian and the systems derived from it. `dpkg-deb` makes it from a tree of files.
fn debian(run: &Run, dist: &Path, folder: &Path, architecture: &str) -> Result<PathBuf, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let tree = dist.join(format!("tree-{architecture}"));
    let documents = tree.join("usr/share/doc/linewake");
    let place = |path: &str| -> Result<PathBuf, Failure> {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&tree))?;
        Ok(path)
    };
    for (from, to) in [
        ("linewake", "usr/bin/linewake"),
        ("completions/linewake.bash", "usr/share/bash-completion/completions/linewake"),
        ("completions/_linewake", "usr/share/zsh/vendor-completions/_linewake"),
        ("completions/linewake.fish", "usr/share/fish/vendor_completions.d/linewake.fish"),
        ("60-linewake.rules", "usr/lib/udev/rules.d/60-linewake.rules"),
        ("linewake-record@.service", "usr/lib/systemd/system/linewake-record@.service"),
        ("linewake.logrotate", "usr/share/doc/linewake/examples/linewake.logrotate"),
        ("LICENSE-MIT", "usr/share/doc/linewake/copyright"),
        ("LICENSE-APACHE", "usr/share/doc/linewake/LICENSE-APACHE"),
        ("LICENSES-OF-OTHERS.txt", "usr/share/doc/linewake/LICENSES-OF-OTHERS.txt"),
        ("README.md", "usr/share/doc/linewake/README.md"),
        ("CHANGELOG.md", "usr/share/doc/linewake/changelog"),
    ] {
        fs::copy(folder.join(from), place(to)?)?;
    }
    for directory in TO_READ {
        copy_all(&folder.join(directory), &documents.join(directory))?;
    }
    copy_all(&folder.join("man/man1"), &tree.join("usr/share/man/man1"))?;
    for page in fs::read_dir(tree.join("usr/share/man/man1"))? {
        run.command(&CommandLine::new("gzip -9n").arg(page?.path().display().to_string()))?;
    }
    run.command(&CommandLine::new("gzip -9n").arg(documents.join("changelog").display().to_string()))?;
    let postinst = place("DEBIAN/postinst")?;
    fs::copy(workspace::root().join("packaging/debian/postinst"), &postinst)?;
    run.command(&CommandLine::new("chmod 755").arg(postinst.display().to_string()))?;
    let size = kilobytes(&tree)?;
    let mut control = fs::read_to_string(workspace::root().join("packaging/debian/control"))?;
    for (name, value) in [("VERSION", version), ("ARCHITECTURE", architecture), ("SIZE", &size.to_string())] {
        control = control.replace(name, value);
    }
    fs::write(place("DEBIAN/control")?, control)?;
    let package = dist.join(format!("linewake_{version}_{architecture}.deb"));
    let build = CommandLine::new("dpkg-deb --root-owner-group --build");
    run.command(&build.arg(tree.display().to_string()).arg(package.display().to_string()))?;
    fs::remove_dir_all(&tree)?;
    Ok(package)
}

/// Writes the checksums of all files of the releases, as `sha256sum --check` reads them.
fn sums(dist: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let mut command = CommandLine::new("sha256sum").command();
    command.current_dir(dist);
    for file in workspace::files(dist)? {
        command.arg(file.strip_prefix(dist)?);
    }
    let output = command.output().map_err(|error| format!("cannot run \"sha256sum\": {error}"))?;
    if !output.status.success() {
        return Err(format!("\"sha256sum\" failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let sums = dist.join("SHA256SUMS");
    fs::write(&sums, output.stdout)?;
    Ok(sums)
}

fn kilobytes(tree: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for file in workspace::files(tree)? {
        bytes += fs::metadata(file)?.len();
    }
    Ok(bytes.div_ceil(1024))
}

fn copy_all(from: &Path, to: &Path) -> Result<(), Failure> {
    for file in workspace::files(from)? {
        let to = to.join(file.strip_prefix(from)?);
        fs::create_dir_all(to.parent().unwrap_or(&to))?;
        fs::copy(file, to)?;
    }
    Ok(())
}

/// A file of the workspace.
fn copy(file: &str, folder: &Path) -> Result<(), Failure> {
    let from = workspace::root().join(file);
    let name = from.file_name().ok_or_else(|| format!("\"{file}\" is no path of a file"))?;
    fs::copy(&from, folder.join(name)).map_err(|error| format!("cannot copy \"{file}\": {error}"))?;
    Ok(())
}
