//! The rows of the matrix: kinds of descriptors. One line of [`KINDS`] adds one.
//!
//! Not tried, because the machines that run these tests do not have it or would be disturbed:
//! - uio, hidraw, /dev/input/event*, sound and video devices, tapes: need the hardware (or uinput, uhid).
//! - /proc/kmsg: a read takes the messages away from the system's log daemon.
//! - /dev/watchdog, /dev/mem, /dev/port, /dev/console: a write reaches the machine.
//! - AF_VSOCK: needs a hypervisor's other side; AF_CAN, AF_BLUETOOTH, AF_XDP: need the kernel module or the hardware.
//! - NFS, CIFS: need a server.

mod devices;
mod events;
mod files;
mod fuse;
mod handles;
mod sockets;
mod streams;
mod terminals;
mod tun;

use crate::ends::{Ends, Made};
use crate::support::files::Dir;
use crate::support::process;

pub struct Kind {
    pub name: &'static str,
    make: fn(&Dir) -> Made,
    /// Two of them never hold the same bytes: only lengths are compared.
    pub unlike: bool,
    /// Made of something that the whole machine has once.
    pub machine_wide: bool,
    /// The kernel makes the bytes, and may stop after any page if it needs the processor.
    pub makes_pages: bool,
    /// A read with less room than the largest record needs fails, and an operation may learn that only when a record
    /// comes: not tried.
    pub demands_room: bool,
}

impl Kind {
    /// A new one, with nothing to read unless it is a file.
    pub fn make(&self, dir: &Dir) -> Made {
        (self.make)(dir)
    }

    const fn unlike(self) -> Self {
        Self { unlike: true, ..self }
    }

    const fn makes_pages(self) -> Self {
        Self { makes_pages: true, ..self }
    }

    const fn demands_room(self) -> Self {
        Self { demands_room: true, ..self }
    }

    const fn machine_wide(self) -> Self {
        Self { machine_wide: true, ..self }
    }
}

const fn kind(name: &'static str, make: fn(&Dir) -> Made) -> Kind {
    Kind { name, make, unlike: false, machine_wide: false, makes_pages: false, demands_room: false }
}

fn nonblocking(made: Made) -> Made {
    made.map(Ends::nonblocking)
}

/// Runs `body` on a thread without signals, and returns when it sleeps there.
fn blocked(body: impl FnOnce() + Send + 'static) {
    let (says, thread) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // SAFETY: a set of bits.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
        }
        says.send(process::this_thread()).expect("the test");
        body();
    });
    process::await_asleep(std::process::id(), thread.recv().expect("the thread"));
}

