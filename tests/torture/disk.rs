//! Faults of a disk, on every backend: each operation completes once, with the errno of the plain system call, and the
//! next operation works. The file system of `tests/faultfs` injects the faults.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

#[path = "disk/storm.rs"]
mod storm;
#[path = "disk/waits.rs"]
mod waits;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use support::case::Case;
use support::faultfs::FaultFs;
use support::files::{c_path, pattern};
use support::*;

use storm::storm;
use waits::{a_failing_sync_fails_all_it_serves, hangs_that_end, slow_requests};

const PAGE: usize = sys::PAGE;
const SIZE: usize = 16 * PAGE;

fn neg(errno: i32) -> i64 {
    -i64::from(errno)
}

/// A file of the faulty file system that contains a pattern; `flags` may be O_DIRECT.
fn file(faults: &FaultFs, flags: i32) -> File {
    let path = faults.path("file");
    std::fs::write(&path, pattern(SIZE)).expect("a file");
    File::options().read(true).write(true).custom_flags(flags).open(path).expect("the file")
}

/// Runs `op` under a rule, by the plain call and then by the library. Both have the same result, and there is one
/// event. Without the rule, the operation works.
fn fails_alike(ctx: &Ctx, faults: &FaultFs, rule: &str, op: caio_op) {
    faults.tell(rule);
    let plain = sys::plain(&op);
    faults.tell("clear");
    faults.tell(rule);
    let failed = ctx.one(op);
    faults.tell("clear");
    assert_eq!(failed, plain, "{rule}, opcode {}", op.opcode);
    assert!(ctx.poll(8).is_empty() && !ctx.readable(), "one event");
    let after = ctx.one(op);
    assert!(after >= 0, "{rule}, opcode {}: {after} after the fault", op.opcode);
}

const ERRNOS: [&str; 7] = ["EIO", "EINTR", "ENOSPC", "EDQUOT", "EAGAIN", "ENOMEM", "ESTALE"];

/// Each transfer and sync fails with each errno, buffered and with O_DIRECT.
fn transfers_fail(case: &Case) {
    let ctx = case.ctx();
    let Some(faults) = FaultFs::mount(&case.dir) else { return };
    let mut tries = 0;
    for flags in [0, libc::O_DIRECT] {
        let file = file(&faults, flags);
        let fd = file.as_raw_fd();
        let memory = sys::Map::new(4 * PAGE);
        let parts = [0, 1].map(|at| libc::iovec { iov_base: memory.address(at * PAGE).cast(), iov_len: PAGE });
        let transfer = |opcode| op(opcode, fd).buf(memory.start()).len(2 * PAGE as u64);
        let vector = |opcode| op(opcode, fd).buf(parts.as_ptr()).len(2);
        let kinds = [
            ("read", transfer(CAIO_OP_READ).at(PAGE as u64)),
            ("read", transfer(CAIO_OP_READ).at(PAGE as u64).full()),
            ("read", vector(CAIO_OP_READV).at(2 * PAGE as u64)),
            ("write", transfer(CAIO_OP_WRITE).at(PAGE as u64)),
            ("write", transfer(CAIO_OP_WRITE).at(PAGE as u64).full()),
            ("write", vector(CAIO_OP_WRITEV).at(2 * PAGE as u64)),
            ("fsync", ops::fsync(fd)),
            ("fsync", ops::fdsync(fd)),
            ("setattr", ops::truncate(fd, SIZE as u64)),
            ("fallocate", op(CAIO_OP_ALLOCATE, fd).len(PAGE as u64)),
        ];
        for errno in ERRNOS {
            for (kind, op) in &kinds {
                // A cached read would not reach the file system.
                case.dir_cool(&file);
                fails_alike(&ctx, &faults, &format!("{kind} fail {errno} times=all"), *op);
                tries += 1;
            }
        }
        current_position_stays(&ctx, &faults, &file);
    }
    tried(
        tries,
        "EIO, EINTR, ENOSPC, EDQUOT, EAGAIN, ENOMEM, ESTALE from reads, writes, syncs, truncate, allocate (FUSE)",
    );
}

