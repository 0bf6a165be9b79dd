//! Profiles of files that are read and written: messages and bytes, what is written and when, and ends of file that are
//! not the end.
#![cfg(all(target_os = "linux", not(miri)))]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use linewake::profile::Profile;
use linewake::{Chip, ErrorKind, Request};
use overlapped::sim::{Driver, Outcome, Request as Incoming};
use overlapped::{Device, Status};
use test_support::stream::{LONG, nothing_comes, seen};

fn parse(text: &str) -> Profile {
    Profile::parse("box.toml", text).unwrap_or_else(|error| panic!("{error}\n{text}")).allow_writes(true)
}

/// A box. Each read returns the levels of its lines, two bytes per record.
fn levels(more: &str) -> Profile {
    parse(&format!(
        "name = 'box'\nlines = 8\n[wait]\nby = 'read'\nmeans = 'level'\n{more}\n[levels]\nstart = 'inactive'\n\
         [wait.output]\nlength = 64\nrecord = 2\nfields = {{ levels = {{ at = 1, width = 1 }} }}\nrest = 'unused'\n"
    ))
}

fn request(profile: &Profile, file: impl Into<OwnedFd>) -> Request {
    let file: OwnedFd = file.into();
    let open = move || Device::from_fd(file.try_clone().expect("there are descriptors left"));
    Chip::from_profile(profile, open).unwrap().request().all_lines().start().unwrap()
}

/// The master of a terminal, and its other end, which passes bytes unchanged.
fn terminal() -> (File, File) {
    let (master, slave) = terminal_for_people();
    let mut modes = rustix::termios::tcgetattr(&slave).unwrap();
    modes.make_raw();
    rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &modes).unwrap();
    (master, slave)
}

fn terminal_for_people() -> (File, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (master.into(), slave)
}

#[test]
fn a_message_that_is_longer_than_the_profile_says_is_not_cut_in_silence() {
    for more in ["", "reads = 'bytes'"] {
        let (theirs, ours) = UnixDatagram::pair().unwrap();
        let mut edges = request(&levels(more), ours);
        theirs.send(&[7, 1].repeat(32)).unwrap();
        assert_eq!(seen(&mut edges, 1), [(0, true, 0)]);
        theirs.send(&[[7, 1].repeat(32), vec![7, 0]].concat()).unwrap();
        let error = edges.wait_next_timeout(LONG).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("more than the 64 bytes"), "{error}");
    }
}

#[test]
fn a_shorter_message_does_not_reach_into_the_next() {
    let (theirs, ours) = UnixDatagram::pair().unwrap();
    let mut edges = request(&levels(""), ours);
    theirs.send(&[7, 0b01]).unwrap();
    theirs.send(&[7, 0b11, 7, 0b10]).unwrap();
    assert_eq!(seen(&mut edges, 3), [(0, true, 0), (1, true, 0), (0, false, 0)]);
    theirs.send(&[0b1111]).unwrap();
    theirs.send(&[7, 0b10]).unwrap();
    let error = edges.wait_next_timeout(LONG).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "half a record is not a record");
    assert!(error.to_string().contains("\"box.toml\""), "{error}");
}

#[test]
fn a_message_of_another_kind_is_ignored_and_the_next_is_framed_rightly() {
    let (theirs, ours) = UnixDatagram::pair().unwrap();
    let of_one_id = parse(
        "name = 'box'\nlines = 8\n[wait]\nby = 'read'\nmeans = 'level'\n[levels]\nstart = 'inactive'\n\
         [wait.output]\nlength = 9\nfields = { levels = { at = 1, width = 1 } }\nrest = 'unused'\n\
         only = [{ at = 0, width = 1, is = 1 }]\nrecord = 2\n",
    );
    let mut edges = request(&of_one_id, ours);
    for message in [&[1, 0b001][..], &[2, 0xff], &[3], &[1, 0b011]] {
        theirs.send(message).unwrap();
    }
    assert_eq!(seen(&mut edges, 2), [(0, true, 0), (1, true, 0)]);
    nothing_comes(&mut edges);
}

#[test]
fn a_stream_of_bytes_may_bring_half_a_record() {
    let (mut theirs, ours) = UnixStream::pair().unwrap();
    let (mut master, slave) = terminal();
    let mut by_socket = request(&levels(""), ours);
    let mut by_terminal = request(&levels(""), slave);
    for piece in [&[7][..], &[0b1, 7], &[0b11], &[7, 0b10]] {
        theirs.write_all(piece).unwrap();
        master.write_all(piece).unwrap();
        // Each byte is read separately.
        std::thread::sleep(Duration::from_millis(10));
    }
    for edges in [&mut by_socket, &mut by_terminal] {
        assert_eq!(seen(edges, 3), [(0, true, 0), (1, true, 0), (0, false, 0)]);
    }
}

