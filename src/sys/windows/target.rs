//! The file that a call with `AT_EMPTY_PATH` means: the descriptor itself, or what a path names.

use std::ffi::CStr;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ACCESS_RIGHTS, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_READ_ATTRIBUTES,
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, ReOpenFile,
};

use super::fd::{OwnedFd, RawFd, handle};
use super::file_kind;
use super::fs::AT_FDCWD;
use super::nt::{How, Name};
use crate::error::{Errno, Result};

pub enum Target {
    /// The caller's, with the rights that a change needs.
    Descriptor(RawFd, FILE_ACCESS_RIGHTS),
    Opened(OwnedFd),
}

impl Target {
    /// Finds it; a path is opened with the rights of `access`.
    pub fn find(dir: RawFd, path: &CStr, may_be_empty: bool, follow: bool, access: FILE_ACCESS_RIGHTS) -> Result<Self> {
        let path = match path.is_empty() && may_be_empty {
            false => path,
            true if dir == AT_FDCWD => c".",
            true => {
                file_kind::check(dir)?;
                if !file_kind::is_disk(dir) {
                    return Err(Errno(libc::EINVAL));
                }
                return Ok(Self::Descriptor(dir, access | FILE_READ_ATTRIBUTES));
            }
        };
        let how = How::existing(access | FILE_READ_ATTRIBUTES, follow);
        Name::new(dir, path)?.open(&how).map(Self::Opened)
    }

    pub fn handle(&self) -> HANDLE {
        match self {
            Self::Descriptor(fd, _) => handle(*fd),
            Self::Opened(file) => file.handle(),
        }
    }

    /// Whether the file may be opened with these rights.
    pub fn may(&self, access: FILE_ACCESS_RIGHTS) -> Result<()> {
        match self {
            Self::Descriptor(fd, _) => open_again(*fd, access | FILE_READ_ATTRIBUTES).map(drop),
            // It was.
            Self::Opened(_) => Ok(()),
        }
    }

    /// Changes the file through its handle. POSIX asks who changes it, not how the descriptor was opened: without the
    /// right to, through another handle.
    pub fn change(&self, change: impl Fn(HANDLE) -> Result<()>) -> Result<()> {
        match (change(self.handle()), self) {
            (Err(Errno(libc::EPERM)), Self::Descriptor(fd, access)) => change(open_again(*fd, *access)?.handle()),
            (answer, _) => answer,
        }
    }
}

fn open_again(fd: RawFd, access: FILE_ACCESS_RIGHTS) -> Result<OwnedFd> {
    const SHARE: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: takes no memory.
    let again =
        unsafe { ReOpenFile(handle(fd), access, SHARE, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT) };
    if again == INVALID_HANDLE_VALUE { Err(Errno(libc::EPERM)) } else { Ok(OwnedFd::of(again)) }
}
