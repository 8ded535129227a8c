//! Promise 13: on a regular file, READ is short only where pread(2) would be.

use crate::support::case::Case;
use crate::support::files::{cached_pages, pattern, pattern_at};
use crate::support::sys::{Map, PAGE};
use crate::support::*;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};

crate::promises! {
    Plan::FOLDERS => {
        reads_of_half_cached_files_are_whole,
        reads_are_short_at_the_end_only,
        reads_touch_only_their_memory,
        direct_transfers_are_whole,
        reads_of_threads_that_exit_are_whole,
    }
}

const LEN: usize = 64 * PAGE;

/// A cold file of which only these pages are cached.
fn half_cached(case: &Case, pages: &[usize]) -> File {
    let file = case.dir.cold("file", LEN);
    // SAFETY: no memory involved. POSIX_FADV_RANDOM turns read-ahead off.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
    for page in pages {
        let mut byte = [0];
        assert_eq!(sys::plain(&ops::read(file.as_raw_fd(), &mut byte, (page * PAGE) as u64)), 1);
    }
    assert!(cached_pages(&file) < LEN / PAGE || !case.dir.on_disk(), "part of the file is cold");
    file
}

/// preadv2 with RWF_NOWAIT returns only the cached part. That is not the end of the file.
fn reads_of_half_cached_files_are_whole(case: &Case) {
    let ctx = case.ctx();
    for pages in [&[0][..], &[5], &[0, 2, 15]] {
        for (way, linked) in (0..4).flat_map(|way| [(way, false), (way, true)]) {
            let file = half_cached(case, pages);
            let (fd, mut room) = (file.as_raw_fd(), vec![0; 16 * PAGE]);
            let parts = [ops::iovec(&room[..5000]), ops::iovec(&room[5000..])];
            let read = match way {
                0 => ops::read(fd, &mut room, 0),
                1 => ops::read(fd, &mut room, CAIO_OFFSET_CURRENT),
                2 => ops::readv(fd, &parts, 0),
                _ => ops::read(fd, &mut room, 0).full(),
            };
            // Alone, or first in a chain, which a short transfer would break.
            let batch = if linked { ops::chain(&[read, ops::nop()]) } else { vec![read, ops::nop()] };
            let results = ctx.run(&batch);
            assert_eq!(results, [16 * PAGE as i64, 0], "way {way}, linked: {linked}, pages {pages:?} cached");
            assert!(room == pattern(16 * PAGE));
        }
    }
}

/// io_uring ends a request early if the submitting thread exits.
fn reads_of_threads_that_exit_are_whole(case: &Case) {
    const ROUNDS: usize = 30;
    let ctx = Ctx::new(&caio_options { flags: CAIO_CTX_NO_INLINE, ..case.options() });
    for round in 0..ROUNDS {
        let file = half_cached(case, &[0, 1, 5]);
        let room = vec![0; 16 * PAGE];
        let parts = [ops::iovec(&room[..9000]), ops::iovec(&room[9000..])];
        let read = match round % 2 {
            0 => op(CAIO_OP_READ, file.as_raw_fd()).buf(room.as_ptr()).len(16 * PAGE as u64),
            _ => ops::readv(file.as_raw_fd(), &parts, 0),
        };
        let read = Handed(read);
        std::thread::scope(|scope| scope.spawn(|| ctx.accept(&[{ &read }.0])).join()).expect("accepted");
        assert_eq!(results(&ctx.collect(1)), [16 * PAGE as i64], "round {round}");
        assert!(room == pattern(16 * PAGE));
    }
}

/// An operation to send to another thread.
struct Handed(caio_op);
// SAFETY: the memory that it points to outlives it.
unsafe impl Sync for Handed {}

