//! Promise 7: an operation after one with LINK starts only after that one has succeeded in full.

use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::ops::chain;
use crate::support::stuck::Stuck;
use crate::support::*;
use std::os::fd::{AsRawFd, IntoRawFd};

crate::promises! {
    Plan::EVERY => {
        run_in_order,
        link_every_opcode,
        break_on_failure,
        break_on_every_kind_of_error,
        break_on_short_transfer,
        break_at_end_of_file_with_full,
        continue_after_an_empty_transfer,
        continue_after_a_transfer_in_full,
        do_not_start_a_member_early,
        signal_a_step_before_a_slow_one,
        of_one_call_are_independent,
        of_max_requests_operations_work,
        leave_a_cancelled_close_open,
    }
    Plan::FOLDERS => { write_then_read_back, break_on_short_cold_read }
}

/// Each directory is created inside the previous one.
fn run_in_order(case: &Case) {
    let ctx = case.ctx();
    for length in [2, 3, 7, 16] {
        let mut paths = vec![case.dir.c(&format!("chain{length}"))];
        for depth in 1..length {
            let inner = format!("{}/{depth}", paths[depth - 1].to_str().unwrap());
            paths.push(std::ffi::CString::new(inner).unwrap());
        }
        let made: Vec<caio_op> = paths.iter().map(|path| ops::mkdirat(libc::AT_FDCWD, path, 0o700)).collect();
        assert_eq!(ctx.run(&chain(&made)), vec![0; length], "a chain of {length}");
        let gone: Vec<caio_op> =
            paths.iter().rev().map(|path| ops::unlinkat(libc::AT_FDCWD, path).sys(libc::AT_REMOVEDIR.into())).collect();
        assert_eq!(ctx.run(&chain(&gone)), vec![0; length], "and back");
    }
}

fn link_every_opcode(case: &Case) {
    let (name, folder, moved) = (case.dir.c("file"), case.dir.c("folder"), case.dir.c("moved"));
    let file = case.dir.file("file", b"");
    let (fd, closing) = (file.as_raw_fd(), sys::dup(file.as_raw_fd()));
    let (data, mut back, again) = (pattern(300), vec![0; 200], vec![0; 100]);
    let mut stat = sys::statx_room();
    let (out, into) = ([ops::iovec(&data[..100]), ops::iovec(&data[100..])], [ops::iovec(&again)]);
    let ctx = case.ctx();
    let results = ctx.run(&chain(&[
        ops::nop(),
        ops::truncate(fd, 1000),
        op(CAIO_OP_ALLOCATE, fd).len(2000),
        ops::writev(fd, &out, 0),
        ops::write(fd, &data[..50], 300),
        ops::fsync(fd),
        ops::fdsync(fd),
        op(CAIO_OP_SYNC_RANGE, fd).len(100).sys(libc::SYNC_FILE_RANGE_WRITE.into()),
        ops::read(fd, &mut back, 0),
        ops::readv(fd, &into, 200),
        ops::statx(libc::AT_FDCWD, &name, &mut stat),
        ops::mkdirat(libc::AT_FDCWD, &folder, 0o700),
        ops::renameat(libc::AT_FDCWD, &folder, &moved),
        ops::unlinkat(libc::AT_FDCWD, &moved).sys(libc::AT_REMOVEDIR.into()),
        ops::close(closing.into_raw_fd()),
        ops::openat(libc::AT_FDCWD, &name, libc::O_RDONLY | libc::O_CLOEXEC, 0),
        ops::nop(),
    ]));
    assert_eq!(results[..15], [0, 0, 0, 300, 50, 0, 0, 0, 200, 100, 0, 0, 0, 0, 0]);
    assert!(results[15] >= 0, "openat: {}", results[15]);
    assert_eq!(results[16], 0);
    assert_eq!(sys::plain(&ops::close(results[15] as i32)), 0);
    assert_eq!((&back[..], &again[..]), (&data[..200], &data[200..]));
    assert_eq!(stat.stx_size, 2000);
}

fn break_on_failure(case: &Case) {
    let (missing, never) = (case.dir.c("missing"), case.dir.c("never"));
    let ctx = case.ctx();
    for failing in 0..4 {
        let mut ops = vec![ops::nop(); 4];
        ops[failing] = ops::unlinkat(libc::AT_FDCWD, &missing);
        ops.push(ops::mkdirat(libc::AT_FDCWD, &never, 0o700));
        let mut expected = vec![0; failing];
        expected.push(-ENOENT);
        expected.resize(5, -ECANCELED);
        assert_eq!(ctx.run(&chain(&ops)), expected);
        assert!(!case.dir.join("never").exists(), "a cancelled operation never ran");
    }
}

