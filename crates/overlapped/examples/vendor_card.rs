//! A vendor's card whose driver completes a control code when an input changes: the inverted call.
//!
//! `cargo run -p overlapped --example vendor_card` uses a simulated card; with a path (`\\.\Card0`) a real one that has
//! the same protocol: take the codes and the record from your card's header.

use std::time::Duration;

use overlapped::{Access, CtlCode, Device, Error, ErrorKind, Ioctl, Method};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The record that WAIT_CHANGE writes, by the card's header.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Change {
    /// The levels of the card's 32 inputs, input 0 in the lowest bit.
    levels: u32,
    /// The inputs that have changed since the last record of this handle.
    changed: u32,
    /// How many changes the driver has dropped, because no call was pending and its queue was full.
    lost: u32,
}

const WAIT_CHANGE_CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);

// SAFETY: by the card's manual, WAIT_CHANGE reads nothing, and writes one `Change` when an input has changed.
const WAIT_CHANGE: Ioctl<(), Change> = unsafe { Ioctl::new(WAIT_CHANGE_CODE) };

fn main() -> Result<(), Error> {
    match std::env::args().nth(1) {
        Some(path) => watch(&Device::open(path)?),
        None => watch(&Device::simulated(simulated::Card::new())?),
    }
}

/// Prints the changes, until the card is unplugged.
fn watch(card: &Device) -> Result<(), Error> {
    // Four calls wait in the driver. The next one is submitted before a result is delivered, so the driver always has a
    // call to complete.
    let mut changes = card.inverted(WAIT_CHANGE, &()).pending(4).start();
    let tally = changes.tally();
    loop {
        // In an async program: `changes.next().await`.
        match changes.wait_next_timeout(Duration::from_secs(10)) {
            Some(Ok(change)) => println!(
                "levels {:08x}, changed {:08x}{}",
                change.levels,
                change.changed,
                if change.lost > 0 { " (some were lost)" } else { "" }
            ),
            Some(Err(error)) if error.kind() == ErrorKind::TimedOut => println!("ten quiet seconds"),
            Some(Err(error)) if error.kind() == ErrorKind::Disconnected => {
                println!("unplugged after {} changes", tally.delivered_calls());
                return Ok(());
            }
            Some(Err(error)) => return Err(error),
            None => return Ok(()),
        }
    }
}

/// A simulated card.
mod simulated {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::thread;
    use std::time::Duration;

    use overlapped::Status;
    use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
    use zerocopy::IntoBytes;

    use super::{Change, WAIT_CHANGE_CODE};

    #[derive(Default)]
    pub(super) struct Card {
        waiting: Queue<()>,
        gone: AtomicBool,
    }

    impl Card {
        /// A card whose inputs count up ten times. Then it is unplugged.
        pub(super) fn new() -> Arc<Self> {
            let card = Arc::<Self>::default();
            let hardware = card.clone();
            thread::spawn(move || {
                for levels in 1..=10_u32 {
                    hardware.change(Change { levels, changed: levels ^ (levels - 1), lost: 0 });
                    thread::sleep(Duration::from_millis(20));
                }
                hardware.unplug();
            });
            card
        }

        fn change(&self, change: Change) {
            // A real driver queues the changes that come while no call is pending; this one waits for a call.
            let mut request = loop {
                match self.waiting.pop() {
                    Some((request, ())) => break request,
                    None => thread::sleep(Duration::from_millis(1)),
                }
            };
            request.write(change.as_bytes());
            request.complete(Status::SUCCESS);
        }

        fn unplug(&self) {
            self.gone.store(true, SeqCst);
            while let Some((request, ())) = self.waiting.pop() {
                request.complete(Status::DEVICE_REMOVED);
            }
        }
    }

    impl Driver for Card {
        fn name(&self) -> String {
            "simulated card".to_owned()
        }

        fn control(&self, request: Request) -> Outcome {
            match request.code() {
                WAIT_CHANGE_CODE => {
                    let (pended, outcome) = request.pend();
                    self.waiting.push(pended, ());
                    // Queue the request first, and then look for a change. In the other order it could wait for ever.
                    if self.gone.load(SeqCst) {
                        self.unplug();
                    }
                    outcome
                }
                _ => request.complete(Status::INVALID_DEVICE_REQUEST),
            }
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
fn the_simulated_card_is_watched_until_it_is_unplugged() {
    watch(&Device::simulated(simulated::Card::new()).unwrap()).unwrap();
}
