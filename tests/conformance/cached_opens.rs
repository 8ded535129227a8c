//! Opens of what the kernel has in its caches complete inside submit, and differ in nothing else.

use crate::support::case::{Case, Variant};
use crate::support::files::pattern;
use crate::support::ops::{chain, openat};
use crate::support::*;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

crate::promises! {
    Plan::EVERY.everywhere() => {
        a_cached_file_is_read_inside_submit,
        the_descriptor_is_that_of_a_plain_open,
        an_open_is_one_open,
    }
    Plan::EVERY.alone() => {
        the_last_free_number_is_enough,
        a_chain_closes_its_file_when_no_number_is_left_for_timeouts,
    }
}

/// The chain that reads a file of `room.len()` bytes or less.
fn read_file(dir: i32, stat: &mut libc::statx, room: &mut [u8]) -> Vec<caio_op> {
    let opened = |opcode| op(opcode, CAIO_FD_OPENED);
    chain(&[
        openat(dir, c"file", libc::O_RDONLY | libc::O_CLOEXEC, 0),
        opened(CAIO_OP_STATX)
            .buf(c"".as_ptr())
            .sys(libc::AT_EMPTY_PATH.into())
            .mode(libc::STATX_SIZE)
            .buf2(&raw mut *stat),
        opened(CAIO_OP_READ).buf(room.as_mut_ptr()).len(room.len() as u64),
        opened(CAIO_OP_CLOSE),
    ])
}

fn a_cached_file_is_read_inside_submit(case: &Case) {
    let file = case.dir.file("file", &pattern(5000));
    let ctx = case.ctx();
    let dir = case.dir.open();
    let (mut stat, mut room) = (sys::statx_room(), vec![0; 6000]);
    let mut all_inline = false;
    for _ in 0..100 {
        let before = ctx.stats().done_inline;
        room.fill(0);
        assert_eq!(ctx.run(&read_file(dir.as_raw_fd(), &mut stat, &mut room)), [0, 0, 5000, 0]);
        assert_eq!((stat.stx_size, &room[..5000]), (5000, &pattern(5000)[..]));
        all_inline |= ctx.stats().done_inline == before + 4;
    }
    let on_disk = libc::major(file.metadata().expect("fstat").dev()) != 0;
    if case.variant == Variant::NoInline || !on_disk {
        assert!(!all_inline || on_disk && case.variant != Variant::NoInline);
    } else if opens_without_waiting() {
        assert!(all_inline, "a cached file on a disk");
    }
}

/// openat2(2) knows RESOLVE_CACHED (Linux 5.12).
fn opens_without_waiting() -> bool {
    const RESOLVE_CACHED: u64 = 0x20;
    let how = [libc::O_PATH as u64, 0, RESOLVE_CACHED];
    // SAFETY: `how` and the path outlive the call.
    let fd =
        unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, c"/".as_ptr(), how.as_ptr(), size_of_val(&how)) };
    if fd >= 0 {
        drop(sys::owned(fd as _));
    }
    fd >= 0
}

fn the_descriptor_is_that_of_a_plain_open(case: &Case) {
    case.dir.file("file", b"content");
    let dir = case.dir.open();
    let ctx = case.ctx();
    let more = [
        0,
        libc::O_CLOEXEC,
        libc::O_NONBLOCK,
        libc::O_NOCTTY,
        libc::O_NOFOLLOW,
        libc::O_PATH,
        libc::O_RDWR,
        libc::O_APPEND,
    ];
    for flags in more.into_iter().chain([libc::O_DIRECTORY, libc::O_NOATIME, libc::O_SYNC]) {
        for path in [c"file", c"."] {
            let open = openat(dir.as_raw_fd(), path, flags, 0);
            let (ours, plain) = (ctx.one(open), sys::plain(&open));
            if ours < 0 || plain < 0 {
                assert_eq!(ours, plain, "{path:?} with {flags:o}");
                continue;
            }
            let (ours, plain) = (sys::owned(ours), sys::owned(plain));
            let told = |fd: &OwnedFd, what| {
                // SAFETY: takes no memory.
                unsafe { libc::fcntl(fd.as_raw_fd(), what) }
            };
            for what in [libc::F_GETFL, libc::F_GETFD] {
                assert_eq!(told(&ours, what), told(&plain, what), "{path:?} with {flags:o}");
            }
        }
    }
}

/// The opens that inotify(7) reports of files and FIFOs.
fn an_open_is_one_open(case: &Case) {
    case.dir.file("file", b"content");
    crate::errno::make_fifo(&case.dir.c("fifo"));
    let dir = case.dir.open();
    let ctx = case.ctx();
    for path in [c"file", c"fifo"] {
        // SAFETY: takes no memory; the descriptor is new.
        let watch = unsafe { OwnedFd::from_raw_fd(libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK)) };
        let watched = case.dir.c(path.to_str().expect("ASCII"));
        // SAFETY: the path outlives the call.
        assert!(unsafe { libc::inotify_add_watch(watch.as_raw_fd(), watched.as_ptr(), libc::IN_OPEN) } >= 0);
        for _ in 0..10 {
            let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC;
            drop(sys::owned(ctx.one(openat(dir.as_raw_fd(), path, flags, 0))));
            let mut seen = [0u8; 4096];
            let got = sys::plain(&ops::read(watch.as_raw_fd(), &mut seen, CAIO_OFFSET_CURRENT));
            assert_eq!(got, size_of::<libc::inotify_event>() as i64, "{path:?}: one event");
        }
    }
}

fn the_last_free_number_is_enough(case: &Case) {
    case.dir.file("file", b"content");
    let dir = case.dir.open();
    let ctx = case.ctx();
    let open = openat(dir.as_raw_fd(), c"file", libc::O_RDONLY | libc::O_CLOEXEC, 0);
    // A worker thread, which takes no descriptor, exists before.
    drop(sys::owned(ctx.one(open)));
    let lowest_free = dir.try_clone().expect("a free number").as_raw_fd();
    process::limit(libc::RLIMIT_NOFILE, lowest_free as u64 + 1);
    let only = ctx.one(open);
    process::limit(libc::RLIMIT_NOFILE, 1024);
    assert_eq!(only, i64::from(lowest_free));
    drop(sys::owned(only));
}

/// The timer of a timeout needs descriptors. Without them, the operation fails, and the chain breaks.
fn a_chain_closes_its_file_when_no_number_is_left_for_timeouts(case: &Case) {
    case.dir.file("file", b"content");
    let dir = case.dir.open();
    let ctx = case.ctx();
    let open = openat(dir.as_raw_fd(), c"file", libc::O_RDONLY | libc::O_CLOEXEC, 0);
    // A worker thread, which takes no descriptor, exists before.
    drop(sys::owned(ctx.one(open)));
    let seek = op(CAIO_OP_SEEK, CAIO_FD_OPENED).timeout(Duration::from_secs(60));
    let steps = chain(&[open, seek, op(CAIO_OP_CLOSE, CAIO_FD_OPENED)]);
    let before = process::descriptors();
    let lowest_free = dir.try_clone().expect("a free number").as_raw_fd() as u64;
    for free in [1, 2] {
        process::limit(libc::RLIMIT_NOFILE, lowest_free + free);
        let results = ctx.run(&steps);
        process::limit(libc::RLIMIT_NOFILE, 1024);
        assert_eq!((results[0], results[2]), (0, 0), "{free} free numbers: {results:?}");
        assert_eq!(process::descriptors(), before, "{free} free numbers: {results:?}");
    }
}
