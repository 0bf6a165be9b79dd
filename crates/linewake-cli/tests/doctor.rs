//! `linewake doctor`, `profile` and `config`, as their users run them.

mod support;

use support::{err, out, run};

#[test]
fn doctor_says_what_is_here_and_what_to_do() {
    let output = run(&["doctor"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = out(&output);
    assert!(text.starts_with(concat!("linewake ", env!("CARGO_PKG_VERSION"), " on ")), "{text}");
    let sections: &[&str] = if cfg!(windows) {
        &["chips:", "reference driver:", "serial ports", "configuration:", "next:"]
    } else {
        &["chips:", "serial ports", "kernel:", "permissions:", "configuration:", "next:"]
    };
    let mut rest = text;
    for section in sections {
        let at = rest.find(&format!("\n{section}")).unwrap_or_else(|| panic!("no {section:?} in its place: {text}"));
        rest = &rest[at + 1..];
    }
    assert!(text.contains("linewake.toml\": "), "{text}");
    // Each line is of a section, or something that is missing.
    let is_known = |line: &str| line.starts_with("  ") || line.starts_with("! ") || line.ends_with(':');
    assert!(text.lines().skip(1).all(is_known), "{text}");
}

#[test]
fn a_profile_is_checked_and_explained() {
    let profile = |name: &str| format!("{}/../../profiles/{name}", env!("CARGO_MANIFEST_DIR"));
    for name in ["card.toml", "linewake.toml", "serial.toml"] {
        let output = run(&["profile", "check", &profile(name)]);
        assert!(output.status.success(), "{output:?}");
        assert!(out(&output).contains("is a profile of the chip \""), "{output:?}");
        let output = run(&["profile", "explain", &profile(name)]);
        assert!(output.status.success() && out(&output).lines().count() > 5, "{output:?}");
    }
    assert!(out(&run(&["profile", "check", &profile("serial.toml")])).contains("--allow-writes"));
    let bad = std::env::temp_dir().join(format!("linewake-doctor-{}.toml", std::process::id()));
    std::fs::write(&bad, "name = \"card\"\nlinse = 8\n").unwrap();
    for (arguments, says) in [
        (&["profile", "check", bad.to_str().unwrap()][..], bad.to_str().unwrap()),
        (&["profile", "explain", "/no/such/profile"], "\"/no/such/profile\""),
        (&["profile", "check"], "FILE"),
        (&["config", "/no/such/config"], "\"/no/such/config\""),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty() && err(&output).lines().count() == 1, "{output:?}");
        assert!(err(&output).starts_with("linewake: ") && err(&output).contains(says), "{output:?}");
    }
    std::fs::remove_file(bad).unwrap();
}
