//! The kind of file behind a descriptor, which decides whether a transfer may wait for something other than a disk.

use std::mem::MaybeUninit;
use std::path::PathBuf;

pub use super::super::unix::file_kind::{
    File, FileKind, is_regular, is_terminal, reads_without_input, room_when_ready,
};

use super::in_place;
use super::rw::{self, positional_check};
use crate::error::{Errno, Result};

/// An invalid descriptor.
const NONE: File = File { kind: FileKind::Storage, on_disk: false, device: 0, size: None };

/// Looks at a descriptor for transfers at an offset. Never waits: a network file system answers from its cache.
pub fn look(fd: i32) -> File {
    let mut stat = MaybeUninit::uninit();
    match statx(fd, &mut stat) {
        Ok(stat) => file(fd, stat),
        Err(errno) => without_statx(fd, errno),
    }
}

/// [`look`], but None for a regular file on a disk. That is the most frequent case, so it is checked first.
#[inline(always)]
pub fn look_unless_on_disk(fd: i32) -> Option<File> {
    let mut stat = MaybeUninit::uninit();
    match statx(fd, &mut stat) {
        Ok(stat) if is_on_disk(stat) => None,
        Ok(stat) => Some(file(fd, stat)),
        Err(errno) => Some(without_statx(fd, errno)),
    }
}

/// [`look`] for a regular file or directory on a local file system that has a name; None for all others.
pub fn look_if_local(fd: i32) -> Option<File> {
    let mut stat = MaybeUninit::uninit();
    let stat = statx(fd, &mut stat).ok()?;
    let has_content = matches!(u32::from(stat.stx_mode) & libc::S_IFMT, libc::S_IFREG | libc::S_IFDIR);
    // The last close of a file without a name deletes it, which waits for the disk.
    let named = stat.stx_mask & libc::STATX_NLINK != 0 && stat.stx_nlink > 0;
    (named && has_content && is_local(stat)).then(|| file(fd, stat))
}

/// Whether the file of a descriptor, of any kind, is on a local file system.
pub fn is_on_local(fd: i32) -> bool {
    let mut stat = MaybeUninit::uninit();
    statx(fd, &mut stat).is_ok_and(is_local)
}

#[inline(always)]
fn statx(fd: i32, stat: &mut MaybeUninit<libc::statx>) -> Result<&libc::statx> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    let mask = libc::STATX_TYPE | libc::STATX_SIZE | libc::STATX_NLINK;
    // SAFETY: an empty path and a live buffer.
    unsafe { in_place!(libc::SYS_statx, fd, c"".as_ptr(), flags, mask, stat.as_mut_ptr()) }?;
    // SAFETY: the call has filled all of it.
    Ok(unsafe { stat.assume_init_ref() })
}

/// [`look`] after statx(2) failed: a filter forbids it, the kernel is older than 4.11, or the descriptor is invalid.
#[cold]
fn without_statx(fd: i32, errno: Errno) -> File {
    match errno.0 {
        libc::EPERM | libc::ENOSYS | libc::EACCES => look_by_fstat(fd),
        _ => NONE,
    }
}

/// Whether this is a regular file on a block device, and not on FUSE.
#[inline(always)]
fn is_on_disk(stat: &libc::statx) -> bool {
    u32::from(stat.stx_mode) & libc::S_IFMT == libc::S_IFREG && stat.stx_dev_major != 0 && is_local(stat)
}

/// Whether a file is on a local file system, which asks no other process or computer. FUSE and network file systems do not
/// support these attributes. Of the file systems on block devices, all others support the first. Of those without one,
/// OrangeFS supports the first too, and overlayfs reports it for any file. It reports the second only if the file system
/// beneath does; btrfs and tmpfs do.
#[inline(always)]
fn is_local(stat: &libc::statx) -> bool {
    const IMMUTABLE: u64 = libc::STATX_ATTR_IMMUTABLE as u64;
    const NODUMP: u64 = libc::STATX_ATTR_NODUMP as u64;
    stat.stx_attributes_mask & if stat.stx_dev_major != 0 { IMMUTABLE } else { NODUMP } != 0
}

/// [`look`] with fstat(2). If a filter forbids that too, a descriptor that refuses offsets is a stream.
fn look_by_fstat(fd: i32) -> File {
    // SAFETY: statx is plain data.
    let mut seen: libc::statx = unsafe { std::mem::zeroed() };
    match rw::stat(fd) {
        Ok(stat) => {
            seen.stx_mode = stat.st_mode as u16;
            seen.stx_size = stat.st_size as u64;
            (seen.stx_dev_major, seen.stx_dev_minor) = (libc::major(stat.st_dev), libc::minor(stat.st_dev));
            (seen.stx_rdev_major, seen.stx_rdev_minor) = (libc::major(stat.st_rdev), libc::minor(stat.st_rdev));
            file(fd, &seen)
        }
        Err(Errno(libc::EPERM | libc::ENOSYS | libc::EACCES)) => {
            let seekable = [true, false].map(|reads| positional_check(fd, reads));
            let stream = seekable.contains(&Err(Errno(libc::ESPIPE)));
            File { kind: if stream { FileKind::Stream } else { FileKind::Storage }, ..NONE }
        }
        Err(_) => NONE,
    }
}

