//! The columns of the matrix: operations.

use crate::support::sys::{Map, statx_room};
use crate::support::*;
use std::os::fd::RawFd;

/// The memory of operations.
pub struct Desk {
    pub room: Map,
    pub data: Map,
    pub vector: Box<[libc::iovec; 2]>,
    pub stat: Box<libc::statx>,
}

/// A read takes so much; a FUSE device refuses less.
pub const READ: u64 = 8192;
const BIG: usize = 1 << 20;
/// What a read's memory holds before.
pub const FRESH: u8 = 0xee;

impl Desk {
    pub fn new() -> Self {
        let (room, mut data) = (Map::new(READ as usize), Map::new(BIG));
        data.bytes_mut()[..READ as usize].fill(b'.');
        data.bytes_mut()[..8].copy_from_slice(b"12345678");
        let mut desk = Self { room, data, vector: Box::new([ops::iovec(&[]); 2]), stat: Box::new(statx_room()) };
        desk.clean();
        desk
    }

    /// As new, for the next operation.
    pub fn clean(&mut self) {
        self.room.bytes_mut().fill(FRESH);
        *self.stat = statx_room();
    }

    fn parts(&self, map: &Map, first: usize, len: usize) -> *const libc::iovec {
        let bytes = map.bytes();
        let vector = [ops::iovec(&bytes[..first]), ops::iovec(&bytes[first..len])];
        let place = self.vector.as_ptr().cast_mut();
        // SAFETY: two iovecs of this desk, which only operations look at.
        unsafe { place.cast::<[libc::iovec; 2]>().write(vector) };
        place
    }

    fn read(&self, fd: RawFd) -> caio_op {
        op(CAIO_OP_READ, fd).buf(self.room.start()).len(READ).current()
    }

    fn readv(&self, fd: RawFd) -> caio_op {
        op(CAIO_OP_READV, fd).buf(self.parts(&self.room, 8, READ as usize)).len(2).current()
    }

    fn write(&self, fd: RawFd) -> caio_op {
        op(CAIO_OP_WRITE, fd).buf(self.data.start()).len(8).current()
    }

    fn writev(&self, fd: RawFd) -> caio_op {
        op(CAIO_OP_WRITEV, fd).buf(self.parts(&self.data, 8, 16)).len(2).current()
    }
}

pub struct Column {
    pub name: &'static str,
    pub op: fn(RawFd, &Desk) -> caio_op,
}

const fn column(name: &'static str, op: fn(RawFd, &Desk) -> caio_op) -> Column {
    Column { name, op }
}

const NOWAIT: i64 = libc::RWF_NOWAIT as i64;
const HIPRI: i64 = libc::RWF_HIPRI as i64;
const DSYNC: i64 = libc::RWF_DSYNC as i64;
const APPEND: i64 = libc::RWF_APPEND as i64;
const ATOMIC: i64 = 0x40;
const DONTCACHE: i64 = 0x80;
const UNKNOWN: i64 = 0x4000_0000;

pub const READS: &[Column] = &[
    column("READ at CURRENT", |fd, desk| desk.read(fd)),
    column("READ at 0", |fd, desk| desk.read(fd).at(0)),
    column("READ at 4096", |fd, desk| desk.read(fd).at(4096)),
    column("READ of 3 bytes", |fd, desk| desk.read(fd).len(3)),
    column("READ of nothing", |fd, desk| desk.read(fd).len(0)),
    column("READ FULL at CURRENT", |fd, desk| desk.read(fd).full()),
    column("READ FULL at 0", |fd, desk| desk.read(fd).at(0).full()),
    column("READ FULL of 3 bytes", |fd, desk| desk.read(fd).len(3).full()),
    column("READV at CURRENT", |fd, desk| desk.readv(fd)),
    column("READV at 0", |fd, desk| desk.readv(fd).at(0)),
    column("READV of no iovecs", |fd, desk| desk.readv(fd).len(0)),
    column("READ with RWF_NOWAIT", |fd, desk| desk.read(fd).sys(NOWAIT)),
    column("READ at 0 with RWF_NOWAIT", |fd, desk| desk.read(fd).at(0).sys(NOWAIT)),
    column("READV with RWF_NOWAIT", |fd, desk| desk.readv(fd).sys(NOWAIT)),
    column("READ with RWF_HIPRI", |fd, desk| desk.read(fd).sys(HIPRI)),
    column("READ with RWF_APPEND", |fd, desk| desk.read(fd).sys(APPEND)),
    column("READ with RWF_ATOMIC", |fd, desk| desk.read(fd).sys(ATOMIC)),
    column("READ with RWF_DONTCACHE", |fd, desk| desk.read(fd).sys(DONTCACHE)),
    column("READ with an unknown flag", |fd, desk| desk.read(fd).sys(UNKNOWN)),
    column("READV with an unknown flag", |fd, desk| desk.readv(fd).sys(UNKNOWN)),
];

