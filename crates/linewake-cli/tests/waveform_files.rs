//! The file of a waveform: other files of its name or beside it, and the owner, rights and links that it keeps.
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};

use support::{err, linewake, output, signal, until};
use tempfile::TempDir;

/// One edge; and when there is a file, two more, the first of them after 14 that are lost.
const LOSSY: &str = "echo lines door=0; echo 1000 door 1 1\n\
    until [ -e \"$0.go\" ]; do sleep 0.05; done\n\
    echo 9000 door 0 16; echo 9500 door 1 17\nexec sleep 60\n";

/// A directory with a program that loses edges.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("lossy.sh"), LOSSY).unwrap();
        fs::create_dir(place.path("there")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The names in a directory.
    fn names(&self, of: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(of)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn watch(&self, more: &[&str]) -> Command {
        let _ = fs::remove_file(self.path("lossy.sh.go"));
        let mut command = linewake(&["mon", "-q", "-c"]);
        command.arg(format!("exec:sh {}", self.path("lossy.sh").display())).args(more).args(["--vcd", "there/a.vcd"]);
        command.current_dir(self.0.path());
        command
    }

    /// Begins a watch for three edges, and waits for the first.
    fn begin(&self) -> Watch {
        self.begin_by(&mut self.watch(&["-n", "3"]))
    }

    fn begin_by(&self, command: &mut Command) -> Watch {
        let watch = Watch(command.stderr(fs::File::create(self.path("said")).unwrap()).spawn().unwrap());
        // A waveform of an earlier watch has its account at the end.
        let is_begun = |text: String| text.contains("\n#1\n") && !text.contains("delivered");
        until("there is an edge", || is_begun(self.text("there/a.vcd")));
        watch
    }

    /// Lets the other two edges come, and waits for the end.
    fn end(&self, watch: Watch) -> (Option<i32>, String) {
        fs::write(self.path("lossy.sh.go"), "").unwrap();
        self.ended(watch)
    }

    fn ended(&self, mut watch: Watch) -> (Option<i32>, String) {
        (watch.0.wait().unwrap().code(), self.text("said"))
    }

    /// Spans in which the line is unknown.
    fn spans(&self, name: &str) -> usize {
        self.text(name).lines().filter(|line| line.starts_with('x')).count()
    }
}

/// A watch, which ends with its test.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// A small file system, until it is dropped.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

#[test]
fn files_beside_a_waveform_are_left_alone() {
    for is_link in [true, false] {
        let place = Place::new();
        fs::write(place.path("diary"), "dear diary").unwrap();
        for name in ["there/a.vcd.part", "there/a.vcd.next"] {
            if is_link {
                symlink(place.path("diary"), place.path(name)).unwrap();
            } else {
                assert!(Command::new("mkfifo").arg(place.path(name)).status().unwrap().success());
            }
        }
        let watch = place.begin();
        signal(&watch.0, "-HUP");
        until("there is a next one", || place.path("there/a.1.vcd").exists());
        let (code, said) = place.end(watch);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(place.spans("there/a.vcd"), 1);
        assert_eq!(place.text("diary"), "dear diary");
        assert_eq!(place.names("there"), ["a.1.vcd", "a.vcd", "a.vcd.next", "a.vcd.part"]);
    }
}

#[test]
fn another_file_in_a_waveforms_place_is_neither_opened_nor_replaced() {
    for kind in ["fifo", "directory", "socket"] {
        let place = Place::new();
        let file = place.path("there/a.vcd");
        let watch = place.begin();
        place.rename("there/a.vcd", "there/old.vcd");
        match kind {
            "fifo" => assert!(Command::new("mkfifo").arg(&file).status().unwrap().success()),
            "directory" => fs::create_dir(&file).unwrap(),
            _ => drop(UnixListener::bind(&file).unwrap()),
        }
        signal(&watch.0, "-HUP");
        until("it is said", || place.text("said").contains("linewake: cannot begin \"there/a.vcd\" anew: "));
        let (code, said) = place.end(watch);
        assert_eq!(code, Some(0), "{kind}: {said}");
        assert_eq!(place.spans("there/old.vcd"), 1, "{kind}");
        assert!(!file.metadata().unwrap().is_file());
        assert_eq!(place.names("there"), ["a.vcd", "old.vcd"], "{kind}");
        let again = output(&mut place.watch(&[]));
        assert_eq!(again.status.code(), Some(1), "{kind}: {again:?}");
        assert!(err(&again).contains("cannot write \"there/a.vcd\": "), "{again:?}");
    }
}

/// On a file system of 256 KiB, if this user may make one.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_a_waveform_as_it_was_and_a_whole_one_elsewhere() {
    let place = Place::new();
    fs::create_dir(place.path("disk")).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(place.path("disk"));
    if !mount.output().is_ok_and(|mount| mount.status.success()) {
        println!("skipped: a small file system needs root");
        return;
    }
    let disk = Disk(place.path("disk"));
    fs::remove_dir(place.path("there")).unwrap();
    fs::create_dir(place.path("disk/there")).unwrap();
    fs::create_dir(place.path("temporary")).unwrap();
    symlink(place.path("disk/there"), place.path("there")).unwrap();
    let edges =
        "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo $((9000*i)) door $((i%2)) $((16*i)); done\nexec sleep 60\n";
    let script = LOSSY.split_once("echo 9000").unwrap().0.to_owned() + edges;
    fs::write(place.path("lossy.sh"), script).unwrap();
    let mut watch = place.watch(&[]);
    let watch = place.begin_by(watch.env("TMPDIR", place.path("temporary")));
    // From now on no copy fits beside it.
    place.rename("disk/there", "disk/aside");
    fs::write(place.path("lossy.sh.go"), "").unwrap();
    until("all edges are there", || place.text("disk/aside/a.vcd").contains("\n#18000\n"));
    let mut full = fs::File::create(place.path("disk/full")).unwrap();
    let _ = std::io::copy(&mut std::io::repeat(b'f'), &mut full);
    // The comments at the end have room.
    full.set_len(full.metadata().unwrap().len() - 4096).unwrap();
    drop(full);
    signal(&watch.0, "-TERM");
    let (code, said) = place.ended(watch);
    let (old, lost) = (place.text("disk/aside/a.vcd"), place.spans("disk/aside/a.vcd"));
    drop(disk);
    assert_eq!(code, Some(1), "{said}");
    let (_, whole) = said.split_once("; the whole waveform is in \"").unwrap_or_else(|| panic!("{said}"));
    let (whole, _) = whole.split_once("\": ").unwrap();
    assert!(place.spans(whole) >= 1999, "{said}");
    assert!(old.contains("\n#18000\n") && old.trim_end().ends_with("$end"), "nothing is missing: {old}");
    assert_eq!(lost, 0);
}

