//! A directory for a waveform, and the programs that write it.

#![allow(dead_code, reason = "each test file takes what it needs")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};

use tempfile::TempDir;

use crate::support::{linewake, until};

/// Makes one edge; and two more when a file appears. Before the first of these, 14 are lost.
pub(crate) const LOSSY: &str = "echo lines door=0; echo 1000 door 1 1\n\
    until [ -e \"$0.go\" ]; do [ -e \"$0\" ] || exit; sleep 0.05; done\n\
    echo 9000 door 0 16; echo 9500 door 1 17\nexec sleep 60\n";

/// A directory with a program that loses edges.
pub(crate) struct Place(pub(crate) TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("lossy.sh"), LOSSY).unwrap();
        fs::create_dir(place.path("there")).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The names in a directory.
    pub(crate) fn names(&self, of: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(of)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(crate) fn watch(&self, more: &[&str]) -> Command {
        let _ = fs::remove_file(self.path("lossy.sh.go"));
        let mut command = linewake(&["mon", "-q", "-c"]);
        command.arg(format!("exec:sh {}", self.path("lossy.sh").display())).args(more).args(["--vcd", "there/a.vcd"]);
        command.current_dir(self.0.path());
        command
    }

    /// Watches as a user who is not root.
    #[cfg(unix)]
    pub(crate) fn watch_as_nobody(&self, more: &[&str]) -> Command {
        use std::os::unix::process::CommandExt as _;
        // The other user may not reach the program where it is.
        fs::copy(env!("CARGO_BIN_EXE_linewake"), self.path("linewake")).unwrap();
        let mut command = Command::new(self.path("linewake"));
        command.args(self.watch(more).get_args()).current_dir(self.0.path());
        if is_root() {
            command.uid(65534).gid(65534);
        }
        command
    }

    /// Begins a watch for three edges, and waits for the first.
    pub(crate) fn begin(&self) -> Watch {
        self.begin_by(&mut self.watch(&["-n", "3"]))
    }

    pub(crate) fn begin_by(&self, command: &mut Command) -> Watch {
        let watch = Watch(command.stderr(fs::File::create(self.path("said")).unwrap()).spawn().unwrap());
        // A waveform of an earlier watch contains an account.
        let is_begun = |text: String| text.contains("\n#1\n") && !text.contains("delivered");
        until("there is an edge", || is_begun(self.text("there/a.vcd")));
        watch
    }

    /// Lets the other two edges come, and waits for the end.
    pub(crate) fn end(&self, watch: Watch) -> (Option<i32>, String) {
        fs::write(self.path("lossy.sh.go"), "").unwrap();
        self.ended(watch)
    }

    pub(crate) fn ended(&self, mut watch: Watch) -> (Option<i32>, String) {
        (watch.0.wait().unwrap().code(), self.text("said"))
    }

    /// Number of spans in which the line is unknown.
    pub(crate) fn spans(&self, name: &str) -> usize {
        self.text(name).lines().filter(|line| line.starts_with('x')).count()
    }
}

/// A watch that is killed at the end of its test.
pub(crate) struct Watch(pub(crate) Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// A mounted file system or file, which is unmounted when this is dropped.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// `None` if this user may not mount anything.
    pub(crate) fn mount(arguments: &[&str], at: PathBuf) -> Option<Self> {
        let mount = Command::new("mount").args(arguments).arg(&at).output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Some(Self(at));
        }
        println!("skipped: to mount something needs root");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}
