//! Asks a disk for its name and size. The answer has a variable length and contains offsets, which are checked.
//!
//! `cargo run -p overlapped --example disk_query` asks a simulated disk; on Windows, with a path (`\\.\PhysicalDrive0`
//! or `\\.\C:`), a real one. No rights are needed: the handle is opened with neither read nor write access.

use overlapped::{Access, CtlCode, Device, Error, ErrorKind, Ioctl, Method};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// STORAGE_PROPERTY_QUERY (`winioctl.h`).
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct PropertyQuery {
    /// 0: StorageDeviceProperty.
    property_id: u32,
    /// 0: PropertyStandardQuery.
    query_type: u32,
    additional_parameters: [u8; 4],
}

/// The fixed part of STORAGE_DEVICE_DESCRIPTOR. The offsets count from its beginning; 0 means that there is no text.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct DeviceDescriptor {
    version: u32,
    size: u32,
    device_type: u8,
    device_type_modifier: u8,
    removable_media: u8,
    command_queueing: u8,
    vendor_id_offset: u32,
    product_id_offset: u32,
    product_revision_offset: u32,
    serial_number_offset: u32,
    bus_type: u32,
    raw_properties_length: u32,
}

/// DISK_GEOMETRY_EX without the partition and detection data that may follow it.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Geometry {
    cylinders: u64,
    media_type: u32,
    tracks_per_cylinder: u32,
    sectors_per_track: u32,
    bytes_per_sector: u32,
    disk_size: u64,
    data: [u8; 8],
}

const QUERY_PROPERTY_CODE: CtlCode = CtlCode::new(0x2d, 0x500, Method::Buffered, Access::Any);
const GET_GEOMETRY_CODE: CtlCode = CtlCode::new(0x07, 0x28, Method::Buffered, Access::Any);

// SAFETY: IOCTL_STORAGE_QUERY_PROPERTY reads a STORAGE_PROPERTY_QUERY, and writes a descriptor, as much as fits.
const QUERY_PROPERTY: Ioctl<PropertyQuery, [u8]> = unsafe { Ioctl::slice(QUERY_PROPERTY_CODE, 1024) };
// SAFETY: IOCTL_DISK_GET_DRIVE_GEOMETRY_EX reads nothing and writes a DISK_GEOMETRY_EX, as much as fits.
const GET_GEOMETRY: Ioctl<(), Geometry> = unsafe { Ioctl::new(GET_GEOMETRY_CODE) };

fn main() -> Result<(), Error> {
    match std::env::args().nth(1) {
        Some(path) => describe(&Device::options().read(false).write(false).open(path)?),
        None => describe(&simulated()?),
    }
}

fn describe(disk: &Device) -> Result<(), Error> {
    let query = PropertyQuery { property_id: 0, query_type: 0, additional_parameters: [0; 4] };
    // Submit both calls before waiting for one.
    let (descriptor, geometry) = (disk.call(QUERY_PROPERTY, &query), disk.call(GET_GEOMETRY, &()));
    match descriptor.wait() {
        Ok(bytes) => match DeviceDescriptor::ref_from_prefix(&bytes) {
            Ok((fixed, _)) => {
                println!("vendor:   {}", text(&bytes, fixed.vendor_id_offset));
                println!("product:  {}", text(&bytes, fixed.product_id_offset));
                println!("revision: {}", text(&bytes, fixed.product_revision_offset));
                println!("serial:   {}", text(&bytes, fixed.serial_number_offset));
            }
            Err(_) => println!("the driver's descriptor has {} bytes: too short to be one", bytes.len()),
        },
        Err(error) if error.kind() == ErrorKind::Unsupported => println!("{error}"),
        Err(error) => return Err(error),
    }
    match geometry.wait() {
        Ok(geometry) => println!("size:     {} bytes, sectors of {}", geometry.disk_size, geometry.bytes_per_sector),
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::AccessDenied) => println!("{error}"),
        // Some drivers leave out the end of the record: the error keeps what they wrote.
        Err(error) if error.kind() == ErrorKind::Truncated => {
            println!("{error}: {} of {} bytes", error.bytes().len(), size_of::<Geometry>());
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The text at an offset, up to its NUL, or to the end of what the driver wrote.
fn text(descriptor: &[u8], offset: u32) -> String {
    let text = descriptor.get(offset as usize..).filter(|_| offset != 0).unwrap_or_default();
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).trim().to_owned()
}

/// A simulated disk.
fn simulated() -> Result<Device, Error> {
    use overlapped::{Status, sim};

    Device::simulated(sim::from_fn(|mut request| match request.code() {
        QUERY_PROPERTY_CODE => {
            let (vendor, product) = (b"ACME    \0".as_slice(), b"Simulated disk\0".as_slice());
            let fixed = size_of::<DeviceDescriptor>() as u32;
            let descriptor = DeviceDescriptor {
                version: fixed,
                size: fixed + (vendor.len() + product.len()) as u32,
                device_type: 0,
                device_type_modifier: 0,
                removable_media: 0,
                command_queueing: 0,
                vendor_id_offset: fixed,
                product_id_offset: fixed + vendor.len() as u32,
                product_revision_offset: 0,
                // Beyond the end: a careless driver writes that.
                serial_number_offset: 4000,
                bus_type: 0,
                raw_properties_length: 0,
            };
            for part in [descriptor.as_bytes(), vendor, product] {
                request.write(part);
            }
            request.complete(Status::SUCCESS)
        }
        GET_GEOMETRY_CODE => {
            let geometry = Geometry {
                cylinders: 8192,
                media_type: 12,
                tracks_per_cylinder: 255,
                sectors_per_track: 63,
                bytes_per_sector: 512,
                disk_size: 8192 * 255 * 63 * 512,
                data: [0; 8],
            };
            request.write(geometry.as_bytes());
            request.complete(Status::SUCCESS)
        }
        _ => request.complete(Status::INVALID_DEVICE_REQUEST),
    }))
}

#[test]
fn the_simulated_disk_is_described() {
    describe(&simulated().unwrap()).unwrap();
    assert_eq!(text(b"\0\0\0ACME  \0x", 3), "ACME");
    assert_eq!(text(b"short", 4000), "");
}
