//! One caller learns nothing about another. The library reuses slots and buffers, its descriptors close at exec, and
//! operations run with the current credentials of the process.

#![cfg(target_os = "linux")]

#[macro_use]
mod support;

use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use support::case::Case;
use support::files::pattern;
use support::*;

const EACCES: i64 = -(libc::EACCES as i64);

/// Reads that are cancelled, time out or complete, in reused slots. A buffer keeps its bytes or gets those of its own
/// file, and no byte beyond the result.
fn buffers_are_ones_own(case: &Case) {
    const FILES: usize = 8;
    const AT_ONCE: usize = 64;
    let ctx = case.ctx();
    let files: Vec<_> = (0..FILES).map(|at| case.dir.file(&format!("{at}"), &vec![b'a' + at as u8; 2000])).collect();
    let mut random = Random::new(case.backend);
    for _ in 0..50 {
        let mut rooms = vec![[b'.'; 3000]; AT_ONCE];
        let whose: Vec<usize> = (0..AT_ONCE).map(|_| random.below(FILES)).collect();
        let reads: Vec<caio_op> = rooms
            .iter_mut()
            .zip(&whose)
            .enumerate()
            .map(|(at, (room, file))| {
                let read = ops::read(files[*file].as_raw_fd(), room, random.below(2500) as u64).tag(at as u64);
                if at % 5 == 0 { read.timeout(Duration::from_nanos(1)) } else { read }
            })
            .collect();
        ctx.accept(&reads);
        for _ in 0..8 {
            ctx.cancel(random.below(AT_ONCE) as u64);
        }
        for event in ctx.collect(AT_ONCE) {
            let at = event.user_data as usize;
            let moved = usize::try_from(event.result).unwrap_or(0);
            let own = b'a' + whose[at] as u8;
            let (mine, rest) = rooms[at].split_at(moved);
            assert!(mine.iter().all(|byte| *byte == own), "another's bytes");
            // A stopped read may have started.
            let untouched = |byte: &u8| *byte == b'.' || (event.result < 0 && *byte == own);
            assert!(rest.iter().all(untouched), "more than the event says");
        }
    }
}

/// A path that is shorter than the previous one in its slot, and one that fails.
fn paths_are_ones_own(case: &Case) {
    let ctx = case.ctx_of(1);
    let long = "l".repeat(200);
    for name in [&long, "s", "xx"] {
        case.dir.file(name, name.as_bytes());
    }
    for name in [&long, "s", &long, "xx", "s"] {
        let mut stat = sys::statx_room();
        assert_eq!(ctx.one(ops::statx(libc::AT_FDCWD, &case.dir.c(name), &mut stat)), 0);
        assert_eq!(stat.stx_size as usize, name.len());
        assert_eq!(ctx.one(op(CAIO_OP_UNLINKAT, libc::AT_FDCWD).buf(sys::nowhere())), -i64::from(libc::EFAULT));
    }
}

/// A program that is started while contexts are in use inherits none of their descriptors.
fn no_descriptor_survives_exec(case: &Case) {
    // Not the library's: those of a terminal, and those that this process inherited.
    let stuck = stuck::Stuck::kinds();
    let known = process::descriptors();
    let ctx = case.ctx();
    let reads: Vec<caio_op> = stuck.iter().map(|stuck| stuck.read().timeout(PATIENCE)).collect();
    ctx.accept(&reads);
    let folder = case.dir.open();
    assert!(ctx.one(ops::statx(folder.as_raw_fd(), c".", &mut sys::statx_room())) == 0);
    let output = Command::new("ls").arg("/proc/self/fd").output().expect("ls");
    let listed = String::from_utf8(output.stdout).expect("numbers");
    let listed: Vec<i32> = listed.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let ours: Vec<i32> = process::descriptors().into_iter().filter(|fd| !known.contains(fd)).collect();
    assert!(ours.len() > 5, "the poller has its own: {ours:?}");
    assert!(ours.iter().all(|fd| process::is_close_on_exec(*fd)), "{ours:?}");
    assert!(!ours.iter().any(|fd| *fd > 3 && listed.contains(fd)), "{ours:?} {listed:?}");
    ctx.cancel_all();
    ctx.collect(stuck.len());
}

