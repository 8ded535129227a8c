//! Filters that forbid a system call for which there is a substitute: the operation has the right result.

use std::os::fd::AsRawFd;

use super::seccomp::deny;
use super::support::case::Case;
use super::support::files::pattern;
use super::support::*;

/// Calls that have a substitute. All are forbidden at the same time.
const CALLS: &[i64] = &[
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_renameat2,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_ppoll,
    libc::SYS_close,
    libc::SYS_process_vm_readv,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdirat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_newfstatat,
    libc::SYS_openat,
];

fn without(case: &Case, errno: i32) {
    let file = case.dir.file("file", &pattern(sys::PAGE));
    let (reader, writer) = sys::pipe();
    // In a child process, because the test needs these calls to clean up.
    let child = process::fork(|| {
        deny(CALLS, errno);
        for flags in [0, CAIO_CTX_NO_INLINE] {
            operations(&Ctx::new(&caio_options { flags, ..case.options() }), case, file.as_raw_fd());
            let ctx = case.ctx();
            let mut byte = [0];
            ctx.accept(&[ops::read(reader.as_raw_fd(), &mut byte, CAIO_OFFSET_CURRENT)]);
            assert_eq!(ctx.wait(1, 1, 20_000_000), Ok(vec![]), "a wait ends in time");
            sys::write_all(&writer, b"x");
            assert_eq!(ctx.collect(1)[0].result, 1, "READ of a pipe");
        }
        0
    });
    assert_eq!(child.code(), 0);
}

/// READ and WRITE with one form of their system calls left, at an offset and at the current position.
fn transfers(case: &Case, forbidden: &[i64], errno: i32) {
    let file = case.dir.file("transfers", &pattern(sys::PAGE));
    let child = process::fork(|| {
        deny(forbidden, errno);
        for flags in [0, CAIO_CTX_NO_INLINE] {
            let ctx = Ctx::new(&caio_options { flags, ..case.options() });
            let mut back = vec![0; sys::PAGE];
            assert_eq!(ctx.one(ops::read(file.as_raw_fd(), &mut back, 0)), sys::PAGE as i64);
            assert_eq!(back, pattern(sys::PAGE));
            let iovecs = [ops::iovec(&back)];
            for transfer in [
                ops::write(file.as_raw_fd(), &back, 0),
                ops::readv(file.as_raw_fd(), &iovecs, 0),
                ops::writev(file.as_raw_fd(), &iovecs, 0),
            ] {
                assert_eq!(ctx.one(transfer), sys::PAGE as i64, "opcode {}", transfer.opcode);
            }
        }
        0
    });
    assert_eq!(child.code(), 0);
}

pub fn transfers_by_vectored_calls(case: &Case) {
    transfers(case, &[libc::SYS_pread64, libc::SYS_pwrite64], libc::EPERM);
}

pub fn transfers_by_the_newest_calls(case: &Case) {
    let older = [libc::SYS_pread64, libc::SYS_pwrite64, libc::SYS_preadv, libc::SYS_pwritev];
    transfers(case, &older, libc::EACCES);
}

/// The descriptor shows events, and is not readable after they were taken.
pub fn eventfd_without_read_and_write(case: &Case) {
    let child = process::fork(|| {
        deny(&[libc::SYS_read, libc::SYS_write], libc::EPERM);
        let ctx = case.ctx();
        for _ in 0..3 {
            ctx.accept(&[ops::fsync(-1)]);
            assert!(sys::readable(ctx.eventfd(), None));
            assert_eq!(ctx.collect(1)[0].result, -i64::from(libc::EBADF));
            assert!(ctx.poll(1).is_empty());
            assert!(!sys::readable(ctx.eventfd(), Some(Duration::ZERO)));
        }
        0
    });
    assert_eq!(child.code(), 0);
}

