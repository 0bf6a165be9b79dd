//! The stages of the tests, the quickest first: the needs and the commands of each.

use std::env;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use crate::command::CommandLine;
use crate::need::Need;
use crate::run::{Failure, Run};
use crate::workspace::WINDOWS;
use crate::{driver, readme, vm, wine, workspace};

/// One stage. `run` returns what the report shows beside "passed".
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) needs: &'static [Need],
    pub(crate) runs_on: Hosts,
    pub(crate) run: Work,
}

/// The systems a stage can run on.
#[derive(Clone, Copy)]
pub(crate) enum Hosts {
    Any,
    Unix,
    Linux,
    /// The systems on which the virtual machine runs.
    Vm,
}

impl Hosts {
    /// Says why this machine is none of them, as "needs …".
    pub(crate) fn lacks(self) -> Option<String> {
        let needs = |there: bool, name: &str| (!there).then(|| format!("needs {name}"));
        match self {
            Hosts::Any => None,
            Hosts::Unix => needs(cfg!(unix), "Linux or macOS"),
            Hosts::Linux => needs(cfg!(target_os = "linux"), "Linux"),
            Hosts::Vm => vm::lacks(),
        }
    }
}

pub(crate) const STATIC: &str = "x86_64-unknown-linux-musl";

/// The libraries, and the oldest compiler that each manifest states. Packages for this workspace alone need the pinned
/// one, and so does the command, because of its line editor.
const OLDEST: [(&str, &[&str]); 2] = [
    ("1.85.0", &["overlapped-codes"]),
    ("1.88.0", &["overlapped", "linewake-controller", "linewake-wave", "linewake", "linewake-capture"]),
];

/// Runs each invocation in `crates/linewake-cli/tests/gpiod_tools/invocations.txt` with libgpiod's tools and with ours.
pub(crate) fn every_gpiod_tool(run: &Run) -> Result<String, Failure> {
    let program = workspace::target().join(STATIC).join("debug/linewake").display().to_string();
    let options = ["--file", &*program, "--time-limit", "1800"];
    let test = in_the_guest("gpiod_tools", &options)?.args("-p linewake-cli -- --include-ignored --show-output");
    Ok(counted(run.tests(&test)?))
}

/// A test file, built for the guest and run there.
fn in_the_guest(tests: &str, options: &[&str]) -> Result<CommandLine, Failure> {
    // The guest reads the whole program before it starts, and debug information is nine tenths of it.
    Ok(CommandLine::new("cargo test")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .args("--target")
        .args(STATIC)
        .args("--test")
        .arg(tests)
        .args("--config")
        .arg(workspace::runner_setting(STATIC, &[&["vm", "run"], options].concat())?))
}

/// The tests that run in the virtual machine, by the names of their files, and the options of `cargo xtask vm run` that
/// they need. Each file has a machine of its own. "PROGRAM" stands for the command `linewake` as it is built for the
/// guest.
const IN_THE_VM: [&[(&str, &[&str])]; 2] = [
    &[
        ("gpio_sim*", &[]),
        ("gpio_smp*", &["--cpus", "2"]),
        ("serial_vm", &["--usb-serial"]),
        ("devices_vm", &[]),
        ("kernel_devices_vm", &["--boards", "--cards"]),
    ],
    &[
        ("sinks_vm", &["--file", "PROGRAM"]),
        ("gpiod_tools", &["--file", "PROGRAM", "--time-limit", "900"]),
        ("cards_vm", &["--cards", "--file", "PROGRAM"]),
    ],
];

type Work = fn(&Run) -> Result<String, Failure>;

/// A row of the table.
const fn stage(name: &'static str, runs_on: Hosts, needs: &'static [Need], run: Work, about: &'static str) -> Stage {
    Stage { name, about, needs, runs_on, run }
}

pub(crate) const ALL: &[Stage] = &[
    stage("format", Hosts::Any, &[], format, "every file is formatted"),
    stage("clippy", Hosts::Linux, &[], clippy, "no warning, for this system and for Windows"),
    stage("check", Hosts::Linux, &[], check, "compiles for Windows msvc, 64-bit Arm and 32-bit Arm"),
    stage(
        "msrv",
        Hosts::Any,
        &[Need::Compiler(OLDEST[0].0), Need::Compiler(OLDEST[1].0)],
        msrv,
        "the libraries compile with the oldest compilers that they state, for this system and for Windows",
    ),
    stage("doc", Hosts::Linux, &[], doc, "documentation without a warning, for Linux and for Windows"),
    stage("native", Hosts::Any, &[], native, "all tests and doc tests on this system"),
    stage("fuzz", Hosts::Any, &[], fuzz, "the fuzz targets on seeds, whole and damaged; see `cargo xtask fuzz`"),
    stage("loom", Hosts::Any, &[], loom, "the states of a call, in all interleavings of its threads up to a bound"),
    stage("miri", Hosts::Unix, &[Need::Miri], miri, "overlapped's unsafe code, interpreted, with simulated devices"),
    stage("vm", Hosts::Vm, &[Need::Qemu, Need::Gcc], in_the_vm, "gpiochips simulated by a kernel in a virtual machine"),
    stage(
        "wine",
        Hosts::Linux,
        &[Need::Wine, Need::Mingw],
        wine,
        "Windows tests under Wine, and those with the driver",
    ),
    stage("readme", Hosts::Linux, &[], readme::check, "the README's commands do what it shows"),
];

