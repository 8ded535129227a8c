//! Copies path strings from the caller. The pointer may be invalid.

use super::copy;
use super::mem::{Memory, PAGE};
use crate::error::{Errno, Result};

pub use super::system::config::PATH_MAX;

/// Appends the NUL-terminated path at `from` to `to`. Fails with EFAULT if it is NULL or not readable, or ENOMEM. A path that
/// is too long is cut where the system call still fails with ENAMETOOLONG.
pub fn copy_path(from: Memory, to: &mut Vec<u8>) -> Result<()> {
    if from.address().is_null() {
        return Err(Errno(libc::EFAULT));
    }
    let start = to.len();
    let mut done = 0;
    while done < PATH_MAX {
        let address = from.advanced(done as u64);
        // Page by page: the string may end just before an unmapped page. The first step is short, as most paths are.
        let to_page_end = PAGE - address.address().addr() % PAGE;
        let step = to_page_end.min(PATH_MAX - done).min(if done == 0 { 256 } else { PAGE });
        to.try_reserve(step + 1).map_err(|_| Errno(libc::ENOMEM))?;
        to.resize(start + done + step, 0);
        let part = &mut to[start + done..];
        if let Err(errno) = copy::from_caller(address, part) {
            to.truncate(start);
            return Err(errno);
        }
        if let Some(end) = part.iter().position(|byte| *byte == 0) {
            to.truncate(start + done + end + 1);
            return Ok(());
        }
        done += step;
    }
    to.push(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(at: *const u8) -> Memory {
        // SAFETY: only system calls look behind it.
        unsafe { Memory::new(at.cast_mut().cast()) }
    }

    #[test]
    fn copies_up_to_the_terminator() {
        let mut to = b"x\0".to_vec();
        copy_path(memory(c"/etc/passwd".as_ptr().cast()), &mut to).unwrap();
        assert_eq!(to, b"x\0/etc/passwd\0");
    }

    #[test]
    fn refuses_wild_paths_and_cuts_endless_ones() {
        let mut to = Vec::new();
        assert_eq!(copy_path(memory(std::ptr::null()), &mut to), Err(Errno(libc::EFAULT)));
        assert_eq!(copy_path(memory(std::ptr::without_provenance(8)), &mut to), Err(Errno(libc::EFAULT)));
        assert!(to.is_empty());
        let long = vec![b'a'; 2 * PATH_MAX];
        assert_eq!(copy_path(memory(long.as_ptr()), &mut to), Ok(()));
        assert_eq!((to.len(), to.last()), (PATH_MAX + 1, Some(&0)));
    }
}
