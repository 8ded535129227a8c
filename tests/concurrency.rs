//! Many threads on one context, and many contexts in turn: exactly one event for each operation, and no leaks.

#![cfg(target_os = "linux")]

#[macro_use]
mod support;

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{scope, yield_now};

use support::case::Case;
use support::files::{pattern, pattern_at};
use support::*;

const ECANCELED: i64 = -(libc::ECANCELED as i64);
const WORD: usize = 8;
const FILE: usize = 1 << 16;

/// The operation of a number. Members of a chain have consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nop,
    Read,
    Write,
    Sync,
    Blocked,
}

fn kind(number: usize) -> Kind {
    match number % 16 {
        0 | 5 => Kind::Nop,
        3 | 9 | 12 => Kind::Write,
        14 if number % 1024 == 14 => Kind::Sync,
        15 => Kind::Blocked,
        _ => Kind::Read,
    }
}

/// The operations of one test, their memory, and the numbers whose events are taken.
struct Work {
    file: std::fs::File,
    scratch: std::fs::File,
    pipe: (std::os::fd::OwnedFd, std::os::fd::OwnedFd),
    /// One word for each operation. The library writes it; the thread that takes the event reads it.
    words: sys::Map,
    seen: Vec<AtomicU64>,
    events: AtomicUsize,
    count: usize,
}

