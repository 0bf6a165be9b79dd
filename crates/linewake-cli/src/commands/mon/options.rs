//! Which lines are watched and how, when that ends, and what is said meanwhile: options of `mon` and `record`.

use std::time::Duration;

use linewake::filter::{Filter, LineFilter};
use linewake::{Bias, Edges, EventClock, LineConfig, Monitor};

use super::watch::Pace;
use crate::caller::BEYOND;
use crate::config;
use crate::exit::Failure;
use crate::lines::{All, Scope};
use crate::sinks::distinct::Inputs;
use crate::sinks::select::Selection;
use crate::{period, settings};

// Which lines, and how they are held.
#[derive(Debug, clap::Args)]
pub(crate) struct LineOptions {
    #[command(flatten)]
    scope: Scope,

    /// Lines: by name; by offset too, with --chip; or as CHIP:LINE. @SET is a set of lines of the
    /// configuration. With --chip all of its inputs if none is given
    #[arg(value_name = "LINE")]
    lines: Vec<String>,

    /// Treat the low level as the active one: rising is to low
    #[arg(short = 'l', long)]
    active_low: bool,

    /// What pulls the lines when nothing drives them; left as it is unless given
    #[arg(short, long, value_name = "BIAS", value_parser = settings::bias())]
    bias: Option<Bias>,

    /// Who holds the lines, for others to see [default: gpiomon]
    #[arg(short = 'C', long, value_name = "NAME", default_value = "gpiomon", hide_default_value = true)]
    consumer: String,

    /// Which edges
    #[arg(short, long, value_name = "EDGES", value_parser = settings::edges(), default_value = "both")]
    pub(crate) edges: Edges,

    /// Which clock stamps them; monotonic unless given
    #[arg(short = 'E', long, value_name = "CLOCK", value_parser = settings::event_clock())]
    pub(crate) event_clock: Option<EventClock>,

    /// Have the chip ignore changes shorter than this. Linux stamps the edge at the end of the quiet period
    #[arg(short = 'p', long, visible_alias = "debounce", value_name = "PERIOD", value_parser = period::parse,
        allow_hyphen_values = true)]
    debounce_period: Option<Duration>,

    /// How many events the driver queues before it drops the oldest; 0 is its default [default: 1024 on a gpiochip, else 16
    /// for each line]
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = BEYOND)]
    queue_size: Option<u32>,

    /// Make the life of a simulated chip from this number; the same number gives the same edges [default: 1]
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = BEYOND)]
    seed: Option<u64>,
}

// When it ends, and what it says meanwhile.
#[derive(Debug, clap::Args)]
pub(crate) struct EndOptions {
    /// End after N edges; 0 is no limit
    #[arg(short, long, value_name = "N", default_value_t = 0, allow_hyphen_values = true,
        value_parser = clap::value_parser!(u32).range(..=i64::from(i32::MAX)))]
    num_events: u32,

    /// End when no edge comes for this period
    #[arg(long, value_name = "PERIOD", value_parser = period::parse, allow_hyphen_values = true)]
    idle_timeout: Option<Duration>,

    /// End after this period
    #[arg(long = "for", value_name = "PERIOD", value_parser = period::parse, allow_hyphen_values = true,
        help_heading = BEYOND)]
    period: Option<Duration>,

    /// Wait for a chip that is unplugged, and go on when it is back
    #[arg(long, help_heading = BEYOND)]
    pub(crate) reattach: bool,

    /// Say this often on standard error, line by line: edges, their rate by the stamps of the last ones, with a unit how
    /// much they are and were in all, what is missing, the level, and how long after their time stamp they were written
    #[arg(long, value_name = "PERIOD", value_parser = some_period, allow_hyphen_values = true, help_heading = BEYOND)]
    stats: Option<Duration>,

    /// Show this often that it is alive: a record in a record stream, or else a line on standard error
    #[arg(long, value_name = "PERIOD", value_parser = some_period, allow_hyphen_values = true, help_heading = BEYOND)]
    heartbeat: Option<Duration>,

    /// Write what passes a filter: a preset (button, reed, relay, encoder), settings (debounce=5ms, press=5ms, release=20ms,
    /// stamp=first, glitch=50us, chatter=100/s, resume=50), or both with commas between them; none is no filter
    #[arg(long, value_name = "FILTER", value_parser = filter, help_heading = BEYOND)]
    filter: Option<Filter>,

    /// Exit with 2 if an edge was lost: overflowed or merged, or a chip was gone
    #[arg(long, help_heading = BEYOND)]
    pub(crate) fail_on_loss: bool,
}

