//! CAIO_OFFSET_CURRENT: the current position of a file, and streams, which have no position (promise 13).

use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::stuck::{Full, Stuck};
use crate::support::*;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY => {
        reads_move_the_position,
        writes_move_the_position,
        explicit_offsets_leave_the_position,
        vectors_move_the_position,
        writes_with_o_append_append,
        reads_of_streams_wait_for_data,
        writes_to_streams_move_what_fits,
        reads_of_ended_streams_return_0,
        nonblocking_streams_yield_eagain_at_once,
        records_of_parallel_operations_stay_whole,
        reads_of_a_pty_master_wait_for_data,
        one_read_takes_one_datagram,
        reads_of_pollable_descriptors_wait_for_data,
    }
    Plan::FOLDERS => { reads_at_the_position_cover_a_cold_file }
}

fn position(mut file: &File) -> u64 {
    file.stream_position().expect("lseek")
}

fn reads_move_the_position(case: &Case) {
    let mut file = case.dir.file("file", &pattern(1000));
    let fd = file.as_raw_fd();
    let mut room = [0; 300];
    let ctx = case.ctx();
    for (moved, start) in [(300, 0), (300, 300), (300, 600), (100, 900), (0, 1000)] {
        assert_eq!(ctx.one(ops::read(fd, &mut room, CAIO_OFFSET_CURRENT)), moved as i64);
        assert_eq!(room[..moved], pattern(1000)[start..start + moved]);
        assert_eq!(position(&file), (start + moved) as u64);
    }
    file.seek(SeekFrom::Start(500)).expect("lseek");
    assert_eq!(ctx.one(ops::read(fd, &mut room, CAIO_OFFSET_CURRENT).full()), 300);
    assert_eq!(room[..], pattern(1000)[500..800]);
    assert_eq!(ctx.one(ops::read(fd, &mut room, CAIO_OFFSET_CURRENT).full()), 200, "to the end of the file");
    assert_eq!(position(&file), 1000);
}

fn writes_move_the_position(case: &Case) {
    let mut file = case.dir.file("file", b"");
    let fd = file.as_raw_fd();
    let ctx = case.ctx();
    for (place, text) in [(0, "abc"), (3, "defg"), (7, "h")] {
        let op = ops::write(fd, text.as_bytes(), CAIO_OFFSET_CURRENT);
        assert_eq!(ctx.one(if place == 3 { op.full() } else { op }), text.len() as i64);
        assert_eq!(position(&file), (place + text.len()) as u64);
    }
    file.seek(SeekFrom::Start(1)).expect("lseek");
    assert_eq!(ctx.one(ops::write(fd, b"BC", CAIO_OFFSET_CURRENT)), 2);
    assert_eq!(case.dir.content("file"), b"aBCdefgh");
}

fn explicit_offsets_leave_the_position(case: &Case) {
    let mut file = case.dir.file("file", &pattern(1000));
    let fd = file.as_raw_fd();
    file.seek(SeekFrom::Start(77)).expect("lseek");
    let mut room = [0; 300];
    let vector = [ops::iovec(&room)];
    let ctx = case.ctx();
    let reading = [ops::read(fd, &mut room, 0), ops::read(fd, &mut room, 900).full(), ops::readv(fd, &vector, 5)];
    assert_eq!(ctx.run(&ops::chain(&reading[..1])), [300]);
    assert_eq!(ctx.one(reading[1]), 100);
    assert_eq!(ctx.one(reading[2]), 300);
    assert_eq!(ctx.run(&[ops::write(fd, b"x", 3), ops::writev(fd, &vector, 400).full()]), [1, 300]);
    assert_eq!(position(&file), 77);
}

