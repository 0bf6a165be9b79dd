//! `cargo xtask mutate`: breaks the code on purpose, in one small way at a time, and checks that the test fails.
//!
//! The mutations are patches in `xtask/mutations/*.txt`; [`patch`] says how they are written. They are applied to a
//! copy of the working tree under `target/mutate`, never to the tree itself. A mutation passes if its test passes
//! without it, and fails with it, and if the mutated code compiles. `docs/guards.md` says which rule each mutation
//! attacks.

mod patch;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use patch::{Complaint, How, Mutation, Place, Test, all, complaint};

use crate::command::CommandLine;
use crate::need::{self, Need};
use crate::report::{Ended, Report};
use crate::run::Run;
use crate::stage::Hosts;
use crate::workspace::WINDOWS;
use crate::{driver, run, wine, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The mutations to try; all if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// List the mutations: the rules that each attacks, and where its test runs
    #[arg(long)]
    list: bool,
}

/// How often a test runs, since it may fail only when two threads meet.
const TRIES: usize = 3;
/// The first build of a tree takes long on a small machine.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);

impl How {
    /// What the test needs and this machine lacks, as "needs …".
    fn lacks(self) -> Option<String> {
        match self {
            Self::Native | Self::Loom => None,
            Self::Miri => need::lacks(&[Need::Miri]),
            Self::Wine | Self::Driver => Hosts::Linux.lacks().or_else(|| need::lacks(&[Need::Wine, Need::Mingw])),
        }
    }

    /// How long one test may take before it counts as hanging.
    fn limit(self, may_hang: bool) -> Duration {
        Duration::from_secs(match (self, may_hang) {
            (Self::Native, true) => 10,
            (Self::Wine, true) => 30,
            (Self::Driver, true) => 60,
            (Self::Native | Self::Wine, false) => 120,
            (Self::Loom | Self::Miri, _) | (Self::Driver, false) => 300,
        })
    }
}

/// `cargo xtask mutate`
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let mut mutations = all()?;
    for name in &arguments.names {
        if !mutations.iter().any(|mutation| mutation.name == *name) {
            return Err(format!("there is no mutation \"{name}\"; `cargo xtask mutate --list` has their names").into());
        }
    }
    mutations.retain(|mutation| arguments.names.is_empty() || arguments.names.contains(&mutation.name));
    let width = mutations.iter().map(|mutation| mutation.name.len()).max().unwrap_or(0);
    if arguments.list {
        for Mutation { name, attacks, why, test, .. } in &mutations {
            println!("{name:<width$}  {:<6}  {attacks}: {why}", test.place.how.name());
        }
        return Ok(ExitCode::SUCCESS);
    }
    // The mutations of one test binary follow one another, so that it is built from scratch only once.
    let mut places: BTreeMap<&Place, Vec<&Mutation>> = BTreeMap::new();
    for mutation in &mutations {
        places.entry(&mutation.test.place).or_default().push(mutation);
    }
    let scratch = Scratch::prepare()?;
    let mut report = Report::new();
    for (place, mutations) in places {
        let lacks = place.how.lacks();
        let names: BTreeSet<&str> = mutations.iter().map(|mutation| &*mutation.test.name).collect();
        let mut healthy = None;
        for mutation in mutations {
            report.begin(&format!("{:<width$}", mutation.name));
            if let Some(lacks) = &lacks {
                report.end(Ended::Skipped, Duration::ZERO, lacks);
                continue;
            }
            let started = Instant::now();
            let healthy = healthy.get_or_insert_with(|| scratch.healthy(place, &names));
            match scratch.try_out(mutation, healthy) {
                Ok(fell) => report.end(Ended::Passed, started.elapsed(), fell),
                Err(complaint) => {
                    report.end(Ended::Failed, started.elapsed(), &complaint.reason);
                    print!("{}", complaint.detail);
                }
            }
        }
    }
    Ok(report.close())
}

/// The copy of the tree that the mutations break, and the log of the commands in it.
struct Scratch {
    tree: PathBuf,
    target: PathBuf,
    log: Run,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Good,
    Bad,
    Never,
}