#[test]
fn a_terminal_that_changes_bytes_is_refused() {
    use rustix::termios::{InputModes, LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let (_master, slave) = terminal_for_people();
    let opened = || {
        let slave = slave.try_clone().unwrap();
        Chip::from_profile(&levels(""), move || Device::from_fd(slave.try_clone().expect("there are descriptors left")))
    };
    let error = opened().unwrap_err().to_string();
    assert!(error.contains("is a terminal that changes the bytes") && error.contains("stty -F"), "{error}");
    let mut raw = tcgetattr(&slave).unwrap();
    raw.make_raw();
    for (input, local) in [(InputModes::ICRNL, LocalModes::empty()), (InputModes::empty(), LocalModes::ISIG)] {
        let mut modes = raw.clone();
        (modes.input_modes, modes.local_modes) = (raw.input_modes | input, raw.local_modes | local);
        tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
        opened().unwrap_err();
    }
    tcsetattr(&slave, OptionalActions::Now, &raw).unwrap();
    opened().unwrap();
}

/// A driver that accepts only one length of reads.
struct FourBytes;

impl Driver for FourBytes {
    fn control(&self, request: Incoming) -> Outcome {
        request.complete(Status::INVALID_DEVICE_REQUEST)
    }

    fn read(&self, request: Incoming) -> Outcome {
        let is_right = request.output_len() == 4;
        request.complete(if is_right { Status::DEVICE_REMOVED } else { Status::from_errno(22) })
    }
}

#[test]
fn the_error_for_a_refused_length_names_the_key() {
    let chip = Chip::from_profile(&levels(""), || Device::simulated(FourBytes)).unwrap();
    let error = chip.request().all_lines().start().unwrap().wait_next_timeout(LONG).unwrap().unwrap_err();
    assert!(
        error.to_string().contains("the read was of 64 bytes") && error.to_string().contains("`length`"),
        "{error}"
    );
    assert_eq!(error.device().map(overlapped::Error::kind), Some(overlapped::ErrorKind::InvalidInput));
}

#[test]
fn the_profile_may_know_better_what_a_read_brings() {
    let (theirs, ours) = UnixDatagram::pair().unwrap();
    let mut edges = request(&levels("reads = 'bytes'"), ours);
    theirs.send(&[7]).unwrap();
    theirs.send(&[0b1]).unwrap();
    assert_eq!(seen(&mut edges, 1), [(0, true, 0)]);
    let (mut theirs, ours) = UnixStream::pair().unwrap();
    let mut edges = request(&levels("reads = 'messages'"), ours);
    theirs.write_all(&[7]).unwrap();
    assert_eq!(edges.wait_next_timeout(LONG).unwrap().unwrap_err().kind(), ErrorKind::Malformed);
}

#[test]
fn writes_are_made_in_their_order() {
    let profile = parse(
        "name = 'uio'\nsetup = 'enable'\nrelease = ['off', 'off']\n[[line]]\nname = 'irq'\n\
         [call.enable]\nwrite = true\ninput = { bytes = '01 00 00 00' }\n\
         [call.off]\nwrite = true\ninput = { bytes = '00 00 00 00' }\n\
         [wait]\nby = 'read'\nreads = 'messages'\nthen = 'enable'\nmeans = 'count'\nedge = 'rising'\npending = 1\n\
         [wait.output]\nlength = 4\nfields = { count = { at = 0, since = 'last' } }\n",
    );
    let (mut theirs, ours) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(LONG)).unwrap();
    let mut edges = request(&profile, ours);
    let mut written = |expected: u32| {
        let mut bytes = [9; 4];
        theirs.read_exact(&mut bytes).unwrap();
        assert_eq!(u32::from_le_bytes(bytes), expected);
        theirs.try_clone().unwrap()
    };
    let mut device = written(1);
    for _ in 0..3 {
        device.write_all(&1_u32.to_le_bytes()).unwrap();
        assert_eq!(seen(&mut edges, 1), [(0, true, 0)]);
        // The interrupt is enabled again when the program polls for the next edge.
        nothing_comes(&mut edges);
        written(1);
    }
    drop(edges);
    written(0);
    written(0);
    device.set_nonblocking(true).unwrap();
    // The device may be closed by now; then the read returns the end.
    assert!(!matches!(device.read(&mut [0; 4]), Ok(1..)), "nothing more is written");
}

#[test]
fn an_end_of_file_that_is_not_the_end_is_waited_out() {
    let directory = std::env::temp_dir().join(format!("linewake-fifo-{}", std::process::id()));
    let _ = std::fs::remove_file(&directory);
    rustix::fs::mknodat(rustix::fs::CWD, &directory, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let path = directory.clone();
    let open = move || Device::options().write(false).open(&path);
    let chip = Chip::from_profile(&levels("again_on = ['end']"), open).unwrap();
    let mut edges = chip.request().all_lines().start().unwrap();
    let mut level = 0;
    for _ in 0..3 {
        let mut writer = File::options().write(true).open(&directory).unwrap();
        level ^= 1;
        writer.write_all(&[7, level]).unwrap();
        assert_eq!(seen(&mut edges, 1), [(0, level == 1, 0)]);
        drop(writer);
        nothing_comes(&mut edges);
    }
    drop(edges);
    // Without that key the end of the file ends the stream.
    let path = directory.clone();
    let chip = Chip::from_profile(&levels(""), move || Device::options().write(false).open(&path)).unwrap();
    let mut edges = chip.request().all_lines().start().unwrap();
    drop(File::options().write(true).open(&directory).unwrap());
    assert!(edges.wait_next_timeout(LONG).unwrap().unwrap_err().is_disconnected());
    let _ = std::fs::remove_file(&directory);
}

/// The processor time of this process, in clock ticks of 10 ms.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn an_end_of_file_that_repeats_causes_no_busy_loop() {
    let (theirs, ours) = UnixStream::pair().unwrap();
    drop(theirs);
    let mut edges = request(&levels("again_on = ['end']"), ours.as_fd().try_clone_to_owned().unwrap());
    // Other tests use some processor time; a busy loop would use all of it.
    let (began, before) = (Instant::now(), ticks());
    while began.elapsed() < Duration::from_millis(1500) {
        nothing_comes(&mut edges);
    }
    let used = ticks() - before;
    assert!(used < 100, "{used} ticks of 150");
}
