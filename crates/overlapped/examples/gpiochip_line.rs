//! The edges of one line of a Linux gpiochip: the request is an ioctl, the edges are standing reads.
//!
//! `cargo run -p overlapped --example gpiochip_line [/dev/gpiochip0 [OFFSET]]`; it needs Linux, and a line to watch.
//! (The crate `linewake` does this with names, an account of lost edges and more.)

#[cfg(target_os = "linux")]
pub(crate) mod gpio {
    use std::ops::ControlFlow;
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::path::Path;

    use overlapped::linux::{Direction, Ioctl};
    use overlapped::{Device, Error, ErrorKind};
    use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

    /// `struct gpio_v2_line_attribute` and the mask beside it (linux/gpio.h).
    #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Attribute {
        id: u32,
        padding: u32,
        value: u64,
        mask: u64,
    }

    /// `struct gpio_v2_line_request`.
    #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct LineRequest {
        offsets: [u32; 64],
        consumer: [u8; 32],
        flags: u64,
        num_attrs: u32,
        config_padding: [u32; 5],
        attributes: [Attribute; 10],
        num_lines: u32,
        event_buffer_size: u32,
        padding: [u32; 5],
        fd: i32,
    }
    const _: () = assert!(size_of::<LineRequest>() == 592);

    /// `struct gpio_v2_line_event`.
    #[derive(FromBytes, Immutable, KnownLayout)]
    #[repr(C)]
    pub(crate) struct LineEvent {
        pub(crate) timestamp_ns: u64,
        /// 1 for a rising edge, 2 for a falling one.
        pub(crate) id: u32,
        pub(crate) offset: u32,
        seqno: u32,
        /// Counts the edges of this line, from 1.
        pub(crate) line_seqno: u32,
        padding: [u32; 6],
    }

    // SAFETY: GPIO_V2_GET_LINE_IOCTL (linux/gpio.h) reads and writes one `gpio_v2_line_request`; it uses no file
    // descriptor in it, and gives a new one back.
    const GET_LINE: Ioctl<LineRequest> = unsafe { Ioctl::new(Direction::ReadWrite, 0xb4, 0x07) };

    /// GPIO_V2_LINE_FLAG_INPUT, _EDGE_RISING and _EDGE_FALLING.
    const INPUT_BOTH_EDGES: u64 = 1 << 2 | 1 << 4 | 1 << 5;

    /// Requests a line, for both edges: the file that its edges are read from.
    pub(crate) fn request(path: impl AsRef<Path>, offset: u32) -> Result<OwnedFd, Error> {
        let chip = Device::open(path)?;
        let mut request = LineRequest::new_zeroed();
        request.offsets[0] = offset;
        request.num_lines = 1;
        request.flags = INPUT_BOTH_EDGES;
        request.consumer[..9].copy_from_slice(b"gpiochip_");
        // Not 0, which is standard input: so this shows whether the driver has written a descriptor.
        request.fd = -1;
        let granted = chip.ioctl(GET_LINE, request)?;
        assert!(granted.fd > 2, "the driver has made no file for the line");
        // SAFETY: the kernel has made this descriptor for us, and nobody else has it.
        Ok(unsafe { OwnedFd::from_raw_fd(granted.fd) })
    }

    /// Calls `show` with each edge of a requested line, until it returns `Break`.
    pub(crate) fn watch(line: &Device, mut show: impl FnMut(&LineEvent) -> ControlFlow<()>) -> Result<(), Error> {
        // One read returns all events that are there, up to 64.
        let mut reads = line.standing_reads(64 * size_of::<LineEvent>()).start();
        while let Some(bytes) = reads.wait_next() {
            let bytes = bytes?;
            let events = <[LineEvent]>::ref_from_bytes(&bytes).unwrap_or_default();
            if events.iter().try_for_each(&mut show).is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn main() -> Result<(), Error> {
        let mut arguments = std::env::args().skip(1);
        let path = arguments.next().unwrap_or_else(|| "/dev/gpiochip0".to_owned());
        let offset = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let print = |event: &LineEvent| {
            let kind = if event.id == 1 { "rising" } else { "falling" };
            println!("{}\t{kind}\t{}\t#{}", event.timestamp_ns, event.offset, event.line_seqno);
            ControlFlow::Continue(())
        };
        match request(&path, offset).and_then(Device::from_fd).and_then(|line| watch(&line, print)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("{error}: this machine has no such chip");
                Ok(())
            }
            other => other,
        }
    }

    #[cfg(test)]
    #[test]
    fn a_chip_that_is_not_there_is_named() {
        let error = request("/dev/no such gpiochip", 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("\"/dev/no such gpiochip\""), "{error}");
        // A file that is no chip fails, too: its driver does not know this ioctl.
        assert_eq!(request("/dev/null", 0).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), overlapped::Error> {
    gpio::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("gpiochips: it needs Linux");
}
