//! Makes a keyboard that types a word, by ioctls that take numbers, a record, nothing, and bytes of any length.
//!
//! `cargo run -p overlapped --example uinput_keyboard`; it needs Linux, and permission to open /dev/uinput. The word
//! goes to the program that has the keyboard's input.

#[cfg(target_os = "linux")]
pub(crate) mod uinput {
    use std::path::PathBuf;

    use overlapped::linux::{Direction, Ioctl, IoctlByValue, IoctlBytes};
    use overlapped::{Device, Error, ErrorKind};
    use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

    /// `struct uinput_setup` (linux/uinput.h).
    #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Setup {
        bus: u16,
        vendor: u16,
        product: u16,
        version: u16,
        name: [u8; 80],
        force_feedback_effects: u32,
    }
    const _: () = assert!(size_of::<Setup>() == 92);

    /// `struct input_event` (linux/input.h); its time stamp is two `long`s.
    #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    pub(crate) struct Event {
        time: [isize; 2],
        pub(crate) kind: u16,
        pub(crate) code: u16,
        pub(crate) value: i32,
    }

    // SAFETY: linux/uinput.h: UI_SET_EVBIT and UI_SET_KEYBIT are _IOW('U', …, int), and take the number of a bit.
    const SET_EVBIT: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::Write, b'U', 100) };
    // SAFETY: as above.
    const SET_KEYBIT: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::Write, b'U', 101) };
    // SAFETY: UI_DEV_SETUP reads one `uinput_setup`.
    const SETUP: Ioctl<Setup> = unsafe { Ioctl::new(Direction::Write, b'U', 3) };
    // SAFETY: UI_DEV_CREATE and UI_DEV_DESTROY have no argument.
    const CREATE: Ioctl<()> = unsafe { Ioctl::new(Direction::None, b'U', 1) };
    // SAFETY: as above.
    const DESTROY: Ioctl<()> = unsafe { Ioctl::new(Direction::None, b'U', 2) };
    // SAFETY: UI_GET_SYSNAME(len) writes no more than `len` bytes.
    const GET_SYSNAME: IoctlBytes = unsafe { IoctlBytes::new(Direction::Read, b'U', 44) };

    /// EV_SYN and EV_KEY (linux/input-event-codes.h).
    pub(crate) const EV_SYN: u16 = 0;
    pub(crate) const EV_KEY: u16 = 1;
    const BUS_VIRTUAL: u16 = 6;
    /// KEY_H, KEY_E, KEY_L, KEY_O.
    pub(crate) const KEYS: [u16; 4] = [35, 18, 38, 24];

    pub(crate) struct Keyboard(Device);

    impl Keyboard {
        /// A keyboard with these keys. It is unplugged when its last owner is dropped.
        pub(crate) fn plug_in(name: &str, keys: &[u16]) -> Result<Self, Error> {
            let device = Device::open("/dev/uinput")?;
            device.ioctl_by_value(SET_EVBIT, EV_KEY.into())?;
            for &key in keys {
                device.ioctl_by_value(SET_KEYBIT, key.into())?;
            }
            let mut setup = Setup {
                bus: BUS_VIRTUAL,
                vendor: 0x1209,
                product: 1,
                version: 1,
                name: [0; 80],
                force_feedback_effects: 0,
            };
            // The last byte stays 0, which ends the name.
            for (to, from) in setup.name[..79].iter_mut().zip(name.bytes()) {
                *to = from;
            }
            device.ioctl(SETUP, setup)?;
            device.ioctl(CREATE, ())?;
            Ok(Self(device))
        }

        /// Presses and releases a key.
        pub(crate) fn press(&self, code: u16) -> Result<(), Error> {
            let event = |kind, code, value| Event { time: [0; 2], kind, code, value };
            let events = [event(EV_KEY, code, 1), event(EV_SYN, 0, 0), event(EV_KEY, code, 0), event(EV_SYN, 0, 0)];
            self.0.write(events.as_bytes()).wait().map(drop)
        }

        /// The file that its events are read from, once the system has made it.
        pub(crate) fn path(&self) -> Result<Option<PathBuf>, Error> {
            let mut name = [0; 64];
            let len = self.0.ioctl_bytes(GET_SYSNAME, &mut name)? as usize;
            // The count includes the zero at the end.
            let name = String::from_utf8_lossy(&name[..len.clamp(1, name.len()) - 1]).into_owned();
            let directory = PathBuf::from("/sys/devices/virtual/input").join(name);
            let mut entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            let event = entries.find(|entry| entry.file_name().to_string_lossy().starts_with("event"));
            Ok(event.map(|event| PathBuf::from("/dev/input").join(event.file_name())).filter(|path| path.exists()))
        }

        pub(crate) fn unplug(self) -> Result<(), Error> {
            self.0.ioctl(DESTROY, ())
        }
    }

    pub(crate) fn main() -> Result<(), Error> {
        let keyboard = match Keyboard::plug_in("typed by a program", &KEYS) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AccessDenied) => {
                println!("{error}: load the module uinput, and run it as root");
                return Ok(());
            }
            keyboard => keyboard?,
        };
        // Programs that read keyboards need a moment to find a new one.
        std::thread::sleep(std::time::Duration::from_millis(500));
        println!("{:?} types hello", keyboard.path()?.unwrap_or_default());
        let [h, e, l, o] = KEYS;
        [h, e, l, l, o].into_iter().try_for_each(|key| keyboard.press(key))?;
        keyboard.unplug()
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), overlapped::Error> {
    uinput::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("uinput: it needs Linux");
}