/// Of a watch that ends after a period: how soon and how late a program that has not said its lines is given up.
const SOON: Duration = Duration::from_secs(1);
const SILENT: Duration = Duration::from_secs(10);

/// How long edges of one chip may gather. Those of several have to be put in order, and gather for no longer than is waited for
/// late ones.
const GATHER: Duration = Duration::from_millis(4);

pub(crate) fn filter(text: &str) -> Result<Filter, String> {
    text.parse().map_err(|error: linewake::Error| error.to_string())
}

/// One that is not nothing.
pub(crate) fn some_period(text: &str) -> Result<Duration, String> {
    match period::parse(text)? {
        Duration::ZERO => Err("it is a period above zero".to_owned()),
        period => Ok(period),
    }
}

impl LineOptions {
    /// Whether the user names the chip.
    pub(crate) fn has_chip(&self) -> bool {
        self.scope.has_chip()
    }

    /// The files that are read: those that chips are made of, and the configuration.
    pub(crate) fn inputs(&self) -> Result<Inputs, Failure> {
        let members = config::expand(&self.lines)?;
        let of_lines = members.iter().filter_map(|(_, member)| Some(member.id.rsplit_once(':')?.0));
        Ok(Inputs::chips(self.scope.chip.iter().map(|chip| &**chip).chain(of_lines)))
    }

    /// Opens the chips and finds the lines.
    pub(crate) fn select(&self, ending: &EndOptions) -> Result<Selection, Failure> {
        let mut options = self.scope.consent.options();
        if let Some(period) = ending.period {
            options = options.start_timeout(period.clamp(SOON, SILENT));
        }
        if let Some(seed) = self.seed {
            options = options.seed(seed);
        }
        Ok(Selection::new(&self.scope.resolve_or_all(&self.lines, All::Inputs, &options)?))
    }

    /// How they are held.
    fn config(&self, clock: EventClock) -> Result<LineConfig, Failure> {
        let mut config = LineConfig::watch(self.edges).active_low(self.active_low).clock(clock);
        config.bias = self.bias;
        if let Some(debounce) = self.debounce_period {
            let us = debounce.as_micros();
            if us > u32::MAX.into() {
                let message = format!("maximum debounce period is {}us, got {us}us", u32::MAX);
                return Err(Failure::new(message));
            }
            config.debounce = debounce;
        }
        Ok(config)
    }

    pub(crate) fn monitor(&self, selection: &Selection, clock: EventClock, reattach: bool) -> Result<Monitor, Failure> {
        let config = self.config(clock)?;
        let mut builder = Monitor::builder().states(true).reattach(reattach);
        for (chip, offsets) in &selection.requests {
            let mut request = chip.request().lines(offsets.iter().copied()).config(config).consumer(&*self.consumer);
            if let Some(events) = self.queue_size {
                request = request.queue_size(events);
            }
            if let [_] = selection.requests[..] {
                request = request.gather(GATHER);
            }
            builder = builder.request(request);
        }
        Ok(builder.start()?)
    }
}

impl EndOptions {
    /// Whether it makes sense is told before anything is watched.
    pub(crate) fn filter(&self, edges: Edges) -> Result<Option<Filter>, Failure> {
        if let Some(filter) = &self.filter {
            LineFilter::new(filter, edges, None)?;
        }
        Ok(self.filter)
    }

    pub(crate) fn pace(&self, says_heartbeat: bool) -> Pace {
        Pace {
            edges: Some(u64::from(self.num_events)).filter(|&edges| edges > 0),
            period: self.period,
            // Nothing is no timeout, as in gpiomon.
            idle: self.idle_timeout.filter(|idle| !idle.is_zero()),
            stats: self.stats,
            heartbeat: self.heartbeat,
            says_heartbeat,
            reattach: self.reattach,
        }
    }
}
