//! Operations that block until the test lets them continue.

use super::*;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// An empty descriptor: reads of it block until [`Stuck::feed`].
pub struct Stuck {
    pub reader: OwnedFd,
    pub writer: OwnedFd,
    room: Box<[u8; 64]>,
}

impl Stuck {
    pub fn pipe() -> Self {
        Self::of(sys::pipe())
    }

    pub fn socket() -> Self {
        Self::of(sys::socketpair())
    }

    pub fn terminal() -> Self {
        let (controller, terminal) = sys::terminal();
        Self::of((terminal, controller))
    }

    /// The pty master of a terminal.
    pub fn controller() -> Self {
        Self::of(sys::terminal())
    }

    /// One of each kind.
    pub fn kinds() -> [Self; 3] {
        [Self::pipe(), Self::socket(), Self::terminal()]
    }

    fn of((reader, writer): (OwnedFd, OwnedFd)) -> Self {
        Self { reader, writer, room: Box::new([0; 64]) }
    }

    pub fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    /// A read of up to 64 bytes that blocks. All reads share one buffer.
    pub fn read(&self) -> caio_op {
        op(CAIO_OP_READ, self.fd()).buf(self.room.as_ptr()).len(64).current()
    }

    /// A read of one byte that blocks. It succeeds in full when fed.
    pub fn byte(&self) -> caio_op {
        self.read().len(1)
    }

    /// Writes `count` bytes for the reads.
    pub fn feed(&self, count: usize) {
        sys::write_all(&self.writer, &files::pattern(count));
    }

    /// Like `feed`, while no read is in flight. Returns when the bytes can be read, which takes a moment on a terminal.
    pub fn fill(&self, count: usize) {
        self.feed(count);
        until("the bytes are there", || self.waiting() == count);
    }

    /// Waits until a read has stored `count` bytes in the buffer.
    pub fn await_taken(&self, count: usize) {
        let last = &raw const self.room[count - 1];
        // SAFETY: live memory. The kernel writes to it at the same time, so each look is a volatile read.
        until("the bytes are taken", || unsafe { last.read_volatile() } == files::pattern_at(count - 1));
    }

    /// The number of bytes that no read has taken.
    pub fn waiting(&self) -> usize {
        sys::waiting(&self.reader)
    }

    /// The bytes of the last read.
    pub fn room(&self) -> &[u8] {
        &*self.room
    }
}

/// A full pipe: writes to it block until [`Full::drain`].
pub struct Full {
    pub reader: OwnedFd,
    pub writer: OwnedFd,
    pub size: usize,
}

impl Full {
    pub fn pipe() -> Self {
        let (reader, writer) = sys::pipe();
        let size = sys::pipe_size(&writer);
        sys::write_all(&writer, &vec![b'.'; size]);
        Self { reader, writer, size }
    }

    pub fn fd(&self) -> RawFd {
        self.writer.as_raw_fd()
    }

    /// Reads exactly `count` bytes from it.
    pub fn drain(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        assert_eq!(sys::read_all(&self.reader, &mut bytes), count, "drained");
        bytes
    }
}
