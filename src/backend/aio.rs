//! Linux kernel AIO: transfers with RWF_NOWAIT, so that io_submit(2) does not block.

use super::{Config, Rules, ShortReads, Takes};
use crate::error::{Errno, Result};
use crate::op::Op;
use crate::sync::{Mutex, MutexGuard};
use crate::sys::aio::{AioBatch, AioContext, AioRequest, aio_context_t, io_event, may_submit};
use crate::sys::fd::RawFd;
use crate::sys::mem::{boxed, room};
use crate::sys::rw::flags;
use crate::sys::{fork, thread};

/// Requests per kernel context: more than a disk's queue, and a small part of fs.aio-max-nr.
const ENTRIES: u32 = 128;

/// io_submit(2) would run a buffered write itself, so that worker threads make those.
pub const RULES: Rules = Rules {
    nops: false,
    reads: Takes::Cached,
    writes: Takes::Direct,
    slow_buffered_writes: false,
    copies_in_submit: true,
    short_reads: ShortReads::NotCached,
    // The rest would only fail with EAGAIN.
    resumes: false,
};

pub struct Aio {
    /// None only in `drop`.
    context: Option<AioContext>,
    eventfd: RawFd,
    batch: AioBatch,
    /// Empty batches for reuse. Starts with one; without memory for more, submissions take turns.
    spare: Vec<AioBatch>,
    /// io_submit(2) is forbidden, so workers run everything.
    broken: bool,
    in_flight: u32,
    reaped: Box<[io_event; REAP]>,
    reaped_from: usize,
    reaped_to: usize,
}

const REAP: usize = 32;

/// An io_submit(2) that is due.
pub struct AioSubmit {
    context: aio_context_t,
    batch: AioBatch,
}

impl Aio {
    pub fn open(config: &Config) -> Result<Self> {
        let event = io_event { data: 0, obj: 0, res: 0, res2: 0 };
        let spare = room(4)?;
        let reaped = boxed([event; REAP])?;
        let entries = config.max_requests.min(ENTRIES);
        let context = if config.reuse { take_context(entries) } else { new_context(entries) }?;
        let (entries, id) = (context.entries(), context.id());
        let mut aio = Self {
            eventfd: config.events_fd,
            batch: AioBatch::default(),
            context: Some(context),
            spare,
            broken: false,
            in_flight: 0,
            reaped,
            reaped_from: 0,
            reaped_to: 0,
        };
        // From here on, an error gives the context back.
        aio.batch = AioBatch::with_room(entries)?;
        aio.spare.push(AioBatch::with_room(entries)?);
        may_submit(id)?;
        Ok(aio)
    }

    pub fn is_broken(&self) -> bool {
        self.broken
    }

    fn context(&self) -> &AioContext {
        self.context.as_ref().expect("held until drop")
    }

    /// Always with RWF_NOWAIT: a transfer that would block fails with EAGAIN, and EOPNOTSUPP where the file system does not
    /// know the flag. Workers retry both.
    pub fn push(&mut self, token: u64, op: &Op, moved: u64) -> bool {
        if self.broken || self.in_flight >= self.context().entries() {
            return false;
        }
        let vectored = op.code.vectored();
        self.in_flight += 1;
        self.batch.push(AioRequest {
            user_data: token,
            fd: op.fd,
            reads: op.code.reads(),
            vectored,
            memory: if vectored { op.buf } else { op.buf.advanced(moved) },
            count: if vectored { op.len } else { op.len - moved },
            offset: op.offset + moved,
            rw_flags: op.sys_flags | flags::NOWAIT,
            ioprio: op.ioprio,
            eventfd: self.eventfd,
        });
        true
    }

    pub fn flush(&mut self) -> Option<AioSubmit> {
        if self.batch.is_empty() {
            return None;
        }
        // Without one, the thread that has the last batch flushes again after `flushed`.
        let spare = self.spare.pop().or_else(|| AioBatch::with_room(self.context().entries()).ok())?;
        let batch = std::mem::replace(&mut self.batch, spare);
        Some(AioSubmit { context: self.context().id(), batch })
    }