/// setresuid(2) of the C library changes all threads: worker threads run as the new user.
fn credentials_are_the_process_s(case: &Case) {
    // SAFETY: no memory involved.
    if unsafe { libc::getuid() } != 0 {
        return skipped("credentials of workers needs root");
    }
    const NOBODY: u32 = 65534;
    std::fs::set_permissions(&case.dir.path, std::fs::Permissions::from_mode(0o777)).expect("its mode");
    let secret = case.dir.file("secret", b"secret");
    std::fs::set_permissions(case.dir.join("secret"), std::fs::Permissions::from_mode(0o600)).expect("its mode");
    let path = case.dir.c("secret");
    let open = ops::openat(libc::AT_FDCWD, &path, libc::O_RDONLY | libc::O_CLOEXEC, 0);
    let ctx = case.ctx();
    let opened = ctx.one(open);
    assert!(opened >= 0, "root may: {opened}");
    assert_eq!(ctx.one(ops::close(opened as i32)), 0);
    assert_eq!(ctx.one(ops::fsync(secret.as_raw_fd())), 0, "there are workers");
    // SAFETY: no memory involved.
    assert_eq!(unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) }, 0);
    assert_eq!(ctx.one(open), EACCES, "a worker from before");
    assert_eq!(case.ctx().one(open), EACCES, "a worker from after");
    let mut room = [0; 6];
    assert_eq!(ctx.one(ops::read(secret.as_raw_fd(), &mut room, 0)), 6, "an open file stays open");
    assert_eq!(&room, b"secret");
}

/// Lengths, offsets and sums at the limits of their types give the result of the plain call.
fn sums_do_not_overflow(case: &Case) {
    let file = case.dir.file("file", &pattern(100));
    let fd = file.as_raw_fd();
    let room = [0u8; 64];
    let huge = |len| libc::iovec { iov_base: room.as_ptr() as *mut _, iov_len: len };
    let max = isize::MAX as usize;
    let sums = [[huge(max), huge(max)], [huge(max), huge(1)], [huge(usize::MAX), huge(1)], [huge(max - 1), huge(2)]];
    let mut all = Vec::new();
    for parts in &sums {
        all.push(ops::readv(fd, parts, 200));
        all.push(ops::writev(-1, parts, 0));
    }
    let edges = [1 << 31, 1 << 32, i64::MAX as u64 - 1, i64::MAX as u64, 1 << 63, u64::MAX - 1];
    for edge in edges {
        all.push(ops::read(fd, &mut [], edge));
        all.push(op(CAIO_OP_READ, fd).buf(room.as_ptr()).len(64).at(edge));
        all.push(op(CAIO_OP_WRITE, fd).buf(room.as_ptr()).len(64).at(edge | 1 << 62));
        all.push(op(CAIO_OP_SYNC_RANGE, fd).len(edge).at(edge).sys(libc::SYNC_FILE_RANGE_WRITE.into()));
        all.push(op(CAIO_OP_ALLOCATE, fd).len(edge).at(edge));
        all.push(op(CAIO_OP_READV, fd).buf(sums.as_ptr()).len(edge).at(0));
        all.push(op(CAIO_OP_TRUNCATE, fd).at(edge | 1 << 63));
    }
    let ctx = case.ctx();
    for op in all {
        let full = [CAIO_OP_READ, CAIO_OP_READV].contains(&op.opcode);
        let plain = sys::plain(&op);
        assert_eq!(ctx.one(op), plain, "opcode {}, len {}, offset {}", op.opcode, op.len, op.offset);
        if full {
            assert_eq!(ctx.one(op.full()), plain, "FULL, opcode {}, len {}, offset {}", op.opcode, op.len, op.offset);
        }
    }
}

promises! {
    Plan::EVERY => { buffers_are_ones_own, paths_are_ones_own }
    Plan::PLAIN => { sums_do_not_overflow }
    Plan::ALONE => { no_descriptor_survives_exec, credentials_are_the_process_s }
}
