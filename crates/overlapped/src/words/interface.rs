//! What notices of devices say.

use std::path::PathBuf;

/// What an [`InterfaceWatch`](crate::InterfaceWatch) tells.
///
/// ```no_run
/// use overlapped::InterfaceChange;
/// fn tell(change: &InterfaceChange) {
///     match change {
///         InterfaceChange::Arrived(path) => println!("{} is there", path.display()),
///         InterfaceChange::Removed(path) => println!("{} is gone", path.display()),
///         _ => {}
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterfaceChange {
    /// A device has come; this is the path to open it by.
    Arrived(PathBuf),
    /// The device with this path is gone.
    Removed(PathBuf),
}

/// What happens to an open device, as [`Device::on_removal`](crate::Device::on_removal) tells.
///
/// ```no_run
/// use overlapped::Removal;
/// # fn example(device: overlapped::Device) -> Result<(), overlapped::Error> {
/// let notice = device.on_removal(|removal| match removal {
///     Removal::Asked => println!("let go, or the removal is refused"),
///     Removal::Gone => println!("it is gone"),
///     _ => {}
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removal {
    /// Somebody wants to remove the device ("safely remove"). Every call of the handle is cancelled; drop the device,
    /// its calls and streams, or the removal is refused.
    Asked,
    /// It was refused after all: open the device again.
    Refused,
    /// The device is gone.
    Gone,
}
