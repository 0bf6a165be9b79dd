//! Floods lines of a gpio-sim with edges while another program reads them. Prints how many edges that program printed,
//! how many it reported as lost, and the resources that it used. `cargo xtask flood` and `cargo xtask start-up --guest`
//! run it in the virtual machine.

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
        /// Read edges with the library, and print only a summary, on SIGTERM
        Watch(watch::Arguments),
        /// Read edges with bare system calls
        Bare(bare::Arguments),
        /// Start libgpiod's tools and ours in turn, and print the resources that each used
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
    eprintln!("gpio-sim needs Linux");
}
