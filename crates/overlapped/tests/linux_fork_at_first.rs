//! A fork while another thread creates the first port of the process. It runs alone, since a process has one first
//! port.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/fork.rs"]
mod fork;

use std::sync::Barrier;
use std::time::Duration;

use fork::in_a_child;
use overlapped::{Device, Port};

#[test]
fn a_child_that_is_forked_while_the_first_port_is_made_has_its_own() {
    let begins = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                begins.wait();
                drop(Port::global().unwrap());
            });
        }
        begins.wait();
        std::thread::sleep(Duration::from_micros(50));
        let code = in_a_child(|| {
            let Ok((reader, writer)) = std::io::pipe() else { return 1 };
            let Ok(device) = Device::from_fd(reader) else { return 2 };
            drop(writer);
            if device.read(8).wait().is_ok_and(|bytes| bytes.is_empty()) { 0 } else { 3 }
        });
        assert_eq!(code, 0);
    });
}
