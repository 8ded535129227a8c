//! Reads and writes, and checks of a descriptor before them.

use std::ffi::c_int;

pub use super::super::absent::cached_read::{Split, read_cached};
pub use super::span::Transfer;
pub use libc::iovec;

use super::mem::Memory;
use super::{copy, fs, os, quiet};
use crate::error::{Errno, Result};
use crate::sync::Mutex;
use crate::sys::CURRENT;

/// What one read or write system call moves at most. macOS refuses more than INT_MAX.
pub const MAX_TRANSFER: u64 = 0x7fff_f000;

/// The `sys_flags` of a transfer, with the numbers of Linux.
pub mod flags {
    /// Fails with EAGAIN instead of waiting: not supported.
    pub const NOWAIT: u32 = 8;
    /// Not supported.
    pub const POLLED: u32 = 0;
    /// A write is on the disk when it ends (RWF_DSYNC, RWF_SYNC).
    pub const SYNCED: u32 = 2 | METADATA_TOO;
    pub(super) const METADATA_TOO: u32 = 4;
    pub const APPEND: u32 = 0x10;
    /// Flags without effect where a transfer may wait for another process.
    pub const HARMLESS: u32 = SYNCED | APPEND;
}

/// The most iovecs that a system call accepts.
pub const MOST_PARTS: u64 = 1024;
const TOO_MANY_PARTS: u64 = MOST_PARTS + 1;

/// Whether read(2) and write(2) compare the end of a buffer with the end of the address space before they wait.
pub const REFUSES_LONG_BUFFERS: bool = os::REFUSES_LONG_BUFFERS;

/// One transfer: read(2), pread(2), readv(2), preadv(2), or their counterparts for writing, with its flags emulated.
pub fn transfer(t: &Transfer) -> Result<u64> {
    if t.flags & !flags::HARMLESS != 0 {
        // As with preadv2(2), errors of the descriptor and the offset come first.
        let checked = match t.offset {
            CURRENT => status_flags(t.fd).map(drop),
            offset if i64::try_from(offset).is_err() => Err(Errno(libc::EINVAL)),
            _ => positional_check(t.fd, t.reads),
        };
        return checked.and(Err(Errno(libc::EOPNOTSUPP)));
    }
    if t.reads || t.flags == 0 {
        return plain_transfer(t);
    }
    let moved = if t.flags & flags::APPEND != 0 { append(t) } else { plain_transfer(t) }?;
    if moved > 0 && t.flags & flags::SYNCED != 0 {
        let synced = if t.flags & flags::METADATA_TOO != 0 { fs::fsync(t.fd) } else { fs::fdatasync(t.fd) };
        match synced {
            // A pipe or a socket, which has no disk.
            Err(Errno(libc::EINVAL | libc::ENOTSUP)) => {}
            answer => drop(answer?),
        }
    }
    Ok(moved)
}

/// Writes to the end of a file. Appends of this process do not overlap; other writers must use O_APPEND.
fn append(t: &Transfer) -> Result<u64> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let stat = stat(t.fd)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return plain_transfer(t);
    }
    let _guard = ONE_AT_A_TIME.lock();
    let end = self::stat(t.fd)?.st_size as u64;
    let moved = plain_transfer(&Transfer { offset: end, ..*t })?;
    if t.offset == CURRENT {
        // SAFETY: takes no memory.
        quiet(|| unsafe { libc::lseek(t.fd, (end + moved) as libc::off_t, libc::SEEK_SET) })?;
    }
    Ok(moved)
}

fn plain_transfer(t: &Transfer) -> Result<u64> {
    let Transfer { fd, reads, vectored, memory, count, offset, .. } = *t;
    let (address, at) = (memory.address(), offset as libc::off_t);
    let positional = offset != CURRENT;
    if vectored {
        // One too many is refused, but a larger count would be cut to 32 bits.
        let (parts, count) = (address.cast::<iovec>().cast_const(), count.min(TOO_MANY_PARTS) as c_int);
        // SAFETY: the kernel checks every address; what lies there is lent to this operation (Memory).
        return quiet(|| unsafe {
            (match (reads, positional) {
                (true, true) => libc::preadv(fd, parts, count, at),
                (false, true) => libc::pwritev(fd, parts, count, at),
                (true, false) => libc::readv(fd, parts, count),
                (false, false) => libc::writev(fd, parts, count),
            }) as i64
        });
    }
    let count = os::length(count);
    // SAFETY: as above.
    quiet(|| unsafe {
        (match (reads, positional) {
            (true, true) => libc::pread(fd, address, count, at),
            (false, true) => libc::pwrite(fd, address, count, at),
            (true, false) => libc::read(fd, address, count),
            (false, false) => libc::write(fd, address, count),
        }) as i64
    })
}

