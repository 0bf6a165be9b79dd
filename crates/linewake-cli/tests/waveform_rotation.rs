//! A waveform that is rotated, interrupted or named oddly: nothing is lost without a message.
#![cfg(unix)]

mod support;
mod waveform_support;

use std::fs;
use std::process::{Command, Stdio};

use support::{err, linewake, output, signal, until};
use waveform_support::{Disk, Place, Watch};

/// The copy is not completed. The file itself would be unreadable without its beginning.
#[test]
fn a_waveform_that_is_copied_and_emptied_begins_anew_and_says_so() {
    let place = Place::new();
    let watch = place.begin();
    fs::copy(place.path("there/a.vcd"), place.path("there/a.vcd.1")).unwrap();
    fs::File::options().write(true).open(place.path("there/a.vcd")).unwrap().set_len(0).unwrap();
    let (code, said) = place.end(watch);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\"there/a.vcd\": it was emptied while it was written"), "{said}");
    let text = place.text("there/a.vcd");
    assert!(text.starts_with("$version") && !text.contains('\0') && text.contains("2 edges delivered"), "{text}");
}

#[test]
fn a_waveform_that_is_emptied_behind_its_last_edge_is_an_error() {
    let place = Place::new();
    let watch = place.begin();
    fs::File::options().write(true).open(place.path("there/a.vcd")).unwrap().set_len(0).unwrap();
    signal(&watch.0, "-TERM");
    let (code, said) = place.ended(watch);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot write to \"there/a.vcd\": it was emptied while it was written"), "{said}");
}

#[test]
fn a_file_that_is_removed_before_a_hang_up_is_said() {
    for option in ["--vcd=there/b", "--json=there/b", "--csv=there/b"] {
        let place = Place::new();
        let chip = format!("exec:sh {}", place.path("lossy.sh").display());
        let mut command = linewake(&["mon", "-q", "-c", &chip, option]);
        let said = fs::File::create(place.path("said")).unwrap();
        let watch = Watch(command.current_dir(place.0.path()).stderr(said).spawn().unwrap());
        until("something is there", || !place.text("there/b").is_empty());
        fs::remove_file(place.path("there/b")).unwrap();
        signal(&watch.0, "-HUP");
        until("there is another", || !place.text("there/b").is_empty());
        signal(&watch.0, "-TERM");
        let (code, said) = place.ended(watch);
        assert_eq!(code, Some(0), "{option}: {said}");
        assert!(said.contains("cannot write to \"there/b\": it was removed while it was written"), "{option}: {said}");
    }
}

/// A container may mount a single file of its host.
#[test]
fn a_waveform_that_is_mounted_by_itself_is_copied_where_others_are_renamed() {
    let place = Place::new();
    let file = place.path("there/a.vcd");
    fs::write(place.path("host.vcd"), "").unwrap();
    fs::write(&file, "").unwrap();
    let host = place.path("host.vcd");
    let Some(_mount) = Disk::mount(&["--bind", host.to_str().unwrap()], file) else { return };
    let (code, said) = place.end(place.begin());
    assert_eq!(code, Some(0), "{said}");
    let first = place.text("host.vcd");
    let watch = place.begin_by(&mut place.watch(&["-n", "3", "--append"]));
    assert_eq!(place.text("there/a.1.vcd"), first, "{}", place.text("said"));
    signal(&watch.0, "-HUP");
    until("there is a next one", || place.text("there/a.vcd").contains("nothing has happened yet"));
    let (code, said) = place.end(watch);
    assert_eq!(code, Some(0), "{said}");
    assert!(place.text("there/a.2.vcd").contains("1 edge delivered"), "{said}");
    assert_eq!((place.spans("host.vcd"), place.spans("there/a.2.vcd")), (1, 0));
    assert_eq!(place.names("there"), ["a.1.vcd", "a.2.vcd", "a.vcd"]);
}

