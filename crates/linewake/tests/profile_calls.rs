//! Calls of a profile in their order: for each line, in sequence, for the levels; and waits that end without an edge.

#[path = "support/feeder.rs"]
#[allow(dead_code, reason = "other tests feed otherwise")]
mod feeder;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use linewake::profile::Profile;
use linewake::{Chip, Request};
use overlapped::sim::{Driver, Outcome, Queue, RequestId};
use overlapped::{Device, Status, sim};

use self::feeder::Feeder;
use test_support::stream::{LONG, seen, wait_until};

fn parse(text: &str) -> Profile {
    Profile::parse("fed.toml", text).unwrap_or_else(|error| panic!("{error}\n{text}")).allow_writes(true)
}

/// A call of the feeder's device.
fn call(name: &str, function: u16, more: &str) -> String {
    format!(
        "[call.{name}]\ndevice_type = 0x8000\nfunction = {function:#x}\nmethod = 'buffered'\naccess = 'any'\n{more}\n"
    )
}

const LINE: &str = "input = { length = 1, fields = [{ at = 0, width = 1, value = 'line' }] }";
const LEVELS: &str = "output = { length = 1, fields = { levels = { at = 0, width = 1 } } }";

/// The functions of the calls that were made, and the first byte of each.
fn made(feeder: &Feeder) -> Vec<(u16, Option<u8>)> {
    feeder.inputs.lock().unwrap().iter().map(|(function, input)| (*function, input.first().copied())).collect()
}

#[test]
fn a_call_that_is_about_one_line_is_sent_for_each_that_is_asked_for() {
    let feeder = Feeder::new(&[]);
    let text = format!(
        "name = 'fed'\nsetup = ['attach', 'go']\nrelease = 'detach'\n[[line]]\nnumber = 7\n[[line]]\nnumber = 8\n\
         [[line]]\nnumber = 9\n{}{}{}{}[wait]\nby = 'call'\nfor = 'line'\ncall = 'wait'\npending = 1\nmeans = 'edge'\n\
         edge = 'falling'\n",
        call("attach", 0x810, LINE),
        call("go", 0x811, ""),
        call("detach", 0x812, LINE),
        call("wait", 0x801, LINE),
    );
    let chip = Chip::from_profile(&parse(&text), feeder.opener()).unwrap();
    let mut edges = chip.request().lines([0, 2]).start().unwrap();
    wait_until(|| feeder.waits() == 2);
    let line = |number| Some(number);
    assert_eq!(made(&feeder)[..3], [(0x810, line(7)), (0x810, line(9)), (0x811, None)]);
    feeder.feed_line(9, &[]);
    assert_eq!(seen(&mut edges, 1), [(2, false, 0)]);
    drop(edges);
    let calls = made(&feeder);
    assert_eq!(calls[calls.len() - 2..], [(0x812, line(7)), (0x812, line(9))]);
}

#[test]
fn calls_after_a_completion_are_made_in_order_and_each_can_report() {
    let feeder = Feeder::new(&[0]);
    let text = format!(
        "name = 'fed'\nlines = 4\n{}{}{}{}[wait]\nby = 'call'\ncall = 'wait'\npending = 1\n\
         then = ['index', 'state', 'ack']\nmeans = 'level'\n[levels]\ncall = ['index', 'state']\n",
        call("wait", 0x801, ""),
        call("index", 0x810, "input = { bytes = '0b' }"),
        call("state", 0x802, LEVELS),
        call("ack", 0x811, "input = { bytes = '01' }"),
    );
    let chip = Chip::from_profile(&parse(&text), feeder.opener()).unwrap();
    let mut edges = chip.request().all_lines().start().unwrap();
    wait_until(|| feeder.waits() == 1);
    feeder.inputs.lock().unwrap().clear();
    for (state, edge) in [(0b0100, (2, true, 0)), (0b0000, (2, false, 0)), (0b0001, (0, true, 0))] {
        feeder.set_state(&[state]);
        feeder.feed(&[]);
        assert_eq!(seen(&mut edges, 1), [edge]);
    }
    edges.stopper().stop();
    assert!(edges.wait_next().is_none());
    let after: Vec<_> = made(&feeder).into_iter().filter(|(function, _)| *function != 0x801).collect();
    let once = [(0x810, Some(0x0b)), (0x802, None), (0x811, Some(1))];
    assert_eq!(after, [once, once, once].concat());
}

