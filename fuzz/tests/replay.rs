//! Runs every target on its seeds, and on damaged copies of them: the same bytes in every run, with the stable
//! compiler.
//!
//! Inputs that `cargo xtask fuzz` finds are added to the seeds.

use std::fs;
use std::path::Path;

use linewake_fuzz::TARGETS;
use test_support::random::Random;

/// How many damaged copies of each seed are tried.
const ROUNDS: usize = 500;

/// The seeds of a target, with their names.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut seeds: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

/// Changes a byte, or removes, repeats or cuts off some bytes.
fn spoil(bytes: &mut Vec<u8>, random: &mut Random) {
    let (at, until) = (random.below(bytes.len() + 1), random.below(bytes.len() + 1));
    let range = at.min(until)..at.max(until);
    match random.below(6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(range)),
        2 => bytes.extend_from_within(range),
        3 => bytes.insert(at, random.number() as u8),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = [0, 1, 0x7f, 0x80, 0xff, random.number() as u8][random.below(6_usize)];
            }
        }
    }
}

fn replay(target: &str) {
    let run = TARGETS.iter().find(|(name, _)| *name == target).unwrap().1;
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{target} has no seeds");
    run(&[]);
    for (name, seed) in &seeds {
        println!("{name}"); // the last one is the one that failed
        run(seed);
        let mut random = Random::new(1);
        let mut bytes = seed.clone();
        for round in 0..ROUNDS {
            spoil(&mut bytes, &mut random);
            println!("round {round}: {bytes:02x?}");
            run(&bytes);
            if round % 8 == 7 {
                bytes.clone_from(seed);
            }
        }
    }
}

/// A test for each target.
macro_rules! replay_each {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )*

        #[test]
        fn every_target_has_seeds_and_is_replayed() {
            let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($target)),*]);
        }
    };
}

replay_each! {
    batches
    capture_packed
    capture_records
    capture_rows
    chip
    controller
    profile
    records
    replies
    vcd
    fst
    ghw
}
