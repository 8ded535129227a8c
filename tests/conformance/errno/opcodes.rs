//! The opcodes of version 0.2 beside their plain system calls: good and bad arguments, and every kind of descriptor.

use super::Matrix;
use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::sys::nowhere;
use crate::support::*;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

crate::promises! {
    Plan::PLAIN => { calls_on_descriptors_match, calls_on_paths_match, memory_is_checked, opens_match }
}

const NOFOLLOW: i64 = libc::AT_SYMLINK_NOFOLLOW as i64;
const EMPTY: i64 = libc::AT_EMPTY_PATH as i64;
const KEPT: u64 = u32::MAX as u64;

/// One descriptor of each kind.
fn kinds(case: &Case) -> Vec<(&'static str, OwnedFd)> {
    sys::make_fifo(&case.dir.c("fifo"));
    let (reader, writer) = sys::pipe();
    let (socket, other) = sys::socketpair();
    let (master, slave) = sys::terminal();
    let file = |flags| sys::open(&case.dir.c("file"), flags);
    case.dir.file("file", &pattern(5000));
    vec![
        ("a file", file(libc::O_RDWR)),
        ("a file for reading", file(libc::O_RDONLY)),
        ("a file for writing", file(libc::O_WRONLY)),
        // POSIX changes nothing of a file by such a descriptor.
        ("a path", file(if POSIX { libc::O_RDONLY } else { libc::O_PATH })),
        ("a folder", case.dir.open().into()),
        ("a reader", reader),
        ("a writer", writer),
        ("a socket", socket),
        ("another socket", other),
        ("a terminal", slave),
        ("a pty master", master),
        ("an eventfd", sys::eventfd(0)),
        ("/dev/null", sys::open(c"/dev/null", libc::O_RDWR)),
        ("/dev/zero", sys::open(c"/dev/zero", libc::O_RDWR)),
        ("a file in /proc", sys::open(c"/proc/self/status", libc::O_RDONLY)),
    ]
}

