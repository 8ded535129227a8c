//! System calls and resources that a machine may refuse. AUTO takes the next backend, a named backend reports the
//! cause, and each accepted operation still has its one event. Each test runs in a process of its own, with a filter or
//! a limit.

// The systems for which seccompiler makes filters.
#![cfg(all(
    not(caio_targets),
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]

#[path = "c/mod.rs"]
mod c;
#[macro_use]
mod support;

#[path = "fallback/filters.rs"]
mod filters;
#[path = "fallback/limits.rs"]
mod limits;
#[path = "fallback/log.rs"]
mod log;
#[path = "fallback/opcodes.rs"]
mod opcodes;
#[path = "fallback/seccomp.rs"]
mod seccomp;
#[path = "fallback/substitutes.rs"]
mod substitutes;

use std::os::fd::AsRawFd;

use filters::{no_fcntl, no_random_source, socket_calls_enosys, socket_calls_eperm, the_last_descriptor};
use limits::{little_memory, no_descriptors, no_locked_memory, no_threads};
use seccomp::{Above, deny, deny_above};
use substitutes::{
    eventfd_without_read_and_write, older_calls_for_enosys, older_calls_for_eperm, substitutes_for_eacces,
    substitutes_for_enosys, substitutes_for_eperm, transfers_by_the_newest_calls, transfers_by_vectored_calls,
};
use support::case::Case;
use support::files::{Dir, Folder, pattern};
use support::*;

const SETUP: &[i64] = &[libc::SYS_io_uring_setup];
const ENTER: &[i64] = &[libc::SYS_io_uring_enter];
const AIO: &[i64] = &[libc::SYS_io_setup];
const SUBMIT: &[i64] = &[libc::SYS_io_submit];
const BOTH: &[i64] = &[libc::SYS_io_uring_setup, libc::SYS_io_setup];

/// Runs `body` in a process of its own, which a timer ends if it hangs.
fn alone(body: impl FnOnce(&Dir)) {
    process::alone(|| {
        // SAFETY: no memory involved.
        unsafe { libc::alarm(4 * PATIENCE.as_secs() as u32) };
        body(&Folder::Default.make());
    });
}

/// Checks that a context runs operations of each kind, with the right results.
fn works(ctx: &Ctx, dir: &Dir) {
    let content = pattern(3 * sys::PAGE);
    let file = dir.cold("works", content.len());
    let fd = file.as_raw_fd();
    let mut back = vec![0; content.len()];
    assert_eq!(ctx.one(ops::read(fd, &mut back, 0).full()), content.len() as i64);
    assert_eq!(back, content);
    let text = *b"written";
    let chained = ctx.run(&ops::chain(&[ops::write(fd, &text, 1), ops::fdsync(fd), ops::read(fd, &mut back[..7], 1)]));
    assert_eq!(chained, [7, 0, 7]);
    assert_eq!(back[..7], text);
    let opened = ctx.one(ops::openat(libc::AT_FDCWD, &dir.c("works"), libc::O_RDONLY | libc::O_CLOEXEC, 0));
    assert!(opened >= 0, "{opened}");
    assert_eq!(ctx.one(ops::close(opened as i32)), 0);
    let (reader, _writer) = sys::pipe();
    let mut byte = [0];
    ctx.accept(&[ops::read(reader.as_raw_fd(), &mut byte, CAIO_OFFSET_CURRENT).tag(5)]);
    assert_eq!(ctx.cancel(5), 1);
    assert_eq!(ctx.collect(1), [Event { user_data: 5, result: -i64::from(libc::ECANCELED) }]);
}

/// If `calls` fail with `errno`, the backends `lost` are not available, and the text of their probe has one of `words`.
fn without(calls: &[i64], errno: i32, lost: &[u32], words: &[&str]) {
    let next = BACKENDS.into_iter().find(|backend| !lost.contains(backend) && available(*backend));
    let next = next.expect("threads at least");
    alone(|dir| {
        let before = process::descriptors();
        deny(calls, errno);
        for &backend in lost {
            let (result, why) = probe(backend);
            assert_eq!(result, -errno, "{why}");
            assert!(words.iter().any(|word| why.contains(word)), "{words:?}: {why}");
            assert_eq!(Ctx::try_new(&options(backend)).err(), Some(-errno), "a named backend never falls back");
        }
        let auto = Ctx::on(CAIO_BACKEND_AUTO);
        assert_eq!(auto.backend(), next as i32);
        works(&auto, dir);
        drop(auto);
        let (result, why) = probe(CAIO_BACKEND_AUTO);
        assert_eq!(result, 0, "{why}");
        for backend in lost.iter().filter(|lost| **lost < next).chain([&next]) {
            assert!(why.contains(backend_name(*backend)), "the choice, and why no better backend is available: {why}");
        }
        assert_eq!(process::descriptors(), before, "no descriptor is leaked");
    });
}

