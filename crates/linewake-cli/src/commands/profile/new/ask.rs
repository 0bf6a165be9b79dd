//! A few questions, and a profile from the answers.

use std::io::{self, BufRead as _};

use super::skeleton::{MOST_LINES, UserFacts, check_device, device};
use crate::exit::{Failure, say};

/// Asks the questions, and gives the profile.
pub(super) fn profile(known: UserFacts<'_>) -> Result<String, Failure> {
    say("An empty answer takes the value in brackets. Ctrl-C ends; the file is written at the end.\n\n");
    let opened = match known.device {
        Some(device) => device.to_owned(),
        None => ask(
            "What is the device? A path, like /dev/card0 or \\\\.\\Card0, or the GUID of an interface",
            None,
            |answer| check_device(answer).map(|()| answer.to_owned()),
        )?,
    };
    let lines = match known.lines {
        Some(lines) => lines,
        None => ask("How many lines (inputs) are there?", Some("8"), |answer| one_of(answer, MOST_LINES))?,
    };
    say("\nHow does the driver report that an input changed?\n");
    say("  1  a read of the device returns\n  2  a call (a control code, or an ioctl) returns\n");
    say("  3  not at all: it has to be polled\n");
    let how = ask("Which?", Some("1"), |answer| one_of(answer, 3))?;
    say("\nWhat do its bytes mean?\n");
    say("  1  the levels of all lines, a bit for each\n  2  which lines had a rising edge, a bit for each\n");
    say("  3  something else, or not known yet\n");
    let what = ask("Which?", Some("1"), |answer| one_of(answer, 3))?;
    let number = match how {
        1 => None,
        _ => Some(ask("Which control code, or ioctl, returns them? A number like 0x222004", None, |answer| {
            let digits = answer.trim_start_matches("0x").trim_start_matches("0X");
            let radix = if digits.len() == answer.len() { 10 } else { 16 };
            u32::from_str_radix(digits, radix)
                .map_err(|_| "expected a number of at most 32 bits, like 0x222004".to_owned())
        })?),
    };
    say("\n");
    Ok(written(&opened, lines, how, what, number))
}

fn one_of(answer: &str, most: u32) -> Result<u32, String> {
    let number = answer.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("expected a number from 1 to {most}"))
}

/// Asks until the answer is valid.
fn ask<T>(question: &str, usual: Option<&str>, read: impl Fn(&str) -> Result<T, String>) -> Result<T, Failure> {
    let usual_shown = usual.map(|usual| format!(" [{usual}]")).unwrap_or_default();
    loop {
        say(&format!("{question}{usual_shown}: "));
        let mut line = String::new();
        let length = io::stdin().lock().read_line(&mut line);
        let length = length.map_err(|error| Failure::new(format!("cannot read the answer: {error}")))?;
        if length == 0 {
            return Err(Failure::new("the input ended before the last answer; nothing was written"));
        }
        let answer = match line.trim() {
            "" => usual.unwrap_or_default(),
            answer => answer,
        };
        match read(answer) {
            Ok(answer) => return Ok(answer),
            Err(wrong) => say(&format!("{wrong}\n")),
        }
    }
}

fn written(opened: &str, lines: u32, how: u32, what: u32, number: Option<u32>) -> String {
    let bytes = lines.div_ceil(8).next_power_of_two().max(1);
    let field = match what {
        1 => format!("{{ levels = {{ at = 0, width = {bytes} }} }}"),
        2 => format!("{{ rising = {{ at = 0, width = {bytes} }} }}"),
        _ => "\"TODO: what do the bytes say? { levels = { at = 0, width = 4 } }, say: docs/profiles.md\"".to_owned(),
    };
    let output = format!("output = {{ length = {bytes}, fields = {field} }}");
    let means = match what {
        1 => "\"level\"".to_owned(),
        2 => "\"mask\"".to_owned(),
        _ => "\"TODO: 'edge', 'level', 'mask' or 'count'?\"".to_owned(),
    };
    let mut text = format!(
        "# Made by \"linewake profile new\" from answers. Every key is in docs/profiles.md.\n\nname = \"card\"\n\
         lines = {lines}\n\n{}\n",
        device(opened)
    );
    text.push_str("# [[line]] # a name for a line, in the order of the bits\n# name = \"door\"\n\n");
    let is_linux = opened.starts_with("/dev/");
    if let Some(number) = number {
        let key = if is_linux { "ioctl" } else { "code" };
        text.push_str(&format!("[call.inputs]\n{key} = {number:#x}\n"));
        if how == 2 && is_linux {
            text.push_str("blocks = true # the call itself waits; if poll(2) says when: when = \"readable\"\n");
        }
        text.push_str(&format!("{output}\n\n"));
    }
    let by = match how {
        1 => {
            format!("by = \"read\"\nreads = \"messages\" # or \"bytes\", a stream that may be cut anywhere\n{output}\n")
        }
        2 => "by = \"call\"\ncall = \"inputs\"\n".to_owned(),
        _ => "by = \"poll\"\nperiod_us = 1000\nthen = \"inputs\"\n".to_owned(),
    };
    text.push_str(&format!("[wait]\n{by}means = {means}\n"));
    match (what, how) {
        (1, 3) => text.push_str("\n[levels]\ncall = \"inputs\"\n"),
        (1, _) => text
            .push_str("\n[levels]\nstart = \"unknown\" # or \"inactive\", \"active\", or `call`: which gives them\n"),
        _ => {}
    }
    text
}
