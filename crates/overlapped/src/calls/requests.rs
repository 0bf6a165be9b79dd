//! The requests to a device: control codes, reads, writes, and readiness.

use crate::device::Device;
use crate::operation::slab::{WHOLE, What};
use crate::{Call, Input, Ioctl, Operation, Output};

impl Device {
    /// Submits a control code at once: when this returns, the driver has it. The [`Call`] gives the answer: `.await`
    /// it, or [`wait`](Call::wait) for it. The input is copied.
    ///
    /// ```
    /// # use overlapped::{sim, Access, CtlCode, Device, Ioctl, Method, Status};
    /// // SAFETY: card.h: reads one ULONG, the mask; writes one ULONG, the levels.
    /// const LEVELS: Ioctl<u32, u32> =
    ///     unsafe { Ioctl::new(CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read)) };
    /// # let card = Device::simulated(sim::from_fn(|mut request| {
    /// #     let mask = request.input().to_vec();
    /// #     request.write(&mask);
    /// #     request.complete(Status::SUCCESS)
    /// # }))?;
    /// let first = card.call(LEVELS, &0x00ff); // both are in the driver now
    /// let second = card.call(LEVELS, &0xff00);
    /// assert_eq!(*second.wait()? & 0x00ff, 0);
    /// assert_eq!(*first.wait()? & 0xff00, 0);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// All from the call, those of the submission too: [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for
    /// more than `u32::MAX` bytes, [`ErrorKind::Other`](crate::ErrorKind::Other) when there is no memory for the
    /// buffers, and the driver's error if it fails at once.
    pub fn call<In: Input + ?Sized, Out: Output + ?Sized>(&self, ioctl: Ioctl<In, Out>, input: &In) -> Call<Out> {
        self.submit(Operation::Control(ioctl.code()), input.as_bytes(), ioctl.output_len())
    }

    /// Reads at most `len` bytes from a stream: a pipe, a serial port, a device without offsets. Ask
    /// [`Reply::is_end`](crate::Reply::is_end) for the end: an empty read alone is not the end, since a message may be
    /// empty. If a read of this device was given up and still brought bytes, they come first. For a HID, ask for
    /// exactly the length of its report.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # async fn example(port: &Device) -> Result<(), Error> {
    /// let reply = port.read(64).await?;
    /// if reply.is_end() {
    ///     println!("the end");
    /// } else {
    ///     println!("{:?}", &*reply);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`call`](Self::call); [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected) when the other end of a
    /// pipe is gone.
    pub fn read(&self, len: usize) -> Call<[u8]> {
        self.submit(Operation::Read { offset: None }, &[], u32::try_from(len).ok())
    }