const FILTERED: &[&str] = &["seccomp"];
const URING: &[u32] = &[CAIO_BACKEND_URING];
const LINUX: &[u32] = &[CAIO_BACKEND_LINUX];
const KERNEL: &[u32] = &[CAIO_BACKEND_URING, CAIO_BACKEND_LINUX];

#[test]
fn io_uring_setup_eperm() {
    without(SETUP, libc::EPERM, URING, &["seccomp", "io_uring_disabled"]);
}

#[test]
fn io_uring_setup_enosys() {
    without(SETUP, libc::ENOSYS, URING, FILTERED);
}

#[test]
fn io_uring_enter_eperm() {
    without(ENTER, libc::EPERM, URING, FILTERED);
}

#[test]
fn io_uring_enter_enosys() {
    without(ENTER, libc::ENOSYS, URING, FILTERED);
}

#[test]
fn io_setup_eperm() {
    without(AIO, libc::EPERM, LINUX, FILTERED);
}

#[test]
fn io_setup_enosys() {
    without(AIO, libc::ENOSYS, LINUX, FILTERED);
}

#[test]
fn io_submit_eperm() {
    without(SUBMIT, libc::EPERM, LINUX, FILTERED);
}

#[test]
fn io_submit_enosys() {
    without(SUBMIT, libc::ENOSYS, LINUX, FILTERED);
}

/// The library keeps kernel AIO contexts for reuse. That does not hide that new ones are refused.
fn the_probe_does_not_count_on_an_idle_context(errno: i32) {
    if !process::is_child() && !available(CAIO_BACKEND_LINUX) {
        return;
    }
    alone(|dir| {
        drop(Ctx::on(CAIO_BACKEND_LINUX));
        deny(AIO, errno);
        let (result, why) = probe(CAIO_BACKEND_LINUX);
        assert_eq!(result, -errno, "{why}");
        match Ctx::try_new(&options(CAIO_BACKEND_LINUX)) {
            // fs.aio-max-nr is used up, but this context needs nothing new.
            Ok(ctx) => {
                assert_eq!(errno, libc::EAGAIN);
                works(&ctx, dir);
            }
            Err(said) => assert_eq!(said, -errno),
        }
    });
}

#[test]
fn the_probe_asks_the_kernel_where_io_setup_is_eperm() {
    the_probe_does_not_count_on_an_idle_context(libc::EPERM);
}

#[test]
fn the_probe_asks_the_kernel_where_io_setup_is_enosys() {
    the_probe_does_not_count_on_an_idle_context(libc::ENOSYS);
}

#[test]
fn the_probe_asks_the_kernel_where_io_setup_is_eagain() {
    the_probe_does_not_count_on_an_idle_context(libc::EAGAIN);
}

/// A program installs a filter after it made the context. Worker threads then run the operations that the kernel
/// refuses.
fn refused_later(backend: u32, flags: u32, calls: &[i64], errno: i32) {
    if !process::is_child() && !available(backend) {
        return;
    }
    alone(|dir| {
        let page = pattern(sys::PAGE);
        let file = dir.file("later", &page);
        let ctx = Ctx::new(&caio_options { flags: flags | CAIO_CTX_NO_INLINE, ..options(backend) });
        if flags & CAIO_CTX_SINGLE_THREAD == 0 {
            let mut back = vec![0; sys::PAGE];
            assert_eq!(ctx.one(ops::read(file.as_raw_fd(), &mut back, 0)), sys::PAGE as i64);
            assert_eq!(ctx.stats().done_native, 1, "it is used");
        }
        deny(calls, errno);
        let before = ctx.stats();
        for _ in 0..20 {
            let mut back = vec![0; sys::PAGE];
            assert_eq!(ctx.one(ops::read(file.as_raw_fd(), &mut back, 0)), sys::PAGE as i64);
            assert_eq!(back, page);
        }
        let after = ctx.stats();
        assert!(after.retried - before.retried <= 1, "the context tries the kernel again: {} times", after.retried);
        assert_eq!(after.done_worker - before.done_worker, 20);
        works(&ctx, dir);
    });
}

