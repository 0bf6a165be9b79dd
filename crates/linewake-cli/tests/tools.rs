//! `detect`, `info`, `get`, `set`, `notify` and `links`; and the program under the names of libgpiod's tools, which
//! `gpiod_tools.rs` compares with libgpiod's own.

mod support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use support::{err, out};
use test_support::schema;

/// The links that the program makes, by whose names it is one of libgpiod's tools.
fn links() -> &'static Path {
    static LINKS: OnceLock<PathBuf> = OnceLock::new();
    LINKS.get_or_init(|| {
        let directory = fresh("links");
        let output = run(&["links", directory.to_str().unwrap()]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(out(&output).lines().count(), 6);
        directory
    })
}

/// An empty directory.
fn fresh(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    // The path is one of the system that built the test.
    std::path::absolute(directory).unwrap()
}

fn linewake(arguments: &[&str]) -> Command {
    let [tool, rest @ ..] = arguments else { panic!("it is called by no name") };
    if !tool.starts_with("gpio") {
        return support::linewake(arguments);
    }
    let mut command = Command::new(links().join(format!("{tool}{}", std::env::consts::EXE_SUFFIX)));
    command.args(rest).stdin(Stdio::null()).env("LINEWAKE_SIM", "1");
    command
}

fn run(arguments: &[&str]) -> Output {
    support::output(&mut linewake(arguments))
}

/// Asserts that the command succeeds and prints this.
fn assert_prints(arguments: &[&str], expected: &str) {
    let output = run(arguments);
    assert_eq!((out(&output), err(&output), output.status.code()), (expected, "", Some(0)), "{arguments:?}");
}

/// Asserts that the tool fails with these lines on standard error, each after its name.
fn assert_complains(arguments: &[&str], lines: &[&str]) {
    let output = run(arguments);
    assert_eq!((out(&output), output.status.code()), ("", Some(1)), "{arguments:?}");
    let tool = linewake(arguments).get_program().to_str().unwrap().to_owned();
    let expected: String = lines.iter().map(|line| format!("{tool}: {}\n", line.replace("TOOL", &tool))).collect();
    assert_eq!(err(&output), expected, "{arguments:?}");
}

#[test]
fn detect_lists_chips_by_name_label_and_number_of_lines() {
    assert_prints(
        &["detect", "sim", "sim:64"],
        "sim [linewake simulator] (12 lines)\nsim [linewake simulator] (64 lines)\n",
    );
    assert_prints(&["gpiodetect", "sim"], "sim [linewake simulator] (12 lines)\n");
    let json = "{\"chip\":\"sim\",\"label\":\"linewake simulator\",\"lines\":12,\"path\":null}\n";
    assert_prints(&["detect", "--json", "sim"], json);
}

#[test]
fn detect_shows_the_other_chips_if_one_is_missing() {
    let output = run(&["detect", "nope", "sim", "neither"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out(&output), "sim [linewake simulator] (12 lines)\n");
    let said: Vec<_> = err(&output).lines().collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("linewake: ") && said[0].contains("\"nope\"") && said[1].contains("\"neither\""));
}

#[test]
fn info_lists_lines_as_libgpiod_does() {
    let output = run(&["info", "-c", "sim:14"]);
    let lines: Vec<_> = out(&output).lines().collect();
    assert_eq!(lines[0], "sim - 14 lines:");
    assert_eq!(lines[1], "\tline   0:\t\"pps\"           \tinput");
    assert_eq!(lines[13], "\tline  12:\tunnamed         \tinput");
    assert_eq!(lines.len(), 15);
    assert_prints(
        &["info", "-c", "sim", "door", "pps"],
        "sim 0\t\"pps\"           \tinput\nsim 5\t\"door\"          \tinput\n",
    );
    assert_prints(&["gpioinfo", "--unquoted", "-csim", "5"], "sim 5\tdoor            \tinput\n");
}

#[test]
fn info_shows_what_it_finds_before_it_complains() {
    let output = run(&["info", "-c", "sim", "door", "dorr"]);
    assert_eq!((out(&output), output.status.code()), ("sim 5\t\"door\"          \tinput\n", Some(1)));
    assert!(err(&output).starts_with("linewake: cannot find line \"dorr\""), "{}", err(&output));
}

