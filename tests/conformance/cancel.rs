//! Promise 8: cancel asks operations to stop and returns how many it found. Each still yields its one event.

use crate::gate::Gate;
use crate::support::case::Case;
use crate::support::files::pattern_at;
use crate::support::ops::chain;
use crate::support::stuck::{Full, Stuck};
use crate::support::*;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY => {
        stops_operations_by_user_data,
        stops_operations_by_descriptor,
        stops_all_operations,
        finds_no_completed_operation,
        returns_how_many_it_found,
        by_descriptor_finds_only_its_users,
        takes_no_bytes_from_a_stream,
        writes_no_bytes_of_a_blocked_write,
        stops_members_that_have_not_started,
        stops_the_rest_of_the_chain,
        does_not_affect_other_operations,
        does_not_interrupt_a_running_disk_operation,
        stops_an_operation_that_has_not_started,
        of_a_close_yields_a_true_result,
        of_a_blocked_open_leaks_nothing,
        yields_the_true_result_in_a_race,
        finds_a_running_operation_until_it_completes,
    }
    Plan::FOLDERS => { yields_the_true_result_of_cold_reads }
    Plan::ALONE => { repeated_uses_no_more_memory }
}

const CURRENT: u64 = CAIO_OFFSET_CURRENT;
const NONE: i32 = -libc::ENOENT;

fn stops_operations_by_user_data(case: &Case) {
    let ctx = case.ctx();
    for stuck in Stuck::kinds() {
        ctx.accept(&[stuck.read().tag(1), stuck.read().full().tag(2), stuck.read().tag(3)]);
        for tag in [2, 1, 3] {
            assert_eq!(ctx.cancel(tag), 1);
            assert_eq!(ctx.collect(1), [Event { user_data: tag, result: -ECANCELED }]);
        }
    }
    assert_eq!(ctx.stats().cancelled, 9);
}

fn stops_operations_by_descriptor(case: &Case) {
    let (stuck, other) = (Stuck::pipe(), Stuck::socket());
    let ctx = case.ctx();
    ctx.accept(&[stuck.read().tag(1), other.read().tag(2), stuck.read().tag(3)]);
    assert_eq!(ctx.cancel_fd(stuck.fd()), 2);
    let mut events = ctx.collect(2);
    events.sort();
    assert_eq!(events, [1, 3].map(|user_data| Event { user_data, result: -ECANCELED }));
    other.feed(2);
    assert_eq!(ctx.collect(1), [Event { user_data: 2, result: 2 }]);
}

fn stops_all_operations(case: &Case) {
    let kinds = Stuck::kinds();
    let ctx = case.ctx();
    for stuck in &kinds {
        ctx.accept(&chain(&[stuck.read(), ops::nop(), ops::nop()]));
    }
    assert_eq!(ctx.cancel_all(), 9);
    assert_eq!(results(&ctx.collect(9)), [-ECANCELED; 9]);
    assert_eq!(ctx.cancel_all(), 0, "returns 0 if no operation is in flight");
}

fn finds_no_completed_operation(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    assert_eq!((ctx.cancel(0), ctx.cancel_fd(0), ctx.cancel_fd(-1), ctx.cancel_all()), (NONE, NONE, NONE, 0));
    ctx.accept(&[ops::nop().tag(4)]);
    until("the operation has completed", || ctx.stats().completed == 1);
    assert_eq!((ctx.cancel(4), ctx.cancel_all()), (NONE, 0), "a completed operation, taken or not");
    ctx.accept(&[stuck.read().tag(5)]);
    assert_eq!((ctx.cancel(6), ctx.cancel_fd(stuck.fd() + 1)), (NONE, NONE));
    stuck.feed(1);
    assert_eq!(ctx.collect(2).len(), 2);
}

fn returns_how_many_it_found(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    for count in [1, 2, 5, 100] {
        ctx.accept(&vec![stuck.read().tag(8); count]);
        assert_eq!(ctx.cancel(8), count as i32, "several operations share the user_data");
        assert!(ctx.collect(count).iter().all(|event| event.user_data == 8 && event.result == -ECANCELED));
    }
}