#[test]
fn io_submit_is_refused_later() {
    refused_later(CAIO_BACKEND_LINUX, 0, SUBMIT, libc::EPERM);
}

#[test]
fn io_uring_enter_is_refused_later() {
    refused_later(CAIO_BACKEND_URING, 0, ENTER, libc::EPERM);
}

#[test]
fn io_uring_register_is_refused_later() {
    refused_later(CAIO_BACKEND_URING, CAIO_CTX_SINGLE_THREAD, &[libc::SYS_io_uring_register], libc::EPERM);
}

#[test]
fn both_eperm() {
    without(BOTH, libc::EPERM, KERNEL, FILTERED);
}

#[test]
fn both_enosys() {
    without(BOTH, libc::ENOSYS, KERNEL, FILTERED);
}

/// If the backend that CAIO_IMPL names is not available, AUTO ignores it, and the text reports that.
#[test]
fn auto_ignores_an_unavailable_caio_impl() {
    alone(|dir| {
        deny(BOTH, libc::EPERM);
        // SAFETY: no other thread reads the environment meanwhile.
        unsafe { std::env::set_var("CAIO_IMPL", "linux") };
        let ctx = Ctx::on(CAIO_BACKEND_AUTO);
        assert_eq!(ctx.backend(), CAIO_BACKEND_THREAD as i32);
        works(&ctx, dir);
        let (result, why) = probe(CAIO_BACKEND_AUTO);
        assert_eq!(result, 0);
        assert!(why.contains("CAIO_IMPL") && why.contains("linux"), "{why}");
    });
}

fn proc_number(name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/sys/fs/{name}")).expect(name);
    text.trim().to_owned()
}

/// io_setup(2) fails as with an exhausted fs.aio-max-nr.
#[test]
fn no_aio_requests_left() {
    without(AIO, libc::EAGAIN, LINUX, &["aio-max-nr"]);
}

#[test]
fn the_probe_reports_both_aio_numbers() {
    alone(|_| {
        deny(AIO, libc::EAGAIN);
        let (before, most) = (proc_number("aio-nr"), proc_number("aio-max-nr"));
        let (result, why) = probe(CAIO_BACKEND_LINUX);
        assert_eq!(result, -libc::EAGAIN);
        let numbers: Vec<&str> = why.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
        assert!(numbers.contains(&most.as_str()), "aio-max-nr is {most}: {why}");
        // Another process may have changed the number meanwhile.
        let after = proc_number("aio-nr");
        assert!(numbers.contains(&before.as_str()) || before != after, "aio-nr is {before}: {why}");
    });
}

/// If aio-max-nr is nearly exhausted, caio_ctx_new makes a smaller kernel context, which serves as many operations.
/// (The child has no context that it could reuse.)
#[test]
fn a_smaller_kernel_aio_context() {
    if !process::is_child() && !available(CAIO_BACKEND_LINUX) {
        return;
    }
    alone(|dir| {
        deny_above(libc::SYS_io_setup, Above { argument: 0, most: 32 }, libc::EAGAIN);
        many_requests(CAIO_BACKEND_LINUX, dir);
    });
}

/// If locked memory is nearly exhausted, caio_ctx_new makes a smaller ring, which serves as many operations.
#[test]
fn a_smaller_io_uring() {
    if !process::is_child() && !available(CAIO_BACKEND_URING) {
        return;
    }
    alone(|dir| {
        deny_above(libc::SYS_io_uring_setup, Above { argument: 0, most: 32 }, libc::ENOMEM);
        many_requests(CAIO_BACKEND_URING, dir);
    });
}

fn many_requests(backend: u32, dir: &Dir) {
    const COUNT: usize = 4096;
    let flags = CAIO_CTX_NO_INLINE;
    let ctx = Ctx::new(&caio_options { max_requests: COUNT as u32, flags, ..options(backend) });
    works(&ctx, dir);
    let file = dir.file("many", &pattern(COUNT));
    let mut back = vec![0; COUNT];
    let reads = back.chunks_mut(1).enumerate();
    let reads: Vec<caio_op> = reads.map(|(at, byte)| ops::read(file.as_raw_fd(), byte, at as u64)).collect();
    assert!(ctx.run(&reads).iter().all(|result| *result == 1));
    assert_eq!(back, pattern(COUNT));
}

