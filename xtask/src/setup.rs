//! `cargo xtask setup`: installs what the tests need and this machine lacks.

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use crate::need::{self, Need};
use crate::stage;

pub(crate) fn run() -> Result<ExitCode, Box<dyn Error>> {
    let needs: Vec<_> = stage::ALL
        .iter()
        .filter(|stage| stage.runs_on.lacks().is_none())
        .flat_map(|stage| stage.needs.iter().copied())
        // Without it one test is skipped.
        .chain(cfg!(target_os = "linux").then_some(Need::Sigrok))
        .collect();
    let started = Instant::now();
    let installed = need::provide(&needs)?;
    if installed.is_empty() {
        println!("nothing is missing");
    } else {
        println!("installed {installed} in {:.0} s", started.elapsed().as_secs_f64());
    }
    Ok(ExitCode::SUCCESS)
}
