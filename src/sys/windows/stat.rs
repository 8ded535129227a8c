//! What a file's information tells, as Linux's statx(2) lays it out.

use std::mem::MaybeUninit;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_COMPRESSED, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_ENCRYPTED,
    FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_TAG_INFO,
    FILE_BASIC_INFO, FILE_INFO_BY_HANDLE_CLASS, FILE_STANDARD_INFO, FileAttributeTagInfo, FileBasicInfo,
    FileStandardInfo, GetFileInformationByHandle, GetFileInformationByHandleEx, SetFileInformationByHandle,
};

use super::error::check;
use super::fd::{RawFd, handle};
use super::file_kind::{self, FileKind};
use super::reparse;
use super::status::{BASIC, BIRTH, Statx, Timestamp};
use crate::error::Result;

mod mode {
    pub const PIPE: u32 = 0o010_000;
    pub const CHARACTERS: u32 = 0o020_000;
    pub const DIRECTORY: u32 = 0o040_000;
    pub const REGULAR: u32 = 0o100_000;
    pub const LINK: u32 = 0o120_000;
    pub const SOCKET: u32 = 0o140_000;
    pub const READ: u32 = 0o444;
    pub const WRITE: u32 = 0o222;
    pub const SEARCH: u32 = 0o111;
}

/// A second in the system's units of time.
pub const SECOND: i64 = 10_000_000;
/// In seconds.
pub const YEARS_1601_TO_1970: i64 = 11_644_473_600;

const TOLD: u32 = BASIC | BIRTH;
/// STATX_ATTR_COMPRESSED and STATX_ATTR_ENCRYPTED.
const COMPRESSED: u64 = 0x4;
const ENCRYPTED: u64 = 0x800;

/// A time in units of 100 nanoseconds since 1601.
fn timestamp(time: i64) -> Timestamp {
    let (sec, nsec) = (time.div_euclid(SECOND) - YEARS_1601_TO_1970, time.rem_euclid(SECOND) as u32 * 100);
    Timestamp { sec, nsec, reserved: 0 }
}

/// What the system tells about a descriptor.
pub fn of(fd: RawFd) -> Result<Statx> {
    let kind = file_kind::look(fd).kind;
    if kind != FileKind::Storage || !file_kind::is_disk(fd) {
        let file_type = match kind {
            FileKind::Socket => mode::SOCKET,
            _ if file_kind::is_pipe(fd) => mode::PIPE,
            _ => mode::CHARACTERS,
        };
        // An invalid handle counts as storage.
        file_kind::check(fd)?;
        let mode = (file_type | mode::READ | mode::WRITE) as u16;
        return Ok(Statx { mask: TOLD, nlink: 1, mode, ..Statx::default() });
    }
    let file = handle(fd);
    let identity = by_handle(file)?;
    // SAFETY: the structures of these classes.
    let (basic, standard) = unsafe {
        (query::<FILE_BASIC_INFO>(file, FileBasicInfo)?, query::<FILE_STANDARD_INFO>(file, FileStandardInfo)?)
    };
    let is = |attribute| basic.FileAttributes & attribute != 0;
    let attribute = |here, there| if is(here) { there } else { 0 };
    Ok(Statx {
        mask: TOLD,
        blksize: 4096,
        attributes: attribute(FILE_ATTRIBUTE_COMPRESSED, COMPRESSED) | attribute(FILE_ATTRIBUTE_ENCRYPTED, ENCRYPTED),
        attributes_mask: COMPRESSED | ENCRYPTED,
        nlink: identity.nNumberOfLinks,
        mode: mode_of(file, basic.FileAttributes) as u16,
        ino: u64::from(identity.nFileIndexHigh) << 32 | u64::from(identity.nFileIndexLow),
        size: standard.EndOfFile as u64,
        blocks: (standard.AllocationSize as u64).div_ceil(512),
        atime: timestamp(basic.LastAccessTime),
        btime: timestamp(basic.CreationTime),
        ctime: timestamp(basic.ChangeTime),
        mtime: timestamp(basic.LastWriteTime),
        dev_minor: identity.dwVolumeSerialNumber,
        ..Statx::default()
    })
}

/// As the C runtime has it: a file that is not read-only is everybody's to write.
fn mode_of(file: HANDLE, attributes: u32) -> u32 {
    let is = |attribute| attributes & attribute != 0;
    let write = if is(FILE_ATTRIBUTE_READONLY) { 0 } else { mode::WRITE };
    if is(FILE_ATTRIBUTE_REPARSE_POINT) && is_link(file) {
        return mode::LINK | mode::READ | mode::WRITE | mode::SEARCH;
    }
    if is(FILE_ATTRIBUTE_DIRECTORY) {
        return mode::DIRECTORY | mode::READ | mode::WRITE | mode::SEARCH;
    }
    mode::REGULAR | mode::READ | write
}

