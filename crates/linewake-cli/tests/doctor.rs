//! `linewake doctor`, `profile` and `config`, as their users run them.

mod support;

use support::{err, linewake, out, run};

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
    // Each line belongs to a section, or names something that is missing.
    let is_known = |line: &str| line.starts_with("  ") || line.starts_with("! ") || line.ends_with(':');
    assert!(text.lines().skip(1).all(is_known), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn doctor_advises_nothing_that_this_kernel_cannot_do() {
    let doctor = run(&["doctor"]);
    let cannot = out(&doctor).contains("this kernel cannot make simulated gpiochips");
    let mon = run(&["mon", "-c", "/dev/gpiochip99999"]);
    for text in [out(&doctor), err(&mon)] {
        assert!(!(cannot && text.contains("modprobe gpio-sim")), "{text}");
    }
}

#[test]
fn help_has_every_kind_of_chip() {
    for command in ["get", "set", "mon", "info", "notify", "record"] {
        let help = run(&[command, "--help"]);
        for spec in linewake::chip_specs() {
            for part in [spec.form, spec.description] {
                assert!(out(&help).contains(part), "{command}: {part}: {}", out(&help));
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn programs_of_one_interpreter_are_told_apart() {
    let directory = std::env::temp_dir();
    let scripts = ["door", "gate"].map(|name| directory.join(format!("{name}-{}.sh", std::process::id())));
    for script in &scripts {
        std::fs::write(script, "echo lines x=0; echo 1 x 1; exec sleep 60").unwrap();
    }
    let chips = scripts.each_ref().map(|script| format!("exec:sh {}", script.display()));
    let mon = run(&["mon", "-c", &chips[0], "-c", &chips[1], "-n", "2"]);
    scripts.iter().for_each(|script| std::fs::remove_file(script).unwrap());
    for name in ["door", "gate"] {
        assert!(out(&mon).contains(&format!("\trising\t{name}-{} 0 \"x\"\n", std::process::id())), "{mon:?}");
    }
}

#[test]
fn doctor_says_what_config_says_of_a_broken_configuration() {
    let directory = std::env::temp_dir().join(format!("linewake-doctor-config-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("linewake")).unwrap();
    std::fs::write(directory.join("linewake/linewake.toml"), "[set.pumps]\nlines = []\n").unwrap();
    let run = |command: &str| {
        linewake(&[command]).env("XDG_CONFIG_HOME", &directory).env("APPDATA", &directory).output().unwrap()
    };
    let (config, doctor) = (run("config"), run("doctor"));
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!((config.status.code(), err(&config).lines().count()), (Some(1), 1), "{config:?}");
    let wrong = err(&config).trim_end().strip_prefix("linewake: ").unwrap();
    assert!(wrong.contains(":2:9: the set \"pumps\" is empty"), "{config:?}");
    assert!(out(&doctor).contains(&format!("! {wrong}\n")), "{doctor:?}");
}

#[test]
fn an_oddity_of_a_profile_is_a_note_and_no_error() {
    let file = std::env::temp_dir().join(format!("linewake-doctor-note-{}.toml", std::process::id()));
    let wait = "[wait]\nby = 'call'\ncall = 'wait'\nmeans = 'mask'\n[call.wait]\ncode = 0x80006004\n\
                output = { length = 1, fields = { rising = { at = 0, width = 1 } } }\n";
    std::fs::write(&file, format!("name = 'card'\nlines = 8\n{wait}")).unwrap();
    let check = run(&["profile", "check", file.to_str().unwrap()]);
    let mon = run(&["mon", "-c", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    assert!(check.status.success(), "{check:?}");
    assert!(out(&check).ends_with("\nnote: it names no device, so only a program can open it\n"), "{check:?}");
    assert!(err(&mon).contains("names no device"), "{mon:?}");
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
}
