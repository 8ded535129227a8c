//! Copies path strings from the caller, whose pointer may be wild.

use super::mem::{Memory, PAGE};
use super::thread::keeping_errno;
use super::{check, in_place, own};
use crate::error::{Errno, Result};

/// Where system calls stop reading a path (with its NUL).
pub const PATH_MAX: usize = libc::PATH_MAX as usize;

/// Appends the NUL-terminated path at `from` to `to`; EFAULT if it is NULL or not readable, ENOMEM as the system call. Of a path that is too long,
/// so much that the system call finds it too long.
pub fn copy(from: Memory, to: &mut Vec<u8>) -> Result<()> {
    if from.address().is_null() {
        return Err(Errno(libc::EFAULT));
    }
    let start = to.len();
    let mut done = 0;
    while done < PATH_MAX {
        let address = from.advanced(done as u64);
        // Page by page: the string may end just before memory that is not there. Short first: most paths are.
        let to_page_end = PAGE - address.address().addr() % PAGE;
        let step = to_page_end.min(PATH_MAX - done).min(if done == 0 { 256 } else { PAGE });
        to.try_reserve(step + 1).map_err(|_| Errno(libc::ENOMEM))?;
        to.resize(start + done + step, 0);
        let part = &mut to[start + done..];
        if let Err(errno) = peek(address, part) {
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

/// Reads this process's memory; EFAULT where there is none. At most up to a page's end.
fn peek(from: Memory, to: &mut [u8]) -> Result<()> {
    let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
    let remote = libc::iovec { iov_base: from.address(), iov_len: to.len() };
    // SAFETY: takes no memory.
    let this = unsafe { libc::getpid() };
    // SAFETY: `local` is live; the kernel checks `remote`.
    let answer = unsafe { in_place!(libc::SYS_process_vm_readv, this, &raw const local, 1, &raw const remote, 1, 0) };
    match answer {
        Ok(count) if count as usize == to.len() => Ok(()),
        Ok(_) => Err(Errno(libc::EFAULT)),
        Err(errno) if errno.0 == libc::EFAULT => Err(errno),
        // Forbidden (seccomp, a kernel without it): write(2) looks at memory as carefully.
        Err(_) => keeping_errno(|| peek_through_pipe(from, to)),
    }
}

fn peek_through_pipe(from: Memory, to: &mut [u8]) -> Result<()> {
    let mut ends = [0; 2];
    // SAFETY: two live ints.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) }.into())?;
    let _both = ends.map(|fd| own(fd as u64));
    // SAFETY: the kernel checks `from`; an empty pipe takes a page at once.
    let put = check(unsafe { libc::write(ends[1], from.address(), to.len()) } as i64)?;
    // SAFETY: `to` is live and that long.
    let got = check(unsafe { libc::read(ends[0], to.as_mut_ptr().cast(), to.len()) } as i64)?;
    if put as usize == to.len() && got == put { Ok(()) } else { Err(Errno(libc::EFAULT)) }
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
        copy(memory(c"/etc/passwd".as_ptr().cast()), &mut to).unwrap();
        assert_eq!(to, b"x\0/etc/passwd\0");
    }

    #[test]
    fn refuses_wild_paths_and_cuts_endless_ones() {
        let mut to = Vec::new();
        assert_eq!(copy(memory(std::ptr::null()), &mut to), Err(Errno(libc::EFAULT)));
        assert_eq!(copy(memory(std::ptr::without_provenance(8)), &mut to), Err(Errno(libc::EFAULT)));
        assert!(to.is_empty());
        let long = vec![b'a'; 2 * PATH_MAX];
        assert_eq!(copy(memory(long.as_ptr()), &mut to), Ok(()));
        assert_eq!((to.len(), to.last()), (PATH_MAX + 1, Some(&0)));
    }

    #[test]
    fn the_pipe_sees_what_process_vm_readv_sees() {
        let mut to = [0u8; 4];
        peek_through_pipe(memory(b"abcd".as_ptr()), &mut to).unwrap();
        assert_eq!(&to, b"abcd");
        assert_eq!(peek_through_pipe(memory(std::ptr::without_provenance(8)), &mut to), Err(Errno(libc::EFAULT)));
    }
}
