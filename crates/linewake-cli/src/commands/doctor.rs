//! `linewake doctor`: what this computer has, what it lacks, and how to get that.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;

use linewake::{Chip, LineHolder};

use crate::display::{Printable, Quoted, consumer};
use crate::exit::{self, Failure};
use crate::output;

/// Say what this computer has, what it lacks, and how to get it
///
/// Checks the chips and who holds their lines, the serial ports, this user's permissions, and the system.
/// It changes nothing, takes no line and opens no port.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help("", &[]))]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Result<(), Failure> {
    let mut report = Report::default();
    report.good(format!("linewake {} on {}", env!("CARGO_PKG_VERSION"), system::name()));
    chips(&mut report);
    system::look(&mut report);
    report.section("configuration");
    for place in crate::config::places() {
        match place {
            Ok(found) => report.good(found),
            Err(wrong) => report.missing(wrong.to_string()),
        }
    }
    report.section("next");
    report.good(if report.has_chip {
        "linewake detect; linewake mon -c CHIP"
    } else {
        "linewake mon -c sim: a simulated chip, which every computer has"
    });
    output::write(|out| out.write_all(report.text.as_bytes()))
}

/// The text of the report.
#[derive(Debug, Default)]
struct Report {
    text: String,
    has_chip: bool,
}

impl Report {
    fn section(&mut self, name: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{name}:");
    }

    fn good(&mut self, what: impl AsRef<str>) {
        let indent = if self.text.is_empty() { "" } else { "  " };
        let _ = writeln!(self.text, "{indent}{}", Printable(what.as_ref()));
    }

    /// Adds something that is missing, with the way to get it.
    fn missing(&mut self, what: impl AsRef<str>) {
        let _ = writeln!(self.text, "! {}", Printable(what.as_ref()));
    }
}

