//! Operations on whole files and on paths, with the arguments of Linux's calls.

use std::ffi::CStr;

use windows_sys::Wdk::Storage::FileSystem::{
    FILE_CREATE, FILE_DELETE_ON_CLOSE, FILE_DIRECTORY_FILE, FILE_DISPOSITION_DELETE,
    FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE, FILE_DISPOSITION_POSIX_SEMANTICS, FILE_NO_INTERMEDIATE_BUFFERING,
    FILE_NON_DIRECTORY_FILE, FILE_OPEN, FILE_OPEN_FOR_BACKUP_INTENT, FILE_OPEN_IF, FILE_OPEN_REPARSE_POINT,
    FILE_OVERWRITE, FILE_OVERWRITE_IF, FILE_RANDOM_ACCESS, FILE_RENAME_IGNORE_READONLY_ATTRIBUTE,
    FILE_RENAME_POSIX_SEMANTICS, FILE_RENAME_REPLACE_IF_EXISTS, FILE_SEQUENTIAL_ONLY, FILE_WRITE_THROUGH,
    FileAllocationInformation, FileDispositionInformation, FileDispositionInformationEx, FileEndOfFileInformation,
    FileRenameInformation, FileRenameInformationEx,
};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_APPEND_DATA, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_TEMPORARY,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_READ_ATTRIBUTES, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_TRAVERSE, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA, FlushFileBuffers,
    GetFileSizeEx, ReOpenFile,
};

pub use super::super::absent::fs::{flags_and_resolve, may_mean_descriptor, open_flags, open_how};

use super::error::check;
use super::fd::{AsRawFd, OwnedFd, RawFd, handle};
use super::file_kind::{self, FileKind};
use super::mem::Memory;
use super::nt::{self, How, Name};
use super::{socket, stat};
use crate::error::{Errno, Result};

/// The working directory, as the directory of a path.
pub const AT_FDCWD: RawFd = -100;

const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_REMOVEDIR: u32 = 0x200;
const AT_EMPTY_PATH: u32 = 0x1000;
const EINVAL: Errno = Errno(libc::EINVAL);

/// The flags of an open that the C runtime lacks: three in the numbers of libuv, and two of the library's own.
mod flags {
    pub const DIRECT: i32 = 0x0200_0000;
    pub const DSYNC: i32 = 0x0400_0000;
    pub const SYNC: i32 = 0x0800_0000;
    pub const DIRECTORY: i32 = 0x1000_0000;
    pub const NOFOLLOW: i32 = 0x4000_0000;
}

pub fn fsync(fd: RawFd) -> Result<u64> {
    let file = handle(fd);
    // SAFETY: takes no memory.
    match check(unsafe { FlushFileBuffers(file) }) {
        Err(Errno(libc::EPERM)) => flush_writable(file),
        // A pipe, a console: nothing to flush.
        Err(Errno(libc::EISDIR)) => Err(EINVAL),
        answer => answer,
    }
    .map(|()| 0)
}

/// The system flushes only through a handle that may write; POSIX through any.
fn flush_writable(file: HANDLE) -> Result<()> {
    const SHARE: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: takes no memory.
    let again = unsafe { ReOpenFile(file, FILE_GENERIC_WRITE, SHARE, FILE_FLAG_BACKUP_SEMANTICS) };
    if again == INVALID_HANDLE_VALUE {
        return Err(Errno(libc::EPERM));
    }
    let again = OwnedFd::of(again);
    // SAFETY: takes no memory.
    check(unsafe { FlushFileBuffers(again.handle()) })
}

pub fn fdatasync(fd: RawFd) -> Result<u64> {
    fsync(fd)
}

/// The system has no call for a part of a file: flushes all of it.
pub fn sync_file_range(fd: RawFd, offset: u64, len: u64, flags: u32) -> Result<u64> {
    const ALL: u32 = 7;
    let end = offset.checked_add(len).and_then(|end| i64::try_from(end).ok());
    if flags & !ALL != 0 || end.is_none() {
        return Err(EINVAL);
    }
    refuse_stream(fd)?;
    fsync(fd)
}

