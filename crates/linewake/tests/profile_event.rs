//! Profiles of cards that signal a Win32 event, as many vendors' SDKs do. One card gets the event from the program, and
//! one names its own event.
#![cfg(windows)]

use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle, RawHandle};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linewake::profile::Profile;
use linewake::{Chip, EdgeKind, Error, ErrorKind, Request, Trust};
use overlapped::sim::{Driver, Outcome, Request as Asked, RequestId};
use overlapped::{Access, CtlCode, Device, Method, Status};
use windows_sys::Win32::System::Threading::{CreateEventW, SetEvent};

const REGISTER: CtlCode = CtlCode::new(0x8000, 0x810, Method::Buffered, Access::Write);
const LEVELS: CtlCode = CtlCode::new(0x8000, 0x811, Method::Buffered, Access::Read);

const PROFILE: &str = "
name = 'bell'
lines = 4
setup = 'register'
[call.register]
device_type = 0x8000
function = 0x810
method = 'buffered'
access = 'write'
input = { length = 8, fields = [{ at = 0, width = 8, value = 'event' }] }
[call.levels]
device_type = 0x8000
function = 0x811
method = 'buffered'
access = 'read'
output = { length = 4, fields = { levels = { at = 0 } } }
[wait]
by = 'event'
event = 'made'
then = 'levels'
means = 'level'
[levels]
call = 'levels'
";

/// A card that signals an event when an input changes, and gives its levels in a call.
#[derive(Default)]
struct Card {
    levels: AtomicU32,
    event: Mutex<Option<usize>>,
}

impl Card {
    fn set(&self, levels: u32) {
        self.levels.store(levels, SeqCst);
        let event = *self.event.lock().unwrap();
        signal(event.expect("somebody registered") as RawHandle);
    }
}

fn signal(event: RawHandle) {
    // SAFETY: the handle is a number; the profile's event, or the test's own, is open while edges are awaited.
    assert_ne!(unsafe { SetEvent(event) }, 0);
}

impl Driver for Card {
    fn control(&self, mut request: Asked) -> Outcome {
        if request.code() == REGISTER {
            let Ok(handle) = request.input().try_into() else { return request.complete(Status::INVALID_PARAMETER) };
            *self.event.lock().unwrap() = Some(u64::from_le_bytes(handle) as usize);
        } else if request.code() == LEVELS {
            request.write(&self.levels.load(SeqCst).to_le_bytes());
        } else {
            return request.complete(Status::INVALID_DEVICE_REQUEST);
        }
        request.complete(Status::SUCCESS)
    }

    fn cancel(&self, _: RequestId) {}
}

fn chip(profile: &str) -> (Arc<Card>, Chip) {
    let card = Arc::new(Card::default());
    let device = card.clone();
    let profile = Profile::parse("bell.toml", profile).unwrap().allow_writes(true);
    (card, Chip::from_profile(&profile, move || Device::simulated(device.clone())).unwrap())
}

fn next(edges: &mut Request) -> Result<(u32, EdgeKind, u64), Error> {
    let edge = edges.wait_next_timeout(Duration::from_secs(20)).expect("the stream goes on")?;
    Ok((edge.offset.get(), edge.kind, edge.missed.total()))
}

fn nothing_comes(edges: &mut Request) {
    let none = edges.wait_next_timeout(Duration::from_millis(100)).expect("the stream goes on");
    assert!(none.unwrap_err().is_timeout());
}

/// Signals the event with `ring` after each change. Every change is an edge, the event is armed again each time, and a
/// signal without a change is not an edge.
fn rings(card: &Card, edges: &mut Request, ring: &dyn Fn(u32)) {
    for round in 0..100_u32 {
        let line = round % 4;
        let levels = card.levels.load(SeqCst) ^ 1 << line;
        ring(levels);
        let kind = if levels >> line & 1 == 1 { EdgeKind::Rising } else { EdgeKind::Falling };
        assert_eq!(next(edges).unwrap(), (line, kind, 0), "round {round}");
    }
    ring(card.levels.load(SeqCst));
    nothing_comes(edges);
}

#[test]
fn a_card_is_told_which_event_to_signal() {
    let (card, chip) = chip(PROFILE);
    card.levels.store(0b1000, SeqCst);
    let mut edges = chip.request().all_lines().start().unwrap();
    assert_eq!(edges.lines()[3].active_at_start, Some(true));
    rings(&card, &mut edges, &|levels| card.set(levels));
    let account = edges.finish();
    assert_eq!((account.total().delivered, account.total().lost(), account.trust()), (100, 0, Trust::AtLeast));
}

#[test]
fn a_card_signals_an_event_that_it_names() {
    let name = format!("linewake-bell-{}", std::process::id());
    let profile = PROFILE.replace("'made'", &format!("'{name}'")).replace("setup = 'register'\n", "");
    // Without the setup call no event is sent.
    let (begin, end) = (profile.find("[call.register]").unwrap(), profile.find("[call.levels]").unwrap());
    let profile = [&profile[..begin], &profile[end..]].concat();
    let (card, chip) = chip(&profile);
    let error = chip.request().line(0).start().unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
    assert_ne!(error.kind(), ErrorKind::Malformed);
    let wide: Vec<u16> = name.encode_utf16().chain([0]).collect();
    // SAFETY: the name ends in a zero.
    let event = unsafe { CreateEventW(ptr::null(), 0, 0, wide.as_ptr()) };
    assert!(!event.is_null());
    // SAFETY: the handle was made here, and nothing else closes it.
    let event = unsafe { OwnedHandle::from_raw_handle(event) };
    let mut edges = chip.request().all_lines().start().unwrap();
    let ring = |levels| {
        card.levels.store(levels, SeqCst);
        signal(event.as_raw_handle());
    };
    rings(&card, &mut edges, &ring);
}
