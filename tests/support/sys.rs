//! System calls for the tests: results are values or negative errnos, and descriptors are owned.

use super::*;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The result of a system call, or its errno as a negative number.
pub fn ret(result: i64) -> i64 {
    if result == -1 { -i64::from(errno()) } else { result }
}

pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Owns a new descriptor.
pub fn owned(fd: i64) -> OwnedFd {
    assert!(fd >= 0, "no descriptor: {}", errno());
    // SAFETY: new, and owned by no other object.
    unsafe { OwnedFd::from_raw_fd(fd as RawFd) }
}

/// Makes the plain system call of an operation. Ignores FULL and LINK.
pub fn plain(op: &caio_op) -> i64 {
    let (fd, buf, path) = (op.fd, op.buf, op.buf.cast_const().cast());
    let (at, flags, mode) = (op.offset as i64, op.sys_flags as i32, op.mode);
    let current = op.offset == CAIO_OFFSET_CURRENT;
    let len = usize::try_from(op.len).unwrap_or(usize::MAX);
    let one = libc::iovec { iov_base: buf, iov_len: len };
    let vector = |number: libc::c_long, iovecs: *const libc::iovec, count: usize| {
        // The kernel counts in 32 bits; one too many is refused, however many that is.
        let count = count.min(libc::UIO_MAXIOV as usize + 1);
        // The kernel takes the offset in two halves; on 64-bit systems the low one is all of it.
        let (low, high) = (at as libc::c_long, (at >> 32) as libc::c_long);
        // SAFETY: the kernel checks every pointer.
        match ret(unsafe { libc::syscall(number, fd, iovecs, count, low, high, flags) } as i64) {
            // As preadv2(3) of the C library: a kernel without the call supports no flag.
            result if flags != 0 && result == -i64::from(libc::ENOSYS) => -i64::from(libc::EOPNOTSUPP),
            result => result,
        }
    };
    // Without flags, use the older call: not every emulator has the newer one.
    let (readv, writev) = match (flags != 0, current) {
        (true, _) => (libc::SYS_preadv2, libc::SYS_pwritev2),
        (false, true) => (libc::SYS_readv, libc::SYS_writev),
        (false, false) => (libc::SYS_preadv, libc::SYS_pwritev),
    };
    // SAFETY: the kernel checks every pointer.
    unsafe {
        match op.opcode {
            CAIO_OP_NOP => 0,
            CAIO_OP_READ if flags != 0 => vector(readv, &one, 1),
            CAIO_OP_READ if current => ret(libc::read(fd, buf, len) as i64),
            CAIO_OP_READ => ret(libc::pread64(fd, buf, len, at) as i64),
            CAIO_OP_WRITE if flags != 0 => vector(writev, &one, 1),
            CAIO_OP_WRITE if current => ret(libc::write(fd, buf, len) as i64),
            CAIO_OP_WRITE => ret(libc::pwrite64(fd, buf, len, at) as i64),
            CAIO_OP_READV => vector(readv, buf.cast(), len),
            CAIO_OP_WRITEV => vector(writev, buf.cast(), len),
            CAIO_OP_FSYNC => ret(libc::fsync(fd).into()),
            CAIO_OP_FDSYNC => ret(libc::fdatasync(fd).into()),
            CAIO_OP_SYNC_RANGE => ret(libc::sync_file_range(fd, at, op.len as i64, op.sys_flags).into()),
            CAIO_OP_ALLOCATE => ret(libc::fallocate64(fd, flags, at, op.len as i64).into()),
            CAIO_OP_TRUNCATE => ret(libc::ftruncate64(fd, at).into()),
            CAIO_OP_OPENAT => ret(libc::openat64(fd, path, flags, mode).into()),
            CAIO_OP_CLOSE => ret(libc::close(fd).into()),
            CAIO_OP_STATX => ret(libc::syscall(libc::SYS_statx, fd, buf, flags, mode, op.buf2) as i64),
            CAIO_OP_UNLINKAT => ret(libc::unlinkat(fd, path, flags).into()),
            CAIO_OP_MKDIRAT => ret(libc::mkdirat(fd, path, mode).into()),
            _ => plain_call(op),
        }
    }
}

