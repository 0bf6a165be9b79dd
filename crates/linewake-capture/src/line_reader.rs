//! A byte source, from a file or a pipe, that can look ahead.

use std::io::{self, BufRead, Read};

/// A buffered reader. Bytes can be seen before they are taken, as many as fit in the buffer.
pub(crate) struct LineReader<R> {
    inner: R,
    buffer: Box<[u8]>,
    from: usize,
    until: usize,
    is_over: bool,
}

impl<R: Read> LineReader<R> {
    pub(crate) fn new(inner: R, capacity: usize) -> Self {
        Self { inner, buffer: vec![0; capacity].into_boxed_slice(), from: 0, until: 0, is_over: false }
    }

    /// The bytes in the buffer.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer[self.from..self.until]
    }

    /// Reads once more, after the bytes in the buffer. `false` at the end, and when there is no room.
    pub(crate) fn more(&mut self) -> io::Result<bool> {
        if self.is_over {
            return Ok(false);
        }
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.until, 0);
            (self.from, self.until) = (0, self.until - self.from);
        }
        if self.until == self.buffer.len() {
            return Ok(false);
        }
        let count = loop {
            match self.inner.read(&mut self.buffer[self.until..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.is_over = count == 0;
        self.until += count;
        Ok(count > 0)
    }

    /// At least `count` of the next bytes, or all that are left.
    pub(crate) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.until - self.from < count && self.more()? {}
        Ok(self.buffered())
    }

    /// The length of the next line with its end. For the last line, the bytes that are left; 0 at the end. `None` for a
    /// line of more than `most` bytes.
    pub(crate) fn line(&mut self, most: usize) -> io::Result<Option<usize>> {
        self.line_behind(0, most)
    }

    /// Like [`line`](Self::line), for the line that begins `from` bytes from here.
    pub(crate) fn line_behind(&mut self, from: usize, most: usize) -> io::Result<Option<usize>> {
        let mut searched = from;
        loop {
            let here = self.buffered();
            if let Some(at) = memchr::memchr(b'\n', &here[searched..]) {
                return Ok(Some(searched + at + 1 - from));
            }
            searched = here.len();
            if searched == self.buffer.len() && !self.grow(most) {
                return Ok(None);
            }
            if !self.more()? {
                return Ok(Some(searched - from));
            }
        }
    }

    /// Whether a whole line is here.
    pub(crate) fn has_line(&self) -> bool {
        memchr::memchr(b'\n', self.buffered()).is_some()
    }

    /// The reader below.
    pub(crate) fn inner(&self) -> &R {
        &self.inner
    }

    /// Doubles the room, up to `most`. `false` if it cannot grow.
    pub(crate) fn grow(&mut self, most: usize) -> bool {
        let capacity = (2 * self.buffer.len()).min(most);
        if capacity <= self.buffer.len() {
            return false;
        }
        let mut buffer = vec![0; capacity].into_boxed_slice();
        let kept = self.until - self.from;
        buffer[..kept].copy_from_slice(&self.buffer[self.from..self.until]);
        (self.buffer, self.from, self.until) = (buffer, 0, kept);
        true
    }
}

impl<R: Read> Read for LineReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.from == self.until && into.len() >= self.buffer.len() && !self.is_over {
            return self.inner.read(into);
        }
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for LineReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.from == self.until {
            self.more()?;
        }
        Ok(self.buffered())
    }

    fn consume(&mut self, count: usize) {
        self.from = (self.from + count).min(self.until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, as a pipe may.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1);
            self.0.read(&mut into[..count])
        }
    }

    #[test]
    fn peeked_bytes_can_still_be_taken() {
        let mut source = LineReader::new(Drops(b"abcdef"), 4);
        assert_eq!(source.peek(3).unwrap(), b"abc");
        assert_eq!(source.peek(9).unwrap(), b"abcd", "as much as there is room for");
        source.consume(2);
        assert_eq!(source.peek(4).unwrap(), b"cdef");
        assert!(!source.grow(4) && source.grow(6));
        let mut rest = String::new();
        source.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "cdef");
        assert_eq!(source.peek(1).unwrap(), b"");
    }

    #[test]
    fn a_line_is_found_however_it_comes_and_one_without_an_end_is_not_read_for_ever() {
        let mut source = LineReader::new(Drops(b"ab\n\nlonger than the buffer\nlast"), 4);
        for expected in ["ab\n", "\n", "longer than the buffer\n", "last", ""] {
            let length = source.line(32).unwrap().unwrap();
            assert_eq!(&source.buffered()[..length], expected.as_bytes());
            source.consume(length);
        }
        assert_eq!(LineReader::new(io::repeat(b'x'), 4).line(32).unwrap(), None);
    }
}
