//! A network in a program: every host of 198.51.100.0/24 sends back what it gets.
//!
//! `cargo run -p overlapped --example tun_echo`; it needs Linux, and root. While it runs,
//! `ping 198.51.100.7` is answered, and so is `nc -u 198.51.100.7 7`. It ends when no packet comes for ten seconds.

#[cfg(target_os = "linux")]
pub(crate) mod tun {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::ops::ControlFlow;
    use std::time::Duration;

    use overlapped::linux::{Direction, Ioctl, IoctlByValue, request};
    use overlapped::{Device, Error, ErrorKind};
    use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

    /// `struct ifreq` (netdevice(7)): a name, and a union of 24 bytes, on 32-bit systems 16.
    #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Ifreq {
        name: [u8; 16],
        value: [u8; 24],
    }

    // SAFETY: linux/if_tun.h says _IOW('T', 202, int); the driver reads and writes one `ifreq`.
    const TUNSETIFF: Ioctl<Ifreq> = unsafe { Ioctl::from_request(request(Direction::Write, b'T', 202, 4)) };
    // SAFETY: _IOW('T', 204, int): the driver takes the number of a user.
    const TUNSETOWNER: IoctlByValue<u32> = unsafe { IoctlByValue::new(Direction::Write, b'T', 204) };
    // SAFETY: netdevice(7): these read one `ifreq`, and SIOCGIFFLAGS writes it.
    const SIOCGIFFLAGS: Ioctl<Ifreq> = unsafe { Ioctl::from_request(0x8913) };
    // SAFETY: as above.
    const SIOCSIFFLAGS: Ioctl<Ifreq> = unsafe { Ioctl::from_request(0x8914) };
    // SAFETY: as above.
    const SIOCSIFADDR: Ioctl<Ifreq> = unsafe { Ioctl::from_request(0x8916) };
    // SAFETY: as above.
    const SIOCSIFNETMASK: Ioctl<Ifreq> = unsafe { Ioctl::from_request(0x891c) };

    /// IFF_TUN and IFF_NO_PI (linux/if_tun.h): plain IP packets, without a header before them.
    const TUN_NO_PI: u16 = 0x0001 | 0x1000;
    /// IFF_UP (net/if.h).
    const UP: u16 = 1;
    /// Root's.
    const ROOT: u32 = 0;
    /// The largest packet, of the interface's default MTU.
    const PACKET: usize = 1500;

    /// Our address in the network, which is reserved for examples (RFC 5737).
    pub(crate) const HERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
    const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);

    /// Makes the interface. It is removed when the device is closed.
    pub(crate) fn open(name: &str) -> Result<Device, Error> {
        let tun = Device::open("/dev/net/tun")?;
        let mut ifreq = Ifreq { name: [0; 16], value: [0; 24] };
        for (to, from) in ifreq.name[..15].iter_mut().zip(name.bytes()) {
            *to = from;
        }
        ifreq.value[..2].copy_from_slice(&TUN_NO_PI.to_ne_bytes());
        // The driver has replaced "%d" by a number.
        let ifreq = tun.ioctl(TUNSETIFF, ifreq)?;
        tun.ioctl_by_value(TUNSETOWNER, ROOT)?;
        // The other ioctls work on any socket.
        match UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            Ok(socket) => set_up(&Device::from_fd(socket)?, ifreq)?,
            Err(error) => println!("the interface stays down: {error}"),
        }
        Ok(tun)
    }

    fn set_up(socket: &Device, mut ifreq: Ifreq) -> Result<(), Error> {
        for (ioctl, address) in [(SIOCSIFADDR, HERE), (SIOCSIFNETMASK, MASK)] {
            // `struct sockaddr_in`: the family, which is AF_INET, the port, the address.
            ifreq.value = [0; 24];
            ifreq.value[..2].copy_from_slice(&2_u16.to_ne_bytes());
            ifreq.value[4..8].copy_from_slice(&address.octets());
            socket.ioctl(ioctl, ifreq)?;
        }
        let mut flags = socket.ioctl(SIOCGIFFLAGS, ifreq)?;
        let up = u16::from_ne_bytes([flags.value[0], flags.value[1]]) | UP;
        flags.value[..2].copy_from_slice(&up.to_ne_bytes());
        socket.ioctl(SIOCSIFFLAGS, flags).map(drop)
    }

    /// Answers each packet, until `show` returns `Break`, or no packet comes within the timeout.
    pub(crate) fn echo(
        tun: &Device,
        patience: Duration,
        mut show: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut packets = tun.standing_reads(PACKET).pending(4).start();
        while let Some(packet) = packets.wait_next_timeout(patience) {
            let mut packet = match packet {
                Ok(packet) => packet.to_vec(),
                Err(error) if error.kind() == ErrorKind::TimedOut => break,
                Err(error) => return Err(error),
            };
            if answer(&mut packet) {
                tun.write(&packet).wait()?;
            }
            if show(&packet).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Turns the packet into its answer: swaps the addresses and the ports, which does not change the checksums.
    fn answer(packet: &mut [u8]) -> bool {
        const UDP: u8 = 17;
        const ICMP: u8 = 1;
        const REQUEST: u8 = 8;
        // IPv4 without options.
        if packet.len() < 28 || packet[0] != 0x45 {
            return false;
        }
        let (source, destination) = packet[12..20].split_at_mut(4);
        source.swap_with_slice(destination);
        match packet[9] {
            UDP => {
                let (source, destination) = packet[20..24].split_at_mut(2);
                source.swap_with_slice(destination);
                true
            }
            ICMP if packet[20] == REQUEST => {
                packet[20] = 0;
                // The checksum is a complement: it grows by as much as the type shrinks.
                let sum = u32::from(u16::from_be_bytes([packet[22], packet[23]])) + (u32::from(REQUEST) << 8);
                packet[22..24].copy_from_slice(&((sum + (sum >> 16)) as u16).to_be_bytes());
                true
            }
            _ => false,
        }
    }

    pub(crate) fn main() -> Result<(), Error> {
        let tun = match open("echo%d") {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AccessDenied) => {
                println!("{error}: load the module tun, and run it as root");
                return Ok(());
            }
            tun => tun?,
        };
        println!("198.51.100.0/24 is there, and answers");
        echo(&tun, Duration::from_secs(10), |packet| {
            println!("{} bytes of IPv{}", packet.len(), packet[0] >> 4);
            ControlFlow::Continue(())
        })
    }

    #[cfg(test)]
    #[test]
    fn a_datagram_comes_back() {
        let tun = match open("echo%d") {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AccessDenied) => {
                println!("skipped: {error}");
                return;
            }
            tun => tun.unwrap(),
        };
        let socket = UdpSocket::bind((HERE, 0)).unwrap();
        socket.send_to(b"hello", (Ipv4Addr::new(198, 51, 100, 7), 7)).unwrap();
        // The system sends packets of its own when an interface comes up.
        echo(&tun, Duration::MAX, |packet| match packet[9] {
            17 if packet[0] == 0x45 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .unwrap();
        let mut bytes = [0; 16];
        assert_eq!(socket.recv_from(&mut bytes).unwrap(), (5, (Ipv4Addr::new(198, 51, 100, 7), 7).into()));
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), overlapped::Error> {
    tun::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("tun: it needs Linux");
}
