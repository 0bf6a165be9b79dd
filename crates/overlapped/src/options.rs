//! How to open a device.

use std::path::Path;

#[cfg(not(any(windows, all(target_os = "linux", not(miri)))))]
use crate::ErrorKind;
use crate::{Device, Error, Port};

/// What to do when the file is there, or is not: the creation disposition of `CreateFile`. Devices are there.
///
/// ```
/// assert_eq!(overlapped::Disposition::default(), overlapped::Disposition::OpenExisting);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// CREATE_NEW (1): fails when it exists.
    CreateNew,
    /// CREATE_ALWAYS (2): an existing file is emptied.
    CreateAlways,
    /// OPEN_EXISTING (3): fails when it does not exist.
    #[default]
    OpenExisting,
    /// OPEN_ALWAYS (4): created when it does not exist.
    OpenAlways,
    /// TRUNCATE_EXISTING (5): emptied; fails when it does not exist.
    TruncateExisting,
}

/// How much a server at the other end of a pipe learns of the caller: the impersonation level of `CreateFile`.
///
/// ```
/// // A hostile server that answers to a device's name may not act in our name.
/// assert_eq!(overlapped::SecurityQos::default(), overlapped::SecurityQos::Identification);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecurityQos {
    /// SECURITY_ANONYMOUS: nothing.
    Anonymous,
    /// SECURITY_IDENTIFICATION: who it is, but not to act in its name.
    #[default]
    Identification,
    /// SECURITY_IMPERSONATION: to act in its name on this system.
    Impersonation,
    /// SECURITY_DELEGATION: to act in its name on others too.
    Delegation,
}

/// Options for opening a device: access rights, share mode and the like.
///
/// ```no_run
/// use overlapped::{Device, Disposition, Port, SecurityQos};
///
/// let card = Device::options().write(false).open(r"\\.\Card0")?;
///
/// // A query needs no right at all, and no administrator.
/// let disk = Device::options().read(false).write(false).open(r"\\.\PhysicalDrive0")?;
///
/// // Everything CreateFile takes.
/// let port = Port::manual()?;
/// let file = Device::options()
///     .access_mode(0x0012_0089) // FILE_GENERIC_READ
///     .share_mode(1) // FILE_SHARE_READ
///     .disposition(Disposition::OpenAlways)
///     .attributes(0x2000_0000) // FILE_FLAG_NO_BUFFERING
///     .security_qos(SecurityQos::Anonymous)
///     .skip_completion_port_on_success(true)
///     .port(&port)
///     .open("data")?;
/// # Ok::<(), overlapped::Error>(())
/// ```
///
/// # Platform-specific notes
/// The parameters are those of Windows' `CreateFile`. The handle is always opened for overlapped I/O.
///
/// On Linux [`read`](Self::read) and [`write`](Self::write) choose O_RDONLY, O_WRONLY or O_RDWR; with neither the device
/// is open for ioctls alone (access mode 3 of `open(2)`). The dispositions are O_CREAT, O_EXCL and O_TRUNC.
/// [`security_qos`](Self::security_qos) has no meaning there and is ignored. Access rights, a share mode and attributes
/// have no counterpart: what they ask for would not be had, so setting them is [`ErrorKind::InvalidInput`](crate::ErrorKind).
#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) access_mode: Option<u32>,
    pub(crate) share_mode: u32,
    pub(crate) disposition: Disposition,
    pub(crate) attributes: u32,
    pub(crate) security: SecurityQos,
    pub(crate) skip_completion_port_on_success: bool,
    pub(crate) port: Option<Port>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// Read and write access, shared for both, an existing device, on the global port.
    ///
    /// ```
    /// let options = overlapped::OpenOptions::new(); // or `Device::options()`
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            read: true,
            write: true,
            access_mode: None,
            // FILE_SHARE_READ | FILE_SHARE_WRITE
            share_mode: 3,
            disposition: Disposition::OpenExisting,
            attributes: 0,
            security: SecurityQos::Identification,
            skip_completion_port_on_success: false,
            port: None,
        }
    }

    /// Whether to ask for GENERIC_READ: yes unless set.
    #[must_use]
    pub fn read(mut self, read: bool) -> Self {
        self.read = read;
        self
    }

    /// Whether to ask for GENERIC_WRITE: yes unless set. With neither, only codes with [`Access::Any`](crate::Access)
    /// can be called.
    #[must_use]
    pub fn write(mut self, write: bool) -> Self {
        self.write = write;
        self
    }

    /// The exact access rights (`dwDesiredAccess`), in place of [`read`](Self::read) and [`write`](Self::write).
    #[must_use]
    pub fn access_mode(mut self, rights: u32) -> Self {
        self.access_mode = Some(rights);
        self
    }

    /// What others may open it for meanwhile (`dwShareMode`): 1 read, 2 write, 4 delete. Read and write unless set.
    #[must_use]
    pub fn share_mode(mut self, mode: u32) -> Self {
        self.share_mode = mode;
        self
    }

    /// What to do when it is there, or is not.
    #[must_use]
    pub fn disposition(mut self, disposition: Disposition) -> Self {
        self.disposition = disposition;
        self
    }

    /// File attributes and flags (`dwFlagsAndAttributes`) beyond those set here.
    #[must_use]
    pub fn attributes(mut self, attributes: u32) -> Self {
        self.attributes = attributes;
        self
    }

    /// How much a pipe's server learns of the caller.
    #[must_use]
    pub fn security_qos(mut self, security: SecurityQos) -> Self {
        self.security = security;
        self
    }

    /// Asks the system for no packet when a request succeeds at once (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS). Here a call
    /// that ends at once is over at once in any case, and its packet is only counted: this saves the packet. Some
    /// drivers break under it, so it is off unless set.
    #[must_use]
    pub fn skip_completion_port_on_success(mut self, skip: bool) -> Self {
        self.skip_completion_port_on_success = skip;
        self
    }

    /// The port its completions go to: the global one unless set.
    #[must_use]
    pub fn port(mut self, port: &Port) -> Self {
        self.port = Some(port.clone());
        self
    }

    /// Opens the device, file or pipe at `path`.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Device, Error> {
        let path = path.as_ref();
        #[cfg(windows)]
        return crate::sys::windows::open(self, path);
        #[cfg(all(target_os = "linux", not(miri)))]
        return crate::sys::linux::open(self, path);
        #[cfg(not(any(windows, all(target_os = "linux", not(miri)))))]
        Err(Error::new(ErrorKind::Unsupported, crate::Operation::Open)
            .on(&path.to_string_lossy().into())
            .hint("on this platform only simulated devices can be opened"))
    }
}
