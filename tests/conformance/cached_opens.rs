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
        calls_on_a_descriptor_complete_inside_submit,
        the_path_of_a_statx_is_read_each_time,
        a_close_that_may_wait_is_left_to_a_worker,
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
    if case.variant == Variant::NoInline {
        assert!(!all_inline);
    } else if on_disk && opens_without_waiting() {
        assert!(all_inline, "a cached file on a disk");
    }
}

/// Opens, examines and closes a file, one operation at a time. Returns how many completed inside submit.
fn one_by_one(ctx: &Ctx, dir: i32, flags: i32, before_close: impl FnOnce()) -> u64 {
    let before = ctx.stats().done_inline;
    let fd = ctx.one(openat(dir, c"file", flags | libc::O_CLOEXEC, 0));
    assert!(fd >= 0, "{fd}");
    let mut room = sys::statx_room();
    let stat = op(CAIO_OP_STATX, fd as i32).buf(c"".as_ptr()).sys(libc::AT_EMPTY_PATH.into());
    assert_eq!(ctx.one(stat.mode(libc::STATX_SIZE).buf2(&raw mut room)), 0);
    assert_eq!(room.stx_size, 5000);
    before_close();
    assert_eq!(ctx.one(ops::close(fd as i32)), 0);
    ctx.stats().done_inline - before
}

/// Whether the kernel tells of the file system that it is local: with these attributes.
fn is_local(file: &std::fs::File) -> bool {
    let mut room = sys::statx_room();
    // SAFETY: an empty path and a live buffer.
    let answer = unsafe {
        libc::statx(file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_BASIC_STATS, &raw mut room)
    };
    let attribute = if room.stx_dev_major != 0 { libc::STATX_ATTR_IMMUTABLE } else { libc::STATX_ATTR_NODUMP };
    answer == 0 && room.stx_attributes_mask & attribute as u64 != 0
}

fn calls_on_a_descriptor_complete_inside_submit(case: &Case) {
    let file = case.dir.file("file", &pattern(5000));
    let (dir, ctx) = (case.dir.open(), case.ctx());
    let most = (0..100).map(|_| one_by_one(&ctx, dir.as_raw_fd(), libc::O_RDONLY, || ())).max();
    if case.variant == Variant::NoInline {
        assert_eq!(most, Some(0));
    } else if is_local(&file) && opens_without_waiting() {
        assert_eq!(most, Some(3));
    }
}

/// The same memory holds an empty path, a name and an absolute path.
fn the_path_of_a_statx_is_read_each_time(case: &Case) {
    const ENOTDIR: i64 = -(libc::ENOTDIR as i64);
    case.dir.file("file", &pattern(5000));
    case.dir.file("other", b"content");
    let absolute = case.dir.c("other");
    let (dir, ctx) = (case.dir.open(), case.ctx());
    let mut path = vec![0; 1 + absolute.as_bytes().len()];
    let mut look = |text: &[u8]| {
        path.fill(0);
        path[..text.len()].copy_from_slice(text);
        let mut stat = sys::statx_room();
        let steps = chain(&[
            openat(dir.as_raw_fd(), c"file", libc::O_RDONLY | libc::O_CLOEXEC, 0),
            op(CAIO_OP_STATX, CAIO_FD_OPENED)
                .buf(path.as_ptr())
                .sys(libc::AT_EMPTY_PATH.into())
                .mode(libc::STATX_SIZE)
                .buf2(&raw mut stat),
            op(CAIO_OP_CLOSE, CAIO_FD_OPENED),
        ]);
        let results = ctx.run(&steps);
        assert_eq!((results[0], results[2]), (0, 0));
        (results[1], stat.stx_size)
    };
    for _ in 0..3 {
        assert_eq!(look(b""), (0, 5000));
        assert_eq!(look(b"x"), (ENOTDIR, 0));
        assert_eq!(look(b""), (0, 5000));
        assert_eq!(look(absolute.as_bytes()), (0, 7));
    }
}

/// It writes back, or deletes the file.
fn a_close_that_may_wait_is_left_to_a_worker(case: &Case) {
    let (dir, ctx) = (case.dir.open(), case.ctx());
    for (flags, name) in [(libc::O_RDWR, None), (libc::O_RDONLY, Some(case.dir.join("file")))] {
        for _ in 0..20 {
            let file = case.dir.file("file", &pattern(5000));
            drop(file);
            let closed = || {
                name.iter().for_each(|name| std::fs::remove_file(name).expect("unlink"));
            };
            let inline = one_by_one(&ctx, dir.as_raw_fd(), flags, closed);
            // The open of a file for writing is no cached open either.
            assert!(inline <= if flags == libc::O_RDWR { 1 } else { 2 }, "{inline}");
        }
    }
}

/// openat2(2) knows RESOLVE_CACHED (Linux 5.12). POSIX has no such call.
fn opens_without_waiting() -> bool {
    if POSIX {
        return false;
    }
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
    sys::make_fifo(&case.dir.c("fifo"));
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
