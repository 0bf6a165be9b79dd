//! Serial ports in the virtual machine: a UART that is looped back to itself, a USB adapter, and a modem that is
//! plugged in and out.
#![cfg(all(target_os = "linux", not(miri)))]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use linewake::{Chip, EdgeEvent, EdgeKind, Edges, ErrorKind, Event, Monitor, Request, Trust};
use overlapped::Device;
use overlapped::linux::Ioctl;
use test_support::conformance;
use test_support::stream::wait_until;

/// The UART that the virtual machine does not use while a test runs.
const UART: &str = "/dev/ttyS2";
const PERIOD: Duration = Duration::from_millis(10);

// SAFETY: ioctl_tty(2): TIOCMBIS reads one `int`.
const TIOCMBIS: Ioctl<u32> = unsafe { Ioctl::from_request(0x5416) };
// SAFETY: ioctl_tty(2): TIOCMBIC reads one `int`.
const TIOCMBIC: Ioctl<u32> = unsafe { Ioctl::from_request(0x5417) };

/// Runs one test at a time, because they share the virtual machine. Outside of it, prints a note and returns `None`.
fn machine() -> Option<MutexGuard<'static, ()>> {
    static MACHINE: Mutex<()> = Mutex::new(());
    if std::env::var_os("LINEWAKE_VM").is_none() {
        println!(
            "skipped: LINEWAKE_VM is not set (`cargo xtask test --only vm` sets it, where there are serial ports)"
        );
        return None;
    }
    Some(MACHINE.lock().unwrap_or_else(PoisonError::into_inner))
}

fn next(request: &mut Request) -> EdgeEvent {
    request.wait_next_timeout(Duration::from_secs(20)).expect("it goes on").unwrap()
}

fn none(request: &mut Request) -> bool {
    request.wait_next_timeout(10 * PERIOD).is_some_and(|end| end.is_err_and(|error| error.is_timeout()))
}

/// TIOCM_LOOP.
const LOOP: u32 = 0x8000;

/// A port whose UART connects RTS to CTS and DTR to DSR (UART_MCR_LOOP in the 8250's MCR).
struct Loop(Device);

impl Loop {
    fn new() -> Self {
        let device = Device::open(UART).unwrap();
        device.ioctl(TIOCMBIS, LOOP).unwrap();
        Self(device)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // Also reset what it drove there.
        let _ = self.0.ioctl(TIOCMBIC, LOOP | 0x6000);
    }
}

/// The looped port. Its outputs, two of which are not on a connector, drive its inputs (UART_MCR_LOOP).
impl conformance::Bench for Loop {
    fn open(&self) -> Chip {
        Chip::open(&format!("serial:{UART}")).unwrap()
    }

    fn drive(&self, _: &Chip, line: u32, level: bool) {
        /// TIOCM_RTS, DTR, OUT1 and OUT2, to CTS, DSR, RI and DCD.
        const OUTPUTS: [u32; 4] = [0x004, 0x002, 0x2000, 0x4000];
        let change = if level { TIOCMBIS } else { TIOCMBIC };
        self.0.ioctl(change, OUTPUTS[line as usize]).unwrap();
        // Two changes between two polls merge.
        thread::sleep(4 * PERIOD);
    }

    fn toggle_all(&self, chip: &Chip, lines: &[(u32, u32)]) {
        for &(line, times) in lines {
            for _ in 0..times {
                let level = chip.value(line).unwrap();
                self.drive(chip, line, !level);
            }
        }
    }

    fn number(&self, _: u32) -> u32 {
        0
    }

    fn inputs(&self) -> u32 {
        4
    }
}

macro_rules! on_a_looped_port {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let Some(_machine) = machine() else { return };
            let bench = Loop::new();
            let chip = conformance::Bench::open(&bench);
            (0..4).for_each(|line| conformance::Bench::drive(&bench, &chip, line, false));
            conformance::$name(&bench);
        })*
    };
}

// Not run: tests of queues, of numbers, of outputs that can be inputs, of edges before the first poll, of changes that
// merge between two polls on a slow computer, and of chips that are unplugged; for that see the modem below.
on_a_looped_port! {
    an_edge_says_where_when_and_which_way
    a_timeout_ends_nothing
    stopping_wakes_a_waiting_thread
    lines_are_found_by_offset_and_by_name
    bad_requests_name_what_is_wrong
    an_active_low_line_is_active_when_it_is_low
    many_requests_come_and_go
}

