//! On Linux, what a read of no bytes means, and what an error means. A stream ends only if its file has an end.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/place.rs"]
mod place;
#[path = "support/stream.rs"]
mod stream;
mod support;
#[path = "support/terminal.rs"]
mod terminal;

use std::fs::File;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use overlapped::linux::{Interest, Ioctl};
use overlapped::{Device, Error, ErrorCode, ErrorKind, InvertedCall, Port};
use place::{fifo, is_idle};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
use stream::{Ends, LONG, SHORT, conformance, is_pending, settle};
use terminal::terminal;

struct Socket(UnixStream);

impl Ends for Socket {
    const END: Option<ErrorKind> = None;
    fn pair(port: &Port) -> (Device, Self) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Device::from_fd_on(port, ours).unwrap(), Self(theirs))
    }
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }
}

mod on_sockets {
    use super::*;
    conformance!(Socket);
}

/// The next item of a stream on a port with a dispatcher.
fn next(stream: &mut InvertedCall<[u8]>) -> Option<Vec<u8>> {
    stream.wait_next_timeout(LONG).map(|item| item.unwrap().to_vec())
}

fn is_quiet(stream: &mut InvertedCall<[u8]>) -> bool {
    stream.wait_next_timeout(SHORT).is_some_and(|item| is_kind(&item, ErrorKind::TimedOut))
}

fn is_kind<T>(result: &Result<T, Error>, kind: ErrorKind) -> bool {
    result.as_ref().err().is_some_and(|error| error.kind() == kind)
}

/// A terminal without line editing, whose reads return at once even if there is no data.
fn unwaiting_terminal() -> (File, OwnedFd) {
    let (master, slave) = terminal();
    let mut modes = tcgetattr(&slave).unwrap();
    modes.special_codes[SpecialCodeIndex::VMIN] = 0;
    tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
    (master.into(), slave)
}

#[test]
fn a_terminal_without_vmin_still_waits() {
    let port = Port::manual().unwrap();
    let (mut master, slave) = unwaiting_terminal();
    let device = Device::from_fd_on(&port, slave).unwrap();
    let mut read = device.read(64);
    assert!(is_pending(&mut read));
    assert!(is_idle(&port));
    master.write_all(b"one").unwrap();
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"one");
    let mut reads = device.standing_reads(64).start();
    master.write_all(b"two").unwrap();
    assert_eq!(&*port.block_on(reads.next()).unwrap().unwrap().unwrap(), b"two");
    assert!(is_idle(&port));
    drop(master);
    let end = port.block_on(reads.next()).unwrap().unwrap();
    assert!(is_kind(&end, ErrorKind::Disconnected));
}

#[test]
fn a_typed_end_of_input_is_an_empty_item_and_does_not_end_the_stream() {
    let (master, slave) = terminal();
    let mut modes = tcgetattr(&slave).unwrap();
    modes.local_modes |= LocalModes::ICANON;
    tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
    let mut lines = Device::from_fd(slave).unwrap().standing_reads(64).start();
    File::from(master.try_clone().unwrap()).write_all(b"one\n\x04two\n").unwrap();
    assert_eq!([(); 3].map(|()| next(&mut lines).unwrap()), [b"one\n".to_vec(), vec![], b"two\n".to_vec()]);
    assert!(is_quiet(&mut lines));
}

#[test]
fn an_empty_message_does_not_end_the_stream() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let mut datagrams = Device::from_fd(ours).unwrap().standing_reads(64).start();
    for message in [b"one".as_slice(), b"", b"two"] {
        theirs.send(message).unwrap();
    }
    assert_eq!([(); 3].map(|()| next(&mut datagrams).unwrap()), [b"one".to_vec(), vec![], b"two".to_vec()]);
    assert!(is_quiet(&mut datagrams));
}

#[test]
fn messages_end_with_their_connection_and_not_with_an_empty_message() {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    for message in [b"one".as_slice(), b"", b"two"] {
        rustix::io::write(&theirs, message).unwrap();
    }
    // They are read after the other end is closed. The empty message is still not the end.
    drop(theirs);
    let mut messages = Device::from_fd(ours).unwrap().standing_reads(64).start();
    assert_eq!([(); 3].map(|()| next(&mut messages).unwrap()), [b"one".to_vec(), vec![], b"two".to_vec()]);
    assert_eq!(next(&mut messages), None);
}

