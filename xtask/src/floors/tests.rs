//! Tests the rules on small crates: some keep them, and others break one of them.

use super::Package;
use super::list::List;

const LIST: &str = "
```floors a
face: lib.rs
top: top
ground: ground.rs words/
```
";

const ROOT: (&str, &str) = ("lib.rs", "mod ground; mod top; pub use top::Top;");

/// The complaints about a crate of these files, whose sources lie in `a`.
fn wrong(lists: &str, files: &[(&str, &str)]) -> Vec<String> {
    let read = |path: &str| {
        let name = path.strip_prefix("a/")?;
        files.iter().find(|(file, _)| *file == name).map(|(_, text)| (*text).to_owned())
    };
    let package = Package { folder: "a".into(), library: Some("a".into()), roots: vec!["a/lib.rs".into()] };
    package.complaints(&List::read(lists, "a"), &read)
}

#[test]
fn an_arrow_down_is_right_and_an_arrow_up_names_both_files_and_the_line() {
    let down = ("top.rs", "use crate::ground::Ground;\npub struct Top(Ground);");
    assert_eq!(
        wrong(LIST, &[ROOT, down, ("ground.rs", "pub struct Ground;"),]),
        ["a: the list has `words/`, which is no file or folder"]
    );
    let list = LIST.replace(" words/", "");
    assert_eq!(wrong(&list, &[ROOT, down, ("ground.rs", "pub struct Ground;")]), [""; 0]);
    let up = ("ground.rs", "fn f() {\n    crate::top::Top::new();\n}");
    assert_eq!(
        wrong(&list, &[ROOT, ("top.rs", "pub struct Top;"), up]),
        ["a/ground.rs:2 uses `crate::top::Top::new` of a/top.rs: an arrow up, from `ground` to `top`"]
    );
}

#[test]
fn every_file_is_on_a_floor() {
    let files = [("lib.rs", "mod other; mod top;"), ("other.rs", ""), ("top.rs", "mod deep;"), ("top/deep.rs", "")];
    let list = LIST.replace("ground: ground.rs words/", "");
    assert_eq!(wrong(&list, &files), ["a/other.rs is on no floor"]);
}

#[test]
fn a_circle_is_found_where_there_are_no_floors() {
    let files = [
        ("lib.rs", "mod ground; mod other; mod top;"),
        ("top.rs", "\nuse super::other::Other;\nstruct Top;"),
        ("other.rs", "use super::ground::Ground; struct Other;"),
        ("ground.rs", "use super::top::Top; struct Ground;"),
    ];
    let shown = "files in a circle:
  a/ground.rs:1 uses `super::top::Top` of a/top.rs
  a/other.rs:1 uses `super::ground::Ground` of a/ground.rs
  a/top.rs:2 uses `super::other::Other` of a/other.rs";
    assert_eq!(wrong("", &files), [shown]);
}

/// Whether `top.rs` and `ground.rs` use each other.
fn is_circle(files: &[(&str, &str)]) -> bool {
    !wrong("", files).is_empty()
}

#[test]
fn an_arrow_leads_to_the_file_that_defines_the_name() {
    let re_exported = [
        ("lib.rs", "mod ground; mod top; pub use top::*;"),
        ("top.rs", "mod deep; pub use self::deep::Deep as Renamed;"),
        ("top/deep.rs", "use crate::ground::Ground; pub struct Deep;"),
        ("ground.rs", "pub struct Ground(crate::Renamed);"),
    ];
    assert_eq!(
        wrong("", &re_exported),
        ["files in a circle:
  a/ground.rs:1 uses `crate::Renamed` of a/top/deep.rs
  a/top/deep.rs:1 uses `crate::ground::Ground` of a/ground.rs"]
    );
}

#[test]
fn an_item_of_another_crate_is_no_arrow_even_if_it_is_re_exported() {
    let files = [
        ("lib.rs", "mod top; pub use other_crate::{Other, list::*}; pub use top::Top; fn f() -> Top {}"),
        ("top.rs", "use crate::Other; pub struct Top(Other, std::cell::Cell<u8>);"),
    ];
    assert_eq!(wrong("", &files), [""; 0]);
}

#[test]
fn a_parent_that_declares_and_re_exports_its_child_does_not_use_it() {
    let child = ("top/deep.rs", "use super::Top; pub struct Deep(Top);");
    let root = ("lib.rs", "mod top;");
    assert!(!is_circle(&[root, ("top.rs", "mod deep; pub use deep::Deep; pub struct Top;"), child]));
    assert!(is_circle(&[root, ("top.rs", "mod deep; use deep::Deep; pub struct Top;"), child]));
    assert!(is_circle(&[root, ("top.rs", "mod deep; pub use deep::Deep; pub struct Top(Box<Deep>);"), child]));
}

#[test]
fn names_are_found_wherever_they_stand() {
    let uses = |text: &'static str| {
        is_circle(&[
            ("lib.rs", "mod ground; mod top;"),
            ("top.rs", "use crate::ground::Ground; pub struct Top; pub fn made() {} pub mod inner { pub struct In; }"),
            ("ground.rs", text),
        ])
    };
    assert!(!uses("pub struct Ground; // crate::top::Top"));
    assert!(!uses("pub struct Ground; #[cfg(all(test, unix))] mod tests { use crate::top::Top; }"));
    assert!(
        !uses("use super::top; pub struct Ground;"),
        "a name taken from a module is an arrow, and the module is none"
    );
    assert!(uses("use super::top; pub struct Ground(top::Top);"));
    assert!(uses("use super::top::{self, inner}; pub struct Ground(inner::In);"));
    assert!(uses("#[cfg(windows)] use super::top::Top; pub struct Ground;"));
    assert!(uses("#[cfg(any(windows, test))] use super::top::Top; pub struct Ground;"));
    assert!(uses("pub struct Ground; mod inner { fn f() { super::super::top::made() } }"));
    assert!(uses("pub struct Ground; fn f() { use crate::top; println!(\"{}\", top::made()); }"));
    assert!(uses("use crate::top::*; pub struct Ground; fn f() { made() }"));
    assert!(uses("pub struct Ground { #[serde(with = \"crate::top::made\")] field: u8 }"));
    assert!(uses("pub struct Ground { #[arg(value_parser = crate::top::made)] field: u8 }"));
}

#[test]
fn a_macro_is_used_where_it_is_called() {
    let called = |text: &'static str| {
        is_circle(&[
            ("lib.rs", "#[macro_use] mod ground; mod top;"),
            ("ground.rs", "macro_rules! grounded { () => { $crate::top::Top } }"),
            ("top.rs", text),
        ])
    };
    assert!(!called("pub struct Top;"));
    assert!(called("pub struct Top; const TOP: Top = grounded!();"));
}
