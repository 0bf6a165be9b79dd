//! Test your driver's client without the hardware: a client, a simulated device for it, and faults of real devices that
//! are hard to produce with the hardware.
//!
//! `cargo run -p overlapped --example simulated_device`; it runs on every platform. The guide's page *testing* explains
//! it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use overlapped::sim::{Driver, FileId, Outcome, Pended, Queue, Request, RequestId};
use overlapped::{Access, CtlCode, Device, Error, ErrorKind, Ioctl, Method, Port, Status};

const READ_CODE: CtlCode = CtlCode::new(0x8000, 0x810, Method::Buffered, Access::Read);
const WAIT_ALARM_CODE: CtlCode = CtlCode::new(0x8000, 0x811, Method::Buffered, Access::Read);

/// The code to be tested: the program's client of a thermometer's driver.
struct Thermometer(Device);

impl Thermometer {
    // SAFETY: by the thermometer's manual, READ writes an `i32`, in thousandths of a degree.
    const READ: Ioctl<(), i32> = unsafe { Ioctl::new(READ_CODE) };
    // SAFETY: and so does WAIT_ALARM, when a limit is passed.
    const WAIT_ALARM: Ioctl<(), i32> = unsafe { Ioctl::new(WAIT_ALARM_CODE) };

    fn celsius(&self) -> Result<f64, Error> {
        let reply = self.0.call(Self::READ, &()).wait_timeout(Duration::from_millis(100))?;
        Ok(f64::from(*reply) / 1000.0)
    }

    async fn alarm(&self) -> Result<f64, Error> {
        Ok(f64::from(*self.0.call(Self::WAIT_ALARM, &()).await?) / 1000.0)
    }
}

/// The outcome of the next READ.
enum Next {
    Answer(i32),
    Fail(Status),
    /// Succeeds, but writes half a record.
    Short,
    /// Succeeds with a byte count that is larger than the output.
    Claim(usize),
    /// Pends, and never completes, not even when it is cancelled.
    Hang,
}

/// The device: it follows the script, and rings the alarm when the test wants it. For a device without a state of its
/// own, `sim::Script` is shorter.
#[derive(Default)]
struct Simulated {
    script: Mutex<Vec<Next>>,
    alarms: Queue<()>,
    hung: Mutex<Vec<Pended>>,
}

impl Simulated {
    fn next_is(&self, script: Next) {
        self.script.lock().unwrap().push(script);
    }

    fn ring(&self, millidegrees: i32, finish: impl FnOnce(Pended, Status)) {
        let (mut request, ()) = self.alarms.pop().expect("nobody waits for an alarm");
        request.write(&millidegrees.to_ne_bytes());
        finish(request, Status::SUCCESS);
    }
}

impl Driver for Simulated {
    fn name(&self) -> String {
        "simulated thermometer".to_owned()
    }

    fn control(&self, mut request: Request) -> Outcome {
        match request.code() {
            WAIT_ALARM_CODE => {
                let (pended, outcome) = request.pend();
                self.alarms.push(pended, ());
                outcome
            }
            READ_CODE => match self.script.lock().unwrap().pop().expect("the script has an answer") {
                Next::Answer(millidegrees) => {
                    request.write(&millidegrees.to_ne_bytes());
                    request.complete(Status::SUCCESS)
                }
                Next::Fail(status) => request.complete(status),
                Next::Short => {
                    request.write(&[1, 2]);
                    request.complete(Status::SUCCESS)
                }
                Next::Claim(bytes) => request.lie(Status::SUCCESS, bytes),
                Next::Hang => {
                    let (pended, outcome) = request.pend();
                    self.hung.lock().unwrap().push(pended);
                    outcome
                }
            },
            _ => request.complete(Status::INVALID_DEVICE_REQUEST),
        }
    }

    fn cancel(&self, request: RequestId) {
        self.alarms.cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        self.alarms.complete_all_of(file, Status::CANCELLED);
        self.hung.lock().unwrap().clear();
    }
}

fn main() -> Result<(), Error> {
    // A port without a thread: completions are handled when the test polls, so every run is the same.
    let port = Port::manual()?;
    let simulated = Arc::new(Simulated::default());
    let thermometer = Thermometer(Device::simulated_on(&port, simulated.clone())?);

    simulated.next_is(Next::Answer(21_500));
    assert_eq!(thermometer.celsius()?, 21.5);
    println!("an answer at once: 21.5");

    let kind_of = |script| {
        simulated.next_is(script);
        thermometer.celsius().unwrap_err().kind()
    };
    assert_eq!(kind_of(Next::Fail(Status::DEVICE_REMOVED)), ErrorKind::Disconnected);
    println!("unplugged: the client says so");
    assert_eq!(kind_of(Next::Short), ErrorKind::Truncated);
    println!("half a record: an error, not half a temperature");
    assert_eq!(kind_of(Next::Hang), ErrorKind::TimedOut);
    println!("a driver that hangs: the client does not; in flight still: {}", port.pending().len());

    simulated.next_is(Next::Claim(1 << 20));
    thermometer.celsius()?;
    println!("a driver that claims a megabyte: four bytes are taken, none of them another device's");

    // An alarm that comes while the client waits, completed twice by a confused driver.
    let (rung, ()) = port.block_on(futures::future::join(thermometer.alarm(), async {
        simulated.ring(80_000, Pended::complete_twice);
    }))?;
    while port.poll(Some(Duration::ZERO)) > 0 {}
    assert_eq!((rung?, port.stats().strays), (80.0, 1));
    println!("an alarm that is completed twice: one result, and one packet that is only counted");

    // The client drops its call: the driver is asked to cancel it, and no memory stays in use.
    drop(thermometer.0.call(Thermometer::WAIT_ALARM, &()));
    assert!(simulated.alarms.is_empty());
    println!("a wait that is given up: cancelled");

    drop(thermometer);
    while port.poll(Some(Duration::ZERO)) > 0 {}
    assert_eq!(port.stats().in_flight, 0);
    println!("closed: nothing is in flight, not even what hung");
    Ok(())
}

#[test]
fn the_client_bears_every_fault() {
    main().unwrap();
}
