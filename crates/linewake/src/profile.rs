//! Profiles: TOML files that describe the driver of any vendor.
//!
//! A profile says what to open, which control codes to send and when, and what the bytes of the answers mean. All keys
//! are described in [`docs/profiles.md`](https://github.com/linewake/linewake/blob/main/docs/profiles.md), and there
//! are complete examples in [`profiles`](https://github.com/linewake/linewake/tree/main/profiles).
//!
//! ```
//! use linewake::profile::Profile;
//!
//! let profile = Profile::parse("card.toml", r#"
//! name = "card"
//! lines = 8
//!
//! [call.wait]
//! device_type = 0x8000
//! function = 0x801
//! method = "buffered"
//! access = "read"
//! output = { length = 2, fields = { rising = { at = 0, width = 1 }, falling = { at = 1, width = 1 } } }
//!
//! [wait]
//! by = "call"
//! call = "wait"
//! means = "mask"
//! "#)?;
//! println!("{}", profile.explain());
//! let sample = profile.decode("wait", &[0b101, 0])?;
//! assert_eq!(sample.to_string(), "record 0: rising 0b00000101 (lines 0, 2), falling 0b00000000 (no line)\n");
//! # Ok::<(), linewake::Error>(())
//! ```
//!
//! # What a profile may do
//! Opening a file of unknown origin must not change a device. So the *user*, and no key in the file,
//! [allows](Profile::allow_writes) calls that may change something. These are calls that set up the device, codes whose
//! access is not exactly FILE_READ_ACCESS (FILE_ANY_ACCESS does not say what a code does), and inputs with more than
//! the numbers of lines. Codes with METHOD_NEITHER or METHOD_IN_DIRECT are always refused, and so are paths of anything
//! but a local device. A user who allows a profile confirms that its codes belong to this driver, and that no input
//! holds an address.

mod call;
mod calls;
mod check;
mod code;
mod device;
mod explain;
mod field;
mod input;
mod line;
mod output;
mod plan;
mod read;
mod trace;
mod wait;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) use self::call::Argument;
pub(crate) use self::call::{Call, Request, What, When};
pub(crate) use self::device::{Place, Target};
pub(crate) use self::field::Field;
pub(crate) use self::input::{About, RequestedLine};
pub(crate) use self::line::ProfileLine;
pub(crate) use self::output::{Output, Role, Since};
pub(crate) use self::plan::{Levels, Plan, Step};
pub use self::trace::Trace;
pub(crate) use self::trace::Tracer;
#[cfg(windows)]
pub(crate) use self::wait::EventSource;
pub(crate) use self::wait::{By, End, Means, Reads};
use crate::{Error, ErrorKind};

/// The description of a vendor's driver. See the [module](self).
///
/// ```
/// let error = linewake::profile::Profile::parse("card.toml", "name = 'card'\nlinse = 8").unwrap_err();
/// assert!(error.to_string().starts_with("card.toml:"), "{error}");
/// ```
#[derive(Clone)]
pub struct Profile {
    plan: Arc<Plan>,
    writes: bool,
    dry: bool,
    tracer: Tracer,
}

/// The largest profile that is read, in bytes.
const MOST_BYTES: u64 = 1 << 20;

