//! Per-submit file checks.

use std::sync::Arc;

use super::{Hint, Remembered};
use crate::error::Result;
use crate::op::Op;
use crate::sys::file_kind::{self, File, FileKind};
use crate::sys::rw;

/// The longest read that submit copies from the page cache: a longer copy would delay the caller.
pub const INLINE_MOST: u64 = 128 * 1024;
/// The bytes that one submit copies at most, for the same reason.
pub const INLINE_BUDGET: u64 = 1024 * 1024;

/// What an open takes of these bytes: as long as copying them.
pub const OPEN_COST: u64 = 16 * 1024;

/// What one submit learned about descriptors, so that it asks the kernel once for each.
pub struct Checks {
    remembered: Arc<Remembered>,
    /// The bytes that this submit may still copy.
    pub budget: u64,
    /// The submit has one operation.
    pub alone: bool,
    /// The answer of an attempt at a cached read of it, which did not complete it.
    pub tried: Option<Result<u64>>,
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
struct Known {
    fd: i32,
    submit: u32,
    status_flags: Answer<i32>,
    file: Option<File>,
    reads: Option<bool>,
    writes: Option<bool>,
}

type Answer<T> = Option<Result<T>>;

const UNKNOWN: Known = Known { fd: -1, submit: 0, status_flags: None, file: None, reads: None, writes: None };

/// What an attempt at a cached read told, with the bytes that it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// The page cache had all, up to the end of the file at most.
    Hit(u64),
    /// The page cache does not have the next byte.
    Miss(u64),
    /// A device returned one record, which is shorter. A second read would take the next one.
    Record(u64),
    /// Nothing: the end of the file, or the end of what is cached.
    Unknown(u64),
    /// The file system does not tell what is cached, or a filter forbids the question.
    Untold(u64),
    /// The operation has failed, with this result.
    Failed(i64),
}

impl Checks {
    pub fn new(remembered: Arc<Remembered>) -> Self {
        Self {
            remembered,
            budget: INLINE_BUDGET,
            alone: false,
            tried: None,
            submit: 0,
            cached_fd: None,
            sent: None,
            nowait_device: None,
            known: [UNKNOWN; CHECKS],
        }
    }

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

    /// This submit has found so much in the caches that it tries no more. What follows is likely to be there too.
    pub fn is_used_up(&self) -> bool {
        self.budget < OPEN_COST
    }

    /// What the context remembers.
    #[inline(always)]
    pub fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    pub fn hint(&self, fd: i32) -> Hint {
        self.remembered.hints.get(fd)
    }

    /// The page cache had a read of this length.
    pub fn hit(&mut self, len: u64) {
        self.remembered.hit_rate.hit();
        self.budget = self.budget.saturating_sub(len);
    }

    /// The page cache did not have a read, so this submit does not try the next ones.
    pub fn miss(&mut self, fd: i32) {
        self.remembered.hit_rate.miss();
        self.cached_fd = None;
        self.known(fd).reads.get_or_insert(true);
    }

    /// The file system does not tell what is cached.
    pub fn is_untold(&mut self, fd: i32) {
        self.cached_fd = None;
        self.remembered.hints.set(fd, Hint::NoWaitUnknown);
    }

    /// This submit has opened a file, for buffered reads.
    pub fn opened(&mut self, fd: i32, file: File) {
        self.remembered.hints.set(fd, Hint::Buffered);
        *self.known(fd) = Known { fd, submit: self.submit, status_flags: Some(Ok(0)), file: Some(file), ..UNKNOWN };
    }

    fn known(&mut self, fd: i32) -> &mut Known {
        let known = &mut self.known[fd as usize % CHECKS];
        if known.fd != fd || known.submit != self.submit {
            *known = Known { fd, submit: self.submit, ..UNKNOWN };
        }
        known
    }

    fn status_flags(&mut self, fd: i32) -> Option<i32> {
        self.known(fd).status_flags.get_or_insert_with(|| rw::status_flags(fd)).ok()
    }

    /// Whether transfers bypass the page cache. This submit has asked the kernel.
    pub fn is_direct_now(&mut self, fd: i32) -> bool {
        self.status_flags(fd).is_some_and(rw::is_direct)
    }

    /// The same, or a hint says so.
    pub fn is_direct(&mut self, fd: i32) -> bool {
        if self.hint(fd) == Hint::Direct {
            return true;
        }
        let direct = self.is_direct_now(fd);
        if direct {
            self.remembered.hints.set(fd, Hint::Direct);
        }
        direct
    }

    /// Whether the descriptor is valid and its transfers use the page cache; each submit asks the kernel once.
    pub fn is_buffered(&mut self, fd: i32) -> bool {
        if self.is_direct(fd) || self.status_flags(fd).is_none() {
            return false;
        }
        if self.alone {
            self.remembered.hints.set(fd, Hint::Buffered);
        }
        true
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

    /// Whether the kernel takes transfers at an offset without waiting inside a submission, and with the errors of the
    /// plain call.
    #[inline]
    pub fn natively(&mut self, fd: i32, reads: bool) -> bool {
        if self.remembered.in_flight.knows(fd, reads) {
            return true;
        }
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

    /// The same for reads that must fail instead of waiting for a disk, which their file must support.
    pub fn natively_cached(&mut self, fd: i32) -> bool {
        if self.remembered.in_flight.knows(fd, true) {
            return true;
        }
        let device = self.nowait_device;
        let known = self.known(fd);
        let answer = known.answer(fd, true, |file| file.on_disk && device == Some(file.device));
        if let Some(file) = known.file.filter(|file| answer && file.on_disk) {
            self.nowait_device = Some(file.device);
        }
        answer
    }

    /// Marks a transfer for its worker thread: whether it can wait only for a disk, and whether it is a direct write.
    /// Direct writes gain from many worker threads.
    pub fn mark(&mut self, op: &mut Op) {
        if op.code.transfers() {
            op.storage = if op.at_current() {
                self.kind_at_current(op.fd, op.code.reads()) == FileKind::Storage
            } else {
                self.is_storage(op.fd)
            };
            op.direct = !op.code.reads() && self.is_direct(op.fd);
        }
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

#[cfg(test)]
impl Checks {
    /// Checks that have all answers for one descriptor, so that they ask the kernel nothing.
    pub fn answered(fd: i32, kind: FileKind, on_disk: bool, direct: bool) -> Self {
        let mut file = file_kind::look(-1);
        (file.kind, file.on_disk) = (kind, on_disk);
        let direct_flag = (0..i32::BITS).map(|bit| 1 << bit).find(|flag| rw::is_direct(*flag)).unwrap_or(0);
        let mut checks = Self::new(Arc::default());
        checks.next_submit(2);
        *checks.known(fd) = Known {
            fd,
            submit: checks.submit,
            status_flags: Some(Ok(if direct { direct_flag } else { 0 })),
            file: Some(file),
            reads: Some(on_disk),
            writes: Some(on_disk),
        };
        checks
    }
}
