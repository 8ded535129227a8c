//! Operations in, events out.

use std::ffi::c_int;

use super::convert::{Events, Ops, ret};
use super::ctx::{caio_ctx, get};
use super::types::{caio_event, caio_op};
use crate::context::keeping_errno;

/// Submits operations: accepts as many as fit, always a prefix, chains whole or not at all, and returns how many.
/// With `count > 0` it never returns 0; after a short return, calling again with the rest says why.
///
/// Ownership: the operations and their path strings are copied; `fd`, buffers, iovec arrays and statx buffers belong to
/// the library until the event. Threads: any; the submitting thread may exit at once.
/// Blocks: not for data to be read, written or synced; io_uring's own submission may briefly wait for a full device
/// queue or for file-system metadata.
///
/// Errors, only if none was accepted: `-EAGAIN` (full: poll first), `-EINVAL` (NULL; the first operation or a member of
/// its chain is malformed), `-E2BIG` (a chain longer than `max_requests`), `-ENOMEM`, `-EPERM` (SINGLE_THREAD, other thread),
/// `-EOWNERDEAD` (after fork). What is wrong with the file or the memory comes as the event's result.
///
/// # Safety
/// `ctx` is NULL or a live context; `ops` points to `count` operations whose buffers stay valid until their events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_submit(ctx: *mut caio_ctx, ops: *const caio_op, count: u32) -> c_int {
    // SAFETY: the caller's promises.
    let args = unsafe { get(ctx).and_then(|ctx| Ok((ctx, Ops::new(ops, count)?))) };
    ret(args.and_then(|(ctx, ops)| ctx.submit(&ops)))
}

/// `caio_ctx_submit`, then `caio_ctx_poll` in the same call, also when the submit part failed: what finished at once
/// comes back at once, and the descriptor is not disturbed for what it returned.
///
/// Returns what submit returns. `*polled` is always set to the number of events: deliver those before looking at an
/// error (`-EAGAIN` with `*polled > 0`: try again). Ownership, threads, blocking, errors: as submit and poll.
///
/// # Safety
/// As `caio_ctx_submit`; `events` has room for `max_events`; `polled` is NULL (`-EINVAL`) or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_submit_poll(
    ctx: *mut caio_ctx,
    ops: *const caio_op,
    count: u32,
    events: *mut caio_event,
    max_events: u32,
    polled: *mut u32,
) -> c_int {
    if polled.is_null() {
        return -libc::EINVAL;
    }
    // SAFETY: not NULL; the caller promises that it is writable.
    unsafe { polled.write(0) };
    // SAFETY: the caller's promises.
    let args = unsafe { get(ctx).and_then(|ctx| Ok((ctx, Ops::new(ops, count), Events::new(events, max_events)?))) };
    ret(args.and_then(|(ctx, ops, mut events)| {
        let (accepted, got) = match ops {
            Ok(ops) => ctx.submit_poll(&ops, &mut events)?,
            Err(errno) => (Err(errno), ctx.poll(&mut events)?),
        };
        // SAFETY: as above.
        unsafe { polled.write(got) };
        accepted
    }))
}

/// Takes up to `max_events` events that are there and returns how many, maybe 0.
///
/// Ownership: `events` is the caller's; the memory of the operations they speak of is the caller's again, and what those
/// operations wrote is visible. Threads: any. Blocks: never.
/// Errors: `-EINVAL` (NULL), `-EPERM` (SINGLE_THREAD, other thread), `-EOWNERDEAD` (after fork).
///
/// # Safety
/// `ctx` is NULL or a live context; `events` has room for `max_events`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_poll(ctx: *mut caio_ctx, events: *mut caio_event, max_events: u32) -> c_int {
    // SAFETY: the caller's promises.
    let args = unsafe { get(ctx).and_then(|ctx| Ok((ctx, Events::new(events, max_events)?))) };
    ret(args.and_then(|(ctx, mut events)| ctx.poll(&mut events)))
}

/// Like `caio_ctx_poll`, but sleeps until `min_events` are there (with nothing in flight too), `timeout_ns` nanoseconds
/// are over (negative: forever), `caio_ctx_wake` was called, or a signal handler ran. Returns how many events it took;
/// fewer than `min_events` is normal. `min_events` 0 never sleeps.
///
/// Ownership, threads: as poll; several threads may wait at once.
/// Errors: as poll, `-EINVAL` (`min_events > max_events`), `-EINTR` (a signal handler ran and there is nothing).
///
/// # Safety
/// As `caio_ctx_poll`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_wait(
    ctx: *mut caio_ctx,
    events: *mut caio_event,
    min_events: u32,
    max_events: u32,
    timeout_ns: i64,
) -> c_int {
    // SAFETY: the caller's promises.
    let args = unsafe { get(ctx).and_then(|ctx| Ok((ctx, Events::new(events, max_events)?))) };
    ret(args.and_then(|(ctx, mut events)| keeping_errno(|| ctx.wait(&mut events, min_events, timeout_ns))))
}

/// Makes the current `caio_ctx_wait`, else the next one, return early. Several before one wait count as one.
/// Threads: any, SINGLE_THREAD contexts too; async-signal-safe. Blocks: no.
/// Errors: `-EINVAL` (NULL), `-EOWNERDEAD` (after fork).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_wake(ctx: *mut caio_ctx) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(|ctx| ctx.wake()))
}

/// Asks for every operation with that `user_data` that has no event yet to stop; returns how many it found.
/// Each still yields its one event: `-ECANCELED` if it was stopped, its true result if not.
///
/// Ownership: the operation's memory stays the library's until that event. Threads: any. Blocks: no.
/// Errors: `-ENOENT` (none), `-EINVAL` (NULL), `-EPERM` (SINGLE_THREAD, other thread), `-EOWNERDEAD` (after fork).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_cancel(ctx: *mut caio_ctx, user_data: u64) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(|ctx| ctx.cancel(user_data)))
}

/// As `caio_ctx_cancel`, for every operation whose descriptor `fd` is and that uses it.
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_cancel_fd(ctx: *mut caio_ctx, fd: c_int) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(|ctx| ctx.cancel_fd(fd)))
}

/// As `caio_ctx_cancel`, for every operation; returns 0 if there is none.
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_cancel_all(ctx: *mut caio_ctx) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(|ctx| ctx.cancel_all()))
}
