//! Decompression. Gzip members and Zstandard frames one after the other are one stream, as appending and logrotate
//! leave them.

use std::io::{self, BufRead as _, Read};
use std::mem;

use flate2::bufread::GzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::line_reader::LineReader;

/// The content of a stream, whether it is compressed or not. The bytes decide that, and not the file's name.
pub(crate) struct Members<R> {
    at: At<R>,
    /// A member was read to its end.
    has_ended_one: bool,
    /// The bytes end within a member: the disk was full, or the power was lost.
    is_cut: bool,
}

/// The current part of the stream.
enum At<R> {
    /// Between two members, or before the first.
    Between(LineReader<R>),
    Plain(LineReader<R>),
    Gzip(Box<GzDecoder<LineReader<R>>>),
    Zstandard(LineReader<R>, Box<FrameDecoder>),
    /// The end.
    Over,
}

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTANDARD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// How much of a frame is decoded at once.
const PIECE: usize = 1 << 16;
/// An empty last block, and room for a checksum. It ends a frame that was cut, so that its complete blocks are
/// returned.
const LAST_BLOCK: &[u8] = &[1, 0, 0, 0, 0, 0, 0];

impl<R: Read> Members<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { at: At::Between(LineReader::new(from, 1 << 16)), has_ended_one: false, is_cut: false }
    }

    /// Whether the bytes ended within a compressed member.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Begins the next part, by its first bytes.
    fn begin(&mut self, mut source: LineReader<R>) -> io::Result<At<R>> {
        let next = source.peek(ZSTANDARD.len())?;
        if next.is_empty() {
            return Ok(At::Over);
        }
        if next.starts_with(GZIP) {
            return Ok(At::Gzip(Box::new(GzDecoder::new(source))));
        }
        let is_skippable = matches!(next, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
        if next.starts_with(ZSTANDARD) || is_skippable {
            return self.begin_frame(source);
        }
        // These are blocks of a disk that were never written to.
        if self.has_ended_one && next[0] == 0 {
            let zeros = source.buffered().iter().take_while(|byte| **byte == 0).count();
            source.consume(zeros);
            return Ok(At::Between(source));
        }
        Ok(At::Plain(source))
    }

    fn begin_frame(&mut self, mut source: LineReader<R>) -> io::Result<At<R>> {
        let mut decoder = Box::new(FrameDecoder::new());
        let skipped = match decoder.init(&mut source) {
            Ok(()) => return Ok(At::Zstandard(source, decoder)),
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let length = u64::from(length);
                Some(io::copy(&mut (&mut source).take(length), &mut io::sink())? == length)
            }
            Err(error) if !source.peek(1)?.is_empty() => return Err(spoiled(&error)),
            Err(_) => None,
        };
        self.is_cut |= skipped != Some(true);
        Ok(At::Between(source))
    }

    fn read_gzip(&mut self, mut decoder: Box<GzDecoder<LineReader<R>>>, into: &mut [u8]) -> io::Result<usize> {
        match decoder.read(into) {
            Ok(0) => {
                self.has_ended_one = true;
                self.at = At::Between(decoder.into_inner());
                Ok(0)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.is_cut = true;
                Ok(0)
            }
            read => {
                self.at = At::Gzip(decoder);
                read
            }
        }
    }

    fn read_frame(
        &mut self,
        mut source: LineReader<R>,
        mut decoder: Box<FrameDecoder>,
        into: &mut [u8],
    ) -> io::Result<usize> {
        while decoder.can_collect() == 0 && !decoder.is_finished() {
            match decoder.decode_blocks(&mut source, BlockDecodingStrategy::UptoBytes(PIECE)) {
                Ok(_) => {}
                Err(error) if !source.peek(1)?.is_empty() => return Err(spoiled(&error)),
                Err(_) => {
                    self.is_cut = true;
                    decoder.decode_blocks(LAST_BLOCK, BlockDecodingStrategy::All).map_err(|error| spoiled(&error))?;
                }
            }
        }
        let count = decoder.read(into)?;
        if count > 0 {
            self.at = At::Zstandard(source, decoder);
            return Ok(count);
        }
        let said = decoder.get_checksum_from_data();
        if !self.is_cut && said.is_some() && said != decoder.get_calculated_checksum() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum does not match its content"));
        }
        self.has_ended_one = true;
        self.at = At::Between(source);
        Ok(0)
    }
}

fn spoiled(error: &FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            // After a failure the stream is over.
            let count = match mem::replace(&mut self.at, At::Over) {
                At::Between(source) => {
                    self.at = self.begin(source)?;
                    continue;
                }
                At::Plain(mut source) => {
                    let read = source.read(into);
                    self.at = At::Plain(source);
                    return read;
                }
                At::Gzip(decoder) => self.read_gzip(decoder, into)?,
                At::Zstandard(source, decoder) => self.read_frame(source, decoder, into)?,
                At::Over => return Ok(0),
            };
            if count > 0 {
                return Ok(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstandard(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    /// The content, and whether it was cut.
    fn read(bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut members = Members::new(bytes);
        let mut text = Vec::new();
        members.read_to_end(&mut text).unwrap();
        (text, members.is_cut())
    }

    #[test]
    fn members_and_frames_one_after_the_other_are_one_stream() {
        let skippable = [0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
        let bytes =
            [&gzip(b"a"), &zstandard(b"b"), &skippable[..], &gzip(b"c"), &[0; 999], &zstandard(b"d"), b"e"].concat();
        assert_eq!(read(&bytes), (b"abcde".to_vec(), false));
        assert_eq!(read(b"plain"), (b"plain".to_vec(), false));
        assert_eq!(read(b"\0plain"), (b"\0plain".to_vec(), false));
        assert_eq!(read(b""), (Vec::new(), false));
    }

    #[test]
    fn the_complete_part_of_a_cut_member_is_read() {
        // Random bytes, which compression cannot shorten.
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 56) as u8
        };
        let text: Vec<u8> = (0..1_000_000).map(|_| random()).collect();
        // A frame has blocks of 128 KiB, of which six are whole without the last 200,000 bytes.
        for (bytes, least) in [(gzip(&text), 700_000), (zstandard(&text), 6 << 17)] {
            for cut in [1, 4, 200_000] {
                let (whole, is_cut) = read(&bytes[..bytes.len() - cut]);
                assert!(is_cut && text.starts_with(&whole) && whole.len() >= least, "{cut}: {}", whole.len());
            }
            let (nothing, is_cut) = read(&bytes[..5]);
            assert!(is_cut && nothing.is_empty());
        }
    }

    #[test]
    fn spoiled_bytes_are_an_error() {
        for mut bytes in [gzip(&[7; 1000]), zstandard(b"some text that is spoiled")] {
            let last = bytes.len() - 6;
            bytes[last] ^= 0x55;
            assert!(Members::new(&bytes[..]).read_to_end(&mut Vec::new()).is_err());
        }
    }
}
