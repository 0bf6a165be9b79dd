//! `cargo xtask mutate`: breaks the code on purpose, in one small way at a time, and sees that its test falls.
//!
//! The mutations are patches in `xtask/mutations/*.txt`; [`parse`] reads them. They are applied to a copy of the
//! working tree under `target/mutate`, never to the tree itself. A mutation passes if its test passes without it, if it
//! compiles, and if the test then fails. `docs/guards.md` says which rule each of them attacks.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::CommandLine;
use crate::report::{Ended, Report};
use crate::run::Run;
use crate::{driver, wine, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The mutations to try; all of them if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// List the mutations: what each attacks, and where its test runs
    #[arg(long)]
    list: bool,
}

const WINDOWS: &str = "x86_64-pc-windows-gnu";
/// A mutation may need luck to show: two threads have to meet.
const TRIES: usize = 3;
/// The first build of a tree takes its time on a small machine.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);

/// A small breakage of the code.
#[derive(Debug, PartialEq)]
struct Mutation {
    name: String,
    /// The decisions and pitfalls of `docs/guards.md` it attacks.
    attacks: String,
    why: String,
    test: Test,
    /// The test may also come to no end.
    may_hang: bool,
    hunks: Vec<Hunk>,
}

/// Whole lines of a file, and those that take their place.
#[derive(Debug, Default, PartialEq)]
struct Hunk {
    file: String,
    old: String,
    new: String,
}

/// The test that must fall.
#[derive(Clone, Debug, PartialEq)]
struct Test {
    place: Place,
    name: String,
}

/// One test binary, and how it is run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    how: How,
    package: String,
    /// `lib`, `doc`, `bin=NAME`, or the name of an integration test.
    target: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    Native,
    Loom,
    Miri,
    Wine,
    /// Under Wine, with linewake.sys built from the same tree.
    Driver,
}

impl How {
    const ALL: [(&'static str, Self); 5] = [
        ("native", Self::Native),
        ("loom", Self::Loom),
        ("miri", Self::Miri),
        ("wine", Self::Wine),
        ("driver", Self::Driver),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|how| how.1 == self).map_or("", |how| how.0)
    }

