//! CAIO_FLAG_FULL: all of `len`, or end of file; and the result of a transfer that is stopped (promises 8 and 13).

use crate::support::case::Case;
use crate::support::files::pattern;
use crate::support::stuck::{Full, Stuck};
use crate::support::*;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY => {
        reads_all_of_a_stream,
        reads_a_stream_to_its_end,
        writes_all_to_a_stream,
        fills_vectors_from_several_pieces,
        writes_vectors_in_several_pieces,
        stops_at_the_end_of_a_file,
        yields_the_bytes_before_eagain,
        yields_the_bytes_when_cancelled,
        yields_the_bytes_when_timed_out,
        yields_the_bytes_when_the_reader_is_gone,
    }
    Plan::PLAIN => { breaks_its_chain_when_stopped }
    Plan::FOLDERS => { transfers_all_of_a_file, reads_every_byte_of_a_file_shorter_than_the_room }
}

const CURRENT: u64 = CAIO_OFFSET_CURRENT;

fn reads_all_of_a_stream(case: &Case) {
    for stuck in Stuck::kinds() {
        let ctx = case.ctx();
        ctx.accept(&[stuck.read().full()]);
        for piece in 0..4 {
            assert_eq!(ctx.poll(1), [], "{piece} pieces of 4 are not all");
            stuck.feed(16);
            until("the piece is taken", || stuck.waiting() == 0);
        }
        assert_eq!(ctx.collect(1)[0].result, 64);
        assert_eq!(stuck.room(), pattern(16).repeat(4));
    }
}

fn reads_a_stream_to_its_end(case: &Case) {
    let (reader, writer) = sys::pipe();
    let mut room = [0; 100];
    let ctx = case.ctx();
    ctx.accept(&[ops::read(reader.as_raw_fd(), &mut room, CURRENT).full()]);
    sys::write_all(&writer, &pattern(30));
    until("the piece is taken", || sys::waiting(&reader) == 0);
    drop(writer);
    assert_eq!(ctx.collect(1)[0].result, 30);
    assert_eq!(room[..30], pattern(30));
}

fn writes_all_to_a_stream(case: &Case) {
    let data = pattern(1 << 20);
    let ((pipe, into), (socket, peer)) = (sys::pipe(), sys::socketpair());
    for (reader, writer) in [(pipe, into), (socket, peer)] {
        let ctx = case.ctx();
        let mut got = vec![0; data.len()];
        ctx.accept(&[ops::write(writer.as_raw_fd(), &data, CURRENT).full()]);
        let drained = std::thread::scope(|scope| scope.spawn(|| sys::read_all(&reader, &mut got)).join());
        assert_eq!(drained.expect("the reader"), data.len());
        assert_eq!(ctx.collect(1)[0].result, data.len() as i64);
        assert!(got == data, "in order, and each byte once");
    }
}

fn fills_vectors_from_several_pieces(case: &Case) {
    let (reader, writer) = sys::pipe();
    let rooms = [vec![0; 5], vec![], vec![0; 1], vec![0; 40], vec![0; 14]];
    let parts: Vec<libc::iovec> = rooms.iter().map(|room| ops::iovec(room)).collect();
    let ctx = case.ctx();
    ctx.accept(&[ops::readv(reader.as_raw_fd(), &parts, CURRENT).full()]);
    for piece in pattern(60).chunks(13) {
        sys::write_all(&writer, piece);
        until("the piece is taken", || sys::waiting(&reader) == 0);
    }
    assert_eq!(ctx.collect(1)[0].result, 60);
    assert_eq!(rooms.concat(), pattern(60));
}

fn writes_vectors_in_several_pieces(case: &Case) {
    let full = Full::pipe();
    let data = pattern(300_000);
    let parts: Vec<libc::iovec> = data.chunks(7001).map(ops::iovec).collect();
    let ctx = case.ctx();
    ctx.accept(&[ops::writev(full.fd(), &parts, CURRENT).full()]);
    full.drain(full.size);
    assert!(full.drain(data.len()) == data);
    assert_eq!(ctx.collect(1)[0].result, data.len() as i64);
}

fn stops_at_the_end_of_a_file(case: &Case) {
    let file = case.dir.file("file", &pattern(5000));
    let mut room = vec![0; 9000];
    let rooms = [vec![0; 3000], vec![0; 3000]];
    let parts: Vec<libc::iovec> = rooms.iter().map(|room| ops::iovec(room)).collect();
    let fd = file.as_raw_fd();
    let ctx = case.ctx();
    for (offset, rest) in [(0, 5000), (4999, 1), (5000, 0), (1 << 40, 0)] {
        assert_eq!(ctx.one(ops::read(fd, &mut room, offset).full()), rest);
    }
    assert_eq!(ctx.one(ops::readv(fd, &parts, 100).full()), 4900);
    assert_eq!(rooms.concat()[..4900], pattern(5000)[100..]);
}

/// Bytes taken from a stream are never lost. The result is -EAGAIN only if no byte was moved.
fn yields_the_bytes_before_eagain(case: &Case) {
    let ctx = case.ctx();
    for stuck in Stuck::kinds() {
        sys::set_nonblocking(stuck.fd());
        stuck.fill(20);
        assert_eq!(ctx.one(stuck.read().full()), 20);
        assert_eq!(stuck.room()[..20], pattern(20));
        assert_eq!(ctx.one(stuck.read().full()), -i64::from(libc::EAGAIN));
    }
    let (reader, writer) = sys::pipe();
    sys::set_nonblocking(writer.as_raw_fd());
    let data = pattern(1 << 20);
    let moved = ctx.one(ops::write(writer.as_raw_fd(), &data, CURRENT).full());
    assert_eq!(moved as usize, sys::pipe_size(&writer));
    assert_eq!(sys::waiting(&reader) as i64, moved);
}