    /// Reads at most `len` bytes of a file or disk, from `offset` on. Ask [`Reply::is_end`](crate::Reply::is_end) for
    /// the end.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # fn example(disk: &Device) -> Result<(), Error> {
    /// let [boot, second] = [0, 512].map(|offset| disk.read_at(offset, 512)); // both at once
    /// assert_eq!(boot.wait()?[510..], [0x55, 0xaa]);
    /// # second.wait()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_at(&self, offset: u64, len: usize) -> Call<[u8]> {
        self.submit(Operation::Read { offset: Some(offset) }, &[], u32::try_from(len).ok())
    }

    /// Writes to a stream. The bytes are copied; [`Reply::information`](crate::Reply::information) says how many were
    /// written. A pipe, a serial port, a terminal or a stream socket takes all of them, unless the call is cancelled or
    /// times out when a part is written. Writes are made in the order of submission, each as a whole: the bytes of
    /// several tasks do not mix. A file with its own driver, or a socket of messages, may take fewer and say so.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # fn example(port: &Device) -> Result<(), Error> {
    /// let written = port.write(b"ATZ\r").wait()?.information();
    /// assert_eq!(written, 4);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&self, bytes: &[u8]) -> Call<()> {
        self.submit(Operation::Write { offset: None }, bytes, Some(0))
    }

    /// As [`write`](Self::write), but it is an error if fewer bytes than all are taken. The rest is not offered again:
    /// the driver, or the device, may have taken the part for a whole message.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # async fn example(port: &Device) -> Result<(), Error> {
    /// port.write_all(b"ATZ\r").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`write`](Self::write); and [`ErrorKind::Truncated`](crate::ErrorKind::Truncated), whose message says how
    /// many bytes were taken.
    pub fn write_all(&self, bytes: &[u8]) -> Call<()> {
        self.submit(Operation::Write { offset: None }, bytes, Some(WHOLE))
    }

    /// Writes to a file or disk, from `offset` on.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # fn example(disk: &Device, sector: &[u8; 512]) -> Result<(), Error> {
    /// let written = disk.write_at(7 * 512, sector).wait()?.information();
    /// assert_eq!(written, sector.len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Call<()> {
        self.submit(Operation::Write { offset: Some(offset) }, bytes, Some(0))
    }

    #[inline(always)]
    pub(crate) fn submit<Out: Output + ?Sized>(
        &self,
        what: Operation,
        input: &[u8],
        output_len: Option<u32>,
    ) -> Call<Out> {
        self.submit_packed(What::of(what), input, output_len)
    }

    fn submit_packed<Out: Output + ?Sized>(&self, what: What, input: &[u8], output_len: Option<u32>) -> Call<Out> {
        match self.inner.submit(what, input, output_len, None) {
            Err(error) => Call::refused(error, self.inner.inner.clone()),
            Ok(submitted) => Call::submitted(self.inner.clone(), submitted.published(&self.inner.port)),
        }
    }

    /// Waits until a read would not block, and reads nothing (EPOLLIN). Use it for files that only have readiness, like
    /// a process (pidfd) or a listening socket, and for files that somebody else reads. A hang-up or an error completes
    /// it too, since a read then says which it is. A file that never blocks is ready at once.
    ///
    /// ```
    /// use overlapped::Device;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (reader, mut writer) = std::io::pipe()?;
    /// let reader = Device::from_fd(reader)?;
    /// let readable = reader.readable(); // pending
    /// std::io::Write::write_all(&mut writer, b"hello")?;
    /// readable.wait()?;
    /// assert_eq!(&*reader.read(64).wait()?, b"hello"); // it took nothing
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// From the call: for a simulated device the error of its [driver](crate::sim::Driver::ready), which is
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for most.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn readable(&self) -> Call<()> {
        self.when_ready(crate::words::linux::Interest::Readable)
    }

    /// Waits until a write would not block, and writes nothing (EPOLLOUT); otherwise like [`readable`](Self::readable).
    ///
    /// ```
    /// # use overlapped::Device;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (_reader, writer) = std::io::pipe()?;
    /// Device::from_fd(writer)?.writable().wait()?; // there is room
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`readable`](Self::readable).
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn writable(&self) -> Call<()> {
        self.when_ready(crate::words::linux::Interest::Writable)
    }

    /// Waits until something urgent or exceptional has happened (EPOLLPRI), and takes nothing; otherwise like
    /// [`readable`](Self::readable). Attributes of /sys report a change in this way (read them once before, and again
    /// after, at offset 0), and so do mount tables, pressure (PSI) triggers, and V4L2 events.
    ///
    /// An event that happens while nobody waits completes the next call. A call may also complete once without a cause:
    /// check before you rely on it.
    ///
    /// ```no_run
    /// # use overlapped::{Device, Error};
    /// # async fn example() -> Result<(), Error> {
    /// let memory = Device::open("/proc/pressure/memory")?;
    /// memory.write(b"some 150000 2000000\0").await?; // 150 ms in any two seconds
    /// loop {
    ///     memory.priority().await?;
    ///     println!("memory is short");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`readable`](Self::readable).
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn priority(&self) -> Call<()> {
        self.when_ready(crate::words::linux::Interest::Priority)
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    fn when_ready(&self, interest: crate::words::linux::Interest) -> Call<()> {
        self.submit(Operation::Ready { interest }, &[], Some(0))
    }
}
