//! Any bytes as the answer of WAIT_ANY, as a name, and as the text of a control code.

use linewake_controller::Batch;
use linewake_controller::protocol::{BatchHeader, EdgeRecord, text};

pub fn batches(bytes: &[u8]) {
    if let Ok(batch) = Batch::parse(bytes) {
        let count = batch.records().count();
        assert_eq!(count, batch.header().count as usize);
        assert_eq!(size_of::<BatchHeader>() + count * size_of::<EdgeRecord>(), bytes.len());
        let _ = batch.header().is_closed();
    }
    if let Some(name) = bytes.first_chunk() {
        assert!(text(name).len() <= 32);
    }
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(code) = text.parse::<overlapped::CtlCode>()
    {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
}
