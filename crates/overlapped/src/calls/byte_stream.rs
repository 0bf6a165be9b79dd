//! A device as a stream of bytes, for what is written against `AsyncRead` and `AsyncWrite` of futures-io.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use crate::{Call, Device, Error, ErrorCode, Reply, Status};

/// No more than this goes into one read or write, in bytes: so much memory stays with a slot.
const MOST: usize = 64 << 10;

/// After so many reads in a row that brought nothing the reader yields.
const BUDGET: u32 = 32;

/// A pipe, a serial port, a terminal or a socket for code that takes an `AsyncRead` or an `AsyncWrite`: framing, TLS,
/// `futures::io::copy`. By the feature `futures-io`; for tokio's traits wrap it in `tokio_util::compat`.
///
/// It keeps at most one read and one write in flight.
///
/// **Reading.** Zero is the end and nothing else: the driver said [`Status::END_OF_FILE`], or the other end of a pipe
/// is gone. Items without bytes are passed over. A read asks for as many bytes as the caller's buffer has room for, 64
/// KiB at most; a future of a read that is dropped loses nothing, since the read goes on and the next one gets its
/// bytes, or what of them there is room for. What it had and nobody took goes to the device's next read when it is
/// dropped. A HID wants a buffer of exactly its report's length.
///
/// **Writing.** A write takes a copy of the bytes and returns; the next one waits until they are written. So a write
/// that was given up took nothing, and can be tried again with other bytes. What goes wrong with bytes that were taken
/// is told by the next write, flush or close: **flush before you drop it**, since dropping cancels.
///
/// ```
/// # use std::io;
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use overlapped::{ByteStream, Device};
///
/// async fn ask(port: Device) -> io::Result<[u8; 4]> {
///     let mut port = ByteStream::new(port);
///     port.write_all(b"*IDN?\n").await?;
///     port.flush().await?;
///     let mut answer = [0; 4];
///     port.read_exact(&mut answer).await?;
///     Ok(answer)
/// }
/// ```
///
/// For tokio:
///
/// ```
/// use overlapped::{ByteStream, Device};
/// use tokio::io::AsyncBufReadExt;
/// use tokio_util::compat::FuturesAsyncReadCompatExt;
///
/// async fn first_line(port: Device) -> std::io::Result<Option<String>> {
///     tokio::io::BufReader::new(ByteStream::new(port).compat()).lines().next_line().await
/// }
/// ```
pub struct ByteStream {
    device: Device,
    read: Option<Call<[u8]>>,
    /// What a read brought, and how many bytes of it were taken.
    rest: Option<(Reply<[u8]>, usize)>,
    write: Option<Call<()>>,
    /// What was taken and is not written yet: the bytes from `written` on. The memory stays for the next.
    taken: Vec<u8>,
    written: usize,
}

impl ByteStream {
    /// A stream over this device. Others who read it get other bytes.
    #[must_use]
    pub fn new(device: Device) -> Self {
        Self { device, read: None, rest: None, write: None, taken: Vec::new(), written: 0 }
    }

    /// The device: for its control codes.
    ///
    /// ```
    /// # fn example(stream: &overlapped::ByteStream) {
    /// println!("{}", stream.device().name());
    /// # }
    /// ```
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Waits until what was taken is written.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.taken.len() {
            let (device, left) = (&self.device, &self.taken[self.written..]);
            let call = self.write.get_or_insert_with(|| device.write(left));
            let ended = ready!(Pin::new(call).poll(cx));
            self.write = None;
            let written = match ended {
                Ok(reply) => reply.information().min(left.len()),
                Err(error) => {
                    self.taken.clear();
                    self.written = 0;
                    return Poll::Ready(Err(error.into()));
                }
            };
            self.written += written;
            if written == 0 {
                self.taken.clear();
                self.written = 0;
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        self.taken.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

/// The other end of a pipe is gone: for a reader that is the end.
fn is_end(error: &Error) -> bool {
    error.code() == Some(ErrorCode::Status(Status::PIPE_BROKEN))
}

impl AsyncRead for ByteStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        for _ in 0..BUDGET {
            if let Some((reply, taken)) = &mut this.rest {
                let left = &reply[*taken..];
                let count = left.len().min(buffer.len());
                buffer[..count].copy_from_slice(&left[..count]);
                *taken += count;
                if *taken == reply.len() {
                    this.rest = None;
                }
                return Poll::Ready(Ok(count));
            }
            let device = &this.device;
            let call = this.read.get_or_insert_with(|| device.read(buffer.len().min(MOST)));
            let ended = ready!(Pin::new(call).poll(cx));
            this.read = None;
            match ended {
                Ok(reply) if reply.is_end() => return Poll::Ready(Ok(0)),
                Ok(reply) if reply.is_empty() => {}
                Ok(reply) => this.rest = Some((reply, 0)),
                Err(error) if is_end(&error) => return Poll::Ready(Ok(0)),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_written(cx))?;
        let count = bytes.len().min(MOST);
        this.taken.extend_from_slice(&bytes[..count]);
        if count > 0 {
            // Submitted now: nobody may ever poll again.
            this.write = Some(this.device.write(&this.taken));
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_written(cx)
    }

    /// Flushes. The handle is closed by dropping the stream.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_written(cx)
    }
}

impl Drop for ByteStream {
    fn drop(&mut self) {
        if let Some((reply, taken)) = self.rest.take() {
            reply.give_back(&self.device.inner, taken);
        }
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").field("device", &self.device).finish_non_exhaustive()
    }
}
