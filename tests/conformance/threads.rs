//! Promise 10: any thread may call any function, and a submitting thread may exit at once; SINGLE_THREAD.

use crate::support::case::{Case, Variant};
use crate::support::files::pattern;
use crate::support::stuck::Stuck;
use crate::support::*;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;

crate::promises! {
    Plan::SHARED => {
        any_may_submit_and_any_may_poll,
        a_submitter_may_exit_at_once,
        data_is_visible_to_the_thread_that_takes_the_event,
        submit_never_finds_an_empty_context_full,
    }
    Plan::SHARED.everywhere() => { operations_of_exited_threads_complete }
    Plan::DEFAULT => {
        single_is_picked_by_the_first_call,
        single_gives_other_threads_eperm,
        single_lets_any_thread_call_wake_stats_and_getters,
        single_is_not_picked_by_wake_stats_and_getters,
        single_may_be_created_in_another_thread,
    }
    Plan::ALONE => { single_leaks_if_freed_in_another_thread }
    Plan::EVERY.alone() => { of_the_library_block_all_signals }
}

fn any_may_submit_and_any_may_poll(case: &Case) {
    const SUBMITTERS: u64 = 3;
    const EACH: u64 = 1000;
    let file = case.dir.file("file", &pattern(65536));
    let fd = file.as_raw_fd();
    let ctx = case.ctx_of(64);
    let mut all: Vec<u64> = scope(|scope| {
        for submitter in 0..SUBMITTERS {
            let ctx = &ctx;
            scope.spawn(move || {
                for number in 0..EACH {
                    let op =
                        if number % 2 == 0 { ops::nop() } else { ops::fsync(if number % 50 == 1 { fd } else { -1 }) };
                    until("there is room", || ctx.submit(&[op.tag(submitter * EACH + number)]) == 1);
                }
            });
        }
        let pollers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = Vec::new();
                    while ctx.stats().submitted < SUBMITTERS * EACH || ctx.stats().inflight > 0 {
                        seen.extend(ctx.wait(1, 16, 2_000_000).expect("wait").iter().map(|event| event.user_data));
                    }
                    seen
                })
            })
            .collect();
        pollers.into_iter().flat_map(|poller| poller.join().expect("a poller")).collect()
    });
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..SUBMITTERS * EACH), "each once");
}

/// One operation of each path, submitted by a thread that exits before they complete.
fn a_submitter_may_exit_at_once(case: &Case) {
    let file = case.dir.file("file", &pattern(100_000));
    let fd = file.as_raw_fd();
    let name = case.dir.c("file");
    let stuck = Stuck::pipe();
    for _ in 0..30 {
        let mut room = vec![0; 50_000];
        let mut stat = sys::statx_room();
        let ctx = case.ctx();
        let batch = [
            ops::read(fd, &mut room, 10).tag(0),
            ops::fsync(fd).tag(1),
            ops::write(fd, b"y", 99_999).tag(2),
            ops::statx(libc::AT_FDCWD, &name, &mut stat).tag(3),
            ops::openat(libc::AT_FDCWD, &name, libc::O_RDONLY, 0).tag(4),
            stuck.byte().tag(5),
            stuck.byte().link().tag(6),
            ops::fdsync(fd).link().tag(7),
            ops::nop().tag(8),
        ];
        let batch = Shared(&batch);
        scope(|scope| scope.spawn(|| ctx.accept(batch.get())).join()).expect("a submitter");
        stuck.feed(2);
        let mut events = ctx.collect(9);
        events.sort();
        let opened = events[4].result;
        assert!(opened >= 0, "openat: {opened}");
        assert_eq!(sys::plain(&ops::close(opened as i32)), 0);
        events.remove(4);
        assert_eq!(results(&events), [50_000, 0, 1, 0, 1, 1, 0, 0]);
        assert!(room == pattern(100_000)[10..50_010]);
    }
}

/// Operations whose memory outlives them.
struct Shared<'a>(&'a [caio_op]);

// SAFETY: the test keeps the memory that they point to until their events.
unsafe impl Sync for Shared<'_> {}

impl Shared<'_> {
    fn get(&self) -> &[caio_op] {
        self.0
    }
}