/// The stage of this name, for the command line.
pub(crate) fn named(name: &str) -> Result<&'static Stage, String> {
    ALL.iter().find(|stage| stage.name == name).ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|stage| stage.name).collect();
        format!("the stages are {}", names.join(", "))
    })
}

fn format(run: &Run) -> Result<String, Failure> {
    for workspace in ["", "--manifest-path fuzz/Cargo.toml"] {
        run.command(&CommandLine::new("cargo fmt --all --check").args(workspace).args("-- --color never"))?;
    }
    Ok(String::new())
}

fn clippy(run: &Run) -> Result<String, Failure> {
    let deny = "-- -D warnings";
    run.command(&CommandLine::new("cargo clippy --workspace --all-targets").args(deny))?;
    let fuzz = workspace::shown(&workspace::target().join("fuzz"));
    let fuzz = CommandLine::new("cargo clippy --manifest-path fuzz/Cargo.toml --all-targets --target-dir").arg(fuzz);
    run.command(&fuzz.args(deny))?;
    let windows = CommandLine::new("cargo clippy --target").args(WINDOWS);
    run.command(&windows.clone().args("--workspace --exclude linewake-driver --all-targets").args(deny))?;
    // The kernel cannot unwind, and only this profile says so.
    run.command(&windows.args("-p linewake-driver --profile driver").args(deny))?;
    Ok(String::new())
}

fn check(run: &Run) -> Result<String, Failure> {
    run.command(&CommandLine::new(
        "cargo check --workspace --all-targets --target x86_64-pc-windows-msvc --target aarch64-unknown-linux-gnu",
    ))?;
    // No test depends on the length of an address, so it is enough to check the libraries and programs.
    run.command(&CommandLine::new("cargo check --workspace --target armv7-unknown-linux-gnueabihf"))?;
    Ok(String::new())
}

fn msrv(run: &Run) -> Result<String, Failure> {
    // Another compiler would rebuild everything in the common directory.
    let directory = workspace::shown(&workspace::target().join("msrv"));
    for (version, packages) in OLDEST {
        let check = CommandLine::new("cargo").arg(format!("+{version}")).args("check --all-features --target-dir");
        let check = packages.iter().fold(check.arg(&directory), |check, package| check.args("-p").arg(*package));
        run.command(&check)?;
        run.command(&check.args("--target").args(WINDOWS))?;
    }
    Ok(String::new())
}

fn doc(run: &Run) -> Result<String, Failure> {
    let doc = CommandLine::new("cargo doc --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings");
    let windows = doc.clone().args("--exclude linewake-driver --target").args(WINDOWS);
    // The driver has no public items, so its private items are documented.
    let driver = CommandLine::new("cargo doc --no-deps --document-private-items")
        .env("RUSTDOCFLAGS", "-D warnings")
        .args("-p linewake-driver --profile driver --target")
        .args(WINDOWS);
    for command in [doc, windows, driver] {
        run.command(&command)?;
        // Cargo itself warns when two crates write the same page. The flags for rustdoc do not make that an error.
        if run.text()?.lines().any(|line| line.starts_with("warning: ")) {
            return Err(Failure { command: Some(command.to_string()), reason: "it printed a warning".to_owned() });
        }
    }
    Ok(String::new())
}

fn native(run: &Run) -> Result<String, Failure> {
    let mut test = CommandLine::new("cargo test --workspace");
    if cfg!(windows) {
        // xtask is running, and Windows cannot replace a program that runs.
        test = test.args("--exclude xtask");
    }
    Ok(counted(run.tests(&test)?))
}

fn fuzz(run: &Run) -> Result<String, Failure> {
    let directory = workspace::shown(&workspace::target().join("fuzz"));
    // It is a workspace of its own, so it has a directory of its own.
    let test = CommandLine::new("cargo test --manifest-path fuzz/Cargo.toml --target-dir").arg(directory);
    Ok(counted(run.tests(&test)?))
}

fn loom(run: &Run) -> Result<String, Failure> {
    // How often a thread may be interrupted in one interleaving. Without a bound the search takes minutes; each step
    // up costs four times as much as the one before.
    let preemptions = env::var("LOOM_MAX_PREEMPTIONS").unwrap_or_else(|_| "4".to_owned());
    // These flags would rebuild everything in the common directory.
    let directory = workspace::target().join("loom");
    let test = CommandLine::new("cargo test -p overlapped --release --lib loom --target-dir")
        .env("RUSTFLAGS", "--cfg loom")
        .env("LOOM_MAX_PREEMPTIONS", preemptions)
        .arg(workspace::shown(&directory));
    Ok(counted(run.tests(&test)?))
}

