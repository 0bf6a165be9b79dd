//! The words of a text file, in the memory of one buffer.

use std::collections::VecDeque;
use std::io::{self, Read};

/// How many bytes to read at once.
const PORTION: usize = 256 << 10;
/// The longest word in bytes. A value may have so many digits.
const LONGEST: usize = 1 << 20;

/// Splits a file at white space: all characters up to the blank in the character table.
pub(crate) struct Text {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The bytes from here to `end` are read and not used yet.
    at: usize,
    end: usize,
    /// The end of the last word that is complete: something follows it, or it is the last of the file.
    words_end: usize,
    is_over: bool,
    /// The line of the next character, from 1.
    line: u64,
    /// The last word: its place, its line, and what was before it.
    word: Word,
    /// Whether the next word is the first of its line.
    is_line_new: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Word {
    start: usize,
    end: usize,
    line: u64,
    is_first_of_line: bool,
    /// It reaches to the end of the file.
    is_last: bool,
}

impl Text {
    pub(crate) fn new(source: Box<dyn Read + Send>) -> Self {
        let buffer = vec![0; PORTION];
        Self {
            source,
            buffer,
            at: 0,
            end: 0,
            words_end: 0,
            is_over: false,
            line: 1,
            word: Word::default(),
            is_line_new: true,
        }
    }

    /// Goes to the next word, which is then the last word. Returns whether there is one.
    #[inline]
    pub(crate) fn next(&mut self) -> io::Result<bool> {
        let mut start = self.at;
        let mut is_first_of_line = std::mem::replace(&mut self.is_line_new, false);
        loop {
            while start < self.end && self.buffer[start] <= b' ' {
                if self.buffer[start] == b'\n' {
                    self.line += 1;
                    is_first_of_line = true;
                }
                start += 1;
            }
            if start < self.end {
                break;
            }
            self.at = start;
            if !self.more()? {
                let is_last = self.word.is_last;
                self.word = Word { start: self.at, end: self.at, line: self.line, is_last, ..Word::default() };
                return Ok(false);
            }
            start = self.at;
        }
        let mut end = start;
        let is_last = loop {
            match self.buffer[end..self.end].iter().position(|&byte| byte <= b' ') {
                Some(length) => {
                    end += length;
                    break false;
                }
                None => {
                    let length = self.end - start;
                    self.at = start;
                    if length > LONGEST {
                        let message = format!("a word of more than {LONGEST} bytes");
                        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                    }
                    let is_over = !self.more()?;
                    start = self.at;
                    end = start + length;
                    if is_over {
                        break true;
                    }
                }
            }
        };
        self.at = end;
        self.word = Word { start, end, line: self.line, is_first_of_line, is_last };
        Ok(true)
    }

    /// Reads more, and moves unused bytes to the front. Returns whether there was anything.
    #[cold]
    fn more(&mut self) -> io::Result<bool> {
        if self.is_over {
            return Ok(false);
        }
        self.buffer.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        if self.buffer.len() - self.end < PORTION / 2 {
            self.buffer.resize(self.end + PORTION, 0);
        }
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    self.is_over = read == 0;
                    let here = &self.buffer[..self.end];
                    let whole = here.iter().rposition(|&byte| byte <= b' ').unwrap_or(0);
                    let last = here[..whole].iter().rposition(|&byte| byte > b' ');
                    self.words_end = last.map_or(0, |last| last + 1);
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The last word; empty if there was none.
    pub(crate) fn last(&self) -> &[u8] {
        &self.buffer[self.word.start..self.word.end]
    }

    /// Makes the last word come again.
    pub(crate) fn back(&mut self) {
        self.at = self.word.start;
        self.line = self.word.line;
        self.is_line_new = self.word.is_first_of_line;
    }

    /// The line of the last word, or of the end.
    pub(crate) fn line(&self) -> u64 {
        self.word.line
    }

    /// Whether only white space is before the last word on its line.
    pub(crate) fn is_first_of_line(&self) -> bool {
        self.word.is_first_of_line
    }

    /// Whether a complete word is in the buffer.
    pub(crate) fn has_word(&self) -> bool {
        self.at < self.words_end || self.is_over
    }

    /// Whether nothing is left.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over && self.at == self.end
    }

    /// Whether the last word reaches to the end of the file: it may be cut off.
    pub(crate) fn is_last(&self) -> bool {
        self.word.is_last
    }
}

/// Decodes UTF-8, or else Latin-1.
pub(crate) fn decoded(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// Returns the first bytes of a file, at most 16, and a source that reads them again.
pub(crate) fn peek(mut source: Box<dyn Read + Send>) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut first = Vec::new();
    source.by_ref().take(16).read_to_end(&mut first)?;
    let again = io::Cursor::new(first.clone()).chain(source);
    Ok((first, Box::new(again)))
}

/// The text of a file in UTF-8 or Latin-1: without a byte order mark, and converted from UTF-16.
pub(crate) fn plain(source: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let (first, mut source) = peek(source)?;
    let mut skip = |length: usize| source.read_exact(&mut [0; 3][..length]);
    let is_big = match first[..] {
        [0xef, 0xbb, 0xbf, ..] => return skip(3).map(|()| source),
        [0xff, 0xfe, ..] => skip(2).map(|()| false)?,
        [0xfe, 0xff, ..] => skip(2).map(|()| true)?,
        [1..=255, 0, 1..=255, 0, ..] => false,
        [0, 1..=255, 0, 1..=255, ..] => true,
        _ => return Ok(source),
    };
    Ok(Box::new(Utf16 { source, is_big, bytes: Vec::new(), text: VecDeque::new() }))
}

/// UTF-16 read as UTF-8.
struct Utf16 {
    source: Box<dyn Read + Send>,
    is_big: bool,
    /// The bytes that are left from the last read: less than a character.
    bytes: Vec<u8>,
    /// UTF-8 that nobody has read yet.
    text: VecDeque<u8>,
}

impl Read for Utf16 {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.text.is_empty() {
            let kept = self.bytes.len();
            self.bytes.resize(PORTION / 4, 0);
            let read = self.source.read(&mut self.bytes[kept..]);
            self.bytes.truncate(kept + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Ok(0);
            }
            let unit = if self.is_big { u16::from_be_bytes } else { u16::from_le_bytes };
            let mut units: Vec<_> = self.bytes.as_chunks().0.iter().copied().map(unit).collect();
            // The first half of a character waits for the second.
            units.pop_if(|last| (0xd800..0xdc00).contains(last));
            self.bytes.drain(..2 * units.len());
            let characters = char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER));
            self.text.extend(characters.collect::<String>().into_bytes());
        }
        self.text.read(into)
    }
}
