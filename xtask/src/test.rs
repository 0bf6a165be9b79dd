//! `cargo xtask test`: runs the stages in order, up to the first that fails.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use crate::need;
use crate::report::{Ended, Report};
use crate::run::Run;
use crate::stage::{self, Stage};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run this stage only; may be given more than once
    #[arg(long, value_name = "STAGE", value_delimiter = ',', value_parser = stage::named)]
    only: Vec<&'static Stage>,
    /// List the stages
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    if arguments.list {
        for stage in stage::ALL {
            println!("{:<8}  {}", stage.name, stage.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen =
        |stage: &&Stage| arguments.only.is_empty() || arguments.only.iter().any(|only| only.name == stage.name);
    let stages: Vec<_> = stage::ALL.iter().filter(chosen).map(|stage| (stage, stage.runs_on.lacks())).collect();

    let can_run = stages.iter().filter(|(_, lacks)| lacks.is_none());
    let needs: Vec<_> = can_run.flat_map(|(stage, _)| stage.needs.iter().copied()).collect();
    let installed = need::provide(&needs)?;
    if !installed.is_empty() {
        println!("installed {installed}");
    }

    let mut report = Report::new();
    for (stage, lacks) in stages {
        report.begin(stage.name);
        if let Some(lacks) = lacks {
            report.end(Ended::Skipped, Duration::ZERO, &lacks);
            continue;
        }
        let run = Run::start(stage.name)?;
        if !report.run(&run, || (stage.run)(&run)) {
            break;
        }
    }
    // If every stage was skipped, nothing was tested: that is a failure too.
    Ok(report.close())
}
