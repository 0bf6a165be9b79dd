//! gpioget: the values of lines.

use linewake::LineConfig;

use super::chip::RequestConfig;
use super::getopt::{self, Opt, flag, long_flag, value};
use super::resolve::{self, FoundLines, Scope};
use super::{Context, Exit, help, number, print};
use crate::commands::get::Arguments;

pub(super) const OPTIONS: &[Opt] = &[
    flag("active-low", b'l'),
    flag("as-is", b'a'),
    value("bias", b'b'),
    long_flag("by-name", b'B'),
    value("chip", b'c'),
    value("consumer", b'C'),
    flag("help", b'h'),
    value("hold-period", b'p'),
    long_flag("numeric", b'N'),
    flag("strict", b's'),
    long_flag("unquoted", b'Q'),
    flag("version", b'v'),
];

/// The operands; without any, the tool ends.
pub(super) fn some_lines(ids: &[Vec<u8>]) -> Result<Vec<&[u8]>, Exit> {
    if ids.is_empty() {
        return Err(Exit::new("at least one GPIO line must be specified"));
    }
    Ok(ids.iter().map(Vec::as_slice).collect())
}

pub(super) fn run(context: &mut Context, words: &[Vec<u8>]) -> Result<u8, Exit> {
    let mut scope = Scope::default();
    let mut config = RequestConfig { consumer: b"gpioget", line: LineConfig::input() };
    let (mut hold, mut unquoted, mut numeric) = (0, false, false);
    let operands = getopt::read(context, OPTIONS, words, |context, key, value| {
        match key {
            b'a' => config.line.direction = None,
            b'b' => config.line.bias = Some(number::bias_or_die(value)?),
            b'B' => scope.by_name = true,
            b'c' => scope.chip = Some(value),
            b'C' => config.consumer = value,
            b'l' => config.line.active_low = true,
            b'N' => numeric = true,
            b'p' => hold = number::period_or_die(value)?,
            b's' => scope.strict = true,
            b'Q' => unquoted = true,
            other => return help::show::<Arguments>(context, other),
        }
        Ok(())
    })?;
    let ids = some_lines(operands)?;
    let lines = resolve::resolve(context, &ids, scope)?;
    let mut values = vec![false; ids.len()];
    for group in lines.groups() {
        let held = lines.hold(&group, &config, 0);
        let held = held.map_err(|error| Exit::new(format!("unable to request lines: {error}")))?;
        if hold > 0 {
            number::sleep(hold);
        }
        FoundLines::read(&group, &held, &mut values)?;
    }
    print::values(&mut context.out, ids.into_iter().zip(values), unquoted, numeric);
    Ok(0)
}
