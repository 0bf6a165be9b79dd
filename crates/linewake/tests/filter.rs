//! Filtered requests: the filters of several lines, and time that passes without an edge.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use linewake::filter::{ChatterKind, Filter, FilterEvent, Filtered};
use linewake::{Chip, EdgeEvent, EdgeKind, Edges, ErrorKind, Figures, Trust};

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
    assert_eq!((account.total().delivered, account.trust()), (45, Trust::Exact), "it knows nothing of filters");
}

#[test]
fn each_line_has_its_own_filter() {
    let chip = still();
    let request = chip.request().lines([0, 1, 2]).start().unwrap();
    let mut events = request.filtered_lines([(1, filter("debounce=40ms")), (2, filter("debounce=5ms"))]).unwrap();
    chip.world().toggle_all([(1, 1), (2, 1), (0, 1)]).unwrap();
    let offsets = [edge(&mut events), edge(&mut events), edge(&mut events)].map(|edge| edge.offset.get());
    assert_eq!(offsets, [0, 2, 1], "in the order in which it is decided");
    assert_eq!((events.tally(0).unwrap().delivered, events.total().delivered, events.total().passed), (0, 2, 2));
    assert_eq!(events.tally(9).unwrap_err().kind(), ErrorKind::NoSuchLine);
}

#[test]
fn a_shorter_deadline_comes_first() {
    let chip = still();
    let mut events = chip.request().line(4).start().unwrap().filtered(filter("press=60m,release=5ms")).unwrap();
    // Asleep for an hour, because it is pressed; then it is not, and nothing was.
    chip.world().toggle(4, 1).unwrap();
    assert!(events.wait_next_timeout(Duration::from_millis(10)).unwrap().unwrap_err().is_timeout());
    assert_eq!(events.tally(4).unwrap().held, 1);
    chip.world().toggle(4, 1).unwrap();
    assert!(events.wait_next_timeout(Duration::from_millis(60)).unwrap().unwrap_err().is_timeout());
    assert_eq!((events.tally(4).unwrap().held, events.tally(4).unwrap().filtered), (0, 2));
}

#[test]
fn the_end_of_the_stream_decides() {
    let chip = still();
    let mut events = chip.request().lines([0, 1]).start().unwrap().filtered(filter("debounce=60m")).unwrap();
    chip.world().toggle_all([(0, 3), (1, 2)]).unwrap();
    events.request().stopper().stop();
    assert_eq!((edge(&mut events).offset.get(), events.wait_next().is_none()), (0, true), "line 1 is as it was");
    assert!(events.wait_next().is_none());
    assert_eq!((events.total().held, events.total().filtered), (0, 4));
    let figures = events.into_inner().finish().total();
    assert_eq!(figures, Figures { delivered: 5, ..Figures::default() });
}

#[test]
fn what_is_held_comes_before_the_error_that_ends_it() {
    let chip = still();
    let mut events = chip.request().line(0).start().unwrap().filtered(filter("debounce=60m")).unwrap();
    chip.world().toggle(0, 1).unwrap();
    // So that it is here.
    assert!(events.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
    chip.world().unplug().unwrap();
    assert_eq!(edge(&mut events).line_seqno, 1);
    assert!(events.wait_next().unwrap().unwrap_err().is_disconnected());
    assert!(events.wait_next().is_none());
}

#[test]
fn a_line_that_chatters_is_said_to() {
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
    assert_eq!(edge(&mut events).line_seqno, 501, "it is listened to again");
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
            // A future of its own each time.
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
