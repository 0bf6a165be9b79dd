//! comedi's parallel port (linux/comedi.h), set up as by a program. Its interrupt is the fourth subdevice.

use overlapped::Device;
use overlapped::linux::{Direction, Ioctl, request};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct comedi_devconfig`: the driver's name and options.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Configuration {
    name: [u8; 20],
    options: [i32; 32],
}

/// `struct comedi_cmd`.
#[repr(C)]
struct Command {
    subdevice: u32,
    flags: u32,
    start: [u32; 2],
    scan_begin: [u32; 2],
    convert: [u32; 2],
    scan_end: [u32; 2],
    stop: [u32; 2],
    channels: *mut u32,
    channels_length: u32,
    data: *mut u16,
    data_length: u32,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Command>() == 80);

// SAFETY: COMEDI_DEVCONFIG is _IOW('d', 0, struct comedi_devconfig), and reads one. This driver's options are numbers.
const COMEDI_DEVCONFIG: Ioctl<Configuration> = unsafe { Ioctl::new(Direction::Write, b'd', 0) };
const COMEDI_CMD: u32 = request(Direction::Read, b'd', 9, size_of::<Command>());

const NONE: u32 = 1;
const NOW: u32 = 2;
const FOLLOW: u32 = 4;
const COUNT: u32 = 0x20;
const EXTERNAL: u32 = 0x40;

/// The virtual machine's parallel port, with its interrupt.
pub(crate) fn parallel_port(path: &str) -> Device {
    let device = Device::open(path).unwrap();
    let mut configuration = Configuration { name: [0; 20], options: [0; 32] };
    configuration.name[..14].copy_from_slice(b"comedi_parport");
    configuration.options[..2].copy_from_slice(&[0x378, 7]);
    device.ioctl(COMEDI_DEVCONFIG, configuration).unwrap();
    device
}

/// From now on each interrupt is a sample, which is only read from this device.
pub(crate) fn start(device: &Device) {
    let mut channels = [0];
    let mut command = Command {
        subdevice: 3,
        flags: 0,
        start: [NOW, 0],
        scan_begin: [EXTERNAL, 0],
        convert: [FOLLOW, 0],
        scan_end: [COUNT, 1],
        stop: [NONE, 0],
        channels: channels.as_mut_ptr(),
        channels_length: 1,
        data: std::ptr::null_mut(),
        data_length: 0,
    };
    // SAFETY: the driver reads and writes one `comedi_cmd`, and reads as many channels as there are.
    unsafe { device.ioctl_raw(COMEDI_CMD, (&raw mut command).cast()) }.unwrap();
}
