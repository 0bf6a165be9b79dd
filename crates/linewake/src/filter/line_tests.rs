//! Compares the filters with models that see all edges of a line at once.

use std::time::Duration;

use test_support::random::Random;

use super::*;
use crate::filter::{ChatterKind, ChatterLimit};
use crate::{EdgeKind, Missed};

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

fn edge(at_ns: u64, active: bool) -> EdgeEvent {
    EdgeEvent {
        chip: "test".into(),
        offset: 0.into(),
        name: None,
        kind: if active { EdgeKind::Rising } else { EdgeKind::Falling },
        timestamp_ns: at_ns,
        axis_ns: at_ns,
        seqno: 0,
        line_seqno: 0,
        missed: Missed::default(),
    }
}

fn missing(mut edge: EdgeEvent, merged: u32) -> EdgeEvent {
    edge.missed.merged = merged;
    edge
}

fn filter(text: &str, edges: Edges, active: Option<bool>) -> LineFilter {
    LineFilter::new(&text.parse().unwrap(), edges, active).unwrap()
}

/// An event in short: its stamp and its kind.
fn short(event: &FilterEvent) -> (u64, &'static str) {
    match event {
        FilterEvent::Edge(edge) => (edge.timestamp_ns, edge.kind.as_str()),
        FilterEvent::Chatter(chatter) => (chatter.timestamp_ns, chatter.kind.as_str()),
    }
}

fn shorts(events: &VecDeque<FilterEvent>) -> Vec<(u64, &'static str)> {
    events.iter().map(short).collect()
}

/// Feeds changes at these microseconds to a line that starts inactive, and then lets a second pass.
fn run(text: &str, at_us: &[u64]) -> (Vec<(u64, &'static str)>, FilterTally) {
    let mut filter = filter(text, Edges::Both, Some(false));
    let mut events = VecDeque::new();
    for (at_us, active) in at_us.iter().zip([true, false].into_iter().cycle()) {
        filter.push(edge(at_us * US, active), &mut events);
    }
    filter.poll(at_us.last().unwrap() * US + 1000 * MS, &mut events);
    let shown = events.iter().map(|event| (short(event).0 / US, short(event).1)).collect();
    (shown, filter.tally())
}

#[test]
fn a_bounce_is_one_edge_with_the_first_stamp_or_the_last() {
    let press = [1000, 1100, 1300, 1400, 2000];
    assert_eq!(run("debounce=5ms", &press).0, [(1000, "rising")]);
    assert_eq!(run("debounce=5ms,stamp=last", &press).0, [(2000, "rising")]);
    let tally = run("debounce=5ms", &press).1;
    assert_eq!((tally.delivered, tally.passed, tally.filtered, tally.held), (5, 1, 4, 0));
}

#[test]
fn both_edges_of_a_glitch_are_dropped() {
    for text in ["debounce=5ms", "debounce=5ms,stamp=last", "glitch=50us", "press=5ms", "glitch=50us,debounce=5ms"] {
        let (events, tally) = run(text, &[1000, 1040]);
        assert_eq!(events, [], "{text}");
        assert_eq!((tally.delivered, tally.filtered), (2, 2), "{text}");
    }
}

#[test]
fn press_and_release_have_their_own_periods() {
    // A press counts at once, a release after 20 ms.
    let (events, _) = run("release=20ms", &[1000, 2000, 3000, 30_000]);
    assert_eq!(events, [(1000, "rising"), (30_000, "falling")]);
    // A press counts after 20 ms, a release at once.
    let (events, _) = run("press=20ms", &[1000, 2000, 3000, 30_000, 30_100, 30_200]);
    assert_eq!(events, [(3000, "rising"), (30_000, "falling")]);
}

#[test]
fn quiet_for_exactly_the_period_is_quiet() {
    assert_eq!(run("debounce=5ms", &[1000, 6000]).0, [(1000, "rising"), (6000, "falling")]);
    assert_eq!(run("debounce=5ms", &[1000, 5999]).0, []);
    assert_eq!(run("glitch=50us", &[1000, 1050]).0, [(1000, "rising"), (1050, "falling")]);
    assert_eq!(run("glitch=50us", &[1000, 1049]).0, []);
}

#[test]
fn a_spike_does_not_begin_a_bounce_behind_the_glitch_filter() {
    let spike_then_press = [1000, 1020, 3000, 3100, 3200];
    assert_eq!(run("debounce=5ms", &spike_then_press).0, [(1000, "rising")], "the spike counts as its beginning");
    assert_eq!(run("glitch=50us,debounce=5ms", &spike_then_press).0, [(3000, "rising")]);
}

#[test]
fn a_deadline_is_when_the_edge_passes() {
    let mut events = VecDeque::new();
    let mut line = filter("glitch=50us,debounce=5ms", Edges::Both, None);
    assert_eq!(line.deadline_ns(), None);
    line.push(edge(MS, true), &mut events);
    assert_eq!(line.deadline_ns(), Some(MS + 50 * US));
    line.poll(MS + 50 * US, &mut events);
    assert_eq!((events.len(), line.deadline_ns()), (0, Some(6 * MS + 50 * US)));
    line.poll(6 * MS + 50 * US - 1, &mut events);
    assert_eq!((events.len(), line.tally().held), (0, 1));
    line.poll(6 * MS + 50 * US, &mut events);
    assert_eq!((shorts(&events), line.deadline_ns()), (vec![(MS, "rising")], None));
}

#[test]
fn one_kind_of_edge_is_debounced_without_levels() {
    let mut events = VecDeque::new();
    let mut line = filter("debounce=5ms", Edges::Falling, Some(true));
    for at_ms in [1, 2, 4, 9, 13, 30] {
        line.push(edge(at_ms * MS, false), &mut events);
    }
    // The edge at 9 ms passes, 5 ms after that at 4 ms. The one at 13 ms comes 4 ms after that at 9 ms, and is dropped.
    assert_eq!(shorts(&events), [(MS, "falling"), (9 * MS, "falling"), (30 * MS, "falling")]);
    let error = LineFilter::new(&"glitch=1us".parse().unwrap(), Edges::Rising, None).unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("only rising edges"), "{error}");
}

