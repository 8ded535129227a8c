//! `sys_flags` of transfers, and the calls that take a range or a size.

use super::Matrix;
use crate::support::case::Case;
use crate::support::*;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY => { transfer_flags, unknown_flags_beside_nowait, sync_ranges, allocations, sizes }
    Plan::FOLDERS => { nowait_is_not_retried, flags_have_their_effect }
}

const TRANSFERS: [u8; 4] = [CAIO_OP_READ, CAIO_OP_READV, CAIO_OP_WRITE, CAIO_OP_WRITEV];

/// Every flag bit alone, and unknown bits together with known ones, on files and streams.
fn transfer_flags(case: &Case) {
    let file = case.dir.file("file", &files::pattern(10_000));
    let (pipe, into) = sys::pipe();
    let zero = sys::open(c"/dev/zero", libc::O_RDWR);
    sys::set_nonblocking(pipe.as_raw_fd());
    sys::set_nonblocking(into.as_raw_fd());
    // A large pipe has room for every write of this test: the results depend on the room.
    sys::set_pipe_size(&into, 1 << 20);
    let room = [0; 100];
    let vector = [ops::iovec(&room)];
    let mut matrix = Matrix::new(case);
    for opcode in TRANSFERS {
        let vectored = opcode == CAIO_OP_READV || opcode == CAIO_OP_WRITEV;
        let reads = opcode == CAIO_OP_READ || opcode == CAIO_OP_READV;
        let stream = if reads { pipe.as_raw_fd() } else { into.as_raw_fd() };
        for fd in [file.as_raw_fd(), zero.as_raw_fd(), stream, -1] {
            let plain = op(opcode, fd);
            let plain = if vectored { plain.buf(vector.as_ptr()).len(1) } else { plain.buf(room.as_ptr()).len(100) };
            for flags in (0..32).map(|bit| 1i64 << bit).chain([0xffff_ffff, 1 << 31 | libc::RWF_NOWAIT as i64]) {
                matrix.same(format_args!("opcode {opcode} on {fd}, flags {flags:#x}"), plain.sys(flags));
                matrix.same(
                    format_args!("opcode {opcode} on {fd}, CURRENT, flags {flags:#x}"),
                    plain.current().sys(flags),
                );
                matrix.same(
                    format_args!("opcode {opcode} of nothing on {fd}, flags {flags:#x}"),
                    plain.len(0).sys(flags),
                );
            }
        }
    }
    let read = op(CAIO_OP_READ, file.as_raw_fd()).buf(room.as_ptr()).len(100);
    matrix.says("an unknown flag", read.sys(1 << 30), libc::EOPNOTSUPP);
}

/// Also where nothing can be read now, and RWF_NOWAIT alone fails with EAGAIN.
fn unknown_flags_beside_nowait(case: &Case) {
    if POSIX {
        return;
    }
    let (pipe, _into) = sys::pipe();
    let (datagrams, _other) = sys::socketpair_of(libc::SOCK_DGRAM);
    let (mut room, nowait) = ([0; 8], i64::from(libc::RWF_NOWAIT));
    let mut matrix = Matrix::new(case);
    for (what, fd) in [("a pipe", pipe), ("a datagram socket", datagrams)] {
        let read = ops::read(fd.as_raw_fd(), &mut room, 0).current();
        assert_eq!(case.ctx().one(read.sys(nowait)), -i64::from(libc::EAGAIN), "{what}");
        matrix.says(format_args!("an unknown flag on {what}"), read.sys(nowait | 1 << 27), libc::EOPNOTSUPP);
    }
}

fn sync_ranges(case: &Case) {
    let file = case.dir.file("file", &files::pattern(10_000));
    let plain = op(CAIO_OP_SYNC_RANGE, file.as_raw_fd());
    let mut matrix = Matrix::new(case);
    for flags in 0..16 {
        for (offset, len) in [(0, 0), (0, 5000), (4096, 4096), (1 << 40, 1), (5, (1 << 33) + 1)] {
            matrix
                .same(format_args!("sync_file_range({offset}, {len}, {flags})"), plain.at(offset).len(len).sys(flags));
        }
    }
    for (offset, len) in [(-1i64, 1), (0, -1), (i64::MAX, 1), (i64::MAX, i64::MAX), (1, i64::MAX), (i64::MIN, i64::MIN)]
    {
        let op = plain.at(offset as u64).len(len as u64).sys(2);
        matrix.same(format_args!("sync_file_range({offset}, {len})"), op);
    }
    for bit in 3..32 {
        matrix.says(format_args!("sync_file_range, flag bit {bit}"), plain.sys(1 << bit), libc::EINVAL);
    }
}

