//! The five steps of overlapped device control by hand, on plain Win32, beside the same calls made with this crate.
//!
//! `cargo run -p overlapped --example five_steps`; it needs Windows, or Wine. It runs on a named pipe, whose driver
//! ends calls in each of the five ways a driver can:
//!
//! | outcome                          | DeviceIoControl    | is a packet due? | who frees the OVERLAPPED |
//! |----------------------------------|--------------------|------------------|--------------------------|
//! | success at once                  | TRUE               | yes              | the callback             |
//! | warning at once                  | FALSE, not 997     | **yes**          | the callback             |
//! | failure at once                  | FALSE, not 997     | no               | the caller               |
//! | pending                          | FALSE, 997         | yes              | the callback             |
//! | pending, but completed meanwhile | FALSE, 997         | it came already  | the callback             |
//!
//! The recipe that is usually published frees the OVERLAPPED whenever the call fails with anything but 997. After a
//! warning the packet then uses freed memory.

#[cfg(windows)]
mod by_hand {
    use std::cell::UnsafeCell;
    use std::ffi::c_void;
    use std::os::windows::io::{AsRawHandle, OwnedHandle};
    use std::ptr::{null, null_mut};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc::{self, Receiver, Sender};

    use windows_sys::Win32::Foundation::{
        ERROR_IO_PENDING, ERROR_SUCCESS, GetLastError, RtlNtStatusToDosError, STATUS_PENDING,
    };
    use windows_sys::Win32::System::IO::{DeviceIoControl, OVERLAPPED};
    use windows_sys::Win32::System::Threading::{
        CancelThreadpoolIo, CloseThreadpoolIo, CreateThreadpoolIo, PTP_CALLBACK_INSTANCE, PTP_IO, StartThreadpoolIo,
    };

    /// Operations that are not freed. At the end it is 0; more means that one leaked, less that one was freed twice.
    pub(crate) static ALIVE: AtomicIsize = AtomicIsize::new(0);
    /// How many operations were complete before DeviceIoControl returned "pending".
    pub(crate) static OVERTAKEN: AtomicUsize = AtomicUsize::new(0);

    /// A Win32 error, 0 for none, and the bytes that are valid.
    pub(crate) type Outcome = (u32, Vec<u8>);

    /// Step 4: the OVERLAPPED, both buffers and the sender of the result, which must all outlive the operation, at
    /// fixed addresses. It has two owners: the packet, and `control` until that knows whether a packet is due.
    #[repr(C)] // The OVERLAPPED comes first, so that it has the address of the whole.
    struct Operation {
        /// The kernel writes here while a thread may read.
        overlapped: UnsafeCell<OVERLAPPED>,
        input: Box<[u8]>,
        output: UnsafeCell<Box<[u8]>>,
        done: Sender<Outcome>,
    }

    // SAFETY: the kernel's fields are read as it may write them, or when it is done; the buffers stay untouched until
    // then.
    unsafe impl Send for Operation {}
    // SAFETY: as above.
    unsafe impl Sync for Operation {}

    impl Operation {
        /// The NTSTATUS; STATUS_PENDING until the operation ends, and for ever if it fails at once.
        fn status(&self) -> i32 {
            // SAFETY: the field is alive as long as `self`; the kernel may write it meanwhile, hence volatile.
            unsafe { (&raw const (*self.overlapped.get()).Internal).read_volatile() as i32 }
        }
    }

