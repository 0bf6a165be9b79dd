//! libgpiod's tools and ours, side by side on the kernel's gpio-sim in the virtual machine: the same script, run with
//! Debian's `gpiod` and with links of the same names to `linewake`, has the same output and exit codes. Only time
//! stamps may differ.
//!
//! Scripts in which something happens are below; `gpiod_tools/invocations.txt` is a table of more than a thousand plain
//! invocations. What differs on purpose is in the table too, and docs/gpiod.md says why.
#![cfg(all(target_os = "linux", not(miri)))]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};

use gpiosim::{Bank, Direction, Level, Sim};

/// Where `linewake` is in the guest: `cargo xtask test` puts it there.
const LINEWAKE: &str = "/test/linewake";
const OURS: &str = "/tmp/ours";

/// The beginning of every script. `$A` and `$B` are the chips; `$A_SYS` and `$B_SYS` are where sysfs pulls their lines.
const PRELUDE: &str = r#"
pull() { eval "echo pull-$3 >\$$1_SYS/sim_gpio$2/pull"; }
level() { eval "cat \$$1_SYS/sim_gpio$2/value"; }
# Runs a tool in the background until it says its banner.
begin() { : >out; : >err; "$@" >out 2>err & tool=$!; until grep -q '\.\.\.$' out || [ -s err ]; do sleep 0.02; done; }
end() { wait $tool; echo "ended with $?"; cat out; cat err >&2; }
stop() { kill -$1 $tool; end 2>/dev/null; }
"#;

/// Two chips. Names are found on the first, on the second, on both; one is a number, one has a space.
struct Bench {
    sim: Sim,
}

fn bench() -> Option<MutexGuard<'static, Bench>> {
    static BENCH: OnceLock<Mutex<Bench>> = OnceLock::new();
    if std::env::var_os("LINEWAKE_VM").is_none() {
        println!("skipped: LINEWAKE_VM is not set (`cargo xtask test --only vm` sets it, where there is gpio-sim)");
        return None;
    }
    let bench = BENCH.get_or_init(|| {
        let mut alpha = Bank::new(8, "alpha");
        alpha
            .name(0, "door")
            .name(1, "bell")
            .name(2, "twin")
            .name(3, "held")
            .name(4, "a b")
            .name(5, "7")
            .name(6, "a long name of a line");
        alpha.hog(3, "a hog", Direction::Input).hog(6, "another", Direction::OutputHigh);
        let mut beta = Bank::new(4, "beta");
        beta.name(0, "twin").name(1, "relay").name(2, "led");
        let sim = gpiosim::builder().with_name("golden").with_bank(&alpha).with_bank(&beta).live().unwrap();
        fs::create_dir_all(OURS).unwrap();
        let links = Command::new(LINEWAKE).args(["links", OURS]).output().unwrap();
        assert!(links.status.success(), "{links:?}");
        Mutex::new(Bench { sim })
    });
    Some(bench.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

#[derive(PartialEq)]
struct Outcome {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Bench {
    /// Runs a script with the tools that are in a directory.
    fn run(&self, tools: &str, script: &str) -> Outcome {
        let place = "/tmp/golden";
        let _ = fs::remove_dir_all(place);
        fs::create_dir_all(place).unwrap();
        let mut command = self.command(&["-s", "KILL", "20", "sh", "-c"]);
        command.arg(format!("{PRELUDE}\n{script}")).current_dir(place);
        let output = command.env("PATH", format!("{tools}:/bin")).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| masked(&String::from_utf8_lossy(bytes));
        Outcome { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code() }
    }

    /// Runs a command under `timeout`, with all lines low.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(words);
        for (name, chip) in ["A", "B"].into_iter().zip(self.sim.chips()) {
            for line in 0..chip.config().num_lines {
                chip.set_pull(line, Level::Low).unwrap();
            }
            command.env(name, &chip.chip_name);
            command.env(format!("{name}_SYS"), format!("/sys/devices/platform/{}/{}", chip.dev_name, chip.chip_name));
        }
        // An earlier script may have left a program in the background, if it failed.
        let names = ["gpioset", "gpiomon", "gpionotify"];
        Command::new("killall").args(["-q", "-KILL"]).args(names).status().unwrap();
        command
    }

    /// Says where the outcomes of scripts differ.
    fn compare(&self, scripts: &[&str]) {
        let mut differences = String::new();
        for script in scripts {
            let (theirs, ours) = (self.run("/bin", script), self.run(OURS, script));
            // A script without output shows nothing.
            assert!(theirs.code.is_some(), "{script}\n does not end: {}{}", theirs.out, theirs.err);
            if theirs != ours {
                let mut difference = format!("\n{}", script.trim());
                for (whose, Outcome { out, err, code }) in [("libgpiod's", theirs), ("linewake's", ours)] {
                    let _ = write!(difference, "\n  {whose}: {code:?}");
                    for (stream, text) in [("out", out), ("err", err)] {
                        text.lines().for_each(|line| {
                            let _ = write!(difference, "\n    {stream}: {line:?}");
                        });
                    }
                }
                // Flush: a later script may hang.
                println!("{difference}");
                differences += &difference;
            }
        }
        assert!(differences.is_empty(), "{differences}");
    }
}

/// Time stamps without their digits: `12.000000345` is `#.#`, `2026-01-31T12:34:56.000000345Z` is `#-#-#T#:#:#.#Z`.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    for word in text.split_inclusive(|end: char| end.is_whitespace() || end == ',') {
        let is_fraction = |part: &str| part.bytes().take_while(u8::is_ascii_digit).count() == 9;
        if word.split('.').skip(1).any(is_fraction) {
            let mut before = ' ';
            for letter in word.chars().map(|letter| if letter.is_ascii_digit() { '#' } else { letter }) {
                if letter != '#' || before != '#' {
                    masked.push(letter);
                }
                before = letter;
            }
        } else {
            masked.push_str(word);
        }
    }
    masked
}