/// Errors found before the operation starts (bad memory, bad descriptor) break a chain like any other error.
fn break_on_every_kind_of_error(case: &Case) {
    let file = case.dir.file("file", b"content");
    let (reader, _writer) = sys::pipe();
    let fd = file.as_raw_fd();
    let mut room = [0; 4];
    let failing = [
        (ops::fsync(-1), libc::EBADF),
        (ops::read(-1, &mut room, 0), libc::EBADF),
        (ops::read(reader.as_raw_fd(), &mut room, 0), libc::ESPIPE),
        (ops::read(fd, &mut room, 0).buf(sys::nowhere()), libc::EFAULT),
        (ops::mkdirat(libc::AT_FDCWD, c"", 0), libc::ENOENT),
        (op(CAIO_OP_MKDIRAT, libc::AT_FDCWD), libc::EFAULT),
        (ops::read(fd, &mut room, u64::MAX - 1), libc::EINVAL),
        (ops::close(-1), libc::EBADF),
    ];
    let ctx = case.ctx();
    for (op, errno) in failing {
        let results = ctx.run(&chain(&[ops::nop(), op, ops::nop()]));
        assert_eq!(results, [0, -i64::from(errno), -ECANCELED], "opcode {}", op.opcode);
    }
}

fn break_on_short_transfer(case: &Case) {
    let file = case.dir.file("file", &pattern(50));
    let (reader, writer) = sys::pipe_with(libc::O_CLOEXEC | libc::O_NONBLOCK);
    let stuck = Stuck::pipe();
    let (mut room, mut part) = (vec![0; 100], [0; 20]);
    let big = vec![1; sys::pipe_size(&writer) + 1];
    let vector = [ops::iovec(&room[..60]), ops::iovec(&room[60..])];
    let ctx = case.ctx();
    let short = [
        (ops::readv(file.as_raw_fd(), &vector, 0), 50),
        (ops::read(file.as_raw_fd(), &mut room, 0), 50),
        (ops::read(file.as_raw_fd(), &mut part, 40), 10),
        (ops::read(file.as_raw_fd(), &mut part, 50), 0),
        (ops::write(writer.as_raw_fd(), &big, u64::MAX), big.len() as i64 - 1),
        (stuck.read(), 3),
    ];
    stuck.feed(3);
    for (op, moved) in short {
        let results = ctx.run(&chain(&[op, ops::nop(), ops::nop()]));
        assert_eq!(results, [moved, -ECANCELED, -ECANCELED], "a short transfer is not in full");
    }
    drop(reader);
}

fn break_at_end_of_file_with_full(case: &Case) {
    let file = case.dir.file("file", &pattern(50));
    let (reader, writer) = sys::pipe();
    sys::write_all(&writer, b"abc");
    drop(writer);
    let mut room = [0; 60];
    let ctx = case.ctx();
    for (op, moved) in [
        (ops::read(file.as_raw_fd(), &mut room, 0), 50),
        (ops::read(file.as_raw_fd(), &mut room, 50), 0),
        (ops::read(reader.as_raw_fd(), &mut room, u64::MAX), 3),
        (ops::read(reader.as_raw_fd(), &mut room, u64::MAX), 0),
    ] {
        assert_eq!(ctx.run(&chain(&[op.full(), ops::nop()])), [moved, -ECANCELED]);
    }
}

fn continue_after_an_empty_transfer(case: &Case) {
    let file = case.dir.file("file", b"");
    let (fd, none) = (file.as_raw_fd(), &mut []);
    let ctx = case.ctx();
    let ops = [
        ops::read(fd, none, 0),
        ops::write(fd, none, 0),
        ops::readv(fd, &[], 0),
        ops::writev(fd, &[], 0),
        ops::read(fd, none, 7).full(),
        ops::nop(),
    ];
    assert_eq!(ctx.run(&chain(&ops)), [0; 6], "an empty transfer is in full");
}

fn continue_after_a_transfer_in_full(case: &Case) {
    let file = case.dir.file("file", &pattern(50));
    let stuck = Stuck::pipe();
    let mut room = [0; 50];
    let ctx = case.ctx();
    let ops = [ops::read(file.as_raw_fd(), &mut room, 0).full(), stuck.read().full(), ops::nop()];
    let ops: Vec<caio_op> = chain(&ops).iter().enumerate().map(|(at, op)| op.tag(at as u64)).collect();
    ctx.accept(&ops);
    assert_eq!(ctx.collect(1)[0].result, 50);
    for _ in 0..4 {
        stuck.feed(16);
    }
    let mut rest = ctx.collect(2);
    rest.sort();
    assert_eq!(results(&rest), [64, 0]);
}

