//! gpiodetect: a list of the chips.

use super::getopt::{self, Opt, flag};
use super::{Context, Exit, chips, help};
use crate::commands::detect::Arguments;

pub(super) const OPTIONS: &[Opt] = &[flag("help", b'h'), flag("version", b'v')];

pub(super) fn run(context: &mut Context, words: &[Vec<u8>]) -> Result<u8, Exit> {
    let operands = getopt::read(context, OPTIONS, words, |context, key, _| help::show::<Arguments>(context, key))?;
    let mut code = 0;
    if operands.is_empty() {
        for spec in chips::all()? {
            code |= show(context, &spec)?;
        }
    }
    for id in operands {
        match chips::lookup(id) {
            Some(spec) => code |= show(context, &spec)?,
            None => {
                context.error(&chips::not_found(id).message)?;
                code = 1;
            }
        }
    }
    Ok(code)
}

fn show(context: &mut Context, spec: &chips::Spec) -> Result<u8, Exit> {
    let chip = match spec.open_or_die() {
        Ok(chip) => chip,
        Err(exit) => {
            context.error(&exit.message)?;
            return Ok(1);
        }
    };
    let about = chip.about();
    let about = about.map_err(|error| Exit::of("unable to read info for '", spec.path(), &format!("': {error}")))?;
    let out = &mut context.out;
    out.printable(&about.name);
    out.text(" [");
    out.printable(&about.label);
    out.text("] (");
    out.number(about.lines);
    out.text(" lines)\n");
    Ok(0)
}
