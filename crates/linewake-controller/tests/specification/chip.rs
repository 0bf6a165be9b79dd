//! The controller with typed calls, so that a test reads like a program.

use linewake_controller::protocol::*;
use linewake_controller::{Batch, Controller, CtlCode, Outcome, ReaderId, Ready, Status};
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub(crate) const LINES: usize = 72;
pub(crate) const READERS: usize = 5;
pub(crate) const QUEUE: usize = 64;

pub(crate) struct Chip {
    pub(crate) controller: Box<Controller<LINES, READERS, QUEUE>>,
    pub(crate) now_ns: u64,
}

pub(crate) const DONE: Result<Option<()>, Status> = Ok(Some(()));

impl Chip {
    pub(crate) fn new() -> Chip {
        let mut controller = Box::new(Controller::new());
        controller.init("sim0", "specification", LINES);
        Chip { controller, now_ns: 0 }
    }

    pub(crate) fn open(&mut self) -> ReaderId {
        self.controller.open().unwrap()
    }

    /// A reader that watches both edges of these lines.
    pub(crate) fn watching<const N: usize>(&mut self, offsets: [u32; N]) -> ReaderId {
        let reader = self.open();
        self.watch(reader, &offsets);
        reader
    }

    pub(crate) fn watch(&mut self, reader: ReaderId, offsets: &[u32]) {
        let configs: Vec<_> =
            offsets.iter().map(|&offset| LineConfig { offset, flags: LINE_INPUT | LINE_EDGES }).collect();
        assert_eq!(self.configure(reader, &configs), DONE);
    }

    /// The raw call: `Ok(None)` if it pends.
    pub(crate) fn raw(
        &mut self,
        reader: ReaderId,
        code: CtlCode,
        input: &[u8],
        room: usize,
    ) -> Result<Option<Vec<u8>>, Status> {
        // Unwritten bytes are 0xA5. The output begins one byte off, so that nothing is aligned.
        let mut output = vec![0xA5; room + 1];
        let mut outcome = self.controller.control(reader, code, input, &mut output[1..], self.now_ns);
        loop {
            match outcome {
                Outcome::Pend => return Ok(None),
                Outcome::Again { round } => outcome = self.controller.resume(reader, input, round, self.now_ns),
                Outcome::Done { status, information } => {
                    assert!(information <= room);
                    assert_eq!(output[1 + information..], vec![0xA5; room - information]);
                    return match status.is_error() {
                        true => {
                            assert_eq!(information, 0);
                            Err(status)
                        }
                        false => Ok(Some(output[1..=information].to_vec())),
                    };
                }
            }
        }
    }

    pub(crate) fn send<T: IntoBytes + Immutable + ?Sized>(
        &mut self,
        reader: ReaderId,
        code: CtlCode,
        input: &T,
    ) -> Result<Option<()>, Status> {
        let output = self.raw(reader, code, input.as_bytes(), 0)?;
        Ok(output.map(|bytes| assert!(bytes.is_empty())))
    }

    /// All records of a listing.
    pub(crate) fn list<T: FromBytes>(&mut self, reader: ReaderId, code: CtlCode) -> Vec<T> {
        let bytes = self.raw(reader, code, &[], LINES * size_of::<T>()).unwrap().unwrap();
        bytes.chunks_exact(size_of::<T>()).map(|bytes| T::read_from_bytes(bytes).unwrap()).collect()
    }

    pub(crate) fn configure(&mut self, reader: ReaderId, configs: &[LineConfig]) -> Result<Option<()>, Status> {
        self.send(reader, CONFIGURE, configs)
    }

    pub(crate) fn set_reader(
        &mut self,
        reader: ReaderId,
        capacity: u32,
        seqno_base: u32,
    ) -> Result<Option<()>, Status> {
        self.send(reader, SET_READER, &ReaderConfig { capacity, seqno_base, ..Default::default() })
    }

    pub(crate) fn wait(&mut self, reader: ReaderId, wait: WaitLine) -> Result<Option<EdgeRecord>, Status> {
        let bytes = self.raw(reader, WAIT_LINE, wait.as_bytes(), size_of::<EdgeRecord>())?;
        Ok(bytes.map(|bytes| EdgeRecord::read_from_bytes(&bytes).unwrap()))
    }

    /// Takes the next event of a line, if there is one.
    pub(crate) fn take(&mut self, reader: ReaderId, offset: u32) -> Option<EdgeRecord> {
        self.wait(reader, WaitLine { offset, ..Default::default() }).unwrap()
    }

    pub(crate) fn after(&mut self, reader: ReaderId, offset: u32, after: u32) -> Option<EdgeRecord> {
        self.wait(reader, WaitLine { offset, flags: WAIT_AFTER, after, reserved: 0 }).unwrap()
    }

    pub(crate) fn wait_any(
        &mut self,
        reader: ReaderId,
        records: usize,
    ) -> Result<Option<(BatchHeader, Vec<EdgeRecord>)>, Status> {
        let room = size_of::<BatchHeader>() + records * size_of::<EdgeRecord>();
        let Some(bytes) = self.raw(reader, WAIT_ANY, &[], room)? else {
            return Ok(None);
        };
        let batch = Batch::parse(&bytes).unwrap();
        assert!(batch.header().is_closed());
        Ok(Some((*batch.header(), batch.records().collect())))
    }

    /// All queued events.
    pub(crate) fn drain(&mut self, reader: ReaderId) -> Vec<EdgeRecord> {
        self.wait_any(reader, QUEUE).unwrap().map_or(vec![], |batch| batch.1)
    }

    /// Changes the level of a line `count` times, a microsecond apart.
    pub(crate) fn toggle(&mut self, offset: u32, count: u32) {
        for _ in 0..count {
            self.now_ns += 1_000;
            let level = !self.controller.level(offset);
            self.controller.drive(offset, level, self.now_ns).unwrap();
        }
    }

    pub(crate) fn counters(&mut self, reader: ReaderId, offset: u32) -> LineCounters {
        let counters: Vec<LineCounters> = self.list(reader, GET_COUNTERS);
        assert!(counters.iter().all(LineCounters::is_closed));
        counters[offset as usize]
    }

    pub(crate) fn totals(&mut self, offset: u32) -> LineTotals {
        let reader = self.open();
        let totals: Vec<LineTotals> = self.list(reader, GET_TOTALS);
        self.controller.close(reader, 0);
        assert!(totals.iter().all(LineTotals::is_closed));
        totals[offset as usize]
    }

    pub(crate) fn ready(&mut self) -> Vec<Ready> {
        std::iter::from_fn(|| self.controller.take_ready()).collect()
    }
}

pub(crate) fn input(offset: u32) -> LineConfig {
    LineConfig { offset, flags: LINE_INPUT }
}

pub(crate) fn output(offset: u32) -> LineConfig {
    LineConfig { offset, flags: LINE_OUTPUT }
}

pub(crate) fn with(config: LineConfig, flags: u32) -> LineConfig {
    LineConfig { flags: config.flags | flags, ..config }
}

pub(crate) fn line_seqnos(records: &[EdgeRecord]) -> Vec<u32> {
    records.iter().map(|record| record.line_seqno).collect()
}

pub(crate) fn seqnos(records: &[EdgeRecord]) -> Vec<u32> {
    records.iter().map(|record| record.seqno).collect()
}