#[test]
fn the_next_edge_that_passes_reports_the_missing_edges() {
    let mut events = VecDeque::new();
    let mut line = filter("debounce=5ms", Edges::Both, Some(false));
    let merged = |event: &FilterEvent| match event {
        FilterEvent::Edge(edge) => edge.missed.merged,
        FilterEvent::Chatter(_) => panic!("{event:?}"),
    };
    line.push(missing(edge(MS, true), 2), &mut events);
    line.push(missing(edge(2 * MS, false), 4), &mut events);
    line.push(missing(edge(2 * MS + 1, true), 6), &mut events);
    line.push(edge(20 * MS, false), &mut events);
    line.finish(&mut events);
    assert_eq!(shorts(&events), [(MS, "rising"), (20 * MS, "falling")]);
    assert_eq!(
        (merged(&events[0]), merged(&events[1])),
        (2, 10),
        "edges missing after the first are reported with the second"
    );
    // What was missing before the dropped edges of a glitch comes with the edge after it.
    events.clear();
    line.push(missing(edge(40 * MS, true), 8), &mut events);
    line.push(missing(edge(41 * MS, false), 16), &mut events);
    line.push(edge(60 * MS, true), &mut events);
    line.finish(&mut events);
    assert_eq!((shorts(&events), merged(&events[0])), (vec![(60 * MS, "rising")], 24));
    assert_eq!(line.tally().missed, 36);
}

#[test]
fn a_level_that_comes_twice_is_not_passed_twice() {
    let mut events = VecDeque::new();
    let mut line = filter("debounce=5ms", Edges::Both, Some(false));
    for at_ms in [10, 20, 30] {
        line.push(missing(edge(at_ms * MS, true), u32::from(at_ms > 10)), &mut events);
    }
    line.push(edge(40 * MS, false), &mut events);
    line.finish(&mut events);
    assert_eq!(shorts(&events), [(10 * MS, "rising"), (40 * MS, "falling")]);
    let FilterEvent::Edge(last) = &events[1] else { panic!() };
    assert_eq!(last.missed.merged, 2);
}

#[test]
fn a_line_that_chatters_is_blocked_and_comes_back() {
    // The fourth change in 10 ms is one too many.
    let (events, tally) = run("chatter=3/10ms,resume=1", &[1000, 2000, 3000, 4000, 5000, 30_000]);
    let expected = [
        (1000, "rising"),
        (2000, "falling"),
        (3000, "rising"),
        (4000, "blocked"),
        // At 14 ms the change at 4 ms leaves the window, and one change is left. The level is that of the last edge
        // that passed.
        (14_000, "unblocked"),
        (30_000, "falling"),
    ];
    assert_eq!(events, expected);
    assert_eq!((tally.delivered, tally.passed, tally.filtered, tally.blocks), (6, 4, 2, 1));
}

