//! Promise 8: a timeout cancels. The result is -ETIMEDOUT if that stopped the operation, and the true result otherwise.

use crate::gate::Gate;
use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::ops::chain;
use crate::support::stuck::{Full, Stuck};
use crate::support::*;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY => {
        stop_a_blocked_read,
        stop_a_blocked_write,
        lose_no_bytes,
        break_a_chain,
        of_many_operations_expire_in_order,
        of_the_largest_value_never_expire,
        that_do_not_expire_change_no_result,
        that_are_short_yield_one_true_event,
        of_a_cancelled_operation_do_not_expire,
        do_not_interrupt_a_running_disk_operation,
        stop_an_operation_that_has_not_started,
        do_not_stop_a_close,
    }
    Plan::PLAIN => { of_a_chain_member_count_from_its_start }
}

const SHORT: Duration = Duration::from_millis(30);
const HOUR: Duration = Duration::from_secs(3600);

fn stop_a_blocked_read(case: &Case) {
    let ctx = case.ctx();
    for stuck in Stuck::kinds() {
        for op in [stuck.read(), stuck.read().full(), stuck.byte()] {
            let start = Instant::now();
            assert_eq!(ctx.one(op.timeout(SHORT)), -ETIMEDOUT);
            assert!(start.elapsed() >= SHORT, "not before the timeout");
        }
    }
    assert_eq!(ctx.stats().cancelled, 0, "counts only results of -ECANCELED");
}

fn stop_a_blocked_write(case: &Case) {
    let full = Full::pipe();
    let ctx = case.ctx();
    let write = ops::write(full.fd(), b"never", CAIO_OFFSET_CURRENT).timeout(SHORT);
    assert_eq!(ctx.run(&[write, write.full()]), [-ETIMEDOUT; 2]);
    assert_eq!(full.drain(full.size), vec![b'.'; full.size]);
    assert_eq!(sys::waiting(&full.reader), 0, "no byte was written");
}

fn lose_no_bytes(case: &Case) {
    let ctx = case.ctx();
    for stuck in Stuck::kinds() {
        assert_eq!(ctx.one(stuck.read().timeout(SHORT)), -ETIMEDOUT);
        stuck.fill(9);
        assert_eq!(ctx.run_beside(ops::nop()), 0);
        assert_eq!(stuck.waiting(), 9, "no operation reads the stream");
        assert_eq!(ctx.one(stuck.read().timeout(HOUR)), 9);
    }
}

fn break_a_chain(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    let ops = [ops::nop(), stuck.read().timeout(SHORT), ops::nop(), stuck.read()];
    assert_eq!(ctx.run(&chain(&ops)), [0, -ETIMEDOUT, -ECANCELED, -ECANCELED]);
}

fn of_many_operations_expire_in_order(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    // In no order, and far enough apart to tell. The first one never expires.
    ctx.accept(&[stuck.read().timeout(HOUR).tag(1)]);
    let times = [250u64, 40, 500, 120, 40, 400];
    let start = Instant::now();
    for time in times {
        ctx.accept(&[stuck.read().timeout(Duration::from_millis(time)).tag(time)]);
    }
    let mut came = Vec::new();
    for _ in times {
        let event = ctx.collect(1)[0];
        assert_eq!(event.result, -ETIMEDOUT);
        assert!(start.elapsed() >= Duration::from_millis(event.user_data), "{} came too early", event.user_data);
        came.push(event.user_data);
    }
    assert_eq!((ctx.cancel(1), ctx.collect(1)[0].user_data), (1, 1));
    came.sort_unstable();
    assert_eq!(came, [40, 40, 120, 250, 400, 500]);
}

fn of_the_largest_value_never_expire(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    for nanos in [u64::MAX, u64::MAX - 1, i64::MAX as u64, i64::MAX as u64 + 1, 1 << 62] {
        ctx.accept(&[stuck.read().timeout(Duration::from_nanos(nanos))]);
        assert_eq!(ctx.run_beside(ops::nop().timeout(Duration::from_nanos(nanos))), 0);
        stuck.feed(4);
        assert_eq!(ctx.collect(1)[0].result, 4, "a timeout of {nanos} ns");
    }
}

fn that_do_not_expire_change_no_result(case: &Case) {
    let file = case.dir.cold("file", 100_000);
    let (mut room, fd) = (vec![0; 50_000], file.as_raw_fd());
    let ctx = case.ctx();
    let ops =
        [ops::read(fd, &mut room, 10), ops::fsync(fd), ops::nop(), ops::read(-1, &mut [0], 0), ops::write(fd, b"x", 0)];
    assert_eq!(ctx.run(&ops.map(|op| op.timeout(HOUR))), [50_000, 0, 0, -EBADF, 1]);
    assert!(room == pattern(100_000)[10..50_010]);
}

