//! Where these systems differ.

use std::ffi::{CStr, c_void};

use super::super::unix::fd::OwnedFd;
use super::{check, own};
use crate::error::{Errno, Result};

/// The calling thread's errno.
pub fn errno_place() -> *mut i32 {
    // SAFETY: takes no memory.
    #[cfg(target_os = "linux")]
    return unsafe { libc::__errno_location() };
    // SAFETY: takes no memory.
    #[cfg(not(target_os = "linux"))]
    return unsafe { libc::__error() };
}

/// Whether the program runs with more rights than its caller.
pub fn is_set_uid() -> bool {
    // SAFETY: takes no memory.
    #[cfg(target_os = "linux")]
    return unsafe { libc::getauxval(libc::AT_SECURE) != 0 };
    // SAFETY: takes no memory.
    #[cfg(not(target_os = "linux"))]
    return unsafe { libc::issetugid() != 0 };
}

/// Names the calling thread. A failure is harmless: the thread has no name.
pub fn name_thread(name: &CStr) {
    // SAFETY: a live string.
    unsafe {
        #[cfg(target_vendor = "apple")]
        libc::pthread_setname_np(name.as_ptr());
        #[cfg(not(target_vendor = "apple"))]
        libc::pthread_setname_np(libc::pthread_self(), name.as_ptr());
    }
}

/// Whether the kernel wipes the page in a child of fork(2). None does in the way that Linux does.
///
/// # Safety
/// None: the page is not touched.
pub unsafe fn wipes_on_fork(_: *mut c_void, _: usize) -> bool {
    false
}

/// A pipe: the end to read from, and the end to write to. Both are non-blocking and close-on-exec.
pub fn pipe() -> Result<[OwnedFd; 2]> {
    let mut ends = [0; 2];
    #[cfg(not(target_vendor = "apple"))]
    // SAFETY: two live ints.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) }.into())?;
    #[cfg(target_vendor = "apple")]
    // SAFETY: two live ints.
    check(unsafe { libc::pipe(ends.as_mut_ptr()) }.into())?;
    let ends = ends.map(|fd| own(fd as u64));
    #[cfg(target_vendor = "apple")]
    for end in &ends {
        let fd = std::os::fd::AsRawFd::as_raw_fd(end);
        // SAFETY: takes no memory.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
        // SAFETY: takes no memory.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) }.into())?;
    }
    Ok(ends)
}

/// Whether status flags are those of a file whose transfers bypass the page cache. On macOS no flag tells (F_NOCACHE).
pub fn is_direct(status_flags: i32) -> bool {
    #[cfg(not(target_vendor = "apple"))]
    return status_flags & libc::O_DIRECT != 0;
    #[cfg(target_vendor = "apple")]
    return status_flags < 0;
}

/// Whether flags are those of an open for paths only, which waits for nothing. macOS has none.
pub fn is_for_paths(flags: i32) -> bool {
    #[cfg(not(target_vendor = "apple"))]
    return flags & libc::O_PATH != 0;
    #[cfg(target_vendor = "apple")]
    return flags < 0;
}

/// The flag with which an empty path means the descriptor itself; Linux's number where the system has none.
#[cfg(not(target_vendor = "apple"))]
pub const EMPTY_PATH: i32 = libc::AT_EMPTY_PATH;
#[cfg(target_vendor = "apple")]
pub const EMPTY_PATH: i32 = 0x1000;

/// The length of a buffer for one call. macOS refuses lengths above INT_MAX.
pub fn length(count: u64) -> usize {
    let most = if cfg!(target_vendor = "apple") { super::rw::MAX_TRANSFER } else { usize::MAX as u64 };
    count.min(most) as usize
}

/// Whether read(2) and write(2) compare the end of a buffer with the end of the address space before they wait.
pub const REFUSES_LONG_BUFFERS: bool = cfg!(all(target_os = "linux", target_pointer_width = "64"));

/// Whether a character device is a disk (FreeBSD has no block devices).
pub fn is_disk(fd: i32) -> bool {
    #[cfg(not(target_os = "linux"))]
    {
        const DISK: libc::c_int = 2;
        let mut kind: libc::c_int = 0;
        // SAFETY: a live int.
        let answer = super::quiet(|| unsafe { libc::ioctl(fd, libc::FIODTYPE, &raw mut kind) }.into());
        answer.is_ok() && kind == DISK
    }
    #[cfg(target_os = "linux")]
    {
        let _ = fd;
        false
    }
}