impl Work {
    fn new(case: &Case, count: usize) -> Self {
        Self {
            file: case.dir.file("read", &pattern(FILE)),
            scratch: case.dir.file("written", &vec![0; FILE]),
            pipe: sys::pipe(),
            words: sys::Map::new(count * WORD),
            seen: (0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            events: AtomicUsize::new(0),
            count,
        }
    }

    fn op(&self, number: usize) -> caio_op {
        let word = self.words.address(number * WORD);
        let at = (number * WORD % FILE) as u64;
        let moved = |opcode, fd: i32, at| op(opcode, fd).buf(word).len(WORD as u64).at(at);
        let op = match kind(number) {
            Kind::Nop => ops::nop(),
            Kind::Read => moved(CAIO_OP_READ, self.file.as_raw_fd(), at),
            Kind::Write => moved(CAIO_OP_WRITE, self.scratch.as_raw_fd(), at),
            Kind::Sync => ops::fdsync(self.scratch.as_raw_fd()),
            Kind::Blocked => moved(CAIO_OP_READ, self.pipe.0.as_raw_fd(), CAIO_OFFSET_CURRENT),
        };
        op.tag(number as u64)
    }

    /// Records events. Each must be the first for its operation, with a possible result.
    fn note(&self, events: &[Event]) {
        for event in events {
            let number = event.user_data as usize;
            assert!(number < self.count, "{event:?}");
            let bit = 1 << (number % 64);
            // AcqRel: one bitmap for all threads.
            let before = self.seen[number / 64].fetch_or(bit, Ordering::AcqRel);
            assert_eq!(before & bit, 0, "a second event: {event:?}");
            self.check(number, event.result);
        }
        self.events.fetch_add(events.len(), Ordering::AcqRel);
    }

    fn check(&self, number: usize, result: i64) {
        let good = match kind(number) {
            Kind::Nop | Kind::Sync => 0,
            Kind::Read | Kind::Write => WORD as i64,
            Kind::Blocked => ECANCELED,
        };
        assert!(result == good || result == ECANCELED, "{:?} {number}: {result}", kind(number));
        if kind(number) == Kind::Read && result == good {
            let word = &self.words.bytes()[number * WORD..][..WORD];
            let at = number * WORD % FILE;
            assert!((0..WORD).all(|i| word[i] == pattern_at(at + i)), "{number}: what was read is visible");
        }
    }

    fn all_done(&self) -> bool {
        self.events.load(Ordering::Acquire) >= self.count
    }

    /// Submits the operations of `numbers` in batches, some linked. Takes events when the context is full.
    fn submit(&self, ctx: &Ctx, numbers: std::ops::Range<usize>) {
        let mut next = numbers.start;
        while next < numbers.end {
            let end = numbers.end.min(next + 1 + next % 24);
            let mut batch: Vec<caio_op> = (next..end).map(|number| self.op(number)).collect();
            let linked = batch.len().saturating_sub(1).min(next % 3);
            batch[..linked].iter_mut().for_each(|op| op.flags |= CAIO_FLAG_LINK);
            let (accepted, events) = if next.is_multiple_of(2) {
                ctx.submit_poll(&batch, (next % 32) as u32)
            } else {
                (ctx.submit(&batch), Vec::new())
            };
            self.note(&events);
            match accepted {
                1.. => next += accepted as usize,
                _ => {
                    assert_eq!(accepted, -libc::EAGAIN);
                    self.note(&ctx.wait(0, 64, 0).expect("events"));
                    yield_now();
                }
            }
        }
    }

    fn assert_each_once(&self) {
        assert_eq!(self.events.load(Ordering::Acquire), self.count);
        for number in 0..self.count {
            assert_ne!(self.seen[number / 64].load(Ordering::Acquire) & 1 << (number % 64), 0, "no event: {number}");
        }
    }
}

/// Cancels operations that wait for the pipe, and sometimes others, until all have completed.
fn cancel_at_random(ctx: &Ctx, work: &Work) {
    let fine = |found: i32| assert!(found >= 0 || found == -libc::ENOENT, "{found}");
    let mut random = 12345u64;
    while !work.all_done() {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        fine(ctx.cancel_fd(work.pipe.0.as_raw_fd()));
        fine(ctx.cancel((random >> 33) % work.count as u64));
        fine(ctx.cancel(u64::MAX));
        if random >> 60 == 0 {
            fine(ctx.cancel_all());
        }
        fine(ctx.wake());
        yield_now();
    }
}

/// All at once: threads that submit, wait, poll, watch the descriptor, cancel and wake.
fn everything_at_once(case: &Case) {
    const COUNT: usize = 100_000;
    const SUBMITTERS: usize = 4;
    let work = Work::new(case, COUNT);
    let ctx = case.ctx_of(256);
    scope(|scope| {
        for part in 0..SUBMITTERS {
            let (work, ctx) = (&work, &ctx);
            scope.spawn(move || work.submit(ctx, part * COUNT / SUBMITTERS..(part + 1) * COUNT / SUBMITTERS));
        }
        let waiters: Vec<_> = [1u32, 3]
            .map(|min| {
                let (work, ctx) = (&work, &ctx);
                scope.spawn(move || {
                    while !work.all_done() {
                        work.note(&ctx.wait(min, 32, -1).expect("a wait"));
                    }
                })
            })
            .into();
        scope.spawn(|| {
            while !work.all_done() {
                sys::readable(ctx.eventfd(), Some(Duration::from_millis(1)));
                work.note(&ctx.poll(16));
                let stats = ctx.stats();
                assert!(stats.completed <= stats.submitted && stats.inflight <= 256);
            }
        });
        cancel_at_random(&ctx, &work);
        until("the waiters are woken", || {
            ctx.wake();
            waiters.iter().all(|waiter| waiter.is_finished())
        });
    });
    work.assert_each_once();
    assert_eq!(ctx.poll(8), [], "and no more");
    let stats = ctx.stats();
    assert_eq!((stats.submitted, stats.completed, stats.inflight), (COUNT as u64, COUNT as u64, 0));
    let done = stats.done_inline + stats.done_native + stats.done_worker;
    assert!((stats.completed - stats.cancelled..=stats.completed).contains(&done), "{done} of {}", stats.completed);
    assert!(!ctx.readable() || ctx.poll(1).is_empty() && !ctx.readable());
}

/// One edge-triggered loop that takes the events of many submitters: no wake-up is lost.
fn one_loop_many_submitters(case: &Case) {
    const COUNT: usize = 20_000;
    const SUBMITTERS: usize = 3;
    let work = Work::new(case, COUNT);
    let ctx = case.ctx_of(128);
    // SAFETY: no memory involved, then one live struct.
    let epoll = unsafe {
        let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 0 };
        assert_eq!(libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, ctx.eventfd(), &mut event), 0);
        <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(epoll)
    };
    let stop = AtomicBool::new(false);
    scope(|scope| {
        for part in 0..SUBMITTERS {
            let (work, ctx) = (&work, &ctx);
            scope.spawn(move || {
                for number in part * COUNT / SUBMITTERS..(part + 1) * COUNT / SUBMITTERS {
                    while ctx.submit(&[work.op(number)]) == -libc::EAGAIN {
                        yield_now();
                    }
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                ctx.cancel_fd(work.pipe.0.as_raw_fd());
                yield_now();
            }
        });
        while !work.all_done() {
            let mut event = libc::epoll_event { events: 0, u64: 0 };
            // SAFETY: room for one event.
            let ready = unsafe { libc::epoll_wait(epoll.as_raw_fd(), &mut event, 1, PATIENCE.as_millis() as i32) };
            // io_uring interrupts threads that submit: EINTR without a signal.
            let interrupted = ready == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR);
            assert!(
                interrupted || ready == 1,
                "a wake-up was lost: {} of {COUNT}",
                work.events.load(Ordering::Acquire)
            );
            loop {
                let events = ctx.poll(16);
                work.note(&events);
                if events.len() < 16 {
                    break;
                }
            }
        }
        stop.store(true, Ordering::Release);
    });
    work.assert_each_once();
}

