//! Per-submit file checks.

use crate::error::Result;
use crate::exec::blocking::Scratch;
use crate::sys::file_kind::{self, File, FileKind};
use crate::sys::rw;

/// The longest read that submit copies from the page cache: a longer copy would delay the caller.
pub const INLINE_MOST: u64 = 128 * 1024;
/// The bytes that one submit copies at most, for the same reason.
pub const INLINE_BUDGET: u64 = 1024 * 1024;

/// What one submit learned about descriptors, so that it asks the kernel once for each.
pub struct Checks {
    pub scratch: Scratch,
    pub budget: u64,
    /// The submit has one operation.
    pub alone: bool,
    /// The number of this submit. Entries with another number are stale.
    submit: u32,
    /// The descriptor whose last read was in the page cache.
    pub cached_fd: Option<i32>,
    /// The descriptor whose reads, if true, or writes this submit sends to io_uring.
    pub sent: Option<(i32, bool)>,
    /// A disk whose files support RWF_NOWAIT; a hint, as another disk may get its number.
    nowait_device: Option<u64>,
    known: [Known; CHECKS],
}

const CHECKS: usize = 64;

#[derive(Clone, Copy)]
pub struct Known {
    fd: i32,
    submit: u32,
    status_flags: Answer<i32>,
    file: Option<File>,
    pub reads: Option<bool>,
    writes: Option<bool>,
}

type Answer<T> = Option<Result<T>>;

const UNKNOWN: Known = Known { fd: -1, submit: 0, status_flags: None, file: None, reads: None, writes: None };

impl Default for Checks {
    fn default() -> Self {
        Self {
            scratch: Scratch::default(),
            budget: INLINE_BUDGET,
            alone: false,
            submit: 0,
            cached_fd: None,
            sent: None,
            nowait_device: None,
            known: [UNKNOWN; CHECKS],
        }
    }
}

impl Checks {
    pub fn next_submit(&mut self, count: u32) {
        self.alone = count == 1;
        self.budget = INLINE_BUDGET;
        (self.cached_fd, self.sent) = (None, None);
        self.submit = self.submit.wrapping_add(1);
    }

    /// Whether copying this much does not delay the caller.
    #[inline(always)]
    pub fn allows(&self, len: u64) -> bool {
        (1..=INLINE_MOST.min(self.budget)).contains(&len)
    }

    pub fn known(&mut self, fd: i32) -> &mut Known {
        let known = &mut self.known[fd as usize % CHECKS];
        if known.fd != fd || known.submit != self.submit {
            *known = Known { fd, submit: self.submit, ..UNKNOWN };
        }
        known
    }

    pub fn status_flags(&mut self, fd: i32) -> Option<i32> {
        self.known(fd).status_flags.get_or_insert_with(|| rw::status_flags(fd)).ok()
    }

    pub fn is_direct(&mut self, fd: i32) -> bool {
        self.status_flags(fd).is_some_and(rw::is_direct)
    }

    /// The file of a descriptor, for transfers at an offset.
    fn file(&mut self, fd: i32) -> File {
        *self.known(fd).file.get_or_insert_with(|| file_kind::look(fd))
    }

    pub fn is_storage(&mut self, fd: i32) -> bool {
        self.file(fd).kind == FileKind::Storage
    }

    pub fn ends_before(&mut self, fd: i32, offset: u64) -> bool {
        self.file(fd).ends_before(offset)
    }

    /// The kind of a descriptor for transfers at its current position.
    pub fn kind_at_current(&mut self, fd: i32, reads: bool) -> FileKind {
        match self.file(fd) {
            File { kind: FileKind::Storage, on_disk: false, .. } => file_kind::of_current(fd, reads),
            File { kind, .. } => kind,
        }
    }

    /// Whether this submit has sent reads of the descriptor to another path.
    pub fn is_decided(&mut self, fd: i32) -> bool {
        let known = self.known(fd);
        known.reads.is_some() && known.status_flags.is_none()
    }

    /// Whether io_uring's submission never waits for transfers at an offset of this descriptor.
    #[inline]
    pub fn natively(&mut self, fd: i32, reads: bool) -> bool {
        let known = self.known(fd);
        let answer = known.side(reads);
        if let Some(answer) = *answer {
            return answer;
        }
        let Some(file) = file_kind::look_unless_on_disk(fd) else {
            *answer = Some(true);
            return true;
        };
        known.file = Some(file);
        known.answer(fd, reads, |file| file.on_disk)
    }

    /// Whether kernel AIO can take them: its reads carry RWF_NOWAIT, which the file must support.
    pub fn knows_nowait(&mut self, fd: i32, reads: bool) -> bool {
        let device = self.nowait_device;
        let known = self.known(fd);
        let answer = known.answer(fd, reads, |file| file.on_disk && (!reads || device == Some(file.device)));
        if let Some(file) = known.file.filter(|file| answer && file.on_disk) {
            self.nowait_device = Some(file.device);
        }
        answer
    }
}

impl Known {
    /// Answers from this submit's memory, from `known`, or by asking the kernel. That is a read, which would take a
    /// record from a device, so it is made on storage only.
    #[inline]
    fn answer(&mut self, fd: i32, reads: bool, known: impl Fn(&File) -> bool) -> bool {
        if let Some(answer) = *self.side(reads) {
            return answer;
        }
        let file = self.file.get_or_insert_with(|| file_kind::look(fd));
        let answer = known(file) || file.kind == FileKind::Storage && rw::reads_without_waiting(fd);
        *self.side(reads) = Some(answer);
        answer
    }

    fn side(&mut self, reads: bool) -> &mut Option<bool> {
        if reads { &mut self.reads } else { &mut self.writes }
    }
}
