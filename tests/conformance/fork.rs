//! Promise 11: in a child, every function but free fails with -EOWNERDEAD on a context of the parent.
//! The parent is not affected.

use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::stuck::Stuck;
use crate::support::*;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY.alone() => {
        a_child_gets_eownerdead,
        a_child_may_free_or_not,
        the_parent_is_not_affected,
        a_child_can_create_its_own_context,
        a_child_frees_while_the_parent_waits,
        a_grandchild_gets_eownerdead,
    }
    Plan::SHARED.alone() => {
        a_child_of_a_busy_process_gets_eownerdead,
        a_child_closes_every_descriptor_of_the_context,
    }
}

const DEAD: i32 = -libc::EOWNERDEAD;

/// Makes every call. Returns 0 if each fails with -EOWNERDEAD, otherwise the number of the first that does not.
fn refused(raw: *mut caio_ctx) -> i32 {
    use caio::capi::*;
    let (op, mut event, mut polled) = (ops::nop(), caio_event { user_data: 0, result: 0 }, 7);
    // SAFETY: a struct of integers.
    let mut stats: caio_stats = unsafe { std::mem::zeroed() };
    stats.size = size_of::<caio_stats>() as u32;
    // SAFETY: a context of the parent, and live memory.
    let answers = unsafe {
        [
            caio_ctx_submit(raw, &op, 1),
            caio_ctx_submit(raw, std::ptr::null(), 0),
            caio_ctx_submit_poll(raw, &op, 1, &mut event, 1, &mut polled),
            caio_ctx_poll(raw, &mut event, 1),
            caio_ctx_wait(raw, &mut event, 1, 1, -1),
            caio_ctx_wait(raw, &mut event, 0, 1, 0),
            caio_ctx_wake(raw),
            caio_ctx_eventfd(raw),
            caio_ctx_cancel(raw, 0),
            caio_ctx_cancel_fd(raw, 0),
            caio_ctx_cancel_all(raw),
            caio_ctx_backend(raw),
            caio_ctx_max_requests(raw),
            caio_ctx_stats(raw, &mut stats),
        ]
    };
    if polled != 0 {
        return 100;
    }
    answers.iter().position(|answer| *answer != DEAD).map_or(0, |at| at as i32 + 1)
}

fn free(raw: *mut caio_ctx) {
    // SAFETY: a context of the parent. In a child, free does not affect the parent.
    unsafe { caio::capi::caio_ctx_free(raw) };
}

/// A context with work of every kind in flight.
struct Busy {
    stuck: Stuck,
    _file: std::fs::File,
    rooms: Vec<Vec<u8>>,
    ctx: Ctx,
}

impl Busy {
    const READS: usize = 16;

    fn new(case: &Case) -> Self {
        let file = case.dir.cold("file", Self::READS * 65536);
        let mut rooms = vec![vec![0; 4096]; Self::READS];
        let stuck = Stuck::pipe();
        let ctx = case.ctx();
        ctx.accept(&[ops::nop().tag(100)]);
        for (at, room) in rooms.iter_mut().enumerate() {
            ctx.accept(&[ops::read(file.as_raw_fd(), room, at as u64 * 65536).tag(at as u64)]);
        }
        ctx.accept(&[stuck.read().tag(101), stuck.read().full().timeout(PATIENCE).tag(102)]);
        Self { stuck, _file: file, rooms, ctx }
    }

    /// Checks that every operation succeeds.
    fn finish(self) {
        let mut events = self.ctx.collect(Self::READS + 1);
        events.sort();
        for (at, event) in events[..Self::READS].iter().enumerate() {
            assert_eq!(*event, Event { user_data: at as u64, result: 4096 });
            assert!(self.rooms[at].iter().enumerate().all(|(i, byte)| *byte == files::pattern_at(at * 65536 + i)));
        }
        assert_eq!(events[Self::READS], Event { user_data: 100, result: 0 });
        // Enough for one of the two blocked reads. The other is freed with the context.
        self.stuck.feed(64);
        assert!(self.ctx.collect(1)[0].result > 0);
    }
}

fn a_child_gets_eownerdead(case: &Case) {
    let idle = case.ctx();
    let busy = Busy::new(case);
    for raw in [idle.raw(), busy.ctx.raw()] {
        assert_eq!(process::fork(|| refused(raw)).code(), 0, "the number of the first call without -EOWNERDEAD");
    }
    assert_eq!(idle.one(ops::nop()), 0);
    busy.finish();
}

fn a_child_may_free_or_not(case: &Case) {
    let busy = Busy::new(case);
    let (raw, notified) = (busy.ctx.raw(), busy.ctx.eventfd());
    assert_eq!(process::fork(|| 0).code(), 0);
    let code = process::fork(|| {
        let refused_before = refused(raw);
        free(raw);
        if process::is_open(notified) { 200 } else { refused_before }
    });
    assert_eq!(code.code(), 0);
    // exit(3) rather than _exit(2), with and without free.
    for frees in [false, true] {
        let code = process::fork(|| {
            if frees {
                free(raw);
            }
            // SAFETY: exit handlers of this process are safe to run.
            unsafe { libc::exit(0) }
        });
        assert_eq!(code.code(), 0);
    }
    busy.finish();
}

