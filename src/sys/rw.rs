//! Reads, writes, and the questions asked about a descriptor before them.

use std::ffi::c_void;
use std::io::Write;

use libc::c_long;

use super::mem::{Memory, PAGE};
use super::{check, in_place};
use crate::error::{Errno, Result};
use crate::op::CURRENT;

/// What one read or write system call moves at most (`MAX_RW_COUNT` of the kernel, read(2)).
pub const MAX_TRANSFER: u64 = 0x7fff_f000;

/// `offset` for the system calls that take one and know -1 as the current position.
fn halves(offset: u64) -> (c_long, c_long) {
    // The kernel builds `pos_high << 32 << 32 | pos_low` on 64-bit: only the low half counts there (readv(2)).
    (offset as c_long, (offset >> 32) as c_long)
}

/// One plain transfer: pread(2), readv(2), preadv2(2) and their kin, the plainest that says it all.
pub fn transfer(t: &Transfer) -> Result<u64> {
    let Transfer { fd, reads, vectored, memory, count, offset, flags } = *t;
    let address = memory.address();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if flags != 0 && !vectored {
        let part = libc::iovec { iov_base: address, iov_len: count };
        return vector_transfer(fd, reads, (&raw const part).cast(), 1, offset, flags);
    }
    if vectored {
        return vector_transfer(fd, reads, address, count, offset, flags);
    }
    plain_transfer(fd, reads, address, count, offset)
}

#[cfg(target_pointer_width = "64")]
#[inline]
fn plain_transfer(fd: i32, reads: bool, address: *mut c_void, count: usize, offset: u64) -> Result<u64> {
    let call = match (reads, offset == CURRENT) {
        (true, true) => libc::SYS_read,
        (false, true) => libc::SYS_write,
        (true, false) => libc::SYS_pread64,
        (false, false) => libc::SYS_pwrite64,
    };
    // SAFETY: the kernel checks every address; what lies there is lent to this operation (Memory). Calls that take fewer
    // arguments ignore the rest.
    unsafe { in_place!(call, fd, address, count, offset) }
}

/// Where an offset takes two registers, the C library knows which.
#[cfg(not(target_pointer_width = "64"))]
fn plain_transfer(fd: i32, reads: bool, address: *mut c_void, count: usize, offset: u64) -> Result<u64> {
    // SAFETY: the kernel checks every address; what lies there is lent to this operation (Memory).
    let moved = unsafe {
        match (reads, offset == CURRENT) {
            (true, true) => libc::read(fd, address, count),
            (false, true) => libc::write(fd, address, count),
            (true, false) => libc::pread64(fd, address, count, offset as i64),
            (false, false) => libc::pwrite64(fd, address, count, offset as i64),
        }
    };
    check(moved as i64)
}

/// The array at `parts` is the caller's, or lives in the caller of this.
fn vector_transfer(fd: i32, reads: bool, parts: *const c_void, count: usize, offset: u64, flags: u32) -> Result<u64> {
    let (low, high) = halves(offset);
    let plain = |positional, current| if offset == CURRENT { current } else { positional };
    let call = match (reads, flags != 0) {
        (true, true) => libc::SYS_preadv2,
        (false, true) => libc::SYS_pwritev2,
        (true, false) => plain(libc::SYS_preadv, libc::SYS_readv),
        (false, false) => plain(libc::SYS_pwritev, libc::SYS_writev),
    };
    // SAFETY: the kernel checks every address, that of the array too; what lies there is lent to this operation (Memory).
    // Calls that take fewer arguments ignore the rest.
    unsafe { in_place!(call, fd, parts, count, low, high, flags) }
}

/// The arguments of [`transfer`].
#[derive(Clone, Copy)]
pub struct Transfer {
    pub fd: i32,
    pub reads: bool,
    /// `memory` is an array of `count` iovecs, else `count` bytes.
    pub vectored: bool,
    pub memory: Memory,
    pub count: u64,
    /// `u64::MAX` for the current position.
    pub offset: u64,
    /// `RWF_*`.
    pub flags: u32,
}

/// preadv2(2) with RWF_NOWAIT: what is in the page cache, else EAGAIN; EOPNOTSUPP where the file system does not know.
#[inline(always)]
pub fn read_cached(fd: i32, memory: Memory, count: u64, offset: u64) -> Result<u64> {
    let length = usize::try_from(count).unwrap_or(usize::MAX);
    read_parts_cached(fd, &[libc::iovec { iov_base: memory.address(), iov_len: length }], offset)
}

