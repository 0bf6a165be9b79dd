//! Device interfaces: finds devices by their class, and reports devices that come and go.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;

use crate::completers::windows::interface as sys;
use crate::device;
use crate::port::block_on;
use crate::system::sync::lock_std as lock;
use crate::words::interface::{InterfaceChange, Removal};
use crate::{Device, Error, ErrorKind, Operation};

/// A device interface class: the GUID under which a driver registers its devices.
///
/// ```
/// use overlapped::InterfaceClass;
/// // GUID_DEVINTERFACE_COMPORT (ntddser.h)
/// const COM_PORTS: InterfaceClass = InterfaceClass::from_u128(0x86e0d1e0_8089_11d0_9ce4_08003e301f73);
/// assert_eq!("{86E0D1E0-8089-11D0-9CE4-08003E301F73}".parse(), Ok(COM_PORTS));
/// assert_eq!(COM_PORTS.to_u128() >> 96, 0x86e0d1e0);
/// # fn list() -> Result<(), overlapped::Error> {
/// for path in COM_PORTS.present()? {
///     println!("{}", path.display());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Platform-specific notes
/// Windows only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterfaceClass(u128);

impl InterfaceClass {
    /// The class with this GUID, its digits in the order they are written.
    #[must_use]
    pub const fn from_u128(guid: u128) -> Self {
        Self(guid)
    }

    /// The GUID, its digits in the order they are written.
    #[must_use]
    pub const fn to_u128(self) -> u128 {
        self.0
    }

    /// The paths of the devices of this class that are present now; [`Device::open`] opens one.
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the system cannot list them.
    pub fn present(self) -> Result<Vec<PathBuf>, Error> {
        sys::present(self.0).map_err(|code| Error::from_code(code, Operation::Interface))
    }

    /// Watches for devices of this class that come and go, from now on. Call this first and [`present`](Self::present)
    /// second: then you miss no device, though you may see one twice.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the system gives no notices (before Windows 8, and some versions of Wine).
    pub fn watch(self) -> Result<InterfaceWatch, Error> {
        let changes = Arc::new(Changes::default());
        let notices = changes.clone();
        let registration = sys::watch_class(self.0, Box::new(move |change| notices.push(change)))?;
        Ok(InterfaceWatch { changes, _registration: registration })
    }
}

impl fmt::Display for InterfaceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let g = self.0;
        let (a, b, c, d, e) = (g >> 96, g >> 80 & 0xffff, g >> 64 & 0xffff, g >> 48 & 0xffff, g & 0xffff_ffff_ffff);
        write!(f, "{{{a:08X}-{b:04X}-{c:04X}-{d:04X}-{e:012X}}}")
    }
}

impl fmt::Debug for InterfaceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InterfaceClass({self})")
    }
}

/// A text that is not a GUID; `Display` names it in quotes.
///
/// ```
/// let error = "{86E0}".parse::<overlapped::InterfaceClass>().unwrap_err();
/// assert!(error.to_string().starts_with(r#""{86E0}" is not a GUID"#));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseInterfaceClassError(String);

impl fmt::Display for ParseInterfaceClassError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a GUID: write it like {{86E0D1E0-8089-11D0-9CE4-08003E301F73}}", self.0)
    }
}

impl std::error::Error for ParseInterfaceClassError {}

impl FromStr for InterfaceClass {
    type Err = ParseInterfaceClassError;

    /// Reads groups of 8, 4, 4, 4 and 12 hexadecimal digits, with or without braces.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
        let groups: Vec<_> = bare.split('-').collect();
        let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
        let digits = groups.concat();
        (lengths == [8, 4, 4, 4, 12] && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u128::from_str_radix(&digits, 16).ok().map(Self))
            .flatten()
            .ok_or_else(|| ParseInterfaceClassError(text.to_owned()))
    }
}

/// The arrivals and removals of one class of devices; made by [`InterfaceClass::watch`]. It never ends by itself.
///
/// ```no_run
/// # fn example(class: overlapped::InterfaceClass) -> Result<(), overlapped::Error> {
/// let mut watch = class.watch()?;
/// while let Some(change) = watch.wait_next() {
///     println!("{change:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it ends the watching"]
pub struct InterfaceWatch {
    changes: Arc<Changes>,
    _registration: sys::Registration,
}

#[derive(Default)]
struct Changes(Mutex<(VecDeque<InterfaceChange>, Option<Waker>)>);