fn by_descriptor_finds_only_its_users(case: &Case) {
    let (stuck, folder) = (Stuck::pipe(), case.dir.open());
    let fd = folder.as_raw_fd();
    let mut stat = sys::statx_room();
    let mut nop = ops::nop();
    nop.fd = fd;
    let ctx = case.ctx();
    ctx.accept(&chain(&[
        stuck.byte().tag(1),
        nop.tag(2),
        ops::mkdirat(fd, c"never", 0o700).tag(3),
        ops::statx(fd, c".", &mut stat).tag(4),
        ops::fsync(fd).tag(5),
    ]));
    assert_eq!(ctx.cancel_fd(fd), 3, "a NOP ignores it");
    assert_eq!(ctx.cancel_fd(stuck.fd()), 1);
    let mut events = ctx.collect(5);
    events.sort();
    assert!(events.iter().all(|event| event.result == -ECANCELED), "{events:?}");
    assert!(!case.dir.join("never").exists());
}

fn takes_no_bytes_from_a_stream(case: &Case) {
    let ctx = case.ctx();
    for stuck in Stuck::kinds() {
        ctx.accept(&[stuck.read(), stuck.read().full()]);
        assert_eq!(ctx.cancel_fd(stuck.fd()), 2);
        assert_eq!(results(&ctx.collect(2)), [-ECANCELED; 2]);
        stuck.fill(9);
        assert_eq!(ctx.run_beside(ops::nop()), 0);
        assert_eq!(stuck.waiting(), 9, "no operation reads the stream");
    }
}

fn writes_no_bytes_of_a_blocked_write(case: &Case) {
    let full = Full::pipe();
    let ctx = case.ctx();
    ctx.accept(&[ops::write(full.fd(), b"never", CURRENT), ops::write(full.fd(), b"never", CURRENT).full()]);
    assert_eq!(ctx.cancel_all(), 2);
    assert_eq!(results(&ctx.collect(2)), [-ECANCELED; 2]);
    full.drain(full.size);
    assert_eq!(ctx.run_beside(ops::nop()), 0);
    assert_eq!(sys::waiting(&full.reader), 0);
}

/// A chain member that has not started yields its event at once. The members before it continue.
fn stops_members_that_have_not_started(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    ctx.accept(&chain(&[stuck.byte().tag(1), ops::nop().tag(2), ops::nop().tag(3), ops::nop().tag(4)]));
    assert_eq!(ctx.cancel(3), 1);
    stuck.feed(1);
    let mut events = ctx.collect(4);
    events.sort();
    assert_eq!(results(&events), [1, 0, -ECANCELED, -ECANCELED], "the rest of its chain is stopped");
}

fn stops_the_rest_of_the_chain(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    ctx.accept(&chain(&[stuck.byte().tag(1), ops::nop().tag(2), ops::nop().tag(3)]));
    assert_eq!(ctx.cancel(1), 1, "finds the given operation");
    assert_eq!(results(&ctx.collect(3)), [-ECANCELED; 3]);
    assert_eq!(ctx.stats().cancelled, 3);
}

fn does_not_affect_other_operations(case: &Case) {
    let stuck = Stuck::pipe();
    let others: Vec<Stuck> = (0..20).map(|_| Stuck::socket()).collect();
    let ctx = case.ctx();
    for (tag, other) in others.iter().enumerate() {
        ctx.accept(&[other.read().tag(tag as u64), stuck.read().tag(100)]);
    }
    assert_eq!(ctx.cancel(100), 20);
    assert!(ctx.collect(20).iter().all(|event| event.user_data == 100 && event.result == -ECANCELED));
    for (tag, other) in others.iter().enumerate() {
        other.feed(tag + 1);
        assert_eq!(ctx.collect(1), [Event { user_data: tag as u64, result: tag as i64 + 1 }]);
    }
}

