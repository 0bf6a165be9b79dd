//! gpioinfo: the names, settings and consumers of lines.

use super::chip::{LineInfo, OpenChip};
use super::getopt::{self, Opt, flag, long_flag, value};
use super::resolve::{self, Operand, Scope};
use super::{Context, Exit, chips, help, print};
use crate::commands::info::Arguments;

pub(super) const OPTIONS: &[Opt] = &[
    long_flag("by-name", b'B'),
    value("chip", b'c'),
    flag("help", b'h'),
    flag("strict", b's'),
    long_flag("unquoted", b'Q'),
    flag("version", b'v'),
];

struct Listing<'a> {
    wanted: Vec<Operand<'a>>,
    scope: Scope<'a>,
    unquoted: bool,
    /// The number of rows that were printed.
    shown: usize,
}

pub(super) fn run(context: &mut Context, words: &[Vec<u8>]) -> Result<u8, Exit> {
    let mut scope = Scope::default();
    let mut unquoted = false;
    let operands = getopt::read(context, OPTIONS, words, |context, key, value| {
        match key {
            b'B' => scope.by_name = true,
            b'c' => scope.chip = Some(value),
            b's' => scope.strict = true,
            b'Q' => unquoted = true,
            other => return help::show::<Arguments>(context, other),
        }
        Ok(())
    })?;
    let specs = match scope.chip {
        Some(id) => vec![chips::lookup_or_die(id)?],
        None => chips::all()?,
    };
    let ids: Vec<_> = operands.iter().map(Vec::as_slice).collect();
    let mut listing = Listing { wanted: resolve::wanted(&ids, scope), scope, unquoted, shown: 0 };
    let mut code = 0;
    for (place, spec) in specs.iter().enumerate() {
        match spec.open_or_die() {
            Ok(chip) => listing.chip(context, &chip, place, spec.path())?,
            Err(exit) if scope.chip.is_some() => return Err(exit),
            Err(exit) => {
                context.error(&exit.message)?;
                code = 1;
            }
        }
    }
    resolve::validate(&listing.wanted, context, scope)?;
    Ok(if !ids.is_empty() && listing.shown != ids.len() { 1 } else { code })
}

impl Listing<'_> {
    fn chip(&mut self, context: &mut Context, chip: &OpenChip, place: usize, path: &[u8]) -> Result<(), Exit> {
        let about = chip.about();
        let about = about.map_err(|error| Exit::of("unable to read info from chip ", path, &format!(": {error}")))?;
        if place == 0 && self.scope.chip.is_some() {
            resolve::by_offset(&mut self.wanted, about.lines);
        }
        let all = self.wanted.is_empty();
        for offset in 0..about.lines {
            if !all && !self.scope.strict && self.shown >= self.wanted.len() {
                break;
            }
            let line = chip.line(offset).map_err(|error| {
                let what = format!("unable to read info for line {offset} from ");
                Exit::of(&what, &about.name, &format!(": {error}"))
            })?;
            let out = &mut context.out;
            if all {
                if offset == 0 {
                    out.printable(&about.name);
                    out.text(" - ");
                    out.number(about.lines);
                    out.text(" lines:\n");
                }
                out.text(&format!("\tline {offset:>3}:"));
            } else if self.meet((place, offset), &line) {
                out.printable(&about.name);
                out.text(" ");
                out.number(offset);
            } else {
                continue;
            }
            out.text("\t");
            self.line(context, &line);
            context.out.relieve()?;
            self.shown += 1;
        }
        Ok(())
    }

    /// True if the user asked for a line. With --strict several lines may have one name.
    fn meet(&mut self, place: (usize, u32), line: &LineInfo) -> bool {
        let mut is_wanted = false;
        for wanted in &mut self.wanted {
            is_wanted |= wanted.place == Some(place);
            let looks = wanted.place.is_none() || self.scope.strict;
            if looks && !line.name.is_empty() && line.name == wanted.id {
                wanted.place = Some(place);
                is_wanted = true;
            }
        }
        is_wanted
    }

    fn line(&self, context: &mut Context, line: &LineInfo) {
        let out = &mut context.out;
        let (name, quotes): (&[u8], usize) = match (&*line.name, self.unquoted) {
            (b"", _) => (b"unnamed", 0),
            (name, true) => (name, 0),
            (name, false) => (name, 2),
        };
        print::quoted(out, name, quotes == 0);
        // The C library counts bytes.
        out.text(&" ".repeat(16_usize.saturating_sub(name.len() + quotes)));
        out.text("\t");
        print::attributes(out, line, self.unquoted);
        out.text("\n");
    }
}
