//! Every opcode on every kind of descriptor.

use super::Matrix;
use crate::support::case::Case;
use crate::support::*;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

crate::promises! {
    Plan::EVERY => {
        numbers_that_are_not_open,
        files_and_folders,
        streams_without_blocking,
        streams_at_an_offset_yield_espipe,
        devices_and_other_kinds,
    }
    Plan::DEFAULT => { a_stream_at_an_offset_keeps_its_bytes }
}

/// Reads, syncs, paths and failing changes; then writes. None of these blocks if the descriptor does not.
fn all(matrix: &mut Matrix, name: &str, fd: RawFd) {
    transfers(matrix, name, fd, CAIO_OP_READ, &OFFSETS);
    others(matrix, name, fd);
    transfers(matrix, name, fd, CAIO_OP_WRITE, &OFFSETS);
}

const OFFSETS: [u64; 7] =
    [0, 5, i64::MAX as u64 - 4, i64::MAX as u64, i64::MIN as u64, u64::MAX - 1, CAIO_OFFSET_CURRENT];

/// READ and READV, or WRITE and WRITEV.
fn transfers(matrix: &mut Matrix, name: &str, fd: RawFd, opcode: u8, offsets: &[u64]) {
    // The number 1, which an eventfd accepts.
    let room = 1u128.to_le_bytes();
    let vectored = if opcode == CAIO_OP_READ { CAIO_OP_READV } else { CAIO_OP_WRITEV };
    for offset in offsets {
        for len in [16, 0] {
            let at = if *offset == CAIO_OFFSET_CURRENT { "CURRENT".into() } else { (*offset as i64).to_string() };
            let vector = [ops::iovec(&room[..len])];
            let plain = op(opcode, fd).buf(room.as_ptr()).len(len as u64).at(*offset);
            matrix.same(format_args!("opcode {opcode} of {len} on {name} at {at}"), plain);
            let many = op(vectored, fd).buf(vector.as_ptr()).len(1).at(*offset);
            matrix.same(format_args!("opcode {vectored} of {len} on {name} at {at}"), many);
            matrix.same(format_args!("opcode {vectored} of no iovec on {name} at {at}"), many.len(0));
        }
    }
}

/// Operations that neither read nor write, and do not change the descriptor.
fn others(matrix: &mut Matrix, name: &str, fd: RawFd) {
    let path = c"missing/x";
    let mut stat = sys::statx_room();
    let negative = -5i64 as u64;
    let cases = [
        ("fsync", ops::fsync(fd)),
        ("fdatasync", ops::fdsync(fd)),
        ("sync_file_range", op(CAIO_OP_SYNC_RANGE, fd)),
        ("sync_file_range, negative offset", op(CAIO_OP_SYNC_RANGE, fd).at(negative)),
        ("sync_file_range, negative length", op(CAIO_OP_SYNC_RANGE, fd).len(negative)),
        ("sync_file_range, unknown flag", op(CAIO_OP_SYNC_RANGE, fd).sys(8)),
        ("fallocate of nothing", op(CAIO_OP_ALLOCATE, fd)),
        ("fallocate", op(CAIO_OP_ALLOCATE, fd).len(100)),
        ("fallocate, negative offset", op(CAIO_OP_ALLOCATE, fd).len(1).at(negative)),
        ("fallocate, negative length", op(CAIO_OP_ALLOCATE, fd).len(negative)),
        ("fallocate, unknown mode", op(CAIO_OP_ALLOCATE, fd).len(1).sys(1 << 30)),
        ("ftruncate", ops::truncate(fd, 4096)),
        ("ftruncate, negative", ops::truncate(fd, negative)),
        ("openat", ops::openat(fd, path, libc::O_RDONLY, 0)),
        ("statx", ops::statx(fd, path, &mut stat)),
        ("statx of itself", ops::statx(fd, c"", &mut stat).sys(libc::AT_EMPTY_PATH.into())),
        ("renameat", ops::renameat(fd, path, c"missing/y")),
        ("unlinkat", ops::unlinkat(fd, path)),
        ("mkdirat", ops::mkdirat(fd, path, 0o700)),
    ];
    for (call, op) in cases {
        matrix.same(format_args!("{call} on {name}"), op);
    }
}