pub fn fallocate(fd: RawFd, mode: u32, offset: u64, len: u64) -> Result<u64> {
    const KEEP_SIZE: u32 = 1;
    if mode & !KEEP_SIZE != 0 {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    if len == 0 || i64::try_from(offset).is_err() || i64::try_from(len).is_err() {
        return Err(EINVAL);
    }
    let end = offset.checked_add(len).and_then(|end| i64::try_from(end).ok()).ok_or(Errno(libc::EFBIG))?;
    refuse_stream(fd)?;
    let size = size(fd)?;
    let allocated = stat::allocated(handle(fd)).unwrap_or(0);
    // A smaller allocation would cut the file.
    if end > allocated.max(size) {
        // SAFETY: the class takes the number of bytes.
        let reserved = unsafe { nt::set(handle(fd), FileAllocationInformation, &[end]) };
        match reserved {
            // A file that is not sparse gets its clusters with its size, too.
            Err(errno) if is_unknown(errno) && mode & KEEP_SIZE == 0 => {}
            Err(errno) if is_unknown(errno) => return Err(Errno(libc::EOPNOTSUPP)),
            Err(Errno(libc::EPERM)) => return Err(Errno(libc::EBADF)),
            Err(errno) => return Err(errno),
            Ok(()) => {}
        }
    }
    if mode & KEEP_SIZE == 0 && end > size {
        return set_size(fd, end);
    }
    Ok(0)
}

fn size(fd: RawFd) -> Result<i64> {
    let mut size = 0;
    // SAFETY: a live number.
    check(unsafe { GetFileSizeEx(handle(fd), &raw mut size) }).map(|()| size)
}

pub fn ftruncate(fd: RawFd, size: u64) -> Result<u64> {
    let size = i64::try_from(size).map_err(|_| EINVAL)?;
    match file_kind::look(fd).kind {
        FileKind::Storage => set_size(fd, size),
        _ => Err(EINVAL),
    }
}

fn set_size(fd: RawFd, size: i64) -> Result<u64> {
    // SAFETY: the class takes the size.
    match unsafe { nt::set(handle(fd), FileEndOfFileInformation, &[size]) } {
        // Not open for writing.
        Err(Errno(libc::EPERM)) => Err(EINVAL),
        answer => answer.map(|()| 0),
    }
}

fn refuse_stream(fd: RawFd) -> Result<()> {
    if file_kind::look(fd).kind == FileKind::Storage { Ok(()) } else { Err(Errno(libc::ESPIPE)) }
}

/// The result is the new handle, which the caller owns.
pub fn openat(dir: RawFd, path: &CStr, flags: u32, mode: u32) -> Result<u64> {
    let name = Name::new(dir, path)?;
    let how = how_to_open(flags as i32, mode)?;
    let opened = if flags as i32 & flags::NOFOLLOW != 0 { open_no_link(&name, how)? } else { name.open(&how)? };
    let fd = opened.as_raw_fd();
    std::mem::forget(opened);
    Ok(fd as u64)
}

/// Opens what is not a link, and does not change it before that is known.
fn open_no_link(name: &Name, how: How) -> Result<OwnedFd> {
    let (disposition, truncates) = match how.disposition {
        FILE_OVERWRITE => (FILE_OPEN, true),
        FILE_OVERWRITE_IF => (FILE_OPEN_IF, true),
        other => (other, false),
    };
    let options = how.options | FILE_OPEN_REPARSE_POINT;
    let opened = name.open(&How { disposition, options, ..how })?;
    if stat::is_link(opened.handle()) {
        return Err(Errno(libc::ELOOP));
    }
    // Only the usual open gets the content of a file that another kind of reparse point stands for.
    let opened = if stat::is_reparse_point(opened.handle()) { name.open(&How { disposition, ..how })? } else { opened };
    if truncates {
        set_size(opened.as_raw_fd(), 0)?;
    }
    Ok(opened)
}

fn how_to_open(flags: i32, mode: u32) -> Result<How> {
    const OWNER_WRITES: u32 = 0o200;
    let is = |flag| flags & flag != 0;
    let mut access = match flags & (libc::O_RDONLY | libc::O_WRONLY | libc::O_RDWR) {
        libc::O_RDONLY => FILE_GENERIC_READ | FILE_TRAVERSE,
        libc::O_WRONLY => FILE_GENERIC_WRITE | FILE_READ_ATTRIBUTES,
        libc::O_RDWR => FILE_GENERIC_READ | FILE_GENERIC_WRITE,
        _ => return Err(EINVAL),
    };
    let writes = access & FILE_WRITE_DATA != 0;
    if is(libc::O_APPEND) && writes {
        access = access & !FILE_WRITE_DATA | FILE_APPEND_DATA;
    }
    let disposition = match (is(libc::O_CREAT), is(libc::O_EXCL), is(libc::O_TRUNC)) {
        (true, true, _) => FILE_CREATE,
        (true, false, true) => FILE_OVERWRITE_IF,
        (true, false, false) => FILE_OPEN_IF,
        (false, _, true) => FILE_OVERWRITE,
        (false, _, false) => FILE_OPEN,
    };
    let mut options = FILE_OPEN_FOR_BACKUP_INTENT;
    for (flag, option) in [
        (flags::DIRECT, FILE_NO_INTERMEDIATE_BUFFERING),
        (flags::DSYNC | flags::SYNC, FILE_WRITE_THROUGH),
        (libc::O_SEQUENTIAL, FILE_SEQUENTIAL_ONLY),
        (libc::O_RANDOM, FILE_RANDOM_ACCESS),
        (libc::O_TEMPORARY, FILE_DELETE_ON_CLOSE),
        (flags::DIRECTORY, FILE_DIRECTORY_FILE),
    ] {
        options |= if is(flag) { option } else { 0 };
    }
    if is(libc::O_TEMPORARY) {
        access |= DELETE;
    }
    if is(flags::DIRECTORY) {
        if is(libc::O_CREAT) {
            return Err(EINVAL);
        }
    } else if writes || is(libc::O_CREAT | libc::O_TRUNC) {
        options |= FILE_NON_DIRECTORY_FILE;
    }
    let read_only = is(libc::O_CREAT) && mode & OWNER_WRITES == 0;
    let temporary = if is(libc::_O_SHORT_LIVED) { FILE_ATTRIBUTE_TEMPORARY } else { 0 };
    let attributes = temporary | if read_only { FILE_ATTRIBUTE_READONLY } else { FILE_ATTRIBUTE_NORMAL };
    Ok(How { access, disposition, options, attributes })
}

/// Closes a handle or a socket.
pub fn close(fd: RawFd) -> Result<u64> {
    // Negative handles stand for this process and thread, which close ignores.
    if fd <= 0 {
        return Err(Errno(libc::EBADF));
    }
    if file_kind::look(fd).kind == FileKind::Socket {
        return socket::close(fd).map(|()| 0);
    }
    // SAFETY: the handle is the operation's to close.
    check(unsafe { CloseHandle(handle(fd)) }).map(|()| 0)
}

/// `to` is the caller's struct caio_statx.
pub fn statx(dir: RawFd, path: &CStr, flags: u32, mask: u32, to: Memory) -> Result<u64> {
    const SYNC: u32 = 0x6000;
    const RESERVED: u32 = 1 << 31;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | SYNC | 0x800) != 0 || mask & RESERVED != 0 {
        return Err(EINVAL);
    }
    let told = if path.is_empty() && flags & AT_EMPTY_PATH != 0 && dir != AT_FDCWD {
        stat::of(dir)?
    } else {
        let path = if path.is_empty() && flags & AT_EMPTY_PATH != 0 { c"." } else { path };
        let how = How::existing(FILE_READ_ATTRIBUTES, flags & AT_SYMLINK_NOFOLLOW == 0);
        stat::of(Name::new(dir, path)?.open(&how)?.as_raw_fd())?
    };
    told.put(to)
}

