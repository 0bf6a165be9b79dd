//! Runs Windows programs under Wine, with a prefix of its own in `target/wine` and without windows. When the last user
//! is done, nothing is left running.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{io, process, thread};

use crate::command::CommandLine;
use crate::workspace;
use crate::workspace::WINDOWS;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Kill everything in the prefix, and fail, after this many seconds
    #[arg(long, value_name = "SECONDS")]
    limit: Option<u64>,
    /// The Windows program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// `cargo xtask wine -- PROGRAM…`. Cargo starts Windows tests with it too.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let session = Session::begin()?;
    // The program runs in the caller's directory, since a test expects to start in that of its package.
    let mut program = session.program();
    program.args(&arguments.command);
    let status = match arguments.limit {
        None => program.status()?,
        Some(limit) => session.run_test(&mut program, &arguments.command[0], Duration::from_secs(limit))?,
    };
    Ok(u8::try_from(status.code().unwrap_or(1)).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// How often a test binary is started at most, if it ends before its tests begin.
const ATTEMPTS: u32 = 3;

/// The loader and the server of an installed 64-bit Wine.
pub(crate) fn programs() -> Option<Programs> {
    // Debian's and Ubuntu's `wine` is a script that complains about a missing 32-bit Wine, and their `wineserver` is a
    // script that sets how long it runs. /usr/lib/wine has the programs themselves.
    let first = |names: [&str; 3]| {
        let search = env::var_os("PATH").unwrap_or_default();
        let mut places = vec![PathBuf::from("/usr/lib/wine")];
        places.extend(env::split_paths(&search));
        names.iter().flat_map(|name| places.iter().map(move |place| place.join(name))).find(|program| program.is_file())
    };
    Some(Programs {
        loader: first(["wine64", "wine", "wine-stable"])?,
        server: first(["wineserver64", "wineserver", "wineserver-stable"])?,
    })
}

pub(crate) struct Programs {
    loader: PathBuf,
    server: PathBuf,
}

impl Programs {
    /// "wine-8.0 (Debian 8.0~repack-4)"
    pub(crate) fn version(&self) -> Option<String> {
        let output = Command::new(&self.loader).arg("--version").output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// A path of this system as a Windows program under Wine names it.
pub(crate) fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display().to_string().replace('/', "\\"))
}

/// The cargo setting that makes this xtask the runner of Windows programs, and ends those that take too long.
pub(crate) fn runner_setting(limit: Duration) -> String {
    let words = ["wine", "--limit", &limit.as_secs().to_string()];
    workspace::runner_setting(WINDOWS, &words).expect("this program has a path")
}

/// The right to use the prefix. The last session to end stops Wine's server, with all services and drivers of the
/// prefix.
pub(crate) struct Session {
    programs: Programs,
    prefix: PathBuf,
    users: File,
}

impl Session {
    /// Makes the prefix if there is none, and joins its users.
    pub(crate) fn begin() -> Result<Self, Box<dyn Error>> {
        let programs = programs().ok_or("Wine is not installed: run `cargo xtask setup`")?;
        let directory = workspace::target().join("wine");
        let lock = |name| workspace::lock_file(&directory, name);
        let session = Self { programs, prefix: directory.join("prefix"), users: lock("users.lock")? };
        let preparing = lock("prepare.lock")?;
        preparing.lock()?;
        session.users.lock_shared()?;
        session.prepare(&directory)?;
        // The server outlives the last program by ten seconds, so that the next program finds its services and drivers.
        // If this process is killed before it stops the server, the server ends after that time.
        session.server("-p10");
        Ok(session)
    }

    fn prepare(&self, directory: &Path) -> Result<(), Box<dyn Error>> {
        let version = Command::new(&self.programs.loader).arg("--version").output()?;
        let ready = directory.join("ready");
        if fs::read(&ready).is_ok_and(|prepared_by| prepared_by == version.stdout) {
            return Ok(());
        }
        // The prefix is incomplete, or another version of Wine made it.
        if self.prefix.exists() {
            self.server("-k");
            fs::remove_dir_all(&self.prefix)?;
        }
        let made = self.program().args(["wineboot", "--init"]).output()?;
        let system = self.prefix.join("drive_c/windows/system32");
        if !made.status.success() || !system.is_dir() {
            return Err(format!(
                "Wine cannot make the prefix \"{}\": {}\n{}",
                self.prefix.display(),
                made.status,
                String::from_utf8_lossy(&made.stderr)
            )
            .into());
        }
        provide_bcryptprimitives(directory, &system)?;
        fs::write(ready, version.stdout)?;
        Ok(())
    }

    /// Wine's loader, to which the caller adds a program and its arguments.
    fn program(&self) -> Command {
        let mut command = Command::new(&self.programs.loader);
        command
            .env("WINEPREFIX", &self.prefix)
            .env("WINEARCH", "win64")
            .env("WINESERVER", &self.programs.server)
            // No browser, no .NET, and no entries in the user's own menus.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
        if env::var_os("WINEDEBUG").is_none() {
            command.env("WINEDEBUG", "-all");
        }
        command
    }

    /// Runs a test binary, which first prints how many tests it has. With Wine 8 on a busy machine, about one process
    /// in a thousand ends before that without a message. Then it is started again.
    fn run_test(&self, program: &mut Command, name: &str, limit: Duration) -> Result<ExitStatus, Box<dyn Error>> {
        // A pipe would stay open, because the services that the first program starts inherit it.
        let path = workspace::target().join(format!("wine/output-{}", process::id()));
        let mut attempt = 1;
        loop {
            let output = File::create(&path)?;
            let ended = self.run_limited(program.stdout(output), name, limit);
            let printed = io::copy(&mut File::open(&path)?, &mut io::stdout())?;
            fs::remove_file(&path)?;
            let status = ended?;
            if status.success() || printed > 0 || attempt == ATTEMPTS {
                return Ok(status);
            }
            eprintln!("\"{name}\" ended before its tests began ({status}); starting it again");
            attempt += 1;
        }
    }

    fn run_limited(&self, program: &mut Command, name: &str, limit: Duration) -> Result<ExitStatus, Box<dyn Error>> {
        let deadline = Instant::now() + limit;
        let mut program = program.spawn()?;
        loop {
            if let Some(status) = program.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                self.server("-k");
                program.kill()?;
                return Err(format!("\"{name}\" did not end within {} s", limit.as_secs()).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Calls the server's program for this prefix. It fails if the server runs already, or has ended; that does not
    /// matter.
    fn server(&self, option: &str) {
        let _ = Command::new(&self.programs.server)
            .arg(option)
            .env("WINEPREFIX", &self.prefix)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // If others still use the prefix, the last of them stops the server.
        if self.users.unlock().is_ok() && self.users.try_lock().is_ok() {
            self.server("-k");
        }
    }
}

/// Installs bcryptprimitives.dll, which Rust's standard library needs, and which Wine has from 8.13 on.
fn provide_bcryptprimitives(directory: &Path, system: &Path) -> Result<(), Box<dyn Error>> {
    let installed = system.join("bcryptprimitives.dll");
    if installed.exists() {
        return Ok(());
    }
    let built = directory.join("bcryptprimitives.dll");
    let source = workspace::root().join("xtask/wine/bcryptprimitives.c");
    let compile = CommandLine::new("x86_64-w64-mingw32-gcc -shared -Os -s -Wall -Werror")
        .args("-nostdlib -Wl,--entry=DllMain")
        .arg(workspace::shown(&source))
        .args("-ladvapi32 -o")
        .arg(workspace::shown(&built));
    let output = compile.command().output()?;
    if !output.status.success() {
        return Err(format!("this command failed: {compile}\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    fs::copy(built, installed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_under_wine_is_on_drive_z() {
        assert_eq!(windows_path(Path::new("/home/a b/linewake.sys")), r"Z:\home\a b\linewake.sys");
    }
}
