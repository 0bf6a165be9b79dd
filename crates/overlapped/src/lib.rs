//! Asynchronous device control: thousands of control codes in flight, on any executor or none, without a thread for
//! each.
//!
//! Many drivers report an input through a control code that *blocks until the input changes*. The system can complete
//! such a call without a waiting thread. By hand that takes five steps, which are easy to get wrong: open the handle
//! for overlapped I/O, bind it to a completion port, pin a status block and buffers, submit, and handle each of
//! *five* outcomes: success, warning, failure, pending, and pending but completed already. This crate does the five
//! steps:
//!
//! ```
//! use overlapped::{Access, CtlCode, Device, Ioctl, Method};
//! # use overlapped::{sim, Status};
//!
//! // SAFETY: by the card's manual, WAIT_CHANGE has no input and writes the levels of the card's 32 inputs.
//! const WAIT_CHANGE: Ioctl<(), u32> =
//!     unsafe { Ioctl::new(CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read)) };
//!
//! # fn open_card() -> Result<Device, overlapped::Error> {
//! #     Device::simulated(sim::from_fn(|mut request| {
//! #         request.write(&5_u32.to_ne_bytes());
//! #         request.complete(Status::SUCCESS)
//! #     }))
//! # }
//! let card = open_card()?; // Device::open(r"\\.\Card0")?
//! let change = card.call(WAIT_CHANGE, &()); // submitted: the driver has it
//! let levels = *change.wait()?; // or `.await`
//! assert_eq!(levels & 1, 1);
//! # Ok::<(), overlapped::Error>(())
//! ```
//!
//! - [`Ioctl`] declares in an `unsafe` constant what a [`CtlCode`] reads and writes. Every call of it is safe.
//! - [`Call`] is one operation in flight: `.await` it, [`wait`](Call::wait) for it, or drop it to cancel it.
//! - [`InvertedCall`] keeps calls pending, so that the driver always has one to complete. It is the stream of the
//!   driver's events.
//! - [`sim`] has devices written in Rust, for tests and for machines without the hardware.
//! - [`Device::read`], [`write`](Device::write) and [`standing_reads`](Device::standing_reads) follow the same rules.
//!   [`RawCall`] lends the driver your own buffers.
//! - [`views`] reads answers whose length the driver chooses: a header and the rest, and lists of records.
//! - [`Port`] is where completions arrive. A waiting thread takes them; one dispatcher thread takes those that no
//!   thread waits for. Other ports have no thread, or use the system's thread pool. A port also has timers:
//!   [`Port::sleep`] needs no runtime.
//! - On Windows, `Event` awaits the Win32 events that many vendors' libraries signal, `InterfaceClass` finds devices
//!   by their kind, and `Device::call_with` calls any other overlapped function.
//!
//! The [`guide`] compares the five steps with this crate and with .NET, Asio and libuv. It explains the inverted call
//! and the promise of `Ioctl::new`, and has a cookbook and a page on testing without the hardware.

mod calls;
mod completers;
mod device;
pub mod guide;
mod operation;
mod port;
mod system;
mod words;

#[cfg(feature = "futures-io")]
pub use calls::byte_stream::ByteStream;
pub use calls::call::Call;
#[cfg(windows)]
pub use calls::event::Event;
#[cfg(windows)]
pub use calls::function::{Returned, Submission};
#[cfg(windows)]
pub use calls::interface::{InterfaceClass, InterfaceWatch, ParseInterfaceClassError, RemovalNotice, UntilRemoval};
pub use calls::inverted::{InvertedCall, InvertedCallBuilder, Stopper, Subscription, Tally};
#[cfg(target_os = "linux")]
pub use calls::linux;
pub use calls::raw::{RawCall, RawReply};
pub use calls::reply::{Input, Output, Reply};
pub use calls::views;
pub use completers::options::{Disposition, OpenOptions, SecurityQos};
pub use completers::sim;
pub use device::Device;
pub use device::closing::Closing;
#[doc(inline)]
pub use overlapped_codes::{Access, CtlCode, ErrorKind, Ioctl, Method, ParseCtlCodeError, Status};
pub use port::{PendingCall, Port, PortStats, Relay, Sleep};
pub use words::buffer::Buffer;
pub use words::error::{Error, ErrorCode, Operation};
#[cfg(windows)]
pub use words::interface::{InterfaceChange, Removal};
