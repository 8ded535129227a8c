//! COPY_RANGE, SENDFILE and SPLICE to and from pipes and sockets: they wait without a worker thread, and can be stopped.

use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::*;
use std::os::fd::{AsRawFd, OwnedFd};

const SIZE: usize = 3 << 20;
const ECANCELED: i64 = -(libc::ECANCELED as i64);
const EAGAIN: i64 = -(libc::EAGAIN as i64);

crate::promises! {
    Plan::PLAIN => {
        full_moves_all_as_the_reader_takes_it,
        moves_what_fits,
        a_cancel_and_a_timeout_stop_the_wait,
        a_stopped_copy_reports_the_bytes_that_it_sent,
        free_does_not_wait,
        a_nonblocking_destination_yields_eagain,
        a_pipe_is_spliced_to_anything,
        a_chain_goes_on_after_the_wait,
        a_gone_reader_is_an_error,
        a_splice_to_a_socket_moves_what_the_pipe_has,
        bad_lengths_and_offsets_fail_as_the_plain_call,
        a_length_of_0_is_as_the_plain_call,
    }
    Plan::PLAIN.alone() => { waits_without_a_worker }
}

/// The destinations: a name, the end that is read, and the end that is written to.
fn streams() -> [(&'static str, OwnedFd, OwnedFd); 3] {
    let ((reader, writer), (one, other)) = (sys::pipe(), sys::socketpair());
    let (far, near) = tcp();
    [("a pipe", reader, writer), ("a socket", one, other), ("a TCP socket", far, near)]
}

fn tcp() -> (OwnedFd, OwnedFd) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket on the loopback interface");
    let near = std::net::TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    (listener.accept().expect("a connection").0.into(), near.into())
}

fn copy(opcode: u8, from: &impl AsRawFd, to: &impl AsRawFd, len: usize) -> caio_op {
    op(opcode, from.as_raw_fd()).mode(to.as_raw_fd() as u32).len(len as u64)
}

/// Fills a pipe or a local socket, so that nothing more fits. A TCP socket has room again in a moment.
fn fill(to: &impl AsRawFd) {
    let fd = to.as_raw_fd();
    // SAFETY: no memory involved.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    sys::set_nonblocking(fd);
    for piece in [1 << 16, 1] {
        let bytes = vec![0u8; piece];
        // SAFETY: a live buffer.
        while unsafe { libc::write(fd, bytes.as_ptr().cast(), piece) } > 0 {}
    }
    // SAFETY: no memory involved.
    assert_eq!(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }, 0);
}

const BOTH: [u8; 2] = [CAIO_OP_SENDFILE, CAIO_OP_COPY_RANGE];

fn full_moves_all_as_the_reader_takes_it(case: &Case) {
    let from = case.dir.file("from", &pattern(SIZE));
    for opcode in BOTH {
        for (what, reader, writer) in streams() {
            let ctx = case.ctx();
            ctx.accept(&[copy(opcode, &from, &writer, SIZE).full()]);
            let mut got = vec![0; SIZE];
            assert_eq!(sys::read_all(&reader, &mut got), SIZE, "{what}");
            assert_eq!(ctx.collect(1)[0].result, SIZE as i64, "{what}");
            assert!(got == pattern(SIZE), "{what}, opcode {opcode}");
        }
    }
}

/// Without FULL, a copy to an empty stream completes without a reader.
fn moves_what_fits(case: &Case) {
    let from = case.dir.file("from", &pattern(SIZE * 4));
    let seek = |to: u64| op(CAIO_OP_SEEK, from.as_raw_fd()).at(to);
    for opcode in BOTH {
        for (what, reader, writer) in streams() {
            let ctx = case.ctx();
            ctx.one(seek(7));
            let moved = ctx.one(copy(opcode, &from, &writer, SIZE * 4 - 7).current());
            assert!(moved > 4096, "{what}: {moved}");
            assert_eq!(ctx.one(seek(0).sys(libc::SEEK_CUR.into())), 7 + moved, "{what}: what was read was written");
            let mut got = vec![0; moved as usize];
            assert_eq!(sys::read_all(&reader, &mut got), moved as usize);
            assert!(got == pattern(SIZE * 4)[7..7 + moved as usize], "{what}");
        }
    }
}

