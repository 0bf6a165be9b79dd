//! Notices about devices that come and go.

use std::path::PathBuf;

/// What an [`InterfaceWatch`](crate::InterfaceWatch) reports.
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
    /// A device has arrived; open it by this path.
    Arrived(PathBuf),
    /// The device with this path is gone.
    Removed(PathBuf),
}

/// What happens to an open device, as [`Device::on_removal`](crate::Device::on_removal) reports it.
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
    /// A user or a program wants to remove the device ("safely remove"). Every call of the handle is cancelled. Drop
    /// the device, its calls and its streams, or the removal is refused.
    Asked,
    /// The removal was refused, and the device stays: open it again.
    Refused,
    /// The device is gone.
    Gone,
}
