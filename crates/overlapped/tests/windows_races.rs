//! Two threads that meet, again and again, on the system's pool and with Win32 events. `OVERLAPPED_ROUNDS` sets how often.
#![cfg(windows)]

use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use overlapped::sim::Script;
use overlapped::{Access, CtlCode, Device, ErrorKind, Ioctl, Method, Port};

fn rounds() -> u32 {
    std::env::var("OVERLAPPED_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

#[test]
fn of_two_timeouts_set_at_once_the_shorter_comes() {
    // SAFETY: a scripted device writes no more than it is given room for.
    const WAIT: Ioctl<(), ()> = unsafe { Ioctl::new(CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any)) };
    let device = Device::simulated_on(&Port::system_pool().unwrap(), Script::new("card").pend(WAIT.code())).unwrap();
    let both = Arc::new(Barrier::new(2));
    let rounds = rounds();
    let long = std::thread::spawn({
        let (device, both) = (device.clone(), both.clone());
        move || {
            for round in 0..rounds {
                let call = device.call(WAIT, &());
                both.wait();
                // Sooner than all the others like it, so that it is the first for a moment.
                let call = call.timeout(Duration::from_secs(u64::from(u32::MAX - round)));
                both.wait();
                drop(call);
            }
        }
    });
    for _ in 0..rounds {
        let call = device.call(WAIT, &());
        both.wait();
        let (tell, told) = mpsc::channel();
        call.timeout(Duration::from_millis(1)).then(move |result| tell.send(result.unwrap_err().kind()).unwrap());
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(ErrorKind::TimedOut));
        both.wait();
    }
    long.join().unwrap();
}
