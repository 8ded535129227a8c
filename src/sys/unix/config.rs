//! The system's limits and errors, and the file that sets the default backend.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// The longest path that system calls read, with its NUL.
pub const PATH_MAX: usize = libc::PATH_MAX as usize;

/// Errors of a disk, which another way to make the call meets too.
pub const DISK_ERRORS: [i32; 5] = [libc::EIO, libc::ENOSPC, libc::EDQUOT, libc::EFBIG, libc::EROFS];

/// Reads the start of a file into `content`, and returns its length. None if there is none, or if it is world-writable.
/// O_NONBLOCK, because opening a FIFO blocks.
pub fn read(path: &str, content: &mut [u8]) -> Option<usize> {
    const WRITABLE_BY_ALL: u32 = 0o002;
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let mut file = options.open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.mode() & WRITABLE_BY_ALL != 0 {
        return None;
    }
    let mut length = 0;
    while length < content.len() {
        match file.read(&mut content[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(length)
}
