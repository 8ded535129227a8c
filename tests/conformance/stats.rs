//! Promise 15: the counters of caio_ctx_stats.

use crate::support::case::{Case, Variant};
use crate::support::files::pattern;
use crate::support::stuck::Stuck;
use crate::support::*;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY => {
        count_submitted_completed_and_cancelled,
        done_counters_add_up_to_completed,
        count_completions_that_are_pending,
    }
    Plan::FOLDERS => {
        tell_native_operations_from_workers,
        show_that_submit_copies_at_most_1_mib,
        show_that_submit_does_not_wait_for_a_device,
        count_single_reads_once,
        show_that_fastest_path_is_a_choice_beside_the_backend,
    }
    Plan::EVERY => { count_nothing_inline_with_no_inline }
}

/// The sum of the three `done_*` counters is between `completed - cancelled` and `completed`.
fn check(stats: &caio_stats) {
    let done = stats.done_inline + stats.done_native + stats.done_worker;
    assert!(done <= stats.completed, "{done} counted, {} completed", stats.completed);
    assert!(done >= stats.completed - stats.cancelled, "{done} counted, {} cancelled", stats.cancelled);
    assert!(stats.completed <= stats.submitted && stats.cancelled <= stats.completed);
    assert_eq!(stats.reserved, [0; 8]);
}

fn count_submitted_completed_and_cancelled(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    let counts = || {
        let stats = ctx.stats();
        check(&stats);
        (stats.inflight, stats.submitted, stats.completed, stats.cancelled)
    };
    assert_eq!(counts(), (0, 0, 0, 0));
    ctx.accept(&[stuck.read(), stuck.read()]);
    assert_eq!(counts(), (2, 2, 0, 0));
    assert_eq!(ctx.submit(&[ops::nop().len(1)]), -libc::EINVAL);
    assert_eq!(counts(), (2, 2, 0, 0), "a malformed operation is not counted");
    stuck.feed(1);
    ctx.collect(1);
    assert_eq!(counts(), (1, 2, 1, 0));
    ctx.cancel_all();
    ctx.collect(1);
    assert_eq!(counts(), (0, 2, 2, 1));
    assert_eq!(ctx.one(stuck.read().timeout(Duration::from_millis(5))), -ETIMEDOUT);
    assert_eq!(counts(), (0, 3, 3, 1), "a timeout is not -ECANCELED");
    assert_eq!(ctx.run(&ops::chain(&[ops::fsync(-1), ops::nop()])), [-EBADF, -ECANCELED]);
    assert_eq!(counts(), (0, 5, 5, 2));
}

fn done_counters_add_up_to_completed(case: &Case) {
    let file = case.dir.file("file", &files::pattern(1 << 20));
    let (fd, stuck) = (file.as_raw_fd(), Stuck::pipe());
    let name = case.dir.c("file");
    let mut rooms = vec![[0; 256]; 64];
    let ctx = case.ctx();
    for round in 0..10u64 {
        let mut stat = sys::statx_room();
        for (at, room) in rooms.iter_mut().enumerate() {
            ctx.accept(&[ops::read(fd, room, at as u64 * 1000 + round)]);
            check(&ctx.stats());
        }
        ctx.accept(&[ops::fsync(fd), ops::statx(libc::AT_FDCWD, &name, &mut stat), ops::nop(), ops::fsync(-1)]);
        ctx.accept(&ops::chain(&[stuck.read(), ops::nop(), ops::nop()]));
        assert!(ctx.cancel_fd(stuck.fd()) >= 1);
        ctx.collect(71);
        check(&ctx.stats());
    }
    let stats = ctx.stats();
    assert_eq!((stats.submitted, stats.completed, stats.cancelled, stats.inflight), (710, 710, 30, 0));
    let done = stats.done_inline + stats.done_native + stats.done_worker;
    assert!((680..=710).contains(&done), "{done}");
}

