//! Prepares the guest: a Debian kernel with gpio-sim, and a few programs. They are unpacked to `target/vm`, and not
//! installed.
//!
//! The packages come from the mirror that this machine's apt uses. apt runs with a configuration of its own, so the
//! machine's lists and settings stay unchanged. Debian has built gpio-sim since its kernel 7.2, which is in trixie's
//! backports and in the development branch. These kernels have only version 2 of the line interface.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cpio::Archive;
use crate::command::CommandLine;
use crate::run::{Failure, Run};
use crate::workspace;

/// The Debian suites to try, the preferred ones first. The first suite of a row has the programs, the last the kernel.
const SOURCES: &[&[&str]] = &[&["trixie", "trixie-backports"], &["sid"]];

/// The packages of programs: a shell and its commands, and libgpiod's tools with their libraries.
const PROGRAMS: &[&str] = &["busybox-static", "gpiod", "libgpiod3", "libc6"];

/// The files to copy: the beginning of their path in a package, and their directory in the guest.
const FILES: &[(&str, &str)] = &[
    ("usr/bin/busybox", "bin"),
    ("usr/bin/gpio", "bin"),
    ("usr/lib/x86_64-linux-gnu/libgpiod.so.3", "lib/x86_64-linux-gnu"),
    ("usr/lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu"),
    ("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "lib64"),
];

/// Simulated GPIO chips.
pub(crate) const GPIO_MODULES: &[&str] = &["configfs", "gpio-sim"];

/// Drivers for devices that a program creates: input devices (/dev/uinput), HIDs (/dev/uhid) and network interfaces
/// (/dev/net/tun); and a watchdog without hardware (/dev/watchdog0). They are loaded in this order.
pub(crate) const DEVICE_MODULES: &[&str] =
    &["evdev", "uinput", "hid", "hid-generic", "uhid", "tun", "watchdog", "softdog"];

/// Drivers that only some tests use. The guest has them, and a test loads those that it needs, dependencies first:
/// `insmod /modules/NAME.ko`.
const MODULES_TO_LOAD: &[&str] = &[
    // Joysticks (/dev/input/js0).
    "joydev",
    // Interrupts of a PCI device, which a program reads (/dev/uio0).
    "uio",
    "uio_pci_generic",
    // A parallel port (/dev/parport0), whose interrupt is also a pulse per second (/dev/pps0).
    "parport",
    "parport_pc",
    "ppdev",
    "pps_parport",
    // An infrared transmitter and its receiver in one (/dev/lirc0).
    "rc-core",
    "rc-loopback",
    // Measuring cards (/dev/comedi0): the parallel port as a card.
    "comedi",
    "comedi_parport",
    // Character devices that a program implements (/dev/cuse).
    "cuse",
];

/// Drivers for a USB bus with QEMU's serial adapter (/dev/ttyUSB0), and for a simulated bus, where a test plugs a
/// gadget in and out through configfs (/dev/ttyGS0 and /dev/ttyACM0). They are loaded in this order.
pub(crate) const USB_MODULES: &[&str] = &[
    "usb-common",
    "usbcore",
    "uhci-hcd",
    "usbserial",
    "ftdi_sio",
    "udc-core",
    "dummy_hcd",
    "libcomposite",
    "u_serial",
    "usb_f_acm",
    "cdc-acm",
];

/// A kernel, and the file system it starts with.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) kernel: PathBuf,
    pub(crate) base: PathBuf,
    /// The kernel's headers: `common` for every machine, `own` for this one.
    pub(crate) headers: PathBuf,
    /// "7.3.4+deb13-amd64, trixie-backports"
    pub(crate) version: String,
}

/// The directory of all files of the guest.
pub(crate) fn directory() -> PathBuf {
    workspace::target().join("vm")
}