    /// What this machine lacks for it.
    fn lacks(self) -> Option<&'static str> {
        let there = |line: &str| CommandLine::new(line).read().is_some();
        match self {
            Self::Native | Self::Loom => None,
            Self::Miri if there("cargo +nightly miri --version") => None,
            Self::Miri => Some("needs Miri: `cargo xtask setup`"),
            Self::Wine | Self::Driver if !cfg!(target_os = "linux") => Some("needs Linux, and Wine"),
            Self::Wine | Self::Driver if wine::programs().is_none() => Some("needs Wine: `cargo xtask setup`"),
            Self::Wine | Self::Driver if there("x86_64-w64-mingw32-gcc --version") => None,
            Self::Wine | Self::Driver => Some("needs mingw: `cargo xtask setup`"),
        }
    }

    /// How long one test may take before it is said to hang.
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
    // One test binary after the other: each is built whole only once.
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
            if let Some(lacks) = lacks {
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
    let tally = report.tally();
    println!("{tally}");
    Ok(if tally.failed == 0 && tally.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Why a mutation has not passed.
#[derive(Clone, Debug)]
struct Complaint {
    reason: String,
    /// What to show below the line.
    detail: String,
}

impl<E: Into<Box<dyn Error>>> From<E> for Complaint {
    fn from(error: E) -> Self {
        Self { reason: error.into().to_string(), detail: String::new() }
    }
}

fn complaint<T>(reason: impl Into<String>, detail: String) -> Result<T, Complaint> {
    Err(Complaint { reason: reason.into(), detail })
}

/// The copy of the tree that is broken, and the log of what is run in it.
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
            // What is deleted and not yet committed is listed still.
            if let Ok(bytes) = fs::read(workspace::root().join(file)) {
                write_if_new(&scratch.tree.join(file), &bytes)?;
            }
        }
        remove_others(&scratch.tree, &scratch.tree, &files)?;
        Ok(scratch)
    }

    /// Breaks the code, sees whether the test falls, and mends it.
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
            return complaint(format!("\"{}\" does not pass without the mutation", mutation.test.name), detail);
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
                return complaint("the test did not even start", self.tail());
            }
            match end {
                End::Bad => return Ok("fell"),
                End::Never if mutation.may_hang => return Ok("hung, as it was to"),
                End::Never => return complaint(format!("it hung for {} s", limit.as_secs()), self.tail()),
                End::Good => {}
            }
        }
        complaint(
            format!("SURVIVED: \"{name}\" passes all the same"),
            format!("    {}: {}\n", mutation.attacks, mutation.why),
        )
    }

    /// The tests among `names` that pass while the code is whole.
    fn healthy(&self, place: &Place, names: &BTreeSet<&str>) -> Result<BTreeSet<String>, Complaint> {
        self.build(place).or_else(|_| complaint("the tree does not compile", self.tail()))?;
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
            // Doc tests are compiled one by one, when they are run.
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
        // Wine's runner keeps the time itself, and cleans up; but it may hang too.
        let patience = if under_wine { limit + Duration::from_secs(60) } else { limit };
        let (end, said) = self.run(&command, patience)?;
        if place.how == How::Driver {
            // A broken driver may have left its service behind: the next one finds a new prefix.
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
                command = command.args("--target").args(WINDOWS).args("--config").arg(Self::runner(limit));
                if place.how == How::Driver {
                    command = command.env("LINEWAKE_SYS", wine::windows_path(&self.sys()));
                }
            }
        }
        // What a test has to say it says without debug information, and linking is faster.
        let command = command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
        command.env("CARGO_TARGET_DIR", target.display().to_string())
    }

    /// This xtask as the runner of Windows programs. The prefix lies beside what it runs: a program that hangs takes
    /// no other test along when it is ended.
    fn runner(limit: Duration) -> String {
        let xtask = std::env::current_exe().unwrap_or_default();
        let words = [&*xtask.to_string_lossy(), "wine", "--limit", &limit.as_secs().to_string(), "--"];
        format!("target.{WINDOWS}.runner={words:?}")
    }

    fn sys(&self) -> PathBuf {
        self.target.join("driver/linewake.sys")
    }

    /// Runs a command in the scratch tree, with all it starts. Returns what it printed, too.
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
        let text = self.printed().unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let mut tail = String::new();
        for line in &lines[lines.len().saturating_sub(30)..] {
            let _ = writeln!(tail, "    {line}");
        }
        tail
    }
}

/// Ends a command and what it has started.
fn end_all(child: &mut Child) {
    #[cfg(unix)]
    let _ = std::process::Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
    let _ = child.kill();
    let _ = child.wait();
}

/// Cargo looks at times: what has not changed is not touched.
fn write_if_new(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    Ok(fs::write(path, bytes)?)
}

fn remove_others(root: &Path, directory: &Path, files: &BTreeSet<&Path>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(root, &path, files)?;
        } else if path.strip_prefix(root).is_ok_and(|file| !files.contains(file)) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

impl Mutation {
    /// The files it changes, changed. What a hunk replaces has to be there exactly once.
    fn applied_to(
        &self,
        read: &dyn Fn(&str) -> std::io::Result<String>,
    ) -> Result<BTreeMap<String, String>, Complaint> {
        let mut changed = BTreeMap::new();
        for hunk in &self.hunks {
            let text = match changed.get(&hunk.file) {
                Some(text) => String::clone(text),
                None => read(&hunk.file).map_err(|error| format!("stale: \"{}\": {error}", hunk.file))?,
            };
            // Whole lines only.
            let is_line = |at: usize| at == 0 || text[..at].ends_with('\n');
            let places: Vec<_> = text.match_indices(&hunk.old).map(|(at, _)| at).filter(|&at| is_line(at)).collect();
            let &[at] = &places[..] else {
                let reason = format!("stale: {} times in \"{}\", not once", places.len(), hunk.file);
                return complaint(reason, hunk.old.clone());
            };
            let text = [&text[..at], &hunk.new, &text[at + hunk.old.len()..]].concat();
            changed.insert(hunk.file.clone(), text);
        }
        Ok(changed)
    }
}

