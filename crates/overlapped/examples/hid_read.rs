//! Input reports of a HID, by standing reads: the inverted call of a driver that has reads in place of control codes.
//!
//! `cargo run -p overlapped --example hid_read` reads a simulated game pad. With the path of a device interface
//! (`\\?\hid#vid_…`) and the length of its input report (InputReportByteLength of HIDP_CAPS) it reads a real one;
//! on Linux the path is `/dev/hidraw0` and the like, where the platform can open devices.
//!
//! By default the class driver keeps 32 reports for each handle. While reads are pending, it seldom has to.

use overlapped::{Access, CtlCode, Device, Error, ErrorKind, Ioctl, Method};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// HID_COLLECTION_INFORMATION (`hidclass.h`).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CollectionInformation {
    descriptor_size: u32,
    polled: u8,
    reserved: u8,
    vendor_id: u16,
    product_id: u16,
    version_number: u16,
}

const GET_COLLECTION_INFORMATION_CODE: CtlCode = CtlCode::new(0x0b, 106, Method::Buffered, Access::Any);

// SAFETY: IOCTL_HID_GET_COLLECTION_INFORMATION reads nothing and writes one HID_COLLECTION_INFORMATION.
const GET_COLLECTION_INFORMATION: Ioctl<(), CollectionInformation> =
    unsafe { Ioctl::new(GET_COLLECTION_INFORMATION_CODE) };

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        return print_reports(&Device::simulated(simulated::Pad::new())?, simulated::REPORT_LEN);
    };
    let report_len = arguments.next().and_then(|len| len.parse().ok()).unwrap_or(64);
    // The system uses keyboards and mice itself: they can be opened for queries, but not read.
    print_reports(&Device::options().write(false).open(path)?, report_len)
}

/// Prints every report, until the device is unplugged.
fn print_reports(device: &Device, report_len: usize) -> Result<(), Error> {
    // Not every system has this control code.
    if let Ok(info) = device.call(GET_COLLECTION_INFORMATION, &()).wait() {
        println!("vendor {:04x}, product {:04x}, version {:04x}", info.vendor_id, info.product_id, info.version_number);
    }
    let mut reports = device.standing_reads(report_len).pending(4).start();
    while let Some(report) = reports.wait_next() {
        match report {
            Ok(report) => println!("{:02x?}", &*report),
            Err(error) if error.kind() == ErrorKind::Disconnected => println!("unplugged"),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A simulated game pad.
mod simulated {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::thread;
    use std::time::Duration;

    use overlapped::Status;
    use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
    use zerocopy::IntoBytes;

    use super::{CollectionInformation, GET_COLLECTION_INFORMATION_CODE};

    /// A report's number (0: the device has one kind), two axes, buttons.
    pub(super) const REPORT_LEN: usize = 4;

    #[derive(Default)]
    pub(super) struct Pad {
        waiting: Queue<()>,
        gone: AtomicBool,
    }

    impl Pad {
        /// A pad whose stick is moved a little. Then it is unplugged.
        pub(super) fn new() -> Arc<Self> {
            let pad = Arc::<Self>::default();
            let hardware = pad.clone();
            thread::spawn(move || {
                for step in 0..5 {
                    thread::sleep(Duration::from_millis(50));
                    if let Some((mut read, ())) = hardware.waiting.pop() {
                        read.write(&[0, 0x80 + step, 0x80 - step, step & 1]);
                        read.complete(Status::SUCCESS);
                    }
                }
                hardware.unplug();
            });
            pad
        }

        fn unplug(&self) {
            self.gone.store(true, SeqCst);
            while let Some((read, ())) = self.waiting.pop() {
                read.complete(Status::DEVICE_NOT_CONNECTED);
            }
        }
    }

    impl Driver for Pad {
        fn name(&self) -> String {
            "simulated game pad".to_owned()
        }

        fn control(&self, mut request: Request) -> Outcome {
            if request.code() != GET_COLLECTION_INFORMATION_CODE {
                return request.complete(Status::INVALID_DEVICE_REQUEST);
            }
            let info = CollectionInformation {
                descriptor_size: 0,
                polled: 0,
                reserved: 0,
                vendor_id: 0x1209,
                product_id: 1,
                version_number: 0x100,
            };
            request.write(info.as_bytes());
            request.complete(Status::SUCCESS)
        }

        fn read(&self, request: Request) -> Outcome {
            if request.output_len() < REPORT_LEN {
                return request.complete(Status::INVALID_BUFFER_SIZE);
            }
            let (pended, outcome) = request.pend();
            self.waiting.push(pended, ());
            // Queue the request first, and then look for a report. In the other order a request could wait for ever.
            if self.gone.load(SeqCst) {
                self.unplug();
            }
            outcome
        }

        fn cancel(&self, request: RequestId) {
            self.waiting.cancel(request);
        }

        fn cleanup(&self, file: FileId) {
            self.waiting.complete_all_of(file, Status::CANCELLED);
        }
    }
}

#[test]
fn the_simulated_pad_is_read_until_it_is_unplugged() {
    print_reports(&Device::simulated(simulated::Pad::new()).unwrap(), simulated::REPORT_LEN).unwrap();
    let short = Device::simulated(simulated::Pad::new()).unwrap();
    assert_eq!(print_reports(&short, 2).unwrap_err().kind(), ErrorKind::InvalidInput);
}