#[test]
fn the_edge_that_led_to_the_level_after_chatter_passes_late() {
    let mut events = VecDeque::new();
    let mut line = filter("chatter=2/10ms,resume=0", Edges::Both, Some(false));
    for (at_ms, active) in [(1, true), (2, false), (3, true)] {
        line.push(edge(at_ms * MS, active), &mut events);
    }
    assert!(line.is_blocked() && line.tally().held == 1);
    assert_eq!(line.deadline_ns(), Some(13 * MS));
    line.poll(13 * MS, &mut events);
    let shown = shorts(&events);
    assert_eq!(shown[2..], [(3 * MS, "blocked"), (13 * MS, "unblocked"), (3 * MS, "rising")]);
    let FilterEvent::Chatter(unblocked) = &events[3] else { panic!() };
    assert_eq!((unblocked.kind, unblocked.changes, unblocked.withheld), (ChatterKind::Unblocked, 0, 1));
    assert!(!line.is_blocked());
}

#[test]
fn edges_that_are_missing_chatter_too() {
    let mut events = VecDeque::new();
    let mut line = filter("chatter=10/s", Edges::Both, Some(false));
    line.push(missing(edge(MS, true), 9), &mut events);
    assert_eq!(shorts(&events), [(MS, "rising")]);
    line.push(missing(edge(2 * MS, true), u32::MAX), &mut events);
    assert_eq!(short(&events[1]), (2 * MS, "blocked"));
    let FilterEvent::Chatter(blocked) = &events[1] else { panic!() };
    assert_eq!(blocked.changes, 11);
}

#[test]
fn bounce_does_not_chatter() {
    let bounces: Vec<u64> = (0..50).flat_map(|press| (0..9).map(move |n| press * 100_000 + n * 100)).collect();
    let (events, tally) = run("debounce=5ms,chatter=20/s", &bounces);
    assert_eq!((events.len(), tally.blocks), (50, 0));
    let (_, tally) = run("chatter=20/s", &bounces);
    assert_eq!(tally.blocks, 1);
}

#[test]
fn a_clock_that_steps_back_does_not_stop_time() {
    let mut events = VecDeque::new();
    let mut line = filter("debounce=5ms,chatter=100/s", Edges::Both, Some(false));
    line.push(edge(3_600_000 * MS, true), &mut events);
    // The clock is set back an hour, and then comes a press of 8 ms.
    line.push(edge(10 * MS, false), &mut events);
    line.push(edge(20 * MS, true), &mut events);
    assert_eq!(line.deadline_ns(), Some(25 * MS));
    line.poll(25 * MS, &mut events);
    line.push(edge(28 * MS, false), &mut events);
    line.poll(33 * MS, &mut events);
    let shown = shorts(&events);
    assert_eq!(
        shown,
        [(20 * MS, "rising"), (28 * MS, "falling")],
        "the clock was set during a bounce; the line was off for long enough"
    );
}

/// An edge in the models: when it happened, when it was decided, and the level it led to.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    at: u64,
    decided: u64,
    active: bool,
}

/// The edges after which the line is quiet for the period of its level.
fn quiet(changes: &[Change], press: u64, release: u64) -> Vec<usize> {
    let is_quiet = |&at: &usize| {
        let period = if changes[at].active { press } else { release };
        changes.get(at + 1).is_none_or(|next| next.at - changes[at].at >= period)
    };
    (0..changes.len()).filter(is_quiet).collect()
}

/// Models debounce: for each quiet time, passes the edge since the last quiet time that led to its level.
fn model_debounce(changes: &[Change], press: u64, release: u64, stamp: Stamp) -> Vec<Change> {
    let (mut passed, mut from, mut level) = (Vec::new(), 0, false);
    for end in quiet(changes, press, release) {
        let bounce = &changes[from..=end];
        let last = bounce[bounce.len() - 1];
        from = end + 1;
        if last.active != level {
            level = last.active;
            let first = bounce.iter().find(|change| change.active == level).unwrap();
            let edge = if stamp == Stamp::First { *first } else { last };
            passed.push(Change { decided: last.at + if level { press } else { release }, ..edge });
        }
    }
    passed
}

/// The glitch filter: drops levels that were too short, then edges that change nothing.
fn model_glitch(changes: &[Change], period: u64) -> Vec<Change> {
    let mut passed: Vec<Change> = quiet(changes, period, period).into_iter().map(|at| changes[at]).collect();
    let mut level = false;
    passed.retain(|change| std::mem::replace(&mut level, change.active) != change.active);
    passed
}

