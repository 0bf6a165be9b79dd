//! A long watch takes no more memory after a year than after a day.
#![cfg(target_os = "linux")]

mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::linewake;

/// Ten edges a second on two lines; before every seventh, two are lost. It stops at PART until a file is there.
const PROGRAM: &str = r#"echo "lines door=0 bell=0"
exec awk -v part=PART -v all=ALL -v go="$0.go" 'BEGIN {
    for (i = 1; i <= all; i++) {
        line = i % 2
        number[line] = (number[line] + 1 + 2 * (i % 7 == 0)) % 4294967296
        level[line] = !level[line]
        printf "%d00000000 %d %d %.0f\n", i, line, level[line], number[line]
        if (i == part || i == all) {
            fflush()
            while ((getline said < (i == part ? go : go "2")) < 0) system("sleep 0.1")
        }
    }
}'
"#;

/// The anonymous memory of a process, in KiB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    // A process that has ended has no memory.
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or("0 kB");
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// Waits until a file stops growing.
fn until_quiet(path: &Path) {
    let (mut last, mut since) = (size(path), Instant::now());
    while last < 1000 || since.elapsed() < Duration::from_millis(700) {
        std::thread::sleep(Duration::from_millis(50));
        let now = size(path);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < Duration::from_secs(30), "nothing is written");
    }
}

/// A quarter of a day, by default. For a year, with 20 GB on the disk and a quarter of an hour:
/// `LINEWAKE_DAYS=365 cargo test --release -p linewake-cli --test year -- --nocapture`.
#[test]
fn losses_take_no_memory_in_any_output() {
    let days: f64 = std::env::var("LINEWAKE_DAYS").map_or(0.25, |days| days.parse().unwrap());
    let all = (days * 864_000.0) as u64;
    let directory = std::env::temp_dir().join(format!("linewake-{}-year", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str| directory.join(name);
    let part = if days > 1.0 { 864_000 } else { all / 10 };
    let program = PROGRAM.replace("PART", &part.to_string()).replace("ALL", &all.to_string());
    std::fs::write(file("year.sh"), program).unwrap();
    if days > 30.0 {
        // They would take a hundred gigabytes.
        ["year.jsonl", "year.csv"].iter().for_each(|name| std::os::unix::fs::symlink("/dev/null", file(name)).unwrap());
    }
    let mut child = linewake(&["mon", "-q", "-c", "exec:sh year.sh", "--json=year.jsonl", "--csv=year.csv"])
        .args(["--vcd", "year.vcd"])
        .current_dir(&directory)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until_quiet(&file("year.vcd"));
    let after_a_part = memory(child.id());
    std::fs::write(file("year.sh.go"), "").unwrap();
    until_quiet(&file("year.vcd"));
    let at_the_end = memory(child.id());
    let ended = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(ended.success());
    let mut peak = at_the_end;
    let status = loop {
        peak = peak.max(memory(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    println!(
        "{part} edges: {after_a_part} KiB; {all} edges: {at_the_end} KiB; while the waveform is completed: {peak} KiB"
    );
    println!("{said}");
    assert!(said.contains(&format!("2 lines: {all} edges delivered, ")), "{said}");
    let text = std::io::BufReader::new(std::fs::File::open(file("year.vcd")).unwrap());
    let spans = std::io::BufRead::lines(text).map_while(Result::ok).filter(|line| line.starts_with('x')).count() as u64;
    std::fs::remove_dir_all(&directory).unwrap();
    assert!((all / 7 - 1..=all / 7 + 1).contains(&spans), "each loss is a span of the waveform: {spans} of {all}");
    assert!(at_the_end < after_a_part + 512, "{after_a_part} KiB, and {at_the_end} KiB");
    assert!(peak < after_a_part + 1024, "{after_a_part} KiB, and {peak} KiB while the waveform is completed");
}
