//! Refused inputs and the words that refuse them. The transcripts in `refused/` hold both, and are reviewed as text.
//!
//! In a transcript, "$ " begins a command, "? " the code that it exits with; the lines up to the next empty one are its
//! standard error. All other lines are comments. `SNAPSHOTS=overwrite cargo test -p linewake-cli --test refused`
//! writes what the command says now.
//!
//! Commands run in `refused/files`. The simulated chip is there for libgpiod's names, too, and `config` in that
//! directory is the user's configuration; "$FILES" is its path. Nothing that is refused may change a file.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{err, out};

struct Place {
    /// Where the commands run.
    files: PathBuf,
    /// Where the program is under the names of libgpiod's tools.
    tools: PathBuf,
}

impl Place {
    fn new(name: &str) -> Self {
        // Both are paths of the system that built the test.
        let absolute = |path: &Path| std::path::absolute(path).unwrap();
        let tools = absolute(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("refused-{name}")));
        // An earlier run may have left links to an older program.
        let _ = fs::remove_dir_all(&tools);
        fs::create_dir_all(&tools).unwrap();
        assert!(support::run(&["links", tools.to_str().unwrap()]).status.success());
        Self { files: absolute(&refused().join("files")), tools }
    }

    /// The code that a command exits with, and what it says.
    fn refuses(&self, line: &str) -> String {
        let files = self.files.to_str().unwrap();
        let words = shlex::split(line).unwrap_or_else(|| panic!("a quotation mark is missing: {line}"));
        let words: Vec<_> = words.iter().map(|word| word.replace("$FILES", files)).collect();
        let is_variable = |word: &&String| word.contains('=');
        let (variables, words) = words.split_at(words.iter().take_while(is_variable).count());
        let [program, arguments @ ..] = words else { panic!("there is no command: {line}") };
        let path = match &**program {
            "linewake" => env!("CARGO_BIN_EXE_linewake").into(),
            tool => self.tools.join(format!("{tool}{}", std::env::consts::EXE_SUFFIX)),
        };
        let mut command = Command::new(&path);
        command.args(arguments).current_dir(&self.files).stdin(Stdio::null()).env("LINEWAKE_SIM", "1");
        command.env("XDG_CONFIG_HOME", self.files.join("config")).env("APPDATA", self.files.join("config"));
        command.env_remove("PROGRAMDATA").envs(variables.iter().filter_map(|variable| variable.split_once('=')));
        let output = support::output(&mut command);
        assert_eq!(out(&output), "", "{line}: it prints something");
        assert_ne!(output.status.code(), Some(0), "{line}: it is not refused");
        let said = err(&output).replace(path.to_str().unwrap(), program).replace(files, "$FILES");
        let code = output.status.code().map_or("a signal".to_owned(), |code| code.to_string());
        said.lines().fold(format!("? {code}\n"), |all, line| all + &without_os_error(line) + "\n")
    }

    /// The transcript with the present messages.
    fn again(&self, transcript: &str) -> String {
        let mut again = String::new();
        let mut lines = transcript.lines();
        while let Some(line) = lines.next() {
            again += &format!("{line}\n");
            if let Some(command) = line.strip_prefix("$ ") {
                again += &format!("{}\n", self.refuses(command));
                lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
            }
        }
        again.truncate(again.trim_end().len());
        again + "\n"
    }

    /// The names and bytes of all files.
    fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(&self.files).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let bytes = |path: &PathBuf| fs::read(path).unwrap_or_default();
        files.into_iter().map(|path| (path.clone(), bytes(&path))).collect()
    }
}

fn refused() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refused")
}

/// The operating system's own words differ: `: No such file or directory (os error 2)`.
fn without_os_error(line: &str) -> String {
    let mark = " (os error ";
    let Some((before, after)) = line.split_once(mark) else { return line.to_owned() };
    let before = before.rsplit_once(": ").map_or(before, |(before, _)| before);
    let after = after.split_once(')').map_or(after, |(_, after)| after);
    format!("{before}: [OS ERROR]{after}")
}

/// Runs the transcripts of a folder, and shows the rows that differ.
fn assert_refused_as_written(folder: &str) {
    let place = Place::new(folder.trim_matches('.'));
    let contents = place.contents();
    let mut differences = String::new();
    for entry in fs::read_dir(refused().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let written = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
        let again = place.again(&written);
        if std::env::var("SNAPSHOTS").is_ok_and(|what| what == "overwrite") {
            fs::write(&path, &again).unwrap();
        } else if written != again {
            differences += &format!("{}:\n", path.display());
            let rows = written.split("\n\n").zip(again.split("\n\n")).filter(|(written, again)| written != again);
            rows.for_each(|(written, again)| differences += &format!("written: {written}\nsaid: {again}\n\n"));
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert_eq!(place.contents(), contents, "a file was changed");
}

#[test]
fn on_every_system() {
    assert_refused_as_written(".");
}

#[test]
#[cfg(unix)]
fn on_unix() {
    assert_refused_as_written("unix");
}

#[test]
#[cfg(target_os = "linux")]
fn on_linux() {
    assert_refused_as_written("linux");
}

#[test]
#[cfg(windows)]
fn on_windows() {
    assert_refused_as_written("windows");
}
