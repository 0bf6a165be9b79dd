//! gpioset: outputs, held until the tool ends.

use linewake::{Direction, Drive};

use super::chip::{Asked, Held};
use super::get::bias_or_die;
use super::getopt::{self, Opt, flag, long_flag, value};
use super::resolve::{self, Group, Lines, Scope};
use super::{Context, Died, help, interactive, number, print};
use crate::set::Arguments;

pub(super) const OPTIONS: &[Opt] = &[
    flag("active-low", b'l'),
    long_flag("banner", b'-'),
    value("bias", b'b'),
    long_flag("by-name", b'B'),
    value("chip", b'c'),
    value("consumer", b'C'),
    flag("daemonize", b'z'),
    value("drive", b'd'),
    flag("help", b'h'),
    value("hold-period", b'p'),
    flag("interactive", b'i'),
    flag("strict", b's'),
    value("toggle", b't'),
    long_flag("unquoted", b'Q'),
    flag("version", b'v'),
];

fn drive_or_die(text: &[u8]) -> Result<Drive, Died> {
    match text {
        b"open-drain" => Ok(Drive::OpenDrain),
        b"open-source" => Ok(Drive::OpenSource),
        b"push-pull" => Ok(Drive::PushPull),
        _ => Err(Died::of("invalid drive: ", text, "")),
    }
}

/// `line=1` or `"line"=1`; if it is neither, what is wrong with it.
pub(super) fn line_value(text: &[u8]) -> Result<(&[u8], bool), &[u8]> {
    let (line, end): (&[u8], &[u8]) = match text.strip_prefix(b"\"") {
        Some(quoted) => (quoted, b"\"="),
        None => (text, b"="),
    };
    let at = line.windows(end.len()).position(|part| part == end).ok_or(text)?;
    let value = &line[at + end.len()..];
    match value {
        b"1" | b"active" | b"on" | b"true" => Ok((&line[..at], true)),
        b"0" | b"inactive" | b"off" | b"false" => Ok((&line[..at], false)),
        _ => Err(value),
    }
}

#[derive(Default)]
struct Options<'a> {
    scope: Scope<'a>,
    banner: bool,
    daemonize: bool,
    interactive: bool,
    unquoted: bool,
    /// In microseconds.
    hold: u64,
    toggle: Option<Vec<u64>>,
}

pub(super) fn run(context: &mut Context, words: &[Vec<u8>]) -> Result<u8, Died> {
    let mut options = Options::default();
    let mut asked = Asked::new(b"gpioset", Some(Direction::Output));
    let operands = getopt::read(context, OPTIONS, words, |context, key, value| {
        match key {
            b'-' => options.banner = true,
            b'b' => asked.bias = Some(bias_or_die(value)?),
            b'B' => options.scope.by_name = true,
            b'c' => options.scope.chip = Some(value),
            b'C' => asked.consumer = value,
            b'd' => asked.drive = drive_or_die(value)?,
            b'i' => options.interactive = true,
            b'l' => asked.active_low = true,
            b'p' => options.hold = number::period_or_die(value)?,
            b'Q' => options.unquoted = true,
            b's' => options.scope.strict = true,
            b't' => options.toggle = Some(number::periods_or_die(value)?),
            b'z' => options.daemonize = true,
            other => return help::show::<Arguments>(context, other),
        }
        Ok(())
    })?;
    if options.interactive && options.toggle.is_some() {
        return Err(Died::new("can't combine interactive with toggle"));
    }
    if operands.is_empty() {
        return Err(Died::new("at least one GPIO line value must be specified"));
    }
    let values = operands.iter().map(|word| line_value(word));
    let values = values.collect::<Result<Vec<_>, _>>();
    let values = values.map_err(|wrong| Died::of("invalid line value: '", wrong, "'"))?;
    let (ids, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
    let lines = resolve::resolve(context, &ids, options.scope)?;
    let mut outputs = Outputs::hold(lines, values, &asked)?;
    if options.banner {
        print::banner(&mut context.out, "Setting", &ids);
        // The line is held, whether or not that can be said.
        context.out.flush_if_possible()?;
    }
    if options.daemonize {
        outputs.daemonize(options.interactive)?;
    }
    run_on(context, &mut outputs, options)?;
    Ok(0)
}

/// The lines are held.
fn run_on(context: &mut Context, outputs: &mut Outputs<'_>, options: Options<'_>) -> Result<(), Died> {
    let is_toggled = options.toggle.is_some();
    if let Some(mut periods) = options.toggle {
        let last = periods.len() - 1;
        for (at, period) in periods.iter_mut().enumerate() {
            if at != last || *period != 0 {
                *period = options.hold.max(*period);
            }
        }
        outputs.toggle_by(context, &periods)?;
    }
    if options.hold > 0 {
        number::sleep(options.hold);
    }
    match (options.interactive, is_toggled) {
        (true, _) => interactive::run(context, outputs, options.unquoted),
        (false, false) => outputs.wait(),
        (false, true) => Ok(()),
    }
}

/// Outputs that are held.
pub(super) struct Outputs<'a> {
    pub(super) lines: Lines<'a>,
    /// In the order of the lines.
    pub(super) values: Vec<bool>,
    groups: Vec<Group>,
    /// One for each group.
    held: Vec<Held>,
}

