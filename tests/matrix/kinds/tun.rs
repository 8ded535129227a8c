//! A network interface whose packets are read from a descriptor, in a network of this process's own.

use crate::ends::{Ends, Made, refused};
use crate::support::*;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

fn network() -> Result<(), String> {
    static OWN: OnceLock<Result<(), String>> = OnceLock::new();
    OWN.get_or_init(|| {
        // SAFETY: no memory involved.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
            return Err(format!("the right to make a network namespace ({})", std::io::Error::last_os_error()));
        }
        // IPv6 sends packets of its own. A kernel without it has no such file.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        Ok(())
    })
    .clone()
}

/// struct ifreq: a name, and an address or flags.
#[repr(C)]
#[derive(Clone, Copy)]
struct Request {
    name: [u8; 16],
    value: [u8; 24],
}

impl Request {
    fn flags(self, flags: i32) -> Self {
        let mut value = [0; 24];
        value[..2].copy_from_slice(&(flags as u16).to_ne_bytes());
        Self { value, ..self }
    }

    fn address(self, address: [u8; 4]) -> Self {
        let mut value = [0; 24];
        value[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        value[4..8].copy_from_slice(&address);
        Self { value, ..self }
    }

    fn ask(&mut self, fd: &impl AsRawFd, request: u64) -> i64 {
        // SAFETY: a live struct ifreq.
        sys::ret(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, &raw mut *self) }.into())
    }
}

// The C libraries differ in the type of a request.
const SIOCSIFFLAGS: u64 = 0x8914;
const SIOCSIFADDR: u64 = 0x8916;
const SIOCSIFNETMASK: u64 = 0x891c;

pub fn attached() -> Made {
    const TUNSETIFF: u64 = 0x4004_54ca;
    static COUNT: AtomicU8 = AtomicU8::new(0);
    network()?;
    // SAFETY: a live string.
    let fd = unsafe { libc::open(c"/dev/net/tun".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    let fd = refused("/dev/net/tun", fd)?;
    let mut request = Request { name: [0; 16], value: [0; 24] }.flags(libc::IFF_TUN | libc::IFF_NO_PI);
    let result = request.ask(&fd, TUNSETIFF);
    if result < 0 {
        return Err(format!("the right to make a TUN interface ({})", std::io::Error::last_os_error()));
    }
    // Relaxed: only distinct numbers matter.
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    let up = request.flags(libc::IFF_UP | libc::IFF_RUNNING);
    let settings = [
        (request.address([10, 99, number, 1]), SIOCSIFADDR),
        (request.address([255, 255, 255, 0]), SIOCSIFNETMASK),
        (up, SIOCSIFFLAGS),
    ];
    for (mut setting, call) in settings {
        assert_eq!(setting.ask(&socket, call), 0, "the interface's settings");
    }
    let to = Ipv4Addr::new(10, 99, number, 2);
    Ok(Ends::of(fd).fed(move |_| {
        socket.send_to(&[0; 100], (to, 7)).expect("a packet");
    }))
}
