//! Exhausted descriptors, threads and memory.

use std::os::fd::{AsRawFd, OwnedFd};

use super::seccomp::deny;
use super::support::case::Case;
use super::support::files::pattern;
use super::support::*;
use super::works;

const EAGAIN: i64 = -(libc::EAGAIN as i64);
const ECANCELED: i64 = -(libc::ECANCELED as i64);

/// Takes every descriptor that the process may have.
pub fn take_all_descriptors() -> Vec<OwnedFd> {
    process::limit(libc::RLIMIT_NOFILE, 300);
    let mut taken = vec![sys::eventfd(0)];
    loop {
        // SAFETY: no memory involved.
        let fd = unsafe { libc::fcntl(taken[0].as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0) };
        if fd < 0 {
            assert_eq!(sys::errno(), libc::EMFILE);
            return taken;
        }
        // SAFETY: fresh from the kernel.
        taken.push(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) });
    }
}

/// Small contexts: the test makes many in a row, and the kernel returns their locked memory with a delay.
fn small(options: caio_options) -> caio_options {
    caio_options { max_requests: 64, ..options }
}

/// With few descriptors, caio_ctx_new fails with a clean error, and an existing context still works.
pub fn no_descriptors(case: &Case) {
    let existing = case.ctx();
    let content = pattern(2 * sys::PAGE);
    let file = case.dir.file("file", &content);
    let (reader, writer) = sys::pipe();
    let mut taken = take_all_descriptors();
    // /proc/self/fd cannot be opened now, so this checks each number.
    let open = || (0..300).filter(|fd| process::is_close_on_exec(*fd)).count();

    let mut needed = 0;
    let made = loop {
        let before = open();
        for options in [case.options(), options(CAIO_BACKEND_AUTO)] {
            match Ctx::try_new(&small(options)) {
                Ok(ctx) => drop(ctx),
                Err(errno) => assert_eq!(errno, -libc::EMFILE, "with {needed} descriptors"),
            }
            assert_eq!(open(), before, "with {needed} descriptors: none is leaked");
        }
        let (result, why) = probe(case.backend);
        assert!(result == 0 || (result == -libc::EMFILE && why.contains("descriptor")), "{result}: {why}");
        assert_eq!(open(), before, "with {needed} descriptors: a probe leaks none");
        match Ctx::try_new(&small(case.options())) {
            Ok(ctx) => break ctx,
            Err(_) => drop(taken.pop()),
        }
        needed += 1;
    };
    assert!((1..10).contains(&needed), "a context needs {needed} descriptors");

    let mut back = vec![0; content.len()];
    let mut byte = [0];
    for ctx in [&existing, &made] {
        assert_eq!(ctx.one(ops::read(file.as_raw_fd(), &mut back, 0)), content.len() as i64);
        assert_eq!(back, content);
        assert_eq!(ctx.one(ops::write(file.as_raw_fd(), &content, 0)), content.len() as i64);
        assert_eq!(ctx.one(ops::fsync(file.as_raw_fd())), 0);
        let opening = ctx.one(ops::openat(libc::AT_FDCWD, &case.dir.c("file"), libc::O_RDONLY, 0));
        assert_eq!(opening, -i64::from(libc::EMFILE));
        // To wait for a pipe may need descriptors. Without them, the operation fails immediately, once.
        ctx.accept(&[ops::read(reader.as_raw_fd(), &mut byte, CAIO_OFFSET_CURRENT)]);
        sys::write_all(&writer, b"x");
        let result = ctx.collect(1)[0].result;
        assert!([1, -i64::from(libc::EMFILE), EAGAIN].contains(&result), "{result}");
    }
    drop(taken);
    works(&existing, &case.dir);
    works(&made, &case.dir);
}

