//! Reads a pipe, a terminal or a socket on a thread of its own, so that Ctrl-C ends the wait for more.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Blocks that are read ahead.
const BLOCKS: usize = 4;
const BLOCK: usize = 1 << 16;

/// The blocks that the thread read.
pub(super) struct Pipe {
    blocks: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    at: usize,
}

/// Ends a [`Pipe`] as if it were over.
#[derive(Clone, Debug)]
pub(super) struct Plug(SyncSender<io::Result<Vec<u8>>>);

impl Plug {
    /// If there is no room for the end, then nobody waits for a block.
    pub(super) fn end(&self) {
        let _ = self.0.try_send(Ok(Vec::new()));
    }
}

/// Opens standard input for `-`, or a path that leads to no regular file. `None` for a regular file.
pub(super) fn open(path: &Path) -> io::Result<Option<(Pipe, Plug)>> {
    if path.as_os_str() == "-" {
        return Pipe::new(Box::new(io::stdin())).map(Some);
    }
    // A named pipe can be opened only once.
    if std::fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    Pipe::new(Box::new(File::open(path)?)).map(Some)
}

impl Pipe {
    fn new(mut from: Box<dyn Read + Send>) -> io::Result<(Self, Plug)> {
        let (sender, blocks) = sync_channel(BLOCKS);
        let plug = Plug(sender.clone());
        let read = move || {
            loop {
                let mut block = vec![0; BLOCK];
                let read = from.read(&mut block).map(|count| {
                    block.truncate(count);
                    block
                });
                let is_last = !matches!(&read, Ok(block) if !block.is_empty());
                let is_again = matches!(&read, Err(error) if error.kind() == io::ErrorKind::Interrupted);
                if !is_again && (sender.send(read).is_err() || is_last) {
                    return;
                }
            }
        };
        thread::Builder::new().name("reader".to_owned()).spawn(read)?;
        Ok((Self { blocks, current: Vec::new(), at: 0 }, plug))
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            (self.current, self.at) = (self.blocks.recv().unwrap_or_else(|_| Ok(Vec::new()))?, 0);
        }
        let count = (&self.current[self.at..]).read(into)?;
        self.at += count;
        Ok(count)
    }
}
