//! Any sequence of control codes with any input and room for output, from several readers: nothing panics, and every
//! account closes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use linewake_controller::protocol::{FILE_DEVICE_LINEWAKE, GET_COUNTERS, LineCounters};
use linewake_controller::{Controller, Outcome};
use zerocopy::FromBytes;

type Small = Controller<8, 4, 16>;

fuzz_target!(|calls: Vec<(u8, u16, Vec<u8>, u16)>| {
    let mut controller = Box::new(Small::new());
    controller.init("fuzz", "fuzz", 8);
    let mut readers = Vec::new();
    for (time, (reader, function, input, room)) in calls.into_iter().enumerate() {
        if readers.is_empty() || reader % 7 == 6 {
            if let Ok(reader) = controller.open() {
                readers.push(reader);
            }
        }
        if reader % 11 == 10 && readers.len() > 1 {
            controller.close(readers.remove(0));
        }
        let Some(reader) = readers.get(usize::from(reader) % readers.len().max(1)).copied() else { continue };
        // Most codes are real ones: a random device type would never get past the first look.
        let code = FILE_DEVICE_LINEWAKE << 16 | u32::from(function);
        let mut output = vec![0; usize::from(room % 2048)];
        let mut outcome = controller.control(reader, code, &input, &mut output, time as u64);
        for _ in 0..64 {
            while controller.take_ready().is_some() {}
            match outcome {
                Outcome::Again { round } => outcome = controller.resume(reader, &input, round, time as u64),
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
                let line = LineCounters::read_from_bytes(line).unwrap();
                assert!(line.is_closed(), "{line:?}");
            }
        }
    }
});