fn the_parent_is_not_affected(case: &Case) {
    let stuck = Stuck::pipe();
    let file = case.dir.file("file", &pattern(65536));
    let ctx = case.ctx();
    let raw = ctx.raw();
    for round in 0..10u64 {
        let mut room = [0; 100];
        ctx.accept(&[stuck.byte().tag(round)]);
        let code = process::fork(|| {
            let bad = refused(raw);
            free(raw);
            bad
        });
        assert_eq!(ctx.run_beside(ops::read(file.as_raw_fd(), &mut room, round)), 100);
        assert_eq!(code.code(), 0);
        assert!(!ctx.readable());
        stuck.feed(1);
        assert!(sys::readable(ctx.eventfd(), None), "the descriptor is readable");
        assert_eq!(ctx.collect(1), [Event { user_data: round, result: 1 }]);
        assert!(!ctx.readable());
    }
    let stats = ctx.stats();
    assert_eq!((stats.submitted, stats.completed, stats.inflight), (20, 20, 0));
}

fn a_child_can_create_its_own_context(case: &Case) {
    let busy = Busy::new(case);
    let raw = busy.ctx.raw();
    for frees_first in [true, false] {
        let code = process::fork(|| {
            if frees_first {
                free(raw);
            }
            let ok = works(case);
            if !frees_first {
                free(raw);
            }
            if ok { 0 } else { 1 }
        });
        assert_eq!(code.code(), 0, "the child's own context works; freeing first: {frees_first}");
    }
    busy.finish();
}

/// A new context reads, syncs, waits for a stream, and cancels.
fn works(case: &Case) -> bool {
    let file = case.dir.file("own", &pattern(5000));
    let stuck = Stuck::pipe();
    let mut room = vec![0; 5000];
    let ctx = case.ctx();
    let read = ctx.one(ops::read(file.as_raw_fd(), &mut room, 0)) == 5000 && room == pattern(5000);
    let synced = ctx.run(&ops::chain(&[ops::write(file.as_raw_fd(), b"x", 0), ops::fsync(file.as_raw_fd())])) == [1, 0];
    ctx.accept(&[stuck.read()]);
    stuck.feed(3);
    let streamed = ctx.collect(1)[0].result == 3;
    ctx.accept(&[stuck.read()]);
    read && synced && streamed && ctx.cancel_all() == 1 && ctx.collect(1)[0].result == -ECANCELED
}

/// The child frees the context while the parent sleeps in wait.
fn a_child_frees_while_the_parent_waits(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    let raw = ctx.raw();
    ctx.accept(&[stuck.read()]);
    let (parent, waiter) = (std::process::id(), process::this_thread());
    let child = process::fork(|| {
        process::await_asleep(parent, waiter);
        free(raw);
        stuck.feed(5);
        0
    });
    assert_eq!(ctx.wait(1, 1, PATIENCE.as_nanos() as i64).expect("wait")[0].result, 5);
    assert_eq!(child.code(), 0);
}

fn a_grandchild_gets_eownerdead(case: &Case) {
    let ctx = case.ctx();
    let raw = ctx.raw();
    let code = process::fork(|| {
        let code = process::fork(|| refused(raw)).code();
        free(raw);
        code
    });
    assert_eq!(code.code(), 0);
    assert_eq!(ctx.one(ops::nop()), 0);
}

/// Forks at any time during the calls of another thread. The child has no owner for the locks that this thread holds.
fn a_child_of_a_busy_process_gets_eownerdead(case: &Case) {
    let file = case.dir.file("file", &pattern(65536));
    let ctx = case.ctx();
    let raw = Raw(ctx.raw());
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut room = [0; 512];
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let results = ctx.run(&[ops::read(file.as_raw_fd(), &mut room, 0), ops::nop(), ops::fsync(-1)]);
                assert_eq!(results, [512, 0, -EBADF]);
            }
        });
        for _ in 0..30 {
            let code = process::fork(|| {
                let bad = refused(raw.get());
                free(raw.get());
                bad
            });
            assert_eq!(code.code(), 0);
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

/// The descriptors of the poller thread, of many sleeping waiters, and of opens whose completions are pending.
fn a_child_closes_every_descriptor_of_the_context(case: &Case) {
    const WAITERS: usize = 20;
    const OPENS: usize = 40;
    // A pipe has two descriptors. Without one for the readiness of others, the poller has two pipes.
    const POLLER: usize = if POSIX { 4 } else { 3 };
    const WAITER: usize = if POSIX { 2 } else { 1 };
    let stuck = Stuck::pipe();
    let before = process::descriptors();
    let ctx = case.ctx();
    let idle = process::descriptors().len();
    ctx.accept(&[stuck.read()]);
    ctx.accept(&[ops::openat(libc::AT_FDCWD, c"/dev/null", libc::O_RDONLY, 0); OPENS]);
    until("all files are open", || ctx.stats().completed == OPENS as u64);
    std::thread::scope(|scope| {
        let waiters = [(); WAITERS].map(|()| scope.spawn(|| ctx.wait(100, 100, PATIENCE.as_nanos() as i64)));
        let open = idle + POLLER + OPENS + WAITERS * WAITER;
        until("each waiter has a descriptor of its own", || process::descriptors().len() == open);
        let code = process::fork(|| {
            free(ctx.raw());
            i32::from(process::descriptors() != before)
        });
        let code = code.code();
        for waiter in waiters {
            while !waiter.is_finished() {
                ctx.wake();
            }
            for event in waiter.join().expect("no panic").expect("woken") {
                drop(sys::owned(event.result));
            }
        }
        assert_eq!(code, 0, "the child keeps a descriptor of the context, or closed another");
    });
    assert_eq!(ctx.cancel_all(), 1);
}

/// A context that another thread uses.
struct Raw(*mut caio_ctx);

impl Raw {
    fn get(&self) -> *mut caio_ctx {
        self.0
    }
}
