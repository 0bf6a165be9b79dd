//! Every command tells two chips of the same name apart.
#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;

use support::{linewake, out};

/// Runs the command beside two programs of the same name, each of which is a chip.
fn printed(test: &str, arguments: &[&str]) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chip-names-{test}-{}", std::process::id()));
    for (name, level) in [("a", 0), ("b", 1)] {
        fs::create_dir_all(directory.join(name)).unwrap();
        let text = format!("echo clock monotonic; echo lines door={level}; exec sleep 60\n");
        fs::write(directory.join(name).join("cards.sh"), text).unwrap();
    }
    let output = support::output(linewake(arguments).current_dir(&directory));
    fs::remove_dir_all(&directory).unwrap();
    assert!(output.status.success(), "{output:?}");
    out(&output).to_owned()
}

const DOORS: [&str; 2] = ["exec:sh a/cards.sh:door", "exec:sh b/cards.sh:door"];

#[test]
fn values_of_two_chips_of_one_name_have_two_chips() {
    let text = printed("get", &["get", "--json", DOORS[0], DOORS[1]]);
    let state = |chip: &str, level| {
        format!(r#"{{"record":"state","chip":"{chip}","offset":0,"name":"door","level":{level}}}"#) + "\n"
    };
    assert_eq!(text, state("exec:sh a/cards.sh", 0) + &state("exec:sh b/cards.sh", 1));
}

#[test]
fn lines_of_two_chips_of_one_name_are_shown_with_two_chips() {
    let text = printed("info", &["info", DOORS[0], DOORS[1]]);
    let starts: Vec<_> = text.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(starts, ["exec:sh a/cards.sh 0", "exec:sh b/cards.sh 0"]);
    let json = printed("info-json", &["info", "--json", DOORS[0], DOORS[1]]);
    let starts = ["a", "b"].map(|name| format!(r#"{{"chip":"exec:sh {name}/cards.sh","offset":0,"#));
    assert!(json.lines().zip(&starts).all(|(line, start)| line.starts_with(start)), "{json}");
}

#[test]
fn a_stream_of_two_chips_of_one_name_says_which_they_are() {
    let text = printed("mon", &["mon", "--json", "--for", "100ms", DOORS[0], DOORS[1]]);
    let start = text.lines().next().unwrap();
    for name in ["a", "b"] {
        let chip = format!("exec:sh {name}/cards.sh");
        let named = format!(r#"{{"chip":"{chip}","id":"{chip}","name":"cards","label":"sh {name}/cards.sh"}}"#);
        assert!(start.contains(&named), "{start}");
        let state = format!(r#"{{"record":"state","chip":"{chip}","offset":0,"#);
        assert!(text.lines().any(|line| line.starts_with(&state)), "{text}");
    }
}