#[test]
fn levels_come_from_several_calls_each_for_its_lines() {
    let feeder = Feeder::new(&[0b11]);
    let text = format!(
        "name = 'fed'\n[[line]]\nname = 'dip'\nfrom = 'dip'\nevent_bit = 0\n[[line]]\nname = 'push'\nfrom = 'push'\n\
         event_bit = 1\n{}{}[wait]\nby = 'poll'\nperiod_us = 1000\nthen = ['dip', 'push']\nmeans = 'level'\n\
         [levels]\ncall = ['dip', 'push']\n",
        call("dip", 0x802, LEVELS),
        call("push", 0x802, LEVELS),
    );
    let chip = Chip::from_profile(&parse(&text), feeder.opener()).unwrap();
    assert_eq!(chip.values(["dip", "push"]).unwrap(), [true, true]);
    let mut edges = chip.request().all_lines().start().unwrap();
    feeder.set_state(&[0b10]);
    assert_eq!(seen(&mut edges, 1), [(0, false, 0)]);
    feeder.set_state(&[0b00]);
    assert_eq!(seen(&mut edges, 1), [(1, false, 0)]);
}

#[test]
fn a_level_that_changes_between_its_reading_and_the_first_look_is_an_edge() {
    /// A device whose inputs are low until its levels were read twice.
    struct Late(AtomicU32);

    impl Driver for Late {
        fn control(&self, mut request: sim::Request) -> Outcome {
            let count = self.0.fetch_add(1, SeqCst);
            request.write(&[u8::from(count >= 2)]);
            request.complete(Status::SUCCESS)
        }
    }

    let text = format!(
        "name = 'late'\nlines = 1\n{}[wait]\nby = 'poll'\nperiod_us = 1000\nthen = 'state'\nmeans = 'level'\n\
         [levels]\ncall = 'state'\n",
        call("state", 0x802, LEVELS)
    );
    let late = Arc::new(Late(0.into()));
    let chip = Chip::from_profile(&parse(&text), move || Device::simulated(late.clone())).unwrap();
    let mut edges = chip.request().all_lines().start().unwrap();
    assert_eq!(edges.lines()[0].active_at_start, Some(false));
    assert_eq!(seen(&mut edges, 1), [(0, true, 0)]);
}

/// A device whose waits end at once with a status, until the status is removed.
struct Impatient {
    waits: AtomicU32,
    status: std::sync::Mutex<Option<Status>>,
    waiting: Queue<()>,
}

impl Driver for Impatient {
    fn control(&self, request: sim::Request) -> Outcome {
        self.waits.fetch_add(1, SeqCst);
        match *self.status.lock().unwrap() {
            Some(status) => request.complete(status),
            None => {
                let (pended, outcome) = request.pend();
                self.waiting.push(pended, ());
                outcome
            }
        }
    }

    fn cancel(&self, request: RequestId) {
        self.waiting.cancel(request);
    }
}

impl Impatient {
    fn new(status: Option<Status>) -> Arc<Self> {
        Arc::new(Self { waits: 0.into(), status: status.into(), waiting: Queue::default() })
    }

    fn end_one(&self, status: Status) {
        wait_until(|| !self.waiting.is_empty());
        self.waiting.pop().expect("one waits").0.complete(status);
    }

    fn request(self: &Arc<Self>, more: &str) -> Request {
        let text = format!(
            "name = 'impatient'\nlines = 1\n{}[wait]\nby = 'call'\ncall = 'wait'\nmeans = 'edge'\nedge = 'rising'\n{more}",
            call("wait", 0x801, "")
        );
        let driver = self.clone();
        Chip::from_profile(&parse(&text), move || Device::simulated(driver.clone()))
            .unwrap()
            .request()
            .all_lines()
            .start()
            .unwrap()
    }
}

#[test]
fn a_call_that_is_never_answered_ends_the_watch_and_says_so() {
    let feeder = Feeder::new(&[]);
    let text = format!(
        "name = 'fed'\nlines = 1\n{}{}[wait]\nby = 'call'\ncall = 'wait'\npending = 1\nthen = 'ack'\nmeans = 'edge'\n\
         edge = 'rising'\n",
        call("wait", 0x801, ""),
        // This call is a wait too, and nobody feeds it.
        call("ack", 0x801, "input = { bytes = '07' }"),
    );
    let chip = Chip::from_profile(&parse(&text), feeder.opener()).unwrap();
    let mut edges = chip.request().all_lines().start().unwrap();
    feeder.feed_line(0, &[]);
    assert_eq!(seen(&mut edges, 1), [(0, true, 0)]);
    let error = edges.wait_next_timeout(LONG).unwrap().unwrap_err();
    assert!(error.to_string().ends_with("timed out"), "{error}");
    assert!(edges.wait_next_timeout(LONG).is_none());
}

