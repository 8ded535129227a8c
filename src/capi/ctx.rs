//! Contexts: create, free, and get their properties.

#![allow(non_camel_case_types)]

use std::ffi::{c_int, c_void};

use super::convert::{self, ret};
use super::types::{caio_options, caio_stats};
use crate::context::{Context, boxed, keeping_errno};
use crate::error::{Errno, Result};

const EINVAL: c_int = -libc::EINVAL;

/// A context: a queue of operations, a queue of events, and a pollable descriptor. Opaque. See caio_ctx_new(3).
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

/// Creates a context and stores it in `*ctx`. If `options` is NULL, all options have their defaults.
///
/// Ownership: the context is the caller's until `caio_ctx_free`. The call copies `options`. After a failure, `*ctx` is NULL.
/// Threads: any.
/// Blocks: no.
/// Errors:
/// - `-EINVAL`: `ctx` is NULL; `size` is too small; a reserved field is not 0; the backend or a flag is unknown;
///   `max_requests` is larger than INT_MAX.
/// - `-E2BIG`: `size` is larger than this version knows, and a byte of the unknown tail is not 0.
/// - `-EMFILE`, `-ENFILE`: no descriptor is left.
/// - `-ENOMEM`: there is not enough memory for `max_requests`.
/// - Any other: the named backend is not available. `caio_backend_probe` reports the cause and the fix.
///
/// See caio_ctx_new(3).
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

/// Frees a context. Cancels the operations that it can stop, and waits for running disk operations.
/// When it returns, neither the kernel nor a worker thread can touch the caller's memory or descriptors.
///
/// Before the call, remove the descriptor of `caio_ctx_eventfd` from the event loop. The call closes it.
///
/// Ownership: the context is gone; NULL does nothing. The call drops the events that are not taken, and closes the
/// descriptors of OPENATs whose events are not taken or that finish later.
/// In a child of fork(2), it closes the child's copies and does not affect the parent.
/// Threads: no other call on this context may run. If another thread frees a SINGLE_THREAD context, it is leaked.
/// Blocks: only while disk operations run. It does not wait for a pipe, socket, terminal or device, for a CLOSE that lingers,
/// or for an OPENAT that blocks.
///
/// See caio_ctx_free(3).
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

/// Returns the descriptor of the context, for poll(2), select(2), epoll(7) or an event loop.
/// It is readable whenever a completion is pending.
///
/// For each notification, call `caio_ctx_poll` once and return to the loop. An edge-triggered loop re-arms the descriptor
/// after each batch (`EPOLL_CTL_MOD`). Do not repeat `caio_ctx_poll` until it returns fewer events: handlers submit again,
/// and cached reads complete inside submit, so that the repetition starves the loop.
///
/// Ownership: the context's. Do not read, write or close it; a dup(2) has the same readiness. It is close-on-exec and
/// non-blocking. Remove it from the loop before `caio_ctx_free`.
/// Threads: any, even on a SINGLE_THREAD context.
/// Blocks: no.
/// Errors: `-EINVAL` (NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
///
/// See caio_ctx_eventfd(3) and caio-loops(7).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_eventfd(ctx: *const caio_ctx) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(Context::events_fd))
}

/// Returns the `CAIO_BACKEND_*` of the context, never AUTO.
///
/// Threads: any, even on a SINGLE_THREAD context.
/// Blocks: no.
/// Errors: `-EINVAL` (NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
///
/// See caio_ctx_backend(3).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_backend(ctx: *const caio_ctx) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(Context::backend).map(|backend| backend as u32))
}

/// Returns the limit of operations that are accepted and whose events are not taken.
///
/// Threads: any, even on a SINGLE_THREAD context.
/// Blocks: no.
/// Units: operations.
/// Errors: `-EINVAL` (NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
///
/// See caio_ctx_max_requests(3).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_max_requests(ctx: *const caio_ctx) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(Context::max_requests))
}

/// Fills `stats` with the counters of the context, up to `size` bytes. Does not change `size`.
///
/// Ownership: `stats` is the caller's. Set its `size` before the call.
/// Threads: any, even on a SINGLE_THREAD context.
/// Blocks: no.
/// Units: operations.
/// Errors:
/// - `-EINVAL`: a pointer is NULL, or `size` is smaller than 8.
/// - `-E2BIG`: `size` is larger than this version knows, and a byte of the unknown tail is not 0.
/// - `-EOWNERDEAD`: the context belongs to the parent process; see caio_ctx_free(3).
///
/// See caio_ctx_stats(3).
///
/// # Safety
/// `ctx` is NULL or a live context; `stats` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_stats(ctx: *const caio_ctx, stats: *mut caio_stats) -> c_int {
    if stats.is_null() {
        return EINVAL;
    }
    // SAFETY: the caller's promise.
    let filled = unsafe { get(ctx) }.and_then(Context::stats);
    // SAFETY: not NULL, and as large as it says.
    ret(filled.and_then(|filled| unsafe { convert::fill_stats(stats, &filled) }))
}

/// Returns 1 if this system has the system call of an opcode, or another that does the same; 0 if the opcode is unknown, or an
/// operation would complete with `-EOPNOTSUPP`.
///
/// Threads: any, even on a SINGLE_THREAD context.
/// Blocks: no.
/// Errors: `-EINVAL` (NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
///
/// See caio_ctx_supports(3).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_supports(ctx: *const caio_ctx, opcode: u32) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(|ctx| ctx.supports(opcode)))
}

/// On Windows, stores a waitable HANDLE in `*handle`, which is signalled while a completion is pending. On other systems,
/// use `caio_ctx_eventfd`.
///
/// Ownership: the handle is the context's. Do not close it. After a failure, `*handle` is NULL.
/// Threads: any, even on a SINGLE_THREAD context.
/// Blocks: no.
/// Errors: `-EINVAL` (a pointer is NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3));
/// `-ENOSYS` (the system is not Windows).
///
/// See caio_ctx_event_handle(3).
///
/// # Safety
/// `ctx` is NULL or a live context; `handle` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_event_handle(ctx: *const caio_ctx, handle: *mut *mut c_void) -> c_int {
    if handle.is_null() {
        return EINVAL;
    }
    // SAFETY: not NULL; the caller promises that it is writable.
    unsafe { handle.write(std::ptr::null_mut()) };
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(Context::event_handle).map(|made| {
        // SAFETY: as above.
        unsafe { handle.write(made) };
        0
    }))
}
