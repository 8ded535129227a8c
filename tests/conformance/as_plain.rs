//! An operation does what its plain system call does, and no more.

use crate::support::case::Case;
use crate::support::sys::{Map, PAGE};
use crate::support::*;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

crate::promises! {
    // A child of another test may hold the socket, and then close(2) does not linger.
    Plan::EVERY.alone() => {
        direct_writes_across_the_size_limit_are_short,
        free_does_not_wait_for_a_close_that_lingers,
    }
    Plan::DEFAULT => { vectors_without_full_move_as_much_as_one_call }
    Plan::EVERY => { a_waiting_read_ends_when_its_socket_is_shut_down }
}

const CURRENT: u64 = CAIO_OFFSET_CURRENT;

/// pwrite(2) is short there, and raises no SIGXFSZ.
fn direct_writes_across_the_size_limit_are_short(case: &Case) {
    const LIMIT: usize = 8 * PAGE;
    let data = Map::new(2 * LIMIT);
    drop(case.dir.file("file", data.bytes()));
    let file = std::fs::File::options().write(true).custom_flags(libc::O_DIRECT).open(case.dir.join("file"));
    let Ok(file) = file else { return case.skipped_without_direct() };
    let write = ops::write(file.as_raw_fd(), data.bytes(), 0);
    if sys::plain(&write) != data.len() as i64 {
        return case.skipped_without_direct();
    }
    process::limit(libc::RLIMIT_FSIZE, LIMIT as u64);
    assert_eq!(sys::plain(&write), LIMIT as i64, "the plain call");
    let ctx = case.ctx();
    assert_eq!(ctx.one(write), LIMIT as i64);
    let parts = [ops::iovec(&data.bytes()[..PAGE]), ops::iovec(&data.bytes()[PAGE..])];
    assert_eq!(ctx.one(ops::writev(file.as_raw_fd(), &parts, 0)), LIMIT as i64, "of a vector");
    process::limit(libc::RLIMIT_FSIZE, process::UNLIMITED);
}

/// However many iovecs there are.
fn vectors_without_full_move_as_much_as_one_call(case: &Case) {
    let piece = Map::new(4 << 20);
    let parts = vec![libc::iovec { iov_base: piece.start().cast(), iov_len: piece.len() }; 600];
    let null = sys::open(c"/dev/null", libc::O_RDWR);
    let ctx = case.ctx();
    for offset in [0, CURRENT] {
        let writev = ops::writev(null.as_raw_fd(), &parts, offset);
        assert_eq!(ctx.one(writev), sys::plain(&writev), "at {offset}");
        assert_eq!(ctx.one(writev.full()), 600 * piece.len() as i64, "with FULL, at {offset}");
    }
}

/// A connected UDP socket; nothing is sent to it.
fn udp() -> OwnedFd {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket on the loopback interface");
    socket.connect(("127.0.0.1", 9)).expect("connect");
    socket.into()
}

fn shut_down_for_reading(fd: RawFd) {
    // SAFETY: no memory involved.
    assert_eq!(unsafe { libc::shutdown(fd, libc::SHUT_RD) }, 0, "shutdown: {}", sys::errno());
}

/// With 0, as read(2) does: a datagram socket too, which poll(2) calls readable from then on.
fn a_waiting_read_ends_when_its_socket_is_shut_down(case: &Case) {
    let ctx = case.ctx();
    let pair = |kind| sys::socketpair_of(kind);
    let pairs = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET].map(pair);
    let udp = udp();
    for socket in pairs.iter().map(|pair| &pair.0).chain([&udp]) {
        let (mut room, fd) = ([0; 64], socket.as_raw_fd());
        ctx.accept(&[ops::read(fd, &mut room, CURRENT)]);
        assert_eq!(ctx.wait(1, 1, 10_000_000), Ok(vec![]), "it waits");
        shut_down_for_reading(fd);
        assert_eq!(ctx.collect(1)[0].result, 0);
        assert_eq!(ctx.one(ops::read(fd, &mut room, CURRENT)), sys::plain(&ops::read(fd, &mut room, CURRENT)));
    }
}

/// close(2) of a socket with SO_LINGER waits for a peer that never reads.
fn free_does_not_wait_for_a_close_that_lingers(case: &Case) {
    const LINGER: i32 = 10;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket on the loopback interface");
    let socket = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    let _peer = listener.accept().expect("a connection");
    socket.set_nonblocking(true).expect("O_NONBLOCK");
    let data = vec![0; 65536];
    while sys::plain(&ops::write(socket.as_raw_fd(), &data, CURRENT)) > 0 {}
    socket.set_nonblocking(false).expect("O_NONBLOCK");
    let linger = libc::linger { l_onoff: 1, l_linger: LINGER };
    let (place, len) = ((&raw const linger).cast(), size_of::<libc::linger>() as u32);
    // SAFETY: a live struct of the size it says.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, place, len) };
    assert_eq!(set, 0, "SO_LINGER: {}", sys::errno());
    let fd = socket.into_raw_fd();
    let ctx = case.ctx();
    ctx.accept(&[ops::close(fd)]);
    until("close(2) has taken the number", || !process::is_open(fd));
    assert_eq!(ctx.wait(1, 1, 10_000_000), Ok(vec![]), "it lingers");
    let start = Instant::now();
    drop(ctx);
    assert!(start.elapsed() < Duration::from_secs(LINGER as u64 / 2), "free took {:?}", start.elapsed());
}