#[test]
fn a_file_that_is_reported_ready_without_data_does_not_keep_the_port_busy() {
    let port = Port::manual().unwrap();
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let twin = ours.try_clone().unwrap();
    let device = Device::from_fd_on(&port, ours).unwrap();
    let mut read = device.read(64);
    theirs.send(b"before").unwrap();
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"before");
    // From now on the file is reported as readable, and a read fails with EAGAIN.
    read = device.read(64);
    twin.shutdown(std::net::Shutdown::Read).unwrap();
    settle(&port);
    assert!(is_idle(&port));
    assert!(is_pending(&mut read));
    drop((read, device));
    settle(&port);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn a_fifo_waits_for_its_first_writer_and_ends_with_the_last() {
    let path = fifo();
    let port = Port::manual().unwrap();
    let reader = Device::options().write(false).port(&port).open(&path.0).unwrap();
    let mut read = reader.read(64);
    assert!(is_pending(&mut read), "the FIFO has no writer yet");
    assert!(is_idle(&port));
    let mut writer = File::options().write(true).open(&path.0).unwrap();
    writer.write_all(b"hello").unwrap();
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"hello");
    let mut reads = reader.standing_reads(64).start();
    drop(writer);
    assert!(port.block_on(reads.next()).unwrap().is_none());
    assert_eq!(port.block_on(reader.read(64)).unwrap().unwrap().len(), 0);
}

#[test]
fn a_read_of_no_bytes_returns_none() {
    for bytes in [b"".as_slice(), b"some"] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(bytes).unwrap();
        let reply = Device::from_fd(reader).unwrap().read(0).wait().unwrap();
        assert_eq!((reply.len(), reply.status()), (0, overlapped::Status::SUCCESS));
    }
}

/// Two connected sockets. The system tells the first one when its data has left, by a message in its error queue. No
/// one fetches these messages.
fn sockets() -> (UdpSocket, UdpSocket) {
    let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let [ours, theirs] = &sockets;
    ours.connect(theirs.local_addr().unwrap()).unwrap();
    theirs.connect(ours.local_addr().unwrap()).unwrap();
    let wanted: libc::c_uint = libc::SOF_TIMESTAMPING_TX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
    // SAFETY: the option's value is this integer, which lives until the call returns.
    let set = unsafe {
        libc::setsockopt(
            ours.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPING,
            (&raw const wanted).cast(),
            size_of_val(&wanted) as u32,
        )
    };
    assert_eq!(set, 0);
    let [ours, theirs] = sockets;
    (ours, theirs)
}

#[test]
fn an_error_queue_is_not_a_hang_up_and_does_not_keep_the_port_busy() {
    let port = Port::manual().unwrap();
    let (ours, theirs) = sockets();
    let device = Device::from_fd_on(&port, ours).unwrap();
    let mut answers = [device.read(64), device.read(64), device.read(64)];
    port.block_on(device.write(b"question")).unwrap().unwrap();
    settle(&port);
    assert!(is_idle(&port), "the port spins because the error queue is not empty");
    // All three come before the port polls, and make one edge.
    for answer in [b"1", b"2", b"3"] {
        theirs.send(answer).unwrap();
    }
    for (answer, expected) in answers.iter_mut().zip([b"1", b"2", b"3"]) {
        assert_eq!(&*port.block_on(answer).unwrap().unwrap(), expected);
    }
    // A message that is there before its read, one that comes later, and messages for a stream.
    theirs.send(b"before").unwrap();
    assert_eq!(&*port.block_on(device.read(64)).unwrap().unwrap(), b"before");
    let mut later = device.read(64);
    assert!(is_pending(&mut later));
    theirs.send(b"later").unwrap();
    assert_eq!(&*port.block_on(later).unwrap().unwrap(), b"later");
    let mut stream = device.standing_reads(8).pending(3).start();
    for round in 0..200_u64 {
        for n in 0..round % 5 {
            theirs.send(&(round + n).to_ne_bytes()).unwrap();
        }
        for n in 0..round % 5 {
            assert_eq!(*port.block_on(stream.next()).unwrap().unwrap().unwrap(), (round + n).to_ne_bytes());
        }
    }
    assert!(is_idle(&port));
}

