//! Devices of the Linux kernel with profiles of the gallery, in the virtual machine. Each edge of a device is reported,
//! and no other; missing edges are counted.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "kernel_devices/comedi.rs"]
mod comedi;
#[path = "kernel_devices/edu.rs"]
mod edu;
#[path = "kernel_devices/hid.rs"]
mod hid;
#[path = "kernel_devices/input.rs"]
mod input;
#[path = "kernel_devices/port.rs"]
mod port;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use linewake::profile::Profile;
use linewake::{Chip, EdgeEvent, EdgeKind, Figures, Request};
use overlapped::Device;
use port::Port;
use test_support::cards::Card;
use test_support::stream::{next, until_quiet};

/// Runs one test at a time, because they share the virtual machine. Outside of it, prints a note and returns `None`.
fn machine() -> Option<MutexGuard<'static, ()>> {
    static MACHINE: Mutex<()> = Mutex::new(());
    if std::env::var_os("LINEWAKE_VM").is_none() {
        println!("skipped: LINEWAKE_VM is not set (`cargo xtask test --only vm` sets it, where there are the devices)");
        return None;
    }
    Some(MACHINE.lock().unwrap_or_else(PoisonError::into_inner))
}

fn command(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Loaded drivers. They are unloaded when this is dropped.
struct Modules(Vec<&'static str>);

impl Modules {
    fn load(modules: &[(&'static str, &str)]) -> Self {
        let mut loaded = Self(Vec::new());
        for (name, parameters) in modules {
            let file = format!("/modules/{name}.ko");
            let words: Vec<_> = [&*file].into_iter().chain(parameters.split_whitespace()).collect();
            command("insmod", &words);
            loaded.0.push(name);
        }
        loaded
    }
}

impl Drop for Modules {
    fn drop(&mut self) {
        for name in self.0.iter().rev() {
            // Another program may keep a device open for a moment longer.
            let deadline = Instant::now() + Duration::from_secs(10);
            while !Command::new("rmmod").arg(name).output().unwrap().status.success() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn until_there(path: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !Path::new(path).exists() {
        assert!(Instant::now() < deadline, "{path} does not come");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A chip of the gallery, with another device in the text of its profile.
fn chip(name: &str, text: &str, device: Option<(&str, &str)>) -> Chip {
    let text = device.map_or_else(
        || text.to_owned(),
        |(from, to)| {
            assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}");
            text.replace(from, to)
        },
    );
    let path = format!("/tmp/{name}.toml");
    fs::write(&path, text).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match Chip::options().allow_writes(true).open(&format!("profile:{path}")) {
            // The system creates the device file a moment later.
            Err(error) if error.is_disconnected() && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(20));
            }
            chip => return chip.unwrap(),
        }
    }
}

macro_rules! gallery {
    ($name:literal $(, $from:expr => $to:expr)?) => {
        chip($name, include_str!(concat!("../../../profiles/", $name, ".toml")), None $(.or(Some(($from, $to))))?)
    };
}

/// Takes edges until this many have happened, with those that are missing before others, and checks that no more come.
/// Returns the line, and whether it rose.
fn edges(request: &mut Request, happened: u64) -> Vec<(u32, bool)> {
    counted(request, happened).iter().map(|edge| (edge.offset.get(), edge.kind == EdgeKind::Rising)).collect()
}

fn counted(request: &mut Request, happened: u64) -> Vec<EdgeEvent> {
    let (mut edges, mut sum) = (Vec::new(), 0);
    while sum < happened {
        let edge = next(request);
        sum += 1 + edge.missed.total();
        edges.push(edge);
    }
    assert_eq!((sum, all(request).len()), (happened, 0), "{edges:?}");
    edges
}

/// Takes edges until none comes for a while.
fn all(request: &mut Request) -> Vec<EdgeEvent> {
    until_quiet(request, Duration::from_millis(500))
}

fn wait(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

/// Prints for the log what happened to the edges.
fn figures(what: &str, request: Request) -> Figures {
    let account = request.finish();
    println!("{what}: {:?}, {:?}", account.total(), account.trust());
    account.total()
}

fn delivered(count: u64) -> Figures {
    Figures { delivered: count, ..Figures::default() }
}

#[test]
fn a_key_that_is_held_is_two_edges_however_often_it_repeats() {
    const POWER: u16 = 116;
    const OTHER: u16 = 30;
    let Some(_machine) = machine() else { return };
    let keyboard = input::Made::new("a keyboard", &[(input::KEY, &[POWER, OTHER]), (input::REP, &[])]);
    // A device with another name.
    let _other = input::Made::new("another keyboard", &[(input::KEY, &[POWER])]);
    let chip = gallery!("evdev-keys", "\"gpio-keys\"" => "\"a keyboard\"");
    let mut power = chip.request().lines(["power", "f1"]).start().unwrap();
    keyboard.send(input::KEY, POWER, 1);
    keyboard.send(input::KEY, OTHER, 1);
    keyboard.send(input::KEY, OTHER, 0);
    // The kernel repeats the last key that went down.
    keyboard.send(input::KEY, POWER, 0);
    keyboard.send(input::KEY, POWER, 1);
    let held = 1000;
    wait(held);
    keyboard.send(input::KEY, POWER, 0);
    let told = counted(&mut power, 4);
    let kinds: Vec<_> = told.iter().map(|edge| (edge.name.as_deref(), edge.kind == EdgeKind::Rising)).collect();
    assert_eq!(kinds, [true, false, true, false].map(|rising| (Some("power"), rising)));
    let time = Duration::from_nanos(told[3].timestamp_ns - told[2].timestamp_ns);
    assert!(time >= Duration::from_millis(held - 20) && time < Duration::from_millis(held + 2000), "{time:?}");
    assert_eq!(figures("evdev, keys", power), delivered(4));
}

#[test]
fn edges_that_the_kernel_drops_are_reported() {
    const POWER: u16 = 116;
    let Some(_machine) = machine() else { return };
    let keyboard = input::Made::new("an unread keyboard", &[(input::KEY, &[POWER])]);
    let chip = gallery!("evdev-keys", "\"gpio-keys\"" => "\"an unread keyboard\"");
    let mut power = chip.request().line("power").start().unwrap();
    // More edges than can be on their way, and then more than fit into the kernel's queue.
    let driven = 2 * 1500;
    for _ in 0..driven / 2 {
        keyboard.send(input::KEY, POWER, 1);
        keyboard.send(input::KEY, POWER, 0);
    }
    let told = all(&mut power);
    assert!(told.len() < driven as usize, "{} of {driven}", told.len());
    // Edges alternate, or the missing edges are between them.
    let same = told.windows(2).filter(|two| two[0].kind == two[1].kind).count() as u64;
    let account = power.finish();
    let doubt = account.doubt().map(ToString::to_string);
    println!("evdev, unread: {:?} of {driven}, {doubt:?}", account.total());
    assert_eq!((account.total().delivered, account.total().lost()), (told.len() as u64, same));
    assert!(doubt.is_some_and(|doubt| doubt.contains("lost records")));
}

#[test]
fn a_switch_is_as_it_is_when_a_watch_begins() {
    const LID: u16 = 0;
    const DOCK: u16 = 5;
    let Some(_machine) = machine() else { return };
    let switches = input::Made::new("a lid", &[(input::SW, &[LID, DOCK, 2])]);
    switches.send(input::SW, LID, 1);
    let chip = gallery!("evdev-switches", "\"Lid Switch\"" => "\"a lid\"");
    assert_eq!(chip.values(["lid", "dock"]).unwrap(), [true, false]);
    let mut watch = chip.request().lines(["lid", "dock"]).start().unwrap();
    assert_eq!(watch.lines().iter().map(|line| line.active_at_start).collect::<Vec<_>>(), [Some(true), Some(false)]);
    for (code, value) in [(LID, 0), (2, 1), (DOCK, 1), (LID, 1), (LID, 1)] {
        switches.send(input::SW, code, value);
    }
    assert_eq!(edges(&mut watch, 3), [(0, false), (1, true), (0, true)]);
    assert_eq!(chip.values(["lid", "dock"]).unwrap(), [true, true]);
    assert_eq!(figures("evdev, switches", watch), delivered(3));
}

#[test]
fn the_first_reports_of_a_joystick_are_no_edges() {
    const TRIGGER: u16 = 0x120;
    const THUMB: u16 = 0x121;
    const X: u16 = 0;
    let Some(_machine) = machine() else { return };
    let _driver = Modules::load(&[("joydev", "")]);
    let stick = input::Made::new("a joystick", &[(input::KEY, &[TRIGGER, THUMB, 0x122]), (input::ABS, &[X, 1])]);
    stick.send(input::KEY, TRIGGER, 1);
    until_there("/dev/input/js0");
    let chip = gallery!("joystick");
    let mut buttons = chip.request().lines(["trigger", "thumb"]).start().unwrap();
    assert_eq!(edges(&mut buttons, 0), [], "it reports each button and axis once");
    for (kind, code, value) in [
        (input::ABS, X, 900),
        (input::KEY, TRIGGER, 0),
        (input::KEY, 0x122, 1),
        (input::KEY, THUMB, 1),
        (input::ABS, X, -900),
        (input::KEY, THUMB, 0),
        (input::KEY, TRIGGER, 1),
    ] {
        stick.send(kind, code, value);
    }
    assert_eq!(edges(&mut buttons, 4), [(0, false), (1, true), (1, false), (0, true)]);
    assert_eq!(figures("joystick", buttons), delivered(4));
}

#[test]
fn a_report_of_another_id_does_not_frame_the_next() {
    let Some(_machine) = machine() else { return };
    let plugged = hid::Box::plug_in();
    let chip = gallery!("hidraw-box");
    let mut buttons = chip.request().all_lines().start().unwrap();
    let reports: [&[u8]; 9] = [
        &[1, 0x01, 0x00],
        &[2, 0xff],
        &[1, 0x01, 0x80],
        &[3, 1, 2, 3, 4, 5, 6, 7],
        &[2, 0x01],
        &[1, 0x00, 0x80],
        &[1, 0x00, 0x80],
        &[2, 0x00],
        &[1, 0x00, 0x00],
    ];
    reports.iter().for_each(|report| plugged.report(report));
    assert_eq!(edges(&mut buttons, 4), [(0, true), (15, true), (0, false), (15, false)]);
    assert_eq!(figures("hidraw", buttons), delivered(4));
}

#[test]
fn an_interrupt_of_a_pci_device_is_an_edge_and_those_that_nobody_saw_are_counted() {
    let Some(_machine) = machine() else { return };
    // The first UIO device belongs to the cards.
    let _driver = Modules::load(&[("uio_pci_generic", "")]);
    fs::write("/sys/bus/pci/drivers/uio_pci_generic/new_id", "1234 11e8").unwrap();
    until_there("/dev/uio1");
    let edu = edu::Edu::find();
    let chip = gallery!("uio-pci");
    let mut watch = chip.request().line("irq").start().unwrap();
    let mut raised = 0;
    for _ in 0..10 {
        edu.interrupt();
        raised += 1;
        assert_eq!((next(&mut watch).kind, raised), (EdgeKind::Rising, raised));
        edu.enable();
    }
    for _ in 0..200 {
        edu.interrupt();
        edu.enable();
        raised += 1;
    }
    counted(&mut watch, 200);
    let figures = figures("uio_pci_generic", watch);
    assert_eq!(figures.total(), raised, "{figures:?}");
}

#[test]
fn an_interrupt_is_enabled_again_after_each_and_disabled_in_the_end() {
    let Some(_machine) = machine() else { return };
    let card = Card("uio");
    let chip = gallery!("uio");
    let mut watch = chip.request().line("irq").start().unwrap();
    for round in 1..=5 {
        card.toggle(0, 2);
        let edge = next(&mut watch);
        assert_eq!((edge.kind, edge.missed.total()), (EdgeKind::Rising, 0));
        // The interrupt is enabled here, as it was at the start.
        assert_eq!(edges(&mut watch, 0), []);
        assert_eq!(card.state().calls, 1 + round);
    }
    assert_eq!(figures("uio", watch), delivered(5));
    card.until("disabled", |state| state.calls >= 7);
    card.toggle(0, 2);
    wait(100);
    assert_eq!(card.state().calls, 7);
}

#[test]
fn counts_of_channels_are_edges_and_what_the_queue_dropped_is_counted() {
    let Some(_machine) = machine() else { return };
    let card = Card("counter");
    let chip = gallery!("counter");
    let mut watch = chip.request().lines(["flow", "wind"]).start().unwrap();
    let mut driven = 0;
    for round in 0..10 {
        card.toggle(round % 2, 2);
        driven += 1;
        let edge = next(&mut watch);
        assert_eq!((edge.offset.get(), edge.kind, edge.missed.total()), (round % 2, EdgeKind::Rising, 0));
    }
    // More edges than the driver can hold, without a pause.
    card.toggle(0, 2000);
    driven += 1000;
    let burst = all(&mut watch);
    let times: Vec<_> = burst.iter().map(|edge| edge.timestamp_ns).collect();
    assert!(burst.len() < 1000 && times.is_sorted(), "{}", burst.len());
    card.toggle(0, 2);
    driven += 1;
    // The computer paused in between and made room: the edges missing until then were reported there.
    let missing: u64 = burst.iter().map(|edge| edge.missed.total()).sum();
    assert_eq!(next(&mut watch).missed.total(), 1000 - burst.len() as u64 - missing);
    let figures = figures("counter", watch);
    assert_eq!(figures.total(), driven, "{figures:?}");
}

#[test]
fn pulses_per_second_come_with_the_time_at_which_the_kernel_saw_them() {
    let Some(_machine) = machine() else { return };
    let _drivers = Modules::load(&[("parport", ""), ("parport_pc", ""), ("pps_parport", "")]);
    until_there("/dev/pps0");
    let port = Port::open();
    let chip = gallery!("pps");
    port.take_back();
    let mut watch = chip.request().all_lines().start().unwrap();
    let period = 50;
    wait(period);
    let mut raised = 0;
    // An edge between two calls is reported with the next one.
    let mut pulse = |watch: &mut Request| {
        loop {
            port.interrupt();
            raised += 1;
            match watch.wait_next_timeout(Duration::from_secs(2)).expect("it goes on") {
                Err(error) if error.is_timeout() && raised < 30 => {}
                pulse => return pulse.unwrap(),
            }
        }
    };
    let mut pulses = Vec::new();
    for _ in 0..10 {
        let pulse = pulse(&mut watch);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let age = now.checked_sub(Duration::from_nanos(pulse.timestamp_ns)).expect("it has been");
        assert!(age < Duration::from_secs(2), "{age:?}");
        assert_eq!(pulse.kind, EdgeKind::Rising);
        pulses.push(pulse.timestamp_ns);
        wait(period);
    }
    assert!(pulses.windows(2).all(|two| two[1] - two[0] >= period * 1_000_000), "{pulses:?}");
    // No edge for longer than a call waits, and then another edge.
    wait(1200);
    pulse(&mut watch);
    for _ in 0..100 {
        port.interrupt();
    }
    wait(100);
    let last = pulse(&mut watch).timestamp_ns;
    assert!(last > pulses[9]);
    all(&mut watch);
    let figures = figures("pps_parport", watch);
    assert_eq!(figures.total(), raised + 100, "{figures:?}");
}

#[test]
fn the_inputs_of_a_parallel_port_are_looked_at() {
    let Some(_machine) = machine() else { return };
    let _drivers = Modules::load(&[("parport", ""), ("parport_pc", ""), ("ppdev", "")]);
    until_there("/dev/parport0");
    let port = Port::open();
    port.reset();
    let chip = gallery!("parport");
    let mut watch = chip.request().all_lines().start().unwrap();
    let at_start: Vec<_> = watch.lines().iter().map(|line| line.active_at_start).collect();
    assert_eq!(at_start, [true, true, false, true, false].map(Some), "ERROR, SELECT and ACK are high");
    for _ in 0..5 {
        port.strobe(true);
        assert_eq!(edges(&mut watch, 1), [(4, true)], "BUSY");
        // ACK goes low when the status is read, and high with the next read.
        port.strobe(false);
        let mut told = edges(&mut watch, 3);
        told.sort_unstable();
        assert_eq!(told, [(3, false), (3, true), (4, false)]);
    }
    assert_eq!(figures("ppdev, polled", watch), delivered(20));
}

#[test]
fn interrupts_of_a_parallel_port_are_counted() {
    let Some(_machine) = machine() else { return };
    let _drivers = Modules::load(&[("parport", ""), ("parport_pc", ""), ("ppdev", "")]);
    until_there("/dev/parport0");
    let port = Port::open();
    port.reset();
    let chip = gallery!("parport-irq");
    let mut watch = chip.request().line("ACK").start().unwrap();
    port.take_back();
    for _ in 0..10 {
        port.interrupt();
        let pulse = next(&mut watch);
        assert_eq!((pulse.kind, pulse.missed.total()), (EdgeKind::Rising, 0));
    }
    for _ in 0..200 {
        port.interrupt();
    }
    counted(&mut watch, 200);
    let figures = figures("ppdev, by interrupt", watch);
    assert_eq!(figures.total(), 210, "{figures:?}");
}

#[test]
fn pulses_of_light_are_an_edge_at_each_end() {
    let Some(_machine) = machine() else { return };
    let _drivers = Modules::load(&[("rc-core", ""), ("rc-loopback", "")]);
    until_there("/dev/lirc0");
    let transmitter = Device::open("/dev/lirc0").unwrap();
    let chip = gallery!("lirc");
    let mut watch = chip.request().line("light").start().unwrap();
    for round in 0..3 {
        // Three pulses with the gaps between them, in microseconds.
        let train: Vec<u8> = [9000_u32, 4500, 560, 1690, 560].iter().flat_map(|time| time.to_ne_bytes()).collect();
        transmitter.write(&train).wait().unwrap();
        let count = if round == 0 { 5 } else { 6 };
        let told: Vec<_> = edges(&mut watch, count).iter().map(|&(_, rising)| rising).collect();
        // The gap before the first pulse is not reported, and so neither is its end.
        let pulses = [true, false, true, false, true, false];
        assert_eq!(told, if round == 0 { &pulses[1..] } else { &pulses });
    }
    assert_eq!(figures("rc-loopback", watch), delivered(17));
}

#[test]
fn a_profile_reads_what_a_program_has_started() {
    let Some(_machine) = machine() else { return };
    let _drivers = Modules::load(&[("comedi", "comedi_num_legacy_minors=1"), ("comedi_parport", "")]);
    until_there("/dev/comedi0");
    let port = Port::open();
    let device = comedi::parallel_port("/dev/comedi0");
    comedi::start(&device);
    let profile = Profile::parse("comedi.toml", include_str!("../../../profiles/comedi.toml")).unwrap();
    let opened = device.clone();
    let chip = Chip::from_profile(&profile, move || Ok(opened.clone())).unwrap();
    let mut watch = chip.request().all_lines().start().unwrap();
    for _ in 0..10 {
        port.interrupt();
        assert_eq!(next(&mut watch).kind, EdgeKind::Rising);
    }
    // It keeps the edges that come while nobody reads.
    for _ in 0..200 {
        port.interrupt();
    }
    assert_eq!(counted(&mut watch, 200).len(), 200);
    assert_eq!(figures("comedi_parport", watch), delivered(210));
}