impl Profile {
    /// Reads a profile from a file.
    ///
    /// # Errors
    /// [`ErrorKind::BadFile`] if the file cannot be read or is not a valid profile, with its name, line, column and
    /// key.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = crate::text::read(path, MOST_BYTES).map_err(|error| {
            Error::new(ErrorKind::BadFile, format!("cannot read the profile \"{}\": {error}", path.display()))
        })?;
        Self::parse(&path.to_string_lossy(), &text)
    }

    /// Parses the text of a profile. Errors refer to it as `name`.
    ///
    /// # Errors
    /// [`ErrorKind::BadFile`] as [`read`](Self::read).
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let plan = Plan::read(crate::keys::SourceText { name, text })?;
        Ok(Self { plan: Arc::new(plan), writes: false, dry: false, tracer: Tracer::default() })
    }

    /// Allows the calls that the user must allow; see the [module](self). Without it, a request fails with
    /// [`ErrorKind::InvalidInput`] if the profile has such calls.
    ///
    /// ```no_run
    /// # use linewake::{Chip, profile::Profile};
    /// let port = Profile::read("profiles/serial.toml")?.allow_writes(true);
    /// let chip = Chip::from_profile(&port, || overlapped::Device::open(r"\\.\COM3"))?;
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn allow_writes(mut self, allow: bool) -> Self {
        self.writes = allow;
        self
    }

    /// Leaves out the calls that need to be [allowed](Self::allow_writes) and are not, and makes all others. So you can
    /// look at a device that must not be changed yet. A [trace](Trace::Skipped) reports each call that is left out. If
    /// that call would say what happened, no edges come; if it would wait, the wait never ends.
    ///
    /// ```
    /// # use linewake::{Chip, profile::Profile};
    /// # use overlapped::{Device, sim::Script};
    /// let card = Profile::parse("card.toml", include_str!("../../../profiles/card.toml"))?.dry(true);
    /// let chip = Chip::from_profile(&card, || Device::simulated(Script::new("card")))?; // nobody has allowed it
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn dry(mut self, dry: bool) -> Self {
        self.dry = dry;
        self
    }

    /// Calls `trace` with everything that is sent to the device or answered by it, as it happens. This runs on the
    /// thread that does the work, which may dispatch completions or wait for the device, and delays it.
    ///
    /// ```
    /// # use std::sync::{Arc, Mutex};
    /// # use linewake::{Chip, profile::Profile};
    /// # use overlapped::{Device, sim::Script};
    /// let seen = Arc::new(Mutex::new(Vec::new()));
    /// let sink = seen.clone();
    /// let card = Profile::parse("card.toml", include_str!("../../../profiles/card.toml"))?
    ///     .dry(true)
    ///     .traced(move |trace| sink.lock().unwrap().push(trace.to_string()));
    /// Chip::from_profile(&card, || Device::simulated(Script::new("card")))?;
    /// assert_eq!(*seen.lock().unwrap(), ["opened \"card\""]);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn traced(mut self, trace: impl Fn(Trace<'_>) + Send + Sync + 'static) -> Self {
        self.tracer = Tracer::new(trace);
        self
    }

    /// True if the user must [allow](Self::allow_writes) some of its calls.
    #[must_use]
    pub fn needs_writes(&self) -> bool {
        !self.plan.need_consent().is_empty()
    }

    /// Hints about a valid profile, for example that it names no device, names a device of another system, or has the
    /// same call twice. Each is a sentence without a full stop.
    ///
    /// ```
    /// # use linewake::profile::Profile;
    /// let profile = Profile::parse("port.toml", include_str!("../../../profiles/serial.toml"))?;
    /// assert_eq!(profile.notes().is_empty(), cfg!(windows)); // it opens \\.\COM1
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.plan.notes()
    }

    /// The name of the chip.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// An explanation in plain English: what is opened, what is sent and when, and what the bytes of the answers mean.
    #[must_use]
    pub fn explain(&self) -> impl fmt::Display + '_ {
        explain::Explanation(&self.plan)
    }

    /// Explains the bytes that a call gave, for example from a dump. `call` is the name of the call, or `read` for
    /// bytes of a read.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no such call or it has no output; [`ErrorKind::Malformed`] if the bytes
    /// do not fit its output.
    pub fn decode(&self, call: &str, bytes: &[u8]) -> Result<impl fmt::Display + '_, Error> {
        explain::Sample::new(&self.plan, call, bytes)
    }

    /// The names of the calls whose bytes say what happened, in the form that [`decode`](Self::decode) takes. Empty if
    /// a completion without bytes says everything.
    ///
    /// ```
    /// # use linewake::profile::Profile;
    /// let card = Profile::parse("card.toml", include_str!("../../../profiles/card.toml"))?;
    /// assert_eq!(card.tellers(), ["wait-change"]);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn tellers(&self) -> Vec<&str> {
        self.plan.names_of_tellers()
    }

    /// The call that waits, if one does.
    ///
    /// ```
    /// # use linewake::profile::Profile;
    /// let card = Profile::parse("card.toml", include_str!("../../../profiles/card.toml"))?;
    /// assert_eq!((card.waiting_call(), card.polls()), (Some("wait-change"), false));
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn waiting_call(&self) -> Option<&str> {
        match &self.plan.wait.by {
            By::Call(call) => Some(&self.plan.call(*call).name),
            By::Read(_) | By::Event(_) | By::Poll(_) => None,
        }
    }

    /// True if the profile polls the device, because no call waits for a change.
    #[must_use]
    pub fn polls(&self) -> bool {
        matches!(self.plan.wait.by, By::Poll(_))
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// For each call, the reason why it is left out, or `None` if it is made.
    pub(crate) fn left_out(&self) -> Arc<[Option<&'static str>]> {
        let needed = if self.dry && !self.writes { self.plan.need_consent() } else { Vec::new() };
        let reason = |name: &str| needed.iter().find(|(call, _)| call.name == name).map(|(_, why)| *why);
        self.plan.calls.iter().map(|call| reason(&call.name)).collect()
    }

    /// Refuses a profile with calls that the user did not allow.
    pub(crate) fn check_consent(&self) -> Result<(), Error> {
        let needed = self.plan.need_consent();
        if self.writes || self.dry || needed.is_empty() {
            return Ok(());
        }
        let calls: Vec<_> =
            needed.iter().map(|(call, why)| format!("\"{}\" ({}: {why})", call.name, call.what.words())).collect();
        let message = format!(
            "the profile \"{}\" may change the device: {}; read what it does, and if you trust it, allow it \
             (`allow_writes`, `--allow-writes`)",
            self.plan.file,
            calls.join(", ")
        );
        Err(Error::new(ErrorKind::InvalidInput, message))
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("file", &self.plan.file)
            .field("name", &self.plan.name)
            .field("writes", &self.writes)
            .finish_non_exhaustive()
    }
}
