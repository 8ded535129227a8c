//! A chain that opens its own file: its operations use the descriptor, and a CLOSE of it always runs.

use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::ops::{chain, openat};
use crate::support::stuck::Stuck;
use crate::support::*;
use std::ffi::CStr;
use std::os::fd::AsRawFd;

const EINVAL: i32 = -libc::EINVAL;
const ECANCELED: i64 = -(libc::ECANCELED as i64);
const EBADF: i64 = -(libc::EBADF as i64);
const NEW: i32 = libc::O_CREAT | libc::O_TRUNC | libc::O_RDWR | libc::O_CLOEXEC;

crate::promises! {
    Plan::PLAIN.alone() => {
        a_file_is_read_in_one_call,
        a_file_is_replaced_in_one_call,
        the_close_runs_when_a_step_fails,
        the_close_runs_when_a_step_is_cancelled,
        the_close_runs_when_a_step_times_out,
        the_close_runs_when_a_transfer_is_short,
        a_cancelled_close_runs,
        an_open_that_fails_cancels_its_close,
        free_leaves_no_descriptor_open,
        a_blocked_open_does_not_hold_up_free,
        without_a_close_the_number_is_the_callers,
        the_close_of_an_open_that_never_runs_closes_nothing,
        two_files_in_one_chain,
        a_second_close_closes_nothing,
        the_destination_may_be_the_opened_file,
        a_fifo_is_read_without_a_worker,
        many_chains_leave_no_descriptor_open,
    }
    Plan::DEFAULT => { opened_needs_an_open_before_it }
    Plan::DEFAULT.alone() => { a_child_closes_its_copies }
}

fn opened(opcode: u8) -> caio_op {
    op(opcode, CAIO_FD_OPENED)
}

fn close() -> caio_op {
    opened(CAIO_OP_CLOSE)
}

fn read(room: &mut [u8]) -> caio_op {
    opened(CAIO_OP_READ).buf(room.as_mut_ptr()).len(room.len() as u64)
}

fn write(bytes: &[u8]) -> caio_op {
    opened(CAIO_OP_WRITE).buf(bytes.as_ptr()).len(bytes.len() as u64).full()
}

fn open(case: &Case, path: &'static CStr) -> (caio_op, std::fs::File) {
    let dir = case.dir.open();
    (openat(dir.as_raw_fd(), path, libc::O_RDONLY | libc::O_CLOEXEC, 0), dir)
}

/// Runs `body`, and compares the open descriptors before and after.
fn leaves_none(body: impl FnOnce()) {
    let before = process::descriptors();
    body();
    assert_eq!(process::descriptors(), before, "descriptors");
}

/// The poller's own descriptors come with the first wait.
fn start_poller(ctx: &Ctx, stuck: &Stuck) {
    ctx.accept(&[stuck.byte().tag(50).timeout(PATIENCE)]);
    assert_eq!(ctx.cancel(50), 1);
    ctx.collect(1);
}

fn opened_needs_an_open_before_it(case: &Case) {
    let ctx = case.ctx();
    let (open, _dir) = open(case, c"file");
    let copy = |mode: i32| op(CAIO_OP_COPY_RANGE, -1).mode(mode as u32).len(1);
    let link = |dir: i32| op(CAIO_OP_LINKAT, -1).flag(CAIO_FLAG_DIR2).at(dir as u64);
    for first in [close(), read(&mut [0]), read(&mut [0]).current(), copy(CAIO_FD_OPENED), link(CAIO_FD_OPENED)] {
        assert_eq!(ctx.submit(&[first]), EINVAL, "alone");
        assert_eq!(ctx.submit(&chain(&[ops::nop(), first])), EINVAL, "behind another operation");
        assert_eq!(ctx.submit(&chain(&[first, open, close()])), EINVAL, "before the open");
        let before = [open, first];
        assert_eq!(ctx.submit(&before), 1, "behind an open without a link");
        ctx.collect(1);
    }
    let (open, _dir) = self::open(case, c"file");
    for (ops, wanted) in [
        (vec![close()], "operation 0: fd: OPENED"),
        (chain(&[ops::nop(), copy(CAIO_FD_OPENED)]), "operation 1: mode: OPENED"),
        (vec![open, link(CAIO_FD_OPENED)], "operation 1: offset: OPENED"),
        (chain(&[open, close(), read(&mut [0])]), "every operation is well-formed"),
    ] {
        let mut why = [0u8; 100];
        // SAFETY: an array of operations, and room of that size.
        unsafe { caio::capi::caio_op_check(ops.as_ptr(), ops.len() as u32, why.as_mut_ptr().cast(), 100) };
        let why = CStr::from_bytes_until_nul(&why).expect("it is terminated").to_str().expect("UTF-8");
        assert!(why.starts_with(wanted), "{why}");
    }
    for mine in [copy(-1), link(-1)] {
        assert_eq!(ctx.one(mine), if mine.opcode == CAIO_OP_LINKAT { -i64::from(libc::EFAULT) } else { EBADF });
    }
    assert_eq!(ctx.one(op(CAIO_OP_NOP, CAIO_FD_OPENED)), 0, "NOP ignores fd");
}