/// Without threads, each operation that needs one fails, once. Others succeed, and none hangs.
pub fn no_threads(case: &Case) {
    let file = case.dir.file("file", &pattern(sys::PAGE));
    let fd = file.as_raw_fd();
    let mut back = vec![0; sys::PAGE];
    deny(&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN);

    let ctx = case.ctx();
    assert_eq!(ctx.one(ops::nop()), 0);
    assert_eq!(ctx.one(ops::read(fd, &mut back, 0)), sys::PAGE as i64, "a cached read needs no thread");
    for flags in [0, CAIO_CTX_NO_INLINE] {
        let ctx = Ctx::new(&caio_options { flags, ..case.options() });
        // The kernel's queue needs no thread of the library.
        let may_be =
            |result: i64, good: i64| result == EAGAIN || (result == good && case.backend != CAIO_BACKEND_THREAD);
        assert!(may_be(ctx.one(ops::fsync(fd)), 0));
        assert!(may_be(ctx.one(ops::write(fd, &back, 0)), sys::PAGE as i64));
        let chained = ctx.run(&ops::chain(&[ops::fdsync(fd), ops::nop(), ops::fsync(fd)]));
        assert!(
            [[EAGAIN, ECANCELED, ECANCELED], [0, 0, 0]].contains(&[chained[0], chained[1], chained[2]]),
            "{chained:?}"
        );
        let many = vec![ops::fsync(fd); 500];
        assert!(ctx.run(&many).iter().all(|result| may_be(*result, 0)));
        blocked_on_a_pipe(&ctx);
        let stats = ctx.stats();
        assert_eq!((stats.completed, stats.inflight), (stats.submitted, 0));
        // The context is freed with operations that found no thread.
        ctx.submit(&many);
    }
    assert_eq!(library_threads(), 0);
}

fn library_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc/self/task").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("caio")).count()
}

fn blocked_on_a_pipe(ctx: &Ctx) {
    let (reader, _writer) = sys::pipe();
    let mut byte = [0];
    let read = ops::read(reader.as_raw_fd(), &mut byte, CAIO_OFFSET_CURRENT);
    ctx.accept(&[read]);
    ctx.cancel_all();
    assert!([EAGAIN, ECANCELED].contains(&ctx.collect(1)[0].result));
    let timed = ctx.one(read.timeout(Duration::from_millis(5)));
    assert!([EAGAIN, -i64::from(libc::ETIMEDOUT)].contains(&timed), "{timed}");
}

/// Drops all capabilities, because CAP_IPC_LOCK overrides the limit.
fn drop_capabilities() {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let none = [0u32; 6];
    // SAFETY: a header and two sets, as version 3 has them.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    assert_eq!(result, 0, "capset: {}", sys::errno());
}

pub fn no_locked_memory(case: &Case) {
    drop_capabilities();
    process::limit(libc::RLIMIT_MEMLOCK, 0);
    works(&Ctx::on(CAIO_BACKEND_AUTO), &case.dir);
    match Ctx::try_new(&case.options()) {
        Ok(ctx) => works(&ctx, &case.dir),
        Err(errno) => {
            let (result, why) = probe(case.backend);
            assert_eq!((errno, result), (-libc::ENOMEM, -libc::ENOMEM), "{why}");
            assert!(why.contains("lock"), "{why}");
        }
    }
}

/// Bytes of address space in use.
fn address_space() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("/proc/self/statm");
    let pages: u64 = text.split_whitespace().next().and_then(|first| first.parse().ok()).expect("a number");
    pages * sys::PAGE as u64
}

/// Keeps free memory in the heap, so that the limit affects only mappings (rings, stacks). An exhausted heap may end
/// the process, in this test's own code too.
fn keep_heap(bytes: usize) {
    #[cfg(target_env = "gnu")]
    for (setting, value) in [(libc::M_MMAP_THRESHOLD, 32 << 20), (libc::M_TRIM_THRESHOLD, i32::MAX)] {
        // SAFETY: settings of the allocator.
        assert_eq!(unsafe { libc::mallopt(setting, value) }, 1);
    }
    drop(vec![1u8; bytes]);
}

/// With little memory, caio_ctx_new or the operation fails. The process never ends.
pub fn little_memory(case: &Case) {
    keep_heap(16 << 20);
    let existing = case.ctx();
    let file = case.dir.file("file", &pattern(100));
    for extra in [0, 1 << 12, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 28] {
        process::limit(libc::RLIMIT_AS, address_space() + extra);
        for max_requests in [2048, 0] {
            match Ctx::try_new(&caio_options { max_requests, ..case.options() }) {
                Ok(ctx) => sync_under_pressure(&ctx, file.as_raw_fd()),
                Err(errno) => assert!([-libc::ENOMEM, -libc::EAGAIN].contains(&errno), "{extra} bytes more: {errno}"),
            }
        }
        sync_under_pressure(&existing, file.as_raw_fd());
    }
    process::limit(libc::RLIMIT_AS, process::UNLIMITED);
    works(&existing, &case.dir);
    works(&case.ctx(), &case.dir);
}

fn sync_under_pressure(ctx: &Ctx, fd: i32) {
    let mut byte = [0];
    assert_eq!(ctx.one(ops::read(fd, &mut byte, 3)), 1, "cached: needs no thread");
    let synced = ctx.one(ops::fsync(fd));
    assert!([0, EAGAIN].contains(&synced), "{synced}");
}