fn yields_the_bytes_when_cancelled(case: &Case) {
    for stuck in Stuck::kinds() {
        let ctx = case.ctx();
        ctx.accept(&[stuck.read().full().tag(5)]);
        stuck.feed(20);
        stuck.await_taken(20);
        assert_eq!(ctx.cancel(5), 1);
        assert_eq!(ctx.collect(1), [Event { user_data: 5, result: 20 }]);
        assert_eq!(stuck.room()[..20], pattern(20));
    }
    let (reader, writer) = sys::pipe();
    let (data, size) = (pattern(1 << 20), sys::pipe_size(&writer));
    let ctx = case.ctx();
    ctx.accept(&[ops::write(writer.as_raw_fd(), &data, CURRENT).full()]);
    until("the pipe is full", || sys::waiting(&reader) == size);
    assert_eq!(ctx.cancel_all(), 1);
    assert_eq!(ctx.collect(1)[0].result, size as i64);
    let mut got = vec![0; size];
    assert_eq!(sys::read_all(&reader, &mut got), size);
    assert!(got == data[..size] && sys::waiting(&reader) == 0, "the bytes of the result, and no more");
}

fn yields_the_bytes_when_timed_out(case: &Case) {
    let kinds = Stuck::kinds();
    let ctx = case.ctx();
    kinds.iter().for_each(|stuck| stuck.fill(20));
    let reads = kinds.each_ref().map(|stuck| stuck.read().full());
    assert_eq!(ctx.run(&reads.map(|read| read.timeout(Duration::from_millis(500)))), [20; 3]);
    assert!(kinds.iter().all(|stuck| stuck.room()[..20] == pattern(20)));
    assert_eq!(ctx.run(&reads.map(|read| read.timeout(Duration::from_millis(20)))), [-ETIMEDOUT; 3]);
}

fn breaks_its_chain_when_stopped(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    stuck.feed(20);
    let ops = [stuck.read().full().timeout(Duration::from_millis(500)), ops::nop(), ops::nop()];
    assert_eq!(ctx.run(&ops::chain(&ops)), [20, -ECANCELED, -ECANCELED]);
}

fn yields_the_bytes_when_the_reader_is_gone(case: &Case) {
    let (reader, writer) = sys::pipe();
    let (data, size) = (pattern(1 << 20), sys::pipe_size(&writer));
    let ctx = case.ctx();
    ctx.accept(&[ops::write(writer.as_raw_fd(), &data, CURRENT).full()]);
    until("the pipe is full", || sys::waiting(&reader) == size);
    drop(reader);
    assert_eq!(ctx.collect(1)[0].result, size as i64);
    assert_eq!(ctx.one(ops::write(writer.as_raw_fd(), &data, CURRENT).full()), -i64::from(libc::EPIPE));
}

fn transfers_all_of_a_file(case: &Case) {
    let data = pattern(3_000_000);
    let file = case.dir.file("file", b"");
    let fd = file.as_raw_fd();
    let ctx = case.ctx();
    assert_eq!(ctx.one(ops::write(fd, &data, 12_345).full()), data.len() as i64);
    let parts: Vec<libc::iovec> = data[..12_345].chunks(1000).map(ops::iovec).collect();
    assert_eq!(ctx.one(ops::writev(fd, &parts, 0).full()), 12_345);
    case.dir.cool(&file);
    let mut back = vec![0; 4_000_000];
    assert_eq!(ctx.one(ops::read(fd, &mut back, 12_345).full()), data.len() as i64);
    assert!(back[..data.len()] == data);
    case.dir.cool(&file);
    let parts: Vec<libc::iovec> = back.chunks(99_999).map(ops::iovec).collect();
    assert_eq!(ctx.one(ops::readv(fd, &parts, 0).full()), 3_012_345);
    assert!(back[..12_345] == data[..12_345] && back[12_345..3_012_345] == data);
}

/// A read across the end of a cached file stores as many bytes as it returns, wherever the end is, and no more.
fn reads_every_byte_of_a_file_shorter_than_the_room(case: &Case) {
    let ctx = case.ctx();
    for size in [1, 2, 64, 100, 128, 129, 4000, 4031, 4033, 8100, 8191] {
        let file = case.dir.file("file", &pattern(size));
        for beyond in [0, 1, 3, 31, 63, 64, 65, 127, 128, 129, 200] {
            for full in [false, true] {
                let mut room = vec![0xee; size + beyond + 8];
                let read = ops::read(file.as_raw_fd(), &mut room[..size + beyond], 0);
                let result = if full { ctx.one(read.full()) } else { ctx.one_polled(read) };
                assert_eq!(result, size as i64, "with {beyond} bytes of room beyond the end");
                assert_eq!(room[..size], pattern(size), "{size} bytes with {beyond} bytes of room beyond the end");
                assert!(room[size + beyond..].iter().all(|byte| *byte == 0xee), "nothing behind the room");
            }
        }
    }
}
