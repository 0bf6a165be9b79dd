//! Everything in this workspace that is not plain cargo.
//!
//! `cargo xtask test` runs all tests. The other commands run its parts, make releases, and measure.

mod bench;
mod command;
mod dist;
#[cfg(test)]
mod documented;
mod driver;
mod flood;
#[cfg(test)]
mod floors;
mod fuzz;
mod gpiod_tools;
mod mutate;
mod need;
mod readme;
mod replay_rate;
mod report;
mod run;
mod setup;
mod stage;
mod start_up;
mod test;
mod test_output;
mod vm;
mod wine;
mod words;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need and this machine lacks
    Setup,
    /// Run every stage of the tests, or the chosen ones, up to the first that fails
    Test(test::Arguments),
    /// Break the code in small ways, and check that the tests fail
    Mutate(mutate::Arguments),
    /// Search for bytes that break a decoder
    Fuzz(fuzz::Arguments),
    /// Run a Windows program under the Wine of the tests
    Wine(wine::Arguments),
    /// Run programs in a virtual machine with simulated GPIO chips
    Vm(vm::Arguments),
    /// Build linewake.sys and print where it is
    Driver,
    /// Make the folders and packages of a release in target/releases
    Dist(dist::Arguments),
    /// Measure how long the command `linewake` takes to start and to end
    StartUp(start_up::Arguments),
    /// Run a list of commands with libgpiod's tools and with ours, in the virtual machine, and compare the output
    GpiodTools,
    /// Measure how many edges a second `linewake replay --fast` plays, and in how much memory
    ReplayRate(replay_rate::Arguments),
    /// Compare the speed of overlapped with bare system calls and other crates, and write benches/README.md
    Bench(bench::Arguments),
    /// Print comments, messages and paragraphs drawn at random, for a reader who is new to them
    Words(words::Arguments),
    /// Flood linewake and other readers with edges, in the virtual machine, and count what each loses
    Flood(flood::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Setup => setup::run(),
        Task::Test(arguments) => test::run(&arguments),
        Task::Mutate(arguments) => mutate::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Wine(arguments) => wine::run(&arguments),
        Task::Vm(arguments) => vm::run(&arguments),
        Task::Driver => driver::run(),
        Task::Dist(arguments) => dist::run(&arguments),
        Task::StartUp(arguments) => start_up::run(&arguments),
        Task::GpiodTools => gpiod_tools::run(),
        Task::ReplayRate(arguments) => replay_rate::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Words(arguments) => words::run(&arguments),
        Task::Flood(arguments) => flood::run(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
