//! Checks the order of floors: a file uses files of its own floor or of lower ones, and no files use each other in a
//! circle.
//!
//! An *arrow* leads from the file that mentions a name to the file that defines it. Re-exports are followed. Code of
//! every system, macros and attributes count; tests and comments do not. A parent that declares a child, or re-exports
//! its items, does not use it. A child that takes a name that its parent defines uses the parent. A method or a field
//! makes an arrow only where the name of its type appears.

mod arrows;
mod list;
mod modules;
mod tests;

use std::fs;

use serde_json::Value;

use self::arrows::Arrows;
use self::list::List;
use self::modules::{Modules, Read};
use crate::command::CommandLine;
use crate::workspace;

/// A package's library and programs.
struct Package {
    /// The folder of its sources.
    folder: String,
    library: Option<String>,
    /// The roots of its targets: the library's first.
    roots: Vec<String>,
}

impl Package {
    fn arrows(&self, read: Read<'_>) -> Arrows {
        let mut modules = Modules::default();
        for root in &self.roots {
            let module = modules.read_root(root, read);
            if let Some(library) = self.library.clone().filter(|_| modules.library.is_none()) {
                modules.library = Some((library, module));
            }
        }
        Arrows::of(&modules)
    }

    fn complaints(&self, list: &List, read: Read<'_>) -> Vec<String> {
        list.complaints(&self.folder, &mut self.arrows(read))
    }
}

/// The packages of this workspace, and those of the workspaces inside it.
fn packages() -> Vec<Package> {
    let mut packages = Vec::new();
    for manifest in ["Cargo.toml", "benches/Cargo.toml", "fuzz/Cargo.toml"] {
        let command = CommandLine::new("cargo metadata --no-deps --format-version 1 --manifest-path").arg(manifest);
        let metadata: Value = serde_json::from_str(&command.read().expect("cargo knows its packages")).unwrap();
        packages.extend(metadata["packages"].as_array().unwrap().iter().map(package));
    }
    packages
}

fn package(package: &Value) -> Package {
    let is_source = |target: &&Value| !["test", "example", "bench", "custom-build"].contains(&kind(target));
    let mut targets: Vec<_> = package["targets"].as_array().unwrap().iter().filter(is_source).collect();
    targets.sort_by_key(|target| kind(target) == "bin");
    let path = |value: &Value| workspace::shown(value.as_str().unwrap().as_ref()).replace('\\', "/");
    let library = targets.first().filter(|target| kind(target) != "bin");
    let manifest = path(&package["manifest_path"]);
    Package {
        folder: manifest.replace("Cargo.toml", "src"),
        library: library.map(|library| library["name"].as_str().unwrap().replace('-', "_")),
        roots: targets.iter().map(|target| path(&target["src_path"])).collect(),
    }
}

fn kind(target: &Value) -> &str {
    target["kind"][0].as_str().unwrap()
}

#[test]
fn arrows_point_down_and_no_files_are_in_a_circle() {
    let read = |path: &str| fs::read_to_string(workspace::root().join(path)).ok();
    let architecture = read("ARCHITECTURE.md").unwrap();
    let packages = packages();
    let mut complaints = Vec::new();
    for package in &packages {
        complaints.extend(package.complaints(&List::read(&architecture, &package.folder), &read));
    }
    for listed in architecture.lines().filter_map(|line| line.strip_prefix("```floors ")) {
        if !packages.iter().any(|package| package.folder == listed) {
            complaints.push(format!("no package has its sources in {listed}"));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
