//! Feature reports of a HID: bytes whose length the device's documentation or its descriptor gives.
//!
//! `cargo run -p overlapped --example hidraw_features [/dev/hidraw0 get REPORT LENGTH | /dev/hidraw0 set REPORT
//! BYTE…]`; it needs Linux, and permission to open the device. Without arguments it lists the devices. A device without
//! report numbers has the report 0. The length does not include the number.

#[cfg(target_os = "linux")]
pub(crate) mod hidraw {
    use overlapped::linux::{Direction, Ioctl, IoctlBytes};
    use overlapped::{Device, Error};

    // SAFETY: linux/hidraw.h: HIDIOCGRDESCSIZE, _IOR('H', 0x01, int), writes one `int`.
    const GET_DESCRIPTOR_SIZE: Ioctl<i32> = unsafe { Ioctl::new(Direction::Read, b'H', 0x01) };
    // SAFETY: HIDIOCGRAWNAME(len) writes no more than `len` bytes.
    const GET_NAME: IoctlBytes = unsafe { IoctlBytes::new(Direction::Read, b'H', 0x04) };
    // SAFETY: HIDIOCSFEATURE(len) reads `len` bytes; both directions are in its number nevertheless.
    const SET_FEATURE: IoctlBytes = unsafe { IoctlBytes::new(Direction::ReadWrite, b'H', 0x06) };
    // SAFETY: HIDIOCGFEATURE(len) reads the first of the bytes, and writes no more than `len`.
    const GET_FEATURE: IoctlBytes = unsafe { IoctlBytes::new(Direction::ReadWrite, b'H', 0x07) };

    pub(crate) fn name(device: &Device) -> Result<String, Error> {
        let mut name = [0; 256];
        let len = device.ioctl_bytes(GET_NAME, &mut name)? as usize;
        Ok(String::from_utf8_lossy(&name[..len.min(name.len())]).trim_end_matches('\0').to_owned())
    }

    /// The length of its report descriptor, in bytes.
    pub(crate) fn descriptor_size(device: &Device) -> Result<i32, Error> {
        device.ioctl(GET_DESCRIPTOR_SIZE, 0)
    }

    /// A feature report of at most `len` bytes behind its number, which is 0 if the device has no numbers. It is as
    /// long as the device's answer.
    pub(crate) fn feature(device: &Device, report: u8, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; 1 + len];
        bytes[0] = report;
        let len = device.ioctl_bytes(GET_FEATURE, &mut bytes)? as usize;
        bytes.truncate(len);
        Ok(bytes)
    }

    /// Sends a feature report, its number first.
    pub(crate) fn set_feature(device: &Device, bytes: &[u8]) -> Result<(), Error> {
        // The kernel only reads the bytes, but the ioctl takes a mutable buffer.
        device.ioctl_bytes(SET_FEATURE, &mut bytes.to_vec()).map(drop)
    }

    pub(crate) fn main() -> Result<(), Error> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match *words {
            [path, "get", report, len] => {
                let (report, len) = (report.parse().unwrap_or(0), len.parse().unwrap_or(64));
                println!("{:02x?}", feature(&Device::open(path)?, report, len)?);
                return Ok(());
            }
            [path, "set", ref bytes @ ..] => {
                let report: Vec<u8> = bytes.iter().filter_map(|byte| byte.parse().ok()).collect();
                return set_feature(&Device::open(path)?, &report);
            }
            _ => {}
        }
        let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
        let paths: Vec<_> =
            entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains("/hidraw")).collect();
        for path in &paths {
            match Device::open(path).and_then(|device| Ok((name(&device)?, descriptor_size(&device)?))) {
                Ok((name, size)) => println!("{}\t{name}, described in {size} bytes", path.display()),
                Err(error) => println!("{error}"),
            }
        }
        println!("{} HIDs; to get or set a feature report, name one", paths.len());
        Ok(())
    }

    #[cfg(test)]
    #[test]
    fn a_file_that_is_no_hid_says_so() {
        let null = Device::open("/dev/null").unwrap();
        assert_eq!(feature(&null, 1, 8).unwrap_err().kind(), overlapped::ErrorKind::Unsupported);
        // Longer than the number of a request can tell, which is another error.
        assert_eq!(feature(&null, 1, 1 << 14).unwrap_err().kind(), overlapped::ErrorKind::InvalidInput);
        assert_eq!(set_feature(&null, &[0; 9]).unwrap_err().kind(), overlapped::ErrorKind::Unsupported);
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), overlapped::Error> {
    hidraw::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("hidraw: it needs Linux");
}