fn reads_are_short_at_the_end_only(case: &Case) {
    const SIZE: usize = 10_000;
    let ctx = case.ctx();
    for (offset, len, moved) in
        [(0, SIZE, SIZE), (0, 20_000, SIZE), (9_999, 5, 1), (8192, PAGE, 1808), (SIZE, 10, 0), (1 << 20, 10, 0)]
    {
        for cold in [true, false] {
            let file = case.dir.file("file", &pattern(SIZE));
            if cold {
                case.dir.cool(&file);
            }
            let mut room = vec![0; len];
            let read = ops::read(file.as_raw_fd(), &mut room, offset as u64);
            assert_eq!(ctx.one(read), moved as i64, "{len} at {offset}, cold: {cold}");
            assert!(room[..moved].iter().enumerate().all(|(at, byte)| *byte == pattern_at(offset + at)));
        }
    }
}

/// Reads of many lengths to many addresses. With a partly inaccessible buffer, the result is that of the plain call.
fn reads_touch_only_their_memory(case: &Case) {
    const MEMORY: usize = 3 * PAGE;
    let content = pattern(LEN);
    let file = case.dir.file("file", &content);
    let fd = file.as_raw_fd();
    let ctx = case.ctx();
    let mut memory = Map::new(MEMORY);
    let lengths = [1, 2, 3, 511, 512, 513, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE];
    for (start, len) in [0, 1, PAGE - 2, PAGE - 1].into_iter().flat_map(|start| lengths.map(|len| (start, len))) {
        for round in 0..3 {
            memory.bytes_mut().fill(0xee);
            let read = op(CAIO_OP_READ, fd).buf(memory.address(start)).len(len as u64).at(round);
            assert_eq!(ctx.one(read), len as i64, "{len} to {start}");
            let (before, rest) = memory.bytes().split_at(start);
            let (read, after) = rest.split_at(len);
            assert!(before.iter().chain(after).all(|byte| *byte == 0xee), "{len} to {start}: memory beside it");
            assert!(*read == content[round as usize..][..len], "{len} to {start}");
        }
    }
    let memory = memory.forbid(2 * PAGE);
    for start in [PAGE, PAGE + 1, 2 * PAGE - 1, 2 * PAGE, 2 * PAGE + 1] {
        let read = op(CAIO_OP_READ, fd).buf(memory.address(start)).len(PAGE as u64);
        for _ in 0..3 {
            assert_eq!(ctx.one(read), sys::plain(&read), "to {start}, of {} writable bytes", 2 * PAGE);
        }
    }
}

/// Many O_DIRECT transfers at once, and one that reaches the end of the file.
fn direct_transfers_are_whole(case: &Case) {
    case.dir.file("file", &pattern(LEN + 1000));
    let Some(file) = open_direct(case) else {
        return case.skipped_without_direct();
    };
    let mut map = Map::new(LEN);
    let start = map.start();
    let ctx = case.ctx();
    let all = |opcode| {
        let one = |at| op(opcode, file).buf(start.wrapping_add(at)).len(PAGE as u64).at(at as u64);
        (0..LEN).step_by(PAGE).map(one).collect::<Vec<caio_op>>()
    };
    assert_eq!(ctx.run(&all(CAIO_OP_READ)), [PAGE as i64; LEN / PAGE]);
    assert!(map.bytes() == pattern(LEN));
    map.bytes_mut().reverse();
    assert_eq!(ctx.run(&all(CAIO_OP_WRITE)), [PAGE as i64; LEN / PAGE]);
    let content = case.dir.content("file");
    assert!(content[..LEN] == *map.bytes() && content[LEN..] == pattern(LEN + 1000)[LEN..]);
    let last = op(CAIO_OP_READ, file).buf(map.start()).len(2 * PAGE as u64).at(LEN as u64);
    assert_eq!(ctx.run(&[last, last.full()]), [1000; 2], "to the end of the file, and no EINVAL there");
    assert_eq!(sys::plain(&ops::close(file)), 0);
}

fn open_direct(case: &Case) -> Option<RawFd> {
    let path = case.dir.c("file");
    let fd = sys::plain(&ops::openat(libc::AT_FDCWD, &path, libc::O_RDWR | libc::O_DIRECT | libc::O_CLOEXEC, 0));
    (fd >= 0).then_some(fd as RawFd)
}
