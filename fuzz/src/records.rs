//! Any bytes as lists of records that contain their own length: the list ends, every byte belongs to at most one
//! record, and nothing comes after a malformed record.

use overlapped::views;
use zerocopy::FromBytes;

/// The length is at the beginning of each record: in two bytes, or in four or eight with the distance to the next
/// record.
pub fn records(bytes: &[u8]) {
    list(bytes, |header: &[u8; 2]| Some(usize::from(u16::from_le_bytes(*header))));
    list(bytes, |header: &u32| Some(*header as usize));
    list(bytes, |header: &u64| (*header != 0).then_some(*header as usize));
    list(bytes, |(): &()| bytes.first().map(|&length| length.into()));
}

fn list<H: FromBytes>(bytes: &[u8], length: impl FnMut(&H) -> Option<usize>) {
    let mut list = views::records(bytes, length);
    let (mut at, mut count) = (0, 0);
    while let Some(record) = list.next() {
        count += 1;
        assert!(count <= bytes.len());
        match record {
            Ok((_, data)) => {
                at += size_of::<H>();
                assert_eq!(&bytes[at..at + data.len()], data);
                at += data.len();
            }
            Err(error) => {
                assert_eq!(error.at(), at);
                assert!(!error.to_string().is_empty());
                assert!(list.next().is_none());
                return;
            }
        }
    }
    assert_eq!(at, bytes.len());
}