#[test]
fn an_input_follows_the_output_it_is_wired_to() {
    let Some(_machine) = machine() else { return };
    let _loop = Loop::new();
    let chip = Chip::open(&format!("serial:{UART}")).unwrap();
    assert_eq!((&*chip.info().name, chip.info().lines), ("ttyS2", 6));
    let mut outputs = chip.set_values([("RTS", false), ("DTR", false)]).unwrap();
    assert_eq!(chip.values(["CTS", "DSR", "RTS", "DTR"]).unwrap(), [false; 4]);

    let mut inputs = chip.request().lines(["CTS", "DSR"]).start().unwrap();
    assert!(inputs.lines().iter().all(|line| line.active_at_start == Some(false)));
    for (output, input, active) in
        [("RTS", "CTS", true), ("DTR", "DSR", true), ("DTR", "DSR", false), ("RTS", "CTS", false)]
    {
        let began = chip.clock();
        outputs.set_value(output, active).unwrap();
        let edge = next(&mut inputs);
        assert_eq!((edge.name.as_deref(), edge.kind == EdgeKind::Rising), (Some(input), active));
        assert_eq!((edge.missed.total(), began.name), (0, linewake::ClockName::Monotonic));
        assert_eq!((chip.value(input).unwrap(), outputs.value(output).unwrap()), (active, active));
    }
    assert!(none(&mut inputs));
    let account = inputs.finish();
    assert_eq!((account.total().delivered, account.total().lost(), account.trust()), (4, 0, Trust::AtLeast));
}

#[test]
fn a_port_is_watched_active_low_and_in_one_direction() {
    let Some(_machine) = machine() else { return };
    let _loop = Loop::new();
    let chip = Chip::open(&format!("serial:{UART}")).unwrap();
    let mut outputs = chip.set_values([("RTS", true)]).unwrap();
    let mut low = chip.request().line("CTS").active_low(true).edges(Edges::Rising).start().unwrap();
    let mut both = chip.request().line("CTS").start().unwrap();
    for active in [false, true, false] {
        outputs.set_value("RTS", active).unwrap();
        // Each request has its own counters.
        assert_eq!(next(&mut both).kind == EdgeKind::Rising, active);
        // The request `low` is polled only while the test waits for it. The looped port has no counters, so a change
        // between two polls is not seen.
        if active {
            assert!(none(&mut low));
        } else {
            assert_eq!(next(&mut low).kind, EdgeKind::Rising, "inactive is active");
        }
    }
    outputs.set_value("RTS", true).unwrap();
    both.stopper().stop();
    assert_eq!(next(&mut both).kind, EdgeKind::Rising, "it had happened");
    assert!(both.wait_next().is_none() && none(&mut low));
}

#[test]
fn a_line_refuses_the_other_direction() {
    let Some(_machine) = machine() else { return };
    let chip = Chip::open(&format!("serial:{UART}")).unwrap();
    for (request, name) in [
        (chip.request().output("CTS", true), "CTS"),
        (chip.request().line("RTS"), "RTS"),
        (chip.request().all_lines(), "RTS"),
    ] {
        let error = request.start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(&format!("\"{name}\" in this direction: it is an")), "{error}");
    }
    assert_eq!(chip.request().line("CTS").queue_size(64).start().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_usb_adapter_is_quiet_and_its_outputs_are_set() {
    let Some(_machine) = machine() else { return };
    let chip = Chip::open("serial:/dev/ttyUSB0").unwrap();
    println!("{:?}", chip.lines().unwrap().iter().map(|line| (line.name.clone(), line.active)).collect::<Vec<_>>());
    let mut inputs = chip.request().lines(["CTS", "DSR", "RI", "DCD"]).start().unwrap();
    let mut outputs = chip.set_values([("RTS", false)]).unwrap();
    assert!(!chip.value("RTS").unwrap());
    outputs.set_value("RTS", true).unwrap();
    assert!(chip.value("RTS").unwrap());
    assert!(none(&mut inputs), "its inputs are wired to nothing");
}

/// A modem that the kernel simulates, both ends of its USB bus included (usb_f_acm on dummy_hcd). Opening /dev/ttyGS0
/// raises the modem's DSR and DCD.
struct Modem(PathBuf);

const MODEM: &str = "/dev/ttyACM0";
const OTHER_END: &str = "/dev/ttyGS0";

impl Modem {
    fn new() -> Self {
        let gadget = PathBuf::from("/sys/kernel/config/usb_gadget/modem");
        for directory in ["strings/0x409", "configs/c.1/strings/0x409", "functions/acm.usb0"] {
            fs::create_dir_all(gadget.join(directory)).unwrap();
        }
        fs::write(gadget.join("idVendor"), "0x1d6b").unwrap();
        fs::write(gadget.join("idProduct"), "0x0104").unwrap();
        let _ = std::os::unix::fs::symlink(gadget.join("functions/acm.usb0"), gadget.join("configs/c.1/acm.usb0"));
        let modem = Self(gadget);
        modem.plug();
        modem
    }

    fn plug(&self) {
        fs::write(self.0.join("UDC"), "dummy_udc.0").unwrap();
        wait_until(|| Path::new(MODEM).exists());
    }

    fn unplug(&self) {
        fs::write(self.0.join("UDC"), "\n").unwrap();
        wait_until(|| !Path::new(MODEM).exists());
    }
}

impl Drop for Modem {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("UDC"), "\n");
    }
}

