//! A vendor's library that signals a Win32 event for each of its inputs. One dispatcher awaits a hundred events;
//! `WaitForMultipleObjects` takes 64 at most, and needs a thread.
//!
//! `cargo run -p overlapped --example event_handle`; it needs Windows, or Wine. It simulates the library.

#[cfg(windows)]
mod vendor {
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
    use std::ptr::null;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use overlapped::{Error, Event};
    use windows_sys::Win32::System::Threading::{CreateEventW, SetEvent};

    const INPUTS: usize = 100;
    const CHANGES: usize = 300;

    /// The auto-reset event that the library would give for one input.
    fn input() -> OwnedHandle {
        // SAFETY: no name and no security; the handle is new and ours.
        unsafe { OwnedHandle::from_raw_handle(CreateEventW(null(), 0, 0, null())) }
    }

    pub(crate) fn main() -> Result<(), Error> {
        let inputs: Vec<OwnedHandle> = (0..INPUTS).map(|_| input()).collect();
        let (tell, told) = mpsc::channel();
        let mut subscriptions = Vec::new();
        for (number, handle) in inputs.iter().enumerate() {
            let Ok(handle) = handle.try_clone() else { continue };
            let tell = tell.clone();
            // Armed again before each signal is delivered; the callback runs on the dispatcher.
            subscriptions.push(Event::new(handle)?.signals().start().for_each(move |signal| {
                if signal.is_ok() {
                    let _ = tell.send(number);
                }
            }));
        }
        let library = thread::spawn(move || {
            for change in 0..CHANGES {
                // SAFETY: the event's handle is open.
                unsafe { SetEvent(inputs[change * 7 % INPUTS].as_raw_handle()) };
                thread::sleep(Duration::from_millis(1));
            }
        });
        let seen = told.iter().take(CHANGES).count();
        println!("{seen} signals of {INPUTS} events");
        drop(subscriptions);
        let _ = library.join();
        Ok(())
    }

    #[cfg(test)]
    #[test]
    fn every_signal_is_seen() {
        main().unwrap();
    }
}

#[cfg(windows)]
fn main() -> Result<(), overlapped::Error> {
    vendor::main()
}

#[cfg(not(windows))]
fn main() {
    println!("Win32 events: it needs Windows, or Wine");
}