/// The waits of each kind: a name, the operation, and the descriptors that must stay open.
fn waits(from: &std::fs::File) -> Vec<(String, caio_op, Vec<OwnedFd>)> {
    let mut all = Vec::new();
    for opcode in if POSIX { &BOTH[..] } else { &[CAIO_OP_SENDFILE, CAIO_OP_COPY_RANGE, CAIO_OP_SPLICE] } {
        let opcode = *opcode;
        for (what, reader, writer) in streams() {
            if what == "a pipe" || what == "a socket" && opcode != CAIO_OP_SPLICE {
                fill(&writer);
                all.push((
                    format!("opcode {opcode} to {what}"),
                    copy(opcode, from, &writer, 100),
                    vec![reader, writer],
                ));
            }
        }
    }
    if POSIX {
        return all;
    }
    for (what, reader, writer) in streams() {
        let (pipe, end) = sys::pipe();
        let from_stream = copy(CAIO_OP_SPLICE, &reader, &end, 100).current();
        all.push((format!("SPLICE from {what}"), from_stream, vec![reader, writer, pipe, end]));
    }
    let (pipe, end) = sys::pipe();
    sys::write_all(&end, b"x");
    let (one, other) = sys::socketpair();
    fill(&other);
    all.push((
        "SPLICE to a socket".to_owned(),
        copy(CAIO_OP_SPLICE, &pipe, &other, 1).current(),
        vec![pipe, end, one, other],
    ));
    all
}

fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a live struct.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn waits_without_a_worker(case: &Case) {
    let from = case.dir.file("from", &pattern(100));
    let ctx = Ctx::new(&caio_options { threads: 1, ..case.options() });
    let waits = waits(&from);
    for (what, op, _) in &waits {
        ctx.accept(&[*op]);
        assert_eq!(ctx.run_beside(ops::fsync(-1)), -i64::from(libc::EBADF), "{what}: the only worker thread is free");
    }
    let before = cpu_time();
    assert_eq!(ctx.wait(1, 1, 200_000_000), Ok(vec![]));
    let used = cpu_time() - before;
    assert!(used < Duration::from_millis(100), "waiting uses no CPU: {used:?}");
    ctx.cancel_all();
    assert!(ctx.collect(waits.len()).iter().all(|event| event.result == ECANCELED));
}

fn a_cancel_and_a_timeout_stop_the_wait(case: &Case) {
    let from = case.dir.file("from", &pattern(100));
    let ctx = case.ctx();
    for (what, op, _) in waits(&from) {
        for op in [op, op.full()] {
            ctx.accept(&[op.tag(5)]);
            assert_eq!(ctx.wait(1, 1, 5_000_000), Ok(vec![]), "{what}");
            assert_eq!(ctx.cancel(5), 1, "{what}");
            assert_eq!(ctx.collect(1)[0].result, ECANCELED, "{what}");
            assert_eq!(ctx.one(op.timeout(Duration::from_millis(5))), -i64::from(libc::ETIMEDOUT), "{what}");
            ctx.accept(&[op]);
            assert_eq!(ctx.cancel_fd(op.fd), 1, "{what}");
            assert_eq!(ctx.collect(1)[0].result, ECANCELED, "{what}");
        }
    }
}

fn a_stopped_copy_reports_the_bytes_that_it_sent(case: &Case) {
    let from = case.dir.file("from", &pattern(SIZE * 4));
    for (what, reader, writer) in streams() {
        let ctx = case.ctx();
        let ops = ops::chain(&[copy(CAIO_OP_SENDFILE, &from, &writer, SIZE * 4).full().tag(1), ops::nop().tag(2)]);
        ctx.accept(&ops);
        assert!(sys::readable(reader.as_raw_fd(), None));
        assert_eq!(ctx.wait(1, 1, 50_000_000), Ok(vec![]), "{what}: there is more");
        assert_eq!(ctx.cancel(1), 1);
        let mut events = ctx.collect(2);
        events.sort();
        let (moved, behind) = (events[0].result, events[1].result);
        assert!(moved > 0 && behind == ECANCELED, "{what}: {events:?}");
        let mut got = vec![0; moved as usize];
        assert_eq!(sys::read_all(&reader, &mut got), moved as usize);
        assert!(got == pattern(moved as usize), "{what}");
        assert!(!sys::readable(reader.as_raw_fd(), Some(Duration::ZERO)), "{what}: no more than that was sent");
    }
}

