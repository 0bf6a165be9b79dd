//! How a device is made: a file is opened, or an open file is taken over.

#[cfg(all(target_os = "linux", not(miri)))]
use std::os::fd::AsRawFd;
#[cfg(windows)]
use std::os::windows::io::AsRawHandle;
use std::path::Path;
#[cfg(any(windows, all(target_os = "linux", not(miri))))]
use std::sync::Arc;

#[cfg(any(windows, all(target_os = "linux", not(miri))))]
use super::Backend;
use super::Device;
#[cfg(any(windows, all(target_os = "linux", not(miri))))]
use crate::Port;
#[cfg(all(target_os = "linux", not(miri)))]
use crate::completers::linux as system;
use crate::completers::options::OpenOptions;
#[cfg(windows)]
use crate::completers::windows as system;
use crate::{Error, Operation};

impl OpenOptions {
    /// Opens the device, file or pipe at `path`.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Device, Error> {
        let path = path.as_ref();
        let name = self.name.clone().unwrap_or_else(|| path.to_string_lossy().into());
        #[cfg(any(windows, all(target_os = "linux", not(miri))))]
        return Device::bind(self, name.clone(), Operation::Open, || system::open(self, &name, path));
        #[cfg(not(any(windows, all(target_os = "linux", not(miri)))))]
        Err(Error::new(crate::ErrorKind::Unsupported, Operation::Open)
            .on(&name)
            .hint("on this platform only simulated devices can be opened"))
    }

    /// Takes over a handle that was opened elsewhere with FILE_FLAG_OVERLAPPED, like [`Device::from_handle`]. Only
    /// these options have an effect: [`name`](Self::name), [`port`](Self::port) and
    /// [`skip_completion_port_on_success`](Self::skip_completion_port_on_success).
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # fn example(pipe: std::os::windows::io::OwnedHandle) -> Result<(), Error> {
    /// let child = Device::options().name("the child's output").adopt(pipe)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Device::from_handle`].
    #[cfg(windows)]
    pub fn adopt(&self, handle: impl Into<std::os::windows::io::OwnedHandle>) -> Result<Device, Error> {
        let handle = handle.into();
        let name = self.name.clone().unwrap_or_else(|| format!("handle {:#x}", handle.as_raw_handle().addr()).into());
        Device::bind(self, name.clone(), Operation::Adopt, || system::adopt(self, &name, handle))
    }

    /// Takes over a file that was opened elsewhere, like [`Device::from_fd`]. Only these options have an effect:
    /// [`name`](Self::name) and [`port`](Self::port).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use overlapped::Device;
    /// let (reader, _writer) = std::io::pipe()?;
    /// let reader = Device::options().name("the child's output").adopt(reader)?;
    /// assert_eq!(reader.name(), "the child's output");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Device::from_fd`].
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn adopt(&self, fd: impl Into<std::os::fd::OwnedFd>) -> Result<Device, Error> {
        let fd = fd.into();
        let name = self.name.clone().unwrap_or_else(|| format!("fd {}", fd.as_raw_fd()).into());
        Device::bind(self, name, Operation::Adopt, || Ok(fd))
    }
}

impl Device {
    /// Opens the device, file or pipe at `path` for reading and writing: [`OpenOptions`] with its defaults.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound),
    /// [`ErrorKind::AccessDenied`](crate::ErrorKind::AccessDenied), [`ErrorKind::Busy`](crate::ErrorKind::Busy), and
    /// the system's other errors; [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a path that contains
    /// a NUL; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the platform has only simulated devices.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::options().open(path)
    }

    /// Options for opening a device: access rights, share mode and others.
    ///
    /// ```
    /// # use overlapped::Device;
    /// # fn example() -> Result<(), overlapped::Error> {
    /// let card = Device::options().write(false).share_mode(0).open(r"\\.\Card0")?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes over a handle that was opened elsewhere with FILE_FLAG_OVERLAPPED, on the global port.
    ///
    /// ```
    /// use std::os::windows::fs::OpenOptionsExt;
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// // FILE_FLAG_OVERLAPPED
    /// let file = std::fs::File::options().read(true).custom_flags(0x4000_0000).open(r"\\.\Card0")?;
    /// let card = overlapped::Device::from_handle(file)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a handle that is not overlapped, or that is
    /// already bound to a completion port or a thread pool. The handle is then closed. To keep it, duplicate it first.
    #[cfg(windows)]
    pub fn from_handle(handle: impl Into<std::os::windows::io::OwnedHandle>) -> Result<Self, Error> {
        Self::options().adopt(handle)
    }

    /// Takes over a handle, on `port`.
    ///
    /// ```
    /// # use overlapped::{Device, Port};
    /// # fn example(handle: std::os::windows::io::OwnedHandle) -> Result<(), overlapped::Error> {
    /// let port = Port::system_pool()?;
    /// let device = Device::from_handle_on(&port, handle)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`from_handle`](Self::from_handle).
    #[cfg(windows)]
    pub fn from_handle_on(port: &Port, handle: impl Into<std::os::windows::io::OwnedHandle>) -> Result<Self, Error> {
        Self::options().port(port).adopt(handle)
    }

    /// Takes over a file that was opened elsewhere, on the global port: a pipe, a serial port that was set up, a
    /// gpiochip line request. The file is made non-blocking (O_NONBLOCK), which affects every process and device that
    /// shares the open file. It gets back its old setting when its last device is closed or [returns
    /// it](Self::into_fd).
    ///
    /// Two devices may be copies of one open file. Each byte is then read by one of them.
    ///
    /// ```
    /// use overlapped::Device;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (reader, writer) = std::io::pipe()?;
    /// let (reader, writer) = (Device::from_fd(reader)?, Device::from_fd(writer)?);
    /// let text = reader.read(64); // pending
    /// writer.write(b"hello").wait()?;
    /// assert_eq!(&*text.wait()?, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a file that was opened with O_PATH. The file is
    /// then closed. To keep it, duplicate it first.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn from_fd(fd: impl Into<std::os::fd::OwnedFd>) -> Result<Self, Error> {
        Self::from_fd_on(&Port::global()?, fd)
    }

    /// Takes over a file, on `port`.
    ///
    /// ```
    /// use overlapped::{Device, Port};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (reader, writer) = std::io::pipe()?;
    /// let port = Port::manual()?;
    /// let (reader, writer) = (Device::from_fd_on(&port, reader)?, Device::from_fd_on(&port, writer)?);
    /// port.block_on(writer.write(b"hello"))??;
    /// assert_eq!(&*port.block_on(reader.read(64))??, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`from_fd`](Self::from_fd).
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn from_fd_on(port: &Port, fd: impl Into<std::os::fd::OwnedFd>) -> Result<Self, Error> {
        Self::options().port(port).adopt(fd)
    }

    /// Calls `open`, and binds the file that it opened or adopted to a port.
    #[cfg(any(windows, all(target_os = "linux", not(miri))))]
    fn bind(
        options: &OpenOptions,
        name: Arc<str>,
        what: Operation,
        open: impl FnOnce() -> Result<system::OpenHandle, Error>,
    ) -> Result<Self, Error> {
        let port = options.port.clone().map_or_else(Port::global, Ok)?;
        let opened = open()?;
        if port.inner.is_inherited() {
            return Err(crate::port::inherited(what).on(&name));
        }
        Self::assemble(&port, name.clone(), |id| {
            system::File::bind(opened, &port.inner, id, &name, what).map(Backend::File)
        })
    }
}
