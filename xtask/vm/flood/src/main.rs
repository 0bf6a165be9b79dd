//! Floods lines of a gpio-sim with edges while another program reads them, and prints what that made of them: what it
//! printed, what it reported lost, and what it took. For `cargo xtask flood` and `cargo xtask start-up --guest`, in their virtual
//! machine.

#[cfg(target_os = "linux")]
mod bare;
#[cfg(target_os = "linux")]
mod consumer;
#[cfg(target_os = "linux")]
mod flood;
#[cfg(target_os = "linux")]
mod start_up;
#[cfg(target_os = "linux")]
mod usage;
#[cfg(target_os = "linux")]
mod watch;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use clap::Parser as _;

    #[derive(clap::Parser)]
    enum Task {
        /// Flood lines while a program reads them
        Run(flood::Arguments),
        /// Be that program: take the edges with the library, print none, and the summary on SIGTERM
        Watch(watch::Arguments),
        /// Be it with bare system calls
        Bare(bare::Arguments),
        /// Start libgpiod's tools and ours in turn, and print what each took
        StartUp(start_up::Arguments),
    }

    match Task::parse() {
        Task::Run(arguments) => flood::run(&arguments),
        Task::Watch(arguments) => watch::run(&arguments),
        Task::Bare(arguments) => bare::run(&arguments),
        Task::StartUp(arguments) => start_up::run(&arguments),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("gpio-sim is of Linux");
}