/// No thread cancelled them, so they complete as if the submitting thread still existed.
fn operations_of_exited_threads_complete(case: &Case) {
    const DEPTH: usize = 64;
    for _ in 0..4 {
        let file = case.dir.cold("file", DEPTH * 65536);
        let mut rooms = vec![vec![0; 4096]; DEPTH];
        let reads: Vec<caio_op> = rooms
            .iter_mut()
            .enumerate()
            .map(|(at, room)| ops::read(file.as_raw_fd(), room, (at * 65536) as u64))
            .collect();
        let ctx = case.ctx();
        for part in reads.chunks(8) {
            let part = Shared(part);
            scope(|scope| scope.spawn(|| ctx.accept(part.get())).join()).expect("a submitter");
        }
        assert_eq!(results(&ctx.collect(DEPTH)), [4096; DEPTH]);
        for (at, room) in rooms.iter().enumerate() {
            assert!(room.iter().enumerate().all(|(i, byte)| *byte == files::pattern_at(at * 65536 + i)));
        }
    }
}

fn data_is_visible_to_the_thread_that_takes_the_event(case: &Case) {
    let file = case.dir.file("file", &pattern(4096));
    let ctx = case.ctx();
    for _ in 0..200 {
        let mut room = vec![0u8; 4096];
        let read = ops::read(file.as_raw_fd(), &mut room, 0);
        let room = &room;
        scope(|scope| {
            scope.spawn(|| {
                ctx.collect(1);
                assert!(*room == pattern(4096));
            });
            ctx.accept(&[read]);
        });
    }
}

/// A submission that fails takes no room from another thread.
fn submit_never_finds_an_empty_context_full(case: &Case) {
    const ROUNDS: usize = 3000;
    let ctx = case.ctx_of(4);
    let stop = AtomicBool::new(false);
    scope(|scope| {
        scope.spawn(|| {
            let refused = [ops::nop().len(1), ops::nop(), ops::nop(), ops::nop()];
            while !stop.load(Ordering::SeqCst) {
                assert_eq!(ctx.submit(&refused), -libc::EINVAL);
            }
        });
        let mut full = 0;
        for _ in 0..ROUNDS {
            match ctx.submit(&[ops::nop()]) {
                1 => drop(ctx.collect(1)),
                answer => full += usize::from(answer == -libc::EAGAIN),
            }
        }
        stop.store(true, Ordering::SeqCst);
        assert_eq!(full, 0, "of {ROUNDS} submits found an empty context full");
    });
}

fn single(case: &Case) -> Ctx {
    assert_eq!(case.variant, Variant::Default);
    Ctx::new(&caio_options { flags: CAIO_CTX_SINGLE_THREAD, ..case.options() })
}

/// The result of `call` in another thread.
fn elsewhere<T: Send>(call: impl FnOnce() -> T + Send) -> T {
    scope(|scope| scope.spawn(call).join()).expect("another thread")
}

