//! Promise 6: wait sleeps until `min_events` completions are pending, the timeout expires, a wake, or a signal handler.

use crate::support::case::Case;
use crate::support::stuck::Stuck;
use crate::support::*;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

crate::promises! {
    Plan::EVERY => {
        with_min_0_never_sleeps,
        returns_at_least_min,
        takes_at_most_max,
        returns_pending_events_at_the_timeout,
        sleeps_with_nothing_in_flight,
        refuses_min_above_max,
        returns_early_after_an_earlier_wake,
        several_wakes_count_as_one,
        a_wake_returns_pending_events,
        uses_up_a_wake_without_sleeping,
        is_woken_while_it_sleeps,
        accepts_any_timeout,
        wakes_for_cold_reads,
    }
    Plan::SHARED => { in_many_threads_shares_the_events, is_woken_by_operations_of_other_threads }
    Plan::EVERY.alone() => { is_interrupted_by_a_signal_handler }
}

const MILLISECOND: i64 = 1_000_000;

fn with_min_0_never_sleeps(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    assert_eq!(ctx.wait(0, 4, -1), Ok(vec![]), "even without a time limit");
    ctx.accept(&[stuck.read(), ops::nop().tag(1)]);
    until("the operation has completed", || ctx.stats().completed == 1);
    assert_eq!(ctx.wait(0, 4, -1), Ok(vec![Event { user_data: 1, result: 0 }]));
    assert_eq!(ctx.wait(0, 4, PATIENCE.as_nanos() as i64), Ok(vec![]));
    assert_eq!(ctx.wait(0, 0, -1), Ok(vec![]));
}

fn returns_at_least_min(case: &Case) {
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

fn returns_pending_events_at_the_timeout(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    ctx.accept(&[stuck.read(), ops::nop().tag(1)]);
    until("the operation has completed", || ctx.stats().completed == 1);
    let start = Instant::now();
    assert_eq!(ctx.wait(2, 4, 50 * MILLISECOND), Ok(vec![Event { user_data: 1, result: 0 }]));
    assert_eq!(ctx.wait(1, 4, 50 * MILLISECOND), Ok(vec![]));
    assert!(start.elapsed() >= Duration::from_millis(100), "not before");
    assert_eq!(ctx.wait(1, 4, 0), Ok(vec![]), "a timeout of 0 polls");
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
    assert_eq!(ctx.wait(2, 1, -1), Err(-libc::EINVAL), "even if a completion is pending");
    ctx.collect(1);
}

fn returns_early_after_an_earlier_wake(case: &Case) {
    let ctx = case.ctx();
    for _ in 0..3 {
        assert_eq!(ctx.wake(), 0);
        assert_eq!(ctx.wait(1, 1, -1), Ok(vec![]), "the next one returns early");
    }
}

fn several_wakes_count_as_one(case: &Case) {
    let ctx = case.ctx();
    for _ in 0..5 {
        ctx.wake();
    }
    assert_eq!(ctx.wait(1, 1, -1), Ok(vec![]));
    let start = Instant::now();
    assert_eq!(ctx.wait(1, 1, 50 * MILLISECOND), Ok(vec![]));
    assert!(start.elapsed() >= Duration::from_millis(50), "used up");
}

fn a_wake_returns_pending_events(case: &Case) {
    let ctx = case.ctx();
    ctx.accept(&[ops::nop().tag(1)]);
    until("the operation has completed", || ctx.stats().completed == 1);
    ctx.wake();
    assert_eq!(ctx.wait(2, 4, -1), Ok(vec![Event { user_data: 1, result: 0 }]));
}

fn uses_up_a_wake_without_sleeping(case: &Case) {
    let ctx = case.ctx();
    for min in [1, 0] {
        ctx.accept(&[ops::nop()]);
        until("the operation has completed", || ctx.stats().completed == ctx.stats().submitted);
        ctx.wake();
        assert_eq!(ctx.wait(min, 1, -1).expect("wait").len(), 1);
        let start = Instant::now();
        assert_eq!(ctx.wait(1, 1, 50 * MILLISECOND), Ok(vec![]));
        assert!(start.elapsed() >= Duration::from_millis(50), "the previous wait used it up");
    }
}

/// Another thread wakes a sleeping wait, even on a SINGLE_THREAD context: any thread may call wake.
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
    assert_eq!(ctx.wait(1, 4, 20 * MILLISECOND), Ok(vec![]), "each wake ends one wait");
}

