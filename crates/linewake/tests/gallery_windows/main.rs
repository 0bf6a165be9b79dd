//! The gallery's profiles of Windows drivers, each on a simulated driver that does what the sources do that its profile
//! names, in good weather and in bad: dropped edges, waits that end by themselves, answers that are too short, devices that
//! are pulled out. What is told is compared with what was driven.

#[path = "../support/random.rs"]
mod random;

mod amex;
mod dmap;
mod gpioclx;
mod osrfx2;
mod phdio;
mod s826;
mod superio;
mod xkeys;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use linewake::profile::Profile;
use linewake::{Account, Chip, EdgeEvent, EdgeKind, Error, Request};
use overlapped::Device;
use overlapped::sim::Driver;

/// The gallery's profile of this name.
macro_rules! profile {
    ($name:literal) => {
        crate::allowed(concat!($name, ".toml"), include_str!(concat!("../../../../profiles/", $name, ".toml")))
    };
}
pub(crate) use profile;

fn allowed(name: &str, text: &str) -> Profile {
    Profile::parse(name, text).unwrap_or_else(|error| panic!("{error}")).allow_writes(true)
}

/// The chip that a profile makes of a driver.
fn chip<D: Driver>(profile: &Profile, driver: &Arc<D>) -> Chip {
    let driver = driver.clone();
    Chip::from_profile(profile, move || Device::simulated(driver.clone())).unwrap()
}

fn watched(profile: &Profile, driver: &Arc<impl Driver>) -> Request {
    chip(profile, driver).request().all_lines().start().unwrap()
}

fn next(request: &mut Request) -> EdgeEvent {
    request.wait_next_timeout(Duration::from_secs(20)).expect("the stream goes on").unwrap()
}

/// The next edges: of which line, whether it rose, and how many are missing before it.
fn told(request: &mut Request, count: usize) -> Vec<(String, bool, u64)> {
    let edges = (0..count).map(|_| next(request));
    edges
        .map(|edge| {
            let name = edge.name.map_or_else(|| edge.offset.to_string(), |name| name.to_string());
            (name, edge.kind == EdgeKind::Rising, edge.missed.total())
        })
        .collect()
}

/// Edges of lines, none of them with one missing before.
fn edges<const N: usize>(edges: [(&str, bool); N]) -> Vec<(String, bool, u64)> {
    edges.map(|(name, rose)| (name.to_owned(), rose, 0)).into()
}

/// What has come by now.
fn come(request: &mut Request) -> Vec<EdgeEvent> {
    let next = || match request.wait_next_timeout(Duration::ZERO).expect("the stream goes on") {
        Ok(edge) => Some(edge),
        Err(error) if error.is_timeout() => None,
        Err(error) => panic!("{error}"),
    };
    std::iter::from_fn(next).collect()
}

/// Takes what comes until then: a driver's waits are made again as their results are taken. Gives the edges.
fn taken_until(request: &mut Request, mut done: impl FnMut() -> bool) -> Vec<EdgeEvent> {
    let mut edges = Vec::new();
    until(|| {
        edges.append(&mut come(request));
        done()
    });
    edges
}

/// Nothing comes for a while.
fn is_quiet(request: &mut Request) {
    let come = request.wait_next_timeout(Duration::from_millis(60));
    assert!(matches!(&come, Some(Err(error)) if error.is_timeout()), "{come:?}");
}

/// What the stream ends with.
fn end(request: &mut Request) -> Error {
    loop {
        match request.wait_next_timeout(Duration::from_secs(20)).expect("an end has a reason") {
            Ok(_) => {}
            Err(error) => {
                assert!(!error.is_timeout(), "it does not end");
                assert!(request.wait_next().is_none(), "nothing comes after an end");
                return error;
            }
        }
    }
}

/// Stops it and takes what is left: the edges, and the account.
fn finished(mut request: Request) -> (Vec<EdgeEvent>, Account) {
    request.stopper().stop();
    let rest = std::iter::from_fn(|| request.wait_next()).map(|edge| edge.unwrap()).collect();
    (rest, request.finish())
}

fn until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "it does not come to an end");
        thread::sleep(Duration::from_micros(200));
    }
}