#[test]
fn a_link_stays_and_its_target_is_the_waveform() {
    let place = Place::new();
    symlink("../real.vcd", place.path("there/a.vcd")).unwrap();
    let (code, said) = place.end(place.begin());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(place.spans("real.vcd"), 1);
    let watch = place.begin_by(&mut place.watch(&["-n", "3", "--append"]));
    signal(&watch.0, "-HUP");
    until("there is a next one", || place.path("real.2.vcd").exists());
    let (code, said) = place.end(watch);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!((place.spans("real.1.vcd"), place.spans("real.2.vcd"), place.spans("real.vcd")), (1, 0, 1));
    assert!(place.path("there/a.vcd").is_symlink());
    assert_eq!(place.names("there"), ["a.vcd"]);
}

#[test]
fn a_link_in_the_place_of_a_waveform_leads_to_the_next_one() {
    let place = Place::new();
    let watch = place.begin();
    place.rename("there/a.vcd", "there/old.vcd");
    symlink("old.vcd", place.path("there/a.vcd")).unwrap();
    signal(&watch.0, "-HUP");
    until("it is said", || place.text("said").contains("it is a link to what is written"));
    fs::remove_file(place.path("there/a.vcd")).unwrap();
    symlink("other.vcd", place.path("there/a.vcd")).unwrap();
    fs::write(place.path("there/other.vcd"), "").unwrap();
    signal(&watch.0, "-HUP");
    until("it goes on", || !place.text("there/other.vcd").is_empty());
    signal(&watch.0, "-HUP");
    until("it goes on once more", || place.path("there/other.1.vcd").exists());
    let (code, said) = place.end(watch);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(place.names("there"), ["a.vcd", "old.vcd", "other.1.vcd", "other.vcd"]);
}

#[test]
fn a_waveform_of_two_names_has_its_spans_by_both() {
    let place = Place::new();
    let watch = place.begin();
    fs::hard_link(place.path("there/a.vcd"), place.path("there/b.vcd")).unwrap();
    let (code, said) = place.end(watch);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!((place.spans("there/a.vcd"), place.spans("there/b.vcd")), (1, 1));
    assert_eq!(place.names("there"), ["a.vcd", "b.vcd"]);
}