fn free_does_not_wait(case: &Case) {
    let from = case.dir.file("from", &pattern(100));
    for (_, op, _kept) in waits(&from) {
        for pause in [0, 5_000_000] {
            let ctx = case.ctx();
            ctx.accept(&[op, op.full()]);
            assert_eq!(ctx.wait(1, 1, pause), Ok(vec![]));
            drop(ctx);
        }
    }
}

fn a_nonblocking_destination_yields_eagain(case: &Case) {
    let from = case.dir.file("from", &pattern(SIZE * 4));
    let ctx = case.ctx();
    for (what, _reader, writer) in streams() {
        sys::set_nonblocking(writer.as_raw_fd());
        let copy = copy(CAIO_OP_SENDFILE, &from, &writer, SIZE * 4);
        assert!(ctx.one(copy.full()) > 4096, "{what}");
        if what != "a TCP socket" {
            fill(&writer);
            assert_eq!((ctx.one(copy), ctx.one(copy.full())), (EAGAIN, EAGAIN), "{what}");
        }
    }
    if POSIX {
        return;
    }
    let (reader, writer) = sys::pipe();
    let (_pipe, end) = sys::pipe();
    let splice = copy(CAIO_OP_SPLICE, &reader, &end, 10).current();
    assert_eq!(ctx.one(splice.sys(libc::SPLICE_F_NONBLOCK.into())), EAGAIN);
    drop(writer);
    assert_eq!(ctx.one(splice), 0, "the end of the pipe");
}

fn a_pipe_is_spliced_to_anything(case: &Case) {
    if POSIX {
        return;
    }
    let ctx = case.ctx();
    let bytes = pattern(200_000);
    for (what, reader, writer) in streams() {
        let (pipe, end) = sys::pipe();
        ctx.accept(&[copy(CAIO_OP_SPLICE, &pipe, &writer, bytes.len()).current().full()]);
        let mut got = vec![0; bytes.len()];
        std::thread::scope(|scope| {
            scope.spawn(|| sys::write_all(&end, &bytes));
            assert_eq!(sys::read_all(&reader, &mut got), bytes.len(), "{what}");
        });
        assert_eq!(ctx.collect(1)[0].result, bytes.len() as i64);
        assert!(got == bytes, "{what}");
    }
}

fn a_chain_goes_on_after_the_wait(case: &Case) {
    let from = case.dir.file("from", &pattern(1000));
    let ctx = case.ctx();
    let (one, other) = sys::socketpair();
    fill(&other);
    let ops =
        ops::chain(&[copy(CAIO_OP_SENDFILE, &from, &other, 1000).full(), ops::nop(), ops::fsync(from.as_raw_fd())]);
    ctx.accept(&ops.iter().enumerate().map(|(at, op)| op.tag(at as u64)).collect::<Vec<_>>());
    assert_eq!(ctx.wait(1, 1, 5_000_000), Ok(vec![]));
    let mut taken = vec![0; 4096];
    while ctx.stats().completed == 0 {
        if sys::readable(one.as_raw_fd(), Some(Duration::ZERO)) {
            sys::plain(&ops::read(one.as_raw_fd(), &mut taken, CAIO_OFFSET_CURRENT));
        }
    }
    let mut events = ctx.collect(3);
    events.sort();
    assert_eq!(results(&events), [1000, 0, 0]);
}

fn a_gone_reader_is_an_error(case: &Case) {
    // SAFETY: no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let from = case.dir.file("from", &pattern(100));
    let ctx = case.ctx();
    for (what, reader, writer) in streams().into_iter().take(2) {
        fill(&writer);
        ctx.accept(&[copy(CAIO_OP_SENDFILE, &from, &writer, 100)]);
        assert_eq!(ctx.wait(1, 1, 5_000_000), Ok(vec![]));
        drop(reader);
        assert_eq!(ctx.collect(1)[0].result, -i64::from(libc::EPIPE), "{what}");
    }
}

