//! The operations of version 0.2, with arguments that change nothing.

use super::records::{Deed, Made, Memory};
use super::support::*;
use super::world::World;
use std::os::fd::AsRawFd;

/// One of them. The plain call says what it yields.
pub fn harmless(world: &World, which: u8) -> Made {
    let (dir, file) = (world.folder.as_raw_fd(), world.files[0].fd());
    let on = |opcode| op(opcode, file);
    let to = |opcode| op(opcode, file).mode(file as u32);
    let path = |opcode| op(opcode, dir);
    let (op, name) = match which % 21 {
        0 => (path(CAIO_OP_READLINKAT).buf2(sys::nowhere()).len(10), Some("buffered")),
        1 => (path(CAIO_OP_SYMLINKAT).buf2(c"buffered".as_ptr()), Some("text")),
        2 => (path(CAIO_OP_LINKAT).buf2(c"other".as_ptr()), Some("missing")),
        3 => (on(CAIO_OP_GETDENTS).buf(sys::nowhere()).len(100), None),
        4 => (to(CAIO_OP_COPY_RANGE), None),
        5 => (to(CAIO_OP_SENDFILE), None),
        6 => (to(CAIO_OP_SPLICE).len(1), None),
        7 => (on(CAIO_OP_FADVISE).sys(100), None),
        8 => (on(CAIO_OP_SEEK).sys(libc::SEEK_CUR.into()), None),
        9 => (path(CAIO_OP_FCHMODAT).mode(0o600), Some("missing")),
        10 => (path(CAIO_OP_FCHOWNAT).mode(u32::MAX).len(u32::MAX.into()), Some("missing")),
        11 => (path(CAIO_OP_UTIMENSAT), Some("missing")),
        12 => (path(CAIO_OP_FACCESSAT).mode(libc::R_OK as u32), Some("buffered")),
        13 => (on(CAIO_OP_FGETXATTR).buf2(sys::nowhere()).len(10), Some("user.none")),
        14 => (on(CAIO_OP_FSETXATTR).sys(100), Some("user.none")),
        15 => (on(CAIO_OP_FLISTXATTR), None),
        16 => (on(CAIO_OP_FREMOVEXATTR), Some("user.none")),
        17 => (path(CAIO_OP_OPENAT2).buf2(sys::nowhere()).len(24), Some("buffered")),
        18 => (op(CAIO_OP_SYNCFS, -1), None),
        19 => (path(CAIO_OP_MKNODAT).mode(libc::S_IFREG | 0o600), Some("buffered")),
        _ => (on(CAIO_OP_FSTATFS).buf2(sys::nowhere()), None),
    };
    let memory = name.map_or_else(Memory::none, |name| Memory::none().with_path(name));
    let op = if name.is_some() { op.buf(memory.path(0)) } else { op };
    match sys::plain(&op) {
        // A call that this kernel lacks; the library has others.
        result if result == -i64::from(libc::ENOSYS) => (ops::nop(), Deed::Always(0), Memory::none()),
        result => (op, Deed::Always(result), memory),
    }
}