/// Every mutation there is, by file and place in it.
fn all() -> Result<Vec<Mutation>, Box<dyn Error>> {
    let directory = workspace::root().join("xtask/mutations");
    let mut files =
        fs::read_dir(&directory)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut mutations = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        mutations.extend(parse(&text).map_err(|error| format!("{}: {error}", workspace::shown(&file)))?);
    }
    let mut names = BTreeSet::new();
    match mutations.iter().find(|mutation| !names.insert(&mutation.name)) {
        Some(twice) => Err(format!("two mutations are named \"{}\"", twice.name).into()),
        None => Ok(mutations),
    }
}

/// Reads mutations. Each is a head and one hunk or more:
///
/// ```text
/// === drop-does-not-cancel
/// attacks: D5, 12
/// why: a call that is dropped asks the driver to let go
/// falls: native overlapped calls dropping_a_pending_call_frees_it_once
/// --- crates/overlapped/src/call.rs
///          if !slot.machine.is_complete() {
/// -            self.device.cancel(self.operation);
///          }
/// ```
///
/// `falls` names how the test is run, the package, the test binary (`lib`, `doc`, `bin=NAME` or an integration test) and
/// the test; where the test may hang instead it is `hangs`. In a hunk a line begins with a blank, `-` or `+`, as in a
/// diff; the lines with a blank or `-` must be in the file, once. Empty lines and those with `#` are skipped.
fn parse(text: &str) -> Result<Vec<Mutation>, String> {
    let mut mutations: Vec<Mutation> = Vec::new();
    let blank = |name: &str| Mutation {
        name: name.to_owned(),
        attacks: String::new(),
        why: String::new(),
        test: Test {
            place: Place { how: How::Native, package: String::new(), target: String::new() },
            name: String::new(),
        },
        may_hang: false,
        hunks: Vec::new(),
    };
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = |what: &str| format!("line {number}: {what}: {line:?}");
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("=== ") {
            mutations.push(blank(name));
            continue;
        }
        let mutation = mutations.last_mut().ok_or_else(|| wrong("a mutation begins with `=== NAME`"))?;
        if let Some(file) = line.strip_prefix("--- ") {
            mutation.hunks.push(Hunk { file: file.to_owned(), ..Hunk::default() });
            continue;
        }
        if let Some(hunk) = mutation.hunks.last_mut() {
            let (kind, rest) = line.split_at_checked(1).ok_or_else(|| wrong("a line of a hunk"))?;
            let (old, new) = match kind {
                " " => (true, true),
                "-" => (true, false),
                "+" => (false, true),
                _ => return Err(wrong("a line of a hunk begins with a blank, `-` or `+`")),
            };
            for (side, is_in) in [(&mut hunk.old, old), (&mut hunk.new, new)] {
                if is_in {
                    side.push_str(rest);
                    side.push('\n');
                }
            }
            continue;
        }
        match line.split_once(": ").ok_or_else(|| wrong("a line of the head is `KEY: VALUE`"))? {
            ("attacks", value) => value.clone_into(&mut mutation.attacks),
            ("why", value) => value.clone_into(&mut mutation.why),
            (key @ ("falls" | "hangs"), value) => {
                mutation.may_hang = key == "hangs";
                mutation.test = test(value).ok_or_else(|| wrong("a test is `HOW PACKAGE TARGET NAME`"))?;
            }
            _ => return Err(wrong("the head has `attacks`, `why` and `falls` or `hangs`")),
        }
    }
    for mutation in &mutations {
        let Mutation { name, attacks, why, test, hunks, .. } = mutation;
        if attacks.is_empty() || why.is_empty() || test.name.is_empty() || hunks.is_empty() {
            return Err(format!("mutation \"{name}\" is not whole"));
        }
    }
    Ok(mutations)
}