fn operations(ctx: &Ctx, case: &Case, fd: i32) {
    let here = libc::AT_FDCWD;
    let (mut back, path) = (vec![0; sys::PAGE], |name: &str| case.dir.c(name));
    let is = |what: &str, result: i64, wanted: i64| assert_eq!(result, wanted, "{what}");
    is("READ", ctx.one(ops::read(fd, &mut back, 0)), sys::PAGE as i64);
    assert_eq!(back, pattern(sys::PAGE));
    is("WRITE", ctx.one(ops::write(fd, &back, 0)), sys::PAGE as i64);
    is("FDSYNC", ctx.one(ops::fdsync(fd)), 0);
    is("FDSYNC of nothing", ctx.one(ops::fdsync(-1)), -i64::from(libc::EBADF));
    is("SYNC_RANGE", ctx.one(op(CAIO_OP_SYNC_RANGE, fd).len(1).sys(libc::SYNC_FILE_RANGE_WRITE.into())), 0);
    is("SYNC_RANGE, bad flags", ctx.one(op(CAIO_OP_SYNC_RANGE, fd).sys(1 << 20)), -i64::from(libc::EINVAL));
    is("MKDIRAT", ctx.one(ops::mkdirat(here, &path("made"), 0o700)), 0);
    let renamed = |from: &str, to: &str| ctx.one(ops::renameat(here, &path(from), &path(to)));
    is("RENAMEAT", renamed("made", "moved"), 0);
    is("RENAMEAT of nothing", renamed("made", "moved"), -i64::from(libc::ENOENT));
    is("UNLINKAT", ctx.one(ops::unlinkat(here, &path("moved")).sys(libc::AT_REMOVEDIR.into())), 0);
    let opened = ctx.one(ops::openat(here, &path("file"), libc::O_RDONLY | libc::O_CLOEXEC, 0o7777));
    assert!(opened >= 0, "OPENAT: {opened}");
    is("OPENAT of nothing", ctx.one(ops::openat(here, &path("none"), libc::O_RDONLY, 0)), -i64::from(libc::ENOENT));
    is("CLOSE", ctx.one(ops::close(opened as i32)), 0);
    is("CLOSE again", ctx.one(ops::close(opened as i32)), -i64::from(libc::EBADF));
}

pub fn substitutes_for_eperm(case: &Case) {
    without(case, libc::EPERM);
}

pub fn substitutes_for_enosys(case: &Case) {
    without(case, libc::ENOSYS);
}

pub fn substitutes_for_eacces(case: &Case) {
    without(case, libc::EACCES);
}

/// Calls of newer kernels, and some that a filter may not know. All are forbidden at the same time.
const NEWER: &[i64] = &[
    FCHMODAT2,
    libc::SYS_faccessat2,
    libc::SYS_openat2,
    libc::SYS_copy_file_range,
    libc::SYS_statx,
    libc::SYS_syncfs,
    libc::SYS_fchownat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_linkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknodat,
];
const FCHMODAT2: i64 = 452;

fn older_calls(case: &Case, errno: i32) {
    let file = case.dir.file("file", &pattern(300_000));
    let child = process::fork(|| {
        deny(NEWER, errno);
        for flags in [0, CAIO_CTX_NO_INLINE] {
            let ctx = Ctx::new(&caio_options { flags, ..case.options() });
            file_operations(&ctx, case, file.as_raw_fd());
            descriptor_operations(&ctx, case, file.as_raw_fd());
            for name in ["symlink", "hard link", "fifo", "copy"] {
                std::fs::remove_file(case.dir.join(name)).expect(name);
            }
        }
        0
    });
    assert_eq!(child.code(), 0);
}

