//! Grabs an input device, so that only this program gets its events. The ioctls for its name and keys take bytes of any
//! length; the one for the grab takes a number.
//!
//! `cargo run -p overlapped --example evdev_grab [/dev/input/event0]`; it needs Linux, and permission to open input
//! devices. Without a path it lists the devices. With a path it prints the device's events, until Esc is pressed or no
//! event comes for ten seconds.

#[cfg(target_os = "linux")]
pub(crate) mod evdev {
    use std::ops::ControlFlow;
    use std::path::Path;
    use std::time::Duration;

    use overlapped::linux::{Direction, IoctlByValue, IoctlBytes};
    use overlapped::{Device, Error, ErrorKind};
    use zerocopy::{FromBytes, Immutable, KnownLayout};

    /// `struct input_event` (linux/input.h); its time stamp is two `long`s.
    #[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout)]
    #[repr(C)]
    pub(crate) struct Event {
        time: [isize; 2],
        pub(crate) kind: u16,
        pub(crate) code: u16,
        pub(crate) value: i32,
    }

    // SAFETY: linux/input.h: EVIOCGRAB is _IOW('E', 0x90, int), and takes a yes or a no.
    const GRAB: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::Write, b'E', 0x90) };
    // SAFETY: EVIOCGNAME(len) writes no more than `len` bytes.
    const GET_NAME: IoctlBytes = unsafe { IoctlBytes::new(Direction::Read, b'E', 0x06) };

    /// EVIOCGBIT(kind, len).
    const fn get_bits(kind: u8) -> IoctlBytes {
        // SAFETY: it writes no more than `len` bytes.
        unsafe { IoctlBytes::new(Direction::Read, b'E', 0x20 + kind) }
    }

    /// EV_KEY, KEY_ESC and the number of keys (linux/input-event-codes.h).
    const EV_KEY: u8 = 1;
    const KEY_ESC: u16 = 1;
    const KEYS: usize = 0x300;

    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Device, Error> {
        Device::options().write(false).open(path)
    }

    pub(crate) fn name(device: &Device) -> Result<String, Error> {
        let mut name = [0; 256];
        let len = device.ioctl_bytes(GET_NAME, &mut name)? as usize;
        Ok(String::from_utf8_lossy(&name[..len.min(name.len())]).trim_end_matches('\0').to_owned())
    }

    /// The codes of the keys it has.
    pub(crate) fn keys(device: &Device) -> Result<Vec<u16>, Error> {
        let mut bits = [0; KEYS / 8];
        device.ioctl_bytes(get_bits(EV_KEY), &mut bits)?;
        // The kernel writes `long`s, whose bytes have another order on a big-endian machine.
        let bit = |code: &u16| {
            let at = usize::from(*code) / 8;
            let swap = if cfg!(target_endian = "big") { size_of::<usize>() - 1 } else { 0 };
            bits[at ^ swap] & 1 << (code % 8) != 0
        };
        Ok((0..KEYS as u16).filter(bit).collect())
    }

    /// Starts or ends the grab: while it lasts, no other program gets the events.
    pub(crate) fn grab(device: &Device, yes: bool) -> Result<(), Error> {
        device.ioctl_by_value(GRAB, yes.into()).map(drop)
    }

    /// Calls `show` with each event, until it returns `Break`, or no event comes within the timeout.
    pub(crate) fn watch(
        device: &Device,
        patience: Duration,
        mut show: impl FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut reads = device.standing_reads(64 * size_of::<Event>()).start();
        while let Some(bytes) = reads.wait_next_timeout(patience) {
            match bytes {
                Ok(bytes) => {
                    let events = <[Event]>::ref_from_bytes(&bytes).unwrap_or_default();
                    if events.iter().try_for_each(&mut show).is_break() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn main() -> Result<(), Error> {
        let Some(path) = std::env::args().nth(1) else {
            let entries = std::fs::read_dir("/dev/input").into_iter().flatten().flatten();
            let paths: Vec<_> =
                entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains("/event")).collect();
            for path in &paths {
                match open(path).and_then(|device| Ok((name(&device)?, keys(&device)?.len()))) {
                    Ok((name, keys)) => println!("{}\t{name}, {keys} keys", path.display()),
                    Err(error) => println!("{error}"),
                }
            }
            println!("{} input devices; to grab one, name it", paths.len());
            return Ok(());
        };
        let device = open(path)?;
        grab(&device, true)?;
        watch(&device, Duration::from_secs(10), |event| {
            println!("{event:?}");
            match (event.kind, event.code) {
                (1, KEY_ESC) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        })
        // The grab ends with the file.
    }

    #[cfg(test)]
    #[test]
    fn a_file_that_is_no_input_device_says_so() {
        let null = open("/dev/null").unwrap();
        for error in [name(&null).unwrap_err(), keys(&null).unwrap_err(), grab(&null, true).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), overlapped::Error> {
    evdev::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("input devices: it needs Linux");
}
