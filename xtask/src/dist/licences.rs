//! The licences of the crates that are linked into the program: the name and version of each crate, its licence, and
//! the licence files in its package.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::command::CommandLine;

const STD: &str = "\
The program also contains parts of the Rust standard library (https://www.rust-lang.org), under the MIT licence or the
Apache licence 2.0, and, on Linux, of the C library musl (https://musl.libc.org), under the MIT licence.
";

/// All licences, for one target.
pub(super) fn text(target: &str) -> Result<String, Box<dyn Error>> {
    let command = CommandLine::new("cargo metadata --locked --format-version 1 --filter-platform").arg(target);
    let metadata: Value = serde_json::from_str(&command.text()?)?;
    let mut text = String::from(STD);
    // Many crates come with the same text, which is written once.
    let mut written = BTreeMap::new();
    for package in linked(&metadata).ok_or("the output of \"cargo metadata\" lacks a field")? {
        let word = |name: &str| package[name].as_str().unwrap_or("unknown").to_owned();
        let (name, version) = (word("name"), word("version"));
        let _ = write!(text, "\n{}\n{name} {version}: {}\n{}\n", "=".repeat(80), word("license"), word("repository"));
        let manifest = word("manifest_path");
        for (file, licence) in texts(Path::new(&manifest))? {
            let first = written.entry(licence.trim().to_owned()).or_insert_with(|| format!("{file} of {name}"));
            if *first == format!("{file} of {name}") {
                let _ = write!(text, "\n--- {file}\n{}\n", licence.trim());
            } else {
                let _ = write!(text, "\n--- {file}: as {first}\n");
            }
        }
    }
    Ok(text)
}

/// The packages of other projects that are linked into the command.
fn linked(metadata: &Value) -> Option<Vec<&Value>> {
    let packages = metadata["packages"].as_array()?;
    let nodes = metadata["resolve"]["nodes"].as_array()?;
    let root = packages.iter().find(|package| package["name"] == "linewake-cli")?["id"].as_str()?;
    let mut reached = BTreeSet::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if !reached.insert(id) {
            continue;
        }
        let node = nodes.iter().find(|node| node["id"] == id)?;
        for dependency in node["deps"].as_array()? {
            let is_normal = |kind: &Value| kind["kind"].is_null();
            if dependency["dep_kinds"].as_array()?.iter().any(is_normal) {
                open.push(dependency["pkg"].as_str()?);
            }
        }
    }
    let is_foreign = |package: &&Value| {
        package["id"].as_str().is_some_and(|id| reached.contains(id)) && !package["source"].is_null()
    };
    let mut linked: Vec<_> = packages.iter().filter(is_foreign).collect();
    linked.sort_by_key(|package| package["name"].as_str().unwrap_or_default().to_owned());
    Some(linked)
}

/// The licence files beside a manifest, with their texts.
fn texts(manifest: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(manifest.parent().unwrap_or(manifest))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_licence = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"]
            .iter()
            .any(|word| name.to_uppercase().starts_with(word));
        if is_licence && entry.path().is_file() {
            texts.push((name, String::from_utf8_lossy(&fs::read(entry.path())?).into_owned()));
        }
    }
    texts.sort();
    Ok(texts)
}
