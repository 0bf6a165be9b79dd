//! Any sequence of control codes with any input and room for output, from several readers: nothing panics, and every
//! account closes.

use linewake_controller::protocol::{FILE_DEVICE_LINEWAKE, GET_COUNTERS, LineCounters};
use linewake_controller::{Controller, CtlCode, Outcome};
use zerocopy::FromBytes;

use crate::input::Input;

type Small = Controller<8, 4, 16>;

/// The input is calls: reader (1 byte), function, access and method (2), room for output (2), length of the input (1),
/// input.
pub fn controller(bytes: &[u8]) {
    let mut bytes = Input(bytes);
    let mut controller = Box::new(Small::new());
    controller.init("fuzz", "fuzz", 8);
    let mut readers = Vec::new();
    for time in 0.. {
        if bytes.is_over() {
            break;
        }
        let (reader, low, room, len) = (bytes.u8(), bytes.u16(), bytes.u16(), bytes.u8());
        let input = bytes.bytes(len.into());
        if (readers.is_empty() || reader % 7 == 6)
            && let Ok(reader) = controller.open()
        {
            readers.push(reader);
        }
        if reader % 11 == 10 && readers.len() > 1 {
            controller.close(readers.remove(0), time);
        }
        let Some(reader) = readers.get(usize::from(reader) % readers.len().max(1)).copied() else { continue };
        // Each code has our device type: another type would be refused at once.
        let code = CtlCode::from_u32(u32::from(FILE_DEVICE_LINEWAKE) << 16 | u32::from(low));
        let mut output = vec![0; usize::from(room % 2048)];
        let mut outcome = controller.control(reader, code, input, &mut output, time);
        for _ in 0..64 {
            while controller.take_ready().is_some() {}
            match outcome {
                Outcome::Again { round } => outcome = controller.resume(reader, input, round, time),
                Outcome::Done { information, .. } => {
                    assert!(information <= output.len());
                    break;
                }
                Outcome::Pend => break,
            }
        }
    }
    for reader in readers {
        let mut output = vec![0; 8 * size_of::<LineCounters>()];
        if let Outcome::Done { status, information } = controller.control(reader, GET_COUNTERS, &[], &mut output, 0)
            && !status.is_error()
        {
            for line in output[..information].chunks(size_of::<LineCounters>()) {
                let line = LineCounters::read_from_bytes(line).expect("whole records");
                assert!(line.is_closed(), "{line:?}");
            }
        }
    }
}
