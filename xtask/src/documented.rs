//! Checks two rules that no lint has: public items of `overlapped` and `overlapped-codes` have an example, and
//! functions that return a call document how the call fails.

use std::fmt::Write as _;
use std::fs;

use crate::command::CommandLine;
use crate::workspace;

/// Methods that people look up by name. They need an example of their own, beside that of their type.
const SOUGHT: &[(&str, &[&str])] = &[
    ("calls/call.rs", &["cancel", "then", "timeout", "wait_timeout"]),
    ("calls/inverted.rs", &["completion_order", "input_from", "inverted", "standing_reads"]),
    ("calls/inverted/subscription.rs", &["for_each"]),
    ("calls/raw.rs", &["call_raw"]),
    ("calls/requests.rs", &["call", "read", "read_at", "write", "write_at"]),
    ("device.rs", &["cancel_all"]),
    ("device/open.rs", &["from_fd", "from_handle", "options"]),
    ("port.rs", &["block_on", "manual", "pending", "poll", "stats", "system_pool", "wake"]),
];

/// Items that are public only because the compiler demands it. Users cannot name them.
const SEALED: &[&str] = &["Done", "Extended", "Many", "One", "Take"];

/// A public item, and the comment above it.
struct Item {
    keyword: String,
    name: String,
    /// The declaration from the name up to the body.
    signature: String,
    comment: String,
}

fn items(source: &str) -> Vec<Item> {
    let (mut items, mut comment) = (Vec::new(), String::new());
    let mut lines = source.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("///") {
            writeln!(comment, "{text}").unwrap();
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        let comment = std::mem::take(&mut comment);
        let Some(declared) = line.strip_prefix("pub ") else { continue };
        let mut words = declared.split(' ').skip_while(|word| matches!(*word, "const" | "unsafe" | "async"));
        let Some(keyword @ ("fn" | "struct" | "enum" | "trait" | "union")) = words.next() else { continue };
        let mut signature = words.collect::<Vec<_>>().join(" ");
        while !signature.contains(['{', ';']) {
            let Some(line) = lines.next() else { break };
            write!(signature, " {line}").unwrap();
        }
        let name = signature.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        items.push(Item { keyword: keyword.to_owned(), name: name.to_owned(), signature, comment });
    }
    items
}

/// The code in the comments of a file.
fn examples(source: &str) -> String {
    let is_comment = |line: &&str| line.starts_with("///") || line.starts_with("//!");
    let comments: Vec<_> = source.lines().map(str::trim).filter(is_comment).map(|line| &line[3..]).collect();
    comments.join("\n").split("```").skip(1).step_by(2).collect()
}

fn lacks(file: &str, source: &str) -> Vec<String> {
    let examples = examples(source);
    let mut lacks = Vec::new();
    for Item { keyword, name, signature, comment } in items(source) {
        let mut lack = |what: &str| lacks.push(format!("{file}: `{name}` {what}"));
        let has_example = comment.contains("```");
        let is_sought = SOUGHT.iter().any(|(sought, names)| *sought == file && names.contains(&&*name));
        if keyword != "fn" {
            if !has_example && !SEALED.contains(&&*name) {
                lack("has no example");
            }
            continue;
        }
        if !has_example && (is_sought || !examples.contains(&format!("{name}("))) {
            lack("has no example of its own, and its file's examples do not call it");
        }
        let returned = signature.split_once("->").map_or("", |(_, returned)| returned);
        // clippy's `missing_errors_doc` checks functions that return a `Result`. These types give a `Result` later.
        let may_fail = ["Call<", "RawCall", "InvertedCallBuilder<"].iter().any(|may| returned.contains(may));
        if may_fail && !comment.contains("# Errors") {
            lack("does not say how it fails (`# Errors`)");
        }
    }
    lacks
}

#[test]
fn what_is_not_documented_is_found() {
    let source = "
/// A thing.
pub struct Thing;

/// A thing with an example.
///
/// ```
/// let thing = Better::new();
/// ```
#[derive(Debug)]
pub struct Better(u32);

impl Better {
    /// Shown above.
    pub const fn new() -> Self {}

    /// Not shown, and may fail.
    pub const fn open(
        path: &str,
    ) -> Call<'_, Self> {}

    /// Private.
    pub(crate) fn inner() -> RawCall {}
}
";
    assert_eq!(
        lacks("thing.rs", source),
        [
            "thing.rs: `Thing` has no example",
            "thing.rs: `open` has no example of its own, and its file's examples do not call it",
            "thing.rs: `open` does not say how it fails (`# Errors`)",
        ]
    );
    assert_eq!(lacks("port.rs", "/// ```\n/// poll(7)\n/// ```\n\npub fn poll() {}").len(), 1, "it needs its own");
}

#[test]
fn every_public_item_of_overlapped_is_documented_with_errors_and_an_example() {
    let source = "crates/overlapped/src/";
    let list = CommandLine::new("git ls-files --cached --others --exclude-standard crates/overlapped-codes/src/");
    let list = list.args(source).read().unwrap();
    let mut lack = Vec::new();
    let (mut files, mut public) = (0, 0);
    for path in list.lines().filter(|path| path.ends_with(".rs") && !path.contains("/sys/")) {
        let text = fs::read_to_string(workspace::root().join(path)).unwrap();
        files += 1;
        public += items(&text).len();
        lack.extend(lacks(path.trim_start_matches(source), &text));
    }
    assert!(files > 10 && public > 100, "{files} files, {public} items: they are not found");
    assert_eq!(lack, [""; 0]);
    for (file, names) in SOUGHT {
        let text = fs::read_to_string(workspace::root().join(source).join(file)).unwrap();
        for name in *names {
            assert!(items(&text).iter().any(|item| item.name == *name), "{file} has no `{name}` any more");
        }
    }
}

#[test]
fn the_cookbook_lists_every_example() {
    let read = |path: &str| fs::read_to_string(workspace::root().join("crates/overlapped").join(path)).unwrap();
    let cookbook = read("docs/cookbook.md");
    let mut examples = 0;
    for entry in fs::read_dir(workspace::root().join("crates/overlapped/examples")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(cookbook.contains(&format!("[`{name}`]")), "docs/cookbook.md does not list {name:?}");
        examples += 1;
    }
    assert!(examples > 5);
}