fn test(text: &str) -> Option<Test> {
    let mut words = text.splitn(4, ' ');
    let how = words.next()?;
    let how = How::ALL.iter().find(|(name, _)| *name == how)?.1;
    let place = Place { how, package: words.next()?.to_owned(), target: words.next()?.to_owned() };
    Some(Test { place, name: words.next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "
# a comment
=== no-answer
attacks: D2
why: nobody knows
hangs: wine overlapped windows it_answers
--- a.rs
 fn answer() {
-    42
+    0
 }
";

    fn applied(text: &'static str) -> Result<BTreeMap<String, String>, Complaint> {
        parse(ONE).unwrap()[0].applied_to(&|_| Ok(text.to_owned()))
    }

    #[test]
    fn a_mutation_is_a_head_and_hunks() {
        let mutation = &parse(ONE).unwrap()[0];
        assert_eq!((&*mutation.name, mutation.may_hang, mutation.test.place.how), ("no-answer", true, How::Wine));
        assert_eq!(mutation.hunks[0].old, "fn answer() {\n    42\n}\n");
        assert_eq!(mutation.hunks[0].new, "fn answer() {\n    0\n}\n");
        for broken in ["attacks: x", "=== a\nwhy: x", "=== a\nfalls: x y", "=== a\n--- f\n*x"] {
            assert!(parse(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn what_it_replaces_is_there_once() {
        assert_eq!(applied("a\nfn answer() {\n    42\n}\nb\n").unwrap()["a.rs"], "a\nfn answer() {\n    0\n}\nb\n");
        for stale in ["", "fn answer() {\n    7\n}\n", "pub fn answer() {\n    42\n}\n"] {
            assert!(applied(stale).unwrap_err().reason.contains("stale: 0 times"), "{stale:?}");
        }
        assert!(
            applied("fn answer() {\n    42\n}\nfn answer() {\n    42\n}\n").unwrap_err().reason.contains("2 times")
        );
    }

    #[test]
    fn no_mutation_is_stale() {
        let stale: Vec<_> = all()
            .unwrap()
            .iter()
            .filter_map(|mutation| {
                let applied = mutation.applied_to(&|file| fs::read_to_string(workspace::root().join(file)));
                applied.err().map(|complaint| format!("{}: {}", mutation.name, complaint.reason))
            })
            .collect();
        assert_eq!(stale, [""; 0], "mend them in xtask/mutations");
    }

    /// What stands between backticks in a cell.
    fn quoted(cell: &str) -> impl Iterator<Item = &str> {
        cell.split('`').skip(1).step_by(2)
    }

    #[test]
    fn the_list_of_guards_has_every_mutation_and_tests_that_are_there() {
        let guards = fs::read_to_string(workspace::root().join("docs/guards.md")).unwrap();
        let list = CommandLine::new("git ls-files --cached --others --exclude-standard crates").read().unwrap();
        let sources = list.lines().filter(|file| file.ends_with(".rs"));
        let sources: String =
            sources.filter_map(|file| fs::read_to_string(workspace::root().join(file)).ok()).collect();
        let mutations = all().unwrap();
        let mut listed = BTreeSet::new();
        for row in guards.lines().filter(|line| line.starts_with("| ")) {
            let cells: Vec<_> = row.trim_matches('|').split('|').collect();
            let [.., tests, proofs] = cells[..] else { panic!("{row}") };
            for test in quoted(tests).filter(|name| name.contains('_') && !name.contains(|c: char| c.is_uppercase())) {
                assert!(sources.contains(&format!("fn {test}(")), "there is no test {test:?}");
            }
            for proof in quoted(proofs) {
                assert!(mutations.iter().any(|mutation| mutation.name == proof), "there is no mutation {proof:?}");
                listed.insert(proof.to_owned());
            }
        }
        let missing: Vec<_> =
            mutations.iter().map(|mutation| &mutation.name).filter(|name| !listed.contains(*name)).collect();
        assert!(missing.is_empty(), "not in docs/guards.md: {missing:?}");
    }
}
