//! `cargo xtask vm`: a virtual machine with a Debian kernel and simulated GPIO chips. It runs one statically linked
//! program as root, and ends when the program ends.
//!
//! The program and its files are in the archive that the kernel unpacks at its start. The output of the program, and
//! the files that it leaves in /results, come back through serial ports. There is no disk and no network. The processor
//! is emulated, so the machine runs wherever QEMU runs, also in a container. Its clocks say nothing about real
//! hardware.

mod cards;
mod cpio;
mod prepare;

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Instant;

use clap::Subcommand;
use cpio::Archive;

use crate::need::{self, Need};
use crate::{run, workspace};

/// The guest's first process.
const INIT: &str = include_str!("../vm/init");
/// The exit code if the machine died before its program ended.
const DIED: u8 = 125;
/// QEMU's exit code after the guest has written to its debug port: see `vm/init`.
const DONE: i32 = 33;
/// How long the guest may take to start and to end, in seconds, on a busy machine.
const AROUND: u64 = 120;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Download Debian's kernel and the guest's programs, unless they are there
    Prepare,
    /// Run a statically linked program, or a script of /bin/sh, as root in the guest
    ///
    /// The program runs in the directory /test. --out gets the files that it leaves in /results. The exit code is that
    /// of the program, or 125 if the guest died before the program ended.
    Run(Box<RunArguments>),
}

#[derive(clap::Args)]
struct RunArguments {
    /// The number of processors
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    cpus: u8,
    /// The size of the memory
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    memory: u32,
    /// Kill the program after this many seconds, by the guest's clock
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    time_limit: u64,
    /// Let the guest's clock count instructions, 2 ns each, and skip idle time: then other load on this machine does
    /// not matter
    #[arg(long)]
    steady: bool,
    /// Use this machine's processors, by KVM, in place of emulated ones
    #[arg(long, conflicts_with = "steady")]
    kvm: bool,
    /// Add USB: a serial adapter (/dev/ttyUSB0), and a controller for simulated gadgets
    #[arg(long)]
    usb_serial: bool,
    /// Add boards: a PCI device that raises interrupts on demand (QEMU's edu), and a parallel port
    #[arg(long)]
    boards: bool,
    /// Load simulated cards with digital inputs and the ioctls of real drivers (xtask/vm/cards)
    #[arg(long)]
    cards: bool,
    /// Copy this file to /test; may be given more than once
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the files of /results to this directory
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// `cargo xtask vm`
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    provide()?;
    need::provide(&[Need::Gcc])?;
    match &arguments.task {
        Task::Prepare => {
            let started = Instant::now();
            println!("Linux {}, in {:.1} s", prepare()?, started.elapsed().as_secs_f64());
            Ok(ExitCode::SUCCESS)
        }
        Task::Run(arguments) => run_in_guest(arguments),
    }
}

/// Prepares the guest, unless it is ready. Returns the version of its kernel, and the suite that it comes from.
pub(crate) fn prepare() -> Result<String, Box<dyn Error>> {
    Ok(prepare::guest()?.version)
}

/// Installs what every guest needs. An error if this machine cannot run guests.
pub(crate) fn provide() -> Result<(), Box<dyn Error>> {
    if let Some(lacks) = lacks() {
        return Err(format!("the virtual machine {lacks}").into());
    }
    need::provide(&[Need::Qemu]).map(drop)
}

/// What this machine lacks and cannot install, as "needs …".
pub(crate) fn lacks() -> Option<String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Some("needs Linux on x86_64".to_owned());
    }
    if prepare::mirror().is_none() {
        return Some("needs Debian's packages, and this machine's apt knows no mirror of Debian".to_owned());
    }
    need::cannot_install(&[Need::Qemu, Need::Gcc])
}

fn run_in_guest(arguments: &RunArguments) -> Result<ExitCode, Box<dyn Error>> {
    let guest = prepare::guest()?;
    let run = Directory::new()?;
    let cards = if arguments.cards { Some(cards::module(&guest)?) } else { None };
    fs::write(run.file("initrd"), [fs::read(&guest.base)?, overlay(arguments, cards.as_deref())?].concat())?;
    let mut qemu = qemu(arguments, &guest, &run);
    let status = qemu.status().map_err(|error| format!("{:?}: {error}", qemu.get_program()))?;
    let Some(code) = results(arguments, &run, status)? else {
        return Ok(died(&run, status));
    };
    if code > 128 {
        eprintln!(
            "\"{}\" was killed by signal {}; 9 is the signal of the time limit of {} s",
            arguments.command[0],
            code - 128,
            arguments.time_limit
        );
    }
    Ok(ExitCode::from(code))
}

