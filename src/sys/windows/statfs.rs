//! What a volume's information tells, as Linux's fstatfs(2) lays it out.

use std::ptr::null_mut;

use windows_sys::Wdk::Storage::FileSystem::{FileFsFullSizeInformation, NtQueryVolumeInformationFile};
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Storage::FileSystem::GetVolumeInformationByHandleW;
use windows_sys::Win32::System::IO::{IO_STATUS_BLOCK, IO_STATUS_BLOCK_0};

use super::error::{check, check_status};
use super::fd::{RawFd, handle};
use super::mem::Memory;
use super::{copy, file_kind};
use crate::error::{Errno, Result};

/// `to` is the caller's struct caio_statfs.
pub fn fstatfs(fd: RawFd, to: Memory) -> Result<u64> {
    const FILE_READ_ONLY_VOLUME: u32 = 0x8_0000;
    file_kind::check(fd)?;
    if !file_kind::is_disk(fd) {
        return Err(Errno(libc::EINVAL));
    }
    let (room, volume) = (Room::of(handle(fd))?, Volume::of(handle(fd))?);
    let flags = u64::from(volume.flags & FILE_READ_ONLY_VOLUME != 0);
    let words = [
        volume.name,
        room.cluster,
        room.total,
        room.free,
        room.available,
        0,
        0,
        volume.serial.into(),
        volume.longest.into(),
        room.cluster,
        flags,
        0,
        0,
        0,
        0,
    ];
    copy::to_caller(words.map(u64::to_ne_bytes).as_flattened(), to).map(|()| 0)
}

/// In clusters, except for the size of one.
struct Room {
    total: u64,
    available: u64,
    free: u64,
    cluster: u64,
}

impl Room {
    fn of(file: HANDLE) -> Result<Self> {
        let mut block = IO_STATUS_BLOCK { Anonymous: IO_STATUS_BLOCK_0 { Status: 0 }, Information: 0 };
        // FILE_FS_FULL_SIZE_INFORMATION, whose last eight bytes are two numbers.
        let mut told = [0u64; 4];
        let (address, size) = (told.as_mut_ptr().cast(), size_of_val(&told) as u32);
        // SAFETY: live structures of that size.
        check_status(unsafe {
            NtQueryVolumeInformationFile(file, &raw mut block, address, size, FileFsFullSizeInformation)
        })?;
        let [total, available, free, sectors] = told;
        Ok(Self { total, available, free, cluster: (sectors & 0xffff_ffff) * (sectors >> 32) })
    }
}

struct Volume {
    /// Its first four letters, as a number.
    name: u64,
    serial: u32,
    longest: u32,
    flags: u32,
}

impl Volume {
    fn of(file: HANDLE) -> Result<Self> {
        let (mut serial, mut longest, mut flags, mut name) = (0, 0, 0, [0u16; 64]);
        // SAFETY: live numbers, and a live buffer of that length. The volume's own name is not asked for.
        check(unsafe {
            GetVolumeInformationByHandleW(
                file,
                null_mut(),
                0,
                &raw mut serial,
                &raw mut longest,
                &raw mut flags,
                name.as_mut_ptr(),
                name.len() as u32,
            )
        })?;
        let letters = name.iter().take(4).enumerate();
        let name = letters.fold(0, |number, (at, letter)| number | u64::from(letter & 0xff) << (8 * at));
        Ok(Self { name, serial, longest, flags })
    }
}