    pub fn flushed(&mut self, mut submit: AioSubmit, mut refused: impl FnMut(u64)) {
        for token in submit.batch.refused() {
            self.in_flight -= 1;
            refused(token);
        }
        self.broken |= submit.batch.is_forbidden();
        submit.batch.clear();
        if self.spare.try_reserve(1).is_ok() {
            self.spare.push(submit.batch);
        }
    }

    pub fn has_unsent(&self) -> bool {
        !self.batch.is_empty()
    }

    pub fn has_completions(&self) -> bool {
        self.reaped_from < self.reaped_to || (self.in_flight > 0 && self.context().has_completions())
    }

    pub fn pop(&mut self) -> Option<(u64, i64)> {
        if self.reaped_from == self.reaped_to {
            if self.in_flight == 0 {
                return None;
            }
            self.reaped_from = 0;
            self.reaped_to = self.context.as_mut().expect("held until drop").reap(&mut self.reaped[..]);
        }
        let event = self.reaped[..self.reaped_to].get(self.reaped_from)?;
        self.reaped_from += 1;
        self.in_flight -= 1;
        Some((event.data, event.res))
    }
}

impl Drop for Aio {
    fn drop(&mut self) {
        if let Some(context) = self.context.take() {
            give_back(context, self.in_flight == 0);
        }
    }
}

impl AioSubmit {
    pub fn run(&mut self) {
        self.batch.submit(self.context);
    }
}

/// Kernel contexts kept for reuse: io_destroy(2) takes about 30 ms.
static IDLE: Mutex<Idle> = Mutex::new(Idle { process: 0, contexts: Vec::new(), destroying: false });

struct Idle {
    /// The process that made them: a child of fork(2) has none of its parent's.
    process: u64,
    contexts: Vec<AioContext>,
    /// A thread is destroying those above [`KEPT`].
    destroying: bool,
}

/// The largest number of idle contexts.
const KEPT: usize = 16;

fn idle() -> Option<MutexGuard<'static, Idle>> {
    // try_lock: if another thread held the lock during fork(2), it stays locked in the child.
    let mut idle = IDLE.try_lock()?;
    let process = fork::process();
    if idle.process != process {
        idle.process = process;
        idle.destroying = false;
        idle.contexts.drain(..).for_each(AioContext::forget);
    }
    Some(idle)
}

/// An idle context if io_setup(2) is still allowed, else a new one, else an idle one that is smaller.
fn take_context(entries: u32) -> Result<AioContext> {
    AioContext::may_be_made()?;
    let fitting = |idle: &mut Idle| {
        let at = idle.contexts.iter().position(|context| context.entries() >= entries)?;
        Some(idle.contexts.swap_remove(at))
    };
    if let Some(context) = idle().and_then(|mut idle| fitting(&mut idle)) {
        return Ok(context);
    }
    match new_context(entries) {
        Err(Errno(libc::EAGAIN)) => idle().and_then(|mut idle| idle.contexts.pop()).ok_or(Errno(libc::EAGAIN)),
        other => other,
    }
}

/// A new context, smaller than asked for if fs.aio-max-nr is nearly used up.
fn new_context(entries: u32) -> Result<AioContext> {
    let mut wanted = entries;
    loop {
        match AioContext::new(wanted) {
            Err(Errno(libc::EAGAIN)) if wanted > 1 => wanted /= 2,
            other => return other,
        }
    }
}

/// Keeps a context for reuse if nothing is in flight on it; a thread destroys those that are too many.
fn give_back(context: AioContext, clean: bool) {
    let Some(mut idle) = idle().filter(|_| clean) else {
        return drop(context);
    };
    if idle.contexts.try_reserve(1).is_err() {
        return drop(context);
    }
    idle.contexts.push(context);
    if idle.contexts.len() <= KEPT || idle.destroying {
        return;
    }
    idle.destroying = true;
    drop(idle);
    if thread::spawn(c"caio-destroy", destroy_surplus).is_err() {
        destroy_surplus();
    }
}

fn destroy_surplus() {
    loop {
        let mut idle = IDLE.lock();
        if idle.contexts.len() <= KEPT {
            idle.destroying = false;
            return;
        }
        let surplus = idle.contexts.pop();
        drop(idle);
        drop(surplus);
    }
}
