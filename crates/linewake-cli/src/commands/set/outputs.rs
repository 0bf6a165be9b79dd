//! The lines that the command holds, and their values.

use std::thread;
use std::time::Duration;

use linewake::{LineConfig, Request};

use crate::exit::Failure;
use crate::lines::FoundLines;

/// The outputs that the command holds.
pub(super) struct Outputs {
    pub(super) lines: FoundLines,
    /// In the order of the lines.
    pub(super) values: Vec<bool>,
    /// One request for each chip.
    requests: Vec<Request>,
    /// A line could not be set, and this was reported.
    have_failed: bool,
    /// A chip was gone.
    is_one_gone: bool,
}

impl Outputs {
    /// Takes the lines; `config` gives the settings of a line from its value.
    pub(super) fn hold(
        consumer: &str,
        config: impl Fn(bool) -> LineConfig,
        lines: FoundLines,
        values: Vec<bool>,
    ) -> Result<Self, Failure> {
        let mut requests = Vec::new();
        for (chip, of_chip) in lines.by_chip() {
            let mut request = chip.request().consumer(consumer);
            for (place, line) in of_chip {
                request = request.line_with(line.offset, config(values[place]));
            }
            requests.push(request.start()?);
        }
        Ok(Self { lines, values, requests, have_failed: false, is_one_gone: false })
    }

    /// Sets the lines to their values. One chip that fails does not stop the others.
    pub(super) fn apply(&mut self) {
        for (at, (_, of_chip)) in self.lines.by_chip().enumerate() {
            let values = of_chip.iter().map(|&(place, line)| (line.offset, self.values[place]));
            if let Err(error) = self.requests[at].set_values(values) {
                self.have_failed = true;
                self.is_one_gone |= error.is_disconnected();
                Failure::from(error).report();
            }
        }
    }

    /// Fails if a line could not be set.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if self.have_failed { Err(Failure::silent()) } else { Ok(()) }
    }

    fn toggle_all(&mut self) {
        self.values.iter_mut().for_each(|value| *value = !*value);
    }

    /// Toggles after each period, over and over. A last period of zero ends it after one round.
    ///
    /// # Errors
    /// A chip is gone; that was reported.
    pub(super) fn toggle_by(&mut self, periods: &[Duration], hold: Option<Duration>) -> Result<(), Failure> {
        let (periods, is_endless) = match periods {
            [first @ .., Duration::ZERO] => (first, false),
            all => (all, true),
        };
        loop {
            for &period in periods {
                thread::sleep(period.max(hold.unwrap_or_default()));
                self.toggle_all();
                self.apply();
                if self.is_one_gone {
                    self.verdict()?;
                }
            }
            if !is_endless || periods.is_empty() {
                return Ok(());
            }
        }
    }

    /// Holds the lines until the first chip is gone.
    pub(super) fn wait(&mut self) -> Result<(), Failure> {
        match self.requests.first_mut().and_then(Request::wait_next) {
            Some(Err(error)) => Err(error.into()),
            Some(Ok(_)) | None => loop {
                thread::park();
            },
        }
    }
}
