//! Promise 13: lengths over 2 and 4 GiB, for which a 32-bit system has no addresses.

use super::large::{GIB, ONE_CALL};
use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::sys::Map;
use crate::support::*;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

crate::promises! {
    Plan::EVERY => { lengths_above_4_gib_work }
    Plan::DEFAULT => { reads_above_the_limit_of_one_call, writes_above_the_limit_of_one_call }
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
