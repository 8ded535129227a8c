//! Promise 9: free cancels what it can stop, waits for the rest, and leaves nothing behind.

use crate::gate::Gate;
use crate::support::case::Case;
use crate::support::ops::chain;
use crate::support::stuck::{Full, Stuck};
use crate::support::*;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::mpsc;

crate::promises! {
    Plan::EVERY => {
        returns_with_nothing_in_flight,
        drops_events_that_are_not_taken,
        does_not_wait_for_other_contexts,
        stops_operations_on_streams,
        stops_chain_members_that_have_not_started,
        does_not_wait_for_a_blocked_open,
        returns_right_after_submit,
    }
    Plan::SHARED => { waits_for_running_disk_operations }
    Plan::FOLDERS => { returns_memory_of_a_deep_queue }
    Plan::EVERY.alone() => { closes_every_descriptor, closes_descriptors_of_later_opens }
    Plan::PLAIN.alone() => { is_not_needed_before_exit, of_a_thousand_contexts_leaves_nothing }
}

const CURRENT: u64 = CAIO_OFFSET_CURRENT;

fn returns_with_nothing_in_flight(case: &Case) {
    for _ in 0..20 {
        drop(case.ctx());
        let ctx = case.ctx();
        assert_eq!(ctx.one(ops::nop()), 0);
    }
}

fn drops_events_that_are_not_taken(case: &Case) {
    let file = case.dir.file("file", &files::pattern(5000));
    let mut room = vec![0; 5000];
    let ctx = case.ctx();
    ctx.accept(&[ops::read(file.as_raw_fd(), &mut room, 0), ops::nop(), ops::fsync(-1)]);
    until("all operations have completed", || ctx.stats().completed == 3);
    drop(ctx);
    assert_eq!(room, files::pattern(5000));
}

fn does_not_wait_for_other_contexts(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let file = gate.file();
    let (busy, idle) = (case.ctx(), case.ctx());
    busy.accept(&[ops::fsync(file.as_raw_fd())]);
    gate.await_held();
    assert_eq!(idle.one(ops::nop()), 0);
    drop(idle);
    drop(case.ctx());
    gate.go();
    assert_eq!(busy.collect(1)[0].result, 0);
}

/// Free returns, and the library no longer reads or writes the streams.
fn stops_operations_on_streams(case: &Case) {
    for stuck in Stuck::kinds() {
        let full = Full::pipe();
        let ctx = case.ctx();
        ctx.accept(&[stuck.read(), stuck.read().full(), stuck.read().timeout(PATIENCE)]);
        ctx.accept(&[ops::write(full.fd(), b"never", CURRENT), ops::write(full.fd(), b"never", CURRENT).full()]);
        ctx.accept(&vec![stuck.read(); 50]);
        drop(ctx);
        stuck.fill(9);
        assert_eq!(full.drain(full.size), vec![b'.'; full.size]);
        assert_eq!((stuck.waiting(), sys::waiting(&full.reader)), (9, 0));
        assert_eq!(stuck.room(), [0; 64], "no byte was taken");
    }
}

fn stops_chain_members_that_have_not_started(case: &Case) {
    let stuck = Stuck::pipe();
    let never = case.dir.c("never");
    let ctx = case.ctx();
    for _ in 0..20 {
        ctx.accept(&chain(&[stuck.byte(), ops::mkdirat(libc::AT_FDCWD, &never, 0o700), ops::nop()]));
    }
    drop(ctx);
    stuck.feed(1);
    assert!(!case.dir.join("never").exists(), "a member that had not started never runs");
}

/// A FIFO without a writer. The library uses its own copy of the path.
fn does_not_wait_for_a_blocked_open(case: &Case) {
    let fifo = case.dir.c("fifo");
    sys::make_fifo(&fifo);
    let writer = {
        let path = fifo.clone();
        let ctx = case.ctx();
        for flags in [libc::O_RDONLY, libc::O_RDONLY | libc::O_CLOEXEC] {
            ctx.accept(&[ops::openat(libc::AT_FDCWD, &path, flags, 0)]);
        }
        assert_eq!(ctx.run_beside(ops::nop()), 0);
        drop(ctx);
        drop(path);
        // Succeeds if an open for reading still blocks, and fails with ENXIO otherwise. Both are right.
        sys::plain(&ops::openat(libc::AT_FDCWD, &fifo, libc::O_WRONLY | libc::O_NONBLOCK | libc::O_CLOEXEC, 0))
    };
    if writer >= 0 {
        until("the descriptors of later opens are closed", || broken(writer as i32));
        assert_eq!(sys::plain(&ops::close(writer as i32)), 0);
    } else {
        assert_eq!(writer, -i64::from(libc::ENXIO));
    }
}

/// Is the read end of a pipe closed?
fn broken(writer: i32) -> bool {
    let mut poll = libc::pollfd { fd: writer, events: 0, revents: 0 };
    // SAFETY: one live pollfd.
    unsafe { libc::poll(&mut poll, 1, 0) };
    poll.revents & libc::POLLERR != 0
}

/// The operations are in any state.
fn returns_right_after_submit(case: &Case) {
    let file = case.dir.file("file", &files::pattern(1 << 20));
    let stuck = Stuck::pipe();
    for round in 0..50u64 {
        let mut rooms = vec![[0u8; 4096]; 8];
        let ctx = case.ctx();
        let reads = rooms.iter_mut().zip(0..).map(|(room, at)| ops::read(file.as_raw_fd(), room, (at + round) * 4096));
        let mut batch: Vec<caio_op> = reads.collect();
        batch.extend([ops::fdsync(file.as_raw_fd()), stuck.read(), ops::nop().link(), stuck.byte(), ops::nop()]);
        ctx.accept(&batch);
        drop(ctx);
        rooms.fill([0xaa; 4096]);
        std::hint::black_box(&rooms);
        assert!(rooms.iter().all(|room| room.iter().all(|byte| *byte == 0xaa)), "no late write to the memory");
    }
}

