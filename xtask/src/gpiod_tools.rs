//! `cargo xtask gpiod-tools`: libgpiod's tools, as Debian builds them, beside ours in the virtual machine: every script
//! and every invocation that is written down in `crates/linewake-cli/tests`.

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