fn file_operations(ctx: &Ctx, case: &Case, fd: i32) {
    let path = |name: &str| case.dir.c(name);
    let is = |what: &str, result: i64, wanted: i64| assert_eq!(result, wanted, "{what}");
    let at = |opcode, path: &std::ffi::CStr| op(opcode, libc::AT_FDCWD).buf(path.as_ptr());
    let (file, none, symlink, hard) = (path("file"), path("none"), path("symlink"), path("hard link"));
    is("SYMLINKAT", ctx.one(at(CAIO_OP_SYMLINKAT, c"file").buf2(symlink.as_ptr())), 0);
    let mut room = [0u8; 10];
    is("READLINKAT", ctx.one(at(CAIO_OP_READLINKAT, &symlink).buf2(room.as_mut_ptr()).len(10)), 4);
    is("LINKAT", ctx.one(at(CAIO_OP_LINKAT, &file).buf2(hard.as_ptr())), 0);
    is("MKNODAT", ctx.one(at(CAIO_OP_MKNODAT, &path("fifo")).mode(libc::S_IFIFO | 0o600)), 0);
    let nofollow = i64::from(libc::AT_SYMLINK_NOFOLLOW);
    is("FCHMODAT", ctx.one(at(CAIO_OP_FCHMODAT, &file).mode(0o604)), 0);
    is("FCHMODAT, NOFOLLOW", ctx.one(at(CAIO_OP_FCHMODAT, &file).mode(0o644).sys(nofollow)), 0);
    is("FCHMODAT of a link", ctx.one(at(CAIO_OP_FCHMODAT, &symlink).sys(nofollow)), -i64::from(libc::EOPNOTSUPP));
    is("FCHMODAT of nothing", ctx.one(at(CAIO_OP_FCHMODAT, &none).sys(nofollow)), -i64::from(libc::ENOENT));
    for flags in [0, nofollow, libc::AT_EACCESS.into()] {
        is("FACCESSAT", ctx.one(at(CAIO_OP_FACCESSAT, &file).mode(4).sys(flags)), 0);
        is("FACCESSAT of nothing", ctx.one(at(CAIO_OP_FACCESSAT, &none).sys(flags)), -i64::from(libc::ENOENT));
    }
    let mut stat = sys::statx_room();
    is("STATX", ctx.one(ops::statx(libc::AT_FDCWD, &file, &mut stat)), 0);
    assert_eq!((stat.stx_size, stat.stx_mode & 0o777), (300_000, 0o644));
    is("STATX of nothing", ctx.one(ops::statx(libc::AT_FDCWD, &none, &mut stat)), -i64::from(libc::ENOENT));
    is("STATX, bad room", ctx.one(at(CAIO_OP_STATX, &file).buf2(sys::nowhere())), -i64::from(libc::EFAULT));
    is("SYNCFS", ctx.one(op(CAIO_OP_SYNCFS, fd)), 0);
    is("SYNCFS of nothing", ctx.one(op(CAIO_OP_SYNCFS, -1)), -i64::from(libc::EBADF));
    let open = |how: &[u64; 3]| ctx.one(at(CAIO_OP_OPENAT2, &file).buf2(how).len(24));
    let opened = open(&[libc::O_RDONLY as u64, 0, 0]);
    assert!(opened >= 0, "OPENAT2: {opened}");
    drop(sys::owned(opened));
    is("OPENAT2, a bad mode", open(&[libc::O_RDONLY as u64, 0o600, 0]), -i64::from(libc::EINVAL));
    is("OPENAT2, a bad flag", open(&[1 << 40, 0, 0]), -i64::from(libc::EINVAL));
    is("OPENAT2, RESOLVE_*", open(&[0, 0, libc::RESOLVE_BENEATH]), -i64::from(libc::EOPNOTSUPP));
}

fn descriptor_operations(ctx: &Ctx, case: &Case, fd: i32) {
    let to = case.dir.file("copy", b"");
    let copy = op(CAIO_OP_COPY_RANGE, fd).len(300_000).mode(to.as_raw_fd() as u32).full();
    assert_eq!(ctx.one(copy), 300_000);
    assert_eq!(case.dir.content("copy"), pattern(300_000));
    assert_eq!(ctx.one(copy.mode(u32::MAX)), -i64::from(libc::EBADF));
    let path_only = sys::open(&case.dir.c("file"), libc::O_PATH);
    for fd in [fd, path_only.as_raw_fd()] {
        let itself = |opcode| op(opcode, fd).buf(c"".as_ptr()).sys(libc::AT_EMPTY_PATH.into());
        let mut stat = sys::statx_room();
        assert_eq!(ctx.one(itself(CAIO_OP_STATX).buf2(&raw mut stat)), 0);
        assert_eq!(stat.stx_size, 300_000);
        assert_eq!(ctx.one(itself(CAIO_OP_FCHMODAT).mode(0o640)), 0, "FCHMODAT");
        assert_eq!(ctx.one(itself(CAIO_OP_FACCESSAT).mode(4)), 0, "FACCESSAT");
        assert_eq!(ctx.one(itself(CAIO_OP_FCHOWNAT).mode(u32::MAX).len(u32::MAX.into())), 0, "FCHOWNAT");
    }
    for opcode in [CAIO_OP_STATX, CAIO_OP_FCHMODAT, CAIO_OP_FACCESSAT, CAIO_OP_FCHOWNAT] {
        let nothing = op(opcode, 1 << 20).buf(c"".as_ptr()).sys(libc::AT_EMPTY_PATH.into());
        assert_eq!(ctx.one(nothing), -i64::from(libc::EBADF), "opcode {opcode}");
    }
}

pub fn older_calls_for_eperm(case: &Case) {
    older_calls(case, libc::EPERM);
}

pub fn older_calls_for_enosys(case: &Case) {
    older_calls(case, libc::ENOSYS);
}
