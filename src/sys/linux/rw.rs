//! Reads and writes, and checks of a descriptor before them.

use libc::c_long;
use std::ffi::c_void;
use std::mem::MaybeUninit;

pub use super::span::Transfer;
pub use libc::iovec;

use super::mem::{Memory, PAGE};
use super::{check, in_place};
use crate::error::{Errno, Result};
use crate::sys::CURRENT;

/// What one read or write system call moves at most (`MAX_RW_COUNT` of the kernel, read(2)).
pub const MAX_TRANSFER: u64 = 0x7fff_f000;

/// The `sys_flags` of a transfer (preadv2(2), pwritev2(2)).
pub mod flags {
    /// Fails with EAGAIN instead of waiting.
    pub const NOWAIT: u32 = libc::RWF_NOWAIT as u32;
    pub const POLLED: u32 = libc::RWF_HIPRI as u32;
    /// A write is on the disk when it ends.
    pub const SYNCED: u32 = (libc::RWF_DSYNC | libc::RWF_SYNC) as u32;
    pub const APPEND: u32 = libc::RWF_APPEND as u32;
    /// Flags without effect where a transfer may wait for another process.
    pub const HARMLESS: u32 = POLLED | SYNCED | APPEND;
}

/// The most iovecs that a system call accepts (IOV_MAX, readv(2)).
pub const MOST_PARTS: u64 = libc::UIO_MAXIOV as u64;
const TOO_MANY_PARTS: u64 = MOST_PARTS + 1;

/// read(2) and write(2) compare the end of a buffer with the end of the address space, at least 2^63. Other kernels compare with
/// something else, and may wait: a 64-bit kernel does so for a 32-bit program.
pub const REFUSES_LONG_BUFFERS: bool =
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"));

/// The length of one buffer for a system call. A 32-bit kernel refuses an iovec of 2 GiB, of which a plain call moves
/// MAX_TRANSFER.
fn length(count: u64) -> usize {
    if usize::BITS == 32 { count.min(MAX_TRANSFER) as usize } else { count as usize }
}

/// `offset` as the two arguments of preadv2(2) and pwritev2(2), where -1 means the current position.
fn halves(offset: u64) -> (c_long, c_long) {
    // The kernel builds `pos_high << 32 << 32 | pos_low` on 64-bit: only the low half counts there (readv(2)).
    (offset as c_long, (offset >> 32) as c_long)
}

/// One transfer, by the oldest system call that has all its arguments: read(2), pread(2), readv(2), preadv(2),
/// preadv2(2), or their counterparts for writing. If a filter forbids that one, by a newer one.
pub fn transfer(t: &Transfer) -> Result<u64> {
    match transfer_once(t) {
        Err(errno) if errno.is_forbidden() => substitute(t, errno),
        answer => answer,
    }
}

/// The transfer that failed with `errno`, by the vectored calls, if a filter gave that error.
#[cold]
fn substitute(t: &Transfer, errno: Errno) -> Result<u64> {
    let Transfer { fd, reads, vectored, memory, count, offset, flags } = *t;
    // The error is about the file unless the call fails with it on a bad descriptor too.
    if flags != 0 || transfer_once(&Transfer { fd: -1, ..*t }) != Err(errno) {
        return Err(errno);
    }
    let part = libc::iovec { iov_base: memory.address(), iov_len: usize::try_from(count).unwrap_or(usize::MAX) };
    let (parts, parts_count) = match vectored {
        true => (memory.address().cast_const(), count.min(TOO_MANY_PARTS) as usize),
        false => ((&raw const part).cast(), 1),
    };
    let by = |newest| vector_transfer(fd, reads, parts, parts_count, offset, 0, newest);
    let answers = [false, true].into_iter().map(by);
    answers.into_iter().find(|answer| !answer.is_err_and(Errno::is_forbidden)).unwrap_or(Err(errno))
}

