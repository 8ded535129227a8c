//! Copies between the library's and the caller's memory. A bad address of the caller fails with EFAULT instead of a
//! crash.
//!
//! Before a copy, system calls check each page of the caller's memory, which is lent to the operation and so does not
//! change meanwhile. They need no descriptor.

use super::mem::{Memory, PAGE};
use super::quiet;
use crate::error::{Errno, Result};

const EFAULT: Errno = Errno(libc::EFAULT);

/// Copies from the caller's memory.
pub fn from_caller(from: Memory, to: &mut [u8]) -> Result<()> {
    if !pages(from, to.len()).all(|(at, _)| is_readable(at)) {
        return Err(EFAULT);
    }
    // SAFETY: the kernel has just read each page, and the memory is lent to this operation (Memory).
    unsafe { std::ptr::copy(from.address().cast::<u8>(), to.as_mut_ptr(), to.len()) };
    Ok(())
}

/// Copies to the caller's memory.
pub fn to_caller(from: &[u8], to: Memory) -> Result<()> {
    if writable(to, from.len()) < from.len() {
        return Err(EFAULT);
    }
    // SAFETY: the kernel has just written to each page, and the memory is lent to this operation (Memory).
    unsafe { std::ptr::copy(from.as_ptr(), to.address().cast::<u8>(), from.len()) };
    Ok(())
}

/// How much of the caller's memory can be written to.
pub fn writable(memory: Memory, count: usize) -> usize {
    pages(memory, count).take_while(|(at, _)| is_readable(*at) && is_writable(*at)).map(|(_, length)| length).sum()
}

/// The parts of a range that lie on different pages: the address and the length of each.
fn pages(memory: Memory, count: usize) -> impl Iterator<Item = (*mut u8, usize)> {
    let start = memory.address().cast::<u8>();
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = start.wrapping_add(done);
        let length = (PAGE - at.addr() % PAGE).min(count - done);
        done += length;
        (length > 0).then_some((at, length))
    })
}

/// Whether an array of `count` elements can be read.
pub fn is_readable_array<T>(at: Memory, count: usize) -> bool {
    pages(at, count.saturating_mul(size_of::<T>())).all(|(at, _)| is_readable(at))
}

/// Whether the page of an address can be read. setrlimit(2) copies its argument before it refuses the resource.
fn is_readable(at: *mut u8) -> bool {
    const NO_RESOURCE: i32 = 1 << 20;
    const SIZE: usize = size_of::<libc::rlimit>();
    // On the same page, as the page's size is a multiple of the structure's.
    let aligned = at.wrapping_sub(at.addr() % SIZE).cast::<libc::rlimit>();
    if aligned.is_null() {
        return false;
    }
    // SAFETY: the kernel checks the address.
    quiet(|| unsafe { libc::setrlimit(NO_RESOURCE as _, aligned) }.into()) != Err(EFAULT)
}

/// Whether a byte that can be read can be written to. mincore(2) writes one byte about a page of the library's own.
fn is_writable(at: *mut u8) -> bool {
    static OWN: u8 = 0;
    let page = (&raw const OWN).wrapping_sub((&raw const OWN).addr() % own_page()).cast_mut();
    // SAFETY: readable, and lent to the operation (Memory), so that only this thread accesses it.
    let kept = unsafe { at.read() };
    // SAFETY: a page of this library; the kernel checks the address that it writes to.
    let answer = quiet(|| unsafe { libc::mincore(page.cast(), 1, at.cast()) }.into());
    if answer.is_ok() {
        // SAFETY: the kernel has just written to it.
        unsafe { at.write(kept) };
    }
    answer.is_ok()
}

fn own_page() -> usize {
    // SAFETY: takes no memory.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_both_ways_and_refuses_wild_addresses() {
        let from: Vec<u8> = (0..20_000).map(|at| at as u8).collect();
        let mut to = vec![7u8; from.len() + 1];
        // SAFETY: only system calls look behind the wild one.
        let (callers, wild) =
            unsafe { (Memory::new(to.as_mut_ptr().cast()), Memory::new(std::ptr::without_provenance_mut(8))) };
        assert_eq!(writable(callers, from.len()), from.len());
        assert!(to.iter().all(|byte| *byte == 7), "a check changes nothing");
        to_caller(&from, callers).unwrap();
        let mut back = vec![0u8; from.len()];
        from_caller(callers, &mut back).unwrap();
        assert!(back == from && to[from.len()] == 7);
        assert_eq!(to_caller(&from, wild), Err(EFAULT));
        assert_eq!(from_caller(wild, &mut back), Err(EFAULT));
    }

    #[test]
    fn read_only_memory_is_not_writable() {
        static TEXT: [u8; 3] = *b"abc";
        // SAFETY: only system calls write to it.
        let memory = unsafe { Memory::new((&raw const TEXT).cast_mut().cast()) };
        assert_eq!(writable(memory, 3), 0);
        let mut copy = [0; 3];
        from_caller(memory, &mut copy).unwrap();
        assert_eq!(copy, TEXT);
    }
}
