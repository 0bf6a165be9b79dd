//! PHDIo: it handles one request at a time, runs small programs on the registers of a parallel port, and ends reads
//! with an interrupt or a timeout.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use linewake::{ErrorKind, Figures, Trust};
use overlapped::sim::{Driver, FileId, Outcome, Pended, Request, RequestId};
use overlapped::{Access, CtlCode, Method, Operation, Status};

use crate::{chip, edges, end, finished, nothing_comes, profile, taken_until, told, wait_until, watched};

const fn code(function: u16) -> CtlCode {
    CtlCode::new(0x22, function, Method::Buffered, Access::Any)
}
const RUN_CMDS: CtlCode = code(0x801);
const CMDS_FOR_READ: CtlCode = code(0x802);
const CMDS_FOR_READ_START: CtlCode = code(0x803);

const STATUS: usize = 1;
const CONTROL: usize = 2;
const ACK: u8 = 0x40;
/// The bit of the control register that enables interrupts of ACK.
const ENABLE: u8 = 0x10;

/// A read that is pending.
struct Reading {
    wait: Pended,
    left: usize,
    bytes: Vec<u8>,
    seconds_left: u8,
    is_cancelled: bool,
}

struct State {
    registers: [u8; 3],
    has_interrupt: bool,
    is_connected: bool,
    timeout: u8,
    for_read: Vec<u8>,
    for_read_start: Vec<u8>,
    reading: Option<Reading>,
    queue: VecDeque<Pended>,
    /// How many reads timed out.
    timeouts: u32,
}

struct Port(Mutex<State>);

impl Port {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            registers: [0, ACK, 0xcc],
            has_interrupt: true,
            is_connected: false,
            timeout: 0,
            for_read: Vec::new(),
            for_read_start: Vec::new(),
            reading: None,
            queue: VecDeque::new(),
            timeouts: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn is_reading(&self) -> bool {
        self.lock().reading.is_some()
    }

    /// The printer acknowledges: ACK goes low and high again. Returns whether a read was pending.
    fn acknowledge(&self) -> bool {
        let mut state = self.lock();
        state.registers[STATUS] &= !ACK;
        state.registers[STATUS] |= ACK;
        let was_reading = state.reading.is_some();
        if state.is_connected && state.registers[CONTROL] & ENABLE != 0 {
            state.interrupt();
        }
        was_reading
    }

    /// Advances the driver's clock by a second.
    fn second(&self) {
        let mut state = self.lock();
        let Some(reading) = &mut state.reading else { return };
        reading.seconds_left -= 1;
        match (reading.is_cancelled, reading.seconds_left) {
            (true, _) => state.finish(Status::CANCELLED),
            (false, 0) => {
                state.timeouts += 1;
                state.finish(Status::NO_MEDIA_IN_DEVICE);
            }
            _ => {}
        }
    }
}

impl State {
    fn interrupt(&mut self) {
        let Some(reading) = &self.reading else { return };
        match (reading.is_cancelled, reading.left) {
            (true, _) => self.finish(Status::CANCELLED),
            (false, 0) => self.finish(Status::SUCCESS),
            // Each interrupt runs the program. The read ends with the interrupt after the one that brought the last
            // byte.
            (false, _) => {
                let program = self.for_read.clone();
                if self.run(&program).0 != 0 {
                    self.finish(Status::UNSUCCESSFUL);
                }
            }
        }
    }

    fn finish(&mut self, status: Status) {
        if let Some(Reading { mut wait, bytes, .. }) = self.reading.take() {
            wait.write(&bytes);
            wait.complete(status);
        }
        while self.reading.is_none()
            && let Some(next) = self.queue.pop_front()
        {
            self.start(next);
        }
    }

