//! The gallery's profiles of Windows drivers, each on a simulated driver that does what the sources do that its profile
//! names, in good weather and in bad: dropped edges, waits that end by themselves, answers that are too short, devices that
//! are pulled out. What is told is compared with what was driven.

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
    until_quiet(request, Duration::ZERO)
}

/// Takes what comes until then: a driver's waits are made again as their results are taken. Gives the edges.
fn taken_until(request: &mut Request, mut done: impl FnMut() -> bool) -> Vec<EdgeEvent> {
    let mut edges = Vec::new();
    wait_until(|| {
        edges.append(&mut come(request));
        done()
    });
    edges
}

/// Stops it and takes what is left: the edges, and the account.
fn finished(mut request: Request) -> (Vec<EdgeEvent>, Account) {
    request.stopper().stop();
    let rest = std::iter::from_fn(|| request.wait_next()).map(|edge| edge.unwrap()).collect();
    (rest, request.finish())
}

/// Each line rises and falls by turns, none of which is told as missing. Gives whether it is up in the end.
fn by_turns<const LINES: usize>(edges: &[EdgeEvent]) -> [bool; LINES] {
    let mut is_up = [false; LINES];
    for edge in edges {
        let now = edge.kind == EdgeKind::Rising;
        let before = std::mem::replace(&mut is_up[edge.offset.get() as usize], now);
        assert!(before != now && edge.missed.total() == 0, "{edge:?}");
    }
    is_up
}

/// Of each line no more is told than was driven; and what is not is an even number of edges, which nobody can see.
fn no_more_than(account: &Account, driven: &[u64]) {
    for (line, &driven) in account.lines().iter().zip(driven) {
        assert!(line.figures.total() <= driven && line.figures.total() % 2 == driven % 2, "{line:?} of {driven}");
    }
}