fn a_file_is_read_in_one_call(case: &Case) {
    case.dir.file("file", &pattern(5000));
    let ctx = case.ctx();
    let mut stat = sys::statx_room();
    let mut room = vec![0; 5000];
    let (open, _dir) = open(case, c"file");
    let status = opened(CAIO_OP_STATX).buf(c"".as_ptr()).sys(libc::AT_EMPTY_PATH.into()).mode(libc::STATX_SIZE);
    leaves_none(|| {
        let ops = chain(&[open, status.buf2(&raw mut stat), read(&mut room), close()]);
        assert_eq!(ctx.run(&ops), [0, 0, 5000, 0]);
        assert_eq!((stat.stx_size, &room), (5000, &pattern(5000)));
    });
}

fn a_file_is_replaced_in_one_call(case: &Case) {
    case.dir.file("file", b"old");
    let ctx = case.ctx();
    let dir = case.dir.open();
    let fd = dir.as_raw_fd();
    leaves_none(|| {
        let ops = chain(&[
            openat(fd, c"new", NEW, 0o600),
            write(b"content"),
            opened(CAIO_OP_FSYNC),
            close(),
            ops::renameat(fd, c"new", c"file"),
            openat(fd, c".", libc::O_RDONLY | libc::O_DIRECTORY, 0),
            opened(CAIO_OP_FSYNC),
            close(),
        ]);
        assert_eq!(ctx.run(&ops), [0, 7, 0, 0, 0, 0, 0, 0]);
        assert_eq!(case.dir.content("file"), b"content");
    });
}

/// Each operation between fails: the CLOSE runs, and what follows it does not.
fn the_close_runs_when_a_step_fails(case: &Case) {
    let ctx = case.ctx();
    case.dir.file("file", b"content");
    let (open, dir) = open(case, c"file");
    let other = ops::renameat(dir.as_raw_fd(), c"file", c"moved");
    leaves_none(|| {
        let failing = [opened(CAIO_OP_TRUNCATE), write(b"x"), op(CAIO_OP_FSYNC, -1), opened(CAIO_OP_GETDENTS)];
        for step in failing {
            let results = ctx.run(&chain(&[open, step, ops::nop(), close(), other]));
            assert!(results[1] < 0 && results[1] != ECANCELED, "{results:?}");
            assert_eq!([results[0], results[2], results[3], results[4]], [0, ECANCELED, 0, ECANCELED]);
        }
    });
    assert!(case.dir.join("file").exists());
}

/// The step reads from a pipe without a writer's bytes. All descriptors are then compared by number.
fn stopped(case: &Case, errno: i64, timeout: Duration, stop: impl Fn(&Ctx)) {
    let ctx = case.ctx();
    case.dir.file("file", b"content");
    let stuck = Stuck::pipe();
    let (open, _dir) = open(case, c"file");
    let step = stuck.byte().timeout(timeout);
    start_poller(&ctx, &stuck);
    leaves_none(|| {
        let ops = chain(&[open, step, ops::nop(), close(), ops::nop()]);
        ctx.accept(&ops.iter().enumerate().map(|(at, op)| op.tag(at as u64)).collect::<Vec<_>>());
        assert_eq!(ctx.collect(1), [Event { user_data: 0, result: 0 }]);
        stop(&ctx);
        let mut events = ctx.collect(4);
        events.sort();
        assert_eq!(results(&events), [errno, ECANCELED, 0, ECANCELED]);
    });
}