fn calls_on_descriptors_match(case: &Case) {
    let kinds = kinds(case);
    let mut matrix = Matrix::new(case);
    let (mut room, name) = ([0u8; 4096], c"user.caio");
    // SAFETY: a struct of integers.
    let mut status: libc::statfs = unsafe { std::mem::zeroed() };
    let bad = [("no descriptor", -1), ("an unused number", 1 << 20)];
    for (kind, fd) in kinds.iter().map(|(kind, fd)| (*kind, fd.as_raw_fd())).chain(bad) {
        let at = |opcode| op(opcode, fd);
        for whence in [0, 1, 2, 3, 4, 5, 99, -1] {
            matrix.same(format_args!("SEEK {whence} of {kind}"), at(CAIO_OP_SEEK).at(10).sys(whence));
        }
        matrix.same(format_args!("SEEK before the start of {kind}"), at(CAIO_OP_SEEK).at(-10i64 as u64));
        for advice in [0, 1, 2, 3, 4, 5, 99] {
            matrix.same(format_args!("FADVISE {advice} of {kind}"), at(CAIO_OP_FADVISE).len(10).sys(advice));
        }
        matrix.same(format_args!("FADVISE beyond all of {kind}"), at(CAIO_OP_FADVISE).len(1 << 63));
        matrix.same(format_args!("SYNCFS of {kind}"), at(CAIO_OP_SYNCFS));
        matrix.same(format_args!("FSTATFS of {kind}"), at(CAIO_OP_FSTATFS).buf2(&raw mut status));
        let value = |op: caio_op, len| op.buf2(room.as_ptr()).len(len);
        matrix.same(format_args!("FLISTXATTR of {kind}"), value(at(CAIO_OP_FLISTXATTR), 100));
        let set = at(CAIO_OP_FSETXATTR).buf(name.as_ptr());
        matrix.same(format_args!("FSETXATTR of {kind}"), value(set, 9));
        matrix.same(format_args!("FSETXATTR, XATTR_CREATE, of {kind}"), value(set, 9).sys(1));
        matrix.same(format_args!("FSETXATTR, bad flag, of {kind}"), value(set, 9).sys(64));
        matrix.same(format_args!("FSETXATTR, too long, of {kind}"), value(set, 1 << 20));
        let get = at(CAIO_OP_FGETXATTR).buf(name.as_ptr());
        for len in [0, 3, 9, 100] {
            matrix.same(format_args!("FGETXATTR {len} of {kind}"), value(get, len));
        }
        matrix.same(format_args!("FGETXATTR, no such name, of {kind}"), get.buf(c"user.none".as_ptr()));
        matrix.same(format_args!("FGETXATTR, empty name, of {kind}"), get.buf(c"".as_ptr()));
        matrix.same(format_args!("FREMOVEXATTR of {kind}"), at(CAIO_OP_FREMOVEXATTR).buf(c"user.none".as_ptr()));
        matrix.same(format_args!("GETDENTS of {kind}"), at(CAIO_OP_GETDENTS).buf(room.as_mut_ptr()).len(4096));
        matrix.same(format_args!("GETDENTS, no room, of {kind}"), at(CAIO_OP_GETDENTS).buf(room.as_mut_ptr()).len(1));
        for flags in [EMPTY, 0, EMPTY | NOFOLLOW, 1 << 20] {
            let empty = |opcode| at(opcode).buf(c"".as_ptr()).sys(flags);
            matrix.same(format_args!("FCHMODAT {flags:x} of {kind}"), empty(CAIO_OP_FCHMODAT).mode(0o640));
            let kept = empty(CAIO_OP_FCHOWNAT).mode(u32::MAX).len(KEPT);
            matrix.same(format_args!("FCHOWNAT {flags:x} of {kind}"), kept);
            matrix.same(format_args!("UTIMENSAT {flags:x} of {kind}"), empty(CAIO_OP_UTIMENSAT));
            matrix.same(format_args!("FACCESSAT {flags:x} of {kind}"), empty(CAIO_OP_FACCESSAT).mode(4));
        }
    }
}

/// Operations on a path that change nothing, or can be repeated.
fn repeatable(path: *const u8, dir: i32, room: &mut [u8], times: &[libc::timespec; 2]) -> Vec<(String, caio_op)> {
    let at = |opcode| op(opcode, dir).buf(path);
    let mut ops = vec![
        ("READLINKAT".to_owned(), at(CAIO_OP_READLINKAT).buf2(room.as_mut_ptr()).len(room.len() as u64)),
        ("READLINKAT into 3 bytes".to_owned(), at(CAIO_OP_READLINKAT).buf2(room.as_mut_ptr()).len(3)),
        ("READLINKAT into nothing".to_owned(), at(CAIO_OP_READLINKAT).buf2(room.as_mut_ptr())),
        (
            "SYMLINKAT of what exists".to_owned(),
            op(CAIO_OP_SYMLINKAT, dir).buf(c"text".as_ptr()).buf2(c"link".as_ptr()),
        ),
        ("SYMLINKAT in a missing folder".to_owned(), at(CAIO_OP_SYMLINKAT).buf2(c"missing/x".as_ptr())),
        ("LINKAT in a missing folder".to_owned(), at(CAIO_OP_LINKAT).buf2(c"missing/x".as_ptr())),
        ("LINKAT, DIR2".to_owned(), at(CAIO_OP_LINKAT).buf2(c"file".as_ptr()).flag(CAIO_FLAG_DIR2).at(dir as u64)),
        ("LINKAT, bad DIR2".to_owned(), at(CAIO_OP_LINKAT).buf2(c"x".as_ptr()).flag(CAIO_FLAG_DIR2).at(1 << 20)),
        ("LINKAT, bad flag".to_owned(), at(CAIO_OP_LINKAT).buf2(c"x".as_ptr()).sys(1 << 20)),
        ("RENAMEAT, bad DIR2".to_owned(), at(CAIO_OP_RENAMEAT).buf2(c"x".as_ptr()).flag(CAIO_FLAG_DIR2).at(u64::MAX)),
        ("MKNODAT of a bad type".to_owned(), at(CAIO_OP_MKNODAT).mode(libc::S_IFDIR | 0o600)),
    ];
    for flags in [0, NOFOLLOW, EMPTY, EMPTY | NOFOLLOW, 1 << 20] {
        ops.push((format!("FCHMODAT {flags:x}"), at(CAIO_OP_FCHMODAT).mode(0o750).sys(flags)));
        ops.push((format!("FCHOWNAT {flags:x}"), at(CAIO_OP_FCHOWNAT).mode(u32::MAX).len(KEPT).sys(flags)));
        ops.push((format!("UTIMENSAT {flags:x}"), at(CAIO_OP_UTIMENSAT).buf2(times).sys(flags)));
        ops.push((format!("UTIMENSAT {flags:x} now"), at(CAIO_OP_UTIMENSAT).sys(flags)));
        for mode in [0, 4, 7, 8] {
            ops.push((format!("FACCESSAT {flags:x} {mode}"), at(CAIO_OP_FACCESSAT).mode(mode).sys(flags)));
        }
    }
    ops.push(("FACCESSAT, AT_EACCESS".to_owned(), at(CAIO_OP_FACCESSAT).mode(2).sys(libc::AT_EACCESS.into())));
    ops
}