    impl Drop for Operation {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, SeqCst);
        }
    }

    /// A handle that is bound to the system's thread pool.
    pub(crate) struct Device {
        handle: OwnedHandle,
        io: PTP_IO,
    }

    impl Device {
        /// Step 3. The caller has done steps 1 and 2: it opened the handle with FILE_FLAG_OVERLAPPED.
        pub(crate) fn bind(handle: OwnedHandle) -> Self {
            // SAFETY: the handle is open; neither a context nor an environment is given.
            let io = unsafe { CreateThreadpoolIo(handle.as_raw_handle(), Some(completed), null_mut(), null()) };
            // SAFETY: no preconditions. 87: the handle is not overlapped, or is bound already.
            assert_ne!(io, 0, "CreateThreadpoolIo: error {}", unsafe { GetLastError() });
            Self { handle, io }
        }

        /// Steps 4 and 5. In each of the five cases the outcome comes through the channel.
        pub(crate) fn control(&self, code: u32, input: &[u8], output_len: usize) -> Receiver<Outcome> {
            let (done, outcome) = mpsc::channel();
            // DeviceIoControl sets this, too; a hard failure does not change it.
            let overlapped = OVERLAPPED { Internal: STATUS_PENDING as usize, ..OVERLAPPED::default() };
            let operation = Arc::new(Operation {
                overlapped: overlapped.into(),
                input: input.into(),
                output: UnsafeCell::new(vec![0; output_len].into()),
                done,
            });
            ALIVE.fetch_add(1, SeqCst);
            let (input, input_len) = (operation.input.as_ptr(), operation.input.len() as u32);
            // SAFETY: nobody else has the buffer yet.
            let output = unsafe { (*operation.output.get()).as_mut_ptr() };
            let packets = Arc::into_raw(operation.clone());
            // Before each operation: its callback may run before DeviceIoControl returns.
            // SAFETY: the pool's object lives as long as `self`.
            unsafe { StartThreadpoolIo(self.io) };
            // Empty buffers are null. The byte count at return means nothing, so do not ask for it.
            // SAFETY: OVERLAPPED and buffers live until both owners are gone.
            let ok = unsafe {
                DeviceIoControl(
                    self.handle.as_raw_handle(),
                    code,
                    if input_len == 0 { null() } else { input.cast() },
                    input_len,
                    if output_len == 0 { null_mut() } else { output.cast() },
                    output_len as u32,
                    null_mut(),
                    packets.cast_mut().cast(),
                )
            };
            // Read the error at once, and only after FALSE: otherwise it belongs to another call.
            // SAFETY: no preconditions.
            let error = if ok == 0 { unsafe { GetLastError() } } else { ERROR_SUCCESS };
            if error == ERROR_IO_PENDING && operation.status() != STATUS_PENDING {
                OVERTAKEN.fetch_add(1, SeqCst);
            }
            let failed = ok == 0 && error != ERROR_IO_PENDING;
            // FALSE without 997 means one of two cases. A warning has written its status, and its packet will come.
            if failed && operation.status() == STATUS_PENDING {
                // A hard failure: no packet comes. Take back the announcement, and the packet's share of the operation.
                // SAFETY: one call for the StartThreadpoolIo above; the packet that will not come owned one count.
                unsafe {
                    CancelThreadpoolIo(self.io);
                    drop(Arc::from_raw(packets));
                }
                let _ = operation.done.send((error, Vec::new()));
            }
            outcome
        }
    }

    /// Handles a packet, on a thread of the pool, perhaps before `control` has returned.
    unsafe extern "system" fn completed(
        _: PTP_CALLBACK_INSTANCE,
        _: *mut c_void,
        overlapped: *mut c_void,
        _error: u32,
        _count: usize,
        _: PTP_IO,
    ) {
        // SAFETY: every OVERLAPPED of this handle is an `Operation` whose one count belongs to its packet.
        let operation = unsafe { Arc::from_raw(overlapped.cast_const().cast::<Operation>()) };
        let status = operation.status();
        // Use the count in the OVERLAPPED: the packet of a call that ended at once may have 0. A driver may claim more
        // bytes than there are; after an error none is valid.
        // SAFETY: the kernel is done with block and buffer, and `control` does not touch them.
        let (claimed, output) = unsafe { ((*operation.overlapped.get()).InternalHigh, &*operation.output.get()) };
        let count = if status as u32 >> 30 == 3 { 0 } else { claimed.min(output.len()) };
        // SAFETY: no preconditions.
        let error = unsafe { RtlNtStatusToDosError(status) };
        let _ = operation.done.send((error, output[..count].to_vec()));
    }

    impl Drop for Device {
        fn drop(&mut self) {
            // If operations were in flight, this would first call CancelIoEx and wait for every callback. Here none is.
            // SAFETY: the object is ours, and this is its end.
            unsafe { CloseThreadpoolIo(self.io) };
        }
    }
}