/// Threads submit and exit at once: their operations complete.
fn threads_that_exit(case: &Case) {
    const THREADS: usize = 300;
    const PER_THREAD: usize = 5;
    let file = case.dir.cold("cold", THREADS * sys::PAGE);
    let fd = file.as_raw_fd();
    let ctx = case.ctx_of((THREADS * PER_THREAD) as u32);
    let pages = sys::Map::new(2 * THREADS * sys::PAGE);
    for number in 0..THREADS {
        let page = |at: usize| pages.address(at * sys::PAGE);
        let at = (number * sys::PAGE) as u64;
        let read = |to: usize| op(CAIO_OP_READ, fd).buf(page(to)).len(sys::PAGE as u64).at(at);
        let ops = [read(number), ops::fdsync(fd), ops::nop().link(), read(THREADS + number).link(), ops::fsync(fd)];
        let ops: Vec<caio_op> =
            ops.iter().enumerate().map(|(i, op)| op.tag((number * PER_THREAD + i) as u64)).collect();
        let first = Submission(ops);
        let ctx = &ctx;
        scope(|scope| {
            scope.spawn(move || {
                let Submission(ops) = { first };
                ctx.accept(&ops);
            });
        });
    }
    let mut events = ctx.collect(THREADS * PER_THREAD);
    events.sort();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event.user_data, at as u64);
        let reads = [0, 3].contains(&(at % PER_THREAD));
        assert_eq!(event.result, if reads { sys::PAGE as i64 } else { 0 }, "operation {}", at % PER_THREAD);
    }
    let half = THREADS * sys::PAGE;
    assert!(pages.bytes()[..half] == pattern(half) && pages.bytes()[half..] == pattern(half));
}

/// Operations to send to another thread.
struct Submission(Vec<caio_op>);
// SAFETY: the memory that they point to outlives them.
unsafe impl Send for Submission {}

/// Frees a context with operations of every kind in flight.
fn use_and_free(case: &Case, file: &std::fs::File, pipe: i32) {
    let ctx = case.ctx();
    let (mut page, mut byte) = (vec![0; sys::PAGE], [0]);
    let read = ops::read(file.as_raw_fd(), &mut page, 0);
    ctx.accept(&[ops::read(pipe, &mut byte, CAIO_OFFSET_CURRENT), ops::nop(), read, ops::fdsync(file.as_raw_fd())]);
    ctx.accept(&[ops::openat(libc::AT_FDCWD, c"/", libc::O_RDONLY, 0)]);
    assert!(!ctx.poll(2).is_empty() || !ctx.collect(1).is_empty());
    drop(ctx);
}

fn aio_requests() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/fs/aio-nr").unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Thousands of contexts, created and freed, leak no descriptor, thread, memory or kernel AIO request.
fn contexts_by_the_thousand(case: &Case) {
    const THREADS: usize = 2;
    const EACH: usize = 700;
    let file = case.dir.file("file", &pattern(sys::PAGE));
    let (reader, _writer) = sys::pipe();
    let run = |each: usize| {
        scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..each).for_each(|_| use_and_free(case, &file, reader.as_raw_fd())));
            }
        });
    };
    run(100);
    until("the threads of the first end", || process::threads() <= 3);
    let (descriptors, memory, requests) = (process::descriptors(), process::resident(), aio_requests());
    run(EACH);
    assert_eq!(process::descriptors(), descriptors);
    until("the kernel's threads of the contexts end", || process::threads() <= 3);
    let grown = process::resident().saturating_sub(memory);
    assert!(grown < 4 << 20, "{grown} bytes more after {} contexts", THREADS * EACH);
    // Other processes may use some. The library may keep a few contexts for later.
    until("kernel AIO requests are given back", || aio_requests() < requests + 10_000);
}

promises! {
    Plan::PLAIN => { everything_at_once }
    Plan::DEFAULT => { one_loop_many_submitters }
    Plan::PLAIN.everywhere() => { threads_that_exit }
    Plan::ALONE => { contexts_by_the_thousand }
}
