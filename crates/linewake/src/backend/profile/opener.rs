//! Opens the device that a profile names, each time by the same rule.

use overlapped::Device;

use super::find::{self, DeviceChoice};
use crate::Error;
#[cfg(windows)]
use crate::ErrorKind;
use crate::profile::{Place, Plan, Target};

pub(super) type Opener = dyn Fn() -> Result<Device, Error> + Send + Sync;

pub(super) fn opener(plan: &Plan, target: Target) -> impl Fn() -> Result<Device, Error> + Send + Sync + 'static {
    let writes = plan.opens_for_writing();
    let found = DeviceChoice::default();
    move || {
        let mut options = Device::options().write(writes);
        if target.exclusive && cfg!(windows) {
            options = options.share_mode(0);
        }
        Ok(match &target.place {
            Place::Path(path) => options.open(path),
            Place::Interface { guid, matching, index } => {
                let present = interface(guid, matching.as_deref())?;
                options.open(found.choose(&present, *index, &find::wanted_interface(guid, matching.as_deref()))?)
            }
            Place::Subsystem { name, properties, index } => {
                let present = find::Roots::default().devices(name, properties);
                options.open(found.choose(&present, *index, &find::wanted_device(name, properties))?)
            }
        }?)
    }
}

#[cfg(windows)]
fn interface(guid: &str, matching: Option<&str>) -> Result<Vec<std::path::PathBuf>, Error> {
    let not_one = |error| Error::new(ErrorKind::BadFile, format!("\"{guid}\" is not a GUID: {error}"));
    let class = guid.parse::<overlapped::InterfaceClass>().map_err(not_one)?;
    Ok(find::matching(class.present()?, matching))
}

/// Only Windows has device interfaces.
#[cfg(not(windows))]
fn interface(_: &str, _: Option<&str>) -> Result<Vec<std::path::PathBuf>, Error> {
    Ok(Vec::new())
}
