//! Options for opening a device.

use std::sync::Arc;

use crate::Port;

/// What to do if the file exists, and if it does not: the creation disposition of `CreateFile`. For a device, keep the
/// default.
///
/// ```
/// assert_eq!(overlapped::Disposition::default(), overlapped::Disposition::OpenExisting);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// CREATE_NEW (1): fails if it exists.
    CreateNew,
    /// CREATE_ALWAYS (2): an existing file is emptied.
    CreateAlways,
    /// OPEN_EXISTING (3): fails if it does not exist.
    #[default]
    OpenExisting,
    /// OPEN_ALWAYS (4): created if it does not exist.
    OpenAlways,
    /// TRUNCATE_EXISTING (5): emptied; fails if it does not exist.
    TruncateExisting,
}

/// How much a server at the other end of a pipe learns of the caller: the impersonation level of `CreateFile`.
///
/// ```
/// // A hostile server that took a device's name cannot act in our name.
/// assert_eq!(overlapped::SecurityQos::default(), overlapped::SecurityQos::Identification);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecurityQos {
    /// SECURITY_ANONYMOUS: the server learns nothing.
    Anonymous,
    /// SECURITY_IDENTIFICATION: the server learns who the caller is, but cannot act in its name.
    #[default]
    Identification,
    /// SECURITY_IMPERSONATION: the server can act in the caller's name on this system.
    Impersonation,
    /// SECURITY_DELEGATION: the server can act in the caller's name on other systems too.
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
/// On Linux [`read`](Self::read) and [`write`](Self::write) choose O_RDONLY, O_WRONLY or O_RDWR; with neither, the
/// device is open for ioctls only (access mode 3 of `open(2)`). The dispositions are O_CREAT, O_EXCL and O_TRUNC.
/// [`security_qos`](Self::security_qos) has no meaning there and is ignored. Linux has no access rights, share mode and
/// attributes: setting one is [`ErrorKind::InvalidInput`](crate::ErrorKind).
#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) access_mode: Option<u32>,
    pub(crate) share_mode: Option<u32>,
    pub(crate) disposition: Disposition,
    pub(crate) attributes: u32,
    pub(crate) security: SecurityQos,
    pub(crate) skip_completion_port_on_success: bool,
    #[cfg_attr(not(windows), allow(dead_code, reason = "only Windows' serial ports have timeouts"))]
    pub(crate) keep_serial_timeouts: bool,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) port: Option<Port>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// Read and write access, shared for both, of an existing device, on the global port.
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
            share_mode: None,
            disposition: Disposition::OpenExisting,
            attributes: 0,
            security: SecurityQos::Identification,
            skip_completion_port_on_success: false,
            keep_serial_timeouts: false,
            name: None,
            port: None,
        }
    }

    /// Whether to ask for GENERIC_READ: yes by default.
    #[must_use]
    pub fn read(mut self, read: bool) -> Self {
        self.read = read;
        self
    }

    /// Whether to ask for GENERIC_WRITE: yes by default. With neither right, only codes with
    /// [`Access::Any`](crate::Access) can be called.
    #[must_use]
    pub fn write(mut self, write: bool) -> Self {
        self.write = write;
        self
    }

    /// The exact access rights (`dwDesiredAccess`), instead of [`read`](Self::read) and [`write`](Self::write).
    #[must_use]
    pub fn access_mode(mut self, rights: u32) -> Self {
        self.access_mode = Some(rights);
        self
    }

    /// What others may open the device for at the same time (`dwShareMode`): 1 read, 2 write, 4 delete. The default is
    /// read and write; for a serial port (`COM3`, `\\.\COM12`) it is nothing, since `CreateFile` demands that for
    /// serial ports.
    #[must_use]
    pub fn share_mode(mut self, mode: u32) -> Self {
        self.share_mode = Some(mode);
        self
    }

    /// What to do if the file exists, and if it does not.
    #[must_use]
    pub fn disposition(mut self, disposition: Disposition) -> Self {
        self.disposition = disposition;
        self
    }

    /// More file attributes and flags (`dwFlagsAndAttributes`). Set what a pipe's server learns with
    /// [`security_qos`](Self::security_qos). SECURITY_SQOS_PRESENT and the bits of the levels (`0x001f_0000`) are
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind) here, since the bits of two levels together mean a third.
    /// FILE_FLAG_OPEN_NO_RECALL and FILE_FLAG_OPEN_REQUIRING_OPLOCK share these bits, and cannot be set.
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

    /// Asks the system for no packet when a request succeeds at once (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS). Without
    /// this the call still ends at once, and its packet is only counted; this saves the packet. Some drivers break with
    /// it, so it is off by default.
    #[must_use]
    pub fn skip_completion_port_on_success(mut self, skip: bool) -> Self {
        self.skip_completion_port_on_success = skip;
        self
    }

    /// Whether a serial port keeps its timeouts: no by default.
    ///
    /// By Windows' default a read of a serial port ends only when its buffer is full. So a port that is opened here
    /// gets other timeouts: a read ends as soon as there are bytes, and returns them (`SERIAL_TIMEOUTS`:
    /// `ReadIntervalTimeout` and `ReadTotalTimeoutMultiplier` are MAXULONG, `ReadTotalTimeoutConstant` is one less).
    /// The port has these timeouts also for the next program that opens it. The timeouts of writes do not change, and
    /// neither do those of a port that is [adopted](Self::adopt).
    ///
    /// ```no_run
    /// use overlapped::Device;
    /// // Another program has set the port up: a read ends when the line is idle for 20 ms.
    /// let port = Device::options().keep_serial_timeouts(true).open(r"\\.\COM3")?;
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn keep_serial_timeouts(mut self, keep: bool) -> Self {
        self.keep_serial_timeouts = keep;
        self
    }

    /// The device's name in errors and in [`Port::pending`]. The default is the path by which it was opened, or the
    /// handle's number for a device that is [adopted](Self::adopt).
    ///
    /// ```
    /// let error = overlapped::Device::options().name("the pump").open("no such device").unwrap_err();
    /// assert_eq!(error.device(), Some("the pump"));
    /// ```
    #[must_use]
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().into());
        self
    }

    /// The port for its completions: the global one by default.
    #[must_use]
    pub fn port(mut self, port: &Port) -> Self {
        self.port = Some(port.clone());
        self
    }
}