fn numbers_that_are_not_open(case: &Case) {
    let mut matrix = Matrix::new(case);
    for fd in [-1, 1_000_000, i32::MAX, i32::MIN, libc::AT_FDCWD] {
        let name = format!("descriptor {fd}");
        all(&mut matrix, &name, fd);
        matrix.says(format_args!("close of {name}"), ops::close(fd), libc::EBADF);
        matrix.says(format_args!("fsync of {name}"), ops::fsync(fd), libc::EBADF);
    }
}

fn files_and_folders(case: &Case) {
    case.dir.file("file", &files::pattern(5000));
    let (file, folder) = (case.dir.c("file"), case.dir.c("."));
    let open = [
        ("a file", sys::open(&file, libc::O_RDWR)),
        ("a file for reading", sys::open(&file, libc::O_RDONLY)),
        ("a file for writing", sys::open(&file, libc::O_WRONLY)),
        ("a file as a path", sys::open(&file, libc::O_PATH)),
        ("a folder", sys::open(&folder, libc::O_RDONLY)),
        ("a folder as a path", sys::open(&folder, libc::O_PATH)),
        ("a file for appending", sys::open(&file, libc::O_RDWR | libc::O_APPEND)),
        ("a non-blocking file", sys::open(&file, libc::O_RDWR | libc::O_NONBLOCK)),
        ("a synchronous file", sys::open(&file, libc::O_RDWR | libc::O_SYNC)),
    ];
    let mut matrix = Matrix::new(case);
    for (name, fd) in &open {
        all(&mut matrix, name, fd.as_raw_fd());
    }
    let (reading, writing, fd) = (open[1].1.as_raw_fd(), open[2].1.as_raw_fd(), open[4].1.as_raw_fd());
    let mut room = [0; 8];
    matrix.says("write to a file for reading", ops::write(reading, b"x", 0), libc::EBADF);
    matrix.says("read of a file for writing", ops::read(writing, &mut room, 0), libc::EBADF);
    matrix.says("read of a folder", ops::read(fd, &mut room, 0), libc::EISDIR);
}

fn fifo(case: &Case, flags: i32) -> OwnedFd {
    let path = case.dir.c(&format!("fifo{flags}"));
    sys::make_fifo(&path);
    sys::open(&path, flags)
}

/// Both ends of each kind, the read end first.
fn streams(case: &Case) -> Vec<(&'static str, OwnedFd)> {
    let ((pipe, into), (socket, peer), (controller, terminal)) = (sys::pipe(), sys::socketpair(), sys::terminal());
    vec![
        ("a pipe to read from", pipe),
        ("a pipe to write to", into),
        ("a socket", socket),
        ("its peer", peer),
        ("a terminal", terminal),
        ("its controlling side", controller),
        ("a FIFO", fifo(case, libc::O_RDWR)),
    ]
}

fn streams_without_blocking(case: &Case) {
    let streams = streams(case);
    let (orphan, _) = sys::pipe();
    let (_, broken) = sys::pipe();
    let (_, hung_up) = sys::terminal();
    let (lonely, _) = sys::socketpair();
    let ended = [
        ("a pipe at its end", orphan),
        ("a broken pipe", broken),
        ("a lonely socket", lonely),
        ("a hung-up terminal", hung_up),
    ];
    let mut matrix = Matrix::new(case);
    let all = || streams.iter().chain(&ended);
    for (name, fd) in all() {
        sys::set_nonblocking(fd.as_raw_fd());
        transfers(&mut matrix, name, fd.as_raw_fd(), CAIO_OP_READ, &OFFSETS);
        others(&mut matrix, name, fd.as_raw_fd());
    }
    for (name, fd) in all() {
        transfers(&mut matrix, name, fd.as_raw_fd(), CAIO_OP_WRITE, &OFFSETS);
    }
    let mut room = [0; 8];
    let empty = fifo(case, libc::O_RDWR | libc::O_NONBLOCK);
    matrix.says("read of an empty FIFO", ops::read(empty.as_raw_fd(), &mut room, u64::MAX), libc::EAGAIN);
    matrix.says("write to a broken pipe", ops::write(ended[1].1.as_raw_fd(), b"x", u64::MAX), libc::EPIPE);
}