#[test]
fn with_a_dispatcher_a_stream_goes_on_despite_an_error_queue() {
    let (ours, theirs) = sockets();
    let device = Device::from_fd(ours).unwrap();
    let mut stream = device.standing_reads(8).pending(2).window(4).start();
    let echo = std::thread::spawn(move || {
        let mut bytes = [0; 8];
        for _ in 0..3000 {
            let count = theirs.recv(&mut bytes).unwrap();
            theirs.send(&bytes[..count]).unwrap();
        }
    });
    for n in 0..3000_u64 {
        device.write(&n.to_ne_bytes()).wait().unwrap();
        assert_eq!(next(&mut stream).unwrap(), n.to_ne_bytes());
    }
    echo.join().unwrap();
}

#[test]
fn a_socket_reports_an_error_once_and_goes_on() {
    let port = Port::manual().unwrap();
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    ours.connect(address).unwrap();
    let device = Device::from_fd_on(&port, ours.try_clone().unwrap()).unwrap();
    let read = device.read(64);
    port.block_on(device.write(b"nobody is there")).unwrap().unwrap();
    let error = port.block_on(read).unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::Errno(111)));
    let theirs = UdpSocket::bind(address).unwrap();
    let read = device.read(64);
    theirs.send_to(b"here", ours.local_addr().unwrap()).unwrap();
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"here");
}

#[test]
fn an_ioctl_that_finds_nothing_is_not_found_and_not_disconnected() {
    // SAFETY: socket(7): SIOCGSTAMP writes one `struct timeval`, of two words.
    const SIOCGSTAMP: Ioctl<[u64; 2]> = unsafe { Ioctl::from_request(0x8906) };
    let device = Device::from_fd(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let error = device.ioctl(SIOCGSTAMP, [0; 2]).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some(ErrorCode::Errno(2))));
    let error = device.ioctl_when(Interest::Writable, SIOCGSTAMP, [0; 2]).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

// Writes.

fn writing() -> (Port, Device, std::io::PipeReader) {
    let port = Port::manual().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    (port.clone(), Device::from_fd_on(&port, writer).unwrap(), reader)
}

#[test]
fn two_writes_at_once_do_not_mix() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let device = Device::from_fd(writer).unwrap();
    let packets = [b'A', b'B', b'C'].map(|letter| vec![letter; 200_000]);
    let writes = packets.each_ref().map(|packet| device.write(packet));
    let read = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    });
    for write in writes {
        assert_eq!(write.wait().unwrap().information(), 200_000);
    }
    device.write_all(b"the end").wait().unwrap();
    drop(device);
    assert_eq!(read.join().unwrap(), [packets.concat(), b"the end".to_vec()].concat());
}

#[test]
fn a_write_that_is_cancelled_or_times_out_says_how_much_is_written() {
    let (port, device, mut reader) = writing();
    let write = device.write(&vec![b'A'; 200_000]);
    write.cancel();
    let first = port.block_on(write).unwrap().unwrap().information();
    assert!(first > 0 && first < 200_000);
    reader.read_exact(&mut vec![0; first]).unwrap();
    let write = device.write(&vec![b'B'; 200_000]).timeout(SHORT);
    let second = port.block_on(write).unwrap().unwrap().information();
    assert!(second > 0 && second < 200_000);
    // None of this write is written, so it counts as cancelled.
    let write = device.write(b"C");
    write.cancel();
    assert!(is_kind(&port.block_on(write).unwrap(), ErrorKind::Cancelled));
    let mut seen = vec![0; second];
    reader.read_exact(&mut seen).unwrap();
    assert!(seen.iter().all(|byte| *byte == b'B'));
    let write = device.write_all(&vec![b'D'; 200_000]);
    write.cancel();
    let error = port.block_on(write).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
    assert!(error.to_string().ends_with(" of 200000 bytes were written"), "{error}");
}

#[test]
fn a_write_to_a_stream_that_loses_its_reader_in_the_middle_is_an_error() {
    let (port, device, reader) = writing();
    let mut write = device.write(&vec![b'A'; 200_000]);
    assert!(is_pending(&mut write));
    drop(reader);
    assert!(is_kind(&port.block_on(write).unwrap(), ErrorKind::Disconnected));
}

#[test]
fn a_message_of_any_length_is_one_system_call() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let device = Device::from_fd(ours).unwrap();
    assert_eq!(device.write(b"").wait().unwrap().information(), 0);
    device.write_all(b"whole").wait().unwrap();
    let mut bytes = [0; 64];
    assert_eq!((theirs.recv(&mut bytes).unwrap(), theirs.recv(&mut bytes).unwrap()), (0, 5));
}