#[test]
fn info_is_json_where_it_is_wanted() {
    let output = run(&["info", "--json", "-c", "sim", "5", "11"]);
    let lines: Vec<serde_json::Value> = out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["name"], &lines[0]["offset"], &lines[0]["direction"]),
        (&"door".into(), &5.into(), &"input".into())
    );
    assert_eq!((&lines[0]["used"], &lines[0]["consumer"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(lines[1]["name"], serde_json::Value::Null);
}

#[test]
fn get_shows_values_by_the_names_that_were_given() {
    assert_prints(&["get", "-c", "sim", "tamper", "7", "led"], "\"tamper\"=inactive \"7\"=inactive \"led\"=inactive\n");
    assert_prints(&["get", "-c", "sim", "-l", "--unquoted", "tamper", "7"], "tamper=active 7=active\n");
    assert_prints(&["get", "-c", "sim", "-l", "--numeric", "tamper", "7"], "1 1\n");
    assert_prints(&["gpioget", "-c", "sim", "--num", "--act", "tamper"], "1\n");
}

#[test]
fn get_takes_lines_of_many_chips_and_all_of_one() {
    assert_prints(
        &["get", "sim:tamper", "sim:64:63", "sim:7"],
        "\"sim:tamper\"=inactive \"sim:64:63\"=inactive \"sim:7\"=inactive\n",
    );
    assert_prints(&["get", "-c", "sim", "sim:64:63", "led"], "\"sim:64:63\"=inactive \"led\"=inactive\n");
    let all = run(&["get", "-c", "sim:1000", "-c", "sim:24", "--numeric"]);
    assert_eq!(out(&all).split_whitespace().count(), 1024);
}

#[test]
fn get_writes_state_records() {
    let output = run(&["get", "--json", "-c", "sim", "tamper", "11"]);
    for line in out(&output).lines() {
        assert_eq!(schema::faults_of_line(line), [""; 0], "{line}");
    }
    assert_eq!(
        out(&output),
        "{\"record\":\"state\",\"chip\":\"sim\",\"offset\":6,\"name\":\"tamper\",\"level\":0}\n\
         {\"record\":\"state\",\"chip\":\"sim\",\"offset\":11,\"name\":null,\"level\":0}\n"
    );
}

#[test]
fn the_hold_period_of_get_is_waited() {
    let began = Instant::now();
    assert_prints(&["get", "-c", "sim", "-p", "300ms", "--numeric", "tamper"], "0\n");
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[test]
fn set_ends_by_itself_only_when_it_is_told_to() {
    assert_prints(&["set", "-c", "sim", "--toggle", "1ms,2ms,0", "led=1", "relay-1=off"], "");
    assert_prints(&["set", "-c", "sim", "--banner", "-t", "0", "led=1"], "Setting line 'led'...\n");
    let banner = "Setting lines 'led', 'sim:64:5', and '9'...\n";
    assert_prints(&["set", "-c", "sim", "--banner", "-t", "0", "led=1", "sim:64:5=on", "9=true"], banner);
    let mut child = linewake(&["set", "-c", "sim", "led=1"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_hold_period_of_set_is_the_least_between_toggles() {
    let began = Instant::now();
    assert_prints(&["set", "-c", "sim", "-t", "1ms,1ms,0", "-p", "100ms", "led=1"], "");
    // Before each toggle, and at the end.
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
}

#[test]
#[cfg(unix)]
fn a_signal_ends_set_with_0_and_gpioset_as_it_ends_libgpiods() {
    for (arguments, signal, code) in [
        (&["set", "-c", "sim", "--banner", "led=1"], "-TERM", Some(0)),
        (&["set", "-c", "sim", "--banner", "led=1"], "-INT", Some(0)),
        (&["gpioset", "-c", "sim", "--banner", "led=1"], "-TERM", None),
        (&["gpioset", "-c", "sim", "--banner", "led=1"], "-INT", None),
    ] {
        // A shell has its background jobs ignore it, and their children inherit that, as libgpiod's tools do.
        if (signal, code) == ("-INT", None) && support::ignores(2) {
            continue;
        }
        let mut child = linewake(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut banner = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut banner).unwrap();
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert_eq!(child.wait().unwrap().code(), code, "{arguments:?} {signal}");
    }
}

/// The output of interactive `set`, without its prompts.
fn interactive(arguments: &[&str], commands: &str) -> String {
    let mut child = linewake(&[&["set", "-c", "sim", "-i"], arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((err(&output), output.status.code()), ("", Some(0)), "{commands}");
    out(&output).replace("linewake> ", "")
}

/// A command has at most 1 MiB.
#[cfg(unix)]
#[test]
fn set_fails_at_a_command_without_an_end() {
    let zeros = std::fs::File::open("/dev/zero").unwrap();
    let output = linewake(&["set", "-c", "sim", "-i", "led=1"]).stdin(zeros).output().unwrap();
    assert_eq!((out(&output), output.status.code()), ("linewake> ", Some(1)), "{output:?}");
    let said = "linewake: a command on standard input has more than 1048576 bytes; end it with a newline\n";
    assert_eq!(err(&output), said);
}

#[test]
fn set_takes_commands() {
    for (commands, expected) in [
        ("", ""),
        ("exit\nget\n", ""),
        ("get\n", "\"led\"=active \"9\"=inactive\n"),
        ("get 9 led\n", "\"9\"=inactive \"led\"=active\n"),
        ("set led=off \"9\"=1\nget", "\"led\"=inactive \"9\"=active\n"),
        ("toggle\nget\ntoggle 9\nget\n", "\"led\"=inactive \"9\"=active\n\"led\"=inactive \"9\"=inactive\n"),
        ("set led=0 9=maybe\nget\n", "invalid line value: 'maybe'\n\"led\"=active \"9\"=inactive\n"),
        ("set led\n", "invalid line value: 'led'\n"),
        ("set\n", "at least one GPIO line value must be specified\n"),
        ("get relay-1\n", "unknown line: 'relay-1'\n"),
        ("get \"led\n", "invalid line id: '\"led'\n"),
        ("get led led led\n", "too many command parameters provided\n"),
        (
            "sleep\nsleep 1ms 2\nsleep x\n",
            "a period must be specified\nonly one period can be specified\ninvalid period: 'x'\n",
        ),
        ("\n  \nfrob\n", "unknown command: 'frob'\nTry the 'help' command\n"),
    ] {
        assert_eq!(interactive(&["led=1", "9=0"], commands), expected, "{commands:?}");
    }
    assert_eq!(interactive(&["--unquoted", "led=1"], "get\n"), "led=active\n");
    for command in ["exit", "get", "help", "set", "sleep", "toggle"] {
        assert!(interactive(&["led=1"], "help\n").contains(&format!("    {command}")), "{command}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_daemon_is_there_when_the_command_ends() {
    let consumer = format!("daemon-{}", std::process::id());
    let began = Instant::now();
    assert_prints(
        &["set", "-c", "sim", "-z", "--banner", "-C", &consumer, "-t", "5s,0", "led=1"],
        "Setting line 'led'...\n",
    );
    assert!(began.elapsed() < Duration::from_secs(5), "it does not wait for its end");
    let is_it = |entry: &fs::DirEntry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&consumer))
    };
    let found: Vec<_> = fs::read_dir("/proc").unwrap().flatten().filter(is_it).map(|entry| entry.path()).collect();
    let [process] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(fs::read_link(process.join("cwd")).unwrap(), Path::new("/"));
    for fd in 0..3 {
        assert_eq!(fs::read_link(process.join(format!("fd/{fd}"))).unwrap(), Path::new("/dev/null"));
    }
    // The fields are pid, name, state, parent, group, session. The session must be the process's own.
    let stat = fs::read_to_string(process.join("stat")).unwrap();
    let session = stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap();
    assert_eq!(Some(session), process.file_name().unwrap().to_str());
}

#[test]
fn notify_ends_when_nothing_happens() {
    assert_prints(&["notify", "-c", "sim", "--banner", "--idle-timeout", "50ms", "door"], "Watching line 'door'...\n");
    let banner = "Watching lines 'door', and '6'...\n";
    assert_prints(&["gpionotify", "-c", "sim", "--banner", "--idle-timeout", "50ms", "door", "6"], banner);
    let output = run(&["notify", "-c", "sim", "--json", "--banner", "--idle-timeout", "50ms", "door"]);
    assert_eq!((out(&output).lines().count(), output.status.code()), (1, Some(0)), "{output:?}");
    assert_eq!(schema::faults_of_line(out(&output).trim()), [""; 0]);
}

#[test]
fn a_set_of_the_configuration_is_lines_of_every_command() {
    let directory = fresh("sets");
    fs::create_dir_all(directory.join("linewake")).unwrap();
    let lines = "[\"sim:9\", { line = \"sim:4\", label = \"Lamp\" }, \"sim:64:led\"]";
    fs::write(directory.join("linewake/linewake.toml"), format!("[set.out]\nlines = {lines}\n")).unwrap();
    let with = |arguments: &[&str]| {
        let mut command = linewake(arguments);
        command.env("XDG_CONFIG_HOME", &directory).env("APPDATA", &directory).env_remove("PROGRAMDATA");
        command
    };
    let prints = |arguments: &[&str], expected: &str| {
        let output = support::output(&mut with(arguments));
        assert_eq!((out(&output), err(&output), output.status.code()), (expected, "", Some(0)), "{arguments:?}");
    };
    prints(
        &["get", "@out", "sim:6"],
        "\"sim:9\"=inactive \"Lamp\"=inactive \"sim:64:led\"=inactive \"sim:6\"=inactive\n",
    );
    prints(&["get", "-l", "--numeric", "sim:6", "@out"], "1 1 1 1\n");
    let info = support::output(&mut with(&["info", "-c", "sim", "@out"]));
    assert_eq!(out(&info).matches('\n').count(), 3, "{info:?}");
    assert!(out(&info).contains("sim 4\t") && out(&info).contains("\"led\""), "{info:?}");
    let watched = "Watching lines 'sim:9', 'sim:4', and 'sim:64:led'...\n";
    prints(&["notify", "--banner", "--idle-timeout", "50ms", "@out"], watched);

    let mut set = with(&["set", "-i", "@out=1", "sim:6=0"]);
    let mut child = set.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let commands = "get\nset @out=0 sim:6=1\nget\ntoggle Lamp\nget sim:4\nget @out\nget @other\n";
    child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let expected = "\
        \"sim:9\"=active \"Lamp\"=active \"sim:64:led\"=active \"sim:6\"=inactive\n\
        \"sim:9\"=inactive \"Lamp\"=inactive \"sim:64:led\"=inactive \"sim:6\"=active\n\
        \"Lamp\"=active\n\
        \"sim:9\"=inactive \"Lamp\"=active \"sim:64:led\"=inactive\n\
        unknown line: '@other'\n";
    assert_eq!((out(&output).replace("linewake> ", "").as_str(), err(&output)), (expected, ""));
}

/// Every command opens a profile that changes its device if the user allows it. The device of this one does not exist.
#[test]
fn a_profile_is_allowed_to_change_its_device_by_every_command() {
    let serial = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles/serial.toml")).unwrap();
    let none = r"\\.\LinewakeNone";
    let file = fresh("consent").join("serial.toml");
    fs::write(&file, serial.replace(r"\\.\COM1", none)).unwrap();
    let file = file.to_str().unwrap();
    for arguments in [
        &["get", "-c", file, "CTS"][..],
        &["set", "-c", file, "CTS=1"],
        &["info", "-c", file],
        &["notify", "-c", file, "CTS"],
        &["mon", "-c", file, "CTS"],
        &["detect", file],
    ] {
        let output = run(&[&arguments[..1], &["--allow-writes"], &arguments[1..]].concat());
        assert!(err(&output).contains(none) && !err(&output).contains("--allow-writes"), "{arguments:?}: {output:?}");
    }
}

/// Somebody may be allowed to run a tool as root: so it runs no program, reads no file and opens no other device.
#[test]
fn libgpiods_names_open_gpiochips_and_nothing_else() {
    let place = fresh("privilege");
    let file = place.join("lines.toml");
    fs::write(&file, "lines = 4\n").unwrap();
    let touched = place.join("touched");
    let specs = [
        format!("exec:touch {}", touched.display()),
        format!("sim:{}", file.display()),
        format!("profile:{}", file.display()),
        "label:anything".to_owned(),
        "serial:/dev/null".to_owned(),
        "/dev/null".to_owned(),
        file.display().to_string(),
    ];
    for spec in &specs {
        let says = format!("cannot find GPIO chip character device '{spec}'");
        for tool in ["gpioget", "gpioinfo", "gpiomon", "gpionotify"] {
            assert_complains(&[tool, "-c", spec, "0"], &[&says]);
        }
        assert_complains(&["gpioset", "-c", spec, "0=1"], &[&says]);
        assert_complains(&["gpiodetect", spec], &[&says]);
    }
    assert!(!touched.exists());
    // Simulated chips are there only if the environment allows them.
    for value in [None, Some(""), Some("0")] {
        let mut command = linewake(&["gpioget", "-c", "sim", "door"]);
        match value {
            Some(value) => command.env("LINEWAKE_SIM", value),
            None => command.env_remove("LINEWAKE_SIM"),
        };
        let output = support::output(&mut command);
        assert!(err(&output).ends_with("cannot find GPIO chip character device 'sim'\n"), "{output:?}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn gpioset_holds_its_lines_though_it_cannot_print() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut child = linewake(&["gpioset", "-c", "sim", "--banner", "led=1"]).stdout(full).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn operands_end_the_options_of_libgpiods_names() {
    assert_complains(&["gpioget", "-c", "sim", "tamper", "-l"], &["cannot find line '-l'"]);
    assert_prints(&["gpioget", "-c", "sim", "--", "tamper"], "\"tamper\"=inactive\n");
    assert_prints(&["gpioget", "-c", "nope", "-csim", "--", "tamper"], "\"tamper\"=inactive\n");
    // If an option comes twice, its first value must be valid, too.
    assert_complains(&["gpioget", "-c", "sim", "-p", "x", "-p", "0", "tamper"], &["invalid period: x"]);
}

#[test]
fn help_and_version_are_under_every_name() {
    for tool in ["gpiodetect", "gpioinfo", "gpioget", "gpioset", "gpiomon", "gpionotify"] {
        for word in ["-h", "--help", "--he"] {
            let output = run(&[tool, word]);
            assert_eq!((err(&output), output.status.code()), ("", Some(0)));
            assert!(out(&output).contains(&format!("Usage: {tool} ")), "{}", out(&output));
            for beyond in [
                "--json",
                "--csv",
                "--exec",
                "--allow-writes",
                "CHIP:LINE",
                "@SET",
                "several times",
                "summary",
                "%Q",
                "%m",
                "FILE",
                "profile:",
                "SIGHUP",
            ] {
                assert!(!out(&output).contains(beyond), "{tool} has no {beyond}: {}", out(&output));
            }
        }
        for word in ["-v", "--version"] {
            let output = run(&[tool, word]);
            assert!(out(&output).starts_with(&format!("{tool} (linewake ")) && out(&output).ends_with(" v2.3\n"));
        }
    }
    for command in ["detect", "info", "get", "set", "mon", "notify", "links", "completions", "man", "driver"] {
        let output = run(&[command, "--help"]);
        assert_eq!((err(&output), output.status.code()), ("", Some(0)));
        for part in ["Usage: linewake ", "Exit codes:"] {
            assert!(out(&output).contains(part), "{command}: {}", out(&output));
        }
        assert_eq!(run(&[command, "-v"]).stdout, run(&[command, "-V"]).stdout);
    }
}

#[test]
fn links_are_made_again_and_never_over_something_else() {
    let directory = fresh("made-again");
    let path = directory.to_str().unwrap();
    for _ in 0..2 {
        assert_eq!(out(&run(&["links", path])).lines().count(), 6);
    }
    let directory = fresh("another");
    let name = directory.join(format!("gpioset{}", std::env::consts::EXE_SUFFIX));
    fs::write(&name, "another program").unwrap();
    let output = run(&["links", directory.to_str().unwrap()]);
    assert!(err(&output).contains("gpioset") && err(&output).contains("exists and is another program"), "{output:?}");
    assert_eq!((output.status.code(), out(&output), err(&output).lines().count()), (Some(1), "", 1));
    assert_eq!(fs::read(&name).unwrap(), b"another program");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "all or none");
}

#[test]
fn every_shell_gets_completions_and_every_command_a_page() {
    for (shell, part) in [
        ("bash", "_linewake()"),
        ("zsh", "#compdef linewake"),
        ("fish", "complete -c linewake"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let output = run(&["completions", shell]);
        assert!(output.status.success());
        for part in [part, "notify", "hold-period"] {
            assert!(out(&output).contains(part), "{shell}: {part}");
        }
    }
    let directory = fresh("pages").join("man1");
    let output = run(&["man", directory.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    for command in ["", "-detect", "-info", "-get", "-set", "-mon", "-notify", "-links"] {
        let page = fs::read_to_string(directory.join(format!("linewake{command}.1"))).unwrap();
        assert!(page.contains(".SH OPTIONS") && page.contains("Exit codes"), "{command}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
    for arguments in [
        &["get", "-c", "sim", "door"][..],
        &["info", "-c", "sim"],
        &["detect", "sim"],
        &["completions", "zsh"],
        &["--help"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = linewake(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(err(&output).starts_with("linewake: cannot write to standard output: "), "{}", err(&output));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = linewake(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((err(&output), output.status.code()), ("", Some(0)), "{arguments:?}");
    }
}