impl Case {
    fn dir_cool(&self, file: &File) {
        // SAFETY: no memory involved.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    }
}

/// A read at the current position that fails does not move it.
fn current_position_stays(ctx: &Ctx, faults: &FaultFs, file: &File) {
    let mut room = sys::Map::new(PAGE);
    let read = ops::read(file.as_raw_fd(), room.bytes_mut(), CAIO_OFFSET_CURRENT);
    faults.tell("read fail EIO times=all");
    assert_eq!(ctx.one(read), neg(libc::EIO));
    faults.tell("clear");
    assert_eq!(ctx.one(read), PAGE as i64);
    assert_eq!(room.bytes(), &pattern(PAGE), "the position is the same");
}

/// Each operation on a path fails with each errno.
fn paths_fail(case: &Case) {
    let ctx = case.ctx();
    let Some(faults) = FaultFs::mount(&case.dir) else { return };
    let mut tries = 0;
    for errno in ["EIO", "ENOSPC", "EROFS", "EACCES", "ENOMEM", "EINTR"] {
        let number = name_to_errno(errno);
        let inside = |name: &str| c_path(faults.path(name));
        std::fs::write(faults.path("file"), b"x").expect("a file");
        let (existing, new, folder) = (inside("file"), inside("new"), inside("folder"));
        let mut room = sys::statx_room();
        let at = libc::AT_FDCWD;
        let kinds = [
            ("open", ops::openat(at, &existing, libc::O_RDONLY, 0)),
            ("create", ops::openat(at, &new, libc::O_RDWR | libc::O_CREAT, 0o600)),
            ("getattr", ops::statx(at, &existing, &mut room).sys(libc::AT_STATX_FORCE_SYNC.into())),
            ("mkdir", ops::mkdirat(at, &folder, 0o700)),
            ("rename", ops::renameat(at, &existing, &new)),
            ("unlink", ops::unlinkat(at, &new)),
        ];
        for (kind, op) in kinds {
            faults.tell(&format!("{kind} fail {errno} times=all"));
            assert_eq!(ctx.one(op), neg(number), "{kind} {errno}");
            faults.tell("clear");
            let after = ctx.one(op);
            assert!(after >= 0, "{kind} {errno}: {after} after the fault");
            if op.opcode == CAIO_OP_OPENAT {
                assert_eq!(ctx.one(ops::close(after as i32)), 0);
            }
            tries += 1;
        }
        std::fs::remove_dir(faults.path("folder")).expect("the new folder");
    }
    tried(tries, "EIO, ENOSPC, EROFS, EACCES, ENOMEM, EINTR from open, create, statx, mkdir, rename, unlink (FUSE)");
}

fn name_to_errno(name: &str) -> i32 {
    match name {
        "EIO" => libc::EIO,
        "ENOSPC" => libc::ENOSPC,
        "EROFS" => libc::EROFS,
        "EACCES" => libc::EACCES,
        "ENOMEM" => libc::ENOMEM,
        "EINTR" => libc::EINTR,
        other => panic!("{other}"),
    }
}

/// A short transfer has a short result. With FULL, it moves all bytes.
fn short_transfers(case: &Case) {
    let ctx = case.ctx();
    let Some(faults) = FaultFs::mount(&case.dir) else { return };
    let file = file(&faults, libc::O_DIRECT);
    let fd = file.as_raw_fd();
    let mut tries = 0;
    for most in [1, 511, 512, 1000, 4095, 4096, 5000] {
        let rule = |kind: &str| format!("{kind} short {most} times=all");
        let mut memory = sys::Map::new(2 * PAGE);
        let read = ops::read(fd, memory.bytes_mut(), 0);
        faults.tell(&rule("read"));
        let (plain, got) = (sys::plain(&read), ctx.one(read));
        assert_eq!(got, plain, "as pread(2)");
        // A direct read must be aligned, and FUSE takes a short answer as the end of the file.
        let full = ctx.one(read.full());
        assert!((got..=2 * PAGE as i64).contains(&full) || full == neg(libc::EINVAL), "{full}");
        assert_eq!(memory.bytes()[..got as usize], pattern(got as usize)[..]);
        faults.tell("clear");
        tries += 2;
    }
    // If the file system itself bypasses the page cache, transfers may start at any byte.
    faults.tell("direct on");
    let file = File::options().read(true).write(true).open(faults.path("file")).expect("the file");
    let fd = file.as_raw_fd();
    let content: Vec<u8> = pattern(2 * PAGE).iter().map(|byte| byte ^ 0x5a).collect();
    for most in [1, 100, 4095, 4096, 5000] {
        let mut back = vec![0; 2 * PAGE];
        faults.tell(&format!("write short {most} times=all\nread short {most} times=all"));
        assert_eq!(ctx.one(ops::write(fd, &content, 3)), most);
        assert_eq!(ctx.one(ops::write(fd, &content, 3).full()), 2 * PAGE as i64);
        assert_eq!(ctx.one(ops::read(fd, &mut back, 3).full()), 2 * PAGE as i64);
        assert_eq!(back, content);
        back.fill(0);
        let parts = [ops::iovec(&back[..300]), ops::iovec(&back[300..])];
        assert_eq!(ctx.one(ops::readv(fd, &parts, 3).full()), 2 * PAGE as i64);
        assert_eq!(back, content);
        let chain = ops::chain(&[ops::write(fd, &content, 3), ops::fdsync(fd)]);
        assert_eq!(ctx.run(&chain), [most, neg(libc::ECANCELED)], "a short transfer breaks a chain");
        // At an explicit offset, FULL yields the error, even after some bytes.
        faults.tell("clear");
        faults.tell(&format!("read short {most} times=1\nread fail EIO times=all"));
        assert_eq!(ctx.one(ops::read(fd, &mut back, 3).full()), neg(libc::EIO));
        faults.tell("clear");
        tries += 6;
    }
    tried(tries, "short reads and writes, plain, FULL, vectored and in chains (FUSE)");
}

/// The disk is full from a certain byte on: a write up to it is short, and one beyond it fails. The bytes that fit are
/// written.
fn full_at_a_byte(case: &Case) {
    let ctx = case.ctx();
    let Some(faults) = FaultFs::mount(&case.dir) else { return };
    let mut tries = 0;
    for room in [0, 1, 4095, 4096, 4097, 10_000] {
        let path = faults.path("filling");
        let file = File::create_new(&path).expect("a new file");
        let fd = file.as_raw_fd();
        let content = pattern(3 * PAGE);
        faults.tell(&format!("full {room}"));
        let write = ops::write(fd, &content, 0);
        let wanted = if room == 0 { neg(libc::ENOSPC) } else { room };
        assert_eq!(ctx.one(write), wanted);
        assert_eq!(ctx.one(write.full()), neg(libc::ENOSPC));
        assert_eq!(ctx.one(ops::write(fd, &content, room as u64)), neg(libc::ENOSPC));
        assert_eq!(ctx.one(op(CAIO_OP_ALLOCATE, fd).len(3 * PAGE as u64)), neg(libc::ENOSPC));
        let chained = ctx.run(&ops::chain(&[write.full(), ops::fsync(fd), ops::nop()]));
        assert_eq!(chained, [neg(libc::ENOSPC), neg(libc::ECANCELED), neg(libc::ECANCELED)]);
        assert_eq!(std::fs::read(&path).expect("the file"), content[..room as usize]);
        faults.tell("full off");
        assert_eq!(ctx.one(write), content.len() as i64);
        assert_eq!(std::fs::read(&path).expect("the file"), content);
        std::fs::remove_file(path).expect("the file");
        tries += 6;
    }
    tried(tries, "ENOSPC from a byte on (FUSE)");
}

promises! {
    Plan::PLAIN => {
        transfers_fail, paths_fail, short_transfers, full_at_a_byte, storm,
        slow_requests, hangs_that_end, a_failing_sync_fails_all_it_serves,
    }
}