#[test]
fn a_waveform_keeps_its_owner_and_its_rights() {
    let place = Place::new();
    let file = place.path("there/a.vcd");
    let watch = place.begin();
    let made = file.metadata().unwrap().mode();
    if is_root() {
        std::os::unix::fs::chown(&file, Some(12), Some(34)).unwrap();
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
    assert_ne!(made & 0o777, 0o620);
    let of = |name: &str| {
        let file = place.path(name).metadata().unwrap();
        (file.uid(), file.gid(), file.mode())
    };
    let wanted = of("there/a.vcd");
    signal(&watch.0, "-HUP");
    until("there is a next one", || place.path("there/a.1.vcd").exists());
    let (code, said) = place.end(watch);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(place.spans("there/a.vcd"), 1);
    let watch = place.begin_by(&mut place.watch(&["-n", "3", "--append"]));
    let (code, said) = place.end(watch);
    assert_eq!(code, Some(0), "{said}");
    for name in ["there/a.1.vcd", "there/a.2.vcd", "there/a.vcd"] {
        assert_eq!(of(name), wanted, "{name}");
    }
}

#[test]
fn a_new_waveform_has_the_rights_that_the_user_gives_new_files() {
    let place = Place::new();
    fs::write(place.path("other"), "").unwrap();
    let (code, said) = place.end(place.begin());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(place.path("there/a.vcd").metadata().unwrap().mode(), place.path("other").metadata().unwrap().mode());
}

/// In one directory, like /tmp, the file belongs to somebody else by then; in the other, no file may be made.
#[test]
fn a_waveform_that_cannot_be_replaced_is_overwritten() {
    for rights in [0o1777, 0o555] {
        if rights == 0o1777 && !is_root() {
            println!("skipped: to be two users needs root");
            continue;
        }
        let place = Place::new();
        fs::create_dir(place.path("temporary")).unwrap();
        for name in [".", "there", "temporary"] {
            fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o777)).unwrap();
        }
        // Another user may not be allowed to run the program where cargo built it.
        fs::copy(env!("CARGO_BIN_EXE_linewake"), place.path("linewake")).unwrap();
        let mut command = Command::new(place.path("linewake"));
        command.args(place.watch(&["-n", "3"]).get_args()).current_dir(place.0.path());
        if is_root() {
            command.uid(65534).gid(65534);
        }
        let watch = place.begin_by(command.env("TMPDIR", place.path("temporary")));
        fs::set_permissions(place.path("there"), fs::Permissions::from_mode(rights)).unwrap();
        if rights == 0o1777 {
            std::os::unix::fs::chown(place.path("there/a.vcd"), Some(0), Some(0)).unwrap();
        }
        let (code, said) = place.end(watch);
        fs::set_permissions(place.path("there"), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(place.spans("there/a.vcd"), 1, "{said}");
        assert!(rights != 0o1777 || place.path("there/a.vcd").metadata().unwrap().uid() == 0);
        assert_eq!((place.names("there"), place.names("temporary")), (vec!["a.vcd".to_owned()], vec![]));
    }
}

#[test]
fn a_group_without_access_to_a_waveform_has_none_to_the_next() {
    if !is_root() {
        return println!("skipped: to be another user needs root");
    }
    let place = Place::new();
    for name in [".", "there"] {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o777)).unwrap();
    }
    fs::copy(env!("CARGO_BIN_EXE_linewake"), place.path("linewake")).unwrap();
    let file = place.path("there/a.vcd");
    fs::write(&file, "what was there").unwrap();
    std::os::unix::fs::chown(&file, Some(65534), Some(33)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o660)).unwrap();
    let mut command = Command::new(place.path("linewake"));
    command.args(place.watch(&["-n", "3", "--append"]).get_args()).current_dir(place.0.path());
    let (code, said) = place.end(place.begin_by(command.uid(65534).gid(65534)));
    assert_eq!(code, Some(0), "{said}");
    let next = file.metadata().unwrap();
    assert_eq!((next.gid(), next.mode() & 0o777), (65534, 0o600));
    assert_eq!(place.path("there/a.1.vcd").metadata().unwrap().mode() & 0o777, 0o660);
}

#[test]
fn the_directory_is_named_if_no_temporary_file_can_be_made() {
    let place = Place::new();
    let mut watch = place.watch(&["-n", "3"]);
    let watch = place.begin_by(watch.env("TMPDIR", "/no/such"));
    place.rename("there", "aside");
    let (code, said) = place.end(watch);
    assert_eq!(code, Some(1), "{said}");
    for part in ["no file can be made in \"there\": ", "nor in \"/no/such\": ", "; set TMPDIR to a directory that "] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_file_removed_while_it_is_written_is_an_error() {
    for (option, name) in [("--vcd=there/b", "there/b"), ("--json=there/b", "there/b"), ("--csv=there/b", "there/b")] {
        for is_replaced in [false, true] {
            let place = Place::new();
            let _ = fs::remove_dir_all(place.path("there"));
            fs::create_dir(place.path("there")).unwrap();
            let chip = format!("exec:sh {}", place.path("lossy.sh").display());
            let mut command = linewake(&["mon", "-q", "-c", &chip, option]);
            let said = fs::File::create(place.path("said")).unwrap();
            let watch = Watch(command.current_dir(place.0.path()).stderr(said).spawn().unwrap());
            until("something is there", || !place.text(name).is_empty());
            fs::remove_dir_all(place.path("there")).unwrap();
            if is_replaced {
                fs::create_dir(place.path("there")).unwrap();
                fs::write(place.path(name), "another").unwrap();
            }
            signal(&watch.0, "-TERM");
            let (code, said) = place.ended(watch);
            assert_eq!(code, Some(1), "{option}: {said}");
            assert!(said.contains("linewake: cannot write to \"there/b\": it was removed"), "{option}: {said}");
            assert!(!is_replaced || place.text(name) == "another");
        }
    }
}
