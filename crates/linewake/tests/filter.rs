//! Filtered requests and monitors: several lines with filters, and time that passes without an edge.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use linewake::filter::{
    ChatterEvent, ChatterKind, ChatterLimit, Filter, FilterEvent, FilterTally, Filtered, FilteredMonitor,
    FilteredRecording, Passed,
};
use linewake::sim::{Change, ClockKind, Script, SimLine, What};
use linewake::{Chip, EdgeEvent, EdgeKind, Edges, ErrorKind, Event, Figures, Monitor, Trust};

fn still() -> Chip {
    Chip::options().life(false).open("sim:64").unwrap()
}

fn filter(text: &str) -> Filter {
    text.parse().unwrap()
}

fn edge(events: &mut Filtered) -> EdgeEvent {
    match events.wait_next_timeout(Duration::from_secs(20)) {
        Some(Ok(FilterEvent::Edge(edge))) => edge,
        other => panic!("no edge: {other:?}"),
    }
}

#[test]
fn time_passes_without_an_edge() {
    let chip = still();
    let mut events = chip.request().line(3).start().unwrap().filtered(filter("debounce=60ms")).unwrap();
    for round in 0..5_u64 {
        let began = Instant::now();
        chip.world().toggle(3, 9).unwrap();
        let edge = edge(&mut events);
        assert_eq!(edge.kind == EdgeKind::Rising, round % 2 == 0);
        assert_eq!(u64::from(edge.line_seqno), round * 9 + 1, "the first of nine");
        assert!(began.elapsed() >= Duration::from_millis(60), "it passed when the line had been quiet");
    }
    let tally = events.tally(3).unwrap();
    assert_eq!((tally.delivered, tally.passed, tally.filtered, tally.held), (45, 5, 40, 0));
    let account = events.into_inner().finish();
    assert_eq!(
        (account.total().delivered, account.trust()),
        (45, Trust::Exact),
        "the account does not change with filters"
    );
}

#[test]
fn each_line_has_its_own_filter() {
    let chip = still();
    let request = chip.request().lines([0, 1, 2]).start().unwrap();
    let mut events = request.filtered_lines([(1, filter("debounce=40ms")), (2, filter("debounce=5ms"))]).unwrap();
    chip.world().toggle_all([(1, 1), (2, 1), (0, 1)]).unwrap();
    let offsets = [edge(&mut events), edge(&mut events), edge(&mut events)].map(|edge| edge.offset.get());
    assert_eq!(offsets, [0, 2, 1], "in the order in which edges are decided");
    assert_eq!((events.tally(0).unwrap().delivered, events.total().delivered, events.total().passed), (0, 2, 2));
    assert_eq!(events.tally(9).unwrap_err().kind(), ErrorKind::NoSuchLine);
}

#[test]
fn a_shorter_deadline_comes_first() {
    let chip = still();
    let mut events = chip.request().line(4).start().unwrap().filtered(filter("press=60m,release=5ms")).unwrap();
    // The filter sleeps for an hour because the line is pressed. Then it is released, and no edge passes.
    chip.world().toggle(4, 1).unwrap();
    assert!(events.wait_next_timeout(Duration::from_millis(100)).unwrap().unwrap_err().is_timeout());
    assert_eq!(events.tally(4).unwrap().held, 1);
    chip.world().toggle(4, 1).unwrap();
    assert!(events.wait_next_timeout(Duration::from_secs(1)).unwrap().unwrap_err().is_timeout());
    assert_eq!((events.tally(4).unwrap().held, events.tally(4).unwrap().filtered), (0, 2));
}

#[test]
fn the_end_of_the_stream_decides() {
    let chip = still();
    let mut events = chip.request().lines([0, 1]).start().unwrap().filtered(filter("debounce=60m")).unwrap();
    chip.world().toggle_all([(0, 3), (1, 2)]).unwrap();
    events.request().stopper().stop();
    assert_eq!((edge(&mut events).offset.get(), events.wait_next().is_none()), (0, true), "line 1 has its old level");
    assert!(events.wait_next().is_none());
    assert_eq!((events.total().held, events.total().filtered), (0, 4));
    let figures = events.into_inner().finish().total();
    assert_eq!(figures, Figures { delivered: 5, ..Figures::default() });
}

