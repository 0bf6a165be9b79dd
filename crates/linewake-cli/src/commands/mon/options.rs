//! Options of `mon` and `record`: which lines are watched and how, when the watch ends, and what it reports.

use std::time::Duration;

use linewake::filter::{Filter, LineFilter};
use linewake::{Bias, Edges, EventClock, LineConfig, Monitor};

use super::watch::Pace;
use crate::config;
use crate::exit::Failure;
use crate::lines::{All, Scope};
use crate::settings::BEYOND;
use crate::sinks::distinct::Inputs;
use crate::sinks::select::Selection;
use crate::{number, period, settings};

// The watched lines, and how they are requested.
#[derive(Debug, clap::Args)]
pub(crate) struct LineOptions {
    #[command(flatten)]
    scope: Scope,

    /// Lines, each by its name, or with --chip by its offset; or as CHIP:LINE, or as @SET, which is a set of the
    /// configuration. With --chip and no line: all of its inputs
    #[arg(value_name = "LINE")]
    lines: Vec<String>,

    /// Treat the low level as active; a rising edge is then a change to low
    #[arg(short = 'l', long)]
    active_low: bool,

    /// Bias of the lines: what pulls them when nothing drives them; unchanged unless given
    #[arg(short, long, value_name = "BIAS", value_parser = settings::one_of(settings::BIASES, Bias::as_str))]
    bias: Option<Bias>,

    /// Name of the holder of the lines, which other programs see [default: gpiomon]
    #[arg(short = 'C', long, value_name = "NAME", default_value = "gpiomon", hide_default_value = true)]
    consumer: String,

    /// Edges to watch
    #[arg(short, long, value_name = "EDGES",
        value_parser = settings::one_of(settings::EDGES, Edges::as_str), default_value = "both")]
    pub(crate) edges: Edges,

    /// Clock that stamps the edges; monotonic unless given
    #[arg(short = 'E', long, value_name = "CLOCK",
        value_parser = settings::one_of(settings::CLOCKS, EventClock::as_str))]
    pub(crate) event_clock: Option<EventClock>,

    /// Make the chip ignore changes shorter than this. Linux stamps the edge at the end of the quiet period
    #[arg(short = 'p', long, visible_alias = "debounce", value_name = "PERIOD", value_parser = period::parse,
        allow_hyphen_values = true)]
    debounce_period: Option<Duration>,

    /// Number of events that the driver queues before it drops the oldest; 0 is the driver's default [default: 1024 on
    /// a gpiochip, else 16 for each line]
    #[arg(long, value_name = "N", value_parser = number::within(0..=u32::MAX), allow_hyphen_values = true,
        help_heading = BEYOND)]
    queue_size: Option<u32>,

    /// Seed of the signals of a simulated chip; the same seed gives the same edges [default: 1]
    #[arg(long, value_name = "N", value_parser = number::within(0..=u64::MAX), allow_hyphen_values = true,
        help_heading = BEYOND)]
    seed: Option<u64>,
}

// The end of a watch, and the reports before it.
#[derive(Debug, clap::Args)]
pub(crate) struct EndOptions {
    /// End after N edges; 0 means no limit
    #[arg(short, long, value_name = "N", default_value_t = 0, allow_hyphen_values = true,
        value_parser = number::count())]
    num_events: u32,

    /// End when no edge comes for this period
    #[arg(long, value_name = "PERIOD", value_parser = period::parse, allow_hyphen_values = true)]
    idle_timeout: Option<Duration>,

    /// End after this period
    #[arg(long = "for", value_name = "PERIOD", value_parser = period::parse, allow_hyphen_values = true,
        help_heading = BEYOND)]
    period: Option<Duration>,

    /// When a chip is unplugged, wait until it is back and go on
    #[arg(long, help_heading = BEYOND)]
    pub(crate) reattach: bool,

    /// Print statistics on standard error this often, for each line: edges, their rate, the amount in its unit, missing
    /// edges, the level, and the delay from time stamp to output
    #[arg(long, value_name = "PERIOD", value_parser = some_period, allow_hyphen_values = true, help_heading = BEYOND)]
    stats: Option<Duration>,

    /// Show a sign of life this often: a record in a record stream, else a line on standard error
    #[arg(long, value_name = "PERIOD", value_parser = some_period, allow_hyphen_values = true, help_heading = BEYOND)]
    heartbeat: Option<Duration>,

    /// Filter the edges: a preset (button, reed, relay, encoder), settings (debounce=5ms, press=5ms, release=20ms,
    /// stamp=first, glitch=50us, chatter=100/s, resume=50), or both, separated by commas; none means no filter
    #[arg(long, value_name = "FILTER", value_parser = filter, help_heading = BEYOND)]
    filter: Option<Filter>,

    /// Exit with 2 if an edge was lost (overflowed or merged), or if a chip was gone
    #[arg(long, help_heading = BEYOND)]
    pub(crate) fail_on_loss: bool,
}

/// Bounds of the time that an `exec:` program has to name its lines, in a watch with a limited period.
const SOON: Duration = Duration::from_secs(1);
const SILENT: Duration = Duration::from_secs(10);

/// How long the edges of one chip may gather before the watch wakes. With several chips, edges are put in order anyway,
/// and wait no longer than for late ones.
const GATHER: Duration = Duration::from_millis(4);

pub(crate) fn filter(text: &str) -> Result<Filter, String> {
    text.parse().map_err(|error: linewake::Error| error.to_string())
}

/// Reads a period that is not zero.
pub(crate) fn some_period(text: &str) -> Result<Duration, String> {
    match period::parse(text)? {
        Duration::ZERO => Err("expected a period above zero".to_owned()),
        period => Ok(period),
    }
}

impl LineOptions {
    /// True if the user named the chip.
    pub(crate) fn has_chip(&self) -> bool {
        self.scope.has_chip()
    }

    /// The files that are read: scripts, waveforms and profiles of chips, and the configuration.
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

    /// The configuration with which the lines are requested.
    fn config(&self, clock: EventClock) -> Result<LineConfig, Failure> {
        let mut config = LineConfig::watch(self.edges).active_low(self.active_low).clock(clock);
        config.bias = self.bias;
        if let Some(debounce) = self.debounce_period {
            let us = debounce.as_micros();
            if us > u32::MAX.into() {
                let message = format!("debounce period {us}us is out of range; expected at most {}us", u32::MAX);
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
    /// Checks the filter before anything is watched.
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
            // Zero means no timeout, as in gpiomon.
            idle: self.idle_timeout.filter(|idle| !idle.is_zero()),
            stats: self.stats,
            heartbeat: self.heartbeat,
            says_heartbeat,
            reattach: self.reattach,
        }
    }
}
