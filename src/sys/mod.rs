//! The operating system, one file per facility. Only this module and `capi` contain `unsafe`. Each item is a thin, safe
//! wrapper of a system call, or of memory shared with the kernel.

pub mod aio;
pub mod aio_abi;
pub mod copy;
pub mod file_kind;
mod filter;
pub mod fork;
pub mod fs;
pub mod mem;
pub mod path;
pub mod pollable;
pub mod readiness;
pub mod rw;
pub mod signal;
pub mod text;
pub mod thread;
pub mod timer;
pub mod uring;

use crate::error::{Errno, Result};

/// Descriptors: the number that a caller passes, and the owner of one.
pub mod fd {
    pub use std::os::fd::{AsRawFd, OwnedFd, RawFd};
}

/// The result of a C library function that sets errno.
fn check(answer: i64) -> Result<u64> {
    if answer < 0 { Err(Errno::last()) } else { Ok(answer as u64) }
}

/// A system call without the C library's function, for calls that are made once per operation. Mitigations of
/// speculative execution make the processor mispredict each return after a system call; this saves one return.
#[cfg(any(
    target_arch = "x86",
    target_arch = "x86_64",
    target_arch = "arm",
    target_arch = "aarch64",
    target_arch = "riscv64"
))]
macro_rules! in_place {
    ($($argument:expr),+) => { $crate::sys::answer(syscalls::raw_syscall!($($argument),+)) };
}
/// On other processors, by the C library, with the same result. The thread's errno does not change either.
#[cfg(not(any(
    target_arch = "x86",
    target_arch = "x86_64",
    target_arch = "arm",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
macro_rules! in_place {
    ($($argument:expr),+) => {
        $crate::sys::thread::keeping_errno(|| $crate::sys::check(libc::syscall($($argument),+).into()))
    };
}
use in_place;

/// The result of a system call made [`in_place`], which holds the errno too.
#[cfg(any(
    target_arch = "x86",
    target_arch = "x86_64",
    target_arch = "arm",
    target_arch = "aarch64",
    target_arch = "riscv64"
))]
#[inline(always)]
fn answer(value: usize) -> Result<u64> {
    const ERRORS: usize = 4095;
    if value > usize::MAX - ERRORS { Err(Errno(value.wrapping_neg() as i32)) } else { Ok(value as u64) }
}

/// Takes ownership of a descriptor that a system call has just made.
fn own(fd: u64) -> std::os::fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the system call made it, so nothing else owns it.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(fd as i32) }
}
