//! Promise 13: offsets_above_4_gib_work and lengths over 2 and 4 GiB.

use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::sys::Map;
use crate::support::*;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

crate::promises! {
    Plan::EVERY => { offsets_above_4_gib_work, lengths_above_4_gib_work }
    Plan::DEFAULT => {
        reads_above_the_limit_of_one_call,
        writes_above_the_limit_of_one_call,
        vectors_above_the_limit_of_one_call,
    }
}

const GIB: u64 = 1 << 30;
/// The kernel moves at most this many bytes in one call.
const ONE_CALL: i64 = 0x7fff_f000;

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
    let keep = libc::FALLOC_FL_KEEP_SIZE.into();
    assert_eq!(ctx.one(op(CAIO_OP_ALLOCATE, fd).at(8 * GIB).len(4096).sys(keep)), 0);
    let punch = i64::from(libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE);
    assert_eq!(ctx.one(op(CAIO_OP_ALLOCATE, fd).at(4096).len(6 * GIB).sys(punch)), 0, "a length over 4 GiB");
    let mut byte = [9];
    assert_eq!(ctx.one(ops::read(fd, &mut byte, 4 * GIB + 1)), 1);
    assert_eq!(byte, [0], "all of the range is a hole");
    assert_eq!(ctx.one(ops::truncate(fd, 5 * GIB + 1)), 0);
    assert_eq!(file.metadata().expect("fstat").len(), 5 * GIB + 1);
}

/// A length above 32 bits is not truncated.
fn lengths_above_4_gib_work(case: &Case) {
    let file = case.dir.file("file", &pattern(5000));
    let map = Map::new(6 * GIB as usize);
    let ctx = case.ctx();
    for len in [2 * GIB, 4 * GIB - 1, 4 * GIB, 4 * GIB + 10, 5 * GIB] {
        let read = op(CAIO_OP_READ, file.as_raw_fd()).buf(map.start()).len(len);
        let vector = [libc::iovec { iov_base: map.start().cast(), iov_len: len as usize }];
        let readv = ops::readv(file.as_raw_fd(), &vector, 0);
        assert_eq!(ctx.run(&[read, read.full(), readv, readv.full()]), [5000; 4], "{len}");
    }
}

/// An address range of `len` bytes that maps the same 2 MiB again and again.
struct Mirror {
    map: Map,
}

impl Mirror {
    const PIECE: usize = 2 << 20;

    fn new(len: usize) -> Self {
        let (map, piece) = (Map::new(len.next_multiple_of(Self::PIECE)), memfd(Self::PIECE as u64));
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED);
        for at in (0..map.len()).step_by(Self::PIECE) {
            let place = map.address(at).cast();
            // SAFETY: replaces a part of this mapping, and is unmapped with it.
            let got = unsafe { libc::mmap(place, Self::PIECE, protection, flags, piece.as_raw_fd(), 0) };
            assert_eq!(got, place, "mmap: {}", sys::errno());
        }
        Self { map }
    }
}

/// A file in memory that is one hole.
fn memfd(len: u64) -> OwnedFd {
    // SAFETY: a live string; fresh from the kernel.
    let file = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"caio".as_ptr(), libc::MFD_CLOEXEC)) };
    assert_eq!(sys::plain(&ops::truncate(file.as_raw_fd(), len)), 0);
    file
}

fn reads_above_the_limit_of_one_call(case: &Case) {
    let len = 2 * GIB + 12_345;
    let mirror = Mirror::new(len as usize);
    let (zero, file) = (sys::open(c"/dev/zero", libc::O_RDONLY), memfd(len - 1000));
    let ctx = case.ctx();
    for (fd, offset, all) in [(zero.as_raw_fd(), CAIO_OFFSET_CURRENT, len), (file.as_raw_fd(), 0, len - 1000)] {
        let read = op(CAIO_OP_READ, fd).buf(mirror.map.start()).len(len).at(offset);
        assert_eq!(ctx.one(read), ONE_CALL, "what the kernel moves in one call");
        assert_eq!(ctx.one(read.full()), all as i64, "with FULL, all or up to the end of the file");
    }
}

fn writes_above_the_limit_of_one_call(case: &Case) {
    let len = 5 * GIB + 1;
    let mirror = Mirror::new(len as usize);
    let null = sys::open(c"/dev/null", libc::O_WRONLY);
    let ctx = case.ctx();
    for offset in [0, CAIO_OFFSET_CURRENT] {
        let write = op(CAIO_OP_WRITE, null.as_raw_fd()).buf(mirror.map.start()).len(len).at(offset);
        assert_eq!(ctx.run(&[write, write.full()]), [ONE_CALL, len as i64]);
        assert_eq!(ctx.run(&ops::chain(&[write, ops::nop()])), [ONE_CALL, -ECANCELED], "a part of the length is short");
        assert_eq!(ctx.run(&ops::chain(&[write.full(), ops::nop()])), [len as i64, 0]);
    }
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
