//! Structures of the caller that submit copies, beside the paths. The pointer may be invalid.

use super::attributes::TIMES_SIZE;
use super::copy;
use super::mem::Memory;
use crate::error::{Errno, Result};

/// A structure at `buf2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    None,
    /// `len` bytes of struct open_how.
    How,
    /// Two struct timespec, or NULL for the present time.
    Times,
    /// The offset in the destination, or NULL for its current position.
    Offset,
}

/// The first version of struct open_how: flags, mode, resolve (openat2(2)).
pub const HOW_SIZE: usize = 24;
/// openat2(2) accepts no larger structure than a page.
const HOW_MOST: usize = super::mem::PAGE;

/// Appends the structure at `from`, which has `len` bytes if its size is not fixed. Fails with EFAULT if it is not readable,
/// or ENOMEM. Copies nothing for NULL, if that has a meaning, nor for a size that the system call refuses.
pub fn copy(input: Input, from: Memory, len: u64, to: &mut Vec<u8>) -> Result<()> {
    let is_null = from.address().is_null();
    let size = match input {
        Input::None => 0,
        Input::How => usize::try_from(len).ok().filter(|len| (HOW_SIZE..=HOW_MOST).contains(len)).unwrap_or(0),
        Input::Times if is_null => 0,
        Input::Times => TIMES_SIZE,
        Input::Offset if is_null => 0,
        Input::Offset => size_of::<u64>(),
    };
    if size == 0 {
        return Ok(());
    }
    let start = to.len();
    to.try_reserve(size).map_err(|_| Errno(libc::ENOMEM))?;
    to.resize(start + size, 0);
    copy::from_caller(from, &mut to[start..]).inspect_err(|_| to.truncate(start))
}

/// A copied offset.
pub fn offset(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory<T>(at: *const T) -> Memory {
        // SAFETY: only system calls look behind it.
        unsafe { Memory::new(at.cast_mut().cast()) }
    }

    #[test]
    fn copies_what_the_system_call_would_read() {
        let how = [1u64, 2, 3];
        let mut to = b"path\0".to_vec();
        copy(Input::How, memory(&how), HOW_SIZE as u64, &mut to).unwrap();
        assert_eq!(to.len(), 5 + HOW_SIZE);
        copy(Input::How, memory(&how), 8, &mut to).unwrap();
        copy(Input::Times, memory::<u64>(std::ptr::null()), 0, &mut to).unwrap();
        assert_eq!(to.len(), 5 + HOW_SIZE, "nothing for a refused size, and nothing for NULL");
        let mut to = Vec::new();
        copy(Input::Offset, memory(&how[1]), 0, &mut to).unwrap();
        assert_eq!((offset(&to), offset(&[])), (Some(2), None));
    }

    #[test]
    fn refuses_wild_addresses() {
        let mut to = vec![1];
        let wild = memory::<u64>(std::ptr::without_provenance(8));
        for (input, len) in [(Input::How, 24), (Input::Times, 0), (Input::Offset, 0)] {
            assert_eq!(copy(input, wild, len, &mut to), Err(Errno(libc::EFAULT)));
        }
        let null = memory::<u64>(std::ptr::null());
        assert_eq!(copy(Input::How, null, 24, &mut to), Err(Errno(libc::EFAULT)));
        assert_eq!(to, [1]);
    }
}