fn transfer_once(t: &Transfer) -> Result<u64> {
    let Transfer { fd, reads, vectored, memory, count, offset, flags } = *t;
    let address = memory.address();
    // The kernel refuses one iovec too many, but cuts a larger count to 32 bits.
    let count = if vectored { count.min(TOO_MANY_PARTS) as usize } else { length(count) };
    if flags != 0 && !vectored {
        let part = libc::iovec { iov_base: address, iov_len: count };
        return vector_transfer(fd, reads, (&raw const part).cast(), 1, offset, flags, true);
    }
    if vectored {
        return vector_transfer(fd, reads, address, count, offset, flags, flags != 0);
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
    // SAFETY: the kernel checks every address; what lies there is lent to this operation (Memory). Calls that take
    // fewer arguments ignore the rest.
    unsafe { in_place!(call, fd, address, count, offset) }
}

/// On 32-bit systems, the C library knows which two registers take the offset.
#[cfg(not(target_pointer_width = "64"))]
fn plain_transfer(fd: i32, reads: bool, address: *mut c_void, count: usize, offset: u64) -> Result<u64> {
    // SAFETY: the kernel checks every address; what lies there is lent to this operation (Memory).
    let call = || unsafe {
        match (reads, offset == CURRENT) {
            (true, true) => libc::read(fd, address, count),
            (false, true) => libc::write(fd, address, count),
            (true, false) => libc::pread64(fd, address, count, offset as i64),
            (false, false) => libc::pwrite64(fd, address, count, offset as i64),
        }
    };
    super::thread::keeping_errno(|| check(call() as i64))
}

/// The array at `parts` is the user's, or outlives the call. `newest` takes preadv2(2) or pwritev2(2), which flags need.
fn vector_transfer(
    fd: i32,
    reads: bool,
    parts: *const c_void,
    count: usize,
    offset: u64,
    flags: u32,
    newest: bool,
) -> Result<u64> {
    let (low, high) = halves(offset);
    let either = |positional, current| if offset == CURRENT { current } else { positional };
    let call = match (reads, newest) {
        (true, true) => libc::SYS_preadv2,
        (false, true) => libc::SYS_pwritev2,
        (true, false) => either(libc::SYS_preadv, libc::SYS_readv),
        (false, false) => either(libc::SYS_pwritev, libc::SYS_writev),
    };
    // SAFETY: the kernel checks every address, that of the array too; what lies there is lent to this operation
    // (Memory). Calls that take fewer arguments ignore the rest.
    match unsafe { in_place!(call, fd, parts, count, low, high, flags) } {
        // As preadv2(3) of the C library: a kernel without the call supports no flag.
        Err(Errno(libc::ENOSYS)) if flags != 0 => Err(Errno(libc::EOPNOTSUPP)),
        answer => answer,
    }
}

/// A cached read: preadv2(2) with RWF_NOWAIT. EAGAIN if the page cache does not have the first byte; EOPNOTSUPP if the
/// file system does not support that.
#[inline(always)]
pub fn read_cached(fd: i32, memory: Memory, count: u64, offset: u64) -> Result<u64> {
    read_parts_cached(fd, &[libc::iovec { iov_base: memory.address(), iov_len: length(count) }], offset)
}

/// The parts are lent to the operation (Memory), or outlive the call.
#[inline(always)]
fn read_parts_cached(fd: i32, parts: &[libc::iovec], offset: u64) -> Result<u64> {
    let (low, high) = halves(offset);
    // SAFETY: live iovecs; the kernel checks the addresses in them, and what lies there may be written to.
    unsafe { in_place!(libc::SYS_preadv2, fd, parts.as_ptr(), parts.len(), low, high, libc::RWF_NOWAIT) }
}

/// The bytes at the end of a cached read that are split off. Intel's processors fetch cache lines in pairs: a part that ends
/// inside a pair takes 50 ns longer to copy, one of an odd length 100 ns.
const END: usize = 128;
/// The same for a read of less.
const SHORT_END: usize = 1;

/// [`read_cached`] for a descriptor that may have `O_DIRECT`. The end goes to a buffer of its own, at an odd address.
/// Devices refuse such a part, so a direct read fails with EINVAL or falls back to the page cache.
pub struct Split {
    memory: Memory,
    before: usize,
    end: *mut c_void,
    /// [`END`], or else [`SHORT_END`].
    is_long: bool,
}

impl Split {
    /// None if the end cannot be split off.
    #[inline(always)]
    pub fn of(memory: Memory, count: u64) -> Option<Self> {
        let is_long = count > END as u64;
        let after = if is_long { END } else { SHORT_END };
        let before = usize::try_from(count).ok()?.checked_sub(after).filter(|before| *before > 0)?;
        let end = memory.address().wrapping_byte_add(before);
        // The kernel must have checked the page of the end.
        (1..=PAGE - after).contains(&(end.addr() % PAGE)).then_some(Self { memory, before, end, is_long })
    }

    #[inline(always)]
    pub fn read(&self, fd: i32, offset: u64) -> Result<u64> {
        #[repr(align(2))]
        struct Odd(MaybeUninit<[u8; 1 + END]>);

        let Self { memory, before, end, is_long } = *self;
        let after = if is_long { END } else { SHORT_END };
        let mut odd = Odd(MaybeUninit::uninit());
        let own = odd.0.as_mut_ptr().cast::<u8>().wrapping_add(1);
        let parts = [
            libc::iovec { iov_base: memory.address(), iov_len: before },
            libc::iovec { iov_base: own.cast(), iov_len: after },
        ];
        let answer = read_parts_cached(fd, &parts, offset);
        if is_long && answer == Ok((before + END) as u64) {
            // SAFETY: lent to this operation, and on a page that the kernel has just written to; `own` is full.
            unsafe { end.cast::<[u8; END]>().write_unaligned(own.cast::<[u8; END]>().read_unaligned()) };
        } else if let Ok(moved) = answer {
            keep_short_end(length(moved).saturating_sub(before), own, end.cast());
        }
        answer
    }
}

/// The file ends inside the part that a [`Split`] reads separately, or what is cached of it, or the part is short.
#[inline(never)]
fn keep_short_end(arrived: usize, own: *const u8, end: *mut u8) {
    // SAFETY: the kernel has written this much to `own`; `end` is as in the caller.
    unsafe { std::ptr::copy_nonoverlapping(own, end, arrived) };
}

/// Whether the kernel accepts a transfer at an offset; if not, fails with the errno of the plain call, such as EBADF or
/// ESPIPE.
///
/// A transfer of one empty iovec passes the kernel's checks of the descriptor and its mode, and moves nothing.
/// (Emulators do not pass a transfer of no iovecs to the kernel.) This is not lseek(2), which would wait for a slow
/// read(2), as both take the lock of the file position.
pub fn positional_check(fd: i32, reads: bool) -> Result<()> {
    match move_nothing(fd, reads, 0) {
        // A filter forbids preadv(2) or pwritev(2).
        Err(Errno(libc::EPERM | libc::ENOSYS)) => seek_check(fd),
        answer => answer,
    }
}

/// Whether the kernel may accept a transfer at the current position: EBADF or EINVAL if it never does. Not for sockets:
/// the check would send an empty message.
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

/// Whether reads at an offset may go to the kernel's queue: the descriptor is open for reading, and its file supports
/// RWF_NOWAIT. If a file does not, but supports poll(2), io_uring waits inside its submission (FUSE).
///
/// The check reads one byte at the largest offset. Only a device without an end has data there, so do not call it for
/// streams.
pub fn reads_without_waiting(fd: i32) -> bool {
    const FAR: u64 = i64::MAX as u64 - 1;
    let mut byte = 0u8;
    // SAFETY: one live byte.
    let memory = unsafe { Memory::new((&raw mut byte).cast()) };
    let refusals = [libc::EBADF, libc::ESPIPE, libc::EOPNOTSUPP, libc::ENOSYS, libc::EPERM];
    read_cached(fd, memory, 1, FAR).map_or_else(|errno| !refusals.contains(&errno.0), |_| true)
}

/// Whether status flags are those of a file whose transfers bypass the page cache (open(2), O_DIRECT).
pub fn is_direct(status_flags: i32) -> bool {
    status_flags & libc::O_DIRECT != 0
}

/// Whether status flags are those of a descriptor whose transfers do not wait (open(2), O_NONBLOCK).
pub fn is_nonblocking(status_flags: i32) -> bool {
    status_flags & libc::O_NONBLOCK != 0
}

/// The descriptor's status flags (fcntl(2) F_GETFL).
pub fn status_flags(fd: i32) -> Result<i32> {
    // SAFETY: takes no memory.
    unsafe { in_place!(libc::SYS_fcntl, fd, libc::F_GETFL) }.map(|flags| flags as i32)
}

/// recvmsg(2) or sendmsg(2) that does not wait; ENOTSOCK if it is no socket.
pub fn socket_attempt(t: &Transfer) -> Result<u64> {
    let Transfer { fd, reads, vectored, memory, count, .. } = *t;
    if vectored && count >= TOO_MANY_PARTS {
        // recvmsg(2) and sendmsg(2) would fail with EMSGSIZE.
        return Err(Errno(libc::EINVAL));
    }
    let mut part = libc::iovec { iov_base: memory.address(), iov_len: length(count) };
    let (parts, parts_count) = if vectored { (memory.address().cast(), count as usize) } else { (&raw mut part, 1) };
    // SAFETY: msghdr is plain data; all zero is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts;
    message.msg_iovlen = parts_count as _;
    let call = if reads { libc::SYS_recvmsg } else { libc::SYS_sendmsg };
    // SAFETY: the kernel checks every address behind the iovecs; `message` and `part` outlive the call.
    unsafe { in_place!(call, fd, &raw mut message, libc::MSG_DONTWAIT) }
}

/// Whether poll(2) reports the descriptor ready for reading or writing, hung up, or in error.
pub fn is_ready(fd: i32, reads: bool) -> bool {
    becomes_ready(fd, reads, 0)
}

/// The same within that many milliseconds.
pub fn becomes_ready(fd: i32, reads: bool, milliseconds: i32) -> bool {
    let events = if reads { libc::POLLIN | libc::POLLRDHUP } else { libc::POLLOUT };
    let mut watched = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one live pollfd.
    unsafe { libc::poll(&raw mut watched, 1, milliseconds) > 0 }
}

/// fstat(2).
pub fn stat(fd: i32) -> Result<libc::stat64> {
    // SAFETY: stat is plain data, filled by the call.
    let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
    fill_stat(fd, &mut stat).map(|()| stat)
}

#[cfg(target_pointer_width = "64")]
fn fill_stat(fd: i32, stat: &mut libc::stat64) -> Result<()> {
    // SAFETY: `stat` is live, and laid out as the kernel's on 64-bit.
    unsafe { in_place!(libc::SYS_fstat, fd, std::ptr::from_mut(stat)) }.map(drop)
}

/// On 32-bit systems, the kernel's structure differs from libc's.
#[cfg(not(target_pointer_width = "64"))]
fn fill_stat(fd: i32, stat: &mut libc::stat64) -> Result<()> {
    // SAFETY: `stat` is live and large enough.
    super::thread::keeping_errno(|| check(unsafe { libc::fstat64(fd, stat) }.into())).map(drop)
}