impl<'a> Outputs<'a> {
    fn hold(lines: Lines<'a>, values: Vec<bool>, asked: &Asked<'_>) -> Result<Self, Died> {
        let groups = lines.groups();
        let mut held = Vec::with_capacity(groups.len());
        for group in &groups {
            let spec = &lines.chips[group.chip].spec;
            let lines = lines.hold(group, asked, bits(group, &values));
            held.push(
                lines.map_err(|error| {
                    Died::of("unable to request lines on chip '", spec.path(), &format!("': {error}"))
                })?,
            );
        }
        Ok(Self { lines, values, groups, held })
    }

    /// Sets the lines to their values. One chip that fails does not stop the others.
    pub(super) fn apply(&mut self, context: &mut Context) -> Result<(), Died> {
        for (group, held) in self.groups.iter().zip(&mut self.held) {
            if let Err(error) = held.set_values(bits(group, &self.values)) {
                let died =
                    Died::of("unable to set values on '", &self.lines.chips[group.chip].name, &format!("': {error}"));
                context.error(&died.message)?;
            }
        }
        Ok(())
    }

    pub(super) fn toggle_all(&mut self) {
        self.values.iter_mut().for_each(|value| *value = !*value);
    }

    /// Toggles after each of the periods, over and over; until the end of the sequence if its last period is zero.
    fn toggle_by(&mut self, context: &mut Context, periods: &[u64]) -> Result<(), Died> {
        let (periods, is_endless) = match periods {
            [first @ .., 0] => (first, false),
            all => (all, true),
        };
        loop {
            for &period in periods {
                number::sleep(period);
                self.toggle_all();
                self.apply(context)?;
            }
            if !is_endless || periods.is_empty() {
                return Ok(());
            }
        }
    }

    /// Holds the lines until the first chip is gone.
    fn wait(&mut self) -> Result<(), Died> {
        #[cfg(target_os = "linux")]
        if let Some(Held::File(lines)) = self.held.first() {
            let what = "error waiting on request";
            return super::wait::wait(&[lines], rustix::event::PollFlags::ERR, None, what).map(drop);
        }
        loop {
            std::thread::park();
        }
    }

    /// Goes on in the background, in the same process's child: under the same name, and with its environment.
    #[cfg(target_os = "linux")]
    fn daemonize(&self, keeps_streams: bool) -> Result<(), Died> {
        // A simulated chip has a thread, which a fork would leave behind.
        if self.held.iter().any(|held| matches!(held, Held::Sim(..))) {
            return Err(Died::new("unable to daemonize: a simulated chip stays with its process"));
        }
        nix::unistd::daemon(false, keeps_streams).map_err(|errno| {
            let error = super::strerror::of(&errno.into());
            Died::new(format!("unable to daemonize: {error}"))
        })
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "elsewhere it looks at what it holds")]
    fn daemonize(&self, _: bool) -> Result<(), Died> {
        Err(Died::new("unable to daemonize: not on this system"))
    }
}

/// The values of a group's lines, a bit for each.
fn bits(group: &Group, values: &[bool]) -> u64 {
    group.lines.iter().rev().fold(0, |bits, &line| bits << 1 | u64::from(values[line]))
}

#[cfg(test)]
mod tests {
    use super::line_value;

    #[test]
    fn a_line_and_its_value() {
        for (text, line, value) in
            [("door=1", "door", true), ("door=off", "door", false), ("\"a=b\"=true", "a=b", true), ("=on", "", true)]
        {
            assert_eq!(line_value(text.as_bytes()), Ok((line.as_bytes(), value)), "{text}");
        }
        for (text, wrong) in
            [("door", "door"), ("door=2", "2"), ("door=", ""), ("\"door=1", "\"door=1"), ("a=b=1", "b=1"), ("", "")]
        {
            assert_eq!(line_value(text.as_bytes()), Err(wrong.as_bytes()), "{text}");
        }
    }
}