pub fn renameat2(dir: RawFd, from: &CStr, to_dir: RawFd, to: &CStr, flags: u32) -> Result<u64> {
    const NOREPLACE: u32 = 1;
    if flags & !NOREPLACE != 0 {
        return Err(EINVAL);
    }
    let file = Name::new(dir, from)?.open(&How::existing(DELETE | FILE_READ_ATTRIBUTES, false))?;
    let to = Name::new(to_dir, to)?;
    let replaces = flags & NOREPLACE == 0;
    let is_directory = stat::is_plain_directory(file.handle())?;
    if is_directory && replaces {
        make_way_for_directory(&file, &to)?;
    }
    match rename(&file, &to, replaces) {
        Err(Errno(libc::EPERM | libc::EEXIST)) if replaces && !is_directory && is_directory_now(&to) => {
            Err(Errno(libc::EISDIR))
        }
        answer => answer.map(|()| 0),
    }
}

fn rename(file: &OwnedFd, to: &Name, replaces: bool) -> Result<()> {
    let replace = if replaces { FILE_RENAME_REPLACE_IF_EXISTS } else { 0 };
    let newest = replace | FILE_RENAME_POSIX_SEMANTICS | FILE_RENAME_IGNORE_READONLY_ATTRIBUTE;
    // SAFETY: the structure of both classes.
    unsafe {
        match nt::set(file.handle(), FileRenameInformationEx, &to.for_rename(newest)?) {
            // An old system, or a file system other than NTFS.
            Err(errno) if is_unknown(errno) => nt::set(file.handle(), FileRenameInformation, &to.for_rename(replace)?),
            answer => answer,
        }
    }
}

