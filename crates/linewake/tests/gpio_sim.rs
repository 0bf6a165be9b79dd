//! Gpiochips of the kernel's gpio-sim in the virtual machine: what every chip must do, and what only gpiochips do.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/gpio.rs"]
mod gpio;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gpio::GpioSim;
use linewake::{
    Bias, Chip, Direction, Drive, EdgeEvent, EdgeKind, Edges, ErrorKind, EventClock, Figures, InfoEventKind,
    LineConfig, Request, Trust,
};
use test_support::conformance::Bench as _;
use test_support::{conformance, every_chip_test, replug};

macro_rules! on_gpio_sim {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            if let Some(bench) = GpioSim::new(10) {
                conformance::$name(&bench);
            }
        })*
    };
}

every_chip_test!(on_gpio_sim);

fn next(request: &mut Request) -> EdgeEvent {
    request.wait_next_timeout(Duration::from_secs(20)).expect("the stream goes on").unwrap()
}

fn rest(request: &mut Request) -> Vec<EdgeEvent> {
    request.stopper().stop();
    std::iter::from_fn(|| request.wait_next()).map(|edge| edge.unwrap()).collect()
}

/// Runs a test of this program in another process.
fn another_process(test: &str, chip: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env("LINEWAKE_TEST_CHIP", chip).stdin(Stdio::piped());
    command
}

#[test]
fn a_chip_goes_by_name_number_path_link_and_label() {
    let Some(bench) = GpioSim::new(10) else { return };
    let path = bench.path();
    let name = path.strip_prefix("/dev/").unwrap().to_owned();
    let link = format!("/dev/a-link-to-{name}");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let label = format!("label:{}", bench.label());
    for spec in [&name, name.strip_prefix("gpiochip").unwrap(), &path, &link, &label] {
        let chip = Chip::open(spec).unwrap();
        let info = chip.info();
        assert_eq!((&*info.name, &*info.label, info.lines), (&*name, bench.label(), 10), "{spec}");
        assert_eq!(info.path.as_deref(), Some(&*path));
        assert_eq!((chip.find("bell").unwrap(), chip.clock().name), (3.into(), linewake::ClockName::Monotonic));
    }
    std::fs::remove_file(link).unwrap();
    let error = Chip::open("label:no such chip").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownChip);
    let said = error.to_string();
    assert!(said.contains(&format!("\"{name}\" (\"{}\", 10 lines)", bench.label())), "{said}");
    let error = Chip::open("gpiochip999").unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
}

#[test]
fn a_label_of_several_chips_opens_none() {
    if GpioSim::new(1).is_none() {
        return;
    }
    let twin = || gpiosim::builder().with_bank(&gpiosim::Bank::new(1, "twins")).live().unwrap();
    let _twins = (twin(), twin());
    let error = Chip::open("label:twins").unwrap_err();
    assert!(error.to_string().contains("several chips"), "{error}");
}

#[test]
fn the_kernel_reports_the_requested_settings() {
    let Some(bench) = GpioSim::new(10) else { return };
    let chip = bench.open();
    let before = chip.line_info("door").unwrap();
    assert!(!before.used && before.consumer.is_none() && before.direction == Direction::Input);
    let asked = [
        LineConfig::watch(Edges::Both).active_low(true).bias(Bias::PullUp),
        LineConfig::watch(Edges::Rising).bias(Bias::PullDown).clock(EventClock::Realtime),
        LineConfig::watch(Edges::Falling).debounce(Duration::from_micros(1500)),
        LineConfig::input().bias(Bias::Disabled),
        LineConfig::output(true).drive(Drive::OpenDrain),
        LineConfig::output(false).drive(Drive::OpenSource).active_low(true),
        LineConfig::as_is(),
    ];
    let mut request = chip.request().consumer("a name that is longer than the kernel's 31 bytes");
    for (offset, config) in (0..).zip(asked) {
        request = request.line_with(offset, config);
    }
    let held = request.start().unwrap();
    for (line, asked) in chip.lines().unwrap().iter().zip(asked) {
        assert!(line.used, "{line:?}");
        assert_eq!(line.consumer.as_deref(), Some("a name that is longer than the "));
        assert_eq!(line.direction, asked.direction.unwrap_or(Direction::Input));
        let mut expected = asked;
        (expected.direction, expected.output) = (None, None);
        assert_eq!(line.config, expected, "line {}", line.offset);
    }
    // An open drain that nothing pulls up stays low, and reports low.
    assert_eq!(held.values().unwrap()[4..6], [false, false]);
    bench.drive(&chip, 4, true);
    assert_eq!(held.values().unwrap()[4..6], [true, false]);
    drop(held);
    assert!(!chip.line_info("door").unwrap().used);
}