fn the_close_runs_when_a_step_is_cancelled(case: &Case) {
    stopped(case, ECANCELED, Duration::ZERO, |ctx| assert_eq!(ctx.cancel(1), 1));
    stopped(case, ECANCELED, Duration::ZERO, |ctx| assert_eq!(ctx.cancel_all(), 4));
    // The waiting step first: the CLOSE stays behind what runs.
    stopped(case, ECANCELED, Duration::ZERO, |ctx| {
        assert_eq!(ctx.cancel(2), 1);
        assert_eq!(ctx.cancel(1), 1);
    });
}

fn the_close_runs_when_a_step_times_out(case: &Case) {
    stopped(case, -i64::from(libc::ETIMEDOUT), Duration::from_millis(5), |_| {});
}

fn the_close_runs_when_a_transfer_is_short(case: &Case) {
    let ctx = case.ctx();
    case.dir.file("file", b"content");
    let (open, _dir) = open(case, c"file");
    let mut room = [0; 10];
    leaves_none(|| {
        assert_eq!(ctx.run(&chain(&[open, read(&mut room), ops::nop(), close()])), [0, 7, ECANCELED, 0]);
        assert_eq!(ctx.run(&chain(&[open, read(&mut room).full(), ops::nop(), close()])), [0, 7, ECANCELED, 0]);
    });
}

/// A cancel of the CLOSE alone finds it, but does not stop it.
fn a_cancelled_close_runs(case: &Case) {
    let ctx = case.ctx();
    case.dir.file("file", b"content");
    let stuck = Stuck::pipe();
    start_poller(&ctx, &stuck);
    let (open, _dir) = open(case, c"file");
    leaves_none(|| {
        let ops = chain(&[stuck.byte().tag(9), open.tag(1), close().tag(2), ops::nop().tag(3)]);
        ctx.accept(&ops);
        assert_eq!(ctx.cancel(2), 1);
        stuck.feed(1);
        let mut events = ctx.collect(4);
        events.sort();
        assert_eq!(results(&events), [0, 0, 0, 1]);
    });
}

fn an_open_that_fails_cancels_its_close(case: &Case) {
    let ctx = case.ctx();
    case.dir.file("file", b"content");
    let (good, _dir) = open(case, c"file");
    let (missing, _dir) = open(case, c"missing");
    let unreadable = op(CAIO_OP_OPENAT, libc::AT_FDCWD).buf(sys::nowhere());
    leaves_none(|| {
        for (bad, errno) in [(missing, libc::ENOENT), (unreadable, libc::EFAULT)] {
            let ops = chain(&[bad, read(&mut [0]), close(), good, close()]);
            assert_eq!(ctx.run(&ops), [-i64::from(errno), ECANCELED, ECANCELED, ECANCELED, ECANCELED]);
            assert_eq!(ctx.run(&chain(&[good, close(), bad, close()])), [0, 0, -i64::from(errno), ECANCELED]);
        }
    });
}

/// Freed while the chain waits for a pipe, runs, or has run. The numbers are reused at once.
fn free_leaves_no_descriptor_open(case: &Case) {
    case.dir.file("file", b"content");
    let stuck = Stuck::pipe();
    let (open, dir) = open(case, c"file");
    leaves_none(|| {
        for round in 0..60 {
            let ctx = case.ctx();
            let steps = [open, ops::nop(), stuck.byte(), close()];
            let without = [open, read(&mut [0]).at(1 << 40), opened(CAIO_OP_FSYNC)];
            ctx.submit(&chain(&steps));
            ctx.submit(&chain(&without));
            let taken = ctx.wait(round % 3, 8, 1_000_000).expect("events");
            taken.iter().filter(|event| event.result > 2).for_each(|event| drop(sys::owned(event.result)));
            drop(ctx);
        }
    });
    drop(dir);
}

fn a_blocked_open_does_not_hold_up_free(case: &Case) {
    let fifo = case.dir.c("fifo");
    sys::make_fifo(&fifo);
    let ctx = case.ctx();
    ctx.accept(&chain(&[openat(libc::AT_FDCWD, &fifo, libc::O_RDONLY, 0), read(&mut [0]).current(), close()]));
    assert_eq!(ctx.wait(1, 1, 20_000_000), Ok(vec![]), "the open waits for a writer");
    drop(ctx);
    let ctx = case.ctx();
    ctx.accept(&chain(&[openat(libc::AT_FDCWD, &fifo, libc::O_RDONLY, 0).tag(1), close().tag(2)]));
    assert_eq!(ctx.wait(1, 1, 20_000_000), Ok(vec![]), "the open waits for a writer");
    assert_eq!(ctx.cancel(1), 1);
    assert_eq!(results(&ctx.collect(2)), [ECANCELED, ECANCELED]);
    drop(sys::open(&fifo, libc::O_RDWR));
}

