//! The kernel's events, read from bytes.

use zerocopy::FromBytes;

use crate::backend::RawEdge;
use crate::backend::gpiochip::chip::malformed;
use crate::backend::gpiochip::uapi;
use crate::{EdgeKind, Error, Missed, Offset};

/// Reads the events of a batch. Each must be whole and of a known kind.
pub(super) fn decode(chip: &str, bytes: &[u8], into: &mut Vec<RawEdge>) -> Result<(), Error> {
    for record in bytes.chunks(size_of::<uapi::LineEvent>()) {
        let Ok(event) = uapi::LineEvent::read_from_bytes(record) else {
            return Err(malformed(chip, format!("an event has {} bytes", record.len())));
        };
        let kind = match event.id {
            1 => EdgeKind::Rising,
            2 => EdgeKind::Falling,
            other => return Err(malformed(chip, format!("an event is of kind {other}"))),
        };
        into.push(RawEdge {
            offset: Offset::from(event.offset),
            kind,
            timestamp_ns: event.timestamp_ns,
            seqno: event.seqno,
            line_seqno: event.line_seqno,
            missed: Missed::default(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use zerocopy::{FromZeros, IntoBytes};

    use super::decode;
    use crate::backend::gpiochip::uapi::LineEvent;
    use crate::{EdgeKind, ErrorKind};

    fn event(id: u32) -> LineEvent {
        let mut event = LineEvent::new_zeroed();
        (event.id, event.offset, event.seqno, event.line_seqno, event.timestamp_ns) = (id, 3, 7, 5, 9);
        event
    }

    #[test]
    fn a_batch_is_read_event_by_event() {
        let mut edges = Vec::new();
        decode("chip", [event(1), event(2)].as_bytes(), &mut edges).unwrap();
        let seen: Vec<_> =
            edges.iter().map(|edge| (edge.kind, edge.offset.get(), edge.seqno, edge.line_seqno)).collect();
        assert_eq!(seen, [(EdgeKind::Rising, 3, 7, 5), (EdgeKind::Falling, 3, 7, 5)]);
        assert!(edges.iter().all(|edge| edge.timestamp_ns == 9 && edge.missed.total() == 0));
        decode("chip", &[], &mut edges).unwrap();
        assert_eq!(edges.len(), 2);
    }

    #[test]
    fn garbage_is_malformed_and_the_chip_is_named() {
        let batch = [event(1), event(2)];
        let whole = batch.as_bytes();
        for bytes in [&whole[..95], &whole[..49], &whole[..1]] {
            let error = decode("a chip", bytes, &mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed);
            assert!(error.to_string().contains("\"a chip\""), "{error}");
        }
        for id in [0, 3, u32::MAX] {
            let error = decode("a chip", event(id).as_bytes(), &mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains(&format!("kind {id}")), "{error}");
        }
    }
}
