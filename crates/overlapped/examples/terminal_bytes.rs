//! Prints the bytes of a terminal or a serial port as they come, even if another program, such as pyserial, has set it
//! not to wait (VMIN = 0).
//!
//! `cargo run -p overlapped --example terminal_bytes [/dev/ttyUSB0]`; it needs Linux. Without a path it sends bytes to
//! itself, through a pseudo-terminal.

#[cfg(target_os = "linux")]
pub(crate) mod terminal {
    use std::time::Duration;

    use overlapped::linux::{Direction, Ioctl, request};
    use overlapped::{Device, Error, ErrorKind};
    use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

    /// `struct termios` of the kernel (asm-generic/termbits.h).
    #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Termios {
        input: u32,
        output: u32,
        control: u32,
        local: u32,
        line: u8,
        characters: [u8; 19],
    }

    // SAFETY: ioctl_tty(2): TCGETS writes one `struct termios`, and TCSETS reads one.
    const TCGETS: Ioctl<Termios> = unsafe { Ioctl::from_request(0x5401) };
    // SAFETY: as above.
    const TCSETS: Ioctl<Termios> = unsafe { Ioctl::from_request(0x5402) };
    // SAFETY: TIOCSPTLCK, _IOW('T', 0x31, int), reads one `int` at the address.
    const TIOCSPTLCK: Ioctl<i32> = unsafe { Ioctl::at_address(request(Direction::Write, b'T', 0x31, 4)) };
    // SAFETY: TIOCGPTN, _IOR('T', 0x30, unsigned int), writes the number of the terminal.
    const TIOCGPTN: Ioctl<u32> = unsafe { Ioctl::new(Direction::Read, b'T', 0x30) };

    /// Indexes of two control characters: after how many tenths of a second, and how many bytes, a read returns.
    const VTIME: usize = 5;
    const VMIN: usize = 6;

    /// Raw mode: no lines, no echo, no translation. And a plain read without data returns at once.
    fn make_raw(terminal: &Device) -> Result<(), Error> {
        let mut modes = terminal.ioctl(TCGETS, Termios::new_zeroed())?;
        (modes.input, modes.output, modes.local) = (0, 0, 0);
        (modes.characters[VTIME], modes.characters[VMIN]) = (0, 0);
        terminal.ioctl(TCSETS, modes).map(drop)
    }

    /// Both ends of a pseudo-terminal.
    fn pair() -> Result<(Device, Device), Error> {
        let master = Device::open("/dev/ptmx")?;
        master.ioctl(TIOCSPTLCK, 0)?;
        let number = master.ioctl(TIOCGPTN, 0)?;
        Ok((master, Device::open(format!("/dev/pts/{number}"))?))
    }

    /// Calls `show` with the bytes that come, until the other end hangs up. The reads wait, whatever the mode is.
    fn watch(terminal: &Device, mut show: impl FnMut(&[u8])) -> Result<(), Error> {
        let mut reads = terminal.standing_reads(64).start();
        while let Some(bytes) = reads.wait_next() {
            match bytes {
                Ok(bytes) => show(&bytes),
                Err(error) if error.kind() == ErrorKind::Disconnected => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn main() -> Result<(), Error> {
        let (other, terminal) = match std::env::args().nth(1) {
            Some(path) => (None, Device::open(path)?),
            None => pair().map(|(master, slave)| (Some(master), slave))?,
        };
        make_raw(&terminal)?;
        std::thread::spawn(move || {
            if let Some(other) = other {
                talk(&other);
                // A hang-up discards bytes that were not read.
                std::thread::sleep(PAUSE);
            }
        });
        watch(&terminal, |bytes| println!("{:?}", String::from_utf8_lossy(bytes)))
    }

    const WORDS: [&str; 3] = ["21.5 degrees\n", "21.6 ", "degrees\n"];
    const PAUSE: Duration = Duration::from_millis(100);

    fn talk(other: &Device) {
        for word in WORDS {
            std::thread::sleep(PAUSE);
            if let Err(error) = other.write(word.as_bytes()).wait() {
                println!("{error}");
            }
        }
    }

    #[cfg(test)]
    #[test]
    fn every_byte_comes_though_the_terminal_does_not_wait() {
        let (other, terminal) = pair().unwrap();
        make_raw(&terminal).unwrap();
        let mut other = Some(std::thread::spawn(move || {
            talk(&other);
            other
        }));
        let mut all = String::new();
        watch(&terminal, |bytes| {
            assert!(!bytes.is_empty(), "nothing is no item");
            all.push_str(&String::from_utf8_lossy(bytes));
            if all == WORDS.concat() {
                // Dropping the other end hangs up.
                drop(other.take().map(|other| other.join().unwrap()));
            }
        })
        .unwrap();
        assert_eq!(all, WORDS.concat());
        assert!(other.is_none());
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), overlapped::Error> {
    terminal::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("terminals: it needs Linux");
}
