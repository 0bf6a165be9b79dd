//! Lines as pins: they follow the rules of the traits of embedded-hal and embedded-hal-async.
#![cfg(feature = "embedded-hal")]

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use embedded_hal::digital::{InputPin, OutputPin, PinState, StatefulOutputPin};
use embedded_hal_async::digital::Wait;
use linewake::hal::{Input, Output};
use linewake::{Chip, Direction, Edges, Error, ErrorKind, LineConfig};
use test_support::executor::block_on;

fn still() -> Chip {
    Chip::options().life(false).open("sim:8").unwrap()
}

fn is_ready<F: Future<Output = Result<(), Error>>>(future: Pin<&mut F>) -> bool {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.map(|()| true).unwrap(),
        Poll::Pending => false,
    }
}

/// True if the wait stays pending when nothing more comes.
fn stays_pending<F: Future<Output = Result<(), Error>>>(mut future: Pin<&mut F>) -> bool {
    (0..30).all(|_| {
        thread::sleep(Duration::from_millis(1));
        !is_ready(future.as_mut())
    })
}

/// Long enough for the dispatcher to deliver what was driven, even on a busy computer. An edge that comes later counts
/// as later.
fn until_handed_over() {
    thread::sleep(Duration::from_millis(500));
}

#[test]
fn a_wait_for_the_present_level_ends_at_once() {
    let chip = still();
    let mut pin = Input::new(&chip, 0).unwrap();
    assert!(is_ready(pin!(pin.wait_for_low())));
    chip.world().drive(0, true).unwrap();
    assert!(is_ready(pin!(pin.wait_for_high())), "at its first poll");
    assert!(stays_pending(pin!(pin.wait_for_low())));
}

#[test]
fn a_short_pulse_ends_a_wait_for_its_level() {
    let chip = still();
    let mut pin = Input::new(&chip, 0).unwrap();
    let mut high = Box::pin(pin.wait_for_high());
    assert!(!is_ready(high.as_mut()));
    chip.world().toggle(0, 2).unwrap();
    assert!(!chip.value(0).unwrap());
    block_on(high).unwrap();
}

#[test]
fn an_edge_is_waited_for_also_at_its_level() {
    let chip = still();
    chip.world().drive(0, true).unwrap();
    let mut pin = Input::new(&chip, 0).unwrap();
    let mut rising = Box::pin(pin.wait_for_rising_edge());
    assert!(stays_pending(rising.as_mut()));
    chip.world().drive(0, false).unwrap();
    assert!(stays_pending(rising.as_mut()), "that was the other edge");
    chip.world().drive(0, true).unwrap();
    block_on(rising).unwrap();

    let mut falling = Box::pin(pin.wait_for_falling_edge());
    assert!(!is_ready(falling.as_mut()));
    chip.world().toggle(0, 2).unwrap();
    block_on(falling).unwrap();

    until_handed_over();
    for _ in 0..2 {
        let mut any = Box::pin(pin.wait_for_any_edge());
        assert!(stays_pending(any.as_mut()));
        chip.world().toggle(0, 1).unwrap();
        block_on(any).unwrap();
    }
}

#[test]
fn edges_before_the_wait_do_not_end_it() {
    let chip = still();
    let mut pin = Input::new(&chip, 0).unwrap();
    // So many edges that some of them are lost.
    for toggles in [1, 3, 100] {
        chip.world().toggle(0, toggles).unwrap();
        chip.world().drive(0, false).unwrap();
        until_handed_over();
        assert!(stays_pending(pin!(pin.wait_for_rising_edge())), "{toggles}");
        assert!(stays_pending(pin!(pin.wait_for_high())), "{toggles}");
        assert!(stays_pending(pin!(pin.wait_for_any_edge())), "{toggles}");
    }
}

