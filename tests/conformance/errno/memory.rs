//! Bad buffers and bad iovec arrays.

use super::Matrix;
use crate::support::case::Case;
use crate::support::sys::{Map, PAGE, nowhere};
use crate::support::*;
use std::os::fd::{AsRawFd, RawFd};

crate::promises! {
    Plan::EVERY => {
        buffers,
        vectors,
        vectors_of_bad_buffers,
        bad_memory_and_bad_descriptors,
        streams_keep_their_bytes,
        far_too_long_for_a_stream_with_flags,
    }
    Plan::FOLDERS => { bad_buffers_on_a_cold_file, misaligned_direct_transfers }
}

const EFAULT: i32 = libc::EFAULT;

/// Memory whose first half is accessible and whose second half is not.
fn half() -> Map {
    Map::new(4 * PAGE).forbid(2 * PAGE)
}

fn both(matrix: &mut Matrix, what: &str, fd: RawFd, buf: *const u8, len: u64) {
    for (name, opcode) in [("read", CAIO_OP_READ), ("write", CAIO_OP_WRITE)] {
        for offset in [0, 100, 1 << 20, CAIO_OFFSET_CURRENT] {
            let op = op(opcode, fd).buf(buf).len(len).at(offset);
            matrix.same(format_args!("{name} of {len} at {offset}, {what}"), op);
        }
    }
}

fn buffers(case: &Case) {
    let file = case.dir.file("file", &files::pattern(8 * PAGE));
    let (half, fixed) = (half(), Map::new(PAGE).read_only());
    let mut matrix = Matrix::new(case);
    for fd in [file.as_raw_fd(), sys::open(c"/dev/zero", libc::O_RDWR).as_raw_fd()] {
        for len in [0, 1, 100, 2 * PAGE as u64] {
            both(&mut matrix, "NULL", fd, std::ptr::null(), len);
            both(&mut matrix, "unmapped", fd, nowhere(), len);
            both(&mut matrix, "forbidden", fd, half.address(2 * PAGE), len);
            both(&mut matrix, "crossing into forbidden memory", fd, half.address(2 * PAGE - 50), len);
            both(&mut matrix, "half forbidden", fd, half.address(PAGE), len);
            both(&mut matrix, "read-only", fd, fixed.start(), len.min(PAGE as u64));
            both(&mut matrix, "the kernel's", fd, std::ptr::without_provenance(usize::MAX - 4096), len);
        }
        let mut room = [0; 8];
        let read = ops::read(fd, &mut room, 0);
        both(&mut matrix, "the longest length", fd, half.start(), i64::MAX as u64);
        both(&mut matrix, "a negative length", fd, half.start(), 1 << 63);
        both(&mut matrix, "the most negative length", fd, half.start(), u64::MAX);
        matrix.says("read to NULL", read.buf(std::ptr::null::<u8>()), EFAULT);
        matrix.says("read to read-only memory", read.buf(fixed.start()), EFAULT);
    }
    let fd = file.as_raw_fd();
    matrix.says("write from unmapped memory", op(CAIO_OP_WRITE, fd).buf(nowhere()).len(5), EFAULT);
}

fn vectors(case: &Case) {
    let file = case.dir.file("file", &files::pattern(8 * PAGE));
    let fd = file.as_raw_fd();
    let room = vec![0; 2048];
    let many: Vec<libc::iovec> = room.iter().map(|byte| ops::iovec(std::slice::from_ref(byte))).collect();
    let half = half();
    let mut matrix = Matrix::new(case);
    let arrays: [(&str, *const libc::iovec); 5] = [
        ("an array", many.as_ptr()),
        ("NULL", std::ptr::null()),
        ("an unmapped array", nowhere().cast()),
        ("a forbidden array", half.address(2 * PAGE).cast()),
        ("an array that ends in forbidden memory", half.address(2 * PAGE - 16).cast()),
    ];
    for (name, opcode) in [("readv", CAIO_OP_READV), ("writev", CAIO_OP_WRITEV)] {
        for (what, array) in arrays {
            for count in [0, 1, 2, 9, 1024, 1025, 2048, 1 << 31, u32::MAX.into()] {
                for offset in [0, 7000, u64::MAX - 1, CAIO_OFFSET_CURRENT] {
                    let op = op(opcode, fd).buf(array).len(count).at(offset);
                    matrix.same(format_args!("{name} of {count} iovecs at {offset}, {what}"), op);
                }
            }
        }
        let op = op(opcode, fd).buf(many.as_ptr());
        matrix.says(format_args!("{name} of too many"), op.len(1025), libc::EINVAL);
        matrix.says(format_args!("{name} of far too many"), op.len(u32::MAX.into()), libc::EINVAL);
        matrix.says(format_args!("{name} of NULL"), op.buf(std::ptr::null::<u8>()).len(1), EFAULT);
    }
}

fn vectors_of_bad_buffers(case: &Case) {
    let file = case.dir.file("file", &files::pattern(8 * PAGE));
    let fd = file.as_raw_fd();
    let room = [0; 100];
    let (half, good) = (half(), ops::iovec(&room));
    // Reads of any length end in this memory, too.
    let large = Map::new(64 * PAGE).forbid(63 * PAGE);
    let part = |start: *mut u8, len: usize| libc::iovec { iov_base: start.cast(), iov_len: len };
    let bad = [
        ("NULL", part(std::ptr::null_mut(), 10)),
        ("NULL, empty", part(std::ptr::null_mut(), 0)),
        ("unmapped", part(nowhere(), 10)),
        ("unmapped, empty", part(nowhere(), 0)),
        ("half forbidden", part(half.address(2 * PAGE - 10), 20)),
        ("a negative length", part(large.start(), usize::MAX)),
        ("the longest length", part(large.start(), isize::MAX as usize)),
    ];
    let mut matrix = Matrix::new(case);
    for (name, opcode) in [("readv", CAIO_OP_READV), ("writev", CAIO_OP_WRITEV)] {
        for (what, bad) in bad {
            for array in [vec![bad], vec![good, bad], vec![bad, good], vec![good, bad, good], vec![bad, bad]] {
                let op = op(opcode, fd).buf(array.as_ptr()).len(array.len() as u64);
                let places: String =
                    array.iter().map(|part| if part.iov_base == good.iov_base { '.' } else { 'x' }).collect();
                matrix.same(format_args!("{name}, {what}: {places}"), op);
                matrix.same(format_args!("{name} at 6000, {what}: {places}"), op.at(6000));
            }
        }
    }
}

