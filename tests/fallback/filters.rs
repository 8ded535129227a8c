//! Filters that forbid a system call that the library prefers: it runs the operation with other calls.

use super::seccomp::deny;
use super::support::case::Case;
use super::support::*;
use super::works;
use std::os::fd::AsRawFd;

const CURRENT: u64 = CAIO_OFFSET_CURRENT;

/// If the socket calls are forbidden, READ and WRITE on terminals, inotify, eventfds, pipes and sockets still work.
fn without_socket_calls(case: &Case, errno: i32) {
    let (controller, terminal) = sys::terminal();
    let (event, pipe, sockets) = (sys::eventfd(0), sys::pipe(), sys::socketpair());
    // SAFETY: no memory involved.
    let inotify = sys::owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC) }.into());
    let watched = case.dir.c(".");
    // SAFETY: a live string.
    let watch = unsafe { libc::inotify_add_watch(inotify.as_raw_fd(), watched.as_ptr(), libc::IN_CREATE) };
    assert!(watch >= 0, "inotify_add_watch: {}", sys::errno());
    deny(&[libc::SYS_recvmsg, libc::SYS_sendmsg, libc::SYS_recvfrom, libc::SYS_sendto], errno);
    let ctx = case.ctx();
    works(&ctx, &case.dir);
    let mut room = [0; 4096];
    sys::write_all(&controller, b"line\n");
    assert_eq!(ctx.one(ops::read(terminal.as_raw_fd(), &mut room, CURRENT)), 5, "READ of a terminal");
    assert_eq!(ctx.one(ops::write(terminal.as_raw_fd(), b"echo", CURRENT)), 4, "WRITE of a terminal");
    drop(case.dir.file("new", b""));
    assert!(ctx.one(ops::read(inotify.as_raw_fd(), &mut room, CURRENT)) >= 16, "READ of inotify");
    assert_eq!(ctx.one(ops::write(event.as_raw_fd(), &1u64.to_ne_bytes(), CURRENT)), 8, "WRITE to an eventfd");
    assert_eq!(ctx.one(ops::read(event.as_raw_fd(), &mut room, CURRENT)), 8, "READ of an eventfd");
    for (reader, writer) in [&pipe, &sockets] {
        assert_eq!(ctx.one(ops::write(writer.as_raw_fd(), b"bytes", CURRENT)), 5, "WRITE to a stream");
        assert_eq!(ctx.one(ops::read(reader.as_raw_fd(), &mut room, CURRENT)), 5, "READ of a stream");
    }
}

pub fn socket_calls_eperm(case: &Case) {
    without_socket_calls(case, libc::EPERM);
}

pub fn socket_calls_enosys(case: &Case) {
    without_socket_calls(case, libc::ENOSYS);
}

/// A pipe READ works without getrandom(2), in a chroot without /dev.
pub fn no_random_source(case: &Case) {
    let (reader, writer) = sys::pipe();
    let empty = case.dir.join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    // SAFETY: a live string.
    if unsafe { libc::chroot(files::c_path(&empty).as_ptr()) } != 0 {
        return skipped("operations without a random source need root");
    }
    deny(&[libc::SYS_getrandom], libc::EPERM);
    let (ctx, mut byte) = (case.ctx(), [0]);
    ctx.accept(&[ops::read(reader.as_raw_fd(), &mut byte, CURRENT)]);
    sys::write_all(&writer, b"x");
    assert_eq!(ctx.collect(1)[0].result, 1);
}

/// OPENAT needs no descriptor number but the one that it yields, also with a directory descriptor.
pub fn the_last_descriptor(case: &Case) {
    let folder = case.dir.open();
    drop(case.dir.file("file", b"content"));
    let (ctx, open) = (case.ctx(), ops::openat(folder.as_raw_fd(), c"file", libc::O_RDONLY | libc::O_CLOEXEC, 0));
    let opened = ctx.one(open);
    assert!(opened >= 0, "{opened}");
    assert_eq!(ctx.one(ops::close(opened as i32)), 0);
    let mut taken = super::limits::take_all_descriptors();
    taken.pop();
    let plain = sys::plain(&open);
    assert!(plain >= 0, "the plain call: {plain}");
    assert_eq!(sys::plain(&ops::close(plain as i32)), 0);
    for _ in 0..3 {
        let opened = ctx.one(open);
        assert!(opened >= 0, "with one number left: {opened}");
        assert_eq!(ctx.one(ops::close(opened as i32)), 0);
    }
}

/// Submit opens cached files with O_NONBLOCK, which fcntl(2) removes. The filter leaves the flags of a plain open.
pub fn no_fcntl(case: &Case) {
    drop(case.dir.file("file", b"content"));
    let path = case.dir.c("file");
    let child = process::fork(|| {
        deny(&[libc::SYS_fcntl], libc::EPERM);
        let ctx = case.ctx();
        for _ in 0..3 {
            let fd = ctx.one(ops::openat(libc::AT_FDCWD, &path, libc::O_RDONLY | libc::O_CLOEXEC, 0));
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).expect("a descriptor");
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags").trim();
            let flags = i32::from_str_radix(flags, 8).expect("an octal number");
            assert_eq!(flags & libc::O_NONBLOCK, 0, "{info}");
        }
        0
    });
    assert_eq!(child.code(), 0);
}