impl Scratch {
    fn prepare() -> Result<Self, Box<dyn Error>> {
        let directory = workspace::target().join("mutate");
        let log = Run::start("mutate")?;
        let scratch = Self { tree: directory.join("tree"), target: directory.join("target"), log };
        let list = CommandLine::new("git ls-files --cached --others --exclude-standard").read();
        let list = list.ok_or("`git ls-files` does not list the files of this tree")?;
        let files: BTreeSet<&Path> = list.lines().map(Path::new).collect();
        for file in &files {
            // git lists a deleted file until its deletion is committed.
            if let Ok(bytes) = fs::read(workspace::root().join(file)) {
                write_if_new(&scratch.tree.join(file), &bytes)?;
            }
        }
        for path in workspace::files(&scratch.tree)? {
            if !files.contains(path.strip_prefix(&scratch.tree)?) {
                fs::remove_file(path)?;
            }
        }
        Ok(scratch)
    }

    /// Breaks the code, runs the test, and mends the code.
    fn try_out(
        &self,
        mutation: &Mutation,
        healthy: &Result<BTreeSet<String>, Complaint>,
    ) -> Result<&'static str, Complaint> {
        let broken = mutation.applied_to(&|file| fs::read_to_string(self.tree.join(file)))?;
        let passing = healthy.as_ref().map_err(Complaint::clone)?;
        if !passing.contains(&mutation.test.name) {
            let command =
                self.command(&mutation.test.place, How::Driver.limit(false)).args("--").arg(&mutation.test.name);
            let detail = format!("    {command}\n");
            return complaint(format!("\"{}\" fails without the mutation", mutation.test.name), detail);
        }
        let mut whole = Vec::new();
        for (file, text) in &broken {
            let path = self.tree.join(file);
            whole.push((path.clone(), fs::read(&path)?));
            fs::write(path, text)?;
        }
        let verdict = self.verdict(mutation);
        for (path, bytes) in whole {
            fs::write(path, bytes)?;
        }
        verdict
    }

    fn verdict(&self, mutation: &Mutation) -> Result<&'static str, Complaint> {
        let Test { place, name } = &mutation.test;
        self.build(place).or_else(|_| complaint("it does not compile", self.tail()))?;
        let limit = place.how.limit(mutation.may_hang);
        for _ in 0..TRIES {
            let (end, said) = self.test(place, [&**name], limit)?;
            if !said.lines().any(|line| line.starts_with("running ") && line != "running 0 tests") {
                return complaint("the test did not start", self.tail());
            }
            match end {
                End::Bad => return Ok("the test failed"),
                End::Never if mutation.may_hang => return Ok("the test hung"),
                End::Never => return complaint(format!("the test hung for {} s", limit.as_secs()), self.tail()),
                End::Good => {}
            }
        }
        complaint(format!("SURVIVED: \"{name}\" still passes"), format!("    {}: {}\n", mutation.attacks, mutation.why))
    }

    /// The tests among `names` that pass without a mutation.
    fn healthy(&self, place: &Place, names: &BTreeSet<&str>) -> Result<BTreeSet<String>, Complaint> {
        self.build(place).or_else(|_| complaint("the code does not compile without a mutation", self.tail()))?;
        let names = names.iter().copied();
        let mut limit = place.how.limit(false);
        limit *= u32::try_from(names.len()).unwrap_or(u32::MAX);
        let (_, said) = self.test(place, names.clone(), limit)?;
        let passes = |name: &str| {
            said.lines().any(|line| {
                line.strip_prefix("test ").is_some_and(|line| {
                    let named =
                        if place.target == "doc" { line.contains(name) } else { line.split(' ').next() == Some(name) };
                    named && line.ends_with(" ok")
                })
            })
        };
        Ok(names.filter(|name| passes(name)).map(str::to_owned).collect())
    }

    fn build(&self, place: &Place) -> Result<(), Complaint> {
        if place.how == How::Driver {
            self.built(&driver::build_command().env("CARGO_TARGET_DIR", self.target.display().to_string()))?;
            let sys = self.sys();
            fs::create_dir_all(sys.parent().unwrap_or(&sys))?;
            fs::copy(self.target.join(WINDOWS).join("driver/linewake_driver.dll"), sys)?;
        }
        if place.target == "doc" {
            // A doc test is compiled when it is run.
            let target = self.target.display().to_string();
            return self.built(&CommandLine::new("cargo build -p").arg(&place.package).env("CARGO_TARGET_DIR", target));
        }
        self.built(&self.command(place, BUILD_LIMIT).args("--no-run"))
    }

    fn built(&self, command: &CommandLine) -> Result<(), Complaint> {
        match self.run(command, BUILD_LIMIT)? {
            (End::Good, _) => Ok(()),
            _ => complaint("it does not compile", String::new()),
        }
    }

    fn test<'a>(
        &self,
        place: &Place,
        names: impl IntoIterator<Item = &'a str>,
        limit: Duration,
    ) -> Result<(End, String), Complaint> {
        let exact = if place.target == "doc" { "--" } else { "-- --exact" };
        let mut command = self.command(place, limit).args(exact);
        for name in names {
            command = command.arg(name);
        }
        let under_wine = matches!(place.how, How::Wine | How::Driver);
        // Wine's runner keeps the time limit and cleans up, but it may hang itself.
        let patience = if under_wine { limit + Duration::from_secs(60) } else { limit };
        let (end, said) = self.run(&command, patience)?;
        if place.how == How::Driver {
            // A broken driver may have left its service behind, so the next one gets a new prefix.
            let _ = fs::remove_file(self.target.join("wine/ready"));
        }
        let end = if under_wine && said.contains("did not end within") { End::Never } else { end };
        Ok((end, said))
    }

    /// `cargo test` of one place, up to the test's name.
    fn command(&self, place: &Place, limit: Duration) -> CommandLine {
        let cargo = if place.how == How::Miri { "cargo +nightly miri test" } else { "cargo test" };
        let mut command = CommandLine::new(cargo).args("-p").arg(&place.package);
        command = match place.target.split_once('=') {
            None if matches!(&*place.target, "lib" | "doc") => command.arg(format!("--{}", place.target)),
            None => command.args("--test").arg(&place.target),
            Some((kind, name)) => command.arg(format!("--{kind}")).arg(name),
        };
        let mut target = self.target.clone();
        match place.how {
            How::Native => {}
            How::Loom => {
                command = command.args("--release").env("RUSTFLAGS", "--cfg loom").env("LOOM_MAX_PREEMPTIONS", "3");
                target.push("loom");
            }
            How::Miri => {
                command = command.env("MIRIFLAGS", "-Zmiri-strict-provenance -Zmiri-ignore-leaks");
                target.push("miri");
            }
            How::Wine | How::Driver => {
                command = command.args("--target").args(WINDOWS).args("--config");
                // The prefix is in this target directory, so killing its programs disturbs no other test.
                command = command.arg(wine::runner_setting(limit));
                if place.how == How::Driver {
                    command = command.env("LINEWAKE_SYS", wine::windows_path(&self.sys()));
                }
            }
        }
        // No test needs debug information, and linking is faster without it.
        let command = command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
        command.env("CARGO_TARGET_DIR", target.display().to_string())
    }

    fn sys(&self) -> PathBuf {
        self.target.join("driver/linewake.sys")
    }

    /// Runs a command in the scratch tree, with all it starts. Returns how it ended, and its output.
    fn run(&self, command: &CommandLine, limit: Duration) -> Result<(End, String), Complaint> {
        let before = self.printed()?.len();
        writeln!(self.log.log(), "$ {command}")?;
        let mut spawned = command.command();
        spawned.current_dir(&self.tree).stdin(Stdio::null());
        spawned.stdout(self.log.log().try_clone()?).stderr(self.log.log().try_clone()?);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut spawned, 0);
        let mut child = spawned.spawn()?;
        let deadline = Instant::now() + limit;
        let end = loop {
            if let Some(status) = child.try_wait()? {
                break if status.success() { End::Good } else { End::Bad };
            }
            if Instant::now() >= deadline {
                end_all(&mut child);
                break End::Never;
            }
            thread::sleep(Duration::from_millis(10));
        };
        Ok((end, self.printed()?.split_off(before)))
    }

    fn printed(&self) -> Result<String, Complaint> {
        self.log.text().or_else(|failure| complaint(failure.reason, String::new()))
    }

    /// The end of the log.
    fn tail(&self) -> String {
        run::tail(&self.printed().unwrap_or_default())
    }
}

/// Kills a command and its child processes.
fn end_all(child: &mut Child) {
    #[cfg(unix)]
    let _ = std::process::Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
    let _ = child.kill();
    let _ = child.wait();
}

/// Writes a file only if it differs, because cargo rebuilds a file with a new time.
fn write_if_new(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    Ok(fs::write(path, bytes)?)
}