type Call = (&'static str, fn(&Ctx) -> i32);

/// The functions that only the owning thread may call.
const GUARDED: [Call; 7] = [
    ("submit", |ctx| ctx.submit(&[ops::nop()])),
    ("submit_poll", |ctx| ctx.submit_poll(&[ops::nop()], 4).0),
    ("poll", |ctx| ctx.try_poll(4).map_or_else(|errno| errno, |events| events.len() as i32)),
    ("wait", |ctx| ctx.wait(0, 4, 0).map_or_else(|errno| errno, |events| events.len() as i32)),
    ("cancel", |ctx| ctx.cancel(77)),
    ("cancel_fd", |ctx| ctx.cancel_fd(77)),
    ("cancel_all", |ctx| ctx.cancel_all()),
];

const EPERM: i32 = -libc::EPERM;

fn single_is_picked_by_the_first_call(case: &Case) {
    for (name, first) in GUARDED {
        let ctx = single(case);
        assert_ne!(first(&ctx), EPERM, "{name} picks this thread");
        for (other, call) in GUARDED {
            assert_eq!(elsewhere(|| call(&ctx)), EPERM, "{other} after {name}");
        }
        assert_ne!(first(&ctx), EPERM, "{name}, again");
    }
}

fn single_gives_other_threads_eperm(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = single(case);
    ctx.accept(&[stuck.read().tag(77)]);
    for (name, call) in GUARDED {
        assert_eq!(elsewhere(|| call(&ctx)), EPERM, "{name}");
    }
    assert_eq!(ctx.stats().submitted, 1, "no operation of another thread was accepted");
    stuck.feed(5);
    assert_eq!(ctx.collect(1), [Event { user_data: 77, result: 5 }]);
}

fn single_lets_any_thread_call_wake_stats_and_getters(case: &Case) {
    let (ctx, engine) = (single(case), case.engine() as i32);
    ctx.one(ops::nop());
    elsewhere(|| {
        assert_eq!((ctx.wake(), ctx.backend(), ctx.max_requests()), (0, engine, 512));
        assert!(ctx.eventfd() >= 0);
        assert_eq!(ctx.stats().completed, 1);
    });
    assert_eq!(ctx.wait(1, 1, -1), Ok(vec![]), "woken by another thread");
}

fn single_is_not_picked_by_wake_stats_and_getters(case: &Case) {
    let ctx = single(case);
    ctx.wake();
    ctx.stats();
    assert!(ctx.eventfd() >= 0 && ctx.backend() > 0 && ctx.max_requests() > 0);
    elsewhere(|| assert_eq!(ctx.wait(1, 1, -1), Ok(vec![])));
    assert_eq!(ctx.submit(&[ops::nop()]), EPERM, "another thread owns the context");
    // The owning thread has exited, so the context leaks here.
    std::mem::forget(ctx);
}

/// Created in one thread, used and freed in another.
fn single_may_be_created_in_another_thread(case: &Case) {
    let ctx = single(case);
    elsewhere(|| {
        assert_eq!(ctx.one(ops::nop()), 0);
        drop(ctx);
    });
}

/// Free in another thread leaks the context: even its descriptor stays open.
fn single_leaks_if_freed_in_another_thread(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = single(case);
    ctx.accept(&[stuck.byte()]);
    let before = process::descriptors();
    elsewhere(|| drop(ctx));
    assert_eq!(process::descriptors(), before);
    stuck.feed(1);
    assert_eq!(case.ctx().one(ops::nop()), 0, "other contexts work");
}

/// Signal handlers run only in threads of the application. The library installs none.
fn of_the_library_block_all_signals(case: &Case) {
    let handlers = status("/proc/self/status", "SigCgt:");
    let before = tasks();
    let file = case.dir.cold("file", 1 << 20);
    let name = case.dir.c("file");
    let fd = file.as_raw_fd();
    let stuck = [Stuck::pipe(), Stuck::terminal(), Stuck::socket()];
    let mut rooms = vec![vec![0; 4096]; 16];
    let ctx = case.ctx();
    for (at, room) in rooms.iter_mut().enumerate() {
        ctx.accept(&[ops::read(fd, room, at as u64 * 65536), ops::fsync(fd), ops::write(fd, b"x", at as u64)]);
    }
    for stuck in &stuck {
        ctx.accept(&[stuck.read(), stuck.read().full().timeout(PATIENCE)]);
    }
    let opened = ctx.run_unordered(ops::openat(libc::AT_FDCWD, &name, libc::O_RDONLY, 0), 48);
    let started: Vec<String> = tasks().into_iter().filter(|task| !before.contains(task)).collect();
    for task in &started {
        let blocked = status(&format!("/proc/self/task/{task}/status"), "SigBlk:");
        // No thread can block SIGKILL and SIGSTOP. The C library keeps two signals for itself, musl three.
        let last = if cfg!(target_env = "musl") { 34 } else { 33 };
        let kept =
            [libc::SIGKILL, libc::SIGSTOP, 32, 33, last].iter().fold(0u64, |kept, signal| kept | 1 << (signal - 1));
        assert_eq!(blocked | kept, u64::MAX, "thread {task} has signals unblocked");
    }
    assert_eq!(status("/proc/self/status", "SigCgt:"), handlers);
    assert!(opened >= 0);
    assert_eq!(sys::plain(&ops::close(opened as i32)), 0);
    assert_eq!(ctx.cancel_all(), 6);
    assert_eq!(results(&ctx.collect(6)), [-ECANCELED; 6]);
}

fn tasks() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/task").expect("/proc/self/task");
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// A signal mask of a status file. All signals if the thread has exited.
fn status(path: &str, field: &str) -> u64 {
    let Ok(text) = std::fs::read_to_string(path) else { return u64::MAX };
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    u64::from_str_radix(line.trim(), 16).expect("a mask")
}
