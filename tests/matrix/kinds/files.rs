//! Files with content, and what looks like them.

use crate::ends::{Ends, Made, refused};
use crate::support::files::{Dir, Folder, c_path, pattern};
use crate::support::*;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};

const LEN: usize = 12288;

/// Where CURRENT is.
const PLACE: i64 = 4096;

fn name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only distinct numbers matter.
    format!("file-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn opened(dir: &Dir, flags: i32) -> Made {
    let name = name();
    std::fs::write(dir.join(&name), pattern(LEN)).expect("a file");
    // SAFETY: a live string.
    let fd = unsafe { libc::open(dir.c(&name).as_ptr(), flags | libc::O_CLOEXEC) };
    let made = refused("open", fd);
    std::fs::remove_file(dir.join(&name)).expect("unlink");
    let fd = made?;
    // SAFETY: no memory involved.
    unsafe { libc::lseek64(fd.as_raw_fd(), PLACE, libc::SEEK_SET) };
    Ok(Ends::of(fd))
}

pub fn regular(dir: &Dir) -> Made {
    opened(dir, libc::O_RDWR)
}

pub fn direct(dir: &Dir) -> Made {
    opened(dir, libc::O_RDWR | libc::O_DIRECT).map_err(|why| format!("a file system with O_DIRECT ({why})"))
}

pub fn append(dir: &Dir) -> Made {
    opened(dir, libc::O_RDWR | libc::O_APPEND)
}

pub fn read_only(dir: &Dir) -> Made {
    opened(dir, libc::O_RDONLY)
}

pub fn write_only(dir: &Dir) -> Made {
    opened(dir, libc::O_WRONLY)
}

pub fn in_memory(_: &Dir) -> Made {
    if !Folder::Memory.available() {
        return Err("a tmpfs at /dev/shm".into());
    }
    opened(&Folder::Memory.make(), libc::O_RDWR)
}

pub fn path(dir: &Dir) -> Made {
    opened(dir, libc::O_PATH)
}

pub fn directory(dir: &Dir) -> Made {
    let name = name();
    std::fs::create_dir(dir.join(&name)).expect("a folder");
    Ok(Ends::of(sys::open(&dir.c(&name), libc::O_RDONLY | libc::O_DIRECTORY)))
}

pub fn memfd(_: &Dir) -> Made {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: a live string.
    let fd = sys::owned(unsafe { libc::memfd_create(c"matrix".as_ptr(), flags) }.into());
    sys::write_all(&fd, &pattern(LEN));
    // SAFETY: no memory involved.
    unsafe { libc::lseek64(fd.as_raw_fd(), PLACE, libc::SEEK_SET) };
    Ok(Ends::of(fd))
}

pub fn sealed(dir: &Dir) -> Made {
    let ends = memfd(dir)?;
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK;
    // SAFETY: no memory involved.
    assert_eq!(unsafe { libc::fcntl(ends.fd(), libc::F_ADD_SEALS, seals) }, 0, "F_ADD_SEALS: {}", sys::errno());
    Ok(ends)
}

/// A file of the system's, not to be changed.
pub fn system(path: &str, flags: i32) -> Made {
    // SAFETY: a live string.
    let fd = unsafe { libc::open(c_path(path).as_ptr(), flags | libc::O_CLOEXEC) };
    refused(path, fd).map(Ends::of)
}

/// The name of this process: a file of /proc that may be written.
pub fn comm(_: &Dir) -> Made {
    std::fs::write("/proc/self/comm", "matrix").expect("/proc/self/comm");
    system("/proc/self/comm", libc::O_RDWR)
}
