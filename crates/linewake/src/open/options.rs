//! The options that a chip is opened with.

use std::fmt;
use std::time::Duration;

use crate::sim::ClockKind;

/// The seed of a simulated chip unless another is given.
pub const DEFAULT_SEED: u64 = 1;

/// How to open a chip.
///
/// ```
/// use linewake::Chip;
/// let repeatable = Chip::options().seed(42).open("sim")?;
/// let still = Chip::options().life(false).open("sim:8")?; // nothing changes unless a test drives it
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ChipOptions {
    pub(super) seed: Option<u64>,
    pub(super) life: Option<bool>,
    pub(super) poll_period: Option<Duration>,
    pub(super) clock: Option<ClockKind>,
    pub(super) allow_writes: bool,
    pub(super) start_timeout: Option<Duration>,
}

/// An option that a kind of chip takes or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Seed,
    Life,
    Clock,
    PollPeriod,
    AllowWrites,
    StartTimeout,
}

impl Setting {
    /// The method of [`ChipOptions`] that sets it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Life => "life",
            Self::Clock => "clock",
            Self::PollPeriod => "poll_period",
            Self::AllowWrites => "allow_writes",
            Self::StartTimeout => "start_timeout",
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str().replace('_', " "))
    }
}

impl ChipOptions {
    /// Sets the seed of a simulated chip: the same seed makes the same edges at the same times of its clock.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets whether the named lines of a simulated chip change by themselves: on by default.
    #[must_use]
    pub fn life(mut self, life: bool) -> Self {
        self.life = Some(life);
        self
    }

    /// Sets the time between two reads of a serial port's lines on Linux, which reports no edges by itself: 10 ms by
    /// default.
    ///
    /// A shorter period sees shorter pulses and stamps them more closely. All ports with the same period are read
    /// together, so the period sets the number of wake-ups; each port adds one system call or two.
    #[must_use]
    pub fn poll_period(mut self, period: Duration) -> Self {
        self.poll_period = Some(period);
        self
    }

    /// Sets the clock of a simulated chip: the system's, or one that stands still and jumps.
    ///
    /// ```
    /// use linewake::Chip;
    /// use linewake::sim::ClockKind;
    /// let chip = Chip::options().clock(ClockKind::Virtual).open("sim")?;
    /// let mut seconds = chip.request().line("pps").edges(linewake::Edges::Rising).start()?;
    /// for second in 0..1000 {
    ///     assert_eq!(seconds.wait_next().unwrap()?.timestamp_ns, second * 1_000_000_000 + 500_000_000);
    /// }
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: ClockKind) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Allows a [profile](crate::profile) to change its device: off by default. Only the user can allow it, since the
    /// profile may come from a stranger. Other chips ignore it.
    #[must_use]
    pub fn allow_writes(mut self, allow: bool) -> Self {
        self.allow_writes = allow;
        self
    }

    /// Sets how long a [program](crate::Exec) may take to name its lines: 10 s by default. Other chips ignore it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use linewake::Chip;
    /// # if cfg!(unix) {
    /// let silent = Chip::options().start_timeout(Duration::from_millis(50)).open("exec:sleep 60");
    /// assert!(silent.unwrap_err().is_timeout());
    /// # }
    /// ```
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// The options that are set and that a chip must not ignore. Consent and a time limit are left out: a
    /// program gives them to all its chips.
    pub(super) fn binding(&self) -> impl Iterator<Item = Setting> {
        let binding = [
            (Setting::Seed, self.seed.is_some()),
            (Setting::Life, self.life.is_some()),
            (Setting::Clock, self.clock.is_some()),
            (Setting::PollPeriod, self.poll_period.is_some()),
        ];
        binding.into_iter().filter_map(|(option, is_set)| is_set.then_some(option))
    }
}