pub const WRITES: &[Column] = &[
    column("WRITE at CURRENT", |fd, desk| desk.write(fd)),
    column("WRITE at 0", |fd, desk| desk.write(fd).at(0)),
    column("WRITE of 4096 at 4096", |fd, desk| desk.write(fd).len(4096).at(4096)),
    column("WRITE of nothing", |fd, desk| desk.write(fd).len(0)),
    column("WRITE FULL at CURRENT", |fd, desk| desk.write(fd).full()),
    column("WRITEV at CURRENT", |fd, desk| desk.writev(fd)),
    column("WRITEV at 0", |fd, desk| desk.writev(fd).at(0)),
    column("WRITEV of no iovecs", |fd, desk| desk.writev(fd).len(0)),
    column("WRITE with RWF_NOWAIT", |fd, desk| desk.write(fd).sys(NOWAIT)),
    column("WRITE with RWF_HIPRI", |fd, desk| desk.write(fd).sys(HIPRI)),
    column("WRITE with RWF_DSYNC", |fd, desk| desk.write(fd).sys(DSYNC)),
    column("WRITE at 0 with RWF_APPEND", |fd, desk| desk.write(fd).at(0).sys(APPEND)),
    column("WRITE with RWF_ATOMIC", |fd, desk| desk.write(fd).sys(ATOMIC)),
    column("WRITE with RWF_DONTCACHE", |fd, desk| desk.write(fd).sys(DONTCACHE)),
    column("WRITE with an unknown flag", |fd, desk| desk.write(fd).sys(UNKNOWN)),
    column("WRITEV with an unknown flag", |fd, desk| desk.writev(fd).sys(UNKNOWN)),
];

/// More than fits: what is moved is known only to be some of it.
pub const BIG_WRITE: Column = column("WRITE of 1 MiB", |fd, desk| desk.write(fd).len(BIG as u64));

pub const OTHERS: &[Column] = &[
    column("FSYNC", |fd, _| ops::fsync(fd)),
    column("FDSYNC", |fd, _| ops::fdsync(fd)),
    column("SYNC_RANGE", |fd, _| op(CAIO_OP_SYNC_RANGE, fd).len(4096).sys(2)),
    column("ALLOCATE", |fd, _| op(CAIO_OP_ALLOCATE, fd).len(65536)),
    column("ALLOCATE that punches a hole", |fd, _| op(CAIO_OP_ALLOCATE, fd).len(4096).sys(3)),
    column("TRUNCATE", |fd, _| ops::truncate(fd, 4096)),
    column("STATX with AT_EMPTY_PATH", |fd, desk| {
        op(CAIO_OP_STATX, fd).buf(c"".as_ptr()).buf2(&raw const *desk.stat).mode(STATX_MASK).sys(AT_EMPTY_PATH)
    }),
    column("SEEK to 10", |fd, _| op(CAIO_OP_SEEK, fd).at(10)),
    column("FADVISE", |fd, _| op(CAIO_OP_FADVISE, fd).len(4096).sys(3)),
    column("FGETXATTR", |fd, desk| xattr(CAIO_OP_FGETXATTR, fd).buf2(desk.room.start()).len(READ)),
    column("FCHMODAT with AT_EMPTY_PATH", |fd, _| itself(CAIO_OP_FCHMODAT, fd).mode(0o600)),
    column("UTIMENSAT with AT_EMPTY_PATH", |fd, _| itself(CAIO_OP_UTIMENSAT, fd)),
    column("FACCESSAT with AT_EMPTY_PATH", |fd, _| itself(CAIO_OP_FACCESSAT, fd).mode(4)),
    column("CLOSE", |fd, _| ops::close(fd)),
];

/// An operation on an extended attribute.
fn xattr(opcode: u8, fd: RawFd) -> caio_op {
    op(opcode, fd).buf(c"user.caio".as_ptr())
}

/// An operation on the descriptor itself.
fn itself(opcode: u8, fd: RawFd) -> caio_op {
    op(opcode, fd).buf(c"".as_ptr()).sys(AT_EMPTY_PATH)
}

const STATX_MASK: u32 = libc::STATX_BASIC_STATS;
const AT_EMPTY_PATH: i64 = libc::AT_EMPTY_PATH as i64;
