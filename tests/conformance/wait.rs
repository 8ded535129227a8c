//! Promise 6: wait sleeps until there is enough, the time is over, a wake came, or a signal handler ran.

use crate::support::case::Case;
use crate::support::stuck::Stuck;
use crate::support::*;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

crate::promises! {
    Plan::EVERY => {
        for_none_never_sleeps,
        for_some_returns_enough,
        takes_at_most_max,
        returns_what_there_is_in_time,
        sleeps_with_nothing_in_flight,
        refuses_min_above_max,
        is_woken_before,
        is_woken_once_by_many_wakes,
        is_woken_with_what_there_is,
        uses_a_wake_up_even_if_it_need_not_sleep,
        is_woken_while_it_sleeps,
        takes_any_timeout,
        comes_back_for_cold_reads,
    }
    Plan::SHARED => { of_many_threads_share_the_events, is_woken_by_events_of_other_threads }
    Plan::EVERY.alone() => { is_interrupted_by_a_handler }
}

const MILLISECOND: i64 = 1_000_000;

fn for_none_never_sleeps(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    assert_eq!(ctx.wait(0, 4, -1), Ok(vec![]), "even if told to wait forever");
    ctx.accept(&[stuck.read(), ops::nop().tag(1)]);
    until("the event is there", || ctx.stats().completed == 1);
    assert_eq!(ctx.wait(0, 4, -1), Ok(vec![Event { user_data: 1, result: 0 }]));
    assert_eq!(ctx.wait(0, 4, PATIENCE.as_nanos() as i64), Ok(vec![]));
    assert_eq!(ctx.wait(0, 0, -1), Ok(vec![]));
}

fn for_some_returns_enough(case: &Case) {
    let file = case.dir.cold("file", 1 << 20);
    let mut rooms = vec![vec![0; 4096]; 20];
    let ctx = case.ctx();
    for (number, room) in rooms.iter_mut().enumerate() {
        ctx.accept(&[ops::read(std::os::fd::AsRawFd::as_raw_fd(&file), room, number as u64 * 50_000)]);
    }
    let first = ctx.wait(7, 20, -1).expect("wait");
    assert!(first.len() >= 7, "no signal, no wake, no timeout: {}", first.len());
    let rest = 20 - first.len();
    assert_eq!(ctx.wait(rest as u32, 20, -1).expect("wait").len(), rest);
}

fn takes_at_most_max(case: &Case) {
    let ctx = case.ctx();
    ctx.accept(&[ops::nop(); 10]);
    let mut left = 10;
    while left > 0 {
        let got = ctx.wait(1, 3, -1).expect("wait").len();
        assert!((1..=3).contains(&got), "{got}");
        left -= got;
    }
}

fn returns_what_there_is_in_time(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    ctx.accept(&[stuck.read(), ops::nop().tag(1)]);
    let start = Instant::now();
    assert_eq!(ctx.wait(2, 4, 50 * MILLISECOND), Ok(vec![Event { user_data: 1, result: 0 }]));
    assert_eq!(ctx.wait(1, 4, 50 * MILLISECOND), Ok(vec![]));
    assert!(start.elapsed() >= Duration::from_millis(100), "not before");
    assert_eq!(ctx.wait(1, 4, 0), Ok(vec![]), "no time at all is poll");
    assert_eq!(ctx.wait(1, 4, 1), Ok(vec![]));
}

fn sleeps_with_nothing_in_flight(case: &Case) {
    let ctx = case.ctx();
    let start = Instant::now();
    assert_eq!(ctx.wait(1, 1, 50 * MILLISECOND), Ok(vec![]));
    assert!(start.elapsed() >= Duration::from_millis(50));
}

fn refuses_min_above_max(case: &Case) {
    let ctx = case.ctx();
    for (min, max) in [(1, 0), (2, 1), (u32::MAX, 5)] {
        assert_eq!(ctx.wait(min, max, 0), Err(-libc::EINVAL));
    }
    ctx.accept(&[ops::nop()]);
    assert_eq!(ctx.wait(2, 1, -1), Err(-libc::EINVAL), "also when there is something");
    ctx.collect(1);
}

fn is_woken_before(case: &Case) {
    let ctx = case.ctx();
    for _ in 0..3 {
        assert_eq!(ctx.wake(), 0);
        assert_eq!(ctx.wait(1, 1, -1), Ok(vec![]), "the next one returns early");
    }
}

fn is_woken_once_by_many_wakes(case: &Case) {
    let ctx = case.ctx();
    for _ in 0..5 {
        ctx.wake();
    }
    assert_eq!(ctx.wait(1, 1, -1), Ok(vec![]));
    let start = Instant::now();
    assert_eq!(ctx.wait(1, 1, 50 * MILLISECOND), Ok(vec![]));
    assert!(start.elapsed() >= Duration::from_millis(50), "used up");
}

fn is_woken_with_what_there_is(case: &Case) {
    let ctx = case.ctx();
    ctx.accept(&[ops::nop().tag(1)]);
    until("the event is there", || ctx.stats().completed == 1);
    ctx.wake();
    assert_eq!(ctx.wait(2, 4, -1), Ok(vec![Event { user_data: 1, result: 0 }]));
}

