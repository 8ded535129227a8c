//! Lines on standard error that never wait for its reader.

use super::signal::NoPipeSignal;
use super::{check, mem};
use crate::error::{Errno, Result};
use crate::sys::CURRENT;
use crate::sys::system::rw::{self, Transfer, flags};

/// The file of standard error. After the program has closed it, its number may be that of another file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stderr {
    device: u64,
    inode: u64,
    format: libc::mode_t,
}

impl Stderr {
    /// None if standard error is closed.
    pub fn open_now() -> Option<Self> {
        let status = rw::stat(libc::STDERR_FILENO).ok()?;
        #[allow(clippy::unnecessary_cast)] // the types differ between systems
        Some(Self { device: status.st_dev as u64, inode: status.st_ino as u64, format: status.st_mode & libc::S_IFMT })
    }

    /// Writes a line of less than PIPE_BUF bytes. Fails with EAGAIN if that would wait, and with EBADF if standard error is
    /// another file now.
    pub fn write(self, line: &mut [u8]) -> Result<()> {
        if Self::open_now() != Some(self) {
            return Err(Errno(libc::EBADF));
        }
        match self.format {
            libc::S_IFSOCK => send(line),
            libc::S_IFREG => transfer(line, 0),
            _ => self.write_if_ready(line),
        }
    }

    /// A pipe or a terminal. Another process may fill it after the check, so the call itself must not wait either.
    fn write_if_ready(self, line: &mut [u8]) -> Result<()> {
        if !rw::is_ready(libc::STDERR_FILENO, false) {
            return Err(Errno(libc::EAGAIN));
        }
        let _ignored = NoPipeSignal::new();
        match transfer(line, flags::NOWAIT) {
            Err(Errno(libc::EOPNOTSUPP | libc::ENOSYS | libc::EPERM | libc::EINVAL)) => transfer(line, 0),
            answer => answer,
        }
    }
}

fn transfer(line: &mut [u8], flags: u32) -> Result<()> {
    let (fd, count) = (libc::STDERR_FILENO, line.len() as u64);
    let memory = mem::of_bytes(line);
    rw::transfer(&Transfer { fd, reads: false, vectored: false, memory, count, offset: CURRENT, flags }).map(drop)
}

fn send(line: &[u8]) -> Result<()> {
    #[cfg(target_os = "macos")]
    const QUIET: i32 = 0;
    #[cfg(not(target_os = "macos"))]
    const QUIET: i32 = libc::MSG_NOSIGNAL;
    let _ignored = NoPipeSignal::new();
    // SAFETY: live bytes of that length.
    check(
        unsafe { libc::send(libc::STDERR_FILENO, line.as_ptr().cast(), line.len(), QUIET | libc::MSG_DONTWAIT) } as i64
    )
    .map(drop)
}
