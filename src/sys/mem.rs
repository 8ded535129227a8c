//! Memory that belongs to the caller and is lent to an operation until its event.

use std::ffi::c_void;

use crate::error::{Errno, Result};

/// A vector with room for `count`, or ENOMEM.
pub fn room<T>(count: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(count).map_err(|_| Errno(libc::ENOMEM))?;
    Ok(room)
}

/// `Box::new`, or ENOMEM.
pub fn boxed<T>(value: T) -> Result<Box<T>> {
    let mut only = room(1)?;
    only.push(value);
    let only: *mut [T] = Box::into_raw(only.into_boxed_slice());
    // SAFETY: a slice of one has the layout of that one, so the box owns the same allocation.
    Ok(unsafe { Box::from_raw(only.cast()) })
}

/// An address from an operation. It may be wild: only system calls, which answer EFAULT, look behind it
/// (the iovec array of a transfer that the kernel already accepted excepted).
#[derive(Clone, Copy)]
pub struct Memory(*mut c_void);

// SAFETY: whoever made it promised that it stays valid and untouched until the event, whichever thread runs the operation.
unsafe impl Send for Memory {}
// SAFETY: as above; a shared Memory gives away nothing but an address.
unsafe impl Sync for Memory {}

impl Memory {
    /// # Safety
    /// What lies there is valid and untouched until the operation's event; or nothing is mapped there,
    /// in which case the operation fails with EFAULT.
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

    /// The bytes that `count` iovecs ask for. Only for arrays that the kernel has accepted; 0 if it cannot be one.
    pub fn iovec_total(self, count: u64) -> u64 {
        self.iovecs(count).fold(0u64, |sum, part| sum.saturating_add(part.iov_len as u64))
    }

    /// What is left of `count` iovecs after `moved` bytes went through them, up to `most` bytes; or ENOMEM.
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
                rest.0.push(libc::iovec { iov_base, iov_len: taken as usize });
            }
        }
        Ok(())
    }

    fn iovecs(self, count: u64) -> impl Iterator<Item = libc::iovec> {
        let possible = !self.0.is_null() && count <= libc::UIO_MAXIOV as u64;
        let first = self.0.cast::<libc::iovec>();
        (0..if possible { count as usize } else { 0 }).map(move |index| {
            // SAFETY: `new`'s promise: the array stays valid and untouched until the event, and every caller asks before
            // it. The kernel has read the same bytes: a transfer that it refused has no total and no rest to ask for.
            unsafe { first.add(index).read_unaligned() }
        })
    }
}

/// A worker's own iovec array, for what is left of a vectored transfer.
#[derive(Default)]
pub struct IovecBuf(Vec<libc::iovec>);

// SAFETY: the addresses in it are a Memory's.
unsafe impl Send for IovecBuf {}

impl IovecBuf {
    pub fn as_memory(&self) -> Memory {
        Memory(self.0.as_ptr().cast_mut().cast())
    }

    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

/// The library's own bytes, for a system call that is made while they are borrowed.
pub fn of_bytes(bytes: &mut [u8]) -> Memory {
    Memory(bytes.as_mut_ptr().cast())
}

/// A copy of the caller's iovec array: address and length of each part. EFAULT if it is not readable, EINVAL if it has too
/// many or lengths that no system call takes.
pub fn copy_parts(array: Memory, count: u64) -> Result<Vec<(Memory, usize)>> {
    const EINVAL: Errno = Errno(libc::EINVAL);
    if count > libc::UIO_MAXIOV as u64 {
        return Err(EINVAL);
    }
    let size = count as usize * size_of::<libc::iovec>();
    let mut bytes = room(size)?;
    bytes.resize(size, 0);
    super::copy::from_caller(array, &mut bytes)?;
    let mut parts = room(count as usize)?;
    let mut total = 0usize;
    for part in bytes.chunks_exact(size_of::<libc::iovec>()) {
        // SAFETY: as many bytes as an iovec has, which is plain data.
        let part = unsafe { part.as_ptr().cast::<libc::iovec>().read_unaligned() };
        total = total.checked_add(part.iov_len).filter(|total| isize::try_from(*total).is_ok()).ok_or(EINVAL)?;
        parts.push((Memory(part.iov_base), part.iov_len));
    }
    Ok(parts)
}

/// Pages are this large, or a multiple of it.
pub const PAGE: usize = 4096;

/// No memory.
pub const NULL: Memory = Memory(std::ptr::null_mut());
