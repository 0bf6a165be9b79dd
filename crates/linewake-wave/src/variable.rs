//! The contents of a waveform: variables, and the wires that they consist of.

use std::fmt;

/// The scopes of a file, one inside another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scopes(Vec<(Scope, Box<str>)>);

/// A scope by its place, from 1; 0 is outside all scopes.
pub(crate) type Scope = u32;

impl Scopes {
    pub(crate) fn add(&mut self, within: Scope, name: impl Into<Box<str>>) -> Scope {
        self.0.push((within, name.into()));
        self.0.len() as Scope
    }

    /// The scope around this one.
    pub(crate) fn around(&self, scope: Scope) -> Scope {
        scope.checked_sub(1).map_or(0, |place| self.0[place as usize].0)
    }

    /// The names of the scopes, with dots between them.
    pub(crate) fn path(&self, mut scope: Scope) -> String {
        let mut names = Vec::new();
        while let Some(place) = scope.checked_sub(1) {
            let (around, name) = &self.0[place as usize];
            names.push(&**name);
            scope = *around;
        }
        names.reverse();
        names.join(".")
    }

    /// A name with its scopes in front.
    pub(crate) fn path_of(&self, scope: Scope, name: &str) -> String {
        if scope == 0 { name.to_owned() } else { format!("{}.{name}", self.path(scope)) }
    }
}

/// A variable whose bits are wires.
///
/// ```
/// let dump = "$scope module top $end $var reg 8 ! PORTB [7:0] $end $enddefinitions $end";
/// let reader = linewake_wave::Reader::vcd("x.vcd", Box::new(dump.as_bytes()))?;
/// let variable = &reader.variables()[0];
/// assert_eq!((variable.name(), variable.width(), variable.wires()), ("PORTB", 8, 0..8));
/// # Ok::<_, linewake_wave::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Variable {
    pub(crate) scope: Scope,
    /// For a variable with one bit, the name of the bit: `led[3]`.
    pub(crate) name: Box<str>,
    /// At least one.
    pub(crate) width: u32,
    /// The numbers of the first and the last digit, as they are written; `None` for a single bit without a number.
    pub(crate) range: Option<(i64, i64)>,
    /// The wire with the lowest number; the others follow.
    pub(crate) first: u32,
    pub(crate) is_lost_mark: bool,
}

impl Variable {
    /// Its name, without the numbers of its bits.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many bits it has.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Its wires, by the numbers of their bits.
    #[must_use]
    pub fn wires(&self) -> std::ops::Range<usize> {
        self.first as usize..(self.first + self.width) as usize
    }

    /// Whether this is not a line: next to each line that `linewake` wrote, a wire says when its edges were lost.
    #[must_use]
    pub fn is_lost_mark(&self) -> bool {
        self.is_lost_mark
    }
}

/// A bit of a variable.
///
/// ```
/// let dump = "$scope module top $end $var reg 8 ! PORTB [7:0] $end $enddefinitions $end";
/// let reader = linewake_wave::Reader::vcd("x.vcd", Box::new(dump.as_bytes()))?;
/// assert_eq!(reader.wire(3).name(), "PORTB[3]");
/// assert_eq!(reader.wire(3).path(), "top.PORTB[3]");
/// # Ok::<_, linewake_wave::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Wire<'a> {
    pub(crate) scopes: &'a Scopes,
    pub(crate) variable: &'a Variable,
    pub(crate) index: usize,
}

impl<'a> Wire<'a> {
    /// Its place in [`Reader::wires`](crate::Reader::wires).
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The variable that it is a bit of.
    #[must_use]
    pub fn variable(&self) -> &'a Variable {
        self.variable
    }

    /// Its scopes, with dots between them.
    #[must_use]
    pub fn scope(&self) -> String {
        self.scopes.path(self.variable.scope)
    }

    /// Its name, and the number of the bit: `PORTB[0]`.
    #[must_use]
    pub fn name(&self) -> String {
        let Variable { name, range, first, .. } = self.variable;
        match range {
            Some((left, right)) => format!("{name}[{}]", left.min(right) + (self.index - *first as usize) as i64),
            None => name.to_string(),
        }
    }

    /// Its name with its scopes in front.
    #[must_use]
    pub fn path(&self) -> String {
        self.scopes.path_of(self.variable.scope, &self.name())
    }
}

/// A variable without bits, which is left out.
///
/// ```
/// let dump = "$scope module top $end $var real 64 ! t $end $enddefinitions $end";
/// let reader = linewake_wave::Reader::vcd("x.vcd", Box::new(dump.as_bytes()))?;
/// assert_eq!(reader.left_out()[0].to_string(), "\"top.t\" is a real");
/// # Ok::<_, linewake_wave::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Its name with its scopes in front.
    pub(crate) path: String,
    pub(crate) kind: &'static str,
}

impl LeftOut {
    /// Its name with its scopes in front.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its kind: `real`, `string`, `event`, `parameter`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let article = if self.kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        write!(f, "\"{}\" is {article} {}", self.path(), self.kind)
    }
}