fn without_a_close_the_number_is_the_callers(case: &Case) {
    case.dir.file("file", b"content");
    let ctx = case.ctx();
    let (open, _dir) = open(case, c"file");
    let mut room = [0; 7];
    leaves_none(|| {
        let results = ctx.run(&chain(&[open, read(&mut room)]));
        assert_eq!((results[1], &room), (7, b"content"));
        assert!(results[0] > 2, "{results:?}");
        drop(sys::owned(results[0]));
        // The step that fails leaves the number with the caller.
        let results = ctx.run(&chain(&[open, write(b"x"), ops::nop()]));
        assert_eq!(&results[1..], [EBADF, ECANCELED]);
        drop(sys::owned(results[0]));
    });
}

fn the_close_of_an_open_that_never_runs_closes_nothing(case: &Case) {
    case.dir.file("file", b"content");
    let ctx = case.ctx();
    let (open, _dir) = open(case, c"file");
    let mut too_long = [0; 100];
    // The first ones run on a worker thread, the others inside submit.
    for _ in 0..3 {
        let results = ctx.run(&chain(&[open, read(&mut too_long), open, close()]));
        assert_eq!(results[1..], [7, ECANCELED, ECANCELED]);
        assert!(process::is_open(results[0] as i32), "the number is the caller's: {results:?}");
        drop(sys::owned(results[0]));
    }
}

fn two_files_in_one_chain(case: &Case) {
    case.dir.file("one", b"1");
    std::fs::create_dir(case.dir.join("sub")).expect("a folder");
    let ctx = case.ctx();
    let (one, dir) = open(case, c"one");
    let (mut first, mut second) = ([0], [0; 2]);
    leaves_none(|| {
        let two = openat(dir.as_raw_fd(), c"two", NEW, 0o600);
        let ops = [one, read(&mut first), close(), two, write(b"22"), read(&mut second), close(), ops::nop()];
        assert_eq!(ctx.run(&chain(&ops)), [0, 1, 0, 0, 2, 2, 0, 0]);
        assert_eq!((&first, &second), (b"1", b"22"));
        // The second open is relative to what the first one opened.
        let folder = openat(dir.as_raw_fd(), c"sub", libc::O_PATH | libc::O_DIRECTORY, 0);
        let below = openat(CAIO_FD_OPENED, c"below", NEW, 0o600);
        let results = ctx.run(&chain(&[folder, below, write(b"x"), close()]));
        assert_eq!(&results[1..], [0, 1, 0]);
        drop(sys::owned(results[0]));
        assert_eq!(case.dir.content("sub/below"), b"x");
    });
}

fn a_second_close_closes_nothing(case: &Case) {
    case.dir.file("file", b"content");
    let ctx = case.ctx();
    let (open, _dir) = open(case, c"file");
    leaves_none(|| {
        assert_eq!(ctx.run(&chain(&[open, close(), close(), ops::nop()])), [0, 0, EBADF, ECANCELED]);
        assert_eq!(ctx.run(&chain(&[open, close(), read(&mut [0])])), [0, 0, EBADF]);
    });
}

fn the_destination_may_be_the_opened_file(case: &Case) {
    let from = case.dir.file("from", &pattern(1000));
    let ctx = case.ctx();
    let dir = case.dir.open();
    let new = |name: &'static CStr| openat(dir.as_raw_fd(), name, NEW, 0o600);
    leaves_none(|| {
        for (opcode, name, path) in [(CAIO_OP_COPY_RANGE, "a", c"a"), (CAIO_OP_SENDFILE, "b", c"b")] {
            if !ctx.supports(opcode) {
                continue;
            }
            let copy = op(opcode, from.as_raw_fd()).len(1000).mode(CAIO_FD_OPENED as u32).full();
            assert_eq!(ctx.run(&chain(&[new(path), copy, close()])), [0, 1000, 0]);
            assert_eq!(case.dir.content(name), pattern(1000));
        }
        std::fs::create_dir(case.dir.join("sub")).expect("a folder");
        let folder = openat(dir.as_raw_fd(), c"sub", libc::O_PATH, 0);
        let link = op(CAIO_OP_LINKAT, dir.as_raw_fd()).buf(c"from".as_ptr()).buf2(c"linked".as_ptr());
        for opened in [CAIO_FD_OPENED as u64, CAIO_FD_OPENED as u32 as u64] {
            assert_eq!(ctx.run(&chain(&[folder, link.flag(CAIO_FLAG_DIR2).at(opened), close()])), [0, 0, 0]);
            std::fs::remove_file(case.dir.join("sub/linked")).expect("the link");
        }
    });
}