fn uses_a_wake_up_even_if_it_need_not_sleep(case: &Case) {
    let ctx = case.ctx();
    for min in [1, 0] {
        ctx.accept(&[ops::nop()]);
        until("the event is there", || ctx.stats().completed == ctx.stats().submitted);
        ctx.wake();
        assert_eq!(ctx.wait(min, 1, -1).expect("wait").len(), 1);
        let start = Instant::now();
        assert_eq!(ctx.wait(1, 1, 50 * MILLISECOND), Ok(vec![]));
        assert!(start.elapsed() >= Duration::from_millis(50), "used up by the wait before");
    }
}

/// Woken from another thread (also with SINGLE_THREAD: wake stays open to all), once asleep.
fn is_woken_while_it_sleeps(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    ctx.accept(&[stuck.read()]);
    for _ in 0..20 {
        let waiter = process::this_thread();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                process::await_asleep(std::process::id(), waiter);
                assert_eq!(ctx.wake(), 0);
            });
            assert_eq!(ctx.wait(1, 4, -1), Ok(vec![]));
        });
    }
    assert_eq!(ctx.wait(1, 4, 20 * MILLISECOND), Ok(vec![]), "each wake is one");
}

fn takes_any_timeout(case: &Case) {
    let ctx = case.ctx();
    for timeout in [i64::MAX, i64::MAX - 1, i64::MIN, -1, -2, 1 << 62] {
        ctx.accept(&[ops::nop()]);
        assert_eq!(ctx.wait(1, 1, timeout).expect("wait").len(), 1, "{timeout}");
        ctx.wake();
        assert_eq!(ctx.wait(1, 1, timeout), Ok(vec![]), "{timeout}");
    }
}

/// Each read awaited by a sleeping wait: no wake-up is lost here either.
fn comes_back_for_cold_reads(case: &Case) {
    let file = case.dir.cold("file", 8 << 20);
    let mut room = [0; 512];
    let ctx = case.ctx();
    for round in 0..128u64 {
        ctx.accept(&[ops::read(std::os::fd::AsRawFd::as_raw_fd(&file), &mut room, round * 65536)]);
        assert_eq!(ctx.wait(1, 1, PATIENCE.as_nanos() as i64).expect("wait").len(), 1, "a lost wake-up");
    }
}

/// Several wait at once: every event goes to one of them, and each wakes somebody.
fn of_many_threads_share_the_events(case: &Case) {
    const COUNT: u32 = 500;
    let ctx = case.ctx();
    let taken = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while taken.load(Ordering::SeqCst) < COUNT {
                    let got = ctx.wait(1, 3, 5 * MILLISECOND).expect("wait");
                    taken.fetch_add(got.len() as u32, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..COUNT {
            until("there is room", || ctx.submit(&[ops::nop()]) == 1);
        }
    });
    assert_eq!(taken.into_inner(), COUNT);
    assert_eq!(ctx.stats().inflight, 0);
}

/// Threads that sleep before anything is in flight wake for what others submit.
fn is_woken_by_events_of_other_threads(case: &Case) {
    let ctx = case.ctx();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| ctx.wait(1, 1, PATIENCE.as_nanos() as i64))).collect();
        ctx.accept(&[ops::nop(); 3]);
        for waiter in waiters {
            assert_eq!(waiter.join().expect("a waiter").expect("wait").len(), 1);
        }
    });
}

/// SA_RESTART or not: -EINTR if there is nothing, else what there is.
fn is_interrupted_by_a_handler(case: &Case) {
    for flags in [0, libc::SA_RESTART] {
        install_handler(flags);
        let ctx = case.ctx();
        assert_eq!(waits_under_signals(&ctx, 1), Err(-libc::EINTR), "flags {flags:#x}");
        ctx.accept(&[ops::nop().tag(1)]);
        until("the event is there", || ctx.stats().completed == 1);
        assert_eq!(waits_under_signals(&ctx, 2), Ok(vec![Event { user_data: 1, result: 0 }]), "flags {flags:#x}");
        let stuck = Stuck::pipe();
        ctx.accept(&[stuck.read()]);
        assert_eq!(waits_under_signals(&ctx, 1), Err(-libc::EINTR), "in flight, flags {flags:#x}");
        stuck.feed(3);
        assert_eq!(ctx.collect(1)[0].result, 3, "the operation never noticed");
    }
}

extern "C" fn handler(_: i32) {}

fn install_handler(flags: i32) {
    // SAFETY: the handler does nothing, so it is safe at any moment.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as extern "C" fn(i32) as usize;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
}

/// Signals go on until wait is back: one that comes before it sleeps is no proof.
fn waits_under_signals(ctx: &Ctx, min: u32) -> Result<Vec<Event>, i32> {
    // SAFETY: no memory involved.
    let waiter = unsafe { libc::pthread_self() };
    let back = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !back.load(Ordering::SeqCst) {
                // SAFETY: the thread lives until this one is joined.
                unsafe { libc::pthread_kill(waiter, libc::SIGUSR1) };
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let answer = ctx.wait(min, 4, PATIENCE.as_nanos() as i64);
        back.store(true, Ordering::SeqCst);
        answer
    })
}