impl Changes {
    fn push(&self, change: InterfaceChange) {
        let mut changes = lock(&self.0);
        changes.0.push_back(change);
        let waker = changes.1.take();
        drop(changes);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl InterfaceWatch {
    /// The next change. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<InterfaceChange> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// [`next`](Self::next) for a thread.
    pub fn wait_next(&mut self) -> Option<InterfaceChange> {
        block_on(|cx| self.poll(cx))
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<InterfaceChange>> {
        let waker = cx.waker().clone();
        let mut changes = lock(&self.changes.0);
        if let Some(change) = changes.0.pop_front() {
            return Poll::Ready(Some(change));
        }
        let old = changes.1.replace(waker);
        drop(changes);
        drop(old);
        Poll::Pending
    }
}

impl Stream for InterfaceWatch {
    type Item = InterfaceChange;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<InterfaceChange>> {
        self.get_mut().poll(cx)
    }
}

impl fmt::Debug for InterfaceWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterfaceWatch").field("waiting", &lock(&self.changes.0).0).finish_non_exhaustive()
    }
}

/// Keeps a callback of [`Device::on_removal`] registered, until it is dropped.
///
/// ```no_run
/// # fn example(device: overlapped::Device) -> Result<(), overlapped::Error> {
/// let notice = device.on_removal(|removal| println!("{removal:?}"))?;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it ends the notices"]
#[derive(Debug)]
pub struct RemovalNotice(#[expect(dead_code, reason = "kept for its end")] sys::Registration);

/// How long a removal waits until the device is closed. The system waits meanwhile.
const LETTING_GO: Duration = Duration::from_secs(1);

/// A device that closes by itself when its removal is asked for; made by [`Device::until_removal`].
///
/// ```no_run
/// use overlapped::Device;
/// # fn example(wait_change: overlapped::Ioctl<(), u32>) -> Result<(), overlapped::Error> {
/// let card = Device::open(r"\\.\Card0")?.until_removal()?;
/// if let Some(device) = card.device() {
///     let mut changes = device.inverted(wait_change, &()).start();
///     drop(device); // the stream has it now
///     while let Some(Ok(levels)) = changes.wait_next() {
///         println!("{:#x}", *levels);
///     }
///     // The card's removal was asked for, so the stream's calls were cancelled. The stream is dropped here, and the
///     // handle is closed.
/// }
/// # Ok(()) }
/// ```
#[must_use = "dropping it closes the device"]
#[derive(Debug)]
pub struct UntilRemoval {
    device: Arc<Mutex<Option<Device>>>,
    _notice: RemovalNotice,
}

impl UntilRemoval {
    /// The device. `None` once its removal was asked for, or it is gone; then open it again when it is back.
    #[must_use]
    pub fn device(&self) -> Option<Device> {
        lock(&self.device).clone()
    }
}

/// Makes the handler of the system's notice. If a removal is asked for, it cancels the calls; then it runs the
/// callback, and waits up to [`LETTING_GO`] until the handle is closed.
fn on_notice(
    device: Weak<device::Inner>,
    is_open: Weak<()>,
    mut callback: impl FnMut(Removal) + Send + 'static,
) -> impl FnMut(Removal) + Send {
    move |removal| {
        if removal == Removal::Asked
            && let Some(device) = device.upgrade()
            && let Some(device) = device.enter()
        {
            device.cancel_all();
        }
        callback(removal);
        let deadline = Instant::now() + LETTING_GO;
        while removal == Removal::Asked && is_open.strong_count() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// For a notice: drops the device, unless the removal was refused.
fn let_go_of(device: Arc<Mutex<Option<Device>>>) -> impl FnMut(Removal) + Send {
    move |removal| {
        if removal != Removal::Refused {
            let device = lock(&device).take();
            drop(device);
        }
    }
}

impl Device {
    /// Calls `callback` when the removal of the device is [asked](Removal::Asked) for, when that is refused, and when
    /// the device is gone. The callback runs on a thread of the system, which waits for it. When the removal is asked
    /// for, the calls of the handle are cancelled first. After the callback the system waits at most one second until
    /// the handle is closed: drop all clones, calls and streams of the device in this time. The callback may drop the
    /// notice.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the system gives no notices, and for a simulated device.
    pub fn on_removal(&self, callback: impl FnMut(Removal) + Send + 'static) -> Result<RemovalNotice, Error> {
        let Some(file) = self.inner.file() else {
            return Err(Error::new(ErrorKind::Unsupported, Operation::Interface)
                .on(&self.inner.name)
                .hint("only a real device can be removed"));
        };
        // The registration must not keep the handle open: the system waits for it to close.
        let tell = on_notice(Arc::downgrade(&**self.inner), file.is_open(), callback);
        sys::watch_handle(file.raw_handle(), Box::new(tell)).map(RemovalNotice)
    }

    /// Drops the device when its removal is asked for: [`on_removal`](Self::on_removal) with a callback that does this.
    /// Its calls and streams are cancelled. The handle is closed, and the removal goes on, when the last clone, call
    /// and stream of the device is dropped.
    ///
    /// # Errors
    /// As [`on_removal`](Self::on_removal); the device is dropped then.
    pub fn until_removal(self) -> Result<UntilRemoval, Error> {
        let device = Arc::new(Mutex::new(Some(self.clone())));
        let notice = self.on_removal(let_go_of(device.clone()))?;
        Ok(UntilRemoval { device, _notice: notice })
    }

    /// Opens the device of an interface class that is present, or the first of several.
    ///
    /// ```
    /// # use overlapped::{Device, InterfaceClass};
    /// # fn example() -> Result<(), overlapped::Error> {
    /// // GUID_DEVINTERFACE_COMPORT (ntddser.h)
    /// let class = InterfaceClass::from_u128(0x86e0d1e0_8089_11d0_9ce4_08003e301f73);
    /// let port = Device::open_interface(class)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none; otherwise as [`Device::open`].
    pub fn open_interface(class: InterfaceClass) -> Result<Self, Error> {
        let paths = class.present()?;
        let first = paths.first().map(PathBuf::as_path).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, Operation::Open)
                .on(&class.to_string().into())
                .hint("no device of this interface class is present; connect one")
        })?;
        Self::open(first as &Path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that nobody else may open stands for the device: the test checks when its handle is closed.
    #[test]
    fn a_device_is_let_go_of_when_its_removal_is_asked_for() {
        let path = std::env::temp_dir().join(format!("overlapped-removal-{}", std::process::id()));
        let mut options = Device::options().share_mode(0).disposition(crate::Disposition::OpenAlways);
        let device = options.open(&path).unwrap();
        options = options.disposition(crate::Disposition::OpenExisting);
        let is_taken = || options.open(&path).is_err();
        let kept = Arc::new(Mutex::new(Some(device.clone())));
        let (weak, is_open) = (Arc::downgrade(&**device.inner), device.inner.file().unwrap().is_open());
        let mut notice = on_notice(weak, is_open, let_go_of(kept.clone()));

        notice(Removal::Refused);
        assert!(lock(&kept).is_some() && is_taken());
        // Somebody else has it too, and lets go a moment later.
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(device);
        });
        notice(Removal::Asked);
        assert!(lock(&kept).is_none());
        assert!(!is_taken(), "the system was answered before the handle was closed");
        other.join().unwrap();

        // Nobody lets go, and the answer comes all the same.
        let stubborn = options.open(&path).unwrap();
        let mut notice = on_notice(Arc::downgrade(&**stubborn.inner), stubborn.inner.file().unwrap().is_open(), |_| {});
        notice(Removal::Asked);
        assert!(is_taken());
        drop(stubborn);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_guid_is_read_as_it_is_written() {
        let class = InterfaceClass::from_u128(0x86e0d1e0_8089_11d0_9ce4_08003e301f73);
        for text in ["{86E0D1E0-8089-11D0-9CE4-08003E301F73}", "86e0d1e0-8089-11d0-9ce4-08003e301f73"] {
            assert_eq!(text.parse(), Ok(class));
        }
        assert_eq!(class.to_string(), "{86E0D1E0-8089-11D0-9CE4-08003E301F73}");
        for text in [
            "",
            "{}",
            "86e0d1e0",
            "{86E0D1E0-8089-11D0-9CE4-08003E301F7}",
            "86e0d1e0-8089-11d0-9ce408003e301f73",
            "+6e0d1e0-8089-11d0-9ce4-08003e301f73",
        ] {
            assert!(text.parse::<InterfaceClass>().is_err(), "{text:?}");
        }
    }
}
