//! Any status, any claimed count and any bytes, from a driver, into replies of several shapes.
#![no_main]

use std::sync::{LazyLock, Mutex};

use libfuzzer_sys::fuzz_target;
use overlapped::sim::{self, Outcome, Request};
use overlapped::{Access, Buffer, CtlCode, Device, ErrorKind, Ioctl, Method, Output, Port, Reply, Status};

/// What the driver is to answer: at once or later, status, count, bytes.
type Answer = (bool, u32, u64, Vec<u8>);

static ANSWER: Mutex<Answer> = Mutex::new((false, 0, 0, Vec::new()));

fn control(mut request: Request) -> Outcome {
    let (pend, status, information, bytes) = ANSWER.lock().unwrap().clone();
    request.write(&bytes);
    let (status, information) = (Status::from_u32(status), information as usize);
    if pend {
        let (pended, outcome) = request.pend();
        pended.lie(status, information);
        outcome
    } else {
        request.lie(status, information)
    }
}

static DEVICE: LazyLock<(Port, Device)> = LazyLock::new(|| {
    let port = Port::manual().unwrap();
    let device = Device::simulated_on(&port, sim::from_fn(control)).unwrap();
    (port, device)
});

const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);

macro_rules! codes {
    ($($name:ident: $out:ty = $made:expr;)*) => {
        // SAFETY: the simulated driver writes through its bounded request.
        $(const $name: Ioctl<(), $out> = unsafe { $made };)*
    };
}

codes! {
    NOTHING: () = Ioctl::new(CODE);
    ONE: [u8; 12] = Ioctl::new(CODE);
    WORD: u64 = Ioctl::new(CODE);
    BYTES: [u8] = Ioctl::slice(CODE, 100);
    TRIPLES: [[u8; 3]] = Ioctl::slice(CODE, 7);
    WORDS: [u64] = Ioctl::slice(CODE, 33);
}

fn call<Out: Output + ?Sized>(ioctl: Ioctl<(), Out>) -> Option<Reply<Out>> {
    let (port, device) = &*DEVICE;
    match port.block_on(device.call(ioctl, &())).unwrap() {
        Ok(reply) => Some(reply),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(error.bytes().is_empty() || error.kind() == ErrorKind::Truncated || error.code().is_some());
            None
        }
    }
}

fuzz_target!(|input: (bool, u32, u64, Vec<u8>)| {
    *ANSWER.lock().unwrap() = input.clone();
    let (_, status, information, bytes) = input;
    let claimed = information as usize;
    call(NOTHING);
    if let Some(one) = call(ONE) {
        assert!(claimed >= 12);
        assert!(one.iter().zip(&bytes).all(|(got, written)| got == written));
    }
    if call(WORD).is_some() {
        assert!(claimed >= 8);
    }
    if let Some(reply) = call(BYTES) {
        assert_eq!(reply.len(), claimed.min(100));
        assert!(reply.iter().zip(&bytes).all(|(got, written)| got == written));
        assert_eq!(reply.more_data(), status == Status::BUFFER_OVERFLOW.to_u32());
    }
    if let Some(reply) = call(TRIPLES) {
        assert_eq!(reply.len() * 3, claimed.min(21));
    }
    if let Some(reply) = call(WORDS) {
        assert_eq!(reply.len() * 8, claimed.min(33 * 8));
    }
    let (port, device) = &*DEVICE;
    // SAFETY: as above.
    let raw = unsafe { device.call_raw(CODE, Buffer::empty(), Buffer::aligned(64, 16).unwrap()) };
    let raw = port.block_on(raw).unwrap();
    assert!(raw.len() <= 64);
    assert_eq!(raw.output.len(), 64);
    assert_eq!(port.stats().in_flight, 0);
});
