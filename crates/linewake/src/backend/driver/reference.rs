//! The device of the reference driver's protocol: what opens its handles, and the client that tests use.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use overlapped::Device;

use super::client::Client;
use crate::backend::sim;

/// Opens handles. Each request has its own.
#[derive(Clone)]
pub(crate) enum DeviceOpener {
    Simulated(Arc<sim::Host>),
    Devices(Arc<Opener>),
}

type Opener = dyn Fn() -> Result<Device, overlapped::Error> + Send + Sync;

impl fmt::Debug for DeviceOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceOpener")
    }
}

impl DeviceOpener {
    /// A handle; for a simulated chip, also its inside.
    pub(crate) fn open(&self) -> Result<(Device, Option<Arc<sim::Handle>>), overlapped::Error> {
        match self {
            Self::Simulated(host) => host.open().map(|(device, handle)| (device, Some(handle))),
            Self::Devices(open) => open().map(|device| (device, None)),
        }
    }

    pub(crate) fn host(&self) -> Option<&Arc<sim::Host>> {
        match self {
            Self::Simulated(host) => Some(host),
            Self::Devices(_) => None,
        }
    }
}

/// The client with which tests drive lines, and what opens further handles.
#[derive(Debug)]
pub(crate) struct ReferenceDriver {
    pub(crate) client: Client,
    pub(crate) source: DeviceOpener,
    /// The number before the first of its requests' edges.
    pub(crate) number_after: AtomicU32,
}
