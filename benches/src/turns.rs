//! Turns: a program says that it is ready. For each line of input it makes that many calls, and answers with the
//! nanoseconds that they took. Other programs have their turns in between. It ends at the end of the input.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

/// A program that is set up: makes that many calls, and returns how long they took.
pub type Program = Box<dyn FnMut(u64) -> Duration>;

/// A program that spends all of its time on calls.
pub fn program(mut calls: impl FnMut(u64) + 'static) -> Program {
    Box::new(move |count| {
        let started = Instant::now();
        calls(count);
        started.elapsed()
    })
}

/// Takes turns until the end of the input.
pub fn take(mut program: Program) {
    let mut output = std::io::stdout().lock();
    let mut say = |line: &str| {
        writeln!(output, "{line}").and_then(|()| output.flush()).expect("the program that gives the turns reads");
    };
    say("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a turn is a line of text");
        let count = line.trim().parse().expect("a turn is a number of calls");
        say(&program(count).as_nanos().to_string());
    }
}
