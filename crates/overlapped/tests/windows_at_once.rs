//! Calls that all end at once, in a process of their own. Windows queues a packet for each, but no thread waits for the
//! packets and no dispatcher runs.
#![cfg(windows)]

#[path = "support/pipe.rs"]
mod pipe;

use overlapped::Port;
use pipe::*;

#[test]
fn the_packets_of_calls_that_end_at_once_do_not_pile_up() {
    let strays = || Port::global().unwrap().stats().strays;
    let calls = |len| {
        let (device, client) = connected();
        write(&client, b"0123456789");
        for _ in 0..2000 {
            assert_eq!(device.call(pipe::peek(len), &()).wait().unwrap().more_data(), len == 20);
        }
    };
    let before = strays();
    // Successes, then warnings, then warnings on several threads.
    calls(26);
    calls(20);
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| calls(20)))));
    let taken = strays() - before;
    assert!(taken > 11_500, "only {taken} of 12,000 packets were taken out of the queue");
}
