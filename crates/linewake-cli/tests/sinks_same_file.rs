//! An output that is also an input or another output is refused, and nothing is lost.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use support::{err, linewake, output};
use tempfile::TempDir;

const CAPTURE: &str = "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged\n\
    1000,sim,0,door,rising,1,1,1,0,0\n2000,sim,0,door,falling,0,2,2,0,0\n";
const SCRIPT: &str = "[[line]]\nname = \"door\"\nperiod = \"20ms\"\n";

/// A directory with a file under several names.
struct Place(TempDir);

impl Place {
    fn new(name: &str, text: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path(name), text).unwrap();
        fs::hard_link(place.path(name), place.path("hard")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(name, place.path("soft")).unwrap();
        place
    }

    /// The file by all its names.
    fn names(name: &str) -> Vec<String> {
        let names = [name.to_owned(), format!("./{name}"), "hard".to_owned(), "soft".to_owned()];
        names[..if cfg!(unix) { 4 } else { 3 }].to_vec()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Asserts that a command fails with these words, and leaves no new file.
    fn refuses(&self, arguments: &[&str], stdin: Option<&str>, words: &[&str]) {
        let before = self.files();
        let mut command = linewake(arguments);
        command.current_dir(self.0.path()).env("XDG_CONFIG_HOME", self.0.path()).env("APPDATA", self.0.path());
        if let Some(name) = stdin {
            command.stdin(fs::File::open(self.path(name)).unwrap());
        }
        let output = output(&mut command);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let says = |word: &&str| err(&output).contains(*word);
        assert!(words.iter().all(says), "{arguments:?}: {words:?} in {output:?}");
        assert_eq!(self.files(), before, "{arguments:?}");
    }
}

#[test]
fn a_capture_is_not_written_to_while_it_is_played() {
    let place = Place::new("a.csv", CAPTURE);
    for name in Place::names("a.csv") {
        for option in ["--vcd=", "--json=", "--csv="] {
            for more in [&[][..], &["--append"]] {
                let to = format!("{option}{name}");
                let arguments = [&["replay", "a.csv", "--fast", &to], more].concat();
                let option = option.trim_end_matches('=');
                let words = [
                    &*format!("cannot write to \"{name}\" for {option}: "),
                    "it is the same file as the capture \"a.csv\"",
                ];
                place.refuses(&arguments, None, &words);
                let arguments = [&["replay", "-", "--fast", &to], more].concat();
                place.refuses(&arguments, Some("a.csv"), &["the capture on standard input"]);
                assert_eq!(place.text("a.csv"), CAPTURE);
            }
        }
    }
}

/// A shell empties the file before the program begins, unless it appends.
#[test]
fn standard_output_that_is_the_capture_is_refused() {
    let place = Place::new("a.csv", CAPTURE);
    for more in [&[][..], &["--csv"], &["--json=-"]] {
        let to = fs::File::options().append(true).open(place.path("hard")).unwrap();
        let mut command = linewake(&[&["replay", "a.csv", "--fast"], more].concat());
        let child = command.current_dir(place.0.path()).stdout(to).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(err(&output).contains("cannot write to standard output"), "{output:?}");
        assert!(err(&output).contains("it is the same file as the capture \"a.csv\""), "{output:?}");
        assert_eq!(place.text("a.csv"), CAPTURE);
    }
}

#[test]
fn a_file_that_a_chip_is_made_of_is_not_written_to() {
    let place = Place::new("a.toml", SCRIPT);
    for name in Place::names("a.toml") {
        let by_link = format!("sim:{name}");
        for to in [format!("--vcd={name}"), format!("--json={name}"), format!("--csv={name}")] {
            place.refuses(
                &["mon", "-c", "sim:a.toml", "-n1", &to],
                None,
                &["it is the same file as the file of the chip \"sim:a.toml\""],
            );
        }
        place.refuses(&["record", "a.toml", "-c", &by_link, "-n1"], None, &["cannot write to \"a.toml\": ", &by_link]);
        place.refuses(&["mon", "-n1", "--csv=a.toml", &format!("{by_link}:door")], None, &[&by_link]);
        assert_eq!(place.text("a.toml"), SCRIPT);
    }
}

#[test]
fn a_profile_is_not_written_to() {
    let gallery = concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles");
    let mut profiles = fs::read_dir(gallery).unwrap().map(|entry| entry.unwrap().path());
    let profile = profiles.find(|path| path.extension().is_some_and(|end| end == "toml")).unwrap();
    let text = fs::read_to_string(profile).unwrap();
    let place = Place::new("a.toml", &text);
    for spec in ["profile:a.toml", "a.toml"] {
        // The device does not exist, but the file is checked before the device is opened.
        let words =
            ["cannot write to \"hard\" for --csv: ", "it is the same file as the file of the chip \"", "a.toml\""];
        place.refuses(&["mon", "-c", spec, "--allow-writes", "--csv=hard"], None, &words);
        assert_eq!(place.text("a.toml"), text);
    }
}

#[test]
fn a_file_in_quotes_in_the_command_of_a_chip_is_not_written_to() {
    let place = Place::new("a b", "lines door\n");
    for command in ["cat 'a b'", "cat \"hard\"", "sh -c 'cat hard'"] {
        let chip = format!("exec:{command}");
        let words = [&*format!("it is the same file as the file of the chip \"{chip}\"")];
        place.refuses(&["mon", "-q", "--overwrite", "-c", &chip, "--csv=hard"], None, &words);
    }
    assert_eq!(place.text("a b"), "lines door\n");
}

#[test]
fn a_configuration_is_not_written_to() {
    const SETS: &str = "[set.a]\nlines = [\"sim:door\"]\n";
    let place = Place::new("a.toml", SETS);
    fs::create_dir(place.path("linewake")).unwrap();
    fs::hard_link(place.path("a.toml"), place.path("linewake/linewake.toml")).unwrap();
    for lines in [&["@a"][..], &["-c", "sim", "door"]] {
        let arguments = [&["mon", "-n1", "--csv=hard"], lines].concat();
        place.refuses(
            &arguments,
            None,
            &["cannot write to \"hard\" for --csv: ", "it is the same file as the configuration \""],
        );
        assert_eq!(place.text("a.toml"), SETS);
    }
}

#[test]
fn two_outputs_are_two_files() {
    let place = Place::new("there", "{\"record\":\"precious\"}\n");
    let cases = [
        ("there", "./there"),
        ("there", "hard"),
        ("new", "./new"),
        #[cfg(unix)]
        ("soft", "there"),
        #[cfg(unix)]
        ("new", "dangling"),
    ];
    #[cfg(unix)]
    std::os::unix::fs::symlink("new", place.path("dangling")).unwrap();
    for (one, other) in cases {
        for (first, second) in [("--json=", "--csv="), ("--csv=", "--vcd="), ("--json=", "--vcd=")] {
            for more in [&[][..], &["--append"]] {
                let [one_is, other_is] = [format!("{first}{one}"), format!("{second}{other}")];
                let arguments = [&["mon", "-c", "sim", "-n1", "-q", &one_is, &other_is], more].concat();
                let words = [
                    &*format!("cannot write to \"{other}\" for {}: ", second.trim_end_matches('=')),
                    &*format!("it is the same file as \"{one}\" for {}", first.trim_end_matches('=')),
                ];
                place.refuses(&arguments, None, &words);
                assert_eq!(place.text("there"), "{\"record\":\"precious\"}\n");
            }
        }
    }
}

#[test]
#[cfg(unix)]
fn devices_and_pipes_may_be_shared() {
    for place in ["/dev/null", "/dev/stdout"] {
        let (json, csv) = (format!("--json={place}"), format!("--csv={place}"));
        let ends = output(&mut linewake(&["mon", "-c", "sim", "-n1", &json, &csv]));
        assert_eq!(ends.status.code(), Some(0), "{ends:?}");
    }
    let mut quiet = linewake(&["mon", "-c", "sim", "-n1", "-q", "--json=/dev/null"]);
    assert!(output(quiet.stdin(Stdio::null()).stdout(Stdio::null())).status.success());
}

/// With -q nothing is written to standard output.
#[test]
fn quiet_standard_output_may_be_any_file() {
    let place = Place::new("a.csv", CAPTURE);
    let to = fs::File::options().append(true).open(place.path("a.csv")).unwrap();
    let mut command = linewake(&["replay", "a.csv", "--fast", "-q"]);
    let ends = command.current_dir(place.0.path()).stdout(to).stderr(Stdio::piped()).spawn().unwrap();
    assert!(ends.wait_with_output().unwrap().status.success());
    assert_eq!(place.text("a.csv"), CAPTURE);
}
