//! Lines as pins: the traits of `embedded-hal` 1 and `embedded-hal-async` 1, for a line of any chip.
//!
//! A driver written for a microcontroller's pins runs on a gpiochip, on a chip of a Windows driver, and in a test on
//! the simulator. *High* means active: with [`LineConfig::active_low`] it is the low level.
//!
//! ```
//! use embedded_hal::digital::{InputPin, OutputPin, StatefulOutputPin};
//! use linewake::Chip;
//! use linewake::hal::{Input, Output};
//!
//! /// A driver that knows only pins.
//! fn follow<P: InputPin, L: OutputPin<Error = P::Error>>(button: &mut P, led: &mut L) -> Result<(), P::Error> {
//!     led.set_state(button.is_high()?.into())
//! }
//!
//! let chip = Chip::options().life(false).open("sim")?;
//! let (mut button, mut led) = (Input::new(&chip, "button")?, Output::new(&chip, "led", false)?);
//! chip.world().drive("button", true)?;
//! follow(&mut button, &mut led)?;
//! assert!(led.is_set_high()? && chip.value("led")?);
//! # Ok::<(), linewake::Error>(())
//! ```

use std::task::{Context, Poll, Waker};

use embedded_hal::digital::{self, ErrorType, InputPin, OutputPin, PinState, StatefulOutputPin};
use embedded_hal_async::digital::Wait;

use crate::{Chip, Direction, EdgeKind, Edges, Error, ErrorKind, LineConfig, LineId, Request};

impl digital::Error for Error {
    fn kind(&self) -> digital::ErrorKind {
        // The only kind.
        digital::ErrorKind::Other
    }
}

/// A line as an input pin. Its levels and edges can be waited for.
///
/// ```
/// # async fn example() -> Result<(), linewake::Error> {
/// use embedded_hal_async::digital::Wait;
/// let mut door = linewake::hal::Input::new(&linewake::Chip::open("sim")?, "door")?;
/// door.wait_for_rising_edge().await?;
/// println!("the door was opened");
/// # Ok(())
/// # }
/// ```
///
/// Both edges are always watched. A wait for a level sees a short pulse, also if its edges are known to be
/// [lost](crate::Missed). An edge from before the wait does not end it, unless the chip had not handed it over yet. A
/// dropped future leaves nothing behind.
#[derive(Debug)]
pub struct Input {
    request: Request,
    /// The error that ended the stream of edges. Every later wait returns it.
    end: Option<Error>,
}

impl Input {
    /// Takes a line as an input.
    ///
    /// # Errors
    /// As [`RequestBuilder::start`](crate::RequestBuilder::start).
    pub fn new(chip: &Chip, line: impl Into<LineId>) -> Result<Self, Error> {
        Self::with(chip, line, LineConfig::watch(Edges::Both))
    }

    /// Takes a line as an input with this configuration. Both edges are watched in any case.
    ///
    /// ```
    /// # let chip = linewake::Chip::open("sim")?;
    /// use linewake::{Bias, LineConfig, hal::Input};
    /// let button = Input::with(&chip, "button", LineConfig::input().active_low(true).bias(Bias::PullUp))?;
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new); [`ErrorKind::InvalidInput`] for the configuration of an output.
    pub fn with(chip: &Chip, line: impl Into<LineId>, mut config: LineConfig) -> Result<Self, Error> {
        if config.direction == Some(Direction::Output) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "an input pin cannot be held as an output; use `hal::Output`",
            ));
        }
        (config.direction, config.edges) = (Some(Direction::Input), Some(Edges::Both));
        Ok(Self { request: chip.request().line_with(line, config).start()?, end: None })
    }

    /// The request that holds the line.
    pub fn into_inner(self) -> Request {
        self.request
    }

    fn is_active(&self) -> Result<bool, Error> {
        Ok(self.request.values()?.first().copied().unwrap_or_default())
    }

    /// Drops the edges that came before.
    fn forget(&mut self) -> Result<(), Error> {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(edge) = self.request.poll_next_edge(&mut cx) {
            self.unless_over(edge)?;
        }
        Ok(())
    }

    /// Waits for the next edge, of one kind or of any.
    async fn edge(&mut self, kind: Option<EdgeKind>) -> Result<(), Error> {
        loop {
            let edge = self.request.next().await;
            let edge = self.unless_over(edge)?;
            // Rising and falling edges alternate. So if an edge is missing before this one, the awaited kind came.
            if kind.is_none_or(|kind| kind == edge.kind) || edge.missed.total() > 0 {
                return Ok(());
            }
        }
    }

    async fn level(&mut self, kind: EdgeKind) -> Result<(), Error> {
        self.forget()?;
        if self.is_active()? == (kind == EdgeKind::Rising) {
            return Ok(());
        }
        self.edge(Some(kind)).await
    }

    fn unless_over<T>(&mut self, edge: Option<Result<T, Error>>) -> Result<T, Error> {
        let over = || Error::new(ErrorKind::InvalidInput, "the stream of the pin's edges was stopped");
        match edge {
            Some(Ok(edge)) => Ok(edge),
            Some(Err(error)) => Err(self.end.insert(error).clone()),
            None => Err(self.end.clone().unwrap_or_else(over)),
        }
    }
}

