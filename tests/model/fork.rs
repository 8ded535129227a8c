//! A fork while the parent uses its contexts. In the child, calls on them fail, and it makes its own context.

use super::calls::Raw;
use super::support::*;
use caio::capi::*;
use std::os::fd::RawFd;

/// What the child does.
pub struct Child {
    pub contexts: Vec<Raw>,
    /// Whether it frees them.
    pub free: bool,
    /// The backend of its own context.
    pub backend: u32,
    /// A file that it reads.
    pub file: RawFd,
}

// SAFETY: addresses of live contexts.
unsafe impl Send for Child {}

impl Child {
    /// Returns the exit code: 0, or the number of the check that failed.
    pub fn run(self) -> i32 {
        process::fork(|| self.live()).code()
    }

    fn live(&self) -> i32 {
        for raw in &self.contexts {
            if let Some(at) = answers(raw.0).iter().position(|answer| *answer != -libc::EOWNERDEAD) {
                return 10 + at as i32;
            }
            if self.free {
                // SAFETY: the child's copy.
                unsafe { caio_ctx_free(raw.0) };
            }
        }
        let Ok(ctx) = Ctx::try_new(&options(self.backend)) else { return 1 };
        let mut bytes = [0; 8];
        if ctx.submit(&[ops::nop(), ops::read(self.file, &mut bytes, 0), ops::fsync(self.file)]) != 3 {
            return 2;
        }
        let mut results = results(&ctx.collect(3));
        results.sort();
        if results == [0, 0, 8] { 0 } else { 3 }
    }
}

/// The results of all calls but free on the parent's context.
fn answers(raw: *mut caio_ctx) -> [i32; 12] {
    let mut event = caio_event { user_data: 0, result: 0 };
    let nop = ops::nop();
    let mut polled = 0;
    // SAFETY: a struct of integers.
    let mut stats: caio_stats = unsafe { std::mem::zeroed() };
    stats.size = size_of::<caio_stats>() as u32;
    // SAFETY: a context that lives in the parent, and live memory.
    unsafe {
        [
            caio_ctx_submit(raw, &nop, 1),
            caio_ctx_submit_poll(raw, &nop, 1, &mut event, 1, &mut polled),
            caio_ctx_poll(raw, &mut event, 1),
            caio_ctx_wait(raw, &mut event, 1, 1, -1),
            caio_ctx_wake(raw),
            caio_ctx_cancel(raw, 0),
            caio_ctx_cancel_fd(raw, 0),
            caio_ctx_cancel_all(raw),
            caio_ctx_eventfd(raw),
            caio_ctx_backend(raw),
            caio_ctx_max_requests(raw),
            caio_ctx_stats(raw, &mut stats),
        ]
    }
}
