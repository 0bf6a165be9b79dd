//! The file of a waveform, and other files of that name or beside it.
#![cfg(unix)]

mod support;
mod waveform_support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use support::{err, linewake, output, signal, until};
use waveform_support::{Disk, LOSSY, Place, Watch, is_root};

#[test]
fn files_beside_a_waveform_are_not_written_to() {
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
fn a_fifo_or_directory_in_the_place_of_a_waveform_is_neither_opened_nor_replaced() {
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
        until("it is said", || place.text("said").contains("linewake: cannot begin a new \"there/a.vcd\": "));
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

/// On a file system of 256 KiB, if this user may mount one.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_a_waveform_as_it_was_and_a_whole_one_elsewhere() {
    for is_moved in [true, false] {
        full_disk(is_moved);
    }
}

/// There is no room beside the waveform: its directory has moved, or is full.
#[cfg(target_os = "linux")]
fn full_disk(is_moved: bool) {
    let place = Place::new();
    fs::create_dir(place.path("disk")).unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=256k", "none"];
    let Some(disk) = Disk::mount(&mount, place.path("disk")) else { return };
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
    if is_moved {
        place.rename("disk/there", "disk/aside");
    }
    let file = if is_moved { "disk/aside/a.vcd" } else { "disk/there/a.vcd" };
    fs::write(place.path("lossy.sh.go"), "").unwrap();
    until("all edges are there", || place.text(file).contains("\n#18000\n"));
    let mut full = fs::File::create(place.path("disk/full")).unwrap();
    let _ = std::io::copy(&mut std::io::repeat(b'f'), &mut full);
    // Leaves room for the comments at the end.
    full.set_len(full.metadata().unwrap().len() - 4096).unwrap();
    drop(full);
    signal(&watch.0, "-TERM");
    let (code, said) = place.ended(watch);
    let (old, lost) = (place.text(file), place.spans(file));
    drop(disk);
    assert_eq!(code, Some(1), "{said}");
    let (_, whole) = said.split_once("; the whole waveform is in \"").unwrap_or_else(|| panic!("{said}"));
    let (whole, _) = whole.split_once("\": ").unwrap();
    assert!(whole.contains("temporary") && place.spans(whole) >= 1999, "{said}");
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

/// In a directory like /tmp the file belongs to somebody else by then; in a read-only one no file can be made.
#[test]
fn a_waveform_that_cannot_be_replaced_is_overwritten_and_nothing_is_left_behind() {
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
        let mut command = place.watch_as_nobody(&["-n", "3"]);
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
fn a_missing_temporary_directory_is_reported_at_the_start() {
    let place = Place::new();
    let rights =
        |name: &str, rights| fs::set_permissions(place.path(name), fs::Permissions::from_mode(rights)).unwrap();
    fs::write(place.path("there/a.vcd"), "").unwrap();
    rights(".", 0o777);
    rights("there", 0o555);
    rights("there/a.vcd", 0o666);
    let watch = place.begin_by(place.watch_as_nobody(&[]).env("TMPDIR", "/no/such"));
    let said = place.text("said");
    signal(&watch.0, "-TERM");
    rights("there", 0o777);
    assert!(said.contains("\"there/a.vcd\" cannot show where edges are lost"), "{said}");
    assert!(said.contains("nor in \"/no/such\": ") && said.contains("; set TMPDIR to "), "{said}");
}

#[test]
fn an_error_names_the_directories_that_take_no_temporary_file() {
    let place = Place::new();
    let mut watch = place.watch(&["-n", "3"]);
    let watch = place.begin_by(watch.env("TMPDIR", "/no/such"));
    place.rename("there", "aside");
    let (code, said) = place.end(watch);
    assert_eq!(code, Some(1), "{said}");
    for part in [
        "cannot make a temporary file in \"there\": ",
        "nor in \"/no/such\": ",
        "; set TMPDIR to a directory with room that ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_file_that_is_removed_while_it_is_written_is_an_error() {
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