/// With two errors, the kernel decides which one the result is.
fn bad_memory_and_bad_descriptors(case: &Case) {
    let name = case.dir.c("file");
    case.dir.file("file", &files::pattern(100));
    let (reading, writing) = (sys::open(&name, libc::O_RDONLY), sys::open(&name, libc::O_WRONLY));
    let (pipe, into) = sys::pipe();
    let mut matrix = Matrix::new(case);
    let fds = [-1, 1_000_000, reading.as_raw_fd(), writing.as_raw_fd(), pipe.as_raw_fd(), into.as_raw_fd()];
    for fd in fds {
        for opcode in [CAIO_OP_READ, CAIO_OP_WRITE, CAIO_OP_READV, CAIO_OP_WRITEV] {
            for (buf, len) in [(nowhere(), 5), (std::ptr::null_mut(), 5), (std::ptr::null_mut(), 0), (nowhere(), 5000)]
            {
                for offset in [0, u64::MAX - 1, i64::MAX as u64] {
                    let op = op(opcode, fd).buf(buf).len(len).at(offset);
                    matrix.same(format_args!("opcode {opcode} of {len} at {buf:?} on {fd}, offset {offset}"), op);
                    matrix.same(
                        format_args!("opcode {opcode} of {len} at {buf:?} on {fd}, unknown flag"),
                        op.sys(1 << 30),
                    );
                }
            }
        }
    }
}

/// preadv2(2) with flags truncates the length and waits for the pipe. Submit does not wait.
fn far_too_long_for_a_stream_with_flags(case: &Case) {
    let mut room = [0u8; 64];
    let (empty, ready) = (stuck::Stuck::pipe(), stuck::Stuck::pipe());
    let mut far =
        |pipe: &stuck::Stuck| pipe.read().buf(room.as_mut_ptr()).len(isize::MAX as u64).sys(libc::RWF_HIPRI.into());
    ready.feed(20);
    let plain = sys::plain(&far(&ready));
    let ctx = case.ctx();
    if POSIX {
        return assert_eq!(ctx.one(far(&empty)), -i64::from(libc::EOPNOTSUPP), "there is no such flag");
    }
    ctx.accept(&[far(&empty)]);
    empty.feed(20);
    assert_eq!(ctx.collect(1)[0].result, plain);
}

/// A read into bad memory takes no bytes from a stream.
fn streams_keep_their_bytes(case: &Case) {
    let half = half();
    let ctx = case.ctx();
    for stuck in [stuck::Stuck::pipe(), stuck::Stuck::socket()] {
        stuck.feed(20);
        assert_eq!(ctx.one(stuck.read().buf(nowhere())), -i64::from(EFAULT));
        assert_eq!(ctx.one(stuck.read().buf(half.address(2 * PAGE)).full()), -i64::from(EFAULT));
        assert_eq!(stuck.waiting(), 20, "still there");
        let bad = op(CAIO_OP_WRITE, stuck.writer.as_raw_fd()).buf(nowhere()).len(10).current();
        assert_eq!(ctx.run(&[bad, bad.full()]), [-i64::from(EFAULT); 2]);
        assert_eq!(stuck.waiting(), 20);
    }
}

fn bad_buffers_on_a_cold_file(case: &Case) {
    let half = half();
    let ctx = case.ctx();
    for (start, len) in [(2 * PAGE, 4096), (PAGE, 8192), (2 * PAGE - 100, 4096)] {
        let file = case.dir.cold("file", 16 * PAGE);
        let read = op(CAIO_OP_READ, file.as_raw_fd()).buf(half.address(start)).len(len).at(PAGE as u64);
        let got = ctx.one(read);
        case.dir.cool(&file);
        assert_eq!(got, sys::plain(&read), "{len} bytes to {start}");
    }
}

fn misaligned_direct_transfers(case: &Case) {
    let path = case.dir.c("file");
    case.dir.file("file", &files::pattern(8 * PAGE));
    // SAFETY: a live string.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_DIRECT | libc::O_CLOEXEC) };
    if fd < 0 {
        return case.skipped_without_direct();
    }
    let map = Map::new(4 * PAGE);
    let mut matrix = Matrix::new(case);
    for opcode in [CAIO_OP_READ, CAIO_OP_WRITE] {
        for (start, len, offset) in [
            (0, 4096, 0),
            (0, 8192, 4096),
            (1, 4096, 0),
            (0, 100, 0),
            (0, 4096, 100),
            (512, 512, 512),
            (3, 5, 7),
            (0, 0, 0),
            (0, 4096, 1 << 30),
        ] {
            let op = op(opcode, fd).buf(map.address(start)).len(len).at(offset);
            matrix.same(format_args!("direct opcode {opcode} of {len} at {offset}, memory + {start}"), op);
        }
        let bad = op(opcode, fd).buf(nowhere()).len(4096);
        matrix.same(format_args!("direct opcode {opcode}, unmapped"), bad);
    }
    drop(matrix);
    assert_eq!(sys::plain(&ops::close(fd)), 0);
}