fn allocations(case: &Case) {
    let file = case.dir.file("file", &files::pattern(10_000));
    let plain = op(CAIO_OP_ALLOCATE, file.as_raw_fd());
    let mut matrix = Matrix::new(case);
    for mode in (0..32).map(|bit| 1i64 << bit).chain([0, 3, 0x11, 0x18, 0x28]) {
        for (offset, len) in [(0i64, 0i64), (0, -1), (-1, 1), (i64::MAX, 1), (i64::MAX - 1, 10), (100, 1)] {
            let op = plain.at(offset as u64).len(len as u64).sys(mode);
            matrix.same(format_args!("fallocate({mode:#x}, {offset}, {len})"), op);
        }
    }
    matrix.says("an empty range", plain, libc::EINVAL);
    matrix.says("past the largest file", plain.at(i64::MAX as u64).len(1), libc::EFBIG);
    matrix.says("a hole that changes the size", plain.len(10).sys(libc::FALLOC_FL_PUNCH_HOLE.into()), libc::EOPNOTSUPP);
}

fn sizes(case: &Case) {
    let file = case.dir.file("file", &files::pattern(10_000));
    let mut matrix = Matrix::new(case);
    for size in [0, 1, 10_000, 1 << 33, i64::MAX as u64, i64::MIN as u64, u64::MAX - 1, u64::MAX] {
        matrix.same(format_args!("ftruncate to {size}"), ops::truncate(file.as_raw_fd(), size));
        if size <= 1 << 33 {
            assert_eq!(file.metadata().expect("fstat").len(), size);
        }
    }
    matrix.says("a negative size", ops::truncate(file.as_raw_fd(), u64::MAX), libc::EINVAL);
}

/// With RWF_NOWAIT of the caller, the result is that of the kernel. The library does not retry on another path.
fn nowait_is_not_retried(case: &Case) {
    let mut room = vec![0; 8192];
    let ctx = case.ctx();
    let file = case.dir.cold("cold", 1 << 20);
    let read = ops::read(file.as_raw_fd(), &mut room, 65536).sys(libc::RWF_NOWAIT.into());
    if POSIX {
        return assert_eq!(ctx.one(read), -i64::from(libc::EOPNOTSUPP));
    }
    if case.dir.on_disk() {
        for linked in [false, true] {
            // A fast disk may complete the read first.
            until("a cold file yields no byte", || {
                case.dir.cool(&file);
                let result = if linked { ctx.run(&[ops::nop().link(), read])[1] } else { ctx.one(read) };
                assert!(result > 0 || result == -i64::from(libc::EAGAIN), "{result}");
                result < 0
            });
        }
    }
    assert_eq!(sys::plain(&read.sys(0)), 8192);
    // A cached file yields everything. tmpfs does not support the flag.
    assert_eq!(ctx.one(read), sys::plain(&read));
}

fn flags_have_their_effect(case: &Case) {
    let file = case.dir.file("file", b"0123456789");
    let fd = file.as_raw_fd();
    let ctx = case.ctx();
    assert_eq!(ctx.one(ops::write(fd, b"ab", 2).sys(libc::RWF_APPEND.into())), 2);
    assert_eq!(ctx.one(ops::write(fd, b"cd", 0).sys(libc::RWF_DSYNC.into())), 2);
    assert_eq!(ctx.one(ops::write(fd, b"ef", 2).sys(libc::RWF_SYNC.into()).full()), 2);
    assert_eq!(case.dir.content("file"), b"cdef456789ab");
    let keep = i64::from(libc::FALLOC_FL_KEEP_SIZE);
    let mut room = [0; 3];
    if POSIX {
        let missing = -i64::from(libc::EOPNOTSUPP);
        assert_eq!(ctx.one(ops::read(fd, &mut room, 1).sys(libc::RWF_HIPRI.into())), missing);
        return assert_eq!(ctx.one(op(CAIO_OP_ALLOCATE, fd).at(0).len(65536).sys(keep)), missing);
    }
    assert_eq!(ctx.one(ops::read(fd, &mut room, 1).sys(libc::RWF_HIPRI.into())), 3);
    assert_eq!(&room, b"def");
    assert_eq!(ctx.one(op(CAIO_OP_ALLOCATE, fd).at(0).len(65536).sys(keep)), 0);
    assert_eq!(case.dir.content("file").len(), 12);
    let punch = op(CAIO_OP_ALLOCATE, fd).at(0).len(4).sys(keep | i64::from(libc::FALLOC_FL_PUNCH_HOLE));
    let punched = ctx.one(punch);
    assert_eq!(punched, sys::plain(&punch));
    if punched == 0 {
        assert_eq!(case.dir.content("file"), b"\0\0\0\x00456789ab");
    }
}