#[test]
fn held_edges_come_before_the_error_that_ends_the_stream() {
    let chip = still();
    let mut events = chip.request().line(0).start().unwrap().filtered(filter("debounce=60m")).unwrap();
    chip.world().toggle(0, 1).unwrap();
    // Wait until the edge has arrived.
    assert!(events.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
    chip.world().unplug().unwrap();
    assert_eq!(edge(&mut events).line_seqno, 1);
    assert!(events.wait_next().unwrap().unwrap_err().is_disconnected());
    assert!(events.wait_next().is_none());
}

#[test]
fn an_event_says_that_a_line_chatters() {
    let chip = still();
    let request = chip.request().lines([0, 1]).queue_size(1024).start().unwrap();
    let mut events = request.filtered(filter("chatter=100/100ms")).unwrap();
    chip.world().toggle_all([(0, 500), (1, 3)]).unwrap();
    let mut seen = (0, 0);
    let blocked = loop {
        match events.wait_next().unwrap().unwrap() {
            FilterEvent::Edge(edge) if edge.offset.get() == 0 => seen.0 += 1,
            FilterEvent::Edge(_) => seen.1 += 1,
            FilterEvent::Chatter(chatter) if chatter.kind == ChatterKind::Blocked => {
                assert_eq!((chatter.offset.get(), chatter.changes, seen), (0, 101, (100, 3)));
            }
            FilterEvent::Chatter(chatter) => break chatter,
            _ => unreachable!(),
        }
    };
    assert_eq!((blocked.offset.get(), blocked.withheld), (0, 400));
    chip.world().toggle(0, 1).unwrap();
    assert_eq!(edge(&mut events).line_seqno, 501, "its edges pass again");
    let tally = events.tally(0).unwrap();
    assert_eq!((tally.delivered, tally.passed, tally.filtered, tally.blocks), (501, 101, 400, 1));
}

#[test]
fn dropping_the_future_loses_nothing() {
    let chip = still();
    let mut events = chip.request().line(5).start().unwrap().filtered(filter("debounce=60ms")).unwrap();
    for round in 0..10 {
        chip.world().toggle(5, 3).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let edge = loop {
            assert!(Instant::now() < deadline);
            // Make a new future each time.
            match pin!(events.next()).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(event) => break event.unwrap().unwrap(),
                Poll::Pending => std::thread::sleep(Duration::from_micros(200)),
            }
        };
        assert!(matches!(edge, FilterEvent::Edge(edge) if edge.line_seqno == round * 3 + 1));
    }
}

