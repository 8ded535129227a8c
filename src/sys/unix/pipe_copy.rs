//! Copies between the library's and the caller's memory through a pipe: write(2) and read(2) report a bad address.

use std::ffi::c_void;

use super::super::system::os;
use super::check;
use super::fd::AsRawFd;
use super::mem::PAGE;
use crate::error::{Errno, Result};

const EFAULT: Errno = Errno(libc::EFAULT);

#[derive(Clone, Copy)]
pub enum Direction {
    FromCaller,
    ToCaller,
}

/// Copies between two buffers of the same length, of which `local` is live, and writable if the bytes come from the caller.
pub fn through_pipe(direction: Direction, local: libc::iovec, remote: libc::iovec) -> Result<()> {
    let ends = os::pipe()?;
    let [reader, writer] = [&ends[0], &ends[1]].map(AsRawFd::as_raw_fd);
    let (from, to) = match direction {
        Direction::FromCaller => (remote.iov_base, local.iov_base),
        Direction::ToCaller => (local.iov_base, remote.iov_base),
    };
    let at = |start: *mut c_void, done| start.wrapping_byte_add(done);
    let mut done = 0;
    while done < local.iov_len {
        // A step ends with a page of the caller's memory, so that all of it is accessible, or nothing.
        let step = (PAGE - at(remote.iov_base, done).addr() % PAGE).min(local.iov_len - done);
        // SAFETY: one side is live, and the kernel checks the other's address; an empty pipe takes a page at once.
        let put = check(unsafe { libc::write(writer, at(from, done), step) } as i64)?;
        // SAFETY: the same.
        let got = check(unsafe { libc::read(reader, at(to, done), step) } as i64)?;
        if put as usize != step || got != put {
            return Err(EFAULT);
        }
        done += step;
    }
    Ok(())
}