fn calls_on_paths_match(case: &Case) {
    case.dir.file("file", &pattern(100));
    sys::make_fifo(&case.dir.c("fifo"));
    std::os::unix::fs::symlink("file", case.dir.join("link")).expect("a symlink");
    std::os::unix::fs::symlink("none", case.dir.join("dangling")).expect("a symlink");
    let mut matrix = Matrix::new(case);
    let dir = case.dir.open();
    let mut room = [0; 64];
    let times = [libc::timespec { tv_sec: 1, tv_nsec: 2 }, libc::timespec { tv_sec: 3, tv_nsec: libc::UTIME_OMIT }];
    let wrong = [libc::timespec { tv_sec: 1, tv_nsec: 2_000_000_000 }, times[1]];
    let paths: [&CStr; 9] = [c"file", c"link", c"dangling", c"fifo", c".", c"", c"missing/x", c"file/x", c"/"];
    for path in paths {
        for times in [&times, &wrong] {
            for (what, op) in repeatable(path.as_ptr().cast(), dir.as_raw_fd(), &mut room, times) {
                matrix.same(format_args!("{what} of {path:?}"), op);
            }
        }
    }
}

fn memory_is_checked(case: &Case) {
    let (dir, file) = (case.dir.open(), case.dir.file("file", &pattern(100)));
    let other = case.dir.file("other", b"");
    let (dir, fd) = (dir.as_raw_fd(), file.as_raw_fd());
    let mut matrix = Matrix::new(case);
    let how = [0u64; 3];
    let paths = [CAIO_OP_READLINKAT, CAIO_OP_FCHMODAT, CAIO_OP_FCHOWNAT, CAIO_OP_FACCESSAT, CAIO_OP_MKNODAT];
    for wild in [std::ptr::null(), nowhere().cast_const()] {
        let says =
            |matrix: &mut Matrix, what: &str, op| matrix.says(format_args!("{what}, {wild:?}"), op, libc::EFAULT);
        for opcode in paths {
            let bytes = u64::from(opcode == CAIO_OP_READLINKAT);
            says(&mut matrix, "a path", op(opcode, dir).buf(wild).len(bytes));
        }
        says(&mut matrix, "SYMLINKAT from", op(CAIO_OP_SYMLINKAT, dir).buf(wild).buf2(c"x".as_ptr()));
        says(&mut matrix, "SYMLINKAT to", op(CAIO_OP_SYMLINKAT, dir).buf(c"x".as_ptr()).buf2(wild));
        says(&mut matrix, "LINKAT from", op(CAIO_OP_LINKAT, dir).buf(wild).buf2(c"x".as_ptr()));
        says(&mut matrix, "LINKAT to", op(CAIO_OP_LINKAT, dir).buf(c"file".as_ptr()).buf2(wild));
        says(&mut matrix, "FGETXATTR", op(CAIO_OP_FGETXATTR, fd).buf(wild));
        says(&mut matrix, "FREMOVEXATTR", op(CAIO_OP_FREMOVEXATTR, fd).buf(wild));
        says(&mut matrix, "FSETXATTR", op(CAIO_OP_FSETXATTR, fd).buf(c"user.x".as_ptr()).buf2(wild).len(5));
        says(&mut matrix, "GETDENTS", op(CAIO_OP_GETDENTS, dir).buf(wild).len(1000));
        says(&mut matrix, "FSTATFS", op(CAIO_OP_FSTATFS, fd).buf2(wild));
        says(&mut matrix, "OPENAT2", op(CAIO_OP_OPENAT2, dir).buf(wild).buf2(&how).len(24));
        says(&mut matrix, "OPENAT2 how", op(CAIO_OP_OPENAT2, dir).buf(c"file".as_ptr()).buf2(wild).len(24));
    }
    let wild = nowhere();
    let ctx = case.ctx();
    for opcode in [CAIO_OP_COPY_RANGE, CAIO_OP_SPLICE] {
        let copy = op(opcode, fd).mode(other.as_raw_fd() as u32).buf2(wild).len(10);
        assert_eq!(ctx.one(copy), -i64::from(libc::EFAULT), "an unreadable offset");
    }
    assert_eq!(ctx.one(op(CAIO_OP_UTIMENSAT, dir).buf(c"file".as_ptr()).buf2(wild)), -i64::from(libc::EFAULT));
    assert_eq!(ctx.one(op(CAIO_OP_UTIMENSAT, dir)), -i64::from(libc::EFAULT), "a path is needed");
}