/// The archive that is added to the guest for this run.
fn overlay(arguments: &RunArguments, cards: Option<&Path>) -> Result<Vec<u8>, Box<dyn Error>> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("\"{}\": {error}", path.display()));
    let mut archive = Archive::default();
    archive.add("init", INIT.as_bytes());
    let (program, words) = arguments.command.split_first().ok_or("expected a program to run")?;
    let mut command = String::from("exec ./program");
    for word in words {
        command.push_str(&format!(" '{}'", word.replace('\'', r"'\''")));
    }
    archive.add("test/command", command.as_bytes());
    archive.add("test/program", &read(Path::new(program))?);
    if let Some(cards) = cards {
        archive.add("modules/cards.ko", &read(cards)?);
    }
    for file in &arguments.files {
        let name = file.file_name().ok_or_else(|| format!("\"{}\" is no path of a file", file.display()))?;
        archive.add(Path::new("test").join(name), &read(file)?);
    }
    Ok(archive.finish())
}

fn qemu(arguments: &RunArguments, guest: &prepare::Guest, run: &Directory) -> Command {
    let limit = arguments.time_limit;
    let mut modules = [prepare::GPIO_MODULES, prepare::DEVICE_MODULES].concat();
    if arguments.usb_serial {
        modules.extend(prepare::USB_MODULES);
    }
    if arguments.cards {
        modules.extend(["uio", "cards"]);
    }
    // `timeout` ends QEMU even if xtask is killed; in the foreground, so that Ctrl-C ends all three.
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--kill-after=5"]).arg((limit + AROUND).to_string()).arg("qemu-system-x86_64");
    command.args(["-accel", if arguments.kvm { "kvm" } else { "tcg" }, "-machine", "pc", "-cpu", "max"]);
    command.args(["-smp", &arguments.cpus.to_string(), "-m", &arguments.memory.to_string()]);
    command.args(["-nodefaults", "-display", "none", "-no-reboot"]);
    // On a busy machine the kernel measures the rate of the processor's time stamp counter wrong, and then its clock
    // runs wrong. The emulated HPET keeps its rate. With --steady, or on a real processor, the counter is right.
    let clock = if arguments.steady || arguments.kvm { "tsc=reliable" } else { "tsc=unstable clocksource=hpet" };
    command.arg("-kernel").arg(&guest.kernel).arg("-initrd").arg(run.file("initrd")).arg("-append").arg(format!(
        "console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check {clock} limit={limit} modules={}",
        modules.join(",")
    ));
    let file = |name: &str| format!("file:{}", run.file(name).display());
    command.args(["-serial", &file("console"), "-chardev", "stdio,id=output,signal=off", "-serial", "chardev:output"]);
    command.args(["-serial", &file("results"), "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    if arguments.steady {
        command.args(["-icount", "shift=1,sleep=off"]);
    }
    if arguments.usb_serial {
        command.args(["-usb", "-chardev", "file,id=usb,path=/dev/null", "-device", "usb-serial,chardev=usb"]);
    }
    if arguments.boards {
        command.args(["-device", "edu", "-chardev", "null,id=printer", "-parallel", "chardev:printer"]);
    }
    command.stdin(Stdio::null());
    command
}

/// Unpacks the results. Returns the program's exit code; `None` if the guest died before it wrote that.
fn results(arguments: &RunArguments, run: &Directory, status: ExitStatus) -> Result<Option<u8>, Box<dyn Error>> {
    let place = arguments.out.clone().unwrap_or_else(|| run.file("unpacked"));
    fs::create_dir_all(&place).map_err(|error| format!("\"{}\": {error}", place.display()))?;
    let tar = Command::new("tar").arg("-xf").arg(run.file("results")).arg("-C").arg(&place).output()?;
    if status.code() != Some(DONE) || !tar.status.success() {
        return Ok(None);
    }
    let code = place.join("status");
    let text = fs::read_to_string(&code)?;
    fs::remove_file(code)?;
    Ok(text.trim().parse().ok())
}

fn died(run: &Directory, status: ExitStatus) -> ExitCode {
    let console = fs::read(run.file("console")).unwrap_or_default();
    let why = match status.code() {
        // The exit codes of `timeout`.
        Some(124 | 137) => "the time limit expired".to_owned(),
        _ => format!("QEMU ended with {status}"),
    };
    eprintln!("\nerror: the guest died while its program ran: {why}. Its console ends with:\n");
    eprint!("{}", run::tail(&String::from_utf8_lossy(&console)));
    ExitCode::from(DIED)
}

/// The directory of one run, which is removed when the value is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self, Box<dyn Error>> {
        let path = prepare::directory().join(format!("run-{}", std::process::id()));
        // An earlier process with the same id may have been killed before it removed its directory.
        workspace::emptied(&path)?;
        for name in ["console", "results"] {
            File::create(path.join(name))?;
        }
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