    fn start(&mut self, mut wait: Pended) {
        let input = wait.input().to_vec();
        let status = match (wait.operation(), wait.code()) {
            (Operation::Read { .. }, _) if self.for_read.is_empty() || !self.is_connected => {
                Status::INVALID_DEVICE_REQUEST
            }
            (Operation::Read { .. }, _) => {
                let seconds_left = if self.timeout == 0 { 10 } else { self.timeout };
                let left = wait.output_len();
                self.reading = Some(Reading { wait, left, bytes: Vec::new(), seconds_left, is_cancelled: false });
                let program = self.for_read_start.clone();
                if self.run(&program).0 != 0 {
                    self.finish(Status::UNSUCCESSFUL);
                }
                return;
            }
            (_, RUN_CMDS) => {
                let (failure, at, values) = self.run(&input);
                wait.write(&failure.to_le_bytes());
                wait.write(&at.to_le_bytes());
                wait.write(&values);
                Status::SUCCESS
            }
            (_, CMDS_FOR_READ | CMDS_FOR_READ_START) if input.is_empty() => Status::INVALID_PARAMETER,
            (_, CMDS_FOR_READ) => {
                self.for_read = input;
                Status::SUCCESS
            }
            (_, CMDS_FOR_READ_START) => {
                self.for_read_start = input;
                Status::SUCCESS
            }
            _ => Status::INVALID_DEVICE_REQUEST,
        };
        wait.complete(status);
    }

    /// Runs a program, and returns why and where it failed, and what it read.
    fn run(&mut self, program: &[u8]) -> (u16, u16, Vec<u8>) {
        let mut values = Vec::new();
        let mut rest = program;
        while let [command, after @ ..] = rest {
            let failure = match (command, after) {
                (3, [register, value, ..]) => {
                    self.registers[usize::from(*register)] = *value;
                    rest = &after[2..];
                    continue;
                }
                (4, [register, ..]) => {
                    values.push(self.registers[usize::from(*register)]);
                    rest = &after[1..];
                    continue;
                }
                (9, [seconds, ..]) => {
                    self.timeout = *seconds;
                    rest = &after[1..];
                    continue;
                }
                (8, [_, mask, value, ..]) if self.has_interrupt && value & mask == *value => {
                    self.is_connected = true;
                    rest = &after[3..];
                    continue;
                }
                (8, _) => 4, // PHDIO_NO_INTERRUPT
                (11, [register, ..]) => match &mut self.reading {
                    Some(reading) if reading.left > 0 => {
                        reading.left -= 1;
                        reading.bytes.push(self.registers[usize::from(*register)]);
                        rest = &after[1..];
                        continue;
                    }
                    Some(_) => 10, // PHDIO_NO_DATA_LEFT_TO_TRANSFER
                    None => 9,     // PHDIO_CANNOT_RW_NEXT
                },
                _ => 1, // PHDIO_UNRECOGNISED_CMD
            };
            return (failure, (program.len() - rest.len()) as u16, values);
        }
        (0, 0, values)
    }
}

impl Driver for Port {
    fn name(&self) -> String {
        "PHDIo".to_owned()
    }

    fn control(&self, request: Request) -> Outcome {
        let mut state = self.lock();
        let (pended, outcome) = request.pend();
        if state.reading.is_some() {
            state.queue.push_back(pended);
        } else {
            state.start(pended);
        }
        outcome
    }

    fn read(&self, request: Request) -> Outcome {
        self.control(request)
    }

    /// A pending read is ended by the clock or the next interrupt.
    fn cancel(&self, request: RequestId) {
        let mut state = self.lock();
        if let Some(reading) = state.reading.as_mut().filter(|reading| reading.wait.id() == request) {
            reading.is_cancelled = true;
        } else if let Some(at) = state.queue.iter().position(|pended| pended.id() == request)
            && let Some(pended) = state.queue.remove(at)
        {
            pended.complete(Status::CANCELLED);
        }
    }

    fn cleanup(&self, _: FileId) {
        let mut state = self.lock();
        state.queue.drain(..).for_each(|pended| pended.complete(Status::CANCELLED));
        state.finish(Status::CANCELLED);
    }
}

/// Runs the driver's clock a thousand times as fast, until it is dropped.
fn with_clock<R>(port: &Arc<Port>, work: impl FnOnce() -> R) -> R {
    let is_over = AtomicBool::new(false);
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    thread::scope(|scope| {
        let _end = End(&is_over);
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                thread::sleep(Duration::from_millis(1));
                port.second();
            }
        });
        work()
    })
}