/// Whether the kernel accepts a transfer at an offset; if not, fails with the errno of the plain call, such as EBADF or
/// ESPIPE. A transfer of one empty iovec passes the kernel's checks and moves nothing.
pub fn positional_check(fd: i32, reads: bool) -> Result<()> {
    move_nothing(fd, reads, 0)
}

/// Whether the kernel may accept a transfer at the current position: EBADF or EINVAL if it never does. Not for sockets:
/// the check would send an empty message.
pub fn current_check(fd: i32, reads: bool) -> Result<()> {
    move_nothing(fd, reads, CURRENT)
}

fn move_nothing(fd: i32, reads: bool, offset: u64) -> Result<()> {
    let mut empty = iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    // SAFETY: one live iovec, of nothing.
    let memory = unsafe { Memory::new((&raw mut empty).cast()) };
    plain_transfer(&Transfer { fd, reads, vectored: true, memory, count: 1, offset, flags: 0 }).map(drop)
}

/// Whether reads may go to a kernel's queue, which does not exist.
pub fn reads_without_waiting(_: i32) -> bool {
    false
}

/// Whether status flags are those of a file whose transfers bypass the page cache.
pub fn is_direct(status_flags: i32) -> bool {
    os::is_direct(status_flags)
}

/// Whether status flags are those of a descriptor whose transfers do not wait (open(2), O_NONBLOCK).
pub fn is_nonblocking(status_flags: i32) -> bool {
    status_flags & libc::O_NONBLOCK != 0
}

/// The descriptor's status flags (fcntl(2) F_GETFL).
pub fn status_flags(fd: i32) -> Result<i32> {
    // SAFETY: takes no memory.
    quiet(|| unsafe { libc::fcntl(fd, libc::F_GETFL) }.into()).map(|flags| flags as i32)
}

/// recvmsg(2) or sendmsg(2) that does not wait; ENOTSOCK if it is no socket.
pub fn socket_attempt(t: &Transfer) -> Result<u64> {
    let Transfer { fd, reads, vectored, memory, count, .. } = *t;
    if vectored && count >= TOO_MANY_PARTS {
        // recvmsg(2) and sendmsg(2) would fail with EMSGSIZE.
        return Err(Errno(libc::EINVAL));
    }
    if vectored && copy::is_readable_array::<iovec>(memory, count as usize) && memory.iovec_total(count) == 0 {
        // readv(2) and writev(2) of nothing do nothing.
        return plain_transfer(&Transfer { flags: 0, ..*t });
    }
    let mut part = iovec { iov_base: memory.address(), iov_len: os::length(count) };
    let (parts, parts_count) = if vectored { (memory.address().cast(), count as usize) } else { (&raw mut part, 1) };
    // SAFETY: msghdr is plain data; all zero is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts;
    message.msg_iovlen = parts_count as _;
    // SAFETY: the kernel checks every address behind the iovecs; `message` and `part` outlive the call.
    quiet(|| unsafe {
        (if reads {
            libc::recvmsg(fd, &raw mut message, libc::MSG_DONTWAIT)
        } else {
            libc::sendmsg(fd, &raw const message, libc::MSG_DONTWAIT)
        }) as i64
    })
}

/// Whether poll(2) reports the descriptor ready for reading or writing, hung up, or in error.
pub fn is_ready(fd: i32, reads: bool) -> bool {
    becomes_ready(fd, reads, 0)
}

/// The same within that many milliseconds.
pub fn becomes_ready(fd: i32, reads: bool, milliseconds: i32) -> bool {
    let mut watched = libc::pollfd { fd, events: if reads { libc::POLLIN } else { libc::POLLOUT }, revents: 0 };
    // SAFETY: one live pollfd.
    quiet(|| unsafe { libc::poll(&raw mut watched, 1, milliseconds) }.into()).is_ok_and(|ready| ready > 0)
}

/// fstat(2).
pub fn stat(fd: i32) -> Result<libc::stat> {
    // SAFETY: stat is plain data, filled by the call.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is live.
    quiet(|| unsafe { libc::fstat(fd, &raw mut stat) }.into()).map(|_| stat)
}