/// The plain system call of the opcodes of version 0.2. One that returns a structure of `buf2` takes it from there.
fn plain_call(op: &caio_op) -> i64 {
    let (fd, buf, buf2, path) = (op.fd, op.buf, op.buf2, op.buf.cast_const().cast());
    let (second, flags, mode) = (op.buf2.cast_const().cast(), op.sys_flags as i32, op.mode);
    let dir2 = if op.flags & CAIO_FLAG_DIR2 != 0 { op.offset as i32 } else { fd };
    let len = usize::try_from(op.len).unwrap_or(usize::MAX);
    let to = mode as i32;
    let mut offset = op.offset as i64;
    let from = if op.offset == CAIO_OFFSET_CURRENT { std::ptr::null_mut() } else { &raw mut offset };
    let offsets = [CAIO_OP_COPY_RANGE, CAIO_OP_SPLICE].contains(&op.opcode) && !buf2.is_null();
    // SAFETY: the test passes an offset.
    let mut there: Option<i64> = offsets.then(|| unsafe { buf2.cast::<i64>().read_unaligned() });
    let mut there = || there.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: the kernel checks every pointer.
    unsafe {
        #[allow(clippy::useless_conversion)] // on 64-bit systems
        let raw = |result: libc::c_long| ret(result.into());
        match op.opcode {
            CAIO_OP_READLINKAT => raw(libc::syscall(libc::SYS_readlinkat, fd, buf, buf2, len)),
            CAIO_OP_SYMLINKAT => ret(libc::symlinkat(path, fd, second).into()),
            CAIO_OP_LINKAT => ret(libc::linkat(fd, path, dir2, second, flags).into()),
            CAIO_OP_RENAMEAT => raw(libc::syscall(libc::SYS_renameat2, fd, buf, dir2, buf2, flags)),
            CAIO_OP_GETDENTS => raw(libc::syscall(libc::SYS_getdents64, fd, buf, len)),
            CAIO_OP_COPY_RANGE => raw(libc::syscall(libc::SYS_copy_file_range, fd, from, to, there(), len, 0)),
            CAIO_OP_SENDFILE => ret(libc::sendfile64(to, fd, from, len) as i64),
            CAIO_OP_SPLICE => ret(libc::splice(fd, from, to, there(), len, op.sys_flags) as i64),
            CAIO_OP_FADVISE => -i64::from(libc::posix_fadvise64(fd, op.offset as i64, op.len as i64, flags)),
            CAIO_OP_SEEK => ret(libc::lseek64(fd, op.offset as i64, flags)),
            CAIO_OP_FCHMODAT => raw(libc::syscall(452, fd, buf, mode, flags)),
            CAIO_OP_FCHOWNAT => raw(libc::syscall(libc::SYS_fchownat, fd, buf, mode, op.len as u32, flags)),
            CAIO_OP_UTIMENSAT => raw(libc::syscall(libc::SYS_utimensat, fd, buf, buf2, flags)),
            CAIO_OP_FACCESSAT => raw(libc::syscall(libc::SYS_faccessat2, fd, buf, mode, flags)),
            CAIO_OP_FGETXATTR => ret(libc::fgetxattr(fd, path, buf2, len) as i64),
            CAIO_OP_FSETXATTR => ret(libc::fsetxattr(fd, path, buf2, len, flags).into()),
            CAIO_OP_FLISTXATTR => ret(libc::flistxattr(fd, buf2.cast(), len) as i64),
            CAIO_OP_FREMOVEXATTR => ret(libc::fremovexattr(fd, path).into()),
            CAIO_OP_OPENAT2 => raw(libc::syscall(libc::SYS_openat2, fd, buf, buf2, len)),
            CAIO_OP_SYNCFS => ret(libc::syncfs(fd).into()),
            CAIO_OP_MKNODAT => ret(libc::mknodat(fd, path, mode, op.offset as libc::dev_t).into()),
            CAIO_OP_FSTATFS => raw(libc::syscall(libc::SYS_fstatfs, fd, buf2)),
            other => panic!("no such opcode: {other}"),
        }
    }
}

/// poll(2) for reading. `None` waits up to [`PATIENCE`] and panics if nothing comes.
pub fn readable(fd: RawFd, timeout: Option<Duration>) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let millis = timeout.unwrap_or(PATIENCE).as_millis() as i32;
    // SAFETY: one live pollfd.
    let ready = unsafe { libc::poll(&mut poll, 1, millis) };
    assert!(ready >= 0, "poll: {}", errno());
    assert!(ready > 0 || timeout.is_some(), "descriptor {fd} never became readable");
    assert_eq!(poll.revents & !libc::POLLIN, 0, "descriptor {fd}: {:#x}", poll.revents);
    ready > 0
}

/// A pipe: the read end and the write end.
pub fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(libc::O_CLOEXEC)
}

pub fn pipe_with(flags: i32) -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: two live ints.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), flags) }, 0, "pipe2: {}", errno());
    (owned(ends[0].into()), owned(ends[1].into()))
}

pub fn make_fifo(path: &std::ffi::CStr) {
    // SAFETY: a live string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0, "mkfifo: {}", errno());
}

/// A pair of connected stream sockets.
pub fn socketpair() -> (OwnedFd, OwnedFd) {
    socketpair_of(libc::SOCK_STREAM)
}

pub fn socketpair_of(kind: i32) -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    let kind = kind | libc::SOCK_CLOEXEC;
    // SAFETY: two live ints.
    assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) }, 0, "socketpair: {}", errno());
    (owned(ends[0].into()), owned(ends[1].into()))
}