fn count_completions_that_are_pending(case: &Case) {
    let ctx = case.ctx();
    ctx.accept(&[ops::nop(); 7]);
    until("all operations have completed", || ctx.stats().completed == 7);
    assert_eq!(ctx.stats().inflight, 7, "accepted, and the event not taken");
    ctx.poll(3);
    assert_eq!((ctx.stats().inflight, ctx.stats().completed), (4, 7));
    ctx.collect(4);
    assert_eq!(ctx.stats().inflight, 0);
}

/// With NO_INLINE, no operation completes inside submit, cached or not.
fn count_nothing_inline_with_no_inline(case: &Case) {
    let file = case.dir.file("file", &files::pattern(65536));
    let (fd, name) = (file.as_raw_fd(), case.dir.c("file"));
    let (mut room, mut stat, stuck) = ([0; 512], sys::statx_room(), Stuck::pipe());
    stuck.feed(64);
    let ops = [
        ops::nop(),
        ops::read(fd, &mut room, 100),
        ops::write(fd, b"x", 100),
        ops::read(fd, &mut room[..1], CAIO_OFFSET_CURRENT),
        stuck.read(),
        ops::statx(libc::AT_FDCWD, &name, &mut stat),
        ops::read(-1, &mut [0], 0),
        op(CAIO_OP_MKDIRAT, -1),
    ];
    let ctx = case.ctx();
    let results = ctx.run(&ops);
    assert_eq!(results, [0, 512, 1, 1, 64, 0, -EBADF, -i64::from(libc::EFAULT)]);
    let inline = ctx.stats().done_inline;
    assert!(inline == 0 || case.variant != Variant::NoInline, "{inline} completed inside submit");
    assert!(inline > 0 || case.variant == Variant::NoInline, "a NOP and a cached read complete inside submit");
}

/// Large copies do not delay the caller inside submit, cached or not.
fn show_that_submit_copies_at_most_1_mib(case: &Case) {
    const SIZE: usize = 64 * 1024;
    let content = pattern(64 * SIZE);
    let file = case.dir.file("file", &content);
    let mut room = vec![0; content.len()];
    let reads: Vec<caio_op> = room
        .chunks_mut(SIZE)
        .enumerate()
        .map(|(index, room)| ops::read(file.as_raw_fd(), room, (index * SIZE) as u64))
        .collect();
    let ctx = case.ctx();
    assert_eq!(ctx.run(&reads), vec![SIZE as i64; 64]);
    assert!(ctx.stats().done_inline <= 16, "submit copies at most 1 MiB: {}", ctx.stats().done_inline);
    assert!(room == content);

    room.fill(0);
    let before = ctx.stats();
    assert_eq!(ctx.one(ops::read(file.as_raw_fd(), &mut room, 0)), content.len() as i64);
    assert_eq!(ctx.stats().done_inline, before.done_inline);
    if case.backend != CAIO_BACKEND_URING && case.variant != Variant::NoInline {
        assert_eq!(ctx.stats().done_native, before.done_native, "the kernel would copy it inside submit");
    }
    assert!(room == content);
}

/// The caller may set O_DIRECT at any time. preadv2 with RWF_NOWAIT then waits for the device.
fn show_that_submit_does_not_wait_for_a_device(case: &Case) {
    const PAGES: usize = 64;
    let content = pattern(PAGES * sys::PAGE);
    let file = case.dir.file("file", &content);
    let fd = file.as_raw_fd();
    let memory = sys::Map::new(sys::PAGE);
    let read =
        |page: usize| op(CAIO_OP_READ, fd).buf(memory.start()).len(sys::PAGE as u64).at((page * sys::PAGE) as u64);
    for one in [Ctx::one, Ctx::one_polled] {
        let ctx = case.ctx();
        for page in 0..8 {
            assert_eq!(one(&ctx, read(page)), sys::PAGE as i64);
        }
        case.dir.cool(&file);
        // SAFETY: no memory involved.
        if unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_DIRECT) } != 0 {
            return case.skipped_without_direct();
        }
        let before = ctx.stats().done_inline;
        for page in 0..PAGES {
            assert_eq!(one(&ctx, read(page)), sys::PAGE as i64);
            assert!(*memory.bytes() == content[page * sys::PAGE..][..sys::PAGE]);
        }
        let inline = ctx.stats().done_inline - before;
        assert!(inline == 0 || !case.dir.on_disk(), "{inline} reads of the device inside submit");
        // SAFETY: no memory involved.
        assert_eq!(unsafe { libc::fcntl(fd, libc::F_SETFL, 0) }, 0);
    }
}

