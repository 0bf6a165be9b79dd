//! `linewake set --interactive` at a terminal.
#![cfg(target_os = "linux")]

mod support;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};
use support::linewake;

struct Terminal {
    user: File,
    child: std::process::Child,
    shown: std::sync::mpsc::Receiver<u8>,
}

impl Terminal {
    /// Runs the program at a terminal of its own.
    fn new(arguments: &[&str]) -> Self {
        Self::of(linewake(arguments))
    }

    fn of(mut command: Command) -> Self {
        let (user, path) = support::terminal();
        let line = || File::options().read(true).write(true).open(&path).unwrap();
        let child = command.env("TERM", "xterm").stdin(line()).stdout(line()).stderr(line()).spawn().unwrap();
        // The command holds the terminal open until it is dropped.
        drop(command);
        let (give, shown) = std::sync::mpsc::channel();
        let mut screen = user.try_clone().unwrap();
        // Ends when the program does, since nobody else has the terminal open.
        std::thread::spawn(move || {
            let mut byte = [0];
            while screen.read_exact(&mut byte).is_ok() && give.send(byte[0]).is_ok() {}
        });
        Self { user, child, shown }
    }

    fn type_in(&mut self, text: &str) {
        self.user.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the terminal shows this text.
    fn shows(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut shown = Vec::new();
        while !shown.ends_with(text.as_bytes()) {
            match self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(byte) => shown.push(byte),
                Err(_) => panic!("{text:?} is not in {:?}", String::from_utf8_lossy(&shown)),
            }
        }
    }

    /// True if the terminal itself edits and echoes lines; false while the program edits one.
    fn is_cooked(&self) -> bool {
        tcgetattr(&self.user).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    fn ends_with(mut self, code: i32) {
        self.ends(Some(code));
    }

    fn ends(&mut self, code: Option<i32>) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.code(), code);
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child.kill().unwrap();
        panic!("it does not end");
    }
}

#[test]
fn commands_are_completed_and_remembered() {
    let mut terminal = Terminal::new(&["set", "-c", "sim", "-i", "relay-1=1", "led=0"]);
    terminal.shows("linewake> ");
    terminal.type_in("tog\tre\t\r");
    terminal.shows("toggle relay-1");
    terminal.type_in("get\r");
    terminal.shows("\"relay-1\"=inactive \"led\"=inactive\r\n");
    // The command before the last one.
    terminal.shows("linewake> ");
    terminal.type_in("\x1b[A\x1b[A\r");
    terminal.shows("toggle relay-1");
    terminal.type_in("set l\tac\t\r");
    terminal.shows("set led=active");
    terminal.type_in("get\r");
    terminal.shows("\"relay-1\"=active \"led\"=active\r\n");
    terminal.type_in("exit\r");
    terminal.ends_with(0);
}

#[test]
fn ctrl_c_and_ctrl_d_end_it() {
    for key in ["\x03", "\x04"] {
        let mut terminal = Terminal::new(&["set", "-c", "sim", "-i", "led=0"]);
        terminal.shows("linewake> ");
        terminal.type_in(key);
        terminal.ends_with(0);
    }
}

#[test]
fn ctrl_c_ends_gpioset_by_the_signal() {
    let mut command = linewake(&["-c", "sim", "-i", "led=0"]);
    command.arg0("gpioset").env("LINEWAKE_SIM", "1");
    let mut terminal = Terminal::of(command);
    terminal.shows("gpioset> ");
    terminal.type_in("\x03");
    let status = terminal.child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2), "{status}");
    assert!(terminal.is_cooked());
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    for (name, arguments, code) in [
        ("linewake", &["set", "-c", "sim", "-i", "led=0"][..], Some(0)),
        ("gpioset", &["-c", "sim", "-i", "led=0"], None),
    ] {
        let mut command = linewake(arguments);
        command.arg0(name).env("LINEWAKE_SIM", "1");
        let mut terminal = Terminal::of(command);
        terminal.shows("> ");
        assert!(!terminal.is_cooked());
        kill_process(Pid::from_child(&terminal.child), Signal::TERM).unwrap();
        terminal.ends(code);
        assert!(terminal.is_cooked(), "{name}");
    }
}

#[test]
fn a_few_answers_make_a_profile() {
    let file = support::Scratch::new("asked.toml");
    let mut terminal = Terminal::new(&["profile", "new", "-o", file.path()]);
    terminal.shows("What is the device?");
    terminal.type_in("card0\r");
    terminal.shows("expected a device, found \"card0\"");
    terminal.type_in("/dev/box0\r");
    terminal.shows("How many lines (inputs) are there? [8]: ");
    terminal.type_in("\r");
    terminal.shows("Which? [1]: ");
    terminal.type_in("1\r");
    terminal.shows("3  something else");
    terminal.shows("Which? [1]: ");
    terminal.type_in("9\r");
    terminal.shows("expected a number from 1 to 3");
    terminal.type_in("\r");
    terminal.shows("next: linewake profile check");
    terminal.ends_with(0);
    let text = file.text();
    assert!(text.contains("path = '/dev/box0'") && text.contains("lines = 8"), "{text}");
    let check = support::run(&["profile", "check", file.path()]);
    assert!(check.status.success() && support::err(&check).is_empty(), "{check:?}\n{text}");
}