impl ErrorType for Input {
    type Error = Error;
}

impl InputPin for Input {
    fn is_high(&mut self) -> Result<bool, Error> {
        self.is_active()
    }

    fn is_low(&mut self) -> Result<bool, Error> {
        Ok(!self.is_active()?)
    }
}

impl Wait for Input {
    async fn wait_for_high(&mut self) -> Result<(), Error> {
        self.level(EdgeKind::Rising).await
    }

    async fn wait_for_low(&mut self) -> Result<(), Error> {
        self.level(EdgeKind::Falling).await
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Error> {
        self.forget()?;
        self.edge(Some(EdgeKind::Rising)).await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Error> {
        self.forget()?;
        self.edge(Some(EdgeKind::Falling)).await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Error> {
        self.forget()?;
        self.edge(None).await
    }
}

/// A line as an output pin.
///
/// ```
/// use embedded_hal::digital::{OutputPin, StatefulOutputPin};
/// let chip = linewake::Chip::open("sim")?;
/// let mut relay = linewake::hal::Output::new(&chip, "relay-1", false)?;
/// relay.toggle()?;
/// assert!(relay.is_set_high()? && chip.value("relay-1")?);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Debug)]
pub struct Output {
    request: Request,
    is_high: bool,
}

impl Output {
    /// Takes a line as an output with this first value.
    ///
    /// # Errors
    /// As [`RequestBuilder::start`](crate::RequestBuilder::start).
    pub fn new(chip: &Chip, line: impl Into<LineId>, high: bool) -> Result<Self, Error> {
        Self::with(chip, line, LineConfig::output(high))
    }

    /// Takes a line as an output with this configuration. Without a first value it is low.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`ErrorKind::InvalidInput`] for the configuration of an input.
    pub fn with(chip: &Chip, line: impl Into<LineId>, mut config: LineConfig) -> Result<Self, Error> {
        if config.direction == Some(Direction::Input) || config.edges.is_some() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "an output pin cannot be held as an input; use `hal::Input`",
            ));
        }
        let is_high = config.output.unwrap_or(false);
        (config.direction, config.output) = (Some(Direction::Output), Some(is_high));
        Ok(Self { request: chip.request().line_with(line, config).start()?, is_high })
    }

    /// The request that holds the line.
    pub fn into_inner(self) -> Request {
        self.request
    }

    fn set(&mut self, high: bool) -> Result<(), Error> {
        let offset = self.request.lines()[0].offset;
        self.request.set_value(offset, high)?;
        self.is_high = high;
        Ok(())
    }
}

impl ErrorType for Output {
    type Error = Error;
}

impl OutputPin for Output {
    fn set_low(&mut self) -> Result<(), Error> {
        self.set(false)
    }

    fn set_high(&mut self) -> Result<(), Error> {
        self.set(true)
    }

    fn set_state(&mut self, state: PinState) -> Result<(), Error> {
        self.set(state == PinState::High)
    }
}

/// The value that was set last. The line may show another: others can hold an open-drain line low.
impl StatefulOutputPin for Output {
    fn is_set_high(&mut self) -> Result<bool, Error> {
        Ok(self.is_high)
    }

    fn is_set_low(&mut self) -> Result<bool, Error> {
        Ok(!self.is_high)
    }
}
