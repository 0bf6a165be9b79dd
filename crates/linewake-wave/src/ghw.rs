//! GHW: GHDL's format for VHDL. It has records, and each bit is a signal.
//!
//! It is read from beginning to end: texts, types, the hierarchy, then snapshots and cycles of values.

mod hierarchy;
mod input;
mod types;

use std::io::Read;

use self::hierarchy::{Kind, Link};
use self::input::{Input, Stop};
use crate::axis::{Axis, Step, Tick};
use crate::bits::{Bits, Level};
use crate::error::Error;
use crate::head::{Common, Head};
use crate::notes::{Notes, Oddity};

/// The first bytes of a file.
pub(crate) const MAGIC: &[u8] = b"GHDLwave\n";

/// The values of `std_ulogic` by their numbers.
const NINE: &[u8; 9] = b"ux01zwlh-";

/// The rest of a file.
pub(crate) struct Cycles {
    input: Input,
    signals: Signals,
    /// The time within a cycle.
    cycle: Option<i64>,
}

/// The signals, by their places in the file.
#[derive(Debug)]
struct Signals {
    /// The wires of each signal, sorted by the numbers of the signals.
    links: Vec<Link>,
    kinds: Vec<Kind>,
    /// For each place: where its watched wires begin in `wires`.
    starts: Vec<u32>,
    wires: Vec<u32>,
    /// The choice of wires from which `starts` and `wires` were made.
    watch: Option<u32>,
}

/// Reads everything before the values.
pub(crate) fn open(name: &str, source: Box<dyn Read + Send>) -> Result<(Common, Cycles), Error> {
    let mut input = Input::new(source);
    let mut head = Head { version: Some("GHDL".to_owned()), ..Head::default() };
    let links = begin(&mut input, &mut head).map_err(|stop| {
        let what = match stop {
            Stop::Over => "it is cut off before its first value".to_owned(),
            Stop::Wrong(what) => what,
        };
        Error::unreadable(name, what)
    })?;
    let axis = Axis::new(Tick::new(1, -15).unwrap_or_default());
    let common = Common { name: name.to_owned(), head, axis, notes: Notes::default(), segments: 1 };
    Ok((common, Cycles { input, signals: Signals::new(links), cycle: None }))
}

fn begin(input: &mut Input, head: &mut Head) -> Result<Vec<Link>, Stop> {
    let first = input.array::<16>()?;
    let [16, 0, version @ 0..=1, order @ 1..=2, ..] = first[MAGIC.len()..] else {
        return Err(Stop::Wrong("expected version 0 or 1 of GHW, found another one".into()));
    };
    if !first.starts_with(MAGIC) {
        return Err(Stop::Wrong("it is not a GHW file".into()));
    }
    input.is_big = order == 2;
    let (mut texts, mut types, mut links) = (Vec::new(), types::Types::default(), Vec::new());
    loop {
        match &input.array::<4>()? {
            b"STR\0" => texts = input.texts()?,
            b"TYP\0" => types = types::read(input, version)?,
            b"WKT\0" => types.read_known(input)?,
            b"HIE\0" => links = hierarchy::read(input, &texts, &types, head)?,
            b"EOH\0" => break,
            _ => return Err(Stop::Wrong("expected a section, found something else".into())),
        }
    }
    head.bits.link();
    links.sort_by_key(|link| link.signal);
    match hierarchy::agree(&links) {
        true => Ok(links),
        false => Err(Stop::Wrong("a signal in it has two types".into())),
    }
}

impl Signals {
    fn new(links: Vec<Link>) -> Self {
        let of_signals = links.chunk_by(|a, b| a.signal == b.signal);
        let kinds = of_signals.map(|links| links[0].kind).collect();
        Self { links, kinds, starts: Vec::new(), wires: Vec::new(), watch: None }
    }

    /// Looks up which wires are watched, if the choice has changed.
    fn look(&mut self, bits: &Bits) {
        if self.watch.replace(bits.watch_count()) == Some(bits.watch_count()) {
            return;
        }
        self.starts.clear();
        self.wires.clear();
        for links in self.links.chunk_by(|a, b| a.signal == b.signal) {
            self.starts.push(self.wires.len() as u32);
            let is_watched = |wire: &u32, kind: Kind| (*wire..*wire + kind.width()).any(|wire| bits.is_told(wire));
            let wires = links.iter().filter_map(|link| link.wire.filter(|wire| is_watched(wire, link.kind)));
            self.wires.extend(wires);
        }
        self.starts.push(self.wires.len() as u32);
    }