/// Blocking streams: a wrong backend would block here, or take bytes.
fn streams_at_an_offset_yield_espipe(case: &Case) {
    let mut matrix = Matrix::new(case);
    let explicit = &OFFSETS[..6];
    for (name, fd) in streams(case) {
        transfers(&mut matrix, name, fd.as_raw_fd(), CAIO_OP_READ, explicit);
        transfers(&mut matrix, name, fd.as_raw_fd(), CAIO_OP_WRITE, explicit);
        let readable = !name.contains("write");
        if readable {
            let mut room = [0; 8];
            matrix.says(format_args!("read of {name} at 0"), ops::read(fd.as_raw_fd(), &mut room, 0), libc::ESPIPE);
        }
    }
}

fn a_stream_at_an_offset_keeps_its_bytes(case: &Case) {
    let ctx = case.ctx();
    for stuck in stuck::Stuck::kinds() {
        stuck.fill(10);
        for offset in [0, 1, 4096] {
            let espipe = -i64::from(libc::ESPIPE);
            let results = ctx.run(&[stuck.read().at(offset), stuck.read().at(offset).full()]);
            assert_eq!(results, [espipe, espipe]);
            assert_eq!(ctx.one(ops::write(stuck.writer.as_raw_fd(), b"never", offset)), espipe);
        }
        assert_eq!(stuck.waiting(), 10, "no byte was moved");
    }
}

fn devices_and_other_kinds(case: &Case) {
    let nonblocking = libc::O_RDWR | libc::O_NONBLOCK;
    let mut open: Vec<(&str, OwnedFd)> = vec![
        ("/dev/null", sys::open(c"/dev/null", libc::O_RDWR)),
        ("/dev/zero", sys::open(c"/dev/zero", libc::O_RDWR)),
        ("/dev/full", sys::open(c"/dev/full", libc::O_RDWR)),
        ("/proc/version", sys::open(c"/proc/version", libc::O_RDONLY)),
        // The C library emulates posix_fallocate(3) on it.
        ("/proc/self/mem", sys::open(if POSIX { c"/dev/zero" } else { c"/proc/self/mem" }, libc::O_RDWR)),
        ("/proc/self/ns/net", sys::open(c"/proc/self/ns/net", libc::O_RDONLY)),
        ("a ptmx", sys::open(c"/dev/ptmx", nonblocking | libc::O_NOCTTY)),
    ];
    // SAFETY: no memory is involved but two live masks, one live string and one live int.
    let made = unsafe {
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut mask);
        [
            ("an eventfd", libc::eventfd(0, libc::EFD_NONBLOCK)),
            ("an epoll", libc::epoll_create1(0)),
            ("a timerfd", libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK)),
            ("a signalfd", libc::signalfd(-1, &mask, libc::SFD_NONBLOCK)),
            ("an inotify", libc::inotify_init1(libc::IN_NONBLOCK)),
            ("an unconnected socket", libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0)),
            ("a datagram socket", libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK, 0)),
            ("a memfd", libc::memfd_create(c"caio".as_ptr(), 0)),
            ("a sealed memfd", sealed()),
        ]
    };
    // SAFETY: each is fresh from the kernel.
    open.extend(made.map(|(name, fd)| (name, unsafe { OwnedFd::from_raw_fd(fd) })));
    let mut matrix = Matrix::new(case);
    for (name, fd) in &open {
        all(&mut matrix, name, fd.as_raw_fd());
    }
    matrix.says("write to /dev/full", ops::write(open[2].1.as_raw_fd(), b"x", 0), libc::ENOSPC);
    matrix.says("write to /dev/full at CURRENT", ops::write(open[2].1.as_raw_fd(), b"x", u64::MAX), libc::ENOSPC);
}

fn sealed() -> RawFd {
    // SAFETY: a live string.
    unsafe {
        let fd = libc::memfd_create(c"caio".as_ptr(), libc::MFD_ALLOW_SEALING);
        assert_eq!(libc::ftruncate(fd, 1 << 20), 0);
        assert_eq!(libc::fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK), 0);
        fd
    }
}