/// The parts are lent to the operation (Memory), or live in the caller of this.
#[inline(always)]
fn read_parts_cached(fd: i32, parts: &[libc::iovec], offset: u64) -> Result<u64> {
    let (low, high) = halves(offset);
    // SAFETY: live iovecs; the kernel checks the addresses in them, and what lies there may be written to.
    unsafe { in_place!(libc::SYS_preadv2, fd, parts.as_ptr(), parts.len(), low, high, libc::RWF_NOWAIT) }
}

/// [`read_cached`], also where nobody knows whether the descriptor has `O_DIRECT`: that fails with EINVAL, or looks into the
/// page cache too, as devices take no byte that lies apart, as the last one does here. None if it cannot.
#[inline(always)]
pub fn read_cached_unasked(fd: i32, memory: Memory, count: u64, offset: u64) -> Option<Result<u64>> {
    let before = usize::try_from(count).ok()?.checked_sub(1).filter(|before| *before > 0)?;
    let last = memory.address().wrapping_byte_add(before);
    if last.addr().is_multiple_of(PAGE) {
        return None;
    }
    let mut apart = 0u8;
    let parts = [
        libc::iovec { iov_base: memory.address(), iov_len: before },
        libc::iovec { iov_base: (&raw mut apart).cast(), iov_len: 1 },
    ];
    let answer = read_parts_cached(fd, &parts, offset);
    if answer == Ok(count) {
        // SAFETY: lent to this operation, and on a page that the kernel has just written to.
        unsafe { last.cast::<u8>().write(apart) };
    }
    Some(answer)
}

/// Whether a positional transfer may start: EBADF, ESPIPE or another errno of the plain call if not.
///
/// A transfer of an empty iovec goes through the kernel's checks of descriptor and mode and then moves nothing. (Of no iovecs
/// at all, emulators do not ask the kernel.)
/// lseek(2) would take the file position's lock, and so wait behind a slow read(2).
pub fn positional_check(fd: i32, reads: bool) -> Result<()> {
    match move_nothing(fd, reads, 0) {
        // A filter forbids that call; the file knows better.
        Err(Errno(libc::EPERM | libc::ENOSYS)) => seek_check(fd),
        answer => answer,
    }
}

/// Whether a transfer at the current position may start, as far as can be said without waiting: EINVAL from what knows no
/// such transfer, EBADF. Not for sockets, to which an empty message may be one.
pub fn current_check(fd: i32, reads: bool) -> Result<()> {
    match move_nothing(fd, reads, CURRENT) {
        Err(Errno(libc::EPERM | libc::ENOSYS)) => Ok(()),
        answer => answer,
    }
}

fn move_nothing(fd: i32, reads: bool, offset: u64) -> Result<()> {
    let mut empty = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    // SAFETY: one live iovec, of nothing.
    let memory = unsafe { Memory::new((&raw mut empty).cast()) };
    transfer(&Transfer { fd, reads, vectored: true, memory, count: 1, offset, flags: 0 }).map(drop)
}

fn seek_check(fd: i32) -> Result<()> {
    // SAFETY: takes no memory.
    check(unsafe { libc::lseek64(fd, 0, libc::SEEK_CUR) }).map(drop)
}

/// Whether reads at an offset may be handed to the kernel's queue: the descriptor has positions, is open for reading, and
/// knows RWF_NOWAIT. io_uring waits inside its submission for files that do not but can be polled (FUSE).
///
/// Asked with a read of one byte from the end of all files, of which only devices without an end have something there.
pub fn reads_without_waiting(fd: i32) -> bool {
    const FAR: u64 = i64::MAX as u64 - 1;
    let mut byte = 0u8;
    // SAFETY: one live byte.
    let memory = unsafe { Memory::new((&raw mut byte).cast()) };
    let refusals = [libc::EBADF, libc::ESPIPE, libc::EOPNOTSUPP, libc::ENOSYS, libc::EPERM];
    read_cached(fd, memory, 1, FAR).map_or_else(|errno| !refusals.contains(&errno.0), |_| true)
}

