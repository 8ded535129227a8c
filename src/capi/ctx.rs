//! Contexts: made, freed, asked.

#![allow(non_camel_case_types)]

use std::ffi::c_int;

use super::convert::{self, ret};
use super::types::{caio_options, caio_stats};
use crate::context::{Context, boxed, keeping_errno};
use crate::error::{Errno, Result};

const EINVAL: c_int = -libc::EINVAL;

/// A context: one queue of operations, one queue of events, one pollable descriptor. Opaque.
pub struct caio_ctx {
    pub(super) context: Context,
}

/// # Safety
/// `ctx` is NULL or a live context.
pub(super) unsafe fn get<'a>(ctx: *const caio_ctx) -> Result<&'a Context> {
    // SAFETY: NULL is checked by as_ref; the caller promises the rest.
    match unsafe { ctx.as_ref() } {
        Some(ctx) => Ok(&ctx.context),
        None => Err(Errno(libc::EINVAL)),
    }
}

/// Makes a context. `options` NULL means all defaults: AUTO backend, 512 requests.
///
/// Ownership: `*ctx` is the caller's, until `caio_ctx_free`; it is NULL after a failure. `options` is copied.
/// Threads: any; none is started before it is needed. Blocks: no (well under 1 ms).
///
/// Errors: `-EINVAL` (`ctx` NULL, unknown backend or flag, `size` too small, reserved field set, `max_requests` above
/// INT_MAX), `-E2BIG` (a newer struct uses fields that this version does not know), `-EMFILE`, `-ENFILE`, `-ENOMEM`,
/// and for a named backend the reason it cannot be had (ask `caio_backend_probe` for a sentence).
///
/// # Safety
/// `options` is NULL or points to `size` bytes; `ctx` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_new(options: *const caio_options, ctx: *mut *mut caio_ctx) -> c_int {
    if ctx.is_null() {
        return EINVAL;
    }
    // SAFETY: not NULL; the caller promises that it is writable.
    unsafe { ctx.write(std::ptr::null_mut()) };
    // SAFETY: the caller's promise.
    let made = unsafe { convert::options(options) };
    let made = keeping_errno(|| made.and_then(Context::new).and_then(|context| boxed(caio_ctx { context })));
    ret(made.map(|made| {
        // SAFETY: as above.
        unsafe { ctx.write(Box::into_raw(made)) };
        0
    }))
}

/// Frees a context: cancels what it can (a read blocked on a pipe, socket or terminal included), waits for the rest,
/// and returns only when neither the kernel nor a worker can touch the caller's memory or descriptors any more.
///
/// Ownership: `ctx` is gone; NULL does nothing. Unpolled events are dropped, and the descriptors of unpolled or later
/// OPENATs closed. In a child of fork(2) it closes the child's copies and disturbs nothing of the parent's.
/// Threads: no other call on this context may run. A SINGLE_THREAD context freed by another thread is leaked.
/// Blocks: until running disk operations end; not with nothing in flight, and not for an OPENAT that blocks (a FIFO).
///
/// # Safety
/// `ctx` is NULL or a live context that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_free(ctx: *mut caio_ctx) {
    if !ctx.is_null() {
        // SAFETY: made by caio_ctx_new, and given back here once.
        let owned = unsafe { Box::from_raw(ctx) };
        keeping_errno(|| owned.context.free());
    }
}

/// The descriptor that is readable whenever an event waits; for poll(2), select, epoll(7) level- or edge-triggered.
///
/// Ownership: the context's; do not read or close it. Close-on-exec, non-blocking. A dup(2) shows the same readiness.
/// Threads: any. Blocks: no. Returns the descriptor, or `-EINVAL` (NULL), `-EOWNERDEAD` (after fork).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_eventfd(ctx: *const caio_ctx) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(Context::eventfd))
}

/// The `CAIO_BACKEND_*` in use (never AUTO). Threads: any. Blocks: no.
/// Errors: `-EINVAL` (NULL), `-EOWNERDEAD` (after fork).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_backend(ctx: *const caio_ctx) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(Context::backend))
}

/// How many operations may be accepted and not yet polled. Threads: any. Blocks: no.
/// Errors: `-EINVAL` (NULL), `-EOWNERDEAD` (after fork).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_max_requests(ctx: *const caio_ctx) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(Context::max_requests))
}

/// Fills `stats` up to its `size`, which stays as it is. Threads: any. Blocks: no.
/// Errors: `-EINVAL` (NULL, `size` below 8), `-E2BIG` (a larger `size` with a tail that is not zero), `-EOWNERDEAD` (after fork).
///
/// # Safety
/// `ctx` is NULL or a live context; `stats` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_stats(ctx: *const caio_ctx, stats: *mut caio_stats) -> c_int {
    if stats.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    let counters = unsafe { get(ctx) }.and_then(Context::stats);
    // SAFETY: not NULL, and as large as it says.
    ret(counters.and_then(|counters| unsafe { convert::fill_stats(stats, &counters) }))
}