fn a_splice_to_a_socket_moves_what_the_pipe_has(case: &Case) {
    if POSIX {
        return;
    }
    let ctx = case.ctx();
    let ((reader, writer), (one, other)) = (sys::pipe(), sys::socketpair());
    sys::write_all(&writer, &pattern(20_000));
    assert_eq!(ctx.one(copy(CAIO_OP_SPLICE, &reader, &other, 30_000).current()), 20_000);
    let mut got = vec![0; 20_000];
    assert_eq!(sys::read_all(&one, &mut got), 20_000);
    assert!(got == pattern(20_000));
}

fn bad_lengths_and_offsets_fail_as_the_plain_call(case: &Case) {
    let (from, to) = (case.dir.file("from", &pattern(100)), case.dir.file("to", b""));
    let (_one, other) = sys::socketpair();
    let ctx = case.ctx();
    let einval = -i64::from(libc::EINVAL);
    let longest = |op: caio_op| op.len(u64::MAX);
    assert_eq!(ctx.one(longest(copy(CAIO_OP_SENDFILE, &from, &other, 0))), einval);
    assert_eq!(ctx.one(copy(CAIO_OP_SENDFILE, &case.dir.open(), &other, 0)), 0);
    assert_eq!(ctx.one(copy(CAIO_OP_COPY_RANGE, &from, &to, 0).buf2(&u64::MAX)), einval);
    assert_eq!(ctx.one(copy(CAIO_OP_COPY_RANGE, &from, &to, 100).at(i64::MAX as u64)), 0, "far behind the end");
    // On 32-bit systems, the library shortens lengths that the system call cannot take.
    if cfg!(target_pointer_width = "64") {
        assert_eq!(ctx.one(longest(copy(CAIO_OP_SENDFILE, &from, &to, 0))), einval);
        let overflow = longest(copy(CAIO_OP_COPY_RANGE, &from, &to, 0)).at(50);
        assert_eq!(ctx.one(overflow), -i64::from(libc::EOVERFLOW));
    }
}

fn a_length_of_0_is_as_the_plain_call(case: &Case) {
    // Elsewhere the library reads and writes, and no plain call copies from a pipe.
    if cfg!(any(caio_posix, not(target_os = "linux"))) {
        return;
    }
    let ((reader, writer), (one, other), (free, room)) = (sys::pipe(), sys::socketpair(), sys::pipe());
    let (file, directory) = (case.dir.file("file", &pattern(100)), case.dir.open());
    let only_writes = std::fs::File::options().write(true).open(case.dir.join("file")).expect("file");
    sys::write_all(&writer, b"data");
    let ctx = case.ctx();
    let sources: [&dyn AsRawFd; 7] = [&reader, &writer, &file, &only_writes, &directory, &one, &other];
    let destinations: [&dyn AsRawFd; 5] = [&room, &free, &other, &file, &directory];
    for (from, to) in sources.iter().flat_map(|from| destinations.iter().map(move |to| (from, to))) {
        let at_0 = op(CAIO_OP_SENDFILE, from.as_raw_fd()).mode(to.as_raw_fd() as u32);
        for op in [at_0, at_0.current()] {
            assert_eq!(
                ctx.one(op),
                sys::plain(&op),
                "{from:?} to {to:?} at {}",
                op.offset,
                from = from.as_raw_fd(),
                to = to.as_raw_fd()
            );
        }
    }
    let nothing = copy(CAIO_OP_SENDFILE, &reader, &room, 0).current();
    fill(&room);
    sys::set_nonblocking(room.as_raw_fd());
    assert_eq!([ctx.one(nothing), sys::plain(&nothing)], [EAGAIN; 2], "the pipe is full");
    drop(free);
    assert_eq!(ctx.one(nothing), -i64::from(libc::EPIPE), "the pipe has no reader");
}