fn do_not_start_a_member_early(case: &Case) {
    let (stuck, (reader, writer)) = (Stuck::pipe(), sys::pipe());
    let name = case.dir.c("late");
    let ctx = case.ctx();
    let ops = chain(&[
        stuck.byte().tag(1),
        ops::write(writer.as_raw_fd(), b"x", u64::MAX).tag(2),
        ops::mkdirat(libc::AT_FDCWD, &name, 0o700).tag(3),
    ]);
    ctx.accept(&ops);
    // Other operations complete meanwhile.
    for _ in 0..20 {
        ctx.accept(&[ops::nop().tag(9)]);
        assert_eq!(ctx.collect(1)[0].user_data, 9);
    }
    assert_eq!(sys::waiting(&reader), 0, "the second member waits for the first");
    assert!(!case.dir.join("late").exists());
    stuck.feed(1);
    let mut events = ctx.collect(3);
    events.sort();
    assert_eq!(results(&events), [1, 1, 0]);
    assert_eq!(sys::waiting(&reader), 1);
}

/// Readiness for an intermediate step may lag by up to 1 ms, but it comes, even after many short chains.
fn signal_a_step_before_a_slow_one(case: &Case) {
    const QUICK: usize = 100;
    let fifo = case.dir.c("fifo");
    sys::make_fifo(&fifo);
    let file = case.dir.file("steps", b"");
    let ctx = case.ctx();
    let write = |tag| ops::write(file.as_raw_fd(), b"step", 0).tag(tag);
    // The open waits for a writer.
    let open = ops::openat(libc::AT_FDCWD, &fifo, libc::O_RDONLY | libc::O_CLOEXEC, 0).tag(2);
    for _ in 0..10 {
        let quick: Vec<caio_op> = (0..QUICK).flat_map(|_| chain(&[write(0), write(0)])).collect();
        ctx.accept(&quick);
        ctx.collect(quick.len());
        ctx.accept(&chain(&[write(1), open]));
        until("the descriptor is readable for the write", || ctx.readable());
        assert_eq!(ctx.poll(8), [Event { user_data: 1, result: 4 }]);
        let _other_end = sys::open(&fifo, libc::O_RDWR);
        assert_eq!(sys::plain(&ops::close(ctx.collect(1)[0].result as i32)), 0);
    }
}

/// A broken chain affects neither other chains nor single operations.
fn of_one_call_are_independent(case: &Case) {
    let missing = case.dir.c("missing");
    let ctx = case.ctx();
    let bad = ops::unlinkat(libc::AT_FDCWD, &missing);
    let (mut ops, mut expected) = (Vec::new(), Vec::new());
    // Lengths from 1 to 6, each broken at a different member.
    for number in 0..60 {
        let length = number % 6 + 1;
        let broken = number % 7;
        for at in 0..length {
            let op = if at == broken { bad } else { ops::nop() };
            ops.push(if at + 1 < length { op.link() } else { op });
            expected.push(if at < broken {
                0
            } else if at == broken {
                -ENOENT
            } else {
                -ECANCELED
            });
        }
    }
    assert_eq!(ctx.run(&ops), expected);
}

fn of_max_requests_operations_work(case: &Case) {
    for max in [1, 2, 33, 512] {
        let ctx = case.ctx_of(max);
        assert_eq!(ctx.run(&chain(&vec![ops::nop(); max as usize])), vec![0; max as usize]);
        let mut ops = vec![ops::nop(); max as usize];
        ops[0] = ops::fsync(-1);
        let results = ctx.run(&chain(&ops));
        assert_eq!(results[0], -EBADF);
        assert!(results[1..].iter().all(|result| *result == -ECANCELED));
    }
}

fn leave_a_cancelled_close_open(case: &Case) {
    let (reader, _writer) = sys::pipe();
    let ctx = case.ctx();
    assert_eq!(ctx.run(&chain(&[ops::fsync(-1), ops::close(reader.as_raw_fd())])), [-EBADF, -ECANCELED]);
    assert_eq!(sys::waiting(&reader), 0, "still open");
}

fn write_then_read_back(case: &Case) {
    let file = case.dir.cold("file", 1 << 20);
    let fd = file.as_raw_fd();
    let ctx = case.ctx();
    for at in 0..16u64 {
        let (data, mut back) = (vec![at as u8 + 100; 8192], vec![0; 8192]);
        let offset = at * 65536 + 2048;
        let ops = [ops::write(fd, &data, offset), ops::fdsync(fd), ops::read(fd, &mut back, offset), ops::fsync(fd)];
        assert_eq!(ctx.run(&chain(&ops)), [8192, 0, 8192, 0]);
        assert!(back == data, "a linked read sees what the write before it wrote");
    }
}

fn break_on_short_cold_read(case: &Case) {
    let file = case.dir.cold("file", 300_000);
    let (mut room, mut tail) = (vec![0; 65536], vec![0; 65536]);
    let ctx = case.ctx();
    let ops =
        [ops::read(file.as_raw_fd(), &mut room, 100_000), ops::read(file.as_raw_fd(), &mut tail, 299_000), ops::nop()];
    assert_eq!(ctx.run(&chain(&ops)), [65536, 1000, -ECANCELED], "short only at the end of the file");
    assert!(room == pattern(300_000)[100_000..165_536]);
}
