//! The caller's memory, which is lent to an operation until its event, and allocation that reports ENOMEM.

use std::alloc::{Layout, alloc_zeroed};
use std::ffi::c_void;

use super::rw::{MOST_PARTS, iovec};
use crate::error::{Errno, Result};

/// A vector with capacity for `count`, or ENOMEM.
pub fn room<T>(count: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(count).map_err(|_| Errno(libc::ENOMEM))?;
    Ok(room)
}

/// Zeroed bytes, of which the kernel makes the pages as they are used; or ENOMEM.
pub fn zeroed(count: usize) -> Result<Vec<u8>> {
    let layout = Layout::array::<u8>(count).map_err(|_| Errno(libc::ENOMEM))?;
    if count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the size is not 0.
    let bytes = unsafe { alloc_zeroed(layout) };
    if bytes.is_null() {
        return Err(Errno(libc::ENOMEM));
    }
    // SAFETY: allocated just now by the global allocator, with this length and alignment, and initialised.
    Ok(unsafe { Vec::from_raw_parts(bytes, count, count) })
}

/// `Box::new`, or ENOMEM.
pub fn boxed<T>(value: T) -> Result<Box<T>> {
    let mut only = room(1)?;
    only.push(value);
    let only: *mut [T] = Box::into_raw(only.into_boxed_slice());
    // SAFETY: a slice of one element has the element's layout, so the box owns the same allocation.
    Ok(unsafe { Box::from_raw(only.cast()) })
}

/// An address from an operation. It may be invalid, so only system calls use it, which then fail with EFAULT. The
/// exception is an iovec array that the kernel has accepted.
#[derive(Clone, Copy)]
pub struct Memory(*mut c_void);

// SAFETY: `new` requires memory that stays valid and untouched until the event, on any thread.
unsafe impl Send for Memory {}
// SAFETY: as above; a shared Memory exposes only an address.
unsafe impl Sync for Memory {}

impl Memory {
    /// # Safety The memory is valid and untouched until the operation's event; or the address is not mapped, and the
    /// operation fails with EFAULT.
    pub unsafe fn new(address: *mut c_void) -> Self {
        Self(address)
    }

    pub fn address(self) -> *mut c_void {
        self.0
    }

    /// The address `bytes` further.
    pub fn advanced(self, bytes: u64) -> Self {
        Self(self.0.wrapping_byte_add(bytes as usize))
    }

    /// The total length of `count` iovecs. Only for arrays that the kernel has accepted; 0 if it can accept none like
    /// it.
    pub fn iovec_total(self, count: u64) -> u64 {
        self.iovecs(count).fold(0u64, |sum, part| sum.saturating_add(part.iov_len as u64))
    }

    /// Puts into `rest` what is left of `count` iovecs after `moved` bytes, up to `most` bytes; or ENOMEM.
    pub fn iovecs_after(self, count: u64, moved: u64, most: u64, rest: &mut IovecBuf) -> Result<()> {
        rest.0.clear();
        rest.0.try_reserve(count as usize).map_err(|_| Errno(libc::ENOMEM))?;
        let (mut skip, mut most) = (moved, most);
        for part in self.iovecs(count) {
            let length = part.iov_len as u64;
            let gone = skip.min(length);
            skip -= gone;
            let taken = (length - gone).min(most);
            most -= taken;
            if taken > 0 {
                let iov_base = part.iov_base.wrapping_byte_add(gone as usize);
                rest.0.push(iovec { iov_base, iov_len: taken as usize });
            }
        }
        Ok(())
    }

    fn iovecs(self, count: u64) -> impl Iterator<Item = iovec> {
        let possible = !self.0.is_null() && count <= MOST_PARTS;
        let first = self.0.cast::<iovec>();
        (0..if possible { count as usize } else { 0 }).map(move |index| {
            // SAFETY: as `new` requires, the array stays valid and untouched until the event, and the operation has
            // none yet. The kernel has accepted the array, so it is readable.
            unsafe { first.add(index).read_unaligned() }
        })
    }
}

/// A thread's own iovec array, for the rest of a vectored transfer.
#[derive(Default)]
pub struct IovecBuf(Vec<iovec>);

// SAFETY: the addresses in it are a Memory's.
unsafe impl Send for IovecBuf {}

impl IovecBuf {
    /// Consecutive parts of `bytes` with these lengths. Do not use them after `bytes` was moved or freed.
    pub fn of(bytes: &mut [u8], lengths: impl ExactSizeIterator<Item = usize>) -> Result<Self> {
        let (mut parts, mut rest) = (room(lengths.len())?, bytes);
        for length in lengths {
            let (part, behind) = rest.split_at_mut(length);
            parts.push(iovec { iov_base: part.as_mut_ptr().cast(), iov_len: length });
            rest = behind;
        }
        Ok(Self(parts))
    }

    /// Parts of the caller's memory. An operation may get them only while they stay valid and untouched. For the Rust API, which
    /// not every system has.
    #[allow(dead_code)]
    pub fn list(parts: impl Iterator<Item = (Memory, usize)>) -> Self {
        Self(parts.map(|(part, iov_len)| iovec { iov_base: part.address(), iov_len }).collect())
    }

    pub fn as_memory(&self) -> Memory {
        Memory(self.0.as_ptr().cast_mut().cast())
    }

    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

/// The library's own bytes, for a system call during which they stay borrowed.
pub fn of_bytes(bytes: &mut [u8]) -> Memory {
    Memory(bytes.as_mut_ptr().cast())
}

/// A copy of the caller's iovec array: the address and length of each part. EFAULT if the array is not readable; EINVAL
/// for too many parts, or lengths that no system call accepts.
pub fn copy_parts(array: Memory, count: u64) -> Result<Vec<(Memory, usize)>> {
    const EINVAL: Errno = Errno(libc::EINVAL);
    if count > MOST_PARTS {
        return Err(EINVAL);
    }
    let size = count as usize * size_of::<iovec>();
    let mut bytes = room(size)?;
    bytes.resize(size, 0);
    super::copy::from_caller(array, &mut bytes)?;
    let mut parts = room(count as usize)?;
    let mut total = 0usize;
    for part in bytes.chunks_exact(size_of::<iovec>()) {
        // SAFETY: as many bytes as an iovec has, which is plain data.
        let part = unsafe { part.as_ptr().cast::<iovec>().read_unaligned() };
        total = total.checked_add(part.iov_len).filter(|total| isize::try_from(*total).is_ok()).ok_or(EINVAL)?;
        parts.push((Memory(part.iov_base), part.iov_len));
    }
    Ok(parts)
}

/// The smallest page size. Other page sizes are multiples of it.
pub const PAGE: usize = 4096;

/// The NULL pointer.
pub const NULL: Memory = Memory(std::ptr::null_mut());
