//! Linux kernel AIO: transfers that RWF_NOWAIT keeps from blocking io_submit.

use std::os::fd::RawFd;

use super::Wants;
use crate::error::{Errno, Result};
use crate::op::Op;
use crate::sync::{Mutex, MutexGuard};
use crate::sys::aio::{Batch, Context, Request};
use crate::sys::aio_abi::{aio_context_t, io_event};
use crate::sys::mem::{boxed, room};
use crate::sys::{fork, thread};

/// Requests in the kernel per context. More than a disk's queue, and a small part of the machine's aio-max-nr.
const ENTRIES: u32 = 128;

pub struct Aio {
    /// None only while it is dropped.
    context: Option<Context>,
    eventfd: RawFd,
    batch: Batch,
    /// Batches that were handed over and came back. One to begin with: without memory for more, those that hand theirs over
    /// take turns.
    spare: Vec<Batch>,
    in_flight: u32,
    reaped: Box<[io_event; REAP]>,
    reaped_from: usize,
    reaped_to: usize,
}

const REAP: usize = 32;

/// One hand-over to the kernel to be made.
pub struct Submit {
    context: aio_context_t,
    batch: Batch,
}

impl Aio {
    pub fn open(wants: &Wants) -> Result<Self> {
        let event = io_event { data: 0, obj: 0, res: 0, res2: 0 };
        let mut spare = room(4)?;
        let context = take_context(wants.max_requests.min(ENTRIES))?;
        spare.push(Batch::with_room(context.entries())?);
        Ok(Self {
            eventfd: wants.eventfd,
            batch: Batch::with_room(context.entries())?,
            context: Some(context),
            spare,
            in_flight: 0,
            reaped: boxed([event; REAP])?,
            reaped_from: 0,
            reaped_to: 0,
        })
    }

    fn context(&self) -> &Context {
        self.context.as_ref().expect("held until drop")
    }

    /// RWF_NOWAIT always: what would block answers EAGAIN, and what cannot tell EOPNOTSUPP; both go to a worker.
    pub fn push(&mut self, token: u64, op: &Op, moved: u64) -> bool {
        if self.in_flight >= self.context().entries() {
            return false;
        }
        let vectored = op.code.vectored();
        self.in_flight += 1;
        self.batch.push(Request {
            user_data: token,
            fd: op.fd,
            reads: op.code.reads(),
            vectored,
            memory: if vectored { op.buf } else { op.buf.advanced(moved) },
            count: if vectored { op.len } else { op.len - moved },
            offset: op.offset + moved,
            rw_flags: op.sys_flags | libc::RWF_NOWAIT as u32,
            ioprio: op.ioprio,
            eventfd: self.eventfd,
        });
        true
    }

    pub fn flush(&mut self) -> Option<Submit> {
        if self.batch.is_empty() {
            return None;
        }
        // Without one, who has them all looks here again when it is done.
        let spare = self.spare.pop().or_else(|| Batch::with_room(self.context().entries()).ok())?;
        let batch = std::mem::replace(&mut self.batch, spare);
        Some(Submit { context: self.context().id(), batch })
    }

    pub fn flushed(&mut self, mut submit: Submit, mut refused: impl FnMut(u64)) {
        for token in submit.batch.refused() {
            self.in_flight -= 1;
            refused(token);
        }
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

impl Submit {
    pub fn run(&mut self) {
        self.batch.submit(self.context);
    }
}

/// Kernel contexts that nobody uses: io_destroy(2) takes some 30 ms and io_setup(2) counts against aio-max-nr.
static IDLE: Mutex<Idle> = Mutex::new(Idle { process: 0, contexts: Vec::new(), destroying: false });

struct Idle {
    /// Whose they are: a child of fork(2) has none of its parent's.
    process: u64,
    contexts: Vec<Context>,
    /// A thread is at work on what is too many.
    destroying: bool,
}

/// Idle contexts kept for the next who asks.
const KEPT: usize = 16;

fn idle() -> Option<MutexGuard<'static, Idle>> {
    // Never waited for: a fork in another thread may have left it locked in this child for good.
    let mut idle = IDLE.try_lock()?;
    let process = fork::process();
    if idle.process != process {
        idle.process = process;
        idle.destroying = false;
        idle.contexts.drain(..).for_each(Context::forget);
    }
    Some(idle)
}

fn take_context(entries: u32) -> Result<Context> {
    let fitting = |idle: &mut Idle| {
        let at = idle.contexts.iter().position(|context| context.entries() >= entries)?;
        Some(idle.contexts.swap_remove(at))
    };
    if let Some(context) = idle().and_then(|mut idle| fitting(&mut idle)) {
        return Ok(context);
    }
    let mut wanted = entries;
    loop {
        match Context::new(wanted) {
            // aio-max-nr is used up: a smaller one may do, or one that is idle.
            Err(Errno(libc::EAGAIN)) if wanted > 1 => wanted /= 2,
            Err(Errno(libc::EAGAIN)) => {
                return idle().and_then(|mut idle| idle.contexts.pop()).ok_or(Errno(libc::EAGAIN));
            }
            other => return other,
        }
    }
}

/// Keeps a context for the next, or destroys it where nobody waits for that.
fn give_back(context: Context, clean: bool) {
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