fn does_not_interrupt_a_running_disk_operation(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let file = gate.file();
    let (mut room, data) = (vec![0; 4096], vec![b'w'; 4096]);
    let ctx = case.ctx();
    let fd = file.as_raw_fd();
    for (op, result) in [(ops::read(fd, &mut room, 0), 4096), (ops::write(fd, &data, 0), 4096), (ops::fsync(fd), 0)] {
        ctx.accept(&[op.tag(1)]);
        gate.await_held();
        assert_eq!((ctx.cancel(1), ctx.cancel_fd(fd)), (1, 1), "it has not completed");
        assert_eq!(ctx.wait(1, 1, 100_000_000), Ok(vec![]), "the kernel still uses its memory");
        gate.go();
        assert_eq!(ctx.collect(1), [Event { user_data: 1, result }], "its true result, opcode {}", op.opcode);
    }
    assert_eq!(room, vec![b'g'; 4096]);
}

/// The test keeps the only worker thread busy.
fn stops_an_operation_that_has_not_started(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let (file, folder) = (gate.file(), case.dir.open());
    let ctx = Ctx::new(&caio_options { threads: 1, ..case.options() });
    ctx.accept(&[ops::fsync(file.as_raw_fd()).tag(1)]);
    gate.await_held();
    ctx.accept(&[ops::mkdirat(folder.as_raw_fd(), c"made", 0o700).tag(2)]);
    let found = ctx.cancel(2);
    let result = ctx.collect(1)[0].result;
    let made = case.dir.join("made").exists();
    // A backend that needs no worker thread for it may have completed it by then.
    assert!(matches!((found, result, made), (1, _, false) | (_, 0, true)), "{found} found, {result}, made: {made}");
    assert_eq!(result, if made { 0 } else { -ECANCELED });
    gate.go();
    assert_eq!(ctx.collect(1), [Event { user_data: 1, result: 0 }]);
    assert_eq!(case.dir.join("made").exists(), made, "a stopped operation never runs");
}

/// After -ECANCELED, the descriptor is still open. After any other result, it is closed.
fn of_a_close_yields_a_true_result(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    for round in 0..50 {
        let (reader, writer) = sys::pipe();
        let closing = std::os::fd::IntoRawFd::into_raw_fd(writer);
        let close = ops::close(closing).tag(2);
        if round % 2 == 0 {
            ctx.accept(&[stuck.byte().tag(1).link(), close]);
        } else {
            ctx.accept(&[close]);
        }
        let found = ctx.cancel(2);
        stuck.feed(1 - round % 2);
        let mut events = ctx.collect(2 - round % 2);
        events.sort();
        let result = events[events.len() - 1].result;
        assert!(found == 1 || result == 0, "not found, so it had completed");
        assert!(round % 2 == 1 || result == -ECANCELED, "a member that has not started is stopped");
        if result == -ECANCELED {
            assert_eq!(sys::plain(&ops::close(closing)), 0, "still open");
        } else {
            assert_eq!(result, 0);
        }
        let mut room = [0];
        assert_eq!(sys::read_all(&reader, &mut room), 0, "the descriptor is closed");
    }
}

/// The cancel may not stop it, but there is one event, and no descriptor leaks.
fn of_a_blocked_open_leaks_nothing(case: &Case) {
    let fifo = case.dir.c("fifo");
    sys::make_fifo(&fifo);
    let ctx = case.ctx();
    ctx.accept(&[ops::openat(libc::AT_FDCWD, &fifo, libc::O_WRONLY | libc::O_CLOEXEC, 0).tag(1)]);
    assert_eq!(ctx.run_beside(ops::nop()), 0);
    assert_eq!(ctx.cancel(1), 1);
    let reader = sys::open(&fifo, libc::O_RDONLY | libc::O_NONBLOCK);
    let result = ctx.collect(1)[0].result;
    assert!(result == -ECANCELED || result >= 0, "{result}");
    if result >= 0 {
        assert_eq!(sys::plain(&ops::close(result as i32)), 0);
    }
    let mut room = [0];
    // A read returns end of file once no descriptor is open for writing, and -EAGAIN before.
    until("the other end is closed", || sys::plain(&ops::read(reader.as_raw_fd(), &mut room, CURRENT)) == 0);
    drop(ctx);
}

