//! Sockets, connected and not.

use crate::ends::{Ends, Made, put, refused};
use crate::support::*;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

const HERE: &str = "127.0.0.1:0";

pub fn pair(kind: i32) -> Made {
    let (one, other) = sys::socketpair_of(kind);
    Ok(Ends::of(one).peer(other).fed_by_peer().fills())
}

pub fn without_peer() -> Made {
    Ok(Ends::of(sys::socketpair().0))
}

pub fn shut(kind: i32, how: i32) -> Made {
    let (one, other) = sys::socketpair_of(kind);
    shutdown(one.as_raw_fd(), how);
    Ok(Ends::of(one).peer(other))
}

fn shutdown(fd: RawFd, how: i32) {
    // SAFETY: no memory involved.
    assert_eq!(unsafe { libc::shutdown(fd, how) }, 0, "shutdown: {}", sys::errno());
}

fn set<T>(fd: RawFd, level: i32, option: i32, value: T) {
    // SAFETY: a live value of the size it says.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), size_of::<T>() as u32) };
    assert_eq!(result, 0, "setsockopt: {}", sys::errno());
}

fn udp_pair() -> (UdpSocket, UdpSocket) {
    let bind = || UdpSocket::bind(HERE).expect("a socket on the loopback interface");
    let (one, other) = (bind(), bind());
    one.connect(other.local_addr().unwrap()).unwrap();
    other.connect(one.local_addr().unwrap()).unwrap();
    (one, other)
}

pub fn udp() -> Made {
    let (one, other) = udp_pair();
    Ok(Ends::of(one).peer(OwnedFd::from(other)).fed_by_peer())
}

pub fn udp_shut() -> Made {
    let (one, _) = udp_pair();
    shutdown(one.as_raw_fd(), libc::SHUT_RD);
    Ok(Ends::of(one))
}

/// There is no listener: the next call fails with that.
pub fn udp_refused() -> Made {
    let (one, other) = udp_pair();
    drop(other);
    put(one.as_raw_fd(), b"into the void");
    let fd = one.as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd.
    assert_eq!(unsafe { libc::poll(&mut poll, 1, 1000) }, 1, "the error arrives");
    Ok(Ends::of(one))
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(HERE).expect("a socket on the loopback interface");
    let one = TcpStream::connect(listener.local_addr().unwrap()).expect("a connection");
    let other = listener.accept().expect("a connection").0;
    one.set_nodelay(true).unwrap();
    other.set_nodelay(true).unwrap();
    (one, other)
}

pub fn tcp() -> Made {
    // The peer acknowledges what it has got up to 40 ms later.
    Ok(tcp_small()?.fills().settles(Duration::from_millis(60)))
}

fn tcp_small() -> Made {
    let (one, other) = tcp_pair();
    // Small, so that it is soon full.
    set(one.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, 1 << 16);
    set(other.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 1 << 16);
    Ok(Ends::of(one).peer(OwnedFd::from(other)).fed_by_peer().late())
}

pub fn tcp_low_water() -> Made {
    let ends = tcp_small()?;
    set(ends.fd(), libc::SOL_SOCKET, libc::SO_RCVLOWAT, 5);
    Ok(ends)
}

/// Far ones: the plain call waits for longer than a test looks.
pub fn tcp_timeouts() -> Made {
    let ends = tcp_small()?;
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        set(ends.fd(), libc::SOL_SOCKET, option, libc::timeval { tv_sec: 1000, tv_usec: 0 });
    }
    Ok(ends)
}

pub fn reset() -> Made {
    let (one, other) = tcp_pair();
    set(other.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, libc::linger { l_onoff: 1, l_linger: 0 });
    drop(other);
    Ok(Ends::of(one))
}

pub fn listening() -> Made {
    Ok(Ends::of(TcpListener::bind(HERE).expect("a socket on the loopback interface")))
}

fn socket(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd, String> {
    // SAFETY: no memory involved.
    refused("socket", unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) })
}

pub fn unconnected(family: i32, kind: i32) -> Made {
    Ok(Ends::of(socket(family, kind, 0)?))
}

pub fn netlink() -> Made {
    const NETLINK_USERSOCK: i32 = 2;
    let bound = || -> Result<(OwnedFd, libc::sockaddr_nl), String> {
        let one = socket(libc::AF_NETLINK, libc::SOCK_RAW, NETLINK_USERSOCK)?;
        // SAFETY: a struct of integers.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as u16;
        let mut len = size_of::<libc::sockaddr_nl>() as u32;
        let place = (&raw mut address).cast();
        // SAFETY: a live address of the size it says.
        unsafe {
            assert_eq!(libc::bind(one.as_raw_fd(), place, len), 0, "bind: {}", sys::errno());
            assert_eq!(libc::getsockname(one.as_raw_fd(), place, &mut len), 0, "getsockname: {}", sys::errno());
        }
        Ok((one, address))
    };
    let ((one, address), (other, other_address)) = (bound()?, bound()?);
    for (from, to) in [(&one, other_address), (&other, address)] {
        let len = size_of::<libc::sockaddr_nl>() as u32;
        // SAFETY: a live address of the size it says.
        let result = unsafe { libc::connect(from.as_raw_fd(), (&raw const to).cast(), len) };
        assert_eq!(result, 0, "connect: {}", sys::errno());
    }
    Ok(Ends::of(one).peer(other).fed_by_peer())
}

/// Of a protocol that nothing on this machine speaks.
pub fn packet() -> Made {
    const LOCAL_EXPERIMENT: u16 = 0x88b5;
    let one = socket(libc::AF_PACKET, libc::SOCK_DGRAM, LOCAL_EXPERIMENT.to_be().into())
        .map_err(|why| format!("CAP_NET_RAW ({why})"))?;
    Ok(Ends::of(one))
}