#[test]
fn changes_between_two_looks_are_counted() {
    let Some(_machine) = machine() else { return };
    let _modem = Modem::new();
    let chip = Chip::options().poll_period(20 * PERIOD).open(&format!("serial:{MODEM}")).unwrap();
    let mut inputs = chip.request().lines(["DSR", "DCD"]).start().unwrap();
    assert_eq!(inputs.lines()[0].active_at_start, Some(false));
    let mut driven = 0;
    for round in 0..5 {
        let other_end: Vec<_> = (0..3)
            .map(|_| {
                let end = Device::open(OTHER_END).unwrap();
                thread::sleep(Duration::from_millis(5));
                drop(end);
                thread::sleep(Duration::from_millis(5));
            })
            .collect();
        driven += 2 * other_end.len() as u64;
        thread::sleep(40 * PERIOD);
        println!("round {round}: {driven} driven");
    }
    inputs.stopper().stop();
    let edges: Vec<_> = std::iter::from_fn(|| inputs.wait_next()).map(|edge| edge.unwrap()).collect();
    let account = inputs.finish();
    for line in account.lines() {
        println!("{line:?}");
        assert_eq!(line.figures.total(), driven, "delivered and merged are what was driven");
        assert!(line.figures.merged > 0, "more than one between two looks");
    }
    assert!(edges.iter().all(|edge| edge.missed.overflowed == 0));
}

#[test]
fn a_modem_that_is_pulled_out_ends_the_stream_and_comes_back() {
    let Some(_machine) = machine() else { return };
    let modem = Modem::new();
    let chip = Chip::open(&format!("serial:{MODEM}")).unwrap();
    let mut inputs = chip.request().line("DSR").start().unwrap();
    modem.unplug();
    let error = loop {
        match inputs.wait_next_timeout(Duration::from_secs(20)).unwrap() {
            Ok(edge) => println!("{edge:?}"),
            Err(error) => break error,
        }
    };
    assert!(error.is_disconnected(), "{error}");
    assert!(inputs.wait_next().is_none());
    assert!(chip.value("DSR").unwrap_err().is_disconnected());
    assert!(chip.reopen().is_err());
    // Its number is free again when nobody has the old port open.
    let path = format!("serial:{MODEM}");
    drop((inputs, chip));
    modem.plug();
    let chip = Chip::open(&path).unwrap();
    let mut inputs = chip.request().line("DCD").start().unwrap();
    let other_end = Device::open(OTHER_END).unwrap();
    assert_eq!(next(&mut inputs).kind, EdgeKind::Rising);
    drop(other_end);
}

#[test]
fn a_monitor_goes_on_when_a_modem_is_back() {
    let Some(_machine) = machine() else { return };
    let modem = Modem::new();
    // The old port stays with the program that opened it, but the new port gets the same name.
    let chip = Chip::open(&format!("serial:{MODEM}")).unwrap();
    let mut monitor = Monitor::builder()
        .request(chip.request().lines(["DSR", "DCD"]))
        .states(true)
        .reattach(true)
        .retry(PERIOD)
        .start()
        .unwrap();
    for round in 0..3 {
        let mut next = || monitor.wait_next_timeout(Duration::from_secs(20)).expect("it goes on").unwrap();
        for line in ["DSR", "DCD"] {
            let Event::State { state, .. } = next() else { panic!("the lines are said") };
            assert_eq!((state.name.as_deref(), state.active), (Some(line), Some(false)), "round {round}");
        }
        let other_end = Device::open(OTHER_END).unwrap();
        for _ in 0..2 {
            let Event::Edge { edge, .. } = next() else { panic!("a line is raised") };
            assert_eq!((edge.kind, edge.missed.total()), (EdgeKind::Rising, 0));
        }
        drop(other_end);
        for _ in 0..2 {
            let Event::Edge { edge, .. } = next() else { panic!("a line is lowered") };
            assert_eq!((edge.kind, edge.missed.total()), (EdgeKind::Falling, 0));
        }
        modem.unplug();
        let Event::Gap { gap, .. } = next() else { panic!("a gap begins") };
        assert!(!gap.is_over && gap.reason.is_disconnected(), "{gap:?}");
        assert_eq!(gap.figures.delivered, 4 * (round + 1));
        assert!(monitor.wait_next_timeout(10 * PERIOD).unwrap().unwrap_err().is_timeout());
        modem.plug();
        let Event::Gap { gap, .. } = monitor.wait_next_timeout(Duration::from_secs(20)).expect("it is found").unwrap()
        else {
            panic!("a gap ends")
        };
        assert!(gap.is_over, "{gap:?}");
    }
    assert_eq!(monitor.stats().reattached, 3);
    let total = monitor.finish().remove(0).total();
    assert_eq!((total.delivered, total.lost()), (12, 0));
}
