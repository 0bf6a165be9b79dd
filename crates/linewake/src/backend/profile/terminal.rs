//! Terminals. A serial port on Linux is a terminal, and changes bytes unless it is set to raw.

use overlapped::Device;
use rustix::termios::{InputModes, LocalModes, tcgetattr};

use crate::{Error, ErrorKind};

/// Refuses a terminal that keeps bytes until the end of a line, interprets or replaces bytes: records would not arrive
/// as they were sent.
pub(super) fn is_raw(device: &Device) -> Result<(), Error> {
    // A simulated device has no file, and a file that is no terminal has no such settings.
    let Ok(file) = device.as_fd() else { return Ok(()) };
    let Ok(settings) = tcgetattr(file) else { return Ok(()) };
    let keeps = LocalModes::ICANON | LocalModes::ISIG;
    let changes = InputModes::ICRNL
        | InputModes::INLCR
        | InputModes::IGNCR
        | InputModes::ISTRIP
        | InputModes::IUCLC
        | InputModes::IXON
        | InputModes::PARMRK;
    if !settings.local_modes.intersects(keeps) && !settings.input_modes.intersects(changes) {
        return Ok(());
    }
    let name = device.name();
    let message = format!(
        "\"{name}\" is a terminal that changes the bytes it receives; set it to raw first, with \
         `stty -F {name} raw -echo` and the speed of the device"
    );
    Err(Error::new(ErrorKind::InvalidInput, message))
}