fn miri(run: &Run) -> Result<String, Failure> {
    let directory = workspace::shown(&workspace::target().join("miri"));
    let test = |files: &str| {
        // The default port's dispatcher outlives the program's main thread, which Miri calls a leak.
        let leaks = if files == "--lib" { "" } else { " -Zmiri-ignore-leaks" };
        let test = CommandLine::new("cargo +nightly miri test -p overlapped --target-dir").arg(&directory).args(files);
        test.env("MIRIFLAGS", format!("-Zmiri-strict-provenance{leaks}"))
    };
    // These take minutes each, and are left out: `cargo +nightly miri test -p overlapped` runs them.
    let long = [
        "every_event_once",
        "there_is_no_gap",
        "each_input_is_made",
        "nothing_is_unaccounted",
        "a_callback_gets_every_result",
        "in_completion_order_one_call",
        "calls_that_complete_at_once_fill",
        "a_driver_that_always_has_a_result",
    ];
    let skipping = |test: CommandLine| long.iter().fold(test.args("--"), |test, name| test.arg("--skip").arg(*name));
    // Miri uses one processor: run two side by side.
    let streams = skipping(test("--test hostile* --test inverted --test script"));
    let calls =
        |run: &Run| Ok(run.tests(&test("--lib"))? + run.tests(&test("--test calls --test examples --test guards"))?);
    Ok(counted(side_by_side(run, "miri-streams", calls, |run| run.tests(&streams))?))
}

/// Runs two parts at once, each on a processor of its own, and returns the sum. The second writes to the log `name`.
fn side_by_side(
    run: &Run,
    name: &str,
    first: impl FnOnce(&Run) -> Result<usize, Failure>,
    second: impl FnOnce(&Run) -> Result<usize, Failure> + Send,
) -> Result<usize, Failure> {
    let beside = Run::start(name)?;
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(|| second(&beside));
        (first(run), second.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let first = first?;
    if second.is_err() {
        run.add(&beside.text()?)?;
    }
    Ok(first + second?)
}

fn in_the_vm(run: &Run) -> Result<String, Failure> {
    let guest = vm::prepare()?;
    let program = workspace::target().join(STATIC).join("debug/linewake").display().to_string();
    let program = &*program;
    let all = |of: &'static [(&str, &[&str])]| {
        move |run: &Run| {
            let mut sum = 0;
            for (tests, options) in of {
                let options: Vec<_> =
                    options.iter().map(|&option| if option == "PROGRAM" { program } else { option }).collect();
                let test = in_the_guest(tests, &options)?;
                let test = test.args("--workspace --exclude xtask --exclude linewake-driver");
                sum += run.tests(&test)?;
            }
            Ok(sum)
        }
    };
    let [first, second] = IN_THE_VM.map(all);
    let sum = side_by_side(run, "vm-tools", first, second)?;
    Ok(format!("{}, on Linux {guest}", counted(sum)))
}

fn wine(run: &Run) -> Result<String, Failure> {
    /// A test binary that hangs is a failure, not a run without an end.
    const LIMIT: Duration = Duration::from_secs(600);
    run.command(&driver::build_command())?;
    let sys = driver::install()?;
    let _session = wine::Session::begin()?;
    let test = CommandLine::new("cargo test --target")
        .args(WINDOWS)
        .args("--workspace --exclude xtask --exclude linewake-driver --config")
        .arg(wine::runner_setting(LIMIT));
    // The driver does not run yet, so its tests do nothing, and do not count.
    let plain = run.tests_in(&test, |source| !source.starts_with("tests/driver"))?;
    // These tests share one driver and one service manager, so one runs at a time.
    let driver = run.tests(
        &test
            .env("LINEWAKE_SYS", wine::windows_path(&sys))
            .args("--test driver* -- --include-ignored --test-threads=1"),
    )?;
    Ok(format!("{}, {driver} with the driver", counted(plain)))
}

fn counted(tests: usize) -> String {
    format!("{tests} test{}", if tests == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_compilers_are_those_that_the_manifests_state() {
        for (version, packages) in OLDEST {
            for package in packages {
                let manifest = workspace::root().join("crates").join(package).join("Cargo.toml");
                let manifest = std::fs::read_to_string(manifest).unwrap();
                let stated = format!("rust-version = \"{}\"\n", version.trim_end_matches(".0"));
                assert!(manifest.contains(&stated), "{package} does not state {stated:?}");
            }
        }
    }

    #[test]
    fn names_are_unique_and_found() {
        for stage in ALL {
            assert_eq!(named(stage.name).unwrap().about, stage.about);
        }
        assert!(named("wien").is_err_and(|error| error.contains("wine")));
    }
}