/// A READ of a FIFO that the chain opened waits without a worker thread, and a cancel stops it.
fn a_fifo_is_read_without_a_worker(case: &Case) {
    let fifo = case.dir.c("fifo");
    sys::make_fifo(&fifo);
    let ctx = Ctx::new(&caio_options { threads: 1, ..case.options() });
    let open = openat(libc::AT_FDCWD, &fifo, libc::O_RDWR | libc::O_CLOEXEC, 0);
    ctx.accept(&chain(&[open.tag(1), read(&mut [0]).current().tag(2), close().tag(3)]));
    assert_eq!(ctx.collect(1), [Event { user_data: 1, result: 0 }]);
    assert_eq!(ctx.run_beside(ops::fsync(-1)), EBADF, "the only worker thread is free");
    assert_eq!(ctx.cancel(2), 1);
    let mut events = ctx.collect(2);
    events.sort();
    assert_eq!(results(&events), [ECANCELED, 0]);
}

/// Chains that succeed, fail and are cancelled, on many numbers that other threads reuse at once.
fn many_chains_leave_no_descriptor_open(case: &Case) {
    case.dir.file("file", b"content");
    let ctx = case.ctx();
    let (open, _dir) = open(case, c"file");
    let mut random = Random::new(7);
    let mut room = [0; 7];
    let done = std::sync::atomic::AtomicBool::new(false);
    leaves_none(|| {
        std::thread::scope(|scope| {
            // Takes the numbers as soon as they are closed. Closing one of its own would fail.
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let held: Vec<_> = (0..16).map(|_| sys::open(c"/dev/null", libc::O_RDONLY)).collect();
                    held.into_iter().for_each(|fd| {
                        assert_eq!(sys::plain(&ops::close(std::os::fd::IntoRawFd::into_raw_fd(fd))), 0, "still open");
                    });
                }
            });
            for round in 0..300u64 {
                let mut steps = vec![open];
                (0..random.below(4)).for_each(|_| match random.below(4) {
                    0 => steps.push(write(b"x")),
                    1 => steps.push(read(&mut room)),
                    2 => steps.push(opened(CAIO_OP_FSYNC)),
                    _ => steps.push(ops::nop()),
                });
                steps.push(close());
                let ops: Vec<caio_op> = chain(&steps).into_iter().map(|op| op.tag(round)).collect();
                ctx.accept(&ops);
                if random.below(3) == 0 {
                    ctx.cancel(round);
                }
                let events = ctx.collect(ops.len());
                assert!(events.iter().all(|event| event.result != EBADF || steps.len() > 2), "{events:?}");
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    });
}

fn a_child_closes_its_copies(case: &Case) {
    case.dir.file("file", b"content");
    let ctx = case.ctx();
    let stuck = Stuck::pipe();
    let (open, _dir) = open(case, c"file");
    ctx.accept(&chain(&[open.tag(1), stuck.byte().tag(2), close().tag(3)]));
    assert_eq!(ctx.collect(1), [Event { user_data: 1, result: 0 }]);
    let file = std::fs::canonicalize(case.dir.join("file")).expect("the file");
    let copies = move || {
        let all = std::fs::read_dir("/proc/self/fd").expect("/proc").filter_map(|entry| entry.ok());
        all.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|name| name == file)).count()
    };
    assert_eq!(copies(), 1);
    let raw = ctx.raw();
    let child = process::fork(|| {
        drop(Ctx::from_raw(raw));
        i32::from(copies() != 0)
    });
    assert_eq!(child.code(), 0, "the child has closed its copy");
    stuck.feed(1);
    let mut events = ctx.collect(2);
    events.sort();
    assert_eq!(results(&events), [1, 0]);
}