#[test]
fn masks_hide_time_stamps_alone() {
    assert_eq!(masked("12.000000345\trising\t\"a 12\"\n"), "#.#\trising\t\"a 12\"\n");
    assert_eq!(masked("2026-01-31T12:34:56.000000345Z 0.5\n\n"), "#-#-#T#:#:#.#Z 0.5\n\n");
}

/// Unknown lines, unknown options and invalid values, for every tool.
fn complaints(tool: &str, value: &str) -> Vec<String> {
    let line = |id: &str| format!("'{id}{value}'");
    let mut scripts: Vec<_> = [
        "",
        "nope",
        "door nope -x",
        "-x",
        "--frob",
        "--frob=1 door",
        "-c",
        "--chip",
        "--strict=1 door",
        "--by-name --chi nope door",
        "-c nope door",
        "-c '' door",
        "-c /dev/null door",
        "-c 99 door",
        "-c $A 99",
        "-c $A 99 nope 98",
        "-c $A --by-name 0",
        "door door",
        "-c $A 0 door",
        "twin bell twin",
        "-s twin",
        "--strict door twin",
    ]
    .iter()
    .map(|words| words.to_string())
    .collect();
    scripts.push(format!("-c $A {}", line("-1")));
    scripts.push(line("0"));
    let with_values = |words: &str| {
        // Operands are lines: those of gpioset have values.
        let operands = ["nope", "door", "twin", "bell", "99", "98", "0"];
        let mut is_value = false;
        let words = words.split(' ').map(|word| {
            let is_operand = operands.contains(&word) && !is_value;
            is_value = ["-c", "--chi"].contains(&word);
            if is_operand { format!("{word}{value}") } else { word.to_owned() }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    scripts.iter().map(|words| format!("{tool} {}", with_values(words))).collect()
}

/// A chip made through configfs, since the crate gpiosim takes names that are UTF-8 only.
fn chip(name: &str, lines: usize, names: &[&[u8]]) -> String {
    let device = Path::new("/sys/kernel/config/gpio-sim").join(name);
    let bank = device.join("bank0");
    if !bank.exists() {
        fs::create_dir_all(&bank).unwrap();
        fs::write(bank.join("num_lines"), lines.to_string()).unwrap();
        for (line, name) in names.iter().enumerate() {
            let line = bank.join(format!("line{line}"));
            fs::create_dir(&line).unwrap();
            fs::write(line.join("name"), name).unwrap();
        }
        fs::write(device.join("live"), "1").unwrap();
    }
    fs::read_to_string(bank.join("chip_name")).unwrap().trim().to_owned()
}

/// Files in /dev and in the current directory, while the invocations run.
const PLACES: &str = r#"
mkdir -p "$1"; cd "$1"
ln -s /dev/$A link; ln -s /dev/nowhere broken; ln -s loop loop
[ -e /dev/board-io ] && exit
ln -s /dev/$A /dev/another; ln -s /dev/nowhere /dev/broken
mknod /dev/board-io c $((0x$(stat -c %t /dev/$A))) $((0x$(stat -c %T /dev/$A)))
: >/dev/gpiochip90; mkfifo /dev/gpiochip91; mkdir /dev/gpiochip92
"#;

/// Runs all, with the streams of each in files of its own.
const RUN_ALL: &str = r#"
cd "$1"; n=0; : >codes
while IFS= read -r line <&3; do
    n=$((n + 1))
    eval "$line" >out.$n 2>err.$n </dev/null 3<&-
    echo $? >>codes
done 3<"$2"
rm -rf /dev/another /dev/broken /dev/board-io /dev/gpiochip90 /dev/gpiochip91 /dev/gpiochip92
"#;

#[test]
fn some_invocations_of_the_table() {
    invocations_of_the_table(4);
}

/// Minutes: `cargo xtask gpiod-tools` runs it.
#[test]
#[ignore = "it takes minutes"]
fn every_invocation_of_the_table() {
    invocations_of_the_table(1);
}

/// A sample, and all rows that differ on purpose.
fn invocations_of_the_table(step: usize) {
    let Some(bench) = bench() else { return };
    let table: Vec<&str> = include_str!("gpiod_tools/invocations.txt").lines().collect();
    let invocations = table.iter().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (differing, same): (Vec<&str>, Vec<&str>) = invocations.partition(|line| line.starts_with("! "));
    let same: Vec<_> = same.into_iter().step_by(step).collect();
    let all: Vec<_> = same.iter().chain(&differing).map(|line| line.strip_prefix("! ").unwrap_or(line)).collect();
    fs::write("/tmp/table", all.join("\n") + "\n").unwrap();
    let names: [&[u8]; 4] = [b"caf\xe9", "tür".as_bytes(), b"\xff\xfe", "längere Nämen".as_bytes()];
    let (of_bytes, large) = (chip("bytes", 5, &names), chip("large", 70, &[]));
    let run = |tools: &str, place: &str| {
        let _ = fs::remove_dir_all(place);
        let mut command = bench.command(&["-s", "KILL", "400", "sh", "-c"]);
        command.args([&*format!("({PLACES}); {RUN_ALL}"), "sh", place, "/tmp/table"]);
        let status =
            command.env("C", &of_bytes).env("D", &large).env("PATH", format!("{tools}:/bin")).status().unwrap();
        let codes = fs::read_to_string(format!("{place}/codes")).unwrap();
        let codes: Vec<_> = codes.lines().map(str::to_owned).collect();
        assert!(status.success() && codes.len() == all.len(), "{status}: \"{}\" does not end", all[codes.len()]);
        codes
    };
    let theirs = run("/bin", "/tmp/theirs");
    let ours = run(OURS, "/tmp/ours-of-the-table");
    let read = |place: &str, stream: &str, number: usize| fs::read(format!("{place}/{stream}.{number}")).unwrap();
    let mut wrong = String::new();
    for (at, invocation) in all.iter().enumerate() {
        let outcome = |place: &str, codes: &[String]| {
            let streams = ["out", "err"].map(|stream| read(place, stream, at + 1));
            (codes[at].clone(), streams)
        };
        let (theirs, mut ours) = (outcome("/tmp/theirs", &theirs), outcome("/tmp/ours-of-the-table", &ours));
        for stream in &mut ours.1 {
            let text = String::from_utf8_lossy(stream);
            if text.contains("/tmp/ours-of-the-table") {
                *stream = text.replace("/tmp/ours-of-the-table", "/tmp/theirs").into_bytes();
            }
        }
        if (theirs == ours) == (at >= same.len()) {
            let shown = |(code, [out, err]): (String, [Vec<u8>; 2])| {
                format!("{code}\n    out: \"{}\"\n    err: \"{}\"", out.escape_ascii(), err.escape_ascii())
            };
            let _ = write!(wrong, "\n{invocation}\n  libgpiod's: {}\n  ours: {}", shown(theirs), shown(ours));
        }
    }
    println!("{} invocations are the same, {} differ on purpose", same.len(), differing.len());
    assert!(wrong.is_empty(), "{wrong}");
}

fn all(own: &[&str], common: Vec<String>) -> BTreeSet<String> {
    own.iter().map(|script| (*script).to_owned()).chain(common).collect()
}

fn compare(scripts: &BTreeSet<String>) {
    let Some(bench) = bench() else { return };
    let scripts: Vec<_> = scripts.iter().map(String::as_str).collect();
    bench.compare(&scripts);
}

#[test]
fn gpiodetect() {
    compare(&all(
        &[
            "gpiodetect",
            "gpiodetect $A",
            "gpiodetect ${A#gpiochip}",
            "gpiodetect /dev/$A $B",
            "ln -s /dev/$A link; gpiodetect ./link",
            "ln -s /dev/$A /dev/another; gpiodetect another; gpiodetect; rm /dev/another",
            "gpiodetect nope $A ''",
            "gpiodetect 99 /dev/null /dev/nope",
            "gpiodetect -- $B",
            "gpiodetect $A -x",
            "gpiodetect -x",
            "gpiodetect --frob",
        ],
        Vec::new(),
    ));
}

#[test]
fn gpioinfo() {
    let mut scripts = all(
        &[
            "gpioinfo",
            "gpioinfo --unquoted",
            "gpioinfo -c $A",
            "gpioinfo --chip ${B#gpiochip}",
            "gpioinfo bell door",
            "gpioinfo --unquoted door 'a b'",
            "gpioinfo twin",
            "gpioinfo -s twin",
            "gpioinfo -s -c $B twin",
            "gpioinfo -c $A 3 1 7",
            "gpioinfo -c $A --by-name 7",
            "gpioinfo 7",
            "gpioinfo -c $A 6 5",
            "gpioinfo door nope relay",
            "gpioinfo -c nope",
            "ln -s /dev/$A link; gpioinfo -c ./link 0",
            "begin gpioset --banner -l -b pull-up -d open-drain -C 'some one' door=1 relay=0; gpioinfo door relay; stop TERM",
            "begin gpioset --banner -b pull-down -d open-source -c $A 0=1; gpioinfo; stop HUP",
            "begin gpioset --banner -b disabled relay=1; gpioinfo --unquoted relay; stop TERM",
            "gpiomon -b pull-up -e rising -p 5ms door >out & tool=$!; until gpioinfo door | grep -q gpiomon; do sleep 0.02; done; gpioinfo door; kill $tool",
        ],
        complaints("gpioinfo", ""),
    );
    // All lines are shown if none is given.
    scripts.remove("gpioinfo ");
    compare(&scripts);
}

#[test]
fn gpiomon() {
    let script = |options: &str, lines: &str| {
        format!(
            "begin gpiomon --banner -n 4 {options} {lines}; pull A 0 up; pull A 0 down; pull B 1 up; pull B 1 down; \
             pull A 7 up; pull A 7 down; end"
        )
    };
    let mut scripts = all(
        &[
            "gpiomon --idle-timeout 10ms door; echo $?",
            "gpiomon --banner --idle-timeout 10ms door bell relay; echo $?",
            "begin gpiomon --banner door; stop TERM",
            "begin gpiomon --banner door relay; stop HUP",
            "begin gpiomon --banner -n 1 door; gpioget door; pull A 0 up; end",
            "begin gpiomon --banner -n 2 -e rising door; pull A 0 up; pull A 0 down; pull A 0 up; end",
            "begin gpiomon --banner -n 2 --edges falling door; pull A 0 up; pull A 0 down; pull A 0 up; pull A 0 down; end",
            "begin gpiomon --banner -n 1 -p 5ms door; gpioinfo door; pull A 0 up; end",
            "begin gpiomon --banner -b pull-up -C me -E realtime door; gpioinfo door; stop TERM",
            "begin gpiomon --banner -n 1 -F '%l\\n' -c $A 7; pull A 7 up; end",
            "begin gpiomon --banner -n 1 -F '%' door; pull A 0 up; end",
            "gpiomon -b nonsense door; gpiomon -e nonsense door; gpiomon -E nonsense door; gpiomon -n x door",
            "gpiomon -n -1 door; gpiomon -p x door; gpiomon --idle-timeout x door; gpiomon -p 5000s door",
            "gpiomon -c $A 3",
            "gpiomon --id 10ms door; gpiomon --num-e x door",
        ],
        complaints("gpiomon", ""),
    );
    for options in [
        "",
        "-l",
        "--unquoted",
        "--utc",
        "--localtime",
        "-E realtime",
        "-E monotonic --utc",
        "-E realtime --localtime",
        "-q",
        "--silent",
        "-F '%o %l %c %e %E'",
        "-F '%S'",
        "-F '%U %L'",
        "-F '%% %x %'",
        "-F ''",
        "--format=%E",
    ] {
        scripts.insert(script(options, "door relay"));
    }
    scripts.insert(script("-c $A", "7 door"));
    scripts.insert(script("--unquoted -c $A", "door 7"));
    compare(&scripts);
}

#[test]
fn gpioget() {
    compare(&all(
        &[
            "pull A 0 up; gpioget door bell",
            "pull A 0 up; gpioget bell door relay",
            "pull A 0 up; gpioget --numeric door bell relay",
            "pull A 1 up; gpioget --unquoted door bell 'a b'",
            "pull A 0 up; gpioget -l door bell",
            "pull A 0 up; gpioget -c $A 0 1 7",
            "pull A 7 up; gpioget -c $A 7 5",
            "pull A 5 up; gpioget -c $A --by-name 7",
            "pull A 5 up; gpioget 7",
            "pull B 0 up; gpioget twin; gpioget -c $B twin",
            "gpioget --bias=pull-up door",
            "gpioget -b pull-down door",
            "gpioget -b disabled door",
            "gpioget -b nonsense door",
            "gpioget -b '' door",
            "gpioget --bia pull-up --act door",
            "gpioget --b pull-up door",
            "gpioget -lb pull-up door",
            "gpioget -lbpull-up door",
            "gpioget -p 1ms door; gpioget --hold-period 10us door; gpioget -p 0 door",
            "gpioget -p x door; gpioget -p 1x door",
            "gpioget -a door",
            "gpioget -a 'a long name of a line'",
            "gpioget -c $A 3",
            "gpioget door -l",
            "gpioget -- door",
            "gpioget -- -l",
            "ln -s /dev/$A link; gpioget -c ./link 0; gpioget -c $PWD/link 0; gpioget -c link 0",
            "begin gpioset --banner door=1; gpioget door; stop TERM",
            "gpioget --quiet door",
        ],
        complaints("gpioget", ""),
    ));
}

#[test]
fn gpioset() {
    compare(&all(
        &[
            "begin gpioset --banner door=1; level A 0; level A 1; stop TERM",
            "begin gpioset --banner door=1 relay=active led=on bell=0; level A 0; level B 1; level B 2; stop HUP",
            "begin gpioset --banner -c $A 0=true 1=false '\"a b\"=1'; level A 0; level A 4; stop TERM",
            "begin gpioset --banner -l door=1; level A 0; stop TERM",
            "begin gpioset --banner -b pull-up -d open-source door=0; level A 0; stop TERM",
            "begin gpioset --banner -s relay=1; gpioset relay=0; stop TERM",
            "gpioset -t 1ms,0 door=1; gpioset --toggle 10ms,10ms,0 door=1 bell=0",
            "gpioset -t 0 door=1; echo $?",
            "gpioset -p 10ms -t 1ms,0 door=1; echo $?",
            "begin gpioset --banner -t 20ms door=1; sleep 0.3; gpioinfo door; stop TERM",
            "gpioset -t 1ms,x door=1; gpioset -t x door=1",
            "gpioset -d nonsense door=1; gpioset -b nonsense door=1; gpioset -p nonsense door=1",
            "gpioset door; gpioset door=; gpioset door=2; gpioset '\"door=1'; gpioset =1",
            "gpioset door=1 nope=1 bell=x",
            "gpioset -c $A 3=1",
            "gpioset -z --banner -t 1s,0 door=1; echo $?; gpioinfo door; sleep 2; gpioinfo door",
            "gpioset -z -C daemon relay=1; gpioinfo relay; kill $(pidof gpioset)",
            "gpioset -z nope=1; echo $?",
            "gpioset -z -c $A 3=1; echo $?",
        ],
        complaints("gpioset", "=1"),
    ));
}

#[test]
fn gpionotify() {
    compare(&all(
        &[
            "begin gpionotify --banner -n 2 door; gpioget door >/dev/null; end",
            "begin gpionotify --banner -n 2 --unquoted door bell; gpioget bell >/dev/null; end",
            "begin gpionotify --banner -n 2 -c $A 7; gpioget -c $A 7 >/dev/null; end",
            "begin gpionotify --banner -n 2 -c $A door 1 bell; gpioget bell >/dev/null; end",
            "begin gpionotify --banner -n 2 -c $A 0 7 'a b'; gpioget 'a b' >/dev/null; end",
            "begin gpionotify --banner -n 1 -e released door relay; gpioget relay door >/dev/null; end",
            "begin gpionotify --banner -n 1 --event requested door; gpioget door >/dev/null; end",
            "begin gpionotify --banner -n 1 --utc door; gpioget door >/dev/null; end",
            "begin gpionotify --banner -n 1 --localtime door; gpioget door >/dev/null; end",
            "begin gpionotify --banner -n 1 --localtime --utc door; gpioget door >/dev/null; end",
            "begin gpionotify --banner -q -n 1 door; gpioget door >/dev/null; end",
            "begin gpionotify --banner --silent -n 1 door; gpioget door >/dev/null; end",
            "begin gpionotify --banner -n 2 -F '%o %l %c %e %E' door; gpioget door >/dev/null; end",
            "begin gpionotify --banner -n 2 -F '%a,%C' door; gpioget -b pull-up -C me door >/dev/null; end",
            "begin gpionotify --banner -n 2 -F '%S %U %L' door; gpioget door >/dev/null; end",
            "begin gpionotify --banner -n 1 -F '%% %x %' door; gpioget door >/dev/null; end",
            "begin gpionotify --banner -n 1 -F '' door; gpioget door >/dev/null; end",
            "begin gpionotify --banner -n 1 -F '%l\\n' -c $A 7; gpioget -c $A 7 >/dev/null; end",
            "gpionotify --idle-timeout 10ms door; echo $?",
            "gpionotify --banner --idle-timeout 10ms door bell relay; echo $?",
            "begin gpionotify --banner door; stop TERM",
            "begin gpionotify --banner door; stop HUP",
            "gpionotify -e nonsense door; gpionotify -n x door; gpionotify -n -1 door; gpionotify --idle-timeout x door",
        ],
        complaints("gpionotify", ""),
    ));
}

/// Lines named by the offsets of other lines, as in libgpiod's own test suite.
#[test]
fn offsets_and_names_that_are_swapped() {
    let script = |tool: &str| {
        format!(
            "d=/sys/kernel/config/gpio-sim/swapped; mkdir -p $d/bank0/line1 $d/bank0/line6; echo 8 >$d/bank0/num_lines; \
             echo 6 >$d/bank0/line1/name; echo 1 >$d/bank0/line6/name; echo 1 >$d/live; E=$(cat $d/bank0/chip_name); \
             E_SYS=/sys/devices/platform/$(cat $d/dev_name)/$E; {tool}; echo 0 >$d/live; \
             rmdir $d/bank0/line1 $d/bank0/line6 $d/bank0 $d"
        )
    };
    let edges = "pull E 6 up; pull E 1 up; sleep 0.2; stop TERM";
    let scripts = [
        "gpioinfo -c $E 1 6; gpioinfo --by-name -c $E 1; gpioinfo 6 1; gpioinfo -s -c $E 1 6; gpioinfo -s 1".to_owned(),
        "pull E 1 up; gpioget -c $E 1 6; gpioget --by-name -c $E 1 6; gpioget 1 6".to_owned(),
        "begin gpioset --banner -c $E 6=1 1=0; level E 1; level E 6; stop TERM".to_owned(),
        "begin gpioset --banner --by-name -c $E 6=1 1=0; level E 1; level E 6; stop TERM".to_owned(),
        format!("begin gpiomon --banner -c $E 1; {edges}"),
        format!("begin gpiomon --banner --by-name -c $E 1; {edges}"),
        "begin gpionotify --banner -n 2 -c $E 1; gpioget -c $E 6 1; end".to_owned(),
        "begin gpionotify --banner -n 2 --by-name -c $E 1; gpioget -c $E 1 6; end".to_owned(),
        "begin gpiomon --banner -n 3 -F %o -c $E 1 3 2 5 4; pull E 2 up; pull E 3 up; pull E 4 up; end".to_owned(),
        "begin gpionotify --banner -n 4 -c $E 3 4; gpioget -c $E 4; gpioget -c $E 3; end".to_owned(),
        "begin gpioset --banner -t 300ms,0 -p 300ms -c $E 1=1 4=0; level E 1; level E 4; end; gpioinfo -c $E 1 4"
            .to_owned(),
    ];
    compare(&scripts.iter().map(|tool| script(tool)).collect());
}

/// Debian builds gpioset without --interactive: so these are the cases of libgpiod's own suite, on lines that are set.
#[test]
fn gpioset_takes_commands() {
    let Some(bench) = bench() else { return };
    let script = "mkfifo in; gpioset -i door=1 bell=0 'a b=0' <in >out & tool=$!; exec 3>in; \
                  level() { sleep 0.2; eval \"cat \\$$1_SYS/sim_gpio$2/value\"; }; \
                  level A 0; level A 1; echo 'set bell=active' >&3; level A 1; echo toggle >&3; level A 0; level A 1; \
                  level A 4; echo 'toggle \"a b\"' >&3; level A 4; echo get >&3; echo 'get bell' >&3; \
                  echo 'sleep 300ms' >&3; echo exit >&3; wait $tool; echo $?; sed 's/gpioset> //g' out";
    let said = bench.run(OURS, script);
    let printed = "\"door\"=inactive \"bell\"=inactive \"a b\"=inactive\n\"bell\"=inactive\n";
    let levels = ["1\n0\n", "1\n", "0\n0\n1\n", "0\n"].concat();
    assert_eq!((said.out, said.err), (format!("{levels}0\n{printed}"), String::new()));
}

/// The script makes the chip that it removes.
#[test]
fn when_a_chip_goes() {
    let script = |tool: &str| {
        format!(
            "d=/sys/kernel/config/gpio-sim/gone; mkdir -p $d/bank0; echo 4 >$d/bank0/num_lines; echo 1 >$d/live; \
             G=$(cat $d/bank0/chip_name); begin {tool}; echo 0 >$d/live; end; rmdir $d/bank0 $d"
        )
    };
    let scripts = ["gpioset --banner -c $G 0=1", "gpiomon --banner -c $G 0", "gpionotify --banner -c $G 0"];
    compare(&scripts.into_iter().map(script).collect());
}

#[test]
fn in_the_background_and_by_its_name() {
    let environment = r"tr '\0' '\n' </proc/$p/environ | grep -v -e ^PATH= -e ^_= | sort";
    compare(&all(
        &[
            "begin gpioset --banner door=1; killall gpioset; end 2>/dev/null; gpioinfo door",
            "gpioset -z door=1; gpioinfo door; pidof gpioset | wc -w; killall gpioset; sleep 0.3; gpioinfo door",
            "gpioset -z door=1; p=$(pidof gpioset); cat /proc/$p/comm; ls -l /proc/$p/fd | grep -c null; readlink /proc/$p/cwd",
            &format!("gpioset -z door=1; p=$(pidof gpioset); {environment}"),
            "unshare -m sh -c 'umount -l /proc; gpioset -z --banner door=1; echo $?'; gpioinfo door; killall gpioset",
            "gpioset --banner door=1 >/dev/full & tool=$!; sleep 0.5; level A 0; kill $tool; wait $tool; echo $?",
        ],
        Vec::new(),
    ));
}

/// There is no time zone database in the guest.
#[test]
fn local_time_by_a_rule() {
    let script = |zone: &str| {
        format!(
            "begin env TZ='{zone}' gpiomon -n 1 --banner -E realtime -F '%L %U' door; pull A 0 up; end >all; \
             sed -n 's/.*T\\(..\\):.*T\\(..\\):.*/\\1 \\2/p' all | awk '{{print ($2 - $1 + 24) % 24}}'"
        )
    };
    let zones = ["EST5EDT", "EST5EDT,M1.1.0,M12.5.0", "XYZ-7", "<-02>2", "No/Where", "", ":EST5EDT"];
    compare(&zones.into_iter().map(script).collect());
}

/// A file in /dev with a chip's name that is no chip is ignored, and `doctor` says so.
#[test]
fn a_name_like_that_of_a_chip_is_no_chip() {
    let Some(bench) = bench() else { return };
    let script = format!(
        ": >/dev/gpiochip90; mkfifo /dev/gpiochip91; mkdir /dev/gpiochip92; \
         for name in 90 gpiochip91 /dev/gpiochip92; do \
           {LINEWAKE} get -c $name 0; {LINEWAKE} set -c $name 0=1; {LINEWAKE} mon -c $name 0; \
           {LINEWAKE} info -c $name; {LINEWAKE} detect $name; done; \
         {LINEWAKE} detect; {LINEWAKE} doctor | grep gpiochip9; \
         rm -r /dev/gpiochip90 /dev/gpiochip91 /dev/gpiochip92"
    );
    let said = bench.run(OURS, &script);
    assert_eq!(said.code, Some(0));
    for (what, name) in [("a plain file", 90), ("no character device", 91), ("a directory", 92)] {
        let refused = format!("\"/dev/gpiochip{name}\" is {what}, and no gpiochip; there are \"");
        assert_eq!(said.err.lines().filter(|line| line.contains(&refused)).count(), 5, "{}", said.err);
    }
    let found: Vec<_> = said.out.lines().collect();
    assert!(!found.iter().any(|line| line.starts_with("gpiochip9")), "{found:?}");
    for line in [
        "! /dev/gpiochip90 is a plain file, not a gpiochip, and is ignored; remove it",
        "! /dev/gpiochip91 is a pipe, not a gpiochip, and is ignored; remove it",
        "! /dev/gpiochip92 is a directory, not a gpiochip, and is ignored; remove it",
    ] {
        assert!(found.contains(&line), "{found:?}");
    }
}

/// Not in libgpiod: the processes that hold lines, as far as /proc shows them.
#[test]
fn doctor_names_the_processes_that_hold_lines() {
    let Some(bench) = bench() else { return };
    let script = format!(
        "begin gpiomon --banner -C watchman door relay; echo $tool; \
         {LINEWAKE} doctor | grep -e 'is held by' -e 'without a process'; stop TERM"
    );
    let said = bench.run(OURS, &script);
    let mut lines = said.out.lines();
    let process = lines.next().unwrap();
    let has = |parts: &[&str]| said.out.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    let holder = format!("is held by \"watchman\" (process {process}, \"gpiomon\")");
    for line in [" 0 \"door\" ", " 1 \"relay\" "] {
        assert!(has(&[line, &holder]), "{}{}", said.out, said.err);
    }
    assert!(
        has(&["\"held\" is held by \"a hog\" (the kernel: a driver, or a hog of the device tree)"]),
        "{}",
        said.out
    );
    assert!(!has(&["without a process"]), "root sees all processes: {}", said.out);
}

/// Not in libgpiod: answers to the syntax of its version 1 and to a bare label, and for a line that a hog holds.
#[test]
fn linewake_says_how_chips_are_named_and_that_the_kernel_holds_a_hog() {
    let Some(bench) = bench() else { return };
    for (script, told) in [
        ("mon $A 0", "linewake: \"$A\" is a chip, not a line; name the chip with -c: \"-c $A 0\""),
        ("get /dev/$A 0 1", "name the chip with -c: \"-c /dev/$A 0 1\""),
        ("set $A 0=1", "linewake: \"$A\" is a chip, not a line; name the chip with -c: \"-c $A 0=1\""),
        ("mon alpha 0", "linewake: \"alpha\" is a chip, not a line; name the chip with -c: \"-c label:alpha 0\""),
        (
            "mon 0 1",
            "linewake: cannot find line \"0\": a number is an offset on one chip; write \"-c CHIP 0\" or \"CHIP:0\"",
        ),
        ("mon -c alpha 0", "linewake: \"alpha\" is the label of the chip \"$A\": \"label:alpha\" opens it"),
        ("mon -c $A 3", "line 3 (\"held\") of chip \"$A\" is held by the kernel as \"a hog\": by a driver or a hog"),
        ("get -c $A 6", "of chip \"$A\" is held by the kernel as \"another\": by a driver or a hog of the device tree"),
    ] {
        let said = bench.run(OURS, &format!("{LINEWAKE} {script}; echo \"ended with $?\"; echo \"$A\""));
        let chip = said.out.lines().last().unwrap();
        let told = told.replace("$A", chip);
        assert!(
            said.out.starts_with("ended with 1\n") && said.err.contains(&told),
            "{script}: {}{}",
            said.out,
            said.err
        );
    }
}