/// Each operation yields exactly one event. It moved bytes only if its result is a number of bytes.
fn that_are_short_yield_one_true_event(case: &Case) {
    let file = case.dir.cold("file", 1 << 20);
    let ctx = case.ctx();
    for round in 0..200u64 {
        let mut room = vec![0; 4096];
        let at = round as usize % 256 * 4096;
        let result =
            ctx.one(ops::read(file.as_raw_fd(), &mut room, at as u64).timeout(Duration::from_nanos(1 + round * 500)));
        assert!([4096, -ETIMEDOUT].contains(&result), "{result}");
        if result == 4096 {
            assert!(room == (at..at + 4096).map(files::pattern_at).collect::<Vec<u8>>());
        }
    }
}

fn of_a_cancelled_operation_do_not_expire(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    ctx.accept(&[stuck.read().timeout(HOUR).tag(3)]);
    assert_eq!(ctx.cancel(3), 1);
    assert_eq!(ctx.collect(1), [Event { user_data: 3, result: -ECANCELED }]);
}

fn do_not_interrupt_a_running_disk_operation(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let file = gate.file();
    let mut room = vec![0; 4096];
    let ctx = case.ctx();
    let read = ops::read(file.as_raw_fd(), &mut room, 0);
    let mut timeout = SHORT;
    ctx.accept(&[read.timeout(timeout)]);
    // On a busy machine, the timeout may expire before a worker thread starts the operation.
    while !gate.is_held_before_event(&ctx) {
        assert_eq!(ctx.collect(1)[0].result, -ETIMEDOUT);
        timeout *= 2;
        ctx.accept(&[read.timeout(timeout)]);
    }
    assert_eq!(ctx.wait(1, 1, 5 * timeout.as_nanos() as i64), Ok(vec![]), "a timeout is no deadline for the event");
    gate.go();
    assert_eq!(ctx.collect(1)[0].result, 4096, "its true result");
    assert_eq!(room, vec![b'g'; 4096]);
}

/// The test keeps the only worker thread busy.
fn stop_an_operation_that_has_not_started(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let (file, folder) = (gate.file(), case.dir.open());
    let ctx = Ctx::new(&caio_options { threads: 1, ..case.options() });
    ctx.accept(&[ops::fsync(file.as_raw_fd()).timeout(HOUR).tag(1)]);
    gate.await_held();
    let queued = ops::mkdirat(folder.as_raw_fd(), c"made", 0o700).timeout(SHORT).tag(2);
    ctx.accept(&ops::chain(&[queued, ops::nop().tag(3)]));
    let mut events = ctx.collect(2);
    events.sort();
    // A backend that needs no worker thread for it has completed it by then.
    let made = case.dir.join("made").exists();
    let expected = if made { [0, 0] } else { [-ETIMEDOUT, -ECANCELED] };
    assert_eq!((results(&events), events[0].user_data), (expected.to_vec(), 2));
    gate.go();
    assert_eq!(ctx.collect(1), [Event { user_data: 1, result: 0 }]);
    assert_eq!(case.dir.join("made").exists(), made, "a stopped operation never runs");
}

/// After any result of CLOSE but -ECANCELED, the descriptor is closed. A CLOSE therefore never yields -ETIMEDOUT.
fn do_not_stop_a_close(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let file = gate.file();
    let (reader, writer) = sys::pipe();
    let closing = std::os::fd::IntoRawFd::into_raw_fd(writer);
    let ctx = Ctx::new(&caio_options { threads: 1, ..case.options() });
    ctx.accept(&[ops::fsync(file.as_raw_fd()).timeout(HOUR).tag(1)]);
    gate.await_held();
    ctx.accept(&[ops::close(closing).timeout(SHORT).tag(2)]);
    let early = ctx.wait(1, 1, 4 * SHORT.as_nanos() as i64).expect("wait");
    gate.go();
    let mut events = early.clone();
    events.extend(ctx.collect(2 - early.len()));
    events.sort();
    assert_eq!(events, [1, 2].map(|tag| Event { user_data: tag, result: 0 }));
    assert_eq!(sys::read_all(&reader, &mut [0]), 0, "the descriptor is closed");
}

/// The chain member waits for its turn longer than its timeout, and then succeeds.
fn of_a_chain_member_count_from_its_start(case: &Case) {
    const TIMEOUT: Duration = Duration::from_millis(400);
    let (stuck, ready) = (Stuck::pipe(), Stuck::pipe());
    ready.feed(5);
    let ctx = case.ctx();
    ctx.accept(&chain(&[stuck.byte().tag(1), ready.read().timeout(TIMEOUT).tag(2)]));
    assert_eq!(ctx.wait(1, 2, 600_000_000), Ok(vec![]), "not from acceptance");
    stuck.feed(1);
    let mut events = ctx.collect(2);
    events.sort();
    assert_eq!(results(&events), [1, 5]);
    // The timeout counts from the start of the member.
    ctx.accept(&chain(&[stuck.byte().tag(1), ready.read().timeout(SHORT).tag(2)]));
    stuck.feed(1);
    let mut events = ctx.collect(2);
    events.sort();
    assert_eq!(results(&events), [1, -ETIMEDOUT]);
}