fn vectors_move_the_position(case: &Case) {
    let file = case.dir.file("file", b"");
    let mut again = sys_dup(&file);
    let data = pattern(100);
    let parts = [ops::iovec(&data[..30]), ops::iovec(&data[30..30]), ops::iovec(&data[30..])];
    let ctx = case.ctx();
    assert_eq!(ctx.one(ops::writev(file.as_raw_fd(), &parts, CAIO_OFFSET_CURRENT)), 100);
    assert_eq!(position(&file), 100);
    // A dup(2) shares the position.
    again.seek(SeekFrom::Start(10)).expect("lseek");
    let (first, second) = ([0u8; 50], [0u8; 70]);
    let parts = [ops::iovec(&first), ops::iovec(&second)];
    assert_eq!(ctx.one(ops::readv(file.as_raw_fd(), &parts, CAIO_OFFSET_CURRENT)), 90);
    assert_eq!([&first[..], &second[..40]].concat(), data[10..]);
    assert_eq!(position(&again), 100);
}

fn sys_dup(file: &File) -> File {
    file.try_clone().expect("dup")
}

/// O_APPEND works as for pwrite(2): Linux ignores the offset.
fn writes_with_o_append_append(case: &Case) {
    case.dir.file("file", b"start");
    let fd = sys::open(&case.dir.c("file"), libc::O_RDWR | libc::O_APPEND);
    let ctx = case.ctx();
    for (offset, full) in
        [(0, false), (2, true), (100, false), (CAIO_OFFSET_CURRENT, false), (CAIO_OFFSET_CURRENT, true)]
    {
        let op = ops::write(fd.as_raw_fd(), b"+", offset);
        assert_eq!(ctx.one(if full { op.full() } else { op }), 1);
    }
    assert_eq!(case.dir.content("file"), b"start+++++");
    let ops: Vec<caio_op> = (0..100).map(|_| ops::write(fd.as_raw_fd(), b"*", 0)).collect();
    assert_eq!(ctx.run(&ops), [1; 100]);
    assert_eq!(case.dir.content("file"), [b"start+++++".as_slice(), &[b'*'; 100]].concat(), "each write appends");
}

fn reads_of_streams_wait_for_data(case: &Case) {
    for stuck in Stuck::kinds() {
        let ctx = case.ctx();
        ctx.accept(&[stuck.read()]);
        assert_eq!(ctx.run_beside(ops::nop()), 0);
        assert_eq!(ctx.poll(1), [], "no data yet");
        stuck.feed(7);
        assert_eq!(ctx.collect(1)[0].result, 7);
        assert_eq!(stuck.room()[..7], pattern(7));
        stuck.fill(9);
        assert_eq!(ctx.one(stuck.read()), 9, "available data is read at once");
        assert_eq!(ctx.one(ops::write(stuck.writer.as_raw_fd(), b"abc", CAIO_OFFSET_CURRENT)), 3);
        until("the written bytes are in the file", || stuck.waiting() == 3);
    }
}

/// A WRITE waits until something fits, then moves what fits.
fn writes_to_streams_move_what_fits(case: &Case) {
    let (reader, writer) = sys::pipe();
    let data = pattern(1 << 20);
    let ctx = case.ctx();
    let moved = ctx.one(ops::write(writer.as_raw_fd(), &data, CAIO_OFFSET_CURRENT));
    assert!(moved > 0 && moved < data.len() as i64, "a partial write without a reader: {moved}");
    assert_eq!(sys::waiting(&reader) as i64, moved);

    let full = Full::pipe();
    ctx.accept(&[ops::write(full.fd(), &data, CAIO_OFFSET_CURRENT)]);
    assert_eq!(ctx.run_beside(ops::nop()), 0);
    assert_eq!(ctx.poll(1), [], "nothing fits yet");
    full.drain(full.size);
    let moved = ctx.collect(1)[0].result;
    assert!(moved > 0 && moved < data.len() as i64, "{moved}");
    assert_eq!(full.drain(moved as usize), data[..moved as usize]);
    assert_eq!(sys::waiting(&full.reader), 0, "no byte beyond the result");
}

