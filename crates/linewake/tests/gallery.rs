//! The gallery in `profiles/`: each file is valid, names its source and what was tried, is in the table, and has a
//! test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use linewake::profile::Profile;

fn gallery() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles")
}

/// The names of the profiles, with their texts.
fn profiles() -> Vec<(String, String)> {
    let files = fs::read_dir(gallery()).unwrap().map(|file| file.unwrap().path());
    let profiles = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let read =
        |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap());
    let profiles: Vec<_> = profiles.map(read).collect();
    assert!(profiles.len() >= 12);
    profiles
}

#[test]
fn each_profile_is_right_and_can_be_explained() {
    for (name, text) in profiles() {
        let profile = Profile::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        assert!(profile.explain().to_string().contains(profile.name()), "{name}");
        // The only notes are that it is for another system, or what this system assumes.
        for note in profile.notes() {
            assert!(!note.contains("same call"), "{name}: {note}");
        }
    }
}

#[test]
fn each_profile_says_what_was_tried_and_what_was_not() {
    for (name, text) in profiles() {
        let head: Vec<_> = text.lines().take_while(|line| line.starts_with('#')).collect();
        let head = head.join(" ").to_lowercase();
        let tried = head.matches("tried").count();
        let not_tried = head.matches("not tried").count();
        assert!(
            not_tried > 0 && tried > not_tried,
            "the head of \"{name}\" says what was tried, and what was not tried"
        );
    }
}

#[test]
fn the_table_has_a_row_for_each_profile_and_no_other() {
    let table = fs::read_to_string(gallery().join("README.md")).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| [`")?.split_once("`]("));
    let listed: Vec<_> = rows.map(|(name, _)| name.to_owned()).collect();
    let files: BTreeSet<_> = profiles().into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed.len(), files.len());
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), files);
}

/// A test names the file of its profile, with or without the extension.
#[test]
fn each_profile_has_a_test() {
    fn sources(directory: &Path, into: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("gallery.rs") {
                into.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut tests = String::new();
    for of in ["tests", "../linewake-cli/tests", "../test-support/src"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(of), &mut tests);
    }
    for (name, _) in profiles() {
        let stem = name.strip_suffix(".toml").unwrap();
        assert!(
            tests.contains(&format!("profiles/{name}")) || tests.contains(&format!("\"{stem}\"")),
            "no test drives \"{name}\""
        );
    }
}
