//! Promises 5 and 6: poll never blocks. submit_poll submits, then polls, in one call.

use crate::support::case::Case;
use crate::support::stuck::Stuck;
use crate::support::*;
use std::os::fd::AsRawFd;
use std::ptr::{null, null_mut};

const EINVAL: i32 = -libc::EINVAL;
const EAGAIN: i32 = -libc::EAGAIN;

crate::promises! {
    Plan::EVERY => {
        poll_takes_at_most_max,
        poll_never_blocks,
        submit_poll_returns_pending_events,
        submit_poll_polls_when_full,
        submit_poll_reads_nothing_when_full,
        submit_poll_polls_when_malformed,
        submit_poll_polls_when_the_operations_are_null,
        submit_poll_of_no_operation_polls,
        submit_poll_takes_at_most_max,
        submit_poll_returns_every_event_eventually,
    }
    Plan::DEFAULT => { null_arguments_are_einval, null_arguments_set_polled }
}

fn poll_takes_at_most_max(case: &Case) {
    let ctx = case.ctx();
    ctx.accept(&[ops::nop(); 10]);
    until("all operations have completed", || ctx.stats().completed == 10);
    assert_eq!(ctx.stats().inflight, 10);
    for (max, got) in [(0, 0), (1, 1), (4, 4), (100, 5), (100, 0)] {
        assert_eq!(ctx.poll(max).len(), got, "poll of {max}");
    }
    assert_eq!(ctx.stats().inflight, 0);
}

fn poll_never_blocks(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    assert_eq!(ctx.poll(4), []);
    ctx.accept(&[stuck.read()]);
    assert_eq!(ctx.poll(4), []);
    stuck.feed(1);
    ctx.collect(1);
}

fn submit_poll_returns_pending_events(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    ctx.accept(&[ops::nop().tag(1), ops::nop().tag(2)]);
    until("both operations have completed", || ctx.stats().completed == 2);
    let (accepted, mut events) = ctx.submit_poll(&[stuck.read().tag(3)], 8);
    events.sort();
    assert_eq!(accepted, 1);
    assert_eq!(events, [1, 2].map(|user_data| Event { user_data, result: 0 }));
    stuck.feed(2);
    assert_eq!(ctx.collect(1), [Event { user_data: 3, result: 2 }]);
}

fn submit_poll_polls_when_full(case: &Case) {
    let ctx = case.ctx_of(4);
    ctx.accept(&[ops::nop().tag(1); 4]);
    until("all operations have completed", || ctx.stats().completed == 4);
    let (accepted, events) = ctx.submit_poll(&[ops::nop().tag(2)], 8);
    assert_eq!((accepted, events.len()), (EAGAIN, 4), "handle the events, then submit again");
    let (accepted, events) = ctx.submit_poll(&[ops::nop().tag(2)], 8);
    assert_eq!(accepted, 1);
    assert_eq!(events.len() + ctx.collect(1 - events.len()).len(), 1);
}

fn submit_poll_reads_nothing_when_full(case: &Case) {
    let file = case.dir.file("file", &[1; sys::PAGE]);
    let (stuck, mut room) = (Stuck::pipe(), [0; sys::PAGE]);
    let ctx = case.ctx_of(1);
    for _ in 0..2 {
        assert_eq!(ctx.one_polled(ops::read(file.as_raw_fd(), &mut room, 0)), sys::PAGE as i64);
    }
    ctx.accept(&[stuck.read()]);
    room.fill(0);
    assert_eq!(ctx.submit_poll(&[ops::read(file.as_raw_fd(), &mut room, 0)], 1), (EAGAIN, vec![]));
    assert!(room == [0; sys::PAGE], "the context is full");
}

fn submit_poll_polls_when_malformed(case: &Case) {
    let ctx = case.ctx();
    let malformed = ops::nop().len(1);
    ctx.accept(&[ops::nop().tag(1)]);
    until("the operation has completed", || ctx.stats().completed == 1);
    assert_eq!(ctx.submit_poll(&[malformed], 8), (EINVAL, vec![Event { user_data: 1, result: 0 }]));
    let (accepted, events) = ctx.submit_poll(&[ops::nop().tag(2), malformed], 8);
    assert_eq!(accepted, 1, "a prefix");
    assert_eq!(events.len() + ctx.collect(1 - events.len()).len(), 1);
    let longest = ops::chain(&vec![ops::nop(); ctx.max_requests() as usize + 1]);
    assert_eq!(ctx.submit_poll(&longest, 8), (-libc::E2BIG, vec![]));
}

fn submit_poll_polls_when_the_operations_are_null(case: &Case) {
    let ctx = case.ctx();
    ctx.accept(&[ops::nop().tag(1)]);
    until("the operation has completed", || ctx.stats().completed == 1);
    let (mut event, mut polled) = (caio_event { user_data: 0, result: 9 }, 9);
    // SAFETY: NULL is what is tested; all else is live.
    let answer = unsafe { caio::capi::caio_ctx_submit_poll(ctx.raw(), null(), 1, &mut event, 1, &mut polled) };
    assert_eq!((answer, polled, event.user_data, event.result), (EINVAL, 1, 1, 0));
}

fn submit_poll_of_no_operation_polls(case: &Case) {
    let ctx = case.ctx();
    assert_eq!(ctx.submit_poll(&[], 8), (0, vec![]));
    ctx.accept(&[ops::nop().tag(1)]);
    until("the operation has completed", || ctx.stats().completed == 1);
    assert_eq!(ctx.submit_poll(&[], 0), (0, vec![]));
    assert_eq!(ctx.submit_poll(&[], 8), (0, vec![Event { user_data: 1, result: 0 }]));
}