/// Each read counts once, wherever its data is, and if it fails.
fn count_single_reads_once(case: &Case) {
    const SIZE: usize = 5000;
    let file = case.dir.file("file", &pattern(SIZE));
    let (fd, mut room) = (file.as_raw_fd(), [0; sys::PAGE]);
    let ctx = case.ctx();
    for round in 1..=20 {
        assert_eq!(ctx.one_polled(ops::read(fd, &mut room, 0)), sys::PAGE as i64);
        assert_eq!(ctx.one_polled(ops::read(fd, &mut room, sys::PAGE as u64)), (SIZE - sys::PAGE) as i64);
        assert_eq!(ctx.one_polled(ops::read(fd, &mut room, SIZE as u64)), 0);
        let unmapped = op(CAIO_OP_READ, fd).buf(8 as *mut u8).len(sys::PAGE as u64);
        assert_eq!(ctx.one_polled(unmapped), -i64::from(libc::EFAULT));
        case.dir.cool(&file);
        assert_eq!(ctx.one_polled(ops::read(fd, &mut room, 0)), sys::PAGE as i64);
        let stats = ctx.stats();
        check(&stats);
        assert_eq!((stats.inflight, stats.submitted, stats.completed), (0, 5 * round, 5 * round));
    }
}

/// The counters tell the caller which path an operation took.
/// On io_uring, a worker thread makes a buffered write in less time. A program that names io_uring can ask for that.
fn show_that_fastest_path_is_a_choice_beside_the_backend(case: &Case) {
    let file = case.dir.file("file", b"content");
    let made_by = |flags| {
        let options = caio_options { flags: case.options().flags | flags, ..case.options() };
        let ctx = Ctx::new(&options);
        assert_eq!(ctx.one(ops::write(file.as_raw_fd(), b"C", 0)), 1);
        assert_eq!(ctx.backend(), case.engine() as i32);
        (ctx.stats().done_native, ctx.stats().done_worker)
    };
    assert_eq!(made_by(CAIO_CTX_FASTEST_PATH), (0, 1));
    let natively = case.backend == CAIO_BACKEND_URING && case.dir.on_disk();
    assert!(!natively || made_by(0) == (1, 0), "without the flag, the named io_uring makes it");
}

fn tell_native_operations_from_workers(case: &Case) {
    let file = case.dir.cold("file", 64 * 65536);
    let mut room = [0; 512];
    let ctx = case.ctx();
    for at in 0..64 {
        assert_eq!(ctx.one(ops::read(file.as_raw_fd(), &mut room, at * 65536)), 512);
    }
    let stats = ctx.stats();
    check(&stats);
    assert_eq!(stats.done_inline + stats.done_native + stats.done_worker, 64);
    if case.variant == Variant::NoInline {
        assert_eq!(stats.done_inline, 0, "NO_INLINE: no operation completes inside submit");
    }
    if case.engine() == CAIO_BACKEND_THREAD {
        assert_eq!(stats.done_native, 0, "the backend has no kernel queue");
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's version");
    let not_of_files = ["5.9.", "5.10.", "5.11."].iter().any(|version| release.starts_with(version)); // caio-backends(7), KERNEL VERSIONS
    if case.dir.on_disk() && case.engine() == CAIO_BACKEND_URING && !not_of_files {
        // The inline attempt starts a read of the disk, and finds all data if the disk is faster than this CPU.
        let all_found = case.variant != Variant::NoInline && stats.done_inline == 64;
        assert!(stats.done_native > 0 || all_found, "io_uring makes cold reads, not a worker thread");
    }
}