/// The system replaces no directory, so an empty one is deleted.
fn make_way_for_directory(file: &OwnedFd, to: &Name) -> Result<()> {
    let Ok(there) = to.open(&How::existing(FILE_READ_ATTRIBUTES, false)) else { return Ok(()) };
    // The same one may only change the case of its name.
    if stat::identity(there.handle())? == stat::identity(file.handle())? {
        return Ok(());
    }
    if !stat::is_plain_directory(there.handle())? {
        return Err(Errno(libc::ENOTDIR));
    }
    if nt::is_below(there.handle(), file.handle())? {
        return Err(EINVAL);
    }
    drop(there);
    delete(to, true)
}

fn is_directory_now(name: &Name) -> bool {
    name.open(&How::existing(FILE_READ_ATTRIBUTES, false))
        .is_ok_and(|file| stat::is_directory(file.handle()) == Ok(true))
}

/// Whether the system or the file system does not know a class of information.
fn is_unknown(errno: Errno) -> bool {
    matches!(errno.0, libc::EOPNOTSUPP | libc::EINVAL | libc::EISDIR | libc::EIO)
}

pub fn unlinkat(dir: RawFd, path: &CStr, flags: u32) -> Result<u64> {
    match flags {
        0 | AT_REMOVEDIR => delete(&Name::new(dir, path)?, flags != 0).map(|()| 0),
        _ => Err(EINVAL),
    }
}

/// Deletes a directory, or what is none: also the link to a directory.
fn delete(name: &Name, directory: bool) -> Result<()> {
    let open = |more| name.open(&How::existing(DELETE | FILE_READ_ATTRIBUTES | more, false));
    let file = open(0)?;
    match stat::is_plain_directory(file.handle())? {
        true if !directory => return Err(Errno(libc::EISDIR)),
        false if directory => return Err(Errno(libc::ENOTDIR)),
        _ => {}
    }
    let newest =
        FILE_DISPOSITION_DELETE | FILE_DISPOSITION_POSIX_SEMANTICS | FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE;
    // SAFETY: the class takes the flags.
    match unsafe { nt::set(file.handle(), FileDispositionInformationEx, &[newest]) } {
        Err(errno) if is_unknown(errno) => {}
        answer => return answer,
    }
    // SAFETY: the class takes a byte: delete.
    match unsafe { nt::set(file.handle(), FileDispositionInformation, &[1u8]) } {
        Err(Errno(libc::EPERM)) => {
            let file = open(FILE_WRITE_ATTRIBUTES)?;
            stat::make_writable(file.handle())?;
            // SAFETY: as above.
            unsafe { nt::set(file.handle(), FileDispositionInformation, &[1u8]) }
        }
        answer => answer,
    }
}

pub fn mkdirat(dir: RawFd, path: &CStr, _mode: u32) -> Result<u64> {
    let how = How {
        disposition: FILE_CREATE,
        options: FILE_DIRECTORY_FILE,
        attributes: FILE_ATTRIBUTE_NORMAL,
        access: FILE_READ_ATTRIBUTES,
    };
    Name::new(dir, path)?.open(&how).map(|_| 0)
}

/// Whether opening the path may wait for something other than a disk. An open of a named pipe never waits here.
pub fn open_may_block(_: RawFd, _: &CStr, _: u32) -> bool {
    false
}

/// Another handle of a directory.
pub fn open_for_paths(dir: RawFd) -> Result<OwnedFd> {
    Name::new(dir, c".")?.open(&How::existing(FILE_GENERIC_READ | FILE_TRAVERSE, true))
}