    /// Reads a value, and notes it.
    fn value(&self, place: usize, input: &mut Input, bits: &mut Bits, at_ns: u64) -> Result<(), Stop> {
        let kind = *self.kinds.get(place).ok_or_else(|| Stop::Wrong("it has a signal that is not declared".into()))?;
        let wires = &self.wires[self.starts[place] as usize..self.starts[place + 1] as usize];
        let level = match kind {
            Kind::Nine => NINE.get(usize::from(input.u8()?)).and_then(|&digit| Level::of(digit)),
            Kind::Two => [Level::Low, Level::High].get(usize::from(input.u8()?)).copied(),
            Kind::Byte => return input.u8().map(drop),
            Kind::Real => return input.array::<8>().map(drop),
            Kind::Number => return input.signed().map(drop),
            Kind::Int32 | Kind::Int64 => {
                let number = input.signed()?;
                for &first in wires {
                    for bit in 0..kind.width() {
                        let level = if number >> bit & 1 == 1 { Level::High } else { Level::Low };
                        bits.note(first + bit, level, at_ns);
                    }
                }
                return Ok(());
            }
        };
        let level = level.ok_or_else(|| Stop::Wrong("a signal has a value that its type does not have".into()))?;
        wires.iter().for_each(|&wire| bits.note(wire, level, at_ns));
        Ok(())
    }
}

impl Cycles {
    /// Reads until there may be a change. Returns whether there may be more.
    pub(crate) fn step(&mut self, common: &mut Common) -> Result<bool, Error> {
        self.signals.look(&common.head.bits);
        match self.go_on(common) {
            Ok(goes_on) => Ok(goes_on),
            Err(Stop::Over) => {
                let name = &common.name;
                common.notes.add(Oddity::Cut, || format!("{name}: it is cut off"));
                Ok(false)
            }
            Err(Stop::Wrong(what)) => Err(Error::rest_unreadable(&common.name, what)),
        }
    }

    fn go_on(&mut self, common: &mut Common) -> Result<bool, Stop> {
        if let Some(time) = self.cycle {
            go_to(time, common)?;
            self.changes(common)?;
            let delta = self.input.signed()?;
            self.cycle = if delta < 0 { None } else { Some(time.saturating_add(delta)) };
            if delta < 0 && self.input.array::<4>()? != *b"ECY\0" {
                return Err(Stop::Wrong("a cycle of values has no end".into()));
            }
            return Ok(true);
        }
        match &self.input.array::<4>()? {
            b"SNP\0" => {
                self.input.array::<4>()?;
                let time = self.input.i64()?;
                go_to(time, common)?;
                for place in 0..self.signals.kinds.len() {
                    let at_ns = common.axis.at_ns();
                    self.signals.value(place, &mut self.input, &mut common.head.bits, at_ns)?;
                }
                if self.input.array::<4>()? != *b"ESN\0" {
                    return Err(Stop::Wrong("a snapshot of values has no end".into()));
                }
                Ok(true)
            }
            b"CYC\0" => {
                self.cycle = Some(self.input.i64()?);
                Ok(true)
            }
            // The rest of the file is an index.
            b"DIR\0" | b"TAI\0" => Ok(false),
            _ => Err(Stop::Wrong("expected a section, found something else".into())),
        }
    }

    /// The values that change at one time. Each signal is given by its distance from the one before.
    fn changes(&mut self, common: &mut Common) -> Result<(), Stop> {
        let (mut place, at_ns) = (0_usize, common.axis.at_ns());
        loop {
            let distance = usize::try_from(self.input.unsigned()?).unwrap_or(usize::MAX);
            if distance == 0 {
                return Ok(());
            }
            place = place.saturating_add(distance);
            self.signals.value(place - 1, &mut self.input, &mut common.head.bits, at_ns)?;
        }
    }
}

fn go_to(time: i64, common: &mut Common) -> Result<(), Stop> {
    let time = u64::try_from(time).map_err(|_| Stop::Wrong("a time in it is before 0".into()))?;
    if common.axis.go_to_ticks(time) == Step::Back {
        let (name, at_ns) = (&common.name, common.axis.at_ns());
        let say = || format!("{name}: time goes back to {time} fs; it is held at {at_ns} ns until it is past that");
        common.notes.add(Oddity::TimeWentBack, say);
    }
    Ok(())
}