#[test]
fn a_wait_that_is_dropped_leaves_nothing_behind() {
    let chip = still();
    let mut pin = Input::new(&chip, 0).unwrap();
    for _ in 0..50 {
        // An edge that was driven a moment ago and is delivered only now may end the wait at once.
        let _ = is_ready(pin!(pin.wait_for_rising_edge()));
        chip.world().toggle(0, 2).unwrap();
    }
    until_handed_over();
    let mut rising = Box::pin(pin.wait_for_rising_edge());
    assert!(stays_pending(rising.as_mut()), "those edges came before");
    chip.world().toggle(0, 1).unwrap();
    block_on(rising).unwrap();
}

#[test]
fn a_missing_edge_ends_a_wait() {
    let chip = still();
    chip.world().merge_within(Duration::from_secs(3600)).unwrap();
    let mut pin = Input::new(&chip, 0).unwrap();
    // The first edge is reported. The next two merge into the one after them.
    chip.world().drive(0, true).unwrap();
    until_handed_over();
    let mut rising = Box::pin(pin.wait_for_rising_edge());
    assert!(!is_ready(rising.as_mut()));
    chip.world().toggle(0, 2).unwrap();
    assert!(stays_pending(rising.as_mut()));
    chip.world().merge_within(Duration::ZERO).unwrap();
    chip.world().drive(0, false).unwrap();
    block_on(rising).unwrap();
}

#[test]
fn a_pin_of_an_unplugged_chip_returns_the_error_every_time() {
    let chip = still();
    let mut pin = Input::new(&chip, 0).unwrap();
    let mut rising = Box::pin(pin.wait_for_rising_edge());
    assert!(!is_ready(rising.as_mut()));
    chip.world().unplug().unwrap();
    assert!(block_on(rising).unwrap_err().is_disconnected());
    for _ in 0..2 {
        let error = block_on(pin.wait_for_any_edge()).unwrap_err();
        assert!(error.is_disconnected());
        assert_eq!(error.kind(), ErrorKind::Device);
        assert_eq!(embedded_hal::digital::Error::kind(&error), embedded_hal::digital::ErrorKind::Other);
    }
    assert!(pin.is_high().unwrap_err().is_disconnected());
}

#[test]
fn an_input_reads_its_level_also_if_active_low() {
    let chip = still();
    let mut pin = Input::new(&chip, 3).unwrap();
    assert!(pin.is_low().unwrap() && !pin.is_high().unwrap());
    let mut button = Input::with(&chip, 4, LineConfig::watch(Edges::Rising).active_low(true)).unwrap();
    assert!(button.is_high().unwrap());
    chip.world().drive(4, true).unwrap();
    assert!(button.is_low().unwrap());
    let mut pressed = Box::pin(button.wait_for_high());
    assert!(stays_pending(pressed.as_mut()));
    chip.world().drive(4, false).unwrap();
    block_on(pressed).unwrap();
}

#[test]
fn an_output_is_set_and_remembers_its_value() {
    let chip = still();
    let mut pin = Output::new(&chip, 5, true).unwrap();
    assert_eq!(chip.line_info(5).unwrap().direction, Direction::Output);
    assert!(chip.value(5).unwrap() && pin.is_set_high().unwrap());
    pin.set_low().unwrap();
    assert!(!chip.value(5).unwrap() && pin.is_set_low().unwrap());
    pin.set_high().unwrap();
    assert!(chip.value(5).unwrap());
    pin.toggle().unwrap();
    assert!(!chip.value(5).unwrap());
    pin.set_state(PinState::High).unwrap();
    assert!(chip.value(5).unwrap());
    chip.world().unplug().unwrap();
    assert!(pin.set_low().unwrap_err().is_disconnected());
    assert!(pin.is_set_high().unwrap(), "it was not set");
}

#[test]
fn a_pin_refuses_the_other_direction() {
    let chip = still();
    assert_eq!(Input::with(&chip, 0, LineConfig::output(true)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(Output::with(&chip, 0, LineConfig::watch(Edges::Both)).unwrap_err().kind(), ErrorKind::InvalidInput);
    let mut low = Output::with(&chip, 0, LineConfig::as_is().active_low(true)).unwrap();
    assert!(low.is_set_low().unwrap() && chip.value(0).unwrap(), "inactive is the high level");
    let error = Input::new(&chip, "no such line").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchLine);
}