/// The cancel runs while the operation completes: one event. If the cancel finds nothing, the event is already pending.
fn yields_the_true_result_in_a_race(case: &Case) {
    let file = case.dir.file("file", &files::pattern(1 << 20));
    let ctx = case.ctx();
    for round in 0..500usize {
        let mut room = vec![0xee; 4096];
        let at = round % 256 * 4096;
        ctx.accept(&[ops::read(file.as_raw_fd(), &mut room, at as u64).tag(round as u64)]);
        let found = ctx.cancel(round as u64);
        let event = if found == NONE { ctx.poll(1)[0] } else { ctx.collect(1)[0] };
        assert_eq!(event.user_data, round as u64);
        judge(found, event.result, &room, at);
        assert_eq!(ctx.poll(1), [], "never two");
    }
}

fn judge(found: i32, result: i64, room: &[u8], at: usize) {
    match (found, result) {
        (1 | NONE, 4096) => assert!(room.iter().enumerate().all(|(i, byte)| *byte == pattern_at(at + i))),
        (1, result) => assert_eq!(result, -ECANCELED),
        other => panic!("{other:?}"),
    }
}

fn finds_a_running_operation_until_it_completes(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let file = gate.file();
    let ctx = case.ctx();
    ctx.accept(&[ops::fsync(file.as_raw_fd()).tag(1)]);
    gate.await_held();
    for _ in 0..3 {
        assert_eq!((ctx.cancel(1), ctx.cancel_all()), (1, 1), "it has not completed");
    }
    gate.go();
    assert_eq!(ctx.collect(1), [Event { user_data: 1, result: 0 }]);
    assert_eq!((ctx.cancel(1), ctx.cancel_all()), (NONE, 0));
}

fn yields_the_true_result_of_cold_reads(case: &Case) {
    const DEPTH: usize = 64;
    let file = case.dir.cold("file", DEPTH * 16384);
    let mut rooms = vec![vec![0xee; 4096]; DEPTH];
    let ctx = case.ctx();
    let place = |number: usize| number * 37 % DEPTH * 16384;
    for (number, room) in rooms.iter_mut().enumerate() {
        ctx.accept(&[ops::read(file.as_raw_fd(), room, place(number) as u64).tag(number as u64)]);
    }
    let found = ctx.cancel_all();
    let events = ctx.collect(DEPTH);
    let stopped = events.iter().filter(|event| event.result == -ECANCELED).count();
    assert!(stopped <= found as usize, "{stopped} stopped, {found} found");
    for event in events {
        let number = event.user_data as usize;
        judge(1, event.result, &rooms[number], place(number));
    }
    assert_eq!(ctx.poll(1), []);
}

/// Repeated cancels neither delay the thread that stops the operations nor use more memory.
fn repeated_uses_no_more_memory(case: &Case) {
    const READS: usize = 64;
    let (ctx, stuck) = (case.ctx(), Stuck::pipe());
    ctx.accept(&vec![stuck.read(); READS]);
    // A later operation has completed, so the poller thread has received the reads.
    let last = Stuck::pipe();
    ctx.accept(&[last.read()]);
    last.feed(1);
    assert_eq!(ctx.collect(1)[0].result, 1);
    let poller = process::await_thread("caio-poller");
    // Asleep, it holds no lock.
    process::await_asleep(std::process::id(), poller);
    let held = process::Held::thread(poller);
    let before = process::resident();
    for _ in 0..20_000 {
        assert_eq!(ctx.cancel_fd(stuck.fd()), READS as i32);
    }
    let grown = process::resident().saturating_sub(before);
    drop(held);
    assert!(grown < 2 << 20, "{grown} bytes more");
    assert_eq!(results(&ctx.collect(READS)), [-ECANCELED; READS]);
}