/// Writes a file's data to the disk, and its metadata. On macOS fsync(2) leaves them in the disk's cache, so that
/// F_FULLFSYNC comes first, which some file systems do not support.
pub fn fsync(fd: i32) -> Result<u64> {
    #[cfg(target_vendor = "apple")]
    // SAFETY: takes no memory.
    if check(unsafe { libc::fcntl(fd, libc::F_FULLFSYNC) }.into()).is_ok() {
        return Ok(0);
    }
    // SAFETY: takes no memory.
    check(unsafe { libc::fsync(fd) }.into())
}

/// The same, without metadata that reading the data does not need. macOS has no such call.
pub fn fdatasync(fd: i32) -> Result<u64> {
    #[cfg(target_vendor = "apple")]
    return fsync(fd);
    #[cfg(not(target_vendor = "apple"))]
    // SAFETY: takes no memory.
    return check(unsafe { libc::fdatasync(fd) }.into());
}

/// Allocates a range of a file. `grows`: the file grows to its end.
#[cfg(target_vendor = "apple")]
pub fn allocate(fd: i32, offset: i64, len: i64, grows: bool) -> Result<u64> {
    let size = super::rw::stat(fd)?.st_size;
    let end = offset.checked_add(len).ok_or(Errno(libc::EFBIG))?;
    if end > size {
        let mut range = libc::fstore_t {
            fst_flags: libc::F_ALLOCATEALL,
            fst_posmode: libc::F_PEOFPOSMODE,
            fst_offset: 0,
            fst_length: end - size,
            fst_bytesalloc: 0,
        };
        // SAFETY: a live structure.
        check(unsafe { libc::fcntl(fd, libc::F_PREALLOCATE, &raw mut range) }.into())?;
        if grows {
            // SAFETY: takes no memory.
            return check(unsafe { libc::ftruncate(fd, end) }.into());
        }
    }
    Ok(0)
}

#[cfg(not(target_vendor = "apple"))]
pub fn allocate(fd: i32, offset: i64, len: i64, grows: bool) -> Result<u64> {
    if !grows {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    // SAFETY: takes no memory. It returns the errno.
    match unsafe { libc::posix_fallocate(fd, offset, len) } {
        0 => Ok(0),
        errno => Err(Errno(errno)),
    }
}

/// Creates a special file.
pub fn mknodat(dir: i32, path: &CStr, mode: libc::mode_t, device: libc::dev_t) -> Result<u64> {
    #[cfg(not(target_vendor = "apple"))]
    // SAFETY: the path is NUL-terminated and outlives the call.
    return check(unsafe { libc::mknodat(super::fs::at(dir), path.as_ptr(), mode, device) }.into());
    // macOS has the call from version 13 only.
    #[cfg(target_vendor = "apple")]
    {
        let without_directory = dir == super::fs::AT_FDCWD || path.to_bytes().first() == Some(&b'/');
        if !without_directory {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        // SAFETY: the path is NUL-terminated and outlives the call.
        check(unsafe { libc::mknod(path.as_ptr(), mode, device) }.into())
    }
}

/// Advice about a range, where there is such a call.
pub fn advise(fd: i32, offset: libc::off_t, len: libc::off_t, advice: i32) -> Result<u64> {
    #[cfg(not(target_vendor = "apple"))]
    // SAFETY: takes no memory. It returns the errno.
    return match unsafe { libc::posix_fadvise(fd, offset, len, advice) } {
        0 => Ok(0),
        errno => Err(Errno(errno)),
    };
    #[cfg(target_vendor = "apple")]
    {
        let _ = (fd, offset, len, advice);
        Err(Errno(libc::EOPNOTSUPP))
    }
}

const SPLICE: u8 = 22;
#[cfg(target_vendor = "apple")]
const FADVISE: u8 = 23;
const OPENAT2: u8 = 33;
/// sync(2) may return before the data is on the disk, so that it does not do what SYNCFS promises.
const SYNCFS: u8 = 34;

/// The numbers of the opcodes that have no call here. 29 to 32 are those on extended attributes.
#[cfg(target_vendor = "apple")]
pub const MISSING: &[u8] = &[SPLICE, FADVISE, OPENAT2, SYNCFS];
#[cfg(target_os = "freebsd")]
pub const MISSING: &[u8] = &[SPLICE, 29, 30, 31, 32, OPENAT2, SYNCFS];
#[cfg(not(any(target_vendor = "apple", target_os = "freebsd")))]
pub const MISSING: &[u8] = &[SPLICE, OPENAT2, SYNCFS];
