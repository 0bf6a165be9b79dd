//! A waker panics, and the payload of its panic panics too. It runs alone in its process: if the dispatcher died, every
//! other test would fail, too.

mod support;

use overlapped::Device;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};
use support::*;
struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("payload")
        }
    }
}

struct W;

impl Wake for W {
    fn wake(self: Arc<Self>) {
        std::panic::panic_any(Payload)
    }
}
#[test]
fn a_payload_that_panics_does_not_kill_the_dispatcher() {
    let d = support::Device::new();
    let dev = Device::simulated(d.clone()).unwrap();
    let mut c = dev.call(WAIT, &());
    assert!(pin!(&mut c).poll(&mut Context::from_waker(&Waker::from(Arc::new(W)))).is_pending());
    d.complete_one(1);
    std::thread::sleep(Duration::from_millis(100));
    let mut c = dev.call(PEND_AND_COMPLETE, &());
    let t = Instant::now();
    while pin!(&mut c).poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        assert!(t.elapsed() < Duration::from_secs(2), "the dispatcher has ended");
        std::thread::sleep(Duration::from_millis(1));
    }
}