#[cfg(windows)]
mod with_this_crate {
    use overlapped::{CtlCode, Device, Error, ErrorCode, Ioctl};

    use super::by_hand::Outcome;
    use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, ERROR_SUCCESS, RtlNtStatusToDosError};

    /// Steps 4 and 5. `Device::open` does steps 1 to 3; for the pipe of this example `Device::from_handle` does.
    pub(crate) fn control(device: &Device, code: u32, input: &[u8], output_len: usize) -> overlapped::Call<[u8]> {
        // SAFETY: the pipe's codes read their input and write to their output, and hold no addresses.
        let ioctl: Ioctl<[u8], [u8]> = unsafe { Ioctl::slice(CtlCode::from_u32(code), output_len) };
        device.call(ioctl, input)
    }

    /// The result in the same form as by hand, to compare both.
    pub(crate) fn outcome(result: Result<overlapped::Reply<[u8]>, Error>) -> Outcome {
        match result {
            Ok(reply) => (if reply.more_data() { ERROR_MORE_DATA } else { ERROR_SUCCESS }, reply.to_vec()),
            Err(error) => {
                let Some(ErrorCode::Status(status)) = error.code() else { panic!("{error}") };
                // SAFETY: no preconditions.
                (unsafe { RtlNtStatusToDosError(status.to_u32() as i32) }, Vec::new())
            }
        }
    }
}

#[cfg(windows)]
mod pipe {
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
    use std::ptr::{null, null_mut};

    use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
    use windows_sys::Win32::Storage::FileSystem::{
        CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, PIPE_ACCESS_DUPLEX, ReadFile,
        WriteFile,
    };
    use windows_sys::Win32::System::Pipes::{
        CreateNamedPipeW, PIPE_READMODE_MESSAGE, PIPE_TYPE_MESSAGE, SetNamedPipeHandleState,
    };

    // FSCTL_PIPE_LISTEN, _PEEK and _TRANSCEIVE, of `ntifs.h`.
    pub(crate) const LISTEN: u32 = 0x0011_0008;
    pub(crate) const PEEK: u32 = 0x0011_400c;
    pub(crate) const TRANSCEIVE: u32 = 0x0011_c017;
    /// No driver knows it.
    pub(crate) const UNKNOWN: u32 = 0x0022_2000;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().chain([0]).collect()
    }

    /// Steps 1 and 2: the server's end of a pipe, overlapped.
    pub(crate) fn server(name: &str) -> OwnedHandle {
        let (open, mode) =
            (PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
        let name = wide(name);
        // SAFETY: the name ends in NUL and lives through the call.
        let handle =
            unsafe { CreateNamedPipeW(name.as_ptr(), open | FILE_FLAG_OVERLAPPED, mode, 1, 4096, 4096, 0, null()) };
        assert_ne!(handle, INVALID_HANDLE_VALUE);
        // SAFETY: the handle is new and ours.
        unsafe { OwnedHandle::from_raw_handle(handle) }
    }

    /// The client's end, which simulates the hardware.
    pub(crate) struct Client(OwnedHandle);

    impl Client {
        pub(crate) fn connect(name: &str) -> Self {
            let name = wide(name);
            // SAFETY: the name ends in NUL and lives through the call.
            let handle = unsafe { CreateFileW(name.as_ptr(), 0xc000_0000, 0, null(), OPEN_EXISTING, 0, null_mut()) };
            assert_ne!(handle, INVALID_HANDLE_VALUE);
            // SAFETY: the handle is open, and then new and ours.
            unsafe {
                SetNamedPipeHandleState(handle, &PIPE_READMODE_MESSAGE, null(), null());
                Self(OwnedHandle::from_raw_handle(handle))
            }
        }

        pub(crate) fn write(&self, bytes: &[u8]) {
            let mut count = 0;
            // SAFETY: a synchronous handle: the bytes and the count live through the call.
            let ok = unsafe {
                WriteFile(self.0.as_raw_handle(), bytes.as_ptr(), bytes.len() as u32, &mut count, null_mut())
            };
            assert_ne!(ok, 0);
        }

        pub(crate) fn read(&self) -> Vec<u8> {
            let (mut bytes, mut count) = (vec![0; 256], 0);
            // SAFETY: as above.
            let ok = unsafe { ReadFile(self.0.as_raw_handle(), bytes.as_mut_ptr(), 256, &mut count, null_mut()) };
            assert_ne!(ok, 0);
            bytes.truncate(count as usize);
            bytes
        }
    }
}