fn submit_poll_takes_at_most_max(case: &Case) {
    let ctx = case.ctx();
    ctx.accept(&[ops::nop(); 10]);
    until("all operations have completed", || ctx.stats().completed == 10);
    let (accepted, events) = ctx.submit_poll(&[ops::nop()], 3);
    assert_eq!((accepted, events.len()), (1, 3));
    assert!(ctx.readable(), "more wait");
    assert_eq!(ctx.collect(8).len(), 8);
}

/// A loop that calls only submit_poll and poll(2).
fn submit_poll_returns_every_event_eventually(case: &Case) {
    const COUNT: u64 = 2000;
    let file = case.dir.file("file", &files::pattern(65536));
    let mut rooms = vec![[0; 64]; COUNT as usize];
    let ops: Vec<caio_op> = rooms
        .iter_mut()
        .zip(0u64..)
        .map(|(room, tag)| ops::read(std::os::fd::AsRawFd::as_raw_fd(&file), room, tag * 16 % 60000).tag(tag))
        .collect();
    let ctx = case.ctx_of(32);
    let mut seen = vec![false; COUNT as usize];
    let mut next = 0;
    while !seen.iter().all(|seen| *seen) {
        let end = (next + 5).min(ops.len());
        let (accepted, events) = ctx.submit_poll(&ops[next..end], 7);
        for event in &events {
            assert_eq!(event.result, 64);
            assert!(!std::mem::replace(&mut seen[event.user_data as usize], true), "never two");
        }
        assert!(accepted >= 0 || accepted == EAGAIN, "{accepted}");
        next += accepted.max(0) as usize;
        if events.is_empty() && (accepted == EAGAIN || next == ops.len()) {
            sys::readable(ctx.eventfd(), None);
        }
    }
    assert_eq!(ctx.stats().inflight, 0);
}

fn null_arguments_are_einval(case: &Case) {
    use caio::capi::*;
    let ctx = case.ctx();
    let (op, mut event, mut polled) = (ops::nop(), caio_event { user_data: 0, result: 0 }, 9);
    // SAFETY: NULL is what is tested; all else is live, and a count of 0 never touches its array.
    unsafe {
        assert_eq!(caio_ctx_new(null(), null_mut()), EINVAL);
        assert_eq!(caio_ctx_submit(null_mut(), &op, 1), EINVAL);
        assert_eq!(caio_ctx_submit(ctx.raw(), null(), 1), EINVAL);
        assert_eq!(caio_ctx_poll(null_mut(), &mut event, 1), EINVAL);
        assert_eq!(caio_ctx_poll(ctx.raw(), null_mut(), 1), EINVAL);
        assert_eq!(caio_ctx_poll(ctx.raw(), null_mut(), 0), 0);
        assert_eq!(caio_ctx_wait(null_mut(), &mut event, 0, 1, 0), EINVAL);
        assert_eq!(caio_ctx_wait(ctx.raw(), null_mut(), 0, 1, 0), EINVAL);
        assert_eq!(caio_ctx_wait(ctx.raw(), null_mut(), 0, 0, 0), 0);
        assert_eq!(caio_ctx_submit_poll(ctx.raw(), &op, 1, &mut event, 1, null_mut()), EINVAL);
        assert_eq!(caio_ctx_submit_poll(ctx.raw(), null(), 0, null_mut(), 0, &mut polled), 0);
        assert_eq!(caio_ctx_wake(null_mut()), EINVAL);
        assert_eq!(caio_ctx_cancel(null_mut(), 0), EINVAL);
        assert_eq!(caio_ctx_cancel_fd(null_mut(), 0), EINVAL);
        assert_eq!(caio_ctx_cancel_all(null_mut()), EINVAL);
        assert_eq!(caio_ctx_eventfd(null()), EINVAL);
        assert_eq!(caio_ctx_backend(null()), EINVAL);
        assert_eq!(caio_ctx_max_requests(null()), EINVAL);
        assert_eq!(caio_ctx_stats(null(), &mut ctx.stats()), EINVAL);
        assert_eq!(caio_ctx_stats(ctx.raw(), null_mut()), EINVAL);
        assert_eq!(caio_backend_probe(case.backend, null_mut(), 1), EINVAL);
        assert_eq!(caio_backend_probe(case.backend, null_mut(), 0), 0);
        caio_ctx_free(null_mut());
    }
    assert_eq!(ctx.stats().submitted, 0, "no operation was accepted");
}

/// `*polled` is always set.
fn null_arguments_set_polled(case: &Case) {
    use caio::capi::caio_ctx_submit_poll;
    let ctx = case.ctx();
    let (op, mut event) = (ops::nop(), caio_event { user_data: 0, result: 0 });
    let refused = |ctx, op, event| {
        let mut polled = u32::MAX;
        // SAFETY: NULL is what is tested; all else is live.
        let answer = unsafe { caio_ctx_submit_poll(ctx, op, 1, event, 1, &mut polled) };
        assert_eq!((answer, polled), (EINVAL, 0));
    };
    refused(null_mut(), &op, &mut event);
    refused(ctx.raw(), &op, null_mut());
    assert_eq!(ctx.stats().submitted, 0);
}