/// A running read, write or sync: free returns only after it has ended.
fn waits_for_running_disk_operations(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let file = gate.file();
    let (mut room, data) = (vec![0; 4096], vec![b'w'; 4096]);
    let fd = file.as_raw_fd();
    for op in [ops::read(fd, &mut room, 0), ops::write(fd, &data, 0), ops::fsync(fd)] {
        let ctx = case.ctx();
        ctx.accept(&[op, ops::nop()]);
        gate.await_held();
        let (freed, is_freed) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                drop(ctx);
                freed.send(()).expect("the test waits");
            });
            let early = is_freed.recv_timeout(Duration::from_millis(100));
            gate.go();
            assert!(early.is_err(), "the kernel still used the caller's memory, opcode {}", op.opcode);
            receive(&is_freed, PATIENCE).expect("free returns");
        });
    }
    assert_eq!(room, vec![b'g'; 4096], "the operation succeeded");
}

/// Disk reads in flight: after free, their memory and descriptors belong to the caller.
fn returns_memory_of_a_deep_queue(case: &Case) {
    const DEPTH: usize = 256;
    for _ in 0..3 {
        let file = case.dir.cold("file", DEPTH * 16384);
        let map = sys::Map::new(DEPTH * 4096);
        let ctx = case.ctx();
        let reads: Vec<caio_op> = (0..DEPTH)
            .map(|at| op(CAIO_OP_READ, file.as_raw_fd()).buf(map.address(at * 4096)).len(4096).at((at * 16384) as u64))
            .collect();
        ctx.accept(&reads);
        drop(ctx);
        drop(file);
        let before = map.bytes().to_vec();
        // Other work runs meanwhile. A late write to this memory would be visible.
        let other = case.ctx();
        assert_eq!(other.run(&[ops::nop(); 20]), [0; 20]);
        assert!(map.bytes() == before, "no late write to the memory");
    }
}

fn closes_every_descriptor(case: &Case) {
    let name = case.dir.c("file");
    let file = case.dir.file("file", b"content");
    let stuck = Stuck::pipe();
    let open = ops::openat(libc::AT_FDCWD, &name, libc::O_RDONLY, 0);
    let mut room = [0; 7];
    // The first context allocates what the process keeps for all contexts.
    drop(case.ctx());
    let before = process::descriptors();
    for _ in 0..5 {
        let ctx = case.ctx();
        ctx.accept(&[open, open, ops::read(file.as_raw_fd(), &mut room, 0), stuck.read(), ops::nop()]);
        until("the files are open", || ctx.stats().completed >= 4);
        drop(ctx);
        assert_eq!(process::descriptors(), before, "descriptors of OPENATs and of the context are closed");
    }
}

fn closes_descriptors_of_later_opens(case: &Case) {
    let fifo = case.dir.c("fifo");
    sys::make_fifo(&fifo);
    drop(case.ctx());
    let before = process::descriptors();
    let ctx = case.ctx();
    ctx.accept(&[ops::openat(libc::AT_FDCWD, &fifo, libc::O_RDONLY, 0)]);
    drop(ctx);
    // Lets an open that still blocks continue.
    drop(sys::open(&fifo, libc::O_RDWR));
    until("no descriptor is left", || process::descriptors() == before);
}

fn is_not_needed_before_exit(case: &Case) {
    let code = process::fork(|| {
        let file = case.dir.file("file", &files::pattern(1 << 20));
        let stuck = Stuck::pipe();
        let mut rooms = vec![[0; 4096]; 32];
        let raw = case.ctx().into_raw();
        let reads: Vec<caio_op> =
            rooms.iter_mut().zip(0..).map(|(room, at)| ops::read(file.as_raw_fd(), room, at * 4096)).collect();
        // SAFETY: a live context; the memory lives until the process ends.
        let accepted = unsafe {
            caio::capi::caio_ctx_submit(raw, [stuck.read(), ops::fsync(file.as_raw_fd())].as_ptr(), 2)
                + caio::capi::caio_ctx_submit(raw, reads.as_ptr(), 32)
        };
        // SAFETY: exit handlers of this process are safe to run.
        unsafe { libc::exit(if accepted == 34 { 7 } else { 1 }) }
    });
    assert_eq!(code.code(), 7);
}

fn of_a_thousand_contexts_leaves_nothing(case: &Case) {
    let file = case.dir.file("file", b"content");
    let work = |count: u32| {
        for _ in 0..count {
            let mut room = [0; 7];
            let ctx = case.ctx();
            assert_eq!(ctx.run(&[ops::read(file.as_raw_fd(), &mut room, 0), ops::fsync(-1)]), [7, -EBADF]);
        }
    };
    work(100);
    let (descriptors, resident) = (process::descriptors(), process::resident());
    work(1000);
    assert_eq!(process::descriptors(), descriptors);
    let grown = process::resident().saturating_sub(resident);
    assert!(grown < 4 << 20, "{grown} bytes more after 1000 contexts");
    until("no thread is left", || process::threads() <= 4);
    let (one, _) = sys::pipe();
    assert!(one.into_raw_fd() < 64, "descriptor numbers stay small");
}
