//! The server of a named pipe, without a thread for each client: FSCTL_PIPE_LISTEN is a control code that pends until a
//! client connects.
//!
//! `cargo run -p overlapped --example pipe_listen`; it needs Windows, or Wine. It is its own client.

#[cfg(windows)]
mod server {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::windows::io::{FromRawHandle, OwnedHandle};
    use std::ptr::null;
    use std::thread;
    use std::time::Duration;

    use overlapped::{Access, CtlCode, Device, ErrorCode, Ioctl, Method, Status};
    use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
    use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_OVERLAPPED, PIPE_ACCESS_DUPLEX};
    use windows_sys::Win32::System::Pipes::{CreateNamedPipeW, PIPE_TYPE_BYTE, PIPE_UNLIMITED_INSTANCES};

    // SAFETY: FSCTL_PIPE_LISTEN (`ntifs.h`) has neither input nor output.
    const LISTEN: Ioctl<(), ()> =
        unsafe { Ioctl::new(CtlCode::new(CtlCode::NAMED_PIPE, 2, Method::Buffered, Access::Any)) };
    // SAFETY: FSCTL_PIPE_DISCONNECT has neither.
    const DISCONNECT: Ioctl<(), ()> =
        unsafe { Ioctl::new(CtlCode::new(CtlCode::NAMED_PIPE, 1, Method::Buffered, Access::Any)) };

    /// STATUS_PIPE_CONNECTED (`ntstatus.h`).
    const PIPE_CONNECTED: Status = Status::from_u32(0xc000_00b2);

    type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

    /// One instance of the pipe, for one client at a time.
    fn instance(name: &str) -> Result<Device> {
        let wide: Vec<u16> = name.encode_utf16().chain([0]).collect();
        let (open, instances) = (PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_UNLIMITED_INSTANCES);
        // SAFETY: the name ends in NUL and lives through the call.
        let handle = unsafe { CreateNamedPipeW(wide.as_ptr(), open, PIPE_TYPE_BYTE, instances, 4096, 4096, 0, null()) };
        if handle == INVALID_HANDLE_VALUE {
            return Err(std::io::Error::last_os_error().into());
        }
        // SAFETY: the handle is new and ours.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        Ok(Device::from_handle(handle)?)
    }

    /// Serves this many clients on one instance.
    async fn serve(pipe: Device, clients: usize) -> Result<()> {
        for _ in 0..clients {
            match pipe.call(LISTEN, &()).timeout(Duration::from_secs(10)).await {
                Ok(_) => {}
                // The client connected before the call: this "failure" is a success.
                Err(error) if error.code() == Some(ErrorCode::Status(PIPE_CONNECTED)) => {}
                Err(error) => return Err(error.into()),
            }
            let question = pipe.read(64).await?;
            let answer = String::from_utf8_lossy(&question).to_uppercase();
            pipe.write(answer.as_bytes()).await?;
            // Wait until the client has read everything and closed its end: disconnecting would discard unread bytes.
            while pipe.read(64).await.is_ok() {}
            pipe.call(DISCONNECT, &()).await?;
        }
        Ok(())
    }

    pub(super) fn run() -> Result<()> {
        const INSTANCES: usize = 3;
        let name = format!(r"\\.\pipe\pipe-listen-{}", std::process::id());
        let serving: Result<Vec<_>> = (0..INSTANCES).map(|_| Ok(serve(instance(&name)?, 1))).collect();
        let clients: Vec<_> = (0..INSTANCES)
            .map(|number| {
                let name = name.clone();
                thread::spawn(move || -> std::io::Result<String> {
                    let mut pipe = File::options().read(true).write(true).open(name)?;
                    // In one write: `write!` would write each piece alone, and the server would answer the first.
                    pipe.write_all(format!("hello from client {number}").as_bytes())?;
                    let mut answer = [0; 64];
                    let count = pipe.read(&mut answer)?;
                    Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
                })
            })
            .collect();
        // This one thread serves all instances. Any other executor could do it, too.
        for served in futures::executor::block_on(futures::future::join_all(serving?)) {
            served?;
        }
        for client in clients {
            println!("{}", client.join().expect("a client does not panic")?);
        }
        Ok(())
    }
}

#[cfg(windows)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    server::run()
}

#[cfg(not(windows))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("pipe_listen serves a named pipe of Windows: it needs Windows, or Wine");
    Ok(())
}

#[test]
fn a_pipe_serves_its_clients() {
    main().unwrap();
}
