//! Opens of what the kernel has in its caches (openat2(2), RESOLVE_CACHED), and the calls on descriptors that do not wait.

use super::super::cached::{Answer, Opened};
use super::file_kind;
use super::in_place;
use super::mem::Memory;
use super::rw;
use crate::error::{Errno, Result};

/// The flags that such an open may have. Others can wait, or change the file.
pub const FLAGS: u64 =
    (libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_DIRECTORY | libc::O_LARGEFILE)
        as u64;
const LARGE: u64 = libc::O_LARGEFILE as u64;
const NONBLOCK: u64 = libc::O_NONBLOCK as u64;
const RESOLVE_CACHED: u64 = 0x20;
const RESOLVE_BENEATH: u64 = 0x08;

/// Opens a regular file or directory on a local file system for reading. Every other file is left alone, as the open of a
/// FIFO or a device has effects. The kernel reads the caller's path. `for_chain`: no caller sees the descriptor, which
/// stays non-blocking: such files ignore that.
pub fn open(dir: i32, path: Memory, flags: u64, resolve: u64, for_chain: bool) -> Answer {
    // The kind of file, from a descriptor whose open has no effect.
    let look = libc::O_PATH as u64 | libc::O_CLOEXEC as u64 | flags & (libc::O_NOFOLLOW | libc::O_DIRECTORY) as u64;
    let seen = match openat2(dir, path, look, resolve) {
        Ok(fd) => fd,
        Err(Errno(libc::ENOENT)) => return Answer::Absent,
        // The kernel is older than 5.12, or a filter forbids the call.
        Err(Errno(libc::EINVAL)) if resolve == 0 => return Answer::Unavailable,
        Err(Errno(libc::ENOSYS | libc::EPERM)) => return Answer::Unavailable,
        Err(_) => return Answer::Unknown,
    };
    let is_for_caller = flags & NONBLOCK == 0 && !for_chain;
    let answer = match is_for_caller.then(|| clear_status(seen)) {
        // A filter forbids the call.
        Some(Err(errno)) if errno.is_forbidden() => Answer::Unavailable,
        _ => file_kind::look_if_local(seen).map_or(Answer::Unknown, |file| {
            // O_NONBLOCK: the open must not wait for the holder of a lease (fcntl(2), F_SETLEASE).
            let Ok(fd) = openat2(dir, path, flags | LARGE | NONBLOCK, resolve) else { return Answer::Unknown };
            if is_for_caller {
                // The kernel allows it: it was asked with `seen`.
                let _ = clear_status(fd);
            }
            Answer::Opened(Opened { fd, file })
        }),
    };
    // It holds no locks, and its close neither waits nor fails.
    // SAFETY: takes no memory; the number is ours.
    let _ = unsafe { in_place!(libc::SYS_close, seen) };
    answer
}

/// Clears O_NONBLOCK. A descriptor without status flags accepts none; with O_PATH, the call fails with EBADF.
fn clear_status(fd: i32) -> Result<u64> {
    // SAFETY: takes no memory.
    unsafe { in_place!(libc::SYS_fcntl, fd, libc::F_SETFL, 0) }
}

/// Whether statx(2) of a descriptor does not wait.
pub fn tells_at_once(fd: i32) -> bool {
    file_kind::is_on_local(fd)
}

/// Whether close(2) of a descriptor does not wait.
pub fn closes_at_once(fd: i32) -> bool {
    rw::status_flags(fd).is_ok_and(|flags| is_brief(fd, flags as u32))
}

/// Whether statx(2) and close(2) of a descriptor do not wait: a regular file or directory on a local file system. As these
/// flags opened it for reading, nothing is written back.
pub fn is_brief(fd: i32, flags: u32) -> bool {
    flags as i32 & libc::O_ACCMODE == libc::O_RDONLY && file_kind::look_if_local(fd).is_some()
}

/// Whether the caller's path is empty, without a copy: an empty path fails with ENOENT before the kernel looks at
/// the invalid directory.
pub fn is_empty(path: Memory) -> bool {
    const NONE: i32 = -1;
    openat2(NONE, path, libc::O_PATH as u64, RESOLVE_BENEATH) == Err(Errno(libc::ENOENT))
}

/// statx(2) of the descriptor of a regular file, with the caller's path, which was empty in an earlier submit. If it is not
/// any more, this still is the plain call; it fails immediately, as the file is no directory, unless the path is absolute.
pub fn statx(fd: i32, path: Memory, flags: u32, mask: u32, to: Memory) -> Result<u64> {
    // SAFETY: the kernel checks the path, which it only reads, and `to`, which is lent to this operation (Memory).
    unsafe { in_place!(libc::SYS_statx, fd, path.address(), flags, mask, to.address()) }
}

fn openat2(dir: i32, path: Memory, flags: u64, resolve: u64) -> Result<i32> {
    let how = [flags, 0, resolve | RESOLVE_CACHED];
    // SAFETY: `how` is live and has the size that the call is told; the kernel checks the path, which it only reads.
    let fd = unsafe { in_place!(libc::SYS_openat2, dir, path.address(), how.as_ptr(), size_of_val(&how)) }?;
    Ok(fd as i32)
}
