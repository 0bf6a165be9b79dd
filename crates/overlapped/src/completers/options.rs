//! How to open a device.

use std::sync::Arc;

use crate::Port;

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

    /// What others may open it for meanwhile (`dwShareMode`): 1 read, 2 write, 4 delete. Unless set, read and write; and
    /// of a serial port (`COM3`, `\\.\COM12`) nothing, as `CreateFile` demands of those.
    #[must_use]
    pub fn share_mode(mut self, mode: u32) -> Self {
        self.share_mode = Some(mode);
        self
    }

    /// What to do when it is there, or is not.
    #[must_use]
    pub fn disposition(mut self, disposition: Disposition) -> Self {
        self.disposition = disposition;
        self
    }

    /// File attributes and flags (`dwFlagsAndAttributes`) beyond those set here. What a pipe's server learns is not among
    /// them: say it by [`security_qos`](Self::security_qos). The bits of SECURITY_SQOS_PRESENT and the levels
    /// (`0x001f_0000`) are [`ErrorKind::InvalidInput`](crate::ErrorKind) here; two levels in one word would be a third.
    /// FILE_FLAG_OPEN_NO_RECALL and FILE_FLAG_OPEN_REQUIRING_OPLOCK are among those bits, and cannot be had.
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

    /// Whether a serial port keeps the timeouts it has: no unless set.
    ///
    /// As Windows leaves it, a read of a serial port ends when its buffer is full, and not before. So a port that is opened
    /// here is told to end a read as soon as there are bytes, with those that there are (`SERIAL_TIMEOUTS`:
    /// `ReadIntervalTimeout` and `ReadTotalTimeoutMultiplier` are MAXULONG, `ReadTotalTimeoutConstant` is one less). A port
    /// keeps its timeouts for whoever opens it next. Those of writes stay as they are; so does a port that is
    /// [adopted](Self::adopt).
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

    /// What the device is called in errors and in [`Port::pending`]: the path it was opened by unless set, and the
    /// handle's number for one that is [adopted](Self::adopt).
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

    /// The port its completions go to: the global one unless set.
    #[must_use]
    pub fn port(mut self, port: &Port) -> Self {
        self.port = Some(port.clone());
        self
    }
}
