//! Promise 13: offsets over 2 and 4 GiB, and vectors of more than 2 GiB.

use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::sys::Map;
use crate::support::*;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY => { offsets_above_4_gib_work, opened_files_take_offsets_above_4_gib }
    Plan::DEFAULT => { vectors_above_the_limit_of_one_call }
}

pub const GIB: u64 = 1 << 30;
/// The kernel moves at most this many bytes in one call.
pub const ONE_CALL: i64 = 0x7fff_f000;

fn offsets_above_4_gib_work(case: &Case) {
    let file = case.dir.sparse("file", 0);
    let fd = file.as_raw_fd();
    let data = pattern(10_000);
    let ctx = case.ctx();
    for offset in [2 * GIB - 5000, 4 * GIB - 5000, 4 * GIB, 9 * GIB + 123, 1 << 40] {
        let mut room = vec![0; 10_000];
        let parts = [ops::iovec(&data[..3000]), ops::iovec(&data[3000..])];
        let into = [ops::iovec(&room)];
        let back = ops::readv(fd, &into, offset + 20_000);
        let ops = [
            ops::write(fd, &data, offset),
            ops::writev(fd, &parts, offset + 20_000).full(),
            op(CAIO_OP_SYNC_RANGE, fd).at(offset).len(5 * GIB).sys(libc::SYNC_FILE_RANGE_WRITE.into()),
            ops::read(fd, &mut room, offset),
            back,
        ];
        assert_eq!(ctx.run(&ops::chain(&ops)), [10_000, 10_000, 0, 10_000, 10_000], "at {offset}");
        assert!(room == data);
        assert_eq!(file.metadata().expect("fstat").len(), offset + 30_000);
    }
    assert_eq!(ctx.one(ops::truncate(fd, 5 * GIB + 1)), 0);
    assert_eq!(file.metadata().expect("fstat").len(), 5 * GIB + 1);
    if POSIX {
        return;
    }
    let keep = libc::FALLOC_FL_KEEP_SIZE.into();
    assert_eq!(ctx.one(op(CAIO_OP_ALLOCATE, fd).at(8 * GIB).len(4096).sys(keep)), 0);
    let punch = i64::from(libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE);
    assert_eq!(ctx.one(op(CAIO_OP_ALLOCATE, fd).at(4096).len(6 * GIB).sys(punch)), 0, "a length over 4 GiB");
    let mut byte = [9];
    assert_eq!(ctx.one(ops::read(fd, &mut byte, 4 * GIB + 1)), 1);
    assert_eq!(byte, [0], "all of the range is a hole");
}

/// On a 32-bit system, this takes O_LARGEFILE.
fn opened_files_take_offsets_above_4_gib(case: &Case) {
    let name = case.dir.c("opened");
    let ctx = case.ctx();
    let fd = ctx.one(ops::openat(libc::AT_FDCWD, &name, libc::O_CREAT | libc::O_RDWR, 0o600)) as i32;
    assert!(fd >= 0, "openat: {fd}");
    assert_eq!(ctx.run(&ops::chain(&[ops::write(fd, b"far", 5 * GIB), ops::close(fd)])), [3, 0]);
    assert_eq!(std::fs::metadata(case.dir.join("opened")).expect("stat").len(), 5 * GIB + 3);
}

fn vectors_above_the_limit_of_one_call(case: &Case) {
    let piece = Map::new(3 << 20);
    let parts = vec![libc::iovec { iov_base: piece.start().cast(), iov_len: piece.len() }; 1000];
    let all = 1000 * piece.len() as i64;
    let (zero, null) = (sys::open(c"/dev/zero", libc::O_RDONLY), sys::open(c"/dev/null", libc::O_WRONLY));
    let ctx = case.ctx();
    let writev = ops::writev(null.as_raw_fd(), &parts, 0);
    assert_eq!(ctx.run(&[writev, writev.full()]), [ONE_CALL, all]);
    assert_eq!(ctx.one(ops::readv(zero.as_raw_fd(), &parts, 0).full()), all);
}
