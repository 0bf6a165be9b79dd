//! The cards of the virtual machine (xtask/vm/cards). Words written to /dev/cards drive their inputs, and reading it
//! shows what the cards see of their readers.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use crate::LONG;
use crate::until;

const CONTROL: &str = "/dev/cards";

/// The cards, for one test at a time. Outside of the virtual machine, prints a note and returns `None`.
pub fn cards() -> Option<MutexGuard<'static, ()>> {
    static CARDS: Mutex<()> = Mutex::new(());
    if std::env::var_os("LINEWAKE_VM").is_none() {
        println!("skipped: LINEWAKE_VM is not set (`cargo xtask test --only vm` sets it, where there are cards)");
        return None;
    }
    Some(CARDS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A card.
#[derive(Clone, Copy)]
pub struct Card(pub &'static str);

/// The state that a card reports.
#[derive(Debug, PartialEq)]
pub struct State {
    /// The number of callers that sleep in a wait.
    pub waiting: u64,
    /// The number of calls so far.
    pub calls: u64,
    /// The number of its open files.
    pub open: u64,
    /// The number of edges that were driven on all lines.
    pub driven: u64,
}

impl Card {
    /// Sends commands to the card: see xtask/vm/cards/control.c.
    pub fn tell(self, words: &str) {
        fs::write(CONTROL, format!("{} {words}", self.0)).unwrap_or_else(|error| panic!("{} {words}: {error}", self.0));
    }

    /// Drives the line to a level.
    pub fn set(self, line: u32, level: bool) {
        self.tell(&format!("set {line} {}", u8::from(level)));
    }

    /// Changes the line this many times without a pause.
    pub fn toggle(self, line: u32, count: u64) {
        self.tell(&format!("toggle {line} {count}"));
    }

    /// Drives all its lines low.
    pub fn rest(self, lines: u32) {
        (0..lines).for_each(|line| self.set(line, false));
    }

    pub fn state(self) -> State {
        let text = fs::read_to_string(CONTROL).unwrap();
        let line = text.lines().find(|line| line.split(' ').next() == Some(self.0)).expect("the card is there");
        let words: Vec<_> = line.split(' ').collect();
        let of = |name: &str| {
            let at = words.iter().rposition(|word| *word == name).expect("it says so");
            words[at + 1].parse().expect("a number")
        };
        State { waiting: of("waiting"), calls: of("calls"), open: of("open"), driven: of("driven") }
    }

    /// Waits until the card's state fulfils a condition.
    pub fn until(self, what: &str, is: impl Fn(&State) -> bool) {
        until(&format!("{}: {what}", self.0), || is(&self.state()));
    }

    /// Waits until this many callers sleep in a wait.
    pub fn until_waiting(self, count: u64) {
        self.until(&format!("{count} wait"), |state| state.waiting == count);
    }

    /// Waits until no program has the card open or waits.
    pub fn until_left(self) {
        self.until("left", |state| state.open == 0 && state.waiting == 0);
    }
}
