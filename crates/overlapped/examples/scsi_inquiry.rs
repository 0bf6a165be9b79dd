//! Asks a drive for its name by a SCSI command. The record of the command contains an address, where the driver writes
//! the answer. The memory there must live until the driver is done, even if the caller has stopped waiting.
//!
//! `cargo run -p overlapped --example scsi_inquiry` asks a simulated drive; on Windows, with a path
//! (`\\.\PhysicalDrive0`, which needs an administrator), a real one.

use std::time::Duration;

use overlapped::{Access, Buffer, CtlCode, Device, Error, Method, Status};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// IOCTL_SCSI_PASS_THROUGH_DIRECT (`ntddscsi.h`).
const PASS_THROUGH_DIRECT: CtlCode = CtlCode::new(0x04, 0x405, Method::Buffered, Access::ReadWrite);
/// SCSI_IOCTL_DATA_IN: from the drive.
const DATA_IN: u8 = 1;
/// INQUIRY, of the SCSI Primary Commands, and the length of its standard answer.
const INQUIRY: u8 = 0x12;
const ANSWER: usize = 36;

/// SCSI_PASS_THROUGH_DIRECT of 64-bit Windows, and room for the sense data behind it.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct PassThrough {
    length: u16,
    scsi_status: u8,
    path_id: u8,
    target_id: u8,
    lun: u8,
    cdb_length: u8,
    sense_length: u8,
    data_in: u8,
    padding: [u8; 3],
    data_length: u32,
    /// In seconds.
    time_out: u32,
    more_padding: u32,
    /// An address.
    data: u64,
    sense_offset: u32,
    cdb: [u8; 16],
    last_padding: u32,
    sense: [u8; 32],
}

fn main() -> Result<(), Error> {
    let drive = match std::env::args().nth(1) {
        Some(path) => Device::open(path)?,
        None => simulated()?,
    };
    println!("{}", inquire(&drive)?);
    Ok(())
}

/// Vendor, product and revision.
fn inquire(drive: &Device) -> Result<String, Error> {
    let answer = Buffer::aligned(ANSWER, 16)?;
    let mut record = PassThrough::new_zeroed();
    record.length = 56; // without the sense data
    record.cdb_length = 6;
    record.cdb[0] = INQUIRY;
    record.cdb[4] = ANSWER as u8;
    record.data_in = DATA_IN;
    record.data_length = ANSWER as u32;
    record.data = answer.as_ptr().expose_provenance() as u64;
    record.time_out = 5;
    record.sense_offset = 56;
    record.sense_length = 32;
    let (input, output) = (Buffer::from(record.as_bytes()), Buffer::from(record.as_bytes()));
    // SAFETY: ntddscsi.h: reads and writes the record, and writes `data_length` bytes at `data`; that is the answer,
    // which is kept until then, and which nobody looks at before it is back.
    let call = unsafe { drive.call_raw_keeping(PASS_THROUGH_DIRECT, input, output, answer) };
    let reply = call.timeout(Duration::from_secs(10)).wait();
    reply.status()?;
    let scsi_status = PassThrough::read_from_bytes(&reply.output).map_or(0xff, |record| record.scsi_status);
    if scsi_status != 0 {
        return Ok(format!("the drive refuses: SCSI status {scsi_status:#04x}"));
    }
    let answer = reply.kept.unwrap_or_else(Buffer::empty);
    let text = |range| String::from_utf8_lossy(answer.get(range).unwrap_or_default()).trim().to_owned();
    Ok(format!("{} {} {}", text(8..16), text(16..32), text(32..36)))
}

/// A simulated drive. It follows the address, as the real driver does.
fn simulated() -> Result<Device, Error> {
    use overlapped::sim;

    Device::simulated(sim::from_fn(|mut request| {
        let record = PassThrough::read_from_bytes(request.input());
        let Some(mut record) = record.ok().filter(|_| request.code() == PASS_THROUGH_DIRECT) else {
            return request.complete(Status::INVALID_DEVICE_REQUEST);
        };
        if record.cdb[0] == INQUIRY && record.data_length as usize >= ANSWER {
            let data = std::ptr::with_exposed_provenance_mut::<[u8; ANSWER]>(record.data as usize);
            // SAFETY: the caller of this driver promised that its record leads to so many bytes until the request is
            // over.
            unsafe { data.write(*b"\0\0\x06\x02\x1f\0\0\0ACME    Simulated drive 1.0 ") };
        } else {
            record.scsi_status = 2; // CHECK CONDITION
        }
        request.write(record.as_bytes());
        request.complete(Status::SUCCESS)
    }))
}

#[test]
fn the_simulated_drive_says_what_it_is() {
    assert_eq!(size_of::<PassThrough>(), 56 + 32);
    assert_eq!(PASS_THROUGH_DIRECT.to_u32(), 0x4d014);
    assert_eq!(inquire(&simulated().unwrap()).unwrap(), "ACME Simulated drive 1.0");
}
