//! The lines that gpioset holds, and their values.

use super::chip::{LineRequest, RequestConfig};
use super::resolve::{FoundLines, Group};
use super::{Context, Exit, number};

/// The outputs that the tool holds.
pub(super) struct Outputs<'a> {
    pub(super) lines: FoundLines<'a>,
    /// In the order of the lines.
    pub(super) values: Vec<bool>,
    groups: Vec<Group>,
    /// One request for each group.
    held: Vec<LineRequest>,
}

impl<'a> Outputs<'a> {
    pub(super) fn hold(lines: FoundLines<'a>, values: Vec<bool>, config: &RequestConfig<'_>) -> Result<Self, Exit> {
        let groups = lines.groups();
        let mut held = Vec::with_capacity(groups.len());
        for group in &groups {
            let spec = &lines.chips[group.chip].spec;
            let lines = lines.hold(group, config, bits(group, &values));
            held.push(
                lines.map_err(|error| {
                    Exit::of("unable to request lines on chip '", spec.path(), &format!("': {error}"))
                })?,
            );
        }
        Ok(Self { lines, values, groups, held })
    }

    /// Sets the lines to their values. One chip that fails does not stop the others.
    pub(super) fn apply(&mut self, context: &mut Context) -> Result<(), Exit> {
        for (group, held) in self.groups.iter().zip(&mut self.held) {
            if let Err(error) = held.set_values(bits(group, &self.values)) {
                let exit =
                    Exit::of("unable to set values on '", &self.lines.chips[group.chip].name, &format!("': {error}"));
                context.error(&exit.message)?;
            }
        }
        Ok(())
    }

    fn toggle_all(&mut self) {
        self.values.iter_mut().for_each(|value| *value = !*value);
    }

    /// Toggles after each period, over and over. A last period of zero ends it after one round.
    pub(super) fn toggle_by(&mut self, context: &mut Context, periods: &[u64]) -> Result<(), Exit> {
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
    pub(super) fn wait(&mut self) -> Result<(), Exit> {
        #[cfg(target_os = "linux")]
        if let Some(LineRequest::File(lines)) = self.held.first() {
            let what = "error waiting on request";
            return super::wait::wait(&[lines], rustix::event::PollFlags::ERR, None, what).map(drop);
        }
        loop {
            std::thread::park();
        }
    }

    /// Goes on in the background, in a fork: it keeps the name and the environment.
    #[cfg(target_os = "linux")]
    pub(super) fn daemonize(&self, keeps_streams: bool) -> Result<(), Exit> {
        // A simulated chip has a thread, which a fork would lack.
        if self.held.iter().any(|held| matches!(held, LineRequest::Sim(..))) {
            return Err(Exit::new("unable to daemonize: a simulated chip stays with its process"));
        }
        nix::unistd::daemon(false, keeps_streams).map_err(|errno| {
            let error = super::strerror::of(&errno.into());
            Exit::new(format!("unable to daemonize: {error}"))
        })
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "on Linux it looks at the held lines")]
    pub(super) fn daemonize(&self, _: bool) -> Result<(), Exit> {
        Err(Exit::new("unable to daemonize: not on this system"))
    }
}

/// The values of a group's lines, a bit for each.
fn bits(group: &Group, values: &[bool]) -> u64 {
    group.lines.iter().rev().fold(0, |bits, &line| bits << 1 | u64::from(values[line]))
}