#[test]
fn a_filter_that_the_line_cannot_have_is_refused() {
    let chip = still();
    let request = || chip.request().line(0).edges(Edges::Rising).start().unwrap();
    assert_eq!(request().filtered(filter("glitch=1ms")).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(request().filtered_lines([(1, Filter::reed())]).unwrap_err().kind(), ErrorKind::NoSuchLine);
    let mut pulses = request().filtered(filter("debounce=60m")).unwrap();
    chip.world().toggle(0, 6).unwrap();
    assert_eq!(edge(&mut pulses).line_seqno, 1, "at once");
    pulses.request().stopper().stop();
    assert!(pulses.wait_next().is_none());
    assert_eq!(pulses.total().filtered, 2);
}

#[test]
fn thirty_lines_are_each_pressed_once() {
    let chip = still();
    let request = chip.request().lines(0..30).queue_size(1024).start().unwrap();
    let mut events = request.filtered(filter("glitch=1us,debounce=100ms,chatter=1000/s")).unwrap();
    for round in 1..=3 {
        chip.world().toggle_all((0..30).map(|line| (line, 7))).unwrap();
        let mut lines: Vec<_> = (0..30).map(|_| edge(&mut events).offset.get()).collect();
        lines.sort_unstable();
        assert!(lines.into_iter().eq(0..30));
        let total = events.total();
        assert_eq!((total.delivered, total.passed, total.held), (round * 210, round * 30, 0));
    }
}

/// A chip with lines that bounce for milliseconds and rest for seconds, differently for each seed; and how often they
/// change.
fn restless(seed: u32) -> (Chip, u64) {
    let mut chance = seed;
    let mut one_of = |choices: u64| {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u64::from(chance >> 8) % choices
    };
    let (mut at_ns, mut levels, mut changes) = (1_000_000_000, [false; 4], Vec::new());
    for _ in 0..400 {
        let line = one_of(4) as usize;
        for _ in 0..=one_of(7) {
            at_ns += 1_000_000 * (1 + one_of(50));
            levels[line] = !levels[line];
            let offset = (line as u32).into();
            changes.push(Change { at_ns, what: What::Level { offset, level: levels[line] } });
        }
        at_ns += 1_000_000 * one_of(9_000);
    }
    let count = changes.len() as u64;
    let script = (0..4).fold(Script::new(), |script, line| script.line(SimLine::new(format!("line-{line}"))));
    (script.changes(changes).clock(ClockKind::Virtual).open().unwrap(), count)
}

/// The filter of each of the four lines of a restless chip. The periods are seconds, so that no delay of the computer
/// can decide a bounce.
const FILTERS: [&str; 3] = ["debounce=2s", "glitch=500ms,press=1s,release=3s,stamp=last", "debounce=1s,chatter=4/30s"];

/// An event of a line without its time, because a monitor of several chips uses another clock.
fn told(event: &FilterEvent) -> String {
    match event {
        FilterEvent::Edge(edge) => format!("{:?} {} {:?}", edge.kind, edge.line_seqno, edge.missed),
        FilterEvent::Chatter(chatter) => format!("{:?} {} {}", chatter.kind, chatter.changes, chatter.withheld),
        _ => unreachable!(),
    }
}

/// What a request of a restless chip tells of each line, and the tallies.
fn of_a_request(seed: u32, of_line: impl Fn(u32) -> Filter) -> (Vec<Vec<String>>, Vec<FilterTally>) {
    let (chip, changes) = restless(seed);
    let request = chip.request().all_lines().start().unwrap();
    let mut events = request.filtered_lines((0..3).map(|line| (line, of_line(line)))).unwrap();
    let mut lines = vec![Vec::new(); 4];
    while let Some(event) = events.wait_next_timeout(Duration::from_millis(10)) {
        match event {
            Ok(event) => {
                let (FilterEvent::Edge(EdgeEvent { offset, .. }) | FilterEvent::Chatter(ChatterEvent { offset, .. })) =
                    &event
                else {
                    unreachable!()
                };
                lines[offset.get() as usize].push(told(&event));
            }
            Err(_) if events.request().account().total().delivered == changes => events.request().stopper().stop(),
            Err(_) => {}
        }
    }
    (lines, (0..4).map(|line| events.tally(line).unwrap()).collect())
}

#[test]
fn a_monitor_filters_as_its_requests_do() {
    const SEEDS: [u32; 3] = [7, 8, 9];
    // The last line of each chip has no filter, and each chip has other filters.
    let of_line = |chip: usize, line: u32| filter(FILTERS[(chip + line as usize) % 3]);
    let each = SEEDS.into_iter().enumerate().map(|(at, seed)| of_a_request(seed, |line| of_line(at, line)));
    let (expected, expected_tallies): (Vec<_>, Vec<_>) = each.unzip();
    let mut all = expected.iter().flatten();
    assert!(all.clone().all(|line| line.len() > 20), "{:?}", all.map(Vec::len).collect::<Vec<_>>());
    assert!(all.any(|line| line.iter().any(|told| told.starts_with("Unblocked"))));

    let chips = SEEDS.map(restless);
    let changes: u64 = chips.iter().map(|(_, changes)| changes).sum();
    let monitor =
        Monitor::builder().requests(chips.iter().map(|(chip, _)| chip.request().all_lines())).start().unwrap();
    let filters = (0..3).flat_map(|at| (0..3).map(move |line| (at, line, of_line(at, line))));
    let mut events = monitor.filtered_lines(filters).unwrap();
    let mut lines = vec![vec![Vec::new(); 4]; 3];
    while let Some(event) = events.wait_next_timeout(Duration::from_millis(10)) {
        match event {
            Ok(Event::Edge { request, edge }) => {
                lines[request][edge.offset.get() as usize].push(told(&FilterEvent::Edge(edge)));
            }
            Ok(Event::Chatter { request, chatter }) => {
                lines[request][chatter.offset.get() as usize].push(told(&FilterEvent::Chatter(chatter)));
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) if events.monitor().stats().delivered == changes => events.monitor().stopper().stop(),
            Err(_) => {}
        }
    }
    assert_eq!(lines, expected);
    assert_eq!(events.tallies(), expected_tallies);
    let total = events.total();
    assert!(total.filtered > 100 && total.blocks > 0, "{total:?}");
    for (account, tallies) in events.into_inner().finish().iter().zip(&expected_tallies) {
        for (line, tally) in account.lines().iter().zip(tallies).take(3) {
            assert_eq!(tally.delivered, line.figures.delivered);
            assert_eq!(tally.delivered, tally.passed + tally.filtered + tally.held, "{tally:?}");
        }
    }
}

/// All events of a monitor of a restless chip.
fn watched(filter: Option<&str>) -> Vec<FilterEvent> {
    let (chip, changes) = restless(7);
    let monitor = Monitor::builder().request(chip.request().all_lines()).start().unwrap();
    let mut events = monitor.filtered(filter.unwrap_or("none").parse().unwrap()).unwrap();
    let mut told = Vec::new();
    while let Some(event) = events.wait_next_timeout(Duration::from_millis(10)) {
        match event {
            Ok(Event::Edge { edge, .. }) => told.push(FilterEvent::Edge(edge)),
            Ok(Event::Chatter { chatter, .. }) => told.push(FilterEvent::Chatter(chatter)),
            Ok(other) => panic!("{other:?}"),
            Err(_) if events.monitor().stats().delivered == changes => events.monitor().stopper().stop(),
            Err(_) => {}
        }
    }
    told
}

#[test]
fn recorded_edges_pass_as_they_would_have_passed_then() {
    let edges = watched(None);
    assert!(edges.len() > 1000, "{}", edges.len());
    for filter in FILTERS {
        let mut recording = FilteredRecording::<()>::new(filter.parse().unwrap()).unwrap();
        for line in 0..4 {
            assert_eq!(recording.add_line(), line);
            recording.begin(line, Some(false));
        }
        let mut passed = Vec::new();
        let mut take = |recording: &mut FilteredRecording<()>| {
            while let Some(Passed::Line { event, .. }) = recording.pop() {
                passed.push(event);
            }
        };
        for edge in &edges {
            let FilterEvent::Edge(edge) = edge else { panic!("{edge:?}") };
            recording.push(edge.offset.get() as usize, edge.clone());
            take(&mut recording);
        }
        let held = recording.total().held;
        recording.finish();
        take(&mut recording);
        let watched = watched(Some(filter));
        assert_eq!(passed, watched, "{filter}");
        assert!(held < 40 && watched.len() > 80, "what is decided passes: {held} of {}", watched.len());
        let total = recording.total();
        assert_eq!(
            (total.delivered, total.delivered),
            (edges.len() as u64, total.passed + total.filtered + total.held)
        );
    }
}

fn event(events: &mut FilteredMonitor) -> Event {
    match events.wait_next_timeout(Duration::from_secs(20)) {
        Some(Ok(event)) => event,
        other => panic!("no event: {other:?}"),
    }
}

/// The line of an edge.
fn whose(event: Event) -> (usize, u32, u32) {
    let Event::Edge { request, edge } = event else { panic!("no edge: {event:?}") };
    (request, edge.offset.get(), edge.line_seqno)
}

#[test]
fn passed_edges_are_in_order_of_time_again() {
    let chips = [still(), still()];
    let requests = [chips[0].request().lines([0, 1, 2]), chips[1].request().line(3)];
    let monitor = Monitor::builder().requests(requests).start().unwrap();
    let filters = [(0, 0, filter("debounce=600ms")), (0, 1, filter("debounce=60ms"))];
    let mut events = monitor.filtered_lines(filters).unwrap();
    let began = Instant::now();
    for (chip, line, changes) in [(0, 0, 3), (0, 1, 5), (1, 3, 2), (0, 2, 1)] {
        chips[chip].world().toggle(line, changes).unwrap();
    }
    let order: Vec<_> = (0..5).map(|_| whose(event(&mut events))).collect();
    assert_eq!(order, [(0, 0, 1), (0, 1, 1), (1, 3, 1), (1, 3, 2), (0, 2, 1)], "although the first is decided last");
    assert!(began.elapsed() >= Duration::from_millis(600));
    chips[0].world().toggle(1, 2).unwrap();
    let nothing = events.wait_next_timeout(Duration::from_millis(150)).unwrap();
    assert!(nothing.unwrap_err().is_timeout(), "a glitch leaves nothing");
    // An edge that passed and waits for an earlier edge counts as held.
    chips[0].world().toggle(0, 1).unwrap();
    chips[0].world().toggle(1, 1).unwrap();
    assert!(events.wait_next_timeout(Duration::from_millis(250)).unwrap().unwrap_err().is_timeout());
    assert_eq!(
        events.tallies()[0][1],
        FilterTally { delivered: 8, passed: 1, filtered: 6, held: 1, missed: 0, blocks: 0 }
    );
    assert_eq!([whose(event(&mut events)), whose(event(&mut events))], [(0, 0, 4), (0, 1, 8)]);
    assert_eq!((events.tallies()[0][1].passed, events.tallies()[0][1].held), (2, 0));
}

#[test]
fn other_edges_wait_until_the_bounce_is_over() {
    let chip = still();
    let monitor = Monitor::builder().request(chip.request().lines([0, 1])).start().unwrap();
    let mut events = monitor.filtered_lines([(0, 0, filter("debounce=400ms"))]).unwrap();
    chip.world().toggle(0, 1).unwrap();
    chip.world().toggle(1, 1).unwrap();
    // Take events when the first edge is older than the period and the bounce is not over.
    assert!(events.wait_next_timeout(Duration::from_millis(200)).unwrap().unwrap_err().is_timeout());
    chip.world().toggle(0, 2).unwrap();
    assert_eq!([whose(event(&mut events)), whose(event(&mut events))], [(0, 0, 1), (0, 1, 1)]);
}

#[test]
fn filters_begin_anew_when_a_chip_is_back() {
    let chip = still();
    let options = Monitor::builder().reattach(true).retry(Duration::from_millis(5));
    let monitor = options.request(chip.request().lines([0, 1]).queue_size(1024)).start().unwrap();
    let filters = [(0, 0, filter("debounce=60m")), (0, 1, filter("chatter=10/60m"))];
    let mut events = monitor.filtered_lines(filters).unwrap();
    for round in 1..=3 {
        // Handles from before do not work any more.
        let chip = events.monitor().chip(0).unwrap().clone();
        let is_first_up = !chip.value(0).unwrap();
        chip.world().toggle(0, 3).unwrap();
        chip.world().toggle(1, 30).unwrap();
        // Wait until the edges have arrived.
        let wanted = 33 * round;
        let deadline = Instant::now() + Duration::from_secs(20);
        while events.monitor().stats().delivered < wanted {
            assert!(Instant::now() < deadline && events.wait_next_timeout(Duration::from_millis(5)).unwrap().is_err());
        }
        chip.world().unplug().unwrap();
        let Event::Edge { edge, .. } = event(&mut events) else { panic!("what was held, first") };
        assert_eq!((edge.offset.get(), edge.line_seqno), (0, 1), "round {round}");
        assert_eq!(edge.kind == EdgeKind::Rising, is_first_up, "from the level it had when the chip was back");
        for seqno in 1..=10 {
            assert_eq!(whose(event(&mut events)), (0, 1, seqno));
        }
        let Event::Chatter { request: 0, chatter } = event(&mut events) else { panic!("and then it is too much") };
        assert_eq!((chatter.kind, chatter.offset.get()), (ChatterKind::Blocked, 1));
        let Event::Chatter { request: 0, chatter } = event(&mut events) else { panic!("its chip is gone") };
        assert_eq!((chatter.kind, chatter.withheld), (ChatterKind::Unblocked, 20));
        assert!(matches!(event(&mut events), Event::Gap { gap, .. } if !gap.is_over));
        chip.world().replug().unwrap();
        assert!(
            matches!(event(&mut events), Event::Gap { gap, .. } if gap.is_over),
            "no state, because it was not asked for"
        );
    }
    events.monitor().stopper().stop();
    assert!(events.wait_next().is_none());
    let [debounced, chattering] = events.tallies()[0][..] else { panic!("two lines") };
    assert_eq!(debounced, FilterTally { delivered: 9, passed: 3, filtered: 6, ..FilterTally::default() });
    assert_eq!(
        chattering,
        FilterTally { delivered: 90, passed: 30, filtered: 60, blocks: 3, ..FilterTally::default() }
    );
    assert_eq!(events.into_inner().finish()[0].total().delivered, 99);
}

#[test]
fn a_monitor_says_which_filter_it_cannot_have() {
    let chip = still();
    let monitor = || {
        let requests = [chip.request().line(0).edges(Edges::Rising), chip.request().lines([1, 2])];
        Monitor::builder().requests(requests).start().unwrap()
    };
    let error = monitor().filtered(filter("glitch=1ms")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("line \"pps\": filter \"glitch=1ms\": "), "{error}");
    assert_eq!(
        monitor().filtered(Filter::default().chatter(ChatterLimit::new(0, Duration::from_secs(1)))).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    for (request, line) in [(0, 1), (1, 0), (2, 0)] {
        let error = monitor().filtered_lines([(request, line, Filter::reed())]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchLine, "{error}");
    }
    let mut events = monitor().filtered_lines([(1, 1, filter("debounce=60m"))]).unwrap();
    chip.world().toggle(1, 3).unwrap();
    chip.world().toggle(2, 1).unwrap();
    assert!(events.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
    chip.world().unplug().unwrap();
    let passed: Vec<_> = (0..2).map(|_| whose(event(&mut events))).collect();
    assert_eq!(passed, [(1, 1, 1), (1, 2, 1)], "held edges come before the end");
    assert!(matches!(event(&mut events), Event::Gap { .. }));
    let end = std::iter::from_fn(|| events.wait_next()).find_map(Result::err).unwrap();
    assert!(end.is_disconnected() && events.wait_next().is_none());
}

#[test]
fn states_come_first_and_unfiltered() {
    let chip = still();
    chip.world().drive(0, true).unwrap();
    let monitor = Monitor::builder().request(chip.request().lines([0, 1])).states(true).start().unwrap();
    let mut events = monitor.filtered(filter("debounce=60m")).unwrap();
    chip.world().toggle_all([(0, 2), (1, 1)]).unwrap();
    for active in [true, false] {
        assert!(matches!(event(&mut events), Event::State { state, .. } if state.active == Some(active)));
    }
    events.monitor().stopper().stop();
    assert_eq!(whose(event(&mut events)), (0, 1, 1));
    assert!(events.wait_next().is_none());
}