/// Returns the guest, and prepares it unless an earlier run has.
pub(crate) fn guest() -> Result<Guest, Box<dyn Error>> {
    let directory = directory();
    let lock = workspace::lock_file(&directory, "prepare.lock")?;
    lock.lock()?;
    let recipe = format!(
        "2 {SOURCES:?} {PROGRAMS:?} {FILES:?} {GPIO_MODULES:?} {DEVICE_MODULES:?} {USB_MODULES:?} \
         {MODULES_TO_LOAD:?}\n"
    );
    let (kernel, base, ready) = (directory.join("vmlinuz"), directory.join("base.cpio"), directory.join("ready"));
    let headers = directory.join("headers");
    if let Ok(stamp) = fs::read_to_string(&ready)
        && let Some(version) = stamp.strip_prefix(&recipe)
    {
        return Ok(Guest { kernel, base, headers, version: version.trim().to_owned() });
    }
    // The files there were made by another recipe, or are incomplete.
    let _ = fs::remove_file(&ready);
    let scratch = directory.join("preparing");
    let run = Run::start("vm-prepare")?;
    let mut refused = None;
    for suites in SOURCES {
        workspace::emptied(&scratch)?;
        match prepare(&run, &scratch, suites) {
            Ok(prepared) => {
                fs::rename(prepared.kernel, &kernel)?;
                fs::rename(prepared.base, &base)?;
                workspace::emptied(&headers)?;
                fs::rename(prepared.headers, &headers)?;
                fs::remove_dir_all(&scratch)?;
                // This is written last: if it is there, the rest is complete.
                fs::write(&ready, format!("{recipe}{}\n", prepared.version))?;
                return Ok(Guest { kernel, base, headers, version: prepared.version });
            }
            Err(failure) => refused = Some(run.explain(&failure)),
        }
    }
    Err(format!("the guest cannot be prepared\n{}", refused.unwrap_or_default()).into())
}

/// The mirror of Debian that this machine's apt knows.
pub(crate) fn mirror() -> Option<String> {
    let list = CommandLine::new("apt-get indextargets --format $(REPO_URI)").arg("Created-By: Packages").read()?;
    list.lines().find(|uri| uri.trim_end_matches('/').ends_with("/debian")).map(str::to_owned)
}

fn prepare(run: &Run, scratch: &Path, suites: &[&str]) -> Result<Guest, Failure> {
    let apt = Apt::begin(run, scratch, suites)?;
    let (programs, kernels) = (suites[0], suites[suites.len() - 1]);
    let version = apt.kernel(kernels)?;
    let named = |names: &[&str], suite: &str| names.iter().map(|name| format!("{name}/{suite}")).collect::<Vec<_>>();
    let headers =
        [format!("linux-headers-{}-common", version.trim_end_matches("-amd64")), format!("linux-headers-{version}")];
    let [common, own] = &headers;
    let kernel_packages = [&format!("linux-binary-{version}"), &format!("linux-modules-{version}"), common, own];
    let mut packages = named(PROGRAMS, programs);
    packages.extend(named(&kernel_packages.map(|name| &**name), kernels));
    let root = scratch.join("root");
    apt.unpack(&packages, &root)?;

    let mut archive = Archive::default();
    for (path, place) in FILES {
        let path = root.join(path);
        let begin = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut found = false;
        for entry in fs::read_dir(path.parent().unwrap_or(&root))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&begin) {
                archive.add(Path::new(place).join(name), &fs::read(entry.path())?);
                found = true;
            }
        }
        if !found {
            return Err(format!("the downloaded packages lack \"{}\"", workspace::shown(&path)).into());
        }
    }
    let modules = root.join("usr/lib/modules").join(&version);
    let all_modules = workspace::files(&modules)?;
    for name in [GPIO_MODULES, DEVICE_MODULES, USB_MODULES, MODULES_TO_LOAD].concat() {
        let file = format!("{name}.ko.xz");
        let module = all_modules.iter().find(|path| path.file_name().is_some_and(|name| *name == *file));
        let module = module.ok_or_else(|| format!("Debian's kernel {version} has no module \"{name}\""))?;
        let unpacked = Command::new(root.join("usr/bin/busybox")).args(["xz", "-dc"]).arg(module).output()?;
        if !unpacked.status.success() {
            return Err(format!("the module \"{name}\" cannot be decompressed").into());
        }
        archive.add(format!("modules/{name}.ko"), &unpacked.stdout);
    }
    let base = scratch.join("base.cpio");
    fs::write(&base, archive.finish())?;
    let headers = kept_headers(scratch, &root, [(common, "common"), (own, "own")])?;
    Ok(Guest { kernel: modules.join("vmlinuz"), base, headers, version: format!("{version}, {kernels}") })
}