#[test]
fn a_wait_that_times_out_is_made_again_and_nothing_is_lost() {
    let driver = Impatient::new(None);
    let mut edges = driver.request("again_on = ['timed-out']\n");
    for _ in 0..100 {
        driver.end_one(Status::IO_TIMEOUT);
        driver.end_one(Status::SUCCESS);
        assert_eq!(seen(&mut edges, 1), [(0, true, 0)]);
    }
    // An end that the profile does not name ends the stream.
    driver.end_one(Status::ACCESS_DENIED);
    let error = edges.wait_next_timeout(LONG).unwrap().unwrap_err();
    assert!(error.to_string().contains("STATUS_ACCESS_DENIED"), "{error}");
    assert_eq!(edges.finish().total().delivered, 100);
}

#[test]
fn a_driver_that_ends_each_wait_at_once_is_not_called_all_the_time() {
    let driver = Impatient::new(Some(Status::IO_TIMEOUT));
    let mut edges = driver.request("again_on = ['timed-out']\n");
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(500) {
        let more = edges.wait_next_timeout(Duration::from_millis(50)).expect("the watch goes on");
        assert!(more.is_err_and(|error| error.is_timeout()));
    }
    let waits = driver.waits.load(SeqCst);
    assert!((64..1500).contains(&waits), "{waits} waits in half a second");
    *driver.status.lock().unwrap() = None;
    // Calls are only made while the program polls.
    wait_until(|| {
        let _ = edges.wait_next_timeout(Duration::from_millis(1));
        !driver.waiting.is_empty()
    });
    driver.end_one(Status::SUCCESS);
    assert_eq!(seen(&mut edges, 1), [(0, true, 0)]);
}

#[test]
fn no_edges_are_wanted_of_lines_that_are_given_back() {
    let feeder = Feeder::new(&[]);
    let edges =
        "input = { length = 1, fields = [{ at = 0, width = 1, value = 'edges', rising = 1, falling = 2, none = 4 }] }";
    let text = format!(
        "name = 'fed'\nlines = 1\nsetup = 'watch'\nrelease = 'watch'\n{}{}[wait]\nby = 'call'\ncall = 'wait'\n\
         pending = 1\nmeans = 'mask'\n",
        call("watch", 0x803, edges),
        call("wait", 0x801, "output = { length = 1, fields = { rising = { at = 0, width = 1 } } }"),
    );
    let chip = Chip::from_profile(&parse(&text), feeder.opener()).unwrap();
    drop(chip.request().all_lines().start().unwrap());
    wait_until(|| made(&feeder).len() == 3);
    assert_eq!(made(&feeder), [(0x803, Some(3)), (0x801, None), (0x803, Some(4))]);
}

#[test]
fn levels_of_a_device_that_has_to_be_set_up_are_read_between_set_up_and_release() {
    /// A device that gives its levels only after it is claimed.
    #[derive(Default)]
    struct Port(AtomicU32);
    impl Driver for Port {
        fn control(&self, mut request: sim::Request) -> Outcome {
            match request.code().function() {
                0x803 => self.0.store(1, SeqCst),
                0x804 => self.0.store(2, SeqCst),
                _ if self.0.load(SeqCst) == 1 => drop(request.write(&[0b10])),
                _ => return request.complete(Status::INVALID_DEVICE_STATE),
            }
            request.complete(Status::SUCCESS)
        }
    }
    let port = Arc::<Port>::default();
    let text = format!(
        "name = 'port'\nlines = 2\nsetup = 'claim'\nrelease = 'let-go'\n{}{}{}[levels]\ncall = 'status'\n[wait]\n\
         by = 'poll'\nperiod_us = 1000\nthen = 'status'\nmeans = 'level'\n",
        call("claim", 0x803, ""),
        call("let-go", 0x804, ""),
        call("status", 0x802, LEVELS),
    );
    let device = port.clone();
    let chip = Chip::from_profile(&parse(&text), move || Device::simulated(device.clone())).unwrap();
    assert!(chip.value(1).unwrap() && !chip.value(0).unwrap());
    wait_until(|| port.0.load(SeqCst) == 2);
}
