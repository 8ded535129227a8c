//! Links, and the entries of a directory.

use std::ffi::CStr;

use windows_sys::Wdk::Storage::FileSystem::FileLinkInformation;
use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, GetLastError, STATUS_NOT_A_REPARSE_POINT};
use windows_sys::Win32::Storage::FileSystem::{
    CreateSymbolicLinkW, FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES, SYMBOLIC_LINK_FLAG_ALLOW_UNPRIVILEGED_CREATE,
    SYMBOLIC_LINK_FLAG_DIRECTORY,
};
use windows_sys::Win32::System::Ioctl::FSCTL_GET_REPARSE_POINT;

pub use super::super::absent::links::mknodat;
pub use super::directory::getdents;

use super::error::{of_code, of_status};
use super::fd::RawFd;
use super::mem::{Memory, room};
use super::nt::{self, How, Name};
use super::target::Target;
use super::{copy, reparse, stat, wide};
use crate::error::{Errno, Result};

const AT_SYMLINK_FOLLOW: u32 = 0x400;
const AT_EMPTY_PATH: u32 = 0x1000;
const EINVAL: Errno = Errno(libc::EINVAL);

/// `to` is the caller's, of `len` bytes. The result is the length of the link's text, which is cut there.
pub fn readlinkat(dir: RawFd, path: &CStr, to: Memory, len: u64) -> Result<u64> {
    const MOST: usize = 16 * 1024;
    if len == 0 {
        return Err(EINVAL);
    }
    let link = Name::new(dir, path)?.open(&How::existing(FILE_READ_ATTRIBUTES, false))?;
    let told = match nt::control(link.handle(), FSCTL_GET_REPARSE_POINT, &[], MOST)? {
        (STATUS_NOT_A_REPARSE_POINT, _) => return Err(EINVAL),
        (status, _) if status < 0 => return Err(of_status(status)),
        (_, told) => told,
    };
    let mut text = reparse::text(&told).ok_or(EINVAL)?;
    text.truncate(usize::try_from(len).unwrap_or(usize::MAX));
    copy::to_caller(&text, to).map(|()| text.len() as u64)
}

/// Creates a symbolic link that says `text`. Whether that is a directory must be known at once.
pub fn symlinkat(text: &CStr, dir: RawFd, path: &CStr) -> Result<u64> {
    if text.is_empty() {
        return Err(Errno(libc::ENOENT));
    }
    let name = Name::new(dir, path)?;
    let link = name.whole_path()?;
    let says = wide::link_text(text.to_bytes())?;
    let kind = if is_directory(&link, &says) { SYMBOLIC_LINK_FLAG_DIRECTORY } else { 0 };
    let (link, says) = (ended(link)?, ended(says)?);
    let create = |flags| {
        // SAFETY: two live strings, which end in NUL.
        match unsafe { CreateSymbolicLinkW(link.as_ptr(), says.as_ptr(), kind | flags) } {
            true => Ok(()),
            // SAFETY: takes no memory.
            false => Err(unsafe { GetLastError() }),
        }
    };
    match create(SYMBOLIC_LINK_FLAG_ALLOW_UNPRIVILEGED_CREATE) {
        // A system before Windows 10 1703.
        Err(ERROR_INVALID_PARAMETER) => create(0),
        answer => answer,
    }
    .map_err(of_code)?;
    // A Wine without links reports success.
    let made = name.open(&How::existing(FILE_READ_ATTRIBUTES, false));
    made.map(|_| 0).map_err(|_| Errno(libc::EOPNOTSUPP))
}

/// Whether what a link says is a directory now.
fn is_directory(link: &[u16], says: &[u16]) -> bool {
    let Ok(name) = Name::beside(link, says) else { return false };
    let target = name.open(&How::existing(FILE_READ_ATTRIBUTES, true));
    target.is_ok_and(|target| stat::is_directory(target.handle()) == Ok(true))
}

fn ended(mut text: Vec<u16>) -> Result<Vec<u16>> {
    let mut whole = room(text.len() + 1)?;
    whole.append(&mut text);
    whole.push(0);
    Ok(whole)
}

pub fn linkat(dir: RawFd, path: &CStr, to_dir: RawFd, to: &CStr, flags: u32) -> Result<u64> {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(EINVAL);
    }
    let follow = flags & AT_SYMLINK_FOLLOW != 0;
    let file = Target::find(dir, path, flags & AT_EMPTY_PATH != 0, follow, FILE_WRITE_ATTRIBUTES)?;
    if stat::is_directory(file.handle())? {
        return Err(Errno(libc::EPERM));
    }
    let to = Name::new(to_dir, to)?.for_rename(0)?;
    file.change(|handle| {
        // SAFETY: the structure is that of a rename.
        unsafe { nt::set(handle, FileLinkInformation, &to) }
    })
    .map(|()| 0)
}
