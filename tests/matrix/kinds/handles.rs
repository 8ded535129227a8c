//! Descriptors of the kernel's objects that are no files.

use crate::ends::{Ends, Made, refused};
use crate::support::*;

pub fn epoll() -> Made {
    // SAFETY: no memory involved.
    Ok(Ends::of(sys::owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }.into())))
}

pub fn pidfd() -> Made {
    // SAFETY: no memory involved.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    Ok(Ends::of(refused("pidfd_open", fd)?))
}

pub fn io_uring() -> Made {
    let mut params = [0u32; 30];
    // SAFETY: a struct io_uring_params, which is 120 bytes.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    Ok(Ends::of(refused("io_uring", fd)?))
}

/// Its read(2) gives a line of status.
pub fn mqueue() -> Made {
    let name = std::ffi::CString::new(format!("/caio-matrix-{}", std::process::id())).expect("a name");
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC;
    // SAFETY: a live string.
    let fd = unsafe { libc::mq_open(name.as_ptr(), flags, 0o600, std::ptr::null::<libc::mq_attr>()) };
    let fd = refused("mq_open", fd)?;
    // SAFETY: a live string.
    unsafe { libc::mq_unlink(name.as_ptr()) };
    Ok(Ends::of(fd))
}

/// A counter that stays at zero.
pub fn perf_event() -> Made {
    const SIZE: u32 = 64;
    const SOFTWARE: u32 = 1;
    const DUMMY: u32 = 9;
    // struct perf_event_attr: type and size, config, and nothing else.
    let mut attributes = [0u32; SIZE as usize / 4];
    attributes[..3].copy_from_slice(&[SOFTWARE, SIZE, DUMMY]);
    let cloexec = 8;
    // SAFETY: a struct of the size it says.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, cloexec) };
    Ok(Ends::of(refused("perf_event_open", fd)?))
}

pub fn bpf_map() -> Made {
    const MAP_CREATE: i32 = 0;
    const ARRAY: u32 = 2;
    let (key, value, entries) = (4, 8, 1);
    let attributes = [ARRAY, key, value, entries, 0];
    // SAFETY: a struct of the size it says.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, MAP_CREATE, attributes.as_ptr(), size_of_val(&attributes)) };
    Ok(Ends::of(refused("bpf", fd)?))
}
