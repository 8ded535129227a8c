//! The kind of file behind a descriptor, which decides whether a transfer may wait for something other than a disk.

pub use super::super::unix::file_kind::{File, FileKind, is_regular, reads_without_input, room_when_ready};

use super::rw::{self, positional_check};
use super::{fd, os};
use crate::error::Errno;

/// An invalid descriptor.
const NONE: File = File { kind: FileKind::Storage, on_disk: false, device: 0, size: None };

/// Looks at a descriptor for transfers at an offset.
pub fn look(fd: fd::RawFd) -> File {
    let Ok(stat) = rw::stat(fd) else { return NONE };
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => return File { size: Some(stat.st_size as u64), ..NONE },
        libc::S_IFBLK => return File { on_disk: true, ..NONE },
        libc::S_IFDIR | libc::S_IFLNK => FileKind::Storage,
        libc::S_IFCHR if never_waits(&stat) || os::is_disk(fd) => FileKind::Storage,
        libc::S_IFSOCK => FileKind::Socket,
        _ => FileKind::Stream,
    };
    File { kind, ..NONE }
}

/// [`look`], but None for a regular file on a disk, which no kernel queue takes here.
pub fn look_unless_on_disk(fd: fd::RawFd) -> Option<File> {
    Some(look(fd))
}

/// The kind of a descriptor for transfers at an offset.
pub fn of(fd: fd::RawFd) -> FileKind {
    look(fd).kind
}

/// The kind of a descriptor for transfers at the current position: a regular file that refuses offsets is a stream
/// (FUSE).
pub fn of_current(fd: fd::RawFd, reads: bool) -> FileKind {
    let File { kind, on_disk, .. } = look(fd);
    let stream = kind == FileKind::Storage && !on_disk && positional_check(fd, reads) == Err(Errno(libc::ESPIPE));
    if stream { FileKind::Stream } else { kind }
}

/// The devices that never wait, which have another number on each system.
fn never_waits(device: &libc::stat) -> bool {
    let same = |path: &std::ffi::CStr| {
        // SAFETY: stat is plain data, filled by the call.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: a NUL-terminated path, and `stat` is live.
        let answer = super::quiet(|| unsafe { libc::stat(path.as_ptr(), &raw mut stat) }.into());
        answer.is_ok() && stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == device.st_rdev
    };
    [c"/dev/null", c"/dev/zero", c"/dev/full", c"/dev/urandom"].into_iter().any(same)
}

/// Whether a write that poll(2) does not report ready may wait for room. The system does not tell of those that do not.
pub fn waits_to_write(_: fd::RawFd) -> bool {
    true
}

/// Whether a read of 0 bytes waits until there is data. No device is known for it, but other objects may.
pub fn waits_for_empty_read(fd: fd::RawFd) -> bool {
    rw::stat(fd).is_ok_and(|stat| stat.st_mode & libc::S_IFMT != libc::S_IFCHR)
}

/// Whether a descriptor supports the flags of [`rw::flags::HARMLESS`], which the library emulates.
pub fn supports_flags(_: fd::RawFd) -> bool {
    true
}

/// Whether a descriptor is a pipe or a FIFO.
pub fn is_pipe(fd: fd::RawFd) -> bool {
    rw::stat(fd).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFIFO)
}