fn accepts_any_timeout(case: &Case) {
    let ctx = case.ctx();
    for timeout in [i64::MAX, i64::MAX - 1, i64::MIN, -1, -2, 1 << 62] {
        ctx.accept(&[ops::nop()]);
        assert_eq!(ctx.wait(1, 1, timeout).expect("wait").len(), 1, "{timeout}");
        ctx.wake();
        assert_eq!(ctx.wait(1, 1, timeout), Ok(vec![]), "{timeout}");
    }
}

/// A sleeping wait awaits each read: no wake-up is lost.
fn wakes_for_cold_reads(case: &Case) {
    let file = case.dir.cold("file", 8 << 20);
    let mut room = [0; 512];
    let ctx = case.ctx();
    for round in 0..128u64 {
        ctx.accept(&[ops::read(std::os::fd::AsRawFd::as_raw_fd(&file), &mut room, round * 65536)]);
        assert_eq!(ctx.wait(1, 1, PATIENCE.as_nanos() as i64).expect("wait").len(), 1, "a lost wake-up");
    }
}

/// Several threads wait at once. Each event goes to one of them, and wakes a thread.
fn in_many_threads_shares_the_events(case: &Case) {
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

/// Threads that sleep with nothing in flight wake for the operations of other threads.
fn is_woken_by_operations_of_other_threads(case: &Case) {
    let ctx = case.ctx();
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| ctx.wait(1, 1, PATIENCE.as_nanos() as i64))).collect();
        ctx.accept(&[ops::nop(); 3]);
        for waiter in waiters {
            assert_eq!(waiter.join().expect("a waiter").expect("wait").len(), 1);
        }
    });
}

/// With SA_RESTART or without: -EINTR if no completion is pending, otherwise the pending events.
fn is_interrupted_by_a_signal_handler(case: &Case) {
    for flags in [0, libc::SA_RESTART] {
        install_handler(flags);
        let ctx = case.ctx();
        assert_eq!(waits_under_signals(&ctx, 1), Err(-libc::EINTR), "flags {flags:#x}");
        ctx.accept(&[ops::nop().tag(1)]);
        until("the operation has completed", || ctx.stats().completed == 1);
        assert_eq!(waits_under_signals(&ctx, 2), Ok(vec![Event { user_data: 1, result: 0 }]), "flags {flags:#x}");
        let stuck = Stuck::pipe();
        ctx.accept(&[stuck.read()]);
        assert_eq!(waits_under_signals(&ctx, 1), Err(-libc::EINTR), "in flight, flags {flags:#x}");
        stuck.feed(3);
        assert_eq!(ctx.collect(1)[0].result, 3, "the signal does not affect the operation");
    }
}

extern "C" fn handler(_: i32) {}

fn install_handler(flags: i32) {
    // SAFETY: the handler does nothing, so it may run at any time.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as extern "C" fn(i32) as usize;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
}

/// Sends signals until wait returns: a signal before wait sleeps proves nothing.
fn waits_under_signals(ctx: &Ctx, min: u32) -> Result<Vec<Event>, i32> {
    let (process, waiter) = (std::process::id(), process::this_thread());
    let back = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !back.load(Ordering::SeqCst) {
                // SAFETY: the thread lives until this one is joined.
                unsafe { libc::syscall(libc::SYS_tgkill, process, waiter, libc::SIGUSR1) };
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let answer = ctx.wait(min, 4, PATIENCE.as_nanos() as i64);
        back.store(true, Ordering::SeqCst);
        answer
    })
}
