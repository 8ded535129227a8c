//! System calls of a worker thread that `caio_ctx_free` does not wait for.

use std::sync::{Arc, Weak};

use super::super::Shared;
use super::super::state::CANCELED;
use super::Task;
use crate::error::{Errno, Result};
use crate::exec::blocking;
use crate::fork_list::Listed;
use crate::op::{Code, Role};
use crate::slab::Place;
use crate::sys::fd::{AsRawFd, OwnedFd, RawFd};
use crate::sys::file_kind::{self, FileKind};
use crate::sys::fork::{self, KeepOut};
use crate::sys::{cached_open, fs};

/// A task whose system call may wait for ever, such as openat(2) of a FIFO without a writer. During the call, the
/// thread holds no reference to the context, nor to the caller's memory.
pub(super) struct DetachedTask {
    context: Weak<Shared>,
    /// The context, until the thread is detached.
    attached: Option<Arc<Shared>>,
    id: u64,
    /// The system's number of this thread.
    thread: i32,
    task: Task,
    /// The pool may run another thread in place of this one.
    lent: bool,
    /// From an open that does not block until its descriptor is in the list.
    unlisted: Option<KeepOut>,
}

impl DetachedTask {
    pub fn new(shared: Arc<Shared>, id: u64, thread: i32, task: Task) -> Self {
        Self { context: Arc::downgrade(&shared), attached: Some(shared), id, thread, task, lent: false, unlisted: None }
    }

    /// Makes the call, and returns the context; None if it was freed during the call.
    pub fn run(mut self) -> Option<(Arc<Shared>, Task, Returned)> {
        let answer = if self.task.op.code.opens_fd() { self.open() } else { self.close() };
        let Self { attached, context, task, lent, unlisted, .. } = self;
        let opened = answer.ok().filter(|_| task.op.code.opens_fd()).map(|fd| fd as RawFd);
        let Some(shared) = attached.or_else(|| context.upgrade()) else {
            // No caller knows this descriptor.
            opened.map(fs::close);
            return None;
        };
        // The rest of the chain does not ask again.
        let asks = opened.filter(|_| task.op.role != Role::None);
        let flags = task.op.sys_flags;
        let brief = task.op.code == Code::Openat && asks.is_some_and(|fd| cached_open::is_brief(fd, flags));
        let storage = brief || asks.is_some_and(|fd| file_kind::of(fd) == FileKind::Storage);
        Some((shared, task, Returned { answer, lent, storage, brief, unlisted }))
    }

    fn close(&mut self) -> Result<u64> {
        self.lend();
        let file = self.task.chain_file.zip(self.attached.clone());
        let _kept_out = file.map(|(entry, shared)| shared.fds.take_out(entry));
        self.detach(Place::Detached)?;
        fs::close(self.task.op.fd)
    }

    fn open(&mut self) -> Result<u64> {
        let paths = std::mem::take(&mut self.task.paths);
        let opened = self.open_path(&paths);
        self.task.paths = paths;
        opened
    }

    fn open_path(&mut self, paths: &[u8]) -> Result<u64> {
        let op = self.task.op;
        // openat2(2) may take the directory as the root.
        let is_absolute = op.code == Code::Openat && blocking::first_path(paths).to_bytes().starts_with(b"/");
        let on_directory = op.fd != fs::AT_FDCWD && !is_absolute;
        // `open_may_block` uses the caller's directory descriptor, so that `caio_ctx_free` must wait for it.
        if !on_directory {
            self.detach(Place::Opening)?;
        }
        let may_block = blocking::open_may_block(&op, paths);
        if may_block {
            self.lend();
            if let Ok(copy) = if on_directory { self.copy_of_directory().map(Some) } else { Ok(None) } {
                let dir = copy.as_ref().map_or(op.fd, |copy| copy.as_raw_fd());
                self.detach(Place::OpeningBlocked)?;
                match blocking::open(&op, dir, paths) {
                    // The copy may have taken the last free number: retries with the caller's descriptor.
                    Err(Errno(libc::EMFILE | libc::ENFILE)) if copy.is_some() => {}
                    answer => return answer,
                }
            }
        }
        if on_directory {
            self.detach(Place::Detached)?;
        }
        if !may_block {
            self.unlisted = Some(fork::keep_out());
        }
        blocking::open(&op, op.fd, paths)
    }

    /// A copy for an open that waits: after a cancel, the caller may close its own descriptor.
    fn copy_of_directory(&self) -> Result<Listed<OwnedFd>> {
        self.context.upgrade().ok_or(CANCELED)?.fds.hold(|| fs::open_for_paths(self.task.op.fd))
    }

    /// From here on, `caio_ctx_free` does not wait for the thread. ECANCELED if the operation has completed instead,
    /// because it was stopped.
    fn detach(&mut self, place: Place) -> Result<()> {
        const CANCELED_BEFORE: Result<()> = Err(CANCELED);
        let (id, thread, token) = (self.id, self.thread, self.task.token);
        let Some(shared) = self.attached.take().or_else(|| self.context.upgrade()) else { return CANCELED_BEFORE };
        if shared.with_worker(|state| state.detach_worker(id, thread, token, place)) { Ok(()) } else { CANCELED_BEFORE }
    }

    /// Lets the pool start another worker thread in place of this one.
    fn lend(&mut self) {
        if let Some(shared) = self.attached.clone().or_else(|| self.context.upgrade()) {
            shared.with_worker(|state| state.pool.lend());
            self.lent = true;
        }
    }
}

/// The outcome of such a call.
pub(super) struct Returned {
    pub answer: Result<u64>,
    /// The pool may have started another thread in place of this one.
    pub lent: bool,
    /// The new descriptor is of storage.
    pub storage: bool,
    /// Calls on it do not wait.
    pub brief: bool,
    /// Until the new descriptor is in the list.
    pub unlisted: Option<KeepOut>,
}
