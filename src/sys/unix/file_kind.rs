//! Kinds of files, and what terminals tell of themselves.

use std::mem::MaybeUninit;

use super::super::system::file_kind::is_pipe;
use super::super::system::rw;
use super::check;
use super::thread::keeping_errno;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Regular files, directories, block devices and memory devices: a transfer waits for a disk at most. An invalid
    /// descriptor also counts as storage: the plain call reports its errno.
    Storage,
    Socket,
    /// Pipes, terminals, character devices, eventfds, inotify, ...: a transfer may wait for another process for ever,
    /// and each read may consume a record.
    Stream,
}

/// What the kernel tells about a descriptor.
#[derive(Clone, Copy)]
pub struct File {
    pub kind: FileKind,
    /// A block device, or a regular file on one: io_uring's submission does not wait for it. FUSE on a block device
    /// (ntfs-3g) does not count: its files support poll(2), so io_uring may wait.
    pub on_disk: bool,
    /// The number of its file system's device.
    pub device: u64,
    /// The size of a regular file.
    pub size: Option<u64>,
}

impl File {
    /// Whether this is a regular file that ends at or before `offset`.
    pub fn ends_before(&self, offset: u64) -> bool {
        self.size.is_some_and(|size| size <= offset)
    }
}

/// Whether a descriptor is a regular file, which may still wait ([`FileKind::Stream`]).
pub fn is_regular(fd: i32) -> bool {
    rw::stat(fd).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFREG)
}

/// Whether a descriptor is a terminal (tcgetattr(3)).
pub fn is_terminal(fd: i32) -> bool {
    // SAFETY: takes no memory beside a termios of its own.
    keeping_errno(|| check(unsafe { libc::isatty(fd) }.into()) == Ok(1))
}

/// How many bytes a write moves without waiting once poll(2) reports room: PIPE_BUF of a pipe (pipe(7)), some characters of
/// a terminal. None where a write is one record.
pub fn room_when_ready(fd: i32) -> Option<usize> {
    const CHARACTERS: usize = 256;
    if is_pipe(fd) { Some(libc::PIPE_BUF) } else { is_terminal(fd).then_some(CHARACTERS) }
}

/// Whether a read of a terminal returns without input, at once or after VTIME (termios(3), noncanonical mode).
pub fn reads_without_input(fd: i32) -> bool {
    let mut settings = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: a live structure, filled if this succeeds.
    let answer = keeping_errno(|| unsafe { libc::tcgetattr(fd, settings.as_mut_ptr()) });
    if answer != 0 {
        return false;
    }
    // SAFETY: filled by a call that succeeded.
    let settings = unsafe { settings.assume_init_ref() };
    settings.c_lflag & libc::ICANON == 0 && settings.c_cc[libc::VMIN] == 0
}
