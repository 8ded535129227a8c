//! `struct statx` of Linux, which STATX fills on every system.

use super::copy;
use super::mem::Memory;
use crate::error::Result;

/// Laid out as Linux's on every system.
#[derive(Clone, Copy, Default)]
#[repr(C, align(8))]
pub struct Statx {
    pub mask: u32,
    pub blksize: u32,
    pub attributes: u64,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub mode: u16,
    pub spare: u16,
    pub ino: u64,
    pub size: u64,
    pub blocks: u64,
    pub attributes_mask: u64,
    pub atime: Timestamp,
    pub btime: Timestamp,
    pub ctime: Timestamp,
    pub mtime: Timestamp,
    pub rdev_major: u32,
    pub rdev_minor: u32,
    pub dev_major: u32,
    pub dev_minor: u32,
    pub rest: [u64; 14],
}

#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Timestamp {
    pub sec: i64,
    pub nsec: u32,
    pub reserved: i32,
}

const _: () = assert!(size_of::<Statx>() == 256);

/// STATX_BASIC_STATS: all fields but `btime`.
pub const BASIC: u32 = 0x7ff;
/// STATX_BTIME.
pub const BIRTH: u32 = 0x800;

#[cfg_attr(all(target_os = "linux", not(caio_posix)), allow(dead_code))] // There, the kernel fills it.
impl Statx {
    /// Copies it to the caller's memory.
    pub fn put(&self, to: Memory) -> Result<u64> {
        // SAFETY: plain data without padding, and borrowed.
        let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast::<u8>(), size_of::<Self>()) };
        copy::to_caller(bytes, to).map(|()| 0)
    }
}