fn file(fd: i32, stat: &libc::statx) -> File {
    let kind = match u32::from(stat.stx_mode) & libc::S_IFMT {
        libc::S_IFREG if stat.stx_dev_major == 0 && is_generated(fd) => FileKind::Stream,
        libc::S_IFREG => {
            let device = u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor);
            return File { kind: FileKind::Storage, on_disk: is_on_disk(stat), device, size: Some(stat.stx_size) };
        }
        libc::S_IFBLK => return File { on_disk: true, ..NONE },
        libc::S_IFDIR | libc::S_IFLNK => FileKind::Storage,
        libc::S_IFCHR if never_waits(stat) => FileKind::Storage,
        libc::S_IFSOCK => FileKind::Socket,
        _ => FileKind::Stream,
    };
    File { kind, ..NONE }
}

/// The kind of a descriptor for transfers at an offset.
pub fn of(fd: i32) -> FileKind {
    look(fd).kind
}

/// The kind of a descriptor for transfers at the current position: a regular file that refuses offsets is a stream
/// (FUSE, debugfs).
pub fn of_current(fd: i32, reads: bool) -> FileKind {
    let File { kind, on_disk, .. } = look(fd);
    let stream = kind == FileKind::Storage && !on_disk && positional_check(fd, reads) == Err(Errno(libc::ESPIPE));
    if stream { FileKind::Stream } else { kind }
}

/// The memory devices that never wait: mem, null, port, zero, full, urandom (Documentation/admin-guide/devices.txt).
fn never_waits(stat: &libc::statx) -> bool {
    const MEMORY: u32 = 1;
    stat.stx_rdev_major == MEMORY && [1, 3, 4, 5, 7, 9].contains(&stat.stx_rdev_minor)
}

/// A file whose content the kernel generates. Some of them wait: /proc/kmsg, trace_pipe.
fn is_generated(fd: i32) -> bool {
    // SAFETY: statfs is plain data, filled by the call.
    let mut filesystem: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `filesystem` is live and large enough.
    let answer = unsafe { in_place!(libc::SYS_fstatfs, fd, &raw mut filesystem) };
    // The field and the constants have different types in each C library.
    #[allow(clippy::unnecessary_cast)]
    let magic = [libc::PROC_SUPER_MAGIC as u32, libc::TRACEFS_MAGIC as u32, libc::DEBUGFS_MAGIC as u32];
    #[allow(clippy::unnecessary_cast)]
    let found = filesystem.f_type as u32;
    answer.is_ok() && magic.contains(&found)
}

/// The kernel's name of a descriptor's file (proc_pid_fd(5)); None without /proc.
fn name(fd: i32) -> Option<PathBuf> {
    super::thread::keeping_errno(|| std::fs::read_link(format!("/proc/self/fd/{fd}"))).ok()
}

fn is_named(fd: i32, names: &[&str]) -> bool {
    name(fd).is_some_and(|name| names.iter().any(|one| name.as_os_str() == *one))
}

/// Whether a descriptor may be an eventfd, whose writes may wait for room. A write to another kernel object that
/// poll(2) never reports ready for writing returns immediately, as with fanotify(7).
pub fn waits_to_write(fd: i32) -> bool {
    const EVENTFD: &str = "anon_inode:[eventfd]";
    name(fd).is_none_or(|name| name.as_os_str() == EVENTFD || !name.to_string_lossy().starts_with("anon_inode:"))
}

/// Whether a read of 0 bytes waits until there is data.
pub fn waits_for_empty_read(fd: i32) -> bool {
    is_named(fd, &["anon_inode:inotify", "anon_inode:[fanotify]", "anon_inode:[userfaultfd]", "/dev/kmsg"])
}

/// Whether a descriptor without RWF_NOWAIT supports the other flags of preadv2(2), since its file implements vectored
/// calls.
pub fn supports_flags(fd: i32) -> bool {
    is_terminal(fd) || is_pipe(fd) || is_named(fd, &["anon_inode:[userfaultfd]", "/dev/fuse"])
}

/// Whether a descriptor is a pipe or a FIFO.
pub fn is_pipe(fd: i32) -> bool {
    rw::stat(fd).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsRawFd;

    #[test]
    fn files_are_storage_and_the_rest_may_wait() {
        let kind = |path| of(File::open(path).unwrap().as_raw_fd());
        assert_eq!(kind("/etc/passwd"), FileKind::Storage);
        assert_eq!(kind("/etc"), FileKind::Storage);
        assert_eq!(kind("/dev/null"), FileKind::Storage);
        assert_eq!(kind("/dev/random"), FileKind::Stream);
        assert_eq!(kind("/proc/self/mounts"), FileKind::Stream);
        assert_eq!(of(-1), FileKind::Storage);
        let (one, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
        assert_eq!(of(one.as_raw_fd()), FileKind::Socket);
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(of(reader.as_raw_fd()), FileKind::Stream);
    }
}
