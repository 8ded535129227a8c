//! Promises 3 and 10: submit never waits for data to be read, written or synced. Blocked operations hold up no others.

use crate::gate::Gate;
use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::stuck::{Full, Stuck};
use crate::support::*;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY => {
        submit_returns_while_the_disk_waits,
        submit_returns_while_streams_wait,
        streams_do_not_hold_up_the_disk,
        waiting_operations_do_not_hold_up_streams,
    }
    Plan::PLAIN => { slow_operations_do_not_hold_up_the_rest }
}

fn submit_returns_while_the_disk_waits(case: &Case) {
    let Some(mut gate) = Gate::new() else { return };
    let file = gate.file();
    let fd = file.as_raw_fd();
    let (mut room, data) = (vec![0; 4096], vec![b'w'; 4096]);
    let (into, from) = ([ops::iovec(&room)], [ops::iovec(&data)]);
    let waiting = [
        (ops::read(fd, &mut room, 0), 4096),
        (ops::readv(fd, &into, 78 << 12), 4096),
        (ops::write(fd, &data, 0), 4096),
        (ops::writev(fd, &from, 8192), 4096),
        (ops::fsync(fd), 0),
        (ops::fdsync(fd), 0),
        (ops::read(fd, &mut room, 147 << 12).full(), 4096),
    ];
    let ctx = case.ctx();
    for (op, result) in waiting {
        // Submit returns although the operation cannot end yet.
        ctx.accept(&[op.tag(1)]);
        gate.await_held();
        assert_eq!(ctx.poll(1), [], "opcode {}", op.opcode);
        gate.go();
        assert_eq!(ctx.collect(1), [Event { user_data: 1, result }], "opcode {}", op.opcode);
    }
    assert_eq!(room, vec![b'g'; 4096]);
}

fn submit_returns_while_streams_wait(case: &Case) {
    let full = Full::pipe();
    let kinds = Stuck::kinds();
    let ctx = case.ctx();
    for (tag, stuck) in kinds.iter().enumerate() {
        ctx.accept(&[stuck.read().tag(tag as u64), stuck.read().full().tag(10 + tag as u64)]);
    }
    ctx.accept(&[ops::write(full.fd(), b"x", CAIO_OFFSET_CURRENT).tag(20)]);
    assert_eq!(ctx.run_beside(ops::nop()), 0);
    full.drain(4096);
    assert_eq!(ctx.collect(1), [Event { user_data: 20, result: 1 }]);
    assert_eq!(ctx.cancel_all(), 6);
    assert_eq!(results(&ctx.collect(6)), [-ECANCELED; 6]);
}

/// Disk operations proceed however many operations wait for pipes and sockets, even with one worker thread.
fn streams_do_not_hold_up_the_disk(case: &Case) {
    const MANY: usize = 64;
    let file = case.dir.cold("file", 1 << 20);
    let (fd, mut room) = (file.as_raw_fd(), vec![0; 65536]);
    let (name, made) = (case.dir.c("file"), case.dir.c("made"));
    let mut stat = sys::statx_room();
    let (pipes, sockets): (Vec<Stuck>, Vec<Stuck>) = (0..MANY).map(|_| (Stuck::pipe(), Stuck::socket())).unzip();
    let fulls: Vec<Full> = (0..MANY).map(|_| Full::pipe()).collect();
    let ctx = case.ctx();
    for stuck in pipes.iter().chain(&sockets) {
        ctx.accept(&[stuck.read()]);
    }
    for full in &fulls {
        ctx.accept(&[ops::write(full.fd(), b"x", CAIO_OFFSET_CURRENT)]);
    }
    assert_eq!(ctx.run_beside(ops::read(fd, &mut room, 100_000)), 65536);
    assert!(room == pattern(1 << 20)[100_000..165_536]);
    for (op, result) in [
        (ops::read(fd, &mut room, 500_000).full(), 65536),
        (ops::write(fd, &room, 0), 65536),
        (ops::read(fd, &mut room[..5], CAIO_OFFSET_CURRENT), 5),
        (ops::fsync(fd), 0),
        (ops::fdsync(fd), 0),
        (op(CAIO_OP_ALLOCATE, fd).len(4096), 0),
        (ops::truncate(fd, 1 << 20), 0),
        (ops::statx(libc::AT_FDCWD, &name, &mut stat), 0),
        (ops::mkdirat(libc::AT_FDCWD, &made, 0o700), 0),
        (ops::close(-1), -EBADF),
    ] {
        assert_eq!(ctx.run_beside(op), result, "opcode {}", op.opcode);
    }
    assert_eq!(ctx.cancel_all() as usize, 3 * MANY);
    assert!(ctx.collect(3 * MANY).iter().all(|event| event.result == -ECANCELED));
}

/// Chain members that have not started occupy no thread.
fn waiting_operations_do_not_hold_up_streams(case: &Case) {
    let (stuck, other) = (Stuck::pipe(), Stuck::pipe());
    let file = case.dir.file("file", &pattern(100));
    let mut room = [0; 10];
    let ctx = case.ctx();
    for _ in 0..100 {
        ctx.accept(&[stuck.byte().link(), ops::nop()]);
    }
    ctx.accept(&[other.read().tag(7)]);
    assert_eq!(ctx.run_beside(ops::read(file.as_raw_fd(), &mut room, 0)), 10);
    other.feed(3);
    assert_eq!(ctx.collect(1), [Event { user_data: 7, result: 3 }]);
    assert_eq!(ctx.cancel_fd(stuck.fd()), 100, "the reads, but not the NOPs");
    assert_eq!(ctx.collect(200).len(), 200);
}

/// Blocked opens and slow syncs do not starve reads and writes of a file.
fn slow_operations_do_not_hold_up_the_rest(case: &Case) {
    const SLOW: usize = 16;
    let Some(mut gate) = Gate::new() else { return };
    let slow: Vec<_> = (0..SLOW).map(|_| gate.file()).collect();
    let file = case.dir.cold("file", 1 << 20);
    let fifo = case.dir.c("fifo");
    sys::make_fifo(&fifo);
    let mut room = vec![0; 65536];
    let ctx = Ctx::new(&caio_options { threads: 4, ..case.options() });
    for slow in &slow {
        ctx.accept(&[ops::openat(libc::AT_FDCWD, &fifo, libc::O_RDONLY, 0).tag(2)]);
        ctx.accept(&[ops::fsync(slow.as_raw_fd()).tag(1)]);
    }
    gate.await_held();
    assert_eq!(ctx.run_beside(ops::read(file.as_raw_fd(), &mut room, 0)), 65536);
    assert_eq!(ctx.run_beside(ops::write(file.as_raw_fd(), &room, 4096)), 65536);
    // Let the opens and the syncs end. The kernel makes one sync after the other.
    let other_end = sys::open(&fifo, libc::O_RDWR);
    let mut events = Vec::new();
    until("all is done", || {
        gate.go();
        events.extend(ctx.poll(64));
        events.len() == 2 * SLOW
    });
    for Event { user_data, result } in events {
        assert!(if user_data == 1 { result == 0 } else { result >= 0 }, "{user_data}: {result}");
        assert!(user_data == 1 || sys::plain(&ops::close(result as i32)) == 0);
    }
    drop(other_end);
}