#[test]
fn more_settings_than_the_kernel_keeps_are_refused() {
    let Some(bench) = GpioSim::new(32) else { return };
    let chip = bench.open();
    let request = |lines: u32| {
        (0..lines).fold(chip.request(), |request, line| {
            let period = Duration::from_millis(u64::from(line) + 1);
            request.line_with(line, LineConfig::watch(Edges::Both).debounce(period))
        })
    };
    assert_eq!(request(10).start().unwrap().lines().len(), 10);
    let error = request(11).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("10 different settings") && error.to_string().contains("has 11"), "{error}");
}

#[test]
fn a_full_queue_drops_the_oldest_and_the_numbers_tell() {
    let Some(bench) = GpioSim::new(10) else { return };
    let chip = bench.open();
    const EDGES: u32 = 6000;
    let mut request = chip.request().line(0).queue_size(16).start().unwrap();
    bench.hands(1).flood(EDGES);
    let seen = rest(&mut request);
    assert!(seen.len() < EDGES as usize / 2);
    let mut line_seqno = 0;
    for edge in &seen {
        assert_eq!(edge.missed.overflowed, edge.line_seqno - line_seqno - 1);
        line_seqno = edge.line_seqno;
    }
    assert_eq!(line_seqno, EDGES, "the newest stay");
    let account = request.finish();
    let delivered = seen.len() as u64;
    assert_eq!(account.total(), Figures { delivered, overflowed: u64::from(EDGES) - delivered, ..Figures::default() });
    assert_eq!(account.trust(), Trust::AtLeast);
}

#[test]
fn edges_that_nobody_takes_are_discarded() {
    let Some(bench) = GpioSim::new(10) else { return };
    let chip = bench.open();
    for taken in [0, 1, 7] {
        let mut request = chip.request().lines([0, 3]).queue_size(256).start().unwrap();
        bench.toggle_all(&chip, &[(0, 100), (3, 100)]);
        for _ in 0..taken {
            next(&mut request);
        }
        let expected = Figures { delivered: taken, discarded: 200 - taken, ..Figures::default() };
        assert_eq!(request.finish().total(), expected);
    }
}

#[test]
fn a_request_can_have_any_number_of_lines() {
    let Some(bench) = GpioSim::new(512) else { return };
    let chip = bench.open();
    let hands = bench.hands(512);
    for lines in [1, 2, 64, 65, 512] {
        let mut request = chip.request().lines(0..lines).start().unwrap();
        assert_eq!(request.lines().len(), lines as usize);
        assert!(request.lines().iter().all(|line| line.active_at_start == Some(false)));
        (0..lines).for_each(|line| hands.pull(line, true));
        assert!(request.values().unwrap().iter().all(|&active| active));
        (0..lines).for_each(|line| hands.pull(line, false));
        let mut seen: Vec<_> = (0..2 * lines).map(|_| next(&mut request)).collect();
        assert!(request.wait_next_timeout(Duration::ZERO).unwrap().is_err());
        seen.sort_by_key(|edge| edge.timestamp_ns);
        let expected = (0..2 * lines).map(|edge| match edge.checked_sub(lines) {
            None => (edge, EdgeKind::Rising),
            Some(line) => (line, EdgeKind::Falling),
        });
        assert!(seen.iter().map(|edge| (edge.offset.get(), edge.kind)).eq(expected));
        let total = Figures { delivered: u64::from(2 * lines), ..Figures::default() };
        assert_eq!(request.finish().total(), total);
    }
}