/// A pty master cannot be opened again: a second open creates another terminal.
fn reads_of_a_pty_master_wait_for_data(case: &Case) {
    let stuck = Stuck::controller();
    let ctx = case.ctx();
    ctx.accept(&[stuck.read()]);
    stuck.feed(7);
    assert_eq!(ctx.collect(1)[0].result, 7);
    ctx.accept(&[stuck.read().full()]);
    stuck.feed(20);
    stuck.await_taken(20);
    assert_eq!(ctx.cancel_all(), 1);
    assert_eq!(ctx.collect(1)[0].result, 20);
    ctx.accept(&[stuck.read(), stuck.read()]);
    assert_eq!(ctx.cancel_fd(stuck.fd()), 2);
    assert_eq!(results(&ctx.collect(2)), [-ECANCELED; 2]);
    sys::set_nonblocking(stuck.fd());
    assert_eq!(ctx.one(stuck.read()), -i64::from(libc::EAGAIN));
    stuck.fill(5);
    assert_eq!(ctx.one(stuck.read()), 5);
}

fn one_read_takes_one_datagram(case: &Case) {
    let (socket, peer) = sys::socketpair_of(libc::SOCK_DGRAM);
    let mut room = [0; 100];
    let read = ops::read(socket.as_raw_fd(), &mut room, CAIO_OFFSET_CURRENT);
    let ctx = case.ctx();
    for text in ["one", "second", ""] {
        ctx.accept(&[read.tag(1)]);
        assert_eq!(
            sys::plain(&op(CAIO_OP_WRITE, peer.as_raw_fd()).buf(text.as_ptr()).len(text.len() as u64).current()),
            text.len() as i64
        );
        assert_eq!(ctx.collect(1), [Event { user_data: 1, result: text.len() as i64 }]);
        assert_eq!(room[..text.len()], *text.as_bytes());
    }
    sys::write_all(&peer, b"whole");
    assert_eq!(ctx.one(read.len(0)), 0, "a read of nothing takes no datagram");
    assert_eq!(ctx.one(read), 5);
    assert_eq!(room[..5], *b"whole");
}

/// Descriptors other than files, pipes, sockets and terminals.
fn reads_of_pollable_descriptors_wait_for_data(case: &Case) {
    // SAFETY: live strings, and fresh descriptors.
    let (timer, watch) = unsafe {
        let timer = libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC);
        let watch = libc::inotify_init1(libc::IN_CLOEXEC);
        assert!(libc::inotify_add_watch(watch, case.dir.c("").as_ptr(), libc::IN_CREATE) >= 0);
        (sys::owned(timer.into()), sys::owned(watch.into()))
    };
    let counter = sys::eventfd(0);
    let mut rooms = [[0; 512]; 3];
    let ctx = case.ctx();
    let fds = [timer.as_raw_fd(), watch.as_raw_fd(), counter.as_raw_fd()];
    for (tag, (fd, room)) in fds.into_iter().zip(&mut rooms).enumerate() {
        ctx.accept(&[ops::read(fd, room, CAIO_OFFSET_CURRENT).tag(tag as u64)]);
    }
    assert_eq!(ctx.run_beside(ops::nop()), 0, "other operations proceed");
    sys::write_all(&counter, &7u64.to_ne_bytes());
    assert_eq!(ctx.collect(1), [Event { user_data: 2, result: 8 }]);
    assert_eq!(rooms[2][..8], 7u64.to_ne_bytes());
    case.dir.file("made", b"");
    let event = ctx.collect(1)[0];
    assert!(event.user_data == 1 && event.result >= size_of::<libc::inotify_event>() as i64, "{event:?}");
    let soon = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    let once = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: soon };
    // SAFETY: a live struct.
    assert_eq!(unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &once, std::ptr::null_mut()) }, 0);
    assert_eq!(ctx.collect(1), [Event { user_data: 0, result: 8 }]);
}