/// Keeps the headers that a module for this architecture needs. The packages have those of others too, which are
/// larger.
fn kept_headers(scratch: &Path, root: &Path, packages: [(&str, &str); 2]) -> Result<PathBuf, Failure> {
    let headers = scratch.join("headers");
    for (package, name) in packages {
        let (from, to) = (root.join("usr/src").join(package), headers.join(name));
        fs::create_dir_all(to.join("arch"))?;
        for part in ["include", "arch/x86"] {
            fs::rename(from.join(part), to.join(part))?;
        }
    }
    Ok(headers)
}

/// apt with lists and sources of its own.
struct Apt<'a> {
    run: &'a Run,
    scratch: &'a Path,
    configuration: String,
}

impl<'a> Apt<'a> {
    fn begin(run: &'a Run, scratch: &'a Path, suites: &[&str]) -> Result<Self, Failure> {
        let mirror = mirror().ok_or("this machine's apt knows no mirror of Debian")?;
        let apt = scratch.join("apt");
        for directory in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.join(directory))?;
        }
        let sources: String = suites
            .iter()
            .map(|suite| {
                format!("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {suite} main\n")
            })
            .collect();
        fs::write(apt.join("sources.list"), sources)?;
        let configuration = apt.join("apt.conf");
        let place = apt.display();
        let text = format!(
            "Dir::Etc::sourcelist \"{place}/sources.list\";\n\
             Dir::Etc::sourceparts \"-\";\n\
             Dir::State::lists \"{place}/lists\";\n\
             Dir::Cache \"{place}/cache\";\n\
             APT::Sandbox::User \"root\";\n\
             APT::Architecture \"amd64\";\n\
             APT::Architectures {{ \"amd64\"; }};\n\
             Acquire::Languages \"none\";\n\
             Acquire::Retries \"3\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n"
        );
        fs::write(&configuration, text)?;
        let apt = Self { run, scratch, configuration: configuration.display().to_string() };
        run.command(&apt.command("apt-get --quiet update"))?;
        Ok(apt)
    }

    fn command(&self, line: &str) -> CommandLine {
        CommandLine::new(line).env("APT_CONFIG", &*self.configuration)
    }

    /// The version of the suite's newest kernel. The package `linux-image-amd64` depends on a package with it in its
    /// name.
    fn kernel(&self, suite: &str) -> Result<String, Failure> {
        let show = self.command("apt-cache show").arg(format!("linux-image-amd64/{suite}"));
        let text = show.read().ok_or_else(|| format!("the suite \"{suite}\" has no package linux-image-amd64"))?;
        let depends = text.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
        let image = depends.split([' ', ',']).find_map(|word| word.strip_prefix("linux-image-"));
        Ok(image.ok_or("the package linux-image-amd64 depends on no kernel")?.to_owned())
    }

    /// Downloads packages, given as NAME/SUITE, and unpacks them into one directory.
    fn unpack(&self, packages: &[String], root: &Path) -> Result<(), Failure> {
        let downloads = self.scratch.join("packages");
        fs::create_dir_all(&downloads)?;
        let mut download = self.command("apt-get --quiet download");
        for package in packages {
            download = download.arg(package);
        }
        // apt-get writes the packages to its current directory.
        let status = download
            .command()
            .current_dir(&downloads)
            .stdin(Stdio::null())
            .stdout(self.run.log().try_clone()?)
            .stderr(self.run.log().try_clone()?)
            .status()?;
        if !status.success() {
            return Err(Failure { command: Some(download.to_string()), reason: status.to_string() });
        }
        for package in fs::read_dir(&downloads)? {
            let package = package?.path().display().to_string();
            self.run.command(&CommandLine::new("dpkg-deb -x").arg(package).arg(root.display().to_string()))?;
        }
        Ok(())
    }
}