#[test]
fn a_held_line_is_busy_and_the_error_names_the_holder() {
    let Some(bench) = GpioSim::new(10) else { return };
    let chip = bench.open();
    let name = chip.info().name.clone();
    let mine = chip.request().line("door").consumer("doorman").start().unwrap();
    let error = chip.request().lines(["bell", "door"]).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    let said = error.to_string();
    assert!(
        said.contains(&format!(r#"line 0 ("door") of chip "{name}" is held by "doorman", which is this process"#)),
        "{said}"
    );
    assert!(!chip.line_info("bell").unwrap().used, "nothing is held");
    drop(mine);

    let mut other = another_process("somebody_else_holds_a_line", &bench.path()).stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !chip.line_info("door").unwrap().used {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
    let said = chip.value("door").unwrap_err().to_string();
    assert!(said.contains(&format!(r#"is held by "somebody" (process {}, ""#, other.id())), "{said}");
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    assert!(chip.request().line("door").start().is_ok());
}

/// This is not a test; `another_process` runs it.
#[test]
fn somebody_else_holds_a_line() {
    let Ok(chip) = std::env::var("LINEWAKE_TEST_CHIP") else { return };
    let _held = Chip::open(&chip).unwrap().request().line("door").consumer("somebody").start().unwrap();
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn the_error_without_access_says_how_to_get_it() {
    let Some(bench) = GpioSim::new(10) else { return };
    let path = bench.path();
    let said_to = |user: u32| {
        let output = another_process("somebody_may_not_open_a_chip", &path).uid(user).gid(user).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = said_to(65534);
    assert!(said.contains(&path) && said.contains("/etc/udev/rules.d/") && said.contains(r#"GROUP="gpio""#), "{said}");
    std::os::unix::fs::chown(&path, None, Some(997)).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o660)).unwrap();
    std::fs::create_dir_all("/etc").unwrap();
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    std::fs::write("/etc/group", format!("{groups}gpio:x:997:\n")).unwrap();
    let said = said_to(65534);
    std::fs::write("/etc/group", groups).unwrap();
    assert!(said.contains(r#"group "gpio": "sudo usermod -aG gpio $USER""#), "{said}");
}

/// This is not a test; `another_process` runs it.
#[test]
fn somebody_may_not_open_a_chip() {
    let Ok(chip) = std::env::var("LINEWAKE_TEST_CHIP") else { return };
    println!("{}", Chip::open(&chip).unwrap_err());
}

#[test]
fn unplugging_loses_what_is_queued_and_the_chip_is_found_again() {
    let Some(bench) = GpioSim::new(10) else { return };
    let chip = bench.open();
    let mut request = chip.request().line(0).queue_size(1024).start().unwrap();
    let hands = bench.hands(1);
    hands.flood(2001);
    drop(hands);
    // More edges than are read ahead of the program. The others stay in the kernel.
    bench.pull_the_plug();
    let mut delivered = 0;
    let error = loop {
        match request.wait_next_timeout(Duration::from_secs(20)).expect("it ends with an error") {
            Ok(_) => delivered += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_disconnected(), "{error}");
    assert!(error.to_string().contains(&format!("\"/dev/{}\"", chip.info().name)), "not a number of a file: {error}");
    assert!(request.wait_next().is_none());
    assert!(request.values().unwrap_err().is_disconnected());
    let account = request.finish();
    assert_eq!((account.total().delivered, account.trust()), (delivered, Trust::AtLeast));
    assert!(account.doubt().unwrap().is_disconnected());

    let error = chip.reopen().unwrap_err();
    assert!(error.is_disconnected(), "{error}");
    // Another chip that now has its number has another label.
    let _other = GpioSim::new(1).unwrap();
    bench.plug();
    let again = chip.reopen().unwrap();
    assert_eq!((&again.info().label, again.info().lines), (&chip.info().label, 10));
    let mut request = again.request().line(0).start().unwrap();
    bench.toggle(&again, 0, 1);
    assert_eq!(next(&mut request).line_seqno, 1);
}

#[test]
fn a_monitor_survives_a_replug_in_the_middle_of_a_flood() {
    let Some(bench) = GpioSim::new(10) else { return };
    replug::a_monitor_survives_a_replug_in_the_middle_of_a_flood(&bench);
}

#[test]
fn the_kernel_debounces_and_stamps_the_end_of_the_quiet_period() {
    let Some(bench) = GpioSim::new(10) else { return };
    let chip = bench.open();
    let period = Duration::from_millis(50);
    let mut request = chip.request().line(0).debounce(period).start().unwrap();
    let hands = bench.hands(1);
    // Repeat until no bounce was cut in two: the guest may have stopped for longer than the period.
    let began_ns = loop {
        let began = Instant::now();
        let offset_ns = request.chip().clock().utc.unwrap().offset_ns;
        let utc_ns = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as i64;
        hands.flood(11);
        if began.elapsed() < period / 2 {
            break (utc_ns - offset_ns) as u64;
        }
        thread::sleep(period * 2);
        hands.pull(0, false);
        thread::sleep(period * 2);
        while request.wait_next_timeout(Duration::ZERO).unwrap().is_ok() {}
    };
    let edge = next(&mut request);
    assert_eq!(edge.kind, EdgeKind::Rising);
    assert!(edge.timestamp_ns >= began_ns + period.as_nanos() as u64, "{} {began_ns}", edge.timestamp_ns);
    assert!(request.wait_next_timeout(period * 4).unwrap().unwrap_err().is_timeout(), "one edge out of eleven");
}

#[test]
fn edges_are_stamped_by_the_clock_that_was_asked_for() {
    let Some(bench) = GpioSim::new(10) else { return };
    let chip = bench.open();
    let mut request = chip.request().line(0).clock(EventClock::Realtime).start().unwrap();
    let before = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    bench.toggle(&chip, 0, 1);
    let stamp = next(&mut request).timestamp_ns;
    assert!(stamp >= before && stamp <= std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    drop(request);
    let error = chip.request().line(0).clock(EventClock::Hte).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn events_report_who_requests_and_releases_lines() {
    let Some(bench) = GpioSim::new(10) else { return };
    let chip = bench.open();
    let mut watch = chip.watch_info(["door", "bell"]).unwrap();
    let mut request = chip.request().lines([0, 1]).consumer("doorman").start().unwrap();
    request.reconfigure([(0, LineConfig::watch(Edges::Rising))]).unwrap();
    drop(request);
    let mut seen = Vec::new();
    while seen.last() != Some(&(0, InfoEventKind::Released)) {
        let event = watch.wait_next_timeout(Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(&event.chip, &chip.info().name);
        if event.kind != InfoEventKind::Released {
            assert!(event.line.used && event.line.consumer.as_deref() == Some("doorman"), "{event:?}");
        }
        seen.push((event.line.offset.get(), event.kind));
    }
    // The second event is the start of the watch: see the kernel's documentation of how to begin a watch without a
    // race.
    use InfoEventKind::{Reconfigured, Released, Requested};
    assert_eq!(seen, [(0, Requested), (0, Reconfigured), (0, Reconfigured), (0, Released)]);
    bench.pull_the_plug();
    let end = watch.wait_next_timeout(Duration::from_secs(20)).unwrap().unwrap_err();
    assert!(end.is_disconnected(), "{end}");
}

#[test]
fn a_witness_is_a_free_line_that_makes_the_kernel_count_interrupts() {
    let Some(bench) = GpioSim::new(3) else { return };
    let chip = bench.open();
    let alone = chip.request().line(0).start().unwrap();
    assert_eq!(alone.witnesses().count(), 0);
    drop(alone);
    let other = chip.request().line(2).start().unwrap();
    let mut watched = chip.request().line(0).witness(true).start().unwrap();
    assert_eq!(watched.witnesses().collect::<Vec<_>>(), [1.into()]);
    assert_eq!(watched.values().unwrap().len(), 1);
    bench.toggle_all(&chip, &[(0, 3), (1, 5)]);
    let seen = rest(&mut watched);
    assert!(seen.iter().map(|edge| (edge.offset.get(), edge.seqno)).eq([(0, 1), (0, 2), (0, 3)]));
    // If no line is free, there is no witness.
    let third = chip.request().line(1).start().unwrap_err();
    assert_eq!(third.kind(), ErrorKind::Busy);
    drop((watched, other));
    let both = chip.request().lines([1, 2]).start().unwrap();
    assert_eq!(chip.request().line(0).witness(true).start().unwrap().witnesses().count(), 0);
    drop(both);
}
