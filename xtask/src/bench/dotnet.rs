//! Builds the .NET program to compare with: by Mono's compiler, for Microsoft's runtime, which PyPI has.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::command::CommandLine;
use crate::need::{self, Need};
use crate::workspace;

/// The latest version in the package `dotnetcore2`.
const VERSION: &str = "3.1.23";

/// The program in `benches/dotnet`.
pub(super) fn program() -> Result<Command, Box<dyn Error>> {
    need::provide(&[Need::Pip, Need::Mcs])?;
    let directory = workspace::target().join("dotnet");
    fs::create_dir_all(&directory)?;
    let shown = workspace::shown(&directory);
    let runtime = directory.join("dotnetcore2/bin");
    if !runtime.join("dotnet.exe").exists() {
        let download = "python3 -m pip download --quiet --no-deps --platform win_amd64 --only-binary=:all: --dest";
        CommandLine::new(download).arg(&shown).arg(format!("dotnetcore2=={VERSION}")).run()?;
        let wheel = format!("{shown}/dotnetcore2-{VERSION}-py3-none-win_amd64.whl");
        CommandLine::new("python3 -m zipfile --extract").arg(wheel).arg(&shown).run()?;
    }
    let assemblies = runtime.join("shared/Microsoft.NETCore.App").join(VERSION);
    let mut compile =
        CommandLine::new("mcs -nologo -nowarn:1702 -unsafe -optimize+ -nostdlib -noconfig -langversion:7");
    for name in [
        "System.Private.CoreLib",
        "System.Runtime",
        "System.Runtime.Extensions",
        "System.Diagnostics.Process",
        "System.ComponentModel.Primitives",
        "System.Console",
        "Microsoft.Win32.Primitives",
    ] {
        compile = compile.arg(format!("-r:{}/{name}.dll", workspace::shown(&assemblies)));
    }
    compile.arg(format!("-out:{shown}/Listen.dll")).arg("benches/dotnet/Listen.cs").run()?;
    fs::copy(
        workspace::root().join("benches/dotnet/Listen.runtimeconfig.json"),
        directory.join("Listen.runtimeconfig.json"),
    )?;
    let mut command = Command::new(std::env::current_exe()?);
    let files: [PathBuf; 2] = [runtime.join("dotnet.exe"), directory.join("Listen.dll")];
    command.args(["wine", "--"]).args(files);
    Ok(command)
}