/// Without process_vm_readv(2), submit still copies paths before it returns, and a bad path yields -EFAULT.
fn no_process_vm_readv(case: &Case) {
    const MARK: i32 = 4242;
    deny(&[libc::SYS_process_vm_readv], libc::EPERM);
    let before = process::descriptors();
    let ctx = case.ctx();
    works(&ctx, &case.dir);
    let mut path = case.dir.c("short-lived").into_bytes_with_nul();
    let dir = std::ffi::CStr::from_bytes_with_nul(&path).expect("one NUL");
    ctx.accept(&[ops::mkdirat(libc::AT_FDCWD, dir, 0o700)]);
    path.fill(b'x');
    assert_eq!(ctx.collect(1)[0].result, 0);
    assert!(case.dir.join("short-lived").is_dir(), "the path as it was at submit");

    let edge = sys::Map::new(2 * sys::PAGE).forbid(sys::PAGE);
    // SAFETY: the last two bytes that may be written.
    unsafe { edge.address(sys::PAGE - 2).write_bytes(b'a', 2) };
    let too_long = vec![b'a'; 2 * libc::PATH_MAX as usize];
    let unlink = |path: *const u8| ctx.one(op(CAIO_OP_UNLINKAT, libc::AT_FDCWD).buf(path));
    assert_eq!(unlink(std::ptr::null()), -i64::from(libc::EFAULT));
    assert_eq!(unlink(sys::nowhere()), -i64::from(libc::EFAULT));
    // SAFETY: this thread's own.
    unsafe { *libc::__errno_location() = MARK };
    ctx.accept(&[op(CAIO_OP_UNLINKAT, libc::AT_FDCWD).buf(sys::nowhere())]);
    assert_eq!(sys::errno(), MARK, "errno is unchanged");
    ctx.collect(1);
    assert_eq!(unlink(edge.address(sys::PAGE - 2)), -i64::from(libc::EFAULT), "no NUL before the forbidden page");
    assert_eq!(unlink(too_long.as_ptr()), -i64::from(libc::ENAMETOOLONG));
    // SAFETY: as above.
    unsafe { edge.address(sys::PAGE - 1).write(0) };
    assert_eq!(unlink(edge.address(sys::PAGE - 2)), -i64::from(libc::ENOENT), "a path that ends with its page");
    drop(ctx);
    assert_eq!(process::descriptors(), before);
}

/// An old kernel has no preadv2(2), and so no cached reads.
fn no_preadv2(case: &Case) {
    deny(&[libc::SYS_preadv2, libc::SYS_pwritev2], libc::ENOSYS);
    for flags in [0, CAIO_CTX_NO_INLINE] {
        let ctx = Ctx::new(&caio_options { flags, ..case.options() });
        works(&ctx, &case.dir);
        let file = case.dir.file("plain", &pattern(100));
        let mut parts = [[0; 50]; 2];
        let iovecs = parts.each_ref().map(|part| ops::iovec(part));
        assert_eq!(ctx.one(ops::readv(file.as_raw_fd(), &iovecs, 0)), 100);
        assert_eq!(parts.concat(), pattern(100));
        parts = [[0; 50]; 2];
        assert_eq!(ctx.one(ops::readv(file.as_raw_fd(), &iovecs, CAIO_OFFSET_CURRENT)), 100);
        assert_eq!(parts.concat(), pattern(100));
        assert_eq!(ctx.one(ops::writev(file.as_raw_fd(), &iovecs, 100)), 100);
    }
}

promises! {
    Plan::ALONE => {
        no_process_vm_readv, no_preadv2,
        no_descriptors, no_threads, no_locked_memory, little_memory,
        no_fcntl, no_random_source, socket_calls_enosys, socket_calls_eperm, the_last_descriptor,
        substitutes_for_eperm, substitutes_for_enosys, substitutes_for_eacces,
        older_calls_for_eperm, older_calls_for_enosys,
        transfers_by_vectored_calls, transfers_by_the_newest_calls, eventfd_without_read_and_write,
    }
}
