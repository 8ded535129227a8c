//! FSYNC and FDSYNC cover the writes that completed before (promise 7), however many are submitted at once.

use crate::gate::Gate;
use crate::support::case::Case;
use crate::support::ops::chain;
use crate::support::*;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY => {
        cover_writes_that_completed_before,
        that_wait_are_cancelled_one_by_one,
        run_although_the_first_of_the_group_is_cancelled,
        do_not_wait_for_a_write_without_progress,
        of_both_kinds_and_many_files_succeed,
        that_fail_fail_for_the_whole_group,
        continue_or_break_their_own_chains,
    }
    Plan::SHARED => { hold_up_free_until_they_end }
}

/// A sync that is already running does not serve a later one: writes may have completed in between.
fn cover_writes_that_completed_before(case: &Case) {
    for sync in [ops::fsync, ops::fdsync] {
        let Some(mut gate) = Gate::new() else { return };
        let file = gate.file();
        let sync = sync(file.as_raw_fd());
        let ctx = case.ctx();
        ctx.accept(&[sync.tag(1)]);
        gate.await_held();
        ctx.accept(&[sync.tag(2), sync.tag(3)]);
        gate.go();
        assert_eq!(ctx.collect(1), [Event { user_data: 1, result: 0 }]);
        // A second system call serves one of the others or both.
        gate.await_held();
        let mut rest = Vec::new();
        until("the others are synced", || {
            gate.go();
            rest.extend(ctx.poll(4));
            rest.len() == 2
        });
        rest.sort();
        assert_eq!(rest, [2, 3].map(|user_data| Event { user_data, result: 0 }));
    }
}

fn that_wait_are_cancelled_one_by_one(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let file = gate.file();
    let sync = ops::fsync(file.as_raw_fd());
    let ctx = Ctx::new(&caio_options { threads: 1, ..case.options() });
    ctx.accept(&[sync.tag(1)]);
    gate.await_held();
    let timed = sync.timeout(Duration::from_millis(20)).tag(3);
    ctx.accept(&[sync.tag(2), timed, sync.tag(4), sync.link().tag(5), ops::nop().tag(6)]);
    assert_eq!(ctx.collect(1), [Event { user_data: 3, result: -ETIMEDOUT }]);
    assert_eq!((ctx.cancel(2), ctx.collect(1)), (1, vec![Event { user_data: 2, result: -ECANCELED }]));
    assert_eq!(ctx.cancel(5), 1);
    let mut chain = ctx.collect(2);
    chain.sort();
    assert_eq!(chain, [5, 6].map(|user_data| Event { user_data, result: -ECANCELED }));
    let mut rest = Vec::new();
    until("the rest is synced", || {
        gate.go();
        rest.extend(ctx.poll(4));
        rest.len() == 2
    });
    assert_eq!(rest, [1, 4].map(|user_data| Event { user_data, result: 0 }));
}

/// The operation that stands for the group is cancelled before it runs.
fn run_although_the_first_of_the_group_is_cancelled(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let (slow, file) = (gate.file(), case.dir.file("file", b"content"));
    let sync = ops::fdsync(file.as_raw_fd());
    let ctx = Ctx::new(&caio_options { threads: 1, ..case.options() });
    ctx.accept(&[ops::fsync(slow.as_raw_fd()).tag(1)]);
    gate.await_held();
    ctx.accept(&[sync.tag(2), sync.tag(3), sync.tag(4)]);
    for tag in [2, 3] {
        assert_eq!((ctx.cancel(tag), ctx.collect(1)), (1, vec![Event { user_data: tag, result: -ECANCELED }]));
    }
    ctx.accept(&[sync.tag(5)]);
    gate.go();
    let mut events = ctx.collect(3);
    events.sort();
    assert_eq!(events, [1, 4, 5].map(|user_data| Event { user_data, result: 0 }));
}

/// A sync waits for writes that other syncs are linked to, and then serves these too. It does not wait for a write
/// without progress: here, the bytes of the write are in a mapped file that is slow.
fn do_not_wait_for_a_write_without_progress(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let file = case.dir.file("file", b"content");
    let (sync, slow) = (ops::fdsync(file.as_raw_fd()), sys::Map::of(&gate.file(), sys::PAGE));
    let ctx = Ctx::new(&caio_options { threads: 2, ..case.options() });
    ctx.accept(&chain(&[ops::write(file.as_raw_fd(), slow.bytes(), 0).tag(1), sync.tag(2)]));
    gate.await_held();
    ctx.accept(&[sync.tag(3)]);
    assert_eq!(ctx.collect(1), [Event { user_data: 3, result: 0 }]);
    gate.go();
    assert_eq!(ctx.collect(2), [Event { user_data: 1, result: 4096 }, Event { user_data: 2, result: 0 }]);
}

fn of_both_kinds_and_many_files_succeed(case: &Case) {
    let files: Vec<_> = (0..5).map(|number| case.dir.file(&format!("file{number}"), b"content")).collect();
    let ctx = case.ctx();
    for _ in 0..5 {
        let batch: Vec<caio_op> = (0..200usize)
            .map(|number| {
                let fd = files[number % 5].as_raw_fd();
                match number % 3 {
                    0 => ops::fsync(fd),
                    1 => ops::fdsync(fd),
                    _ => ops::write(fd, b"more", number as u64),
                }
            })
            .collect();
        let expected: Vec<i64> = (0..200).map(|number| if number % 3 == 2 { 4 } else { 0 }).collect();
        assert_eq!(ctx.run(&batch), expected);
    }
}

fn that_fail_fail_for_the_whole_group(case: &Case) {
    let (pipe, _other) = sys::pipe();
    let ctx = case.ctx();
    for (fd, errno) in [(-1, libc::EBADF), (pipe.as_raw_fd(), libc::EINVAL)] {
        let batch = [[ops::fsync(fd); 20], [ops::fdsync(fd); 20]].concat();
        assert_eq!(ctx.run(&batch), [-i64::from(errno); 40]);
    }
}

fn continue_or_break_their_own_chains(case: &Case) {
    let file = case.dir.file("file", b"content");
    let (good, bad) = (ops::fsync(file.as_raw_fd()), ops::fsync(-1));
    let ctx = case.ctx();
    let mut batch = Vec::new();
    let mut expected = Vec::new();
    for number in 0..60 {
        let (sync, result) = if number % 4 == 0 { (bad, [-EBADF, -ECANCELED, -ECANCELED]) } else { (good, [0, 0, 0]) };
        batch.extend(chain(&[sync, good, ops::nop()]));
        expected.extend(result);
    }
    assert_eq!(ctx.run(&batch), expected);
}

fn hold_up_free_until_they_end(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let file = gate.file();
    let sync = ops::fsync(file.as_raw_fd());
    let ctx = case.ctx();
    ctx.accept(&[sync]);
    gate.await_held();
    ctx.accept(&[sync, sync, sync]);
    let (freed, is_freed) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            drop(ctx);
            freed.send(()).expect("the test waits");
        });
        let early = is_freed.recv_timeout(Duration::from_millis(100));
        until("free returns", || {
            gate.go();
            is_freed.recv_timeout(Duration::from_millis(1)).is_ok()
        });
        assert!(early.is_err(), "the kernel still used the caller's descriptor");
    });
}
