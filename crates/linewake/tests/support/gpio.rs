//! Chips of the kernel's gpio-sim, in the virtual machine.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use gpiosim::{Bank, Level};
use linewake::Chip;

use test_support::conformance::Bench;

/// A simulated chip of the kernel. No other chip in the virtual machine has its label.
pub(crate) struct GpioSim {
    bank: Bank,
    name: String,
    sim: Mutex<Option<gpiosim::Sim>>,
}

impl GpioSim {
    /// Outside of the virtual machine, prints a note and returns `None`.
    pub(crate) fn new(lines: u32) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if std::env::var_os("LINEWAKE_VM").is_none() {
            println!("skipped: LINEWAKE_VM is not set (`cargo xtask test --only vm` sets it, where there is gpio-sim)");
            return None;
        }
        let number = NUMBER.fetch_add(1, Relaxed);
        let mut bank = Bank::new(lines, format!("bench {number}"));
        bank.name(0, "door").name(3, "bell");
        let bench = Self { bank, name: format!("bench-{number}"), sim: Mutex::new(None) };
        bench.plug();
        Some(bench)
    }

    #[allow(dead_code, reason = "not every test opens by it")]
    pub(crate) fn label(&self) -> &str {
        &self.bank.label
    }

    fn sim(&self) -> MutexGuard<'_, Option<gpiosim::Sim>> {
        self.sim.lock().unwrap()
    }

    fn with<T>(&self, with: impl FnOnce(&gpiosim::Chip) -> T) -> T {
        with(&self.sim().as_ref().expect("it is plugged in").chips()[0])
    }

    pub(crate) fn path(&self) -> String {
        self.with(|chip| chip.dev_path().to_str().unwrap().to_owned())
    }

    pub(crate) fn plug(&self) {
        *self.sim() = Some(gpiosim::builder().with_bank(&self.bank).with_name(&*self.name).live().unwrap());
    }

    pub(crate) fn pull_the_plug(&self) {
        *self.sim() = None;
    }

    /// Hands for the first lines, which change them as often per second as possible.
    #[allow(dead_code, reason = "not every test is in a hurry")]
    pub(crate) fn hands(&self, lines: u32) -> Hands {
        let pull = |line| {
            self.with(|chip| format!("/sys/devices/platform/{}/{}/sim_gpio{line}/pull", chip.dev_name, chip.chip_name))
        };
        Hands((0..lines).map(|line| File::options().write(true).open(pull(line)).unwrap()).collect())
    }
}

/// Files that pull lines up and down.
pub(crate) struct Hands(Vec<File>);

#[allow(dead_code, reason = "not every test is in a hurry")]
impl Hands {
    pub(crate) fn pull(&self, line: u32, up: bool) {
        let word: &[u8] = if up { b"pull-up" } else { b"pull-down" };
        self.0[line as usize].write_all_at(word, 0).unwrap();
    }

    /// Makes this many edges, of each line in turn. The lines are low at first.
    pub(crate) fn flood(&self, edges: u32) {
        let lines = self.0.len() as u32;
        (0..edges).for_each(|edge| self.pull(edge % lines, (edge / lines).is_multiple_of(2)));
    }
}

impl Bench for GpioSim {
    fn open(&self) -> Chip {
        Chip::open(&self.path()).unwrap()
    }

    fn drive(&self, _: &Chip, line: u32, level: bool) {
        self.with(|chip| chip.set_pull(line, if level { Level::High } else { Level::Low })).unwrap();
    }

    fn toggle_all(&self, _: &Chip, lines: &[(u32, u32)]) {
        let most = lines.iter().map(|line| line.1).max().unwrap_or(0);
        for round in 0..most {
            for &(line, _) in lines.iter().filter(|line| line.1 > round) {
                self.with(|chip| chip.toggle(line)).unwrap();
            }
        }
    }

    /// The kernel's hard interrupt handler keeps one time stamp for its thread, which reads the level when it runs
    /// (`edge_irq_handler` and `edge_irq_thread` of gpiolib-cdev.c). The thread has priority over everything that is
    /// not real-time. So with one processor the program that changes the line runs again only after the thread; with
    /// two processors it can run before.
    fn edges_merge(&self) -> bool {
        thread::available_parallelism().is_ok_and(|processors| processors.get() > 1)
    }

    fn unplug(&self, _: &Chip) {
        // Edges that are queued when the chip is unplugged are lost, so wait until they are read.
        thread::sleep(Duration::from_millis(100));
        self.pull_the_plug();
    }

    fn snatch(&self, _: &Chip) {
        self.pull_the_plug();
    }

    fn replug(&self, _: &Chip) {
        self.plug();
    }
}