pub const KINDS: &[Kind] = &[
    kind("regular file", files::regular),
    kind("regular file, O_DIRECT", files::direct),
    kind("regular file, O_APPEND", files::append),
    kind("regular file, O_RDONLY", files::read_only),
    kind("regular file, O_WRONLY", files::write_only),
    kind("regular file on tmpfs", files::in_memory),
    kind("O_PATH", files::path),
    kind("directory", files::directory),
    kind("memfd", files::memfd),
    kind("memfd, sealed", files::sealed),
    kind("/proc/version", |_| files::system("/proc/version", libc::O_RDONLY)),
    kind("/proc/self/comm", files::comm),
    kind("/proc/swaps", |_| files::system("/proc/swaps", libc::O_RDONLY)),
    kind("/proc/self/mem", |_| files::system("/proc/self/mem", libc::O_RDONLY)),
    kind("sysfs file", |_| files::system("/sys/devices/system/cpu/possible", libc::O_RDONLY)),
    kind("pipe, read end", |_| streams::reader(0)),
    kind("pipe, write end", |_| streams::writer(0)),
    kind("pipe, read end, O_NONBLOCK", |_| nonblocking(streams::reader(0))),
    kind("pipe, write end, O_NONBLOCK", |_| nonblocking(streams::writer(0))),
    kind("pipe, read end, O_DIRECT", |_| streams::reader(libc::O_DIRECT)),
    kind("pipe, write end, O_DIRECT", |_| streams::writer(libc::O_DIRECT)),
    kind("pipe without writer", |_| streams::without_writer()),
    kind("pipe without reader", |_| streams::without_reader()),
    kind("FIFO, read end", streams::fifo_reader),
    kind("FIFO, write end", streams::fifo_writer),
    kind("FIFO, both ends", streams::fifo_both),
    kind("socketpair, stream", |_| sockets::pair(libc::SOCK_STREAM)),
    kind("socketpair, datagram", |_| sockets::pair(libc::SOCK_DGRAM)),
    kind("socketpair, seqpacket", |_| sockets::pair(libc::SOCK_SEQPACKET)),
    kind("socketpair, stream, O_NONBLOCK", |_| nonblocking(sockets::pair(libc::SOCK_STREAM))),
    kind("socketpair, datagram, O_NONBLOCK", |_| nonblocking(sockets::pair(libc::SOCK_DGRAM))),
    kind("socketpair without peer", |_| sockets::without_peer()),
    kind("stream socket after SHUT_RD", |_| sockets::shut(libc::SOCK_STREAM, libc::SHUT_RD)),
    kind("stream socket after SHUT_WR", |_| sockets::shut(libc::SOCK_STREAM, libc::SHUT_WR)),
    kind("datagram socket after SHUT_RD", |_| sockets::shut(libc::SOCK_DGRAM, libc::SHUT_RD)),
    kind("datagram socket after SHUT_WR", |_| sockets::shut(libc::SOCK_DGRAM, libc::SHUT_WR)),
    kind("UDP", |_| sockets::udp()),
    kind("UDP, unconnected", |_| sockets::unconnected(libc::AF_INET, libc::SOCK_DGRAM)),
    kind("UDP after SHUT_RD", |_| sockets::udp_shut()),
    kind("UDP with a pending error", |_| sockets::udp_refused()),
    kind("TCP", |_| sockets::tcp()),
    kind("TCP, SO_RCVLOWAT of 5", |_| sockets::tcp_low_water()),
    kind("TCP, SO_RCVTIMEO and SO_SNDTIMEO", |_| sockets::tcp_timeouts()),
    kind("TCP, unconnected", |_| sockets::unconnected(libc::AF_INET, libc::SOCK_STREAM)),
    kind("TCP, reset by the peer", |_| sockets::reset()),
    kind("TCP, listening", |_| sockets::listening()),
    kind("UNIX socket, unconnected", |_| sockets::unconnected(libc::AF_UNIX, libc::SOCK_STREAM)),
    kind("netlink socket", |_| sockets::netlink()),
    kind("packet socket", |_| sockets::packet()),
    kind("terminal, raw", |_| terminals::raw()),
    kind("terminal, raw, O_NONBLOCK", |_| nonblocking(terminals::raw())),
    kind("terminal, canonical", |_| terminals::canonical()),
    kind("terminal, VMIN of 5", |_| terminals::at_least(5)),
    kind("terminal, VMIN of 0", |_| terminals::at_least(0)),
    kind("terminal, hung up", |_| terminals::hung_up()),
    kind("pty master", |_| terminals::controller()),
    kind("pty master, O_NONBLOCK", |_| nonblocking(terminals::controller())),
    kind("pty master, packet mode", |_| terminals::packets()),
    kind("pty master without terminal", |_| terminals::without_terminal()),
    kind("/dev/tty", |_| terminals::controlling()),
    kind("eventfd", |_| events::eventfd(0)),
    kind("eventfd, semaphore", |_| events::eventfd(libc::EFD_SEMAPHORE)),
    kind("eventfd, O_NONBLOCK", |_| nonblocking(events::eventfd(0))),
    kind("timerfd", |_| events::timerfd()),
    kind("timerfd, O_NONBLOCK", |_| nonblocking(events::timerfd())),
    kind("signalfd", |_| events::signalfd()),
    kind("inotify", events::inotify),
    kind("inotify, O_NONBLOCK", |dir| nonblocking(events::inotify(dir))),
    kind("fanotify", events::fanotify).unlike(),
    kind("userfaultfd", |_| events::userfaultfd()).unlike(),
    kind("userfaultfd, O_NONBLOCK", |_| nonblocking(events::userfaultfd())).unlike(),
    kind("epoll", |_| handles::epoll()),
    kind("pidfd", |_| handles::pidfd()),
    kind("io_uring", |_| handles::io_uring()),
    kind("mqueue", |_| handles::mqueue()),
    kind("perf_event", |_| handles::perf_event()),
    kind("bpf map", |_| handles::bpf_map()),
    kind("/dev/null", |_| devices::open("/dev/null", libc::O_RDWR)),
    kind("/dev/zero", |_| devices::open("/dev/zero", libc::O_RDWR)).makes_pages(),
    kind("/dev/full", |_| devices::open("/dev/full", libc::O_RDWR)).makes_pages(),
    kind("/dev/urandom", |_| devices::open("/dev/urandom", libc::O_RDONLY)).unlike().makes_pages(),
    kind("/dev/random", |_| devices::open("/dev/random", libc::O_RDONLY)).unlike().makes_pages(),
    kind("/dev/cpu/0/cpuid", |_| devices::open("/dev/cpu/0/cpuid", libc::O_RDONLY)).unlike(),
    kind("/dev/kmsg", |_| devices::kmsg()).unlike().machine_wide(),
    kind("/dev/kmsg, O_NONBLOCK", |_| nonblocking(devices::kmsg())).unlike().machine_wide(),
    kind("loop device", devices::loop_device).machine_wide(),
    kind("/dev/fuse, not mounted", |_| devices::open("/dev/fuse", libc::O_RDWR)),
    kind("/dev/fuse", fuse::mounted).unlike().demands_room(),
    kind("/dev/net/tun, not attached", |_| devices::open("/dev/net/tun", libc::O_RDWR)),
    kind("TUN", |_| tun::attached()).unlike(),
    kind("TUN, O_NONBLOCK", |_| nonblocking(tun::attached())).unlike(),
];
