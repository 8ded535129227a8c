//! Pipes and FIFOs.

use crate::ends::{Ends, Made, put, record};
use crate::support::files::Dir;
use crate::support::*;
use std::os::fd::AsRawFd;

pub fn reader(flags: i32) -> Made {
    let (reader, writer) = sys::pipe_with(libc::O_CLOEXEC | flags);
    let feed = writer.as_raw_fd();
    Ok(Ends::of(reader).fed(move |number| put(feed, &record(number))).keep(writer))
}

pub fn writer(flags: i32) -> Made {
    let (reader, writer) = sys::pipe_with(libc::O_CLOEXEC | flags);
    Ok(Ends::of(writer).peer(reader).fills())
}

pub fn without_writer() -> Made {
    Ok(Ends::of(sys::pipe().0))
}

/// Rust's test programs ignore SIGPIPE.
pub fn without_reader() -> Made {
    Ok(Ends::of(sys::pipe().1))
}

fn fifo(dir: &Dir) -> std::ffi::CString {
    let _ = std::fs::remove_file(dir.join("fifo"));
    let path = dir.c("fifo");
    sys::make_fifo(&path);
    path
}

pub fn fifo_both(dir: &Dir) -> Made {
    let both = sys::open(&fifo(dir), libc::O_RDWR);
    let feed = both.as_raw_fd();
    Ok(Ends::of(both).fed(move |number| put(feed, &record(number))).fills())
}

pub fn fifo_reader(dir: &Dir) -> Made {
    let path = fifo(dir);
    let both = sys::open(&path, libc::O_RDWR);
    let (reader, feed) = (sys::open(&path, libc::O_RDONLY), both.as_raw_fd());
    Ok(Ends::of(reader).fed(move |number| put(feed, &record(number))).keep(both))
}

pub fn fifo_writer(dir: &Dir) -> Made {
    let path = fifo(dir);
    let both = sys::open(&path, libc::O_RDWR);
    let writer = sys::open(&path, libc::O_WRONLY);
    Ok(Ends::of(writer).peer(sys::open(&path, libc::O_RDONLY)).fills().keep(both))
}
