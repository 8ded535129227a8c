//! The position of a file, for handles that do not keep one.

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Storage::FileSystem::{FILE_BEGIN, FILE_CURRENT, GetFileSizeEx, SetFilePointerEx};

use super::error::check;
use crate::error::Result;
use crate::sync::{Mutex, MutexGuard};

/// Operations of this process on the position of a handle come one after the other.
static LOCKS: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];

/// The position of a handle, while no other operation of the library changes it.
pub struct Position {
    file: HANDLE,
    at: u64,
    _alone: MutexGuard<'static, ()>,
}

impl Position {
    pub fn of(file: HANDLE) -> Result<Self> {
        let alone = LOCKS[file.addr() / 4 % LOCKS.len()].lock();
        let mut at = 0;
        // SAFETY: a live number.
        check(unsafe { SetFilePointerEx(file, 0, &raw mut at, FILE_CURRENT) })?;
        Ok(Self { file, at: at as u64, _alone: alone })
    }

    pub fn get(&self) -> u64 {
        self.at
    }

    pub fn set(&self, at: u64) {
        // SAFETY: the old position is not asked for.
        unsafe { SetFilePointerEx(self.file, at as i64, std::ptr::null_mut(), FILE_BEGIN) };
    }

    /// After an append.
    pub fn set_to_end(&self) {
        let mut size = 0;
        // SAFETY: a live number.
        if unsafe { GetFileSizeEx(self.file, &raw mut size) } != 0 {
            self.set(size as u64);
        }
    }
}