#[test]
fn an_interrupt_is_an_edge_of_ack() {
    let port = Port::new();
    let mut request = watched(&profile!("phdio"), &port);
    assert_eq!(port.lock().registers[CONTROL], 0xdc);
    for _ in 0..5 {
        wait_until(|| port.is_reading());
        assert!(port.acknowledge());
        assert_eq!(told(&mut request, 1), edges([("ACK", true)]));
    }
    with_clock(&port, || {
        let (rest, account) = finished(request);
        assert!(rest.is_empty());
        assert_eq!(
            (account.total(), account.trust()),
            (Figures { delivered: 5, ..Figures::default() }, Trust::AtLeast)
        );
        wait_until(|| port.lock().registers[CONTROL] == 0xcc);
    });
}

#[test]
fn ten_seconds_without_an_interrupt_are_no_end() {
    let port = Port::new();
    let mut request = watched(&profile!("phdio"), &port);
    // More timeouts in a row than a stream of calls accepts as failures.
    for count in 1..=100 {
        assert!(taken_until(&mut request, || port.is_reading()).is_empty());
        // A read that ends sooner than this did not wait, and is repeated after a pause.
        thread::sleep(Duration::from_millis(12));
        (0..9).for_each(|_| port.second());
        assert!(port.is_reading());
        port.second();
        assert_eq!(port.lock().timeouts, count);
    }
    nothing_comes(&mut request);
    assert!(port.is_reading());
    port.acknowledge();
    assert_eq!(told(&mut request, 1), edges([("ACK", true)]));
    let account = with_clock(&port, || finished(request).1);
    assert_eq!(account.total(), Figures { delivered: 1, ..Figures::default() });
}

#[test]
fn an_interrupt_that_no_read_waits_for_is_not_invented() {
    let port = Port::new();
    let mut request = watched(&profile!("phdio"), &port);
    let mut while_reading = 0;
    for _ in 0..2_000 {
        while_reading += u64::from(port.acknowledge());
    }
    let seen = taken_until(&mut request, || port.is_reading()).len() as u64;
    while_reading += u64::from(port.acknowledge());
    with_clock(&port, || {
        let (rest, account) = finished(request);
        assert_eq!(seen + rest.len() as u64, while_reading);
        assert_eq!(account.total(), Figures { delivered: while_reading, ..Figures::default() });
    });
}

/// The commands fail, but the call that runs them does not. The first read fails.
#[test]
fn a_port_without_an_interrupt_is_refused_by_its_first_read() {
    let port = Port::new();
    port.lock().has_interrupt = false;
    let mut request = watched(&profile!("phdio"), &port);
    let error = end(&mut request);
    assert!(error.kind() == ErrorKind::Device && error.to_string().contains("PHDIo"), "{error}");
    assert_eq!(request.finish().total().total(), 0);
}

#[test]
fn the_status_register_is_five_inputs() {
    let port = Port::new();
    // No line is active: the port inverts BUSY, and ACK and ERROR are active when they are low.
    port.lock().registers[STATUS] = 0b1100_1000;
    let chip = chip(&profile!("phdio-status"), &port);
    assert_eq!(chip.values(["ERROR", "SELECT", "PAPER-OUT", "ACK", "BUSY"]).unwrap(), [false; 5]);
    let mut request = chip.request().all_lines().start().unwrap();
    for (status, expected) in [
        (0b0100_1000, edges([("BUSY", true)])),
        (0b1110_0000, edges([("ERROR", true), ("PAPER-OUT", true), ("BUSY", false)])),
        (0b1101_1000, edges([("ERROR", false), ("SELECT", true), ("PAPER-OUT", false)])),
        (0b1001_1000, edges([("ACK", true)])),
    ] {
        port.lock().registers[STATUS] = status;
        assert_eq!(told(&mut request, expected.len()), expected);
    }
    assert_eq!(finished(request).1.total(), Figures { delivered: 8, ..Figures::default() });
}

/// A command that fails gives no byte, so there is no level.
#[test]
fn a_status_that_was_not_read_is_no_level() {
    let port = Port::new();
    let text = include_str!("../../../../profiles/phdio-status.toml").replace("\"04 01\"", "\"0b 01\"");
    let error = chip(&crate::allowed("phdio-status.toml", &text), &port).values([0]).unwrap_err();
    assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains("4 bytes"), "{error}");
}
