//! What one submit finds out about descriptors.

use super::{INLINE_BUDGET, INLINE_MOST};
use crate::error::Result;
use crate::exec::blocking::Scratch;
use crate::sys::rw;

/// What one submit asked about descriptors, so that it asks once for each.
pub struct Checks {
    pub(super) scratch: Scratch,
    pub(super) budget: u64,
    /// The submit has one operation.
    pub(super) alone: bool,
    /// Entries of other submits are old.
    submit: u32,
    /// The descriptor whose reads were last found in the page cache.
    pub(super) cached_fd: Option<i32>,
    /// The descriptor whose reads, if true, or writes this submit sends to io_uring.
    pub(super) sent: Option<(i32, bool)>,
    known: [Known; CHECKS],
}

const CHECKS: usize = 64;

#[derive(Clone, Copy)]
pub(super) struct Known {
    fd: i32,
    submit: u32,
    status_flags: Answer<i32>,
    pub(super) reads: Option<bool>,
    writes: Option<bool>,
}

type Answer<T> = Option<Result<T>>;

const UNKNOWN: Known = Known { fd: -1, submit: 0, status_flags: None, reads: None, writes: None };

impl Default for Checks {
    fn default() -> Self {
        Self {
            scratch: Scratch::default(),
            budget: INLINE_BUDGET,
            alone: false,
            submit: 0,
            cached_fd: None,
            sent: None,
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

    /// An attempt at reading so much would not hold up the caller.
    #[inline(always)]
    pub(super) fn allows(&self, len: u64) -> bool {
        (1..=INLINE_MOST.min(self.budget)).contains(&len)
    }

    pub(super) fn known(&mut self, fd: i32) -> &mut Known {
        let known = &mut self.known[fd as usize % CHECKS];
        if known.fd != fd || known.submit != self.submit {
            *known = Known { fd, submit: self.submit, ..UNKNOWN };
        }
        known
    }

    pub(super) fn status_flags(&mut self, fd: i32) -> Option<i32> {
        self.known(fd).status_flags.get_or_insert_with(|| rw::status_flags(fd)).ok()
    }

    pub(super) fn is_direct(&mut self, fd: i32) -> bool {
        self.status_flags(fd).is_some_and(|flags| flags & libc::O_DIRECT != 0)
    }

    /// This submit has sent reads of the descriptor elsewhere already.
    pub(super) fn is_decided(&mut self, fd: i32) -> bool {
        let known = self.known(fd);
        known.reads.is_some() && known.status_flags.is_none()
    }

    pub(super) fn natively(&mut self, fd: i32, reads: bool) -> bool {
        let known = self.known(fd);
        if reads {
            *known.reads.get_or_insert_with(|| rw::reads_without_waiting(fd))
        } else {
            *known.writes.get_or_insert_with(|| rw::writes_without_waiting(fd))
        }
    }
}