fn reads_of_ended_streams_return_0(case: &Case) {
    let ctx = case.ctx();
    for stuck in [Stuck::pipe(), Stuck::socket()] {
        ctx.accept(&[stuck.read()]);
        let Stuck { reader, writer, .. } = &stuck;
        let _ = reader;
        shut(writer.as_raw_fd());
        let mut room = [0; 8];
        assert_eq!(ctx.collect(1)[0].result, 0, "the write end is closed");
        assert_eq!(ctx.one(ops::read(stuck.fd(), &mut room, CAIO_OFFSET_CURRENT).full()), 0);
    }
}

/// Closes the only descriptor of an end of a pipe or socket, but keeps its number in use.
fn shut(fd: i32) {
    let null = sys::open(c"/dev/null", libc::O_RDWR);
    // SAFETY: no memory involved.
    assert_eq!(unsafe { libc::dup3(null.as_raw_fd(), fd, libc::O_CLOEXEC) }, fd);
}

fn nonblocking_streams_yield_eagain_at_once(case: &Case) {
    let eagain = -i64::from(libc::EAGAIN);
    let ctx = case.ctx();
    for stuck in Stuck::kinds() {
        sys::set_nonblocking(stuck.fd());
        assert_eq!(ctx.run(&[stuck.read(), stuck.read().full()]), [eagain; 2]);
        stuck.fill(5);
        assert_eq!(ctx.one(stuck.read()), 5);
    }
    let full = Full::pipe();
    sys::set_nonblocking(full.fd());
    let write = ops::write(full.fd(), b"x", CAIO_OFFSET_CURRENT);
    assert_eq!(ctx.run(&[write, write.full()]), [eagain; 2]);
}

/// Many operations at once, in no order: every record appears once, as with read(2) and write(2) in many threads.
fn records_of_parallel_operations_stay_whole(case: &Case) {
    const RECORDS: usize = 200;
    const SIZE: usize = 512;
    let file = case.dir.file("file", b"");
    let fd = file.as_raw_fd();
    let data: Vec<Vec<u8>> = (0..RECORDS).map(|number| vec![number as u8; SIZE]).collect();
    let ctx = case.ctx();
    let writes: Vec<caio_op> = data.iter().map(|record| ops::write(fd, record, CAIO_OFFSET_CURRENT)).collect();
    assert_eq!(ctx.run(&writes), [SIZE as i64; RECORDS]);
    assert_eq!(position(&file), (RECORDS * SIZE) as u64);
    let content = case.dir.content("file");
    assert_eq!(sorted(content.chunks(SIZE)), data, "written");
    (&file).seek(SeekFrom::Start(0)).expect("lseek");
    let mut rooms = vec![vec![0; SIZE]; RECORDS];
    let reads: Vec<caio_op> = rooms.iter_mut().map(|room| ops::read(fd, room, CAIO_OFFSET_CURRENT)).collect();
    assert_eq!(ctx.run(&reads), [SIZE as i64; RECORDS]);
    assert_eq!(sorted(rooms.iter().map(Vec::as_slice)), data, "read");
}

fn sorted<'a>(records: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut records: Vec<Vec<u8>> = records.map(<[u8]>::to_vec).collect();
    records.sort();
    records
}

fn reads_at_the_position_cover_a_cold_file(case: &Case) {
    const SIZE: usize = 200_000;
    let file = case.dir.cold("file", SIZE);
    let mut room = vec![0; 30_000];
    let ctx = case.ctx();
    let mut content = Vec::new();
    loop {
        let got = ctx.one(ops::read(file.as_raw_fd(), &mut room, CAIO_OFFSET_CURRENT));
        assert!(got >= 0, "read: {got}");
        if got == 0 {
            break;
        }
        assert!(got == 30_000 || content.len() + 30_000 > SIZE, "short only at the end: {got}");
        content.extend_from_slice(&room[..got as usize]);
    }
    assert!(content == pattern(SIZE));
}