/// Chatter: at each moment at which something may happen, counts all changes in the window before it.
fn model_chatter(changes: &[Change], most: usize, window: u64, resume: usize, end: u64) -> Vec<(u64, &'static str)> {
    let kind = |change: &Change| if change.active { "rising" } else { "falling" };
    let within =
        |now: u64| changes.iter().filter(|change| change.decided <= now && now - change.decided < window).count();
    let mut moments: Vec<u64> = changes.iter().flat_map(|change| [change.decided, change.decided + window]).collect();
    moments.sort_unstable();
    moments.dedup();
    let (mut blocked, mut level, mut last, mut events) = (false, false, None::<Change>, Vec::new());
    for now in moments.into_iter().filter(|&now| now <= end) {
        if blocked && within(now) - changes.iter().filter(|change| change.decided == now).count() <= resume {
            blocked = false;
            events.push((now, "unblocked"));
            let last = last.unwrap();
            if last.active != level {
                level = last.active;
                events.push((last.at, kind(&last)));
            }
        }
        for change in changes.iter().filter(|change| change.decided == now) {
            last = Some(*change);
            if !blocked && within(now) > most {
                blocked = true;
                events.push((change.at, "blocked"));
            } else if !blocked {
                level = change.active;
                events.push((change.at, kind(change)));
            }
        }
    }
    events
}

fn random_filter(random: &mut Random) -> Filter {
    let mut period = |ms: u64| if random.below(3) == 0 { 0 } else { random.below(ms * 10) * 100 * US };
    let [press, release, glitch] = [8, 8, 3].map(|ms| Duration::from_nanos(period(ms)));
    let stamp = if random.below(2) == 0 { Stamp::First } else { Stamp::Last };
    let chatter = (random.below(2) == 0).then(|| {
        let changes = 1 + random.below(8_u32);
        ChatterLimit::new(changes, Duration::from_nanos((1 + random.below(80)) * MS)).resume(random.below(changes))
    });
    Filter { press, release, glitch, stamp, chatter }
}

fn random_changes(random: &mut Random) -> Vec<Change> {
    let (count, mut at, mut active) = (random.below(60), random.below(5) * MS, false);
    let next = |_| {
        active = !active;
        // Two changes never have the same time, which would leave their order open.
        at += 1 + if random.below(4) == 0 { random.below(30 * MS) } else { random.below(2 * MS) };
        Change { at, decided: at, active }
    };
    (0..count).map(next).collect()
}

/// The events that the models expect of a filter for these changes, until the end.
fn modelled(filter: &Filter, changes: &[Change], end: u64) -> Vec<(u64, &'static str)> {
    let [press, release, glitch] = [filter.press, filter.release, filter.glitch].map(nanoseconds);
    let passed = if glitch > 0 { model_glitch(changes, glitch) } else { changes.to_vec() };
    let debounced = if press + release > 0 { model_debounce(&passed, press, release, filter.stamp) } else { passed };
    match filter.chatter {
        None => model_chatter(&debounced, usize::MAX, 1, 0, end),
        Some(limit) => {
            let (most, resume) = (limit.changes as usize, limit.resume as usize);
            model_chatter(&debounced, most, nanoseconds(limit.window), resume, end)
        }
    }
}

#[test]
fn filters_do_what_their_models_do() {
    let mut random = Random::new(1);
    let mut kinds = [0; 4];
    for round in 0..3000 {
        let (filter, changes) = (random_filter(&mut random), random_changes(&mut random));
        let mut line = LineFilter::new(&filter, Edges::Both, Some(false)).unwrap();
        let mut events = VecDeque::new();
        let check = |line: &LineFilter, events: &VecDeque<FilterEvent>| {
            let tally = line.tally();
            assert_eq!(tally.delivered, tally.passed + tally.filtered + tally.held, "{filter}");
            assert_eq!(tally.passed, edges_in(events, 0), "{filter}");
        };
        for change in &changes {
            // A program may poll at a deadline, or not.
            if random.below(2) == 0
                && let Some(due_ns) = line.deadline_ns().filter(|&due_ns| due_ns <= change.at)
            {
                line.poll(due_ns, &mut events);
            }
            line.push(edge(change.at, change.active), &mut events);
            check(&line, &events);
        }
        let end = changes.last().map_or(0, |last| last.at) + 1000 * MS;
        while let Some(due_ns) = line.deadline_ns() {
            assert!(due_ns <= end, "{filter}");
            line.poll(due_ns, &mut events);
            check(&line, &events);
        }

        let expected = modelled(&filter, &changes, end);
        assert_eq!(shorts(&events), expected, "round {round}: {filter} of {changes:?}");
        assert_eq!(line.tally().held, 0);
        for (count, kind) in kinds.iter_mut().zip(["rising", "falling", "blocked", "unblocked"]) {
            *count += expected.iter().filter(|event| event.1 == kind).count();
        }
    }
    assert!(kinds.iter().all(|&count| count > 500), "each kind must happen often: {kinds:?}");
}
