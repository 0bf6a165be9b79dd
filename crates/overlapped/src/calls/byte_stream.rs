//! A device as a stream of bytes, for code that takes the `AsyncRead` and `AsyncWrite` of futures-io.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use crate::{Call, Device, Error, ErrorCode, Reply, Status};

/// The most bytes in one read or write. A slot keeps a buffer of this size.
const MOST: usize = 64 << 10;

/// After this many reads in a row that brought no bytes, the reader yields.
const BUDGET: u32 = 32;

/// A pipe, a serial port, a terminal or a socket for code that takes an `AsyncRead` or an `AsyncWrite`: framing, TLS,
/// `futures::io::copy`. It needs the feature `futures-io`. For tokio's traits, wrap it in `tokio_util::compat`.
///
/// It keeps at most one read and one write in flight.
///
/// **Reading.** Zero bytes mean the end and nothing else: the driver said [`Status::END_OF_FILE`], or the other end of
/// a pipe is gone. Empty items are skipped. A read asks for as many bytes as the caller's buffer has room for, at most
/// 64 KiB. Dropping the future of a read loses nothing: the read goes on, and the next read gets its bytes, as many as
/// fit. When the stream is dropped, bytes that it has and nobody took go to the device's next read. For a HID, use a
/// buffer of exactly the length of its report.
///
/// **Writing.** A write copies the bytes and returns; the next write waits until they are written. So a write that was
/// dropped took nothing, and you can try again with other bytes. If writing the copied bytes fails, the next write,
/// flush or close returns the error. **Flush before you drop the stream**: dropping cancels.
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
    /// The bytes of a read, and how many of them the caller has taken.
    rest: Option<(Reply<[u8]>, usize)>,
    write: Option<Call<()>>,
    /// Bytes that were accepted; those from `written` on are not written yet. The memory is used again for the next
    /// write.
    taken: Vec<u8>,
    written: usize,
}

impl ByteStream {
    /// A stream over this device. Other readers of the device get other bytes.
    #[must_use]
    pub fn new(device: Device) -> Self {
        Self { device, read: None, rest: None, write: None, taken: Vec::new(), written: 0 }
    }

    /// The device, for its control codes.
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

    /// Waits until the accepted bytes are written. After an error, drops the rest.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let end = ready!(self.poll_parts(cx));
        self.taken.clear();
        self.written = 0;
        Poll::Ready(end)
    }

    fn poll_parts(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.taken.len() {
            let (device, left) = (&self.device, &self.taken[self.written..]);
            let call = self.write.get_or_insert_with(|| device.write(left));
            let ended = ready!(Pin::new(call).poll(cx));
            self.write = None;
            let written = ended?.information().min(left.len());
            self.written += written;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether the other end of a pipe is gone, which is the end for a reader.
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
            // Submit now: perhaps nobody polls again.
            this.write = Some(this.device.write(&this.taken));
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_written(cx)
    }

    /// Flushes. Dropping the stream closes the handle.
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
