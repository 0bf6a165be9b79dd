//! The gallery's profiles of Windows drivers. Each runs on a simulated driver that behaves like the sources that its
//! profile names, with faults: dropped edges, waits that end by themselves, answers that are too short, and devices
//! that are unplugged. The tests compare the edges that are reported with those that were driven.

mod amex;
mod dmap;
mod gpioclx;
mod osrfx2;
mod phdio;
mod s826;
mod superio;
mod xkeys;

use std::sync::Arc;
use std::time::Duration;

use linewake::profile::Profile;
use linewake::{Account, Chip, EdgeEvent, EdgeKind, Request};
use overlapped::Device;
use overlapped::sim::Driver;
use test_support::stream::{end, next, nothing_comes, until_quiet, wait_until};

/// The profile of the gallery with this name.
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

/// The next edges: the line, whether it rose, and how many are missing before it.
fn told(request: &mut Request, count: usize) -> Vec<(String, bool, u64)> {
    let edges = (0..count).map(|_| next(request));
    edges
        .map(|edge| {
            let name = edge.name.map_or_else(|| edge.offset.to_string(), |name| name.to_string());
            (name, edge.kind == EdgeKind::Rising, edge.missed.total())
        })
        .collect()
}

/// Edges of lines, with none missing before them.
fn edges<const N: usize>(edges: [(&str, bool); N]) -> Vec<(String, bool, u64)> {
    edges.map(|(name, rose)| (name.to_owned(), rose, 0)).into()
}

/// Takes the edges that have come by now.
fn come(request: &mut Request) -> Vec<EdgeEvent> {
    until_quiet(request, Duration::ZERO)
}

/// Takes edges until `done`, because a driver's waits are only repeated when their results are taken. Returns the
/// edges.
fn taken_until(request: &mut Request, mut done: impl FnMut() -> bool) -> Vec<EdgeEvent> {
    let mut edges = Vec::new();
    wait_until(|| {
        edges.append(&mut come(request));
        done()
    });
    edges
}

/// Stops the request, and returns the remaining edges and the account.
fn finished(mut request: Request) -> (Vec<EdgeEvent>, Account) {
    request.stopper().stop();
    let rest = std::iter::from_fn(|| request.wait_next()).map(|edge| edge.unwrap()).collect();
    (rest, request.finish())
}

/// Checks that the edges of each line alternate and none is reported as missing. Returns whether each line is high at
/// the end.
fn by_turns<const LINES: usize>(edges: &[EdgeEvent]) -> [bool; LINES] {
    let mut is_up = [false; LINES];
    for edge in edges {
        let now = edge.kind == EdgeKind::Rising;
        let before = std::mem::replace(&mut is_up[edge.offset.get() as usize], now);
        assert!(before != now && edge.missed.total() == 0, "{edge:?}");
    }
    is_up
}

/// Checks that no more edges of a line are reported than were driven. The number of unreported edges is even, so they
/// cannot be seen.
fn no_more_than(account: &Account, driven: &[u64]) {
    for (line, &driven) in account.lines().iter().zip(driven) {
        assert!(line.figures.total() <= driven && line.figures.total() % 2 == driven % 2, "{line:?} of {driven}");
    }
}
