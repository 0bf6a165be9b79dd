//! linewake.sys: the library of the driver crate, under the name that Windows expects.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::command::CommandLine;
use crate::workspace;

/// `cargo xtask driver`
pub(crate) fn run() -> Result<ExitCode, Box<dyn Error>> {
    build_command().run()?;
    println!("{}", install()?.display());
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn build_command() -> CommandLine {
    CommandLine::new("cargo build -p linewake-driver --profile driver --target x86_64-pc-windows-gnu")
}

/// Copies what [`build_command`] built to `target/driver/linewake.sys`.
pub(crate) fn install() -> Result<PathBuf, Box<dyn Error>> {
    let target = workspace::target();
    let built = target.join("x86_64-pc-windows-gnu/driver/linewake_driver.dll");
    let directory = target.join("driver");
    let sys = directory.join("linewake.sys");
    fs::create_dir_all(&directory)?;
    fs::copy(&built, &sys)
        .map_err(|error| format!("cannot copy \"{}\" to \"{}\": {error}", built.display(), sys.display()))?;
    Ok(sys)
}