fn opens_match(case: &Case) {
    case.dir.file("file", &pattern(100));
    std::os::unix::fs::symlink("file", case.dir.join("link")).expect("a symlink");
    let (dir, mut matrix) = (case.dir.open(), Matrix::new(case));
    let (flags, creates) = (libc::O_RDONLY as u64, libc::O_CREAT as u64);
    let hows: [[u64; 5]; 10] = [
        [flags, 0, 0, 0, 0],
        [flags, 0o600, 0, 0, 0],
        [creates, 0o600, 0, 0, 0],
        [creates, 0o10000, 0, 0, 0],
        [1 << 40, 0, 0, 0, 0],
        [libc::O_PATH as u64 | libc::O_RDWR as u64, 0, 0, 0, 0],
        [flags, 0, libc::RESOLVE_NO_SYMLINKS, 0, 0],
        [flags, 0, libc::RESOLVE_BENEATH, 0, 0],
        [flags, 0, 1 << 40, 0, 0],
        [flags, 0, 0, 0, 1],
    ];
    for how in &hows {
        for path in [c"file", c"link", c"none", c"/", c"..", c""] {
            for len in [0, 8, 24, 32, 40] {
                let open = op(CAIO_OP_OPENAT2, dir.as_raw_fd()).buf(path.as_ptr()).buf2(how).len(len);
                matrix.same(format_args!("OPENAT2 {how:x?} of {len} bytes, {path:?}"), open);
                std::fs::remove_file(case.dir.join("none")).ok();
            }
        }
    }
    let large = vec![0u64; 1024];
    for len in [4096, 4097, 8192, 1 << 40] {
        let open = op(CAIO_OP_OPENAT2, dir.as_raw_fd()).buf(c"file".as_ptr()).buf2(large.as_ptr()).len(len);
        matrix.same(format_args!("OPENAT2 of {len} bytes"), open);
    }
}