fn chips(report: &mut Report) {
    report.section("chips");
    let specs = linewake::chips();
    for spec in &specs {
        let chip = match Chip::open(spec) {
            Ok(chip) => chip,
            Err(error) => {
                report.missing(error.to_string());
                continue;
            }
        };
        report.has_chip = true;
        let info = chip.info();
        let lines = match chip.lines() {
            Ok(lines) => lines,
            Err(error) => {
                report.missing(format!("the lines of \"{spec}\" cannot be read: {error}"));
                continue;
            }
        };
        let used: Vec<_> = lines.iter().filter(|line| line.used).collect();
        report.good(format!("{} [{}]: {} lines, {} held", info.name, info.label, info.lines, used.len()));
        let holders = if used.is_empty() { HashMap::new() } else { chip.holders() };
        for line in &used {
            let name =
                line.name.as_deref().map(|text| Quoted { text, unquoted: false }.to_string()).unwrap_or_default();
            let held = Quoted { text: consumer(line), unquoted: false };
            let process = match holders.get(&line.offset) {
                Some(LineHolder { process, program }) => format!(" (process {process}, \"{program}\")"),
                None => system::no_process().to_owned(),
            };
            report.good(format!("  {} {} {name} is held by {held}{process}", info.name, line.offset));
        }
        if used.iter().any(|line| !holders.contains_key(&line.offset))
            && let Some(why) = system::unknown_holder()
        {
            report.good(format!("  {why}"));
        }
    }
    if specs.is_empty() {
        report.missing(system::no_chip());
    }
    for what in system::no_chips() {
        report.missing(what);
    }
    report.good("sim: a simulated chip, which every computer has");
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;
    use std::os::unix::fs::FileTypeExt as _;
    use std::path::Path;

    use rustix::fs::{Access, access};

    use super::Report;

    pub(super) fn no_chip() -> String {
        let simulated = match Simulator::look() {
            Simulator::Module => ". \"modprobe gpio-sim\" as root allows simulated ones",
            Simulator::Loaded | Simulator::BuiltIn | Simulator::Absent => "",
        };
        format!(
            "no gpiochip in /dev: most PCs have none. A USB adapter (CH341, MCP2221, FT232H) has one when its kernel \
             module is loaded; a board needs it in its device tree{simulated}"
        )
    }

    /// The holder of a line when no process is known. Root sees all processes, so it is the kernel.
    pub(super) fn no_process() -> &'static str {
        if rustix::process::geteuid().is_root() { " (the kernel: a driver, or a hog of the device tree)" } else { "" }
    }

    pub(super) fn unknown_holder() -> Option<&'static str> {
        let unseen = "lines without a process are held by the kernel or by another user; root sees by which";
        (!rustix::process::geteuid().is_root()).then_some(unseen)
    }

    /// Files in /dev that have the name of a gpiochip and are something else.
    pub(super) fn no_chips() -> Vec<String> {
        let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
        let called = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("gpiochip"));
        let mut said: Vec<_> = called
            .filter_map(|entry| {
                let what = match entry.file_type().ok()? {
                    kind if kind.is_char_device() || kind.is_symlink() => return None,
                    kind if kind.is_dir() => "a directory",
                    kind if kind.is_file() => "a plain file",
                    kind if kind.is_fifo() => "a pipe",
                    _ => "something else",
                };
                let path = entry.path();
                Some(format!("{} is {what}, not a gpiochip, and is ignored; remove it", path.display()))
            })
            .collect();
        said.sort();
        said
    }

    /// How the kernel offers gpio-sim, which makes simulated chips.
    enum Simulator {
        Loaded,
        Module,
        BuiltIn,
        Absent,
    }

    impl Simulator {
        fn look() -> Self {
            let modules = format!("/lib/modules/{}", release());
            let has = |list: &str| {
                fs::read_to_string(format!("{modules}/{list}")).is_ok_and(|text| text.contains("/gpio-sim.ko"))
            };
            match () {
                () if Path::new("/sys/kernel/config/gpio-sim").exists() => Self::Loaded,
                () if has("modules.dep") => Self::Module,
                () if has("modules.builtin") => Self::BuiltIn,
                () => Self::Absent,
            }
        }
    }

    /// Reads the first line of a small file.
    fn line_of(path: impl AsRef<Path>) -> Option<String> {
        let text = fs::read_to_string(path).ok()?;
        text.lines().next().map(str::to_owned)
    }

    fn release() -> String {
        line_of("/proc/sys/kernel/osrelease").unwrap_or_else(|| "of an unknown release".to_owned())
    }

    pub(super) fn name() -> String {
        format!("Linux {}, {}", release(), std::env::consts::ARCH)
    }

    pub(super) fn look(report: &mut Report) {
        report.section("serial ports, for their modem lines");
        ports(report);
        report.section("kernel");
        kernel(report);
        report.section("permissions");
        permissions(report);
    }

    /// Lists the ports with hardware: a port without has the type 0, "unknown" (PORT_UNKNOWN, linux/serial_core.h).
    fn ports(report: &mut Report) {
        let mut found = 0;
        let entries = fs::read_dir("/sys/class/tty").into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        for name in names {
            let directory = Path::new("/sys/class/tty").join(&name);
            let Ok(driver) = fs::read_link(directory.join("device/driver")) else { continue };
            if line_of(directory.join("type")).is_some_and(|kind| kind.trim() == "0") {
                continue;
            }
            found += 1;
            let driver = driver.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let path = format!("/dev/{name}");
            match access(&path, Access::READ_OK | Access::WRITE_OK) {
                Ok(()) => report.good(format!("serial:{path} (driver {driver})")),
                Err(_) if !Path::new(&path).exists() => report.good(format!("{path} (driver {driver}) is not in /dev")),
                Err(error) => report.missing(format!(
                    "{path} (driver {driver}) cannot be opened: {error}; join its group, often \"dialout\": \
                     usermod -aG dialout USER"
                )),
            }
        }
        if found == 0 {
            report.good("none");
        }
    }

    fn kernel(report: &mut Report) {
        let release = release();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if version >= (5, 10) {
            report.good("gpiochips have version 2 of line events (since 5.10)");
        } else {
            report
                .missing(format!("Linux {release} lacks version 2 of line events; gpiochips need Linux 5.10 or newer"));
        }
        let ring = line_of("/proc/sys/kernel/io_uring_disabled");
        report.good(match ring.as_deref() {
            Some("0") => "io_uring may be used",
            Some(_) => "io_uring is switched off (kernel.io_uring_disabled); linewake uses poll instead",
            None => "this kernel does not say whether io_uring may be used; if not, linewake uses poll",
        });
        report.good(match Simulator::look() {
            Simulator::Loaded => "gpio-sim is loaded, for simulated gpiochips",
            Simulator::Module => "gpio-sim can be loaded, for simulated gpiochips: modprobe gpio-sim",
            Simulator::BuiltIn => "gpio-sim is built in, for simulated gpiochips: mount configfs to use it",
            Simulator::Absent => "this kernel lacks gpio-sim, and cannot make simulated gpiochips",
        });
    }

    fn permissions(report: &mut Report) {
        let root = rustix::process::geteuid().is_root();
        report.good(if root { "this user is root" } else { "this user is not root" });
        let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
        let chips = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let chips = chips.filter(|name| name.starts_with("gpiochip")).map(|name| format!("/dev/{name}"));
        let denied: Vec<_> = chips.filter(|path| access(path, Access::READ_OK | Access::WRITE_OK).is_err()).collect();
        if !denied.is_empty() {
            report.missing(format!(
                "this user may not open {}; a udev rule gives them to the group gpio: SUBSYSTEM==\"gpio\", \
                 KERNEL==\"gpiochip[0-9]*\", GROUP=\"gpio\", MODE=\"0660\", and: usermod -aG gpio USER",
                denied.join(", ")
            ));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::Report;

    pub(super) fn no_chip() -> &'static str {
        if cfg!(windows) {
            "the reference driver has no chip; run \"linewake driver install\" and \"linewake driver start\". Windows \
             itself lets no program wait for the edges of its GPIO pins. A profile describes a vendor's driver \
             (docs/profiles.md); the modem lines of a serial port are the chip serial:COM3"
        } else {
            "linewake knows no chips of this system, only of Linux and Windows"
        }
    }

    pub(super) fn no_process() -> &'static str {
        ""
    }

    /// The note below lines whose process is unknown.
    pub(super) fn unknown_holder() -> Option<&'static str> {
        Some("this system does not say which processes hold them")
    }

    pub(super) fn no_chips() -> Vec<String> {
        Vec::new()
    }

    pub(super) fn name() -> String {
        let system = if cfg!(windows) { "Windows" } else { std::env::consts::OS };
        format!("{system}, {}", std::env::consts::ARCH)
    }

    #[cfg(not(windows))]
    pub(super) fn look(_: &mut Report) {}

    #[cfg(windows)]
    pub(super) fn look(report: &mut Report) {
        /// GUID_DEVINTERFACE_COMPORT (ntddser.h).
        const COM_PORTS: overlapped::InterfaceClass =
            overlapped::InterfaceClass::from_u128(0x86e0_d1e0_8089_11d0_9ce4_0800_3e30_1f73);
        report.section("reference driver");
        match crate::service::status() {
            Ok(said) => report.good(said),
            Err(failure) => report.missing(failure.to_string()),
        }
        report.section("serial ports, for their modem lines");
        match COM_PORTS.present() {
            Ok(ports) if ports.is_empty() => report.good("none"),
            Ok(ports) => ports.iter().for_each(|port| report.good(port.display().to_string())),
            Err(error) => report.missing(format!("cannot list them: {error}")),
        }
    }
}
