//! Opening a path, and what one open file tells and takes: the kernel's own calls, which know directories' handles.

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_INFORMATION_CLASS, FILE_OPEN, FILE_OPEN_FOR_BACKUP_INTENT, FILE_OPEN_REPARSE_POINT,
    FILE_SYNCHRONOUS_IO_NONALERT, NTCREATEFILE_CREATE_DISPOSITION, NTCREATEFILE_CREATE_OPTIONS, NtCreateFile,
    NtFsControlFile, NtQueryInformationFile, NtSetInformationFile,
};
use windows_sys::Win32::Foundation::{HANDLE, NTSTATUS, OBJ_CASE_INSENSITIVE, STATUS_PENDING, UNICODE_STRING};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ACCESS_RIGHTS, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, GetFinalPathNameByHandleW, SYNCHRONIZE,
};
use windows_sys::Win32::System::IO::{IO_STATUS_BLOCK, IO_STATUS_BLOCK_0};

use super::error::{check_status, last};
use super::event::{self, Event};
use super::fd::{OwnedFd, RawFd, handle};
use super::fs::AT_FDCWD;
use super::mem::{room, zeroed};
use super::stat;
use super::wide::{self, NtPath, nt_path};
use crate::error::{Errno, Result};

/// How to open a path.
pub struct How {
    pub access: FILE_ACCESS_RIGHTS,
    pub disposition: NTCREATEFILE_CREATE_DISPOSITION,
    pub options: NTCREATEFILE_CREATE_OPTIONS,
    pub attributes: u32,
}

impl How {
    /// An open that uses what exists, for calls of the library that wait for their end.
    pub fn existing(access: FILE_ACCESS_RIGHTS, follow: bool) -> Self {
        let link = if follow { 0 } else { FILE_OPEN_REPARSE_POINT };
        let options = FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_FOR_BACKUP_INTENT | link;
        Self { access, disposition: FILE_OPEN, options, attributes: 0 }
    }
}

/// A path, and the directory that it is relative to.
pub struct Name {
    directory: HANDLE,
    path: Vec<u16>,
}

impl Name {
    pub fn new(dir: RawFd, path: &CStr) -> Result<Self> {
        let on_directory = dir != AT_FDCWD;
        Ok(match nt_path(path.to_bytes(), on_directory, || final_path(handle(dir)))? {
            NtPath::Below(path) => Self { directory: handle(dir), path },
            NtPath::Absolute(path) => Self { directory: null_mut(), path },
        })
    }

    /// What a link with this whole path means.
    pub fn beside(link: &[u16], says: &[u16]) -> Result<Self> {
        Ok(Self { directory: null_mut(), path: wide::beside(link, says)? })
    }

    /// The path that calls without a directory take, of any length.
    pub fn whole_path(&self) -> Result<Vec<u16>> {
        match self.directory.is_null() {
            true => wide::verbatim(&self.path),
            false => wide::join(final_path(self.directory)?, &self.path),
        }
    }

    /// Opens it, sharing everything, as POSIX does. The handle is not inherited.
    pub fn open(&self, how: &How) -> Result<OwnedFd> {
        const SHARE: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
        let bytes = u16::try_from(self.path.len() * 2).map_err(|_| Errno(libc::ENAMETOOLONG))?;
        let name = UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: self.path.as_ptr().cast_mut() };
        let attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            RootDirectory: self.directory,
            ObjectName: &raw const name,
            Attributes: OBJ_CASE_INSENSITIVE,
            SecurityDescriptor: null(),
            SecurityQualityOfService: null(),
        };
        let (mut opened, mut status) = (MaybeUninit::uninit(), no_status());
        // SAFETY: the name and the structures outlive the call.
        let answer = check_status(unsafe {
            NtCreateFile(
                opened.as_mut_ptr(),
                how.access | SYNCHRONIZE,
                &raw const attributes,
                &raw mut status,
                null(),
                how.attributes,
                SHARE,
                how.disposition,
                how.options,
                null(),
                0,
            )
        });
        answer.map_err(|errno| if self.is_below_a_file() { Errno(libc::ENOTDIR) } else { errno })?;
        // SAFETY: filled by a call that succeeded.
        Ok(OwnedFd::of(unsafe { opened.assume_init() }))
    }

    fn is_below_a_file(&self) -> bool {
        !self.directory.is_null() && stat::is_directory(self.directory) == Ok(false)
    }

    /// The structure for renaming a file to this name: the flags, the directory, the length, and the name itself.
    pub fn for_rename(&self, flags: u32) -> Result<Vec<u64>> {
        let bytes = self.path.len() * 2;
        let (header, first) =
            (size_of::<usize>() * 2 + size_of::<u32>(), [u64::from(flags), self.directory.addr() as u64]);
        let mut words = room((header + bytes).div_ceil(size_of::<u64>()) + 1)?;
        words.extend(first);
        let mut pending = (bytes as u64, 32);
        for unit in &self.path {
            pending.0 |= u64::from(*unit) << pending.1;
            pending.1 += 16;
            if pending.1 == 64 {
                words.push(pending.0);
                pending = (0, 0);
            }
        }
        words.push(pending.0);
        Ok(words)
    }
}

