//! Any text in a profile and any answer of a driver cause at worst an error, and never a panic or too much memory.

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use linewake::profile::Profile;
use linewake::{Chip, Edges, ErrorKind};
use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{Device, Status};
use test_support::random::Random;

const FILES: [&str; 3] = [
    include_str!("../../../profiles/card.toml"),
    include_str!("../../../profiles/linewake.toml"),
    include_str!("../../../profiles/serial.toml"),
];

/// What a mutation may insert: the words of the format, and numbers at the limits.
const WORDS: [&str; 48] = [
    "0",
    "1",
    "2",
    "31",
    "255",
    "4096",
    "1048576",
    "4294967295",
    "18446744073709551615",
    "-1",
    "0x8A516020",
    "true",
    "[]",
    "{}",
    "''",
    "\"\"",
    "\"line\"",
    "\"mask\"",
    "\"edges\"",
    "\"lines\"",
    "\"event\"",
    "\"made\"",
    "\"queue\"",
    "\"call\"",
    "\"read\"",
    "\"poll\"",
    "\"level\"",
    "\"count\"",
    "\"edge\"",
    "\"card\"",
    "\"big\"",
    "\"little\"",
    "\"completion\"",
    "bit",
    "bits",
    "width",
    "at",
    "record",
    "header",
    "length",
    "each_line",
    "changed",
    "rising",
    "levels",
    "level",
    "count",
    "then",
    "for",
];

fn mutate(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=random.below(4) {
        if lines.is_empty() {
            break;
        }
        let (at, with) = (random.below(lines.len()), random.below(lines.len()));
        match random.below(6) {
            0 => {
                lines.remove(at);
            }
            1 => lines.insert(at, lines[with].clone()),
            2 => lines.swap(at, with),
            3 => lines[at] = format!("{} {}", lines[at], lines[with]),
            _ => {
                // Replaces a word or a number by another.
                let words: Vec<_> =
                    lines[at].split_inclusive([' ', '=', ',', '{', '}', '[', ']']).map(str::to_owned).collect();
                let place = random.below(words.len().max(1));
                let other = WORDS[random.below(WORDS.len())];
                lines[at] =
                    words.iter().enumerate().map(|(index, word)| if index == place { other } else { word }).collect();
            }
        }
    }
    let mut bytes = lines.join("\n").into_bytes();
    if random.below(4) == 0 && !bytes.is_empty() {
        let at = random.below(bytes.len());
        bytes[at] = random.below(256) as u8;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A driver that answers anything to everything, or pends it for ever.
struct Noise {
    random: Mutex<Random>,
    pended: Queue<()>,
}

impl Noise {
    fn answer(&self, mut request: Request) -> Outcome {
        let mut random = self.random.lock().unwrap();
        match random.below(8) {
            // Only waits may pend. A call that is expected to answer at once would time out after ten seconds each
            // time.
            0 if matches!(request.code().to_u32(), 0x8000_6008 | 0x8A51_601C | 0x001B_0048) => {
                let (pended, outcome) = request.pend();
                self.pended.push(pended, ());
                outcome
            }
            1 => {
                request.complete([Status::DEVICE_REMOVED, Status::ACCESS_DENIED, Status::DEVICE_BUSY][random.below(3)])
            }
            _ => {
                let most = request.output_len();
                let length = if random.below(2) == 0 { most } else { random.below(most + 1) };
                let few = random.below(2) == 0;
                let bytes: Vec<u8> = (0..length).map(|_| random.below(if few { 3 } else { 256 }) as u8).collect();
                request.write(&bytes);
                let status = if random.below(6) == 0 { Status::BUFFER_OVERFLOW } else { Status::SUCCESS };
                match random.below(6) {
                    0 => request.lie(status, usize::MAX),
                    1 => request.lie(status, random.below(1 << 20)),
                    _ => request.complete(status),
                }
            }
        }
    }
}

impl Driver for Noise {
    fn control(&self, request: Request) -> Outcome {
        self.answer(request)
    }
    fn read(&self, request: Request) -> Outcome {
        self.answer(request)
    }
    fn cancel(&self, request: RequestId) {
        self.pended.cancel(request);
    }
    fn cleanup(&self, file: FileId) {
        self.pended.complete_all_of(file, Status::CANCELLED);
    }
}

/// Takes events for a short time.
fn use_it(profile: &Profile, seed: u64, random: &mut Random) {
    let open = move || Device::simulated(Noise { random: Mutex::new(Random::new(seed)), pended: Queue::default() });
    let chip = Chip::from_profile(profile, open).unwrap();
    let few = chip.info().lines.min(1 + random.below(8) as u32);
    let edges = [Edges::Both, Edges::Rising, Edges::Falling][random.below(3)];
    let Ok(mut request) = chip.request().lines(0..few).edges(edges).start() else {
        return;
    };
    for _ in 0..20 {
        match request.wait_next_timeout(Duration::from_millis(2)) {
            Some(Ok(edge)) => assert!(edge.offset.get() < few, "{edge:?}"),
            Some(Err(error)) if error.is_timeout() => {}
            Some(Err(_)) | None => break,
        }
    }
    let _ = request.finish().total();
}

#[test]
fn any_text_of_a_profile_does_no_harm() {
    let mut random = Random::new(1);
    let (mut read, mut refused) = (0, 0);
    for round in 0..6000 {
        let mut text = FILES[round % FILES.len()].to_owned();
        for _ in 0..=random.below(2) {
            text = mutate(&text, &mut random);
        }
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| match Profile::parse("noise.toml", &text) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::BadFile);
                let place = error.to_string();
                let place = place.strip_prefix("noise.toml:").and_then(|rest| rest.split_once(':')).expect("a place");
                let line: usize = place.0.parse().expect("a line");
                assert!((1..=text.lines().count().max(1)).contains(&line), "{error}");
                false
            }
            Ok(profile) => {
                assert!(!profile.explain().to_string().is_empty());
                for call in ["wait-change", "wait-any", "get-levels", "read"] {
                    let bytes: Vec<u8> = (0..random.below(100)).map(|_| random.below(256) as u8).collect();
                    let _ = profile.decode(call, &bytes).map(|sample| sample.to_string());
                }
                true
            }
        }));
        match outcome {
            Ok(true) => read += 1,
            Ok(false) => refused += 1,
            Err(panic) => {
                eprintln!("{text}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(read > 200 && refused > 500, "both happen: {read} were read, {refused} refused");
}

#[test]
fn any_answer_of_a_driver_does_no_harm() {
    let mut random = Random::new(2);
    let mut used = 0;
    for seed in 0..500 {
        let text = FILES[random.below(FILES.len())];
        let text = if random.below(2) == 0 { text.to_owned() } else { mutate(text, &mut random) };
        let Ok(profile) = Profile::parse("noise.toml", &text) else { continue };
        used += 1;
        let outcome =
            std::panic::catch_unwind(AssertUnwindSafe(|| use_it(&profile.allow_writes(true), seed, &mut random)));
        if let Err(panic) = outcome {
            eprintln!("{text}");
            std::panic::resume_unwind(panic);
        }
    }
    assert!(used > 200, "{used}");
}
