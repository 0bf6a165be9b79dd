//! A driver with any status, any byte count and any bytes: as replies of several shapes, as streams, and in raw
//! buffers.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use overlapped::sim::{self, Outcome, Request};
use overlapped::{Access, Buffer, CtlCode, Device, ErrorKind, Ioctl, Method, Output, Port, Reply, Status};

use crate::input::Input;

/// The driver's answer.
#[derive(Clone, Default)]
struct Answer {
    /// It pends the request first.
    pends: bool,
    status: u32,
    claimed: u64,
    bytes: Vec<u8>,
}

fn control(mut request: Request) -> Outcome {
    let Answer { pends, status, claimed, bytes } = DEVICE.answer().clone();
    request.write(&bytes);
    let (status, information) = (Status::from_u32(status), claimed as usize);
    if pends {
        let (pended, outcome) = request.pend();
        pended.lie(status, information);
        outcome
    } else {
        request.lie(status, information)
    }
}

struct Simulated {
    port: Port,
    device: Device,
    answer: Mutex<Answer>,
}

static DEVICE: LazyLock<Simulated> = LazyLock::new(|| {
    let port = Port::manual().expect("a port");
    let device = Device::simulated_on(&port, sim::from_fn(control)).expect("a simulated device");
    Simulated { port, device, answer: Mutex::default() }
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

impl Simulated {
    fn answer(&self) -> MutexGuard<'_, Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<Out: Output + ?Sized>(&self, ioctl: Ioctl<(), Out>) -> Option<Reply<Out>> {
        match self.port.block_on(self.device.call(ioctl, &())).expect("not on a dispatcher") {
            Ok(reply) => Some(reply),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert!(error.bytes().is_empty() || error.kind() == ErrorKind::Truncated || error.code().is_some());
                None
            }
        }
    }

    /// A stream of such answers, each of which makes the next input.
    fn stream<Out: Output + ?Sized>(&self, ioctl: Ioctl<(), Out>) {
        let mut stream = self.device.inverted(ioctl, &()).input_from(|_: &Out| ()).window(3).start();
        for _ in 0..5 {
            match self.port.block_on(stream.next()).expect("not on a dispatcher") {
                None => break,
                Some(Ok(_)) => {}
                Some(Err(error)) => assert!(!error.to_string().is_empty()),
            }
        }
        drop(stream);
        while self.port.poll(Some(std::time::Duration::ZERO)) > 0 {}
    }
}

/// The input is one answer: whether it pends (1 byte), the status (4), the claimed count (8), and its bytes.
pub fn replies(input: &[u8]) {
    // One at a time, since there is only one answer.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut input = Input(input);
    let answer =
        Answer { pends: input.u8() % 2 == 1, status: input.u32(), claimed: input.u64(), bytes: input.0.to_vec() };
    let sim = &*DEVICE;
    *sim.answer() = answer.clone();
    let Answer { status, claimed, bytes, .. } = answer;
    let claimed = claimed as usize;
    sim.call(NOTHING);
    if let Some(one) = sim.call(ONE) {
        assert!(claimed >= 12);
        assert!(one.iter().zip(&bytes).all(|(got, written)| got == written));
    }
    if sim.call(WORD).is_some() {
        assert!(claimed >= 8);
    }
    if let Some(reply) = sim.call(BYTES) {
        assert_eq!(reply.len(), claimed.min(100));
        assert!(reply.iter().zip(&bytes).all(|(got, written)| got == written));
        assert_eq!(reply.more_data(), status == Status::BUFFER_OVERFLOW.to_u32());
    }
    if let Some(reply) = sim.call(TRIPLES) {
        assert_eq!(reply.len() * 3, claimed.min(21));
    }
    if let Some(reply) = sim.call(WORDS) {
        assert_eq!(reply.len() * 8, claimed.min(33 * 8));
    }
    sim.stream(WORD);
    sim.stream(TRIPLES);
    // SAFETY: as above.
    let raw = unsafe { sim.device.call_raw(CODE, Buffer::empty(), Buffer::aligned(64, 16).expect("64 bytes")) };
    let raw = sim.port.block_on(raw).expect("not on a dispatcher");
    assert!(raw.len() <= 64);
    assert_eq!(raw.output.len(), 64);
    assert_eq!(sim.port.stats().in_flight, 0);
}
