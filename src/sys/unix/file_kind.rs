//! Kinds of files, and what terminals tell of themselves.

use std::mem::MaybeUninit;

pub use super::super::file::{File, FileKind};

use super::super::system::file_kind::is_pipe;
use super::super::system::rw;
use super::check;
use super::thread::keeping_errno;

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