/// More edges take longer, so at some number the signals come in time.
#[test]
fn a_second_signal_while_a_waveform_is_completed_says_what_is_not_whole() {
    for edges in [20_000_u64, 100_000, 500_000, 2_000_000] {
        let place = Place::new();
        let mut text =
            "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged\n0,c,0,door,state,0,0,0,0,0\n"
                .to_owned();
        for at in 1..=edges {
            let (level, kind) = if at % 2 == 1 { (1, "rising") } else { (0, "falling") };
            text += &format!("{},c,0,door,{kind},{level},{at},{at},{},0\n", at * 3000, 2 * u64::from(at % 8 == 0));
        }
        fs::write(place.path("big.csv"), text).unwrap();
        // The second name makes it overwrite the file.
        fs::write(place.path("there/a.vcd"), "").unwrap();
        fs::hard_link(place.path("there/a.vcd"), place.path("there/b.vcd")).unwrap();
        let mut command = linewake(&["replay", "-q", "--fast", "big.csv", "--vcd", "there/a.vcd"]);
        let said = fs::File::create(place.path("said")).unwrap();
        let mut watch = Watch(command.current_dir(place.0.path()).stderr(said).spawn().unwrap());
        let part = |end: &str| place.names("there").into_iter().find(|name| name.ends_with(end));
        let is_completing = || part(".part").is_some_and(|name| !place.text(&format!("there/{name}")).is_empty());
        while !is_completing() && watch.0.try_wait().unwrap().is_none() {}
        for name in ["-INT", "-TERM"] {
            let _ = Command::new("kill").args([name, &watch.0.id().to_string()]).stderr(Stdio::null()).status();
        }
        let (code, said) = place.ended(watch);
        let unmarked = "\"there/a.vcd\" does not show where edges are lost: it was not completed";
        if said.contains(unmarked) {
            assert_eq!((code, part(".part")), (Some(1), None), "{said}");
            return;
        }
        if let Some((_, whole)) = said.split_once("\"there/a.vcd\" was being written over: the whole waveform is in \"")
        {
            let whole = whole.split_once('"').unwrap().0;
            assert!(place.text(whole).contains("edges delivered") && place.spans(whole) > 0, "{said}");
            return;
        }
        assert_eq!(code, Some(0), "{said}");
    }
    panic!("the signals never came in time");
}

#[test]
fn a_file_is_on_the_disk_before_it_is_renamed() {
    if !Command::new("strace").args(["-o", "/dev/null", "true"]).output().is_ok_and(|it| it.status.success()) {
        return println!("skipped: strace cannot be run here");
    }
    let place = Place::new();
    let plain = place.watch(&["-n", "3"]);
    let mut traced = Command::new("strace");
    let calls = "trace=fsync,fdatasync,rename,renameat,renameat2";
    traced.args(["-f", "-e", calls, "-o", "calls"]).arg(plain.get_program()).args(plain.get_args());
    let (code, said) = place.end(place.begin_by(traced.current_dir(place.0.path())));
    assert_eq!(code, Some(0), "{said}");
    let calls = place.text("calls");
    let (before, _) = calls.split_once(".part").unwrap_or_else(|| panic!("it is renamed: {calls}"));
    assert!(before.contains("sync("), "{calls}");
}

#[test]
fn a_files_name_cannot_command_the_terminal() {
    let place = Place::new();
    let name = "there/a\x1b[2J\u{7}\n.vcd";
    let quoted = r#""there/a\u{1b}[2J\u{7}\n.vcd""#;
    let capture = "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged\n\
        1000,c,0,\"d\x1b[2Joor\",rising,1,1,1,0,0\n1001,c,0,\"d\x1b[2Joor\",falling,0,2,2,0,0\n";
    fs::write(place.path("a\x1b.csv"), capture).unwrap();
    let said = |arguments: &[&str], words: &str| {
        let output = output(linewake(arguments).current_dir(place.0.path()));
        assert!(!output.stderr.contains(&b'\x1b') && !output.stderr.contains(&b'\x07'), "{output:?}");
        assert!(err(&output).contains(words), "{arguments:?}: {output:?}");
    };
    let replay = &["replay", "--fast", "a\x1b.csv"][..];
    let with = |more: &[&'static str]| [replay, more].concat();
    said(&with(&["--vcd", name]), &format!("{quoted} hides 1 edge within a tick"));
    said(&with(&["--vcd", name, "--append"]), &format!("{quoted} was renamed to "));
    said(&with(&["--csv=a\x1b.csv"]), r#""a\u{1b}.csv" for --csv: it is the same file as the capture "a\u{1b}.csv""#);
    said(&with(&["--csv=no\x1b/such"]), r#"cannot write "no\u{1b}/such": "#);
    said(&with(&["no\x1bsuch"]), r#""a\u{1b}.csv" has no line "no\u{1b}such"; it has "d\u{1b}[2Joor""#);
    said(&["replay", "no\x1bsuch"], r"no\u{1b}such");
    fs::write(place.path("bad\x1b.csv"), "nonsense").unwrap();
    said(&["replay", "bad\x1b.csv"], r"bad\u{1b}.csv");
    said(&["mon", "-n1", "-q", "-c", "sim", "--exec", "false \x1b"], r#"the command "false \u{1b}" failed"#);
    fs::write(place.path("there/other\x1b"), "nonsense").unwrap();
    said(
        &["mon", "-n1", "-q", "-c", "sim", "--append", "--json=there/other\x1b"],
        r#"cannot add to "there/other\u{1b}""#,
    );
    said(&["record", "there/no\x1b/such", "-n1", "-c", "sim"], r#"cannot write "there/no\u{1b}/such": "#);
}