/// Whether writes at an offset may be handed to the kernel's queue; see [`reads_without_waiting`], which sees nothing of a
/// descriptor that is only for writing. File systems on block devices do not wait there, except FUSE's (ntfs-3g): among
/// those it alone knows of no file whether it is immutable (statx(2), stx_attributes_mask).
pub fn writes_without_waiting(fd: i32) -> bool {
    const IMMUTABLE: u64 = libc::STATX_ATTR_IMMUTABLE as u64;
    // SAFETY: statx is plain data, filled by the call.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    // Not synced: a network file system answers from what it knows.
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    // SAFETY: an empty path and a live buffer.
    let answer = unsafe { libc::syscall(libc::SYS_statx, fd, c"".as_ptr(), flags, libc::STATX_TYPE, &raw mut stat) };
    let on_disk = match u32::from(stat.stx_mode) & libc::S_IFMT {
        libc::S_IFREG => stat.stx_dev_major != 0 && stat.stx_attributes_mask & IMMUTABLE != 0,
        libc::S_IFBLK => true,
        _ => false,
    };
    (answer == 0 && on_disk) || reads_without_waiting(fd)
}

/// The descriptor's status flags (fcntl(2) F_GETFL).
pub fn status_flags(fd: i32) -> Result<i32> {
    // SAFETY: takes no memory.
    unsafe { in_place!(libc::SYS_fcntl, fd, libc::F_GETFL) }.map(|flags| flags as i32)
}

/// recvmsg(2) or sendmsg(2) that does not wait; ENOTSOCK if it is no socket.
pub fn socket_attempt(t: &Transfer) -> Result<u64> {
    let Transfer { fd, reads, vectored, memory, count, .. } = *t;
    let mut part = libc::iovec { iov_base: memory.address(), iov_len: count as usize };
    let (parts, parts_count) = if vectored { (memory.address().cast(), count as usize) } else { (&raw mut part, 1) };
    // SAFETY: msghdr is plain data; all zero is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts;
    message.msg_iovlen = parts_count as _;
    let call = if reads { libc::SYS_recvmsg } else { libc::SYS_sendmsg };
    // SAFETY: the kernel checks every address behind the iovecs; `message` and `part` outlive the call.
    unsafe { in_place!(call, fd, &raw mut message, libc::MSG_DONTWAIT) }
}

/// Whether [`reopen_nonblocking`] gives the same FIFO or terminal: opening /dev/ptmx again makes another one.
pub fn can_reopen(fd: i32) -> bool {
    // SAFETY: stat is plain data, filled by the call.
    let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is live and large enough.
    let answer = unsafe { libc::fstat64(fd, &raw mut stat) };
    let ptmx = libc::makedev(5, 2);
    answer == 0
        && match stat.st_mode & libc::S_IFMT {
            libc::S_IFIFO => true,
            libc::S_IFCHR => stat.st_rdev != ptmx,
            _ => false,
        }
}

/// A second open file of the same FIFO or terminal with O_NONBLOCK, so that an attempt on it cannot wait
/// though another reader was faster. The caller's own open file keeps its flags.
pub fn reopen_nonblocking(fd: i32, reads: bool) -> Result<std::os::fd::OwnedFd> {
    let mut path = [0; 32];
    write!(&mut path[..31], "/proc/self/fd/{fd}").expect("shorter than that");
    let access = if reads { libc::O_RDONLY } else { libc::O_WRONLY };
    let flags = access | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the path is NUL-terminated and outlives the call.
    let fd = check(unsafe { libc::open(path.as_ptr().cast(), flags) } as i64)?;
    Ok(super::own(fd))
}

/// Whether poll(2) calls the descriptor ready for reading or writing now.
pub fn is_ready(fd: i32, reads: bool) -> bool {
    let events = if reads { libc::POLLIN } else { libc::POLLOUT };
    let mut watched = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one live pollfd.
    unsafe { libc::poll(&raw mut watched, 1, 0) > 0 }
}

/// Whether a regular file has nothing at `offset` and behind.
pub fn ends_before(fd: i32, offset: u64) -> bool {
    size_of_file(fd).is_ok_and(|size| size <= offset)
}

/// The file's size if it is a regular file.
fn size_of_file(fd: i32) -> Result<u64> {
    // SAFETY: stat is plain data, filled by the call.
    let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is live and large enough.
    check(unsafe { libc::fstat64(fd, &raw mut stat) } as i64)?;
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => Ok(stat.st_size as u64),
        _ => Err(Errno(libc::EINVAL)),
    }
}