/// Whether an open file is a symbolic link or a junction, and not what that means.
pub fn is_link(file: HANDLE) -> bool {
    // SAFETY: the structure of this class.
    let tag = unsafe { query::<FILE_ATTRIBUTE_TAG_INFO>(file, FileAttributeTagInfo) };
    tag.is_ok_and(|tag| tag.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 && reparse::is_link(tag.ReparseTag))
}

/// Whether a file is read-only for every user. The attribute has no such meaning for directories.
pub fn is_read_only(file: HANDLE) -> bool {
    const EITHER: u32 = FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_DIRECTORY;
    attributes(file).is_ok_and(|attributes| attributes & EITHER == FILE_ATTRIBUTE_READONLY)
}

pub fn is_reparse_point(file: HANDLE) -> bool {
    attributes(file).is_ok_and(|attributes| attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0)
}

/// Whether an open file is a directory, and not a link to one.
pub fn is_plain_directory(file: HANDLE) -> Result<bool> {
    Ok(is_directory(file)? && !is_link(file))
}

fn by_handle(file: HANDLE) -> Result<BY_HANDLE_FILE_INFORMATION> {
    let mut told = MaybeUninit::zeroed();
    // SAFETY: a live structure.
    check(unsafe { GetFileInformationByHandle(file, told.as_mut_ptr()) })?;
    // SAFETY: filled by a call that succeeded.
    Ok(unsafe { told.assume_init() })
}

/// The numbers of a file and of its file system.
pub fn identity(file: HANDLE) -> Result<[u32; 3]> {
    by_handle(file).map(|told| [told.dwVolumeSerialNumber, told.nFileIndexHigh, told.nFileIndexLow])
}

pub fn size(file: HANDLE) -> Result<u64> {
    // SAFETY: the structure of this class.
    unsafe { query::<FILE_STANDARD_INFO>(file, FileStandardInfo) }.map(|standard| standard.EndOfFile as u64)
}

/// The bytes that are reserved for a file.
pub fn allocated(file: HANDLE) -> Result<i64> {
    // SAFETY: the structure of this class.
    unsafe { query::<FILE_STANDARD_INFO>(file, FileStandardInfo) }.map(|standard| standard.AllocationSize)
}

pub fn is_directory(file: HANDLE) -> Result<bool> {
    // SAFETY: the structure of this class.
    unsafe { query::<FILE_STANDARD_INFO>(file, FileStandardInfo) }.map(|standard| standard.Directory)
}

/// Takes the read-only attribute off, which keeps old systems from deleting the file.
pub fn make_writable(file: HANDLE) -> Result<()> {
    set_attributes(file, attributes(file)? & !FILE_ATTRIBUTE_READONLY)
}

/// The attributes of a file: `FILE_ATTRIBUTE_*`.
pub fn attributes(file: HANDLE) -> Result<u32> {
    // SAFETY: the structure of this class.
    unsafe { query::<FILE_BASIC_INFO>(file, FileBasicInfo) }.map(|basic| basic.FileAttributes)
}

pub fn set_attributes(file: HANDLE, attributes: u32) -> Result<()> {
    // 0 would leave them as they are.
    let attributes = if attributes == 0 { FILE_ATTRIBUTE_NORMAL } else { attributes };
    set(file, FILE_BASIC_INFO { FileAttributes: attributes, ..FILE_BASIC_INFO::default() })
}

/// Sets the times of the last access and the last write. 0 leaves one as it is.
pub fn set_times(file: HANDLE, access: i64, write: i64) -> Result<()> {
    set(file, FILE_BASIC_INFO { LastAccessTime: access, LastWriteTime: write, ..FILE_BASIC_INFO::default() })
}

fn set(file: HANDLE, basic: FILE_BASIC_INFO) -> Result<()> {
    let size = size_of::<FILE_BASIC_INFO>() as u32;
    // SAFETY: a live structure of this class.
    check(unsafe { SetFileInformationByHandle(file, FileBasicInfo, (&raw const basic).cast(), size) })
}

/// # Safety
/// `T` is the structure of `class`.
unsafe fn query<T>(file: HANDLE, class: FILE_INFO_BY_HANDLE_CLASS) -> Result<T> {
    let mut told = MaybeUninit::<T>::zeroed();
    // SAFETY: a live structure of that size.
    check(unsafe { GetFileInformationByHandleEx(file, class, told.as_mut_ptr().cast(), size_of::<T>() as u32) })?;
    // SAFETY: filled by a call that succeeded.
    Ok(unsafe { told.assume_init() })
}
