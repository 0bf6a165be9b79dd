//! `cargo xtask gpiod-tools`: runs libgpiod's tools, as Debian builds them, and ours in the virtual machine, and
//! compares their output: for every script and every invocation that `crates/linewake-cli/tests` lists.

use std::error::Error;
use std::process::ExitCode;

use crate::run::Run;
use crate::{stage, vm};

pub(crate) fn run() -> Result<ExitCode, Box<dyn Error>> {
    vm::provide()?;
    let kernel = vm::prepare()?;
    let run = Run::start("gpiod-tools")?;
    let tests = stage::every_gpiod_tool(&run).map_err(|failure| run.explain(&failure))?;
    let text = run.text().map_err(|failure| run.explain(&failure))?;
    text.lines().filter(|line| line.contains(" invocations are the same, ")).for_each(|line| println!("{line}"));
    println!("{tests}, on Linux {kernel}");
    Ok(ExitCode::SUCCESS)
}