/// Whether a file is below a directory.
pub fn is_below(file: HANDLE, directory: HANDLE) -> Result<bool> {
    let (path, whole) = (final_path(file)?, final_path(directory)?);
    Ok(path.strip_prefix(&whole[..]).is_some_and(|rest| rest.first() == Some(&u16::from(b'\\'))))
}

/// The name of an open file.
fn final_path(file: HANDLE) -> Result<Vec<u16>> {
    let mut path: Vec<u16> = room(512)?;
    loop {
        path.resize(path.capacity(), 0);
        // SAFETY: a live buffer of that length.
        let length = unsafe { GetFinalPathNameByHandleW(file, path.as_mut_ptr(), path.len() as u32, 0) } as usize;
        match length {
            0 => return Err(last()),
            length if length < path.len() => {
                path.truncate(length);
                return Ok(path);
            }
            length => path.try_reserve(length + 1).map_err(|_| Errno(libc::ENOMEM))?,
        }
    }
}

/// What the kernel tells about an open file. `T` is plain data that the class fills.
///
/// # Safety
/// `T` is the structure of `class`.
pub unsafe fn query<T>(file: HANDLE, class: FILE_INFORMATION_CLASS) -> Result<T> {
    let (mut told, mut status) = (MaybeUninit::<T>::zeroed(), no_status());
    // SAFETY: live structures of that size.
    check_status(unsafe {
        NtQueryInformationFile(file, &raw mut status, told.as_mut_ptr().cast(), size_of::<T>() as u32, class)
    })?;
    // SAFETY: filled by a call that succeeded.
    Ok(unsafe { told.assume_init() })
}

/// Changes an open file.
///
/// # Safety
/// `value` is the structure of `class`.
pub unsafe fn set<T>(file: HANDLE, class: FILE_INFORMATION_CLASS, value: &[T]) -> Result<()> {
    let mut status = no_status();
    let (address, size): (*const c_void, usize) = (value.as_ptr().cast(), size_of_val(value));
    // SAFETY: a live structure of that size.
    check_status(unsafe { NtSetInformationFile(file, &raw mut status, address, size as u32, class) })
}

/// Makes a call that takes an event and a status block, and waits for its end. The result is its status, and its count.
pub fn waited(call: impl FnOnce(HANDLE, *mut IO_STATUS_BLOCK) -> NTSTATUS) -> Result<(NTSTATUS, usize)> {
    let (event, mut block) = (Event::new()?, no_status());
    let mut status = call(event.handle(), &raw mut block);
    if status == STATUS_PENDING {
        event::wait_any(&[event.handle()], None)?;
        // SAFETY: the kernel has filled it before it has set the event.
        status = unsafe { (&raw const block.Anonymous.Status).read_volatile() };
    }
    // SAFETY: as above, or a call that has ended has filled it.
    Ok((status, unsafe { (&raw const block.Information).read_volatile() }))
}

/// Asks the file system about an open file. The result is the status of the call, and up to `most` bytes.
pub fn control(file: HANDLE, code: u32, input: &[u8], most: usize) -> Result<(NTSTATUS, Vec<u8>)> {
    let mut told = zeroed(most)?;
    let (from, size) = (input.as_ptr().cast(), input.len() as u32);
    let (to, room) = (told.as_mut_ptr().cast(), most as u32);
    let (status, count) = waited(|event, block| {
        // SAFETY: live memory of these lengths, and a live event and structure, until `waited` has seen the end of the call.
        unsafe { NtFsControlFile(file, event, None, null(), block, code, from, size, to, room) }
    })?;
    told.truncate(count);
    Ok((status, told))
}

fn no_status() -> IO_STATUS_BLOCK {
    IO_STATUS_BLOCK { Anonymous: IO_STATUS_BLOCK_0 { Status: 0 }, Information: 0 }
}