/// A terminal in raw mode: the pty master and the terminal.
pub fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut controller, mut terminal) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: two live ints; no name, default settings.
    let result = unsafe { libc::openpty(&mut controller, &mut terminal, null, null.cast(), null.cast()) };
    assert_eq!(result, 0, "openpty: {}", errno());
    // SAFETY: a struct of integers.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: a live struct and an open terminal.
    unsafe {
        libc::tcgetattr(terminal, &mut settings);
        libc::cfmakeraw(&mut settings);
        assert_eq!(libc::tcsetattr(terminal, libc::TCSANOW, &settings), 0);
    }
    (owned(controller.into()), owned(terminal.into()))
}

pub fn eventfd(count: u32) -> OwnedFd {
    // SAFETY: no memory involved.
    owned(unsafe { libc::eventfd(count, libc::EFD_CLOEXEC) }.into())
}

pub fn dup(fd: RawFd) -> OwnedFd {
    // SAFETY: no memory involved.
    owned(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) }.into())
}

pub fn open(path: &CStr, flags: i32) -> OwnedFd {
    // SAFETY: a live string.
    owned(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o600) }.into())
}

pub fn set_nonblocking(fd: RawFd) {
    // SAFETY: no memory involved.
    let result = unsafe { libc::fcntl(fd, libc::F_SETFL, libc::fcntl(fd, libc::F_GETFL) | libc::O_NONBLOCK) };
    assert_eq!(result, 0, "F_SETFL: {}", errno());
}

/// The capacity of a pipe in bytes.
pub fn pipe_size(fd: &impl AsRawFd) -> usize {
    // SAFETY: no memory involved.
    let size = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETPIPE_SZ) };
    assert!(size > 0, "F_GETPIPE_SZ: {}", errno());
    size as usize
}

pub fn set_pipe_size(fd: &impl AsRawFd, size: i32) {
    // SAFETY: no memory involved.
    let got = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETPIPE_SZ, size) };
    assert!(got >= size, "F_SETPIPE_SZ: {}", errno());
}

/// The number of bytes to read in a pipe, socket or terminal.
pub fn waiting(fd: &impl AsRawFd) -> usize {
    let mut count = 0i32;
    // SAFETY: FIONREAD writes an int.
    assert_eq!(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &mut count) }, 0, "FIONREAD: {}", errno());
    count as usize
}

/// read(2), to the end of `buf` or of the file.
pub fn read_all(fd: &impl AsRawFd, buf: &mut [u8]) -> usize {
    let mut done = 0;
    while done < buf.len() {
        let got =
            plain(&op(CAIO_OP_READ, fd.as_raw_fd()).buf(buf[done..].as_ptr()).len((buf.len() - done) as u64).current());
        assert!(got >= 0, "read: {got}");
        if got == 0 {
            break;
        }
        done += got as usize;
    }
    done
}

/// write(2), all of `buf`.
pub fn write_all(fd: &impl AsRawFd, buf: &[u8]) {
    let mut done = 0;
    while done < buf.len() {
        let put = plain(&ops::write(fd.as_raw_fd(), &buf[done..], CAIO_OFFSET_CURRENT));
        assert!(put > 0, "write: {put}");
        done += put as usize;
    }
}

/// Anonymous memory of any size. Only pages that are touched use memory.
pub struct Map {
    start: *mut u8,
    len: usize,
}

// SAFETY: plain memory.
unsafe impl Send for Map {}
// SAFETY: plain memory.
unsafe impl Sync for Map {}

pub const PAGE: usize = 4096;

impl Map {
    pub fn new(len: usize) -> Self {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
        // SAFETY: a new mapping, wherever the kernel likes.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED, "mmap of {len}: {}", errno());
        Self { start: start.cast(), len }
    }

    /// Maps the first bytes of a file. The first access reads a page.
    pub fn of(file: &std::fs::File, len: usize) -> Self {
        // SAFETY: a new mapping, wherever the kernel likes.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
        assert_ne!(start, libc::MAP_FAILED, "mmap: {}", errno());
        Self { start: start.cast(), len }
    }

    /// Forbids all access from the byte `from` on, which starts a page.
    pub fn forbid(self, from: usize) -> Self {
        self.protect(from, libc::PROT_NONE)
    }

    /// Forbids writing.
    pub fn read_only(self) -> Self {
        self.protect(0, libc::PROT_READ)
    }

    fn protect(self, from: usize, protection: i32) -> Self {
        // SAFETY: within this mapping.
        let result = unsafe { libc::mprotect(self.start.add(from).cast(), self.len - from, protection) };
        assert_eq!(result, 0, "mprotect: {}", errno());
        self
    }

    pub fn start(&self) -> *mut u8 {
        self.start
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The address of the byte at `at`.
    pub fn address(&self, at: usize) -> *mut u8 {
        assert!(at <= self.len);
        self.start.wrapping_add(at)
    }

    /// The bytes. The whole map must be accessible.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped until dropped.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: mapped until dropped, borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: made by mmap in `new`.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

/// An address at which nothing is ever mapped.
pub fn nowhere() -> *mut u8 {
    std::ptr::without_provenance_mut(PAGE)
}

/// An empty struct statx.
pub fn statx_room() -> libc::statx {
    // SAFETY: a struct of integers.
    unsafe { std::mem::zeroed() }
}