/// Makes calls on one pipe that end in the five ways. `control` submits, and returns a function that waits for the
/// outcome.
#[cfg(windows)]
fn five_outcomes<W: FnOnce() -> by_hand::Outcome>(
    pipe: &str,
    control: impl Fn(u32, &[u8], usize) -> W,
) -> [(&'static str, by_hand::Outcome); 5] {
    let listen = control(pipe::LISTEN, &[], 0);
    let client = pipe::Client::connect(pipe);
    let pending = listen();
    // The client answers at once: often before the call has returned.
    let echo = std::thread::spawn(move || {
        for _ in 0..100 {
            client.write(&client.read());
        }
        client
    });
    let overtaken = (0..100).map(|_| control(pipe::TRANSCEIVE, b"echo", 64)()).last().expect("there is a last one");
    let client = echo.join().expect("the client does not fail");
    client.write(b"0123456789");
    // 16 bytes about the pipe, then as much of the waiting message as fits.
    let success = control(pipe::PEEK, &[], 64)();
    let warning = control(pipe::PEEK, &[], 20)();
    let failure = control(pipe::UNKNOWN, &[], 0)();
    [
        ("success at once", success),
        ("warning at once", warning),
        ("failure at once", failure),
        ("pending", pending),
        ("pending, perhaps overtaken", overtaken),
    ]
}

#[cfg(windows)]
fn main() {
    use std::sync::atomic::Ordering::SeqCst;

    let name = |whose| format!(r"\\.\pipe\five-steps-{whose}-{}", std::process::id());
    let by_hand = {
        let name = name("by-hand");
        let device = by_hand::Device::bind(pipe::server(&name));
        five_outcomes(&name, |code, input, output_len| {
            let outcome = device.control(code, input, output_len);
            move || outcome.recv().expect("an outcome is always sent")
        })
    };
    let with_this_crate = {
        let name = name("with-this-crate");
        let device = overlapped::Device::from_handle(pipe::server(&name)).expect("the handle is overlapped");
        five_outcomes(&name, |code, input, output_len| {
            let call = with_this_crate::control(&device, code, input, output_len);
            move || with_this_crate::outcome(call.wait())
        })
    };

    println!("{:<28}{:>7}  {:<34}the same with the crate?", "outcome", "error", "bytes, after 16 about the pipe");
    for ((case, hand), (_, crate_s)) in by_hand.iter().zip(&with_this_crate) {
        let text = String::from_utf8_lossy(hand.1.get(16..).unwrap_or(&hand.1));
        println!("{case:<28}{:>7}  {text:<34}{}", hand.0, if hand == crate_s { "yes" } else { "NO" });
        assert_eq!(hand, crate_s);
    }
    // The callback sends the result before it frees the operation.
    while by_hand::ALIVE.load(SeqCst) > 0 {
        std::thread::yield_now();
    }
    println!("{} of 100 were complete before they were said to be pending", by_hand::OVERTAKEN.load(SeqCst));
    println!("every OVERLAPPED was freed once");
    assert_eq!(by_hand::ALIVE.load(SeqCst), 0);
}

#[cfg(not(windows))]
fn main() {
    println!("five_steps calls Win32 by hand: it needs Windows, or Wine");
}

#[test]
fn five_steps_by_hand_do_what_the_crate_does() {
    main();
}
